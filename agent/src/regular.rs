//! Files that a configuration names: read only when they are regular, and not without end. A pipe would hold up who reads it, and
//! a device fill its memory.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Opens a regular file, without ever waiting.
///
/// # Errors
/// The system's refusal, or that it is another kind of file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK the opening of a named pipe would wait for its writer.
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if open.metadata()?.is_file() {
        return Ok(open);
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"))
}

/// What is in it, at most `most` octets.
///
/// # Errors
/// The system's refusal, or that there is more.
pub(crate) fn read(open: File, most: usize) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    open.take(limit).read_to_end(&mut octets)?;
    if octets.len() <= most {
        return Ok(octets);
    }
    Err(io::Error::other(format!("it has more than {most} octets")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_large_is_refused_at_once() {
        let folder = std::env::temp_dir().join(format!("ha-agent-regular-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, pipe) = (folder.join("file"), folder.join("pipe"));
        std::fs::write(&file, "12345").unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let read =
            |path: &Path, most| open(path).and_then(|open| read(open, most)).map_err(|e| e.to_string());
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert_eq!(read(&file, 4).unwrap_err(), "it has more than 4 octets");
        for other in [&*pipe, &folder, Path::new("/dev/zero")] {
            assert_eq!(read(other, 5).unwrap_err(), "it is not a regular file", "{}", other.display());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
