//! What the data owner reads.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Utc};
use scrim_model::{Clock, Code, QueryId, SessionId};
use uuid::Uuid;

use super::{decision, file_in, folder, open, opening, query, records, refusal, run, second};
use crate::{Event, Filter, Ledger, Opening, Outcome, Reading, read, verify};

/// Eight queries of all outcomes; one is open while this looks.
fn look(check: impl FnOnce(&dyn Fn(Filter) -> Vec<QueryId>)) {
    let dir = folder();
    run(async {
        let (ledger, _) = open(dir.path());
        let started = Event::ServerStarted {
            version: "1".to_owned(),
        };
        ledger.event(started).await.unwrap();
        let held = ledger.open_query(opening(1)).await.unwrap();
        ledger
            .open_query(opening(2))
            .await
            .unwrap()
            .completed(20, 200);
        ledger.refused(refusal(3)).await.unwrap();
        let tables = [("claims", "h"), ("patients", "g")];
        let tables = tables.map(|(table, hash)| Arc::new(decision(table, hash)));
        let other = Opening {
            readings: tables.map(Reading::from).into(),
            ..opening(4)
        };
        ledger
            .open_query(other)
            .await
            .unwrap()
            .failed(Code::TimeLimit, 4, 40);
        ledger
            .open_query(opening(5))
            .await
            .unwrap()
            .revoked("ended", 5, 50);
        drop(ledger.open_query(opening(6)).await.unwrap());
        ledger.event(Event::ServerStopped).await.unwrap();
        check(&|filter| {
            read(&file_in(&dir), filter)
                .unwrap()
                .map(|record| record.unwrap().query)
                .collect()
        });
        held.completed(1, 1);
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn records_are_filtered_by_principal_table_time_and_outcome() {
    look(|shown| {
        let ids = |numbers: &[u128]| numbers.iter().copied().map(query).collect::<Vec<_>>();
        let all = Filter::default;
        // In the order in which they ended; the open one last.
        assert_eq!(shown(all()), ids(&[2, 3, 4, 5, 6, 1]));
        let principal = |name: &str| Filter {
            principal: Some(name.to_owned()),
            ..all()
        };
        assert_eq!(shown(principal("alice")), ids(&[2, 4, 6]));
        assert_eq!(shown(principal("bob")), ids(&[5, 1]));
        assert_eq!(shown(principal("ali")), []);
        let table = |name: &str| Filter {
            table: Some(name.to_owned()),
            ..all()
        };
        for name in ["claims", "public.claims", "scrim.public.claims"] {
            assert_eq!(shown(table(name)), ids(&[4]), "{name}");
        }
        assert_eq!(shown(table("secrets")), ids(&[3]));
        assert_eq!(shown(table("laims")), []);
        for (outcome, numbers) in [
            (Outcome::Open, &[1][..]),
            (Outcome::Completed, &[2]),
            (Outcome::Refused, &[3]),
            (Outcome::Failed, &[4]),
            (Outcome::Revoked, &[5]),
            (Outcome::Abandoned, &[6]),
        ] {
            assert_eq!(
                shown(Filter {
                    outcome: Some(outcome),
                    ..all()
                }),
                ids(numbers)
            );
        }
        let opened_of_2 = second(4);
        assert_eq!(
            shown(Filter {
                until: Some(opened_of_2),
                ..all()
            }),
            ids(&[1])
        );
        assert_eq!(
            shown(Filter {
                since: Some(opened_of_2),
                ..all()
            }),
            ids(&[2, 3, 4, 5, 6])
        );
    });
}

#[test]
fn a_record_joins_what_opened_and_what_closed_it() {
    let dir = folder();
    run(async {
        let (ledger, _) = open(dir.path());
        ledger
            .open_query(opening(4))
            .await
            .unwrap()
            .failed(Code::TimeLimit, 4, 40);
        ledger.shutdown().await.unwrap();
    });
    let record = read(&file_in(&dir), Filter::default())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(record.seq, 2);
    assert_eq!(record.sql, opening(4).sql);
    assert_eq!(record.tables, ["scrim.public.patients"]);
    assert_eq!(record.agreements, ["acme-patients"]);
    assert_eq!((record.rows, record.bytes), (Some(4), Some(40)));
    assert_eq!(record.code.as_deref(), Some("time-limit"));
    assert!(record.closed.unwrap() > record.at);
}

#[test]
fn damage_ends_the_reading_after_what_is_good() {
    let dir = folder();
    let mut bytes = super::written(&folder(), 3);
    let at = super::lines(&bytes)[..4].concat().len() + 30;
    bytes[at] ^= 1;
    fs::write(file_in(&dir), bytes).unwrap();
    let read: Vec<_> = read(&file_in(&dir), Filter::default()).unwrap().collect();
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].as_ref().unwrap().query, query(1));
    assert_eq!(read[1].as_ref().unwrap_err().line, 5);
    let missing = crate::read(&dir.path().join("none"), Filter::default()).unwrap_err();
    assert!(missing.what.contains("cannot be read"), "{missing}");
}

#[test]
fn closed_sessions_are_remembered_until_they_would_have_ended() {
    let dir = folder();
    let session = |number| SessionId(Uuid::from_u128(number));
    run(async {
        let (ledger, _) = open(dir.path());
        for (number, expires) in [(1, second(-5)), (2, second(500))] {
            let principal = "alice".to_owned();
            let event = Event::SessionClosed {
                principal,
                session: session(number),
                expires,
            };
            ledger.event(event).await.unwrap();
        }
        ledger.shutdown().await.unwrap();
    });
    let (ledger, recovery) = open(dir.path());
    run(ledger.shutdown()).unwrap();
    assert_eq!(recovery.closed_sessions, [(session(2), second(500))]);
}

/// A clock that is set back before each entry.
#[derive(Debug, Default)]
struct Falling(AtomicI64);

impl Clock for Falling {
    fn now(&self) -> DateTime<Utc> {
        second(-self.0.fetch_add(100, Ordering::SeqCst))
    }
}

/// The order of entries is that of their numbers. What the clock said is written down as it said
/// it, so that whoever investigates can see that it was wrong.
#[test]
fn a_clock_that_goes_back_neither_damages_nor_reorders_a_ledger() {
    let dir = folder();
    run(async {
        let (ledger, _) = Ledger::open(dir.path(), Arc::new(Falling::default())).unwrap();
        for number in 1..=3 {
            let permit = ledger.open_query(opening(number)).await.unwrap();
            permit.completed(1, 1);
        }
        ledger.shutdown().await.unwrap();
    });
    assert_eq!(verify(&file_in(&dir)).unwrap().open, 0);
    let told = records(&dir);
    let ids: Vec<_> = told.iter().map(|record| record.query).collect();
    assert_eq!(ids, [query(1), query(2), query(3)]);
    assert!(told.is_sorted_by(|one, next| one.seq < next.seq && one.at > next.at));
    assert!(told.iter().all(|record| record.closed.unwrap() < record.at));
    let (ledger, recovery) = open(dir.path());
    run(ledger.shutdown()).unwrap();
    assert_eq!((recovery.torn, recovery.abandoned), (None, vec![]));
}

#[test]
fn only_the_owner_can_read_a_new_ledger_and_its_folder() {
    let outer = folder();
    let dir = outer.path().join("deep/ledger");
    let (ledger, recovery) = open(&dir);
    assert!(recovery.created);
    run(ledger.shutdown()).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join(crate::FILE_NAME)), 0o600);
}

#[test]
fn inv_15_a_line_shows_control_characters_as_escapes() {
    let dir = folder();
    fs::write(file_in(&dir), super::written(&folder(), 2)).unwrap();
    let text = fs::read_to_string(file_in(&dir)).unwrap();
    assert!(text.contains("é"));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(!text.contains('\u{202e}'));
    assert_eq!(
        verify(&file_in(&dir)).unwrap().entries,
        text.lines().count() as u64
    );
}
