//! Certificates and contexts: a cluster over TLS with what `hactl pki` makes, and each way in which it is refused.

use std::path::{Path, PathBuf};

use crate::double::{Agent, Guard};
use crate::support::{Directory, Run, hactl};

/// A folder with an authority.
struct Pki {
    directory: Directory,
}

impl Pki {
    fn new() -> Self {
        let pki = Pki { directory: Directory::new() };
        pki.run("init").ends(0);
        pki.run("issue node a --address 127.0.0.1").ends(0);
        pki.run("issue client alice --role operator").ends(0);
        pki
    }

    fn run(&self, line: &str) -> Run {
        let mut command = hactl();
        command.args(["pki"]).args(line.split(' ')).args(["--folder", &self.file("pki")]);
        Run::of(command)
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn guard(&self, name: &str) -> Guard {
        let file = |name: &str| PathBuf::from(self.file(&format!("pki/{name}")));
        Guard {
            ca: file("ca.crt"),
            certificate: file(&format!("{name}.crt")),
            key: file(&format!("{name}.key")),
        }
    }

    /// Asks for the status with a client's certificate.
    fn status(&self, endpoint: &str, client: &str) -> Run {
        let mut command = hactl();
        command.args(["node", "list", "--endpoint", endpoint]);
        for (flag, file) in [
            ("--cacert", "ca.crt"),
            ("--cert", &format!("{client}.crt")),
            ("--key", &format!("{client}.key")),
        ] {
            command.args([flag, &self.file(&format!("pki/{file}"))]);
        }
        Run::of(command)
    }
}

fn endpoint(agent: &Agent) -> String {
    format!("https://{}", agent.address.unwrap())
}

#[test]
fn a_cluster_is_asked_over_tls_with_certificates_of_its_own_authority() {
    let pki = Pki::new();
    let agent = Agent::start_guarded(pki.directory.path(), "a", &pki.guard("a"));
    let run = pki.status(&endpoint(&agent), "alice").ends(0);
    assert!(run.out.contains("a     ANSWERED"), "{}", run.out);
}

#[test]
fn each_way_in_which_certificates_do_not_fit_has_its_own_reason() {
    let pki = Pki::new();
    pki.run("issue node b --address node-b").ends(0);
    let other = Pki::new();
    let trusted = Agent::start_guarded(pki.directory.path(), "a", &pki.guard("a"));
    let misnamed = Agent::start_guarded(pki.directory.path(), "b", &pki.guard("b"));
    for (what, run, reason) in [
        (
            "a node that its certificate does not name",
            pki.status(&endpoint(&misnamed), "alice"),
            "CERTIFICATE_NAME",
        ),
        ("a node of another authority", other.status(&endpoint(&trusted), "alice"), "CERTIFICATE_UNTRUSTED"),
    ] {
        let run = run.ends(6);
        assert!(run.err.contains(reason), "{what}: {}", run.err);
    }
    // The client trusts the node, but is of another authority itself.
    for file in ["alice.crt", "alice.key"] {
        std::fs::copy(other.file(&format!("pki/{file}")), pki.file(&format!("pki/mallory{}", &file[5..])))
            .unwrap();
    }
    let run = pki.status(&endpoint(&trusted), "mallory").ends(6);
    assert!(run.err.contains("CERTIFICATE_REFUSED"), "{}", run.err);
    let mut command = hactl();
    command.args(["status", "--endpoint", &endpoint(&trusted), "--config", "/dev/null"]);
    let run = Run::of(command).ends(2);
    assert!(run.err.contains("give --cacert, --cert and --key"), "{}", run.err);
}

#[test]
fn nothing_is_overwritten_by_accident() {
    let pki = Pki::new();
    let before = std::fs::read(pki.file("pki/ca.key")).unwrap();
    let run = pki.run("init").ends(7);
    assert!(run.err.contains("ca.crt is there already"), "{}", run.err);
    pki.run("issue client alice --role admin").ends(7);
    assert_eq!(std::fs::read(pki.file("pki/ca.key")).unwrap(), before);
    let run = pki.run("issue client alice --role admin --replace").ends(0);
    assert!(run.out.contains("client/alice role/admin"), "{}", run.out);
    let run = pki.run("issue client ca --role admin").ends(2);
    assert!(run.err.contains("ca is the authority's"), "{}", run.err);
}

#[test]
fn a_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let pki = Pki::new();
    let mode = |name: &str| std::fs::metadata(pki.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode("pki"), mode("pki/ca.key"), mode("pki/a.key"), mode("pki/a.crt")],
        [0o700, 0o600, 0o600, 0o644]
    );
    let run = pki.run("list -o json").ends(0).json();
    let names: Vec<&str> =
        run["items"].as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(names, ["ha-agent cluster", "a", "alice"]);
}

#[test]
fn a_context_remembers_nodes_and_certificates() {
    let pki = Pki::new();
    let agent = Agent::start_guarded(pki.directory.path(), "a", &pki.guard("a"));
    let config = pki.file("hactl.toml");
    let run = |words: &[&str]| {
        let mut command = hactl();
        command.args(words).args(["--config", &config]);
        Run::of(command)
    };
    let (ca, cert, key) = (pki.file("pki/ca.crt"), pki.file("pki/alice.crt"), pki.file("pki/alice.key"));
    let secure = endpoint(&agent);
    let add =
        ["context", "add", "prod", "--endpoint", &secure, "--cacert", &ca, "--cert", &cert, "--key", &key];
    run(&add).ends(0);
    run(&["context", "add", "lab", "--endpoint", "unix:/nowhere.sock"]).ends(0);
    let listed = run(&["context", "list"]).ends(0);
    assert!(listed.out.contains("prod     yes"), "{}", listed.out);
    run(&["node", "list"]).ends(0);
    run(&["node", "list", "--context", "lab"]).ends(5);
    run(&["context", "use", "lab"]).ends(0);
    run(&["node", "list"]).ends(5);
    let wrong = run(&["node", "list", "--context", "prd"]).ends(2);
    assert!(wrong.err.contains("there is no context prd in "), "{}", wrong.err);
    run(&["context", "remove", "lab"]).ends(0);
    assert!(Path::new(&config).exists());
}

#[test]
fn what_is_revoked_stays_revoked_and_is_listed_so() {
    let pki = Pki::new();
    pki.run("issue client bob --role reader").ends(0);
    let revoked = |run: Run| -> Vec<(String, bool)> {
        let items = run.ends(0).json()["items"].as_array().unwrap().clone();
        let each = items.iter();
        each.map(|item| (item["name"].as_str().unwrap().to_owned(), item["revoked"] == true)).collect()
    };
    let listed = |names: [bool; 4]| -> Vec<(String, bool)> {
        let all = ["ha-agent cluster", "a", "alice", "bob"].map(str::to_owned);
        all.into_iter().zip(names).collect()
    };
    assert_eq!(revoked(pki.run("revoke alice -o json")), [("alice".to_owned(), true)]);
    assert_eq!(revoked(pki.run("list -o json")), listed([false, false, true, false]));
    pki.run("revoke a alice").ends(0);
    assert_eq!(revoked(pki.run("list -o json")), listed([false, true, true, false]));
    let unknown = pki.run("revoke nobody").ends(2).err;
    assert!(unknown.contains("nobody.crt") && unknown.contains("hactl pki list"), "{unknown}");
    // Nothing is lost when the list cannot be read.
    std::fs::write(pki.file("pki/revoked.pem"), "half a lis").unwrap();
    let broken = pki.run("revoke bob").ends(2).err;
    assert!(broken.contains("revoked.pem is no list of revoked certificates"), "{broken}");
}
