//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository and the folder that cargo builds into.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the repository from this crate's place in it, and the target folder from the place of
    /// the running program: that is right however the folder was configured.
    pub(crate) fn find() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or("the folder xtask has no parent folder")?
            .to_path_buf();
        let program = std::env::current_exe().map_err(|e| format!("cannot find myself: {e}"))?;
        let target = program
            .ancestors()
            .nth(2)
            .ok_or("the running program is not in a target folder")?
            .to_path_buf();
        Ok(Self { root, target })
    }

    /// The repository's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that cargo builds into.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The command under test.
    pub(crate) fn scrim(&self) -> PathBuf {
        self.target
            .join("release")
            .join(format!("scrim{}", std::env::consts::EXE_SUFFIX))
    }

    /// A program of the examples.
    pub(crate) fn example(&self, name: &str) -> PathBuf {
        self.target
            .join("release/examples")
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// A cargo command, run in the repository, with the cargo that runs us.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // What `cargo run` tells us about this package would reach the build scripts of others: ring
        // looks at it, and all that stands on ring would be compiled again.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&*name);
            }
        }
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// The files of the repository as git sees them, new ones included, as paths from the root.
    pub(crate) fn files(&self) -> Result<Vec<String>, String> {
        self.git([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .map(|files| self.existing(&files))
    }

    /// The files that differ from the last commit, new ones included.
    pub(crate) fn changed(&self) -> Result<Vec<String>, String> {
        let mut files = self.git(["diff", "--name-only", "-z", "HEAD"])?;
        files.extend(self.git(["ls-files", "-z", "--others", "--exclude-standard"])?);
        Ok(files)
    }

    fn existing(&self, files: &[String]) -> Vec<String> {
        files
            .iter()
            .filter(|file| self.root.join(file).is_file())
            .cloned()
            .collect()
    }

    fn git<const N: usize>(&self, arguments: [&str; N]) -> Result<Vec<String>, String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.root)
            .output()
            .map_err(|e| format!("cannot start git: {e}"))?;
        if !output.status.success() {
            return Err(format!(
                "git {} failed: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            ));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text
            .split('\0')
            .filter(|file| !file.is_empty())
            .map(str::to_owned)
            .collect())
    }
}
