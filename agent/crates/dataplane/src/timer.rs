//! A timer that wakes within microseconds: timerfd on CLOCK_BOOTTIME with absolute deadlines. An async runtime's own timer
//! is coarse (a millisecond or more).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use ha_engine::Instant;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// One deadline. Readable when it has come; made for `AsyncFd`.
#[derive(Debug)]
pub struct Timer {
    fd: TimerFd,
    armed: Option<Instant>,
}

impl Timer {
    /// A timer that is not armed.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self { fd: TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?, armed: None })
    }

    /// Sets the deadline, replacing an earlier one; a past one fires at once, `None` disarms. Costs nothing when the deadline
    /// is the one already set.
    ///
    /// # Errors
    /// None that a supported kernel gives.
    pub fn arm(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        if self.armed == deadline {
            return Ok(());
        }
        match deadline {
            // Zero would disarm.
            Some(deadline) => self.set(deadline.as_nanos().max(1))?,
            None => self.fd.unset()?,
        }
        self.armed = deadline;
        Ok(())
    }

    /// Takes notice of the expiry, so that the descriptor is readable no more. Says whether the deadline had come.
    ///
    /// # Errors
    /// None that a supported kernel gives.
    pub fn acknowledge(&mut self) -> io::Result<bool> {
        let mut count = [0; 8];
        match nix::unistd::read(&self.fd, &mut count) {
            Ok(_) => {
                self.armed = None;
                Ok(true)
            }
            Err(nix::errno::Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn set(&self, nanos: u64) -> io::Result<()> {
        const NANOS_PER_SECOND: u64 = 1_000_000_000;
        let seconds =
            i64::try_from(nanos / NANOS_PER_SECOND).expect("u64 nanoseconds are fewer than i64 seconds");
        let rest = i64::try_from(nanos % NANOS_PER_SECOND).expect("less than a second");
        let expiration = Expiration::OneShot(TimeSpec::new(seconds, rest));
        Ok(self.fd.set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::now;

    fn wait(timer: &Timer, milliseconds: u16) -> bool {
        let mut fds = [nix::poll::PollFd::new(timer.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, milliseconds).unwrap() == 1
    }

    #[test]
    fn a_deadline_fires_once_and_not_before_its_time() {
        let mut timer = Timer::new().unwrap();
        let deadline = now().after(Duration::from_millis(20));
        timer.arm(Some(deadline)).unwrap();
        assert!(!timer.acknowledge().unwrap());
        assert!(wait(&timer, 5000));
        assert!(now() >= deadline);
        assert!(timer.acknowledge().unwrap());
        assert!(!wait(&timer, 0));
    }

    #[test]
    fn a_past_deadline_fires_at_once_and_can_be_armed_again() {
        let mut timer = Timer::new().unwrap();
        for _ in 0..2 {
            timer.arm(Some(Instant::from_nanos(0))).unwrap();
            assert!(wait(&timer, 1000));
            assert!(timer.acknowledge().unwrap());
        }
    }

    #[test]
    fn a_disarmed_timer_does_not_fire() {
        let mut timer = Timer::new().unwrap();
        timer.arm(Some(now().after(Duration::from_millis(10)))).unwrap();
        timer.arm(None).unwrap();
        assert!(!wait(&timer, 40));
    }
}
