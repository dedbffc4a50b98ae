//! The Python environment of `tests/clients`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;
use crate::workspace::Workspace;

/// A virtual environment that holds what `tests/clients/requirements.txt` asks for.
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
                "{e}\nhelp: the tests of the Python clients need Python 3.10 or newer with its venv \
                 module (on Debian: apt install python3-venv); $SCRIM_PYTHON may name another Python"
            )
        })?;
        let list = requirements_file(workspace);
        let quiet = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ];
        run::plain(Command::new(environment.python()).args(quiet).arg(&list))?;
        // Written last, so that an installation that was cut off is made anew.
        fs::write(environment.stamp(), requirements(workspace)?)
            .map_err(|e| format!("cannot write {}: {e}", environment.stamp().display()))?;
        Ok(environment)
    }

    /// The environment's Python.
    pub(crate) fn python(&self) -> PathBuf {
        let (folder, program) = if cfg!(windows) {
            ("Scripts", "python.exe")
        } else {
            ("bin", "python")
        };
        self.folder.join(folder).join(program)
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

fn requirements_file(workspace: &Workspace) -> PathBuf {
    workspace.root().join("tests/clients/requirements.txt")
}

fn requirements(workspace: &Workspace) -> Result<String, String> {
    let path = requirements_file(workspace);
    fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn starts(python: &Path) -> bool {
    Command::new(python)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}
