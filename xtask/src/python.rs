//! The environment of `tests/clients`: a Python, and in it a Node with packages of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;
use crate::workspace::Workspace;

/// All that says what is to be installed; Node itself is one of the Python packages.
const REQUIREMENTS: [&str; 3] = [
    "tests/clients/requirements.txt",
    "tests/clients/node/package.json",
    "tests/clients/node/package-lock.json",
];

/// A virtual environment that holds what [`REQUIREMENTS`] ask for.
#[derive(Debug)]
pub(crate) struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// The environment, if it is there and holds just what is asked for now.
    pub(crate) fn ready(workspace: &Workspace) -> Option<Self> {
        let environment = Self::of(workspace);
        let stamp = fs::read_to_string(environment.stamp()).ok()?;
        (stamp == requirements(workspace).ok()? && starts(&environment.python()))
            .then_some(environment)
    }

    /// The environment; made anew when the requirements changed or it does not start.
    pub(crate) fn install(workspace: &Workspace) -> Result<Self, String> {
        if let Some(environment) = Self::ready(workspace) {
            return Ok(environment);
        }
        let environment = Self::of(workspace);
        if environment.folder.exists() {
            fs::remove_dir_all(&environment.folder)
                .map_err(|e| format!("cannot remove {}: {e}", environment.folder.display()))?;
        }
        let base = std::env::var_os("SCRIM_PYTHON").unwrap_or_else(|| OsString::from("python3"));
        run::plain(Command::new(&base).args(["-m", "venv"]).arg(&environment.folder)).map_err(|e| {
            format!(
                "{e}\nhelp: the tests of the Python clients need Python 3.11 or newer with its venv \
                 module (on Debian: apt install python3-venv); $SCRIM_PYTHON may name another Python"
            )
        })?;
        let quiet = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            REQUIREMENTS[0],
        ];
        let mut pip = Command::new(environment.python());
        run::plain(pip.args(quiet).current_dir(workspace.root()))?;
        environment.install_node_packages(workspace)?;
        // Written last, so that an installation that was cut off is made anew.
        fs::write(environment.stamp(), requirements(workspace)?)
            .map_err(|e| format!("cannot write {}: {e}", environment.stamp().display()))?;
        Ok(environment)
    }

    /// Installs the packages just as the lock file says, beside a copy of it.
    fn install_node_packages(&self, workspace: &Workspace) -> Result<(), String> {
        let folder = self.folder.join("node");
        fs::create_dir(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        for name in ["package.json", "package-lock.json"] {
            let from = workspace.root().join("tests/clients/node").join(name);
            fs::copy(&from, folder.join(name))
                .map_err(|e| format!("cannot copy {}: {e}", from.display()))?;
        }
        // Not `npm ci`: it refuses a package that lists builds for platforms which it never had.
        let quiet = [
            "install",
            "--no-save",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ];
        run::plain(
            Command::new(self.program("npm"))
                .args(quiet)
                .current_dir(&folder),
        )
    }

    /// The environment's Python.
    pub(crate) fn python(&self) -> PathBuf {
        self.program("python")
    }

    fn program(&self, name: &str) -> PathBuf {
        if cfg!(windows) {
            self.folder.join("Scripts").join(format!("{name}.exe"))
        } else {
            self.folder.join("bin").join(name)
        }
    }

    fn of(workspace: &Workspace) -> Self {
        Self {
            folder: workspace.target().join("scrim-venv"),
        }
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("installed-requirements.txt")
    }
}

fn requirements(workspace: &Workspace) -> Result<String, String> {
    let texts = REQUIREMENTS.map(|name| {
        let path = workspace.root().join(name);
        fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
    });
    texts.into_iter().collect()
}

fn starts(python: &Path) -> bool {
    Command::new(python)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}
