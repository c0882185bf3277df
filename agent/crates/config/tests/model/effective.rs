//! What is in force, as keys and values.

use ha_config::{EffectiveValue, effective};

use super::{model, web};

fn lines(text: &str) -> Vec<String> {
    let values = effective(&model(text));
    values.iter().map(|EffectiveValue { key, value }| format!("{key} = {value}")).collect()
}

#[test]
fn an_instance_is_shown_with_every_default() {
    let expected = [
        "instance.web.interface = \"eth0\"",
        "instance.web.virtual_router_id = 51",
        "instance.web.addresses = [\"10.0.0.10/32\"]",
        "instance.web.priority = 100",
        "instance.web.version = 3",
        "instance.web.checksum = \"pseudo-header\"",
        "instance.web.advertisement_interval = \"1s\"",
        "instance.web.longest_adopted_interval = \"10s\"",
        "instance.web.preempt = true",
        "instance.web.preempt_delay = \"0s\"",
        "instance.web.startup_delay = \"0s\"",
        "instance.web.announce.repeat = 5",
        "instance.web.announce.interval = \"100ms\"",
        "instance.web.announce.delay = \"5s\"",
        "instance.web.announce.refresh = \"0s\"",
        "instance.web.address_lost = \"restore\"",
        "instance.web.address_lease = \"auto\"",
        "instance.web.virtual_mac = false",
    ];
    let shown: Vec<String> =
        lines(&web("")).into_iter().filter(|line| line.starts_with("instance.")).collect();
    assert_eq!(shown, expected);
}

#[test]
fn what_nodes_know_of_each_other_and_keep_is_shown() {
    let text = web("")
        + "[cluster]\nsplit_brain = 'yield'\nstop_timeout = '5s'\n[journal]\nsize = '16 MiB'\n\
           [[peer]]\nname = 'b'\nendpoint = 'unix:/run/b.sock'\n";
    let shown = lines(&text);
    for expected in [
        "cluster.split_brain = \"yield\"",
        "cluster.stop_timeout = \"5s\"",
        "peer.b.endpoint = \"unix:/run/b.sock\"",
        "journal.enabled = true",
        "journal.size = \"16 MiB\"",
        "journal.age = \"2160h\"",
    ] {
        assert!(shown.iter().any(|line| line == expected), "{expected}: {shown:#?}");
    }
}

#[test]
fn no_secret_is_in_what_is_shown() {
    let text = web("track = ['site', 'script']")
        .replace("[[instance]]\n", "[[instance]]\nversion = 2\npassword_file = 'vrrp-password'\n")
        + "[[check]]\nname = 'site'\nkind = 'http'\nurl = 'http://www/a?canary'\nheaders = { Authorization = { file = '/etc/ha-agent/webhook-key' } }\n\
           [[check]]\nname = 'script'\nkind = 'script'\ncommand = ['/bin/true', 'canary']\nremedy.command = ['/bin/x', 'canary']\n\
           [[notify]]\nname = 'hook'\non = ['instances']\nwebhook = 'https://hooks/canary'\n\
           [[notify]]\nname = 'program'\non = ['instances']\ncommand = ['/bin/tell', 'canary']\n";
    let shown = lines(&text);
    let canaries: Vec<&String> =
        shown.iter().filter(|line| line.contains("canary") || line.contains("s3cret")).collect();
    assert!(canaries.is_empty(), "{canaries:?}");
    for expected in [
        "instance.web.password = \"***\"",
        "check.site.looks_at = \"http://www/a\"",
        "check.script.looks_at = \"/bin/true …\"",
        "check.script.remedy.program = \"/bin/x\"",
        "notify.hook.webhook = \"***\"",
        "notify.program.program = \"/bin/tell\"",
    ] {
        assert!(shown.iter().any(|line| line == expected), "{expected}: {shown:#?}");
    }
}
