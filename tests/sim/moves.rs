//! Planned moves and the nodes' words to each other: what agents do over a control plane that loses, delays and repeats messages
//! and that other faults cut than VRRP's links. What agents decide is repeated here in a few lines; what engines make of it
//! is what is tested.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{
    Actor, Cause, DrainCommand, Event, EventKind, Family, Handover, Input, Instant, MoveEvent,
    OperatorAction, PeerActive, PeerWord, Priority, SETTLE, StandingOrder, StateName, Subject, Way,
};

use crate::node::Process;
use crate::plan::{MILLISECOND, SECOND, nanos, node_address};
use crate::trouble::Recovery;
use crate::watch;
use crate::world::{Failure, Item, World};

/// A message of the control plane.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// The holder asks to take over within the limit, and waits for it until `ends`; at a limit of zero it has let go already.
    TakeOver { from: usize, router: usize, limit: u64, ends: u64, cause: Cause },
    /// The successor holds the addresses and has announced them.
    Announced { from: usize, router: usize },
    /// For which routers a node is Active, with its priority and whom it hears.
    Report { from: usize, active: Vec<Option<(Priority, Option<IpAddr>)>> },
}

/// What agents know and want beside their engines.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// Until when something of a move may be left over, by router.
    pub(crate) moving: Vec<u64>,
    /// Until when a node may be Active beside its successor, by router and node: while it hands over, but not after it has withdrawn.
    parting: Vec<Vec<u64>>,
    /// When a node's report came last, by hearer and node; 0 = it is not known.
    heard: Vec<Vec<u64>>,
    /// Pairs that do not reach each other over the control plane.
    cut: Vec<(usize, usize)>,
    /// When the last report arrives, by from and to.
    last: BTreeMap<(usize, usize), u64>,
    /// When `cut` changed last.
    pub(crate) since: u64,
}

impl Talk {
    pub(crate) fn new(nodes: usize, routers: usize) -> Self {
        let parting = vec![vec![0; nodes]; routers];
        Self { moving: vec![0; routers], parting, heard: vec![vec![0; nodes]; nodes], ..Self::default() }
    }

    /// Until when a move may leave two nodes Active.
    pub(crate) fn may_both_until(&self, router: usize, left: usize, right: usize) -> u64 {
        self.parting[router][left].max(self.parting[router][right])
    }

    pub(crate) fn carries(&self, one: usize, other: usize) -> bool {
        !self.cut.contains(&(one.min(other), one.max(other)))
    }

    pub(crate) fn heal(&mut self, now: u64) {
        self.cut.clear();
        self.since = now;
    }
}

fn actor() -> Arc<Actor> {
    Arc::new(Actor { principal: "operator".to_owned(), ..Actor::default() })
}

impl World {
    fn address_of(&self, node: usize, router: usize) -> IpAddr {
        node_address(Family::of(self.plan.configs[node][router].addresses[0].address), node)
    }

    /// How long a successor may take.
    fn limit(&self, router: usize) -> u64 {
        self.plan.interval(router) * self.plan.patience
    }

    /// How long the holder waits, and its successor counts its adverts for nothing.
    fn patience(&self, router: usize) -> u64 {
        self.limit(router) + self.plan.interval(router) / 4
    }

    /// Nothing that a move leaves behind lasts longer than this.
    fn note_moving(&mut self, router: usize) {
        let end = self.now + 8 * self.plan.interval(router) + 2 * self.patience(router) + nanos(SETTLE);
        for member in self.plan.group_of(router) {
            self.talk.moving[member] = self.talk.moving[member].max(end);
        }
    }

    /// A node has withdrawn, and claims nothing so soon that it would be counted for nothing; where intervals differ, a Backup
    /// that has adopted a shorter one than its own may.
    fn note_withdrawal(&mut self, node: usize, router: usize) {
        let interval = |node: usize| self.plan.configs[node][router].interval;
        if (1..self.nodes.len()).all(|other| interval(other) == interval(0)) {
            self.talk.parting[router][node] = self.now;
        }
    }

    /// A node may be Active beside its successor for so long from now.
    fn note_parting(&mut self, node: usize, router: usize, lasts: u64) {
        let parting = &mut self.talk.parting[router][node];
        *parting = (*parting).max(self.now + lasts);
    }

    /// A holder begins to give a router away: to `to`, or to whoever takes it.
    pub(crate) fn hand_over(
        &mut self,
        node: usize,
        router: usize,
        to: Option<usize>,
        held: bool,
        cause: Cause,
    ) -> Result<(), Failure> {
        let limit = self.limit(router);
        // Of the member that waits longest: a group is taken over as one.
        let skews = self.plan.group_of(router).into_iter();
        let skews = skews.map(|member| self.down_of(member) - 3 * self.plan.interval(member));
        let skew = skews.max().unwrap();
        let slack = 2 * (self.plan.delay + self.plan.lateness) + self.plan.apply;
        let lasts =
            if to.is_some() { self.patience(router) } else { skew + self.plan.interval(router) / 10 + slack };
        let way = to.map_or(Way::Offered, |to| Way::Asked { to: self.address_of(to, router) });
        let hold = held.then(|| StandingOrder {
            reason: Arc::from("transfer"),
            actor: actor(),
            since: Instant::from_nanos(self.now),
            expires: None,
            survives: false,
        });
        let wish = Handover { way, until: Instant::from_nanos(self.now + lasts), cause, hold };
        self.note_moving(router);
        for member in self.plan.group_of(router) {
            self.note_parting(node, member, lasts + nanos(SETTLE));
        }
        self.command(node, router, OperatorAction::Handover(wish), None, false)?;
        let begun = self.is_handing_over(node, router);
        if let Some(to) = to.filter(|_| begun) {
            self.tally.asked += 1;
            self.tell(node, to, Word::TakeOver { from: node, router, limit, ends: self.now + lasts, cause });
        }
        Ok(())
    }

    pub(crate) fn is_handing_over(&self, node: usize, router: usize) -> bool {
        let engine = &self.nodes[node].engine;
        engine.statuses().any(|status| {
            usize::from(status.config.virtual_router_id.get()) == router + 1 && status.handing_over
        })
    }

    /// A message may be lost, come late, or twice.
    pub(crate) fn tell(&mut self, from: usize, to: usize, word: Word) {
        let limit = self.plan.interval(0);
        let copies = self.random.pick(&[0, 1, 1, 1, 1, 1, 1, 2]);
        for _ in 0..copies {
            let most = if self.random.chance(150) { 3 * limit } else { self.plan.delay };
            let delay = self.random.up_to(most);
            let epoch = self.nodes[to].epoch;
            self.after(delay, Item::Word { from, to, epoch, word: word.clone() });
        }
    }

    pub(crate) fn hear(&mut self, from: usize, to: usize, epoch: u64, word: Word) -> Result<(), Failure> {
        match self.nodes[to].process {
            // The connection ended with the process.
            Process::Dead => return Ok(()),
            Process::Paused => {
                let pause = self.plan.interval(0) / 4;
                self.after(pause, Item::Word { from, to, epoch, word });
                return Ok(());
            }
            Process::Running if !self.talk.carries(from, to) => return Ok(()),
            Process::Running => {}
        }
        self.note(|| format!("node {to} hears {word:?}"));
        match word {
            Word::TakeOver { from, router, limit, ends, cause } => {
                if self.now > ends {
                    // The holder no longer waits: where it loses the election it yields to the first advert, as VRRP has it.
                    self.most_vacant = self.most_vacant.map(|_| self.plan.apply + self.plan.delay);
                }
                self.take_over(to, from, router, limit, cause)
            }
            Word::Announced { from, router } => {
                let successor = self.address_of(from, router);
                self.tally.answered += u64::from(self.is_handing_over(to, router));
                self.command(to, router, OperatorAction::Withdraw { successor }, None, false)
            }
            Word::Report { from, active } => self.believe(to, from, &active, true),
        }
    }

    fn take_over(
        &mut self,
        node: usize,
        from: usize,
        router: usize,
        limit: u64,
        cause: Cause,
    ) -> Result<(), Failure> {
        let lasts = if limit == 0 { 0 } else { self.patience(router) };
        let until = Instant::from_nanos(self.now + lasts);
        let was_active = self.nodes[node].is_active(router);
        if limit > 0 {
            self.note_moving(router);
            self.note_parting(from, router, lasts);
            // The others of its group count nobody's adverts whom they heard last.
            for member in self.plan.group_of(router).into_iter().filter(|member| *member != router) {
                self.note_parting(node, member, lasts);
            }
        }
        let action = OperatorAction::TakeOver { from: self.address_of(from, router), until, cause };
        self.command(node, router, action, None, false)?;
        self.tally.taken += u64::from(!was_active && self.nodes[node].is_active(router));
        if limit > 0 && self.nodes[node].is_active(router) {
            let (epoch, end) = (self.nodes[node].epoch, self.now + limit);
            self.after(0, Item::Progress { node, epoch, router, to: from, end });
        }
        Ok(())
    }

    /// The successor's agent looks how far its kernel is.
    pub(crate) fn progress(&mut self, node: usize, epoch: u64, router: usize, to: usize, end: u64) {
        if self.nodes[node].epoch != epoch || !self.nodes[node].runs() || self.now > end {
            return;
        }
        let members = self.plan.group_of(router);
        let statuses = self.nodes[node].engine.statuses();
        let ready = statuses
            .filter(|status| status.is_announced && matches!(status.applied, Some(Ok(()))))
            .filter(|status| members.contains(&(usize::from(status.config.virtual_router_id.get()) - 1)));
        if ready.count() >= members.len() {
            return self.tell(node, to, Word::Announced { from: node, router });
        }
        let pause = (self.plan.apply / 4).max(1);
        self.after(pause, Item::Progress { node, epoch, router, to, end });
    }

    /// A holder that has let go says so to one that may follow.
    pub(crate) fn tell_release(&mut self, node: usize, router: usize) {
        if !self.plan.talks {
            return;
        }
        let count = self.nodes.len();
        let to = (node + 1 + self.random.index(count - 1)) % count;
        self.tell(
            node,
            to,
            Word::TakeOver { from: node, router, limit: 0, ends: self.now, cause: Cause::PeerReleased },
        );
    }

    /// A sign of life, again and again; who gives none is forgotten.
    pub(crate) fn sign_of_life(&mut self, node: usize) -> Result<(), Failure> {
        let pause = self.plan.interval(0) / 2;
        self.after(pause, Item::SignOfLife { node });
        if !self.nodes[node].runs() {
            return Ok(());
        }
        self.report(node);
        for other in 0..self.nodes.len() {
            let heard = self.talk.heard[node][other];
            if heard > 0 && self.now > heard + 3 * self.plan.interval(0) {
                self.believe(node, other, &vec![None; self.plan.routers()], false)?;
                self.talk.heard[node][other] = 0;
            }
        }
        Ok(())
    }

    /// A node says where it is Active; at once when that has changed.
    pub(crate) fn report(&mut self, node: usize) {
        if !self.plan.talks || !self.nodes[node].runs() {
            return;
        }
        let mut active = vec![None; self.plan.routers()];
        for status in self.nodes[node].engine.statuses().filter(|status| status.state == StateName::Active) {
            let router = usize::from(status.config.virtual_router_id.get()) - 1;
            active[router] = Some((status.effective.value, status.rival));
        }
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            let (delay, epoch) = (self.random.up_to(self.plan.delay), self.nodes[to].epoch);
            // A stream keeps its order.
            let last = self.talk.last.entry((node, to)).or_default();
            *last = (self.now + delay).max(*last);
            let delay = *last - self.now;
            let word = Word::Report { from: node, active: active.clone() };
            self.after(delay, Item::Word { from: node, to, epoch, word });
        }
    }

    fn believe(
        &mut self,
        node: usize,
        from: usize,
        active: &[Option<(Priority, Option<IpAddr>)>],
        is_heard: bool,
    ) -> Result<(), Failure> {
        self.talk.heard[node][from] = self.now;
        for (router, active) in active.iter().enumerate() {
            let source = self.address_of(from, router);
            let heard = Instant::from_nanos(self.now);
            let active = active.map(|(priority, hears)| PeerActive { source, priority, hears, heard });
            self.tally.words += u64::from(active.is_some());
            let instance = Arc::from(format!("router-{router}"));
            let other = Arc::from(format!("node-{from}"));
            let word = PeerWord { instance, node: other, active, is_heard, yields: self.plan.yields };
            self.handle(node, Input::PeerWord(word))?;
        }
        Ok(())
    }

    /// An operator moves something away from a node, or drains it.
    pub(crate) fn move_away(&mut self, node: usize) -> Result<(), Failure> {
        if !self.nodes[node].runs() {
            return Ok(());
        }
        let count = self.nodes.len();
        let drains = self.random.chance(400);
        if drains {
            let (expires, spell) = (self.random.chance(300), self.spell());
            self.drain_node(node, true, expires.then_some(self.now + spell))?;
            self.after(spell, Item::Recover(Recovery::Undrain { node }));
        }
        if self.random.chance(400) {
            let soon = self.random.up_to(self.plan.interval(0));
            self.after(soon, Item::Recover(Recovery::Reversal { node }));
        }
        let cause = if drains { Cause::AdminDrain } else { Cause::AdminTransfer };
        for router in 0..self.plan.routers() {
            if self.nodes[node].is_active(router) && (drains || self.random.chance(500)) {
                let to = (node + 1 + self.random.index(count - 1)) % count;
                let to = self.random.chance(700).then_some(to);
                self.hand_over(node, router, to, !drains, cause)?;
            }
        }
        Ok(())
    }

    pub(crate) fn drain_node(
        &mut self,
        node: usize,
        drained: bool,
        expires: Option<u64>,
    ) -> Result<(), Failure> {
        let drain = drained.then(|| StandingOrder {
            reason: Arc::from("trouble"),
            actor: actor(),
            since: Instant::from_nanos(self.now),
            expires: expires.map(Instant::from_nanos),
            survives: false,
        });
        let command = DrainCommand { drain, actor: actor(), expected_revision: None, dry_run: false };
        self.handle(node, Input::Drain(command))
    }

    /// The operator changes their mind right away: the node may have everything back, and another one is made worse.
    pub(crate) fn reverse(&mut self, node: usize) -> Result<(), Failure> {
        if !self.nodes[node].runs() {
            return Ok(());
        }
        self.drain_node(node, false, None)?;
        self.end_holds(node)?;
        let others: Vec<usize> = (0..self.nodes.len()).filter(|other| *other != node).collect();
        let other = self.random.pick(&others);
        let router = self.random.index(self.plan.routers());
        let reason = Arc::from("trouble");
        let priority = Priority::new(u8::try_from(self.random.between(1, 50)).unwrap()).unwrap();
        let action = OperatorAction::OverridePriority { priority, reason, expires: None, survives: false };
        if !self.healed && self.nodes[other].runs() && self.random.chance(600) {
            return self.command(other, router, action, None, false);
        }
        Ok(())
    }

    pub(crate) fn end_holds(&mut self, node: usize) -> Result<(), Failure> {
        (0..self.plan.routers())
            .try_for_each(|router| self.command(node, router, OperatorAction::EndHold, None, false))
    }

    /// A node's control plane is cut off, and comes back.
    pub(crate) fn hush(&mut self, node: usize) {
        let others = (0..self.nodes.len()).filter(|other| *other != node);
        let pairs: Vec<(usize, usize)> = others.map(|other| (node.min(other), node.max(other))).collect();
        self.talk.cut.extend(&pairs);
        self.talk.since = self.now;
        let spell = self.spell();
        self.after(spell, Item::Recover(Recovery::Hush(pairs)));
    }

    pub(crate) fn end_hush(&mut self, pairs: &[(usize, usize)]) {
        for pair in pairs {
            if let Some(place) = self.talk.cut.iter().position(|known| known == pair) {
                self.talk.cut.swap_remove(place);
            }
        }
        self.talk.since = self.now;
    }

    /// How long two nodes that hear each other's words may both be Active where the loser yields: the grace, the pause after
    /// another rivalry, and reports on their way.
    pub(crate) fn dispute_bound(&self, router: usize) -> u64 {
        let interval = self.plan.interval(router);
        let reports = 3 * self.plan.interval(0) / 2 + 4 * (self.plan.delay + self.plan.lateness);
        // Who has sent priority 0 is given an Active_Down_Interval to be gone.
        self.down_of(router)
            + 500 * MILLISECOND
            + interval.max(SECOND)
            + reports
            + nanos(Duration::from_millis(1))
    }

    /// What agents do when their engine says so.
    pub(crate) fn on_move_event(&mut self, node: usize, event: &Event) {
        if matches!(event.kind, EventKind::StateChanged { .. } | EventKind::PriorityChanged { .. }) {
            self.after(0, Item::Report { node });
        }
        match (&event.kind, &event.subject) {
            (
                EventKind::StateChanged { from: StateName::Active, to: StateName::Fault },
                Subject::Instance(_, name),
            ) => {
                self.note_withdrawal(node, watch::router_of(name));
                self.tell_release(node, watch::router_of(name));
            }
            (EventKind::StateChanged { from: StateName::Active, .. }, Subject::Instance(_, name)) => {
                self.note_withdrawal(node, watch::router_of(name));
            }
            // From here on VRRP decides, which breaks before it makes by as much as the kernels differ.
            (EventKind::Move(MoveEvent::HandoverFailed), _) => {
                self.most_vacant = self.most_vacant.map(|_| self.plan.apply + self.plan.delay);
            }
            _ => {}
        }
    }

    /// Since when nobody holds what.
    pub(crate) fn note_vacancies(&mut self) {
        for router in 0..self.plan.routers() {
            let is_held = self.nodes.iter().any(|node| node.holds(router));
            self.vacant[router] = if is_held { None } else { self.vacant[router].or(Some(self.now)) };
        }
    }
}
