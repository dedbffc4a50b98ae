//! Every kind of entry, written and read back.

use scrim_model::{Code, Revocation, RevocationScope, SessionId};
use uuid::Uuid;

use super::{file_in, folder, open, opening, query, refusal, run, second};
use crate::{Event, Filter, LoadCause, ShadowChange, ShadowDifference, loads, read, verify};

/// One event of each kind.
#[expect(clippy::too_many_lines, reason = "a list of all kinds")]
fn events() -> Vec<Event> {
    let session = SessionId(Uuid::from_u128(7));
    let name = |text: &str| text.to_owned();
    vec![
        Event::ServerStarted {
            version: name("0.5.0"),
        },
        Event::PolicyLoaded {
            version: name("v1"),
            files: Vec::new(),
            cause: LoadCause::Start,
            by: None,
            folder: None,
        },
        Event::PolicyRefused {
            version: None,
            cause: LoadCause::Folder,
            by: None,
            problems: name("an unknown key"),
        },
        Event::SignedIn {
            principal: name("alice"),
            org: name("acme"),
            session,
            address: None,
            certificate: None,
            expires: second(3_600),
        },
        Event::SessionRenewed {
            principal: name("alice"),
            session,
            expires: second(7_200),
        },
        Event::SignInRefused {
            account: name("mallory"),
            address: None,
            code: Code::Unauthenticated,
        },
        Event::SessionClosed {
            principal: name("alice"),
            session,
            expires: second(7_200),
        },
        Event::ShadowLoaded {
            version: name("v2"),
        },
        Event::ShadowLost,
        Event::ShadowDiffered(ShadowDifference {
            query: query(1),
            principal: name("alice"),
            org: name("acme"),
            table: name("scrim.public.patients"),
            shadow_version: name("v2"),
            enforced: name("a"),
            shadow: name("b"),
            what: ShadowChange::default(),
        }),
        Event::ShadowMissed { queries: 3 },
        Event::Revoked(Revocation {
            scope: RevocationScope::Agreement,
            id: name("acme-patients"),
            reason: name("lost"),
            by: name("nora"),
            at: second(0),
        }),
        Event::Reinstated {
            scope: RevocationScope::Agreement,
            id: name("acme-patients"),
            reason: name("found"),
            by: name("nora"),
            at: second(1),
        },
        Event::ServerStopped,
    ]
}

/// Which kind an event is: a new kind has no number, so it cannot be forgotten here.
fn kind(event: &Event) -> usize {
    match event {
        Event::ServerStarted { .. } => 0,
        Event::PolicyLoaded { .. } => 1,
        Event::PolicyRefused { .. } => 2,
        Event::SignedIn { .. } => 3,
        Event::SessionRenewed { .. } => 4,
        Event::SignInRefused { .. } => 5,
        Event::SessionClosed { .. } => 6,
        Event::ShadowLoaded { .. } => 7,
        Event::ShadowLost => 8,
        Event::ShadowDiffered(_) => 9,
        Event::ShadowMissed { .. } => 10,
        Event::Revoked(_) => 11,
        Event::Reinstated { .. } => 12,
        Event::ServerStopped => 13,
    }
}

/// An entry that a start does not know would keep the server from starting again.
#[test]
fn every_kind_of_entry_is_known_to_a_start_and_to_all_readers() {
    let dir = folder();
    let events = events();
    let kinds: Vec<usize> = events.iter().map(kind).collect();
    assert_eq!(kinds, (0..=13).collect::<Vec<_>>());
    let written = run(async {
        let (ledger, _) = open(dir.path());
        for event in events {
            ledger.event(event).await.unwrap();
        }
        let permit = ledger.open_query(opening(1)).await.unwrap();
        permit.completed(0, 0);
        ledger.refused(refusal(2)).await.unwrap();
        ledger.shutdown().await.unwrap();
        drop(ledger);
        let (ledger, recovery) = open(dir.path());
        ledger.shutdown().await.unwrap();
        recovery.entries
    });
    let path = file_in(&dir);
    assert_eq!(verify(&path).unwrap().entries, written);
    let records = read(&path, Filter::default()).unwrap();
    assert_eq!(records.map(Result::unwrap).count(), 2);
    assert_eq!(loads(&path).unwrap().map(Result::unwrap).count(), 2);
    let shadow = crate::shadow(&path, None).unwrap();
    assert_eq!((shadow.version.as_deref(), shadow.missed), (Some("v2"), 3));
}
