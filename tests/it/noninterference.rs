//! Non-interference: two worlds that agree on all that a principal may see and differ elsewhere
//! give equal answers to every statement, byte for byte.
//!
//! A failure prints the persona, the seed and the statement; the same seed gives the same worlds
//! and the same statements on every machine.

mod hidden;

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use scrim_model::Code;

use hidden::HIDDEN;

use crate::support::cell::CANARY;
use crate::support::data::Data;
use crate::support::files::Layout;
use crate::support::observe::{Observed, conclude, difference, holds, observe, on_a_value};
use crate::support::personas::Persona;
use crate::support::place::{Place, Places};
use crate::support::scene::Scene;
use crate::support::sql::{Statement, Statements};
use crate::support::tables::Table;

/// Two worlds that one persona cannot tell apart.
struct Pair {
    persona: Persona,
    seed: u64,
    a: Scene,
    b: Scene,
    rng: ChaCha8Rng,
    failures: Vec<String>,
    /// What a failure on a value was said to be, by code: one text, whatever the value.
    said: BTreeMap<Code, String>,
    answered: usize,
    asked: usize,
}

impl Pair {
    async fn new(places: Places, persona: Persona, seed: u64, partitions: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed * 10 + persona as u64);
        let base = Data::base(places, &mut rng);
        let (first, second) = (
            base.variant(persona, &mut rng),
            base.variant(persona, &mut rng),
        );
        for table in Table::ALL {
            let seen = |data: &Data| persona.authorised(table, data).map(|shown| shown.rows);
            assert_eq!(
                seen(&first),
                seen(&second),
                "the worlds of seed {seed} differ in what shows"
            );
        }
        let (one, other) = (Layout::random(&mut rng), Layout::random(&mut rng));
        let a = Scene::new(&first, &one, partitions).await;
        let b = Scene::new(&second, &other, partitions).await;
        Self {
            persona,
            seed,
            a,
            b,
            rng,
            failures: Vec::new(),
            said: BTreeMap::new(),
            answered: 0,
            asked: 0,
        }
    }

    async fn ask(&self, sql: &str) -> (Observed, Observed) {
        let (one, other) = (self.a.ask(self.persona), self.b.ask(self.persona));
        (
            observe(&self.a.engine, &one, sql).await,
            observe(&self.b.engine, &other, sql).await,
        )
    }

    fn blame(&mut self, what: &str, sql: &str, a: &Observed, b: &Observed) {
        let (persona, seed) = (self.persona, self.seed);
        self.failures.push(format!(
            "{what}\npersona {persona:?}, seed {seed}\n{sql}\nA: {a}\nB: {b}"
        ));
    }

    /// Runs one statement in both worlds; with several partitions only what both answer counts,
    /// because which of several expressions fails first is then a matter of threads.
    async fn compare(&mut self, statement: &Statement, partitions: usize) {
        let sql = &statement.sql;
        let (a, b) = self.ask(sql).await;
        self.asked += 1;
        let both = a.answer.is_ok() && b.answer.is_ok();
        self.answered += usize::from(both);
        if (both || partitions == 1)
            && let Some(what) = difference(&a, &b, statement)
        {
            self.blame(what, sql, &a, &b);
        }
        // A plan repeats the statement's own literals.
        let canary = |o: &Observed| holds(&o.wire, CANARY.as_bytes());
        if !statement.explain && (canary(&a) || canary(&b)) {
            self.blame("a canary leaves", sql, &a, &b);
        }
        let bad = |o: &Observed| {
            o.answer.as_ref().is_err_and(|(code, message)| {
                *code == Code::Internal || (message.contains(CANARY) && !sql.contains(CANARY))
            })
        };
        if bad(&a) || bad(&b) {
            self.blame("a refusal that should not be", sql, &a, &b);
        }
        let refusals = [&a, &b].into_iter().filter_map(|o| o.answer.as_ref().err());
        for (code, message) in refusals.filter(|(code, _)| on_a_value(*code)) {
            if self.said.entry(*code).or_insert_with(|| message.clone()) != message {
                self.failures
                    .push(format!("{code} is told in two ways: {message}\n{sql}"));
            }
        }
    }
}

async fn compare_many(
    places: Places,
    seeds: std::ops::Range<u64>,
    statements: usize,
    partitions: usize,
) {
    let (mut failures, mut asked, mut answered) = (Vec::new(), 0, 0);
    for seed in seeds {
        for persona in Persona::ALL {
            let mut pair = Pair::new(places, persona, seed, partitions).await;
            let mut rng = pair.rng.clone();
            let mut generator = Statements::new(persona, places, &mut rng);
            for _ in 0..statements {
                let statement = generator.statement();
                pair.compare(&statement, partitions).await;
            }
            failures.append(&mut pair.failures);
            asked += pair.asked;
            answered += pair.answered;
        }
    }
    println!("{asked} statements in two worlds each, {answered} answered in both");
    conclude(&failures);
    assert!(
        answered * 2 > asked,
        "only {answered} of {asked} statements were answered"
    );
}

#[tokio::test]
async fn inv_06_answers_do_not_depend_on_what_is_hidden() {
    compare_many(Places::LOCAL, 0..4, 90, 1).await;
}

#[tokio::test]
async fn inv_06_answers_of_parallel_plans_do_not_depend_on_what_is_hidden() {
    compare_many(Places::LOCAL, 100..102, 50, 4).await;
}

#[tokio::test]
async fn inv_06_answers_from_postgres_do_not_depend_on_what_is_hidden() {
    compare_many(Places::POSTGRES, 600..602, 80, 1).await;
}

#[tokio::test]
async fn inv_06_answers_from_a_store_do_not_depend_on_what_is_hidden() {
    compare_many(Places::S3, 610..611, 60, 1).await;
}

#[tokio::test]
async fn inv_06_answers_from_several_sources_do_not_depend_on_what_is_hidden() {
    compare_many(Places::MIXED, 620..621, 60, 1).await;
    compare_many(Places::MIXED, 621..622, 40, 4).await;
}

/// Joins and limited sorts by a column of each table, with divisions beside them that fail on some
/// rows: `{x}` and `{y}` are tables with keys `{a}` and `{b}`, joined by `{c}` and `{d}`.
const LEARNING: &[&str] = &[
    "SELECT x.{a} AS k, y.q FROM {x} x JOIN (SELECT {d} AS d, 100 / {n} AS q FROM {y}) y ON x.{c} = y.d",
    "SELECT x.{a} AS k FROM {x} x JOIN {y} y ON x.{c} = y.{d} WHERE 100 / y.{n} > 1",
    "SELECT x.{a} AS k FROM {x} x JOIN {y} y ON x.{c} = y.{d} AND 100 / y.{n} > x.{c}",
    "SELECT y.q FROM (SELECT {c} AS c FROM {x} ORDER BY {c}, {a} LIMIT 2) x \
     JOIN (SELECT {d} AS d, {b} AS q FROM {y} WHERE 100 / {n} < 1000) y ON x.c = y.d",
    "SELECT d, q FROM (SELECT {d} AS d, 100 / {n} AS q, {b} AS b FROM {y}) y ORDER BY d, b LIMIT 2",
    "SELECT {d} AS d, {b} AS b FROM {y} WHERE 100 / {n} < 1000 ORDER BY 1, 2 LIMIT 2",
    "SELECT {d} AS d, {b} AS b FROM {y} ORDER BY 1, 2 LIMIT 2",
];

/// Statements that learn by every pair of columns of a type.
fn learning(persona: Persona, rng: &mut ChaCha8Rng) -> Vec<Statement> {
    let columns = |table: Table| -> Vec<(String, DataType)> {
        let schema = table.schema(Place::Local, false);
        let fields = persona
            .columns(table, Places::LOCAL)
            .into_iter()
            .map(|i| schema.field(i));
        let plain =
            |kind: &DataType| matches!(kind, DataType::Int64 | DataType::Int32 | DataType::Utf8);
        let plain = fields.filter(|field| plain(field.data_type()));
        plain
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect()
    };
    let tables = Table::ALL.into_iter();
    let mut all = Vec::new();
    for (x, y) in tables.flat_map(|x| Table::ALL.map(|y| (x, y))) {
        let (of_x, of_y) = (columns(x), columns(y));
        let numbers: Vec<_> = of_y.iter().filter(|column| column.1.is_integer()).collect();
        let pairs = of_x.iter().flat_map(|c| of_y.iter().map(move |d| (c, d)));
        for (c, d) in pairs.filter(|(c, d)| c.1 == d.1) {
            let mut sql = (*LEARNING.choose(rng).unwrap()).to_owned();
            let table = |table: Table| format!("{}.{}", table.domain(), table.name());
            for (place, with) in [
                ("{x}", table(x).as_str()),
                ("{y}", &table(y)),
                ("{a}", x.key()),
                ("{b}", y.key()),
                ("{c}", &c.0),
                ("{d}", &d.0),
                ("{n}", &numbers.choose(rng).unwrap().0),
            ] {
                sql = sql.replace(place, with);
            }
            all.push(Statement {
                total: sql.clone(),
                sql,
                ordered: false,
                may_fail: true,
                explain: false,
                racing: false,
            });
        }
    }
    all
}

#[tokio::test]
async fn inv_06_what_a_query_learns_on_the_way_does_not_depend_on_what_is_hidden() {
    let (mut failures, mut asked, mut answered) = (Vec::new(), 0, 0);
    for (seed, persona) in (350..353).flat_map(|seed| Persona::ALL.map(|p| (seed, p))) {
        let mut pair = Pair::new(Places::LOCAL, persona, seed, 1).await;
        let mut rng = pair.rng.clone();
        for statement in learning(persona, &mut rng) {
            pair.compare(&statement, 1).await;
        }
        failures.append(&mut pair.failures);
        asked += pair.asked;
        answered += pair.answered;
    }
    println!("{asked} statements in two worlds each, {answered} answered in both");
    conclude(&failures);
    let refused = asked - answered;
    assert!(answered > 100 && refused > 100, "{answered} {refused}");
}

#[tokio::test]
async fn inv_07_metadata_do_not_depend_on_what_is_hidden() {
    compare_metadata(Places::LOCAL).await;
}

#[tokio::test]
async fn inv_07_metadata_of_several_sources_do_not_depend_on_what_is_hidden() {
    compare_metadata(Places::MIXED).await;
}

async fn compare_metadata(places: Places) {
    for persona in Persona::ALL {
        let mut pair = Pair::new(places, persona, 200, 1).await;
        let (a, b) = (pair.a.ask(persona), pair.b.ask(persona));
        let (a, b) = (
            pair.a.engine.visible(&a).await.unwrap(),
            pair.b.engine.visible(&b).await.unwrap(),
        );
        assert_eq!(
            a.len(),
            Table::ALL
                .iter()
                .filter(|t| !persona.columns(**t, places).is_empty())
                .count()
        );
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(
                (&a.name, &a.description, &a.schema),
                (&b.name, &b.description, &b.schema)
            );
            assert_eq!(
                (&a.decision.columns, &a.decision.hash),
                (&b.decision.columns, &b.decision.hash)
            );
            let table = Table::ALL
                .into_iter()
                .find(|t| t.name() == a.name.table)
                .unwrap();
            let shown = persona
                .authorised(table, &Data::base(places, &mut pair.rng))
                .unwrap();
            assert_eq!(
                a.schema, shown.schema,
                "{persona:?} sees other columns of {table:?}"
            );
        }
        for sql in [
            "SHOW TABLES",
            "SHOW COLUMNS FROM people",
            "DESCRIBE people",
            "DESCRIBE clinic.visits",
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM information_schema.columns",
            "SELECT * FROM information_schema.schemata",
            "SELECT * FROM information_schema.views",
            "SHOW ACCESS",
            "SHOW ACCESS ON people",
            "SHOW ACCESS ON clinic.visits",
            "EXPLAIN ACCESS SELECT * FROM people",
            "EXPLAIN ACCESS SELECT count(*) FROM visits v JOIN people p ON v.person = p.id",
        ] {
            let (a, b) = pair.ask(sql).await;
            let text = a.to_string();
            assert_eq!(text, b.to_string(), "{sql}");
            assert!(a.answer.is_ok(), "{sql}: {text}");
            for hidden in ["secret", "extra", "consent", "vault", "wards"] {
                assert!(!text.contains(hidden), "{sql} shows {hidden}\n{text}");
            }
        }
    }
}

#[tokio::test]
async fn inv_07_what_a_result_says_of_itself_does_not_depend_on_what_is_hidden() {
    for places in [Places::LOCAL, Places::MIXED] {
        compare_what_results_say(places).await;
    }
}

async fn compare_what_results_say(places: Places) {
    for persona in Persona::ALL {
        let pair = Pair::new(places, persona, 250, 1).await;
        for table in Table::ALL
            .into_iter()
            .filter(|t| !persona.columns(*t, places).is_empty())
        {
            let sql = format!("SELECT * FROM {}.{}", table.domain(), table.name());
            let (a, b) = (pair.a.ask(persona), pair.b.ask(persona));
            let a = pair.a.engine.bind(&a, &sql, None).await.unwrap();
            let b = pair.b.engine.bind(&b, &sql, None).await.unwrap();
            assert_eq!(a.about(), b.about(), "{persona:?}: {sql}");
            // how many parts there are is no matter of data either
            assert_eq!(a.shares(8), b.shares(8), "{persona:?}: {sql}");
            let text = format!("{:?}", a.about());
            for hidden in ["secret", "extra", "consent", "vault", "wards"] {
                let visible = a.schema().field_with_name(hidden).is_ok();
                assert!(visible || !text.contains(hidden), "{persona:?}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn inv_07_what_is_hidden_reads_like_what_does_not_exist() {
    let pair = Pair::new(Places::LOCAL, Persona::Bob, 300, 1).await;
    let mut failures = Vec::new();
    let own = [
        ("SELECT * FROM shop.{}", "orders", "nosuch"),
        ("SHOW ACCESS ON shop.{}", "orders", "nosuch"),
        ("EXPLAIN ACCESS SELECT 1 FROM shop.{}", "orders", "nosuch"),
        ("SELECT {} FROM people", "email", "nosuc"),
    ];
    for (template, hidden, missing) in HIDDEN.iter().copied().chain(own) {
        let without = |o: &Observed, name: &str| match &o.answer {
            Ok(answer) => format!("answered: {}", answer.text()),
            Err((code, message)) => {
                let lower = name.to_lowercase();
                format!(
                    "{code}: {}",
                    message.replace(name, "NAME").replace(&lower, "NAME")
                )
            }
        };
        let (a, b) = pair.ask(&template.replace("{}", hidden)).await;
        let (c, _) = pair.ask(&template.replace("{}", missing)).await;
        let (first, second) = (without(&a, hidden), without(&b, hidden));
        let third = without(&c, missing);
        if first != second || first != third || a.answer.is_ok() && !template.contains("LIKE") {
            failures.push(format!(
                "{template}\n{hidden}: {first}\n{hidden}: {second}\n{missing}: {third}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test]
async fn inv_16_no_byte_of_what_is_hidden_leaves() {
    look_for_bytes(Places::LOCAL, &[1, 4]).await;
}

#[tokio::test]
async fn inv_16_no_byte_of_what_is_hidden_in_a_database_or_a_store_leaves() {
    look_for_bytes(Places::POSTGRES, &[1]).await;
    look_for_bytes(Places::S3, &[1]).await;
}

async fn look_for_bytes(places: Places, partitions: &[usize]) {
    let mut failures = Vec::new();
    for (persona, seed) in [
        (Persona::Ana, 400),
        (Persona::Bob, 401),
        (Persona::Cyd, 402),
    ] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let data = Data::base(places, &mut rng).variant(persona, &mut rng);
        let unseen = traces(&data, persona);
        assert!(
            unseen.len() > 200,
            "{} values to look for are too few",
            unseen.len()
        );
        for partitions in partitions.iter().copied() {
            let scene = Scene::new(&data, &Layout::random(&mut rng), partitions).await;
            for sql in wire_statements(places, persona) {
                let seen = observe(&scene.engine, &scene.ask(persona), &sql).await;
                assert!(seen.answer.is_ok(), "{sql}: {seen}");
                if let Some(found) = unseen.iter().find(|value| holds(&seen.wire, value)) {
                    let shown = String::from_utf8_lossy(found);
                    failures.push(format!(
                        "{persona:?}, seed {seed}: {sql}\nholds {shown:?} {found:?}"
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Bytes of all raw values that the persona may not see and that are no part of what it may see.
fn traces(data: &Data, persona: Persona) -> Vec<Vec<u8>> {
    let visible: Vec<u8> = Table::ALL
        .iter()
        .filter_map(|table| persona.authorised(*table, data))
        .flat_map(|shown| shown.rows.into_iter().flatten())
        .flat_map(|cell| cell.trace())
        .flat_map(|mut bytes| {
            bytes.push(0);
            bytes
        })
        .collect();
    let mut traces: Vec<Vec<u8>> = data
        .unseen(persona)
        .iter()
        .flat_map(super::support::cell::Cell::trace)
        .collect();
    traces.sort();
    traces.dedup();
    traces.retain(|trace| !holds(&visible, trace));
    traces
}

fn wire_statements(places: Places, persona: Persona) -> Vec<String> {
    let mut all = Vec::new();
    for table in Table::ALL
        .into_iter()
        .filter(|t| !persona.columns(*t, places).is_empty())
    {
        let name = format!("{}.{}", table.domain(), table.name());
        let key = table.key();
        for sql in [
            format!("SELECT * FROM {name}"),
            format!("SELECT * FROM {name} LIMIT 3"),
            format!("SELECT * FROM {name} ORDER BY {key} DESC"),
            format!("SELECT * FROM {name} ORDER BY {key} LIMIT 5 OFFSET 2"),
            format!("SELECT * FROM {name} WHERE {key} IS NOT NULL AND {key} % 2 = 0"),
            format!("SELECT * FROM {name} UNION ALL SELECT * FROM {name}"),
            format!("SELECT a.* FROM {name} a JOIN {name} b ON a.{key} = b.{key}"),
            format!("SELECT a.* FROM {name} a LEFT JOIN clinic.people b ON a.{key} = b.id"),
            format!("SELECT *, row_number() OVER (ORDER BY {key}) AS n FROM {name}"),
        ] {
            all.push(sql);
        }
        let schema = table.schema(places.of(table), false);
        for column in persona.columns(table, places) {
            let column = schema.field(column).name();
            all.push(format!("SELECT {column} FROM {name}"));
            all.push(format!(
                "SELECT min({key}), array_agg({column}) AS c FROM {name} GROUP BY {key} % 3"
            ));
        }
    }
    all
}
