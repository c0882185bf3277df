//! What stands in `vrrp_instance`, in its addresses and its password, and in `vrrp_sync_group`.

use super::{
    ALL_NODES, ANSWERED, BESIDE, BFD, DIRECTOR, Keyword, LAST_ADVERT, LINKBEAT, MAIL, NOTIFY, NOTIFY_STATE,
    ONE_ROUND, OTHER_ADDRESSES, OWN, OWN_LINK, OWNER, PACED, PEERS_ONLY, PRIORITIES, RIVAL, SWITCH, THREE,
    differs, native, refused, taken,
};

const ROUTES: &str = "write it into scripts of notify_master and notify_backup, and remove it here";
const COSMETIC: &str = "nothing to do, as a rule; write it off if nothing depends on it";

/// Keywords of `vrrp_instance`.
pub(crate) const INSTANCE: &[Keyword] = &[
    taken(
        "state",
        "MASTER without `priority` means 255, and sets nopreempt and preempt_delay aside; otherwise the election decides, as in keepalived",
    ),
    taken("interface", "`interface`"),
    taken("virtual_router_id", "`virtual_router_id`"),
    taken("priority", "`priority`; 100 without it"),
    taken("advert_int", "`advertisement_interval`; whole seconds in version 2"),
    taken(
        "version",
        "`version`; IPv6 is always 3: version 2 above IPv6 addresses is an error, because keepalived speaks it then",
    ),
    taken("nopreempt", "`preempt = false`, without effect beside state MASTER or priority 255"),
    taken("preempt", "the default"),
    taken("preempt_delay", "`preempt_delay`, without effect beside state MASTER or nopreempt"),
    taken("authentication", "`password`, see below"),
    taken(
        "virtual_ipaddress",
        "`addresses`, see [addresses](#addresses); those of another family than the first are left out, as keepalived does",
    ),
    taken(
        "virtual_ipaddress_excluded",
        "`addresses` with `advertised = false`, of either family, see [addresses](#addresses)",
    ),
    taken("mcast_src_ip unicast_src_ip", "`source`"),
    taken(
        "unicast_peer",
        "`unicast`; a peer without `min_ttl` may be behind routers, as in keepalived; the node's own address (`unicast_src_ip`) is none",
    ),
    taken("unicast_ttl", "`unicast.ttl`"),
    taken(
        "use_vmac",
        "`virtual_mac = true`; the name of the link is the agent's, an own MAC address is an error",
    ),
    taken("mcast_dst_ip", "224.0.0.18 and ff02::12 are what is used; another group is an error"),
    taken("track_interface", "a check of kind `interface`, and `track`"),
    taken("track_script track_process", "`track`"),
    taken("track_file", "`track` with `factor`; weight 0 is `fault_on_value`, and with reverse an error"),
    taken("garp_master_delay", "`announce.delay`"),
    taken("garp_master_repeat", "`announce.repeat`"),
    taken("garp_master_refresh", "`announce.refresh`"),
    NOTIFY,
    NOTIFY_STATE,
    taken(
        "notify_master_rx_lower_pri",
        "a `[[notify]]` with `command` for the event `instance.duplicate_active_began`",
    ),
    taken("notify_priority_changes", PRIORITIES),
    MAIL,
    taken(
        "strict_mode",
        "RFC 9568 is always followed; passwords and preempt_delay are set aside as keepalived does. It also drops packets to addresses of a router that is not their owner; here they are answered",
    ),
    taken("v3_checksum_as_v2", "`checksum = \"message-only\"` with version 3 and IPv4"),
    native("accept", "a router answers for its addresses"),
    native("check_unicast_src", PEERS_ONLY),
    native("skip_check_adv_addr", OTHER_ADDRESSES),
    native("higher_prio_send_advert", LAST_ADVERT),
    native("owner_ignore_adverts", OWNER),
    native("promote_secondaries", "addresses do not take each other with them"),
    native("native_ipv6", "the family follows from the addresses"),
    native("kernel_rx_buf_size debug", OWN),
    native("linkbeat_use_polling", LINKBEAT),
    native("no_virtual_ipaddress", "silences a warning of keepalived's"),
    native("unicast_fault_no_peer", "an instance without peers is an error"),
    native("old_unicast_checksum", "both forms are accepted, the right one is sent"),
    native("vmac_garp_intvl", PACED),
    native("track_src_ip", "an instance whose source is gone is in Fault"),
    native("timer_expired_backup thread_timer_expired", "a node that stood still yields to whoever it hears"),
    differs("notify_deleted", "a router that is removed is told as stopped", "write notify_stop"),
    differs("garp_lower_prio_delay garp_lower_prio_repeat", RIVAL, "nothing to do"),
    differs("garp_master_refresh_repeat", ONE_ROUND, "nothing to do, or shorten garp_master_refresh"),
    differs("garp_extra_if", OWN_LINK, SWITCH),
    differs("lower_prio_no_advert", ANSWERED, "nothing to do"),
    differs("down_timer_adverts", THREE, ALL_NODES),
    differs("no_accept", "the addresses answer", "drop packets to them in the node's firewall"),
    differs(
        "vmac_xmit_base",
        "adverts leave from the link of the virtual MAC, as RFC 9568 has it",
        "nothing to do, as a rule",
    ),
    refused(
        "dont_track_primary",
        "with its link down this node would give its addresses up, and nobody might have them",
        "remove it where the link has a switch; where two nodes are wired to each other, put the router on another link",
    ),
    refused("use_vmac_addr", "addresses on other links would have no virtual MAC", "remove it"),
    refused("use_ipvlan", "there are no addresses on an ipvlan", "write use_vmac, or remove it"),
    refused("vrf", "adverts would not be of the VRF", "write interface, a link of the VRF"),
    BFD,
    refused("virtual_routes", "the addresses would move without their routes", ROUTES),
    refused("virtual_rules", "the addresses would move without their rules", ROUTES),
    refused(
        "auth_hmac",
        "routers that sign their adverts would not be believed, nor believe this one",
        "remove it on all nodes",
    ),
    refused("lvs_sync_daemon_interface", DIRECTOR, BESIDE),
];

/// Keywords of `authentication`.
pub(crate) const AUTHENTICATION: &[Keyword] = &[
    taken(
        "auth_type",
        "PASS; AH is an error, because peers would drop every advert. Version 3 has none, as in keepalived",
    ),
    taken("auth_pass", "`password`, its first 8 characters, as keepalived sends them"),
];

/// What stands behind an address.
pub(crate) const ADDRESS: &[Keyword] = &[
    taken("dev", "`interface` of the address, unless it is the instance's; see [addresses](#addresses)"),
    differs("brd", "the address has no broadcast address", COSMETIC),
    differs("label", "the address has no label", COSMETIC),
    differs("scope", "the address has the scope global", COSMETIC),
    differs("home", "it has no flag `home`", COSMETIC),
    differs("mngtmpaddr", "it has no flag `mngtmpaddr`", COSMETIC),
    differs(
        "noprefixroute",
        "it has a route of its prefix",
        "write the address without its prefix length, so that it makes no route",
    ),
    differs("autojoin", "it has no flag `autojoin`", COSMETIC),
    differs("preferred_lft", "the agent has the lifetime of the address", COSMETIC),
    native("-nodad nodad", "an address is usable at once"),
    native("no_track", "an address that somebody removes is put back; an error beside another `dev`"),
    refused(
        "peer",
        "the address would have no peer",
        "make the link of it with the system's own network configuration",
    ),
    refused("use_vmac", "the address would have no virtual MAC", "write use_vmac in the instance"),
    refused("track_group", "nothing would follow from the loss of the address", "remove it"),
];

/// Keywords of `vrrp_sync_group`.
pub(crate) const GROUP: &[Keyword] = &[
    taken("group", "`group` of each member"),
    taken("track_interface", "a check of kind `interface`, and `track` of the `[[group]]`"),
    taken("track_script track_process track_file", "`track` of the `[[group]]`"),
    NOTIFY,
    NOTIFY_STATE,
    taken("notify_priority_changes", PRIORITIES),
    MAIL,
    taken(
        "sync_group_tracking_weight global_tracking",
        "weights of members count, for all of them; without it only those of processes, as in keepalived",
    ),
    differs("notify_deleted", "a group that is removed is told as stopped", "write notify_stop"),
    BFD,
];
