//! What is on the node itself: files, links, routes, programs. The client is the node here.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use ha_probe::{
    Attempt, Extent, Field, Interface, Matching, NumberFile, Outcome, Probe, Process, Reason, Route, Script,
    Spec, Trouble, Watch,
    command::{Command, Commands},
};

use crate::{
    bed::{Bed, SOON, Scripts},
    table::{Case, PASSED, Table, failed},
    transport::LONG,
};

const DOWN: Outcome = failed(Reason::Down);
const MISSING: Outcome = failed(Reason::Missing);
const WRONG: Outcome = failed(Reason::WrongAnswer);

pub(crate) async fn files(bed: &Bed, table: &mut Table) {
    let file =
        |path: PathBuf| Spec::File(NumberFile { path, minimum: Some(1), maximum: None, missing: None });
    let written = |name, text| bed.scratch().write(name, text);
    let cases = [
        ("good: 7, 1 wanted", written("seven", "7\n"), PASSED, "7"),
        ("0, 1 wanted", written("zero", "0\n"), WRONG, "0"),
        ("not a number", written("words", "all is well\n"), WRONG, "all is well"),
        ("missing", bed.scratch().file("missing"), MISSING, ""),
    ];
    for (situation, path, outcome, words) in cases {
        let spec = file(path);
        table
            .attempt(Case { kind: "file", situation, spec, within: LONG, expected: &[outcome], words })
            .await;
    }
    let path = bed.scratch().file("seven");
    let mut watch = watch(file(path.clone())).await;
    std::fs::write(path, "0\n").expect("it is ours");
    table.add("file, watched", "7 becomes 0", &told(&mut watch, WRONG).await, &[WRONG], "");
}

pub(crate) async fn links_and_routes(bed: &Bed, table: &mut Table) {
    let ip = |words: &str| drop(bed.lab.client.ip(words));
    ip("link add one type veth peer name one-peer");
    ip("link set one-peer up");
    ip("link set one up");
    ip("address add 10.1.0.1/24 dev one");
    ip("route add 10.9.0.0/16 via 10.1.0.2");
    ip("route add unreachable 10.8.0.0/16");
    let link = |name: &str| Spec::Interface(Interface { name: name.to_owned() });
    let route = |second: u8, gateway: Option<u8>| {
        let destination = ([10, second, 0, 0].into(), 16);
        let gateway = gateway.map(|last| [10, 1, 0, last].into());
        Spec::Route(Route { destination, gateway, interface: None, table: 254 })
    };
    let cases = [
        ("interface", "good", link("one"), PASSED, "up and running"),
        ("interface", "missing", link("none"), MISSING, "no link"),
        ("route", "good", route(9, Some(2)), PASSED, "via 10.1.0.2 dev one"),
        ("route", "another gateway", route(9, Some(3)), WRONG, "via 10.1.0.3 wanted"),
        ("route", "unreachable", route(8, None), DOWN, "unreachable"),
        ("route", "missing", route(7, None), MISSING, "no route"),
    ];
    for (kind, situation, spec, outcome, words) in cases {
        table.attempt(Case { kind, situation, spec, within: LONG, expected: &[outcome], words }).await;
    }
    let (mut link, mut route) = (watch(link("one")).await, watch(route(9, Some(2))).await);
    ip("link set one-peer down");
    table.add("interface, watched", "cable pulled", &told(&mut link, DOWN).await, &[DOWN], "no carrier");
    ip("link set one down");
    table.add(
        "route, watched",
        "its link set down",
        &told(&mut route, MISSING).await,
        &[MISSING],
        "no route",
    );
    ip("link del one");
    table.add("interface, watched", "deleted", &told(&mut link, MISSING).await, &[MISSING], "no link");
}

/// Script checks whose programs the launcher of these tests starts.
pub(crate) fn script(program: &str, value_from_exit: bool) -> Spec {
    let commands = Commands::launched_by(env!("CARGO_BIN_EXE_ha-launcher"), 8);
    let command = Command { allow_root: true, ..Command::new([program], Duration::ZERO) };
    Spec::Script(Script { command, value_from_exit, commands })
}

pub(crate) async fn scripts(bed: &Bed, table: &mut Table) {
    let folder = Scripts::new(bed.scratch());
    let below_tmp = bed.scratch().write("script", "#!/bin/sh\nexit 0\n").display().to_string();
    let (second, timeout) = (Duration::from_secs(1), failed(Reason::Timeout));
    let forbidden = Outcome::Inconclusive(Trouble::Permission);
    let cases = [
        ("good", folder.script("good", "echo fine"), false, LONG, PASSED, "fine"),
        (
            "exit 1",
            folder.script("bad", "echo no upstream; exit 1"),
            false,
            LONG,
            failed(Reason::ExitCode(1)),
            "no upstream",
        ),
        ("exit 12, value from exit", folder.script("value", "exit 12"), true, LONG, PASSED, "exit status 12"),
        (
            "crashes",
            folder.script("crash", "kill -SEGV $$"),
            false,
            LONG,
            failed(Reason::Signal(11)),
            "SIGSEGV",
        ),
        ("hangs", folder.script("hang", "exec sleep 60"), false, second, timeout, ""),
        ("others may change it", below_tmp, false, LONG, forbidden, "/tmp"),
        ("missing", "/usr/lib/nothing".to_owned(), false, LONG, Outcome::Inconclusive(Trouble::Kernel), ""),
    ];
    for (situation, program, dynamic, within, outcome, words) in cases {
        let spec = script(&program, dynamic);
        table.attempt(Case { kind: "script", situation, spec, within, expected: &[outcome], words }).await;
    }
}

/// nginx by its command line, told by the kernel when it dies.
pub(crate) fn processes(bed: &mut Bed, table: &mut Table) {
    let matching = |text: &str| Matching {
        field: Field::CommandLine,
        text: format!("-p {}{text}", bed.scratch().path().display()),
        extent: Extent::Part,
    };
    let wanted =
        |text, minimum, maximum| Spec::Process(Process { matching: matching(text), minimum, maximum });
    let cases = [
        ("good: nginx", wanted(" -c nginx.conf", 1, Some(1)), PASSED, ""),
        ("two wanted", wanted(" -c nginx.conf", 2, None), failed(Reason::Count), ""),
        ("none wanted", wanted(" -c nginx.conf", 0, Some(0)), failed(Reason::Count), ""),
        ("missing", wanted(" -c other.conf", 1, None), MISSING, ""),
    ];
    let frozen = wanted(" -c nginx.conf", 1, Some(1));
    let followed = wanted(" -c nginx.conf", 1, None);
    bed.at_the_client(async || {
        for (situation, spec, outcome, words) in cases {
            table
                .attempt(Case { kind: "process", situation, spec, within: LONG, expected: &[outcome], words })
                .await;
        }
        bed.nginx.freeze();
        let situation = "nginx stopped (SIGSTOP)";
        table
            .attempt(Case {
                kind: "process",
                situation,
                spec: frozen,
                within: LONG,
                expected: &[PASSED],
                words: "",
            })
            .await;
        bed.nginx.thaw();
    });
    let (lab, nginx) = (&bed.lab, &mut bed.nginx);
    lab.client.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut watch = watch(followed).await;
            nginx.kill();
            table.add("process, watched", "nginx killed", &told(&mut watch, MISSING).await, &[MISSING], "");
        });
    });
}

/// A watch that found all to be well.
async fn watch(spec: Spec) -> Watch {
    let mut watch = Probe::new(spec).expect("a valid check").watch().expect("it is watched");
    let first = tokio::time::timeout(SOON, watch.next()).await.expect("a first result");
    assert_eq!(first.outcome, PASSED, "{}", first.evidence);
    watch
}

/// What is told next, or, when that is only on the way to it, what follows; the time is from now.
async fn told(watch: &mut Watch, outcome: Outcome) -> Attempt {
    let begun = Instant::now();
    let next = async {
        loop {
            let attempt = watch.next().await;
            if attempt.outcome == outcome {
                return Attempt { latency: begun.elapsed(), ..attempt };
            }
        }
    };
    tokio::time::timeout(SOON, next).await.unwrap_or_else(|_| panic!("{outcome:?} was not told"))
}
