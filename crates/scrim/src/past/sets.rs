//! The policy sets that decided: the folder's, if it still is the same, else those that the server
//! keeps beside its ledger.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use scrim_document::SourceFile;
use scrim_model::TableName;
use scrim_policy::{Decision, Documents, PolicySet};
use scrim_server::Config;
use scrim_server::load::policy_files;
use scrim_server::store::{PolicyStore, StoreError};
use serde_json::{Value, json};
use tempfile::TempDir;

use scrim_ledger::Facts;

use crate::local::Local;
use crate::outcome::Failure;

/// Policy sets that are held at once; each has its sources open.
const HELD_MAX: usize = 4;

/// Where a policy set was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is the one in the folder.
    Folder,
    /// It is kept beside the ledger.
    Store,
}

/// A policy set of then, over the sources of now.
#[derive(Debug)]
pub(crate) struct Then {
    pub(crate) local: Local,
    pub(crate) found: Found,
    /// Its files, with their paths from the folder of policies on.
    files: Vec<SourceFile>,
    _folder: Option<TempDir>,
}

/// A policy set of then, or why there is none.
pub(crate) type Kept = Result<Rc<Then>, String>;

/// The policy sets of a ledger, opened as they are asked for.
#[derive(Debug)]
pub(crate) struct Sets {
    config: Config,
    store: PolicyStore,
    /// The latest last.
    held: Vec<(String, Kept)>,
}

impl Sets {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            store: PolicyStore::open(&config.ledger),
            config,
            held: Vec::new(),
        }
    }

    /// The policy set of a version.
    pub(crate) async fn get(&mut self, version: &str) -> Kept {
        if let Some(at) = self.held.iter().position(|(held, _)| held == version) {
            let held = self.held.remove(at);
            let kept = held.1.clone();
            self.held.push(held);
            return kept;
        }
        let kept = self.open(version).await.map(Rc::new);
        if self.held.len() >= HELD_MAX {
            drop(self.held.remove(0));
        }
        self.held.push((version.to_owned(), kept.clone()));
        kept
    }

    async fn open(&self, version: &str) -> Result<Then, String> {
        let broken = |failure: &Failure| format!("it cannot be loaded now: {}", failure.text());
        let folder = &self.config.policies;
        if let Ok(files) = policy_files(folder)
            && Documents::version_of(&files) == version
        {
            let local = Local::open(self.config.clone()).await;
            let local = local.map_err(|failure| broken(&failure))?;
            if local.policy.version() != version {
                return Err("the folder of policies changed while it was read".to_owned());
            }
            return Ok(Then {
                local,
                found: Found::Folder,
                files: files.iter().map(|file| relative(folder, file)).collect(),
                _folder: None,
            });
        }
        let files = self.store.get(version).map_err(|error| match error {
            StoreError::Unknown(_) => {
                "it is neither in the folder of policies nor kept beside the ledger".to_owned()
            }
            error => error.to_string(),
        })?;
        let folder = written(&files).map_err(|e| broken(&Failure::from(e)))?;
        let mut config = self.config.clone();
        folder.path().clone_into(&mut config.policies);
        let local = Local::open(config).await;
        Ok(Then {
            local: local.map_err(|failure| broken(&failure))?,
            found: Found::Store,
            files,
            _folder: Some(folder),
        })
    }
}

fn relative(folder: &Path, file: &SourceFile) -> SourceFile {
    let path = Path::new(file.path());
    let path = path.strip_prefix(folder).unwrap_or(path);
    SourceFile::new(path.display().to_string(), file.text())
}

/// The files in a folder of their own, as they lay in theirs.
fn written(files: &[SourceFile]) -> std::io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("contracts"))?;
    for file in files {
        let path = folder.path().join(file.path());
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        fs::write(path, file.text())?;
    }
    Ok(folder)
}

impl Then {
    /// Decides what it decided then.
    pub(crate) fn decide(&self, facts: &Facts, table: &TableName) -> Decision {
        let policy = &self.local.policy;
        policy.decide(&facts.principal, &facts.context, &facts.settings, table)
    }

    /// Whether the table is not in force now.
    pub(crate) fn left_out(&self, table: &TableName) -> bool {
        is_left_out(&self.local.policy, table)
    }

    /// The text of a line of a file, which a record names by the path that it had.
    pub(crate) fn line(&self, file: &str, line: u32) -> Option<&str> {
        let named = |kept: &&SourceFile| Path::new(file).ends_with(kept.path());
        // The end of a path in a folder may be the path of another file.
        let kept = self.files.iter().filter(named);
        let text = kept.max_by_key(|kept| kept.path().len())?.text();
        text.lines()
            .nth(usize::try_from(line).ok()?.checked_sub(1)?)
    }
}

/// Whether a table is not in force because of its source.
pub(crate) fn is_left_out(policy: &PolicySet, table: &TableName) -> bool {
    let mut left_out = policy.left_out().iter();
    left_out.any(|one| one.table == *table)
}

impl Found {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "the one in the folder",
            Self::Store => "kept beside the ledger",
        }
    }
}

/// A policy set of then for programs.
pub(crate) fn as_json(kept: &Kept) -> Value {
    match kept {
        Ok(then) => json!({"found": match then.found {
            Found::Folder => "folder",
            Found::Store => "ledger",
        }}),
        Err(why) => json!({"found": null, "why": why}),
    }
}
