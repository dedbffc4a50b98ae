//! Key files on disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use zeroize::Zeroizing;

use crate::{IdentityError, KeyFile, KeyInfo};

/// Longer files are no key files.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Reads a key file; refused when its group or others can read or write it.
pub fn read_key_file(path: &Path) -> Result<KeyFile, IdentityError> {
    let file = File::open(path).map_err(failed("open", path))?;
    // Asked of the open file, not of the name, which could lead elsewhere by now.
    check_mode(&file, path)?;
    // All of it at once: a text that grows leaves copies of itself behind.
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize + 1));
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(failed("read", path))?;
    KeyFile::parse(&text).map_err(|error| in_file(error, path))
}

/// Writes a new key file that only its owner can read; refused when the name is taken.
pub fn write_new_key_file(path: &Path, keys: &KeyFile) -> Result<(), IdentityError> {
    write_new(path, keys).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => IdentityError::KeyFileExists {
            path: path.to_owned(),
        },
        _ => failed("write", path)(error),
    })?;
    sync_folder(path).map_err(failed("write", path))
}

/// Adds a sealing key to a key file, in one step: at every moment, and after a crash, the file is
/// either the old one or the new one.
pub fn rotate_key_file(path: &Path, now: DateTime<Utc>) -> Result<KeyInfo, IdentityError> {
    let mut keys = read_key_file(path)?;
    let info = keys.rotate(now)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", info.id));
    let beside = PathBuf::from(name);
    write_new(&beside, &keys)
        .and_then(|()| fs::rename(&beside, path).inspect_err(|_| remove(&beside)))
        .and_then(|()| sync_folder(path))
        .map_err(failed("replace", path))?;
    Ok(info)
}

/// Takes away a file that only holds keys needlessly; it was not there before.
fn remove(path: &Path) {
    drop(fs::remove_file(path));
}

/// Writes all of a new file, or none.
fn write_new(path: &Path, keys: &KeyFile) -> io::Result<()> {
    let json = keys.to_json().map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(json.expose().as_bytes())
        .and_then(|()| file.sync_all())
        .inspect_err(|_| remove(path))
}

/// Makes the name in its folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().map_err(failed("read", path))?;
    let mode = metadata.mode() & 0o7777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(IdentityError::KeyFileExposed {
            path: path.to_owned(),
            mode,
        });
    }
    if !metadata.is_file() {
        let error = IdentityError::KeyFileMalformed("it is not a regular file".to_owned());
        return Err(in_file(error, path));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Result<(), IdentityError> {
    Ok(())
}

fn in_file(source: IdentityError, path: &Path) -> IdentityError {
    IdentityError::InFile {
        path: path.to_owned(),
        source: Box::new(source),
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Io {
        action,
        path: path.clone(),
        source,
    }
}
