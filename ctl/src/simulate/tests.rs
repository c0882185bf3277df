//! Predictions against rules that were written down without the engine, on random clusters; and the sentences of a few.

use std::collections::BTreeMap;

use ha_proto::v1;

use super::*;

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One router of one node, as a node would report it.
#[derive(Clone, Debug)]
struct Spec {
    node: usize,
    router: u8,
    base: u8,
    preempt: bool,
    active: bool,
    /// Its weighted check adds so much while it passes.
    weight: u8,
    passing: bool,
    /// A check without weight fails.
    fault: bool,
    group: bool,
    interval_ms: i64,
}

impl Spec {
    fn effective(&self) -> u8 {
        let plus = if self.passing && self.base != 255 { self.weight } else { 0 };
        if self.base == 255 { 255 } else { self.base.saturating_add(plus).clamp(1, 254) }
    }

    fn reported(&self) -> v1::Instance {
        use v1::tracked_fact::Effect;
        let node = name(self.node);
        let verdict = |good: bool| if good { v1::Verdict::Passing } else { v1::Verdict::Failing }.into();
        let track = |fact: &str, effect: Effect, weight: i32, good: bool| v1::TrackedFact {
            name: format!("nodes/{node}/checks/{fact}-{}", self.router),
            effect: effect.into(),
            weight,
            verdict: verdict(good),
            counted_verdict: verdict(good),
            faulty: effect == Effect::Fault && !good,
            ..Default::default()
        };
        let state = match (self.fault, self.active) {
            (true, _) => v1::instance::State::Fault,
            (false, true) => v1::instance::State::Active,
            (false, false) => v1::instance::State::Backup,
        };
        v1::Instance {
            name: format!("nodes/{node}/instances/router-{}", self.router),
            virtual_router_id: self.router.into(),
            vrrp_version: 3,
            state: state.into(),
            base_priority: self.base.into(),
            preempt: self.preempt,
            advertisement_interval: Some(prost_types::Duration {
                seconds: self.interval_ms / 1000,
                nanos: i32::try_from(self.interval_ms % 1000).unwrap() * 1_000_000,
            }),
            vips: vec![format!("nodes/{node}/vips/10.9.0.{}", self.router)],
            source_address: format!("10.0.0.{}", self.node + 1),
            tracks: [
                (self.weight > 0).then(|| track("weight", Effect::Weight, self.weight.into(), self.passing)),
                Some(track("must", Effect::Fault, 0, !self.fault)),
            ]
            .into_iter()
            .flatten()
            .collect(),
            sync_group: if self.group { format!("nodes/{node}/groups/edge") } else { String::new() },
            ..Default::default()
        }
    }
}

fn name(node: usize) -> String {
    ["a", "b", "c", "d"][node].to_owned()
}

fn model(specs: &[Spec]) -> Model {
    let mut by_node: BTreeMap<usize, Vec<v1::Instance>> = BTreeMap::new();
    for spec in specs {
        by_node.entry(spec.node).or_default().push(spec.reported());
    }
    let reports: Vec<Reported<'_>> = by_node
        .iter()
        .map(|(node, instances)| Reported { node: name(*node), instances, hears: None })
        .collect();
    Model::new(&reports)
}

/// Two to four nodes with one to three routers; at rest, so that who is reported as holder stays it. With a group, all routers of a node
/// have the same priority and fail together.
fn cluster(random: &mut Random) -> Vec<Spec> {
    let nodes = 2 + usize::try_from(random.below(3)).unwrap();
    let routers = 1 + u8::try_from(random.below(3)).unwrap();
    let group = random.below(3) == 0;
    let (preempt, interval_ms) =
        (random.below(3) > 0, [100, 1000, 2000][usize::try_from(random.below(3)).unwrap()]);
    let mut specs: Vec<Spec> = Vec::new();
    for router in 1..=routers {
        for node in 0..nodes {
            let like = specs.iter().find(|spec| group && spec.node == node).cloned();
            let number = |random: &mut Random, limit| u8::try_from(random.below(limit)).unwrap();
            let fresh = Spec {
                node,
                router,
                base: 1 + number(random, 200),
                preempt,
                active: false,
                weight: number(random, 50),
                passing: random.below(2) == 0,
                fault: random.below(6) == 0,
                group,
                interval_ms,
            };
            // A quarter of the priorities are equal, so that the address decides.
            let fresh = if random.below(4) == 0 { Spec { base: 100, weight: 0, ..fresh } } else { fresh };
            specs.push(like.map_or(fresh, |like| Spec { router, ..like }));
        }
    }
    for router in 1..=routers {
        let chosen = holder_at_rest(&specs, router, preempt, group, random);
        specs
            .iter_mut()
            .filter(|spec| spec.router == router)
            .for_each(|spec| spec.active = Some(spec.node) == chosen);
    }
    specs
}

fn holder_at_rest(
    specs: &[Spec],
    router: u8,
    preempt: bool,
    group: bool,
    random: &mut Random,
) -> Option<usize> {
    let fit: Vec<&Spec> = specs.iter().filter(|spec| spec.router == router && !spec.fault).collect();
    if group && router > 1 {
        return specs.iter().find(|spec| spec.active).map(|spec| spec.node);
    }
    if preempt || fit.is_empty() {
        return best(fit.into_iter());
    }
    // Without preemption anybody may have been the first.
    let place = usize::try_from(random.below(u64::try_from(fit.len()).unwrap())).unwrap();
    Some(fit[place].node)
}

/// RFC 9568 §6.4: the highest priority, then the highest address.
fn best<'a>(fit: impl Iterator<Item = &'a Spec>) -> Option<usize> {
    fit.max_by_key(|spec| (spec.effective(), spec.node)).map(|spec| spec.node)
}

/// Who must hold a router after a change, from the rules alone.
fn expected(specs: &[Spec], router: u8, change: &Change) -> Vec<usize> {
    let mut of: Vec<Spec> = specs.iter().filter(|spec| spec.router == router).cloned().collect();
    let holder = of.iter().find(|spec| spec.active).map(|spec| spec.node);
    let before = of.iter().find(|spec| spec.active).map(Spec::effective);
    match change {
        Change::Fail(node) => of.retain(|spec| name(spec.node) != *node),
        Change::Recover(node) => {
            for spec in of.iter_mut().filter(|spec| name(spec.node) == *node) {
                (spec.fault, spec.passing) = (false, spec.weight > 0);
            }
        }
        Change::Priority { node, instance, priority } => {
            // An override of one member of a group counts for all of them.
            let meant = |spec: &Spec| {
                name(spec.node) == *node && (spec.group || *instance == format!("router-{router}"))
            };
            of.iter_mut().filter(|spec| meant(spec)).for_each(|spec| spec.base = *priority);
        }
        Change::Drain(node) => {
            for spec in of.iter_mut().filter(|spec| name(spec.node) == *node) {
                (spec.base, spec.weight) = (1, 0);
            }
            let others = of.iter().filter(|spec| name(spec.node) != *node && !spec.fault).count();
            let holds = holder.is_some_and(|holder| name(holder) == *node);
            if holds && others > 0 {
                return best(of.iter().filter(|spec| name(spec.node) != *node && !spec.fault))
                    .into_iter()
                    .collect();
            }
        }
        Change::Partition(parts) => {
            let part = |spec: &Spec| parts.iter().position(|part| part.contains(&name(spec.node)));
            let all: BTreeSet<Option<usize>> = of.iter().map(part).collect();
            let holders = all.into_iter().filter_map(|number| {
                let within: Vec<Spec> = of.iter().filter(|spec| part(spec) == number).cloned().collect();
                settled(&within, holder, false)
            });
            let mut holders: Vec<usize> = holders.collect();
            holders.sort_unstable();
            return holders;
        }
    }
    let effective = |of: &[Spec]| of.iter().find(|spec| Some(spec.node) == holder).map(Spec::effective);
    let worse = effective(&of) < before;
    settled(&of, holder, worse).into_iter().collect()
}

/// Who holds a router among those that hear each other.
fn settled(of: &[Spec], holder: Option<usize>, worse: bool) -> Option<usize> {
    let fit = || of.iter().filter(|spec| !spec.fault);
    let kept = fit().find(|spec| Some(spec.node) == holder);
    match kept {
        Some(holder) => {
            // Somebody better preempts; an equal one does not, whatever its address. Who became worse while it was followed is
            // not tolerated, with or without Preempt_Mode.
            let better =
                fit().filter(|spec| spec.effective() > holder.effective() && (spec.preempt || worse));
            best(better).or(Some(holder.node))
        }
        None => best(fit()),
    }
}

fn change(random: &mut Random, specs: &[Spec]) -> Change {
    let nodes = specs.iter().map(|spec| spec.node).max().unwrap() + 1;
    let node = name(usize::try_from(random.below(u64::try_from(nodes).unwrap())).unwrap());
    match random.below(5) {
        0 => Change::Fail(node),
        1 => Change::Drain(node),
        2 => Change::Recover(node),
        3 => {
            let spec = &specs[usize::try_from(random.below(u64::try_from(specs.len()).unwrap())).unwrap()];
            let priority = 1 + u8::try_from(random.below(250)).unwrap();
            Change::Priority { node: name(spec.node), instance: format!("router-{}", spec.router), priority }
        }
        _ => Change::Partition(vec![vec![node]]),
    }
}

#[test]
fn the_predicted_holder_of_300_random_clusters_is_the_one_that_the_rules_name() {
    let mut random = Random(0x5eed_0001);
    let mut kinds = BTreeMap::new();
    for round in 0..300 {
        let specs = cluster(&mut random);
        let change = change(&mut random, &specs);
        *kinds.entry(format!("{change:?}").split(['(', ' ']).next().unwrap().to_owned()).or_insert(0) += 1;
        let fates = predict(&model(&specs), &change);
        for fate in &fates {
            let router: u8 = fate.address.rsplit('.').next().unwrap().parse().unwrap();
            let holder = specs.iter().find(|spec| spec.router == router && spec.active);
            let before: Vec<String> = holder.map(|spec| name(spec.node)).into_iter().collect();
            assert_eq!(fate.before, before, "round {round}: at rest\n{specs:#?}\n{fate:#?}");
            let after: Vec<String> = expected(&specs, router, &change).into_iter().map(name).collect();
            assert_eq!(fate.after, after, "round {round}: {change:?}\n{specs:#?}\n{fate:#?}");
        }
    }
    println!("{kinds:?}");
    assert_eq!(kinds.len(), 5, "every kind of change was tried: {kinds:?}");
}

fn two(base: [u8; 2], active: usize) -> Vec<Spec> {
    let spec = |node: usize| Spec {
        node,
        router: 1,
        base: base[node],
        preempt: true,
        active: node == active,
        weight: 0,
        passing: false,
        fault: false,
        group: false,
        interval_ms: 1000,
    };
    vec![spec(0), spec(1)]
}

#[test]
fn a_dead_holder_costs_the_active_down_interval_and_a_drained_one_nothing() {
    let specs = two([150, 100], 0);
    let fate = &predict(&model(&specs), &Change::Fail("a".to_owned()))[0];
    assert_eq!((&*fate.after, fate.loss), (&["b".to_owned()][..], false));
    // At most three intervals and b's skew of 0.61 s, at least one interval less.
    assert!((2.6..=3.61).contains(&fate.gap.as_secs_f64()), "{:?}", fate.gap);
    assert!(fate.why[0].starts_with("b BACKUP to ACTIVE after"), "{:?}", fate.why);
    assert!(fate.why[0].contains("ACTIVE_DOWN_TIMER"), "{:?}", fate.why);

    let fate = &predict(&model(&specs), &Change::Drain("a".to_owned()))[0];
    assert_eq!((&*fate.after, fate.gap, fate.loss), (&["b".to_owned()][..], Duration::ZERO, false));
    assert!(fate.overlap < Duration::from_millis(5), "{:?}", fate.overlap);
}

#[test]
fn only_a_node_that_the_drained_one_hears_is_asked_to_take_over() {
    let specs = two([150, 100], 0);
    for (hears, cause) in [
        (None, "ADMIN_DRAIN"),
        (Some(["b".to_owned()].into()), "ADMIN_DRAIN"),
        (Some(["c".to_owned()].into()), "PEER_PRIORITY_ZERO"),
        (Some(BTreeSet::new()), "PEER_PRIORITY_ZERO"),
    ] {
        let mut model = model(&specs);
        model.nodes[0].hears = hears.clone();
        let fate = &predict(&model, &Change::Drain("a".to_owned()))[0];
        assert_eq!((&*fate.after, fate.gap, fate.loss), (&["b".to_owned()][..], Duration::ZERO, false));
        assert!(fate.why[0].contains(cause), "{hears:?}: {:?}", fate.why);
        let by_word = fate.why.iter().any(|why| why.contains("over the control plane"));
        assert_eq!(by_word, cause == "ADMIN_DRAIN", "{hears:?}: {:?}", fate.why);
    }
}

#[test]
fn the_last_holder_and_a_split_are_losses() {
    let mut specs = two([150, 100], 0);
    let split = &predict(&model(&specs), &Change::Partition(vec![vec!["a".to_owned()]]))[0];
    assert_eq!((&*split.after, split.loss), (&["a".to_owned(), "b".to_owned()][..], true));
    specs[1].fault = true;
    let alone = &predict(&model(&specs), &Change::Fail("a".to_owned()))[0];
    assert!(alone.after.is_empty() && alone.loss);
    assert!(alone.why.iter().any(|why| why.starts_with("b stays FAULT")), "{:?}", alone.why);
}

#[test]
fn a_router_that_did_not_answer_goes_on_as_it_was_heard() {
    let mut specs = two([150, 100], 0);
    specs.remove(0);
    let mut report = specs[0].reported();
    report.observed_active_address = "10.0.0.1".to_owned();
    report.observed_active_priority = Some(150);
    let instances = [report];
    let model = Model::new(&[Reported { node: "b".to_owned(), instances: &instances, hears: None }]);
    assert_eq!(model.notes.len(), 1);
    let change = Change::Priority { node: "b".to_owned(), instance: "router-1".to_owned(), priority: 200 };
    let fate = &predict(&model, &change)[0];
    assert_eq!((&*fate.before, &*fate.after), (&["router 10.0.0.1".to_owned()][..], &["b".to_owned()][..]));
}
