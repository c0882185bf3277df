//! The operator's mishaps: a broken configuration, a method that does not fit, a file that nobody includes, an nginx
//! that does not run. The service goes on and the error says whose doing it is.

use std::fs;
use std::time::Duration;

use ha_balancer::{Blame, Desired, Error, Server, Standing};
use ha_tests::wait_for;

use crate::bed::{Answer::From, Bed, Extra, SOON, kinds, pool, server};

const BROKEN: &str = "no_such_directive;\n";

#[test]
fn a_broken_configuration_of_the_operator_leaves_the_old_servers_in_place_and_in_force() {
    let bed = Bed::with(&[1, 2]);
    let before = (fs::read(bed.file("web")).unwrap(), bed.workers(), bed.reloads());
    bed.configure(&Extra::default(), BROKEN);
    let error = bed.apply(&[pool("web", &[2])]).unwrap_err();
    println!("{error}\n{}", error.remedy());
    assert_eq!(error.blame(), Blame::Configuration);
    let Error::Refused { pools, output, .. } = &error else { panic!("{error}") };
    assert!(pools.is_empty() && output.contains("unknown directive \"no_such_directive\" in"), "{error}");

    assert_eq!((fs::read(bed.file("web")).unwrap(), bed.workers(), bed.reloads()), before);
    assert_eq!(bed.names(), ["api.servers", "web.servers"]);
    assert_eq!(kinds(bed.ask(8000, 20)), [From(1), From(2)]);
    assert_eq!(bed.seen("web"), (vec![1, 2], Standing::Running));

    bed.configure(&Extra::default(), "");
    assert!(bed.apply(&[pool("web", &[2])]).unwrap().reloaded);
    assert_eq!(kinds(bed.ask(8000, 20)), [From(2)]);
}

#[test]
fn a_pool_that_nginx_refuses_does_not_hold_up_the_others() {
    let bed = Bed::running(&Extra { web: "ip_hash;", ..Extra::default() });
    let sorry = Server { backup: true, ..server(3) };
    let web = Desired::new("web", vec![server(2), sorry]).unwrap();
    for _ in 0..2 {
        let applied = bed.apply(&[web.clone(), pool("api", &[2])]).unwrap();
        assert_eq!(applied.refused.len(), 1, "{applied:?}");
        let refusal = &applied.refused[0];
        println!("{}\n{}", refusal.error, refusal.error.remedy());
        assert_eq!((&*refusal.pool, refusal.error.blame()), ("web", Blame::Configuration));
        assert!(refusal.error.remedy().contains("sorry = \"alone\""), "{}", refusal.error.remedy());
        assert_eq!((kinds(bed.ask(8000, 9)), kinds(bed.ask(8001, 9))), (vec![From(1)], vec![From(2)]));
        assert_eq!(fs::read_to_string(bed.file("web")).unwrap(), "server 127.0.1.1:80;\n", "the old file");
        assert_eq!(bed.seen("api"), (vec![2], Standing::Running));
    }
    assert_eq!(bed.reloads(), 1, "the second time nothing else changed");
}

#[test]
fn a_refused_pool_that_had_no_file_before_is_told_by_what_was_wrong_not_by_the_file_that_is_missing_now() {
    let bed = Bed::new(&Extra { web: "ip_hash;", ..Extra::default() });
    fs::write(bed.file("api"), "server 127.0.1.1:80;\n").unwrap();
    let sorry = Server { backup: true, ..server(3) };
    let error = bed.apply(&[Desired::new("web", vec![server(2), sorry]).unwrap()]).unwrap_err();
    println!("{error}\n{}", error.remedy());
    assert!(error.to_string().contains("parameter \"backup\""), "{error}");
    assert_eq!(bed.names(), ["api.servers"]);
}

#[test]
fn a_file_that_nobody_includes_is_told_and_taken_over_once_it_is_included() {
    let bed = Bed::running(&Extra::default());
    let whole = fs::read_to_string(bed.scratch.file("nginx.conf")).unwrap();
    bed.scratch.write("nginx.conf", &whole.replace("include pools/web.servers;", "server 127.0.1.3:80;"));
    let applied = bed.apply(&[pool("web", &[2]), pool("api", &[1])]).unwrap();
    assert_eq!(applied.unused, ["web".into()]);
    assert_eq!(bed.seen("web"), (vec![2], Standing::Unused));
    assert_eq!(kinds(bed.ask(8000, 9)), [From(3)]);

    bed.scratch.write("nginx.conf", &whole);
    let applied = bed.apply(&[pool("web", &[2]), pool("api", &[1])]).unwrap();
    assert!(applied.is_complete() && applied.reloaded, "{applied:?}");
    assert_eq!(bed.seen("web"), (vec![2], Standing::Running));
    assert_eq!(kinds(bed.ask(8000, 9)), [From(2)]);
}

#[test]
fn for_an_nginx_that_does_not_run_all_is_ready_when_it_starts() {
    let mut bed = Bed::with(&[1]);
    for kill in [true, false] {
        if kill {
            bed.kill_nginx()
        } else {
            bed.stop_nginx()
        }
        let wanted = [pool("web", &[if kill { 2 } else { 3 }]), pool("api", &[1])];
        let error = bed.apply(&wanted).unwrap_err();
        println!("{error}\n{}", error.remedy());
        assert!(matches!(error, Error::NotRunning { .. }), "{error}");
        assert_eq!(error.blame(), Blame::Balancer);
        let stored = (bed.identity("web"), bed.seen("web").1);
        assert_eq!(stored.1, Standing::Stopped);
        // Again and again: nothing is written any more.
        assert!(matches!(bed.apply(&wanted), Err(Error::NotRunning { .. })));
        assert_eq!(bed.identity("web"), stored.0);

        bed.start();
        assert_eq!(kinds(bed.ask(8000, 9)), [From(if kill { 2 } else { 3 })]);
        let applied = bed.apply(&wanted).unwrap();
        assert!(applied.is_complete() && applied.written.is_empty(), "{applied:?}");
        assert_eq!(bed.seen("web").1, Standing::Running);
        assert_eq!(bed.names(), ["api.servers", "web.servers"]);
    }
}

#[test]
fn a_reload_that_nginx_does_not_carry_out_is_told_and_what_runs_stays_known() {
    let mut bed = Bed::with(&[1]);
    bed.set_options(|options| {
        options.test = Some(vec!["/bin/true".to_owned()]);
        options.reload_timeout = Duration::from_secs(1);
    });
    bed.configure(&Extra::default(), BROKEN);
    let error = bed.apply(&[pool("web", &[2])]).unwrap_err();
    println!("{error}\n{}", error.remedy());
    assert!(matches!(error, Error::NotReloaded { .. }), "{error}");
    assert_eq!(bed.seen("web"), (vec![2], Standing::Pending));
    assert_eq!(kinds(bed.ask(8000, 9)), [From(1)]);
    // Workers that die are replaced with the old configuration: that is no proof of the new one.
    bed.kill_workers();
    assert_eq!(bed.seen("web"), (vec![2], Standing::Pending));
    bed.forget();
    assert_eq!(bed.seen("web"), (vec![2], Standing::Pending));
    assert_eq!(kinds(bed.ask(8000, 9)), [From(1)]);

    bed.configure(&Extra::default(), "");
    assert!(bed.apply(&[pool("web", &[2])]).unwrap().reloaded);
    assert_eq!((kinds(bed.ask(8000, 9)), bed.seen("web").1), (vec![From(2)], Standing::Running));
}

#[test]
fn the_operators_own_commands_for_test_and_reload_are_used() {
    let mut bed = Bed::with(&[1]);
    let folder = bed.scratch.path().display().to_string();
    let nginx = |last: &[&str]| {
        let words = ["/usr/sbin/nginx", "-p", &folder, "-c", "nginx.conf"];
        Some(words.iter().chain(last).map(|word| (*word).to_owned()).collect())
    };
    bed.set_options(|options| (options.test, options.reload) = (nginx(&["-t"]), nginx(&["-s", "reload"])));
    let applied = bed.apply(&[pool("web", &[2])]).unwrap();
    assert!(applied.reloaded && applied.is_complete(), "{applied:?}");
    assert_eq!((kinds(bed.ask(8000, 9)), bed.seen("web").1), (vec![From(2)], Standing::Running));

    bed.set_options(|options| {
        options.reload = Some(vec!["/bin/sh".into(), "-c".into(), "echo no; exit 4".into()])
    });
    let error = bed.apply(&[pool("web", &[3])]).unwrap_err();
    assert!(error.to_string().contains("exit status: 4") && error.to_string().contains("no"), "{error}");
    assert_eq!(bed.seen("web").1, Standing::Pending);

    bed.set_options(|options| {
        options.test = Some(vec!["/bin/sleep".into(), "60".into()]);
        options.command_timeout = Duration::from_millis(300);
    });
    let error = bed.apply(&[pool("web", &[1])]).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(bed.seen("web").0, [2], "the last that nginx is known to have run");
    wait_for("requests at the server of before", SOON, || kinds(bed.ask(8000, 9)) == [From(2)]);
}

#[test]
fn a_pid_file_that_names_somebody_else_harms_nobody() {
    let mut bed = Bed::with(&[1]);
    bed.kill_nginx();
    // A process that SIGHUP would end.
    let mut stranger = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
    bed.scratch.write("nginx.pid", &format!("{}\n", stranger.id()));
    let error = bed.apply(&[pool("web", &[2])]).unwrap_err();
    assert!(error.to_string().contains("\"/bin/sleep 60\", no nginx master"), "{error}");
    assert!(stranger.try_wait().unwrap().is_none(), "it lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
