//! The agent under test, and hactl asking it.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{Lab, Node, Process, Scratch, agent_binary, hactl_binary, wait_until};

/// One `[[instance]]` of an agent's configuration.
#[derive(Debug, Clone)]
pub struct AgentInstance {
    /// Its name; `router-<vrid>` unless changed.
    pub name: String,
    /// The link it runs on.
    pub interface: String,
    /// 2 or 3.
    pub version: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Time between adverts, as in the file: `"100ms"`.
    pub interval: String,
    /// Virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Further lines of the table, as they are.
    pub extra: String,
}

impl AgentInstance {
    /// A multicast instance of version 3 on eth0 with 1 s adverts.
    pub fn new(vrid: u8, priority: u8, addresses: &[IpAddr]) -> Self {
        Self {
            name: format!("router-{vrid}"),
            interface: "eth0".to_owned(),
            version: 3,
            vrid,
            priority,
            interval: "1s".to_owned(),
            addresses: addresses.to_vec(),
            extra: String::new(),
        }
    }

    /// The table in the file's own words.
    pub fn toml(&self) -> String {
        let Self { name, interface, version, vrid, priority, interval, extra, .. } = self;
        let addresses: Vec<String> = self.addresses.iter().map(|address| format!("\"{address}\"")).collect();
        format!(
            "[[instance]]\nname = \"{name}\"\ninterface = \"{interface}\"\nversion = {version}\n\
             virtual_router_id = {vrid}\npriority = {priority}\nadvertisement_interval = \"{interval}\"\n\
             addresses = [{}]\n{extra}\n",
            addresses.join(", ")
        )
    }
}

/// How long an agent may take to leave.
const END: Duration = Duration::from_secs(20);

/// A running ha-agent.
#[derive(Debug)]
pub struct Agent {
    /// Its process.
    pub process: Process,
    name: String,
    log: PathBuf,
    socket: PathBuf,
    configuration: PathBuf,
    head: String,
}

impl Agent {
    /// Starts an agent on a node with these instances.
    #[track_caller]
    pub fn start(node: &Node, scratch: &Scratch, instances: &[AgentInstance]) -> Self {
        let body: String = instances.iter().map(AgentInstance::toml).collect();
        Self::start_with(node, scratch, &body)
    }

    /// Starts an agent with this configuration; `[node]` and `[api]` are put before it.
    #[track_caller]
    pub fn start_with(node: &Node, scratch: &Scratch, body: &str) -> Self {
        let (name, socket, head) = identity(node, scratch);
        let configuration = scratch.write(&format!("{name}.toml"), &format!("{head}{body}"));
        Self::begin(node, scratch, (name, socket, head), configuration)
    }

    /// Starts an agent with a keepalived.conf; `[node]` and `[api]` stand in the file beside it.
    #[track_caller]
    pub fn start_as_keepalived(node: &Node, scratch: &Scratch, text: &str) -> Self {
        let (name, socket, head) = identity(node, scratch);
        scratch.write(&format!("{name}.toml"), &head);
        let configuration = scratch.write(&format!("{name}.conf"), text);
        Self::begin(node, scratch, (name, socket, String::new()), configuration)
    }

    #[track_caller]
    fn begin(
        node: &Node,
        scratch: &Scratch,
        (name, socket, head): (String, PathBuf, String),
        configuration: PathBuf,
    ) -> Self {
        let log = scratch.file(&format!("{name}.log"));
        let process = Process::start(&node.space, &name, run(&configuration, &name), &log);
        Self { process, name, log, socket, configuration, head }
    }

    /// Waits until it answers on its socket; panics with its log when it ends instead.
    #[track_caller]
    pub fn wait_until_ready(&mut self, bound: Duration) {
        let connects = |socket: &Path| std::os::unix::net::UnixStream::connect(socket).is_ok();
        let ready = wait_until(bound, || connects(&self.socket) || !self.process.is_running());
        let running = self.process.is_running();
        assert!(
            ready && running,
            "the agent is not ready (running: {running}); it said:\n{}",
            self.process.log()
        );
    }

    /// Starts it again after its end, with the configuration as it is now.
    #[track_caller]
    pub fn restart(&mut self, node: &Node) {
        self.process.kill();
        let log = self.log.clone();
        self.process = Process::start(&node.space, &self.name, run(&self.configuration, &self.name), &log);
    }

    /// Has it leave everything to the next process (SIGUSR2), waits for its end, and starts that one.
    #[track_caller]
    pub fn hand_on(&mut self, node: &Node) {
        self.hand_on_to_nobody();
        self.restart(node);
    }

    /// Starts it with `--replace` where none runs.
    #[track_caller]
    pub fn start_to_replace(&mut self, node: &Node) {
        self.process.kill();
        self.process = self.next(node);
    }

    /// Starts the next process first, which takes over, and waits for the end of the old one.
    #[track_caller]
    pub fn replace(&mut self, node: &Node) {
        let next = self.next(node);
        let status = std::mem::replace(&mut self.process, next).wait(END);
        assert!(status.success(), "{status}; it said:\n{}", self.process.log());
    }

    #[track_caller]
    fn next(&self, node: &Node) -> Process {
        let mut command = run(&self.configuration, &self.name);
        command.arg("--replace");
        Process::start(&node.space, &self.name, command, &self.log)
    }

    /// Has it leave everything (SIGUSR2) and waits for its end.
    #[track_caller]
    pub fn hand_on_to_nobody(&mut self) {
        self.process.signal(Signal::SIGUSR2);
        let status = self.process.wait(END);
        assert!(status.success(), "{status}; it said:\n{}", self.process.log());
    }

    /// Takes over the rewritten configuration (SIGHUP).
    #[track_caller]
    pub fn reload(&self) {
        self.process.signal(Signal::SIGHUP);
    }

    /// Where its configuration is.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// Its gRPC socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The endpoint for hactl.
    pub fn endpoint(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Writes another configuration over the old one; a SIGHUP makes the agent read it.
    #[track_caller]
    pub fn rewrite(&self, body: &str) {
        let text = format!("{}{body}", self.head);
        std::fs::write(&self.configuration, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", self.configuration.display()));
    }
}

/// The name of a node's agent, its socket, and the tables that say so.
fn identity(node: &Node, scratch: &Scratch) -> (String, PathBuf, String) {
    let name = format!("agent-{}", node.index());
    let socket = scratch.file(&format!("{name}.sock"));
    let head =
        format!("[node]\nname = \"node-{}\"\n[api]\nsocket = \"{}\"\n", node.index(), socket.display());
    (name, socket, head)
}

/// As systemd starts it: with a state directory of its own, beside its configuration.
fn run(configuration: &Path, name: &str) -> Command {
    let mut command = Command::new(agent_binary());
    command.env("STATE_DIRECTORY", configuration.with_file_name(format!("{name}.state")));
    command.arg("run").arg("--config").arg(configuration);
    command
}

/// Exit status and standard output of hactl with these agents as endpoints; all of it is shown when a test fails.
#[track_caller]
pub fn ask_hactl(agents: &[&Agent], line: &str) -> (i32, String) {
    let output = hactl(agents, &line.split(' ').collect::<Vec<_>>());
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let code = output.status.code().unwrap_or(-1);
    println!("$ hactl {line}\n{out}{err}[{code}]\n");
    (code, out.into_owned())
}

/// A node as a peer, in the words of a configuration.
pub fn peer_table(node: &Node, endpoint: &str) -> String {
    format!("[[peer]]\nname = \"node-{}\"\nendpoint = \"{endpoint}\"\n", node.index())
}

/// All nodes as peers of each other, over their sockets.
pub fn peers_over_sockets(lab: &Lab) -> String {
    let socket = |node: &Node| lab.scratch().file(&format!("agent-{}.sock", node.index()));
    let peer = |node: &Node| peer_table(node, &format!("unix:{}", socket(node).display()));
    lab.nodes().iter().map(peer).collect()
}

/// Runs hactl with these agents as endpoints.
#[track_caller]
pub fn hactl(agents: &[&Agent], arguments: &[&str]) -> Output {
    let mut command = Command::new(hactl_binary());
    for agent in agents {
        command.arg("--endpoint").arg(agent.endpoint());
    }
    let output = command.args(arguments).output();
    output.unwrap_or_else(|error| panic!("cannot run hactl: {error}"))
}
