//! Named clusters: which nodes there are and with which certificates they are talked to. Kept in a file of the user,
//! or in one of the machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;

/// The file of the machine, read when the user has none.
const OF_THE_MACHINE: &str = "/etc/ha-agent/hactl.toml";

/// What stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one that is used when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(default, rename = "context", skip_serializing_if = "BTreeMap::is_empty")]
    pub all: BTreeMap<String, Named>,
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    /// Its nodes: `unix:/path` or `https://host:port`.
    pub endpoints: Vec<String>,
    /// The authority whose certificates agents have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cacert: Option<PathBuf>,
    /// Our certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl Named {
    /// Its nodes.
    ///
    /// # Errors
    /// When one of them is no endpoint.
    pub(crate) fn endpoints(&self, name: &str) -> Result<Vec<Endpoint>, Failure> {
        let parse = |text: &String| {
            text.parse().map_err(|error| {
                let message = format!("context {name}: {text:?} is no endpoint: {error}");
                Failure::usage(message, "correct it with hactl context add --replace")
            })
        };
        self.endpoints.iter().map(parse).collect()
    }
}

/// The user's own file: `--config`, or the place that XDG names.
pub(crate) fn own_file(given: Option<&Path>) -> Option<PathBuf> {
    if let Some(file) = given {
        return Some(file.to_owned());
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("hactl/config.toml"))
}

/// The contexts in force, and the file that they stand in.
///
/// # Errors
/// When a file is there and cannot be read, or does not say what it should; when `--config` names none.
pub(crate) fn load(given: Option<&Path>) -> Result<(Contexts, Option<PathBuf>), Failure> {
    let machine = given.is_none().then(|| PathBuf::from(OF_THE_MACHINE));
    for file in own_file(given).into_iter().chain(machine) {
        match fs::read_to_string(&file) {
            Ok(text) => return Ok((parse(&file, &text)?, Some(file))),
            // HOME may be somebody else's, as below sudo: a file that we may not read is not ours.
            Err(error)
                if given.is_none()
                    && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            Err(error) => return Err(cannot("read", &file, &error)),
        }
    }
    Ok((Contexts::default(), None))
}

fn parse(file: &Path, text: &str) -> Result<Contexts, Failure> {
    let contexts: Contexts = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let place = line.map(|line| format!(":{line}")).unwrap_or_default();
        let message = format!("{}{place}: {}", file.display(), error.message());
        Failure::usage(message, "correct it, or name another file with --config")
    })?;
    match &contexts.current {
        Some(current) if !contexts.all.contains_key(current) => {
            let message = format!("{}: the current context {current} is not in it", file.display());
            Err(Failure::usage(message, "hactl context use chooses one that is"))
        }
        _ => Ok(contexts),
    }
}

/// Writes the user's own file, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn store(file: &Path, contexts: &Contexts) -> Result<(), Failure> {
    let text = toml::to_string_pretty(contexts)
        .map_err(|error| Failure::internal(format!("cannot write contexts: {error}")))?;
    let beside = file.with_extension("new");
    let written = || -> io::Result<()> {
        fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
        let mut new =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, file)
    };
    written().map_err(|error| cannot("write", file, &error))
}

fn cannot(what: &str, file: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {what} {}: {error}", file.display());
    Failure::local(Exit::Usage, "IO", "FILE", message, "check the path and your permissions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut contexts = Contexts { current: Some("prod".to_owned()), ..Contexts::default() };
        let named =
            Named { endpoints: vec!["https://a".to_owned()], cert: Some("/c".into()), ..Named::default() };
        contexts.all.insert("prod".to_owned(), named);
        let text = toml::to_string_pretty(&contexts).unwrap();
        assert_eq!(parse(Path::new("f"), &text).unwrap(), contexts, "{text}");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let failure = parse(Path::new("f"), "current = \"a\"\n[context.a]\nendpoint = []\n").unwrap_err();
        assert!(failure.message.starts_with("f:3: unknown field"), "{}", failure.message);
        let failure = parse(Path::new("f"), "current = \"a\"\n").unwrap_err();
        assert!(failure.message.contains("the current context a is not in it"), "{}", failure.message);
    }
}
