//! What is revoked stays so, however often the server starts.

use std::{fs, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use scrim_model::{Clock, Revocation, RevocationScope, Revocations, SessionId};

use super::{file_in, folder, open, opening, run, second};
use crate::{Event, Ledger, LedgerError, revocations, verify};

fn revocation(scope: RevocationScope, id: &str) -> Revocation {
    Revocation {
        scope,
        id: id.to_owned(),
        reason: "the contract ended".to_owned(),
        by: "owner".to_owned(),
        at: second(7),
    }
}

fn reinstated(scope: RevocationScope, id: &str) -> Event {
    Event::Reinstated {
        scope,
        id: id.to_owned(),
        reason: "a mistake".to_owned(),
        by: "owner".to_owned(),
        at: second(8),
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct At(DateTime<Utc>);

impl Clock for At {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

#[test]
fn a_start_knows_what_is_revoked_and_what_was_given_again() {
    let dir = folder();
    let session = SessionId::new().to_string();
    let kept = [
        revocation(RevocationScope::Principal, "ivan"),
        revocation(RevocationScope::Agreement, "harbor-visits"),
        revocation(RevocationScope::Session, &session),
    ];
    let mut expected = Revocations::default();
    run(async {
        let (ledger, recovery) = open(dir.path());
        assert_eq!(recovery.revocations, expected);
        for one in &kept {
            ledger.event(Event::Revoked(one.clone())).await.unwrap();
            expected.revoke(one.clone());
        }
        let back = revocation(RevocationScope::Organisation, "harbor");
        ledger.event(Event::Revoked(back.clone())).await.unwrap();
        // Read while it is written, and beside a query that is open.
        let permit = ledger.open_query(opening(1)).await.unwrap();
        let mut now = expected.clone();
        now.revoke(back.clone());
        assert_eq!(revocations(&file_in(&dir)).unwrap(), now);
        let event = reinstated(RevocationScope::Organisation, "harbor");
        ledger.event(event).await.unwrap();
        expected.revoke(back);
        expected.reinstate(RevocationScope::Organisation, "harbor", second(8));
        permit.completed(1, 1);
        ledger.shutdown().await.unwrap();
    });
    assert_eq!(revocations(&file_in(&dir)).unwrap(), expected);
    verify(&file_in(&dir)).unwrap();
    let (_, recovery) = open(dir.path());
    assert_eq!(recovery.revocations, expected);
    assert_eq!(recovery.revocations.in_force().count(), 3);
    // Sessions end by themselves, accounts and agreements do not.
    let late: Arc<dyn Clock> = Arc::new(At(second(7) + TimeDelta::days(31)));
    let (_, recovery) = reopen(dir.path(), &late);
    assert_eq!(recovery.revocations.in_force().count(), 2);
}

/// The writer of the ledger before lets go of the file a moment after it was dropped.
fn reopen(dir: &std::path::Path, clock: &Arc<dyn Clock>) -> (Ledger, crate::Recovery) {
    loop {
        match Ledger::open(dir, Arc::clone(clock)) {
            Err(LedgerError::Locked { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

#[test]
fn a_revocation_that_cannot_be_read_is_not_passed_over() {
    let dir = folder();
    run(async {
        let (ledger, _) = open(dir.path());
        let one = revocation(RevocationScope::Principal, "ivan");
        ledger.event(Event::Revoked(one)).await.unwrap();
        ledger.shutdown().await.unwrap();
    });
    let path = file_in(&dir);
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap();
    let body = last
        .split_once(",\"body\":")
        .and_then(|(_, rest)| rest.rsplit_once(",\"hash\":"))
        .unwrap()
        .0
        .replace("\"principal\"", "\"planet\"");
    let previous: Vec<u8> = lines[0].as_bytes().to_vec();
    let hash = crate::line::parse(&previous)
        .unwrap()
        .checked_hash()
        .unwrap();
    let mut out = format!("{}\n", lines[0]).into_bytes();
    crate::line::write(&mut out, 2, second(9), &hash, body.as_bytes());
    fs::write(&path, out).unwrap();
    let refused = Ledger::open(dir.path(), Arc::new(At(second(10)))).unwrap_err();
    assert!(refused.to_string().contains("line 2"), "{refused}");
    assert_eq!(revocations(&path).unwrap_err().line, 2);
}
