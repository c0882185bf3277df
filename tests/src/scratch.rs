//! Names and folders that belong to this process, and the removal of what dead processes left.
//!
//! Every namespace and folder of the harness is called `hat-<pid>-<number>...`. A leftover is such a name
//! whose process is gone. Nothing else on the machine is ever touched.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::namespace;

const PREFIX: &str = "hat-";
static NUMBER: AtomicU32 = AtomicU32::new(0);
static CLEAN_ONCE: Once = Once::new();

/// A folder for one test's configurations, sockets, logs and captures.
///
/// Removed on drop; kept, and its path printed, when the test is failing.
#[derive(Debug)]
pub struct Scratch {
    name: String,
    path: PathBuf,
}

impl Scratch {
    /// Where folders for scripts are made: the agent refuses what anybody but root could change, and a checkout may lie
    /// below /tmp or in a user's home.
    pub const TRUSTED: &str = "/var/lib";

    /// Makes a new folder, after removing the leftovers of crashed runs.
    pub fn new() -> Self {
        CLEAN_ONCE.call_once(remove_leftovers);
        let name = format!("{PREFIX}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(&name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        Self { name, path }
    }

    /// The unique name, also the prefix for namespaces.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `file` in it.
    pub fn file(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Writes `text` into `file` and returns its path.
    pub fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.file(file);
        fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for inspection: {}", self.path.display());
        } else {
            // Best effort: the next run removes what stays.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes namespaces (with the processes inside) and old folders of harness processes that are gone.
fn remove_leftovers() {
    for name in names_in(Path::new(namespace::FOLDER)) {
        if is_leftover(&name) {
            namespace::remove_by_name(&name);
        }
    }
    for folder in [std::env::temp_dir(), PathBuf::from(Scratch::TRUSTED)] {
        for name in names_in(&folder) {
            let path = folder.join(&name);
            if is_leftover(&name) && is_old(&path) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// Folders of failed tests stay for a day, to be looked at.
fn is_old(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age.as_secs() > 24 * 3600)
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn is_leftover(name: &str) -> bool {
    let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_processes_are_leftovers() {
        assert!(is_leftover("hat-4194999-0-n1"), "beyond the largest pid");
        assert!(!is_leftover(&format!("hat-{}-0-n1", std::process::id())));
        assert!(!is_leftover("hat-x-0"));
        assert!(!is_leftover("production"));
    }

    #[test]
    fn a_folder_goes_with_its_owner() {
        let scratch = Scratch::new();
        let file = scratch.write("a", "text");
        assert!(file.exists());
        drop(scratch);
        assert!(!file.exists());
    }
}
