//! What stands in `global_defs`.

use super::{
    ALL_NODES, ANSWERED, BESIDE, DIRECTOR, IPVS, Keyword, LAST_ADVERT, LINKBEAT, NET_NAMESPACE, ONE_ROUND,
    OTHER_ADDRESSES, OWN, OWN_LINK, OWNER, PACED, PEERS_ONLY, PRIORITIES, RIVAL, SWITCH, THREE, differs,
    native, refused, taken,
};

/// Keywords of `global_defs`.
pub(crate) const GLOBAL: &[Keyword] = &[
    taken("vrrp_version", "`version` of all instances that say none; 2 without it"),
    taken("vrrp_garp_master_delay", "`announce.delay`"),
    taken("vrrp_garp_master_repeat", "`announce.repeat`"),
    taken("vrrp_garp_master_refresh", "`announce.refresh`"),
    taken("vrrp_garp_interval", "`announce.interval`, the longer one of this and `vrrp_gna_interval`"),
    taken("vrrp_gna_interval", "`announce.interval`"),
    taken("vrrp_startup_delay", "`startup_delay`"),
    taken("vrrp_strict", "as `strict_mode` of all instances"),
    taken("script_user", "`user` of all scripts that name none"),
    taken("notification_email", "`mail` of a `[[notify]]` for what has `smtp_alert`"),
    taken("notification_email_from", "`[mail]` `from`; without it keepalived@HOST"),
    taken(
        "smtp_server",
        "`[mail]` `host` and `port`, without TLS as keepalived has it; 127.0.0.1 and 25 without it",
    ),
    taken("smtp_helo_name", "`[mail]` `hello`"),
    taken("smtp_connect_timeout", "`timeout` of the `[[notify]]` that sends mail"),
    taken("smtp_alert smtp_alert_vrrp", "mail for all instances and groups that do not say otherwise"),
    taken("no_email_faults", "no mail for FAULT"),
    taken("notify_fifo vrrp_notify_fifo", "a `[[notify]]` with `fifo` on instances and groups"),
    taken("vrrp_notify_priority_changes", PRIORITIES),
    taken(
        "vrrp_mcast_group4",
        "224.0.0.18 is what is used; another group is an error, because peers would hear nothing",
    ),
    taken(
        "vrrp_mcast_group6",
        "ff02::12 is what is used; another group is an error, because peers would hear nothing",
    ),
    native(
        "router_id",
        "the node has its host's name, in mails too, because `hactl` tells nodes apart by it",
    ),
    differs("vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat", RIVAL, "nothing to do"),
    differs(
        "vrrp_garp_master_refresh_repeat",
        ONE_ROUND,
        "nothing to do, or shorten vrrp_garp_master_refresh",
    ),
    differs("vrrp_garp_extra_if", OWN_LINK, SWITCH),
    differs(
        "vrrp_min_garp",
        "a takeover announces as often as garp_master_repeat says",
        "write vrrp_garp_master_repeat 1",
    ),
    differs("vrrp_down_timer_adverts", THREE, ALL_NODES),
    differs("vrrp_lower_prio_no_advert", ANSWERED, "nothing to do"),
    native("vrrp_higher_prio_send_advert", LAST_ADVERT),
    native("vrrp_check_unicast_src", PEERS_ONLY),
    native("vrrp_skip_check_adv_addr", OTHER_ADDRESSES),
    native("enable_script_security", "programs are always judged before they run"),
    native("dynamic_interfaces", "links may come and go"),
    native("fifo_write_vrrp_states_on_reload", "a reload changes no state; `hactl status` has all"),
    native("vrrp_owner_ignore_adverts", OWNER),
    native("log_unknown_vrids", "counted, and shown by `hactl status`"),
    native("reload_check_config", "a reload that has an error leaves the old configuration in force"),
    native("default_interface", "for static addresses only, which are refused"),
    native(
        "vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_counters nftables_ifindex",
        "no firewall is needed",
    ),
    native(
        "nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark lvs_timeouts lvs_flush \
         lvs_flush_on_stop lvs_flush_onstop checker_log_all_failures smtp_alert_checker no_checker_emails \
         rs_init_notifies lvs_notify_fifo lvs_notify_fifo_script net_namespace_ipvs",
        IPVS,
    ),
    native(
        "vrrp_priority vrrp_rt_priority vrrp_no_swap vrrp_cpu_affinity vrrp_rlimit_rttime vrrp_rlimit_rtime \
         checker_priority checker_rt_priority checker_no_swap checker_cpu_affinity checker_rlimit_rttime \
         checker_rlimit_rtime bfd_priority bfd_rt_priority bfd_no_swap bfd_cpu_affinity bfd_rlimit_rttime \
         bfd_rlimit_rtime max_auto_priority min_auto_priority_delay process_names process_name \
         vrrp_process_name checker_process_name bfd_process_name lvs_process_name vrrp_netlink_cmd_rcv_bufs \
         vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force \
         lvs_netlink_cmd_rcv_bufs lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs \
         lvs_netlink_monitor_rcv_bufs_force process_monitor_rcv_bufs process_monitor_rcv_bufs_force \
         vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier umask random_seed tmp_config_directory config_save_dir \
         data_use_instance use_symlink_paths state_dump_file stats_dump_file json_dump_file instance \
         use_pid_dir child_wait_time disable_local_igmp namespace_with_ipsets",
        OWN,
    ),
    native("json_version", "`hactl -o json` is the way to the state"),
    native("include_check", "a file that cannot be read is always an error"),
    native("linkbeat_use_polling", LINKBEAT),
    native("vmac_prefix vmac_addr_prefix", "links of virtual MACs have the agent's names"),
    native("vrrp_vmac_garp_intvl", PACED),
    differs(
        "snmp_socket enable_snmp_keepalived enable_snmp_vrrp enable_snmp_checker enable_snmp_rfc \
         enable_snmp_rfcv2 enable_snmp_rfcv3",
        "there is no SNMP",
        "use metrics: [metrics] or OTLP",
    ),
    differs("enable_traps", "there is no SNMP", "write a notify script, or [[notify]] with webhook"),
    differs(
        "enable_dbus dbus_service_name",
        "there is no D-Bus interface",
        "use `hactl`, or gRPC on the agent's socket",
    ),
    differs("startup_script", "it is not run", "write ExecStartPre= in the unit of the agent"),
    differs(
        "startup_script_timeout",
        "startup_script is not run",
        "write ExecStartPre= in the unit of the agent",
    ),
    differs("shutdown_script", "it is not run", "write ExecStopPost= in the unit of the agent"),
    differs(
        "shutdown_script_timeout",
        "shutdown_script is not run",
        "write ExecStopPost= in the unit of the agent",
    ),
    differs(
        "reload_time_file reload_repeat",
        "reloads are not timed",
        "run `systemctl reload ha-agent` at the time",
    ),
    differs(
        "reload_file",
        "no file is looked for before a reload",
        "write the new file under another name, and rename it when it is whole",
    ),
    refused(
        "notify_fifo_script vrrp_notify_fifo_script",
        "nothing would read the pipe",
        "start the program as a service of its own, and remove this line",
    ),
    refused("lvs_sync_daemon lvs_sync_daemon_interface", DIRECTOR, BESIDE),
    NET_NAMESPACE,
];
