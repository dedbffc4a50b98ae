//! `kill -9` at any moment loses nothing that was acknowledged.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use super::{file_in, folder, open, opening, records, run};
use crate::{Outcome, verify};

const CHILD: &str = "SCRIM_LEDGER_TEST_CHILD";

/// In the child process: opens records until it is killed, and prints the id of each whose permit
/// it holds. Elsewhere: nothing.
#[test]
fn child_that_is_killed() {
    let Some(dir) = env::var_os(CHILD) else {
        return;
    };
    run(async {
        let (ledger, _) = open(Path::new(&dir));
        let mut held = Vec::new();
        for number in 1.. {
            // Every third is closed, so that both kinds of entries are written when the kill comes.
            let permit = ledger.open_query(opening(number)).await.unwrap();
            let line = format!("ACK {}\n", permit.query());
            std::io::stdout().write_all(line.as_bytes()).unwrap();
            std::io::stdout().flush().unwrap();
            if number % 3 == 0 {
                permit.completed(1, 1);
            } else {
                held.push(permit);
            }
        }
    });
}

#[test]
fn inv_04_inv_05_kill_9_loses_no_acknowledged_opening_and_leaves_none_open() {
    for acknowledgements in [1, 40, 333] {
        let dir = folder();
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "tests::kill::child_that_is_killed",
                "--exact",
                "--nocapture",
            ])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut acknowledged = BTreeSet::new();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut killed = false;
        // Read on after the kill: what is still in the pipe was acknowledged, too.
        while let Some(Ok(line)) = output.next() {
            // The runner's own words may stand before the first.
            if let Some((_, id)) = line.split_once("ACK ") {
                acknowledged.insert(id.to_owned());
            }
            if acknowledged.len() >= acknowledgements && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(acknowledged.len() >= acknowledgements);

        let (ledger, recovery) = open(dir.path());
        run(ledger.shutdown()).unwrap();
        assert_eq!(verify(&file_in(&dir)).unwrap().open, 0);
        let told = records(&dir);
        let abandoned: BTreeSet<_> = recovery.abandoned.iter().map(ToString::to_string).collect();
        for id in &acknowledged {
            let record = told
                .iter()
                .find(|record| record.query.to_string() == *id)
                .unwrap();
            if abandoned.contains(id) {
                assert_eq!(record.outcome, Outcome::Abandoned);
                assert_eq!(
                    record.reason.as_deref(),
                    Some("found open when the server started")
                );
            } else {
                assert_eq!(record.outcome, Outcome::Completed);
            }
        }
        assert!(told.iter().all(|record| record.outcome != Outcome::Open));
    }
}
