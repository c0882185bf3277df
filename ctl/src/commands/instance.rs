//! `hactl instance list` and `hactl instance get`.

use crate::args::Target;
use crate::commands::Context;
use crate::commands::blocks::Block;
use crate::commands::unknown::unknown_instance;
use crate::exit::Exit;
use crate::fanout::Scope;
use crate::model::InstanceView;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times, paint, utc};
use crate::span::Span;

impl Item for InstanceView {
    const KIND: &'static str = "Instance";
    const NONE: &'static str = "no virtual router is configured";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers =
            vec!["INSTANCE", "NODE", "STATE", "PRIORITY", "VRID", "INTERFACE", "SINCE", "WHY", "VIPS"];
        if wide {
            headers.extend([
                "FAMILY",
                "VERSION",
                "PREEMPT",
                "INTERVAL",
                "ACTIVE DOWN",
                "HEARS",
                "RIVAL",
                "FAULT",
            ]);
        }
        headers
    }

    fn cells(&self, wide: bool, times: &Times) -> Vec<Cell> {
        let priority = if self.priority_override.is_some() { Paint::Warn } else { Paint::Plain };
        let mut cells = vec![
            Cell::painted(Paint::Bold, &self.instance),
            Cell::new(&self.node),
            Cell::painted(Paint::state(self.state), self.state),
            Cell::painted(priority, self.priority_label()),
            Cell::new(self.virtual_router_id.to_string()),
            Cell::new(&self.interface),
            Cell::new(times.with_age(self.last_transition_time, self.state_age)),
            Cell::new(if wide || self.fault_reasons.is_empty() { self.why.clone() } else { self.faults() }),
            Cell::new(summary(&self.vips)),
        ];
        if wide {
            cells.extend([
                Cell::new(self.family),
                Cell::new(self.vrrp_version.to_string()),
                Cell::new(self.tolerates.unwrap_or("yes")),
                Cell::new(span(self.advertisement_interval)),
                Cell::new(span(self.active_down_interval)),
                Cell::new(self.hears()),
                Cell::painted(Paint::Bad, self.rival_address.clone().unwrap_or_default()),
                Cell::painted(Paint::Bad, self.faults()),
            ]);
        }
        cells
    }
}

impl InstanceView {
    fn faults(&self) -> String {
        self.fault_reasons.join("; ")
    }

    fn hears(&self) -> String {
        match (&self.observed_active_address, self.observed_active_priority) {
            (Some(address), Some(priority)) => format!("{address} (prio {priority})"),
            (Some(address), None) => address.clone(),
            (None, _) => String::new(),
        }
    }
}

fn span(span: Option<Span>) -> String {
    span.map(|span| span.to_string()).unwrap_or_default()
}

/// The first few, and how many more.
fn summary(all: &[String]) -> String {
    match all {
        [one, two, rest @ ..] if rest.len() > 1 => format!("{one} {two} and {} more", rest.len()),
        all => all.join(" "),
    }
}

/// Lists the virtual routers.
///
/// # Errors
/// When no node has answered, or the answer cannot be written.
pub(crate) async fn list(context: &Context) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Routers).await?;
    let filter = context.filter();
    let mut instances = cluster.instances();
    instances.retain(|instance| filter.wants(&instance.node));
    let (answer, exit) = context.answer_list(&cluster, "InstanceList", instances);
    context.print(&answer, None)?;
    Ok(exit)
}

/// Shows one virtual router whole, on each of its nodes.
///
/// # Errors
/// When it is not there, no node has answered, or the answer cannot be written.
pub(crate) async fn get(context: &Context, target: &Target) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Routers).await?;
    let filter = context.filter();
    let mut instances = cluster.instances();
    instances.retain(|one| target.matches(&one.node, &one.instance) && filter.wants(&one.node));
    if instances.is_empty() {
        return Err(unknown_instance(&cluster, target));
    }
    let text =
        instances.iter().map(|instance| block(instance, &context.times)).collect::<Vec<_>>().join("\n");
    let (answer, exit) = match target.node {
        // The one node that was asked for has answered.
        Some(_) => context.answer(&cluster, "Instance", instances, true),
        None => context.answer_list(&cluster, "Instance", instances),
    };
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

fn block(instance: &InstanceView, times: &Times) -> String {
    let heading = format!(
        "INSTANCE {}  {}  since {}",
        paint(Paint::Bold, &format!("{}/{}", instance.node, instance.instance)),
        paint(Paint::state(instance.state), instance.state),
        times.with_age(instance.last_transition_time, instance.state_age),
    );
    let mut block = Block::new(heading);
    block.fact("why", &instance.why);
    block.fact("fault", instance.faults());
    block.fact("priority", instance.priority_sum());
    block.fact("override", override_text(instance));
    block.fact("tracks", tracks(instance));
    block.fact("group", group(instance));
    let router = format!("{} {} on {}", instance.virtual_router_id, instance.family, instance.interface);
    block.fact("router", format!("{router}, VRRP version {}", instance.vrrp_version));
    block.fact("vips", instance.vips.join(" "));
    block.fact("preempt", preempt(instance));
    block.fact("timing", timing(instance));
    block.fact("hears", hears(instance));
    block.fact("rival", instance.rival_address.clone().unwrap_or_default());
    block.fact("lease", instance.address_lease.map_or_else(|| "off".to_owned(), |lease| lease.to_string()));
    block.fact("changes", format!("{} since the agent started", instance.transition_count));
    block.fact("etag", &instance.etag);
    block.render()
}

fn override_text(instance: &InstanceView) -> String {
    let Some(given) = &instance.priority_override else { return String::new() };
    let how_long = given.hold.words("until cleared");
    format!("{} instead of {}, {how_long}", given.priority, instance.base_priority)
}

fn preempt(instance: &InstanceView) -> String {
    let Some(hold) = &instance.preempt_hold else {
        return if instance.preempt { "on" } else { "off" }.to_owned();
    };
    let until = hold.expire_time.map(|time| format!(" until {}", utc(time))).unwrap_or_default();
    let label = format!("{}/{}", instance.node, instance.instance);
    format!("held back{until} after a transfer{} (hactl instance transfer {label} --end ends it)", hold.by())
}

/// Each fact with its verdict and what it adds; `hactl explain` says more.
fn tracks(instance: &InstanceView) -> String {
    let each = instance.tracks.iter().map(|track| {
        let worth = match (track.faulty, track.delta) {
            (true, _) => " FAULT".to_owned(),
            (_, 0) => String::new(),
            (_, delta) => format!(" {delta:+}"),
        };
        format!("{} {}{worth}", track.fact, track.verdict)
    });
    each.collect::<Vec<_>>().join(", ")
}

fn group(instance: &InstanceView) -> String {
    let Some(group) = &instance.sync_group else { return String::new() };
    match instance.wish.as_deref() {
        Some(wish) if wish != instance.state => format!("{group}, wants {wish}"),
        _ => group.clone(),
    }
}

fn timing(instance: &InstanceView) -> String {
    let parts = [
        instance.advertisement_interval.map(|span| format!("advertises every {span}")),
        instance.active_advertisement_interval.map(|span| format!("the Active router every {span}")),
        instance.active_down_interval.map(|span| format!("takes over after {span}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn hears(instance: &InstanceView) -> String {
    let age = instance.last_advertisement_age.map(|age| format!(", {age} ago")).unwrap_or_default();
    match instance.hears() {
        heard if heard.is_empty() => heard,
        heard => format!("{heard}{age}"),
    }
}
