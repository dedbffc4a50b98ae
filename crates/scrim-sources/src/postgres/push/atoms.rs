//! The conditions of which others are made. Each can say when it is true, false and unknown.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Like, Operator};

use super::super::columns::PgColumns;
use super::Want;
use super::compare::Comparison;
use super::operand::{Kind, Operand};
use super::sql::{Sql, all, any, string};

/// Values that one list may have.
const LIST_MAX: usize = 100_000;

/// Bytes that a pattern may have.
const PATTERN_MAX: usize = 1_000;

/// A condition without others inside.
pub(super) trait Atom {
    /// When it is true.
    fn is_true(&self) -> Option<Sql>;
    /// When it is false.
    fn is_false(&self) -> Option<Sql>;
    /// When it is unknown.
    fn is_unknown(&self) -> Option<Sql>;
    /// When it is true or false.
    fn is_known(&self) -> Option<Sql>;

    /// When it is as wanted.
    fn when(&self, want: Want) -> Option<Sql> {
        match want {
            Want::True => self.is_true(),
            Want::False => self.is_false(),
            Want::Unknown => self.is_unknown(),
            Want::Known => self.is_known(),
            Want::NotTrue => any([self.is_false(), self.is_unknown()]),
            Want::NotFalse => any([self.is_true(), self.is_unknown()]),
        }
    }
}

/// The atom that an expression is, if it is one.
pub(super) fn of<'a>(expr: &'a Expr, columns: &PgColumns) -> Option<Box<dyn Atom + 'a>> {
    match expr {
        Expr::Literal(ScalarValue::Boolean(value), _) => Some(Box::new(Constant(*value))),
        Expr::Literal(ScalarValue::Null, _) => Some(Box::new(Constant(None))),
        Expr::BinaryExpr(binary) => comparison(binary, columns),
        Expr::InList(list) => Some(Box::new(Member::of(list, columns)?)),
        Expr::Like(like) => Some(Box::new(Match::of(like, columns)?)),
        _ => Some(Box::new(Operand::of(expr, columns)?)),
    }
}

fn comparison<'a>(binary: &'a BinaryExpr, columns: &PgColumns) -> Option<Box<dyn Atom + 'a>> {
    let BinaryExpr { left, op, right } = binary;
    let (column, op, other) = match (Operand::of(left, columns), right.as_ref()) {
        (Some(column), Expr::Literal(value, _)) => (column, *op, Other::Literal(value)),
        (Some(column), other) => (column, *op, Other::Column(Operand::of(other, columns)?)),
        (None, _) => {
            let Expr::Literal(value, _) = left.as_ref() else {
                return None;
            };
            let column = Operand::of(right, columns)?;
            (column, op.swap()?, Other::Literal(value))
        }
    };
    let pair = Pair { column, other };
    match op {
        Operator::IsDistinctFrom => Some(Box::new(Distinct {
            pair,
            negated: false,
        })),
        Operator::IsNotDistinctFrom => Some(Box::new(Distinct {
            pair,
            negated: true,
        })),
        _ => {
            let comparison = Comparison::of(op)?;
            Some(Box::new(Compared { pair, comparison }))
        }
    }
}

/// What is the same for every row.
struct Constant(Option<bool>);

impl Atom for Constant {
    fn is_true(&self) -> Option<Sql> {
        Some(Sql::constant(self.0 == Some(true)))
    }

    fn is_false(&self) -> Option<Sql> {
        Some(Sql::constant(self.0 == Some(false)))
    }

    fn is_unknown(&self) -> Option<Sql> {
        Some(Sql::constant(self.0.is_none()))
    }

    fn is_known(&self) -> Option<Sql> {
        Some(Sql::constant(self.0.is_some()))
    }
}

/// A column by itself. One that is no flag is only ever asked whether it is NULL.
impl Atom for Operand {
    fn is_true(&self) -> Option<Sql> {
        self.is(Comparison::Eq, &ScalarValue::Boolean(Some(true)))
    }

    fn is_false(&self) -> Option<Sql> {
        self.is(Comparison::Eq, &ScalarValue::Boolean(Some(false)))
    }

    fn is_unknown(&self) -> Option<Sql> {
        Some(self.is_null())
    }

    fn is_known(&self) -> Option<Sql> {
        Some(self.is_not_null())
    }
}

/// What a column is compared with.
enum Other<'a> {
    Literal(&'a ScalarValue),
    Column(Operand),
}

/// A column and what it is compared with.
struct Pair<'a> {
    column: Operand,
    other: Other<'a>,
}

impl Pair<'_> {
    /// When both are known and compare so.
    fn is(&self, comparison: Comparison) -> Option<Sql> {
        match &self.other {
            Other::Literal(value) if value.is_null() => Some(Sql::constant(false)),
            Other::Literal(value) => self.column.is(comparison, value),
            Other::Column(other) => self.column.is_so_with(comparison, other),
        }
    }

    /// When the other one is NULL, and when it is not.
    fn other_null(&self) -> (Sql, Sql) {
        match &self.other {
            Other::Literal(value) => {
                let null = value.is_null();
                (Sql::constant(null), Sql::constant(!null))
            }
            Other::Column(other) => (other.is_null(), other.is_not_null()),
        }
    }
}

/// A comparison.
struct Compared<'a> {
    pair: Pair<'a>,
    comparison: Comparison,
}

impl Atom for Compared<'_> {
    fn is_true(&self) -> Option<Sql> {
        self.pair.is(self.comparison)
    }

    fn is_false(&self) -> Option<Sql> {
        self.pair.is(self.comparison.negated())
    }

    fn is_unknown(&self) -> Option<Sql> {
        let (null, _) = self.pair.other_null();
        any([self.pair.column.is_null(), null].map(Some))
    }

    fn is_known(&self) -> Option<Sql> {
        let (_, known) = self.pair.other_null();
        all([self.pair.column.is_not_null(), known].map(Some))
    }
}

/// `IS [NOT] DISTINCT FROM`, which is true or false of every row.
struct Distinct<'a> {
    pair: Pair<'a>,
    negated: bool,
}

impl Distinct<'_> {
    fn is(&self, distinct: bool) -> Option<Sql> {
        let column = &self.pair.column;
        let (null, known) = self.pair.other_null();
        let both = |a: Sql, b: Sql| all([Some(a), Some(b)]);
        if distinct {
            let differ = self.pair.is(Comparison::NotEq);
            let one = both(column.is_null(), known);
            any([differ, one, both(column.is_not_null(), null)])
        } else {
            let equal = self.pair.is(Comparison::Eq);
            any([equal, both(column.is_null(), null)])
        }
    }
}

impl Atom for Distinct<'_> {
    fn is_true(&self) -> Option<Sql> {
        self.is(!self.negated)
    }

    fn is_false(&self) -> Option<Sql> {
        self.is(self.negated)
    }

    fn is_unknown(&self) -> Option<Sql> {
        Some(Sql::constant(false))
    }

    fn is_known(&self) -> Option<Sql> {
        Some(Sql::constant(true))
    }
}

/// `[NOT] IN` with literals.
struct Member<'a> {
    column: Operand,
    values: Vec<&'a ScalarValue>,
    /// A NULL in the list leaves unknown whether what is not in it is.
    null: bool,
    negated: bool,
}

impl<'a> Member<'a> {
    fn of(list: &'a InList, columns: &PgColumns) -> Option<Self> {
        if list.list.is_empty() || list.list.len() > LIST_MAX {
            return None;
        }
        let values = list.list.iter().map(|item| match item {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        });
        let mut values = values.collect::<Option<Vec<_>>>()?;
        let all = values.len();
        values.retain(|value| !value.is_null());
        Some(Self {
            column: Operand::of(&list.expr, columns)?,
            null: values.len() < all,
            values,
            negated: list.negated,
        })
    }

    fn is(&self, inside: bool) -> Option<Sql> {
        if !inside && self.null {
            return Some(Sql::constant(false));
        }
        self.column.is_in(self.values.iter().copied(), !inside)
    }
}

impl Atom for Member<'_> {
    fn is_true(&self) -> Option<Sql> {
        self.is(!self.negated)
    }

    fn is_false(&self) -> Option<Sql> {
        self.is(self.negated)
    }

    fn is_unknown(&self) -> Option<Sql> {
        let null = Some(self.column.is_null());
        if !self.null {
            return null;
        }
        any([null, self.column.is_in(self.values.iter().copied(), true)])
    }

    fn is_known(&self) -> Option<Sql> {
        if self.null {
            return self.is(true);
        }
        Some(self.column.is_not_null())
    }
}

/// `[NOT] LIKE` with a pattern in which nothing is escaped, so that it means the same to both.
struct Match {
    column: Operand,
    pattern: String,
    negated: bool,
}

impl Match {
    fn of(like: &Like, columns: &PgColumns) -> Option<Self> {
        let column = Operand::of(&like.expr, columns)?;
        let Expr::Literal(pattern, _) = like.pattern.as_ref() else {
            return None;
        };
        let text = pattern.try_as_str().flatten()?;
        let plain = !like.case_insensitive
            && like.escape_char.is_none_or(|escape| escape == '\\')
            && text.len() <= PATTERN_MAX
            && !text.contains('\\')
            && pattern.data_type() == column.data_type
            && matches!(column.kind, Kind::Text | Kind::Enum);
        Some(Self {
            pattern: plain.then(|| string(text))??,
            column,
            negated: like.negated,
        })
    }

    fn is(&self, matching: bool) -> Option<Sql> {
        let like = if matching { "LIKE" } else { "NOT LIKE" };
        let Self {
            column, pattern, ..
        } = self;
        let sql = Sql::exact(format!("{} {like} {pattern}::text", column.plain()));
        match column.kind {
            Kind::Enum => all([sql, column.is_not_null()].map(Some)),
            _ => Some(sql),
        }
    }
}

impl Atom for Match {
    fn is_true(&self) -> Option<Sql> {
        self.is(!self.negated)
    }

    fn is_false(&self) -> Option<Sql> {
        self.is(self.negated)
    }

    fn is_unknown(&self) -> Option<Sql> {
        Some(self.column.is_null())
    }

    fn is_known(&self) -> Option<Sql> {
        Some(self.column.is_not_null())
    }
}
