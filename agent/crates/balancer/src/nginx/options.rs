//! What the operator says about one nginx and its pools.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::Error;

/// The longest name of a pool, in octets.
const LONGEST_NAME: usize = 64;

/// One nginx.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The program that tests the configuration. Default `/usr/sbin/nginx`.
    pub program: PathBuf,
    /// Its main configuration file (`-c`), when that is not the one built into it.
    pub configuration: Option<PathBuf>,
    /// Its prefix (`-p`), when that is not the one built into it.
    pub prefix: Option<PathBuf>,
    /// Where the running master's process id stands, as nginx's directive `pid` says. Default `/run/nginx.pid`.
    pub pid_file: PathBuf,
    /// Program and arguments that test the configuration instead of `program -T`: 0 is good. What it prints is searched for the
    /// lines `# configuration file PATH:` of `nginx -T`; without them it is not known whether a pool's file is included.
    pub test: Option<Vec<String>>,
    /// Program and arguments that make nginx reload instead of SIGHUP to the master: 0 is done.
    pub reload: Option<Vec<String>>,
    /// How long a test, or a reload command, may take. Default 10 s.
    pub command_timeout: Duration,
    /// How long it may take after the reload was told until only new workers accept connections. Default 10 s.
    pub reload_timeout: Duration,
    /// The pools that this nginx balances, by name.
    pub pools: BTreeMap<Arc<str>, PoolOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            program: "/usr/sbin/nginx".into(),
            configuration: None,
            prefix: None,
            pid_file: "/run/nginx.pid".into(),
            test: None,
            reload: None,
            command_timeout: Duration::from_secs(10),
            reload_timeout: Duration::from_secs(10),
            pools: BTreeMap::new(),
        }
    }
}

/// One pool of an nginx.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolOptions {
    /// The file that is written, and that nginx includes. Default `/etc/nginx/ha-agent/NAME.servers`.
    pub file: PathBuf,
    /// What stands in it.
    pub form: Form,
    /// How a sorry server is written.
    pub sorry: Sorry,
    /// Whether nginx's own passive checks judge the servers too. Default no: `max_fails=0`, so that only the agent's
    /// checks take a server out, and it is the agent's journal that says why.
    pub passive_checks: bool,
}

impl PoolOptions {
    /// The defaults for a pool of this name.
    pub fn new(name: &str) -> Self {
        Self {
            file: format!("/etc/nginx/ha-agent/{name}.servers").into(),
            form: Form::Servers,
            sorry: Sorry::Standby,
            passive_checks: false,
        }
    }
}

/// What stands in a pool's file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Form {
    /// `server` lines only, for `upstream NAME { include FILE; }`: method, keepalive and zone are the operator's. The default.
    #[default]
    Servers,
    /// A whole `upstream NAME { ... }` named like the pool, for `http { include FILE; }`.
    Upstream,
}

/// How a sorry server is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Sorry {
    /// Always, as `backup`: nginx also takes it for a request that no other server accepted. The default.
    #[default]
    Standby,
    /// Only when no other server with weight is left, because nginx's methods hash, ip_hash and random know no `backup`.
    Alone,
}

impl Options {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Error::Option`], naming the option, the value and what it must be.
    pub(super) fn check(&self) -> Result<(), Error> {
        let paths = [("program", Some(&self.program)), ("pid_file", Some(&self.pid_file))];
        let others = [("configuration", self.configuration.as_ref()), ("prefix", self.prefix.as_ref())];
        for (name, path) in paths.into_iter().chain(others) {
            path.map_or(Ok(()), |path| check_absolute(name, path))?;
        }
        for (name, words) in [("test", &self.test), ("reload", &self.reload)] {
            if words.as_ref().is_some_and(|words| !words.first().is_some_and(|word| word.starts_with('/'))) {
                return Err(Error::Option(format!(
                    "`{name}` must begin with the absolute path of a program"
                )));
            }
        }
        let mut files = BTreeSet::new();
        for (name, pool) in &self.pools {
            check_name(name)?;
            check_absolute("file", &pool.file)?;
            if !files.insert(&pool.file) {
                let file = pool.file.display();
                return Err(Error::Option(format!(
                    "two pools have the same `file` {file}: each needs its own"
                )));
            }
        }
        Ok(())
    }
}

fn check_absolute(name: &str, path: &Path) -> Result<(), Error> {
    if path.is_absolute() && path.file_name().is_some() {
        return Ok(());
    }
    Err(Error::Option(format!("`{name}` = \"{}\" must be an absolute path", path.display())))
}

/// The name is written into nginx's configuration, as a comment and as the name of an upstream.
fn check_name(name: &str) -> Result<(), Error> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(is_plain)
        && name.len() <= LONGEST_NAME
    {
        return Ok(());
    }
    Err(Error::Option(format!(
        "the pool name {name:?} must begin with a letter or digit and have only letters, digits, `_`, `.` and `-`, at most {LONGEST_NAME}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pools(pools: &[(&str, &str)]) -> Options {
        let pool = |(name, file): &(&str, &str)| {
            (Arc::from(*name), PoolOptions { file: file.into(), ..PoolOptions::new(name) })
        };
        Options { pools: pools.iter().map(pool).collect(), ..Options::default() }
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let relative = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            options
        };
        let table = [
            (relative(|options| options.program = "nginx".into()), "`program`"),
            (relative(|options| options.pid_file = "nginx.pid".into()), "`pid_file`"),
            (relative(|options| options.prefix = Some("x".into())), "`prefix`"),
            (relative(|options| options.test = Some(vec![])), "`test`"),
            (relative(|options| options.reload = Some(vec!["nginx".into()])), "`reload`"),
            (with_pools(&[("web", "/a"), ("api", "/a")]), "same `file`"),
            (with_pools(&[("web;\n", "/a")]), "\"web;\\n\""),
            (with_pools(&[("", "/a")]), "pool name"),
            (with_pools(&[(".web", "/a")]), "pool name"),
            (with_pools(&[("web", "a")]), "`file`"),
            (with_pools(&[("web", "/")]), "`file`"),
        ];
        for (options, words) in table {
            let error = options.check().unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        with_pools(&[("web-1.x_y", "/a/b"), ("api", "/a/c")]).check().unwrap();
    }
}
