//! Sessions that were closed before their time.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use scrim_model::SessionId;

/// How many closed sessions are remembered one by one.
const ENTRIES_MAX: usize = 200_000;

/// The closed sessions, until they would have ended by themselves.
///
/// When that time comes, or when there are too many, those that end first are forgotten one by one
/// and refused together: every session that ends no later than the last one forgotten counts as
/// closed. That may sign somebody out early; it never lets a closed session back in, not even when
/// the clock was wrong for a while and is set back.
#[derive(Debug)]
pub(crate) struct ClosedSessions {
    by_end: BTreeSet<(DateTime<Utc>, SessionId)>,
    ids: BTreeSet<SessionId>,
    all_until: DateTime<Utc>,
    entries_max: usize,
}

impl Default for ClosedSessions {
    fn default() -> Self {
        Self::with_room_for(ENTRIES_MAX)
    }
}

impl ClosedSessions {
    fn with_room_for(entries_max: usize) -> Self {
        let (by_end, ids) = (BTreeSet::new(), BTreeSet::new());
        Self {
            by_end,
            ids,
            all_until: DateTime::<Utc>::MIN_UTC,
            entries_max,
        }
    }

    /// Closes a session that ends by itself no later than `end`.
    pub(crate) fn close(&mut self, id: SessionId, end: DateTime<Utc>, now: DateTime<Utc>) {
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            self.forget_first();
        }
        if end > now && self.ids.insert(id) {
            self.by_end.insert((end, id));
        }
        if self.by_end.len() > self.entries_max {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((end, id)) = self.by_end.pop_first() {
            self.ids.remove(&id);
            self.all_until = self.all_until.max(end);
        }
    }

    /// Whether a session that ends at `end` was closed.
    pub(crate) fn contains(&self, id: SessionId, end: DateTime<Utc>) -> bool {
        end <= self.all_until || self.ids.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use scrim_model::SessionId;

    use super::ClosedSessions;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_closed_session_stays_closed_even_when_there_are_too_many() {
        let mut closed = ClosedSessions::with_room_for(10);
        let ids: Vec<_> = (0..30)
            .map(|end| (SessionId::new(), at(100 + end)))
            .collect();
        for (id, end) in &ids {
            closed.close(*id, *end, at(0));
        }
        assert!(closed.by_end.len() <= 10);
        assert!(ids.iter().all(|(id, end)| closed.contains(*id, *end)));
        assert!(!closed.contains(SessionId::new(), at(500)));
    }

    #[test]
    fn ended_sessions_are_forgotten_and_stay_closed_if_the_clock_was_wrong() {
        let mut closed = ClosedSessions::default();
        let (id, end) = (SessionId::new(), at(10));
        closed.close(id, end, at(0));
        closed.close(SessionId::new(), at(100), at(11));
        assert_eq!((closed.ids.len(), closed.by_end.len()), (1, 1));
        // It was not yet 11: the token would be good for as long as it takes.
        assert!(closed.contains(id, end));
        assert!(!closed.contains(SessionId::new(), at(11)));
    }
}
