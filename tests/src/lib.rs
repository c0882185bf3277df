//! The harness: networks of namespaces, real peers, probers, captures and hand-made frames.
//!
//! It judges an agent the way the network sees it (kernel addresses, ARP and ND answers, frames on the
//! wire), never by what the agent says about itself. Everything it makes carries this process' id in its
//! name, is removed on drop, and what a crashed run left behind is removed by the next run.
//!
//! A harness has nobody to hand an error to: what should never fail panics with the reason, at the
//! caller's line. What a test may want to see fail has a `try_` form.

mod addresses;
mod agent;
mod ask;
mod capture;
mod cluster;
mod collector;
mod decode;
mod fault;
mod frame;
mod frr;
mod fuzz;
mod http;
mod keepalived;
mod lab;
mod namespace;
mod nginx;
mod packet;
mod pinger;
mod prober;
mod process;
mod programs;
mod random;
mod scratch;
mod sys;
mod timeline;
mod vrrp;
mod wait;

pub use addresses::KernelAddress;
pub use agent::{Agent, AgentInstance, ask_hactl, hactl, peer_table, peers_over_sockets};
pub use ask::Told;
pub use capture::{Capture, Frame, Wanted};
pub use cluster::Cluster;
pub use collector::{Collector, Item, Received, Signal};
pub use decode::{ScapyFrame, TsharkFrame, scapy, tshark};
pub use fault::Direction;
pub use frame::{Mac, checksum, ethernet, ipv4, ipv6};
pub use frr::{Frr, FrrRouter};
pub use fuzz::{Fuzz, Verdict};
pub use http::{http_ask, http_get};
pub use keepalived::{Keepalived, KeepalivedInstance};
pub use lab::{Lab, Node};
pub use namespace::Namespace;
pub use nginx::Nginx;
pub use packet::{Injector, PacketSocket};
pub use pinger::{Outage, PingReport, Pinger};
pub use prober::{Prober, sweep};
pub use process::{Process, Usage};
pub use programs::{Program, agent_binary, hactl_binary, outside_of_cargo, python_packages, require};
pub use random::Random;
pub use scratch::Scratch;
pub use sys::{pin_this_thread, real_time};
pub use timeline::{Gap, Overlap, Probe, Segment, Timeline};
pub use vrrp::{Advert, Checksum, VrrpFrame};
pub use wait::{wait_for, wait_some, wait_until};
