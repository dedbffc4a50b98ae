//! The streams that run at the moment, and the statements that were cancelled: the only state that
//! tickets have. All of it is bounded, and gone with the streams, the sessions and the tickets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use scrim_engine::Rights;
use scrim_identity::Session;
use scrim_model::{Code, QueryId, Refusal, SessionId};
use tokio::sync::watch;
use uuid::Uuid;

use crate::wire::Valve;

/// Cancelled statements of one session whose tickets have not expired.
const CANCELLED_PER_SESSION_MAX: usize = 1_024;
/// Cancelled statements of all sessions together.
const CANCELLED_MAX: usize = 65_536;

/// Every stream that has not been dropped.
#[derive(Debug)]
pub(crate) struct Streams {
    shared: Arc<Shared>,
    per_principal_max: usize,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Inner {
    streams: BTreeMap<QueryId, Entry>,
    by_session: BTreeSet<(SessionId, QueryId)>,
    by_principal: BTreeMap<String, usize>,
    /// Statements that may not be fetched any more, and when their tickets expire.
    cancelled: BTreeMap<(SessionId, QueryId), DateTime<Utc>>,
}

#[derive(Debug)]
struct Entry {
    principal: String,
    session: SessionId,
    statement: QueryId,
    basis: Arc<Basis>,
}

/// What a stream rests on, and where it is shut when that is gone.
#[derive(Debug, Default)]
pub(crate) struct Basis {
    pub(crate) valve: Arc<Valve>,
    /// Whose it is.
    pub(crate) session: OnceLock<Session>,
    /// What it may show; nothing is known of it before its query is bound, or if it has none.
    pub(crate) rights: OnceLock<Rights>,
}

/// One run of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Its own id.
    pub(crate) id: QueryId,
    /// The id under which the statement was announced.
    pub(crate) statement: QueryId,
}

impl Run {
    /// A new run of an announced statement.
    pub(crate) fn new(statement: QueryId) -> Self {
        let id = QueryId::new();
        Self { id, statement }
    }
}

/// A stream's place among those that run; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    run: QueryId,
    pub(crate) basis: Arc<Basis>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.leave(self.run);
        // Told under the lock, so that the count never runs behind.
        self.shared.count.send_replace(inner.streams.len());
    }
}

impl Inner {
    fn leave(&mut self, run: QueryId) {
        let Some(entry) = self.streams.remove(&run) else {
            return;
        };
        self.by_session.remove(&(entry.session, run));
        if let Some(count) = self.by_principal.get_mut(&entry.principal) {
            *count -= 1;
            if *count == 0 {
                self.by_principal.remove(&entry.principal);
            }
        }
    }

    fn of_session(&self, session: SessionId) -> impl Iterator<Item = &Entry> {
        self.by_session
            .range(all_of(session))
            .filter_map(|(_, run)| self.streams.get(run))
    }

    fn cancelled_of(&self, session: SessionId) -> impl Iterator<Item = (SessionId, QueryId)> {
        self.cancelled.range(all_of(session)).map(|(key, _)| *key)
    }
}

fn all_of(session: SessionId) -> std::ops::RangeInclusive<(SessionId, QueryId)> {
    (session, QueryId(Uuid::nil()))..=(session, QueryId(Uuid::max()))
}

fn cancelled() -> Refusal {
    Refusal::new(
        Code::Cancelled,
        "the statement was cancelled; run it again to get its result",
    )
}

impl Streams {
    /// No streams, of which one principal may have that many.
    pub(crate) fn new(per_principal_max: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                inner: Mutex::default(),
                count: watch::Sender::new(0),
            }),
            per_principal_max,
        }
    }

    /// How many streams there are.
    pub(crate) fn count(&self) -> watch::Receiver<usize> {
        self.shared.count.subscribe()
    }

    /// How many cancelled statements are remembered.
    pub(crate) fn cancelled(&self) -> usize {
        self.shared.lock().cancelled.len()
    }

    /// Takes a place for one run of a statement, before any work is done for it.
    ///
    /// # Errors
    /// When the principal has too many streams, or the statement was cancelled.
    pub(crate) fn enter(
        &self,
        principal: &str,
        session: SessionId,
        Run { id, statement }: Run,
    ) -> Result<Place, Refusal> {
        let mut inner = self.shared.lock();
        if inner.cancelled.contains_key(&(session, statement)) {
            return Err(cancelled());
        }
        let max = self.per_principal_max;
        if inner.by_principal.get(principal).is_some_and(|n| *n >= max) {
            return Err(Refusal::new(
                Code::ConcurrencyLimit,
                format!("you have {max} results open already; read or close one first"),
            ));
        }
        *inner.by_principal.entry(principal.to_owned()).or_default() += 1;
        inner.by_session.insert((session, id));
        let basis = Arc::<Basis>::default();
        let entry = Entry {
            principal: principal.to_owned(),
            session,
            statement,
            basis: Arc::clone(&basis),
        };
        inner.streams.insert(id, entry);
        self.shared.count.send_replace(inner.streams.len());
        Ok(Place {
            shared: Arc::clone(&self.shared),
            run: id,
            basis,
        })
    }

    /// What the streams rest on that have not ended.
    pub(crate) fn flowing(&self) -> Vec<Arc<Basis>> {
        let inner = self.shared.lock();
        let entries = inner.streams.values();
        let mut bases: Vec<_> = entries.map(|entry| Arc::clone(&entry.basis)).collect();
        drop(inner);
        bases.retain(|basis| !basis.valve.has_ended());
        bases
    }

    /// Ends what a session fetches of a statement, and refuses the statement's tickets from now on.
    ///
    /// # Errors
    /// When too many cancelled statements would have to be remembered; what runs is ended anyway.
    pub(crate) fn cancel(
        &self,
        session: SessionId,
        statement: QueryId,
        expires: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let mut inner = self.shared.lock();
        let remembered = inner.remember((session, statement), expires, now);
        let valves: Vec<_> = inner
            .of_session(session)
            .filter(|entry| entry.statement == statement)
            .map(|entry| Arc::clone(&entry.basis.valve))
            .collect();
        drop(inner);
        shut(&valves, &cancelled());
        remembered
    }

    /// Ends everything of a session.
    pub(crate) fn end_session(&self, session: SessionId, refusal: &Refusal) {
        let mut inner = self.shared.lock();
        let keys: Vec<_> = inner.cancelled_of(session).collect();
        for key in keys {
            inner.cancelled.remove(&key);
        }
        let valves: Vec<_> = inner
            .of_session(session)
            .map(|entry| Arc::clone(&entry.basis.valve))
            .collect();
        drop(inner);
        shut(&valves, refusal);
    }
}

impl Inner {
    fn remember(
        &mut self,
        key: (SessionId, QueryId),
        expires: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let full = |inner: &Self| {
            !inner.cancelled.contains_key(&key)
                && (inner.cancelled.len() >= CANCELLED_MAX
                    || inner.cancelled_of(key.0).count() >= CANCELLED_PER_SESSION_MAX)
        };
        if full(self) {
            self.cancelled.retain(|_, expires| *expires > now);
        }
        if full(self) {
            return Err(Refusal::new(
                Code::ConcurrencyLimit,
                "too many statements of this session were cancelled; what was running is ended, \
                 but the ticket stays valid",
            ));
        }
        self.cancelled.insert(key, expires);
        Ok(())
    }
}

/// Not under the registry's lock: the end of a query takes a moment.
fn shut(valves: &[Arc<Valve>], refusal: &Refusal) {
    for valve in valves {
        valve.shut(refusal);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn later() -> DateTime<Utc> {
        NOW + TimeDelta::hours(1)
    }

    fn ended() -> Refusal {
        Refusal::new(Code::SessionEnded, "ended")
    }

    #[test]
    fn inv_14_a_principal_has_so_many_streams_and_gives_them_back() {
        let streams = Streams::new(2);
        let count = streams.count();
        let session = SessionId::new();
        let enter = |who: &str| streams.enter(who, session, Run::new(QueryId::new()));
        let (first, second) = (enter("a").unwrap(), enter("a").unwrap());
        assert_eq!(enter("a").unwrap_err().code(), Code::ConcurrencyLimit);
        let other = enter("b").unwrap();
        assert_eq!(*count.borrow(), 3);
        drop(first);
        enter("a").unwrap();
        drop((second, other));
        assert_eq!(*count.borrow(), 0);
        let inner = streams.shared.lock();
        assert!(inner.by_session.is_empty() && inner.by_principal.is_empty());
    }

    #[test]
    fn a_cancelled_statement_stays_cancelled_for_its_session_alone() {
        let streams = Streams::new(8);
        let (mine, yours, statement) = (SessionId::new(), SessionId::new(), QueryId::new());
        streams.cancel(mine, statement, later(), NOW).unwrap();
        let enter = |session| streams.enter("a", session, Run::new(statement)).map(drop);
        assert_eq!(enter(mine).unwrap_err().code(), Code::Cancelled);
        enter(yours).unwrap();
        streams.end_session(mine, &ended());
        assert_eq!(streams.cancelled(), 0);
    }

    #[test]
    fn inv_14_cancelled_statements_are_bounded_and_forgotten_with_their_tickets() {
        let streams = Streams::new(8);
        let session = SessionId::new();
        let cancel = |expires, now| streams.cancel(session, QueryId::new(), expires, now);
        for _ in 0..CANCELLED_PER_SESSION_MAX {
            cancel(later(), NOW).unwrap();
        }
        let refusal = cancel(later(), NOW).unwrap_err();
        assert_eq!(refusal.code(), Code::ConcurrencyLimit);
        // another session has room
        streams
            .cancel(SessionId::new(), QueryId::new(), later(), NOW)
            .unwrap();
        cancel(later() + TimeDelta::hours(1), later()).unwrap();
        assert_eq!(streams.cancelled(), 1);
    }
}
