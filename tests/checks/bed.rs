//! A node with real servers, and a client that checks them over a bridge.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use ha_probe::{Host, Target};
use ha_tests::{Lab, Namespace, Process, Program, Scratch, require, wait_for};
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use crate::authority::{Authority, DAY, Identity, Valid};

/// How long anything may take that should come at once; generous, because the machine is shared.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Where the servers listen, on every address of the node.
pub(crate) mod port {
    /// Nothing.
    pub(crate) const CLOSED: u16 = 7;
    /// nginx.
    pub(crate) const HTTP: u16 = 80;
    /// nginx, HTTP/1.1 and HTTP/2.
    pub(crate) const HTTPS: u16 = 443;
    /// haproxy, HTTP/2 in clear.
    pub(crate) const HTTP_2: u16 = 8081;
    /// haproxy, whose server is dead.
    pub(crate) const NO_SERVER: u16 = 8082;
    /// postfix.
    pub(crate) const SMTP: u16 = 25;
    /// postfix, TLS from the first octet.
    pub(crate) const SMTPS: u16 = 465;
    /// dnsmasq.
    pub(crate) const DNS: u16 = 53;
    /// tonic-health.
    pub(crate) const GRPC: u16 = 50051;
    /// openssl s_server with certificates of each sort.
    pub(crate) const TLS: u16 = 8443;
    pub(crate) const EXPIRED: u16 = 8444;
    pub(crate) const EXPIRES_SOON: u16 = 8445;
    pub(crate) const UNTRUSTED: u16 = 8446;
}

/// What the pages say.
pub(crate) const PAGE: &str = "all is well";

/// The node, its servers, and the client.
pub(crate) struct Bed {
    pub(crate) nginx: Process,
    _servers: Vec<Process>,
    pub(crate) authority: Authority,
    pub(crate) lab: Lab,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let needed = [Program::Nginx, Program::Haproxy, Program::Postfix, Program::Dnsmasq, Program::Openssl];
        require(&needed);
        let lab = Lab::new(1, 1);
        let scratch = lab.scratch();
        // postfix and nginx leave root behind.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        for place in [Place::Silent, Place::Rejected, Place::Lossy] {
            lab.node(0).space.ip(&format!("address add {}/16 dev eth0", place.address(&lab)));
        }
        lab.node(0).space.nft(&rules(&lab));
        let authority = Authority::new(scratch, "authority");
        let good = authority.issue(scratch, "good", Valid::For(9 * DAY));
        let nginx = nginx(&lab.node(0).space, scratch, &good);
        let mut servers = vec![haproxy(&lab), postfix(&lab, &good), dnsmasq(&lab)];
        servers.extend(tls_servers(&lab, &authority, &good));
        grpc(&lab.node(0).space);
        let bed = Self { nginx, _servers: servers, authority, lab };
        bed.wait_for_servers();
        bed
    }

    pub(crate) fn node(&self) -> &Namespace {
        &self.lab.node(0).space
    }

    pub(crate) fn scratch(&self) -> &Scratch {
        self.lab.scratch()
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.lab.node(0).address4(0)
    }

    /// A port of the node, seen from the client.
    pub(crate) fn target(&self, port: u16) -> Target {
        at((self.address(), port).into())
    }

    /// The same, at an address of which the node's firewall thinks otherwise.
    pub(crate) fn behind(&self, place: Place, port: u16) -> Target {
        at((place.address(&self.lab), port).into())
    }

    /// Runs the checks at the client.
    #[track_caller]
    pub(crate) fn at_the_client<T: Send>(&self, checks: impl AsyncFnOnce() -> T + Send) -> T {
        self.lab.client.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(checks())
        })
    }

    fn wait_for_servers(&self) {
        use port::*;
        for port in
            [HTTP, HTTPS, HTTP_2, NO_SERVER, SMTP, SMTPS, DNS, GRPC, TLS, EXPIRED, EXPIRES_SOON, UNTRUSTED]
        {
            let listens = || self.node().run(|| std::net::TcpStream::connect((self.address(), port)).is_ok());
            wait_for(&format!("a server at port {port}"), SOON, listens);
        }
    }
}

/// An address of the node with a rule of its own in the node's firewall.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Everything is dropped.
    Silent,
    /// Everything is answered with "host unreachable".
    Rejected,
    /// Of echo requests every other one is dropped.
    Lossy,
}

impl Place {
    fn address(self, lab: &Lab) -> Ipv4Addr {
        let number = match self {
            Self::Silent => 101,
            Self::Rejected => 102,
            Self::Lossy => 103,
        };
        lab.vip4(0, number)
    }
}

pub(crate) fn at(address: SocketAddr) -> Target {
    Target::new(Host::Address(address.ip()), address.port())
}

fn rules(lab: &Lab) -> String {
    let [silent, rejected, lossy] =
        [Place::Silent, Place::Rejected, Place::Lossy].map(|place| IpAddr::from(place.address(lab)));
    format!(
        "table inet hat {{ chain input {{ type filter hook input priority 0;\n\
         ip daddr {silent} counter drop\n\
         ip daddr {rejected} counter reject with icmp type host-unreachable\n\
         ip daddr {lossy} icmp type echo-request numgen inc mod 2 == 0 counter drop\n\
         }}\n}}\n"
    )
}

fn start(space: &Namespace, scratch: &Scratch, name: &str, command: Command) -> Process {
    Process::start(space, name, command, &scratch.file(&format!("{name}.log")))
}

fn nginx(space: &Namespace, scratch: &Scratch, identity: &Identity) -> Process {
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path temp_{name};"))
        .join(" ");
    let (certificate, key) = (identity.certificate.display(), identity.key.display());
    let text = format!(
        "pid nginx.pid; error_log error.log notice; worker_processes 1; user root; daemon off;\n\
         events {{ worker_connections 512; }}\n\
         http {{ access_log access.log; {temp}\n\
         ssl_certificate {certificate}; ssl_certificate_key {key};\n\
         server {{ listen {http}; listen {https} ssl http2;\n\
         location / {{ return 200 '{PAGE}'; }}\n\
         location /ill {{ return 503 'all is ill'; }}\n\
         location /loop {{ return 302 /loop; }}\n\
         location /bomb {{ root files; default_type text/plain; add_header Content-Encoding gzip; }}\n\
         location /drip {{ root files; limit_rate 1; }}\n\
         }}\n}}\n",
        http = port::HTTP,
        https = port::HTTPS,
    );
    fs::create_dir(scratch.file("files")).expect("a new folder");
    scratch.write("nginx.conf", &text);
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-p").arg(scratch.path()).args(["-c", "nginx.conf"]);
    start(space, scratch, "nginx", command)
}

fn haproxy(lab: &Lab) -> Process {
    let text = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 60s\n timeout server 60s\n\
         frontend two\n bind :{http_2} proto h2\n http-request return status 200 content-type text/plain string '{PAGE}'\n\
         frontend dead\n bind :{no_server}\n default_backend none\n\
         backend none\n server gone 127.0.0.1:{closed}\n",
        http_2 = port::HTTP_2,
        no_server = port::NO_SERVER,
        closed = port::CLOSED,
    );
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-db", "-f"]).arg(lab.scratch().write("haproxy.cfg", &text));
    start(&lab.node(0).space, lab.scratch(), "haproxy", command)
}

/// A postfix of its own: configuration, queue and process apart from the system's.
fn postfix(lab: &Lab, identity: &Identity) -> Process {
    let scratch = lab.scratch();
    let [configuration, spool, data] = ["postfix", "spool", "data"].map(|name| scratch.file(name));
    let folders = ["active", "deferred", "incoming", "private", "public", "maildrop", "pid"];
    for folder in [&configuration, &data].into_iter().cloned().chain(folders.map(|name| spool.join(name))) {
        fs::create_dir_all(&folder).expect("a new folder");
    }
    for owned in [&data, &spool.join("private"), &spool.join("public"), &spool.join("active")] {
        give_to(owned, "postfix");
    }
    let text = format!(
        "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\n\
         daemon_directory = /usr/lib/postfix/sbin\ncommand_directory = /usr/sbin\n\
         myhostname = mail.example.org\nmynetworks_style = host\ninet_protocols = all\nsmtpd_peername_lookup = no\n\
         smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\n\
         alias_maps =\nalias_database =\nlocal_recipient_maps =\n\
         maillog_file = {}\nmaillog_file_prefixes = {}\n",
        spool.display(),
        data.display(),
        identity.certificate.display(),
        identity.key.display(),
        scratch.file("maillog").display(),
        scratch.path().display(),
    );
    let services = format!(
        "{smtp} inet n - n - - smtpd\n{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n\
         postlog unix-dgram n - n - 1 postlogd\nanvil unix - - n - 1 anvil\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\n",
        smtp = port::SMTP,
        smtps = port::SMTPS,
    );
    scratch.write("postfix/main.cf", &text);
    scratch.write("postfix/master.cf", &services);
    // It wants to begin a session, which the leader of a process group may not: it runs below a shell that waits.
    let mut command = Command::new("sh");
    command.args(["-c", "/usr/lib/postfix/sbin/master -c \"$0\" -s; exit $?"]).arg(&configuration);
    start(&lab.node(0).space, scratch, "postfix", command)
}

fn give_to(path: &Path, user: &str) {
    let user = nix::unistd::User::from_name(user).expect("users can be read").expect("its package made it");
    std::os::unix::fs::chown(path, Some(user.uid.as_raw()), None).expect("root gives away");
}

fn dnsmasq(lab: &Lab) -> Process {
    let mut command = Command::new("/usr/sbin/dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"]).args([
        "--user=root",
        "--pid-file=",
        "--local=/example.org/",
        "--host-record=web.example.org,192.0.2.80,2001:db8::80",
        "--mx-host=example.org,mail.example.org,10",
    ]);
    start(&lab.node(0).space, lab.scratch(), "dnsmasq", command)
}

fn tls_servers(lab: &Lab, authority: &Authority, good: &Identity) -> Vec<Process> {
    let scratch = lab.scratch();
    let stranger = Authority::new(scratch, "stranger");
    let copy = |identity: &Identity| Identity {
        certificate: identity.certificate.clone(),
        key: identity.key.clone(),
    };
    let servers = [
        (port::TLS, copy(good)),
        (port::EXPIRED, authority.issue(scratch, "expired", Valid::UntilAgo(2 * DAY))),
        (port::EXPIRES_SOON, authority.issue(scratch, "soon", Valid::For(3 * DAY))),
        (port::UNTRUSTED, stranger.issue(scratch, "untrusted", Valid::For(9 * DAY))),
    ];
    let start = |(port, identity): (u16, Identity)| {
        let mut command = Command::new("/usr/bin/openssl");
        command.args(["s_server", "-quiet", "-www", "-accept", &port.to_string()]);
        command.arg("-cert").arg(identity.certificate).arg("-key").arg(identity.key);
        start(&lab.node(0).space, scratch, &format!("s_server-{port}"), command)
    };
    servers.into_iter().map(start).collect()
}

/// tonic's own health service: the server and `web` serve, `api` does not.
fn grpc(space: &Namespace) {
    let listener = space.run(|| std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port::GRPC)));
    let listener = listener.expect("a listener");
    listener.set_nonblocking(true).expect("a socket");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let (reporter, service) = tonic_health::server::health_reporter();
            reporter.set_service_status("web", ServingStatus::Serving).await;
            reporter.set_service_status("api", ServingStatus::NotServing).await;
            let incoming =
                TcpIncoming::from(tokio::net::TcpListener::from_std(listener).expect("a listener"));
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(incoming).await.expect("it serves as long as the test lives");
        });
    });
}

/// A folder for scripts.
pub(crate) struct Scripts(PathBuf);

impl Scripts {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        let path = Path::new(Scratch::TRUSTED).join(scratch.name());
        fs::create_dir_all(&path).expect("a new folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self(path)
    }

    /// A shell script with these lines, and its path.
    pub(crate) fn script(&self, name: &str, lines: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("a new file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path.to_str().expect("a plain path").to_owned()
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
