//! `virtual_ipaddress`: the addresses of an instance, those of one family and on its own link.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::files::Place;
use super::super::keywords::{self, Fate};
use super::super::tree::{Statement, Word};
use super::Translator;
use crate::value::shown;

/// One of them.
pub(super) struct Address {
    /// As it is written, with its prefix length.
    pub(super) text: String,
    pub(super) address: IpAddr,
    pub(super) place: Place,
}

/// What is known of the instance that has them.
pub(super) struct Home<'w> {
    pub(super) link: Option<&'w str>,
    /// The name of its virtual MAC's link.
    pub(super) virtual_link: Option<&'w str>,
}

/// What may stand behind an address with a value of its own.
const WITH_VALUE: [&str; 7] = ["dev", "brd", "label", "scope", "peer", "preferred_lft", "track_group"];

impl Translator<'_, '_, '_> {
    /// All addresses of an instance, each once.
    pub(super) fn addresses(&mut self, instance: &Statement, home: &Home<'_>) -> Vec<Address> {
        let mut found: Vec<Address> = Vec::new();
        let mut seen = BTreeSet::new();
        for line in instance.within("virtual_ipaddress") {
            let Some(word) = line.words.first() else { continue };
            let Some(address) = self.address(word, line.place()) else { continue };
            self.options(line, home);
            if !seen.insert(address.address) {
                let message = format!("{} stands here twice", address.address);
                self.warn(word.place, &message, "remove it once");
                continue;
            }
            found.push(address);
        }
        found
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
        Some(Address { text: word.text.clone(), address, place })
    }

    /// Whether the first family is that of all others; those of another are left out, as keepalived does.
    pub(super) fn of_one_family(&mut self, addresses: Vec<Address>) -> Vec<Address> {
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
                "write a vrrp_instance of its own for it; it may have the same virtual_router_id",
            );
        }
        own
    }

    /// What stands behind an address.
    fn options(&mut self, line: &Statement, home: &Home<'_>) {
        for (word, value) in line.options(&WITH_VALUE) {
            match (word.text.as_str(), value) {
                ("dev", Some(link)) => self.link_of_address(line, link, home),
                ("scope", Some(scope)) if matches!(scope.text.as_str(), "global" | "0") => {}
                _ => self.option(line, word),
            }
        }
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

    fn link_of_address(&mut self, line: &Statement, link: &Word, home: &Home<'_>) {
        let named = Some(link.text.as_str());
        if named != home.link && (home.virtual_link.is_none() || named != home.virtual_link) {
            let message = format!(
                "{} is to be on {}, and an instance has its addresses on its own link",
                line.word(),
                shown(&link.text)
            );
            let remedy = "write a vrrp_instance with that interface for it, and both in one vrrp_sync_group";
            self.refuse(link.place, &message, remedy);
        }
    }
}
