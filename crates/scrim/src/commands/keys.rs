//! `scrim keys`.

use std::path::Path;

use scrim_identity::{KeyFile, read_key_file, rotate_key_file, write_new_key_file};
use scrim_model::{Clock, SystemClock};

use crate::cli::Keys;
use crate::out::Out;
use crate::outcome::Failure;

/// Makes, lists or rotates keys; no secret is ever printed.
pub(crate) fn run(command: &Keys, out: &mut Out) -> Result<(), Failure> {
    match command {
        Keys::New(keys) => new(&keys.file, out),
        Keys::List(keys) => list(&keys.file, out),
        Keys::Rotate(keys) => rotate(&keys.file, out),
    }
}

fn new(path: &Path, out: &mut Out) -> Result<(), Failure> {
    let keys = KeyFile::generate(SystemClock.now()).map_err(|error| Failure::failed(&error))?;
    write_new_key_file(path, &keys).map_err(|error| Failure::usage(&error))?;
    out.line(format_args!(
        "{}: made, for its owner only; whoever has it can reverse pseudonyms, so keep a copy safe",
        path.display()
    ))?;
    Ok(())
}

fn list(path: &Path, out: &mut Out) -> Result<(), Failure> {
    let keys = read_key_file(path).map_err(|error| Failure::usage(&error))?;
    for key in keys.list() {
        let state = if key.active {
            "in use"
        } else {
            "still opens what it sealed"
        };
        let made = key.created.format("%Y-%m-%d %H:%M:%S");
        out.line(format_args!(
            "{}  {:<10}  made {made}  {state}",
            key.id,
            key.used_for.as_str()
        ))?;
    }
    Ok(())
}

fn rotate(path: &Path, out: &mut Out) -> Result<(), Failure> {
    let key = rotate_key_file(path, SystemClock.now()).map_err(|error| Failure::usage(&error))?;
    out.line(format_args!(
        "{}: rotated; {} seals from now on, the older keys still open what they sealed, and \
         pseudonyms stay the same",
        path.display(),
        key.id
    ))?;
    Ok(())
}
