//! The one thread that writes, and the queue in front of it.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use scrim_model::{Clock, QueryId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::{
    LedgerError, Permit,
    entry::{self, Closing},
    line::{self, Digest},
    sink::Sink,
};

/// How much may wait to be written, in units of 1 KiB; who comes later waits for room.
const QUEUE_KIB_MAX: u32 = 64 << 10;

/// How long a closing entry that nobody waits for may stay in the page cache. Joining the sync of
/// the next opening instead of having its own halves the syncs of a client that asks one query
/// after the other.
const LAZY_SYNC: Duration = Duration::from_millis(50);

/// What waits to be written.
#[derive(Debug)]
pub(crate) enum Item {
    /// A record to be opened.
    Open {
        body: Vec<u8>,
        query: QueryId,
        hashes: Vec<String>,
        reply: oneshot::Sender<Result<Permit, LedgerError>>,
        room: OwnedSemaphorePermit,
    },
    /// Any other entry that its sender waits for.
    Note {
        body: Vec<u8>,
        reply: oneshot::Sender<()>,
        room: OwnedSemaphorePermit,
    },
    /// A record to be closed. It needs no room of its own: there is at most one for each permit.
    Close(Closing),
    /// Answered when everything before it is durable.
    Barrier(oneshot::Sender<()>),
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Item>,
    /// Permits that are not closed yet; the writer does not end before they are.
    live: usize,
    stopping: bool,
    exited: bool,
    poisoned: Option<String>,
    /// The number and hash of the last durable entry.
    head: (u64, Digest),
}

impl State {
    /// Why nothing is taken any more, if so.
    fn refusal(&self) -> Option<LedgerError> {
        match &self.poisoned {
            Some(reason) => Some(LedgerError::Poisoned {
                reason: reason.clone(),
            }),
            None => (self.stopping || self.exited).then_some(LedgerError::Stopped),
        }
    }
}

/// What the writer shares with the handles and the permits.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    room: Arc<Semaphore>,
    exited: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                live: 0,
                stopping: false,
                exited: false,
                poisoned: None,
                head: (0, line::NO_LINE),
            }),
            wake: Condvar::new(),
            room: Arc::new(Semaphore::new(QUEUE_KIB_MAX as usize)),
            exited: watch::Sender::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether entries are taken and none was lost.
    pub(crate) fn healthy(&self) -> bool {
        self.refusal().is_none()
    }

    /// Why nothing is taken any more, if so.
    pub(crate) fn refusal(&self) -> Option<LedgerError> {
        self.state().refusal()
    }

    /// The refusal, for one whose entry got no answer.
    pub(crate) fn lost(&self) -> LedgerError {
        let reason = || "the writer ended before it answered".to_owned();
        self.refusal()
            .unwrap_or_else(|| LedgerError::Poisoned { reason: reason() })
    }

    /// Waits for room for an entry of this length.
    pub(crate) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, LedgerError> {
        let kib = u32::try_from(bytes / 1024 + 1)
            .unwrap_or(QUEUE_KIB_MAX)
            .min(QUEUE_KIB_MAX);
        Arc::clone(&self.room)
            .acquire_many_owned(kib)
            .await
            .map_err(|_| self.lost())
    }

    /// Queues an entry.
    pub(crate) fn submit(&self, item: Item) -> Result<(), LedgerError> {
        let mut state = self.state();
        // Under the same lock as the push: once the writer has ended nobody empties the queue.
        if let Some(refusal) = state.refusal() {
            return Err(refusal);
        }
        state.queue.push_back(item);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Queues the closing of a record, always: while a permit lives, so does the writer.
    pub(crate) fn close(&self, closing: Closing) {
        let mut state = self.state();
        state.live = state.live.saturating_sub(1);
        if state.poisoned.is_some() || state.exited {
            drop(state);
            tracing::error!(query = %closing.query, outcome = %closing.outcome, "the ledger cannot take the end of a query; the next start closes its record as abandoned");
            return;
        }
        state.queue.push_back(Item::Close(closing));
        drop(state);
        self.wake.notify_one();
    }

    /// Takes no more openings; the writer ends when the queue is empty and no permit is left.
    pub(crate) fn stop(&self, barrier: Option<oneshot::Sender<()>>) {
        let mut state = self.state();
        state.stopping = true;
        if !state.exited {
            state.queue.extend(barrier.map(Item::Barrier));
        }
        drop(state);
        self.room.close();
        self.wake.notify_one();
    }

    /// The number and hash of the last durable entry.
    pub(crate) fn head(&self) -> (u64, Digest) {
        self.state().head
    }

    /// How many permits are not closed yet.
    pub(crate) fn live(&self) -> usize {
        self.state().live
    }

    /// Waits until the writer has ended and let go of the file.
    pub(crate) async fn ended(&self) {
        let mut exited = self.exited.subscribe();
        // The sender lives in `self`, so this cannot end early.
        if exited.wait_for(|exited| *exited).await.is_err() {
            tracing::debug!("the ledger's writer is gone");
        }
    }

    fn poison(&self, reason: String) {
        tracing::error!(
            reason,
            "the ledger cannot be written; no query is served from now on"
        );
        let mut state = self.state();
        state.poisoned.get_or_insert(reason);
        let waiting = std::mem::take(&mut state.queue);
        drop(state);
        self.room.close();
        drop(waiting);
    }

    /// Waits for work. `None` ends the writer; an empty batch asks for a sync.
    fn next_batch(&self, unsynced: bool) -> Option<VecDeque<Item>> {
        let mut state = self.state();
        loop {
            if !state.queue.is_empty() {
                return Some(std::mem::take(&mut state.queue));
            }
            if state.stopping && state.live == 0 {
                return unsynced.then(VecDeque::new);
            }
            if unsynced {
                let (woken, wait) = self
                    .wake
                    .wait_timeout(state, LAZY_SYNC)
                    .unwrap_or_else(PoisonError::into_inner);
                state = woken;
                if wait.timed_out() && state.queue.is_empty() {
                    return Some(VecDeque::new());
                }
            } else {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// What is owed to one who waits, once the batch is durable.
#[derive(Debug)]
enum Answer {
    Permit {
        query: QueryId,
        hashes: Vec<String>,
        reply: oneshot::Sender<Result<Permit, LedgerError>>,
        room: OwnedSemaphorePermit,
    },
    Done(oneshot::Sender<()>, Option<OwnedSemaphorePermit>),
}

/// The writer: the end of the chain, and the file behind it.
#[derive(Debug)]
pub(crate) struct Writer {
    sink: Box<dyn Sink>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    seq: u64,
    head: Digest,
    open: BTreeSet<QueryId>,
    buffer: Vec<u8>,
    unsynced: bool,
}

impl Writer {
    pub(crate) fn new(
        sink: Box<dyn Sink>,
        clock: Arc<dyn Clock>,
        seq: u64,
        head: Digest,
        shared: Arc<Shared>,
    ) -> Self {
        let (open, buffer) = (BTreeSet::new(), Vec::new());
        shared.state().head = (seq, head);
        Self {
            sink,
            shared,
            clock,
            seq,
            head,
            open,
            buffer,
            unsynced: false,
        }
    }

    /// Writes entries before the thread starts, durably.
    pub(crate) fn write_now(&mut self, bodies: &[Vec<u8>]) -> io::Result<()> {
        for body in bodies {
            self.add(body);
        }
        self.persist(true)
    }

    /// Starts the thread.
    pub(crate) fn spawn(self) -> io::Result<()> {
        thread::Builder::new()
            .name("scrim-ledger".to_owned())
            .spawn(move || self.run())?;
        Ok(())
    }

    fn run(mut self) {
        // Declared before `self` is used, dropped after the file is closed: see `Farewell`.
        let farewell = Farewell(Arc::clone(&self.shared));
        while let Some(batch) = self.shared.next_batch(self.unsynced) {
            if !self.commit(batch) {
                break;
            }
        }
        drop(self);
        drop(farewell);
    }

    /// Writes a batch and answers; `false` after a failure, which is final.
    fn commit(&mut self, batch: VecDeque<Item>) -> bool {
        let is_flush = batch.is_empty();
        let mut answers = Vec::new();
        // Declared after the answers, so that a panic poisons before they are dropped unanswered.
        let shared = Arc::clone(&self.shared);
        let watch = PoisonOnPanic(&shared);
        for item in batch {
            if let Err(error) = self.take(item, &mut answers) {
                self.shared.poison(error.to_string());
                return false;
            }
        }
        if let Err(error) = self.persist(is_flush || !answers.is_empty()) {
            // Poisoned before the waiting ones are told, so that they find the reason.
            self.shared.poison(error.to_string());
            return false;
        }
        drop(watch);
        for answer in answers {
            self.answer(answer);
        }
        true
    }

    fn take(&mut self, item: Item, answers: &mut Vec<Answer>) -> Result<(), LedgerError> {
        match item {
            Item::Open {
                body,
                query,
                hashes,
                reply,
                room,
            } => {
                if self.open.insert(query) {
                    self.add(&body);
                    answers.push(Answer::Permit {
                        query,
                        hashes,
                        reply,
                        room,
                    });
                } else if reply.send(Err(LedgerError::AlreadyOpen { query })).is_err() {
                    tracing::debug!(%query, "nobody waits for the refusal of a second opening");
                }
            }
            Item::Note { body, reply, room } => {
                self.add(&body);
                answers.push(Answer::Done(reply, Some(room)));
            }
            Item::Close(closing) => {
                // Paired with the type: a record that is not open is never closed.
                if self.open.remove(&closing.query) {
                    self.add(&entry::encode(&closing.body())?);
                } else {
                    tracing::error!(query = %closing.query, "a record that is not open was closed");
                }
            }
            Item::Barrier(reply) => answers.push(Answer::Done(reply, None)),
        }
        Ok(())
    }

    fn add(&mut self, body: &[u8]) {
        self.seq += 1;
        let now = self.clock.now();
        self.head = line::write(&mut self.buffer, self.seq, now, &self.head, body);
    }

    fn persist(&mut self, durably: bool) -> io::Result<()> {
        /// What the buffer keeps between batches.
        const BUFFER_BYTES_KEPT: usize = 1 << 20;
        if !self.buffer.is_empty() {
            self.unsynced = true;
            self.sink.append(&self.buffer)?;
            self.buffer.clear();
            self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        }
        if durably && self.unsynced {
            self.sink.sync()?;
            self.unsynced = false;
            self.shared.state().head = (self.seq, self.head);
        }
        Ok(())
    }

    fn answer(&self, answer: Answer) {
        match answer {
            Answer::Permit {
                query,
                hashes,
                reply,
                room,
            } => {
                self.shared.state().live += 1;
                let permit = Permit::new(Arc::clone(&self.shared), query, hashes);
                // If the one who asked is gone, the permit comes back or is dropped with the
                // channel, and closes its record as abandoned either way.
                drop(reply.send(Ok(permit)));
                drop(room);
            }
            Answer::Done(reply, room) => {
                if reply.send(()).is_err() {
                    tracing::debug!("nobody waits for an entry that was written");
                }
                drop(room);
            }
        }
    }
}

/// Poisons the ledger if what it watches panics.
#[derive(Debug)]
struct PoisonOnPanic<'a>(&'a Shared);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.poison("the writer panicked".to_owned());
        }
    }
}

/// Tells the others that the thread ended, however it ended.
#[derive(Debug)]
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        drop(PoisonOnPanic(&self.0));
        let mut state = self.0.state();
        state.exited = true;
        let waiting = std::mem::take(&mut state.queue);
        drop(state);
        drop(waiting);
        self.0.room.close();
        self.0.exited.send_replace(true);
    }
}
