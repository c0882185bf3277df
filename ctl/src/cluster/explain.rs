//! Who wins, and why: one virtual router of one node against the same one of the other nodes that answered.

use ha_proto::v1;
use ha_proto::v1::instance::{State, Wish};

use super::Cluster;
use super::group::is_same_router;
use crate::fanout::Snapshot;
use crate::model::{
    ContenderView, ExplainView, GroupView, InstanceView, explain_steps, tolerates, wish_word,
};
use crate::names;
use crate::verdict::and;

impl Cluster {
    /// Each virtual router that is `wanted`, explained.
    pub(crate) fn explanations(&self, wanted: impl Fn(&InstanceView) -> bool) -> Vec<ExplainView> {
        let mut all = Vec::new();
        for (node, _, snapshot) in self.snapshots() {
            for instance in &snapshot.instances {
                let router = InstanceView::new(instance, snapshot.clock, self.now);
                if wanted(&router) {
                    all.push(self.explanation(&node, snapshot, instance, router));
                }
            }
        }
        let key = |one: &ExplainView| (one.router.instance.clone(), one.router.node.clone());
        all.sort_by_key(key);
        all
    }

    /// The other members of a virtual router's sync group on its node, and the group's name; none without a group.
    pub(crate) fn group_beside(&self, instance: &v1::Instance) -> Option<(Vec<String>, String)> {
        let instances = self.snapshots().flat_map(|(_, _, snapshot)| &snapshot.instances);
        let others: Vec<String> = instances
            .filter(|other| other.sync_group == instance.sync_group && other.name != instance.name)
            .map(|other| names::last(&other.name).to_owned())
            .collect();
        let named = !instance.sync_group.is_empty() && !others.is_empty();
        named.then(|| (others, names::last(&instance.sync_group).to_owned()))
    }

    fn explanation(
        &self,
        node: &str,
        snapshot: &Snapshot,
        instance: &v1::Instance,
        router: InstanceView,
    ) -> ExplainView {
        let group = (!instance.sync_group.is_empty())
            .then(|| GroupView::of(&instance.sync_group, snapshot.instances.iter()));
        let contest =
            Contest { node, instance, group: group.as_ref(), contenders: self.contenders(instance) };
        ExplainView {
            steps: explain_steps(&router),
            winners: contest.winners(),
            reason: contest.reason(),
            warnings: contest.warnings(),
            contenders: contest.contenders.iter().map(Contender::view).collect(),
            group,
            router,
        }
    }

    /// The same virtual router on every node that answered, the best first.
    fn contenders(&self, instance: &v1::Instance) -> Vec<Contender<'_>> {
        let mut all = Vec::new();
        for (node, _, snapshot) in self.snapshots() {
            let same = snapshot.instances.iter().filter(|other| is_same_router(instance, other));
            all.extend(same.map(|instance| Contender { node: node.clone(), instance }));
        }
        all.sort_by_key(|one| {
            (std::cmp::Reverse((one.rank(), one.instance.effective_priority)), one.node.clone())
        });
        all
    }
}

struct Contender<'a> {
    node: String,
    instance: &'a v1::Instance,
}

impl Contender<'_> {
    /// Who takes part comes before who does not.
    fn rank(&self) -> u8 {
        match self.instance.state() {
            State::Active | State::Backup => 1,
            _ => 0,
        }
    }

    fn is(&self, state: State) -> bool {
        self.instance.state() == state
    }

    fn priority(&self) -> i32 {
        self.instance.effective_priority
    }

    fn view(&self) -> ContenderView {
        let view = self.instance;
        ContenderView {
            node: self.node.clone(),
            instance: names::last(&view.name).to_owned(),
            state: view.state().as_str_name().trim_start_matches("STATE_"),
            effective_priority: view.effective_priority,
            preempt: view.preempt,
            tolerates: tolerates(view),
            wish: wish_word(view.wish()),
            active_down_interval: view.active_down_interval.as_ref().map(crate::span::Span::from),
            fault_reasons: view.fault_reasons.clone(),
        }
    }
}

/// One node's virtual router and everybody who contends for the same addresses.
struct Contest<'a> {
    node: &'a str,
    instance: &'a v1::Instance,
    group: Option<&'a GroupView>,
    contenders: Vec<Contender<'a>>,
}

impl Contest<'_> {
    fn others(&self) -> impl Iterator<Item = &Contender<'_>> {
        self.contenders.iter().filter(|one| one.node != self.node)
    }

    fn nodes_that(&self, condition: impl Fn(&Contender<'_>) -> bool) -> Vec<&str> {
        self.contenders.iter().filter(|one| condition(one)).map(|one| one.node.as_str()).collect()
    }

    fn winners(&self) -> Vec<String> {
        let active = self.nodes_that(|one| one.is(State::Active));
        let winners = match (active.is_empty(), self.instance.observed_active_address.as_str()) {
            (false, _) => active,
            (true, "") => {
                let best = self.contenders.iter().filter(|one| one.is(State::Backup));
                let best = best.map(Contender::priority).max();
                self.nodes_that(|one| one.is(State::Backup) && Some(one.priority()) == best)
            }
            // Somebody who was not asked, or has not answered.
            (true, heard) => vec![heard],
        };
        winners.into_iter().map(str::to_owned).collect()
    }

    fn reason(&self) -> String {
        match self.instance.state() {
            State::Active => self.why_active(),
            State::Backup => self.why_backup(),
            State::Fault => {
                format!("{} cannot take part: {}", self.node, self.instance.fault_reasons.join("; "))
            }
            State::Initialize | State::Unspecified => self.why_waiting(),
        }
    }

    fn why_active(&self) -> String {
        let (node, own) = (self.node, self.instance.effective_priority);
        let Some(best) = self.others().filter(|one| one.is(State::Backup)).max_by_key(|one| one.priority())
        else {
            return format!("{node} is ACTIVE with {own}; no other node that answered can take over");
        };
        let against = format!("{} against {} of {}", own, best.priority(), best.node);
        match best.priority().cmp(&own) {
            std::cmp::Ordering::Less => format!("{node} is ACTIVE and has the highest priority: {against}"),
            std::cmp::Ordering::Equal => {
                format!("{node} is ACTIVE and stays so, although {} has the same priority {own}", best.node)
            }
            std::cmp::Ordering::Greater => format!("{node} is ACTIVE for now: {against}"),
        }
    }

    fn why_backup(&self) -> String {
        let (node, own) = (self.node, self.instance.effective_priority);
        if self.instance.wish() == Wish::Active {
            return self.why_waiting_for_group();
        }
        let active = self.others().find(|one| one.is(State::Active));
        let (who, priority) = match (active, self.instance.observed_active_address.as_str()) {
            (Some(active), _) => (active.node.as_str(), Some(active.priority())),
            (None, "") => return self.why_unopposed(),
            (None, heard) => (heard, self.instance.observed_active_priority),
        };
        let Some(priority) = priority else { return format!("{who} is ACTIVE") };
        match (priority.cmp(&own), tolerates(self.instance)) {
            (std::cmp::Ordering::Greater, _) => {
                format!("{who} is ACTIVE with the higher priority: {priority} against {own} of {node}")
            }
            (std::cmp::Ordering::Equal, _) => {
                format!("{who} is ACTIVE and stays so, although {node} has the same priority {own}")
            }
            (std::cmp::Ordering::Less, None) => {
                format!("{who} is ACTIVE for now: {priority} against {own} of {node}, which preempts")
            }
            (std::cmp::Ordering::Less, Some(why)) => {
                format!(
                    "{who} is ACTIVE with {priority} against {own} of {node}, which does not preempt ({why})"
                )
            }
        }
    }

    fn why_unopposed(&self) -> String {
        let down = self.instance.active_down_interval.as_ref().map(crate::span::Span::from);
        let down = down.map(|down| format!(" of {down}")).unwrap_or_default();
        format!("{} hears no Active router and takes over after its Active_Down_Interval{down}", self.node)
    }

    fn why_waiting_for_group(&self) -> String {
        let Some(group) = self.group else { return String::new() };
        let awaited: Vec<String> = group
            .awaited()
            .iter()
            .map(|member| {
                let because = member.because.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
                format!("{}{because}", member.instance)
            })
            .collect();
        let awaited: Vec<&str> = awaited.iter().map(String::as_str).collect();
        format!(
            "{} would be ACTIVE, but its sync group {} waits for {}",
            self.node,
            group.name,
            and(&awaited)
        )
    }

    fn why_waiting(&self) -> String {
        let undecided = self.instance.tracks.iter().filter(|track| track.undecided);
        let unknown: Vec<&str> = undecided.map(|track| names::last(&track.name)).collect();
        match unknown.as_slice() {
            [] => format!("{} has not started: it waits for its link or its start-up delay", self.node),
            unknown => {
                format!(
                    "{} waits for the first verdict of {}, which it must not do without",
                    self.node,
                    and(unknown)
                )
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let active = self.nodes_that(|one| one.is(State::Active));
        if active.len() > 1 {
            warnings.push(format!("{} are ACTIVE at the same time", and(&active)));
        }
        if !self.instance.rival_address.is_empty() {
            warnings.push(format!(
                "{} hears another Active router at {}",
                self.node, self.instance.rival_address
            ));
        }
        if let Some(active) = self.contenders.iter().find(|one| one.is(State::Active)) {
            let better = self.contenders.iter().filter(|one| one.priority() > active.priority());
            warnings.extend(better.filter_map(outlook));
        }
        warnings
    }
}

/// What somebody with a higher priority than the Active router's is about to do.
fn outlook(one: &Contender<'_>) -> Option<String> {
    let (node, priority) = (&one.node, one.priority());
    match (one.instance.state(), tolerates(one.instance)) {
        (State::Backup, _) if one.instance.wish() == Wish::Active => {
            Some(format!("{node} has {priority} and would take over, but its sync group is not ready"))
        }
        (State::Backup, None) => Some(format!("{node} has {priority} and is about to preempt")),
        (State::Backup, Some(why)) => Some(format!("{node} has {priority}, but does not preempt ({why})")),
        (State::Fault, None) => Some(format!("{node} will preempt with {priority} when it leaves FAULT")),
        _ => None,
    }
}
