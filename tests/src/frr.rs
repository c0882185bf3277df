//! FRR's vrrpd, with the zebra it needs, as a peer.
//!
//! FRR does not add or remove addresses: they stand on a macvlan with the virtual MAC, which vrrpd opens and
//! closes (protodown). Who is Active is therefore asked of vrrpd and seen in adverts and ARP, not in `ip addr`.

use std::{net::IpAddr, path::PathBuf, process::Command, time::Duration};

use nix::unistd::{User, chown};
use serde_json::Value;

use crate::{Mac, Namespace, Process, Program, Scratch, namespace::output_of, require, wait_for};

/// One virtual router of FRR, on eth0.
#[derive(Debug, Clone)]
pub struct FrrRouter {
    /// 2 or 3.
    pub version: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority, 1 to 254.
    pub priority: u8,
    /// Milliseconds, a multiple of 10 (of 1000 with version 2).
    pub interval: u32,
    /// Virtual addresses, of either family.
    pub addresses: Vec<IpAddr>,
}

impl FrrRouter {
    fn lines(&self) -> String {
        let Self { version, vrid, priority, interval, .. } = self;
        let mut text = format!(
            " vrrp {vrid} version {version}\n vrrp {vrid} priority {priority}\n \
             vrrp {vrid} advertisement-interval {interval}\n"
        );
        for address in &self.addresses {
            let family = if address.is_ipv4() { "ip" } else { "ipv6" };
            text.push_str(&format!(" vrrp {vrid} {family} {address}\n"));
        }
        text
    }

    /// The macvlans that FRR's manual asks for, one per family.
    fn make_macvlans(&self, space: &Namespace) {
        for (family, mac) in [(4, Mac::virtual4(self.vrid)), (6, Mac::virtual6(self.vrid))] {
            let ours: Vec<&IpAddr> =
                self.addresses.iter().filter(|address| address.is_ipv4() == (family == 4)).collect();
            if ours.is_empty() {
                continue;
            }
            let name = format!("vrrp{family}-{}", self.vrid);
            let mut lines = format!(
                "link add {name} link eth0 type macvlan mode bridge\n\
                 link set {name} addrgenmode random address {mac}\n"
            );
            for address in ours {
                let prefix = if address.is_ipv4() { "/32" } else { "/128" };
                lines.push_str(&format!("address add {address}{prefix} dev {name} noprefixroute\n"));
            }
            lines.push_str(&format!("link set {name} up\n"));
            space.ip_batch(&lines);
        }
    }
}

/// A running vrrpd and its zebra.
#[derive(Debug)]
pub struct Frr {
    /// vrrpd.
    pub vrrpd: Process,
    /// zebra.
    pub zebra: Process,
    folder: PathBuf,
}

impl Frr {
    /// Makes the macvlans and starts zebra, then vrrpd, inside `space`.
    #[track_caller]
    pub fn start(space: &Namespace, scratch: &Scratch, routers: &[FrrRouter]) -> Self {
        require(&[Program::Frr]);
        // An address on a closed macvlan must not be answered for by the link below.
        space.sysctl("ipv4/conf/all/arp_ignore", "1");
        space.sysctl("ipv4/conf/all/ignore_routes_with_linkdown", "1");
        routers.iter().for_each(|router| router.make_macvlans(space));
        let folder = make_folder(space, scratch, routers);
        let start = |daemon: &str| {
            let mut command = Command::new(format!("/usr/lib/frr/{daemon}"));
            command.args(["--log", "stdout", "--log-level", "debug"]);
            command.arg("-f").arg(folder.join(format!("{daemon}.conf")));
            command
                .arg("-i")
                .arg(folder.join(format!("{daemon}.pid")))
                .arg("-z")
                .arg(folder.join("zserv.api"));
            command.arg("--vty_socket").arg(&folder);
            Process::start(
                space,
                &format!("{daemon}-{}", space.name()),
                command,
                &folder.join(format!("{daemon}.log")),
            )
        };
        let zebra = start("zebra");
        wait_for("zebra's socket", Duration::from_secs(10), || folder.join("zserv.api").exists());
        let vrrpd = start("vrrpd");
        wait_for("vrrpd's socket", Duration::from_secs(10), || folder.join("vrrpd.vty").exists());
        Self { vrrpd, zebra, folder }
    }

    /// What `show vrrp json` says.
    pub fn show(&self) -> Value {
        let mut command = Command::new("vtysh");
        command.arg("--vty_socket").arg(&self.folder).args(["-d", "vrrpd", "-c", "show vrrp json"]);
        let text = output_of(command, None).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The state of the router of one family ("v4" or "v6") as vrrpd says it: Initialize, Backup or Master.
    pub fn state(&self, vrid: u8, family: &str) -> Option<String> {
        let shown = self.show();
        let router = shown.as_array()?.iter().find(|router| router["vrid"] == vrid)?;
        router[family]["status"].as_str().map(str::to_owned)
    }

    /// Kills both, as a crash of the node's routing would.
    pub fn kill(&mut self) {
        self.vrrpd.kill();
        self.zebra.kill();
    }
}

/// A folder with both configurations. The daemons drop to the package's user `frr`: it is theirs.
#[track_caller]
fn make_folder(space: &Namespace, scratch: &Scratch, routers: &[FrrRouter]) -> PathBuf {
    let folder = scratch.file(&format!("frr-{}", space.name()));
    let lines: String = routers.iter().map(FrrRouter::lines).collect();
    let make = || -> std::io::Result<()> {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("zebra.conf"), "")?;
        std::fs::write(folder.join("vrrpd.conf"), format!("interface eth0\n{lines}exit\n"))?;
        let frr = User::from_name("frr")?.ok_or_else(|| std::io::Error::other("there is no user frr"))?;
        Ok(chown(&folder, Some(frr.uid), Some(frr.gid))?)
    };
    make().unwrap_or_else(|error| panic!("cannot prepare {}: {error}", folder.display()));
    folder
}
