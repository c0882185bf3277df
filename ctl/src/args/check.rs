//! `hactl check …` and `hactl pool …` as clap reads them, and the names that they take.

use std::fmt;
use std::str::FromStr;

use clap::Subcommand;

use crate::args::Ttl;

/// `hactl check …`
#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// All checks of all nodes.
    List {
        /// Only those that do not pass.
        #[arg(long)]
        failing: bool,
    },
    /// One check, whole, on each of its nodes.
    Get {
        /// `check`, `node/check`, or `pool/server/check` for a check of a server, with or without `node/` before it.
        target: CheckTarget,
    },
    /// Makes one attempt now and shows it step by step. The result counts like any other.
    Run {
        /// `check`, `node/check`, or `pool/server/check`, with or without `node/` before it.
        target: CheckTarget,
    },
    /// Maintenance: results are shown, but the verdict stays what it is. On each node that has the check.
    Mute {
        /// `check`, `node/check`, or `pool/server/check`, with or without `node/` before it.
        target: CheckTarget,
        /// How long: 1s..365d, or never (= until unmuted).
        #[arg(long, default_value = "1h")]
        ttl: Ttl,
        /// Why, for those who find it later.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Also over a stop, a kill and a reboot of the node's agent: it is on disk there, with what is left of --ttl.
        #[arg(long)]
        survive_restart: bool,
    },
    /// Ends a mute.
    Unmute {
        /// `check`, `node/check`, or `pool/server/check`, with or without `node/` before it.
        target: CheckTarget,
    },
}

/// `hactl pool …`
#[derive(Debug, Subcommand)]
pub(crate) enum PoolCommand {
    /// All server pools of all nodes.
    List,
    /// One pool with its servers, on each of its nodes.
    Get {
        /// `pool`, or `node/pool` for one node's view only.
        target: PoolTarget,
    },
    /// The servers of a pool.
    #[command(subcommand)]
    Server(ServerCommand),
}

/// `hactl pool server …`
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Takes a server out: no new sessions, those that exist end by themselves. On each node that has the pool.
    Drain {
        /// `pool/server`, or `node/pool/server` for one node only.
        target: ServerTarget,
        /// How long: 1s..365d, or never (= until undrained).
        #[arg(long, default_value = "1h")]
        ttl: Ttl,
        /// Why, for those who find it later.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Also over a stop, a kill and a reboot of the node's agent: it is on disk there, with what is left of --ttl.
        #[arg(long)]
        survive_restart: bool,
        /// Also when fewer servers than the pool's floor would be left.
        #[arg(long)]
        allow_below_floor: bool,
    },
    /// Puts it back.
    Undrain {
        /// `pool/server`, or `node/pool/server` for one node only.
        target: ServerTarget,
    },
}

/// A name below a node, with or without the node: the last segments of a resource name without its collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    node: Option<String>,
    segments: Vec<String>,
}

impl Path {
    /// Whether it means the thing of this resource name.
    fn matches(&self, name: &str) -> bool {
        let (node, segments) = split(name);
        self.segments.iter().map(String::as_str).eq(segments)
            && self.node.as_deref().is_none_or(|wanted| wanted == node)
    }

    /// From what a user writes: `node/` may stand before `depth` segments; a whole resource name is understood too.
    fn parse(text: &str, depths: &[usize]) -> Option<Self> {
        let all: Vec<&str> = text.split('/').collect();
        let (node, segments) = match all.as_slice() {
            ["nodes", ..] => {
                let (node, segments) = split(text);
                (Some(node), segments)
            }
            short if depths.contains(&short.len()) => (None, short.to_vec()),
            [node, rest @ ..] if depths.contains(&rest.len()) => (Some(*node), rest.to_vec()),
            _ => return None,
        };
        let whole = depths.contains(&segments.len())
            && !segments.iter().chain(&node).any(|segment| segment.is_empty());
        let segments = segments.into_iter().map(str::to_owned).collect();
        whole.then(|| Path { node: node.map(str::to_owned), segments })
    }
}

/// The node of a resource name, and its segments without the collections.
fn split(name: &str) -> (&str, Vec<&str>) {
    let mut values = name.split('/').skip(1).step_by(2);
    (values.next().unwrap_or_default(), values.collect())
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.node {
            write!(f, "{node}/")?;
        }
        f.write_str(&self.segments.join("/"))
    }
}

/// Makes a target of paths with these numbers of segments.
macro_rules! target {
    ($(#[$doc:meta])* $name:ident, $depths:expr, $form:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(Path);

        impl $name {
            /// Whether it means the thing of this resource name.
            pub(crate) fn matches(&self, name: &str) -> bool {
                self.0.matches(name)
            }

            /// Whether it names one node.
            pub(crate) fn is_of_one_node(&self) -> bool {
                self.0.node.is_some()
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Path::parse(text, $depths).map($name).ok_or_else(|| format!("give {}", $form))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

target!(
    /// `check`, `node/check`, `pool/server/check` or `node/pool/server/check`.
    CheckTarget,
    &[1, 3],
    "check, node/check, pool/server/check or node/pool/server/check"
);
target!(
    /// `pool` or `node/pool`.
    PoolTarget,
    &[1],
    "pool or node/pool"
);
target!(
    /// `pool/server` or `node/pool/server`.
    ServerTarget,
    &[2],
    "pool/server or node/pool/server"
);

impl ServerTarget {
    /// The pool's name.
    pub(crate) fn pool(&self) -> &str {
        self.0.segments.first().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_meant_by_its_name_with_or_without_its_node() {
        let own = "nodes/a/checks/nginx";
        let server = "nodes/a/pools/web/servers/w1/checks/http";
        for (text, name, expected) in [
            ("nginx", own, true),
            ("a/nginx", own, true),
            ("b/nginx", own, false),
            ("nginx", server, false),
            ("web/w1/http", server, true),
            ("a/web/w1/http", server, true),
            ("b/web/w1/http", server, false),
            ("nodes/a/pools/web/servers/w1/checks/http", server, true),
            ("nodes/a/checks/nginx", own, true),
        ] {
            assert_eq!(text.parse::<CheckTarget>().unwrap().matches(name), expected, "{text} {name}");
        }
    }

    #[test]
    fn what_names_no_check_pool_or_server_is_refused() {
        for text in ["", "/", "a/", "a/b/c/d/e", "nodes/a", "nodes/a/pools/web/servers/w1"] {
            assert!(text.parse::<CheckTarget>().is_err(), "{text}");
        }
        assert!("a/b/c".parse::<PoolTarget>().is_err());
        assert!("web".parse::<ServerTarget>().is_err());
        let server: ServerTarget = "a/web/w1".parse().unwrap();
        assert_eq!((server.pool(), server.to_string().as_str()), ("web", "a/web/w1"));
        assert!(server.is_of_one_node() && server.matches("nodes/a/pools/web/servers/w1"));
    }
}
