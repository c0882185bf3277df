//! `virtual_ipaddress` and `virtual_ipaddress_excluded`: the addresses of an instance, their links, and which of them adverts carry.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ha_engine::Family;

use super::super::files::Place;
use super::super::keywords::{self, Fate};
use super::super::tree::{Statement, Word};
use super::Translator;
use crate::address::entry;
use crate::instance::most_addresses;
use crate::value::shown;

/// One of them.
pub(super) struct Address {
    /// As it is written, with its prefix length.
    pub(super) text: String,
    pub(super) address: IpAddr,
    pub(super) place: Place,
    /// Another link than the instance's.
    link: Option<String>,
    advertised: bool,
}

impl Address {
    /// As TOML has it.
    pub(super) fn entry(&self) -> String {
        entry(&self.text, self.link.as_deref(), self.advertised)
    }
}

/// What is known of the instance that has them.
pub(super) struct Home<'w> {
    pub(super) link: Option<&'w str>,
    /// The name of its virtual MAC's link.
    pub(super) virtual_link: Option<&'w str>,
}

impl Home<'_> {
    /// What is named, if it is neither the instance's link nor that of its virtual MAC.
    fn other_link(&self, named: &str) -> Option<String> {
        let is_own = [self.link, self.virtual_link].contains(&Some(named));
        (!is_own).then(|| named.to_owned())
    }
}

/// What may stand behind an address with a value of its own.
const WITH_VALUE: [&str; 7] = ["dev", "brd", "label", "scope", "peer", "preferred_lft", "track_group"];

impl Translator<'_, '_, '_> {
    /// All addresses of an instance, each once: those that adverts carry, then the others.
    pub(super) fn addresses(&mut self, instance: &Statement, home: &Home<'_>) -> Vec<Address> {
        let mut seen = BTreeMap::new();
        let advertised = self.of_block(instance, "virtual_ipaddress", home, &mut seen);
        let mut all = self.of_one_family(advertised);
        self.cut_advert(&mut all);
        let excluded = self.of_block(instance, "virtual_ipaddress_excluded", home, &mut seen);
        all.extend(excluded.into_iter().map(|address| Address { advertised: false, ..address }));
        all
    }

    fn of_block(
        &mut self,
        instance: &Statement,
        word: &str,
        home: &Home<'_>,
        seen: &mut BTreeMap<IpAddr, Option<String>>,
    ) -> Vec<Address> {
        let mut found: Vec<Address> = Vec::new();
        for line in instance.within(word) {
            let Some(word) = line.words.first() else { continue };
            let Some(mut address) = self.address(word, line.place()) else { continue };
            address.link = self.options(line, home);
            match seen.get(&address.address) {
                None => {
                    seen.insert(address.address, address.link.clone());
                    found.push(address);
                }
                Some(link) if *link == address.link => {
                    let message = format!("{} stands here twice", address.address);
                    self.warn(word.place, &message, "remove it once");
                }
                Some(_) => {
                    let message = format!("{} cannot be on two links", address.address);
                    self.refuse(word.place, &message, "leave it on one of them");
                }
            }
        }
        found
    }

    /// What an advert has no room for is held all the same, as in keepalived.
    fn cut_advert(&mut self, addresses: &mut [Address]) {
        let Some(first) = addresses.first() else { return };
        let most = most_addresses(Family::of(first.address));
        let Some((_, rest)) = addresses.split_at_mut_checked(most) else { return };
        if let Some(first) = rest.first() {
            let message = format!(
                "an advert has room for {most} addresses: the others are held but not advertised, as in keepalived"
            );
            self.warn(first.place, &message, "write them into virtual_ipaddress_excluded on all nodes");
        }
        rest.iter_mut().for_each(|address| address.advertised = false);
    }

    fn address(&mut self, word: &Word, place: Place) -> Option<Address> {
        let bare = word.text.split('/').next().unwrap_or_default();
        let Ok(address) = bare.parse() else {
            let is_keyword = keywords::find(keywords::INSTANCE, &word.text).is_some();
            let remedy = if is_keyword {
                "close the block above it with '}'"
            } else {
                "write an address, such as 192.0.2.10/24"
            };
            self.refuse(word.place, &format!("{} is no address", shown(&word.text)), remedy);
            return None;
        };
        Some(Address { text: word.text.clone(), address, place, link: None, advertised: true })
    }

    /// Whether the first family is that of all others; those of another are left out, as keepalived does.
    fn of_one_family(&mut self, addresses: Vec<Address>) -> Vec<Address> {
        let Some(is_v6) = addresses.first().map(|first| first.address.is_ipv6()) else { return addresses };
        let (own, others): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|one| one.address.is_ipv6() == is_v6);
        for other in others {
            let message = format!(
                "{} is of another family than the first address, and is left out, as keepalived does",
                other.address
            );
            self.warn(
                other.place,
                &message,
                "write it into virtual_ipaddress_excluded, or a vrrp_instance of its own for it with the same virtual_router_id",
            );
        }
        own
    }

    /// What stands behind an address; its link, if that is another than the instance's.
    fn options(&mut self, line: &Statement, home: &Home<'_>) -> Option<String> {
        let (mut other, mut untracked) = (None, None);
        for (word, value) in line.options(&WITH_VALUE) {
            match (word.text.as_str(), value) {
                ("dev", Some(link)) => other = home.other_link(&link.text),
                ("scope", Some(scope)) if matches!(scope.text.as_str(), "global" | "0") => {}
                ("no_track", _) => untracked = Some(word),
                _ => self.option(line, word),
            }
        }
        if let (Some(link), Some(untracked)) = (&other, untracked) {
            let message = format!(
                "no_track of {}: while {} is down this node would give all addresses of the instance up",
                line.word(),
                shown(link)
            );
            let remedy = "remove no_track; or write the address into a vrrp_instance of its own, so that the others do not depend on that link";
            self.refuse(untracked.place, &message, remedy);
        }
        other
    }

    fn option(&mut self, line: &Statement, word: &Word) {
        let Some(keyword) = keywords::find(keywords::ADDRESS, &word.text) else {
            return self.left_over(word, "an address");
        };
        let message = format!("{} of {}: {}", word.text, line.word(), keyword.what);
        match keyword.fate {
            Fate::Refused => self.refuse(word.place, &message, keyword.remedy),
            Fate::Differs => self.warn(word.place, &message, keyword.remedy),
            Fate::Taken | Fate::Native => {}
        }
    }
}
