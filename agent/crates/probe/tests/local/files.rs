//! File checks against real files.

use std::fs;
use std::path::Path;
use std::time::Instant;

use ha_probe::{NumberFile, Outcome, Probe, Reason, Spec, Trouble};

use crate::fixture::{Folder, attempt, next, silence};

fn spec(path: impl AsRef<Path>) -> NumberFile {
    NumberFile { path: path.as_ref().to_owned(), minimum: None, maximum: Some(0), missing: Some(0) }
}

fn probe(spec: NumberFile) -> Probe {
    Probe::new(Spec::File(spec)).unwrap()
}

const WRONG: Outcome = Outcome::Failed(Reason::WrongAnswer);

#[tokio::test]
async fn the_number_of_a_file_is_the_value_and_is_compared() {
    let folder = Folder::new();
    let file = |name: &str, text: &str| {
        fs::write(folder.path(name), text).unwrap();
        NumberFile { minimum: Some(-5), maximum: Some(10), missing: None, path: folder.path(name) }
    };
    let pipe = folder.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let missing = || spec(folder.path("missing"));
    let cases = [
        (file("a", "10\n"), Outcome::Passed, Some(10)),
        (file("b", "11\n"), WRONG, Some(11)),
        (file("c", "-6"), WRONG, Some(-6)),
        (file("d", "nonsense \x1b[2J"), WRONG, None),
        (file("e", &"1".repeat(1 << 20)), WRONG, None),
        (file("f", ""), WRONG, None),
        (missing(), Outcome::Passed, Some(0)),
        (NumberFile { missing: Some(7), ..missing() }, WRONG, Some(7)),
        (NumberFile { missing: None, ..missing() }, Outcome::Failed(Reason::Missing), None),
        (spec("/proc/sys/kernel/sysrq-is-not-there"), Outcome::Passed, Some(0)),
        (NumberFile { maximum: None, ..spec("/proc/sys/kernel/pid_max") }, Outcome::Passed, None),
        (spec(pipe), Outcome::Inconclusive(Trouble::Kernel), None),
        (spec("/"), Outcome::Inconclusive(Trouble::Kernel), None),
    ];
    for (spec, outcome, value) in cases {
        let attempt = attempt(&probe(spec.clone())).await;
        println!("{:?} {:?} {}", attempt.outcome, attempt.value, attempt.evidence);
        assert_eq!(attempt.outcome, outcome, "{spec:?}: {}", attempt.evidence);
        assert!(value.is_none() || attempt.value == value, "{spec:?}: {:?}", attempt.value);
    }
}

#[tokio::test]
async fn every_way_to_change_a_file_is_told() {
    let folder = Folder::new();
    let path = folder.path("number");
    let write = |name: &str, text: &str| fs::write(folder.path(name), text).unwrap();
    let mut watch = probe(spec(&path)).watch().unwrap();
    let (_, evidence) = next(&mut watch, Outcome::Passed).await;
    assert!(evidence.ends_with("is missing, which stands for 0"), "{evidence}");
    silence(&mut watch).await;
    write("number", "5");
    let (took, evidence) = next(&mut watch, WRONG).await;
    println!("a new file is told after {took:?}: {evidence}");
    write("number", "0\n");
    let (took, _) = next(&mut watch, Outcome::Passed).await;
    println!("a write is told after {took:?}");
    write("number", "0x0\n");
    silence(&mut watch).await;
    write("other", "9");
    silence(&mut watch).await;
    fs::rename(folder.path("other"), &path).unwrap();
    next(&mut watch, WRONG).await;
    write("number", "0");
    next(&mut watch, Outcome::Passed).await;
    write("number", "1");
    next(&mut watch, WRONG).await;
    fs::remove_file(&path).unwrap();
    next(&mut watch, Outcome::Passed).await;
    write("number", "3");
    next(&mut watch, WRONG).await;
}

#[tokio::test]
async fn a_folder_that_comes_later_and_a_link_that_is_turned_are_followed() {
    let folder = Folder::new();
    let deep = folder.path("a/b/number");
    let mut watch = probe(spec(&deep)).watch().unwrap();
    next(&mut watch, Outcome::Passed).await;
    silence(&mut watch).await;
    fs::create_dir_all(deep.parent().unwrap()).unwrap();
    silence(&mut watch).await;
    fs::write(&deep, "4").unwrap();
    next(&mut watch, WRONG).await;
    fs::remove_dir_all(folder.path("a")).unwrap();
    next(&mut watch, Outcome::Passed).await;

    let link = folder.path("link");
    for (name, text) in [("one", "0"), ("two", "2")] {
        fs::write(folder.path(name), text).unwrap();
    }
    std::os::unix::fs::symlink("one", &link).unwrap();
    let mut watch = probe(spec(&link)).watch().unwrap();
    next(&mut watch, Outcome::Passed).await;
    silence(&mut watch).await;
    std::os::unix::fs::symlink("two", folder.path("new")).unwrap();
    fs::rename(folder.path("new"), &link).unwrap();
    next(&mut watch, WRONG).await;
    fs::write(folder.path("two"), "0").unwrap();
    next(&mut watch, Outcome::Passed).await;
}

#[tokio::test]
async fn a_file_system_without_notices_is_named() {
    let spec = NumberFile { maximum: None, ..spec("/proc/sys/kernel/pid_max") };
    let mut watch = probe(spec).watch().unwrap();
    let (_, evidence) = next(&mut watch, Outcome::Passed).await;
    assert!(evidence.ends_with("; read at the interval only: /proc has no notices"), "{evidence}");
    silence(&mut watch).await;
}

#[tokio::test]
async fn a_file_that_is_written_all_the_time_is_told_and_costs_little() {
    let folder = Folder::new();
    let path = folder.path("number");
    fs::write(&path, "0").unwrap();
    let mut watch = probe(spec(&path)).watch().unwrap();
    next(&mut watch, Outcome::Passed).await;
    let writer = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let mut writes = 0;
        while begun.elapsed().as_millis() < 500 {
            fs::write(&path, "8").unwrap();
            writes += 1;
        }
        writes
    });
    next(&mut watch, WRONG).await;
    println!("told amid {} writes", writer.await.unwrap());
}
