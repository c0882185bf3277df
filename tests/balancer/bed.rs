//! A real nginx with pools, three web servers behind it, and a client.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use ha_balancer::{
    Applied, Backend, Desired, Error, Nginx, Observed, Options, PoolOptions, Server, Standing,
};
use ha_tests::{Namespace, Process, Program, Scratch, http_ask, require, wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long anything may take that should come at once; generous, because the machine is shared.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// nginx with its pools `web` (served on port 8000) and `api` (on port 8001), each with a file of its own.
pub(crate) struct Bed {
    pub(crate) options: Options,
    pub(crate) backend: Backend,
    nginx: Option<Process>,
    pub(crate) space: Namespace,
    pub(crate) scratch: Scratch,
}

/// What the upstream blocks have beside the servers.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) web: &'static str,
    pub(crate) api: &'static str,
}

impl Bed {
    /// With web servers 1 to 3 behind it. nginx is not yet started.
    #[track_caller]
    pub(crate) fn new(extra: &Extra) -> Self {
        require(&[Program::Nginx]);
        let scratch = Scratch::new();
        let space = Namespace::create(scratch.name());
        fs::create_dir(scratch.file("pools")).expect("a new folder");
        (1..=3).for_each(|number| serve(&space, number));
        let options = options(&scratch);
        let backend = Backend::Nginx(Nginx::new(options.clone()).expect("good options"));
        let bed = Self { options, backend, nginx: None, space, scratch };
        bed.configure(extra, "");
        bed
    }

    /// Running, with server 1 in each pool, as the operator left it.
    #[track_caller]
    pub(crate) fn running(extra: &Extra) -> Self {
        let mut bed = Self::new(extra);
        for pool in ["web", "api"] {
            fs::write(bed.file(pool), "server 127.0.1.1:80;\n").expect("a new file");
        }
        bed.start();
        bed
    }

    /// Running, with these servers in `web` and server 1 in `api`, settled.
    #[track_caller]
    pub(crate) fn with(web: &[u8]) -> Self {
        let bed = Self::running(&Extra::default());
        let applied = bed.apply(&[pool("web", web), pool("api", &[1])]).expect("it applies");
        assert!(applied.is_complete() && applied.reloaded, "{applied:?}");
        bed
    }

    /// Writes nginx's main configuration, with `more` at its end.
    pub(crate) fn configure(&self, extra: &Extra, more: &str) {
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path temp_{name};"))
            .join(" ");
        let Extra { web, api } = extra;
        let text = format!(
            "pid nginx.pid; error_log error.log notice; worker_processes 2; user root; daemon off;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; {temp} proxy_connect_timeout 1s;\n\
             upstream web {{ {web} include pools/web.servers; }}\n\
             upstream api {{ {api} include pools/api.servers; }}\n\
             server {{ listen 127.0.0.1:8000; location / {{ proxy_pass http://web; }} }}\n\
             server {{ listen 127.0.0.1:8001; location / {{ proxy_pass http://api; }} }}\n\
             }}\n{more}"
        );
        self.scratch.write("nginx.conf", &text);
    }

    #[track_caller]
    pub(crate) fn start(&mut self) {
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(self.scratch.path()).args(["-c", "nginx.conf"]);
        self.nginx = Some(Process::start(&self.space, "nginx", command, &self.scratch.file("nginx.log")));
        wait_for("nginx and its two workers", SOON, || {
            self.try_observe().is_ok_and(|seen| seen.process.is_some() && seen.workers == 2)
        });
    }

    /// As a crash of the whole nginx: the pid file stays.
    pub(crate) fn kill_nginx(&mut self) {
        drop(self.nginx.take());
    }

    #[track_caller]
    pub(crate) fn stop_nginx(&mut self) {
        if let Some(mut nginx) = self.nginx.take() {
            nginx.terminate(SOON);
        }
    }

    #[track_caller]
    pub(crate) fn reload_by_somebody_else(&self) {
        let old = self.workers();
        self.nginx.as_ref().expect("nginx was started").signal(Signal::SIGHUP);
        wait_for("new workers", SOON, || {
            self.workers().iter().all(|pid| !old.contains(pid)) && self.observe().workers == old.len()
        });
    }

    /// As after a restart of the agent: nothing is remembered.
    pub(crate) fn forget(&mut self) {
        self.set_options(|_| {});
    }

    pub(crate) fn set_options(&mut self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options);
        self.backend = Backend::Nginx(Nginx::new(self.options.clone()).expect("good options"));
    }

    pub(crate) fn apply(&self, pools: &[Desired]) -> Result<Applied, Error> {
        self.block(self.backend.apply(pools))
    }

    pub(crate) fn try_observe(&self) -> Result<Observed, Error> {
        self.block(self.backend.observe())
    }

    #[track_caller]
    pub(crate) fn observe(&self) -> Observed {
        self.try_observe().expect("it can be observed")
    }

    /// The servers that a pool is seen to have, by number, and how far they are in force.
    #[track_caller]
    pub(crate) fn seen(&self, pool: &str) -> (Vec<u8>, Standing) {
        let view = self.observe().pools.remove(pool).expect("the pool has something");
        let numbers = view.servers.iter().map(|server| match server.address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 0,
        });
        (numbers.collect(), view.standing)
    }

    /// Runs a future inside the namespace to its end.
    pub(crate) fn block<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        self.space.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(work)
        })
    }

    /// The answers to this many requests through nginx.
    pub(crate) fn ask(&self, port: u16, count: usize) -> Vec<Answer> {
        self.space.run(|| (0..count).map(|_| get(port)).collect())
    }

    pub(crate) fn file(&self, pool: &str) -> PathBuf {
        self.scratch.file(&format!("pools/{pool}.servers"))
    }

    /// What lies in the folder of the pools.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.scratch.file("pools")).expect("it is there").flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// What changes whenever the file is written, replaced or touched.
    pub(crate) fn identity(&self, pool: &str) -> (u64, i64, i64) {
        let about = fs::metadata(self.file(pool)).expect("the file is there");
        (about.ino(), about.ctime(), about.ctime_nsec())
    }

    /// How often nginx was told to reload, by its own log.
    pub(crate) fn reloads(&self) -> usize {
        let log = fs::read_to_string(self.scratch.file("error.log")).unwrap_or_default();
        log.lines().filter(|line| line.ends_with(": reconfiguring")).count()
    }

    /// The workers of the master, by process id, whether they accept or not.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        let tree = self.nginx.as_ref().map(Process::tree).unwrap_or_default();
        tree.into_iter().skip(1).collect()
    }

    #[track_caller]
    pub(crate) fn kill_workers(&self) {
        let before = self.workers();
        before.iter().for_each(|pid| kill(*pid, Signal::SIGKILL).expect("it is ours"));
        wait_for("new workers", SOON, || {
            let now = self.workers();
            now.len() == before.len()
                && now.iter().all(|pid| !before.contains(pid))
                && self.observe().workers == before.len()
        });
    }
}

fn options(scratch: &Scratch) -> Options {
    let pool = |name: &str| {
        let file = scratch.file(&format!("pools/{name}.servers"));
        (Arc::from(name), PoolOptions { file, ..PoolOptions::new(name) })
    };
    Options {
        prefix: Some(scratch.path().to_owned()),
        configuration: Some(scratch.file("nginx.conf")),
        pid_file: scratch.file("nginx.pid"),
        pools: ["web", "api"].map(pool).into(),
        ..Options::default()
    }
}

/// Web server `number`.
pub(crate) fn server(number: u8) -> Server {
    Server::new(Ipv4Addr::new(127, 0, 1, number).into(), 80)
}

/// A pool of these web servers.
pub(crate) fn pool(name: &str, numbers: &[u8]) -> Desired {
    Desired::new(name, numbers.iter().copied().map(server).collect()).expect("a small pool")
}

/// What a client got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Answer {
    /// 200, from this web server.
    From(u8),
    /// Another status.
    Status(u16),
    /// No whole answer.
    Nothing,
}

/// One request on a connection of its own, from within the namespace.
pub(crate) fn get(port: u16) -> Answer {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match http_ask(address, "/", Duration::from_secs(5)) {
        Some((200, body)) => body.trim().parse().map_or(Answer::Nothing, Answer::From),
        Some((status, _)) => Answer::Status(status),
        None => Answer::Nothing,
    }
}

/// A web server whose every answer is its number. It goes with the test's process.
fn serve(space: &Namespace, number: u8) {
    let address = SocketAddr::from(([127, 0, 1, number], 80));
    let listener = space.run(|| TcpListener::bind(address)).expect("nobody else is in the namespace");
    let answer = move |mut stream: TcpStream| {
        let mut request = [0; 1024];
        // A client that goes away is its own business.
        let _ = stream.read(&mut request);
        let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n{number}").as_bytes());
    };
    thread::spawn(move || listener.incoming().flatten().for_each(answer));
}

/// The different answers, sorted.
pub(crate) fn kinds(mut answers: Vec<Answer>) -> Vec<Answer> {
    answers.sort();
    answers.dedup();
    answers
}
