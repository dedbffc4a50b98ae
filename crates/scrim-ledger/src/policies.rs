//! Which policies were in force, when, and by whose doing: written, and read back.
//!
//! A load names all its files with their hashes, or how they differ from those of the load before it
//! in the same ledger, whichever is shorter. Whoever reads a ledger from its beginning knows the rest.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Damage, Event, LedgerError, LoadCause, entry,
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

/// Files by path, each with the SHA-256 of its text.
pub(crate) type Files = BTreeMap<String, String>;

/// The body of a `policy_loaded`.
#[derive(Debug, Serialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Written<'a> {
    PolicyLoaded {
        version: &'a str,
        /// All of them; or none, and then what follows says how they differ from those before.
        #[serde(skip_serializing_if = "Option::is_none")]
        files: Option<&'a [(String, String)]>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        changed: Vec<(&'a str, &'a str)>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        removed: Vec<&'a str>,
        cause: LoadCause,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        folder: Option<&'a str>,
    },
}

/// Encodes a load, given the files of the load before it, and gives the files on which the next one
/// may build. Other events are encoded as they are, and nothing builds on them.
pub(crate) fn encode(
    event: &Event,
    before: Option<&Files>,
) -> Result<(Vec<u8>, Option<Files>), LedgerError> {
    let Event::PolicyLoaded {
        version,
        files,
        cause,
        by,
        folder,
    } = event
    else {
        return Ok((entry::encode(event)?, None));
    };
    let now: Files = files.iter().cloned().collect();
    // Two files under one path cannot be told apart, so nothing is built on them.
    let now = Some(now).filter(|now| now.len() == files.len());
    let since = before.zip(now.as_ref()).map(|(before, now)| {
        let is_new = |(path, hash): &(&String, &String)| before.get(*path) != Some(*hash);
        let changed = now.iter().filter(is_new);
        let changed: Vec<_> = changed.map(|(p, h)| (p.as_str(), h.as_str())).collect();
        let removed = before.keys().filter(|path| !now.contains_key(*path));
        (changed, removed.map(String::as_str).collect::<Vec<_>>())
    });
    let since = since.filter(|(changed, removed)| changed.len() + removed.len() < files.len());
    let is_whole = since.is_none();
    let (changed, removed) = since.unwrap_or_default();
    let written = Written::PolicyLoaded {
        version,
        files: is_whole.then_some(files),
        changed,
        removed,
        cause: *cause,
        by: by.as_deref(),
        folder: folder.as_deref(),
    };
    let body = entry::encode(&written)?;
    Ok((body, now))
}

/// What the loads of a ledger add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LastLoads {
    pub(crate) rollback: Option<Rollback>,
    /// The files of the last load; none when it does not say which they are.
    pub(crate) files: Option<Files>,
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
            Ok(Entry::PolicyLoaded(told)) => {
                // The fold has added it already.
                let Some(files) = fold.loads.files.clone() else {
                    let what = "it says how files differ from those before, which are not known";
                    let what = what.to_owned();
                    return Some(Err(Damage { line: number, what }));
                };
                return Some(Ok(told.load(&line, files)));
            }
            Ok(Entry::PolicyRefused(told)) => {
                return Some(Ok(told.load(&line, Files::new())));
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
    files: Option<Vec<(String, String)>>,
    #[serde(default)]
    changed: Vec<(String, String)>,
    #[serde(default)]
    removed: Vec<String>,
    cause: Option<LoadCause>,
    by: Option<String>,
    folder: Option<String>,
    problems: Option<String>,
}

impl Told {
    /// The files of a load, given those of the load before.
    fn files(&mut self, before: Option<Files>) -> Option<Files> {
        if let Some(files) = self.files.take() {
            return Some(files.into_iter().collect());
        }
        let mut files = before?;
        for path in &self.removed {
            files.remove(path);
        }
        files.extend(self.changed.drain(..));
        Some(files)
    }

    fn load(self, line: &Line<'_>, files: Files) -> Load {
        Load {
            seq: line.seq,
            at: line_time(line),
            version: self.version,
            cause: self.cause,
            by: self.by,
            files: files.into_iter().collect(),
            folder: self.folder,
            problems: self.problems,
        }
    }
}

impl LastLoads {
    /// Adds the body of a `policy_loaded`.
    pub(crate) fn loaded(&mut self, body: &[u8]) -> Result<(), serde_json::Error> {
        let mut told: Told = serde_json::from_slice(body)?;
        self.files = told.files(self.files.take());
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

    fn named(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(path, hash): &(&str, &str)| ((*path).to_owned(), (*hash).to_owned());
        files.iter().map(owned).collect()
    }

    fn load_of(files: &[(&str, &str)]) -> Event {
        Event::PolicyLoaded {
            version: "v".to_owned(),
            files: named(files),
            cause: LoadCause::Folder,
            by: None,
            folder: None,
        }
    }

    const SETS: [&[(&str, &str)]; 7] = [
        &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")],
        // One changed, one gone.
        &[("a", "1"), ("b", "2"), ("d", "1")],
        // The same again, and with another.
        &[("a", "1"), ("b", "2"), ("d", "1")],
        &[("a", "1"), ("b", "2"), ("d", "1"), ("e", "1")],
        // Hardly anything is as it was.
        &[("a", "9"), ("x", "1"), ("y", "1")],
        &[],
        &[("a", "1")],
    ];

    #[test]
    fn what_a_load_changed_is_written_and_all_of_it_is_read_back() {
        let dir = folder();
        run(async {
            for sets in [&SETS[..3], &SETS[3..]] {
                let (ledger, _) = open(dir.path());
                for set in sets {
                    ledger.event(load_of(set)).await.unwrap();
                }
                // A start begins with what is in the ledger.
                ledger.shutdown().await.unwrap();
            }
        });
        let path = file_in(&dir);
        let read: Vec<_> = loads(&path)
            .unwrap()
            .map(|load| load.unwrap().files)
            .collect();
        assert_eq!(read, SETS.map(named));
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| line.contains("policy_loaded"));
        let whole: Vec<_> = lines.map(|line| line.contains("\"files\":")).collect();
        assert_eq!(whole, [true, false, false, false, true, true, true]);
    }

    #[test]
    fn nothing_builds_on_a_load_that_was_given_up_under_way() {
        let dir = folder();
        run(async {
            let (ledger, _) = open(dir.path());
            ledger.event(load_of(SETS[0])).await.unwrap();
            // Queued, so it is written; and not waited for.
            let mut given_up = Box::pin(ledger.event(load_of(SETS[3])));
            assert!(asked_once(&mut given_up).await.is_none());
            drop(given_up);
            ledger.event(load_of(SETS[1])).await.unwrap();
            ledger.shutdown().await.unwrap();
        });
        let loads = loads(&file_in(&dir)).unwrap().map(Result::unwrap);
        let last = loads.last().unwrap();
        assert_eq!(last.files, named(SETS[1]));
    }

    /// What a future gives when it is asked once.
    async fn asked_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        std::future::poll_fn(|cx| {
            let polled = std::pin::Pin::new(&mut *future).poll(cx);
            std::task::Poll::Ready(match polled {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    #[test]
    fn changes_of_files_that_are_not_known_say_nothing_of_files() {
        let mut last = LastLoads::default();
        let body = br#"{"entry":"policy_loaded","version":"a","changed":[["a","1"]]}"#;
        last.loaded(body).unwrap();
        assert_eq!(last.files, None);
        // The next that names all of them is good again.
        let body = br#"{"entry":"policy_loaded","version":"a","files":[["a","1"]]}"#;
        last.loaded(body).unwrap();
        assert_eq!(last.files.unwrap().len(), 1);
    }

    #[test]
    fn entries_of_older_versions_are_read() {
        let body =
            br#"{"entry":"policy_loaded","version":"a","files":[["p/contracts/a.yaml","h"]]}"#;
        let Entry::PolicyLoaded(told) = serde_json::from_slice(body).unwrap() else {
            panic!("another kind");
        };
        assert_eq!(told.cause, None);
        let mut last = LastLoads::default();
        last.loaded(body).unwrap();
        let files = [("p/contracts/a.yaml".to_owned(), "h".to_owned())];
        assert_eq!(last.files, Some(files.into()));
        assert_eq!((last.rollback, last.refused), (None, None));
    }
}
