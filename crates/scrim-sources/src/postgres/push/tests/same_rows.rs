//! Random conditions select the same rows from the same table, in PostgreSQL and in DataFusion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{Column, DFSchema, DFSchemaRef, ScalarValue};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator, cast, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::create_physical_expr;
use datafusion::prelude::col;
use scrim_testkit::postgres::Postgres;
use tokio_postgres::Client;

use super::super::super::columns::{PgColumn, PgColumns, PgType};
use super::super::{Pushed, push};
use super::random::Random;
use super::rows::{Spec, Table, name, table};

const ROWS: usize = 400;
const CONDITIONS: usize = 6_000;

/// How often a condition was pushed.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    exact: usize,
    inexact: usize,
    not: usize,
}

impl Count {
    fn add(&mut self, pushed: Option<&Pushed>) {
        match pushed {
            Some(Pushed { exact: true, .. }) => self.exact += 1,
            Some(Pushed { exact: false, .. }) => self.inexact += 1,
            None => self.not += 1,
        }
    }
}

#[tokio::test]
async fn inv_06_what_is_pushed_keeps_the_rows_that_datafusion_keeps() {
    let mut random = Random(4);
    let table = table(ROWS, &mut random);
    let database = Postgres::shared().database();
    database.execute(&table.sql);
    let client = database.client().await;
    // None of these must matter.
    let settings =
        "SET search_path = ''; SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL, DMY'";
    client.batch_execute(settings).await.unwrap();
    let planner = Planner::new(&table.rows);
    let mut single: BTreeMap<&str, Count> = BTreeMap::new();
    let mut nested = Count::default();
    for round in 0..CONDITIONS {
        let mut maker = Maker {
            table: &table,
            random: &mut random,
        };
        let (kind, expr) = if round % 2 == 0 {
            let (kind, expr) = maker.atom();
            (Some(kind), expr)
        } else {
            (None, maker.condition(3))
        };
        // Not one for the other: the planner takes `x IN (1, NULL) AND x NOT IN (1)` for `x IN (NULL)`.
        let simplified = planner.simplifier.simplify(expr.clone()).unwrap();
        let forms = [expr, simplified].map(|expr| (push(&expr, &table.columns), expr));
        for (pushed, expr) in &forms {
            let Some(pushed) = pushed else { continue };
            let expected = planner.rows(expr, &table.rows);
            let found = select(&client, "nasty", &pushed.sql).await;
            let lost: Vec<_> = expected.difference(&found).collect();
            let more: Vec<_> = found.difference(&expected).collect();
            let right = lost.is_empty() && (more.is_empty() || !pushed.exact);
            assert!(right, "{expr}\n{pushed:?}\nlost {lost:?}\nmore {more:?}");
        }
        let [(pushed, _), _] = &forms;
        kind.map_or(&mut nested, |kind| single.entry(kind).or_default())
            .add(pushed.as_ref());
    }
    for spec in &table.specs {
        let Count {
            exact,
            inexact,
            not,
        } = single[spec.name.as_str()];
        let all = exact + inexact + not;
        match spec.pg_type {
            PgType::Printed => assert_eq!(exact + inexact, 0),
            PgType::Bpchar => assert!(inexact * 8 > all, "{}", spec.name),
            _ if spec.is_compared() => assert!(exact * 3 > all, "{}", spec.name),
            // Whether it is NULL, and comparisons with NULL.
            _ => assert!(exact > 0 && not * 4 > all, "{}", spec.name),
        }
    }
    assert!(
        nested.exact * 4 > CONDITIONS / 2 && nested.inexact > 0,
        "{nested:?}"
    );
}

/// The rows for which PostgreSQL finds a condition true.
async fn select(client: &Client, table: &str, condition: &str) -> BTreeSet<i32> {
    let sql = format!("SELECT id FROM public.{table} WHERE {condition}");
    let rows = client.query(&sql, &[]).await;
    let rows = rows.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

/// Texts that would end a literal, a name, an element or a comment if they could.
const HOSTILE: &[&str] = &[
    "'; DROP TABLE public.hostile; --",
    "\\'; DROP TABLE public.hostile; --",
    "' OR true --",
    "'' OR '' = '",
    "\" = \"id\" OR true --",
    "\"\"",
    "\\\"",
    "\\",
    "\\\\",
    "a\",\"b",
    "{\"a\",\"b\"}",
    "},{",
    "a,b",
    "NULL",
    "null",
    "",
    " a ",
    "$$",
    "$1",
    "E'\\''",
    "U&'\\0027'",
    "\\x27",
    "/* */ ' /*",
    "\r\n'",
    "\u{2019}\u{2bc}\u{ff07}'",
    "\u{202e}'\u{feff}",
    "%'",
    "_'",
];

/// A table with a column named by each hostile text, and a row for each in which all columns have it.
fn hostile() -> (String, PgColumns, RecordBatch) {
    let quoted = |text: &str, quote: char| {
        let text = text.replace(quote, &format!("{quote}{quote}"));
        format!("{quote}{text}{quote}")
    };
    let names: Vec<String> = HOSTILE.iter().map(|text| format!("{text}.")).collect();
    let declared = names
        .iter()
        .map(|name| format!("{} text", quoted(name, '"')));
    let declared = declared.collect::<Vec<_>>().join(", ");
    let lines = HOSTILE.iter().enumerate().map(|(row, text)| {
        let value = quoted(text, '\'');
        format!("({row}, {})", vec![value; HOSTILE.len()].join(", "))
    });
    let sql = format!(
        "CREATE TABLE hostile (id int, {declared}); INSERT INTO hostile VALUES {}",
        lines.collect::<Vec<_>>().join(", ")
    );
    let array: ArrayRef = Arc::new(StringArray::from(HOSTILE.to_vec()));
    let rows = names.iter().map(|name| (name, Arc::clone(&array)));
    let rows = RecordBatch::try_from_iter(rows).unwrap();
    let columns = names.iter().map(|name| PgColumn {
        name: name.clone(),
        data_type: DataType::Utf8,
        pg_type: PgType::Text,
        deterministic: true,
    });
    (sql, PgColumns::new(columns.collect()), rows)
}

#[tokio::test]
async fn inv_06_no_text_and_no_name_ends_its_quotes() {
    let (sql, columns, rows) = hostile();
    let database = Postgres::shared().database();
    database.execute(&sql);
    let client = database.client().await;
    client.batch_execute("SET search_path = ''").await.unwrap();
    let planner = Planner::new(&rows);
    let mut pushed = 0;
    for (index, text) in HOSTILE.iter().enumerate() {
        let column = || Expr::Column(Column::from_name(format!("{text}.")));
        let other = lit(HOSTILE[(index + 7) % HOSTILE.len()]);
        let conditions = [
            column().eq(lit(*text)),
            column().not_eq(lit(*text)),
            column().gt_eq(lit(*text)),
            column().in_list(vec![lit(*text), other.clone()], false),
            column().in_list(vec![lit(*text), other], true),
            column().like(lit(*text)),
            column().like(lit(format!("%{text}"))),
        ];
        for expr in conditions {
            let Some(Pushed { sql, exact }) = push(&expr, &columns) else {
                assert!(
                    text.contains('\\') && matches!(expr, Expr::Like(_)),
                    "{expr}"
                );
                continue;
            };
            assert!(exact, "{sql}");
            pushed += 1;
            let found = select(&client, "hostile", &sql).await;
            assert_eq!(found, planner.rows(&expr, &rows), "{sql}");
        }
    }
    assert!(pushed > HOSTILE.len() * 5);
    // PostgreSQL has no text with NUL in it.
    let column = || col(Column::from_name(format!("{}.", HOSTILE[0])));
    let nul = || lit("a\0'");
    assert_eq!(push(&column().eq(nul()), &columns).unwrap().sql, "false");
    assert_eq!(push(&column().gt(nul()), &columns), None);
    assert_eq!(push(&column().like(nul()), &columns), None);
}

/// Evaluates as the engine does.
struct Planner {
    schema: DFSchemaRef,
    simplifier: ExprSimplifier,
}

impl Planner {
    fn new(rows: &RecordBatch) -> Self {
        let schema = DFSchema::try_from(rows.schema()).unwrap();
        let schema = Arc::new(schema);
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(&schema))
            .build();
        Self {
            simplifier: ExprSimplifier::new(context),
            schema,
        }
    }

    /// The rows for which a condition is true.
    fn rows(&self, expr: &Expr, rows: &RecordBatch) -> BTreeSet<i32> {
        let planned = create_physical_expr(
            expr,
            &self.schema,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        );
        let planned = planned.unwrap_or_else(|e| panic!("{expr}: {e}"));
        let truths = planned.evaluate(rows).unwrap();
        let truths = truths.into_array(rows.num_rows()).unwrap();
        let truths: &BooleanArray = as_boolean_array(&truths).unwrap();
        (0..rows.num_rows())
            .filter(|row| truths.is_valid(*row) && truths.value(*row))
            .map(|row| row as i32)
            .collect()
    }
}

/// Makes conditions up.
struct Maker<'t, 'r> {
    table: &'t Table,
    random: &'r mut Random,
}

const COMPARISONS: &[Operator] = &[
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::Eq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];

const PATTERNS: &[&str] = &[
    "a%", "%b", "%a%", "_", "__", "a_b", "a%b", "%", "", "%_%", "_%a", "A%", "é", "_本", "😀%",
    "a\\%b", "%\n%", "o'%", "%%a", "a", "%.%", "{%}",
];

impl<'t> Maker<'t, '_> {
    fn condition(&mut self, depth: usize) -> Expr {
        if depth == 0 {
            return self.atom().1;
        }
        let wrap = |make: fn(Box<Expr>) -> Expr, expr| make(Box::new(expr));
        match self.random.below(14) {
            0..=2 => self.condition(depth - 1).and(self.condition(depth - 1)),
            3..=5 => self.condition(depth - 1).or(self.condition(depth - 1)),
            6..=8 => wrap(Expr::Not, self.condition(depth - 1)),
            9 => {
                let make = *self.random.pick(&[
                    Expr::IsTrue as fn(Box<Expr>) -> Expr,
                    Expr::IsNotTrue,
                    Expr::IsFalse,
                    Expr::IsNotFalse,
                    Expr::IsUnknown,
                    Expr::IsNotUnknown,
                    Expr::IsNull,
                    Expr::IsNotNull,
                ]);
                wrap(make, self.condition(depth - 1))
            }
            10 => lit(self
                .random
                .pick(&[
                    ScalarValue::Boolean(Some(true)),
                    ScalarValue::Boolean(Some(false)),
                    ScalarValue::Boolean(None),
                ])
                .clone()),
            _ => self.atom().1,
        }
    }

    fn column(&mut self, spec: &Spec) -> Expr {
        let second = self.random.one_in(2);
        Expr::Column(Column::from_name(name(spec, second)))
    }

    /// A condition on a column, and the type of that.
    fn atom(&mut self) -> (&'t str, Expr) {
        let table = self.table;
        let spec = self.random.pick(&table.specs);
        let column = self.column(spec);
        let negated = self.random.one_in(2);
        let expr = match self.random.below(12) {
            0..=2 => {
                let op = *self.random.pick(COMPARISONS);
                let value = lit(self.value(spec));
                let (left, right) = if self.random.one_in(4) {
                    (value, column)
                } else {
                    (column, value)
                };
                binary(left, op, right)
            }
            3..=4 => {
                let alike = table
                    .specs
                    .iter()
                    .filter(|other| other.data_type == spec.data_type);
                let other = *self.random.pick(&alike.collect::<Vec<_>>());
                let op = *self.random.pick(COMPARISONS);
                binary(column, op, self.column(other))
            }
            5 => {
                let (low, high) = (self.value(spec), self.value(spec));
                let between =
                    Between::new(Box::new(column), negated, lit(low).into(), lit(high).into());
                Expr::Between(between)
            }
            6..=7 => {
                let items = (0..=self.random.below(5)).map(|_| lit(self.value(spec)));
                Expr::InList(InList::new(Box::new(column), items.collect(), negated))
            }
            8 if negated => Expr::IsNull(Box::new(column)),
            8 => Expr::IsNotNull(Box::new(column)),
            9 if spec.data_type == DataType::Utf8 => {
                let pattern = lit(*self.random.pick(PATTERNS));
                let fold = self.random.one_in(10);
                Expr::Like(Like::new(
                    negated,
                    Box::new(column),
                    Box::new(pattern),
                    None,
                    fold,
                ))
            }
            9..=10 => match self.conversion(spec) {
                Some((to, values)) => self.converted(column, spec, &to, &values),
                None => binary(column, Operator::Eq, lit(self.value(spec))),
            },
            _ if spec.data_type == DataType::Boolean => column,
            _ => binary(
                column,
                *self.random.pick(COMPARISONS),
                lit(self.value(spec)),
            ),
        };
        (&spec.name, expr)
    }

    /// A type that a column can be converted to, and values of that.
    fn conversion(&mut self, spec: &Spec) -> Option<(DataType, Vec<ScalarValue>)> {
        let numbers = [-2, -1, 0, 1, 3, 10, 11, 65_536, 3_000_000_000_i64];
        let floats = [
            f64::NAN,
            -0.0,
            f64::INFINITY,
            9.1e15,
            1e300,
            0.1,
            0.5,
            5.0,
            -1.0,
        ];
        let text = || spec.values.iter().map(|(_, value)| value.clone());
        let (to, values): (_, Vec<ScalarValue>) = match &spec.data_type {
            DataType::Int16 | DataType::Int32 | DataType::Int64 => match self.random.below(3) {
                0 => (DataType::Int64, numbers.map(Into::into).into()),
                1 => (DataType::Float64, floats.map(Into::into).into()),
                _ => {
                    let digits = numbers.map(|n| ScalarValue::Decimal128(Some(n.into()), 25, 1));
                    (DataType::Decimal128(25, 1), digits.into())
                }
            },
            DataType::Decimal128(10, 2) => {
                let digits = [0, 1_500_000, 1_500_001, 5_000_000, 99_999_999_990_000];
                let digits = digits.map(|n| ScalarValue::Decimal128(Some(n), 20, 6));
                (DataType::Decimal128(20, 6), digits.into())
            }
            to @ (DataType::Utf8 | DataType::Timestamp(_, Some(_))) => {
                let to = match to {
                    DataType::Timestamp(unit, _) => {
                        DataType::Timestamp(*unit, Some("+00:00".into()))
                    }
                    _ if self.random.one_in(2) => DataType::Utf8View,
                    _ => DataType::LargeUtf8,
                };
                let values = text().map(|value| value.cast_to(&to).unwrap()).collect();
                (to, values)
            }
            _ => return None,
        };
        Some((to, values))
    }

    /// A condition on a converted column.
    fn converted(
        &mut self,
        column: Expr,
        spec: &Spec,
        to: &DataType,
        values: &[ScalarValue],
    ) -> Expr {
        let column = cast(column, to.clone());
        let op = *self.random.pick(COMPARISONS);
        match self.random.below(6) {
            0 => binary(column, op, cast(self.column(spec), to.clone())),
            1 => {
                let list = (0..3).map(|_| lit(self.random.pick(values).clone()));
                Expr::InList(InList::new(
                    Box::new(column),
                    list.collect(),
                    op == Operator::NotEq,
                ))
            }
            _ => binary(column, op, lit(self.random.pick(values).clone())),
        }
    }

    /// A literal for a column: one of its values, or one that it does not have.
    fn value(&mut self, spec: &Spec) -> ScalarValue {
        let own = self.random.pick(&spec.values).1.clone();
        if !self.random.one_in(3) {
            return own;
        }
        let alike = self
            .table
            .specs
            .iter()
            .filter(|s| s.data_type == spec.data_type);
        let other = *self.random.pick(&alike.collect::<Vec<_>>());
        match own {
            ScalarValue::Int16(Some(value)) => value.wrapping_add(1).into(),
            ScalarValue::Int32(Some(value)) => value.wrapping_sub(1).into(),
            ScalarValue::Int64(Some(value)) => value.wrapping_add(1).into(),
            ScalarValue::Decimal128(Some(value), p, s) => {
                ScalarValue::Decimal128(Some(value / 2), p, s)
            }
            ScalarValue::Date32(Some(days)) => ScalarValue::Date32(Some(days.wrapping_add(1))),
            ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
                ScalarValue::TimestampMicrosecond(Some(micros.wrapping_sub(1)), zone)
            }
            _ => self.random.pick(&other.values).1.clone(),
        }
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}
