//! Addresses that are not advertised, and those on other links, as scripts.

use std::vec::Vec;

use crate::config::InstanceConfig;
use crate::fixtures::config;
use crate::fixtures::script::{changed, play};

/// One address on the instance's link, two on eth1, of which one is of the other family and not advertised.
fn spread(changes: &[&str]) -> InstanceConfig {
    let config =
        changed(config("web", 7, 100), &["quiet", "addresses=10.9.0.7,10.8.0.7@eth1,-2001:db8::7@eth1"]);
    changed(config, changes)
}

#[test]
fn what_is_not_advertised_is_held_and_peers_need_not_have_it() {
    play(
        &changed(config("web", 7, 100), &["quiet", "addresses=10.9.0.7,-10.9.0.8,-2001:db8::7"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200 addresses=10.9.0.7
          = active_observed (ADVERTISEMENT)
        1500 hear 10.0.0.2 200 addresses=10.9.0.7,10.9.0.8
          = differs AddressesDiffer
        1600 hear 10.0.0.2 0 addresses=10.9.0.7
        2209.375 wait
          @2209.375 advert 100, own 10.9.0.7/32 10.9.0.8/32 2001:db8::7/128, announce takeover, \
                    BACKUP > ACTIVE (PEER_PRIORITY_ZERO)
        2300 lost 2001:db8::7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32 10.9.0.8/32 2001:db8::7/128
        ",
    );
}

#[test]
fn other_addresses_that_are_not_advertised_do_not_change_the_advert() {
    play(
        &changed(config("web", 7, 100), &["quiet", "priority=255"]),
        "
        0 up
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        100 reload addresses=10.9.0.7,-10.9.0.8
          = changed (CONFIG_RELOAD), own 10.9.0.7/32 10.9.0.8/32, announce
        200 reload addresses=10.9.0.7,10.9.0.8
          = changed (CONFIG_RELOAD), advert 255, own 10.9.0.7/32 10.9.0.8/32, announce
        ",
    );
}

#[test]
fn an_instance_waits_for_the_links_of_its_addresses_and_takes_part_only_while_they_are_up() {
    play(
        &spread(&[]),
        "
        0 up
        5000 other eth1 missing
          = INITIALIZE > FAULT (INTERFACE_CHANGED)
        6000 other eth1 down
        7000 other eth1 up
          = FAULT > BACKUP (INTERFACE_CHANGED)
        10609.375 wait
          @10609.375 advert 100, own 10.9.0.7/32 10.8.0.7/32@eth1 2001:db8::7/128@eth1, announce takeover, \
                     BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        11000 other eth1 up
        11100 other eth1 nocarrier
          = advert 0, release, ACTIVE > FAULT (INTERFACE_CHANGED)
        11200 down
        11300 other eth1 up
        11400 up
          = FAULT > BACKUP (INTERFACE_CHANGED)
        ",
    );
}

#[test]
fn the_link_of_addresses_needs_no_socket_and_may_be_known_first() {
    play(
        &spread(&["priority=255"]),
        "
        0 other eth1 nosocket
        10 up
          = advert 255, own 10.9.0.7/32 10.8.0.7/32@eth1 2001:db8::7/128@eth1, announce takeover, \
            INITIALIZE > ACTIVE (ADDRESS_OWNER)
        ",
    );
}

#[test]
fn a_reload_takes_links_of_addresses_along() {
    let player = play(
        &spread(&["priority=255", "name=web"]),
        "
        0 up
        10 other eth1 down
          = INITIALIZE > FAULT (INTERFACE_CHANGED)
        20 reload addresses=10.9.0.7
          = changed (CONFIG_RELOAD), advert 255, own 10.9.0.7/32, announce takeover, FAULT > ACTIVE (ADDRESS_OWNER), \
            advert 255, own 10.9.0.7/32, announce
        30 reload addresses=10.9.0.7,10.8.0.7@eth1
          = changed (CONFIG_RELOAD), advert 0, release, ACTIVE > FAULT (CONFIG_RELOAD)
        ",
    );
    let faults = player.engine.statuses().next().unwrap().faults;
    let words: Vec<_> = faults.iter().map(|fault| (fault.as_str(), fault.describe())).collect();
    let expected = "link eth1, which is to have addresses, is down";
    assert_eq!(words, [("ADDRESS_LINK", expected.into())]);
    let links = player.engine.links();
    let links: Vec<_> = links.values().map(|(name, families)| (&**name, families.len())).collect();
    assert_eq!(links, [("eth0", 1), ("eth1", 0)]);
}
