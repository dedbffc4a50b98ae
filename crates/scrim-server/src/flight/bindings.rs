//! Parameters bound to prepared statements, for clients that keep using the first handle.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use scrim_model::{Code, Refusal, SessionId};

/// Bindings of one session.
const PER_SESSION_MAX: usize = 256;
/// Bytes of all bindings together.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bindings of all sessions together.
const BINDINGS_MAX: usize = 16_384;

type Nonce = [u8; 16];

/// Bindings by session and handle: equal SQL never shares one, so nobody sees another's values.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    map: BTreeMap<(SessionId, Nonce), (Bytes, DateTime<Utc>)>,
    bytes: usize,
}

impl Inner {
    fn remove(&mut self, key: (SessionId, Nonce)) {
        if let Some((params, _)) = self.map.remove(&key) {
            self.bytes -= params.len();
        }
    }

    fn of_session(&self, session: SessionId) -> impl Iterator<Item = (SessionId, Nonce)> + '_ {
        self.map
            .range((session, [0; 16])..=(session, [u8::MAX; 16]))
            .map(|(key, _)| *key)
    }

    fn forget_expired(&mut self, now: DateTime<Utc>) {
        self.map.retain(|_, (_, expires)| *expires > now);
        self.bytes = self.map.values().map(|(params, _)| params.len()).sum();
    }
}

impl Bindings {
    /// The values bound to a handle.
    pub(crate) fn get(&self, session: SessionId, nonce: Nonce) -> Option<Bytes> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .map
            .get(&(session, nonce))
            .map(|(params, _)| params.clone())
    }

    /// Binds values to a handle until its session ends, or takes them off.
    pub(crate) fn set(
        &self,
        (session, nonce): (SessionId, Nonce),
        params: Option<Bytes>,
        expires: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.remove((session, nonce));
        let Some(params) = params else { return Ok(()) };
        let full = |inner: &Inner| {
            inner.map.len() >= BINDINGS_MAX || inner.bytes + params.len() > BYTES_MAX
        };
        if full(&inner) {
            inner.forget_expired(now);
        }
        if full(&inner) || inner.of_session(session).count() >= PER_SESSION_MAX {
            return Err(Refusal::new(
                Code::ConcurrencyLimit,
                "too many prepared statements have parameters bound; close some",
            ));
        }
        inner.bytes += params.len();
        inner.map.insert((session, nonce), (params, expires));
        Ok(())
    }

    /// How many handles have values bound.
    pub(crate) fn count(&self) -> usize {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.map.len()
    }

    /// Forgets a handle.
    pub(crate) fn close(&self, session: SessionId, nonce: Nonce) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove((session, nonce));
    }

    /// Forgets a session.
    pub(crate) fn close_session(&self, session: SessionId) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<_> = inner.of_session(session).collect();
        for key in keys {
            inner.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn later() -> DateTime<Utc> {
        NOW + chrono::TimeDelta::seconds(1)
    }

    #[test]
    fn bindings_belong_to_one_session_and_one_handle() {
        let bindings = Bindings::default();
        let (a, b) = (SessionId::new(), SessionId::new());
        let params = Some(Bytes::from_static(b"seven"));
        bindings
            .set((a, [1; 16]), params.clone(), later(), NOW)
            .unwrap();
        assert_eq!(bindings.get(a, [1; 16]), params);
        assert_eq!(bindings.get(a, [2; 16]), None);
        assert_eq!(bindings.get(b, [1; 16]), None);
        bindings.set((a, [1; 16]), None, later(), NOW).unwrap();
        assert_eq!(bindings.get(a, [1; 16]), None);
    }

    #[test]
    fn inv_14_bindings_are_bounded_and_return_to_nothing() {
        let bindings = Bindings::default();
        let session = SessionId::new();
        let nonce = |i: usize| (i as u128).to_be_bytes();
        for i in 0..PER_SESSION_MAX {
            bindings
                .set(
                    (session, nonce(i)),
                    Some(Bytes::from_static(b"x")),
                    later(),
                    NOW,
                )
                .unwrap();
        }
        let one_more = (session, nonce(PER_SESSION_MAX));
        assert!(
            bindings
                .set(one_more, Some(Bytes::new()), later(), NOW)
                .is_err()
        );
        bindings.close(session, nonce(0));
        bindings
            .set(one_more, Some(Bytes::new()), later(), NOW)
            .unwrap();
        bindings.close_session(session);
        let inner = bindings.inner.lock().unwrap();
        assert_eq!((inner.map.len(), inner.bytes), (0, 0));
    }

    #[test]
    fn expired_bindings_make_room() {
        let bindings = Bindings::default();
        let large = Bytes::from(vec![0; BYTES_MAX / 2 + 1]);
        bindings
            .set(
                (SessionId::new(), [0; 16]),
                Some(large.clone()),
                later(),
                NOW,
            )
            .unwrap();
        let other = (SessionId::new(), [0; 16]);
        assert!(
            bindings
                .set(other, Some(large.clone()), later(), NOW)
                .is_err()
        );
        bindings.set(other, Some(large), later(), later()).unwrap();
    }
}
