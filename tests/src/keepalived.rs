//! Debian's keepalived as a peer and as the one to compare with.

use std::{fmt::Write as _, net::IpAddr, path::PathBuf, process::Command};

use crate::{Namespace, Process, Program, Scratch, require};

/// One `vrrp_instance` of keepalived.
#[derive(Debug, Clone)]
pub struct KeepalivedInstance {
    /// 2 or 3.
    pub version: u8,
    /// The link it runs on.
    pub link: String,
    /// Virtual router.
    pub vrid: u8,
    /// Priority, 1 to 254.
    pub priority: u8,
    /// Seconds; fractions (from 0.01) with version 3 only.
    pub interval: f64,
    /// Virtual addresses, all of one family.
    pub addresses: Vec<IpAddr>,
    /// Unicast: our address and the peers'.
    pub unicast: Option<(IpAddr, Vec<IpAddr>)>,
    /// Version 2: password.
    pub password: Option<String>,
    /// Further lines of the block, as they are.
    pub extra: String,
}

impl KeepalivedInstance {
    /// A multicast instance of version 3 on eth0 with 1 s adverts.
    pub fn new(vrid: u8, priority: u8, addresses: &[IpAddr]) -> Self {
        Self {
            version: 3,
            link: "eth0".to_owned(),
            vrid,
            priority,
            interval: 1.0,
            addresses: addresses.to_vec(),
            unicast: None,
            password: None,
            extra: String::new(),
        }
    }

    fn block(&self) -> String {
        let Self { version, link, vrid, priority, interval, .. } = self;
        let mut text = format!(
            "vrrp_instance {link}_{vrid} {{\n  state BACKUP\n  version {version}\n  interface {link}\n  \
             virtual_router_id {vrid}\n  priority {priority}\n  advert_int {interval}\n"
        );
        self.options(&mut text).expect("writing to a String cannot fail");
        text
    }

    fn options(&self, text: &mut String) -> std::fmt::Result {
        if let Some((ours, peers)) = &self.unicast {
            writeln!(text, "  unicast_src_ip {ours}\n  unicast_peer {{")?;
            peers.iter().try_for_each(|peer| writeln!(text, "    {peer}"))?;
            writeln!(text, "  }}")?;
        }
        if let Some(password) = &self.password {
            writeln!(text, "  authentication {{\n    auth_type PASS\n    auth_pass {password}\n  }}")?;
        }
        writeln!(text, "  virtual_ipaddress {{")?;
        for address in &self.addresses {
            writeln!(text, "    {address}/{}", if address.is_ipv4() { 32 } else { 128 })?;
        }
        writeln!(text, "  }}\n{}\n}}", self.extra)
    }
}

/// A running keepalived.
#[derive(Debug)]
pub struct Keepalived {
    /// Its processes.
    pub process: Process,
    configuration: PathBuf,
    globals: String,
    blocks: String,
}

impl Keepalived {
    /// Starts keepalived inside `space` with these instances, logging in detail.
    #[track_caller]
    pub fn start(space: &Namespace, scratch: &Scratch, instances: &[KeepalivedInstance]) -> Self {
        Self::begin(space, scratch, ("", ""), instances, &["--log-detail"])
    }

    /// Starts it with further blocks before the instances: scripts, sync groups.
    #[track_caller]
    pub fn start_beside(
        space: &Namespace,
        scratch: &Scratch,
        blocks: &str,
        instances: &[KeepalivedInstance],
    ) -> Self {
        Self::begin(space, scratch, ("", blocks), instances, &["--log-detail"])
    }

    /// Starts it with further lines in `global_defs`, logging as it does by default.
    #[track_caller]
    pub fn start_with(
        space: &Namespace,
        scratch: &Scratch,
        globals: &str,
        instances: &[KeepalivedInstance],
    ) -> Self {
        Self::begin(space, scratch, (globals, ""), instances, &[])
    }

    /// Starts it with a whole file, logging in detail.
    #[track_caller]
    pub fn start_file(space: &Namespace, scratch: &Scratch, text: &str) -> Self {
        Self::run(space, scratch, text, ("", ""), &["--log-detail"])
    }

    #[track_caller]
    fn begin(
        space: &Namespace,
        scratch: &Scratch,
        (globals, blocks): (&str, &str),
        instances: &[KeepalivedInstance],
        options: &[&str],
    ) -> Self {
        Self::run(space, scratch, &text(globals, blocks, instances), (globals, blocks), options)
    }

    #[track_caller]
    fn run(
        space: &Namespace,
        scratch: &Scratch,
        text: &str,
        (globals, blocks): (&str, &str),
        options: &[&str],
    ) -> Self {
        require(&[Program::Keepalived]);
        let name = format!("keepalived-{}", space.name());
        let configuration = scratch.write(&format!("{name}.conf"), text);
        let file = |end: &str| scratch.file(&format!("{name}.{end}"));
        // What a killed one left would make this one believe that it runs already.
        for file in [file("pid"), file("vrrp.pid")] {
            let _ = std::fs::remove_file(file);
        }
        let mut command = Command::new("keepalived");
        // Vrrp only, in the foreground, logging to us and not to syslog, with files of its own.
        command.args(["--vrrp", "--dont-fork", "--log-console", "--no-syslog"]).args(options);
        command
            .arg("--use-file")
            .arg(&configuration)
            .arg("--pid")
            .arg(file("pid"))
            .arg("--vrrp_pid")
            .arg(file("vrrp.pid"));
        let process = Process::start(space, &name, command, &file("log"));
        Self { process, configuration, globals: globals.to_owned(), blocks: blocks.to_owned() }
    }

    /// Writes other instances over the old ones; a SIGHUP makes it read them.
    #[track_caller]
    pub fn rewrite(&self, instances: &[KeepalivedInstance]) {
        std::fs::write(&self.configuration, text(&self.globals, &self.blocks, instances))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", self.configuration.display()));
    }
}

fn text(globals: &str, blocks: &str, instances: &[KeepalivedInstance]) -> String {
    let instances: String = instances.iter().map(KeepalivedInstance::block).collect();
    format!("global_defs {{\n{globals}\n}}\n{blocks}{instances}")
}
