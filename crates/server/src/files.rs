//! Files that are whole or not there, and files that are nobody else's business.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Only the owner may read and write.
const PRIVATE_FILE: u32 = 0o600;
/// Only the owner may enter.
const PRIVATE_DIR: u32 = 0o700;

/// Replaces a file in one step: a reader, or a crash, meets the old content or the new.
///
/// # Errors
/// What the system says.
pub fn replace(path: &Path, content: &[u8], private: bool) -> io::Result<()> {
    let dir = parent(path)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    // One writer a file: a left-over of a crash is simply overwritten.
    let mut temporary = name.to_os_string();
    temporary.push(".new");
    let temporary = dir.join(temporary);
    let mode = if private { PRIVATE_FILE } else { 0o644 };
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(dir)
}

/// Makes a directory that only the owner may enter, and what is missing above it.
///
/// # Errors
/// What the system says.
pub fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path)
}

/// Reads a file that should be short; a longer one is an error and is not read to its end.
///
/// # Errors
/// What the system says; [`io::ErrorKind::FileTooLarge`], or [`io::ErrorKind::InvalidData`] if it is no text.
pub fn read_at_most(path: &Path, max: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too long"));
    }
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not text"))
}

/// Removes a file; one that is not there is as good.
///
/// # Errors
/// What the system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parent(path: &Path) -> io::Result<&Path> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn replacing_keeps_one_whole_file_with_its_mode() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        replace(&path, b"one", true).expect("writes");
        replace(&path, b"two", true).expect("writes");
        assert_eq!(fs::read(&path).expect("reads"), b"two");
        let mode = fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("reads").count(), 1);
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        replace(&path, b"12345", false).expect("writes");
        assert_eq!(read_at_most(&path, 5).expect("fits"), "12345");
        let error = read_at_most(&path, 4).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
