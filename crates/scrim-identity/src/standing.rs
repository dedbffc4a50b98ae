//! Whether a session still stands: accounts change, and access is taken back.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use scrim_model::{Principal, Revocation, RevocationScope, Revocations, SessionId};

use crate::{Accounts, Authenticator, Session, TokenRefusal, authenticator::session, open::Open};

/// A session that was ended because of what became of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The account's id.
    pub account: String,
    /// The session.
    pub session: SessionId,
    /// When it would have ended at the latest.
    pub ends: DateTime<Utc>,
}

impl Authenticator {
    /// With what is revoked already.
    #[must_use]
    pub fn with_revocations(self, revocations: Revocations) -> Self {
        self.change_revocations(|held| *held = revocations);
        self
    }

    /// A session as it stands now, with what is known of its account now, if it stands.
    pub fn current(&self, old: &Session, now: DateTime<Utc>) -> Result<Session, TokenRefusal> {
        let now = self.at_least_started(now);
        let account = &old.principal.get().id;
        let accounts = self.accounts();
        let known = accounts.mark(account).filter(|(_, mark)| *mark == old.mark);
        let (principal, mark) = known.ok_or(TokenRefusal::Invalid)?;
        self.check_revoked(principal, old.id, old.issued)?;
        let sessions = self.sessions();
        let span = match sessions.open.get(account, old.id) {
            Some(open) => open.span,
            None if old.is_ours || sessions.closed.contains(old.id, old.ends) => {
                return Err(TokenRefusal::Closed);
            }
            None => old.span(),
        };
        if span.expires <= now {
            return Err(TokenRefusal::Expired);
        }
        Ok(Session {
            is_ours: old.is_ours,
            ..session(principal, mark, old.id, span, old.certificate)
        })
    }

    /// Has other accounts hold from now on. Sessions of accounts that are gone or have another
    /// password end; the others have what their accounts say now.
    pub fn replace_accounts(&self, accounts: Accounts, now: DateTime<Utc>) -> Vec<Ended> {
        let before = self.accounts();
        let mark = |accounts: &Accounts, id: &str| accounts.mark(id).map(|(_, mark)| mark);
        let changed: BTreeSet<&str> = before
            .ids()
            .filter(|id| mark(&before, id) != mark(&accounts, id))
            .collect();
        self.put_accounts(accounts);
        self.end_sessions_of(|account| changed.contains(account), now)
    }

    /// Takes access away; the sessions that end by it.
    pub fn revoke(&self, revocation: Revocation, now: DateTime<Utc>) -> Vec<Ended> {
        let (scope, id) = (revocation.scope, revocation.id.clone());
        self.change_revocations(|held| {
            held.forget(now);
            held.revoke(revocation);
        });
        match scope {
            RevocationScope::Principal => self.end_sessions_of(|account| account == id, now),
            RevocationScope::Organisation => {
                let accounts = self.accounts();
                let org = |account: &str| accounts.get(account).map(|one| one.org.as_str());
                self.end_sessions_of(|account| org(account) == Some(&id), now)
            }
            RevocationScope::Session => {
                let Ok(session) = id.parse::<SessionId>() else {
                    return Vec::new();
                };
                let removed = self.sessions().open.remove_any(session);
                let ended = removed.map(|(account, open)| (account, session, open));
                self.closed(ended.into_iter().collect(), now)
            }
            RevocationScope::Agreement => Vec::new(),
        }
    }

    /// Gives access again; what ends by it, if anything was revoked.
    pub fn reinstate(
        &self,
        scope: RevocationScope,
        id: &str,
        now: DateTime<Utc>,
    ) -> Option<Revocation> {
        self.change_revocations(|held| held.reinstate(scope, id, now))
    }

    pub(crate) fn check_revoked(
        &self,
        principal: &Principal,
        session: SessionId,
        began: DateTime<Utc>,
    ) -> Result<(), TokenRefusal> {
        let revocations = self.revocations();
        if revocations.of_principal(principal).is_some() {
            return Err(TokenRefusal::Revoked);
        }
        if revocations.of_session(session).is_some() {
            return Err(TokenRefusal::SessionRevoked);
        }
        if revocations.outlived(principal, began) {
            return Err(TokenRefusal::Closed);
        }
        Ok(())
    }

    fn end_sessions_of(&self, is_chosen: impl Fn(&str) -> bool, now: DateTime<Utc>) -> Vec<Ended> {
        let removed = self.sessions().open.remove_of(is_chosen);
        self.closed(removed, now)
    }

    fn closed(&self, removed: Vec<(String, SessionId, Open)>, now: DateTime<Utc>) -> Vec<Ended> {
        let mut sessions = self.sessions();
        let mut ended = Vec::with_capacity(removed.len());
        for (account, session, open) in removed {
            let ends = open.span.ends;
            if !open.is_ours {
                sessions.closed.close(session, ends, now);
            }
            ended.push(Ended {
                account,
                session,
                ends,
            });
        }
        ended
    }
}
