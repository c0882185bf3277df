//! A node that comes up before what it needs.

use ha_tests::Lab;

use crate::machine::Machine;

/// A control plane on an address, and a virtual router on a link, that are not there yet; and a group that the agent is not in.
const EARLY: &str = r#"
[node]
name = "early"
[api]
listen = ["192.0.2.77:7443"]
certificate = "/etc/ha-agent/pki/early.crt"
key = "/etc/ha-agent/pki/early.key"
client_ca = "/etc/ha-agent/pki/ca.crt"
operators = ["@ops"]
[metrics]
listen = "192.0.2.77:9650"
[[instance]]
name = "web"
interface = "late0"
virtual_router_id = 51
advertisement_interval = "200ms"
addresses = ["192.0.2.10"]
"#;

#[test]
fn links_addresses_and_groups_may_come_after_the_agent() {
    let lab = Lab::new(1, 1);
    let machine = Machine::boot(&lab, lab.node(0));
    machine.install_stopped(EARLY);
    machine.does("groupadd ops && useradd --groups ops opal");
    machine.does(
        "cd /root && hactl pki init && hactl pki issue node early --address 192.0.2.77 && \
         hactl pki issue client alice --role admin && install -d -m755 /etc/ha-agent/pki && \
         install -m644 pki/ca.crt pki/early.crt /etc/ha-agent/pki/ && \
         install -m600 pki/early.key /etc/ha-agent/pki/",
    );
    machine.refuses("systemctl enable --now ha-agent");
    let why = machine.wait_for_word(
        "systemctl status ha-agent",
        "Status: \"cannot start: 1 error, the first: /etc/ha-agent/ha-agent.toml:7:7: error: cannot read",
    );
    println!("said after {why:?}");
    machine.does("chown ha-agent /etc/ha-agent/pki/early.key");
    machine.wait_for_property("StatusText", "1 virtual router: 1 Fault");
    let (pid, log) = (machine.agent(), machine.log());
    assert!(log.contains("192.0.2.77 is no address of this node"), "{log}");
    assert!(log.contains("usermod -aG ops ha-agent"), "{log}");
    machine.does(
        "ip link add late0 type veth peer name late1 && ip link set late0 up && ip link set late1 up && \
                  ip address add 192.0.2.77/24 dev late0",
    );
    machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
    let over_tls = "cd /root/pki && hactl --cacert ca.crt --cert alice.crt --key alice.key \
                    --endpoint https://192.0.2.77:7443 status";
    assert!(machine.does(over_tls).contains("early"));
    let page = lab
        .node(0)
        .space
        .run(|| ha_tests::http_get("192.0.2.77:9650".parse().expect("an address"), "/metrics"));
    assert!(format!("{page:?}").contains("ha_agent"), "{page:?}");
    assert_eq!(machine.agent(), pid);
    let as_opal = "setpriv --reuid opal --regid opal --init-groups hactl status";
    machine.refuses(as_opal);
    machine.does("usermod -aG ops ha-agent && systemctl restart ha-agent");
    machine.does(as_opal);
}

#[test]
fn a_node_whose_file_is_wrong_says_so_and_comes_back_when_it_is_put_right() {
    let lab = Lab::new(1, 1);
    let machine = Machine::boot(&lab, lab.node(0));
    machine.install_stopped("[[instance]]\nname = \"web\"\nbogus = 1\n");
    machine.refuses("systemctl enable --now ha-agent");
    // More often, and faster, than systemd's own limit of five starts in ten seconds would let it.
    machine.wait_for_property("NRestarts", "7");
    assert_eq!(machine.property("ActiveState"), "activating");
    machine.wait_for_word("systemctl status ha-agent", "Status: \"cannot start: ");
    machine.write("etc/ha-agent/ha-agent.toml", "");
    let back = machine.wait_for_property("StatusText", "no virtual routers");
    println!("back after {back:?}");
    let errors = machine.does("journalctl --no-pager --unit ha-agent --priority err --output cat");
    assert!(errors.contains("has no key \"bogus\""), "{errors}");
}
