//! Programs that behave badly, and what nginx prints.

use std::time::Instant;

use super::*;
use crate::Blame;

#[tokio::main(flavor = "current_thread")]
async fn sh(script: &str, timeout: Duration) -> Result<Ended, Error> {
    run(&Words::new(["/bin/sh", "-c", script]), timeout).await
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_nginx_prints_becomes_what_is_wrong() {
    let table = [
        (
            "2026/11/26 16:30:50 [emerg] 26298#26298: no servers are inside upstream in /etc/nginx/nginx.conf:5\n\
             nginx: configuration file /etc/nginx/nginx.conf test failed\n",
            "no servers are inside upstream in /etc/nginx/nginx.conf:5",
        ),
        (
            "nginx: [warn] the \"user\" directive makes sense only as root\nnginx: [emerg] unknown directive \"x\" in /a:1\n",
            "unknown directive \"x\" in /a:1",
        ),
        (
            "nginx: [alert] could not open error log file: open() failed: x\n",
            "could not open error log file: open() failed: x",
        ),
        ("sudo: a password is required\u{1b}[31m\n", "sudo: a password is required[31m"),
        ("", "it said nothing"),
    ];
    for (text, expected) in table {
        assert_eq!(complaint(text), expected);
    }
    assert_eq!(complaint(&"ä".repeat(5000)).len(), TOLD);
}

#[test]
fn the_place_of_a_complaint_is_found() {
    let table: [(&str, &[&str]); 5] = [
        ("unknown directive \"x\" in /etc/nginx/a b.conf:12", &["/etc/nginx/a b.conf"]),
        ("host not found in upstream \"a\" in /a:1\nz in /b:2", &["/a", "/b"]),
        ("host not found in upstream", &[]),
        ("bind() to 0.0.0.0:80 failed (98: Address already in use)", &[]),
        (" in :", &[]),
    ];
    for (text, expected) in table {
        assert_eq!(places(text), expected.iter().map(Path::new).collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn announced_files_are_found_however_the_output_is_cut() {
    let text = b"# configuration file /etc/nginx/nginx.conf:\nhttp {\n}\n# configuration file /a b:\n# configuration file\n";
    for size in 1..text.len() {
        let mut heard = Heard::default();
        text.chunks(size).for_each(|chunk| heard.hear(chunk));
        assert_eq!(
            heard.files,
            [Path::new("/etc/nginx/nginx.conf"), Path::new("/a b")],
            "in pieces of {size}"
        );
    }
}

#[test]
fn an_endless_line_takes_no_more_room_than_a_short_one() {
    let mut heard = Heard::default();
    (0..1000).for_each(|_| heard.hear(&[b'x'; 10_000]));
    assert_eq!((heard.head.len(), heard.line.len()), (KEPT, KEPT));
}

#[test]
fn a_program_tells_how_it_ended_and_what_it_said() {
    let ended =
        sh("echo '# configuration file /a:'; echo 'nginx: [emerg] bad in /a:1' >&2; exit 3", LONG).unwrap();
    assert_eq!((ended.status.code(), ended.complaint.as_str()), (Some(3), "bad in /a:1"));
    assert_eq!(ended.files, [Path::new("/a")]);
    assert_eq!(sh("echo out; exit 1", LONG).unwrap().complaint, "out");
}

#[test]
fn nothing_of_our_environment_reaches_it() {
    let ended = sh("env | sort | cut -d= -f1 | tr '\\n' ' ' >&2", LONG).unwrap();
    assert_eq!(ended.complaint, "LC_ALL PATH PWD");
}

#[test]
fn a_hundred_megabytes_of_output_are_read_and_forgotten() {
    let ended = sh("head -c 100000000 /dev/zero >&2", LONG).unwrap();
    assert!(ended.status.success());
}

#[test]
fn a_program_that_does_not_end_is_killed_with_what_it_started() {
    let start = Instant::now();
    let marker = format!("4{:05}", std::process::id() % 100_000);
    let error = sh(&format!("sleep {marker} & sleep {marker}"), Duration::from_millis(200)).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(error.blame(), Blame::Balancer);
    assert!(start.elapsed() < Duration::from_secs(20));
    let is_left = || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let titles = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
        titles.into_iter().any(|title| title == format!("sleep\0{marker}\0"))
    };
    while is_left() {
        assert!(start.elapsed() < Duration::from_secs(20), "sleep {marker} lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(run(&Words::new(["/nonexistent/nginx"]), LONG)).unwrap_err();
    assert_eq!(error.blame(), Blame::Configuration);
    assert!(error.to_string().starts_with("cannot run /nonexistent/nginx: No such file"), "{error}");
}

#[test]
fn a_program_that_everybody_may_change_is_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::temp_dir().join(format!("hat-{}-program", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = path.join("nginx");
    std::fs::copy("/bin/true", &program).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (mode, is_run) in [(0o755, true), (0o757, false)] {
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        let ended = runtime.block_on(run(&Words::new([&program]), LONG));
        assert_eq!(ended.is_ok(), is_run, "{mode:o}: {ended:?}");
    }
    std::fs::remove_dir_all(&path).unwrap();
}
