//! Names to addresses without getaddrinfo's threads: /etc/hosts, then the servers of /etc/resolv.conf. /etc/nsswitch.conf is
//! not looked at. Both files are read for each lookup, so that a change needs no reload.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::course::Course;
use crate::dns::{Data, Question, RecordType, Response, ResponseCode, ask};
use crate::target::Origin;

/// As the C library: more servers and search domains are not read (resolv.conf(5)).
const MOST_SERVERS: usize = 3;
const MOST_DOMAINS: usize = 6;
/// More of a file is not read: a lookup stays cheap whatever is in it.
const LARGEST_FILE: usize = 1 << 20;
/// Each server is asked twice before giving up.
const ROUNDS: u32 = 2;
/// A name of /etc/hosts is looked up again after this time.
const LOCAL_LIFETIME: Duration = Duration::from_secs(5);

/// Which addresses are of use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    V4,
    V6,
    /// IPv4 first: IPv6 only when there is none.
    Either,
}

impl Wanted {
    fn takes(self, address: IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
            Self::Either => true,
        }
    }

    fn types(self) -> &'static [RecordType] {
        match self {
            Self::V4 => &[RecordType::A],
            Self::V6 => &[RecordType::Aaaa],
            Self::Either => &[RecordType::A, RecordType::Aaaa],
        }
    }
}

/// The addresses of a name, never none, and for how long they may be believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Resolved {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) lifetime: Duration,
}

/// How this node resolves names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Resolver {
    hosts: String,
    servers: Vec<SocketAddr>,
    domains: Vec<String>,
    dots: usize,
}

impl Resolver {
    /// As the files of this node say now.
    pub(crate) fn of_this_node() -> Self {
        let read = |path: &str| {
            let text = fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&text[..text.len().min(LARGEST_FILE)]).into_owned()
        };
        Self::new(read("/etc/hosts"), &read("/etc/resolv.conf"))
    }

    /// As the texts of these files say.
    pub(crate) fn new(hosts: String, resolv_conf: &str) -> Self {
        let mut resolver = Self { hosts, dots: 1, ..Self::default() };
        for line in resolv_conf.lines() {
            resolver.read_line(line);
        }
        resolver.servers.truncate(MOST_SERVERS);
        if resolver.servers.is_empty() {
            resolver.servers.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        resolver.domains.truncate(MOST_DOMAINS);
        resolver
    }

    fn read_line(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => {
                let address = words.next().and_then(|word| word.parse().ok());
                self.servers.extend(address.map(|address: IpAddr| SocketAddr::new(address, 53)));
            }
            // The last one counts.
            Some("search" | "domain") => self.domains = words.map(str::to_owned).collect(),
            Some("options") => {
                let mut dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                self.dots = dots.next_back().unwrap_or(self.dots).min(15);
            }
            _ => {}
        }
    }

    /// The addresses of `name`, by `deadline`.
    ///
    /// # Errors
    /// A sentence that says who did not answer, or that the name does not exist.
    pub(crate) async fn resolve(
        &self,
        name: &str,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<Resolved, String> {
        if let Some(resolved) = self.known_here(name, wanted) {
            return Ok(resolved);
        }
        let mut complaint = format!("`{name}` has no address");
        for candidate in self.candidates(name) {
            for kind in wanted.types() {
                match self.ask_all(&candidate, *kind, deadline).await {
                    Ok(Some(resolved)) => return Ok(resolved),
                    Ok(None) => {}
                    Err(text) => complaint = text,
                }
            }
        }
        Err(complaint)
    }

    /// From /etc/hosts; `localhost` needs no file (RFC 6761 §6.3).
    fn known_here(&self, name: &str, wanted: Wanted) -> Option<Resolved> {
        let mut addresses = Vec::new();
        for line in self.hosts.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            if wanted.takes(address) && words.any(|word| word.eq_ignore_ascii_case(name)) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
            let both = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
            addresses.extend(both.into_iter().filter(|address| wanted.takes(*address)));
        }
        addresses.sort_by_key(IpAddr::is_ipv6);
        (!addresses.is_empty()).then_some(Resolved { addresses, lifetime: LOCAL_LIFETIME })
    }

    /// The names to try: with the search list first when there are few dots (resolv.conf(5)).
    fn candidates(&self, name: &str) -> Vec<String> {
        let mut names: Vec<String> = self.domains.iter().map(|domain| format!("{name}.{domain}")).collect();
        let place = if name.matches('.').count() >= self.dots { 0 } else { names.len() };
        names.insert(place, name.to_owned());
        names
    }

    /// Asks the servers in turn until one knows; `None` when the name has no such address.
    async fn ask_all(
        &self,
        name: &str,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Option<Resolved>, String> {
        // A search domain may be too long for a name.
        let Ok(question) = Question::new(name, kind) else { return Ok(None) };
        let mut complaint = String::new();
        let tries = ROUNDS * u32::try_from(self.servers.len()).unwrap_or(1);
        for (left, server) in (1..=tries).rev().zip(self.servers.iter().cycle()) {
            // The rest of the time is shared among the tries that are left.
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match ask_one(*server, &question, Instant::now() + share).await {
                Ok(response) if response.code == ResponseCode::NO_ERROR => return Ok(addresses(&response)),
                Ok(response) if response.code == ResponseCode::NAME_ERROR => return Ok(None),
                Ok(response) => complaint = format!("{server} answered {} for `{name}`", response.code),
                Err(text) => complaint = text,
            }
        }
        Err(complaint)
    }
}

async fn ask_one(server: SocketAddr, question: &Question, deadline: Instant) -> Result<Response, String> {
    let mut course = Course::new(deadline, false);
    let origin = Origin::default();
    match timeout_at(deadline, ask(server, &origin, question, false, &mut course)).await {
        Ok(answer) => answer.map_err(|failure| failure.evidence),
        Err(_) => Err(format!("the name server {server} does not answer")),
    }
}

fn addresses(response: &Response) -> Option<Resolved> {
    let mut found = Resolved { addresses: Vec::new(), lifetime: Duration::MAX };
    for record in &response.answers {
        match record.data {
            Data::V4(address) => found.addresses.push(address.into()),
            Data::V6(address) => found.addresses.push(address.into()),
            // An alias on the way; it may be the first to change.
            Data::Text(_) => {}
        }
        found.lifetime = found.lifetime.min(Duration::from_secs(record.ttl.into()));
    }
    (!found.addresses.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests;
