//! What `[[notify]]` and `[mail]` become.

use std::path::PathBuf;
use std::time::Duration;

use ha_config::{
    Change, Command, Fifo, Host, Item, MailSecurity, Notifier, NotifyChannel, NotifyCommand, NotifyScope,
    NotifyState, TlsOptions, changes,
};

use super::{address, model, web};

fn notifier(keys: &str) -> Notifier {
    let mail = if keys.contains("mail =") { "[mail]\nhost = 'mail'\nfrom = 'a@b'\n" } else { "" };
    let mut notifiers = model(&format!("{}[[notify]]\nname = 'x'\n{keys}\n{mail}", web(""))).notifiers;
    assert_eq!(notifiers.len(), 1);
    notifiers.remove(0)
}

#[test]
fn a_notifier_of_required_keys_has_the_documented_defaults() {
    let notifier = notifier("command = ['/usr/lib/tell', '--now']");
    let classes = [
        NotifyScope::Instances(None),
        NotifyScope::Groups(None),
        NotifyScope::Checks(None),
        NotifyScope::Pools(None),
    ];
    assert_eq!((&*notifier.name, &notifier.on[..]), ("x", &classes[..]));
    assert_eq!((notifier.states, notifier.types), (vec![], vec![]));
    assert_eq!((notifier.timeout, notifier.retry_for), (Duration::from_secs(10), Duration::from_secs(3600)));
    assert_eq!(notifier.queue, 1024);
    let argv = vec!["/usr/lib/tell".to_owned(), "--now".to_owned()];
    let command = Command { argv, user: None };
    assert_eq!(
        notifier.channel,
        NotifyChannel::Command(NotifyCommand { command, arguments: true, leave_running: false })
    );
}

#[test]
fn every_key_of_a_notifier_reaches_the_model() {
    let keys = "on = ['node', 'instances/web', 'servers']\nstates = 'FAULT'\ntypes = ['check.remedy_*']\ntimeout = '1s'\n\
                queue = 5\nfifo = '/run/x'\npriorities = true";
    let fifo = notifier(keys);
    let on = [NotifyScope::Node, NotifyScope::Instances(Some("web".to_owned())), NotifyScope::Servers(None)];
    assert_eq!((&fifo.on[..], &fifo.states[..]), (&on[..], &[NotifyState::Fault][..]));
    assert_eq!((&fifo.types[..], fifo.timeout), (&["check.remedy_*".to_owned()][..], Duration::from_secs(1)));
    assert_eq!(
        (fifo.queue, fifo.channel),
        (5, NotifyChannel::Fifo(Fifo { path: PathBuf::from("/run/x"), priorities: true }))
    );
    let keys = "webhook = 'https://example.org/x?y'\nsecret_file = 'vrrp-password'\ntls = { server_name = 'z' }\nretry_for = '0s'";
    let webhook = notifier(keys);
    assert_eq!(webhook.retry_for, Duration::ZERO);
    assert!(!format!("{webhook:?}").contains("example.org/x"));
    let NotifyChannel::Webhook(webhook) = webhook.channel else { panic!() };
    assert_eq!(webhook.url.expose(), "https://example.org/x?y");
    assert_eq!(webhook.secret.unwrap().expose(), "s3cret");
    assert_eq!(webhook.tls.server_name.as_deref(), Some("z"));
}

#[test]
fn a_notifier_can_name_one_of_each() {
    let text = web("group = 'g'\ntrack = ['c', 'pools/p']")
        + &web("group = 'g'").replace("web", "db").replace("51", "52").replace(".10", ".11")
        + "[[check]]\nname = 'c'\nkind = 'tcp'\nhost = 'a'\nport = 1\n\
           [[check]]\nname = 'only-told'\nkind = 'icmp'\nhost = 'a'\n\
           [[pool]]\nname = 'p'\nchecks = ['c']\n[[pool.server]]\naddress = '10.0.1.1'\nport = 1\n\
           [[notify]]\nname = 'x'\ncommand = ['/x']\n\
           on = ['groups/g', 'checks/c', 'checks/only-told', 'pools/p', 'pools/p/servers']\n";
    let configuration = model(&text);
    assert_eq!(configuration.notifiers[0].on.len(), 5);
    // What somebody is told of is no idle check.
    let names: Vec<&str> = configuration.checks.iter().map(|check| &*check.policy.name).collect();
    assert_eq!(names, ["checks/c", "checks/only-told"]);
}

#[test]
fn whoever_is_told_of_all_checks_makes_none_of_them_idle() {
    let check = "[[check]]\nname = 'c'\nkind = 'icmp'\nhost = 'a'\n";
    let text = web("") + check + "[[notify]]\nname = 'x'\non = 'checks'\nfifo = '/run/x'\n";
    assert_eq!(model(&text).checks.len(), 1);
}

#[test]
fn mail_has_the_documented_defaults_and_every_key_reaches_the_model() {
    let notify = "[[notify]]\nname = 'x'\nmail = ['a@example.org', 'b@example.org']\n";
    let configuration = model(&(web("") + "[mail]\nhost = 'mail'\nfrom = 'x@example.org'\n" + notify));
    let to = vec!["a@example.org".to_owned(), "b@example.org".to_owned()];
    assert_eq!(configuration.notifiers[0].channel, NotifyChannel::Mail { to });
    assert_eq!(configuration.notifiers[0].timeout, Duration::from_secs(30));
    let mail = configuration.mail.unwrap();
    assert_eq!(
        (mail.host, mail.port, mail.security),
        (Host::Name("mail".to_owned()), 587, MailSecurity::Starttls)
    );
    assert_eq!((mail.tls, mail.login, mail.hello), (TlsOptions::default(), None, None));
    for (security, port) in [("tls", 465), ("opportunistic", 25), ("none", 25), ("starttls", 587)] {
        let mail = format!("[mail]\nhost = 'mail'\nfrom = 'x@example.org'\nsecurity = '{security}'\n");
        assert_eq!(model(&(web("") + &mail + notify)).mail.unwrap().port, port, "{security}");
    }
    let keys = "[mail]\nhost = '10.0.0.1'\nport = 2525\nsecurity = 'tls'\ntls = { verify = false }\nuser = 'me'\n\
                password_file = 'vrrp-password'\nfrom = 'x@example.org'\nhello = '10.0.0.2'\nsource = '10.0.0.2'\n";
    let mail = model(&(web("") + keys + notify)).mail.unwrap();
    assert_eq!((mail.host, mail.port, mail.tls.verify), (Host::Address(address("10.0.0.1")), 2525, false));
    let login = mail.login.unwrap();
    assert_eq!((&*login.user, login.password.expose()), ("me", "s3cret"));
    assert_eq!((mail.hello.as_deref(), mail.source), (Some("[10.0.0.2]"), Some(address("10.0.0.2"))));
}

#[test]
fn changes_of_notifiers_are_named() {
    let file = |keys: &str| model(&format!("{}[[notify]]\nname = 'x'\nfifo = '/run/x'\n{keys}\n", web("")));
    let changed = Change::Changed { item: Item::Notify, name: "x".to_owned(), keys: vec!["states", "queue"] };
    assert_eq!(changes(&file(""), &file("states = ['FAULT']\nqueue = 1")), [changed]);
    assert_eq!(changes(&file(""), &file("queue = 1024")), []);
}
