//! `scrim ledger`.

use std::fs;

use chrono::TimeDelta;

use super::scrim;
use crate::kit::{Local, Scratch};

/// A world whose ledger holds four queries of two people, in two hours.
async fn asked() -> Scratch {
    let world = Scratch::demo();
    let local = Local::start(&world).await;
    for (id, sql) in [
        ("nora", "SELECT count(*) FROM care.patients"),
        ("rolf", "SELECT count(*) FROM care.visits"),
        ("rolf", "SELECT full_name FROM care.patients"),
    ] {
        drop(local.rows(&local.usual(id), sql, None).await);
    }
    local.clock.advance(TimeDelta::hours(1));
    let sql = "SELECT 1 / (length(ward) - length(ward))\nFROM care.patients -- \u{1b}[31mred";
    local
        .rows(&local.usual("rolf"), sql, None)
        .await
        .unwrap_err();
    local.ledger.shutdown().await.unwrap();
    world
}

fn shown(world: &Scratch, filter: &[&str]) -> Vec<serde_json::Value> {
    let arguments = ["ledger", "show", "ledger", "--json"].iter().chain(filter);
    let text = scrim(world.root(), arguments).good();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_shown_by_principal_table_time_and_outcome() {
    let world = asked().await;
    for (filter, count) in [
        (&[][..], 4),
        (&["--principal", "nora"], 1),
        (&["--principal", "nobody"], 0),
        (&["--table", "care.patients"], 3),
        (&["--table", "scrim.care.visits"], 1),
        (&["--since", "2026-03-02T13:00:00Z"], 1),
        (&["--until", "2026-03-02T13:00:00Z"], 3),
        (&["--since", "2026-03-02", "--until", "2026-03-03"], 4),
        (&["--since", "2026-03-03"], 0),
        (&["--outcome", "completed"], 2),
        (&["--outcome", "refused"], 1),
        (&["--outcome", "failed", "--principal", "rolf"], 1),
        (&["--outcome", "failed", "--principal", "nora"], 0),
    ] {
        assert_eq!(shown(&world, filter).len(), count, "{filter:?}");
    }
    let all = scrim(world.root(), ["ledger", "show", "ledger"]).good();
    for word in [
        "nora (northgate)",
        "rolf (meridian)",
        "for research",
        "divide-by-zero",
        "name-not-found",
        "scrim.care.visits",
        "meridian-visits",
        "2026-03-02 13:00:00",
    ] {
        assert!(all.contains(word), "{word}: {all}");
    }
    assert!(
        !all.contains('\u{1b}'),
        "a statement colours the owner's terminal: {all:?}"
    );
    scrim(
        world.root(),
        ["ledger", "show", "ledger", "--outcome", "lost"],
    )
    .bad(2);
    scrim(
        world.root(),
        ["ledger", "show", "ledger", "--since", "yesterday"],
    )
    .bad(2);
    scrim(world.root(), ["ledger", "show", "nowhere"]).bad(2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_is_verified_and_its_first_bad_line_named() {
    let world = asked().await;
    let path = world.path("ledger/ledger.jsonl");
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let said = scrim(world.root(), ["ledger", "verify", "ledger"]).good();
    assert!(said.contains(&format!("{} entries", lines.len())), "{said}");
    let same = scrim(world.root(), ["ledger", "verify", "ledger/ledger.jsonl"]).good();
    assert_eq!(said.rsplit(' ').next(), same.rsplit(' ').next());
    let changed = good.replacen("\"rolf\"", "\"nora\"", 1);
    let changed_at = good
        .lines()
        .position(|line| line.contains("\"rolf\""))
        .unwrap()
        + 1;
    let swapped = [&lines[..2], &[lines[3], lines[2]], &lines[4..]]
        .concat()
        .join("\n")
        + "\n";
    let removed = [&lines[..2], &lines[3..]].concat().join("\n") + "\n";
    let inserted = [&lines[..2], &lines[1..]].concat().join("\n") + "\n";
    let beheaded = lines[1..].join("\n") + "\n";
    for (what, text, line) in [
        ("changed", changed, changed_at),
        ("swapped", swapped, 3),
        ("removed", removed, 3),
        ("inserted", inserted, 3),
        ("beheaded", beheaded, 1),
        ("garbage", format!("{good}garbage\n"), lines.len() + 1),
    ] {
        fs::write(&path, text).unwrap();
        let said = scrim(world.root(), ["ledger", "verify", "ledger"]).bad(1);
        assert!(said.contains(&format!("line {line}:")), "{what}: {said}");
        scrim(world.root(), ["ledger", "show", "ledger"]).bad(1);
    }
    scrim(world.root(), ["ledger", "verify", "nowhere"]).bad(2);
}
