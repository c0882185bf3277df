//! The effective priority and how it came about.

use alloc::vec;
use alloc::vec::Vec;

use crate::units::Priority;

/// What adverts carry, with the waterfall that led to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// The result.
    pub value: Priority,
    /// Base or override first; in the order in which they were added up.
    pub because: Vec<Contribution>,
}

/// One step of the waterfall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contribution {
    /// Where it comes from.
    pub source: Source,
    /// What it adds.
    pub delta: i32,
    /// The sum after it.
    pub result: i32,
}

/// Where a contribution comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The configured base.
    Configuration,
    /// An operator's override, which replaces the base: its delta is the difference.
    Override,
}

impl Source {
    /// The word in API and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "config",
            Self::Override => "override",
        }
    }
}

impl Effective {
    /// Adds up the base and an override. An address owner (255) is not overridden.
    pub fn explain(base: Priority, override_: Option<Priority>) -> Self {
        let configured = i32::from(base.get());
        let mut because =
            vec![Contribution { source: Source::Configuration, delta: configured, result: configured }];
        let replaced = override_.filter(|_| !base.is_owner());
        if let Some(priority) = replaced {
            let result = i32::from(priority.get());
            because.push(Contribution { source: Source::Override, delta: result - configured, result });
        }
        Self { value: replaced.unwrap_or(base), because }
    }
}
