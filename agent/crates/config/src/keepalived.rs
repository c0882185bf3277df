//! A keepalived.conf where ours is expected: recognised, and answered line by line with what to write. It is not taken over,
//! because what it leaves out means something else in keepalived than here: VRRP version 2, scripts that count at once, root.

mod lines;
mod words;

use std::collections::BTreeMap;
use std::net::IpAddr;

use self::lines::{Line, read};
use self::words::{cut, list, named, program, quoted, seconds, words_of};
use crate::keys;
use crate::report::Report;

/// What begins a block of keepalived and nothing of ours.
const BLOCKS: &[&str] = &[
    "global_defs",
    "vrrp_instance",
    "vrrp_script",
    "vrrp_sync_group",
    "vrrp_track_process",
    "vrrp_track_file",
    "virtual_server",
    "virtual_server_group",
    "static_ipaddress",
    "static_routes",
    "bfd_instance",
];

/// Answers a keepalived.conf; tells whether the text is one. It is when one of keepalived's blocks stands before any table of TOML.
pub(crate) fn answer(text: &str, report: &mut Report<'_>) -> bool {
    let is_table = |line: &str| line.starts_with('[');
    let mut before = text.lines().map(str::trim_start).take_while(|line| !is_table(line));
    if !before.any(|line| BLOCKS.iter().any(|block| begins(line, block))) {
        return false;
    }
    if let Some(at) = text.find("{%").or_else(|| text.find("{{")) {
        report.error(
            &(at..at + 2),
            "this is a template of a keepalived.conf",
            "check the file that it makes",
        );
        return true;
    }
    let lines = read(text);
    let first = lines.first().map_or(0, |line| line.span().start);
    report.error(
        &(first..first),
        "this is a keepalived.conf, which ha-agent does not take over",
        "write TOML: what each line becomes is said at it, and deploy/examples has whole files",
    );
    let version = lines.iter().find_map(|line| line.inner("vrrp_version")?.value()).unwrap_or("2");
    Answers { weights: weights(&lines), version, report }.all(&lines);
    true
}

fn begins(line: &str, block: &str) -> bool {
    let rest = line.strip_prefix(block);
    rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t', '{']))
}

/// The weights of scripts and files, which instances that track them inherit.
fn weights<'t>(lines: &[Line<'t>]) -> BTreeMap<&'t str, &'t str> {
    let tracked = lines.iter().filter(|line| {
        matches!(line.word(), "vrrp_script" | "vrrp_track_process" | "vrrp_track_file" | "track_file")
    });
    tracked.filter_map(|line| Some((line.value()?, line.inner("weight")?.value()?))).collect()
}

struct Answers<'a, 't, 'r> {
    weights: BTreeMap<&'t str, &'t str>,
    /// Of instances that say none.
    version: &'t str,
    report: &'a mut Report<'r>,
}

impl<'t> Answers<'_, 't, '_> {
    fn all(&mut self, lines: &[Line<'t>]) {
        for line in lines {
            match line.word() {
                "vrrp_instance" => self.instance(line),
                "vrrp_script" => self.script(line),
                "vrrp_track_process" => self.looked_at(line, "process"),
                "vrrp_track_file" | "track_file" => self.looked_at(line, "file"),
                "vrrp_sync_group" => self.group(line),
                "virtual_server" => self.pool(line),
                "global_defs" => self.each(line, global),
                _ => self.say(line, other(line)),
            }
        }
    }

    /// One finding about a line; the value of a password is never in it.
    fn say(&mut self, line: &Line<'t>, mut remedy: String) {
        if line.words().skip(1).any(|word| word.starts_with('$')) {
            remedy.push_str(", with the value itself: there are no parameters");
        }
        self.report.error(&line.span(), format!("keepalived's {}", cut(line.word(), 60)), cut(&remedy, 2000));
    }

    fn each(&mut self, block: &Line<'t>, remedy: fn(&Line<'t>) -> String) {
        self.say(block, keys::foreign_remedy(block.word()).unwrap_or_else(|| nothing(block)));
        block.lines.iter().for_each(|line| self.say(line, remedy(line)));
    }

    fn instance(&mut self, block: &Line<'t>) {
        let (name, version) = (block.value().unwrap_or_default(), version(block, self.version));
        let said = if block.inner("version").is_some() {
            ""
        } else {
            ", which keepalived takes when nothing is said"
        };
        self.say(block, format!("write [[instance]] with {} and version = {version}{said}", named(name)));
        // Asked once: there may be as many lines as a client likes.
        let has_priority = block.inner("priority").is_some();
        let link = block.inner("interface").and_then(Line::value);
        for line in &block.lines {
            let remedy = match line.word() {
                "state" => state(line, has_priority),
                "authentication" => password(line, version),
                "track_script" | "track_process" | "track_file" => self.tracks(line),
                "track_interface" => format!("{}, and {}", self.tracks(line), links(line)),
                "notify" | "notify_master" | "notify_backup" | "notify_fault" | "notify_stop" => {
                    notify(name, line)
                }
                _ => of_instance(line, link),
            };
            self.say(line, remedy);
        }
    }

    /// What an instance tracks, each with its own weight or that of its check.
    fn tracks(&self, block: &Line<'t>) -> String {
        let is_file = block.word() == "track_file";
        let entry = |line: &Line<'t>| {
            let after = |word: &str| line.words().skip_while(|known| *known != word).nth(1);
            let weight = after("weight").or_else(|| self.weights.get(line.word()).copied());
            let (check, reverse) = (
                quoted(line.word()),
                if line.words().any(|word| word == "reverse") { ", reverse = true" } else { "" },
            );
            match (is_file, weight) {
                (true, Some("0")) => format!("{{ check = {check}, fault_on_value = true }}"),
                (true, factor) => format!("{{ check = {check}, factor = {} }}", factor.unwrap_or("1")),
                (false, Some("0") | None) if reverse.is_empty() => check,
                (false, Some("0") | None) => format!("{{ check = {check}{reverse} }}"),
                (false, Some(weight)) => format!("{{ check = {check}, weight = {weight}{reverse} }}"),
            }
        };
        let entries: Vec<String> = block.entries().iter().map(entry).collect();
        format!("write track = [{}]; without a weight a check that fails means Fault", entries.join(", "))
    }

    /// A process or a file that instances track.
    fn looked_at(&mut self, block: &Line<'t>, kind: &str) {
        let (name, missing) =
            (named(block.value().unwrap_or_default()), if kind == "file" { " and missing = 0" } else { "" });
        self.say(block, format!("write [[check]] with {name}, kind = {}{missing}", quoted(kind)));
        for line in &block.lines {
            let remedy = match (line.word(), line.value()) {
                ("file", Some(path)) => format!("write path = {}", quoted(path)),
                ("process", Some(process)) => format!("write process = {}", quoted(process)),
                ("quorum", Some(count)) => format!("write minimum = {count}"),
                ("quorum_max", Some(count)) => format!("write maximum = {count}"),
                (word, _) => keys::foreign_check_remedy(word).unwrap_or_else(|| nothing(line)),
            };
            self.say(line, remedy);
        }
    }

    fn script(&mut self, block: &Line<'t>) {
        let value = |word: &str| block.inner(word).and_then(Line::value);
        let (rise, fall) = (value("rise").unwrap_or("1"), value("fall").unwrap_or("1"));
        let interval = seconds(value("interval").unwrap_or("1"));
        let name = named(block.value().unwrap_or_default());
        self.say(
            block,
            format!("write [[check]] with {name}, kind = \"script\", interval = {interval}, rise = {rise} and fall = {fall}, as keepalived has them"),
        );
        for line in &block.lines {
            let remedy = match line.word() {
                "script" => command(line),
                "interval" | "rise" | "fall" => "it is in the line of the [[check]] above".to_owned(),
                "timeout" => format!("write timeout = {}", seconds(line.value().unwrap_or("1"))),
                "user" => format!("write user = {}", quoted(line.value().unwrap_or("root"))),
                word => keys::foreign_check_remedy(word).unwrap_or_else(|| nothing(line)),
            };
            self.say(line, remedy);
        }
    }

    fn group(&mut self, block: &Line<'t>) {
        let name = quoted(block.value().unwrap_or_default());
        let members = block.inner("group").map(|group| words_of(&group.entries())).unwrap_or_default();
        self.say(block, format!("write group = {name} in the instances {}", members.join(", ")));
        let others = block.lines.iter().filter(|line| line.word() != "group");
        others.for_each(|line| self.say(line, other(line)));
    }

    fn pool(&mut self, block: &Line<'t>) {
        self.say(block, "write [[pool]] with a name, and [pool.nginx] when nginx balances; the kernel's IPVS is not driven".to_owned());
        self.servers(&block.lines);
    }

    /// All that stands in a virtual server, as deep as it is nested.
    fn servers(&mut self, lines: &[Line<'t>]) {
        for line in lines {
            self.say(line, server(line).unwrap_or_else(|| of_pool(line)));
            self.servers(&line.lines);
        }
    }
}

/// The version that keepalived would speak: IPv6 is always 3.
fn version<'t>(instance: &Line<'t>, usual: &'t str) -> &'t str {
    let is_v6 = |line: &Line<'_>| line.word().contains(':');
    let addresses = instance.inner("virtual_ipaddress");
    match instance.inner("version").and_then(Line::value) {
        Some(version) => version,
        None if addresses.is_some_and(|block| block.entries().iter().any(is_v6)) => "3",
        None => usual,
    }
}

fn state(line: &Line<'_>, has_priority: bool) -> String {
    if line.value() == Some("MASTER") && !has_priority {
        return "write priority = 150; without one keepalived takes 255 here, which is for who owns the addresses".to_owned();
    }
    keys::foreign_remedy("state").unwrap_or_default()
}

fn password(block: &Line<'_>, version: &str) -> String {
    match (version, block.inner("auth_type").and_then(Line::value)) {
        ("3", _) => "remove it; VRRP version 3 has no passwords, and keepalived ignores it".to_owned(),
        (_, Some("AH")) => "remove it on all nodes; AH is not supported".to_owned(),
        _ => "write password_file = \"vrrp.password\", a file of mode 0600 with the first 8 characters, which is what keepalived sends"
            .to_owned(),
    }
}

fn links(block: &Line<'_>) -> String {
    let checks: Vec<String> = words_of(&block.entries())
        .iter()
        .map(|link| format!("[[check]] name = {0}, kind = \"interface\", interface = {0}", quoted(link)))
        .collect();
    checks.join("; ")
}

fn notify(instance: &str, line: &Line<'_>) -> String {
    let states = match line.word() {
        "notify_master" => ", states = [\"ACTIVE\"]",
        "notify_backup" => ", states = [\"BACKUP\"]",
        "notify_fault" => ", states = [\"FAULT\"]",
        "notify_stop" => ", states = [\"STOPPED\"]",
        _ => "",
    };
    let on = list([format!("instances/{instance}").as_str()]);
    let program = program(line.value().unwrap_or_default().split_whitespace());
    let user = line.words().nth(2).map(|user| format!(", user = {}", quoted(user))).unwrap_or_default();
    format!("write [[notify]] with a name, on = {on}, command = {program}{user}{states}")
}

/// `link` is what the virtual router speaks on.
fn of_instance(line: &Line<'_>, link: Option<&str>) -> String {
    let value = line.value().unwrap_or_default();
    let bare = value.split('/').next().unwrap_or(value);
    match line.word() {
        "interface" => format!("write interface = {}", quoted(value)),
        word @ ("virtual_router_id" | "priority" | "version") => format!("write {word} = {value}"),
        "advert_int" => format!("write advertisement_interval = {}", seconds(value)),
        "preempt_delay" => format!("write preempt_delay = {}", seconds(value)),
        "preempt" => "remove it; that is the default".to_owned(),
        "mcast_src_ip" | "unicast_src_ip" => format!("write source = {}", quoted(bare)),
        "garp_master_delay" => format!("write announce = {{ delay = {} }}", seconds(value)),
        "garp_master_refresh" => format!("write announce = {{ refresh = {} }}", seconds(value)),
        "garp_master_repeat" => format!("write announce = {{ repeat = {value} }}"),
        "unicast_peer" => {
            let peers = words_of(&line.entries());
            let peers = peers.iter().map(|peer| peer.split('/').next().unwrap_or(peer));
            format!("write unicast = {{ peers = {} }}", list(peers))
        }
        "virtual_ipaddress" => addresses(line, link),
        "virtual_ipaddress_excluded" => {
            let more = list(words_of(&line.entries()));
            format!("write these in addresses, too, those of one family in each instance: {more}")
        }
        _ => other(line),
    }
}

fn addresses(block: &Line<'_>, link: Option<&str>) -> String {
    let entries = block.entries();
    let is_elsewhere = |line: &Line<'_>| {
        let device = line.words().skip_while(|word| *word != "dev").nth(1);
        device.is_some() && device != link
    };
    let (elsewhere, here): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_elsewhere);
    let (elsewhere, here) = (words_of(&elsewhere), words_of(&here));
    let mut remedy = format!("write addresses = {}", list(here.iter().copied()));
    if here.iter().any(|word| word.contains(':')) && here.iter().any(|word| !word.contains(':')) {
        remedy.push_str(", each family in an instance of its own");
    }
    let is_address = |word: &&str| word.split('/').next().unwrap_or(word).parse::<IpAddr>().is_ok();
    if let Some(word) = here.iter().find(|word| !is_address(word) && !word.starts_with('$')) {
        remedy.push_str(&format!("; {} is no address: is a '}}' missing above it?", quoted(word)));
    }
    if !elsewhere.is_empty() {
        remedy.push_str(&format!(
            "; {} needs an instance of its own on that link, in one group with this",
            elsewhere.join(", ")
        ));
    }
    remedy
}

fn command(line: &Line<'_>) -> String {
    const SHELL: &[char] = &['|', '&', ';', '<', '>', '$', '`', '*'];
    let text = line.words().skip(1).collect::<Vec<_>>().join(" ");
    let text = text.trim_matches(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}', '"', '\'']);
    let words: Vec<&str> = text.split_whitespace().collect();
    let called = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    match (called, words.last()) {
        ("killall" | "pidof" | "pgrep" | "pkill", Some(process)) if words.len() > 1 => {
            format!("write kind = \"process\" and process = {}, of which the kernel tells", quoted(process))
        }
        _ if text.contains(SHELL) => {
            "write command = [\"/path/of/program\"], a program that holds these words: there is no shell"
                .to_owned()
        }
        _ if !text.starts_with('/') => {
            format!("write command = {}, with the program's whole path", program(words))
        }
        _ => format!("write command = {}; it runs as the agent's user, keepalived's as root", program(words)),
    }
}

fn server(line: &Line<'_>) -> Option<String> {
    let mut words = line.words();
    let (address, port) = match (words.next()?, words.next()?, words.next()) {
        ("real_server", address, port) => (address, port.unwrap_or("0")),
        ("sorry_server", address, Some(port)) => {
            return Some(format!("write sorry_server = {}", quoted(&format!("{address}:{port}"))));
        }
        _ => return None,
    };
    Some(format!("write [[pool.server]] with address = {} and port = {port}", quoted(address)))
}

fn of_pool(line: &Line<'_>) -> String {
    match (line.word(), line.value()) {
        (word @ ("weight" | "quorum" | "hysteresis" | "connect_port"), Some(value)) => {
            format!("write {word} = {value}")
        }
        ("path", Some(path)) => format!("write path = {}", quoted(path)),
        ("url", None) => "write what is in it in the [[check]] itself".to_owned(),
        (word, _) => keys::foreign_pool_remedy(word)
            .or_else(|| keys::foreign_check_remedy(word))
            .unwrap_or_else(|| nothing(line)),
    }
}

fn global(line: &Line<'_>) -> String {
    let value = line.value().unwrap_or_default();
    match line.word() {
        "router_id" => format!("write [node] with {}", named(value)),
        "notification_email" => {
            let to = list(words_of(&line.entries()));
            format!("write [[notify]] with a name, on = [\"instances\"] and mail = {to}")
        }
        "notification_email_from" => format!("write [mail] with from = {}", quoted(value)),
        "smtp_server" => format!("write [mail] with host = {}", quoted(value)),
        "smtp_connect_timeout" => {
            format!("write timeout = {} in the [[notify]] that sends mail", seconds(value))
        }
        "vrrp_version" => format!("write [defaults] with version = {value}"),
        "vrrp_garp_master_delay" => {
            format!("write [defaults] with announce = {{ delay = {} }}", seconds(value))
        }
        "vrrp_garp_master_refresh" => {
            format!("write [defaults] with announce = {{ refresh = {} }}", seconds(value))
        }
        "vrrp_garp_master_repeat" => format!("write [defaults] with announce = {{ repeat = {value} }}"),
        _ => other(line),
    }
}

/// What has the same answer wherever it stands.
fn other(line: &Line<'_>) -> String {
    match line.word() {
        word if word.starts_with('@') => "write what is for one node in the file of that node".to_owned(),
        word if word.starts_with('$') || word.starts_with('~') => {
            "write the value where it is used, or in [defaults]".to_owned()
        }
        word if word.starts_with("include") => "write all in one file".to_owned(),
        word => {
            let known = keys::foreign_remedy(word).or_else(|| keys::foreign_notify_remedy(word));
            known.unwrap_or_else(|| nothing(line))
        }
    }
}

fn nothing(line: &Line<'_>) -> String {
    format!(
        "leave it out; there is nothing like {} (REFERENCE.md has all that there is)",
        cut(line.word(), 60)
    )
}
