//! Real nginx on a node of the lab: as a web server with one page, and as a balancer over a list that an agent writes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{Lab, Namespace, Node, Process, Program, require, wait_for};

const SOON: Duration = Duration::from_secs(20);

/// A running nginx with a folder of its own.
#[derive(Debug)]
pub struct Nginx {
    /// Its master, with the workers as descendants.
    pub process: Process,
    folder: PathBuf,
}

impl Nginx {
    /// Where web servers answer.
    pub const PORT: u16 = 8080;

    /// Starts one on a node, with these blocks of the `http` block; waits until it runs.
    #[track_caller]
    pub fn start(lab: &Lab, node: &Node, blocks: &str) -> Self {
        require(&[Program::Nginx]);
        let folder = Self::folder_on(lab, node);
        write(&folder, blocks);
        Self { process: run(&node.space, node.index(), &folder), folder }
    }

    /// Starts a web server that answers everything with this page.
    #[track_caller]
    pub fn serve(lab: &Lab, node: &Node, page: &str) -> Self {
        Self::start(lab, node, &Self::page(page))
    }

    /// Starts a balancer on port 80 over a list of servers that has none yet. It tries another server after 300 ms without
    /// a connection and after 500 ms without an answer.
    #[track_caller]
    pub fn balance(lab: &Lab, node: &Node, more: &str) -> Self {
        let list = Self::list_on(lab, node);
        fs::write(&list, "server 127.0.0.1:9 down;\n")
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", list.display()));
        let balancer = format!(
            "upstream app {{ include {}; }}\n\
             server {{\nlisten 80 backlog=4096;\nlocation / {{\nproxy_pass http://app;\nproxy_connect_timeout 300ms;\n\
             proxy_read_timeout 500ms;\nproxy_next_upstream error timeout;\n}}\n}}\n{more}",
            list.display()
        );
        Self::start(lab, node, &balancer)
    }

    /// The block of a web server that answers everything with this page.
    pub fn page(page: &str) -> String {
        format!("server {{ listen {} backlog=4096; return 200 \"{page}\\n\"; }}", Self::PORT)
    }

    /// The list of servers of the balancer on a node.
    #[track_caller]
    pub fn list_on(lab: &Lab, node: &Node) -> PathBuf {
        Self::folder_on(lab, node).join("app.servers")
    }

    /// An agent's `[nginx]` for the one on a node.
    #[track_caller]
    pub fn settings_on(lab: &Lab, node: &Node) -> String {
        let folder = Self::folder_on(lab, node);
        let (configuration, pid) = (folder.join("nginx.conf"), folder.join("nginx.pid"));
        format!(
            "[nginx]\nconfiguration = \"{}\"\npid_file = \"{}\"\n",
            configuration.display(),
            pid.display()
        )
    }

    /// Other blocks instead, taken over without an end.
    #[track_caller]
    pub fn reconfigure(&self, blocks: &str) {
        write(&self.folder, blocks);
        self.process.signal(Signal::SIGHUP);
    }

    #[track_caller]
    fn folder_on(lab: &Lab, node: &Node) -> PathBuf {
        let folder = lab.scratch().file(&format!("nginx-{}", node.index()));
        fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        folder
    }
}

#[track_caller]
fn write(folder: &Path, blocks: &str) {
    let text = format!(
        "pid {0}/nginx.pid;\nerror_log {0}/error.log;\nworker_processes 1;\nevents {{ worker_connections 8192; }}\n\
         http {{\naccess_log off;\n{blocks}\n}}\n",
        folder.display()
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

#[track_caller]
fn run(space: &Namespace, node: usize, folder: &Path) -> Process {
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-c").arg(folder.join("nginx.conf")).args(["-g", "daemon off;"]);
    let pid = folder.join("nginx.pid");
    let _ = fs::remove_file(&pid);
    let process = Process::start(space, &format!("nginx-{node}"), command, &folder.join("nginx.log"));
    wait_for(&format!("nginx; it said:\n{}", process.log()), SOON, || pid.exists());
    process
}
