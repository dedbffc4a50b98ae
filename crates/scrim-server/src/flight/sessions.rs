//! What clients set for their sessions, remembered while the sessions live.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use scrim_model::{Code, Refusal, SessionId};

use super::settings::Settings;

/// Sessions whose settings are remembered at once.
const SESSIONS_MAX: usize = 10_000;

/// The settings of live sessions: bounded, and forgotten when the session ends.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    map: Mutex<BTreeMap<SessionId, (Settings, DateTime<Utc>)>>,
}

impl Sessions {
    /// What a session set; nothing if it set nothing.
    pub(crate) fn get(&self, id: SessionId) -> Settings {
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(&id)
            .map(|(settings, _)| settings.clone())
            .unwrap_or_default()
    }

    /// Remembers what a session set until it ends.
    pub(crate) fn set(
        &self,
        id: SessionId,
        settings: Settings,
        expires: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if settings == Settings::default() {
            map.remove(&id);
            return Ok(());
        }
        if map.len() >= SESSIONS_MAX && !map.contains_key(&id) {
            map.retain(|_, (_, expires)| *expires > now);
            if map.len() >= SESSIONS_MAX {
                return Err(Refusal::new(
                    Code::ConcurrencyLimit,
                    "too many sessions have settings; state them as headers instead",
                ));
            }
        }
        map.insert(id, (settings, expires));
        Ok(())
    }

    /// Forgets a session.
    pub(crate) fn close(&self, id: SessionId) {
        self.map
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn inv_14_settings_are_bounded_and_forgotten() {
        let sessions = Sessions::default();
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let later = now + TimeDelta::seconds(10);
        let settings = Settings {
            schema: Some("s".into()),
            ..Settings::default()
        };
        for _ in 0..SESSIONS_MAX {
            sessions
                .set(SessionId::new(), settings.clone(), later, now)
                .unwrap();
        }
        let one = SessionId::new();
        assert!(sessions.set(one, settings.clone(), later, now).is_err());
        sessions.set(one, settings.clone(), later, later).unwrap();
        assert_eq!(sessions.map.lock().unwrap().len(), 1);
        sessions.close(one);
        assert_eq!(sessions.get(one), Settings::default());
    }
}
