//! Comparisons of columns.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;

use super::literal::Literal;
use super::operand::{Kind, Operand};
use super::sql::{Sql, all, array, string};

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Comparison {
    pub(super) fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Eq => Self::Eq,
            Operator::NotEq => Self::NotEq,
            Operator::Lt => Self::Lt,
            Operator::LtEq => Self::LtEq,
            Operator::Gt => Self::Gt,
            Operator::GtEq => Self::GtEq,
            _ => return None,
        })
    }

    /// The one that is true where this one is false.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Eq => Self::NotEq,
            Self::NotEq => Self::Eq,
            Self::Lt => Self::GtEq,
            Self::LtEq => Self::Gt,
            Self::Gt => Self::LtEq,
            Self::GtEq => Self::Lt,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        }
    }

    fn is_equality(self) -> bool {
        matches!(self, Self::Eq | Self::NotEq)
    }
}

impl Operand {
    /// A condition that it is known and compares so with a literal that is not NULL.
    pub(super) fn is(&self, comparison: Comparison, value: &ScalarValue) -> Option<Sql> {
        let literal = Literal::of(value, self)?;
        if literal == Literal::Never {
            return match comparison {
                Comparison::Eq => Some(Sql::constant(false)),
                Comparison::NotEq => Some(self.is_not_null()),
                _ => None,
            };
        }
        let left = if comparison.is_equality() {
            self.plain()
        } else {
            self.bytewise()
        };
        let right = literal.sql(self)?;
        self.trimmed(
            comparison,
            Sql::exact(format!("{left} {} {right}", comparison.symbol())),
        )
    }

    /// A condition that it is known and is one of the values, or none of them, which are not NULL.
    pub(super) fn is_in<'a>(
        &self,
        values: impl Iterator<Item = &'a ScalarValue>,
        negated: bool,
    ) -> Option<Sql> {
        let mut texts = Vec::new();
        for value in values {
            match Literal::of(value, self)? {
                Literal::Like(text) => texts.push(text),
                // No value of the column equals it.
                Literal::Beyond(..) | Literal::Never => {}
            }
        }
        let (comparison, of) = if negated {
            (Comparison::NotEq, "ALL")
        } else {
            (Comparison::Eq, "ANY")
        };
        if texts.is_empty() {
            return Some(if negated {
                self.is_not_null()
            } else {
                Sql::constant(false)
            });
        }
        let symbol = comparison.symbol();
        let list = string(&array(texts.iter().map(String::as_str)))?;
        let sql_type = self.kind.sql_type();
        let text = format!("{} {symbol} {of} ({list}::{sql_type}[])", self.plain());
        self.trimmed(comparison, Sql::exact(text))
    }

    /// A condition that both are known and compare so.
    pub(super) fn is_so_with(&self, comparison: Comparison, other: &Self) -> Option<Sql> {
        if self.data_type != other.data_type || self.data_type == DataType::Float64 {
            return None;
        }
        let is_text = |kind| matches!(kind, Kind::Text | Kind::Enum);
        let is_number = |kind| matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric);
        let alike = self.kind == other.kind
            || (is_text(self.kind) && is_text(other.kind))
            || (is_number(self.kind) && is_number(other.kind));
        if !alike || matches!(self.kind, Kind::Padded | Kind::Uncompared) {
            return None;
        }
        let symbol = comparison.symbol();
        let sql = Sql::exact(format!("{} {symbol} {}", self.bytewise(), other.bytewise()));
        if [self.kind, other.kind]
            .iter()
            .any(|kind| matches!(kind, Kind::Numeric | Kind::Enum))
        {
            return all([sql, self.is_not_null(), other.is_not_null()].map(Some));
        }
        if matches!(self.kind, Kind::Local | Kind::Instant) {
            // Different times beyond what can be shown are shown as the same time.
            return match comparison {
                Comparison::Lt | Comparison::Gt | Comparison::NotEq => Some(sql.inexact()),
                Comparison::Eq | Comparison::LtEq | Comparison::GtEq => None,
            };
        }
        Some(sql)
    }

    /// A comparison with literals, without what PostgreSQL alone finds true.
    fn trimmed(&self, comparison: Comparison, sql: Sql) -> Option<Sql> {
        match (self.kind, comparison) {
            (Kind::Numeric, Comparison::NotEq | Comparison::Gt | Comparison::GtEq)
            | (Kind::Enum, _) => all([Some(sql), Some(self.is_not_null())]),
            // Texts that differ in blanks at the end are equal to PostgreSQL.
            (Kind::Padded, Comparison::Eq) => Some(sql.inexact()),
            (Kind::Padded, _) => None,
            _ => Some(sql),
        }
    }
}
