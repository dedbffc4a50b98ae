//! What an entry tells of facts and decisions.

use std::fs;
use std::sync::Arc;

use scrim_document::Location;
use scrim_model::{Context, Limits, Principal, PrincipalKind, Release, SessionSettings, Value};
use scrim_policy::{
    Clause, ColumnDecision, ContractRef, Decision, GuardClause, Showing, Treatment, Unmatched,
    Verdict,
};

use super::{decision, facts, file_in, folder, open, opening, records, refusal, run, second};
use crate::{Facts, Opening, Reading, RefusedQuery};

fn everything() -> Facts {
    Facts {
        principal: Principal {
            groups: vec!["analyst".to_owned(), "é\u{202e}".to_owned()],
            roles: vec!["lead".to_owned()],
            kind: PrincipalKind::Agent,
            acr: Some("mfa".to_owned()),
            authenticated_at: Some(second(-900)),
            on_behalf_of: Some("carol".to_owned()),
            attributes: [
                ("clearance".to_owned(), Value::Int64(3)),
                ("joined".to_owned(), Value::Timestamp(second(-1_000_000))),
                (
                    "looks_like_one".to_owned(),
                    Value::Text("2026-01-01T00:00:00Z".to_owned()),
                ),
                ("sites".to_owned(), Value::TextList(vec!["a".to_owned()])),
                ("weight".to_owned(), Value::Float64(1.0)),
            ]
            .into(),
            ..facts("alice", "acme").principal
        },
        context: Context {
            ip: Some("2001:db8::7".parse().unwrap()),
            country: Some("DE".to_owned()),
            networks: vec!["trusted".to_owned()],
            device: Some("laptop".to_owned()),
            device_trusted: Some(false),
            time: "2026-03-02T12:00:00.123456789Z".parse().unwrap(),
            risk: Some(7),
            queries_last_hour: Some(0),
            rows_last_day: Some(12),
            client: Some("adbc".to_owned()),
            revoked: [("acme-old".to_owned(), second(-60))].into(),
        },
        settings: SessionSettings {
            purpose: Some("care".to_owned()),
            agreement: Some("acme-patients".to_owned()),
            release: Some(Release::Rows),
        },
        default_schema: Some("care".to_owned()),
        time_zone: Some("Europe/Berlin".to_owned()),
    }
}

fn at(file: &str, line: u32) -> Location {
    let file = file.into();
    Location {
        file,
        line,
        column: 7,
    }
}

fn clause(value: Value) -> Clause {
    Clause {
        id: "patients/profiles/all/rows".to_owned(),
        text: "ward = agreement.ward".to_owned(),
        location: at("contracts/patients.odcs.yaml", 9),
        bindings: [("agreement.ward".to_owned(), value)].into(),
    }
}

fn column(name: &str, treatments: Vec<Treatment>) -> ColumnDecision {
    let location = treatments
        .iter()
        .map(|_| at("contracts/patients.odcs.yaml", 12));
    ColumnDecision {
        name: name.to_owned(),
        location: location.collect(),
        treatments,
    }
}

fn shown() -> Decision {
    let mut shown = decision("patients", "hash");
    shown.contract = Some(ContractRef {
        id: "patients".to_owned(),
        version: "1.0.0".to_owned(),
        location: at("contracts/patients.odcs.yaml", 3),
    });
    shown.purpose = Some("care".to_owned());
    shown.arms[0].until = Some("2099-12-31".parse().unwrap());
    shown.arms[0].rows = Some(clause(Value::Timestamp(second(0))));
    shown.guards = vec![
        GuardClause {
            id: "hold".to_owned(),
            location: at("contracts/patients.odcs.yaml", 5),
            rows: Some(clause(Value::TextList(Vec::new()))),
        },
        GuardClause {
            id: "network".to_owned(),
            location: at("contracts/patients.odcs.yaml", 6),
            rows: None,
        },
    ];
    let nested = Treatment {
        root: Showing::Clear,
        nested: vec![("phone".to_owned(), Showing::Hidden)],
    };
    shown.columns = vec![
        column("id", vec![Treatment::whole(Showing::Clear)]),
        column("ward", vec![Treatment::whole(Showing::Clear)]),
        column("contact", vec![nested]),
        column("zip", vec![Treatment::whole(Showing::Hidden)]),
    ];
    shown.limits = Limits {
        max_rows: Some(5),
        ..Limits::default()
    };
    shown
}

fn unmatched(count: usize) -> Vec<Unmatched> {
    let one = |number| Unmatched {
        agreement: format!("acme-{number}"),
        location: at("agreements/acme.yaml", 4),
        reason: "it is ended".to_owned(),
    };
    (0..count).map(one).collect()
}

#[test]
fn an_entry_holds_all_that_a_decision_was_made_from_and_what_it_was() {
    let closed = Decision {
        verdict: Verdict::Closed {
            guard: "network".to_owned(),
            location: at("contracts/claims.odcs.yaml", 8),
        },
        unmatched: unmatched(2),
        ..decision("claims", "other")
    };
    let denied = Decision {
        verdict: Verdict::NoAgreement,
        arms: Vec::new(),
        ..decision("ho.me", "none")
    };
    let used = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let readings = [
        (shown(), used(&["id", "zip"])),
        (shown(), used(&["id", "ward", "contact", "zip"])),
        (shown(), used(&[])),
        (closed, None),
        (denied, None),
    ];
    let readings = readings.map(|(decision, used)| Reading {
        used,
        ..Reading::from(Arc::new(decision))
    });
    let dir = folder();
    run(async {
        let (ledger, _) = open(dir.path());
        let opening = Opening {
            facts: everything(),
            readings: readings.clone().into(),
            ..opening(2)
        };
        drop(ledger.open_query(opening).await.unwrap());
        let refused = RefusedQuery {
            facts: everything(),
            policy_version: Some("v1".to_owned()),
            readings: readings.clone().into(),
            ..refusal(3)
        };
        ledger.refused(refused).await.unwrap();
        ledger.shutdown().await.unwrap();
    });
    let told = records(&dir);
    assert_eq!(told.len(), 2);
    for record in told {
        assert_eq!(record.facts.as_ref(), Some(&everything()));
        assert_eq!(record.readings().unwrap(), readings);
        assert_eq!(record.uses[1].used, used(&["id", "ward", "contact", "zip"]));
        assert_eq!(record.uses[3].used, None);
    }
    let text = fs::read_to_string(file_in(&dir)).unwrap();
    assert!(text.contains(r#""used":"*""#), "{text}");
    let names = text
        .lines()
        .nth(1)
        .unwrap()
        .matches("contracts/patients.odcs.yaml");
    assert_eq!(
        names.count(),
        1,
        "a file's name stands once in an entry: {text}"
    );
}

#[test]
fn agreements_that_did_not_match_are_counted_when_there_are_many() {
    let dir = folder();
    run(async {
        let (ledger, _) = open(dir.path());
        for count in [16, 10_000] {
            let decision = Decision {
                unmatched: unmatched(count),
                ..decision("patients", "h")
            };
            let opening = Opening {
                readings: [Reading::from(Arc::new(decision))].into(),
                ..opening(count as u128)
            };
            ledger.open_query(opening).await.unwrap().completed(0, 0);
        }
        ledger.shutdown().await.unwrap();
    });
    let more: Vec<_> = records(&dir)
        .iter()
        .map(|record| {
            let readings = record.readings().unwrap();
            (
                readings[0].decision.unmatched.len(),
                readings[0].unmatched_more,
            )
        })
        .collect();
    assert_eq!(more, [(16, 0), (16, 9_984)]);
    assert!(fs::metadata(file_in(&dir)).unwrap().len() < 10_000);
}

#[test]
fn an_entry_of_a_look_up_is_short() {
    let dir = folder();
    let columns = (0..9).map(|number| {
        column(
            &format!("o_column{number}"),
            vec![Treatment::whole(Showing::Clear)],
        )
    });
    let decision = Decision {
        columns: columns.collect(),
        ..shown()
    };
    run(async {
        let (ledger, _) = open(dir.path());
        let opening = Opening {
            readings: [Reading::from(Arc::new(decision))].into(),
            ..opening(2)
        };
        ledger.open_query(opening).await.unwrap().completed(1, 1);
        ledger.shutdown().await.unwrap();
    });
    let text = fs::read_to_string(file_in(&dir)).unwrap();
    let line = text.lines().nth(1).unwrap();
    println!("{} bytes: {line}", line.len());
    assert!(line.len() < 1_700, "{} bytes: {line}", line.len());
}
