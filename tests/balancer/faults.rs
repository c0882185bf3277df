//! The agent killed in the middle, a full disk, a read-only folder, links: the old file stays whole, and the next start
//! repairs.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use ha_balancer::{Blame, Error, Standing};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use crate::bed::{Answer::From, Bed, kinds, pool};

/// What a killed agent left in the folder of the pools.
struct Left {
    what: &'static str,
    /// Pool file, and the two beside it.
    web: &'static str,
    old: Option<&'static str>,
    new: Option<&'static str>,
    /// The server that answers before and after the repair, and whether it takes a reload.
    after: u8,
    reloads: usize,
}

const ONE: &str = "# Written by ha-agent for pool web. Changes made here are overwritten.\nserver 127.0.1.1:80 weight=1 max_fails=0;\n";
const TWO: &str = "# Written by ha-agent for pool web. Changes made here are overwritten.\nserver 127.0.1.2:80 weight=1 max_fails=0;\n";
const BAD: &str = "server 127.0.1.2:80 weight=1 no_such_word;\n";

#[test]
fn whatever_step_the_agent_was_killed_in_the_next_start_repairs_it() {
    let table = [
        Left { what: "writing", web: ONE, old: None, new: Some("serv"), after: 1, reloads: 0 },
        Left { what: "keeping the old file", web: ONE, old: Some(ONE), new: None, after: 1, reloads: 1 },
        Left { what: "writing the new one", web: ONE, old: Some(ONE), new: Some("se"), after: 1, reloads: 1 },
        Left {
            what: "before the test of a bad one",
            web: BAD,
            old: Some(ONE),
            new: None,
            after: 1,
            reloads: 0,
        },
        Left { what: "before the reload", web: TWO, old: Some(ONE), new: None, after: 2, reloads: 1 },
    ];
    for Left { what, web, old, new, after, reloads } in table {
        let mut bed = Bed::with(&[1]);
        fs::write(bed.file("web"), web).unwrap();
        for (suffix, text) in
            [("old", old), ("new", new)].into_iter().filter_map(|(suffix, text)| Some((suffix, text?)))
        {
            let path = bed.scratch.file(&format!("pools/.web.servers.ha-agent.{suffix}"));
            fs::write(path, text).unwrap();
        }
        let before = bed.reloads();
        bed.forget();
        let repaired = bed.apply(&[]).unwrap_or_else(|error| panic!("{what}: {error}"));
        println!("{what}: {repaired:?}");
        assert_eq!(repaired.refused.len(), usize::from(web == BAD), "{what}");
        assert_eq!(kinds(bed.ask(8000, 9)), [From(after)], "{what}");
        // The restored file is new under its name, so one reload may be needed to be sure.
        assert!(bed.reloads() - before <= reloads.max(1), "{what}");
        assert_eq!(
            bed.seen("web"),
            (vec![after], if old.is_some() { Standing::Running } else { bed.seen("web").1 }),
            "{what}"
        );
        bed.apply(&[pool("web", &[3])]).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            (kinds(bed.ask(8000, 9)), bed.seen("web")),
            (vec![From(3)], (vec![3], Standing::Running)),
            "{what}"
        );
        assert_eq!(bed.names(), ["api.servers", "web.servers"], "{what}");
    }
}

#[test]
fn an_apply_dropped_at_any_moment_leaves_a_configuration_that_nginx_accepts_and_the_next_one_mends_the_rest()
{
    let mut bed = Bed::with(&[1]);
    // Storing and testing, then the wait for the workers of the reload before to be grown up, then the reload.
    let patiences =
        [0, 1, 2, 4, 6, 8, 11, 14, 18, 23, 30, 45, 480, 500, 510, 520, 540, 560, 580, 600, 620, 640, 700];
    for (number, patience) in patiences.into_iter().enumerate() {
        let server = if number % 2 == 0 { 2 } else { 1 };
        let patience = Duration::from_millis(patience);
        let wanted = [pool("web", &[server]), pool("api", &[server])];
        let dropped =
            bed.block(async { tokio::time::timeout(patience, bed.backend.apply(&wanted)).await.is_err() });
        println!("after {patience:?}: {}", if dropped { "dropped" } else { "done" });
        assert!(is_accepted(&bed), "after {patience:?}");
        bed.forget();
        bed.apply(&wanted).unwrap_or_else(|error| panic!("after {patience:?}: {error}"));
        assert_eq!(
            (kinds(bed.ask(8000, 5)), kinds(bed.ask(8001, 5))),
            (vec![From(server)], vec![From(server)])
        );
        assert_eq!(bed.names(), ["api.servers", "web.servers"], "after {patience:?}");
        assert_eq!(bed.seen("web"), (vec![server], Standing::Running));
    }
}

fn is_accepted(bed: &Bed) -> bool {
    bed.space.run(|| {
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-t").arg("-p").arg(bed.scratch.path()).args(["-c", "nginx.conf"]);
        command.output().is_ok_and(|output| output.status.success())
    })
}

/// Runs an apply where the folder of the pools is what `prepare` makes of it, for that apply only.
fn apply_where(bed: &Bed, prepare: impl FnOnce() + Send) -> Result<ha_balancer::Applied, Error> {
    bed.space.run(|| {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace of its own");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)
            .expect("mounts made here stay here");
        prepare();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        runtime.block_on(bed.backend.apply(&[pool("web", &[2])]))
    })
}

#[test]
fn a_full_disk_or_a_read_only_one_is_told_and_the_old_file_is_whole() {
    let bed = Bed::with(&[1]);
    let before = (bed.identity("web"), bed.reloads());
    let folder = bed.scratch.file("pools");
    let full = apply_where(&bed, || {
        let files = ["web", "api"].map(|pool| (bed.file(pool), fs::read(bed.file(pool)).unwrap()));
        mount(Some("none"), &folder, Some("tmpfs"), MsFlags::empty(), Some("size=12k,mode=755")).unwrap();
        files.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
        fs::write(folder.join("filler"), [0; 4096]).unwrap();
    });
    let refused = full.unwrap().refused;
    println!("{}\n{}", refused[0].error, refused[0].error.remedy());
    assert_eq!((refused.len(), refused[0].error.blame()), (1, Blame::Disk));
    assert!(refused[0].error.to_string().contains("No space left"), "{}", refused[0].error);

    let read_only = apply_where(&bed, || {
        mount(Some(&folder), &folder, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &folder, None::<&str>, flags, None::<&str>).unwrap();
    });
    let refused = read_only.unwrap().refused;
    println!("{}\n{}", refused[0].error, refused[0].error.remedy());
    assert_eq!((refused.len(), refused[0].error.blame()), (1, Blame::Disk));
    assert!(refused[0].error.remedy().contains("ReadWritePaths="), "{}", refused[0].error.remedy());

    assert_eq!((bed.identity("web"), bed.reloads()), before);
    assert_eq!((kinds(bed.ask(8000, 9)), bed.seen("web")), (vec![From(1)], (vec![1], Standing::Running)));
}

#[test]
fn a_link_in_place_of_one_pools_file_is_refused_and_the_other_pool_goes_on() {
    let bed = Bed::with(&[1]);
    let target = bed.scratch.write("target", ONE);
    fs::remove_file(bed.file("web")).unwrap();
    symlink(&target, bed.file("web")).unwrap();
    let applied = bed.apply(&[pool("web", &[2]), pool("api", &[2])]).unwrap();
    let refused = applied.refused.iter().find(|refusal| &*refusal.pool == "web").expect("it is refused");
    println!("{}\n{}", refused.error, refused.error.remedy());
    assert_eq!(refused.error.blame(), Blame::Configuration);
    assert_eq!(fs::read_to_string(&target).unwrap(), ONE);
    assert!(fs::symlink_metadata(bed.file("web")).unwrap().is_symlink());
    assert_eq!((kinds(bed.ask(8000, 9)), kinds(bed.ask(8001, 9))), (vec![From(1)], vec![From(2)]));
    assert_eq!(bed.seen("web").1, Standing::Foreign);
}

#[test]
fn what_somebody_else_wrote_into_the_file_is_replaced_with_a_reload_only_when_nginx_had_taken_it_over() {
    let bed = Bed::with(&[1]);
    for is_taken_over in [false, true] {
        fs::write(bed.file("web"), "least_conn; server 127.0.1.3:80;\n").unwrap();
        if is_taken_over {
            bed.reload_by_somebody_else();
            assert_eq!(kinds(bed.ask(8000, 9)), [From(3)]);
        }
        assert_eq!(bed.seen("web"), (vec![], Standing::Foreign));
        let applied = bed.apply(&[pool("web", &[1])]).unwrap();
        assert_eq!((applied.written, applied.reloaded), (vec!["web".into()], is_taken_over));
        assert_eq!((kinds(bed.ask(8000, 9)), bed.seen("web")), (vec![From(1)], (vec![1], Standing::Running)));
        assert_eq!(bed.names(), ["api.servers", "web.servers"]);
    }
}
