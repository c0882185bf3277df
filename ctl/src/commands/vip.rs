//! `hactl vip list` and `hactl vip get`.

mod announce;
mod history;
mod outages;

use std::net::IpAddr;

pub(crate) use self::outages::run as outages;
use crate::cluster::{Cluster, overall};
use crate::commands::Context;
use crate::commands::blocks::Block;
use crate::commands::unknown::unknown_vip;
use crate::exit::Exit;
use crate::fanout::{Scope, Snapshot};
use crate::model::{VipView, event_label};
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times, paint};
use crate::session::Session;

impl Item for VipView {
    const KIND: &'static str = "Vip";
    const NONE: &'static str = "no virtual address is configured";

    fn name(&self) -> String {
        format!("vips/{}", self.address)
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        headers(wide)
    }

    fn cells(&self, wide: bool, times: &Times) -> Vec<Cell> {
        cells(self, wide, times)
    }
}

/// The columns of an address.
pub(crate) fn headers(wide: bool) -> Vec<&'static str> {
    let mut headers = vec!["VIP", "VERDICT", "HELD BY", "SINCE", "NEXT", "WHY"];
    if wide {
        headers.extend(["VRID", "FAMILY", "MEMBERS (STATE/KERNEL)"]);
    }
    headers
}

/// The cells of an address.
pub(crate) fn cells(vip: &VipView, wide: bool, times: &Times) -> Vec<Cell> {
    let mut cells = vec![
        Cell::painted(Paint::Bold, vip.label()),
        Cell::painted(Paint::verdict(vip.verdict), vip.verdict.word()),
        Cell::new(vip.held_by.join(", ")),
        Cell::new(times.with_age(vip.since, vip.age)),
        Cell::new(vip.next.join(" or ")),
        Cell::new(&vip.why),
    ];
    if wide {
        let members = vip
            .members
            .iter()
            .map(|member| format!("{}:{}/{}", member.node, member.state, member.kernel_state));
        cells.extend([
            Cell::new(vip.virtual_router_id.to_string()),
            Cell::new(vip.family),
            Cell::new(members.collect::<Vec<_>>().join(" ")),
        ]);
    }
    cells
}

/// Lists the virtual addresses.
///
/// # Errors
/// When no node has answered, or the answer cannot be written.
pub(crate) async fn list(context: &Context) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Problems).await?;
    let filter = context.filter();
    let mut vips = cluster.vips();
    vips.retain(|vip| context.global.node.is_empty() || vip.is_on(|node| filter.wants(node)));
    let beside = cluster.reasons_beside(&vips);
    let (verdict, _) = overall(&vips, &beside);
    // An address's verdict leans on every node, also on those that are not shown.
    let (mut answer, exit) = context.answer(&cluster, "VipList", vips, false);
    (answer.verdict, answer.reasons) = (Some(verdict), beside);
    context.print(&answer, None)?;
    Ok(exit)
}

/// Has a virtual address announced again.
///
/// # Errors
/// When it is not there, or who should announce it does not hold it.
pub(crate) async fn announce(context: &Context, address: IpAddr, reason: String) -> Result<Exit, Stop> {
    announce::announce(context, address, reason).await
}

/// Shows one virtual address whole.
///
/// # Errors
/// When it is not there, no node has answered, or the answer cannot be written.
pub(crate) async fn get(context: &Context, address: IpAddr) -> Result<Exit, Stop> {
    let request = ha_proto::v1::ListEventsRequest::default;
    let past = async |session: &Session, snapshot: &Snapshot| {
        history::read(session, snapshot, address, request(), history::DEPTH).await
    };
    let (cluster, told) = context.ask_with(Scope::Problems, past).await?;
    let found = cluster.vips().into_iter().find(|vip| vip.address.parse() == Ok(address));
    let Some(mut vip) = found else {
        return Err(unknown_vip(&cluster, address));
    };
    history::add(context, told, &mut vip);
    let text = block(context, &cluster, &vip);
    let (mut answer, exit) = context.answer(&cluster, "Vip", vec![vip], false);
    answer.verdict = answer.items.first().map(|vip| vip.verdict);
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

fn block(context: &Context, cluster: &Cluster, vip: &VipView) -> String {
    let (asked, answered) = cluster.counts();
    let holder = match vip.held_by.as_slice() {
        [] => paint(Paint::Bad, "held by nobody"),
        nodes => format!("held by {}", paint(Paint::Bold, &nodes.join(", "))),
    };
    let since = match vip.since {
        Some(_) => format!("  since {}", context.times.with_age(vip.since, vip.age)),
        None => String::new(),
    };
    let verdict = paint(Paint::verdict(vip.verdict), vip.verdict.word());
    let mut block = Block::new(format!(
        "VIP {}  {holder}{since}  verdict {verdict}  ({answered}/{asked} nodes answered)",
        paint(Paint::Bold, &vip.label())
    ));
    let width = vip.reasons.iter().map(|reason| reason.verdict.word().len()).max().unwrap_or(0);
    for reason in &vip.reasons {
        let word = paint(Paint::verdict(reason.verdict), reason.verdict.word());
        let gap = " ".repeat(width - reason.verdict.word().len() + 2);
        block.painted("wrong", format!("{word}{gap}{}", paint(Paint::Plain, &reason.message)));
    }
    if !vip.why.is_empty() {
        block.painted("why", with_event(&vip.why, vip.event.as_deref()));
    }
    before(&mut block, vip);
    block.fact("now", now(vip));
    if !vip.advertised {
        block.fact("adverts", "do not carry it; it is held and announced like the others of its router");
    }
    block.painted("kernel", kernels(vip));
    for warning in &vip.warnings {
        block.painted("warn", paint(Paint::Warn, warning));
    }
    block.render()
}

fn with_event(text: &str, event: Option<&str>) -> String {
    let text = paint(Paint::Plain, text);
    match event {
        Some(event) => format!("{text}  {}", paint(Paint::Dim, &format!("event {}", event_label(event)))),
        None => text,
    }
}

fn before(block: &mut Block, vip: &VipView) {
    let Some(before) = &vip.before else { return };
    if let ("", Some(address)) = (before.node.as_str(), &before.address) {
        block.fact("before", format!("{address}, whose node does not tell why it left"));
        return;
    }
    let held = before.active_for.map(|held| format!(" {held}")).unwrap_or_default();
    let why = if before.why.is_empty() { String::new() } else { format!(": {}", before.why) };
    let text = format!("{}, ACTIVE{held}, left for {}{why}", before.node, before.left_for);
    block.painted("before", with_event(&text, Some(&before.event)));
    if let Some(gap) = before.gap {
        let error = before.gap_uncertainty;
        let text = if gap.abs() <= error {
            format!("none that the clocks can tell (±{error})")
        } else if gap.nanos() < 0 {
            format!("none: both were ACTIVE for {} (±{error} clock error)", gap.abs())
        } else {
            format!("{gap} without an ACTIVE node (±{error} clock error)")
        };
        block.fact("gap", text);
    }
}

fn now(vip: &VipView) -> String {
    let active: Vec<String> = vip
        .members
        .iter()
        .filter(|member| member.state == "ACTIVE")
        .map(|member| format!("{} eff {}", member.node, member.effective_priority_because))
        .collect();
    let active = if active.is_empty() { "nobody is ACTIVE".to_owned() } else { active.join(", ") };
    let next = match (vip.next.as_slice(), vip.next_effective_priority) {
        ([], _) | (_, None) => "next nobody".to_owned(),
        (nodes, Some(priority)) => {
            let crash = vip.next_crash_takeover.map(|span| format!(", crash {span}")).unwrap_or_default();
            format!("next {} eff {priority} (handover 0 s{crash})", nodes.join(" or "))
        }
    };
    format!("{active} | {next}")
}

fn kernels(vip: &VipView) -> String {
    let each = vip.members.iter().map(|member| {
        format!(
            "{} {}",
            paint(Paint::Plain, &member.node),
            paint(Paint::state(member.kernel_state), member.kernel_state)
        )
    });
    each.collect::<Vec<_>>().join(", ")
}
