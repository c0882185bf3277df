//! Expressions over other checks.

use super::*;

fn rule(name: &str, rule: Expr) -> CheckPolicy {
    CheckPolicy { rule: Some(rule), ..policy(name) }
}

fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

/// Checks that have the given verdicts for ever.
fn fixed(name: &str, initial: Verdict) -> CheckPolicy {
    let (fall, rise) = (u32::MAX, u32::MAX);
    let grace = if initial == Verdict::Unknown { Duration::MAX } else { Duration::ZERO };
    CheckPolicy { initial, fall, rise, grace, ..policy(name) }
}

#[test]
fn the_logic_has_three_values() {
    use Verdict::{Failing as F, Passing as P, Unknown as U};
    let members = ["checks/a", "checks/b", "checks/c"];
    let all = |_: u32| Expr::AllOf(names(&members));
    let any = |_: u32| Expr::AnyOf(names(&members));
    let least = |count: u32| Expr::AtLeast(count, names(&members));
    let table: [([Verdict; 3], Verdict, Verdict, Verdict); 10] = [
        ([P, P, P], P, P, P),
        ([P, P, F], F, P, P),
        ([P, F, F], F, P, F),
        ([F, F, F], F, F, F),
        ([P, P, U], U, P, P),
        ([P, U, U], U, P, U),
        ([U, U, U], U, U, U),
        ([F, F, U], F, U, F),
        ([F, U, U], F, U, U),
        ([P, F, U], F, P, U),
    ];
    for (verdicts, of_all, of_any, of_two) in table {
        let mut policies: Vec<_> =
            members.iter().zip(verdicts).map(|(name, verdict)| fixed(name, verdict)).collect();
        policies.push(rule("checks/all", all(0)));
        policies.push(rule("checks/any", any(0)));
        policies.push(rule("checks/two", least(2)));
        let mut world = World::new(&policies);
        for (name, _) in members.iter().zip(verdicts).filter(|(_, verdict)| *verdict != P) {
            world.targets.insert((*name).into(), always_fails);
        }
        world.pass(millis(3000));
        let found = ["checks/all", "checks/any", "checks/two"].map(|name| world.verdict(name));
        assert_eq!(found, [of_all, of_any, of_two], "{verdicts:?}");
    }
}

#[test]
fn a_member_that_changes_is_named_and_the_numbers_are_told() {
    let policies = [
        policy("checks/a"),
        policy("checks/b"),
        rule("checks/both", Expr::AllOf(names(&["checks/a", "checks/b"]))),
    ];
    let mut world = World::new(&policies).target("checks/b", bad_between_10_and_20);
    world.pass(millis(15_000));
    let lines = world.events();
    assert!(
        lines
            .last()
            .unwrap()
            .ends_with("check.changed [CHECK_CHANGED]: PASSING to FAILING (checks/b, 1 of 2 pass, 2 wanted)"),
        "{lines:?}"
    );
    assert_eq!(&*world.facts["checks/both"].detail, "1 of 2 pass, 2 wanted");
    assert_eq!(world.status("checks/both").next_run, None);
}

#[test]
fn expressions_of_expressions_change_in_the_same_step_and_only_once() {
    let policies = [
        policy("checks/a"),
        rule("checks/1", Expr::AllOf(names(&["checks/a"]))),
        rule("checks/2", Expr::AnyOf(names(&["checks/a", "checks/1"]))),
        // A diamond: both of its members change together.
        rule("checks/0", Expr::AtLeast(2, names(&["checks/1", "checks/2", "checks/a"]))),
    ];
    let mut world = World::new(&policies).target("checks/a", bad_between_10_and_20);
    world.pass(millis(5000));
    world.lines();
    world.pass(millis(10_000));
    let lines = world.lines();
    let instants: BTreeSet<_> = lines.iter().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!((instants.len(), lines.len()), (1, 8), "four facts and four events at one instant: {lines:?}");
}

#[test]
fn a_member_that_is_removed_is_unknown() {
    let policies = [
        policy("checks/a"),
        policy("checks/b"),
        rule("checks/both", Expr::AllOf(names(&["checks/a", "checks/b"]))),
    ];
    let mut world = World::new(&policies);
    world.pass(millis(3000));
    assert_eq!(world.verdict("checks/both"), Verdict::Passing);
    world.give(CheckInput::Reconfigure(&policies[1..]));
    assert_eq!(world.verdict("checks/both"), Verdict::Unknown);
    world.give(CheckInput::Reconfigure(&policies));
    world.pass(millis(1000));
    assert_eq!(world.verdict("checks/both"), Verdict::Passing);
}

#[test]
fn an_expression_that_depends_on_itself_stays_unknown_and_hangs_nobody() {
    let policies = [
        policy("checks/a"),
        rule("checks/x", Expr::AnyOf(names(&["checks/y", "checks/a"]))),
        rule("checks/y", Expr::AnyOf(names(&["checks/x"]))),
        rule("checks/self", Expr::AllOf(names(&["checks/self"]))),
        rule("checks/fine", Expr::AllOf(names(&["checks/a"]))),
    ];
    let mut world = World::new(&policies);
    world.pass(millis(3000));
    for name in ["checks/x", "checks/y", "checks/self"] {
        assert_eq!(world.verdict(name), Verdict::Unknown, "{name}");
    }
    assert_eq!(world.verdict("checks/fine"), Verdict::Passing);
}

#[test]
fn an_expression_may_have_a_remedy_and_be_muted() {
    let remedy = RemedyPolicy { timeout: millis(5000), wait: millis(2000), rest: millis(0) };
    let both = CheckPolicy {
        remedy: Some(remedy),
        ..rule("checks/both", Expr::AllOf(names(&["checks/a", "checks/b"])))
    };
    let mut world =
        World::new(&[policy("checks/a"), policy("checks/b"), both]).target("checks/b", bad_between_10_and_20);
    world.pass(millis(11_500));
    assert_eq!(world.verdict("checks/both"), Verdict::Passing);
    assert_eq!(world.status("checks/both").remedy.unwrap().state, RemedyState::Waiting);
    world.pass(millis(1800));
    assert_eq!(world.verdict("checks/both"), Verdict::Failing);
    mute(&mut world, "checks/both", None, false);
    world.pass(millis(20_000));
    let status = world.status("checks/both");
    assert_eq!((status.verdict, status.measured), (Verdict::Failing, Verdict::Passing));
}

#[test]
fn expressions_always_agree_with_their_members() {
    let mut random = Random(0x1091c);
    for _ in 0..300 {
        let leaves: Vec<_> = (0..8).map(|number| policy(&format!("checks/leaf{number}"))).collect();
        let mut policies = leaves.clone();
        for number in 0..8 {
            let members = (0..1 + random.below(5))
                .map(|_| Arc::clone(&policies[random.below(policies.len() as u64) as usize].name))
                .collect::<Vec<_>>();
            let expr = match random.below(3) {
                0 => Expr::AllOf(members),
                1 => Expr::AnyOf(members),
                _ => Expr::AtLeast(random.below(5) as u32, members),
            };
            policies.push(rule(&format!("checks/rule{number}"), expr));
        }
        let mut world = World::new(&policies);
        for _ in 0..40 {
            let leaf = &leaves[random.below(8) as usize].name;
            let target: Target = if random.below(2) == 0 { always_fails } else { |_| (millis(1), passed()) };
            world.targets.insert(leaf.to_string(), target);
            world.pass(millis(random.below(500)));
            for policy in &policies[8..] {
                let expr = policy.rule.as_ref().unwrap();
                let count = |wanted: Verdict| {
                    expr.members().iter().filter(|member| world.verdict(member) == wanted).count() as u32
                };
                let (passing, unknown) = (count(Verdict::Passing), count(Verdict::Unknown));
                let expected = match expr.wanted() {
                    wanted if passing >= wanted => Verdict::Passing,
                    wanted if passing + unknown < wanted => Verdict::Failing,
                    _ => Verdict::Unknown,
                };
                assert_eq!(world.verdict(&policy.name), expected, "{policy:?}");
            }
        }
    }
}
