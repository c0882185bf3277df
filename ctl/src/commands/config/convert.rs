//! `hactl config convert FILE`: a keepalived.conf as TOML. What is printed is what an agent that is given the keepalived.conf runs.

use std::io::{self, Read};
use std::path::Path;

use ha_config::{Machine, Source};
use serde::Serialize;

use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::model::FindingView;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Report, Times, paint};

/// A keepalived.conf as TOML. Has no `Debug`, because of passwords.
#[derive(Clone, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ConversionView {
    pub file: String,
    /// Whether nothing that matters is missing.
    pub whole: bool,
    /// The text, with the passwords that the keepalived.conf has.
    pub toml: String,
    pub findings: Vec<FindingView>,
}

impl Item for ConversionView {
    const KIND: &'static str = "ConfigConversion";

    fn name(&self) -> String {
        self.file.clone()
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["FILE", "WHOLE", "FINDINGS"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        let whole = if self.whole { "yes" } else { "no" };
        vec![Cell::new(&self.file), Cell::new(whole), Cell::new(self.findings.len().to_string())]
    }
}

/// Reads the file, and prints what it becomes; findings go to standard error.
pub(super) fn run(context: &Context, file: &Path) -> Result<Exit, Stop> {
    let conversion = convert(file)?;
    for finding in &conversion.findings {
        let style = if finding.is_error() { Paint::Bad } else { Paint::Warn };
        context.out.note(&paint(style, &finding.headline()));
    }
    if !conversion.whole {
        context
            .out
            .note("not all of it could be taken over: what is missing stands in the TOML as a comment");
    }
    let (whole, toml) = (conversion.whole, conversion.toml.clone());
    let mut answer = Report::new("ConfigConversion");
    answer.items = vec![conversion];
    context.print(&answer, Some(toml.trim_end_matches('\n')))?;
    Ok(if whole { Exit::Done } else { Exit::ConditionFalse })
}

fn convert(file: &Path) -> Result<ConversionView, Failure> {
    let label = file.display().to_string();
    let text = read(file)
        .map_err(|error| Failure::usage(format!("cannot read {label}: {error}"), "name another file"))?;
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut read_file = |path: &Path| bounded(std::fs::File::open(path)?);
    let mut context =
        ha_config::Context { host_name: host_name.trim(), read_file: &mut read_file, machine: &mut Here };
    let conversion = ha_config::convert(&Source { path: file, text: &text }, &mut context);
    let Some(conversion) = conversion else {
        let message = format!("{label} is no keepalived.conf");
        return Err(Failure::usage(
            message,
            "name one, such as /etc/keepalived/keepalived.conf; TOML needs no conversion",
        ));
    };
    Ok(ConversionView {
        whole: conversion.outcome.model.is_some(),
        toml: format!("{}{}", header(&label), conversion.text),
        findings: conversion.outcome.findings.iter().map(FindingView::own).collect(),
        file: label,
    })
}

fn header(label: &str) -> String {
    let label: String = label.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!(
        "# Made of {label} by hactl config convert. What differs from our defaults is written out; each table says where it\n\
         # comes from, and comments say what is different. Addresses have a lease in the kernel, which keepalived has not.\n\n"
    )
}

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") { bounded(io::stdin().lock()) } else { bounded(std::fs::File::open(file)?) }
}

/// Comments of old files are in whatever their writers had.
fn bounded(open: impl Read) -> io::Result<String> {
    let most = ha_config::LARGEST_TEXT;
    let mut octets = Vec::new();
    open.take(most as u64 + 1).read_to_end(&mut octets)?;
    if octets.len() > most {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it has more than {most} octets")));
    }
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// The machine on which hactl runs.
struct Here;

impl Machine for Here {
    fn read(&mut self, path: &Path) -> io::Result<String> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        bounded(std::fs::File::open(path)?)
    }

    fn list(&mut self, folder: &Path) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(folder)?;
        names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Those that are not there may be known by a directory service.
    fn has_user(&mut self, name: &str) -> Option<bool> {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        users.lines().any(|user| user.split(':').next() == Some(name)).then_some(true)
    }

    fn has_program(&mut self, _: &str) -> Option<bool> {
        None
    }
}
