//! Ledgers that an older version wrote.

use std::fs;

use scrim_model::{Context, QueryId};
use scrim_policy::{Showing, Verdict};

use super::{facts, file_in, folder, open, records, run};
use crate::{Filter, Opening, Outcome, Reading, read, verify};

/// What version 0.1.0 wrote: one query under two agreements, one refused.
const OLDER: &str = include_str!("older.jsonl");

#[test]
fn a_ledger_of_an_older_version_is_read_with_its_decisions() {
    let dir = folder();
    fs::write(file_in(&dir), OLDER).unwrap();
    assert_eq!(
        verify(&file_in(&dir)).unwrap().entries,
        OLDER.lines().count() as u64
    );
    let records: Vec<_> = read(&file_in(&dir), Filter::default())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let [record, refused] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(
        (refused.outcome, refused.readings().unwrap()),
        (Outcome::Refused, vec![])
    );
    assert_eq!(record.outcome, Outcome::Completed);
    assert_eq!(record.facts, None);
    assert_eq!(
        (record.principal.as_str(), record.purpose.as_deref()),
        ("rhea", Some("research"))
    );
    assert_eq!(record.agreements, ["meridian-patients", "meridian-study-7"]);
    assert_eq!(record.uses[0].used, None);
    let readings = record.readings().unwrap();
    let [reading] = &readings[..] else {
        panic!("{readings:?}");
    };
    let decision = &reading.decision;
    assert_eq!(decision.verdict, Verdict::Shown);
    assert_eq!(decision.hash, record.uses[0].hash);
    assert_eq!(decision.columns.len(), 9);
    let zip = &decision.columns[3];
    assert!(matches!(&zip.treatments[0].root, Showing::Masked(mask) if mask.name() == "zip3"));
    assert_eq!(zip.location[0].line, 150);
    let statement = record.statement.unwrap();
    for (query, found) in [(record.query, 1), (statement, 1), (QueryId::new(), 0)] {
        let filter = Filter {
            query: Some(query),
            ..Filter::default()
        };
        assert_eq!(read(&file_in(&dir), filter).unwrap().count(), found);
    }
}

#[test]
fn the_same_decisions_take_less_room_than_they_took() {
    let (before, after) = (folder(), folder());
    fs::write(file_in(&before), OLDER).unwrap();
    let record = records(&before).remove(0);
    let mut facts = facts("rhea", "meridian");
    facts.principal.groups = vec!["researcher".to_owned(), "study-7".to_owned()];
    facts.principal.authenticated_at = Some(record.at);
    facts.context = Context {
        ip: record.address,
        client: record.client.clone(),
        networks: vec!["trusted".to_owned()],
        queries_last_hour: Some(3),
        rows_last_day: Some(120),
        ..Context::at(record.at)
    };
    facts.settings.purpose.clone_from(&record.purpose);
    let used = vec!["ward".to_owned(), "zip".to_owned()];
    let readings = record.readings().unwrap().into_iter();
    let readings = readings.map(|reading| Reading {
        used: Some(used.clone()),
        ..reading
    });
    run(async {
        let (ledger, _) = open(after.path());
        let opening = Opening {
            query: record.query,
            statement: record.statement,
            session: record.session.clone(),
            facts,
            sql: record.sql.clone(),
            policy_version: record.policy_version.clone().unwrap(),
            readings: readings.collect(),
        };
        ledger.open_query(opening).await.unwrap().completed(1, 1);
        ledger.shutdown().await.unwrap();
    });
    let now = fs::read_to_string(file_in(&after)).unwrap();
    let opened = |text: &str| {
        text.lines()
            .find(|line| line.contains("opened"))
            .unwrap()
            .len()
    };
    let (was, is) = (opened(OLDER), opened(&now));
    println!("{was} bytes were, {is} are");
    assert!(is * 5 < was * 3, "{was} bytes were, {is} are: {now}");
}
