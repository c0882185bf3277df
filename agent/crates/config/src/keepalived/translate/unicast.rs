//! `unicast_peer`: whom adverts are sent to.

use std::net::IpAddr;

use super::super::files::Place;
use super::super::toml::quoted;
use super::super::tree::{Statement, after};
use super::Translator;
use crate::value::shown;

impl Translator<'_, '_, '_> {
    /// The entries of `peers`. Without `min_ttl` keepalived takes adverts from however far away.
    pub(super) fn peers(&mut self, block: &Statement) -> Vec<(String, Place)> {
        let mut peers = Vec::new();
        for line in block.inner() {
            let Some(word) = line.words.first() else { continue };
            let (bare, prefix) = word.text.split_once('/').unwrap_or((&word.text, ""));
            if bare.parse::<IpAddr>().is_err() {
                self.refuse(
                    word.place,
                    &format!("peer {} is no address", shown(&word.text)),
                    "write the address of another node",
                );
                continue;
            }
            if !prefix.is_empty() {
                self.warn(
                    word.place,
                    &format!("the prefix length of peer {bare} is left out"),
                    "write the address alone",
                );
            }
            let least = after(&line.words, "min_ttl").cloned();
            let least = least.and_then(|word| self.number_of("min_ttl", &word, 0, 255)).unwrap_or(1).max(1);
            if let Some(most) = after(&line.words, "max_ttl").filter(|most| most.text != "255") {
                let message = "adverts are also taken from nearer than max_ttl says";
                self.warn(most.place, message, "nothing to do: nobody nearer can be the peer");
            }
            let entry = format!("{{ address = {}, minimum_ttl = {least} }}", quoted(bare));
            peers.push((entry, line.place()));
        }
        peers
    }
}
