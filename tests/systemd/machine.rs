//! A node of a lab as a machine with systemd, installed as the README says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ha_tests::{Lab, Node, Process, agent_binary, hactl_binary, wait_for, wait_some};
use nix::unistd::Pid;

/// More than a start, a takeover or an end needs on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A machine whose first process is systemd.
pub(crate) struct Machine {
    /// All of it: when this ends, everything inside has.
    pub(crate) process: Process,
    init: Pid,
    folder: PathBuf,
}

impl Machine {
    /// Boots a machine in a node's network namespace and waits until systemd has started everything.
    #[track_caller]
    pub(crate) fn boot(lab: &Lab, node: &Node) -> Self {
        let folder = lab.scratch().file(&format!("machine-{}", node.index()));
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/machine"));
        command.arg(lab.scratch().name()).arg(&folder);
        let mut process = Process::start(&node.space, "machine", command, &folder.join("log"));
        let init = wait_some("the first process of the machine", SOON, || {
            assert!(process.is_running(), "the machine did not start:\n{}", process.log());
            first_process(process.id())
        });
        let machine = Self { process, init, folder };
        wait_for("the machine's boot", SOON, || {
            machine.run("systemctl is-system-running").1.trim() == "running"
        });
        machine
    }

    /// Does what the README says under "Run it", word by word except for the building, with this configuration.
    #[track_caller]
    pub(crate) fn install(&self, configuration: &str) {
        self.install_stopped(configuration);
        self.does("ha-agent check && systemctl enable --now ha-agent");
    }

    /// The same without the start.
    #[track_caller]
    pub(crate) fn install_stopped(&self, configuration: &str) {
        self.put_checkout();
        self.does(&format!("set -e\ncd /root/ha-agent\n{}", readme_commands()));
        self.write("etc/ha-agent/ha-agent.toml", configuration);
    }

    /// What the README's commands find where they are run.
    #[track_caller]
    fn put_checkout(&self) {
        let binaries = self.path("root/ha-agent/target/release");
        fs::create_dir_all(&binaries).expect("a folder for the binaries");
        for (binary, name) in [(agent_binary(), "ha-agent"), (hactl_binary(), "hactl")] {
            fs::copy(binary, binaries.join(name))
                .unwrap_or_else(|error| panic!("cannot copy {name}: {error}"));
        }
        let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd");
        for unit in fs::read_dir(units).expect("deploy/systemd").flatten() {
            let text = fs::read_to_string(unit.path()).expect("a text");
            self.write(&format!("root/ha-agent/deploy/systemd/{}", unit.file_name().display()), &text);
        }
    }

    /// A file of the machine, as this process reaches it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.init)).join(path)
    }

    /// Writes a file of the machine, with its folders.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, text: &str) {
        let whole = self.path(path);
        let parent = whole.parent().expect("a file is in a folder");
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&whole, text))
            .unwrap_or_else(|error| panic!("cannot write {path} in the machine: {error}"));
    }

    /// The same, to be run.
    #[track_caller]
    pub(crate) fn write_program(&self, path: &str, text: &str) {
        self.write(path, text);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(path), mode).expect("a mode for a file just written");
    }

    /// A file that outlives the machine, as its /srv has it.
    pub(crate) fn shared(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join("shared").join(name)).unwrap_or_default()
    }

    /// Runs a shell's command line inside: exit status, standard output and error. Shown when the test fails.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> (i32, String) {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.init.to_string(),
            "--mount",
            "--pid",
            "--net",
            "--ipc",
            "--uts",
            "--cgroup",
        ]);
        command.args(["--root", "--wd", "sh", "-c", line]);
        command.env_remove("HA_AGENT_CONFIG").env_remove("HACTL_ENDPOINT");
        let output = command.output().unwrap_or_else(|error| panic!("cannot run nsenter: {error}"));
        let text = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
        (output.status.code().unwrap_or(-1), text.concat())
    }

    /// Runs a command line that must succeed, and returns what it said.
    #[track_caller]
    pub(crate) fn does(&self, line: &str) -> String {
        let (code, text) = self.run(line);
        println!("# {line}\n{text}[{code}]");
        assert_eq!(code, 0, "{line}\n{text}\n{}", self.log());
        text
    }

    /// Runs a command line that must fail, and returns what it said.
    #[track_caller]
    pub(crate) fn refuses(&self, line: &str) -> String {
        let (code, text) = self.run(line);
        println!("# {line}\n{text}[{code}]");
        assert_ne!(code, 0, "{line}\n{text}\n{}", self.log());
        text
    }

    /// A property of the agent's unit.
    #[track_caller]
    pub(crate) fn property(&self, name: &str) -> String {
        let (_, text) = self.run(&format!("systemctl show ha-agent --property {name} --value"));
        text.trim().to_owned()
    }

    /// The agent's process, as the machine numbers it.
    #[track_caller]
    pub(crate) fn agent(&self) -> String {
        self.property("MainPID")
    }

    /// Waits until a property of the agent's unit is this.
    #[track_caller]
    pub(crate) fn wait_for_property(&self, name: &str, value: &str) -> Duration {
        let mut last = String::new();
        let mut is_it = || {
            last = self.property(name);
            last == value
        };
        let started = std::time::Instant::now();
        let done = ha_tests::wait_until(SOON, &mut is_it);
        assert!(done, "{name} is {last:?} and not {value:?}\n{}", self.log());
        started.elapsed()
    }

    /// Waits until the command line says this.
    #[track_caller]
    pub(crate) fn wait_for_word(&self, line: &str, word: &str) -> Duration {
        let mut last = String::new();
        let started = std::time::Instant::now();
        let done = ha_tests::wait_until(SOON, || {
            last = self.run(line).1;
            last.contains(word)
        });
        assert!(done, "{line} did not say {word:?} but:\n{last}\n{}", self.log());
        started.elapsed()
    }

    /// What the journal has of the agent's unit.
    pub(crate) fn log(&self) -> String {
        self.run("journalctl --no-pager --output short-precise --unit ha-agent --lines 60").1
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.process.is_running() {
            self.process.terminate(SOON);
        }
    }
}

/// systemd is a child's child: unshare(1) is between. It is there when it has become systemd.
fn first_process(outside: Pid) -> Option<Pid> {
    let between = child_of(outside)?;
    let init = child_of(between)?;
    let name = fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
    (name.trim() == "systemd").then_some(init)
}

fn child_of(parent: Pid) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
}

/// The first block of commands below "Run it".
fn readme_commands() -> String {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## Run it\n").nth(1).expect("README.md says how to run it");
    let block = section.lines().skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = block.map(str::trim).filter(|line| !line.starts_with("cargo ")).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    commands.join("\n")
}
