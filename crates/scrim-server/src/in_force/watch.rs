//! Watching the files of the owner: the folders of policies and the accounts.
//!
//! The operating system tells of changes. That is a hint to look, never the truth: what counts is
//! what a look finds, and there is one from time to time in any case.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scrim_identity::Accounts;
use tokio::time::{Instant, sleep_until, timeout};

use super::events::{Event, Events, Kind};
use super::places::{Places, is_read};
use crate::load::{self, Inputs};

/// How long it must be quiet before the folder is read.
const QUIET: Duration = Duration::from_millis(25);
/// How long a writer may take to close its file, or to be quiet, before the folder is read all the
/// same.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two looks when nothing is told.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A look may take one part in so many of the time.
const LOOK_SHARE: u32 = 50;
/// Files being written that are remembered.
const WRITING_MAX: usize = 1_024;

/// Tells when to look at the files.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The folders of policies.
    roots: Vec<PathBuf>,
    accounts: PathBuf,
    /// The SHA-256 of the accounts file when it was read last.
    accounts_hash: Option<String>,
    places: Places,
    /// None where the operating system tells nothing.
    events: Option<Events>,
    told: Told,
    next_look: Instant,
}

/// What was told of the files since the last look.
#[derive(Debug, Default)]
struct Told {
    /// Whether anything was.
    is_news: bool,
    /// The files that were written to and not closed.
    writing: BTreeSet<PathBuf>,
}

impl Watch {
    /// Begins to watch folders of policies, the one of `inputs` and one that is not enforced, and the
    /// accounts.
    pub(crate) fn new(inputs: &Inputs, shadow: Option<&Path>, accounts: &Path) -> Self {
        let events = Events::new().inspect_err(|error| {
            tracing::warn!(%error, "changes of policies are found only every {LOOK_EVERY:?}");
        });
        let roots = [Some(inputs.policies.as_path()), shadow];
        let roots = roots.into_iter().flatten().map(Path::to_owned);
        let mut watch = Self {
            roots: roots.collect(),
            accounts: accounts.to_owned(),
            accounts_hash: hash_of(accounts),
            places: Places::default(),
            events: events.ok(),
            told: Told::default(),
            next_look: Instant::now() + LOOK_EVERY,
        };
        watch.take(places(&watch.roots, &watch.accounts));
        watch
    }

    /// Waits until there is a reason to look. May be dropped at any time.
    pub(crate) async fn changed(&mut self) {
        while !self.told.is_news {
            tokio::select! {
                () = next(&mut self.events, &self.places, &mut self.told) => {}
                () = sleep_until(self.next_look) => return,
            }
        }
    }

    /// Waits until it is quiet and no file is being written. Whether anything was told.
    pub(crate) async fn settled(&mut self) -> bool {
        let is_news = self.told.is_news;
        if is_news && timeout(PATIENCE, self.quiet()).await.is_err() {
            tracing::debug!("the folder of policies is being written to all the time");
        }
        self.told = Told::default();
        is_news
    }

    async fn quiet(&mut self) {
        loop {
            self.told.is_news = false;
            let until = Instant::now() + QUIET;
            while Instant::now() < until && !self.told.is_news {
                tokio::select! {
                    () = next(&mut self.events, &self.places, &mut self.told) => {}
                    () = sleep_until(until) => {}
                }
            }
            if !self.told.is_news && self.told.writing.is_empty() {
                return;
            }
        }
    }

    /// Says how long a look took, on which the next one depends.
    pub(crate) fn looked(&mut self, took: Duration) {
        self.next_look = Instant::now() + LOOK_EVERY.max(took * LOOK_SHARE);
    }

    /// Watches the folders as they are now: those that are gone cannot be, new ones must be, and one
    /// may have taken the place of another of its name.
    pub(crate) async fn renew(&mut self, inputs: &Inputs) {
        let (roots, accounts) = (self.roots.clone(), self.accounts.clone());
        let found = load::aside(inputs, move || places(&roots, &accounts)).await;
        match found {
            Ok(found) => self.take(found),
            Err(problems) => tracing::error!("what is watched stays as it was: {problems}"),
        }
    }

    fn take(&mut self, places: Places) {
        self.places = places;
        if let Some(events) = &mut self.events {
            events.watch(self.places.watched());
        }
    }

    /// The accounts, if their file has changed and can be read as accounts.
    pub(crate) async fn accounts_changed(&mut self, inputs: &Inputs) -> Option<Accounts> {
        let (path, before) = (self.accounts.clone(), self.accounts_hash.clone());
        let attributes = inputs.attributes.clone();
        let looked = load::aside(inputs, move || {
            let hash = hash_of(&path);
            let is_other = hash != before;
            let accounts = is_other.then(|| load::accounts(&path, &attributes));
            (hash, accounts)
        });
        let (hash, accounts) = looked.await.unwrap_or_else(|problems| {
            let before = self.accounts_hash.clone();
            (before, Some(Err(problems)))
        });
        self.accounts_hash = hash;
        match accounts? {
            Ok(accounts) => Some(accounts),
            Err(problems) => {
                tracing::warn!("the accounts cannot be read, those known stay: {problems}");
                None
            }
        }
    }
}

fn places(roots: &[PathBuf], accounts: &Path) -> Places {
    Places::new(roots.iter().map(PathBuf::as_path), accounts)
}

/// Takes what is told next.
async fn next(events: &mut Option<Events>, places: &Places, told: &mut Told) {
    let Some(source) = events else {
        return std::future::pending().await;
    };
    match source.next().await {
        Ok(found) => found.into_iter().for_each(|event| told.take(event, places)),
        Err(error) => {
            tracing::warn!(%error, "changes of policies are found only every {LOOK_EVERY:?}");
            *events = None;
        }
    }
}

fn hash_of(path: &Path) -> Option<String> {
    let file = load::read_file(path).ok()?;
    Some(load::sha256(file.text()))
}

impl Told {
    fn take(&mut self, event: Event, places: &Places) {
        let Some(path) = event.path else {
            // What was lost may have been a change.
            self.is_news = true;
            return;
        };
        if !places.concern(&path) {
            return;
        }
        self.is_news = true;
        match event.kind {
            Kind::Written if is_read(&path) && self.writing.len() < WRITING_MAX => {
                self.writing.insert(path);
            }
            Kind::Closed => drop(self.writing.remove(&path)),
            Kind::Written | Kind::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_being_written_is_waited_for_and_a_neighbour_is_not() {
        let root = tempfile::tempdir().unwrap();
        let contracts = root.path().join("contracts");
        std::fs::create_dir(&contracts).unwrap();
        let places = Places::new([root.path()], &root.path().join("accounts.yaml"));
        let mut told = Told::default();
        let mut take = |kind, path: PathBuf| {
            let path = Some(path);
            told.is_news = false;
            told.take(Event { kind, path }, &places);
            (told.is_news, told.writing.len())
        };
        let file = contracts.join("a.yaml");
        assert_eq!(take(Kind::Other, root.path().join("x.log")), (false, 0));
        assert_eq!(take(Kind::Written, root.path().join("x.yaml")), (false, 0));
        assert_eq!(
            take(Kind::Written, contracts.join(".a.yaml.swp")),
            (true, 0)
        );
        assert_eq!(take(Kind::Written, contracts.join("a.yaml~")), (true, 0));
        assert_eq!(take(Kind::Written, file.clone()), (true, 1));
        assert_eq!(take(Kind::Other, file.clone()), (true, 1));
        assert_eq!(take(Kind::Closed, file), (true, 0));
        // So much happened that some of it was lost.
        told.is_news = false;
        let (kind, path) = (Kind::Other, None);
        told.take(Event { kind, path }, &places);
        assert!(told.is_news);
    }
}
