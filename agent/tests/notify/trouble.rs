//! Everything at once: a dead mail server, one that says nothing, a script that hangs, a pipe that nobody reads, a hook that is
//! down. The others are told everything, in order and at once; what is lost is counted.

use std::time::{Duration, Instant};

use ha_config::{Host, Mail, MailSecurity, Notifier, NotifyChannel, Secret, TlsOptions, Webhook};

use crate::fixture::{Bench, Folder, command, fifo, flap, notifier};
use crate::hook::{Answer, Hook};
use crate::smtp::{Manners, Server};

const EVENTS: u32 = 20_000;
const INSTANCES: u32 = 10;
const QUEUE: u32 = 500;

fn mail(address: std::net::SocketAddr) -> Mail {
    Mail {
        host: Host::Address(address.ip()),
        port: address.port(),
        security: MailSecurity::None,
        tls: TlsOptions::default(),
        login: None,
        from: "ha@node-a.test".to_owned(),
        hello: None,
        source: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_in_trouble_delay_nobody_and_what_they_lose_is_counted() {
    let folder = Folder::new();
    let silent = Server::start(Manners { silent: true, ..Manners::default() }).await;
    let good = Hook::start(|_| Answer::Status(200)).await;
    let down = Hook::start(|_| Answer::Status(503)).await;
    let hang = folder.script("hang", "trap '' TERM; sleep 100 & wait; sleep 100");
    let bad = |name: &str, channel| Notifier {
        timeout: Duration::from_millis(500),
        queue: QUEUE,
        ..notifier(name, channel)
    };
    let url = |hook: &Hook| Secret::new(format!("http://{}/", hook.address));
    let webhook = |hook: &Hook| {
        NotifyChannel::Webhook(Webhook { url: url(hook), secret: None, tls: TlsOptions::default() })
    };
    let to = NotifyChannel::Mail { to: vec!["ops@x.test".to_owned()] };
    let bench = Bench::start(
        [
            bad("silent-mail", to),
            bad("hanging-script", command(&hang)),
            bad("full-pipe", fifo(&folder.path("pipe"))),
            bad("broken-hook", webhook(&down)),
            Notifier { queue: 65_536, ..notifier("good-hook", webhook(&good)) },
        ],
        Some(mail(silent.address)),
    );
    let begun = Instant::now();
    for number in 0..EVENTS {
        let instance = format!("i{}", number % INSTANCES);
        bench.tell(flap(&instance, u8::try_from(1 + number / INSTANCES % 250).unwrap()));
        if number % 1000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    println!("{EVENTS} events in the history after {:.3?}", begun.elapsed());
    bench
        .until("the good one has all", |bench| bench.counts("good-hook").delivered() == u64::from(EVENTS))
        .await;
    println!("the good hook has them all after {:.3?}", begun.elapsed());
    let sequences: Vec<u64> = good
        .requests()
        .iter()
        .map(|request| {
            let name = request.header("x-ha-delivery").to_owned();
            name.rsplit('.').next().unwrap().parse().unwrap()
        })
        .collect();
    assert!(sequences.is_sorted_by(|one, other| one < other), "in order and each once");
    assert_eq!(u32::try_from(sequences.len()), Ok(EVENTS));

    let newest = bench.journal.newest();
    assert!(
        newest - u64::from(EVENTS) <= 16,
        "troubles are told once each, not {}",
        newest - u64::from(EVENTS)
    );
    println!("{:16} {:>9} {:>9} {:>8} {:>8}", "notifier", "delivered", "failures", "dropped", "waiting");
    for name in ["silent-mail", "hanging-script", "full-pipe", "broken-hook", "good-hook"] {
        let counts = bench.counts(name);
        let (delivered, dropped, waiting) = (counts.delivered(), counts.dropped(), counts.waiting());
        println!("{name:16} {delivered:>9} {:>9} {dropped:>8} {waiting:>8}", counts.failures());
        let others = u64::from(QUEUE) + 64;
        assert!(name == "good-hook" || waiting <= others, "{name} waits for {waiting}");
    }
    let names = ["silent-mail", "hanging-script", "full-pipe", "broken-hook"];
    for name in names {
        bench.troubles(name).iter().for_each(|(kind, text)| println!("{name}: {kind}: {text}"));
    }
    let tally = bench.tally.clone();
    let ended = Instant::now();
    bench.notifications.finish().await;
    println!("the end took {:.2?}", ended.elapsed());
    assert!(ended.elapsed() < Duration::from_millis(2500));
    for name in names {
        let counts = &tally.counts()[name];
        assert!(counts.dropped() > 0, "{name}");
        assert_eq!(
            counts.delivered() + counts.dropped(),
            u64::from(EVENTS),
            "{name}: every event is accounted for"
        );
    }
}
