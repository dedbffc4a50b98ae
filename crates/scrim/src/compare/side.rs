//! Where one side of a comparison comes from: a folder, a revision in git, a running server.

use std::path::{Path, PathBuf};

use scrim_document::Problems;
use tempfile::TempDir;

use super::git;
use crate::outcome::Failure;

/// One side of a comparison, as a folder of policies.
#[derive(Debug)]
pub struct Side {
    name: String,
    folder: PathBuf,
    scratch: Option<TempDir>,
}

impl Side {
    /// A folder on this machine.
    pub fn of_folder(folder: &Path) -> Self {
        Self {
            name: folder.display().to_string(),
            folder: folder.to_owned(),
            scratch: None,
        }
    }

    /// A revision, as `REV` (of the folder `policies`) or `REV:PATH` in the repository of that folder.
    ///
    /// # Errors
    /// When git does not know it, or there are no policies in it.
    pub fn of_revision(revision: &str, policies: &Path) -> Result<Self, Failure> {
        let files = git::files(revision, policies)?;
        Self::of_files(revision, &files)
    }

    /// Files by path from the folder of policies on.
    pub(crate) fn of_files(name: &str, files: &[(String, String)]) -> Result<Self, Failure> {
        let scratch = tempfile::tempdir()?;
        // There to be found, empty or not.
        std::fs::create_dir(scratch.path().join("contracts"))?;
        for (path, text) in files {
            let path = inside(scratch.path(), path)?;
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, text)?;
        }
        Ok(Self {
            name: name.to_owned(),
            folder: scratch.path().to_owned(),
            scratch: Some(scratch),
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with its files, by names that whoever reads it knows.
    pub(super) fn wrong(&self, problems: Problems) -> Failure {
        if self.scratch.is_none() {
            return Failure::Problems(problems);
        }
        let folder = format!("{}/", self.folder.display());
        let text = problems.render().replace(&folder, "");
        Failure::Usage(format!(
            "{} is not in order:\n{}",
            self.name,
            text.trim_end()
        ))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A path that stays below a folder, whoever named it.
fn inside(folder: &Path, path: &str) -> Result<PathBuf, Failure> {
    let relative = Path::new(path);
    let stays = relative
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if !stays {
        return Err(Failure::Failed(format!(
            "`{path}` is no path below a folder"
        )));
    }
    Ok(folder.join(relative))
}

#[cfg(test)]
mod tests {
    use super::Side;

    #[test]
    fn files_stay_in_their_folder() {
        for path in [
            "../evil.yaml",
            "/etc/evil.yaml",
            "contracts/../../evil.yaml",
            "./x.yaml/..",
        ] {
            let files = [(path.to_owned(), String::new())];
            assert!(Side::of_files("server", &files).is_err(), "{path}");
        }
        let files = [("contracts/deep/a.yaml".to_owned(), "x: 1\n".to_owned())];
        let side = Side::of_files("server", &files).unwrap();
        assert!(side.folder().join("contracts/deep/a.yaml").is_file());
    }
}
