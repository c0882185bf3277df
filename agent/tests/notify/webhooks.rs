//! Webhooks: the body, the signature, and what is tried again.

use std::time::Duration;

use ha_config::{NotifyChannel, Secret, TlsOptions, Webhook};
use ha_engine::StateName;
use tokio_rustls::TlsAcceptor;

use crate::fixture::{Bench, Folder, flap, notifier, turned};
use crate::hook::{Answer, Hook};
use crate::smtp::certificate;

fn webhook(url: String, secret: Option<&str>, tls: TlsOptions) -> NotifyChannel {
    NotifyChannel::Webhook(Webhook { url: Secret::new(url), secret: secret.map(Secret::new), tls })
}

fn plain(hook: &Hook) -> NotifyChannel {
    webhook(format!("http://{}/hook?key=1", hook.address), None, TlsOptions::default())
}

#[tokio::test]
async fn an_event_is_posted_as_json_and_signed() {
    let hook = Hook::start(|_| Answer::Status(204)).await;
    let url = format!("http://{}/hook?key=1", hook.address);
    let channel = webhook(url, Some("secret"), TlsOptions::default());
    let bench = Bench::start([notifier("hook", channel)], None);
    bench.tell(turned("web", StateName::Backup, StateName::Active));
    bench.until("it is posted", |bench| bench.counts("hook").delivered() == 1).await;
    let request = &hook.requests()[0];
    assert_eq!(request.line, "POST /hook?key=1 HTTP/1.1");
    assert_eq!(request.header("host"), hook.address.to_string());
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("x-ha-event"), "instance.state_changed");
    let name = format!("nodes/node-a/events/{}.1", bench.journal.incarnation());
    assert_eq!(request.header("x-ha-delivery"), name);
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    println!("{body:#}");
    for (pointer, value) in [
        ("/name", name.as_str()),
        ("/node", "node-a"),
        ("/type", "instance.state_changed"),
        ("/severity", "INFO"),
        ("/subject", "nodes/node-a/instances/web"),
        ("/previous_state", "BACKUP"),
        ("/current_state", "ACTIVE"),
        ("/cause", "CHECK_CHANGED"),
        ("/evidence/peer_address", "10.0.0.2"),
        ("/evidence/subject", "nodes/node-a/checks/http"),
        ("/actor/principal", "uid=0(unix)"),
    ] {
        assert_eq!(body.pointer(pointer).and_then(serde_json::Value::as_str), Some(value), "{pointer}");
    }
    assert_eq!(body["evidence"]["local_priority"], 120);
    assert_eq!(body["sequence"], 1);
    let signature = request.header("x-ha-signature");
    let (time, digits) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).unwrap();
    let signed = format!("{time}.{}", request.body);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"secret");
    let octets: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    ring::hmac::verify(&key, signed.as_bytes(), &octets).expect("the signature fits");
}

#[tokio::test]
async fn a_receiver_that_cannot_now_is_tried_again_in_order() {
    let hook = Hook::start(|number| match number {
        0 => Answer::Status(503),
        1 => Answer::Silence,
        _ => Answer::Status(200),
    })
    .await;
    let mut quick = notifier("hook", plain(&hook));
    quick.timeout = Duration::from_millis(300);
    let bench = Bench::start([quick], None);
    (1..=3).for_each(|number| bench.tell(flap("web", number)));
    bench.until("all are posted", |bench| bench.counts("hook").delivered() == 3).await;
    let names: Vec<_> =
        hook.requests().iter().map(|request| request.header("x-ha-delivery").to_owned()).collect();
    let numbers: Vec<_> = names.iter().map(|name| name.rsplit('.').next().unwrap()).collect();
    assert_eq!(numbers, ["1", "1", "1", "2", "3"]);
    let types: Vec<_> = bench.troubles("hook").iter().map(|(kind, _)| *kind).collect();
    assert_eq!(types, ["notifier.failing", "notifier.recovered"]);
    assert_eq!((bench.counts("hook").failures(), bench.counts("hook").dropped()), (2, 0));
}

#[tokio::test]
async fn what_is_refused_for_good_or_too_old_is_dropped() {
    for (status, retry_for, text) in [
        (301, Duration::from_secs(60), "301"),
        (404, Duration::from_secs(60), "404"),
        (500, Duration::ZERO, "500"),
    ] {
        let hook = Hook::start(move |number| Answer::Status(if number == 0 { status } else { 200 })).await;
        let mut stubborn = notifier("hook", plain(&hook));
        stubborn.retry_for = retry_for;
        let bench = Bench::start([stubborn], None);
        bench.tell(flap("web", 1));
        bench.until("it is dropped", |bench| bench.counts("hook").dropped() == 1).await;
        bench.tell(flap("web", 2));
        bench.until("the next is told", |bench| bench.counts("hook").delivered() == 1).await;
        let (_, told) = &bench.troubles("hook")[0];
        assert!(told.contains(text), "{told}");
    }
}

#[tokio::test]
async fn the_certificate_of_a_receiver_is_verified() {
    let folder = Folder::new();
    let (config, authority) = certificate();
    std::fs::write(folder.path("ca.pem"), authority).unwrap();
    let hook = Hook::start_with(|_| Answer::Status(200), Some(TlsAcceptor::from(config))).await;
    let url = || format!("https://{}/hook", hook.address);
    let trusted = TlsOptions { ca_file: Some(folder.path("ca.pem")), ..TlsOptions::default() };
    let named = TlsOptions { server_name: Some("other.test".to_owned()), ..trusted.clone() };
    let missing = TlsOptions { ca_file: Some(folder.path("none.pem")), ..TlsOptions::default() };
    for (tls, expected) in [
        (trusted, None),
        (TlsOptions::default(), Some("UnknownIssuer")),
        (named, Some("not valid for name")),
        (missing, Some("none.pem")),
        (TlsOptions { verify: false, ..TlsOptions::default() }, None),
    ] {
        let bench = Bench::start([notifier("hook", webhook(url(), None, tls.clone()))], None);
        bench.tell(flap("web", 1));
        let counts = bench.counts("hook");
        bench.until("it ends", |_| counts.delivered() + counts.failures() > 0).await;
        match expected {
            None => assert_eq!(counts.delivered(), 1, "{tls:?}: {:?}", bench.troubles("hook")),
            Some(why) => {
                let (_, text) = &bench.troubles("hook")[0];
                println!("{text}");
                assert!(text.contains(why), "{text}");
            }
        }
    }
}
