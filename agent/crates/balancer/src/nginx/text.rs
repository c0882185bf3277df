//! Servers ↔ the lines that nginx reads.
//!
//! ```text
//! # Written by ha-agent for pool web. Changes made here are overwritten.
//! server 192.0.2.1:80 weight=100 max_fails=0;
//! server [2001:db8::2]:80 down max_fails=0;
//! server 192.0.2.9:80 weight=1 max_fails=0 backup; # sorry
//! ```

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::options::{Form, PoolOptions, Sorry};
use crate::{Desired, Server};

/// nginx refuses an upstream without servers. This one is never connected to, and no real server is written like it.
const NOBODY: &str = "server unix:/empty-pool down; # no server is left";

/// nginx would take larger ones, but `hash ... consistent` needs 160 points for each unit of weight.
const LARGEST_WEIGHT: u32 = 65_535;

const SORRY: &str = "# sorry";

/// What stands in the pool's file.
pub(super) fn render(desired: &Desired, options: &PoolOptions) -> String {
    let pool = desired.pool();
    let mut text = format!("# Written by ha-agent for pool {pool}. Changes made here are overwritten.\n");
    let servers = written(desired.servers(), options.sorry);
    let others = servers.iter().any(|server| !server.backup);
    let mut lines: Vec<String> = servers.iter().map(|server| line(server, others, options)).collect();
    if lines.is_empty() {
        lines.push(NOBODY.to_owned());
    }
    match options.form {
        Form::Servers => lines.iter().for_each(|line| push_line(&mut text, line)),
        Form::Upstream => {
            push_line(&mut text, &format!("upstream {pool} {{"));
            lines.iter().for_each(|line| push_line(&mut text, &format!("    {line}")));
            push_line(&mut text, "}");
        }
    }
    text
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The servers that are written at all, with weights that nginx can use.
fn written(servers: &[Server], sorry: Sorry) -> Vec<Server> {
    let is_served = servers.iter().any(|server| !server.backup && server.weight > 0);
    let is_written = |server: &&Server| !(server.backup && is_served && sorry == Sorry::Alone);
    let largest = servers.iter().map(|server| server.weight).max().unwrap_or_default();
    let scale = |server: &Server| Server { weight: scaled(server.weight, largest), ..*server };
    servers.iter().filter(is_written).map(scale).collect()
}

/// As it is, unless the largest of the pool is larger than [`LARGEST_WEIGHT`]: then in proportion, and never down to 0.
fn scaled(weight: u32, largest: u32) -> u32 {
    if largest <= LARGEST_WEIGHT || weight == 0 {
        return weight;
    }
    let exact = u64::from(weight) * u64::from(LARGEST_WEIGHT) / u64::from(largest);
    u32::try_from(exact).unwrap_or(LARGEST_WEIGHT).max(1)
}

/// `backup` is not allowed when there is nobody to back up.
fn line(server: &Server, others: bool, options: &PoolOptions) -> String {
    let mut line = format!("server {}", server.socket());
    match server.weight {
        0 => line.push_str(" down"),
        weight => write!(line, " weight={weight}").expect("a String takes everything"),
    }
    if !options.passive_checks {
        line.push_str(" max_fails=0");
    }
    if server.backup && others && options.sorry == Sorry::Standby {
        line.push_str(" backup");
    }
    line.push(';');
    if server.backup {
        line.push(' ');
        line.push_str(SORRY);
    }
    line
}

/// The servers that a file of ours names, sorted; `None` when something in it is not as we write it.
pub(super) fn parse(text: &str) -> Option<Vec<Server>> {
    let mut servers = Vec::new();
    for line in text.lines().map(str::trim) {
        let is_frame = line == "}" || (line.starts_with("upstream ") && line.ends_with('{'));
        if line.is_empty() || line.starts_with('#') || is_frame || line == NOBODY {
            continue;
        }
        servers.push(parse_line(line)?);
    }
    servers.sort_unstable();
    Some(servers)
}

fn parse_line(line: &str) -> Option<Server> {
    let (directive, comment) = line.split_once(';')?;
    let mut words = directive.strip_prefix("server ")?.split(' ');
    let socket: SocketAddr = words.next()?.parse().ok()?;
    let backup = comment.trim() == SORRY;
    let mut server = Server { backup, ..Server::new(socket.ip(), socket.port()) };
    for word in words {
        match word {
            "down" => server.weight = 0,
            "max_fails=0" => {}
            "backup" => server.backup = true,
            _ => server.weight = word.strip_prefix("weight=")?.parse().ok()?,
        }
    }
    Some(server)
}

#[cfg(test)]
mod tests;
