//! Removes what is ours without a running agent: after a crash, from `ha-agent cleanup` or `ExecStopPost`.

use std::sync::Arc;

use crate::apply::{Swept, sweep};
use crate::error::Error;
use crate::handle::Options;
use crate::kernel::Kernel;

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

/// Removes every address and macvlan that carries our tag in `scope`. Blocks; for use without a [`crate::Dataplane`], whose
/// addresses it would take away.
///
/// # Errors
/// When the kernel cannot be asked at all.
pub fn cleanup(scope: &Scope) -> Result<Cleaned, Error> {
    let mut kernel = Kernel::open(&Options::default())?;
    let inside: Vec<u32> = kernel
        .observed
        .links()
        .filter(|link| match scope {
            Scope::Everywhere => true,
            Scope::Interface(name) => {
                let lower = link.lower.filter(|_| link.is_ours).and_then(|lower| kernel.observed.link(lower));
                link.name == *name || lower.is_some_and(|lower| lower.name == *name)
            }
        })
        .map(|link| link.index)
        .collect();
    let is_outside = |index: u32| !inside.contains(&index);
    let Swept { addresses, links, failures } = sweep(&mut kernel, |index, _| is_outside(index), is_outside);
    Ok(Cleaned { addresses, links, failures })
}
