//! Random conditions select the same rows from the same table, in PostgreSQL and in DataFusion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray, RecordBatch};
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
use scrim_testkit::postgres::Postgres;
use tokio_postgres::Client;

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
async fn what_is_pushed_keeps_the_rows_that_datafusion_keeps() {
    let mut random = Random(4);
    let table = table(ROWS, &mut random);
    let database = Postgres::shared().database();
    database.execute(&table.sql);
    let client = database.client().await;
    let settings = "SET search_path = ''; SET timezone = 'UTC'; SET datestyle = 'ISO'";
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
        let expected = planner.rows(&expr, &table.rows);
        let simplified = planner.simplifier.simplify(expr.clone()).unwrap();
        let forms = [
            push(&expr, &table.columns),
            push(&simplified, &table.columns),
        ];
        for pushed in forms.iter().flatten() {
            let found = select(&client, pushed).await;
            let lost: Vec<_> = expected.difference(&found).collect();
            let more: Vec<_> = found.difference(&expected).collect();
            let right = lost.is_empty() && (more.is_empty() || !pushed.exact);
            assert!(right, "{expr}\n{pushed:?}\nlost {lost:?}\nmore {more:?}");
        }
        let [pushed, _] = &forms;
        kind.map_or(&mut nested, |kind| single.entry(kind).or_default())
            .add(pushed.as_ref());
    }
    println!("{single:#?} {nested:?}");
}

/// The rows for which PostgreSQL finds a condition true.
async fn select(client: &Client, pushed: &Pushed) -> BTreeSet<i32> {
    let sql = format!("SELECT id FROM public.nasty WHERE {}", pushed.sql);
    let rows = client.query(&sql, &[]).await;
    let rows = rows.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    rows.iter().map(|row| row.get(0)).collect()
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
            9..=10 if spec.data_type.is_integer() => self.converted(column, spec),
            _ if spec.data_type == DataType::Boolean => column,
            _ => binary(
                column,
                *self.random.pick(COMPARISONS),
                lit(self.value(spec)),
            ),
        };
        (spec.name, expr)
    }

    /// A column of integers as another number.
    fn converted(&mut self, column: Expr, spec: &Spec) -> Expr {
        let op = *self.random.pick(COMPARISONS);
        let values = [-2, -1, 0, 1, 3, 10, 11, 65_536, 3_000_000_000_i64];
        let value = *self.random.pick(&values);
        let (to, value) = match self.random.below(4) {
            0 => (DataType::Int64, ScalarValue::from(value)),
            1 => (
                DataType::Decimal128(25, 1),
                ScalarValue::Decimal128(Some(value.into()), 25, 1),
            ),
            2 => (DataType::Float64, ScalarValue::from(value as f64 / 2.0)),
            _ => {
                let floats = [f64::NAN, -0.0, f64::INFINITY, 9.1e15, 1e300, 0.1];
                (
                    DataType::Float64,
                    ScalarValue::from(*self.random.pick(&floats)),
                )
            }
        };
        if self.random.one_in(6) {
            let other = self.column(spec);
            return binary(cast(column, to.clone()), op, cast(other, to));
        }
        binary(cast(column, to), op, lit(value))
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
