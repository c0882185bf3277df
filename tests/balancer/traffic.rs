//! Requests while servers come and go: none is lost in a reload, none reaches a server after apply has said that it left,
//! and however the servers flap nginx is reloaded at most once a second.

use std::{
    sync::Mutex,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use ha_balancer::{Desired, Pacer, Server};

use crate::bed::{Answer, Bed, get, pool, server};

/// One request: when it was begun, and what came of it.
type Request = (Instant, Answer);

/// Asks from two threads without a pause while `work` goes on.
fn while_asked<T>(bed: &Bed, work: impl FnOnce() -> T) -> (T, Vec<Request>) {
    let (stop, requests) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let ask = || {
        bed.space.run(|| {
            let mut own = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                own.push((Instant::now(), get(8000)));
            }
            requests.lock().expect("nobody panics with it").extend(own);
        });
    };
    let done = thread::scope(|scope| {
        (0..2).for_each(|_| _ = scope.spawn(ask));
        // Also when it panics the clients must end.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        done
    });
    let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    (done, requests.into_inner().expect("nobody panicked with it"))
}

#[test]
fn no_request_fails_in_twenty_reloads_and_none_reaches_a_server_that_apply_said_was_gone() {
    let bed = Bed::with(&[1, 2, 3]);
    let (gone, requests) = while_asked(&bed, || {
        let mut gone: Vec<(u8, Instant, Instant)> = Vec::new();
        for number in 0..20_u8 {
            let missing = number % 3 + 1;
            let left: Vec<u8> = (1..=3).filter(|server| *server != missing).collect();
            assert!(bed.apply(&[pool("web", &left)]).unwrap().reloaded);
            let since = Instant::now();
            thread::sleep(Duration::from_millis(50));
            gone.push((missing, since, Instant::now()));
        }
        gone
    });
    let failed: Vec<_> =
        requests.iter().filter(|(_, answer)| !matches!(answer, Answer::From(1..=3))).collect();
    println!("{} requests in 20 reloads, {} failed", requests.len(), failed.len());
    assert!(requests.len() > 1000, "{} requests prove nothing", requests.len());
    assert!(failed.is_empty(), "{failed:?}");
    for (server, since, until) in gone {
        let wrong = requests
            .iter()
            .filter(|(begun, answer)| *answer == Answer::From(server) && (since..until).contains(begun));
        assert_eq!(wrong.count(), 0, "server {server} was asked after it had left");
    }
}

#[test]
fn a_thousand_servers_that_flap_reload_nginx_at_most_once_a_second_and_end_as_wanted() {
    const SECONDS: u32 = 6;
    let bed = Bed::with(&[1]);
    let before = bed.reloads();
    // Server 1 stays; a thousand others on a port where nobody listens come and go, one each millisecond.
    let others: Vec<Server> = (0..1000_u16)
        .map(|number| Server::new([127, 0, 2, (number % 250) as u8].into(), 9000 + number / 250))
        .collect();
    let (reloads, wanted) = bed.block(async {
        let spacing = Duration::from_secs(1);
        let mut pacer = Pacer::new(spacing);
        let mut flapping = vec![false; others.len()];
        let (start, mut changes, mut reloads) = (Instant::now(), 0_usize, Vec::new());
        loop {
            let now = Instant::now();
            let is_over = now - start > spacing * SECONDS;
            while !is_over && start + Duration::from_millis(changes as u64) <= now {
                flapping[changes * 7 % 1000] ^= true;
                changes += 1;
                pacer.offer(desired(&others, &flapping), now);
            }
            if let Some(wanted) = pacer.start(now) {
                let applied = bed.backend.apply(&[wanted]).await;
                let applied = applied.unwrap_or_else(|error| panic!("{error}"));
                assert!(applied.is_complete(), "{applied:?}");
                reloads.extend(applied.reloaded.then(Instant::now));
                pacer.succeeded(Instant::now());
            }
            if is_over && pacer.next_deadline().is_none() {
                println!("{changes} changes in {SECONDS} s, {} reloads", reloads.len());
                return (reloads, desired(&others, &flapping));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(reloads.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(1)), "{reloads:?}");
    assert_eq!(bed.reloads() - before, reloads.len(), "by nginx's own log");
    assert!((2..=SECONDS as usize + 2).contains(&reloads.len()), "{}", reloads.len());
    assert_eq!(bed.observe().pools["web"].servers, wanted.servers());
}

fn desired(others: &[Server], flapping: &[bool]) -> Desired {
    let there = others.iter().zip(flapping).filter(|(_, is_there)| **is_there).map(|(server, _)| *server);
    Desired::new("web", there.chain([server(1)]).collect()).expect("1001 servers at most")
}
