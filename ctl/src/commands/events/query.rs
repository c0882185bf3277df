//! What the user wants to see of the events, as the agent's filter.

use ha_proto::v1;

use crate::args::EventsArgs;
use crate::failure::Failure;
use crate::names;
use crate::session::Session;
use crate::watch::FilterFor;

/// The conditions of one `hactl events`.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    arguments: EventsArgs,
}

impl Query {
    /// From the command line.
    pub(crate) fn new(arguments: &EventsArgs) -> Self {
        Query { arguments: arguments.clone() }
    }

    /// The events of an address are its own and those of the virtual router that owns it, which only the node knows.
    async fn subjects(&self, session: &Session) -> Result<Vec<String>, Failure> {
        let mut subjects: Vec<String> = self
            .arguments
            .instance
            .iter()
            .map(|target| {
                format!("nodes/{}/instances/{}", target.node.as_deref().unwrap_or("-"), target.instance)
            })
            .collect();
        if self.arguments.vip.is_empty() {
            return Ok(subjects);
        }
        subjects.extend(self.arguments.vip.iter().map(|address| format!("nodes/-/vips/{address}")));
        let wanted = |name: &String| {
            names::last(name).parse().is_ok_and(|address| self.arguments.vip.contains(&address))
        };
        let instances = session.instances().await?;
        let owners = instances.into_iter().filter(|instance| instance.vips.iter().any(wanted));
        subjects.extend(owners.map(|instance| instance.name));
        Ok(subjects)
    }
}

impl FilterFor for Query {
    async fn filter(&self, session: &Session) -> Result<v1::EventFilter, Failure> {
        Ok(v1::EventFilter {
            subjects: self.subjects(session).await?,
            types: self.arguments.types.clone(),
            min_severity: v1::Severity::Unspecified as i32,
            request_id: self.arguments.request.clone().unwrap_or_default(),
            causes: self.arguments.cause.iter().map(|cause| *cause as i32).collect(),
        })
    }
}
