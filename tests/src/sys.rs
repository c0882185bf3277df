//! The few system calls that no safe crate offers. All `unsafe` of the harness is here.

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, BorrowedFd},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

/// Binds a packet socket to one link and, if `promiscuous`, makes the link deliver strangers' frames to it.
pub(crate) fn bind_packet(socket: BorrowedFd<'_>, index: u32, promiscuous: bool) -> io::Result<()> {
    let index = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: sockaddr_ll is plain data for which all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    // SAFETY: the pointer and the length describe `address`, which outlives the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    check(result)?;
    if promiscuous { join_promiscuous(socket, index) } else { Ok(()) }
}

fn join_promiscuous(socket: BorrowedFd<'_>, index: i32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: index,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    // SAFETY: the pointer and the length describe `request`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast(),
            size_of::<libc::packet_mreq>() as libc::socklen_t,
        )
    };
    check(result)
}

/// Lets a packet socket of an Ethernet link have only what begins a TCP connection over IPv4, once each: a program for the
/// kernel, so that nothing else costs anything.
pub(crate) fn keep_only_connections(socket: BorrowedFd<'_>) -> io::Result<()> {
    const SENT: u32 = libc::PACKET_OUTGOING as u32;
    let step = |code: u32, yes, no, value| libc::sock_filter { code: code as u16, jt: yes, jf: no, k: value };
    let load = libc::BPF_LD | libc::BPF_ABS;
    let test = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let mut program = [
        // The loopback link shows each frame as sent and as received.
        step(load | libc::BPF_B, 0, 0, (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned()),
        step(test, 0, 8, SENT),
        step(load | libc::BPF_H, 0, 0, 12),
        step(test, 0, 6, libc::ETH_P_IP as u32),
        step(load | libc::BPF_B, 0, 0, 23),
        step(test, 0, 4, libc::IPPROTO_TCP as u32),
        // The flags, behind an IP header without options: SYN and nothing else.
        step(load | libc::BPF_B, 0, 0, 47),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, 0x3f),
        step(test, 0, 1, 0x02),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::from(u16::MAX)),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the pointer and the length describe `filter`, whose program outlives the call, in which the kernel copies it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    check(result)
}

/// Gives the calling thread a real-time priority, so that a measuring thread is late as rarely as possible.
///
/// Refused politely: a measurement still works at normal priority, it only gets coarser under load.
pub(crate) fn prefer_this_thread() {
    let _ = real_time(5);
}

/// Puts the calling thread under SCHED_FIFO with this priority, 1..=99.
///
/// # Errors
/// EPERM without CAP_SYS_NICE, or where this control group has no real-time budget.
pub fn real_time(priority: u8) -> io::Result<()> {
    // SAFETY: sched_param is plain data; only `sched_priority` matters.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = i32::from(priority);
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: thread 0 is the calling thread, and the pointer outlives the call.
    check(unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) })
}

/// Keeps the calling thread on one core, counted from 0.
///
/// # Errors
/// EINVAL when the machine has no such core, or does not let us use it.
pub fn pin_this_thread(core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &only)?)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
