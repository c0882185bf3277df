//! What the agent runs and writes in its sandbox: scripts, remedies, notifications, links, pools.

use crate::life::Site;

const CHECKS: &str = r#"
[[check]]
name = "nginx"
kind = "process"
process = "nginx"
[check.remedy]
command = ["/usr/bin/systemctl", "restart", "nginx"]
wait = "500ms"
rest = "1s"
[[check]]
name = "own"
kind = "script"
command = ["/usr/local/bin/tell"]
interval = "500ms"
[[check]]
name = "other"
kind = "script"
command = ["/usr/local/bin/tell"]
user = "opal"
interval = "500ms"
[[notify]]
name = "hook"
command = ["/usr/local/bin/hook"]
[[notify]]
name = "pipe"
fifo = "/run/ha-agent/events"
"#;
const TRACK: &str = "track = [\"nginx\", \"own\", { check = \"other\", weight = -10 }]\nvirtual_mac = true";
const TELL: &str = "#!/bin/sh\nid -un\ngrep -E 'CapEff|NoNewPrivs' /proc/self/status\n";
const HOOK: &str = "#!/bin/sh\nid -un >> /var/lib/ha-agent/hook\n";

#[test]
fn scripts_remedies_notifications_and_virtual_macs_work_in_the_sandbox() {
    let site = Site::prepared(TRACK, CHECKS, |machine| {
        machine.write_program("usr/local/bin/tell", TELL);
        machine.write_program("usr/local/bin/hook", HOOK);
        machine.does("useradd opal && systemctl start nginx");
    });
    let machine = &site.machine;
    machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
    let own = machine.does("hactl check get own");
    assert!(own.contains("PASSING"), "{own}");
    machine.wait_for_word("sed 's/^/run by /' /var/lib/ha-agent/hook", "run by ha-agent\n");
    machine.does("test -p /run/ha-agent/events");
    assert!(machine.does("ip -o link show type macvlan").contains("00:00:5e:00:01:33"));
    assert_eq!(machine.does("cat /proc/sys/net/ipv4/conf/eth0/arp_ignore"), "1\n");
    // Other users are not for an agent that is not root, unless the drop-in says so.
    let other = machine.wait_for_word("hactl check get other", "CAP_SETUID and CAP_SETGID");
    println!("told after {other:?}");
    machine.does(
        "install -D -m644 /root/ha-agent/deploy/systemd/users.conf /etc/systemd/system/ha-agent.service.d/users.conf && \
         systemctl daemon-reload && systemctl restart ha-agent",
    );
    machine.wait_for_word("hactl check get other", "PASSING");
    machine.does("systemctl stop ha-agent");
    assert_eq!(machine.does("ip -o link show type macvlan"), "");
    assert_eq!(machine.does("cat /proc/sys/net/ipv4/conf/eth0/arp_ignore"), "0\n");
}

#[test]
fn a_remedy_restarts_the_service_that_polkit_lets_it_and_no_other() {
    let site = Site::prepared("track = [\"nginx\"]", CHECKS, |machine| {
        machine.write_program("usr/local/bin/tell", TELL);
        machine.write_program("usr/local/bin/hook", HOOK);
        machine.does("useradd opal && systemctl start nginx");
    });
    let machine = &site.machine;
    machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
    let died = "systemctl kill --signal KILL nginx";
    machine.does("install -m644 /root/ha-agent/deploy/systemd/50-ha-agent.rules /etc/polkit-1/rules.d/");
    machine.does(died);
    machine.wait_for_word("hactl events --last 50", "the remedy helped");
    assert_eq!(site.lab.holders(site.vip()), [0]);
    assert!(!machine.does("hactl events --last 50").contains("FAILING"));
    let as_agent =
        "setpriv --reuid ha-agent --regid ha-agent --init-groups --no-new-privs systemctl --no-ask-password";
    machine.does(&format!("{as_agent} restart nginx"));
    for forbidden in ["restart dbus", "stop nginx", "start debug-shell", "daemon-reload", "poweroff"] {
        let why = machine.refuses(&format!("{as_agent} {forbidden}"));
        assert!(why.contains("Interactive authentication required"), "{why}");
    }
    // Beyond the check's rest, so that it is another episode.
    std::thread::sleep(std::time::Duration::from_secs(2));
    machine.does("rm /etc/polkit-1/rules.d/50-ha-agent.rules");
    machine.wait_for_word("journalctl --no-pager --unit polkit", "3 rules");
    machine.does(died);
    machine.wait_for_word("hactl check get nginx", "FAILING");
    machine.wait_for_word("hactl events --last 50", "Interactive authentication required");
    machine.wait_for_property("StatusText", "1 virtual router: 1 Fault");
}

const POOL: &str = r#"
[[check]]
name = "port"
kind = "tcp"
port = 80
interval = "300ms"
[[pool]]
name = "web"
checks = ["port"]
port = 80
nginx = {}
[[pool.server]]
name = "here"
address = "127.0.0.1"
[[pool.server]]
name = "nowhere"
address = "127.0.0.1"
port = 9
"#;

#[test]
fn a_pool_is_put_into_nginx_with_the_drop_in() {
    let site = Site::prepared("", POOL, |machine| {
        machine.does(
            "mkdir -p /etc/nginx/ha-agent; \
             echo 'server 192.0.2.1:80;' > /etc/nginx/ha-agent/web.servers; \
             echo 'upstream web { include /etc/nginx/ha-agent/web.servers; }' > /etc/nginx/conf.d/web.conf; \
             systemctl start nginx",
        );
    });
    let machine = &site.machine;
    machine.wait_for_word("hactl pool get web", "ermission denied");
    machine.does(
        "install -D -m644 /root/ha-agent/deploy/systemd/nginx.conf /etc/systemd/system/ha-agent.service.d/nginx.conf && \
         systemctl daemon-reload && systemctl restart ha-agent",
    );
    machine.wait_for_word("cat /etc/nginx/ha-agent/web.servers", "server 127.0.0.1:80");
    machine.wait_for_word("hactl pool get web", "CURRENT");
    println!("{}", machine.does("hactl pool get web; cat /etc/nginx/ha-agent/web.servers"));
}
