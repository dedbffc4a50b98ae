//! Conditions on the columns of a table: each that is simple, and random ones.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator, cast, lit};

use super::random::Random;
use super::rows::{Spec, Table, name};

const COMPARISONS: &[Operator] = &[
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];

const PATTERNS: &[&str] = &[
    "a%", "%b", "%a%", "_", "__", "a_b", "a%b", "%", "", "%_%", "_%a", "A%", "é", "_本", "😀%",
    "a\\%b", "%\n%", "o'%", "%%a", "a", "%.%", "{%}",
];

const NUMBERS: [i64; 9] = [-2, -1, 0, 1, 3, 10, 11, 65_536, 3_000_000_000];

const FLOATS: [f64; 12] = [
    f64::NAN,
    f64::INFINITY,
    -0.0,
    0.0,
    0.1,
    0.5,
    5.0,
    -1.0,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    1e300,
];

/// A column of a type.
fn column(spec: &Spec, second: bool) -> Expr {
    Expr::Column(Column::from_name(name(spec, second)))
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn in_list(expr: Expr, values: impl Iterator<Item = ScalarValue>, negated: bool) -> Expr {
    Expr::InList(InList::new(
        Box::new(expr),
        values.map(lit).collect(),
        negated,
    ))
}

fn like(expr: Expr, pattern: &str, negated: bool, fold: bool) -> Expr {
    let pattern = Box::new(lit(pattern));
    Expr::Like(Like::new(negated, Box::new(expr), pattern, None, fold))
}

/// The types that a column can be converted to, and values of these.
fn conversions(spec: &Spec) -> Vec<(DataType, Vec<ScalarValue>)> {
    let own = |to: DataType| {
        let values = spec
            .values
            .iter()
            .map(|(_, value)| value.cast_to(&to).unwrap());
        let values = values.collect();
        (to, values)
    };
    let decimals = |digits: &[i128], precision, scale| {
        let value = |digits: &i128| ScalarValue::Decimal128(Some(*digits), precision, scale);
        let values = digits.iter().map(value).collect();
        (DataType::Decimal128(precision, scale), values)
    };
    match &spec.data_type {
        DataType::Int16 | DataType::Int32 | DataType::Int64 => vec![
            (DataType::Int64, NUMBERS.map(Into::into).into()),
            (DataType::Float64, FLOATS.map(Into::into).into()),
            decimals(&NUMBERS.map(Into::into), 25, 1),
        ],
        DataType::Decimal128(10, 2) => {
            let digits = [0, 1_500_000, 1_500_001, 5_000_000, 99_999_999_990_000];
            vec![decimals(&digits, 20, 6)]
        }
        DataType::Utf8 => vec![own(DataType::Utf8View), own(DataType::LargeUtf8)],
        DataType::Timestamp(unit, Some(_)) => {
            vec![own(DataType::Timestamp(*unit, Some("+00:00".into())))]
        }
        _ => Vec::new(),
    }
}

/// Every comparison of every column with every value and with every other column of its type.
pub(super) fn each(table: &Table) -> Vec<Expr> {
    let mut all = Vec::new();
    for spec in table.specs.iter().filter(|spec| !spec.is_domain()) {
        let first = || column(spec, false);
        let alike = table.alike(spec);
        let mut values: Vec<&ScalarValue> = Vec::new();
        for (_, value) in alike.iter().flat_map(|spec| &spec.values) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let values = values.into_iter().map(|value| lit(value.clone()));
        let columns = alike.iter().map(|other| column(other, true));
        all.extend(compared(&first(), values.chain(columns)));
        for (to, values) in conversions(spec) {
            let converted = cast(first(), to.clone());
            let other = cast(column(spec, true), to);
            let others = values.iter().map(|value| lit(value.clone())).chain([other]);
            all.extend(compared(&converted, others));
            all.extend(values.iter().map(|value| {
                let list = [value.clone(), values[0].clone()];
                in_list(converted.clone(), list.into_iter(), true)
            }));
        }
        if spec.data_type == DataType::Utf8 {
            all.extend(
                PATTERNS
                    .iter()
                    .map(|pattern| like(first(), pattern, false, false)),
            );
        }
    }
    all
}

fn compared(left: &Expr, others: impl Iterator<Item = Expr>) -> Vec<Expr> {
    let each = |right: Expr| {
        let ops = COMPARISONS.iter();
        ops.map(move |op| binary(left.clone(), *op, right.clone()))
    };
    others.flat_map(each).collect()
}

/// Makes conditions up.
pub(super) struct Maker<'t, 'r> {
    pub(super) table: &'t Table,
    pub(super) random: &'r mut Random,
}

impl<'t> Maker<'t, '_> {
    /// A condition of others, so deep.
    pub(super) fn condition(&mut self, depth: usize) -> Expr {
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
        column(spec, self.random.one_in(2))
    }

    /// A condition on a column, and the type of that.
    pub(super) fn atom(&mut self) -> (&'t str, Expr) {
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
                let other = *self.random.pick(&table.alike(spec));
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
                let length = 1 + self.random.below(6);
                let values: Vec<_> = (0..length).map(|_| self.value(spec)).collect();
                in_list(column, values.into_iter(), negated)
            }
            8 if negated => Expr::IsNull(Box::new(column)),
            8 => Expr::IsNotNull(Box::new(column)),
            9 if spec.data_type == DataType::Utf8 => {
                let pattern = *self.random.pick(PATTERNS);
                like(column, pattern, negated, self.random.one_in(10))
            }
            9..=10 if !conversions(spec).is_empty() => {
                let conversions = conversions(spec);
                let (to, values) = self.random.pick(&conversions);
                self.converted(spec, to, values)
            }
            _ if spec.data_type == DataType::Boolean => column,
            _ => binary(
                column,
                *self.random.pick(COMPARISONS),
                lit(self.value(spec)),
            ),
        };
        (&spec.name, expr)
    }

    /// A condition on a converted column.
    fn converted(&mut self, spec: &Spec, to: &DataType, values: &[ScalarValue]) -> Expr {
        let converted = cast(self.column(spec), to.clone());
        let op = *self.random.pick(COMPARISONS);
        match self.random.below(6) {
            0 => binary(converted, op, cast(self.column(spec), to.clone())),
            1 => {
                let list = (0..3).map(|_| self.random.pick(values).clone());
                in_list(converted, list, op == Operator::NotEq)
            }
            _ => binary(converted, op, lit(self.random.pick(values).clone())),
        }
    }

    /// A literal for a column: one of its values, or one that it does not have.
    fn value(&mut self, spec: &Spec) -> ScalarValue {
        let own = self.random.pick(&spec.values).1.clone();
        if !self.random.one_in(3) {
            return own;
        }
        let other = *self.random.pick(&self.table.alike(spec));
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
