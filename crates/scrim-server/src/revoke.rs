//! Taking access back, and giving it again: what may be asked for, and how it is done while no
//! server runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use scrim_document::nearest;
use scrim_identity::Accounts;
use scrim_ledger::{Event, Ledger, LedgerError};
use scrim_model::{Clock, Revocation, RevocationScope, Revocations, SessionId};
use scrim_policy::Documents;
use serde::{Deserialize, Serialize};

use crate::Config;
use crate::load;

/// Characters of a reason, and of who gives it.
const TEXT_CHARS_MAX: usize = 1_000;

/// A wish to take somebody's access back, or to give it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessChange {
    /// What kind of thing.
    pub scope: RevocationScope,
    /// Which.
    pub id: String,
    /// Why, for the ledger.
    pub reason: String,
    /// Who wishes it.
    pub by: String,
}

/// What came of revoking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// What holds now.
    pub revocation: Revocation,
    /// Whether it held before.
    pub already: bool,
    /// How many running results ended by it.
    pub streams: usize,
}

/// Why access is not taken back or not given again.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// There is nothing of that name.
    #[error("there is no {scope} `{id}`{}", did_you_mean(near.as_deref()))]
    Unknown {
        /// What was looked for.
        scope: RevocationScope,
        /// Under which name.
        id: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// Sessions have ids of a form.
    #[error("`{0}` is no id of a session: they stand in the records of `scrim ledger show --json`")]
    NoSession(String),
    /// It is not revoked, so it cannot be given again.
    #[error("the {scope} `{id}` is not revoked{}", did_you_mean(near.as_deref()))]
    NotRevoked {
        /// What was looked for.
        scope: RevocationScope,
        /// Under which name.
        id: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// A session does not come back.
    #[error("a session that was revoked stays closed: whoever had it signs in again")]
    SessionIsOver,
    /// The reason is missing, or no line of text.
    #[error("say why, in one line of at most {TEXT_CHARS_MAX} characters")]
    Reason,
    /// What is taken back is taken back, but not for longer than this server runs.
    #[error(
        "access is revoked, but the ledger did not take it, so it would come back with a restart"
    )]
    NotRecorded(#[source] LedgerError),
    /// The ledger cannot be written, so nothing has changed.
    #[error("nothing has changed")]
    Ledger(#[source] LedgerError),
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"))
}

/// What there is to revoke.
#[derive(Debug, Clone)]
pub struct Known {
    principals: BTreeSet<String>,
    organisations: BTreeSet<String>,
    /// Nothing when no policies can be read; then every agreement can be revoked.
    agreements: Option<BTreeSet<String>>,
}

impl Known {
    /// The accounts with their organisations, and the ids of agreements.
    pub fn new(accounts: &Accounts, agreements: Option<BTreeSet<String>>) -> Self {
        let organisation = |id: &str| accounts.get(id).map(|one| one.org.clone());
        Self {
            principals: accounts.ids().map(str::to_owned).collect(),
            organisations: accounts.ids().filter_map(organisation).collect(),
            agreements,
        }
    }

    fn of(&self, scope: RevocationScope) -> Option<&BTreeSet<String>> {
        match scope {
            RevocationScope::Principal => Some(&self.principals),
            RevocationScope::Organisation => Some(&self.organisations),
            RevocationScope::Agreement => self.agreements.as_ref(),
            RevocationScope::Session => None,
        }
    }
}

impl AccessChange {
    /// What holds already, if this does.
    ///
    /// # Errors
    /// When there is nothing of that name, which is a slip of the hand, or no reason.
    pub fn revoked_already(
        &self,
        known: &Known,
        held: &Revocations,
    ) -> Result<Option<Revoked>, RevokeError> {
        self.check_reason()?;
        let (scope, id) = (self.scope, self.id.clone());
        if scope == RevocationScope::Session && !self.is_session() {
            return Err(RevokeError::NoSession(id));
        }
        if let Some(revocation) = held.get(scope, &id).cloned() {
            return Ok(Some(Revoked {
                revocation,
                already: true,
                streams: 0,
            }));
        }
        match known.of(scope) {
            Some(ids) if !ids.contains(&id) => {
                let near = nearest(&id, ids.iter().map(String::as_str)).map(str::to_owned);
                Err(RevokeError::Unknown { scope, id, near })
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Checks that this can be given again.
    ///
    /// # Errors
    /// When it is not revoked, cannot be given again, or there is no reason.
    pub fn may_reinstate(&self, held: &Revocations) -> Result<(), RevokeError> {
        self.check_reason()?;
        if self.scope == RevocationScope::Session {
            return Err(RevokeError::SessionIsOver);
        }
        match held.get(self.scope, &self.id) {
            Some(_) => Ok(()),
            None => Err(RevokeError::not_revoked(self, held)),
        }
    }

    /// The revocation that this asks for.
    pub fn revocation(&self, at: DateTime<Utc>) -> Revocation {
        Revocation {
            scope: self.scope,
            id: self.id.clone(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            at,
        }
    }

    /// What the ledger is told when access is given again.
    pub fn reinstated(&self, at: DateTime<Utc>) -> Event {
        Event::Reinstated {
            scope: self.scope,
            id: self.id.clone(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            at,
        }
    }

    fn check_reason(&self) -> Result<(), RevokeError> {
        let is_line = |text: &str| {
            let is_short = text.chars().count() <= TEXT_CHARS_MAX;
            is_short && !text.trim().is_empty() && !text.contains(char::is_control)
        };
        if is_line(&self.reason) && is_line(&self.by) {
            Ok(())
        } else {
            Err(RevokeError::Reason)
        }
    }

    /// In the form in which sessions are compared.
    fn is_session(&self) -> bool {
        let session = self.id.parse::<SessionId>();
        session.is_ok_and(|session| session.to_string() == self.id)
    }
}

impl RevokeError {
    /// The error with its cause.
    pub fn told(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    /// Whether the wish was wrong, and not the ledger.
    pub fn is_mistake(&self) -> bool {
        match self {
            Self::Unknown { .. }
            | Self::NoSession(_)
            | Self::NotRevoked { .. }
            | Self::SessionIsOver
            | Self::Reason => true,
            Self::NotRecorded(_) | Self::Ledger(_) => false,
        }
    }

    pub(crate) fn not_revoked(change: &AccessChange, held: &Revocations) -> Self {
        let of_scope = held.in_force().filter(|one| one.scope == change.scope);
        let near = nearest(&change.id, of_scope.map(|one| one.id.as_str()));
        Self::NotRevoked {
            scope: change.scope,
            id: change.id.clone(),
            near: near.map(str::to_owned),
        }
    }
}

/// What is to be done while no server runs; it holds from the next start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offline {
    /// Take access back.
    Revoke,
    /// Give it again.
    Reinstate,
}

/// Appends a change of access to the ledger of a server that does not run; the revocation that
/// holds by it, or ends by it.
///
/// # Errors
/// As when it runs; and [`LedgerError::Locked`] when it does.
pub async fn change_offline(
    config: &Config,
    what: Offline,
    change: &AccessChange,
    clock: Arc<dyn Clock>,
) -> Result<Revocation, OfflineError> {
    let (ledger, recovery) = Ledger::open(&config.ledger, Arc::clone(&clock))
        .map_err(|error| OfflineError::Change(RevokeError::Ledger(error)))?;
    let changed = append(
        config,
        what,
        change,
        (&ledger, &recovery.revocations),
        clock.now(),
    )
    .await;
    let ended = ledger.shutdown().await;
    let changed = changed?;
    ended.map_err(|error| OfflineError::Change(RevokeError::Ledger(error)))?;
    Ok(changed)
}

/// Why access was not changed while no server runs.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The accounts cannot be read.
    #[error("{0}")]
    Problems(scrim_document::Problems),
    /// The change itself.
    #[error(transparent)]
    Change(#[from] RevokeError),
}

async fn append(
    config: &Config,
    what: Offline,
    change: &AccessChange,
    (ledger, held): (&Ledger, &Revocations),
    now: DateTime<Utc>,
) -> Result<Revocation, OfflineError> {
    let (event, revocation) = match what {
        Offline::Revoke => {
            if let Some(already) = change.revoked_already(&known(config)?, held)? {
                return Ok(already.revocation);
            }
            let revocation = change.revocation(now);
            (Event::Revoked(revocation.clone()), revocation)
        }
        Offline::Reinstate => {
            change.may_reinstate(held)?;
            let ended = held.get(change.scope, &change.id).cloned();
            let ended = ended.ok_or_else(|| RevokeError::not_revoked(change, held))?;
            (change.reinstated(now), ended)
        }
    };
    ledger.event(event).await.map_err(RevokeError::Ledger)?;
    Ok(revocation)
}

/// What the configured files name. Policies that cannot be read must not keep access open.
fn known(config: &Config) -> Result<Known, OfflineError> {
    let identity = &config.identity;
    let accounts = load::accounts(&identity.accounts, &identity.attributes);
    let accounts = accounts.map_err(OfflineError::Problems)?;
    let files = load::policy_files(&config.policies).ok();
    let documents = files.and_then(|files| Documents::parse(files).ok());
    let agreements =
        documents.map(|documents| documents.agreements().map(|one| one.id.clone()).collect());
    Ok(Known::new(&accounts, agreements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(scope: RevocationScope, id: &str, reason: &str) -> AccessChange {
        AccessChange {
            scope,
            id: id.to_owned(),
            reason: reason.to_owned(),
            by: "owner".to_owned(),
        }
    }

    fn known() -> Known {
        let set = |ids: [&str; 2]| ids.map(str::to_owned).into();
        Known {
            principals: set(["ivan", "nora"]),
            organisations: set(["harbor", "northgate"]),
            agreements: Some(set(["harbor-claims", "harbor-visits"])),
        }
    }

    fn refused(change: &AccessChange) -> String {
        let refused = change.revoked_already(&known(), &Revocations::default());
        refused.unwrap_err().to_string()
    }

    #[test]
    fn a_slip_of_the_hand_is_told_with_what_was_meant() {
        let session = SessionId::new().to_string();
        for (scope, id) in [
            (RevocationScope::Principal, "ivan"),
            (RevocationScope::Organisation, "harbor"),
            (RevocationScope::Agreement, "harbor-visits"),
            (RevocationScope::Session, &session),
        ] {
            let none = Revocations::default();
            let wish = change(scope, id, "why");
            assert_eq!(wish.revoked_already(&known(), &none).unwrap(), None);
            assert!(wish.may_reinstate(&none).is_err());
        }
        for (scope, id, said) in [
            (RevocationScope::Principal, "ivn", "did you mean `ivan`?"),
            (
                RevocationScope::Principal,
                "harbor",
                "there is no principal `harbor`",
            ),
            (
                RevocationScope::Organisation,
                "habor",
                "did you mean `harbor`?",
            ),
            (
                RevocationScope::Agreement,
                "harbor-visit",
                "did you mean `harbor-visits`?",
            ),
            (RevocationScope::Session, "ivan", "is no id of a session"),
            (
                RevocationScope::Session,
                &session.to_uppercase(),
                "is no id of a session",
            ),
        ] {
            let told = refused(&change(scope, id, "why"));
            assert!(told.contains(said), "{told}");
        }
    }

    #[test]
    fn there_is_no_change_without_a_reason() {
        let long = "x".repeat(TEXT_CHARS_MAX + 1);
        for reason in ["", "  ", "two\nlines", &long] {
            let told = refused(&change(RevocationScope::Principal, "ivan", reason));
            assert!(told.contains("say why"), "{told}");
        }
    }

    #[test]
    fn only_what_is_revoked_can_be_given_again_and_a_session_never() {
        let mut held = Revocations::default();
        let wish = change(RevocationScope::Principal, "ivan", "why");
        held.revoke(wish.revocation(DateTime::UNIX_EPOCH));
        wish.may_reinstate(&held).unwrap();
        assert!(
            wish.revoked_already(&known(), &held)
                .unwrap()
                .unwrap()
                .already
        );
        let slip = change(RevocationScope::Principal, "ivam", "why");
        let told = slip.may_reinstate(&held).unwrap_err().to_string();
        assert!(told.contains("did you mean `ivan`?"), "{told}");
        let session = change(RevocationScope::Session, "any", "why");
        let told = session.may_reinstate(&held).unwrap_err().to_string();
        assert!(told.contains("stays closed"), "{told}");
    }
}
