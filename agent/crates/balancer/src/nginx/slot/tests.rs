//! A pool's file in hostile surroundings.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::Blame;

/// A folder of the test's own.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hat-{}-slot-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn slot(&self) -> Slot {
        Slot::new(&self.file("web.servers"))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(slot: &Slot) -> Option<String> {
    slot.read().unwrap().map(|stored| String::from_utf8(stored.text).unwrap())
}

#[test]
fn a_change_keeps_what_was_before_until_it_is_settled() {
    let scratch = Scratch::new();
    let slot = scratch.slot();
    fs::write(slot.path(), "one").unwrap();
    slot.replace(b"two").unwrap();
    assert_eq!((text(&slot).as_deref(), slot.is_unfinished().unwrap()), (Some("two"), true));
    slot.settle().unwrap();
    assert_eq!((text(&slot).as_deref(), slot.is_unfinished().unwrap()), (Some("two"), false));
    assert_eq!(scratch.names(), ["web.servers"]);
}

#[test]
fn what_was_before_comes_back_and_is_what_nginx_last_ran_after_two_changes_too() {
    let scratch = Scratch::new();
    let slot = scratch.slot();
    fs::write(slot.path(), "one").unwrap();
    slot.replace(b"two").unwrap();
    slot.replace(b"three").unwrap();
    slot.restore().unwrap();
    assert_eq!(text(&slot).as_deref(), Some("one"));
    slot.restore().unwrap();
    assert_eq!(text(&slot).as_deref(), Some("one"), "nothing unfinished: nothing to do");
    assert_eq!(scratch.names(), ["web.servers"]);
}

#[test]
fn where_nothing_was_before_nothing_is_again() {
    let scratch = Scratch::new();
    let slot = scratch.slot();
    slot.replace(b"one").unwrap();
    assert!(slot.is_unfinished().unwrap());
    slot.restore().unwrap();
    assert_eq!(text(&slot), None);
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn a_file_that_a_killed_process_left_half_written_is_not_used() {
    let scratch = Scratch::new();
    let slot = scratch.slot();
    fs::write(scratch.file(".web.servers.ha-agent.new"), "hal").unwrap();
    slot.replace(b"whole").unwrap();
    assert_eq!(text(&slot).as_deref(), Some("whole"));
    slot.settle().unwrap();
    assert_eq!(scratch.names(), ["web.servers"]);
}

#[test]
fn the_file_is_readable_for_nginx_whatever_the_umask_is() {
    let scratch = Scratch::new();
    let before = rustix::process::umask(Mode::from_raw_mode(0o077));
    let replaced = scratch.slot().replace(b"one");
    rustix::process::umask(before);
    replaced.unwrap();
    assert_eq!(fs::metadata(scratch.file("web.servers")).unwrap().permissions().mode() & 0o777, 0o644);
}

type Make = fn(&Path, &Path);

#[test]
fn a_link_a_folder_or_a_pipe_in_its_place_is_refused_and_left_alone() {
    let target = |scratch: &Scratch| scratch.file("passwd");
    let make: [(&str, Make); 3] = [
        ("symbolic link", |path, target| symlink(target, path).unwrap()),
        ("not a regular file", |path, _| fs::create_dir(path).unwrap()),
        ("not a regular file", |path, _| {
            rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        }),
    ];
    for (words, make) in make {
        let scratch = Scratch::new();
        fs::write(target(&scratch), "untouched").unwrap();
        let slot = scratch.slot();
        make(slot.path(), &target(&scratch));
        let error = slot.replace(b"one").unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.blame(), Blame::Configuration);
        assert_eq!(fs::read_to_string(target(&scratch)).unwrap(), "untouched");
        assert_eq!(scratch.names(), ["passwd", "web.servers"], "nothing else is made");
    }
}

#[test]
fn a_link_in_place_of_the_files_beside_it_is_not_followed() {
    for beside in [".web.servers.ha-agent.new", ".web.servers.ha-agent.old"] {
        let scratch = Scratch::new();
        let target = scratch.file("passwd");
        fs::write(&target, "untouched").unwrap();
        symlink(&target, scratch.file(beside)).unwrap();
        let slot = scratch.slot();
        // The first is replaced; the second counts as an unfinished change that cannot be undone.
        slot.replace(b"one").unwrap();
        let restored = slot.restore();
        assert_eq!(restored.is_err(), beside.ends_with(".old"), "{restored:?}");
        slot.settle().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched", "{beside}");
    }
}

#[test]
fn a_folder_that_everybody_may_write_or_that_is_missing_is_refused() {
    let scratch = Scratch::new();
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o777)).unwrap();
    let error = scratch.slot().replace(b"one").unwrap_err();
    assert!(error.to_string().contains("everybody may write"), "{error}");

    let error = Slot::new(&scratch.file("missing/web.servers")).replace(b"one").unwrap_err();
    assert_eq!(error.blame(), Blame::Configuration, "{error}");
    assert!(error.remedy().contains(&format!("ha-agent {}", scratch.file("missing").display())), "{error}");
}

#[test]
fn a_file_that_is_too_large_is_not_read_into_memory() {
    let scratch = Scratch::new();
    File::create(scratch.file("web.servers")).unwrap().set_len(1 << 40).unwrap();
    let error = scratch.slot().read().unwrap_err();
    assert!(error.to_string().contains("2 MiB"), "{error}");
}
