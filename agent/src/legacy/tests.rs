//! Written by one process and taken by the next: whole, once, and only what is the agent's own.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use ha_engine::{
    Actor, AdvertisementInterval, Cause, DrainedServer, Evidence, Fact, Family, Followed, LastAdvert,
    MutedCheck, Override, Priority, StandingOrder, Verdict, Version, VirtualRouterId,
};

use super::*;
use crate::clock;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ha-agent-legacy-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    fn file(&self) -> PathBuf {
        self.0.join("agent.sock.legacy")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn actor() -> Actor {
    Actor { principal: "uid=0(unix)".into(), roles: vec!["admin".into()], ..Actor::default() }
}

fn router(name: &str, role: Option<Role>, now: Instant) -> Legacy {
    Legacy {
        name: name.into(),
        interface: "eth0".into(),
        virtual_router_id: VirtualRouterId::new(7).unwrap(),
        family: Family::Ipv6,
        version: Version::V3,
        virtual_mac: true,
        role,
        left: now,
        until: now.after(Duration::from_secs(3)),
        since: Instant::from_nanos(5),
        cause: Cause::ActiveDownTimer,
        evidence: Evidence {
            peer: Some("10.0.0.1".parse().unwrap()),
            peer_priority: Some(150),
            local_priority: Priority::new(100),
            last_advertisement_age: Some(Duration::from_millis(3601)),
            active_down_interval: Some(Duration::from_millis(3600)),
            stalled: None,
            subject: Some("checks/http".into()),
            detail: Some("exit 1".into()),
        },
        override_: Some(Override {
            priority: Priority::new(150).unwrap(),
            order: StandingOrder {
                survives: true,
                ..order("work", 6, Some(now.after(Duration::from_secs(60))))
            },
        }),
        hold: Some(order("moved", 7, None)),
        heard: Some(LastAdvert { at: now, source: "10.0.0.2".parse().unwrap(), priority: 90 }),
    }
}

fn order(reason: &str, since: u64, expires: Option<Instant>) -> StandingOrder {
    let (reason, actor, since) = (reason.into(), actor().into(), Instant::from_nanos(since));
    StandingOrder { reason, actor, since, expires, survives: false }
}

fn estate(now: Instant) -> Estate {
    let followed = Followed {
        interval: AdvertisementInterval::new(Version::V3, Duration::from_millis(250)).unwrap(),
        peak: Some(("10.0.0.2".parse().unwrap(), 200)),
        tolerates_until: Some(now),
    };
    let routers = [("a", Some(Role::Active)), ("b", Some(Role::Backup(followed))), ("c", None)];
    let fact = Fact {
        name: "checks/http".into(),
        verdict: Verdict::Failing,
        value: Some(-3),
        damped: true,
        detail: "exit 1".into(),
        since: Instant::from_nanos(9),
    };
    let drain = StandingOrder { survives: true, ..order("reboot", 8, Some(now)) };
    let mute = order("noise", 3, Some(now));
    let drained = StandingOrder { survives: true, ..order("new disks", 4, None) };
    Estate {
        inheritance: Inheritance {
            routers: routers.into_iter().map(|(name, role)| router(name, role, now)).collect(),
            facts: vec![fact],
            drain: Some(drain),
            overrides: Vec::new(),
        },
        mutes: vec![MutedCheck {
            name: "checks/http".into(),
            verdict: Verdict::Passing,
            value: Some(4),
            mute,
        }],
        servers: vec![DrainedServer { pool: "web".into(), server: "a".into(), drain: drained }],
        links: [("eth0".into(), [0, 2])].into(),
        ..Estate::of_process("0123456789abcdef")
    }
}

#[test]
fn what_is_left_is_taken_whole_and_once_and_only_its_owner_may_read_it() {
    let (directory, now) = (Directory::new("whole"), clock::now());
    leave(&directory.socket(), &estate(now)).unwrap();
    assert_eq!(directory.names(), ["agent.sock.legacy"]);
    assert_eq!(std::fs::metadata(directory.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(is_waiting(&directory.socket(), now));
    assert_eq!(take(&directory.socket(), now).unwrap(), Some(estate(now)));
    assert_eq!(directory.names(), [""; 0]);
    assert_eq!(take(&directory.socket(), now).unwrap(), None);
    assert!(!is_waiting(&directory.socket(), now));
}

#[test]
fn only_what_is_still_of_use_is_taken() {
    let (directory, now) = (Directory::new("age"), clock::now());
    let mut old = estate(now);
    old.inheritance.routers[0].until = now.after(Duration::from_secs(1));
    leave(&directory.socket(), &old).unwrap();
    let later = now.after(Duration::from_secs(1));
    assert!(!is_waiting(&directory.socket(), later), "no Active router may be gone on with any more");
    let taken = take(&directory.socket(), later).unwrap().unwrap();
    let roles = |estate: &Estate| -> Vec<(String, bool)> {
        let routers = estate.inheritance.routers.iter();
        routers.map(|router| (router.name.to_string(), router.role.is_some())).collect()
    };
    let told =
        |roles: [bool; 2]| [("a".to_owned(), roles[0]), ("b".to_owned(), roles[1]), ("c".to_owned(), false)];
    assert_eq!(roles(&taken), told([false, true]));

    // Late for every role, and a restart all the same: what operators wanted goes on.
    leave(&directory.socket(), &old).unwrap();
    let slow = take(&directory.socket(), now.after(Duration::from_secs(60))).unwrap().unwrap();
    assert_eq!(roles(&slow), told([false, false]));
    assert!(slow.inheritance.facts.is_empty(), "verdicts of then are of no use");
    assert_eq!(
        (&slow.inheritance.drain, &slow.mutes, &slow.servers),
        (&old.inheritance.drain, &old.mutes, &old.servers)
    );
    let wishes = |estate: &Estate| {
        let routers = estate.inheritance.routers.iter();
        routers.map(|router| (router.override_.clone(), router.hold.clone())).collect::<Vec<_>>()
    };
    assert_eq!(wishes(&slow), wishes(&old));

    leave(&directory.socket(), &old).unwrap();
    let refusal = take(&directory.socket(), now.after(Duration::from_secs(126))).unwrap_err().to_string();
    assert!(refusal.ends_with("it is too old"), "{refusal}");
    assert_eq!(directory.names(), [""; 0]);

    // The boot clock does not go backwards: this is of another place.
    leave(&directory.socket(), &estate(now.after(Duration::from_secs(9)))).unwrap();
    assert!(take(&directory.socket(), now).is_err());
}

#[test]
fn what_is_not_the_agents_own_is_removed_and_not_gone_on_with() {
    let (directory, now) = (Directory::new("own"), clock::now());
    let (file, elsewhere) = (directory.file(), directory.0.join("elsewhere"));
    let written = || leave(&directory.socket(), &estate(now)).unwrap();
    let moved = || {
        written();
        std::fs::rename(&file, &elsewhere).unwrap();
    };
    let table: [(&str, &dyn Fn()); 6] = [
        ("it is a symbolic link", &|| {
            moved();
            symlink(&elsewhere, &file).unwrap();
        }),
        ("it has another name elsewhere", &|| {
            moved();
            std::fs::hard_link(&elsewhere, &file).unwrap();
        }),
        ("others than its owner may use it (mode 640)", &|| {
            written();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        }),
        ("it is not a regular file", &|| {
            nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
        ("it is damaged", &|| {
            written();
            let octets = std::fs::read(&file).unwrap();
            std::fs::write(&file, &octets[..octets.len() / 2]).unwrap();
        }),
        ("octets are too many", &|| {
            written();
            std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(65 << 20).unwrap();
        }),
    ];
    for (expected, prepare) in table {
        prepare();
        assert!(!is_waiting(&directory.socket(), now), "{expected}");
        let refusal = take(&directory.socket(), now).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
        let _ = std::fs::remove_file(&elsewhere);
        assert_eq!(directory.names(), [""; 0], "{expected}");
    }
}

#[test]
fn a_file_of_another_user_is_not_gone_on_with() {
    let (directory, now) = (Directory::new("user"), clock::now());
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    leave(&directory.socket(), &estate(now)).unwrap();
    std::os::unix::fs::chown(directory.file(), Some(65_534), None).unwrap();
    let refusal = take(&directory.socket(), now).unwrap_err().to_string();
    assert!(refusal.contains("it belongs to user 65534, and this agent is user 0"), "{refusal}");
    assert_eq!(directory.names(), [""; 0]);
}

/// The document with one word of it replaced.
fn rewritten(directory: &Directory, now: Instant, from: &str, to: &str) -> Result<Option<Estate>, Unusable> {
    leave(&directory.socket(), &estate(now)).unwrap();
    let text = std::fs::read_to_string(directory.file()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(directory.file(), text.replace(from, to)).unwrap();
    take(&directory.socket(), now)
}

#[test]
fn another_boot_another_network_and_another_form_are_refused() {
    let (directory, now) = (Directory::new("place"), clock::now());
    let here = Place::here();
    assert!(here.boot.len() == 36 && here.network.starts_with("net:["), "{here:?}");
    let table = [
        (here.boot.as_str(), "00000000-0000-0000-0000-000000000000", "it is of an earlier boot"),
        (here.network.as_str(), "net:[1]", "it is of another network namespace, net:[1]"),
        ("\"form\":1", "\"form\":2", "wrote it in form 2"),
        ("\"form\":1", "\"form\":\"one\"", "it is damaged"),
        ("{", "", "it is damaged"),
    ];
    for (from, to, expected) in table {
        let refusal = rewritten(&directory, now, from, to).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn a_router_that_makes_no_sense_spoils_no_other_and_what_is_new_is_passed_over() {
    let (directory, now) = (Directory::new("sense"), clock::now());
    // What is replaced → the routers that are gone on with.
    let table = [
        (r#""name":"a""#, r#""name":7"#, vec!["b", "c"]),
        (r#""name":"a","#, r#""name":"a","new":{"x":[1]},"#, vec!["a", "b", "c"]),
        (r#""role":"active""#, r#""role":"emperor""#, vec!["b", "c"]),
        (r#""interval":250000000"#, r#""interval":0"#, vec!["a", "c"]),
        (r#""vrid":7"#, r#""vrid":0"#, vec![]),
        (r#""vrrp_version":3"#, r#""vrrp_version":9"#, vec![]),
    ];
    for (from, to, expected) in table {
        let taken = rewritten(&directory, now, from, to);
        let routers = taken.map(|estate| estate.unwrap().inheritance.routers).unwrap_or_default();
        assert_eq!(routers.iter().map(|router| &*router.name).collect::<Vec<_>>(), expected, "{to}");
    }
    let until = format!("\"until\":{}", estate(now).inheritance.routers[0].until.as_nanos());
    let taken = rewritten(&directory, now, &until, "\"until\":18446744073709551615").unwrap().unwrap();
    assert!(
        taken.inheritance.routers.iter().all(|router| router.until == now.after(Duration::from_secs(125)))
    );
    let taken = rewritten(&directory, now, "ACTIVE_DOWN_TIMER", "LOST_A_BET").unwrap().unwrap();
    assert_eq!(taken.inheritance.routers[0].cause, Cause::AgentStart);
}

#[test]
fn a_leftover_of_a_process_that_was_killed_while_it_wrote_is_in_nobodys_way() {
    let (directory, now) = (Directory::new("killed"), clock::now());
    let half = directory.0.join("agent.sock.legacy.new");
    std::fs::write(&half, "{\"form\":1,").unwrap();
    assert_eq!(take(&directory.socket(), now).unwrap(), None);
    assert_eq!(directory.names(), [""; 0]);
    symlink("/etc/passwd", &half).unwrap();
    leave(&directory.socket(), &estate(now)).unwrap();
    assert_eq!(take(&directory.socket(), now).unwrap(), Some(estate(now)));
}

#[test]
fn where_nothing_can_be_written_nothing_is_left() {
    let directory = Directory::new("refused");
    let socket = directory.0.join("no/such/agent.sock");
    assert!(leave(&socket, &estate(clock::now())).is_err());
    std::fs::create_dir(directory.file()).unwrap();
    assert!(leave(&directory.socket(), &estate(clock::now())).is_err());
    assert_eq!(directory.names(), ["agent.sock.legacy"]);
}
