//! What partners will try: the classes of the threat model, each with the answer that must come.
//!
//! The attacker is Ana, an analyst. What she may see is clean: no zero weights, numeric codes and
//! kinds. What is hidden from her is full of zeros, of text that is no number, and of canaries.

use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scrim_engine::EngineLimits;
use scrim_model::Code;

use crate::support::cell::{CANARY, Cell};
use crate::support::data::Data;
use crate::support::files::Layout;
use crate::support::observe::{holds, observe};
use crate::support::personas::Persona;
use crate::support::plain;
use crate::support::scene::{Scene, limits};
use crate::support::tables::Table;

mod cases;

use cases::{ACCESS, EXPLAINED, FLOATS, MASKS, ORACLES, PANICS, REFUSED, STATISTICS, too_large};

const ME: Persona = Persona::Ana;

async fn world(seed: u64, partitions: usize, limits: EngineLimits) -> (Data, Scene) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let data = Data::clean(&mut rng).variant(ME, &mut rng);
    let layout = Layout::random(&mut rng);
    let scene = Scene::with_limits(&data, &layout, partitions, limits).await;
    (data, scene)
}

/// Every statement is answered, and as plain DataFusion answers it over the authorised copy.
async fn same_as_the_copy(statements: &[&str]) {
    let mut failures = Vec::new();
    for seed in 600..604 {
        let partitions = if seed % 2 == 0 { 1 } else { 4 };
        let (data, scene) = world(seed, partitions, limits()).await;
        let copy = plain::session(&data, ME);
        let ask = scene.ask(ME);
        for sql in statements {
            let ours = observe(&scene.engine, &ask, sql).await;
            let theirs = plain::answer(&copy, sql)
                .await
                .unwrap_or_else(|e| panic!("{sql}: {e}"));
            let same = ours.answer.as_ref().is_ok_and(|ours| {
                ours.columns() == theirs.columns() && ours.rows(false) == theirs.rows(false)
            });
            if !same {
                failures.push(format!(
                    "seed {seed}: {sql}\nours: {ours}\ncopy: {}",
                    theirs.text()
                ));
            }
            if holds(&ours.wire, CANARY.as_bytes()) {
                failures.push(format!("seed {seed}: {sql}\na canary leaves"));
            }
        }
    }
    let first: Vec<&str> = failures.iter().take(8).map(String::as_str).collect();
    assert!(
        failures.is_empty(),
        "{} failures\n\n{}",
        failures.len(),
        first.join("\n\n")
    );
}

#[tokio::test]
async fn inv_06_errors_are_no_oracle_for_hidden_rows() {
    same_as_the_copy(ORACLES).await;
}

#[tokio::test]
async fn inv_06_the_mask_is_the_value_everywhere() {
    same_as_the_copy(MASKS).await;
}

#[tokio::test]
async fn inv_07_statistics_count_visible_rows_only() {
    same_as_the_copy(STATISTICS).await;
}

/// A hidden row decides what the statistics of its row group say, and so whether it is pruned; a
/// visible NaN, which they leave out, must be found all the same.
#[tokio::test]
async fn inv_07_pruning_does_not_tell_of_hidden_floats() {
    let mut rng = ChaCha8Rng::seed_from_u64(605);
    let base = Data::clean(&mut rng);
    let order = |oid: i64, amount: f64, status: &str| {
        let mut row = base.rows(Table::Orders)[0].clone();
        row[Table::Orders.column("oid")] = Cell::Int(oid);
        row[Table::Orders.column("amount")] = Cell::Float(amount);
        row[Table::Orders.column("status")] = Cell::text(status);
        row
    };
    let mut seen = Vec::new();
    for hidden in [100.0, 1.0, -100.0] {
        let rows = vec![
            order(1, f64::NAN, "open"),
            order(2, 1.5, "open"),
            order(3, -0.0, "open"),
            order(4, hidden, "void"),
        ];
        let data = base.clone().with_rows(Table::Orders, rows);
        let scene = Scene::new(&data, &Layout::plain(), 1).await;
        let mut answers = Vec::new();
        for condition in FLOATS {
            let sql = format!("SELECT oid FROM shop.orders WHERE {condition} ORDER BY oid");
            answers.push(format!(
                "{sql}\n{}",
                observe(&scene.engine, &scene.ask(ME), &sql).await
            ));
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[1], seen[2]);
}

/// The same by the owner's own rule: a visible NaN beside a hidden number, and beside a hidden NULL.
/// A reader that takes the one number for the whole column would show it, too.
#[tokio::test]
async fn inv_07_statistics_put_no_hidden_float_in_the_place_of_nan() {
    let mut rng = ChaCha8Rng::seed_from_u64(606);
    let base = Data::clean(&mut rng);
    let row = |table: Table, cells: &[(&str, Cell)]| {
        let mut row = base.rows(table)[0].clone();
        for (column, cell) in cells {
            row[table.column(column)] = cell.clone();
        }
        row
    };
    let nan = || Cell::Float(f64::NAN);
    for hidden in [Cell::Float(35.0), Cell::Float(-100.0), Cell::Null] {
        let visits = vec![
            row(Table::Visits, &[("temp", nan())]),
            row(Table::Visits, &[("temp", hidden.clone())]),
        ];
        let open = ("status", Cell::text("open"));
        let void = ("status", Cell::text("void"));
        let orders = vec![
            row(Table::Orders, &[("amount", nan()), open]),
            row(Table::Orders, &[("amount", hidden.clone()), void]),
        ];
        let data = base
            .clone()
            .with_rows(Table::Visits, visits)
            .with_rows(Table::Orders, orders);
        let scene = Scene::new(&data, &Layout::plain(), 1).await;
        for (who, sql) in [
            (Persona::Bob, "SELECT temp FROM visits"),
            (Persona::Ana, "SELECT amount FROM shop.orders"),
        ] {
            let seen = observe(&scene.engine, &scene.ask(who), sql).await;
            let seen = seen.answer.unwrap();
            assert_eq!(seen.len(), 1, "{sql} beside {hidden:?}");
            assert!(seen.text().contains("NaN"), "{}", seen.text());
        }
    }
}

#[tokio::test]
async fn inv_07_explain_shows_the_askers_own_plan_only() {
    let (_, scene) = world(610, 2, limits()).await;
    for sql in EXPLAINED {
        let seen = observe(&scene.engine, &scene.ask(ME), sql).await;
        let text = seen.to_string();
        assert!(
            seen.answer.is_ok() && text.contains("GuardExec"),
            "{sql}\n{text}"
        );
        for inside in [
            "parquet",
            "consent",
            "home",
            "extra",
            "secret",
            "X%",
            "keep_first",
            "bucket",
            "mask",
            "wards",
            "metrics",
            "statistics",
            "Rows=",
            "Exact",
            "RowGroup",
            "pruning",
            "/",
            CANARY,
        ] {
            assert!(
                !text.contains(inside),
                "{sql}: the plan shows {inside}\n{text}"
            );
        }
    }
}

#[tokio::test]
async fn inv_07_access_is_told_of_what_shows_only() {
    let (_, scene) = world(613, 2, limits()).await;
    for sql in ACCESS {
        let seen = observe(&scene.engine, &scene.ask(ME), sql).await;
        let text = seen.to_string();
        assert!(seen.answer.is_ok(), "{sql}\n{text}");
        for inside in [
            "consent",
            "home",
            "extra",
            "secret",
            "vault",
            "X%",
            "wards",
            "lookup",
            "principal",
            "context",
            "office",
            "audit",
            "research",
            "beta",
            CANARY,
        ] {
            let written = sql.contains(inside);
            assert!(
                written || !text.contains(inside),
                "{sql} tells of {inside}\n{text}"
            );
        }
    }
}

/// The names that the planner makes up come from a counter, which must not be everybody's.
#[tokio::test]
async fn inv_07_plans_do_not_count_the_queries_of_others() {
    let (_, scene) = world(611, 1, limits()).await;
    let sql = "EXPLAIN SELECT id FROM people WHERE weight IN (SELECT minutes FROM visits WHERE person = id)";
    let first = observe(&scene.engine, &scene.ask(ME), sql)
        .await
        .to_string();
    let nested =
        "SELECT vid FROM visits v WHERE ward IN (SELECT ward FROM visits WHERE day = v.day)";
    assert!(
        observe(&scene.engine, &scene.ask(Persona::Bob), nested)
            .await
            .answer
            .is_ok()
    );
    let second = observe(&scene.engine, &scene.ask(ME), sql)
        .await
        .to_string();
    assert!(first.contains("__"), "{first}");
    assert_eq!(first, second);
}

/// A query has one time: that of its decisions.
#[tokio::test]
async fn the_time_of_a_query_is_that_of_its_decisions() {
    let (_, scene) = world(612, 1, limits()).await;
    let mut ask = scene.ask(ME);
    for seconds in [1_780_000_000_i64, 1_780_000_060] {
        ask.context.time = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        let sql = "SELECT CAST(now() AS BIGINT) / 1000000000 AS s, current_date = CAST(now() AS DATE) AS d";
        let seen = observe(&scene.engine, &ask, sql)
            .await
            .answer
            .unwrap()
            .text();
        assert!(
            seen.contains(&seconds.to_string()) && seen.contains("true"),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn inv_13_only_reading_with_listed_functions_is_served() {
    let (_, scene) = world(620, 1, limits()).await;
    let mut failures = Vec::new();
    for (sql, codes) in REFUSED {
        let seen = observe(&scene.engine, &scene.ask(ME), sql).await;
        let fine = seen.answer.as_ref().is_err_and(|(code, message)| {
            codes.contains(code) && !message.contains(CANARY) && !message.contains("parquet\"")
        });
        if !fine {
            failures.push(format!("{sql}\nexpected {codes:?}, got {seen}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test]
async fn inv_14_large_deep_and_wide_statements_are_refused() {
    let (_, scene) = world(630, 1, limits()).await;
    for (what, sql, codes) in too_large() {
        let seen = observe(&scene.engine, &scene.ask(ME), &sql).await;
        let code = seen.answer.as_ref().err().map(|(code, _)| *code);
        assert!(
            code.is_some_and(|code| codes.contains(&code)),
            "{what}: {seen}"
        );
    }
}

#[tokio::test]
async fn inv_14_rows_bytes_and_time_end_queries() {
    let cross =
        "SELECT a.id FROM people a CROSS JOIN people b CROSS JOIN people c CROSS JOIN people d";
    let endless =
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";
    let wide = "SELECT rpad(code, 1000, 'x') AS c FROM people a CROSS JOIN visits b CROSS JOIN (VALUES (1), (2)) AS c";
    let strict = EngineLimits {
        rows_max: 5_000,
        bytes_max: 2_000_000,
        time: Duration::from_millis(1_500),
        ..EngineLimits::default()
    };
    let (_, scene) = world(640, 2, strict).await;
    let code = |seen: &crate::support::observe::Observed| seen.answer.as_ref().err().map(|e| e.0);
    let seen = observe(&scene.engine, &scene.ask(ME), cross).await;
    assert_eq!(code(&seen), Some(Code::RowLimit), "{seen}");
    let seen = observe(&scene.engine, &scene.ask(ME), wide).await;
    assert!(
        matches!(code(&seen), Some(Code::ByteLimit | Code::RowLimit)),
        "{seen}"
    );
    // While one runs to its end, another is answered.
    let ask = scene.ask(ME);
    let (long, short) = tokio::join!(
        observe(&scene.engine, &ask, endless),
        observe(&scene.engine, &ask, "SELECT count(*) AS n FROM people")
    );
    assert!(
        matches!(code(&long), Some(Code::TimeLimit | Code::MemoryLimit)),
        "{long}"
    );
    assert!(short.answer.is_ok(), "{short}");
}

#[tokio::test]
async fn inv_14_a_panic_or_a_huge_allocation_ends_one_query_only() {
    let (_, scene) = world(650, 1, limits()).await;
    let before = observe(
        &scene.engine,
        &scene.ask(ME),
        "SELECT count(*) AS n FROM people",
    )
    .await;
    for sql in PANICS {
        let seen = observe(&scene.engine, &scene.ask(ME), sql).await;
        if let Err((code, message)) = &seen.answer {
            // It is the statement's own fault, and no table's.
            assert_ne!(*code, Code::SourceUnavailable, "{sql}: {seen}");
            assert!(
                !message.contains("panic") && !message.contains(CANARY),
                "{sql}: {message}"
            );
        }
        let after = observe(
            &scene.engine,
            &scene.ask(ME),
            "SELECT count(*) AS n FROM people",
        )
        .await;
        assert_eq!(after.to_string(), before.to_string(), "after {sql}");
    }
}
