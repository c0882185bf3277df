//! `unicast_peer`: whom adverts are sent to.

use std::net::IpAddr;

use super::super::toml::quoted;
use super::super::tree::Statement;
use super::Translator;
use crate::value::shown;

impl Translator<'_, '_, '_> {
    /// The entries of `peers`. Without `min_ttl` keepalived takes adverts from however far away.
    pub(super) fn peers(&mut self, block: &Statement) -> Vec<String> {
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
            let least = self.least_ttl(line);
            peers.push(format!("{{ address = {}, minimum_ttl = {least} }}", quoted(bare)));
        }
        peers
    }

    /// What stands behind a peer.
    fn least_ttl(&mut self, line: &Statement) -> i64 {
        let mut least = 1;
        for (word, value) in line.options(&["min_ttl", "max_ttl"]) {
            match (word.text.as_str(), value) {
                ("min_ttl", Some(value)) => {
                    least = self.number_of("min_ttl", value, 0..=255).unwrap_or(1).max(1)
                }
                ("max_ttl", Some(value)) if value.text == "255" => {}
                ("max_ttl", Some(value)) => {
                    let message = "adverts are also taken from nearer than max_ttl says";
                    self.warn(value.place, message, "nothing to do: nobody nearer can be the peer");
                }
                _ => self.left_over(word, "a peer"),
            }
        }
        least
    }
}
