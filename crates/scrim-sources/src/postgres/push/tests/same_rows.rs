//! Conditions select the same rows from the same table, in PostgreSQL and in DataFusion.

use std::collections::BTreeMap;

use datafusion::logical_expr::Expr;
use scrim_testkit::postgres::{Database, Postgres};

use super::super::super::columns::PgType;
use super::super::{Pushed, push};
use super::both::Both;
use super::conditions::{Maker, each};
use super::random::Random;
use super::rows::{Table, table};

const ROWS: usize = 400;
const CONDITIONS: usize = 6_000;

/// How often conditions were pushed.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    exact: usize,
    inexact: usize,
    not: usize,
}

/// The table in both.
struct Same {
    table: Table,
    both: Both,
    _database: Database,
}

impl Same {
    async fn new(random: &mut Random) -> Self {
        let table = table(ROWS, random);
        let database = Postgres::shared().database();
        database.execute(&table.sql);
        let both = Both::new(&database, "nasty", table.rows.clone()).await;
        Self {
            table,
            both,
            _database: database,
        }
    }

    /// Compares what a condition selects, if it is pushed.
    async fn check(&self, expr: &Expr, count: &mut Count) {
        let Some(pushed) = push(expr, &self.table.columns) else {
            count.not += 1;
            return;
        };
        let Pushed { sql, exact } = &pushed;
        let expected = self.both.datafusion(expr);
        let found = self.both.postgres(sql).await;
        let lost: Vec<_> = expected.difference(&found).collect();
        let more: Vec<_> = found.difference(&expected).collect();
        let right = lost.is_empty() && (more.is_empty() || !exact);
        assert!(right, "{expr}\n{pushed:?}\nlost {lost:?}\nmore {more:?}");
        if *exact {
            count.exact += 1;
        } else {
            count.inexact += 1;
        }
    }
}

#[tokio::test]
async fn inv_06_each_comparison_keeps_the_rows_that_datafusion_keeps() {
    let same = Same::new(&mut Random(1)).await;
    let mut count = Count::default();
    for expr in each(&same.table) {
        same.check(&expr, &mut count).await;
    }
    assert!(count.exact > 5_000, "{count:?}");
}

#[tokio::test]
async fn inv_06_random_conditions_keep_the_rows_that_datafusion_keeps() {
    let mut random = Random(4);
    let same = Same::new(&mut random).await;
    let table = &same.table;
    let mut simple: BTreeMap<&str, Count> = BTreeMap::new();
    let mut nested = Count::default();
    for round in 0..CONDITIONS {
        let mut maker = Maker {
            table,
            random: &mut random,
        };
        if round % 2 == 0 {
            let (kind, expr) = maker.atom();
            same.check(&expr, simple.entry(kind).or_default()).await;
            continue;
        }
        let expr = maker.condition(3);
        same.check(&expr, &mut nested).await;
        // The planner's form of it is another condition: of what it makes of a NULL in a list, not all
        // is the same.
        let simplified = same.both.simplified(&expr);
        same.check(&simplified, &mut nested).await;
    }
    for spec in &table.specs {
        let count = simple[spec.name.as_str()];
        let all = count.exact + count.inexact + count.not;
        let enough = match spec.pg_type {
            PgType::Printed => count.not == all,
            PgType::Bpchar => count.inexact * 8 > all,
            _ if spec.is_compared() => count.exact * 4 > all,
            // Whether it is NULL, and comparisons with NULL.
            _ => count.exact > 0 && count.not * 4 > all,
        };
        assert!(enough, "{}: {count:?}", spec.name);
    }
    assert!(
        nested.exact * 4 > CONDITIONS && nested.inexact > 0,
        "{nested:?}"
    );
}
