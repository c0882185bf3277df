//! Every key of the file by its section, and words of other programs that people bring along. `REFERENCE.md` documents
//! exactly these; a test compares the two.

/// Sections of the file.
pub(crate) const SECTIONS: &[&str] = &[
    "node",
    "api",
    "journal",
    "metrics",
    "telemetry",
    "log",
    "realtime",
    "defaults",
    "instance",
    "group",
    "check",
    "pool",
    "nginx",
    "notify",
    "mail",
    "peer",
    "cluster",
];

pub(crate) const NODE: &[&str] = &["name"];
pub(crate) const API: &[&str] = &[
    "socket",
    "admins",
    "operators",
    "readers",
    "history",
    "connections",
    "tls_connections",
    "certificate_connections",
    "calls",
    "watches",
    "unread_answers",
    "listen",
    "certificate",
    "key",
    "client_ca",
    "revoked",
];
pub(crate) const CLUSTER_PEER: &[&str] = &["name", "endpoint"];
pub(crate) const CLUSTER: &[&str] = &["split_brain", "stop_timeout"];
pub(crate) const JOURNAL: &[&str] = &["enabled", "directory", "size", "age"];
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
    "track",
    "group",
];
/// An entry of `addresses` that is a table.
pub(crate) const ADDRESS: &[&str] = &["address", "interface", "advertised"];
pub(crate) const UNICAST: &[&str] = &["peers", "ttl"];
pub(crate) const PEER: &[&str] = &["address", "minimum_ttl"];
pub(crate) const ANNOUNCE: &[&str] = &["repeat", "interval", "delay", "refresh"];
pub(crate) const TRACK: &[&str] = &["check", "pool", "weight", "reverse", "factor", "fault_on_value"];
pub(crate) const GROUP: &[&str] = &["name", "track"];

/// Keys of every check.
pub(crate) const CHECK: &[&str] = &["name", "kind"];
/// Keys of every check that has attempts of its own.
pub(crate) const ATTEMPTS: &[&str] =
    &["interval", "timeout", "rise", "fall", "jitter", "initial", "grace", "backoff", "damping", "remedy"];
/// Keys of every check of a server.
pub(crate) const TARGET: &[&str] =
    &["host", "port", "connect_address", "connect_port", "source", "interface", "mark"];
/// Keys of one kind of check, besides those above.
pub(crate) const ICMP: &[&str] = &["count", "tolerated_loss", "size"];
pub(crate) const TCP_KEEPALIVE: &[&str] = &["keepalive"];
pub(crate) const KEEPALIVE: &[&str] = &["idle", "interval", "count", "user_timeout", "retry"];
pub(crate) const UDP: &[&str] = &["payload", "payload_hex", "reply_required", "reply_matches", "reply_hex"];
pub(crate) const HTTP: &[&str] = &[
    "url",
    "tls",
    "http_version",
    "method",
    "path",
    "headers",
    "status",
    "body_matches",
    "body_lacks",
    "body_sha256",
    "body_md5",
    "body_limit",
];
pub(crate) const GRPC: &[&str] = &["tls", "service"];
pub(crate) const DNS: &[&str] = &["query", "record", "response_code", "answers", "tcp"];
pub(crate) const SMTP: &[&str] = &["hello", "starttls", "tls"];
pub(crate) const TLS_CHECK: &[&str] = &["tls"];
pub(crate) const SCRIPT: &[&str] = &["command", "user", "value_from_exit"];
pub(crate) const PROCESS: &[&str] = &["process", "command_line", "match", "minimum", "maximum"];
pub(crate) const FILE: &[&str] = &["path", "minimum", "maximum", "missing"];
pub(crate) const INTERFACE: &[&str] = &["interface"];
pub(crate) const ROUTE: &[&str] = &["destination", "gateway", "interface", "table"];
pub(crate) const EXPR: &[&str] = &["all_of", "any_of", "at_least", "of"];
pub(crate) const TLS: &[&str] =
    &["verify", "server_name", "ca_file", "certificate_file", "key_file", "expires_within"];
pub(crate) const REMEDY: &[&str] = &["command", "user", "timeout", "wait", "rest"];
pub(crate) const DAMPING: &[&str] = &["within", "hold", "longest"];
pub(crate) const NOTIFY: &[&str] = &[
    "name",
    "on",
    "states",
    "types",
    "command",
    "user",
    "arguments",
    "leave_running",
    "fifo",
    "priorities",
    "webhook",
    "secret_file",
    "tls",
    "mail",
    "timeout",
    "retry_for",
    "queue",
];
pub(crate) const MAIL: &[&str] =
    &["host", "port", "security", "tls", "user", "password_file", "from", "hello", "source"];

pub(crate) const POOL: &[&str] = &[
    "name",
    "checks",
    "port",
    "quorum",
    "hysteresis",
    "floor",
    "slow_start",
    "sorry_server",
    "only_while_active",
    "weight_from",
    "server",
    "nginx",
];
pub(crate) const SERVER: &[&str] = &["name", "address", "port", "weight", "checks"];
pub(crate) const POOL_NGINX: &[&str] = &["file", "form", "sorry", "passive_checks"];
pub(crate) const NGINX: &[&str] = &[
    "program",
    "configuration",
    "prefix",
    "pid_file",
    "test",
    "reload",
    "command_timeout",
    "reload_timeout",
];

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
    ("vrrp_script", "write [[check]] with kind = \"script\" and command = [\"/path/of/program\"]"),
    ("vrrp_track_process", "write [[check]] with kind = \"process\""),
    ("vrrp_track_file", "write [[check]] with kind = \"file\""),
    ("track_script", "write track = [\"NAME\"], the name of a [[check]]"),
    ("track_process", "write track = [\"NAME\"], the name of a [[check]] with kind = \"process\""),
    (
        "track_file",
        "write track = [{ check = \"NAME\", factor = 1 }], the name of a [[check]] with kind = \"file\"",
    ),
    ("track_interface", "write track = [\"NAME\"], the name of a [[check]] with kind = \"interface\""),
    ("virtual_server", "write [[pool]] with a [[pool.server]] for each server"),
    ("virtual_server_group", "write [[pool]] with a [[pool.server]] for each server"),
    ("real_server", "write [[pool.server]] below a [[pool]]"),
    ("upstream", "write [[pool]] with a [[pool.server]] for each server"),
    ("backend", "write [[pool]] with a [[pool.server]] for each server"),
    ("notify", "write a [[notify]] of its own, with on = [\"instances/NAME\"]"),
    ("notify_master", "write a [[notify]] with command and states = [\"ACTIVE\"]"),
    ("notify_backup", "write a [[notify]] with command and states = [\"BACKUP\"]"),
    ("notify_fault", "write a [[notify]] with command and states = [\"FAULT\"]"),
    ("notify_stop", "write a [[notify]] with command and states = [\"STOPPED\"]"),
    ("notify_fifo", "write a [[notify]] with fifo"),
    ("vrrp_notify_fifo", "write a [[notify]] with fifo and on = [\"instances\", \"groups\"]"),
    ("smtp_alert", "write a [[notify]] with mail, and [mail]"),
    ("notification_email", "write a [[notify]] with mail = [\"admin@example.org\"]"),
    ("notification_email_from", "write [mail] from"),
    ("smtp_server", "write [mail] host"),
    ("script_user", "write user beside each command"),
    ("enable_script_security", "remove it; commands are always checked"),
    ("track_bfd", "remove it; BFD is not supported"),
    ("bfd_instance", "remove it; BFD is not supported"),
    ("dont_track_primary", "remove it; an instance always follows its own link"),
    ("dynamic_interfaces", "remove it; links may come and go"),
    ("static_routes", "write them in the system's own network configuration"),
    ("static_rules", "write them in the system's own network configuration"),
    ("static_ipaddress", "write them in the system's own network configuration"),
    ("virtual_routes", "remove it; a [[notify]] with a command may move routes"),
    ("virtual_rules", "remove it; a [[notify]] with a command may move rules"),
    ("vrrp_strict", "remove it; RFC 9568 is always followed"),
    ("strict_mode", "remove it; RFC 9568 is always followed"),
    ("vrrp_skip_check_adv_addr", "remove it; an advert with other addresses is accepted, and told"),
    ("skip_check_adv_addr", "remove it; an advert with other addresses is accepted, and told"),
    ("vrrp_mcast_group4", "remove it on all nodes; adverts go to 224.0.0.18"),
    ("vrrp_mcast_group6", "remove it on all nodes; adverts go to ff02::12"),
    ("mcast_dst_ip", "remove it on all nodes; adverts go to 224.0.0.18 and ff02::12"),
    ("vrrp_sync_group", "write group = \"NAME\" in each instance that belongs to it"),
    ("sync_group", "write group"),
    ("sync_group_tracking_weight", "remove it; members of a group always share their weights"),
    ("global_tracking", "remove it; members of a group always share their weights"),
];

/// keepalived's words in checks, and other names of our keys there.
const FOREIGN_IN_CHECKS: &[(&str, &str)] = &[
    ("script", "write command = [\"/path/of/program\", \"argument\"]"),
    ("misc_path", "write command = [\"/path/of/program\", \"argument\"]"),
    ("misc_timeout", "write timeout"),
    ("misc_dynamic", "write value_from_exit = true"),
    ("weight", "write it where the check is tracked: track = [{ check = \"NAME\", weight = -30 }]"),
    ("reverse", "write it where the check is tracked: track = [{ check = \"NAME\", reverse = true }]"),
    ("delay_loop", "write interval"),
    ("inter", "write interval"),
    ("period", "write interval"),
    ("connect_timeout", "write timeout"),
    ("retry", "write fall, how many failures in a row count"),
    ("nb_get_retry", "write fall, how many failures in a row count"),
    ("threshold", "write rise and fall"),
    ("delay_before_retry", "remove it; attempts come at interval"),
    ("init_fail", "write initial = \"failing\""),
    ("alpha", "write initial = \"failing\""),
    ("warmup", "write jitter = \"10%\""),
    ("connect_ip", "write connect_address"),
    ("ip", "write host"),
    ("address", "write host"),
    ("target", "write host"),
    ("bindto", "write source"),
    ("bind_address", "write source"),
    ("bind_if", "write interface"),
    ("bind_device", "write interface"),
    ("device", "write interface"),
    ("fwmark", "write mark"),
    ("status_code", "write status"),
    ("virtualhost", "write host, and connect_address to go elsewhere"),
    ("digest", "write body_md5, or better body_sha256"),
    ("regex", "write body_matches"),
    ("regex_no_match", "write body_lacks"),
    ("helo_name", "write hello"),
    ("track_file", "write path"),
    ("full_command", "write command_line"),
    ("param_match", "write match = \"beginning\" or \"part\" beside command_line"),
    ("quorum", "write minimum"),
    ("quorum_max", "write maximum"),
    ("pid_file", "write process, the name that `ps -e` shows"),
    ("notify_up", "write a [[notify]]"),
    ("notify_down", "write a [[notify]]"),
];

/// What to write instead of a word of another program in a check.
pub(crate) fn foreign_check_remedy(word: &str) -> Option<String> {
    FOREIGN_IN_CHECKS.iter().find_map(|(foreign, remedy)| (*foreign == word).then(|| (*remedy).to_owned()))
}

/// keepalived's words about notifications, and other names of our keys there.
const FOREIGN_IN_NOTIFY: &[(&str, &str)] = &[
    ("events", "write on, and types for some events only"),
    ("script", "write command = [\"/path/of/program\"]"),
    ("notify", "write command = [\"/path/of/program\"]"),
    ("notify_master", "write command, and states = [\"ACTIVE\"]"),
    ("notify_backup", "write command, and states = [\"BACKUP\"]"),
    ("notify_fault", "write command, and states = [\"FAULT\"]"),
    ("notify_stop", "write command, and states = [\"STOPPED\"]"),
    ("notify_fifo", "write fifo = \"/run/ha-agent/events\""),
    ("url", "write webhook"),
    ("secret", "write secret_file, the name of a file with mode 0600"),
    ("to", "write mail = [\"admin@example.org\"]"),
    ("email", "write mail = [\"admin@example.org\"]"),
    ("server", "write host"),
    ("smtp_server", "write host, and port"),
    ("smtp_port", "write port"),
    ("smtp_helo_name", "write hello"),
    ("smtp_connect_timeout", "write timeout in the [[notify]] that sends mail"),
    ("starttls", "write security = \"starttls\""),
    ("username", "write user"),
    ("password", "write password_file, the name of a file with mode 0600"),
    ("notification_email_from", "write from"),
];

/// What to write instead of a word of another program about notifications.
pub(crate) fn foreign_notify_remedy(word: &str) -> Option<String> {
    FOREIGN_IN_NOTIFY.iter().find_map(|(foreign, remedy)| (*foreign == word).then(|| (*remedy).to_owned()))
}

/// keepalived's words in virtual servers, and other names of our keys there.
const FOREIGN_IN_POOLS: &[(&str, &str)] = &[
    ("real_server", "write [[pool.server]] with address and port"),
    ("servers", "write [[pool.server]] with address and port, once for each"),
    ("members", "write [[pool.server]] with address and port, once for each"),
    ("check", "write checks = [\"NAME\"], the name of a [[check]]"),
    ("track", "write checks = [\"NAME\"], the name of a [[check]]"),
    ("delay_loop", "write interval in the [[check]]"),
    ("lb_algo", "write the method in the balancer's own configuration"),
    ("lvs_sched", "write the method in the balancer's own configuration"),
    ("lb_kind", "remove it; the balancer forwards as it is configured"),
    ("lvs_method", "remove it; the balancer forwards as it is configured"),
    ("protocol", "remove it; the balancer has it"),
    ("persistence_timeout", "write it in the balancer's own configuration"),
    ("inhibit_on_failure", "remove it; an operator's drain sets the weight to 0"),
    ("alpha", "write initial = \"failing\" in the [[check]]"),
    ("ha_suspend", "write only_while_active = \"INSTANCE\""),
    ("scope", "write only_while_active = \"INSTANCE\""),
    ("sorry", "write sorry_server = \"10.0.0.9:80\""),
    ("host", "write address"),
    ("ip", "write address"),
    ("tcp_check", "write checks = [\"NAME\"], the name of a [[check]] with kind = \"tcp\""),
    ("http_get", "write checks = [\"NAME\"], the name of a [[check]] with kind = \"http\""),
    ("ssl_get", "write checks = [\"NAME\"], the name of a [[check]] with kind = \"http\" and tls = true"),
    ("misc_check", "write checks = [\"NAME\"], the name of a [[check]] with kind = \"script\""),
    ("dns_check", "write checks = [\"NAME\"], the name of a [[check]] with kind = \"dns\""),
    ("smtp_check", "write checks = [\"NAME\"], the name of a [[check]] with kind = \"smtp\""),
    ("udp_check", "write checks = [\"NAME\"], the name of a [[check]] with kind = \"udp\""),
    ("ping_check", "write checks = [\"NAME\"], the name of a [[check]] with kind = \"icmp\""),
];

/// What to write instead of a word of another program in a pool; keepalived's checkers are in capitals.
pub(crate) fn foreign_pool_remedy(word: &str) -> Option<String> {
    let word = word.to_ascii_lowercase();
    FOREIGN_IN_POOLS.iter().find_map(|(foreign, remedy)| (*foreign == word).then(|| (*remedy).to_owned()))
}

/// What to write instead of a word of another program.
pub(crate) fn foreign_remedy(word: &str) -> Option<String> {
    FOREIGN.iter().find_map(|(foreign, remedy)| (*foreign == word).then(|| (*remedy).to_owned()))
}

#[cfg(test)]
mod tests;
