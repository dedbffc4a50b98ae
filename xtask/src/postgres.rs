//! The PostgreSQL server of the tests: one for all of them, so that not each starts its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::run;
use crate::workspace::Workspace;

/// A server that runs as long as the value lives.
#[derive(Debug)]
pub(crate) struct Postgres {
    starter: Child,
    environment: Vec<(String, String)>,
}

impl Postgres {
    /// Starts one by the program `postgres` of the examples, which has to be built.
    pub(crate) fn start(workspace: &Workspace) -> Result<Self, String> {
        let program = workspace.example("postgres");
        let mut starter = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        let stdout = starter.stdout.take().ok_or("the starter says nothing")?;
        let mut environment = Vec::new();
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|e| format!("cannot read what the starter says: {e}"))?;
            match line.split_once('=') {
                Some((name, value)) => environment.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        if environment.is_empty() {
            return Err("PostgreSQL did not start, see above".to_owned());
        }
        Ok(Self {
            starter,
            environment,
        })
    }

    /// Tells a command where the server is.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The server ends when its starter's input does.
        drop(self.starter.stdin.take());
        if let Err(e) = self.starter.wait() {
            eprintln!("PostgreSQL did not end in order: {e}");
        }
    }
}

/// Installs PostgreSQL from the system's packages, unless it is there.
pub(crate) fn install() -> Result<(), String> {
    if is_installed() {
        return Ok(());
    }
    let help = "help: the tests need PostgreSQL 15 or newer with its programs `initdb` and `pg_ctl` \
                (on Debian: apt install postgresql)";
    // Without root's rights somebody else has to allow it, once and without being asked here.
    let is_root = Command::new("id").arg("-u").output();
    let is_root = is_root.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let apt = |words: &[&str]| {
        let mut command = Command::new(if is_root { "env" } else { "sudo" });
        if !is_root {
            command.args(["-n", "env"]);
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]);
        run::plain(command.args(words)).map_err(|e| format!("{e}\n{help}"))
    };
    apt(&["update"])?;
    apt(&["install", "--no-install-recommends", "postgresql"])?;
    if is_installed() {
        Ok(())
    } else {
        Err(format!("PostgreSQL is still not to be found\n{help}"))
    }
}

fn is_installed() -> bool {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let has = |folder: &Path| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .into_iter()
        .any(|version| has(&version.path().join("bin")))
        || std::env::split_paths(&path).any(|folder| has(&folder))
}
