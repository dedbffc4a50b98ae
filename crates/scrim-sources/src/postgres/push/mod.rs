//! Which expressions reach PostgreSQL, and as what SQL.
//!
//! What is pushed is on a list, and cannot fail on any row. An *exact* condition is true in
//! PostgreSQL for those rows for which DataFusion finds the expression true of what is decoded from
//! them. Any other is true for these and perhaps for more, and is evaluated again above.
//!
//! No SQL is ever put under a `NOT`. A negation moves down to the comparisons, each of which has its
//! own SQL for when it is true, false and unknown. So it never matters whether PostgreSQL takes a row
//! that is not asked for as false or as unknown, and a condition that lets too many rows pass is
//! never turned into one that lets too few.

mod atoms;
mod compare;
mod literal;
mod operand;
mod sql;
#[cfg(test)]
mod tests;

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::columns::PgColumns;
use sql::{Sql, all, any};

/// Bytes of SQL that one predicate may have.
const SQL_MAX: usize = 4 << 20;

/// How deep expressions may be nested; a chain of one operator counts once.
const DEPTH_MAX: usize = 50;

/// A predicate that PostgreSQL evaluates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// A condition over the bare columns of the table.
    pub(crate) sql: String,
    /// Whether it keeps exactly the rows that the expression keeps; otherwise it keeps all of these and
    /// perhaps others.
    pub(crate) exact: bool,
}

/// The SQL of a predicate over the table's columns, if it can be pushed.
pub(crate) fn push(expr: &Expr, columns: &PgColumns) -> Option<Pushed> {
    let Sql { text, exact } = when(expr, columns, Want::True, 0)?;
    (text.len() <= SQL_MAX).then_some(Pushed { sql: text, exact })
}

/// Which truths of an expression are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    True,
    False,
    Unknown,
    NotTrue,
    NotFalse,
    Known,
}

impl Want {
    /// What is asked of an expression if this is asked of its negation.
    fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::NotTrue => Self::NotFalse,
            Self::NotFalse => Self::NotTrue,
            Self::Unknown | Self::Known => self,
        }
    }

    /// All other truths.
    fn others(self) -> Self {
        match self {
            Self::True => Self::NotTrue,
            Self::False => Self::NotFalse,
            Self::Unknown => Self::Known,
            Self::NotTrue => Self::True,
            Self::NotFalse => Self::False,
            Self::Known => Self::Unknown,
        }
    }
}

/// A condition that is true for the rows for which the expression is as wanted.
fn when(expr: &Expr, columns: &PgColumns, want: Want, depth: usize) -> Option<Sql> {
    if depth > DEPTH_MAX {
        return None;
    }
    let again = |expr: &Expr, want| when(expr, columns, want, depth + 1);
    // Such a test is true or false of every row.
    let test = |inner: &Expr, asked: Want| match want {
        Want::True | Want::NotFalse => again(inner, asked),
        Want::False | Want::NotTrue => again(inner, asked.others()),
        Want::Unknown => Some(Sql::constant(false)),
        Want::Known => Some(Sql::constant(true)),
    };
    match expr {
        Expr::Alias(alias) => again(&alias.expr, want),
        Expr::Not(inner) => again(inner, want.negated()),
        Expr::IsTrue(inner) => test(inner, Want::True),
        Expr::IsNotTrue(inner) => test(inner, Want::NotTrue),
        Expr::IsFalse(inner) => test(inner, Want::False),
        Expr::IsNotFalse(inner) => test(inner, Want::NotFalse),
        Expr::IsNull(inner) | Expr::IsUnknown(inner) => test(inner, Want::Unknown),
        Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => test(inner, Want::Known),
        Expr::Between(between) => {
            let value = || between.expr.as_ref().clone();
            let low = value().gt_eq(between.low.as_ref().clone());
            let high = value().lt_eq(between.high.as_ref().clone());
            let inside = low.and(high);
            again(
                &inside,
                if between.negated {
                    want.negated()
                } else {
                    want
                },
            )
        }
        Expr::BinaryExpr(BinaryExpr {
            op: op @ (Operator::And | Operator::Or),
            ..
        }) => {
            let arms = chain(expr, *op);
            let arms = arms.into_iter().map(|arm| again(arm, want));
            match (op, want) {
                (_, Want::Unknown | Want::Known) => None,
                (Operator::And, Want::True | Want::NotFalse)
                | (Operator::Or, Want::False | Want::NotTrue) => all(arms),
                _ => any(arms),
            }
        }
        _ => atoms::of(expr, columns)?.when(want),
    }
}

/// The arms of a chain of one operator, in order.
fn chain(expr: &Expr, operator: Operator) -> Vec<&Expr> {
    let mut arms = Vec::new();
    let mut open = vec![expr];
    while let Some(next) = open.pop() {
        match next {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == operator => {
                open.extend([right.as_ref(), left.as_ref()]);
            }
            arm => arms.push(arm),
        }
    }
    arms
}
