//! The machine goes down.

use std::time::Duration;

use ha_tests::{Pinger, wait_for};

use crate::life::{Site, nothing_is_lost};
use crate::machine::SOON;

/// As ifupdown and networkd do it: what takes the network away is ordered before network.target.
const NETWORK: &str = r#"
[Unit]
DefaultDependencies=no
After=local-fs.target
Wants=network.target
Before=network.target shutdown.target
Conflicts=shutdown.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c 'ip -o address > /srv/network; ip link set eth0 down'
[Install]
WantedBy=multi-user.target
"#;

const NGINX: &str =
    "[Service]\nExecStop=\nExecStop=/bin/sh -c 'ip -o address > /srv/nginx; kill -QUIT $MAINPID'\n";

#[test]
fn at_shutdown_the_addresses_go_first_then_nginx_then_the_network() {
    let mut site = Site::with_peer("200ms");
    let machine = &mut site.machine;
    machine.write("etc/systemd/system/pretended-network.service", NETWORK);
    machine.write("etc/systemd/system/nginx.service.d/tell.conf", NGINX);
    machine.does(
        "install -D -m644 /root/ha-agent/deploy/systemd/nginx.conf /etc/systemd/system/ha-agent.service.d/nginx.conf && \
         systemctl daemon-reload && systemctl start nginx pretended-network && systemctl restart ha-agent",
    );
    machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
    let pinger = Pinger::start(&site.lab.client, site.lab.vip4(0, 1), Duration::from_millis(1));
    pinger.wait_for_answers(100, SOON);
    machine.does("systemctl --no-block poweroff");
    let took = wait_for("the end of the machine", SOON, || !machine.process.is_running());
    println!("down after {took:?}");
    pinger.wait_for_answers(100, SOON);
    let report = pinger.stop();
    nothing_is_lost(&report);
    assert_eq!(site.lab.holders(site.vip()), [1]);
    for who in ["nginx", "network"] {
        let addresses = site.machine.shared(who);
        assert!(
            addresses.contains("10.80.0.1/16") && !addresses.contains("10.80.1.1/"),
            "{who}:\n{addresses}"
        );
    }
}
