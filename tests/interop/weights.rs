//! The same check with the same weights on a router of ours and on one of keepalived's: the same priorities on the wire.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use ha_tests::{
    Agent, AgentInstance, Capture, Keepalived, KeepalivedInstance, Lab, Wanted, wait_for, wait_until,
};

use crate::versus::SOON;

/// Weight and reverse; with a base of 100 the last ones leave the range.
const ROWS: [(i32, bool); 8] = [
    (20, false),
    (-20, false),
    (20, true),
    (-20, true),
    (253, false),
    (-253, false),
    (253, true),
    (-253, true),
];
const BASE: u8 = 100;
/// The first virtual router of ours and of theirs: one for each row.
const OURS: u8 = 50;
const THEIRS: u8 = 100;

/// A check of ours, and a script of keepalived's: whether the file is there.
fn checks(flag: &Path) -> [String; 2] {
    let flag = flag.display();
    [
        format!(
            "[[check]]\nname = \"flag\"\nkind = \"script\"\ncommand = [\"/usr/bin/test\", \"-e\", \"{flag}\"]\n\
             interval = \"100ms\"\ntimeout = \"90ms\"\nuser = \"root\"\n"
        ),
        format!(
            "global_defs {{\n  script_user root\n}}\nvrrp_script flag {{\n  script \"/usr/bin/test -e {flag}\"\n  \
             interval 1\n}}\n"
        ),
    ]
}

/// Both parties, and a file that both look for.
struct Both {
    ours: Agent,
    theirs: Keepalived,
    flag: PathBuf,
    capture: Capture,
    lab: Lab,
}

impl Both {
    /// Starts these, with the file there. Ours: virtual router, priority and further lines; theirs likewise.
    fn start(ours: &[(u8, u8, String)], theirs: &[(u8, u8, String)]) -> Self {
        let lab = Lab::new(2, 1);
        let flag = lab.scratch().file("flag");
        std::fs::write(&flag, "").expect("the folder is ours");
        let [check, script] = checks(&flag);
        let capture = Capture::start(&lab.switch, "br0", Wanted::Vrrp);
        let vip = |vrid: u8| vec![IpAddr::from(lab.vip4(0, vrid.into()))];
        let own = |(vrid, priority, extra): &(u8, u8, String)| AgentInstance {
            interval: "100ms".to_owned(),
            extra: extra.clone(),
            ..AgentInstance::new(*vrid, *priority, &vip(*vrid))
        };
        let body: String = ours.iter().map(|one| own(one).toml()).collect();
        let its = |(vrid, priority, extra): &(u8, u8, String)| KeepalivedInstance {
            interval: 0.1,
            extra: extra.clone(),
            ..KeepalivedInstance::new(*vrid, *priority, &vip(*vrid))
        };
        let instances: Vec<KeepalivedInstance> = theirs.iter().map(its).collect();
        let theirs = Keepalived::start_beside(&lab.node(1).space, lab.scratch(), &script, &instances);
        let mut ours = Agent::start_with(lab.node(0), lab.scratch(), &format!("{check}{body}"));
        ours.wait_until_ready(SOON);
        Self { ours, theirs, flag, capture, lab }
    }

    fn set_flag(&self, is_there: bool) {
        match is_there {
            true => std::fs::write(&self.flag, "").expect("the folder is ours"),
            false => std::fs::remove_file(&self.flag).expect("it is there"),
        }
    }

    /// The last priority of a virtual router on the wire.
    fn last(&self, vrid: u8) -> Option<u8> {
        let adverts = self.capture.adverts();
        adverts.iter().rev().find(|(_, advert)| advert.vrid == vrid).map(|(_, advert)| advert.priority)
    }

    /// Waits until this node alone holds the address of a virtual router.
    #[track_caller]
    fn wait_for_holder(&self, vrid: u8, node: usize) {
        wait_for(&format!("node {node} alone holds it\n{}", self.logs()), SOON, || {
            self.lab.holders(self.lab.vip4(0, vrid.into())) == [node]
        });
    }

    /// What `hactl explain` adds up for each row is what is on the wire.
    #[track_caller]
    fn assert_explained(&self, priorities: &[Option<u8>]) {
        for (vrid, priority) in (OURS..).zip(priorities) {
            let answer = self.ours.ask(&["explain", &format!("node-0/router-{vrid}")]);
            let item = &answer["items"][0];
            let steps = item["steps"].as_array().expect("a waterfall");
            let sum: i64 = steps.iter().filter_map(|step| step["delta"].as_i64()).sum();
            let wire = priority.map(i64::from);
            assert_eq!((Some(sum), item["effective_priority"].as_i64()), (wire, wire), "{item:#}");
            assert_eq!(
                (&item["winners"][0], steps[1]["source"].as_str()),
                (&"node-0".into(), Some("checks/flag"))
            );
        }
    }

    fn logs(&self) -> String {
        format!("ours:\n{}\ntheirs:\n{}", self.ours.process.log(), self.theirs.process.log())
    }
}

fn weighted(weight: i32, reverse: bool) -> [String; 2] {
    let word = if reverse { " reverse" } else { "" };
    [
        format!("track = [{{ check = \"flag\", weight = {weight}, reverse = {reverse} }}]\n"),
        format!("  track_script {{\n    flag weight {weight}{word}\n  }}"),
    ]
}

#[test]
fn the_priorities_on_the_wire_are_keepalived_s_for_each_weight_and_reverse_up_and_down() {
    // Each row in a virtual router of its own; all are Active, as nobody contends.
    let row = |first: u8, party: usize| -> Vec<(u8, u8, String)> {
        let lines = ROWS.iter().map(|(weight, reverse)| weighted(*weight, *reverse)[party].clone());
        (first..).zip(lines).map(|(vrid, lines)| (vrid, BASE, lines)).collect()
    };
    let both = Both::start(&row(OURS, 0), &row(THEIRS, 1));
    let seen =
        |first: u8| -> Vec<Option<u8>> { (first..).take(ROWS.len()).map(|vrid| both.last(vrid)).collect() };
    let up = [120, 100, 80, 100, 254, 100, 1, 100].map(Some);
    let down = [100, 80, 100, 120, 100, 1, 100, 254].map(Some);
    for (is_there, expected) in [(true, up), (false, down), (true, up)] {
        if !(is_there && both.flag.exists()) {
            both.set_flag(is_there);
        }
        let same = || seen(OURS) == expected && seen(THEIRS) == expected;
        assert!(
            wait_until(SOON, same),
            "with the file: {is_there}\nours   {:?}\ntheirs {:?}\nwanted {expected:?}\n{}",
            seen(OURS),
            seen(THEIRS),
            both.logs()
        );
        println!("with the file: {is_there}: both {expected:?}");
        both.assert_explained(&expected);
    }
}

#[test]
fn without_a_weight_both_release_with_priority_0_and_come_back() {
    let ours = (OURS, BASE, "track = [\"flag\"]\n".to_owned());
    let theirs = (THEIRS, BASE, "  track_script {\n    flag\n  }".to_owned());
    let both = Both::start(&[ours], &[theirs]);
    let say = |priority: u8| both.last(OURS) == Some(priority) && both.last(THEIRS) == Some(priority);
    wait_for("both Active", SOON, || say(BASE));
    both.set_flag(false);
    wait_for(&format!("both released\n{}", both.logs()), SOON, || say(0));
    both.ours.wait_for_state(&format!("router-{OURS}"), "FAULT", SOON);
    both.set_flag(true);
    wait_for("both Active again", SOON, || say(BASE));
}

#[test]
fn without_preemption_we_relieve_a_keepalived_whose_check_fails_and_do_not_take_back() {
    let [_, lines] = weighted(-100, false);
    let both = Both::start(
        &[(OURS, 100, "preempt = false\n".to_owned())],
        &[(OURS, 150, format!("{lines}\n  nopreempt"))],
    );
    both.wait_for_holder(OURS, 1);
    both.set_flag(false);
    both.wait_for_holder(OURS, 0);
    both.set_flag(true);
    std::thread::sleep(Duration::from_secs(2));
    both.wait_for_holder(OURS, 0);
}

/// What its users complain of, and the reason for the difference.
#[test]
fn without_preemption_keepalived_leaves_the_address_on_us_although_our_check_fails() {
    let [lines, _] = weighted(-100, false);
    let both = Both::start(
        &[(OURS, 150, format!("{lines}preempt = false\n"))],
        &[(OURS, 100, "  nopreempt".to_owned())],
    );
    both.wait_for_holder(OURS, 0);
    both.set_flag(false);
    wait_for("our lower priority", SOON, || both.last(OURS) == Some(50));
    std::thread::sleep(Duration::from_secs(3));
    both.wait_for_holder(OURS, 0);
}
