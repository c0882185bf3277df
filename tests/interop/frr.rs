//! FRR's vrrpd as the other party: version 2, version 3 over IPv4 and IPv6.

use crate::versus::{
    Stranger::Frr, V2, V3, V3_IPV6, equal_priorities_are_settled_by_the_address,
    the_stranger_takes_over_from_us_and_gives_way_again, we_take_over_from_the_stranger_and_give_way_again,
};

#[test]
fn version_2_frr_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Frr, V2);
}

#[test]
fn version_2_we_take_over_from_frr_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Frr, V2);
}

#[test]
fn version_2_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Frr, V2, 0);
}

#[test]
fn version_2_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Frr, V2, 1);
}

#[test]
fn version_3_ipv4_frr_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Frr, V3);
}

#[test]
fn version_3_ipv4_we_take_over_from_frr_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Frr, V3);
}

#[test]
fn version_3_ipv4_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Frr, V3, 0);
}

#[test]
fn version_3_ipv4_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Frr, V3, 1);
}

#[test]
fn version_3_ipv6_frr_takes_over_from_us_and_gives_way_again() {
    the_stranger_takes_over_from_us_and_gives_way_again(Frr, V3_IPV6);
}

#[test]
fn version_3_ipv6_we_take_over_from_frr_and_give_way_again() {
    we_take_over_from_the_stranger_and_give_way_again(Frr, V3_IPV6);
}

#[test]
fn version_3_ipv6_equal_priorities_leave_the_higher_address_seen_from_the_lower_node() {
    equal_priorities_are_settled_by_the_address(Frr, V3_IPV6, 0);
}

#[test]
fn version_3_ipv6_equal_priorities_leave_the_higher_address_seen_from_the_higher_node() {
    equal_priorities_are_settled_by_the_address(Frr, V3_IPV6, 1);
}
