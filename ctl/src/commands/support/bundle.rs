//! A tar.gz that grows file by file; every text in it passes `redact`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;
use tar::{Builder, Header};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::redact::{redact, redact_json};

/// A bundle that is being written.
pub(super) struct Bundle {
    tar: Builder<GzEncoder<File>>,
    path: PathBuf,
    folder: String,
    time: u64,
    contents: Vec<String>,
}

impl Bundle {
    /// Begins a file that must not be there yet, for its owner alone.
    pub(super) fn create(path: &Path, folder: &str, now: Timestamp) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| unwritable(path, &error))?;
        Ok(Bundle {
            tar: Builder::new(GzEncoder::new(file, Compression::default())),
            path: path.to_owned(),
            folder: folder.to_owned(),
            time: now.as_second().try_into().unwrap_or(0),
            contents: Vec::new(),
        })
    }

    /// Adds what a program reads.
    pub(super) fn json<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), Failure> {
        let unwritable = |error| Failure::internal(format!("cannot write {name}: {error}"));
        let mut value = serde_json::to_value(value).map_err(unwritable)?;
        redact_json(&mut value);
        self.add(name, &serde_json::to_string_pretty(&value).map_err(unwritable)?)
    }

    /// Adds values that a program reads one by one, a line each.
    pub(super) fn json_lines<T: Serialize>(&mut self, name: &str, values: &[T]) -> Result<(), Failure> {
        let mut lines = String::new();
        for value in values {
            let value = serde_json::to_value(value);
            let mut value =
                value.map_err(|error| Failure::internal(format!("cannot write {name}: {error}")))?;
            redact_json(&mut value);
            lines.push_str(&format!("{value}\n"));
        }
        self.add(name, &lines)
    }

    /// Adds a text.
    pub(super) fn text(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.add(name, &redact(text))
    }

    fn add(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.time);
        let path = format!("{}/{}", self.folder, harmless(name));
        let added = self.tar.append_data(&mut header, &path, text.as_bytes());
        added.map_err(|error| unwritable(&self.path, &error))?;
        self.contents.push(path);
        Ok(())
    }

    /// Ends the file; tells its length and what is in it.
    pub(super) fn finish(self) -> Result<(u64, Vec<String>), Failure> {
        let Bundle { tar, path, contents, .. } = self;
        let ended = tar.into_inner().and_then(GzEncoder::finish).and_then(|mut file| {
            file.flush()?;
            file.sync_all()?;
            Ok(file.metadata()?.len())
        });
        Ok((ended.map_err(|error| unwritable(&path, &error))?, contents))
    }
}

/// What a node calls itself must not lead out of the folder.
fn harmless(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let segments = name.split('/').filter(|segment| !segment.is_empty());
    segments.map(|segment| segment.replace("..", "__")).collect::<Vec<_>>().join("/")
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    let remedy = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "nothing was changed: choose another --file",
        _ => "choose another --file, where there is room and you may write",
    };
    Failure::local(Exit::Usage, "IO", "FILE", message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_calls_itself_stays_in_the_folder() {
        for (name, safe) in [
            ("a/config.json", "a/config.json"),
            ("../../etc/passwd", "__/__/etc/passwd"),
            ("/etc/x", "etc/x"),
            ("a b\u{1b}/x", "a_b_/x"),
        ] {
            assert_eq!(harmless(name), safe);
        }
    }
}
