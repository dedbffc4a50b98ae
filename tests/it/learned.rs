//! What joins and limited sorts learn on the way, and who may be told.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::support::data::Data;
use crate::support::masks::Treat;
use crate::support::observe::{conclude, observe};
use crate::support::personas::Persona;
use crate::support::place::{Place, Places};
use crate::support::plain;
use crate::support::recording::{Claim, Record};
use crate::support::scene::Scene;
use crate::support::tables::Table;

/// The columns of filters, by the table whose source was given them.
type Columns = Vec<(Table, Vec<String>)>;

/// A world whose sources judge every row, hidden ones too, by what they are told.
struct Told {
    scene: Scene,
    record: Record,
    persona: Persona,
    data: Data,
}

impl Told {
    async fn new(persona: Persona, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let data = Data::base(Places::LOCAL, &mut rng).variant(persona, &mut rng);
        let record = Record::default();
        let tables = |table| Some(record.table(table, &data, Claim::Inexact));
        let scene = Scene::over(&data, &tables).await;
        Self {
            scene,
            record,
            persona,
            data,
        }
    }

    /// The rows of an answer, and the columns that sources were told of.
    async fn ask(&self, sql: &str) -> (Vec<Vec<u8>>, Columns) {
        let ask = self.scene.ask(self.persona);
        let observed = observe(&self.scene.engine, &ask, sql).await;
        let learned = self.record.learned();
        let Ok(answer) = &observed.answer else {
            panic!("{sql}: {observed}");
        };
        (answer.rows(false), learned)
    }
}

/// The columns of a table that may be joined by, each with its type and whether sources may be told
/// of it.
fn keys(persona: Persona, table: Table) -> Vec<(String, DataType, bool)> {
    let schema = table.schema(Place::Local, false);
    let columns = persona
        .columns(table, Places::LOCAL)
        .into_iter()
        .map(|i| schema.field(i));
    let scalar = columns.filter(|field| !field.data_type().is_nested());
    let keys = scalar.map(|field| {
        let profiles = persona.profiles(table);
        let clear = profiles
            .iter()
            .all(|profile| profile.treat(field.name()) == Treat::Clear);
        // no pruning by floats or by dictionaries
        let exact = !field.data_type().is_floating()
            && !matches!(field.data_type(), DataType::Dictionary(..));
        (
            field.name().clone(),
            field.data_type().clone(),
            clear && exact,
        )
    });
    keys.collect()
}

#[tokio::test]
async fn inv_06_sources_are_told_of_clear_columns_alone_and_answers_stay_the_same() {
    let mut failures = Vec::new();
    let (mut asked, mut told) = (0, 0);
    for persona in Persona::ALL {
        let world = Told::new(persona, 700 + persona as u64).await;
        let copy = plain::session(&world.data, persona);
        for (sql, expected) in joins(persona) {
            let (rows, learned) = world.ask(&sql).await;
            let theirs = plain::answer(&copy, &sql).await.unwrap();
            asked += 1;
            told += learned.len();
            if learned != expected {
                failures.push(format!("{persona:?}: {sql}\n{learned:?} not {expected:?}"));
            }
            if rows != theirs.rows(false) {
                failures.push(format!("{persona:?}: {sql}\nthe rows differ"));
            }
        }
        assert!(world.record.dropped() > 300, "{}", world.record.dropped());
    }
    println!("{asked} joins, {told} of which told a source");
    conclude(&failures);
    assert!(told > 50 && asked > told * 2, "{asked} {told}");
}

/// Joins of all pairs of columns of a type, and what each tells which source.
fn joins(persona: Persona) -> Vec<(String, Columns)> {
    let visible = || {
        let all = [Table::People, Table::Visits, Table::Orders].into_iter();
        all.filter(|table| !persona.columns(*table, Places::LOCAL).is_empty())
    };
    let name = |table: Table| format!("{}.{}", table.domain(), table.name());
    let mut joins = Vec::new();
    for (first, second) in visible().flat_map(|a| visible().map(move |b| (a, b))) {
        for (a, a_type, _) in keys(persona, first) {
            for (b, b_type, open) in keys(persona, second) {
                if a_type != b_type {
                    continue;
                }
                let kind = [
                    "JOIN",
                    "LEFT SEMI JOIN",
                    "LEFT JOIN",
                    "FULL JOIN",
                    "LEFT ANTI JOIN",
                ];
                let kind = kind[joins.len() % kind.len()];
                let (left, right) = (first.key(), second.key());
                let right = match kind {
                    "LEFT SEMI JOIN" | "LEFT ANTI JOIN" => String::new(),
                    _ => format!(", y.{right} AS r"),
                };
                let few = format!("(SELECT * FROM {} WHERE {left} % 7 = 1)", name(first));
                let sql = format!(
                    "SELECT x.{left} AS l{right} FROM {few} x {kind} {} y ON x.{a} = y.{b}",
                    name(second)
                );
                let learns = matches!(kind, "JOIN" | "LEFT SEMI JOIN");
                let told = (learns && open).then(|| (second, vec![b]));
                joins.push((sql, told.into_iter().collect()));
            }
        }
    }
    joins
}

/// What falls through, and what nothing falls past: statements and the tables whose sources are told.
const PATHS: &[(&str, &[Table])] = {
    use Table::{Orders, People, Visits};
    &[
        (
            "SELECT o.oid FROM visits v JOIN shop.orders o ON v.vid = o.oid",
            &[Orders],
        ),
        // past filters that cannot raise, other names, and joins by columns
        (
            "SELECT o.oid FROM visits v JOIN (SELECT oid, qty AS q FROM shop.orders WHERE person IS NOT NULL AND amount > 3) o ON v.vid = o.oid",
            &[Orders],
        ),
        (
            "SELECT * FROM (SELECT vid AS id FROM visits WHERE vid < 20) a JOIN (SELECT p.id, o.oid FROM people p JOIN shop.orders o ON p.id = o.person) b ON a.id = b.oid",
            &[Orders, Orders],
        ),
        (
            "SELECT * FROM (SELECT vid AS id FROM visits WHERE vid < 20) a JOIN (SELECT p.id, o.oid FROM people p JOIN shop.orders o ON p.id = o.person) b ON a.id = b.id",
            &[People, Orders],
        ),
        // columns of one name on both sides of a join
        (
            "SELECT * FROM (SELECT oid AS k FROM shop.orders WHERE oid < 9) a JOIN (SELECT x.vid AS k1, y.vid AS k2 FROM visits x JOIN visits y ON x.person = y.person) b ON a.k = b.k2",
            &[Visits, Visits],
        ),
        // limited sorts
        (
            "SELECT id, seen FROM people ORDER BY id DESC LIMIT 3",
            &[People],
        ),
        (
            "SELECT id FROM people ORDER BY region, id LIMIT 3 OFFSET 4",
            &[People],
        ),
        (
            "SELECT id FROM people WHERE rank > 1 ORDER BY id LIMIT 3",
            &[People],
        ),
        ("SELECT id FROM people ORDER BY name, id LIMIT 3", &[]),
        ("SELECT vid FROM visits ORDER BY temp, vid LIMIT 3", &[]),
        ("SELECT id FROM people ORDER BY id + 1 LIMIT 3", &[]),
        ("SELECT id FROM people ORDER BY id", &[]),
        // what can raise, computes a key, counts, or collects
        (
            "SELECT v.vid, p.q FROM visits v JOIN (SELECT id, 1000 / (weight + 100000) AS q FROM people) p ON v.vid = p.id",
            &[],
        ),
        (
            "SELECT v.vid FROM visits v JOIN (SELECT id FROM people WHERE 1000 / (weight + 100000) >= 0) p ON v.vid = p.id",
            &[],
        ),
        (
            "SELECT v.vid FROM visits v JOIN people p ON v.vid = p.id + 1",
            &[],
        ),
        (
            "SELECT v.vid FROM visits v JOIN (SELECT id FROM people ORDER BY id LIMIT 500) p ON v.vid = p.id",
            &[People],
        ),
        (
            "SELECT v.vid FROM visits v JOIN (SELECT id, count(*) AS n FROM people GROUP BY id) p ON v.vid = p.id",
            &[],
        ),
        (
            "SELECT v.vid FROM visits v JOIN (SELECT id FROM people UNION ALL SELECT oid FROM shop.orders) p ON v.vid = p.id",
            &[],
        ),
        (
            "SELECT v.vid, p.n FROM visits v JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM people) p ON v.vid = p.id",
            &[],
        ),
        (
            "SELECT * FROM (SELECT vid AS id FROM visits WHERE vid < 20) a JOIN (SELECT p.id FROM people p JOIN shop.orders o ON p.id = o.person AND 1000 / (o.qty + 100000) < p.weight + 100000) b ON a.id = b.id",
            &[Orders],
        ),
        (
            "SELECT count(*) FROM people WHERE id NOT IN (SELECT vid FROM visits)",
            &[],
        ),
        (
            "SELECT v.vid FROM visits v LEFT JOIN people p ON v.vid = p.id",
            &[],
        ),
        (
            "SELECT v.vid FROM visits v JOIN people p ON v.vid IS NOT DISTINCT FROM p.id",
            &[],
        ),
    ]
};

#[tokio::test]
async fn inv_06_nothing_that_is_learned_falls_past_what_can_raise_or_count() {
    let mut failures = Vec::new();
    for persona in [Persona::Ana] {
        let world = Told::new(persona, 720).await;
        let copy = plain::session(&world.data, persona);
        for (sql, tables) in PATHS {
            let (rows, learned) = world.ask(sql).await;
            let told: Vec<Table> = learned.iter().map(|(table, _)| *table).collect();
            let theirs = plain::answer(&copy, sql).await.unwrap();
            if told != *tables || rows != theirs.rows(false) {
                let same = rows == theirs.rows(false);
                failures.push(format!(
                    "{sql}\n{learned:?}, not {tables:?}; same rows: {same}"
                ));
            }
        }
    }
    conclude(&failures);
}

#[tokio::test]
async fn what_is_learned_in_one_round_of_a_recursion_does_not_reach_the_next() {
    for persona in [Persona::Ana, Persona::Cyd] {
        let world = Told::new(persona, 730).await;
        let copy = plain::session(&world.data, persona);
        for sql in [
            "WITH RECURSIVE r(n, k) AS (SELECT 0, CAST(1 AS BIGINT) UNION ALL \
             SELECT r.n + 1, v.vid FROM r JOIN visits v ON r.k + 3 = v.vid WHERE r.n < 30) \
             SELECT n, k FROM r",
            "WITH RECURSIVE r(n, k) AS (SELECT 0, max(vid) FROM visits UNION ALL \
             SELECT r.n + 1, v.vid FROM r JOIN (SELECT * FROM visits WHERE minutes >= 0) v \
             ON r.k - 2 = v.vid WHERE r.n < 30) SELECT n, k FROM r",
        ] {
            let (rows, _) = world.ask(sql).await;
            let theirs = plain::answer(&copy, sql).await.unwrap();
            assert_eq!(rows, theirs.rows(false), "{sql}");
        }
    }
}

#[tokio::test]
async fn inv_07_a_plan_says_nothing_of_what_is_learned() {
    let world = Told::new(Persona::Ana, 740).await;
    for (sql, _) in PATHS {
        let ask = world.scene.ask(Persona::Ana);
        let plan = observe(&world.scene.engine, &ask, &format!("EXPLAIN {sql}")).await;
        let plan = plan.to_string();
        let words: BTreeSet<&str> = plan.split_whitespace().collect();
        for word in ["Dynamic", "dynamic", "learned", "filter=[", "Scan"] {
            let found = words.iter().find(|found| found.starts_with(word));
            assert_eq!(found, None, "{sql}\n{plan}");
        }
    }
}
