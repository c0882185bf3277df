//! `[[peer]]` and `[cluster]`: the other nodes of this one's virtual routers, how they are reached, and what is done about a
//! split brain that they know of.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use crate::keys;
use crate::model::{Cluster, ClusterPeer, PeerEndpoint, SplitBrain};
use crate::reader::{parse_host, tables};
use crate::report::Report;
use crate::section::{Section, Spot};
use crate::settings::{Settings, resource_name};
use crate::value::{Value, shown};

/// The most peers of a node: each costs a connection and a report of all its virtual routers.
const MOST_PEERS: usize = 32;

/// The port of the control plane that the examples use.
const USUAL_PORT: u16 = 7443;

/// Reads both; what is wrong is reported and left out.
pub(crate) fn read(root: &Section<'_>, settings: &Settings, report: &mut Report<'_>) -> Cluster {
    let sections = tables(root, report, "peer");
    if let Some(section) = sections.get(MOST_PEERS) {
        let message = format!("there are {} peers", sections.len());
        report.error(
            &section.span,
            message,
            format!("{MOST_PEERS} are the most: name those that share a virtual router with this node"),
        );
    }
    let drafts: Vec<Draft> = sections.iter().map(|section| Draft::read(section, report)).collect();
    check_unique(&drafts, report);
    let listens = root
        .get("api")
        .and_then(|api| api.get_ref().as_table())
        .is_some_and(|api| api.get("listen").is_some());
    // The same list of peers may stand on all nodes.
    let is_other = |draft: &&Draft| draft.name.as_ref().is_none_or(|name| name.value != settings.node_name);
    let others: Vec<&Draft> = drafts.iter().filter(is_other).collect();
    if !listens {
        check_certificates(&others, report);
    }
    Cluster { peers: others.into_iter().filter_map(Draft::build).collect(), ..read_section(root, report) }
}

/// One `[[peer]]`.
struct Draft {
    name: Option<Spot<String>>,
    endpoint: Option<Spot<PeerEndpoint>>,
}

impl Draft {
    fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        section.reject_unknown(report, keys::CLUSTER_PEER, |key| match key {
            "address" | "host" | "url" | "port" => {
                Some(format!("write endpoint = \"https://HOST:{USUAL_PORT}\""))
            }
            _ => None,
        });
        let remedy = "add name = \"NAME\", the peer's name in its own [node], or its host name";
        let name = section.required(report, "name", remedy, resource_name);
        let remedy =
            format!("add endpoint = \"https://HOST:{USUAL_PORT}\", one that is in the peer's [api] listen");
        let endpoint = section.required(report, "endpoint", &remedy, endpoint);
        Self { name, endpoint }
    }

    fn build(&self) -> Option<ClusterPeer> {
        Some(ClusterPeer {
            name: self.name.as_ref()?.value.clone(),
            endpoint: self.endpoint.as_ref()?.value.clone(),
        })
    }
}

/// Reports names and endpoints that two peers have.
fn check_unique(drafts: &[Draft], report: &mut Report<'_>) {
    let mut names: BTreeMap<&str, Range<usize>> = BTreeMap::new();
    let mut endpoints: BTreeMap<&PeerEndpoint, Range<usize>> = BTreeMap::new();
    for draft in drafts {
        if let Some(name) = &draft.name
            && let Some(first) = names.insert(&name.value, name.span.clone())
        {
            let message =
                format!("name \"{}\" is taken by the peer on line {}", name.value, report.line(first.start));
            report.error(&name.span, message, "name each peer once");
        }
        if let Some(endpoint) = &draft.endpoint
            && let Some(first) = endpoints.insert(&endpoint.value, endpoint.span.clone())
        {
            let line = report.line(first.start);
            let message = format!("the peer on line {line} has the same endpoint");
            report.error(
                &endpoint.span,
                message,
                "each node has an endpoint of its own: correct one of the two",
            );
        }
    }
}

/// Peers talk over TLS with certificates on both sides: this node needs its own.
fn check_certificates(peers: &[&Draft], report: &mut Report<'_>) {
    let endpoints = peers.iter().filter_map(|peer| peer.endpoint.as_ref());
    if let Some(first) = endpoints.into_iter().find(|spot| matches!(spot.value, PeerEndpoint::Tls { .. })) {
        let message = "peers are talked to over TLS, and this node has no certificate for it";
        let remedy =
            "add [api] with listen, certificate, key and client_ca; hactl pki issue node makes the files";
        report.error(&first.span, message, remedy);
    }
}

fn endpoint(value: &Value<'_>, report: &mut Report<'_>) -> Option<PeerEndpoint> {
    let text = value.text(report)?;
    let read = match text.split_once(':') {
        Some(("https", rest)) => rest.strip_prefix("//").and_then(tls_endpoint),
        Some(("unix", rest)) => unix_endpoint(rest.strip_prefix("//").unwrap_or(rest)),
        _ => None,
    };
    if read.is_none() {
        let message = format!("endpoint {} is no control plane of a peer", shown(text));
        report.error(&value.span, message, endpoint_remedy(text));
    }
    read
}

fn tls_endpoint(authority: &str) -> Option<PeerEndpoint> {
    let (host, port) = authority.trim_end_matches('/').rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    // An IPv6 address without brackets would have lost its last part to the port.
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    (!is_bare_ipv6).then(|| parse_host(host)).flatten().map(|host| PeerEndpoint::Tls { host, port })
}

fn unix_endpoint(path: &str) -> Option<PeerEndpoint> {
    /// `sun_path` has 108 octets and ends with a NUL.
    const LONGEST: usize = 107;
    let is_path = path.starts_with('/') && !path.ends_with('/') && path.len() <= LONGEST;
    is_path.then(|| PeerEndpoint::Unix(PathBuf::from(path)))
}

fn endpoint_remedy(text: &str) -> String {
    if text.starts_with("http://") {
        return "peers are talked to over TLS only: write https://".to_owned();
    }
    let host = text.trim_start_matches("https://").trim_end_matches('/');
    if parse_host(host).is_some() && !host.contains("::") {
        return format!("write the port too: \"https://{host}:{USUAL_PORT}\"");
    }
    format!(
        "write \"https://HOST:{USUAL_PORT}\", an IPv6 address in brackets; or \"unix:/PATH\" for an agent on this machine"
    )
}

/// Everything but the peers.
fn read_section(root: &Section<'_>, report: &mut Report<'_>) -> Cluster {
    const LONGEST_STOP: Duration = Duration::from_secs(60);
    let default = Cluster::default();
    let Some(section) = root.table(report, "cluster", "[cluster]") else { return default };
    section.reject_unknown(report, keys::CLUSTER, |key| match key {
        "peers" | "nodes" | "members" => Some("write a [[peer]] for each other node".to_owned()),
        _ => None,
    });
    let words = [SplitBrain::Report, SplitBrain::Yield].map(|policy| (policy.as_str(), policy));
    let split_brain = section.read(report, "split_brain", |v, r| v.word(r, &words)).value_or_default();
    let stop_timeout = section
        .read(report, "stop_timeout", |v, r| v.duration(r, Duration::ZERO..=LONGEST_STOP))
        .value_or(default.stop_timeout);
    Cluster { split_brain, stop_timeout, ..default }
}
