//! Partial views of real agents over TLS, and of other users on their sockets: every subset of three nodes dead, cut off, hung, or
//! refusing. hactl never says OK unless all answered, ends with the right code, and takes one node-timeout in all.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{Command, Output},
    time::{Duration, Instant},
};

use ha_tests::{Agent, Lab, hactl_binary, outside_of_cargo, wait_for, wait_until};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use serde_json::Value;

use crate::{
    common::SOON,
    secure::{self, OPERATOR},
};

/// What happens to each node of a subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Its agent is gone.
    Killed,
    /// Its cable is cut.
    Cut,
    /// Its agent stands still: the kernel takes connections, and nobody reads from them.
    Hung,
    /// It knows who asks, who may not look there.
    Role,
    /// It does not trust the authority of who asks.
    Authority,
    /// It knows which user of its machine asks, who may not look there.
    User,
    /// Its socket is not for the user that asks.
    Socket,
}

/// Who asks.
#[derive(Clone, Debug)]
enum Client {
    /// Over TLS, by the name of the certificate.
    Certificate(String),
    /// On the sockets of all nodes, by uid.
    User(u32),
}

/// The first of the users that ask: no user of the machine. The one beyond the subsets may look everywhere.
const FIRST_USER: u32 = 61_400;
const READER: u32 = FIRST_USER + ALL as u32 + 1;

impl Fault {
    /// hactl's exit code when it happens to all nodes.
    fn code(self) -> i32 {
        match self {
            Self::Killed => 5,
            Self::Cut | Self::Hung => 8,
            Self::Role | Self::Authority | Self::User | Self::Socket => 6,
        }
    }

    /// Whether the nodes of the subset lose the address with it.
    fn moves(self) -> bool {
        matches!(self, Self::Killed | Self::Cut | Self::Hung)
    }

    /// Who runs hactl. For each subset there is somebody whom its nodes refuse.
    fn client(self, subset: u8) -> Client {
        match self {
            Self::Role => Client::Certificate(format!("guest-{subset}")),
            Self::Authority => Client::Certificate(format!("stranger-{subset}")),
            Self::User => Client::User(FIRST_USER + u32::from(subset)),
            Self::Socket => Client::User(READER),
            Self::Killed | Self::Cut | Self::Hung => Client::Certificate(OPERATOR.to_owned()),
        }
    }
}

const NODES: u8 = 3;
const ALL: u8 = 0b111;
const NODE_TIMEOUT: Duration = Duration::from_secs(1);

/// Three nodes over TLS.
struct Trio {
    // First, so that they end before their network.
    agents: Vec<Agent>,
    lab: Lab,
}

impl Trio {
    fn start() -> Self {
        let lab = Lab::new(NODES, 1);
        secure::make_certificates(&lab);
        (1..=ALL).for_each(|subset| make_guest(&lab, subset));
        (1..=ALL).for_each(|subset| make_stranger(&lab, subset));
        let agents: Vec<Agent> = (0..usize::from(NODES)).map(|node| start(&lab, node)).collect();
        agents.iter().for_each(|agent| open_socket(agent, true));
        let trio = Self { agents, lab };
        trio.wait_until_whole();
        trio
    }

    fn status(&self, client: &Client) -> (Output, Value, Duration) {
        let timeout = format!("{}ms", NODE_TIMEOUT.as_millis());
        let began = Instant::now();
        let words = ["status", "-o", "json", "--node-timeout", &timeout];
        let output = match client {
            Client::Certificate(name) => secure::hactl(&self.lab, name, &words),
            Client::User(user) => self.hactl_as(*user, &words),
        };
        let took = began.elapsed();
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output, answer, took)
    }

    /// hactl as another user of the machine, who need not get to where it was built.
    fn hactl_as(&self, user: u32, words: &[&str]) -> Output {
        let program = self.lab.scratch().file("hactl");
        if !program.exists() {
            fs::copy(hactl_binary(), &program).expect("it was built");
        }
        let mut command = outside_of_cargo(Command::new(program));
        for agent in &self.agents {
            command.arg("--endpoint").arg(agent.endpoint());
        }
        command.args(words).uid(user).gid(user).current_dir("/").output().expect("hactl starts")
    }

    /// All nodes answer, and all is well: OK is what hactl says when it may.
    #[track_caller]
    fn wait_until_whole(&self) {
        let mut last = Value::Null;
        let is_whole = || {
            let (output, answer, _) = self.status(&Client::Certificate(OPERATOR.to_owned()));
            let active = &answer["items"][0]["active_on"];
            let whole = output.status.code() == Some(0) && *active == serde_json::json!(["node-0"]);
            last = answer;
            whole && self.lab.holders(self.lab.vip4(0, 1)) == [0]
        };
        let came = wait_until(SOON, is_whole);
        assert!(came, "not whole: {last:#}");
    }

    fn happen(&mut self, fault: Fault, node: usize) {
        match fault {
            Fault::Killed => self.agents[node].process.kill(),
            Fault::Cut => self.lab.cut_off(self.lab.node(node)),
            Fault::Hung => self.agents[node].process.freeze(),
            Fault::Socket => open_socket(&self.agents[node], false),
            Fault::Role | Fault::Authority | Fault::User => {}
        }
    }

    fn end(&mut self, fault: Fault, node: usize) {
        match fault {
            Fault::Killed => self.agents[node].restart(self.lab.node(node)),
            Fault::Cut => self.lab.reconnect(self.lab.node(node)),
            Fault::Hung => self.agents[node].process.thaw(),
            Fault::Socket => open_socket(&self.agents[node], true),
            Fault::Role | Fault::Authority | Fault::User => {}
        }
    }

    /// Waits until the best of those that are left holds the address.
    fn settle(&self, fault: Fault, subset: u8) {
        let left = (0..usize::from(NODES)).find(|node| subset & 1 << node == 0);
        if let Some(best) = left.filter(|_| fault.moves()) {
            let vip = self.lab.vip4(0, 1);
            wait_for("the best that is left holds the address", SOON, || self.lab.holders(vip) == [best]);
        }
    }
}

/// Lets everybody connect, or only root, as an agent of which no group may ask anything.
fn open_socket(agent: &Agent, open: bool) {
    let mode = fs::Permissions::from_mode(if open { 0o666 } else { 0o660 });
    fs::set_permissions(agent.socket(), mode).expect("it is ours");
}

fn start(lab: &Lab, node: usize) -> Agent {
    let node = lab.node(node);
    let accepts = |subset: &u8| subset & 1 << node.index() == 0;
    let guest = |subset: u8| format!("\"cert:guest-{subset}\", {}", FIRST_USER + u32::from(subset));
    let guests = (1..=ALL).filter(accepts).map(guest);
    let readers: Vec<String> = guests.chain([READER.to_string()]).collect();
    let authorities = (1..=ALL).filter(accepts).map(|subset| format!("authority-{subset}"));
    let read = |folder: String| fs::read_to_string(lab.scratch().file(&folder).join("ca.crt"));
    let trusted: String =
        authorities.chain(["pki".to_owned()]).map(|folder| read(folder).expect("it was made")).collect();
    let file = lab.scratch().write(&format!("trusted-{}.crt", node.index()), &trusted);
    let own = lab.scratch().file("pki/ca.crt");
    let configuration =
        secure::configuration(lab, node).replace(&own.display().to_string(), &file.display().to_string());
    secure::start_with(lab, node, &format!("readers = [{}]\n{configuration}", readers.join(", ")))
}

/// A certificate of the cluster's authority in which no role is written: each node decides by its configuration.
fn make_guest(lab: &Lab, subset: u8) {
    let read = |file: &str| fs::read_to_string(lab.scratch().file("pki").join(file)).expect("it was made");
    let authority = KeyPair::from_pem(&read("ca.key")).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&read("ca.crt"), authority).expect("an authority");
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, format!("guest-{subset}"));
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().expect("a key");
    let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
    lab.scratch().write(&format!("pki/guest-{subset}.crt"), &certificate.pem());
    write_key(lab, &format!("pki/guest-{subset}.key"), &key.serialize_pem());
}

/// A certificate of an authority that only the nodes outside of the subset trust.
fn make_stranger(lab: &Lab, subset: u8) {
    let (folder, name) = (format!("authority-{subset}"), format!("stranger-{subset}"));
    secure::pki(lab, &folder, "init");
    secure::pki(lab, &folder, &format!("issue client {name} --role reader"));
    let read =
        |file: String| fs::read_to_string(lab.scratch().file(&folder).join(file)).expect("it was made");
    lab.scratch().write(&format!("pki/{name}.crt"), &read(format!("{name}.crt")));
    write_key(lab, &format!("pki/{name}.key"), &read(format!("{name}.key")));
}

fn write_key(lab: &Lab, file: &str, text: &str) {
    let path = lab.scratch().write(file, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
}

/// Every subset, one after the other, each healed before the next.
fn no_subset_is_ok(fault: Fault) {
    let mut trio = Trio::start();
    for subset in 1..=ALL {
        let nodes: Vec<usize> = (0..usize::from(NODES)).filter(|node| subset & 1 << node != 0).collect();
        nodes.iter().for_each(|node| trio.happen(fault, *node));
        trio.settle(fault, subset);
        let (output, answer, took) = trio.status(&fault.client(subset));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (code, verdict) = (output.status.code(), &answer["verdict"]);
        println!("{fault:?} {nodes:?}: {code:?} {verdict} after {took:?}");
        let wanted = if subset == ALL { fault.code() } else { 4 };
        assert_eq!(code, Some(wanted), "{fault:?} {nodes:?}: {answer:#}\n{said}");
        let is_known = subset != ALL && (fault.moves() || !nodes.contains(&0));
        // Whoever holds the address is in the picture, or is not.
        assert_eq!(verdict, if is_known { "DEGRADED" } else { "UNKNOWN" }, "{nodes:?}: {answer:#}");
        assert_eq!(answer["complete"], false, "{nodes:?}: {answer:#}");
        let told = answer["nodes"].as_array().cloned().unwrap_or_default();
        let missing = told.iter().filter(|node| node["state"] != "ANSWERED").count();
        assert_eq!((told.len(), missing), (3, nodes.len()), "{answer:#}");
        assert!(took < NODE_TIMEOUT * 2, "{fault:?} {nodes:?}: {took:?}");
        nodes.iter().for_each(|node| trio.end(fault, *node));
        trio.wait_until_whole();
    }
}

#[test]
fn no_subset_of_dead_nodes_is_ok() {
    no_subset_is_ok(Fault::Killed);
}

#[test]
fn no_subset_of_nodes_that_are_cut_off_is_ok() {
    no_subset_is_ok(Fault::Cut);
}

#[test]
fn no_subset_of_hung_nodes_is_ok() {
    no_subset_is_ok(Fault::Hung);
}

#[test]
fn no_subset_of_nodes_that_refuse_by_role_is_ok() {
    no_subset_is_ok(Fault::Role);
}

#[test]
fn no_subset_of_nodes_that_do_not_know_the_authority_is_ok() {
    no_subset_is_ok(Fault::Authority);
}

#[test]
fn no_subset_of_nodes_that_refuse_a_user_is_ok() {
    no_subset_is_ok(Fault::User);
}

#[test]
fn no_subset_of_nodes_whose_socket_a_user_cannot_open_is_ok() {
    no_subset_is_ok(Fault::Socket);
}
