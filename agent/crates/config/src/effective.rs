//! A configuration as keys and values, defaults included, for people and for comparing nodes. Shows no secret: passwords,
//! headers, bodies, URLs of webhooks and arguments of commands are left out, as everywhere.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use ha_engine::{
    AddressLease, AddressLostPolicy, AnnouncePolicy, CheckPolicy, ChecksumForm, Floor, InstanceConfig,
    PoolConfig, PoolScope, Protocol, Track, TrackEffect, Transport, Verdict,
};

use crate::address::written;
use crate::duration::human;
use crate::model::{
    ApiLimits, Balancer, Check, Configuration, Journal, LogFormat, Nginx, NginxForm, NginxSorry, Notifier,
    NotifyChannel, Pool,
};

/// One value in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EffectiveValue {
    /// `instance.web.priority`: the section, the name of what has one, the key of `REFERENCE.md`.
    pub key: String,
    /// As it would be written in the file.
    pub value: String,
}

/// Everything that is in force, without secrets: settings, then instances, checks, pools and notifiers in the order of the
/// file. Absent values (no group, no source) have no entry.
pub fn effective(configuration: &Configuration) -> Vec<EffectiveValue> {
    let mut values = Vec::new();
    settings(configuration, &mut values);
    for instance in &configuration.instances {
        show_instance(&mut Section::new(&mut values, "instance", &instance.name), instance);
    }
    for check in &configuration.checks {
        // `checks/NAME`, or `pools/POOL/servers/SERVER/checks/NAME` where a check follows from a pool.
        let name = check.policy.name.strip_prefix("checks/").unwrap_or(&check.policy.name);
        show_check(&mut Section::new(&mut values, "check", name), check);
    }
    for pool in &configuration.pools {
        show_pool(&mut Section::new(&mut values, "pool", &pool.config.name), pool);
    }
    for notifier in &configuration.notifiers {
        show_notifier(&mut Section::new(&mut values, "notify", &notifier.name), notifier);
    }
    values
}

/// Values with the same beginning of their keys.
struct Section<'v> {
    values: &'v mut Vec<EffectiveValue>,
    prefix: String,
}

impl<'v> Section<'v> {
    fn new(values: &'v mut Vec<EffectiveValue>, section: &str, name: &str) -> Self {
        let prefix = if name.is_empty() { format!("{section}.") } else { format!("{section}.{name}.") };
        Self { values, prefix }
    }

    /// A number or a switch.
    fn plain(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.values.push(EffectiveValue { key: format!("{}{key}", self.prefix), value: value.to_string() });
        self
    }

    fn text(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.plain(key, quoted(&value.to_string()))
    }

    fn path(&mut self, key: &str, value: &Path) -> &mut Self {
        self.text(key, value.display())
    }

    fn time(&mut self, key: &str, value: Duration) -> &mut Self {
        self.text(key, human(value))
    }

    fn list<T: Display>(&mut self, key: &str, values: impl IntoIterator<Item = T>) -> &mut Self {
        let words: Vec<String> = values.into_iter().map(|value| quoted(&value.to_string())).collect();
        self.plain(key, format_args!("[{}]", words.join(", ")))
    }

    /// Only there when it is not empty.
    fn list_if_any<T: Display>(&mut self, key: &str, values: &[T]) -> &mut Self {
        if values.is_empty() { self } else { self.list(key, values) }
    }
}

/// As TOML writes it, as far as a terminal is concerned.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// What has no name of its own. A new section of the model fails to compile here until it is shown.
fn settings(configuration: &Configuration, values: &mut Vec<EffectiveValue>) {
    let Configuration {
        node_name,
        instances: _,
        checks: _,
        pools,
        nginx,
        notifiers: _,
        mail,
        cluster,
        api,
        journal,
        metrics,
        telemetry,
        log,
        realtime,
        digest: _,
    } = configuration;
    Section::new(values, "node", "").text("name", node_name);
    let mut section = Section::new(values, "api", "");
    section.path("socket", &api.socket).list("admins", &api.admins).list("operators", &api.operators);
    section.list("readers", &api.readers).plain("history", api.history);
    show_limits(&mut section, api.limits);
    if let Some(tls) = &api.tls {
        section.list("listen", &tls.listen).path("certificate", &tls.certificate);
        section.path("key", &tls.key).path("client_ca", &tls.client_ca);
        tls.revoked.iter().for_each(|file| _ = section.path("revoked", file));
    }
    let mut section = Section::new(values, "cluster", "");
    section.text("split_brain", cluster.split_brain.as_str()).time("stop_timeout", cluster.stop_timeout);
    for peer in &cluster.peers {
        Section::new(values, "peer", &peer.name).text("endpoint", &peer.endpoint);
    }
    show_journal(&mut Section::new(values, "journal", ""), journal);
    if let Some(listen) = metrics.listen {
        Section::new(values, "metrics", "").text("listen", listen);
    }
    let mut section = Section::new(values, "telemetry", "");
    if let Some(endpoint) = &telemetry.endpoint {
        section.text("endpoint", endpoint);
    }
    section.plain("metrics", telemetry.metrics).plain("traces", telemetry.traces);
    section.plain("logs", telemetry.logs).time("interval", telemetry.interval);
    section.time("timeout", telemetry.timeout);
    let format = match log.format {
        LogFormat::Auto => "auto",
        LogFormat::Text => "text",
        LogFormat::Json => "json",
        LogFormat::Journald => "journald",
    };
    Section::new(values, "log", "").text("level", log.level.as_str()).text("format", format);
    let mut section = Section::new(values, "realtime", "");
    section.plain("scheduling", realtime.scheduling).plain("lock_memory", realtime.lock_memory);
    section.plain("priority", realtime.priority);
    if let Some(mail) = mail {
        let mut section = Section::new(values, "mail", "");
        section.text("server", format_args!("{}:{}", mail.host, mail.port)).text("from", &mail.from);
    }
    if pools.iter().any(|pool| pool.balancer.is_some()) {
        show_nginx(&mut Section::new(values, "nginx", ""), nginx);
    }
}

fn show_limits(section: &mut Section<'_>, limits: ApiLimits) {
    let ApiLimits { connections, tls_connections, certificate_connections, calls, watches, unread_answers } =
        limits;
    section.plain("connections", connections).plain("tls_connections", tls_connections);
    section.plain("certificate_connections", certificate_connections);
    section.plain("calls", calls).plain("watches", watches);
    section.text("unread_answers", format_args!("{} MiB", unread_answers >> 20));
}

fn show_journal(section: &mut Section<'_>, Journal { enabled, directory, size, age }: &Journal) {
    section.plain("enabled", enabled).text("size", format_args!("{} MiB", size >> 20)).time("age", *age);
    if let Some(directory) = directory {
        section.path("directory", directory);
    }
}

fn show_nginx(section: &mut Section<'_>, nginx: &Nginx) {
    section.path("program", &nginx.program);
    if let Some(file) = &nginx.configuration {
        section.path("configuration", file);
    }
    if let Some(prefix) = &nginx.prefix {
        section.path("prefix", prefix);
    }
    section.path("pid_file", &nginx.pid_file);
    section.time("command_timeout", nginx.command_timeout).time("reload_timeout", nginx.reload_timeout);
}

/// The exhaustive pattern makes a new field of the model fail to compile here until it is shown.
fn show_instance(section: &mut Section<'_>, instance: &InstanceConfig) {
    let InstanceConfig {
        name: _,
        interface,
        virtual_router_id,
        family: _, // follows from the addresses
        protocol,
        priority,
        interval,
        longest_adopted_interval,
        addresses,
        preempt,
        preempt_delay,
        startup_delay,
        transport,
        source,
        announce,
        address_lost,
        lease,
        virtual_mac,
        tracks,
        group,
    } = instance;
    section.text("interface", interface).plain("virtual_router_id", virtual_router_id.get());
    let addresses: Vec<String> = addresses.iter().map(written).collect();
    section.plain("addresses", format_args!("[{}]", addresses.join(", "))).plain("priority", priority.get());
    show_protocol(section, protocol);
    section.time("advertisement_interval", interval.duration());
    section.time("longest_adopted_interval", *longest_adopted_interval);
    section.plain("preempt", preempt).time("preempt_delay", *preempt_delay);
    section.time("startup_delay", *startup_delay);
    if let Some(source) = source {
        section.text("source", source);
    }
    show_transport(section, transport);
    let AnnouncePolicy { repeat, interval, delay, refresh } = announce;
    section.plain("announce.repeat", repeat).time("announce.interval", *interval);
    section.time("announce.delay", *delay).time("announce.refresh", *refresh);
    let lost = match address_lost {
        AddressLostPolicy::Restore => "restore",
        AddressLostPolicy::Release => "release",
    };
    section.text("address_lost", lost);
    match lease {
        AddressLease::Auto => section.text("address_lease", "auto"),
        AddressLease::Off => section.text("address_lease", "off"),
        AddressLease::Seconds(seconds) => section.plain("address_lease", seconds),
    };
    section.plain("virtual_mac", virtual_mac);
    tracks.iter().for_each(|track| show_track(section, track));
    if let Some(group) = group {
        section.text("group", group);
    }
}

fn show_protocol(section: &mut Section<'_>, protocol: &Protocol) {
    match protocol {
        Protocol::V2 { password } => {
            section.plain("version", 2);
            if password.is_some() {
                section.text("password", "***");
            }
        }
        Protocol::V3 { checksum } => {
            let checksum = match checksum {
                ChecksumForm::MessageOnly => "message-only",
                ChecksumForm::PseudoHeader | ChecksumForm::MulticastPseudoHeader => "pseudo-header",
            };
            section.plain("version", 3).text("checksum", checksum);
        }
    }
}

fn show_transport(section: &mut Section<'_>, transport: &Transport) {
    match transport {
        Transport::Multicast { allowed_sources } => {
            section.list_if_any("allowed_sources", allowed_sources);
        }
        Transport::Unicast { peers, ttl } => {
            section.list("unicast.peers", peers.iter().map(|peer| peer.address));
            section.plain("unicast.ttl", ttl);
            for peer in peers.iter().filter(|peer| peer.minimum_ttl != 255) {
                section.plain(&format!("unicast.minimum_ttl.{}", peer.address), peer.minimum_ttl);
            }
        }
    }
}

fn show_track(section: &mut Section<'_>, track: &Track) {
    let key = format!("track.{}", track.fact);
    let turned = |reverse: bool| if reverse { ", reverse" } else { "" };
    match track.effect {
        TrackEffect::Fault { reverse } => section.text(&key, format_args!("fault{}", turned(reverse))),
        TrackEffect::Weight { weight, reverse } => {
            section.text(&key, format_args!("weight {weight}{}", turned(reverse)))
        }
        TrackEffect::Value { factor } => section.text(&key, format_args!("factor {factor}")),
        TrackEffect::ValueFault => section.text(&key, "fault on value"),
    };
}

fn show_check(section: &mut Section<'_>, check: &Check) {
    let Check { policy, kind, remedy } = check;
    let CheckPolicy { interval, timeout, rise, fall, jitter_percent, initial, grace, backoff, .. } = policy;
    section.text("kind", kind.as_str());
    if let Some(rule) = &policy.rule {
        section.plain("needs", rule.wanted()).list("members", rule.members());
        return;
    }
    section.text("looks_at", kind).time("interval", *interval).time("timeout", *timeout);
    section.plain("rise", rise).plain("fall", fall).text("jitter", format_args!("{jitter_percent}%"));
    let initial = match initial {
        Verdict::Unknown => "unknown",
        Verdict::Passing => "passing",
        Verdict::Failing => "failing",
    };
    section.text("initial", initial).time("grace", *grace);
    if let Some(backoff) = backoff {
        section.time("backoff", *backoff);
    }
    if let Some(damping) = &policy.damping {
        section.time("damping.within", damping.within).time("damping.hold", damping.hold);
        section.time("damping.longest", damping.longest);
    }
    if let Some(remedy) = remedy {
        section.text("remedy.program", program(&remedy.command.argv));
        section.time("remedy.timeout", remedy.policy.timeout).time("remedy.wait", remedy.policy.wait);
    }
}

fn show_pool(section: &mut Section<'_>, pool: &Pool) {
    let PoolConfig { name: _, servers, quorum, hysteresis, sorry, floor, slow_start, scope } = &pool.config;
    section.plain("quorum", quorum).plain("hysteresis", hysteresis);
    match floor {
        Floor::Servers(count) => section.plain("floor", count),
        Floor::Percent(share) => section.text("floor", format_args!("{share}%")),
    };
    if let Some(time) = slow_start {
        section.time("slow_start", *time);
    }
    if let PoolScope::WhenActive(instance) = scope {
        section.text("only_while_active", instance);
    }
    if let Some(sorry) = sorry {
        section.text("sorry_server", std::net::SocketAddr::new(sorry.address, sorry.port));
    }
    for server in servers {
        let address = std::net::SocketAddr::new(server.address, server.port);
        let key = format!("server.{}", server.name);
        section.text(&key, format_args!("{address} weight {}", server.weight));
    }
    if let Some(Balancer::Nginx(nginx)) = &pool.balancer {
        section.path("nginx.file", &nginx.file).plain("nginx.passive_checks", nginx.passive_checks);
        let form = match nginx.form {
            NginxForm::Servers => "servers",
            NginxForm::Upstream => "upstream",
        };
        let sorry = match nginx.sorry {
            NginxSorry::Standby => "standby",
            NginxSorry::Alone => "alone",
        };
        section.text("nginx.form", form).text("nginx.sorry", sorry);
    }
}

fn show_notifier(section: &mut Section<'_>, notifier: &Notifier) {
    let Notifier { name: _, on, states, types, channel, timeout, retry_for, queue } = notifier;
    section.list("on", on);
    if !states.is_empty() {
        section.list("states", states.iter().map(|state| state.as_str()));
    }
    section.list_if_any("types", types);
    match channel {
        NotifyChannel::Command(notify) => section
            .text("program", program(&notify.command.argv))
            .plain("arguments", notify.arguments)
            .plain("leave_running", notify.leave_running),
        NotifyChannel::Fifo(fifo) => section.path("fifo", &fifo.path).plain("priorities", fifo.priorities),
        NotifyChannel::Webhook(_) => section.text("webhook", "***"),
        NotifyChannel::Mail { to } => section.list("mail.to", to),
    };
    section.time("timeout", *timeout).time("retry_for", *retry_for).plain("queue", queue);
}

/// Of a command only the program is shown: arguments may be secrets.
fn program(argv: &[String]) -> &str {
    argv.first().map_or("", String::as_str)
}
