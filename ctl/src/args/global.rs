//! The flags that every command takes. Flag beats environment beats default.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use crate::contexts::{self, Named};
use crate::credentials::Files;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::session::no_certificates;
use crate::span::Span;

/// Where the agent of this machine listens.
const OF_THIS_MACHINE: &str = "/run/ha-agent/api.sock";

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where an agent listens: unix:/path or https://host:port (repeat for more nodes) [default: those of the context, or
    /// unix:/run/ha-agent/api.sock].
    #[arg(long, global = true, value_name = "ENDPOINT", env = "HACTL_ENDPOINT", value_delimiter = ',')]
    pub endpoint: Vec<Endpoint>,
    /// The named cluster to ask [default: the current one, see hactl context].
    #[arg(long, global = true, value_name = "NAME", env = "HACTL_CONTEXT")]
    pub context: Option<String>,
    /// The file of contexts [default: hactl/config.toml below ~/.config, then /etc/ha-agent/hactl.toml].
    #[arg(long, global = true, value_name = "FILE", env = "HACTL_CONFIG")]
    pub config: Option<PathBuf>,
    /// The authority whose certificates agents have, PEM.
    #[arg(long, global = true, value_name = "FILE", env = "HACTL_CACERT")]
    pub cacert: Option<PathBuf>,
    /// Your certificate, PEM.
    #[arg(long, global = true, value_name = "FILE", env = "HACTL_CERT", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The key of your certificate, PEM.
    #[arg(long, global = true, value_name = "FILE", env = "HACTL_KEY", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Only nodes with this name; * and ? match (repeat for more).
    #[arg(short, long, global = true, value_name = "NODE", env = "HACTL_NODE", value_delimiter = ',')]
    pub node: Vec<String>,
    /// Bound of the whole command, such as 500ms, 10s or 2m; of a change: until its effect is seen; of -f: how long all nodes may be
    /// away.
    #[arg(long, global = true, value_name = "TIME", env = "HACTL_TIMEOUT", default_value = "30s",
          value_parser = positive)]
    pub timeout: Span,
    /// Bound of everything asked of one node, such as 500ms or 10s. Nodes are asked in parallel.
    #[arg(long, global = true, value_name = "TIME", env = "HACTL_NODE_TIMEOUT", default_value = "3s",
          value_parser = positive)]
    pub node_timeout: Span,
    /// How many of the nodes must answer for exit code 0.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "HOW_MANY",
        env = "HACTL_REQUIRE",
        default_value = "all"
    )]
    pub require: Require,
    /// How to print.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        env = "HACTL_OUTPUT",
        default_value = "table"
    )]
    pub output: Format,
    /// No header line above tables.
    #[arg(long, global = true)]
    pub no_headers: bool,
    /// Times in UTC (the default).
    #[arg(long, global = true, conflicts_with = "local")]
    pub utc: bool,
    /// Times in the zone of this machine.
    #[arg(long, global = true)]
    pub local: bool,
    /// Colours.
    #[arg(long, global = true, value_enum, value_name = "WHEN", env = "HACTL_COLOR", default_value = "auto")]
    pub color: ColorWhen,
    /// Nothing on standard error but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More on standard error: round trips, clock offsets, request ids.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Do not ask before a change.
    #[arg(long, global = true)]
    pub yes: bool,
    /// Say what a change would do, and change nothing.
    #[arg(long, global = true)]
    pub dry_run: bool,
}

impl Global {
    /// Completes what was not said from the context: nodes and certificates.
    ///
    /// # Errors
    /// When the context is not there or cannot be used, or certificates are missing.
    pub(crate) fn resolve(&mut self) -> Result<(), Failure> {
        let named = if self.is_whole() { None } else { self.named()? };
        if self.endpoint.is_empty() {
            self.endpoint = match &named {
                Some((name, named)) => named.endpoints(name)?,
                None => vec![Endpoint::unix(OF_THIS_MACHINE)],
            };
        }
        let Some(first) = self.endpoint.iter().find(|endpoint| endpoint.needs_tls()) else { return Ok(()) };
        let named = named.map(|(_, named)| named).unwrap_or_default();
        self.cacert = self.cacert.take().or(named.cacert);
        self.cert = self.cert.take().or(named.cert);
        self.key = self.key.take().or(named.key);
        let (Some(cacert), Some(cert), Some(key)) = (&self.cacert, &self.cert, &self.key) else {
            return Err(no_certificates(first));
        };
        let tls = Files { cacert, cert, key }.load()?;
        let secured = |endpoint: Endpoint| match endpoint.needs_tls() {
            true => endpoint.with_tls(&tls),
            false => endpoint,
        };
        self.endpoint = std::mem::take(&mut self.endpoint).into_iter().map(secured).collect();
        Ok(())
    }

    /// Whether the flags say all that a context could.
    fn is_whole(&self) -> bool {
        let has_certificates = self.cacert.is_some() && self.cert.is_some() && self.key.is_some();
        let is_local = !self.endpoint.iter().any(Endpoint::needs_tls);
        self.context.is_none() && !self.endpoint.is_empty() && (is_local || has_certificates)
    }

    /// The context that is to be used, if there is one.
    fn named(&self) -> Result<Option<(String, Named)>, Failure> {
        let (mut contexts, file) = contexts::load(self.config.as_deref())?;
        let Some(name) = self.context.clone().or(contexts.current.take()) else { return Ok(None) };
        match contexts.all.remove(&name) {
            Some(named) => Ok(Some((name, named))),
            None => {
                let where_to = file.map_or_else(String::new, |file| format!(" in {}", file.display()));
                let message = format!("there is no context {name}{where_to}");
                Err(Failure::usage(message, "hactl context list shows what there is"))
            }
        }
    }
}

/// How many of the nodes asked must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Require {
    /// One is enough.
    Any,
    /// More than half.
    Majority,
    /// Each one.
    All,
}

impl Require {
    /// Whether `answered` of `asked` nodes are enough. None never is.
    pub(crate) fn is_met(self, answered: usize, asked: usize) -> bool {
        match self {
            Require::Any => answered > 0,
            Require::Majority => answered > asked / 2,
            Require::All => answered > 0 && answered >= asked,
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a reader.
    Table,
    /// For a reader with a wide terminal.
    Wide,
    /// One JSON document with an envelope.
    Json,
    /// One JSON document a line: items, node status, and an end.
    Jsonl,
    /// The envelope as YAML.
    Yaml,
    /// Resource names, one a line.
    Name,
}

impl Format {
    /// Whether a program reads it: then failures too go to standard output in the same form.
    pub(crate) fn is_for_programs(self) -> bool {
        matches!(self, Format::Json | Format::Jsonl | Format::Yaml)
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, and NO_COLOR is not set.
    Auto,
    /// Even into a pipe.
    Always,
    /// Not at all.
    Never,
}

pub(super) fn positive(text: &str) -> Result<Span, String> {
    match text.parse::<Span>()? {
        span if span <= Span::ZERO => Err("must be longer than 0".to_owned()),
        span => Ok(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_counts_the_nodes_that_answered() {
        let table = [
            (Require::Any, 1, 3, true),
            (Require::Any, 0, 3, false),
            (Require::Majority, 2, 3, true),
            (Require::Majority, 1, 3, false),
            (Require::Majority, 1, 2, false),
            (Require::All, 3, 3, true),
            (Require::All, 2, 3, false),
            (Require::All, 0, 0, false),
        ];
        for (require, answered, asked, met) in table {
            assert_eq!(require.is_met(answered, asked), met, "{require:?} {answered}/{asked}");
        }
    }
}
