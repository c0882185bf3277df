//! What a command gets and what it does not.

use std::collections::BTreeMap;
use std::time::Duration;

use ha_probe::command::{Command, Ending, Leftovers, Limits};

use crate::fixture::{Folder, PublicLauncher, command, commands, is_root, output, run};

/// `Name: value` lines, as in /proc/self/status.
fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim())).collect()
}

#[tokio::test]
async fn the_environment_is_made_from_scratch() {
    let command = Command {
        environment: vec![("HA_NAME".to_owned(), "web".to_owned()), ("PATH".to_owned(), "/evil".to_owned())],
        ..command(["/usr/bin/env"], Duration::from_secs(5))
    };
    let text = output(&commands().run(&command).await);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(lines, ["HA_NAME=web", "LANG=C", path]);
}

#[tokio::test]
async fn a_command_has_no_input_no_foreign_files_and_a_session_of_its_own() {
    let folder = Folder::new();
    let script =
        folder.script("look", "pwd; umask; wc -c; ls /proc/self/fd | wc -l; ps -o pid=,pgid=,sid= -p $$");
    let text = output(&run([&script]).await);
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    // Descriptors 0, 1, 2 and the folder that ls reads.
    assert_eq!(lines[..4], ["/", "0077", "0", "4"]);
    let numbers: Vec<u32> = lines[4].split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers[0], numbers[1], "it leads its process group");
    let own = nix::unistd::getsid(None).unwrap().as_raw().to_string();
    assert_ne!(numbers[2].to_string(), own);
}

#[tokio::test]
async fn resources_are_limited_and_privileges_cannot_be_gained() {
    let text = output(&run(["/bin/cat", "/proc/self/limits", "/proc/self/status"]).await);
    for (limit, value) in [
        ("Max open files", "64"),
        ("Max file size", "1048576"),
        ("Max core file size", "0"),
        ("Max cpu time", "30"),
    ] {
        let line = text.lines().find(|line| line.starts_with(limit)).unwrap();
        assert_eq!(line[limit.len()..].split_whitespace().next(), Some(value), "{line}");
    }
    assert_eq!(fields(&text)["NoNewPrivs"], "1");
}

#[tokio::test]
async fn a_remedy_may_start_a_service_and_so_has_the_limits_of_the_agent() {
    let command = Command {
        limits: Limits::REMEDY,
        leftovers: Leftovers::Stay,
        ..command(["/bin/cat", "/proc/self/limits"], Duration::from_secs(5))
    };
    let text = output(&commands().run(&command).await);
    let line = text.lines().find(|line| line.starts_with("Max file size")).unwrap();
    assert!(line.contains("unlimited"), "{line}");
}

#[tokio::test]
async fn another_user_has_its_groups_and_no_capabilities() {
    if !is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let status = command(["/bin/cat", "/proc/self/status"], Duration::from_secs(5));
    for user in ["nobody", "65534"] {
        let command = Command { user: Some(user.to_owned()), allow_root: false, ..status.clone() };
        let text = output(&commands().run(&command).await);
        let fields = fields(&text);
        assert_eq!(fields["Uid"], "65534\t65534\t65534\t65534");
        assert_eq!(fields["Gid"], "65534\t65534\t65534\t65534");
        assert_eq!(fields["Groups"], "65534");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(fields[set], "0000000000000000", "{set}");
        }
    }
    // A number without a name is a user as well.
    let command = Command { user: Some("61234".to_owned()), ..status };
    let text = output(&commands().run(&command).await);
    assert_eq!((fields(&text)["Uid"], fields(&text)["Groups"]), ("61234\t61234\t61234\t61234", ""));
}

#[tokio::test]
async fn root_is_refused_unless_it_is_allowed() {
    if !is_root() {
        return eprintln!("skipped: this is about root");
    }
    for user in [None, Some("root".to_owned()), Some("0".to_owned())] {
        let command = Command { user, ..Command::new(["/bin/true"], Duration::from_secs(5)) };
        let ended = commands().run(&command).await;
        assert!(matches!(&ended.ending, Ending::Refused(why) if why.contains("as root")), "{ended}");
    }
}

#[tokio::test]
async fn an_unknown_user_is_named() {
    let command =
        Command { user: Some("no-such-user".to_owned()), ..command(["/bin/true"], Duration::from_secs(5)) };
    let ended = commands().run(&command).await;
    assert_eq!(ended.ending, Ending::Refused("there is no user no-such-user on this node".to_owned()));
}

/// As the systemd unit starts the agent: an ordinary user with ambient capabilities.
#[test]
fn capabilities_of_the_agent_do_not_reach_its_commands() {
    if !is_root() {
        return eprintln!("skipped: only root can give capabilities");
    }
    let caps = "+net_admin,+net_raw";
    let launcher = PublicLauncher::new("launcher");
    let ours = std::process::Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps",
            caps,
            "--ambient-caps",
            caps,
        ])
        .arg(launcher.path())
        .args(["/bin/cat", "/proc/self/status"])
        .output()
        .expect("setpriv is part of util-linux");
    let text = String::from_utf8_lossy(&ours.stdout);
    assert!(ours.status.success(), "{text}{}", String::from_utf8_lossy(&ours.stderr));
    let fields = fields(&text);
    assert_eq!(fields["Uid"], "65534\t65534\t65534\t65534");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(fields[set], "0000000000000000", "{set}");
    }
}

#[test]
fn an_agent_that_may_not_switch_users_says_what_it_lacks() {
    if !is_root() {
        return eprintln!("skipped: only root can become somebody else first");
    }
    let launcher = PublicLauncher::new("launcher");
    let ours = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(launcher.path())
        .args(["--user", "daemon", "/bin/true"])
        .output()
        .expect("setpriv is part of util-linux");
    let text = String::from_utf8_lossy(&ours.stderr);
    assert!(text.contains("cannot become user 1") && text.contains("CAP_SETUID"), "{text}");
}
