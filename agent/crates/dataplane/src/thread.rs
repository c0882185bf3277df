//! What makes a thread punctual: real-time scheduling, locked memory, exact timers. Each is refused politely.

use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::capability::Capability;
use crate::error::Error;

/// Puts the calling thread under SCHED_FIFO with `priority` 1..=99. Threads and processes that it starts are ordinary again.
///
/// # Errors
/// [`Error::Permission`] without CAP_SYS_NICE; [`Error::Refused`] when the kernel's group scheduling gives this cgroup no
/// real-time budget, or the priority is out of range.
pub fn set_fifo_priority(priority: u8) -> Result<(), Error> {
    let parameter = libc::sched_param { sched_priority: i32::from(priority) };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `parameter` is a valid sched_param for the duration of the call; 0 names the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    if result == 0 {
        return Ok(());
    }
    let source = io::Error::last_os_error();
    Err(Error::new(format!("use real-time priority {priority}"), Capability::SysNice, source))
}

/// Keeps all memory of the process in RAM, now and later.
///
/// # Errors
/// [`Error::Permission`] without CAP_IPC_LOCK, unless the limit on locked memory is infinite: under a smaller limit the
/// kernel would lock today's memory and refuse tomorrow's allocation.
pub fn lock_memory() -> Result<(), Error> {
    const ACTION: &str = "lock memory";
    let fail = |errno: nix::errno::Errno| Error::new(ACTION, Capability::IpcLock, errno.into());
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK).map_err(fail)?;
    if limit != RLIM_INFINITY && !Capability::IpcLock.is_held() {
        return Err(fail(nix::errno::Errno::EPERM));
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(fail)
}

/// Lets timers of the calling thread fire when they are due (1 ns slack) rather than up to 50 µs later. Real-time threads
/// have no slack anyway.
///
/// # Errors
/// None that a supported kernel gives.
pub fn set_timer_slack() -> Result<(), Error> {
    prctl::set_timerslack(1).map_err(|errno| Error::Refused {
        action: "set the timer slack".into(),
        source: errno.into(),
        explanation: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_becomes_real_time_or_hears_why_not() {
        let outcome = std::thread::spawn(|| set_fifo_priority(10)).join().unwrap();
        match outcome {
            Ok(()) => {}
            Err(Error::Permission { capability, .. }) => assert_eq!(capability, Capability::SysNice),
            Err(Error::Refused { .. }) => assert!(Capability::SysNice.is_held()),
            Err(error) => panic!("{error}"),
        }
        let impossible = std::thread::spawn(|| set_fifo_priority(100)).join().unwrap();
        assert_eq!(impossible.unwrap_err().errno(), Some(libc::EINVAL));
    }

    #[test]
    fn timer_slack_is_one_nanosecond() {
        let slack = std::thread::spawn(|| {
            set_timer_slack().unwrap();
            prctl::get_timerslack().unwrap()
        });
        assert_eq!(slack.join().unwrap(), 1);
    }
}
