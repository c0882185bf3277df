//! Resource names of this node: `nodes/{node}`, `nodes/{node}/instances/{instance}`, `nodes/{node}/vips/{address}`,
//! `nodes/{node}/checks/{check}`, `nodes/{node}/pools/{pool}` and what is in it. In a request `nodes/self` is the node that
//! answers.

use std::net::IpAddr;
use std::sync::Arc;

use tonic::Status;

use super::error::{Reason, refuse};

/// Octets of a node's name, as in the configuration.
pub(crate) const LONGEST_NODE: usize = 63;

/// Octets of any name here, generously: what is longer is nobody's, and would fill the journal with what a caller chose.
const LONGEST: usize = 512;

/// Writes and reads the names of one node.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    node: Arc<str>,
}

impl Names {
    pub(crate) fn new(node: Arc<str>) -> Self {
        Self { node }
    }

    /// `nodes/{node}`.
    pub(crate) fn node(&self) -> String {
        format!("nodes/{}", self.node)
    }

    /// `nodes/{node}/instances/{instance}`.
    pub(crate) fn instance(&self, instance: &str) -> String {
        format!("nodes/{}/instances/{instance}", self.node)
    }

    /// `nodes/{node}/groups/{group}`.
    pub(crate) fn group(&self, group: &str) -> String {
        format!("nodes/{}/groups/{group}", self.node)
    }

    /// `nodes/{node}/` and what the engine calls a thing of this node: `checks/http`.
    pub(crate) fn of_this(&self, thing: &str) -> String {
        format!("nodes/{}/{thing}", self.node)
    }

    /// `nodes/{node}/vips/{address}`.
    pub(crate) fn vip(&self, address: IpAddr) -> String {
        format!("nodes/{}/vips/{address}", self.node)
    }

    /// `nodes/{node}/events/{incarnation}.{sequence}`.
    pub(crate) fn event(&self, incarnation: &str, sequence: u64) -> String {
        format!("nodes/{}/events/{incarnation}.{sequence}", self.node)
    }

    /// Whether a segment after `nodes/` is this node.
    pub(crate) fn is_this(&self, node: &str) -> bool {
        node == "self" || node == &*self.node
    }

    /// Accepts the empty name, `nodes/self` and this node's.
    pub(crate) fn check_node(&self, name: &str) -> Result<(), Status> {
        match name.strip_prefix("nodes/") {
            _ if name.is_empty() => Ok(()),
            Some(node) if self.is_this(node) => Ok(()),
            Some(node) if !node.is_empty() && !node.contains('/') => Err(self.other_node(node)),
            _ => Err(invalid(name, "nodes/{node}")),
        }
    }

    /// `nodes/{node}/config`.
    pub(crate) fn config(&self) -> String {
        self.of_this("config")
    }

    /// Accepts the empty name, and `nodes/{node}/config` of this node.
    pub(crate) fn check_config(&self, name: &str) -> Result<(), Status> {
        match name.strip_suffix("/config") {
            _ if name.is_empty() => Ok(()),
            Some(node) if node.starts_with("nodes/") => self.check_node(node),
            _ => Err(invalid(name, "nodes/{node}/config")),
        }
    }

    /// The instance of `nodes/{node}/instances/{instance}`.
    pub(crate) fn instance_of<'a>(&self, name: &'a str) -> Result<&'a str, Status> {
        let segments: Vec<&str> = name.split('/').collect();
        match segments[..] {
            _ if name.len() > LONGEST => Err(invalid(name, "nodes/{node}/instances/{instance}")),
            ["nodes", node, "instances", instance] if !node.is_empty() && !instance.is_empty() => {
                if self.is_this(node) { Ok(instance) } else { Err(self.other_node(node)) }
            }
            _ => Err(invalid(name, "nodes/{node}/instances/{instance}")),
        }
    }

    /// The address of `nodes/{node}/vips/{address}`.
    pub(crate) fn vip_of(&self, name: &str) -> Result<IpAddr, Status> {
        let form = "nodes/{node}/vips/{address}";
        let thing = self.thing_of(name, &[&["vips"]], form)?;
        let address = thing.strip_prefix("vips/").and_then(|address| address.parse().ok());
        address.ok_or_else(|| invalid(name, form))
    }

    /// There is no such virtual address on this node.
    pub(crate) fn no_vip(&self, address: IpAddr) -> Status {
        refuse(
            Reason::VipNotFound,
            format!("{address} is no virtual address of {}", self.node),
            "list the virtual addresses to see which there are",
        )
    }

    /// The check that a name stands for, as the engine calls it: `checks/{check}`, or
    /// `pools/{pool}/servers/{server}/checks/{check}`.
    pub(crate) fn check_of<'a>(&self, name: &'a str) -> Result<&'a str, Status> {
        let form = "nodes/{node}/checks/{check} or nodes/{node}/pools/{pool}/servers/{server}/checks/{check}";
        self.thing_of(name, &[&["checks"], &["pools", "servers", "checks"]], form)
    }

    /// The pool of `nodes/{node}/pools/{pool}`.
    pub(crate) fn pool_of<'a>(&self, name: &'a str) -> Result<&'a str, Status> {
        let thing = self.thing_of(name, &[&["pools"]], "nodes/{node}/pools/{pool}")?;
        Ok(thing.strip_prefix("pools/").unwrap_or(thing))
    }

    /// The pool and the server of `nodes/{node}/pools/{pool}/servers/{server}`.
    pub(crate) fn server_of<'a>(&self, name: &'a str) -> Result<(&'a str, &'a str), Status> {
        let form = "nodes/{node}/pools/{pool}/servers/{server}";
        let thing = self.thing_of(name, &[&["pools", "servers"]], form)?;
        let mut values = thing.split('/').skip(1).step_by(2);
        Ok((values.next().unwrap_or_default(), values.next().unwrap_or_default()))
    }

    /// What follows `nodes/{node}/` when it alternates between the words of one of `forms` and segments that are not empty.
    fn thing_of<'a>(&self, name: &'a str, forms: &[&[&str]], form: &str) -> Result<&'a str, Status> {
        let rest = name.strip_prefix("nodes/").filter(|_| name.len() <= LONGEST);
        let rest = rest.and_then(|rest| rest.split_once('/'));
        let (node, thing) = rest.filter(|(node, _)| !node.is_empty()).ok_or_else(|| invalid(name, form))?;
        let segments: Vec<&str> = thing.split('/').collect();
        let fits = |words: &&[&str]| {
            segments.len() == 2 * words.len()
                && segments.iter().step_by(2).eq(words.iter())
                && segments.iter().all(|segment| !segment.is_empty())
        };
        match forms.iter().any(fits) {
            true if self.is_this(node) => Ok(thing),
            true => Err(self.other_node(node)),
            false => Err(invalid(name, form)),
        }
    }

    /// There is no such check here.
    pub(crate) fn no_check(&self, check: &str) -> Status {
        self.nothing(Reason::CheckNotFound, "check", check, "list the checks to see their names")
    }

    /// There is no such pool here.
    pub(crate) fn no_pool(&self, pool: &str) -> Status {
        self.nothing(Reason::PoolNotFound, "pool", pool, "list the pools to see their names")
    }

    /// The pool has no such server.
    pub(crate) fn no_server(&self, pool: &str, server: &str) -> Status {
        let name = format!("{server} in pool {pool}");
        self.nothing(Reason::ServerNotFound, "server", &name, "get the pool to see its servers")
    }

    fn nothing(&self, reason: Reason, kind: &str, name: &str, next: &str) -> Status {
        refuse(reason, format!("node {} has no {kind} {:?}", self.node, shorten(name)), next)
    }

    /// There is no such instance here.
    pub(crate) fn no_instance(&self, instance: &str) -> Status {
        self.nothing(Reason::InstanceNotFound, "instance", instance, "list the instances to see their names")
    }

    fn other_node(&self, node: &str) -> Status {
        refuse(
            Reason::NodeNotFound,
            format!("this is node {}, not {:?}", self.node, shorten(node)),
            "ask that node's own agent, or name this one as nodes/self",
        )
    }
}

fn invalid(name: &str, form: &str) -> Status {
    refuse(
        Reason::NameInvalid,
        format!("{:?} is not a resource name of this kind", shorten(name)),
        format!("write it as {form}"),
    )
}

/// What a client sent, cut so that it fits into an answer's header.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 64;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_name_of_this_node_is_read_and_every_other_is_refused_with_its_reason() {
        let names = Names::new("a".into());
        assert_eq!(names.instance_of("nodes/a/instances/web").unwrap(), "web");
        assert_eq!(names.instance_of("nodes/self/instances/web").unwrap(), "web");
        let table = [
            ("nodes/b/instances/web", Code::NotFound),
            ("nodes/a/instances/", Code::InvalidArgument),
            ("nodes//instances/web", Code::InvalidArgument),
            ("nodes/a/vips/web", Code::InvalidArgument),
            ("nodes/a/instances/web/x", Code::InvalidArgument),
            ("web", Code::InvalidArgument),
            ("", Code::InvalidArgument),
        ];
        for (name, code) in table {
            assert_eq!(names.instance_of(name).unwrap_err().code(), code, "{name}");
        }
        for name in ["", "nodes/self", "nodes/a"] {
            assert!(names.check_node(name).is_ok(), "{name}");
        }
        assert_eq!(names.check_node("nodes/b").unwrap_err().code(), Code::NotFound);
        assert_eq!(names.check_node("nodes/a/b").unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn checks_pools_and_servers_are_named_by_their_words_in_turn() {
        let names = Names::new("a".into());
        assert_eq!(names.check_of("nodes/a/checks/http").unwrap(), "checks/http");
        let check = "pools/web/servers/192.0.2.1:80/checks/http";
        assert_eq!(names.check_of(&format!("nodes/self/{check}")).unwrap(), check);
        let table = [
            ("nodes/b/checks/http", Code::NotFound),
            ("nodes/a/checks/", Code::InvalidArgument),
            ("nodes/a/checks", Code::InvalidArgument),
            ("nodes//checks/http", Code::InvalidArgument),
            ("nodes/a/pools/web", Code::InvalidArgument),
            ("nodes/a/pools/web/servers//checks/http", Code::InvalidArgument),
            ("nodes/a/checks/http/x", Code::InvalidArgument),
            ("checks/http", Code::InvalidArgument),
        ];
        for (name, code) in table {
            assert_eq!(names.check_of(name).unwrap_err().code(), code, "{name}");
        }
    }
}
