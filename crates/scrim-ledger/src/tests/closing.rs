//! Every opened record is closed exactly once.

use std::{collections::BTreeMap, fs};

use proptest::prelude::*;
use scrim_model::{Code, QueryId};

use super::{file_in, folder, open, opening, query, records, run};
use crate::{Event, LedgerError, Outcome, Permit, verify};

/// What is done next, to the permit at an index of those that are held.
#[derive(Debug, Clone)]
enum Step {
    Open,
    OpenAndGiveUp,
    Complete(usize),
    Fail(usize),
    Revoke(usize),
    Drop(usize),
    Progress(usize),
    Event,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Open),
        2 => Just(Step::OpenAndGiveUp),
        2 => any::<usize>().prop_map(Step::Complete),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Revoke),
        1 => any::<usize>().prop_map(Step::Drop),
        1 => any::<usize>().prop_map(Step::Progress),
        1 => Just(Step::Event),
        1 => Just(Step::Restart),
    ]
}

fn taken(held: &mut Vec<Permit>, index: usize) -> Option<Permit> {
    (!held.is_empty()).then(|| held.swap_remove(index % held.len()))
}

/// Runs the steps; returns how each query must have ended, where that is known.
async fn follow(dir: &tempfile::TempDir, steps: Vec<Step>) -> BTreeMap<QueryId, Option<Outcome>> {
    let (mut ledger, _) = open(dir.path());
    let mut held = Vec::new();
    let mut expected = BTreeMap::new();
    let mut ended = |permit: &Permit, outcome| expected.insert(permit.query(), Some(outcome));
    let mut number = 0;
    for step in steps {
        match step {
            Step::Open => {
                number += 1;
                held.push(ledger.open_query(opening(number)).await.unwrap());
            }
            Step::OpenAndGiveUp => {
                number += 1;
                // Polled once and dropped, like the request of a client that went away.
                let mut asking = Box::pin(ledger.open_query(opening(number)));
                let polled = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(asking.as_mut().poll(context).is_ready())
                });
                polled.await;
            }
            Step::Complete(index) => {
                if let Some(permit) = taken(&mut held, index) {
                    ended(&permit, Outcome::Completed);
                    permit.completed(1, 1);
                }
            }
            Step::Fail(index) => {
                if let Some(permit) = taken(&mut held, index) {
                    ended(&permit, Outcome::Failed);
                    permit.failed(Code::TimeLimit, 1, 1);
                }
            }
            Step::Revoke(index) => {
                if let Some(permit) = taken(&mut held, index) {
                    ended(&permit, Outcome::Revoked);
                    permit.revoked("agreement ended", 1, 1);
                }
            }
            Step::Drop(index) => {
                if let Some(permit) = taken(&mut held, index) {
                    ended(&permit, Outcome::Abandoned);
                }
            }
            Step::Progress(index) => {
                if let Some(mut permit) = taken(&mut held, index) {
                    permit.progress(5, 50);
                    held.push(permit);
                }
            }
            Step::Event => ledger.event(Event::ServerStopped).await.unwrap(),
            Step::Restart => {
                for permit in held.drain(..) {
                    ended(&permit, Outcome::Abandoned);
                }
                ledger.shutdown().await.unwrap();
                ledger = open(dir.path()).0;
            }
        }
    }
    for permit in held.drain(..) {
        ended(&permit, Outcome::Abandoned);
    }
    ledger.shutdown().await.unwrap();
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn inv_05_every_opened_record_is_closed_exactly_once(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let dir = folder();
        let expected = run(follow(&dir, steps));
        // The check itself refuses a second closing and a closing without opening.
        prop_assert_eq!(verify(&file_in(&dir)).unwrap().open, 0);
        let text = fs::read_to_string(file_in(&dir)).unwrap();
        let count = |entry: &str| text.matches(&format!("\"entry\":\"{entry}\"")).count();
        prop_assert_eq!(count("opened"), count("closed"));
        let told: BTreeMap<_, _> =
            records(&dir).into_iter().map(|record| (record.query, record.outcome)).collect();
        for (query, outcome) in expected {
            prop_assert_eq!(told.get(&query).copied(), outcome);
        }
    }
}

#[test]
fn inv_05_a_dropped_permit_tells_how_far_it_came() {
    let dir = folder();
    run(async {
        let (ledger, _) = open(dir.path());
        let mut permit = ledger.open_query(opening(1)).await.unwrap();
        assert!(permit.covers("hash-1") && !permit.covers("hash-2"));
        permit.progress(7, 70);
        drop(permit);
        ledger.shutdown().await.unwrap();
    });
    let [record] = &records(&dir)[..] else {
        panic!("one record")
    };
    assert_eq!(
        (record.outcome, record.rows, record.bytes),
        (Outcome::Abandoned, Some(7), Some(70))
    );
}

#[test]
fn inv_05_one_id_cannot_be_open_twice() {
    let dir = folder();
    run(async {
        let (ledger, _) = open(dir.path());
        let permit = ledger.open_query(opening(1)).await.unwrap();
        let second = ledger.open_query(opening(1)).await;
        assert!(matches!(second, Err(LedgerError::AlreadyOpen { query: q }) if q == query(1)));
        permit.completed(1, 1);
        ledger.open_query(opening(1)).await.unwrap().completed(2, 2);
        ledger.shutdown().await.unwrap();
    });
    assert_eq!(verify(&file_in(&dir)).unwrap().open, 0);
}

#[test]
fn inv_05_permits_that_outlive_the_ledger_are_recorded_when_they_close() {
    let dir = folder();
    run(async {
        let (ledger, _) = open(dir.path());
        let first = ledger.open_query(opening(1)).await.unwrap();
        let second = ledger.open_query(opening(2)).await.unwrap();
        ledger.shutdown().await.unwrap();
        assert!(matches!(
            ledger.open_query(opening(3)).await,
            Err(LedgerError::Stopped)
        ));
        first.completed(1, 1);
        let other = ledger.clone();
        drop(ledger);
        std::thread::spawn(move || second.failed(Code::Stopping, 2, 2))
            .join()
            .unwrap();
        other.shutdown().await.unwrap();
    });
    let outcomes: Vec<_> = records(&dir).iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Completed, Outcome::Failed]);
}
