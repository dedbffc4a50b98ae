//! What reaches a source: the contract's row rule, and of a statement no more than leakproof
//! predicates on clear columns. Whatever a source makes of them, the answers are the same.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{BinaryExpr, Expr};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scrim_engine::Ask;

use crate::support::data::Data;
use crate::support::files::Layout;
use crate::support::masks::Treat;
use crate::support::observe::{Observed, conclude, difference, observe};
use crate::support::personas::Persona;
use crate::support::place::{Place, Places};
use crate::support::recording::{Asked, Claim, Record};
use crate::support::scene::Scene;
use crate::support::sql::Statements;
use crate::support::tables::Table;

const CLAIMS: [Claim; 2] = [Claim::Exact, Claim::Inexact];

/// A world whose sources write down what one persona's statements ask of them.
struct Recorded {
    scene: Scene,
    record: Record,
    persona: Persona,
    ask: Ask,
    claim: Claim,
    /// For each table what the row rule alone asks for: predicates and columns.
    rules: BTreeMap<Table, (BTreeSet<String>, BTreeSet<String>)>,
}

impl Recorded {
    async fn new(data: &Data, persona: Persona, claim: Claim) -> Self {
        let record = Record::default();
        let tables = |table| Some(record.table(table, data, claim));
        let scene = Scene::over(data, &tables).await;
        let ask = scene.ask(persona);
        let mut recorded = Self {
            scene,
            record,
            persona,
            ask,
            claim,
            rules: BTreeMap::new(),
        };
        for table in visible(persona) {
            let sql = format!("SELECT count(*) FROM {}", name(table));
            let (_, asked) = recorded.ask(&sql).await;
            let [asked] = &asked[..] else {
                panic!("{sql}: {asked:?}");
            };
            let filters = asked.filters.iter().map(ToString::to_string).collect();
            let mut columns: BTreeSet<String> = asked.columns.iter().cloned().collect();
            columns.extend(asked.filters.iter().flat_map(columns_of));
            recorded.rules.insert(table, (filters, columns));
        }
        recorded
    }

    async fn ask(&self, sql: &str) -> (Observed, Vec<Asked>) {
        let observed = observe(&self.scene.engine, &self.ask, sql).await;
        (observed, self.record.asked())
    }

    /// What is wrong with a question to a source.
    fn fault(&self, asked: &Asked) -> Option<String> {
        let (rule, needed) = &self.rules[&asked.table];
        let clear = clear(self.persona, asked.table);
        let predicate = asked
            .filters
            .iter()
            .find(|f| !rule.contains(&f.to_string()) && !is_leakproof(f, &clear));
        if let Some(predicate) = predicate {
            return Some(format!("{predicate} reaches {:?}", asked.table));
        }
        let shown = shown(self.persona, asked.table);
        let column = asked
            .columns
            .iter()
            .find(|c| !shown.contains(*c) && !needed.contains(*c));
        if let Some(column) = column {
            return Some(format!("{column} of {:?} is read", asked.table));
        }
        let counts = asked.limit.is_some();
        (counts && self.claim == Claim::Inexact && !asked.filters.is_empty())
            .then(|| format!("{:?} counts rows before they are filtered", asked.table))
    }
}

fn name(table: Table) -> String {
    format!("{}.{}", table.domain(), table.name())
}

fn visible(persona: Persona) -> impl Iterator<Item = Table> {
    let all = Table::ALL.into_iter();
    all.filter(move |table| !persona.columns(*table, Places::LOCAL).is_empty())
}

fn shown(persona: Persona, table: Table) -> BTreeSet<String> {
    let schema = table.schema(Place::Local, false);
    let columns = persona.columns(table, Places::LOCAL).into_iter();
    columns.map(|i| schema.field(i).name().clone()).collect()
}

/// The columns that every matching profile shows clear.
fn clear(persona: Persona, table: Table) -> BTreeSet<String> {
    let profiles = persona.profiles(table);
    let mut columns = shown(persona, table);
    columns.retain(|column| profiles.iter().all(|p| p.treat(column) == Treat::Clear));
    columns
}

fn columns_of(expr: &Expr) -> BTreeSet<String> {
    let columns = expr.column_refs().into_iter();
    columns.map(|column| column.name.clone()).collect()
}

/// Comparisons and null tests of clear columns with literals or with one another.
fn is_leakproof(expr: &Expr, clear: &BTreeSet<String>) -> bool {
    let mut simple = true;
    expr.apply(|e| {
        simple &= match e {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => !op.is_numerical_operators(),
            Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::Like(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_) => true,
            _ => false,
        };
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    let columns = columns_of(expr);
    simple && !columns.is_empty() && columns.iter().all(|column| clear.contains(column))
}

#[tokio::test]
async fn inv_06_a_source_learns_nothing_of_what_is_asked_about_masked_columns() {
    let (mut failures, mut scans, mut own, mut counted) = (Vec::new(), 0, 0, 0);
    for persona in Persona::ALL {
        let mut rng = ChaCha8Rng::seed_from_u64(600 + persona as u64);
        let data = Data::base(Places::LOCAL, &mut rng).variant(persona, &mut rng);
        let files = Scene::new(&data, &Layout::random(&mut rng), 1).await;
        let ask = files.ask(persona);
        let mut generator = Statements::new(persona, Places::LOCAL, &mut rng);
        let statements: Vec<_> = (0..100).map(|_| generator.query()).collect();
        for claim in CLAIMS {
            let recorded = Recorded::new(&data, persona, claim).await;
            for statement in &statements {
                let (ours, asked) = recorded.ask(&statement.sql).await;
                let theirs = observe(&files.engine, &ask, &statement.sql).await;
                let mut blame = |what: String| {
                    let sql = &statement.sql;
                    failures.push(format!("{what}\n{persona:?}, {claim:?}: {sql}\n{asked:#?}"));
                };
                if let Some(what) = difference(&ours, &theirs, statement) {
                    blame(format!("{what}\nrecorded: {ours}\nfiles: {theirs}"));
                }
                for one in &asked {
                    if let Some(what) = recorded.fault(one) {
                        blame(what);
                    }
                    let (rule, _) = &recorded.rules[&one.table];
                    scans += 1;
                    counted += usize::from(one.limit.is_some());
                    own += usize::from(one.filters.iter().any(|f| !rule.contains(&f.to_string())));
                }
            }
        }
    }
    println!("{scans} scans, {own} with predicates of the statement, {counted} with a limit");
    conclude(&failures);
    assert!(scans > 600 && own > 40, "{scans} scans, {own} narrowed");
}

/// Statements about a table: the columns that they need besides those of the rule and of their own
/// predicates, how many predicates reach the source, and the limit if the source can keep its word.
type Plain = (
    &'static str,
    Table,
    &'static [&'static str],
    usize,
    Option<usize>,
);

#[rustfmt::skip]
const PLAIN: &[Plain] = {
    use Table::{Orders, People, Visits};
    &[
        ("SELECT count(*) FROM people", People, &[], 0, None),
        ("SELECT id FROM people", People, &["id"], 0, None),
        ("SELECT id FROM people LIMIT 3", People, &["id"], 0, Some(3)),
        ("SELECT vid FROM visits LIMIT 3 OFFSET 2", Visits, &["vid"], 0, Some(5)),
        ("SELECT weight FROM people WHERE id = 4 AND code LIKE 'a%'", People, &["weight"], 2, None),
        ("SELECT max(oid) FROM shop.orders WHERE qty IN (1, 2, 30)", Orders, &["oid"], 1, None),
        // a predicate of the statement is judged again above the guard, and no limit goes below that
        ("SELECT id FROM people WHERE id > 4 LIMIT 3", People, &["id"], 1, None),
        ("SELECT vid FROM visits WHERE day > DATE '2024-01-01' LIMIT 3", Visits, &["vid"], 1, None),
        // masked, cast, computed, or a float
        ("SELECT id FROM people WHERE name = 'A' LIMIT 3", People, &["id", "name"], 0, None),
        ("SELECT id FROM people WHERE rank > 2 LIMIT 3", People, &["id", "rank"], 0, None),
        ("SELECT id FROM people WHERE id + 1 > 4 LIMIT 3", People, &["id"], 0, None),
        ("SELECT id FROM people WHERE code LIKE note LIMIT 3", People, &["id", "code", "note"], 0, None),
        ("SELECT id FROM people WHERE TRY_CAST(code AS INT) > 4", People, &["id", "code"], 0, None),
        ("SELECT id FROM people WHERE lower(code) = 'a'", People, &["id", "code"], 0, None),
        ("SELECT id FROM people WHERE id = 4 OR name = 'A'", People, &["id", "name"], 0, None),
        ("SELECT id FROM people WHERE id = 4 AND name = 'A'", People, &["id", "name"], 1, None),
        ("SELECT vid FROM visits WHERE temp > 37 LIMIT 3", Visits, &["vid", "temp"], 0, None),
        ("SELECT oid FROM shop.orders ORDER BY qty LIMIT 3", Orders, &["oid", "qty"], 0, None),
    ]
};

#[tokio::test]
async fn inv_07_a_source_is_read_for_what_is_shown_and_what_its_rule_needs() {
    let persona = Persona::Ana;
    let mut rng = ChaCha8Rng::seed_from_u64(610);
    let data = Data::base(Places::LOCAL, &mut rng).variant(persona, &mut rng);
    for claim in CLAIMS {
        let recorded = Recorded::new(&data, persona, claim).await;
        for (sql, table, columns, predicates, limit) in PLAIN {
            let (observed, asked) = recorded.ask(sql).await;
            assert!(observed.answer.is_ok(), "{sql}: {observed}");
            let [asked] = &asked[..] else {
                panic!("{sql}: {asked:?}");
            };
            assert_eq!(
                (asked.table, recorded.fault(asked)),
                (*table, None),
                "{sql}"
            );
            let (rule, needed) = &recorded.rules[table];
            let own = asked
                .filters
                .iter()
                .filter(|f| !rule.contains(&f.to_string()));
            assert_eq!(own.clone().count(), *predicates, "{sql}: {asked:?}");
            // the statement's predicates are advice: they are judged again above the guard
            let judged = own.flat_map(columns_of);
            let allowed: BTreeSet<String> = columns
                .iter()
                .map(|c| (*c).to_owned())
                .chain(needed.iter().filter(|_| claim == Claim::Inexact).cloned())
                .chain(judged)
                .collect();
            let read: BTreeSet<String> = asked.columns.iter().cloned().collect();
            assert!(read.is_subset(&allowed), "{sql}: {read:?} of {allowed:?}");
            let limit = limit.filter(|_| claim == Claim::Exact);
            assert_eq!(asked.limit, limit, "{claim:?} {sql}");
        }
    }
}
