//! Other people's decoders as judges of captured frames: tshark and scapy.

use std::{net::IpAddr, path::Path, process::Command};

use serde_json::Value;

use crate::{Program, namespace::output_of, require};

const SCAPY_SCRIPT: &str = include_str!("../data/judge_vrrp.py");

/// One frame as tshark decodes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsharkFrame {
    /// The protocols, outermost first.
    pub protocols: Vec<String>,
    /// The VRRP version, if it is VRRP.
    pub version: Option<u8>,
    /// The virtual router.
    pub vrid: Option<u8>,
    /// The priority.
    pub priority: Option<u8>,
    /// Whether tshark finds the VRRP checksum good.
    pub has_good_checksum: bool,
    /// What tshark complains about (warnings and errors, not notes).
    pub complaints: Vec<String>,
}

/// Decodes a pcap file by tshark, a frame an entry.
///
/// `message_only` makes it verify version 3 over IPv4 without the pseudo-header.
#[track_caller]
pub fn tshark(pcap: &Path, message_only: bool) -> Vec<TsharkFrame> {
    require(&[Program::Tshark]);
    let mut command = Command::new("tshark");
    command.arg("-r").arg(pcap).args(["-n", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=;"]);
    command.args(["-o", "ip.check_checksum:TRUE"]);
    command
        .args(["-o", &format!("vrrp.v3_checksum_as_in_v2:{}", if message_only { "TRUE" } else { "FALSE" })]);
    for field in [
        "frame.protocols",
        "vrrp.version",
        "vrrp.virt_rtr_id",
        "vrrp.prio",
        "vrrp.checksum.status",
        "_ws.expert.severity",
        "_ws.expert.message",
    ] {
        command.args(["-e", field]);
    }
    let text = output_of(command, None).unwrap_or_else(|error| panic!("tshark: {error}"));
    text.lines().map(read_line).collect()
}

fn read_line(line: &str) -> TsharkFrame {
    const WARNING: u32 = 0x0060_0000;
    let fields: Vec<&str> = line.split('\t').collect();
    let field = |number: usize| fields.get(number).copied().unwrap_or_default();
    let severities = field(5).split(';').map(|text| text.parse::<u32>().unwrap_or_default());
    let messages = severities.zip(field(6).split(';')).filter(|(severity, _)| *severity >= WARNING);
    TsharkFrame {
        protocols: field(0).split(':').map(str::to_owned).collect(),
        version: field(1).parse().ok(),
        vrid: field(2).parse().ok(),
        priority: field(3).parse().ok(),
        has_good_checksum: field(4) == "1",
        complaints: messages.map(|(_, message)| message.to_owned()).collect(),
    }
}

/// One VRRP frame as scapy decodes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScapyFrame {
    /// The VRRP version.
    pub version: u8,
    /// The virtual router.
    pub vrid: u8,
    /// The priority.
    pub priority: u8,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// The IP sender.
    pub source: IpAddr,
    /// Whether scapy, building the packet anew from its fields, gets the same octets, checksum included.
    pub rebuilds_the_same: bool,
}

/// Decodes the VRRP frames of a pcap file by scapy and has it build each anew.
#[track_caller]
pub fn scapy(pcap: &Path) -> Vec<ScapyFrame> {
    require(&[Program::Scapy]);
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", SCAPY_SCRIPT]).arg(pcap);
    let text = output_of(command, None).unwrap_or_else(|error| panic!("scapy: {error}"));
    text.lines().map(|line| read_json(line).unwrap_or_else(|| panic!("scapy printed {line:?}"))).collect()
}

fn read_json(line: &str) -> Option<ScapyFrame> {
    let value: Value = serde_json::from_str(line).ok()?;
    let number = |name: &str| value[name].as_u64().and_then(|number| u8::try_from(number).ok());
    let addresses = value["addresses"].as_array()?.iter();
    Some(ScapyFrame {
        version: number("version")?,
        vrid: number("vrid")?,
        priority: number("priority")?,
        addresses: addresses.map(|text| text.as_str()?.parse().ok()).collect::<Option<_>>()?,
        source: value["source"].as_str()?.parse().ok()?,
        rebuilds_the_same: value["same"].as_bool()?,
    })
}
