//! `unicast_peer`: whom adverts are sent to.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::tree::Statement;
use super::Translator;
use crate::value::{quoted, shown};

impl Translator<'_, '_, '_> {
    /// The entries of `peers`. Without `min_ttl` keepalived takes adverts from however far away. One list may serve all nodes: their own
    /// address is nobody else's, and no peer.
    pub(super) fn peers(&mut self, instance: &Statement, own: Option<IpAddr>, is_v6: bool) -> Vec<String> {
        let mut peers = Vec::new();
        let mut seen = BTreeSet::new();
        for line in instance.within("unicast_peer") {
            let Some(word) = line.words.first() else { continue };
            let (bare, prefix) = word.text.split_once('/').unwrap_or((&word.text, ""));
            let Ok(address) = bare.parse::<IpAddr>() else {
                let message = format!("peer {} is no address", shown(&word.text));
                self.refuse(word.place, &message, "write the address of another node");
                continue;
            };
            if !prefix.is_empty() {
                self.warn(
                    word.place,
                    &format!("the prefix length of peer {bare} is left out"),
                    "write the address alone",
                );
            }
            let least = self.least_ttl(line);
            if own == Some(address) {
                self.note(word.place, &format!("{address} is this node's own address, and no peer"));
                continue;
            }
            if address.is_ipv6() != is_v6 {
                let message = format!(
                    "peer {address} is of another family than the addresses, and is left out, as keepalived does"
                );
                self.warn(word.place, &message, "write an address of that family");
                continue;
            }
            if self.is_repeated(line, !seen.insert(address)) {
                continue;
            }
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
