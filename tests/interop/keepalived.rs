//! Debian's keepalived as the other party: version 2, version 3 over IPv4 and IPv6, unicast, and version 2 with a password.

use crate::versus::{
    Speech, Stranger::Keepalived, V2, V3, V3_IPV6, equal_priorities_are_settled_by_the_address,
    the_stranger_notices_no_restart_of_ours, the_stranger_takes_over_from_us_and_gives_way_again,
    we_take_over_from_the_stranger_and_give_way_again,
};

const UNICAST: Speech = Speech { is_unicast: true, ..V3 };
const UNICAST_IPV6: Speech = Speech { is_unicast: true, ..V3_IPV6 };
const PASSWORD: Speech = Speech { password: Some("secret"), ..V2 };

#[test]
fn version_2_keepalived_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Keepalived, V2);
}

#[test]
fn version_2_we_take_over_from_keepalived_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Keepalived, V2);
}

#[test]
fn version_2_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, V2, 0);
}

#[test]
fn version_2_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, V2, 1);
}

#[test]
fn version_3_ipv4_keepalived_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Keepalived, V3);
}

#[test]
fn version_3_ipv4_we_take_over_from_keepalived_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Keepalived, V3);
}

#[test]
fn version_3_ipv4_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, V3, 0);
}

#[test]
fn version_3_ipv4_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, V3, 1);
}

#[test]
fn version_3_ipv6_keepalived_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Keepalived, V3_IPV6);
}

#[test]
fn version_3_ipv6_we_take_over_from_keepalived_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Keepalived, V3_IPV6);
}

#[test]
fn version_3_ipv6_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, V3_IPV6, 0);
}

#[test]
fn version_3_ipv6_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, V3_IPV6, 1);
}

#[test]
fn unicast_keepalived_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Keepalived, UNICAST);
}

#[test]
fn unicast_we_take_over_from_keepalived_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Keepalived, UNICAST);
}

#[test]
fn unicast_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, UNICAST, 0);
}

#[test]
fn unicast_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, UNICAST, 1);
}

#[test]
fn unicast_ipv6_keepalived_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Keepalived, UNICAST_IPV6);
}

#[test]
fn unicast_ipv6_we_take_over_from_keepalived_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Keepalived, UNICAST_IPV6);
}

#[test]
fn unicast_ipv6_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, UNICAST_IPV6, 0);
}

#[test]
fn unicast_ipv6_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, UNICAST_IPV6, 1);
}

#[test]
fn version_2_with_a_password_keepalived_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Keepalived, PASSWORD);
}

#[test]
fn version_2_with_a_password_we_take_over_from_keepalived_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Keepalived, PASSWORD);
}

#[test]
fn version_2_with_a_password_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, PASSWORD, 0);
}

#[test]
fn version_2_with_a_password_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Keepalived, PASSWORD, 1);
}

#[test]
fn keepalived_notices_no_restart_of_ours_in_either_version_over_multicast_and_unicast() {
    for speech in [V2, V3, V3_IPV6, UNICAST, PASSWORD] {
        println!("{speech:?}");
        the_stranger_notices_no_restart_of_ours(Keepalived, speech);
    }
}
