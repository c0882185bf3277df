//! What a change of priority will do, told before it is done. The agent says what the priority will be; who is Active
//! then is RFC 9568's election over the nodes that answered.

use ha_proto::v1;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::commands::Context;
use crate::model::{MemberView, VipView};
use crate::names;
use crate::render::{Paint, clean, paint};
use crate::verdict::and;

/// Where the addresses of a virtual router move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Move {
    /// The addresses.
    pub vips: Vec<String>,
    /// The Active node now.
    pub from: String,
    /// The Active node then; several when the election is a tie, which the higher address wins.
    pub to: Vec<String>,
    /// The priority that `from` will have.
    pub from_priority: i32,
    /// The priority that `to` will have.
    pub to_priority: i32,
}

impl Move {
    /// Whether the next Active node can be named.
    pub(crate) fn is_certain(&self) -> bool {
        self.to.len() == 1 && self.to_priority > self.from_priority
    }

    fn expectation(&self) -> String {
        let to = self.to.join(" or ");
        let numbers = format!("eff {} against {}", self.to_priority, self.from_priority);
        if self.is_certain() {
            format!(
                "{} move{} from {} to {to} ({numbers}, preempt on)",
                self.what(),
                self.plural(),
                self.from
            )
        } else {
            format!("{} may move from {} to {to} ({numbers})", self.what(), self.from)
        }
    }

    /// What has happened, once it has.
    pub(crate) fn done(&self) -> String {
        format!("{} moved from {} to {}", self.what(), self.from, self.to.join(" or "))
    }

    fn what(&self) -> String {
        match self.vips.as_slice() {
            [] => "the Active role".to_owned(),
            [one, two, three, rest @ ..] if !rest.is_empty() => {
                format!("{one}, {two}, {three} and {} more", rest.len())
            }
            vips => and(&vips.iter().map(String::as_str).collect::<Vec<_>>()),
        }
    }

    fn plural(&self) -> &'static str {
        if self.vips.len() > 1 { "" } else { "s" }
    }
}

/// What will change.
pub(super) struct Plan {
    was: i32,
    will_be: i32,
    members: Vec<String>,
    missing: Vec<String>,
    /// The other members of the sync group, whose priority changes too, and the group's name.
    group: Option<(Vec<String>, String)>,
    /// Where the addresses move; none when they stay.
    pub(super) movement: Option<Move>,
    /// Whether the agent will have anything to do at all.
    pub(super) changes_something: bool,
}

impl Plan {
    /// From the cluster as it is and the virtual router as the agent says it would be.
    pub(super) fn new(cluster: &Cluster, before: &v1::Instance, after: &v1::Instance) -> Self {
        let node = names::node(&before.name);
        let vips: Vec<VipView> =
            cluster.vips().into_iter().filter(|vip| has(vip, node, names::last(&before.name))).collect();
        let members = vips.first().map(|vip| vip.members.as_slice()).unwrap_or_default();
        let overridden =
            |instance: &v1::Instance| instance.priority_override.as_ref().map(|given| given.priority);
        let movement =
            elect(members, node, after.effective_priority).map(|(from, to, from_priority, to_priority)| {
                Move {
                    vips: vips.iter().map(|vip| vip.address.clone()).collect(),
                    from,
                    to,
                    from_priority,
                    to_priority,
                }
            });
        Plan {
            was: before.effective_priority,
            will_be: after.effective_priority,
            members: members
                .iter()
                .map(|member| format!("{} {} eff {}", member.node, member.state, member.effective_priority))
                .collect(),
            missing: cluster.missing(),
            group: cluster.group_beside(before),
            movement,
            changes_something: before.effective_priority != after.effective_priority
                || overridden(before) != overridden(after),
        }
    }

    /// The plan for a reader.
    pub(super) fn text(&self, context: &Context, what: &str) -> String {
        let head = if context.global.dry_run { "Would" } else { "Will" };
        let effect = match &self.movement {
            Some(movement) => movement.expectation(),
            None => "the Active node stays".to_owned(),
        };
        let effect_paint = if self.movement.is_some() { Paint::Warn } else { Paint::Plain };
        let mut out = format!("{head} {}\n", paint(Paint::Bold, what));
        out.push_str(&format!("  priority  effective {} → {}\n", self.was, self.will_be));
        out.push_str(&format!("  now       {}\n", clean(&self.members.join(", "))));
        out.push_str(&format!("  effect    {}\n", paint(effect_paint, &effect)));
        if let Some((others, group)) = &self.group {
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            let text = format!("{} too, the other members of sync group {group}", and(&others));
            out.push_str(&format!("  also      {}\n", paint(Paint::Plain, &text)));
        }
        if !self.missing.is_empty() {
            let labels: Vec<&str> = self.missing.iter().map(String::as_str).collect();
            let text = format!("{} did not answer, and may take over instead", and(&labels));
            out.push_str(&format!("  unsure    {}\n", paint(Paint::Unknown, &text)));
        }
        if context.global.dry_run { out } else { out.trim_end().to_owned() }
    }
}

fn has(vip: &VipView, node: &str, instance: &str) -> bool {
    vip.members.iter().any(|member| member.node == node && member.instance == instance)
}

/// Who takes over from whom when `node` has `priority`: from, to, and their priorities. None when nobody does.
fn elect(members: &[MemberView], node: &str, priority: i32) -> Option<(String, Vec<String>, i32, i32)> {
    let new_priority =
        |member: &MemberView| if member.node == node { priority } else { member.effective_priority };
    let active = members.iter().find(|member| member.state == "ACTIVE")?;
    let held = new_priority(active);
    // Without preemption too: who becomes worse while it is Active is no longer tolerated.
    let falls = active.node == node && held < active.effective_priority;
    let rivals =
        members.iter().filter(|member| member.state == "BACKUP" && (member.tolerates.is_none() || falls));
    let best = rivals.clone().map(new_priority).max()?;
    if best < held {
        return None;
    }
    let to: Vec<String> =
        rivals.filter(|member| new_priority(member) == best).map(|member| member.node.clone()).collect();
    // A tie that was there before is no effect of this change.
    let was_tied = best == held && held == active.effective_priority && !to.iter().any(|name| name == node);
    (!was_tied).then(|| (active.node.clone(), to, held, best))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: &str, state: &'static str, priority: i32, preempt: bool) -> MemberView {
        MemberView {
            node: node.to_owned(),
            instance: "web".to_owned(),
            interface: "eth0".to_owned(),
            state,
            desired_state: "ABSENT",
            kernel_state: "ABSENT",
            base_priority: priority,
            effective_priority: priority,
            effective_priority_because: String::new(),
            preempt,
            tolerates: (!preempt).then_some("preempt off"),
            active_down_interval: None,
            last_change_time: None,
            last_announce_time: None,
            announcement_count: 0,
        }
    }

    #[test]
    fn the_highest_backup_that_preempts_takes_over_from_a_lower_active_node() {
        let members = [
            member("a", "ACTIVE", 150, true),
            member("b", "BACKUP", 100, true),
            member("c", "BACKUP", 120, false),
            member("d", "FAULT", 200, true),
        ];
        let to = |node: &str, priority: i32| elect(&members, node, priority).map(|(_, to, ..)| to);
        assert_eq!(to("a", 50), Some(vec!["c".to_owned()]), "a became worse, d is in FAULT");
        assert_eq!(to("a", 121), None);
        assert_eq!(to("a", 160), None);
        assert_eq!(to("b", 200), Some(vec!["b".to_owned()]));
        assert_eq!(to("b", 140), None);
        assert_eq!(to("c", 200), None);
        assert_eq!(to("d", 254), None);
    }

    #[test]
    fn a_tie_is_not_a_certain_move() {
        let members = [member("a", "ACTIVE", 150, true), member("b", "BACKUP", 100, true)];
        let (from, to, from_priority, to_priority) = elect(&members, "b", 150).unwrap();
        let movement = Move { vips: Vec::new(), from, to, from_priority, to_priority };
        assert!(!movement.is_certain());
        assert!(movement.expectation().contains("may move"));
    }

    #[test]
    fn without_an_active_node_no_move_is_foretold() {
        assert_eq!(elect(&[member("a", "BACKUP", 150, true)], "a", 50), None);
    }
}
