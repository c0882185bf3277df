//! `vrrp_instance`: read whole, then written.

use std::time::Duration;

use super::super::files::Place;
use super::super::keywords;
use super::super::tree::{Statement, Word};
use super::address::{Address, Home};
use super::global::Announce;
use super::track::{Entries, Tracker, looked_of};
use super::{Translator, is_on};
use crate::duration::human;
use crate::value::{quoted, shown};

/// What an instance says, as far as it counts.
#[derive(Default)]
struct Said<'t> {
    is_master: Option<Place>,
    interface: Option<Word>,
    id: Option<(i64, Place)>,
    priority: Option<(i64, Place)>,
    interval: Option<(Duration, Place)>,
    version: Option<(i64, Place)>,
    no_preempt: Option<Place>,
    preempt_delay: Option<(Duration, Place)>,
    strict: bool,
    checksum: Option<Place>,
    password: Option<&'t Statement>,
    source: Option<Word>,
    peers: Option<(Vec<String>, Place)>,
    ttl: Option<i64>,
    virtual_mac: Option<&'t Statement>,
    addresses: Option<(Place, Vec<Address>)>,
    announce: Announce,
    announce_place: Place,
    tracks: Entries,
    alert: Option<bool>,
}

impl<'t> Translator<'t, '_, '_> {
    pub(super) fn instance(&mut self, index: usize, block: &'t Statement) {
        let Some(name) = self.name_of(block) else { return };
        let link = block.find("interface").and_then(Statement::text);
        let mut said = Said { strict: self.globals.strict, ..Said::default() };
        let group = block.text().and_then(|name| self.groups.get(name).copied());
        let tracker =
            Tracker { link, is_weightless: group.is_some_and(|group| !super::group::weighs(group)), index };
        for statement in block.inner() {
            if self.known(statement, keywords::INSTANCE, "vrrp_instance").is_some() {
                self.read_one(statement, block, &name, tracker, &mut said);
            }
        }
        said.password = self.password(block);
        self.read_addresses(block, link, &mut said);
        self.read_peers(block, &mut said);
        if said.alert.unwrap_or(self.globals.mail.alert) {
            self.notices.mail(format!("instances/{name}"), block.place());
        }
        self.write_instance(&name, block, group, said);
    }

    fn read_one(
        &mut self,
        statement: &'t Statement,
        block: &'t Statement,
        name: &str,
        tracker: Tracker<'_>,
        said: &mut Said<'t>,
    ) {
        let place = statement.place();
        let word = statement.word();
        if let Some(looked) = looked_of(word) {
            return self.tracks(statement, looked, tracker, &mut said.tracks);
        }
        match word {
            // MASTER is not taken back.
            "state" => said.is_master = self.state(statement).or(said.is_master),
            "interface" => said.interface = self.value_of(statement),
            "virtual_router_id" => said.id = self.router_id(statement),
            // Out of range it is 100 for keepalived, also beside state MASTER.
            "priority" => said.priority = Some((self.number(statement, 1..=255).unwrap_or(100), place)),
            "advert_int" => {
                let range = Duration::from_millis(10)..=Duration::from_secs(255);
                said.interval = self.seconds(statement, range).map(|interval| (interval, place));
            }
            "version" => self.version(statement, said),
            "nopreempt" => said.no_preempt = Some(place),
            "preempt" => said.no_preempt = None,
            "preempt_delay" => {
                let range = Duration::ZERO..=Duration::from_secs(1000);
                said.preempt_delay = self.seconds(statement, range).map(|delay| (delay, place));
            }
            // Those of all their blocks are read together.
            "authentication" | "unicast_peer" | "virtual_ipaddress" | "virtual_ipaddress_excluded" => {}
            "mcast_src_ip" | "unicast_src_ip" => self.source(statement, said),
            "unicast_ttl" => said.ttl = self.number(statement, 0..=255).map(|ttl| ttl.max(1)),
            "use_vmac" => said.virtual_mac = self.virtual_mac(statement),
            "mcast_dst_ip" => {
                let is_v6 = statement.text().is_some_and(|text| text.contains(':'));
                self.multicast_group(statement, if is_v6 { "ff02::12" } else { "224.0.0.18" });
            }
            "notify_priority_changes" => self.globals.priorities |= is_on(statement),
            "smtp_alert" => said.alert = Some(is_on(statement)),
            "v3_checksum_as_v2" => said.checksum = Some(place).filter(|_| is_on(statement)),
            "strict_mode" => {
                said.strict = is_on(statement);
                self.strict_is_noted(statement);
            }
            word if word.starts_with("notify") => self.notify(statement, "instances", name, block.place()),
            word => match self.announce(word, statement, &mut said.announce) {
                Some(()) => said.announce_place = place,
                None => self.forgotten(statement),
            },
        }
    }

    fn state(&mut self, statement: &Statement) -> Option<Place> {
        match self.value_of(statement)?.text.as_str() {
            "MASTER" => return Some(statement.place()),
            "BACKUP" => {}
            other => {
                let message =
                    format!("state {} is neither MASTER nor BACKUP, and counts as BACKUP", shown(other));
                self.warn(statement.place(), &message, "write BACKUP, or MASTER");
            }
        }
        None
    }

    /// The first one counts.
    fn version(&mut self, statement: &Statement, said: &mut Said<'_>) {
        let Some(version) = self.loose_number(statement, 2..=3, 2..=3) else { return };
        match said.version {
            Some((first, _)) if first != version => {
                let message = format!("version {first} stands above and counts, as in keepalived");
                self.warn(statement.place(), &message, "remove one of the two");
            }
            Some(_) => {}
            None => said.version = Some((version, statement.place())),
        }
    }

    /// There is no default for it.
    fn router_id(&mut self, statement: &Statement) -> Option<(i64, Place)> {
        let word = self.value_of(statement)?;
        let id = word.text.parse().ok().filter(|id| (1..=255).contains(id));
        if id.is_none() {
            let message = format!("virtual_router_id {} is not between 1 and 255", shown(&word.text));
            self.refuse(word.place, &message, "write the same number on all nodes of the virtual router");
        }
        id.map(|id| (id, statement.place()))
    }

    fn source(&mut self, statement: &Statement, said: &mut Said<'_>) {
        let Some(word) = self.value_of(statement) else { return };
        // keepalived sends unicast from unicast_src_ip, whatever mcast_src_ip says.
        if said.source.is_none() || statement.word() == "unicast_src_ip" {
            said.source = Some(word);
        }
    }

    fn virtual_mac(&mut self, statement: &'t Statement) -> Option<&'t Statement> {
        let mac = statement.rest().iter().find(|word| word.text.matches(':').count() == 5);
        if let Some(mac) = mac {
            self.refuse(
                mac.place,
                "the virtual MAC is 00:00:5e:00:01:VRID, and no other",
                "remove the address of the MAC",
            );
        }
        Some(statement)
    }

    /// The password of version 2, as keepalived sends it.
    fn password(&mut self, block: &'t Statement) -> Option<&'t Statement> {
        for statement in block.within("authentication") {
            self.known(statement, keywords::AUTHENTICATION, "authentication");
        }
        let last = |word| block.within("authentication").rfind(|statement| statement.word() == word);
        let (kind, pass) = (last("auth_type"), last("auth_pass"));
        for statement in kind.into_iter().chain(pass) {
            self.value_of(statement);
        }
        let pass = pass.filter(|pass| pass.text() != Some(""));
        let Some(kind) = kind else {
            if let Some(pass) = pass {
                let message = "auth_pass without auth_type: adverts have no password, as in keepalived";
                self.warn(
                    pass.place(),
                    message,
                    "write auth_type PASS on all nodes, or remove authentication",
                );
            }
            return None;
        };
        match kind.text()? {
            "PASS" if pass.is_none() => {
                let message = "auth_type PASS without auth_pass: adverts have no password, as in keepalived";
                self.warn(kind.place(), message, "write auth_pass on all nodes, or remove authentication");
            }
            "PASS" => return pass,
            "AH" => self.refuse(
                kind.place(),
                "adverts cannot be signed with AH (IPsec): peers would drop them",
                "write auth_type PASS on all nodes, or none; RFC 3768 has taken AH away",
            ),
            other => {
                let message = format!("auth_type {} is not known; there is no password", shown(other));
                self.warn(kind.place(), &message, "write auth_type PASS, or remove authentication");
            }
        }
        None
    }

    fn read_addresses(&mut self, block: &'t Statement, link: Option<&str>, said: &mut Said<'t>) {
        let virtual_link = said.virtual_mac.and_then(Statement::text).map(str::to_owned);
        let home = Home { link, virtual_link: virtual_link.as_deref() };
        if let Some(last) = block.find("virtual_ipaddress") {
            said.addresses = Some((last.place(), self.addresses(block, &home)));
        }
    }

    fn read_peers(&mut self, block: &Statement, said: &mut Said<'_>) {
        let Some(last) = block.find("unicast_peer") else { return };
        let source = said.source.as_ref().and_then(|source| source.text.split('/').next());
        let own = source.and_then(|source| source.parse().ok());
        let first = said.addresses.as_ref().and_then(|(_, addresses)| addresses.first());
        let peers = self.peers(block, own, first.is_some_and(|first| first.address.is_ipv6()));
        said.peers = Some((peers, last.place()));
    }

    fn write_instance(
        &mut self,
        name: &str,
        block: &Statement,
        group: Option<&'t Statement>,
        said: Said<'_>,
    ) {
        self.check_whole(name, block, &said);
        self.table("[[instance]]", block.place());
        self.toml.key("name", &quoted(name), block.value().map_or(block.place(), |name| name.place));
        if let Some(interface) = &said.interface {
            self.text_key("interface", interface);
        }
        if let Some((id, place)) = said.id {
            self.toml.key("virtual_router_id", &id.to_string(), place);
        }
        let version = self.write_version(block, &said);
        self.write_priority(block, &said);
        self.write_interval(version, &said);
        self.write_preemption(&said);
        self.write_password(version, &said);
        self.write_transport(&said);
        if said.addresses.is_none() {
            self.toml.key("addresses", "[]", block.place());
        }
        if let Some((place, addresses)) = &said.addresses {
            let lines = addresses.iter().map(|address| (address.entry(), address.place));
            self.toml.list_key("addresses", &lines.collect::<Vec<_>>(), *place);
        }
        self.write_announce(said.announce, said.announce_place);
        if let Some(statement) = said.virtual_mac {
            self.toml.key("virtual_mac", "true", statement.place());
        }
        if let [(_, first), ..] = said.tracks.list[..] {
            self.toml.list_key("track", &said.tracks.list, first);
        }
        if let Some(group) = group.and_then(Statement::value) {
            self.toml.key("group", &quoted(&super::allowed_name(&group.text)), group.place);
        }
        self.end_table();
    }

    /// keepalived leaves an instance out that lacks these; here that is an error, because nobody would have its addresses.
    fn check_whole(&mut self, name: &str, block: &Statement, said: &Said<'_>) {
        let wanted = [
            ("interface", "interface eth0", said.interface.is_none()),
            (
                "virtual_router_id",
                "virtual_router_id 51",
                said.id.is_none() && block.find("virtual_router_id").is_none(),
            ),
            // Without any address it only elects; those that are not advertised must not be lost.
            (
                "virtual_ipaddress beside virtual_ipaddress_excluded",
                "virtual_ipaddress { 192.0.2.10 }",
                said.addresses.is_none() && block.find("virtual_ipaddress_excluded").is_some(),
            ),
        ];
        for (word, remedy, _) in wanted.into_iter().filter(|(.., is_missing)| *is_missing) {
            let message = format!("vrrp_instance {} has no {word}", shown(name));
            self.refuse(block.place(), &message, &format!("write {remedy}"));
        }
    }

    /// IPv6 is always version 3.
    fn write_version(&mut self, block: &Statement, said: &Said<'_>) -> i64 {
        let usual = if self.globals.version_3.is_some() { 3 } else { 2 };
        let first = said.addresses.as_ref().and_then(|(place, addresses)| Some((*place, addresses.first()?)));
        let (version, place) = match (first, said.version) {
            (Some((place, first)), said) if first.address.is_ipv6() => {
                if let Some((_, said)) = said.filter(|(version, _)| *version == 2) {
                    self.version_2_of_ipv6(block, said);
                }
                (3, said.map_or(place, |(_, place)| place))
            }
            (_, Some(said)) => said,
            (_, None) => (usual, Place::default()),
        };
        if version != usual {
            self.toml.key("version", &version.to_string(), place);
        }
        let is_v6 = first.is_some_and(|(_, first)| first.address.is_ipv6());
        if let Some(place) = said.checksum.filter(|_| version == 3 && !is_v6) {
            self.toml.key("checksum", "\"message-only\"", place);
        }
        version
    }

    /// keepalived speaks it when it reads the version before the addresses.
    fn version_2_of_ipv6(&mut self, block: &Statement, place: Place) {
        let position = |word| block.inner().iter().position(|statement| statement.word() == word);
        if position("version") > position("virtual_ipaddress") {
            return self.warn(place, "IPv6 is always version 3, as in keepalived", "remove it");
        }
        let message = "keepalived speaks version 2 over IPv6 with this, which no RFC has: neither would hear the other, and both would have the addresses";
        let remedy = "write version 3 on all nodes, and let keepalived on all of them read it before one runs the agent";
        self.refuse(place, message, remedy);
    }

    fn priority_of(said: &Said<'_>) -> i64 {
        said.priority.map_or(if said.is_master.is_some() { 255 } else { 100 }, |(priority, _)| priority)
    }

    fn write_priority(&mut self, block: &Statement, said: &Said<'_>) {
        let priority = Self::priority_of(said);
        let place = said.priority.map(|(_, place)| place).or(said.is_master).unwrap_or(block.place());
        if said.priority.is_none() && said.is_master.is_some() {
            let message = "state MASTER without priority means 255, the priority of who owns the addresses";
            self.warn(
                place,
                message,
                "write priority 150, or any lower than 255, if they are not this node's own",
            );
        }
        if priority != 100 {
            self.toml.key("priority", &priority.to_string(), place);
        }
    }

    /// Version 2 has whole seconds, version 3 hundredths up to 40.95 s.
    fn write_interval(&mut self, version: i64, said: &Said<'_>) {
        let Some((interval, place)) = said.interval else { return };
        let one = Duration::from_secs(1);
        let spoken = match version {
            2 => Duration::from_secs((interval + Duration::from_millis(500)).as_secs()).max(one),
            _ => {
                let hundredths = (interval + Duration::from_millis(5)).as_millis() / 10;
                Duration::from_millis(10 * u64::try_from(hundredths).map_or(4095, |all| all.clamp(1, 4095)))
            }
        };
        if spoken != interval {
            let message = format!(
                "version {version} cannot say an interval of {}: it is {}, as keepalived has it",
                human(interval),
                human(spoken)
            );
            self.warn(place, &message, "write what it becomes");
        }
        if spoken != one {
            self.toml.key("advertisement_interval", &quoted(&human(spoken)), place);
        }
    }

    fn write_preemption(&mut self, said: &Said<'_>) {
        let owner = Self::priority_of(said) == 255;
        let aside = |what: &str, why: &str| format!("{what} is set aside beside {why}, as keepalived does");
        let mut no_preempt = said.no_preempt;
        if let Some(place) = no_preempt.filter(|_| said.is_master.is_some() || owner) {
            let why = if said.is_master.is_some() { "state MASTER" } else { "priority 255" };
            self.warn(place, &aside("nopreempt", why), "write state BACKUP, or remove nopreempt");
            no_preempt = None;
        }
        if let Some(place) = no_preempt {
            self.toml.key("preempt", "false", place);
        }
        let Some((delay, place)) = said.preempt_delay.filter(|(delay, _)| !delay.is_zero()) else { return };
        let why = match () {
            () if said.strict => "strict mode",
            () if said.is_master.is_some() => "state MASTER",
            () if no_preempt.is_some() => "nopreempt",
            () => return self.toml.key("preempt_delay", &quoted(&human(delay)), place),
        };
        self.warn(place, &aside("preempt_delay", why), "remove one of the two");
    }

    fn write_password(&mut self, version: i64, said: &Said<'_>) {
        const LONGEST: usize = 8;
        let Some(statement) = said.password else { return };
        let Some(word) = statement.value() else { return };
        if version == 3 || said.strict {
            let why = if said.strict { "strict mode" } else { "version 3" };
            let message = format!("{why} has no passwords: it is left out, as keepalived does");
            return self.warn(statement.place(), &message, "remove authentication");
        }
        let cut = word.text.floor_char_boundary(LONGEST);
        if cut < word.text.len() {
            let message = "the password is longer than 8 characters, and cut there, as keepalived does";
            self.warn(statement.place(), message, "write 8 characters or fewer");
        }
        self.toml.quiet_key("password", &quoted(&word.text[..cut]), word.place);
    }

    fn write_transport(&mut self, said: &Said<'_>) {
        if let Some(source) = &said.source {
            let bare = source.text.split('/').next().unwrap_or_default();
            self.toml.key("source", &quoted(bare), source.place);
        }
        let Some((peers, place)) = &said.peers else { return };
        let ttl = said.ttl.filter(|ttl| *ttl != 255).map(|ttl| format!(", ttl = {ttl}")).unwrap_or_default();
        self.toml.key("unicast", &format!("{{ peers = [{}]{ttl} }}", peers.join(", ")), *place);
    }
}
