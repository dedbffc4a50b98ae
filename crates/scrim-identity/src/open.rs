//! The sessions that are open.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use scrim_model::{SESSION_MAX, SessionId};
use serde::{Deserialize, Serialize};

/// How long sessions last, and how many one account may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRules {
    /// How long a token is good for; whoever asks in its last quarter gets a fresh one.
    pub ttl: Duration,
    /// How long a session lasts at most, however often its token is renewed. No shorter than
    /// `ttl`, no longer than 30 days.
    pub max: Duration,
    /// How many sessions one account may have; one more closes the one that was idle longest.
    pub per_account: usize,
}

impl SessionRules {
    /// The times of a session that begins now; `limit` ends it earlier.
    pub(crate) fn span(&self, now: DateTime<Utc>, limit: Option<DateTime<Utc>>) -> Span {
        let max = bounded(self.max.max(self.ttl));
        let ends = limit.map_or(now + max, |limit| limit.min(now + max));
        self.renewed(now, ends, now)
    }

    /// The times of a session whose token is made anew.
    pub(crate) fn renewed(
        &self,
        issued: DateTime<Utc>,
        ends: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Span {
        let expires = ends
            .min(issued + bounded(self.max.max(self.ttl)))
            .min(now + bounded(self.ttl));
        Span {
            issued,
            renew_from: expires - (expires - now) / 4,
            expires,
            ends,
        }
    }
}

impl SessionRules {
    /// The times of a session that began under other rules: its token lives no longer than these give.
    pub(crate) fn held(&self, span: Span) -> Span {
        let made = span.expires - (span.expires - span.renew_from) * 4;
        let held = self.renewed(span.issued, span.ends, made);
        if held.expires < span.expires {
            held
        } else {
            span
        }
    }
}

fn bounded(duration: Duration) -> TimeDelta {
    let bounded = TimeDelta::from_std(duration).unwrap_or(SESSION_MAX);
    bounded.min(SESSION_MAX)
}

/// The times of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// When it began.
    pub(crate) issued: DateTime<Utc>,
    /// From when on its token is to be renewed.
    pub(crate) renew_from: DateTime<Utc>,
    /// When its token ends.
    pub(crate) expires: DateTime<Utc>,
    /// When it ends, however often its token is renewed.
    pub(crate) ends: DateTime<Utc>,
}

/// A connection that opened a session by its certificate: the certificate and the other end.
pub(crate) type Connection = ([u8; 32], SocketAddr);

/// One open session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    /// Its times, as of its newest token.
    pub(crate) span: Span,
    /// Whether it began here and not before a restart or on another server with the same keys.
    pub(crate) is_ours: bool,
    /// The connection that it belongs to, if it is one that is not shown by a token.
    connection: Option<Connection>,
    /// Its place in the order of use.
    used: u64,
}

/// The open sessions of each account: as many as the rules allow.
///
/// It is the whole truth about sessions that began here: what is not in it is closed. That needs no
/// memory of the closed ones, of which there can be any number. A session from elsewhere is taken
/// in when its token is seen, if there is room.
#[derive(Debug)]
pub(crate) struct OpenSessions {
    per_account: usize,
    accounts: BTreeMap<String, BTreeMap<SessionId, Open>>,
    uses: u64,
}

impl OpenSessions {
    pub(crate) fn new(per_account: usize) -> Self {
        Self {
            per_account: per_account.max(1),
            accounts: BTreeMap::new(),
            uses: 0,
        }
    }

    /// Adds a session that began here; gives the one that had to go for it.
    pub(crate) fn add(
        &mut self,
        account: &str,
        id: SessionId,
        span: Span,
        now: DateTime<Utc>,
    ) -> Option<(SessionId, Open)> {
        let used = self.tick();
        let sessions = self.accounts.entry(account.to_owned()).or_default();
        sessions.retain(|_, open| open.span.expires > now);
        let dropped = if sessions.len() < self.per_account {
            None
        } else {
            let idle = sessions.iter().min_by_key(|(_, open)| open.used);
            idle.map(|(id, open)| (*id, *open))
        };
        if let Some((id, _)) = &dropped {
            sessions.remove(id);
        }
        let open = Open {
            span,
            is_ours: true,
            connection: None,
            used,
        };
        sessions.insert(id, open);
        dropped
    }

    /// Notes that a session is in use; whether it is known.
    pub(crate) fn touch(&mut self, account: &str, id: SessionId) -> bool {
        let used = self.tick();
        let open = self.get_mut(account, id);
        let is_known = open.is_some();
        if let Some(open) = open {
            open.used = used;
        }
        is_known
    }

    /// Takes in a session from elsewhere, if there is room.
    pub(crate) fn adopt(&mut self, account: &str, id: SessionId, span: Span, now: DateTime<Utc>) {
        let used = self.tick();
        let per_account = self.per_account;
        let sessions = self.accounts.entry(account.to_owned()).or_default();
        if sessions.len() >= per_account {
            sessions.retain(|_, open| open.span.expires > now);
        }
        if sessions.len() < per_account {
            let open = Open {
                span,
                is_ours: false,
                connection: None,
                used,
            };
            sessions.insert(id, open);
        }
    }

    /// A session, if it is open and there is room for what must be known of it.
    pub(crate) fn get(&self, account: &str, id: SessionId) -> Option<&Open> {
        self.accounts.get(account)?.get(&id)
    }

    /// Takes a session out.
    pub(crate) fn remove(&mut self, account: &str, id: SessionId) -> Option<Open> {
        self.accounts.get_mut(account)?.remove(&id)
    }

    /// Takes out the sessions of accounts that are chosen.
    pub(crate) fn remove_of(
        &mut self,
        is_chosen: impl Fn(&str) -> bool,
    ) -> Vec<(String, SessionId, Open)> {
        let mut removed = Vec::new();
        self.accounts.retain(|account, sessions| {
            let is_chosen = is_chosen(account);
            if is_chosen {
                let sessions = std::mem::take(sessions).into_iter();
                removed.extend(sessions.map(|(id, open)| (account.clone(), id, open)));
            }
            !is_chosen
        });
        removed
    }

    /// Takes out a session of whatever account.
    pub(crate) fn remove_any(&mut self, id: SessionId) -> Option<(String, Open)> {
        let mut accounts = self.accounts.iter_mut();
        accounts.find_map(|(account, sessions)| {
            let open = sessions.remove(&id)?;
            Some((account.clone(), open))
        })
    }

    /// Notes a session's newest times.
    pub(crate) fn renew(&mut self, account: &str, id: SessionId, span: Span) {
        if let Some(open) = self.get_mut(account, id)
            && open.span.expires < span.expires
        {
            open.span = span;
        }
    }

    /// Makes a session that of a connection.
    pub(crate) fn attach(&mut self, account: &str, id: SessionId, connection: Connection) {
        if let Some(open) = self.get_mut(account, id) {
            open.connection = Some(connection);
        }
    }

    /// The session of a connection.
    pub(crate) fn of_connection(
        &self,
        account: &str,
        connection: &Connection,
        now: DateTime<Utc>,
    ) -> Option<(SessionId, Span)> {
        let sessions = self.accounts.get(account)?;
        let found = sessions.iter().find(|(_, open)| {
            open.connection.as_ref() == Some(connection) && open.span.expires > now
        });
        found.map(|(id, open)| (*id, open.span))
    }

    fn get_mut(&mut self, account: &str, id: SessionId) -> Option<&mut Open> {
        self.accounts.get_mut(account)?.get_mut(&id)
    }

    fn tick(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.accounts.values().map(BTreeMap::len).sum()
    }

    /// How many have not ended.
    pub(crate) fn count_at(&self, now: DateTime<Utc>) -> usize {
        let all = self.accounts.values().flat_map(BTreeMap::values);
        all.filter(|open| open.span.expires > now).count()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use scrim_model::SessionId;

    use super::{Duration, OpenSessions, SessionRules, Span};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn rules(ttl: u64, max: u64) -> SessionRules {
        SessionRules {
            ttl: Duration::from_secs(ttl),
            max: Duration::from_secs(max),
            per_account: 3,
        }
    }

    fn check(span: Span, expected: [i64; 4]) {
        let Span {
            issued,
            renew_from,
            expires,
            ends,
        } = span;
        assert_eq!([issued, renew_from, expires, ends], expected.map(at));
    }

    #[test]
    fn a_token_is_renewed_in_its_last_quarter_until_the_session_ends() {
        check(rules(100, 250).span(at(0), None), [0, 75, 100, 250]);
        let rules = rules(100, 250);
        check(rules.renewed(at(0), at(250), at(80)), [0, 155, 180, 250]);
        check(rules.renewed(at(0), at(250), at(170)), [0, 230, 250, 250]);
        check(rules.span(at(0), Some(at(40))), [0, 30, 40, 40]);
        check(rules.span(at(0), Some(at(9999))), [0, 75, 100, 250]);
    }

    #[test]
    fn inv_14_no_session_is_longer_than_thirty_days() {
        let endless = SessionRules {
            ttl: Duration::MAX,
            max: Duration::ZERO,
            per_account: 0,
        };
        let span = endless.span(at(0), None);
        assert_eq!(
            (span.expires, span.ends),
            (at(30 * 86_400), at(30 * 86_400))
        );
    }

    #[test]
    fn inv_14_one_session_too_many_closes_the_one_that_was_idle_longest() {
        let mut open = OpenSessions::new(3);
        let span = rules(100, 100).span(at(0), None);
        let ids: Vec<_> = (0..3).map(|_| SessionId::new()).collect();
        for id in &ids {
            assert!(open.add("alice", *id, span, at(0)).is_none());
        }
        assert!(open.touch("alice", ids[0]));
        assert!(open.add("bob", SessionId::new(), span, at(0)).is_none());
        let (dropped, _) = open.add("alice", SessionId::new(), span, at(1)).unwrap();
        assert_eq!(dropped, ids[1]);
        assert!(open.get("alice", ids[1]).is_none());
        assert!(!open.touch("alice", ids[1]));
        assert_eq!(open.count(), 4);
        // what ended by itself makes room
        let later = rules(100, 100).span(at(100), None);
        assert!(
            open.add("alice", SessionId::new(), later, at(100))
                .is_none()
        );
        assert_eq!(open.count(), 2);
    }

    #[test]
    fn inv_14_sessions_from_elsewhere_drive_nobody_out() {
        let mut open = OpenSessions::new(2);
        let span = rules(100, 100).span(at(0), None);
        let own = SessionId::new();
        open.add("alice", own, span, at(0));
        for _ in 0..10 {
            open.adopt("alice", SessionId::new(), span, at(0));
        }
        assert!(open.get("alice", own).is_some());
        assert_eq!(open.count(), 2);
    }

    #[test]
    fn a_connection_finds_its_session() {
        let mut open = OpenSessions::new(2);
        let span = rules(100, 100).span(at(0), None);
        let id = SessionId::new();
        let here = ([1; 32], "127.0.0.1:1".parse().unwrap());
        open.add("alice", id, span, at(0));
        assert_eq!(open.of_connection("alice", &here, at(0)), None);
        open.attach("alice", id, here);
        assert_eq!(open.of_connection("alice", &here, at(0)), Some((id, span)));
        let another_port = ([1; 32], "127.0.0.1:2".parse().unwrap());
        let another_certificate = ([2; 32], "127.0.0.1:1".parse().unwrap());
        for other in [another_port, another_certificate] {
            assert_eq!(open.of_connection("alice", &other, at(0)), None);
        }
        assert_eq!(open.of_connection("bob", &here, at(0)), None);
        assert_eq!(open.of_connection("alice", &here, at(100)), None);
        open.remove("alice", id);
        assert_eq!(open.of_connection("alice", &here, at(0)), None);
    }
}
