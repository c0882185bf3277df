//! Resource names of this node: `nodes/{node}`, `nodes/{node}/instances/{instance}`, `nodes/{node}/vips/{address}`.
//! In a request `nodes/self` is the node that answers.

use std::net::IpAddr;
use std::sync::Arc;

use tonic::Status;

use super::error::{Reason, refuse};

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

    /// The instance of `nodes/{node}/instances/{instance}`.
    pub(crate) fn instance_of<'a>(&self, name: &'a str) -> Result<&'a str, Status> {
        let segments: Vec<&str> = name.split('/').collect();
        match segments[..] {
            ["nodes", node, "instances", instance] if !node.is_empty() && !instance.is_empty() => {
                if self.is_this(node) { Ok(instance) } else { Err(self.other_node(node)) }
            }
            _ => Err(invalid(name, "nodes/{node}/instances/{instance}")),
        }
    }

    /// There is no such instance here.
    pub(crate) fn no_instance(&self, instance: &str) -> Status {
        refuse(
            Reason::InstanceNotFound,
            format!("node {} has no instance {:?}", self.node, shorten(instance)),
            "list the instances to see their names",
        )
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
}
