//! Health checks: when each runs, what its results mean, what is tried before its verdict falls. Probing is left to others.

mod policy;
mod status;
mod wire;

pub use policy::{CheckPolicy, Damping, Expr, RemedyPolicy};
pub use status::{
    CheckCounters, CheckStatus, LastResult, Latency, Mute, RemedyState, RemedyStatus, WindowPosition,
};
pub use wire::{CheckId, CheckInput, CheckOutput, CheckOutputs, CheckRefusal, Outcome};
