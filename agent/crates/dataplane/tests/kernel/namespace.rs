//! A network namespace as a thread: what runs in it, runs there. It ends with the value.

use std::process::Command;
use std::sync::mpsc;
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
pub(crate) struct Namespace {
    jobs: mpsc::Sender<Job>,
    thread: nix::unistd::Pid,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (started, ready) = mpsc::channel();
        thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a namespace needs root");
            started.send(nix::unistd::gettid()).unwrap();
            queue.into_iter().for_each(|job| job());
        });
        let namespace = Self { jobs, thread: ready.recv().unwrap() };
        namespace.ip("link set lo up");
        namespace
    }

    /// Two namespaces with a wire between their links `wire`.
    pub(crate) fn pair() -> (Self, Self) {
        let (left, right) = (Self::new(), Self::new());
        left.connect(&right, "wire");
        (left, right)
    }

    /// One more wire, between links of this name.
    pub(crate) fn connect(&self, other: &Self, link: &str) {
        self.ip(&format!("link add {link} type veth peer name {link} netns {}", other.thread));
        for side in [self, other] {
            // Without DAD, link-local addresses are usable at once.
            side.write(&format!("ipv6/conf/{link}/accept_dad"), "0");
            side.ip(&format!("link set {link} up"));
        }
    }

    pub(crate) fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        let (done, result) = mpsc::channel();
        self.jobs.send(Box::new(move || drop(done.send(job())))).unwrap();
        result.recv().expect("the job did not panic")
    }

    pub(crate) fn shell(&self, program: &'static str, arguments: &str) -> (bool, String) {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        self.run(move || {
            let output = Command::new(program).args(&arguments).output().expect("it is installed");
            let text = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&text).into_owned())
        })
    }

    /// `ip ARGUMENTS`, which must succeed.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let (is_success, text) = self.shell("ip", arguments);
        assert!(is_success, "ip {arguments}: {text}");
        text
    }

    /// Writes below /proc/sys/net.
    pub(crate) fn write(&self, path: &str, value: &'static str) {
        let path = format!("/proc/sys/net/{path}");
        self.run(move || std::fs::write(path, value)).unwrap();
    }

    /// Reads below /proc/sys/net.
    pub(crate) fn read(&self, path: &str) -> String {
        let path = format!("/proc/sys/net/{path}");
        self.run(move || std::fs::read_to_string(path)).unwrap().trim().to_owned()
    }

    /// The index of a link.
    pub(crate) fn index(&self, link: &'static str) -> u32 {
        self.run(move || nix::net::if_::if_nametoindex(link)).unwrap()
    }

    /// The Ethernet address of a link.
    pub(crate) fn mac(&self, link: &str) -> String {
        let text = self.ip(&format!("-br link show {link}"));
        text.split_whitespace().nth(2).unwrap().to_owned()
    }

    /// Addresses of a link with their prefix lengths and what follows on the line of `ip -o address`.
    pub(crate) fn addresses(&self, link: &str) -> Vec<String> {
        let text = self.ip(&format!("-o address show dev {link}"));
        text.lines().map(|line| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" ")).collect()
    }

    /// Whether a link has an address, told with its prefix length.
    pub(crate) fn has(&self, link: &str, address: &str) -> bool {
        self.addresses(link).iter().any(|found| found.split(' ').next() == Some(address))
    }
}
