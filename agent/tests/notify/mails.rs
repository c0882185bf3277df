//! Mail: what it says, how it is protected, and what happens when the server cannot be reached.

use std::time::Duration;

use ha_config::{Host, Mail, MailLogin, MailSecurity, NotifyChannel, Secret, TlsOptions};
use ha_engine::StateName;

use crate::fixture::{Bench, Folder, flap, notifier, turned};
use crate::smtp::{Manners, Server, certificate};

fn settings(server: &Server) -> Mail {
    Mail {
        host: Host::Address(server.address.ip()),
        port: server.address.port(),
        security: MailSecurity::None,
        tls: TlsOptions::default(),
        login: None,
        from: "ha-agent <ha@node-a.test>".to_owned(),
        hello: None,
        source: None,
    }
}

fn to(receivers: &[&str]) -> NotifyChannel {
    NotifyChannel::Mail { to: receivers.iter().map(ToString::to_string).collect() }
}

#[tokio::test]
async fn a_mail_says_what_where_when_why_and_who() {
    let server = Server::start(Manners::default()).await;
    let bench =
        Bench::start([notifier("mail", to(&["ops@x.test", "Boss <boss@x.test>"]))], Some(settings(&server)));
    bench.tell(turned("web", StateName::Backup, StateName::Active));
    bench.until("both have it", |bench| bench.counts("mail").delivered() == 1).await;
    let mails = server.mails();
    assert_eq!(mails.iter().map(|mail| &*mail.to).collect::<Vec<_>>(), ["ops@x.test", "boss@x.test"]);
    let text = &mails[0].text;
    println!("{text}");
    for line in [
        "From: ha-agent <ha@node-a.test>",
        "Subject: [node-a] instances/web is ACTIVE: CHECK_CHANGED",
        "Auto-Submitted: auto-generated",
        "Where      node-a",
        "Why        CHECK_CHANGED",
        "Change     BACKUP to ACTIVE",
        "Led by     checks/http",
        "Evidence   connection refused by \"10.0.0.7\"",
        "Who        uid=3D0(unix) (admin)",
        "Severity   INFO",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let identity = format!("Message-ID: <{}.1@node-a>", bench.journal.incarnation());
    assert!(
        text.contains(&identity) && text.contains("What       instances/web: BACKUP to ACTIVE"),
        "{text}"
    );
    assert!(text.contains("Date: ") && text.contains("When       20"), "{text}");
    assert!(server.said()[0].starts_with("EHLO node-a"), "{:?}", server.said());
}

#[tokio::test]
async fn what_happens_meanwhile_comes_in_one_mail() {
    let server = Server::start(Manners { silent: true, ..Manners::default() }).await;
    let address = server.address;
    let mut quick = notifier("mail", to(&["ops@x.test"]));
    quick.timeout = Duration::from_millis(300);
    let bench = Bench::start([quick], Some(settings(&server)));
    (1..=20).for_each(|number| bench.tell(flap("web", number)));
    bench.until("it fails", |bench| bench.counts("mail").failures() > 0).await;
    drop(server);
    let server = Server::start_at(address, Manners::default()).await;
    bench.until("all is told", |bench| bench.counts("mail").delivered() == 20).await;
    let mails = server.mails();
    println!("{} events in {} mails", 20, mails.len());
    assert!(mails.len() <= 2, "{}", mails.len());
    let all: String = mails.iter().map(|mail| mail.text.clone()).collect();
    let places: Vec<_> =
        (1..=20).map(|number| all.find(&format!("{}.{number}\n", bench.journal.incarnation()))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "each once and in order: {places:?}");
    assert!(all.contains("events, the last: instances/web is ACTIVE"), "{all}");
    let types: Vec<_> = bench.troubles("mail").iter().map(|(kind, _)| *kind).collect();
    assert_eq!(types, ["notifier.failing", "notifier.recovered"]);
}

#[tokio::test]
async fn mail_is_protected_as_configured_and_a_password_never_goes_in_clear() {
    let folder = Folder::new();
    let (config, authority) = certificate();
    std::fs::write(folder.path("ca.pem"), authority).unwrap();
    let trusted = TlsOptions { ca_file: Some(folder.path("ca.pem")), ..TlsOptions::default() };
    // "\0ha\0secret" in base64
    let login = Some("AGhhAHNlY3JldA==".to_owned());
    let user = |password: &str| Some(MailLogin { user: "ha".to_owned(), password: Secret::new(password) });
    let plain = Manners { login: login.clone(), ..Manners::default() };
    let starttls = Manners { starttls: Some(config), ..plain.clone() };
    let implicit = Manners { implicit: true, ..starttls.clone() };
    let nobody = Manners::default();
    use MailSecurity::{None as Clear, Opportunistic, Starttls, Tls};
    let cases = [
        ("STARTTLS and login", starttls.clone(), Starttls, trusted.clone(), user("secret"), Ok(true)),
        ("TLS and login", implicit, Tls, trusted.clone(), user("secret"), Ok(true)),
        (
            "no STARTTLS",
            plain.clone(),
            Starttls,
            trusted.clone(),
            user("secret"),
            Err("STARTTLS is not supported"),
        ),
        (
            "opportunistic, offered",
            starttls.clone(),
            Opportunistic,
            trusted.clone(),
            user("secret"),
            Ok(true),
        ),
        ("opportunistic, not offered", nobody, Opportunistic, trusted.clone(), None, Ok(false)),
        (
            "opportunistic, login in clear",
            plain,
            Opportunistic,
            trusted.clone(),
            user("secret"),
            Err("STARTTLS is not supported"),
        ),
        ("in clear", Manners::default(), Clear, trusted.clone(), None, Ok(false)),
        ("wrong password", starttls.clone(), Starttls, trusted, user("wrong"), Err("535")),
        (
            "untrusted",
            starttls.clone(),
            Starttls,
            TlsOptions::default(),
            user("secret"),
            Err("UnknownIssuer"),
        ),
        (
            "not verified",
            starttls,
            Starttls,
            TlsOptions { verify: false, ..TlsOptions::default() },
            user("secret"),
            Ok(true),
        ),
    ];
    for (name, manners, security, tls, login, expected) in cases {
        let server = Server::start(manners).await;
        let mail = Mail { security, tls, login, ..settings(&server) };
        let bench = Bench::start([notifier("mail", to(&["ops@x.test"]))], Some(mail));
        bench.tell(flap("web", 1));
        let counts = bench.counts("mail");
        bench.until(name, |_| counts.delivered() + counts.failures() > 0).await;
        match expected {
            Ok(was_secure) => {
                assert_eq!(counts.delivered(), 1, "{name}: {:?}", bench.troubles("mail"));
                assert_eq!(server.mails()[0].was_secure, was_secure, "{name}");
            }
            Err(why) => {
                let (_, text) = &bench.troubles("mail")[0];
                println!("{name}: {text}");
                assert!(text.contains(why), "{name}: {text}");
                assert!(!text.contains("secret") && !text.contains("AGhh"), "{name}: {text}");
                assert!(server.mails().is_empty(), "{name}");
                let in_clear = server.said().iter().any(|line| line.contains("AGhhAHNlY3JldA"));
                assert!(!in_clear, "{name}: the password was sent");
            }
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_refused_does_not_keep_the_mail_from_the_others() {
    let manners = Manners { refuses: vec!["gone@x.test".to_owned()], ..Manners::default() };
    let server = Server::start(manners).await;
    let receivers = to(&["gone@x.test", "ops@x.test"]);
    let bench = Bench::start([notifier("mail", receivers)], Some(settings(&server)));
    bench.tell(flap("web", 1));
    bench.until("it is refused", |bench| bench.counts("mail").dropped() == 1).await;
    assert_eq!(server.mails().iter().map(|mail| mail.to.clone()).collect::<Vec<_>>(), ["ops@x.test"]);
    let (_, text) = &bench.troubles("mail")[0];
    assert!(text.contains("refuses mail to gone@x.test") && text.contains("550"), "{text}");
}

#[tokio::test]
async fn mail_without_a_server_says_so() {
    let bench = Bench::start([notifier("mail", to(&["ops@x.test"]))], None);
    bench.tell(flap("web", 1));
    bench.until("it is told", |bench| bench.counts("mail").dropped() == 1).await;
    assert!(bench.troubles("mail")[0].1.contains("no [mail] server"));
    let begun = std::time::Instant::now();
    bench.notifications.finish().await;
    assert!(begun.elapsed() < Duration::from_millis(500));
}
