//! Tests of the whole crate: worlds of a few queries, damage, faults and kills.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, TimeZone, Utc};
use scrim_document::Location;
use scrim_model::{
    Clock, Code, Context, Limits, Principal, PrincipalKind, QueryId, SessionSettings, TableName,
};
use scrim_policy::{Arm, Decision, Verdict};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{FILE_NAME, Facts, Ledger, Opening, Reading, Record, Recovery, RefusedQuery};

mod closing;
mod faults;
mod kill;
mod kinds;
mod older;
mod reading;
mod revoking;
mod tamper;
mod told;
mod torn;

/// A clock that moves one second each time it is read.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> DateTime<Utc> {
        second(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// That many seconds after the beginning of the tests' time.
fn second(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + seconds, 0).unwrap()
}

/// The query with this number.
fn query(number: u128) -> QueryId {
    QueryId(Uuid::from_u128(number))
}

fn opening(number: u128) -> Opening {
    Opening {
        query: query(number),
        statement: None,
        session: Some("session-1".to_owned()),
        facts: Facts {
            context: Context {
                ip: Some("192.0.2.7".parse().unwrap()),
                client: Some("adbc".to_owned()),
                ..Context::at(second(-1))
            },
            settings: SessionSettings {
                purpose: Some("care".to_owned()),
                ..SessionSettings::default()
            },
            ..facts(
                if number.is_multiple_of(2) {
                    "alice"
                } else {
                    "bob"
                },
                "acme",
            )
        },
        sql: format!("select {number} -- 'é\u{202e}\u{1b}[2J'"),
        policy_version: "v1".to_owned(),
        readings: reading("patients", &format!("hash-{number}")),
    }
}

/// What is known about somebody of whom nothing is known.
fn facts(id: &str, org: &str) -> Facts {
    Facts {
        principal: Principal {
            id: id.to_owned(),
            org: org.to_owned(),
            groups: Vec::new(),
            roles: Vec::new(),
            kind: PrincipalKind::Human,
            acr: None,
            authenticated_at: None,
            on_behalf_of: None,
            attributes: BTreeMap::new(),
        },
        context: Context::at(second(-1)),
        settings: SessionSettings::default(),
        default_schema: None,
        time_zone: None,
    }
}

fn reading(table: &str, hash: &str) -> Arc<[Reading]> {
    [Reading::from(Arc::new(decision(table, hash)))].into()
}

fn refusal(number: u128) -> RefusedQuery {
    RefusedQuery {
        query: query(number),
        statement: None,
        session: None,
        facts: facts("mallory", "evil"),
        sql: "select * from secrets".to_owned(),
        policy_version: None,
        readings: reading("secrets", "none"),
        code: Code::NameNotFound,
        reason: "no such table".to_owned(),
    }
}

fn decision(table: &str, hash: &str) -> Decision {
    let location = Location {
        file: "agreement.yaml".into(),
        line: 3,
        column: 1,
    };
    Decision {
        table: TableName::new("public", table),
        policy_version: "v1".into(),
        contract: None,
        verdict: Verdict::Shown,
        purpose: None,
        arms: vec![Arm {
            agreement: format!("acme-{table}"),
            agreement_location: location.clone(),
            profile: "all".to_owned(),
            profile_location: location,
            recipient: "acme".to_owned(),
            purpose: "care".to_owned(),
            until: None,
            rows: None,
        }],
        guards: Vec::new(),
        columns: Vec::new(),
        unmatched: Vec::new(),
        limits: Limits::default(),
        narrowing: None,
        hash: hash.to_owned(),
    }
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn file_in(dir: &TempDir) -> PathBuf {
    dir.path().join(FILE_NAME)
}

pub(crate) fn open(dir: &Path) -> (Ledger, Recovery) {
    Ledger::open(dir, Arc::new(Ticking::default())).unwrap()
}

/// Runs a future on a runtime of its own, so that each test decides how many threads there are.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Writes a ledger: queries 1 to `queries` opened, all but the last closed; returns its bytes.
fn written(dir: &TempDir, queries: u128) -> Vec<u8> {
    run(async {
        let (ledger, _) = open(dir.path());
        for number in 1..=queries {
            // Without decisions, so that tests at every byte have few bytes.
            let opening = Opening {
                readings: Arc::default(),
                ..opening(number)
            };
            let permit = ledger.open_query(opening).await.unwrap();
            if number == queries {
                // Copied while the last record is open: what a crash would leave.
                let bytes = fs::read(file_in(dir)).unwrap();
                permit.completed(0, 0);
                ledger.shutdown().await.unwrap();
                return bytes;
            }
            permit.completed(10 * number as u64, 100);
        }
        panic!("at least one query is asked for")
    })
}

/// The records of a ledger, which must be whole.
fn records(dir: &TempDir) -> Vec<Record> {
    crate::read(&file_in(dir), crate::Filter::default())
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// The lines of a file, newlines included.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}
