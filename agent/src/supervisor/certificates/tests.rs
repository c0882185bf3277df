//! What `ha-agent check` and a start say of the files that `[api]` names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ha_probe::command::Commands;
use rcgen::{CertificateParams, KeyPair};

use crate::supervisor::configuration;

/// A folder with a configuration and the files that it names.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("ha-agent-certificates-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        let file = |name: &str| folder.0.join(name).display().to_string();
        let text = format!(
            "[api]\nlisten = ['127.0.0.1:7443']\ncertificate = '{}'\nkey = '{}'\nclient_ca = '{}'\n\
             [[instance]]\nname = 'web'\ninterface = 'eth0'\nvirtual_router_id = 7\naddresses = ['192.0.2.1']\n",
            file("node.crt"),
            file("node.key"),
            file("ca.crt")
        );
        fs::write(folder.0.join("agent.toml"), text).unwrap();
        folder
    }

    /// A certificate, its own authority, with its key; valid until the end of that year.
    fn issue(&self, until: i32) {
        let key = KeyPair::generate().unwrap();
        let mut certificate = CertificateParams::new(vec!["node".to_owned()]).unwrap();
        certificate.not_before = rcgen::date_time_ymd(2000, 1, 1);
        certificate.not_after = rcgen::date_time_ymd(until, 12, 31);
        let certificate = certificate.self_signed(&key).unwrap().pem();
        self.write("node.crt", &certificate);
        self.write("ca.crt", &certificate);
        self.write("node.key", &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.0.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Whether it can be run, and each line that is said, without the folder.
    fn judge(&self) -> (bool, Vec<String>) {
        let mut said = Vec::new();
        let folder = format!("{}/", self.0.display());
        let loaded = configuration::read(&self.0.join("agent.toml"), &Commands::default(), |told| {
            said.push(told.headline.replace(&folder, ""));
        });
        (loaded.is_ok(), said)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_where_it_is_named_and_all_at_once() {
    let folder = Folder::new();
    let remove = |name: &str| fs::remove_file(folder.0.join(name)).unwrap();
    let another = || folder.write("node.key", &KeyPair::generate().unwrap().serialize_pem());
    let expose = || {
        let mode = fs::Permissions::from_mode(0o640);
        fs::set_permissions(folder.0.join("node.key"), mode).unwrap();
    };
    let table: [(&dyn Fn(), &[&str]); 7] = [
        (&|| (), &[]),
        (
            &|| ["node.crt", "node.key", "ca.crt"].into_iter().for_each(remove),
            &[
                "agent.toml:3:15: error: cannot read node.crt: No such file",
                "agent.toml:4:7: error: cannot read node.key: No such file",
                "agent.toml:5:13: error: cannot read ca.crt: No such file",
            ],
        ),
        (&expose, &["agent.toml:4:7: error: others may read the key node.key; chmod 600 node.key"]),
        (
            &another,
            &[
                "agent.toml:4:7: error: node.key cannot be used together with node.crt: it is the key of another",
            ],
        ),
        (
            &|| folder.write("node.key", "no key\n"),
            &["agent.toml:4:7: error: node.key holds no usable key: "],
        ),
        (
            &|| folder.write("ca.crt", ""),
            &["agent.toml:5:13: error: ca.crt holds no usable certificate: there is none in it; hactl pki"],
        ),
        (
            &|| {
                remove("node.crt");
                fs::create_dir(folder.0.join("node.crt")).unwrap();
            },
            &["agent.toml:3:15: error: cannot read node.crt: it is not a regular file; "],
        ),
    ];
    for (mishap, expected) in table {
        folder.issue(2999);
        mishap();
        let (runs, said) = folder.judge();
        assert_eq!(runs, expected.is_empty(), "{said:#?}");
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said}\n{expected}");
        }
    }
}

#[test]
fn an_expired_certificate_is_told_and_keeps_no_agent_from_starting() {
    let folder = Folder::new();
    folder.issue(2001);
    let (runs, said) = folder.judge();
    assert!(runs);
    assert!(said[0].starts_with("agent.toml:3:15: warning: node.crt has expired"), "{said:#?}");
}

#[test]
fn what_is_judged_for_a_reload_is_not_held_up_by_certificates_in_force() {
    let folder = Folder::new();
    let file = folder.0.join("agent.toml");
    let octets = configuration::octets_of(&file).unwrap();
    let outcome = configuration::judge(Path::new("agent.toml"), &octets, &[], &Commands::default());
    assert!(outcome.loaded.is_some());
}
