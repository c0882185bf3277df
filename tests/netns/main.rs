//! Real agents on real kernels: every fault of the network, the node, the operator and the stranger, and after
//! each of them the same audits.

mod common;
mod config;
mod secure;

mod audits;
mod checks;
mod dataplane;
mod debugging;
mod demo;
mod disks;
mod failover;
mod groups;
mod hostile;
mod hung;
mod moves;
mod nginx;
mod night;
mod notifications;
mod orchestration;
mod partial;
mod peers;
mod pools;
mod privilege;
mod reload;
mod restart;
mod simulate;
mod split;
mod spread;
mod surviving;
mod telemetry;
mod vantage;
mod verify;
mod virtual_mac;
