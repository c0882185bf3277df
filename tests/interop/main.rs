//! Beside other people's VRRP: every election with keepalived and FRR as the other party, judged by who answers for the
//! address, and our packets in other people's decoders.

mod versus;

mod decoders;
mod frr;
mod groups;
mod keepalived;
mod same_file;
mod spread;
mod weights;
