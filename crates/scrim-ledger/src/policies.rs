//! Reading back which policies were in force, when, and by whose doing.

use std::{fs::File, io::BufReader, path::Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Damage, LoadCause,
    line::Line,
    read::line_time,
    replay::{Entries, Fold},
};

/// One load of policies, or an attempt at one, as the ledger tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Load {
    /// The number of the entry, which is its line in the file.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// The version of the policies, if they could be read.
    pub version: Option<String>,
    /// What caused it; entries of older versions do not say.
    pub cause: Option<LoadCause>,
    /// The operator who asked for it, if one did.
    pub by: Option<String>,
    /// The files, each with the SHA-256 of its text; none of a refused load.
    pub files: Vec<(String, String)>,
    /// While a rollback is in force: the version of the policies in the folder.
    pub folder: Option<String>,
    /// What was wrong, if they were refused.
    pub problems: Option<String>,
}

/// A rollback that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// The version that was taken back.
    pub version: String,
    /// The version of the policies that were in the folder, and not in force.
    pub folder: String,
    /// The operator who asked for it.
    pub by: Option<String>,
}

/// What the loads of a ledger add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LastLoads {
    pub(crate) rollback: Option<Rollback>,
    /// What was wrong with what was refused since the last load.
    pub(crate) refused: Option<String>,
}

/// Reads all loads of a ledger, the oldest first, checking the chain on the way. Damage ends the
/// iteration.
pub fn loads(path: &Path) -> Result<Loads, Damage> {
    Ok(Loads {
        entries: Some(Entries::of_live_file(path)?),
        fold: Fold::new(DateTime::<Utc>::MAX_UTC),
    })
}

/// The loads of a ledger, one by one.
#[derive(Debug)]
pub struct Loads {
    /// None after the end.
    entries: Option<Entries<BufReader<File>>>,
    fold: Fold,
}

impl Iterator for Loads {
    type Item = Result<Load, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let entries = self.entries.as_mut()?;
        let found = step(entries, &mut self.fold);
        if !matches!(found, Some(Ok(_))) {
            self.entries = None;
        }
        found
    }
}

fn step(entries: &mut Entries<BufReader<File>>, fold: &mut Fold) -> Option<Result<Load, Damage>> {
    loop {
        let (line, number) = match entries.next_whole() {
            Ok(Some(next)) => next,
            Ok(None) => return None,
            Err(damage) => return Some(Err(damage)),
        };
        if let Err(damage) = fold.apply(&line, number) {
            return Some(Err(damage));
        }
        match serde_json::from_slice(line.body) {
            Ok(Entry::Other) => {}
            Ok(Entry::PolicyLoaded(told) | Entry::PolicyRefused(told)) => {
                return Some(Ok(told.load(&line)));
            }
            Err(error) => {
                let what = format!("the entry lacks something: {error}");
                return Some(Err(Damage { line: number, what }));
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    PolicyLoaded(Told),
    PolicyRefused(Told),
    #[serde(other)]
    Other,
}

/// What an entry says; those of older versions say less.
#[derive(Debug, Deserialize)]
struct Told {
    version: Option<String>,
    #[serde(default)]
    files: Vec<(String, String)>,
    cause: Option<LoadCause>,
    by: Option<String>,
    folder: Option<String>,
    problems: Option<String>,
}

impl Told {
    fn load(self, line: &Line<'_>) -> Load {
        Load {
            seq: line.seq,
            at: line_time(line),
            version: self.version,
            cause: self.cause,
            by: self.by,
            files: self.files,
            folder: self.folder,
            problems: self.problems,
        }
    }
}

impl LastLoads {
    /// Adds the body of a `policy_loaded`.
    pub(crate) fn loaded(&mut self, body: &[u8]) -> Result<(), serde_json::Error> {
        let told: Told = serde_json::from_slice(body)?;
        self.refused = None;
        let by = told.by;
        let rolled = told.version.zip(told.folder);
        // Who took a version back stays the same when a source of it heals.
        let before = self.rollback.take();
        self.rollback = rolled.map(|(version, folder)| Rollback {
            by: by.or_else(|| before.and_then(|before| before.by)),
            version,
            folder,
        });
        Ok(())
    }

    /// Adds the body of a `policy_refused`.
    pub(crate) fn refused(&mut self, body: &[u8]) -> Result<(), serde_json::Error> {
        let told: Told = serde_json::from_slice(body)?;
        self.refused = told.problems;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{file_in, folder, open, run};
    use crate::{Event, Ledger};

    async fn write(ledger: &Ledger, version: &str, cause: LoadCause, folder: Option<&str>) {
        let event = Event::PolicyLoaded {
            version: version.to_owned(),
            files: vec![("contracts/a.yaml".to_owned(), "hash".to_owned())],
            cause,
            by: (cause == LoadCause::Rollback).then(|| "nora".to_owned()),
            folder: folder.map(str::to_owned),
        };
        ledger.event(event).await.unwrap();
    }

    #[test]
    fn loads_are_read_back_and_add_up() {
        let dir = folder();
        run(async {
            let (ledger, recovery) = open(dir.path());
            assert_eq!((recovery.rollback, recovery.refused_policies), (None, None));
            write(&ledger, "one", LoadCause::Start, None).await;
            write(&ledger, "one", LoadCause::Rollback, Some("two")).await;
            // Still the same rollback.
            write(&ledger, "one", LoadCause::SourceHealed, Some("two")).await;
            let refused = Event::PolicyRefused {
                version: None,
                cause: LoadCause::Folder,
                by: None,
                problems: "é".repeat(9_000),
            };
            ledger.event(refused).await.unwrap();
            ledger.shutdown().await.unwrap();
            drop(ledger);
            let (ledger, recovery) = open(dir.path());
            let rollback = Rollback {
                version: "one".to_owned(),
                folder: "two".to_owned(),
                by: Some("nora".to_owned()),
            };
            assert_eq!(recovery.rollback, Some(rollback));
            assert_eq!(recovery.refused_policies.unwrap().len(), 4 << 10);
            write(&ledger, "three", LoadCause::Folder, None).await;
            ledger.shutdown().await.unwrap();
            drop(ledger);
            let (ledger, recovery) = open(dir.path());
            assert_eq!((recovery.rollback, recovery.refused_policies), (None, None));
            ledger.shutdown().await.unwrap();
        });
        let loads: Vec<_> = loads(&file_in(&dir)).unwrap().map(Result::unwrap).collect();
        let told: Vec<_> = loads
            .iter()
            .map(|load| (load.version.as_deref(), load.cause.unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                (Some("one"), LoadCause::Start),
                (Some("one"), LoadCause::Rollback),
                (Some("one"), LoadCause::SourceHealed),
                (None, LoadCause::Folder),
                (Some("three"), LoadCause::Folder),
            ]
        );
        assert_eq!(loads[0].files.len(), 1);
        assert!(loads[3].problems.is_some());
    }

    #[test]
    fn entries_of_older_versions_are_read() {
        let body =
            br#"{"entry":"policy_loaded","version":"a","files":[["p/contracts/a.yaml","h"]]}"#;
        let Entry::PolicyLoaded(told) = serde_json::from_slice(body).unwrap() else {
            panic!("another kind");
        };
        assert_eq!((told.cause, told.files.len()), (None, 1));
        let mut last = LastLoads::default();
        last.loaded(body).unwrap();
        assert_eq!(last, LastLoads::default());
    }
}
