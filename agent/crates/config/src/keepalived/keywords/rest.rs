//! What stands outside of blocks, and in those of scripts, processes and files.

use super::{IPVS, Keyword, LINKBEAT, NET_NAMESPACE, OWN, differs, native, refused, taken};

const BALANCER: &str = "its servers would get no connections: IPVS is not driven";
const BALANCE: &str = "let keepalived -C go on balancing beside the agent from this file, or write [[pool]] with nginx (KEEPALIVED.md, Balancing)";
const SYSTEM: &str = "write it in the system's own network configuration, and remove it here";

/// Keywords outside of blocks.
pub(crate) const TOP: &[Keyword] = &[
    taken("global_defs", "`[defaults]`, `[mail]` and more, see below"),
    taken("vrrp_instance", "`[[instance]]`"),
    taken("vrrp_script", "a `[[check]]` of kind `script`, without jitter; what nothing tracks is left out"),
    taken("vrrp_sync_group", "a `[[group]]`, and `group` in its members"),
    taken("vrrp_track_process", "a `[[check]]` of kind `process`"),
    taken("vrrp_track_file track_file", "a `[[check]]` of kind `file`"),
    refused("virtual_server", BALANCER, BALANCE),
    native("virtual_server_group", "of virtual servers, which are refused"),
    refused("static_ipaddress static_address", "the node would not have these addresses", SYSTEM),
    refused("static_routes", "the node would not have these routes", SYSTEM),
    refused("static_rules", "the node would not have these rules", SYSTEM),
    NET_NAMESPACE,
    differs("bfd_instance", "there is no BFD", "remove it"),
    differs("interface_up_down_delays", "a link that goes counts at once", "remove it"),
    differs(
        "garp_group",
        "announcements of all links keep the interval of vrrp_garp_interval",
        "write vrrp_garp_interval in global_defs",
    ),
    native("track_group", "of static addresses, routes and rules, which are refused"),
    native("linkbeat_interfaces linkbeat_use_polling", LINKBEAT),
    native("SSL net_namespace_ipvs", IPVS),
    native("namespace_with_ipsets", "no firewall is needed"),
    native("instance use_pid_dir child_wait_time process_names", OWN),
];

/// Keywords of `vrrp_script`.
pub(crate) const SCRIPT: &[Keyword] = &[
    taken(
        "script",
        "`command`; a program without a path is found along PATH, by way of /usr/bin/env; `< /dev/tcp/HOST/PORT` is a check of kind `tcp`",
    ),
    taken("interval", "`interval`; 1 s without it"),
    taken("timeout", "`timeout`; the interval without it"),
    taken("weight", "`weight` where it is tracked without one; none or 0 means Fault"),
    taken("rise", "`rise`; 1 without it"),
    taken("fall", "`fall`; 1 without it"),
    taken(
        "user",
        "`user`; without it that of script_user, otherwise keepalived_script if there is one, otherwise root",
    ),
    taken("init_fail", "`initial = \"failing\"`"),
];

/// Keywords of `vrrp_track_process`.
pub(crate) const PROCESS: &[Keyword] = &[
    taken("process", "`process`, or `command_line` with full_command or arguments"),
    taken("quorum", "`minimum`; 1 without it"),
    taken("quorum_max", "`maximum`"),
    taken("weight", "`weight` where it is tracked without one; none or 0 means Fault"),
    taken("full_command", "`command_line`"),
    taken("param_match", "`match`: initial is \"beginning\", partial is \"part\""),
    differs("fork_delay", "a process that begins counts at once", "nothing to do"),
    differs("terminate_delay", "a process that ends counts at once", "nothing to do"),
    differs("delay", "a process that begins or ends counts at once", "nothing to do"),
];

/// Keywords of `vrrp_track_file` and `track_file`.
pub(crate) const FILE: &[Keyword] = &[
    taken("file", "`path`; a file that is missing counts as 0"),
    taken("weight", "`factor` where it is tracked without one; 1 without it"),
    differs(
        "init_file",
        "the file is not made; while it is missing it counts as 0",
        "make it with tmpfiles.d",
    ),
];
