//! The disk fails, or is slow.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use scrim_model::{Code, Refusal};

use super::{Ticking, opening, refusal, run};
use crate::{Event, Ledger, LedgerError, sink::Sink};

/// A disk in memory: counts, fails at the n-th call, and can be held.
#[derive(Debug, Default)]
struct Disk {
    calls: AtomicUsize,
    syncs: AtomicUsize,
    fail_at: usize,
    panics: bool,
    /// While true, a sync does not end.
    held: AtomicBool,
    durable: Mutex<Vec<u8>>,
    failed: AtomicBool,
    touched_after_failure: AtomicBool,
}

#[derive(Debug)]
struct MemorySink {
    disk: Arc<Disk>,
    pending: Vec<u8>,
}

impl MemorySink {
    fn call(&self) -> io::Result<()> {
        if self.disk.failed.load(Ordering::SeqCst) {
            self.disk
                .touched_after_failure
                .store(true, Ordering::SeqCst);
        }
        if self.disk.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.disk.fail_at {
            self.disk.failed.store(true, Ordering::SeqCst);
            assert!(!self.disk.panics, "a fault that the test asked for");
            return Err(io::Error::other("no space left"));
        }
        Ok(())
    }
}

impl Sink for MemorySink {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.call()?;
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        while self.disk.held.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        self.call()?;
        self.disk.syncs.fetch_add(1, Ordering::SeqCst);
        self.disk.durable.lock().unwrap().append(&mut self.pending);
        Ok(())
    }
}

fn ledger(disk: &Arc<Disk>) -> Ledger {
    let sink = MemorySink {
        disk: Arc::clone(disk),
        pending: Vec::new(),
    };
    Ledger::with_sink(Box::new(sink), Arc::new(Ticking::default()))
}

fn durable(disk: &Disk) -> String {
    String::from_utf8(disk.durable.lock().unwrap().clone()).unwrap()
}

#[test]
fn inv_04_a_permit_is_given_only_when_its_record_is_durable() {
    run(async {
        let disk = Arc::new(Disk::default());
        let ledger = ledger(&disk);
        for number in 1..20 {
            let permit = ledger.open_query(opening(number)).await.unwrap();
            assert!(durable(&disk).contains(&permit.query().to_string()));
            permit.completed(1, 1);
        }
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn inv_04_a_failed_write_or_sync_gives_no_permit_and_is_never_tried_again() {
    for (fail_at, panics) in (1..=12).flat_map(|n| [(n, false), (n, true)]) {
        run(async {
            let disk = Arc::new(Disk {
                fail_at,
                panics,
                ..Disk::default()
            });
            let ledger = ledger(&disk);
            let mut permits = Vec::new();
            let error = loop {
                match ledger.open_query(opening(permits.len() as u128)).await {
                    Ok(permit) => {
                        assert!(durable(&disk).contains(&permit.query().to_string()));
                        permits.push(permit);
                    }
                    Err(error) => break error,
                }
            };
            // Two calls for each opening: the one that met the failing call got nothing.
            assert_eq!(permits.len(), (fail_at - 1) / 2);
            assert!(matches!(error, LedgerError::Poisoned { .. }), "{error}");
            assert_eq!(Refusal::from(error).code(), Code::LedgerUnavailable);
            assert!(!ledger.healthy());
            for number in 100..103 {
                let later = ledger.open_query(opening(number)).await;
                assert!(matches!(later, Err(LedgerError::Poisoned { .. })));
            }
            assert!(ledger.event(Event::ServerStopped).await.is_err());
            assert!(ledger.refused(refusal(1)).await.is_err());
            drop(permits);
            assert!(matches!(
                ledger.shutdown().await,
                Err(LedgerError::Poisoned { .. })
            ));
            assert!(!disk.touched_after_failure.load(Ordering::SeqCst));
        });
    }
}

/// Gives every task that was spawned the time to come as far as it can.
async fn all_had_a_turn() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn many_openings_share_few_syncs() {
    const CLIENTS: u128 = 500;
    run(async {
        let disk = Arc::new(Disk::default());
        let ledger = ledger(&disk);
        disk.held.store(true, Ordering::SeqCst);
        let asking: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.open_query(opening(number)).await.unwrap() })
            })
            .collect();
        // Everybody is in the queue, while the first batch waits for its sync.
        all_had_a_turn().await;
        disk.held.store(false, Ordering::SeqCst);
        for task in asking {
            task.await.unwrap().completed(1, 1);
        }
        ledger.shutdown().await.unwrap();
        let syncs = disk.syncs.load(Ordering::SeqCst);
        assert!(
            syncs <= 8,
            "{syncs} syncs for {CLIENTS} openings and closings"
        );
        let text = durable(&disk);
        assert_eq!(
            text.matches("\"entry\":\"opened\"").count(),
            CLIENTS as usize
        );
        assert_eq!(
            text.matches("\"entry\":\"closed\"").count(),
            CLIENTS as usize
        );
    });
}

#[test]
fn a_closing_that_nobody_waits_for_becomes_durable_by_itself() {
    run(async {
        let disk = Arc::new(Disk::default());
        let ledger = ledger(&disk);
        ledger.open_query(opening(1)).await.unwrap().completed(1, 1);
        // Bounded by the test runner only; the lazy sync comes within a fraction of a second.
        while !durable(&disk).contains("\"completed\"") {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(ledger.healthy());
    });
}

#[test]
fn a_full_queue_makes_openings_wait_and_loses_no_closing() {
    const CLIENTS: u128 = 20;
    run(async {
        let disk = Arc::new(Disk::default());
        let ledger = ledger(&disk);
        let first = ledger.open_query(opening(1000)).await.unwrap();
        disk.held.store(true, Ordering::SeqCst);
        // Each takes 4 MiB of the 64 MiB that may wait.
        let asking: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let ledger = ledger.clone();
                let sql = "x".repeat(4 << 20);
                let opening = crate::Opening {
                    sql,
                    ..opening(number)
                };
                tokio::spawn(async move { ledger.open_query(opening).await.unwrap() })
            })
            .collect();
        all_had_a_turn().await;
        first.completed(9, 9);
        assert!(asking.iter().all(|task| !task.is_finished()));
        disk.held.store(false, Ordering::SeqCst);
        for task in asking {
            task.await.unwrap().completed(1, 1);
        }
        ledger.shutdown().await.unwrap();
        let text = durable(&disk);
        assert_eq!(
            text.matches("\"entry\":\"closed\"").count(),
            CLIENTS as usize + 1
        );
    });
}

#[test]
fn a_statement_that_no_line_can_hold_is_refused_and_does_no_harm() {
    run(async {
        let disk = Arc::new(Disk::default());
        let ledger = ledger(&disk);
        let sql = "\u{1}".repeat(3 << 20);
        let huge = crate::Opening {
            sql: sql.clone(),
            ..opening(1)
        };
        let error = ledger.open_query(huge).await.unwrap_err();
        assert!(matches!(error, LedgerError::TooLarge { .. }), "{error}");
        // Its refusal can be recorded, shortened.
        ledger
            .refused(crate::RefusedQuery { sql, ..refusal(1) })
            .await
            .unwrap();
        assert!(ledger.healthy());
        ledger.shutdown().await.unwrap();
        assert!(durable(&disk).contains("\"sql_bytes\":3145728"));
    });
}

#[test]
fn a_reason_that_no_line_can_hold_is_cut_and_stops_nothing() {
    run(async {
        let disk = Arc::new(Disk::default());
        let ledger = ledger(&disk);
        let reason = "é".repeat(crate::line::LINE_BYTES_MAX);
        let permit = ledger.open_query(opening(1)).await.unwrap();
        permit.revoked(reason.clone(), 1, 1);
        let refused = crate::RefusedQuery {
            reason,
            ..refusal(2)
        };
        ledger.refused(refused).await.unwrap();
        assert!(ledger.healthy());
        ledger.shutdown().await.unwrap();
        let text = durable(&disk);
        let cut = format!("\"reason\":\"{}\"", "é".repeat(2 << 10));
        assert_eq!(text.matches(&cut).count(), 2);
    });
}
