//! The command `scrim`, as people and scripts use it.

mod contract;
mod demo;
mod files;
mod ledger;
mod past;
mod policy;
mod revoke;
pub(crate) mod serve;
mod source;
mod versions;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The command: the one that `SCRIM_BIN` names, else the one that was built beside this test.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("SCRIM_BIN") {
            return path.into();
        }
        let this = std::env::current_exe().unwrap();
        let libraries = this.parent().unwrap();
        let name = format!("scrim{}", std::env::consts::EXE_SUFFIX);
        let path = libraries.parent().unwrap().join(name);
        // `cargo test` alone builds the command's library and not the command
        assert!(
            modified(&path) >= library(libraries, modified(&this)),
            "{} is missing or old: run `cargo build --release --workspace --bins` first",
            path.display()
        );
        path
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}

/// When the command's library was built that this test was linked with.
fn library(folder: &Path, linked: Option<SystemTime>) -> Option<SystemTime> {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap());
    let ours = files.filter(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libscrim-") && name.ends_with(".rlib")
    });
    ours.filter_map(|file| modified(&file.path()))
        .filter(|built| Some(*built) <= linked)
        .max()
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// The output of a run that went well.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What a run that did not go well said, and that it ended with this code.
    pub(crate) fn bad(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(!self.err.is_empty(), "it failed without a word");
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }
}

pub(crate) fn scrim<A: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Run {
    scrim_with(folder, arguments, "")
}

/// Runs the command in a folder, with a text on its standard input.
pub(crate) fn scrim_with<A: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
    input: &str,
) -> Run {
    run(folder, arguments, input, &[])
}

/// Runs the command in a folder, with more variables in its environment.
pub(crate) fn scrim_in<A: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
    environment: &[(&str, &str)],
) -> Run {
    run(folder, arguments, "", environment)
}

fn run<A: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
    input: &str,
    environment: &[(&str, &str)],
) -> Run {
    let mut child = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .envs(environment.iter().copied())
        .env("NO_COLOR", "1")
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a command that reads nothing may be gone already
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
