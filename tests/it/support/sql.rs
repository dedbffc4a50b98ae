//! Random statements over what one persona can see.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::expr::{Col, Expressions, Ty, may_fail, strict, total};
use super::personas::Persona;
use super::place::Places;
use super::tables::Table;

/// A generated statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// As it is sent.
    pub(crate) sql: String,
    /// With everything total that can be.
    pub(crate) total: String,
    /// Whether the order of its rows is part of the answer.
    pub(crate) ordered: bool,
    /// Whether some expression may fail on a value.
    pub(crate) may_fail: bool,
    pub(crate) explain: bool,
    /// Whether several branches run at once: which one fails first is a matter of threads.
    pub(crate) racing: bool,
}

/// A source of rows.
#[derive(Debug, Clone)]
struct Rel {
    sql: String,
    cols: Vec<Col>,
    /// Expressions that no two rows share; none if there is no such thing.
    key: Option<String>,
}

/// A generator of statements for one persona.
#[derive(Debug)]
pub(crate) struct Statements<'a> {
    rng: &'a mut ChaCha8Rng,
    persona: Persona,
    places: Places,
    aliases: usize,
}

impl<'a> Statements<'a> {
    pub(crate) fn new(persona: Persona, places: Places, rng: &'a mut ChaCha8Rng) -> Self {
        Self {
            rng,
            persona,
            places,
            aliases: 0,
        }
    }

    /// The next query.
    pub(crate) fn query(&mut self) -> Statement {
        self.aliases = 0;
        let (marked, ordered) = self.ordered_or_not();
        Statement {
            sql: strict(&marked),
            total: total(&marked),
            ordered,
            may_fail: may_fail(&marked),
            explain: false,
            racing: marked.contains("UNION"),
        }
    }

    /// The next statement: mostly queries, some `EXPLAIN` and `EXPLAIN ACCESS`, some questions
    /// about the catalogue.
    pub(crate) fn statement(&mut self) -> Statement {
        let mut query = self.query();
        match self.rng.random_range(0..20) {
            0 | 1 => {
                query.sql = format!("EXPLAIN {}", query.sql);
                query.explain = true;
                query.ordered = true;
            }
            2 => {
                query.sql = self.metadata();
                query.ordered = false;
            }
            3 => {
                query.sql = format!("EXPLAIN ACCESS {}", query.sql);
                query.explain = true;
                query.ordered = true;
            }
            _ => {}
        }
        query
    }

    fn metadata(&mut self) -> String {
        let table = *Table::ALL.choose(self.rng).unwrap();
        let name = format!("{}.{}", table.domain(), table.name());
        match self.rng.random_range(0..10) {
            7 => "SHOW ACCESS".to_owned(),
            8 => format!("SHOW ACCESS ON {name}"),
            9 => format!("EXPLAIN ACCESS SELECT * FROM {name}"),
            0 => "SHOW TABLES".to_owned(),
            1 => format!("SHOW COLUMNS FROM {name}"),
            2 => format!("DESCRIBE {name}"),
            3 => "SELECT * FROM information_schema.tables".to_owned(),
            4 => "SELECT * FROM information_schema.columns".to_owned(),
            5 => "SELECT * FROM information_schema.schemata".to_owned(),
            _ => format!(
                "SELECT column_name, data_type FROM information_schema.columns \
                 WHERE table_name = '{}'",
                table.name()
            ),
        }
    }

    fn exprs<'s>(&'s mut self, scope: &'s [Col]) -> Expressions<'s> {
        Expressions {
            rng: self.rng,
            scope,
        }
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    fn chance(&mut self, p: f64) -> bool {
        self.rng.random_bool(p)
    }

    fn ordered_or_not(&mut self) -> (String, bool) {
        let (body, width) = self.body(2);
        if width == 0 || !self.chance(0.35) {
            return (body, false);
        }
        // All columns: whatever ties is the same row.
        let by = |n: usize| {
            let way = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"][n % 4];
            format!("{n}{way}")
        };
        let start = self.rng.random_range(0..width);
        let keys: Vec<String> = (0..width).map(|i| by((start + i) % width + 1)).collect();
        // DataFusion 55 forgets about sort keys that are constant within each branch of a union, so
        // that a limit above them gives other rows from run to run.
        let limit = if !body.contains("UNION") && self.chance(0.6) {
            format!(
                " LIMIT {} OFFSET {}",
                self.rng.random_range(0..12),
                self.rng.random_range(0..3)
            )
        } else {
            String::new()
        };
        (
            format!(
                "SELECT * FROM ({body}) AS o ORDER BY {}{limit}",
                keys.join(", ")
            ),
            true,
        )
    }

    /// A query's body, and how many columns of simple types it has; 0 if some are not simple.
    fn body(&mut self, depth: usize) -> (String, usize) {
        match self.rng.random_range(0..13) {
            0..=2 => self.select(depth),
            3 | 4 => self.aggregate(depth),
            5 => self.window(),
            6 => self.set_operation(depth),
            7 => self.with(depth),
            8 => self.distinct(depth),
            9 => self.star(),
            10 => self.unnest(),
            11 => self.recursive(),
            _ => self.lateral(),
        }
    }

    fn table(&mut self) -> Rel {
        let visible: Vec<Table> = Table::ALL
            .into_iter()
            .filter(|t| !self.persona.columns(*t, self.places).is_empty())
            .collect();
        let table = *visible.choose(self.rng).unwrap();
        self.table_as(table)
    }

    fn table_as(&mut self, table: Table) -> Rel {
        let alias = self.alias();
        let schema = table.schema(self.places.of(table), false);
        let cols = self
            .persona
            .columns(table, self.places)
            .into_iter()
            .map(|i| schema.field(i))
            .map(|f| Col {
                sql: format!("{alias}.{}", f.name()),
                ty: Ty::of(f.data_type()),
            })
            .collect();
        let name = match self.rng.random_range(0..3) {
            0 if table.domain() == "clinic" => table.name().to_owned(),
            1 => format!("scrim.{}.{}", table.domain(), table.name()),
            _ => format!("{}.{}", table.domain(), table.name()),
        };
        let key = Some(format!("{alias}.{}", table.key()));
        Rel {
            sql: format!("{name} AS {alias}"),
            cols,
            key,
        }
    }

    fn rel(&mut self, depth: usize) -> Rel {
        match self.rng.random_range(0..10) {
            0..=5 => self.table(),
            6..=8 if depth > 0 => self.join(depth - 1),
            9 if depth > 0 => {
                let alias = self.alias();
                let (body, cols) = self.projected(depth - 1, &alias);
                Rel {
                    sql: format!("({body}) AS {alias}"),
                    cols,
                    key: None,
                }
            }
            _ => self.table(),
        }
    }

    /// A query with named, simple columns `a`, `b`, `c`.
    fn projected(&mut self, depth: usize, alias: &str) -> (String, Vec<Col>) {
        let rel = self.rel(depth);
        let mut items = Vec::new();
        let mut cols = Vec::new();
        for name in ["a", "b", "c"] {
            let (sql, ty) = self.exprs(&rel.cols).scalar(1);
            items.push(format!("{sql} AS {name}"));
            cols.push(Col {
                sql: format!("{alias}.{name}"),
                ty,
            });
        }
        let filter = self.filter(&rel, depth);
        (
            format!("SELECT {} FROM {}{filter}", items.join(", "), rel.sql),
            cols,
        )
    }

    fn join(&mut self, depth: usize) -> Rel {
        let left = self.rel(depth);
        let right = if depth > 0 && self.chance(0.2) {
            let alias = self.alias();
            let (body, cols) = self.projected(depth - 1, &alias);
            Rel {
                sql: format!("({body}) AS {alias}"),
                cols,
                key: None,
            }
        } else {
            self.table()
        };
        let kinds = [
            "JOIN",
            "JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "LEFT SEMI JOIN",
            "LEFT ANTI JOIN",
        ];
        let kind = *kinds.choose(self.rng).unwrap();
        let ty = *[Ty::Int, Ty::Int, Ty::Text, Ty::Date]
            .choose(self.rng)
            .unwrap();
        let mut both = left.cols.clone();
        both.extend(right.cols.iter().cloned());
        let a = self.exprs(&left.cols).of(ty, 1);
        let b = self.exprs(&right.cols).of(ty, 1);
        let mut on = format!("{a} = {b}");
        if self.chance(0.3) {
            let more = self.exprs(&both).predicate(1);
            on = format!("{on} AND {more}");
        }
        let semi = kind.contains("SEMI") || kind.contains("ANTI");
        let cols = if semi { left.cols } else { both };
        let key = if semi { left.key } else { None };
        Rel {
            sql: format!("{} {kind} {} ON {on}", left.sql, right.sql),
            cols,
            key,
        }
    }

    fn filter(&mut self, rel: &Rel, depth: usize) -> String {
        if self.chance(0.25) {
            return String::new();
        }
        let mut conditions = vec![self.exprs(&rel.cols).predicate(2)];
        if self.chance(0.3) {
            conditions.push(self.exprs(&rel.cols).predicate(1));
        }
        if depth > 0 && self.chance(0.35) {
            conditions.push(self.subquery_condition(rel));
        }
        let glue = if self.chance(0.8) { " AND " } else { " OR " };
        format!(" WHERE {}", conditions.join(glue))
    }

    /// A column of each side, both of one type.
    fn pair(&mut self, left: &Rel, right: &Rel, ty: Ty) -> Option<(String, String)> {
        let left = self.exprs(&left.cols).column(ty);
        let right = self.exprs(&right.cols).column(ty);
        left.zip(right)
    }

    fn subquery_condition(&mut self, outer: &Rel) -> String {
        let inner = self.table();
        let ty = *[Ty::Int, Ty::Text, Ty::Date].choose(self.rng).unwrap();
        let not = if self.chance(0.3) { "NOT " } else { "" };
        let here = self.exprs(&outer.cols).of(ty, 1);
        let there = self.exprs(&inner.cols).of(ty, 1);
        let inside = self.exprs(&inner.cols).predicate(1);
        match self.rng.random_range(0..4) {
            0 => format!(
                "{here} {not}IN (SELECT {there} FROM {} WHERE {inside})",
                inner.sql
            ),
            1 => {
                let Some((a, b)) = self.pair(outer, &inner, ty) else {
                    return "true".to_owned();
                };
                format!(
                    "{not}EXISTS (SELECT 1 FROM {} WHERE {a} = {b} AND {inside})",
                    inner.sql
                )
            }
            2 => format!(
                "{here} > (SELECT max({there}) FROM {} WHERE {inside})",
                inner.sql
            ),
            _ => {
                let Some((a, b)) = self.pair(outer, &inner, ty) else {
                    return "true".to_owned();
                };
                format!(
                    "(SELECT count(*) FROM {} WHERE {a} = {b} AND {inside}) > 1",
                    inner.sql
                )
            }
        }
    }

    fn select(&mut self, depth: usize) -> (String, usize) {
        let rel = self.rel(depth);
        let width = self.rng.random_range(1..5);
        let items: Vec<String> = (0..width)
            .map(|i| format!("{} AS c{i}", self.exprs(&rel.cols).scalar(2).0))
            .collect();
        let filter = self.filter(&rel, depth);
        (
            format!("SELECT {} FROM {}{filter}", items.join(", "), rel.sql),
            width,
        )
    }

    fn star(&mut self) -> (String, usize) {
        let rel = self.table();
        let filter = self.filter(&rel, 1);
        (format!("SELECT * FROM {}{filter}", rel.sql), 0)
    }

    fn distinct(&mut self, depth: usize) -> (String, usize) {
        let rel = self.rel(depth);
        let (a, b) = (
            self.exprs(&rel.cols).scalar(1).0,
            self.exprs(&rel.cols).scalar(1).0,
        );
        let filter = self.filter(&rel, depth);
        (
            format!(
                "SELECT DISTINCT {a} AS c0, {b} AS c1 FROM {}{filter}",
                rel.sql
            ),
            2,
        )
    }

    fn aggregate_call(&mut self, scope: &[Col]) -> String {
        let kind = self.rng.random_range(0..12);
        let p = self.exprs(scope).predicate(1);
        let filter = if self.chance(0.25) {
            format!(" FILTER (WHERE {p})")
        } else {
            String::new()
        };
        let mut e = self.exprs(scope);
        let call = match kind {
            0 | 1 => "count(*)".to_owned(),
            2 => format!("count(DISTINCT {})", e.scalar(1).0),
            3 => format!("sum({})", e.of(Ty::Int, 1)),
            // Bare columns: their sums are exact in any order.
            4 => format!(
                "sum({})",
                e.column(Ty::Float).unwrap_or_else(|| "1".to_owned())
            ),
            5 => format!("sum({})", e.of(Ty::Decimal, 1)),
            6 => format!("min({})", e.scalar(1).0),
            7 => format!("max({})", e.scalar(1).0),
            8 => format!(
                "avg({})",
                e.column(Ty::Int).unwrap_or_else(|| "1".to_owned())
            ),
            9 => format!("bool_or({p})"),
            10 => {
                let text = e.of(Ty::Text, 1);
                format!("array_agg(DISTINCT {text} ORDER BY {text})")
            }
            _ => {
                let text = e.of(Ty::Text, 1);
                return format!("string_agg({text}, '|' ORDER BY {text})");
            }
        };
        format!("{call}{filter}")
    }

    fn aggregate(&mut self, depth: usize) -> (String, usize) {
        let rel = self.rel(depth);
        let filter = self.filter(&rel, depth);
        let calls: Vec<String> = (0..self.rng.random_range(1..4))
            .map(|i| format!("{} AS a{i}", self.aggregate_call(&rel.cols)))
            .collect();
        let calls = calls.join(", ");
        if self.chance(0.25) {
            return (format!("SELECT {calls} FROM {}{filter}", rel.sql), 0);
        }
        let (a, b) = (
            self.exprs(&rel.cols).scalar(1).0,
            self.exprs(&rel.cols).scalar(1).0,
        );
        let having = if self.chance(0.3) {
            let call = self.aggregate_call(&rel.cols);
            format!(
                " HAVING {call} IS NOT NULL AND count(*) > {}",
                self.rng.random_range(0..4)
            )
        } else {
            String::new()
        };
        let from = format!(
            "(SELECT {a} AS g0, {b} AS g1, * FROM {}{filter}) AS g",
            rel.sql
        );
        // One table's columns keep their names under the new alias; a join's may clash.
        if rel.key.is_none() {
            let sql = format!(
                "SELECT {a} AS g0, count(*) AS n, {calls} FROM {}{filter} GROUP BY 1{having}",
                rel.sql
            );
            return (sql, 0);
        }
        let groups = match self.rng.random_range(0..5) {
            0 => "GROUPING SETS ((g0, g1), (g0), ())".to_owned(),
            1 => "ROLLUP (g0, g1)".to_owned(),
            2 => "CUBE (g0, g1)".to_owned(),
            _ => "g0, g1".to_owned(),
        };
        let sql = format!("SELECT g0, g1, count(*) AS n FROM {from} GROUP BY {groups}");
        if self.chance(0.5) {
            (sql, 3)
        } else {
            let sql = format!(
                "SELECT {a} AS g0, {calls} FROM {}{filter} GROUP BY 1{having}",
                rel.sql
            );
            (sql, 0)
        }
    }

    fn window(&mut self) -> (String, usize) {
        let rel = self.table();
        let key = rel.key.clone().unwrap_or_default();
        let filter = self.filter(&rel, 1);
        let mut e = self.exprs(&rel.cols);
        let (by, order, value) = (e.scalar(1).0, e.scalar(1).0, e.of(Ty::Int, 1));
        let over = format!("OVER (PARTITION BY {by} ORDER BY {order}, {key})");
        let call = match self.rng.random_range(0..8) {
            0 => format!("row_number() {over}"),
            1 => format!("rank() OVER (ORDER BY {order})"),
            2 => format!("lag({value}) {over}"),
            3 => format!("lead({value}, 2) {over}"),
            4 => format!("sum({value}) {over}"),
            5 => format!("first_value({value}) {over}"),
            6 => format!("count(*) OVER (PARTITION BY {by})"),
            _ => format!("ntile(3) {over}"),
        };
        if self.chance(0.2) {
            let sql = format!(
                "SELECT {key} AS k FROM {}{filter} QUALIFY {call} > 1",
                rel.sql
            );
            return (sql, 1);
        }
        (
            format!("SELECT {key} AS k, {call} AS w FROM {}{filter}", rel.sql),
            2,
        )
    }

    fn set_operation(&mut self, depth: usize) -> (String, usize) {
        let types = [
            *Ty::SCALAR.choose(self.rng).unwrap(),
            *Ty::SCALAR.choose(self.rng).unwrap(),
        ];
        let side = |this: &mut Self| {
            let rel = this.rel(depth.saturating_sub(1));
            let (a, b) = (
                this.exprs(&rel.cols).of(types[0], 1),
                this.exprs(&rel.cols).of(types[1], 1),
            );
            let filter = this.filter(&rel, 0);
            format!("SELECT {a} AS c0, {b} AS c1 FROM {}{filter}", rel.sql)
        };
        let (left, right) = (side(self), side(self));
        let ops = ["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL"];
        (
            format!("{left} {} {right}", ops.choose(self.rng).unwrap()),
            2,
        )
    }

    fn with(&mut self, depth: usize) -> (String, usize) {
        let (first, cols) = self.projected(depth.saturating_sub(1), "x");
        let other: Vec<Col> = cols
            .iter()
            .map(|c| Col {
                sql: c.sql.replace("x.", "y."),
                ty: c.ty,
            })
            .collect();
        let both: Vec<Col> = cols.iter().chain(&other).cloned().collect();
        let filter = self.exprs(&both).predicate(1);
        // The name of a CTE may hide that of a table.
        let name = *["w", "people", "vault"].choose(self.rng).unwrap();
        let item = self.exprs(&both).scalar(1).0;
        let sql = format!(
            "WITH {name} AS ({first}) SELECT x.a AS c0, {item} AS c1 FROM {name} AS x \
             JOIN {name} AS y ON x.b = y.b WHERE {filter}"
        );
        (sql, 2)
    }

    fn unnest(&mut self) -> (String, usize) {
        let rel = self.table_as(Table::People);
        let Some(list) = self.exprs(&rel.cols).column(Ty::Texts) else {
            return self.star();
        };
        let key = rel.key.clone().unwrap_or_default();
        let filter = self.filter(&rel, 0);
        (
            format!(
                "SELECT {key} AS k, unnest({list}) AS u FROM {}{filter}",
                rel.sql
            ),
            2,
        )
    }

    fn recursive(&mut self) -> (String, usize) {
        let rel = self.table();
        let value = self.exprs(&rel.cols).of(Ty::Int, 0);
        let filter = self.filter(&rel, 0);
        let sql = format!(
            "WITH RECURSIVE r(n, v) AS (SELECT CAST(0 AS BIGINT), CAST({value} AS BIGINT) FROM {}{filter} \
             UNION ALL SELECT r.n + 1, r.v FROM r WHERE r.n < 2) \
             SELECT n AS c0, v AS c1, count(*) AS c2 FROM r GROUP BY n, v",
            rel.sql
        );
        (sql, 3)
    }

    fn lateral(&mut self) -> (String, usize) {
        let (outer, inner) = (self.table(), self.table());
        let key = outer.key.clone().unwrap_or_default();
        let ty = *[Ty::Int, Ty::Text].choose(self.rng).unwrap();
        let Some((a, b)) = self.pair(&outer, &inner, ty) else {
            return self.select(1);
        };
        let value = self.exprs(&inner.cols).scalar(1).0;
        let filter = self.filter(&outer, 0);
        let sql = format!(
            "SELECT {key} AS k, (SELECT min({value}) FROM {} WHERE {a} = {b}) AS v FROM {}{filter}",
            inner.sql, outer.sql
        );
        (sql, 2)
    }
}
