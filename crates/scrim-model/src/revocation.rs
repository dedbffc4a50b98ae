//! Access that its owner took back, beside what the policies say.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Principal, SessionId};

/// The longest life of a session.
pub const SESSION_MAX: TimeDelta = TimeDelta::days(30);

/// What a revocation takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationScope {
    /// All access of one account.
    Principal,
    /// All access of an organisation's accounts.
    Organisation,
    /// What one agreement grants.
    Agreement,
    /// One session.
    Session,
}

impl RevocationScope {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Organisation => "organisation",
            Self::Agreement => "agreement",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for RevocationScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Access that was taken back at once, until it is given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// What it takes away.
    pub scope: RevocationScope,
    /// The id of the account, organisation, agreement or session.
    pub id: String,
    /// Why, for the ledger; never shown to a client.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// All revocations together: what the ledger's entries about them add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    in_force: BTreeMap<(RevocationScope, String), Revocation>,
    /// When what was revoked was given again: who had a session by then signs in anew.
    lifted: BTreeMap<(RevocationScope, String), DateTime<Utc>>,
}

impl Revocations {
    /// Takes access away. What was taken before stays as it is, with its first reason.
    pub fn revoke(&mut self, revocation: Revocation) {
        let key = (revocation.scope, revocation.id.clone());
        self.in_force.entry(key).or_insert(revocation);
    }

    /// Gives access again; the revocation that ends by it, if there was one.
    pub fn reinstate(
        &mut self,
        scope: RevocationScope,
        id: &str,
        at: DateTime<Utc>,
    ) -> Option<Revocation> {
        let key = (scope, id.to_owned());
        let ended = self.in_force.remove(&key)?;
        self.lifted.insert(key, at);
        Some(ended)
    }

    /// Forgets what was about sessions that have ended by themselves.
    pub fn forget(&mut self, now: DateTime<Utc>) {
        let is_recent = |at: DateTime<Utc>| now.signed_duration_since(at) < SESSION_MAX;
        self.lifted.retain(|_, at| is_recent(*at));
        self.in_force
            .retain(|(scope, _), one| *scope != RevocationScope::Session || is_recent(one.at));
    }

    /// Those in force, by scope and id.
    pub fn in_force(&self) -> impl Iterator<Item = &Revocation> {
        self.in_force.values()
    }

    /// The revocation of this one thing.
    pub fn get(&self, scope: RevocationScope, id: &str) -> Option<&Revocation> {
        self.in_force.get(&(scope, id.to_owned()))
    }

    /// The revocation of an account's access, or of its organisation's.
    pub fn of_principal(&self, principal: &Principal) -> Option<&Revocation> {
        if self.in_force.is_empty() {
            return None;
        }
        scopes_of(principal)
            .into_iter()
            .find_map(|(scope, id)| self.get(scope, id))
    }

    /// The revocation of a session.
    pub fn of_session(&self, id: SessionId) -> Option<&Revocation> {
        if self.in_force.is_empty() {
            return None;
        }
        self.get(RevocationScope::Session, &id.to_string())
    }

    /// Whether a session that began then was open while its principal's access was revoked.
    pub fn outlived(&self, principal: &Principal, began: DateTime<Utc>) -> bool {
        !self.lifted.is_empty()
            && scopes_of(principal).into_iter().any(|(scope, id)| {
                let lifted = self.lifted.get(&(scope, id.to_owned()));
                lifted.is_some_and(|at| began <= *at)
            })
    }

    /// The agreements that are revoked, with the times since when.
    pub fn agreements(&self) -> BTreeMap<String, DateTime<Utc>> {
        self.in_force()
            .filter(|one| one.scope == RevocationScope::Agreement)
            .map(|one| (one.id.clone(), one.at))
            .collect()
    }
}

fn scopes_of(principal: &Principal) -> [(RevocationScope, &str); 2] {
    [
        (RevocationScope::Principal, &principal.id),
        (RevocationScope::Organisation, &principal.org),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrincipalKind;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    fn revocation(scope: RevocationScope, id: &str, day: i64) -> Revocation {
        Revocation {
            scope,
            id: id.to_owned(),
            reason: format!("since day {day}"),
            by: "the owner".to_owned(),
            at: at(day),
        }
    }

    fn ivan() -> Principal {
        Principal {
            id: "ivan".to_owned(),
            org: "harbor".to_owned(),
            groups: Vec::new(),
            roles: Vec::new(),
            kind: PrincipalKind::Human,
            acr: None,
            authenticated_at: None,
            on_behalf_of: None,
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn a_principal_is_revoked_by_its_id_or_its_organisation_and_by_nothing_else() {
        let mut all = Revocations::default();
        all.revoke(revocation(RevocationScope::Agreement, "ivan", 1));
        all.revoke(revocation(RevocationScope::Principal, "harbor", 1));
        all.revoke(revocation(RevocationScope::Organisation, "ivan", 1));
        assert_eq!(all.of_principal(&ivan()), None);
        for (scope, id) in [
            (RevocationScope::Principal, "ivan"),
            (RevocationScope::Organisation, "harbor"),
        ] {
            let one = revocation(scope, id, 2);
            all.revoke(one.clone());
            assert_eq!(all.of_principal(&ivan()), Some(&one));
            assert_eq!(all.reinstate(scope, id, at(3)), Some(one));
            assert_eq!(all.of_principal(&ivan()), None);
            assert_eq!(all.reinstate(scope, id, at(3)), None);
        }
        assert_eq!(all.agreements(), [("ivan".to_owned(), at(1))].into());
    }

    #[test]
    fn the_first_reason_stays() {
        let mut all = Revocations::default();
        all.revoke(revocation(RevocationScope::Principal, "ivan", 1));
        all.revoke(revocation(RevocationScope::Principal, "ivan", 2));
        let reasons: Vec<_> = all.in_force().map(|one| one.reason.as_str()).collect();
        assert_eq!(reasons, ["since day 1"]);
    }

    #[test]
    fn sessions_of_before_do_not_come_back_with_their_principal() {
        let mut all = Revocations::default();
        all.revoke(revocation(RevocationScope::Organisation, "harbor", 1));
        all.reinstate(RevocationScope::Organisation, "harbor", at(2));
        assert!(all.outlived(&ivan(), at(2)));
        assert!(!all.outlived(&ivan(), at(3)));
        all.forget(at(31));
        assert!(all.outlived(&ivan(), at(2)));
        all.forget(at(32));
        assert!(!all.outlived(&ivan(), at(2)));
    }

    #[test]
    fn a_revoked_session_is_forgotten_when_none_can_be_left_and_others_never() {
        let (mut all, session) = (Revocations::default(), SessionId::new());
        let id = session.to_string();
        all.revoke(revocation(RevocationScope::Session, &id, 1));
        all.revoke(revocation(RevocationScope::Principal, "ivan", 1));
        all.forget(at(30));
        assert!(all.of_session(session).is_some());
        all.forget(at(31));
        assert!(all.of_session(session).is_none());
        assert!(all.of_principal(&ivan()).is_some());
    }
}
