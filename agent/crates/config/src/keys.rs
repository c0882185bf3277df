//! Every key of the file by its section, and words of other programs that people bring along. `REFERENCE.md` documents
//! exactly these; a test compares the two.

/// Sections of the file.
pub(crate) const SECTIONS: &[&str] =
    &["node", "api", "metrics", "telemetry", "log", "realtime", "defaults", "instance"];

pub(crate) const NODE: &[&str] = &["name"];
pub(crate) const API: &[&str] = &["socket", "admins", "operators", "readers", "history"];
pub(crate) const METRICS: &[&str] = &["listen"];
pub(crate) const TELEMETRY: &[&str] = &["endpoint", "metrics", "traces", "logs", "interval", "timeout"];
pub(crate) const LOG: &[&str] = &["level", "format"];
pub(crate) const REALTIME: &[&str] = &["scheduling", "lock_memory", "priority"];
/// Keys that every instance has to itself, so that `defaults` cannot set them.
pub(crate) const OWN: &[&str] = &["name", "virtual_router_id", "vrid", "addresses"];
/// Keys that `defaults` can set for all instances.
pub(crate) const SHARED: &[&str] = &[
    "interface",
    "version",
    "checksum",
    "password",
    "password_file",
    "priority",
    "advertisement_interval",
    "longest_adopted_interval",
    "preempt",
    "preempt_delay",
    "startup_delay",
    "source",
    "allowed_sources",
    "unicast",
    "announce",
    "address_lost",
    "address_lease",
    "virtual_mac",
];
pub(crate) const UNICAST: &[&str] = &["peers", "ttl"];
pub(crate) const PEER: &[&str] = &["address", "minimum_ttl"];
pub(crate) const ANNOUNCE: &[&str] = &["repeat", "interval", "delay", "refresh"];

/// keepalived's words and other names of our keys, with what to write instead.
const FOREIGN: &[(&str, &str)] = &[
    ("advert_int", "write advertisement_interval = \"1s\""),
    ("auth_pass", "write password_file (VRRP version 2 only)"),
    ("auth_type", "remove it; setting password_file means simple text authentication (VRRP version 2 only)"),
    ("authentication", "write password_file (VRRP version 2 only)"),
    ("check_unicast_src", "remove it; only the peers of unicast are listened to"),
    ("garp_master_delay", "write announce = { delay = \"5s\" }"),
    ("garp_master_refresh", "write announce = { refresh = \"60s\" }"),
    ("garp_master_repeat", "write announce = { repeat = 5 }"),
    ("garp_interval", "write announce = { interval = \"100ms\" }"),
    ("ip", "write addresses = [\"10.0.0.10\"]"),
    ("ips", "write addresses = [\"10.0.0.10\"]"),
    ("dev", "write interface"),
    ("device", "write interface"),
    ("iface", "write interface"),
    ("link", "write interface"),
    ("mcast_src_ip", "write source"),
    ("nopreempt", "write preempt = false"),
    ("peers", "write unicast = { peers = [\"10.0.0.2\"] }"),
    ("state", "remove it; who is Active follows from priority and election"),
    ("unicast_peer", "write unicast = { peers = [\"10.0.0.2\"] }"),
    ("unicast_src_ip", "write source"),
    ("unicast_ttl", "write unicast = { peers = [\"10.0.0.2\"], ttl = 255 }"),
    ("use_vmac", "write virtual_mac = true"),
    ("v3_checksum_as_v2", "write checksum = \"message-only\""),
    ("vip", "write addresses = [\"10.0.0.10\"]"),
    ("vips", "write addresses = [\"10.0.0.10\"]"),
    ("virtual_ipaddress", "write addresses = [\"10.0.0.10\"]"),
    ("vrrp_instance", "write [[instance]]"),
    ("vrrp_version", "write version"),
    ("global_defs", "write [node] and [defaults]"),
    ("hostname", "write name"),
    ("router_id", "write [node] name"),
];

/// What to write instead of a word of another program.
pub(crate) fn foreign_remedy(word: &str) -> Option<String> {
    FOREIGN.iter().find_map(|(foreign, remedy)| (*foreign == word).then(|| (*remedy).to_owned()))
}

#[cfg(test)]
mod tests;
