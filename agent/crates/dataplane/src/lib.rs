//! The Linux kernel as ha-agent uses it: raw sockets, a precise timer, real-time threads, and a thread of its own that
//! holds addresses, announces them and watches links. No policy: it does what an [`ha_engine::Ownership`] says and reports
//! what the kernel has. The only crate of the workspace with `unsafe`.
//!
//! The agent's `vrrp` thread uses [`VrrpSocket`], [`FrameSocket`] and [`Timer`] directly, because they never block. Netlink
//! may block, so it lives on the dataplane thread behind [`Handle`] and [`Report`].

mod address;
mod announce;
mod apply;
mod arp;
mod capability;
mod cleanup;
mod clock;
mod error;
mod handle;
mod kernel;
mod kernel_view;
mod lease;
mod macvlan;
mod monitor;
mod ndp;
mod netlink;
mod observed;
mod outbox;
mod ownership;
mod readiness;
mod renewals;
mod report;
mod runner;
mod socket;
mod sysctl;
mod thread;
mod timer;
mod who_has;

pub use address::ADDRESS_PROTOCOL;
pub use capability::{Capabilities, Capability};
pub use cleanup::{Cleaned, Scope, cleanup};
pub use clock::now;
pub use error::{Blame, Error};
pub use handle::{Completion, Dataplane, Handle, Left, LinkSettings, Links, Options, Undelivered, Withdrawn};
pub use kernel_view::{AddressView, KernelView};
pub use readiness::{Watchable, watch_readable};
pub use report::Report;
pub use socket::{FrameSocket, ReceiveCounters, Received, SendFailure, SendReport, Unframeable, VrrpSocket};
pub use thread::{lock_memory, set_fifo_priority, set_timer_slack};
pub use timer::Timer;
pub use who_has::{Heard, LinkAnswers, is_virtual_mac, who_has};
