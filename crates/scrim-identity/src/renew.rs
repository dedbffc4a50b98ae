//! Staying signed in beyond one token's life.

use chrono::{DateTime, Utc};
use scrim_model::Secret;

use crate::{Authenticator, IdentityError, Session, authenticator::session};

/// A token that follows another one of the same session.
#[derive(Debug)]
pub struct Renewal {
    /// The session with its new times.
    pub session: Session,
    /// The token.
    pub token: Secret<String>,
    /// Whether this is the first one: it may be handed out only after
    /// [`Authenticator::renewed`].
    pub is_new: bool,
}

impl Authenticator {
    /// A fresh token, when the one that showed this session is in the last quarter of its life, the
    /// session is open, and its end has not come.
    ///
    /// Asked again with the same old token, it makes one that ends when the first one does, so that
    /// each token is followed by one only.
    pub fn renewal(
        &self,
        old: &Session,
        now: DateTime<Utc>,
    ) -> Result<Option<Renewal>, IdentityError> {
        let now = self.at_least_started(now);
        let is_due = old.renew_from <= now && now < old.expires && old.expires < old.ends;
        if !is_due {
            return Ok(None);
        }
        let account = &old.principal.get().id;
        let accounts = self.accounts();
        // With another password since, the session is over.
        let known = accounts.mark(account).filter(|(_, mark)| *mark == old.mark);
        let Some((principal, mark)) = known else {
            return Ok(None);
        };
        let Some(known) = self.sessions().open.get(account, old.id).map(|o| o.span) else {
            return Ok(None);
        };
        let is_new = known.expires <= old.expires;
        let span = if is_new {
            self.rules.renewed(old.issued, old.ends, now)
        } else {
            known
        };
        let session = session(principal, mark, old.id, span, old.certificate);
        Ok(Some(Renewal {
            token: self.token(&session)?,
            session,
            is_new,
        }))
    }

    /// From now on the session lasts as long as this renewal says.
    pub fn renewed(&self, session: &Session) {
        let account = &session.principal.get().id;
        let mut sessions = self.sessions();
        sessions.open.renew(account, session.id, session.span());
    }

    /// When the newest token of a session ends; nothing when the session is closed.
    pub fn expiry(&self, session: &Session) -> Option<DateTime<Utc>> {
        let account = &session.principal.get().id;
        let sessions = self.sessions();
        let open = sessions.open.get(account, session.id);
        open.map(|open| open.span.expires)
    }
}
