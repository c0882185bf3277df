//! Which paths are run and which are refused, with the element that is to blame.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A folder where only root may write: what is below /tmp or a user's home, as a checkout may be, is refused.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new("/var/lib").join(format!("hat-{}-path-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) -> PathBuf {
        let path = self.0.join(name);
        symlink(target, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn own() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The element that is refused and why; empty when nothing is.
fn refusal(path: &Path) -> String {
    open(path, own()).map_or_else(|refusal| refusal.to_string(), |_| String::new())
}

#[track_caller]
fn assert_refused(path: &Path, element: &Path, why: &str) {
    let refusal = refusal(path);
    assert!(refusal.starts_with(&format!("{}: ", element.display())), "{refusal}");
    assert!(refusal.contains(why), "{refusal}");
}

const SCRIPT: &str = "#!/bin/sh\n";

#[test]
fn programs_of_root_are_run_also_through_links_of_root() {
    // /bin is a link on most systems, and /bin/sh is one everywhere.
    for path in ["/bin/sh", "/usr/bin/../bin/env", "/usr//bin/./env"] {
        assert_eq!(refusal(Path::new(path)), "");
    }
}

#[test]
fn a_script_is_run_by_the_interpreter_that_its_first_line_names() {
    let folder = Folder::new();
    let cases = [
        ("#!/bin/sh\n", "/bin/sh", None),
        ("#! /bin/sh  -e -u \nexit\n", "/bin/sh", Some("-e -u")),
        ("#!/usr/bin/env sh\n", "/usr/bin/env", Some("sh")),
    ];
    for (text, path, argument) in cases {
        let program = open(&folder.file("program", text, 0o755), own()).unwrap();
        let found = program.interpreter.unwrap();
        assert_eq!((found.path, found.argument), (path.into(), argument.map(OsString::from)), "{text:?}");
    }
    let binary = open(&folder.file("binary", "\x7fELF", 0o755), own()).unwrap();
    assert!(binary.interpreter.is_none());
}

#[test]
fn what_others_may_write_is_refused_and_named() {
    let folder = Folder::new();
    for (mode, who) in [(0o775, "its group"), (0o757, "others"), (0o777, "its group and others")] {
        let path = folder.file("program", SCRIPT, mode);
        assert_refused(&path, &path, who);
        let above = folder.folder(&format!("above{mode:o}"), mode);
        fs::write(above.join("program"), SCRIPT).unwrap();
        assert_refused(&above.join("program"), &above, who);
    }
}

#[test]
fn a_sticky_folder_is_refused_as_well() {
    let path = Path::new("/tmp/program-that-does-not-exist");
    assert_refused(path, Path::new("/tmp"), "others may write it (mode 1777)");
}

#[test]
fn setuid_and_setgid_programs_are_refused() {
    let folder = Folder::new();
    for mode in [0o4755, 0o2755] {
        let path = folder.file("program", SCRIPT, mode);
        assert_refused(&path, &path, "setuid or setgid");
    }
}

#[test]
fn what_is_not_an_executable_file_is_refused() {
    let folder = Folder::new();
    let plain = folder.file("plain", SCRIPT, 0o644);
    assert_refused(&plain, &plain, "not executable");
    let below = folder.folder("below", 0o755);
    assert_refused(&below, &below, "a folder");
    let null = Path::new("/dev/null");
    assert_refused(null, null, "not a regular file");
    let through = folder.file("file", SCRIPT, 0o755).join("program");
    assert_refused(&through, through.parent().unwrap(), "not a directory");
    assert_refused(Path::new("bin/sh"), Path::new("bin/sh"), "absolute");
    let missing = folder.0.join("missing");
    assert!(open(&missing, own()).unwrap_err().is_missing());
    assert_refused(&missing, &missing, "no such file");
}

#[test]
fn a_link_is_followed_and_what_it_leads_to_is_judged() {
    let folder = Folder::new();
    let good = folder.file("good", SCRIPT, 0o755);
    assert_eq!(refusal(&folder.link("to-good", &good)), "");
    assert_eq!(refusal(&folder.link("relative", "./good")), "");
    assert_eq!(refusal(&folder.link("twice", "to-good")), "");
    let wide = folder.folder("wide", 0o777);
    fs::copy(&good, wide.join("program")).unwrap();
    assert_refused(&folder.link("to-wide", wide.join("program")), &wide, "others");
    let circle = folder.link("circle", "circle");
    assert_refused(&circle, &circle, "symbolic links");
}

#[test]
fn what_belongs_to_somebody_else_is_refused_a_link_too() {
    if own() != 0 {
        return eprintln!("skipped: only root can give files away");
    }
    let folder = Folder::new();
    let stranger = Some(nix::unistd::Uid::from_raw(12_345));
    let path = folder.file("program", SCRIPT, 0o755);
    let link = folder.link("link", &path);
    nix::unistd::fchownat(AT_FDCWD, &link, stranger, None, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
    assert_refused(&link, &link, "belongs to user 12345");
    assert_eq!(open(&link, 12_345).map(|_| ()), Ok(()), "its own user may use it");
    nix::unistd::chown(&path, stranger, None).unwrap();
    assert_refused(&path, &path, "belongs to user 12345");
}

#[test]
fn an_interpreter_is_judged_like_the_program() {
    let folder = Folder::new();
    let wide = folder.file("wide", "\x7fELF", 0o777);
    let script = |name: &str, line: &str| folder.file(name, &format!("#!{line}\n"), 0o755);
    assert_refused(&script("a", &wide.display().to_string()), &wide, "others may write it");
    let inner = script("inner", "/bin/sh");
    assert_refused(&script("b", &inner.display().to_string()), &inner, "a script itself");
    assert_refused(&script("c", "sh"), Path::new("sh"), "absolute path");
    assert_refused(
        &script("d", "/usr/bin/env no-such-program"),
        Path::new("no-such-program"),
        "not in /usr/local",
    );
    assert_refused(&script("e", "/no/such/sh"), Path::new("/no"), "interpreter of");
    let long = folder.file("f", &format!("#!/bin/sh {}", "x".repeat(300)), 0o755);
    assert_refused(&long, &long, "longer than 255");
}
