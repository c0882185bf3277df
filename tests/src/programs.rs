//! Programs the tests need: those of the system, by package, and the binaries under test.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

const PACKAGES: &str = include_str!("../packages.txt");

/// A system program that some tests need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `ip`.
    Ip,
    /// `nft`.
    Nft,
    /// `keepalived`.
    Keepalived,
    /// FRR's `zebra` and `vrrpd`.
    Frr,
    /// `tshark`.
    Tshark,
    /// Debian's Python, for small services and clients.
    Python,
    /// scapy for Debian's Python.
    Scapy,
    /// `prometheus`.
    Prometheus,
    /// `nginx`.
    Nginx,
    /// `haproxy`.
    Haproxy,
    /// `postfix`.
    Postfix,
    /// `dnsmasq`.
    Dnsmasq,
    /// `openssl`.
    Openssl,
}

impl Program {
    fn package(self) -> &'static str {
        match self {
            Self::Ip => "iproute2",
            Self::Nft => "nftables",
            Self::Keepalived => "keepalived",
            Self::Frr => "frr",
            Self::Tshark => "tshark",
            Self::Python => "python3",
            Self::Scapy => "python3-scapy",
            Self::Prometheus => "prometheus",
            Self::Nginx => "nginx-light",
            Self::Haproxy => "haproxy",
            Self::Postfix => "postfix",
            Self::Dnsmasq => "dnsmasq-base",
            Self::Openssl => "openssl",
        }
    }

    fn is_there(self) -> bool {
        let line = package_lines().find(|(package, _)| *package == self.package());
        line.is_some_and(|(_, program)| is_installed(program))
    }
}

/// Fails the test, naming the packages, when one of these programs is missing. A test never skips silently.
#[track_caller]
pub fn require(programs: &[Program]) {
    let missing: Vec<&str> =
        programs.iter().filter(|program| !program.is_there()).map(|program| program.package()).collect();
    assert!(
        missing.is_empty(),
        "missing system packages: {}. `tests/run --install` installs them (or: apt-get install {})",
        missing.join(", "),
        missing.join(" ")
    );
}

fn package_lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    PACKAGES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

fn is_installed(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).any(|folder| folder.join(program).exists())
}

/// The `ha-agent` under test: `HA_AGENT_BIN`, or built now, optimised, from this workspace.
#[track_caller]
pub fn agent_binary() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| binary("HA_AGENT_BIN", "ha-agent"))
}

/// The `hactl` under test: `HACTL_BIN`, or built now, optimised, from this workspace.
#[track_caller]
pub fn hactl_binary() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| binary("HACTL_BIN", "hactl"))
}

/// The foreign collector: `HA_ROTEL`, or where `tests/run --install` puts it.
#[track_caller]
pub(crate) fn rotel_binary() -> PathBuf {
    from_pypi("HA_ROTEL", "rotel/rotel-agent", "rotel, an OpenTelemetry collector,")
}

/// The Python packages of the example in deploy/examples/orchestration: `HA_PYTHON_PACKAGES`, or where `tests/run --install`
/// puts them.
#[track_caller]
pub fn python_packages() -> PathBuf {
    from_pypi("HA_PYTHON_PACKAGES", "python", "grpcio and what it needs")
}

/// What `tests/run --install` gets from PyPI, or what `variable` names instead.
#[track_caller]
fn from_pypi(variable: &str, place: &str, what: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let installed = || target.join("test-tools").join(place);
    let path = env::var_os(variable).map_or_else(installed, PathBuf::from);
    assert!(
        path.exists(),
        "{what} is missing at {}. `tests/run --install` installs it (or: `tests/run` says how to, and {variable} names \
         another place)",
        path.display()
    );
    path
}

/// A command that does not see what cargo told this test of its own package: a build script that looks at it (ring's does)
/// would run again, and all that stands on it be built again.
pub fn outside_of_cargo(mut command: Command) -> Command {
    let own = env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_CRATE_NAME"
    });
    for name in own {
        command.env_remove(name);
    }
    command
}

/// The nextest set-up script builds once and tells by the environment; alone under `cargo test`, build here.
#[track_caller]
fn binary(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable).map(PathBuf::from) {
        assert!(path.exists(), "{variable} names {}, which is not there", path.display());
        return path;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = outside_of_cargo(Command::new(manifest.join("build-binaries"))).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run tests/build-binaries: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "building failed: {}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
    line.map(PathBuf::from)
        .unwrap_or_else(|| panic!("tests/build-binaries did not say where {name} is:\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_line_in_the_list() {
        use Program::{
            Dnsmasq, Frr, Haproxy, Ip, Keepalived, Nft, Nginx, Openssl, Postfix, Prometheus, Python, Scapy,
            Tshark,
        };
        let peers = [Ip, Nft, Keepalived, Frr, Tshark, Python, Scapy, Prometheus];
        for program in peers.into_iter().chain([Nginx, Haproxy, Postfix, Dnsmasq, Openssl]) {
            assert!(package_lines().any(|(package, _)| package == program.package()), "{program:?}");
        }
    }

    #[test]
    fn a_program_that_is_nowhere_is_missing() {
        assert!(!is_installed("no-such-program-anywhere"));
        assert!(!is_installed("/usr/lib/no-such-file"));
        assert!(is_installed("sh"));
    }
}
