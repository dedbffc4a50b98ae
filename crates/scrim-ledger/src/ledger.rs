//! Opening a ledger and writing to it.

use std::{
    fmt::Debug,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use scrim_model::{Clock, QueryId, Revocations, SessionId};
use tokio::sync::{Mutex, oneshot};
use uuid::Uuid;

use crate::{
    Event, LedgerError, Opening, Outcome, Permit, RefusedQuery, Rollback,
    entry::{self, Body, Closing, FORMAT},
    line,
    policies::{self, Files},
    replay::{Entries, Fold, Step},
    sink::FileSink,
    writer::{Item, Shared, Writer},
};

/// The name of the file in the ledger's folder.
pub const FILE_NAME: &str = "ledger.jsonl";

/// The log of all that matters; clones write to the same file.
///
/// When the last clone is dropped the ledger takes no more openings; its writer ends, and lets go
/// of the file, when the last [`Permit`] is closed.
#[derive(Debug, Clone)]
pub struct Ledger {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    /// The files of the last load of policies, if the ledger is known to hold them.
    loaded: Mutex<Option<Files>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop(None);
    }
}

/// What a start found and put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The entries that were there, without those that this start wrote.
    pub entries: u64,
    /// Whether the file was new.
    pub created: bool,
    /// The last line, if it was torn and cut off.
    pub torn: Option<Torn>,
    /// The records that were open and were closed as abandoned.
    pub abandoned: Vec<QueryId>,
    /// Sessions that were closed and would not have ended by themselves yet, with their ends: their
    /// tokens must stay closed after a restart.
    pub closed_sessions: Vec<(SessionId, DateTime<Utc>)>,
    /// What the owner revoked and did not give again.
    pub revocations: Revocations,
    /// The rollback of policies that was in force.
    pub rollback: Option<Rollback>,
    /// What was wrong with the policies that were refused last, if none were loaded since.
    pub refused_policies: Option<String>,
}

/// The end of a ledger at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many entries are durable.
    pub entries: u64,
    /// The hash of the last one.
    pub hash: String,
}

/// A torn last line: a crash came while it was written, so nobody was told that it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// How many bytes were cut off.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: String,
}

impl Ledger {
    /// Opens the ledger in a folder, or creates both: checks every line, cuts off a torn tail,
    /// closes what a crash left open. Blocks.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<(Self, Recovery), LedgerError> {
        let path = dir.join(FILE_NAME);
        let file = lock(dir, &path)?;
        let (mut recovery, place, loaded) = replay(&file, &path, clock.now())?;
        if recovery.torn.is_some() {
            let cut = file.set_len(place.bytes).and_then(|()| file.sync_all());
            cut.map_err(failed("cut the torn last line off", &path))?;
        }
        recovery.created = recovery.entries == 0 && recovery.torn.is_none();
        let sink = Box::new(FileSink::new(file, &path, place.bytes));
        let shared = Shared::new();
        let mut writer = Writer::new(
            sink,
            clock,
            recovery.entries,
            place.head,
            Arc::clone(&shared),
        );
        writer
            .write_now(&first_bodies(&recovery)?)
            .map_err(failed("write to", &path))?;
        // Also when the file was there: the start that made it may have been killed before this.
        sync_dir(dir).map_err(failed("make durable the folder of", &path))?;
        writer
            .spawn()
            .map_err(failed("start the writer of", &path))?;
        Ok((
            Self {
                handle: Arc::new(Handle {
                    shared,
                    loaded: Mutex::new(loaded),
                }),
            },
            recovery,
        ))
    }

    /// A ledger over something else than a file.
    #[cfg(test)]
    pub(crate) fn with_sink(sink: Box<dyn crate::sink::Sink>, clock: Arc<dyn Clock>) -> Self {
        let shared = Shared::new();
        Writer::new(sink, clock, 0, line::NO_LINE, Arc::clone(&shared))
            .spawn()
            .unwrap();
        Self {
            handle: Arc::new(Handle {
                shared,
                loaded: Mutex::default(),
            }),
        }
    }

    /// Records that a query may read, durably, and gives the right to do so.
    ///
    /// Dropping the future is safe at any point: what was recorded is closed as abandoned.
    pub async fn open_query(&self, opening: Opening) -> Result<Permit, LedgerError> {
        let shared = &self.handle.shared;
        let body = entry::encode(&opening.body())?;
        let readings = opening.readings.iter();
        let hashes = readings
            .map(|reading| reading.decision.hash.clone())
            .collect();
        let room = shared.room(body.len()).await?;
        let (reply, answer) = oneshot::channel();
        shared.submit(Item::Open {
            body,
            query: opening.query,
            hashes,
            reply,
            room,
        })?;
        answer.await.unwrap_or_else(|_| Err(shared.lost()))
    }

    /// Records, durably, that a query was refused before it was opened.
    pub async fn refused(&self, refusal: RefusedQuery) -> Result<(), LedgerError> {
        self.note(entry::encode(&refusal.body())?).await
    }

    /// Records, durably, something beside queries.
    pub async fn event(&self, event: Event) -> Result<(), LedgerError> {
        if matches!(event, Event::PolicyLoaded { .. }) {
            return self.load(event).await;
        }
        self.note(entry::encode(&event)?).await
    }

    /// Records a load, as what it changed. Loads that come at once are recorded one after the other.
    async fn load(&self, event: Event) -> Result<(), LedgerError> {
        let mut loaded = self.handle.loaded.lock().await;
        // Until this one is known to be written, nothing is known of the last one.
        let before = loaded.take();
        let (body, now) = policies::encode(&event, before.as_ref())?;
        self.note(body).await?;
        *loaded = now;
        Ok(())
    }

    async fn note(&self, body: Vec<u8>) -> Result<(), LedgerError> {
        let shared = &self.handle.shared;
        let room = shared.room(body.len()).await?;
        let (reply, answer) = oneshot::channel();
        shared.submit(Item::Note { body, reply, room })?;
        answer.await.map_err(|_| shared.lost())
    }

    /// Whether openings are taken: false after a failed write, and when the server is stopping.
    pub fn healthy(&self) -> bool {
        self.handle.shared.healthy()
    }

    /// The end of what is durable.
    pub fn head(&self) -> Head {
        let (entries, hash) = self.handle.shared.head();
        Head {
            entries,
            hash: line::hex(&hash),
        }
    }

    /// Takes no more openings, and waits until all that was queued is durable.
    ///
    /// Permits that are still alive are recorded as they close, for as long as the process lives;
    /// if there are none, the file is unlocked when this returns.
    pub async fn shutdown(&self) -> Result<(), LedgerError> {
        let shared = &self.handle.shared;
        let (reply, answer) = oneshot::channel();
        shared.stop(Some(reply));
        let answered = answer.await.is_ok();
        if !answered || shared.live() == 0 {
            shared.ended().await;
        }
        match shared.refusal() {
            Some(error @ LedgerError::Poisoned { .. }) => Err(error),
            Some(_) | None => Ok(()),
        }
    }
}

/// The end of what is good in a file.
#[derive(Debug)]
struct Place {
    head: line::Digest,
    bytes: u64,
}

/// Makes the folder and the file if need be, for the owner's eyes only, and locks the file.
fn lock(dir: &Path, path: &Path) -> Result<File, LedgerError> {
    if !dir.is_dir() {
        create_durably(dir).map_err(failed("create the folder of", path))?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    owner_only(&mut options);
    let file = options.open(path).map_err(failed("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed("lock", path)(source)),
    }
}

/// Reads and checks the whole file.
fn replay(
    file: &File,
    path: &Path,
    now: DateTime<Utc>,
) -> Result<(Recovery, Place, Option<Files>), LedgerError> {
    let damaged = |damage| LedgerError::Damaged {
        path: path.to_owned(),
        damage,
    };
    let mut entries = Entries::new(BufReader::with_capacity(1 << 18, file));
    let mut fold = Fold::new(now);
    let mut torn = None;
    loop {
        let number = entries.seq + 1;
        match entries.step().map_err(damaged)? {
            Step::Entry(line) => fold.apply(&line, number).map_err(damaged)?,
            Step::Torn(_) => {
                torn = Some(measure_torn(file, entries.good_bytes).map_err(failed("read", path))?);
                break;
            }
            Step::End => break,
        }
    }
    fold.revocations.forget(now);
    let recovery = Recovery {
        entries: entries.seq,
        created: false,
        torn,
        abandoned: fold.open.into_iter().collect(),
        closed_sessions: fold.closed_sessions.into_iter().collect(),
        revocations: fold.revocations,
        rollback: fold.loads.rollback,
        refused_policies: fold.loads.refused,
    };
    Ok((
        recovery,
        Place {
            head: entries.head,
            bytes: entries.good_bytes,
        },
        fold.loads.files,
    ))
}

/// Looks at exactly the bytes that will be cut off.
fn measure_torn(mut file: &File, from: u64) -> io::Result<Torn> {
    use io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(line::LINE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(Torn {
        bytes: bytes.len() as u64,
        sha256: line::hex(&line::sha256(&bytes)),
    })
}

/// What a start writes before it takes entries.
fn first_bodies(recovery: &Recovery) -> Result<Vec<Vec<u8>>, LedgerError> {
    let mut bodies = Vec::new();
    if recovery.entries == 0 {
        bodies.push(entry::encode(&Body::Created {
            format: FORMAT,
            id: Uuid::new_v4(),
        })?);
    }
    if let Some(Torn { bytes, sha256 }) = &recovery.torn {
        bodies.push(entry::encode(&Body::Recovered {
            bytes: *bytes,
            sha256,
        })?);
    }
    for query in &recovery.abandoned {
        let closing = Closing {
            query: *query,
            outcome: Outcome::Abandoned,
            rows: None,
            bytes: None,
            code: None,
            reason: Some("found open when the server started".to_owned()),
        };
        bodies.push(entry::encode(&closing.body())?);
    }
    Ok(bodies)
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> LedgerError {
    let path = PathBuf::from(path);
    move |source| LedgerError::Io {
        action,
        path: path.clone(),
        source,
    }
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}

#[cfg(unix)]
fn create_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

#[cfg(not(unix))]
fn create_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Makes a folder and those above it that are missing, each with its name in the one above.
fn create_durably(dir: &Path) -> io::Result<()> {
    let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let made: Vec<&Path> = dir.ancestors().take_while(missing).collect();
    create_dir(dir)?;
    for dir in made {
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
        sync_dir(above.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Makes the names in a folder durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
