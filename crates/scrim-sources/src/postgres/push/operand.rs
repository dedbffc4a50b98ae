//! Columns as they stand in conditions.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Cast, Expr, TryCast};

use super::super::columns::{PgColumn, PgColumns, PgType};
use super::sql::{Sql, identifier};

/// It equals itself in PostgreSQL and is above all numbers.
const NAN: &str = "'NaN'::numeric";

/// A column of the table, or one that is converted so that each value keeps its place among all
/// others.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) kind: Kind,
    /// What it is compared as.
    pub(super) data_type: DataType,
    /// Its name, quoted.
    name: String,
}

/// What comparisons must know of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    Int2,
    Int4,
    Int8,
    /// Its NaN is shown as NULL; for PostgreSQL it is a value above all others.
    Numeric,
    Text,
    /// Blanks at the end are shown; to PostgreSQL they mean nothing.
    Padded,
    /// Its labels are shown; PostgreSQL puts them in an order of their own.
    Enum,
    /// Its canonical text is shown, which sorts as its bytes do.
    Uuid,
    Bytes,
    Date,
    /// A timestamp without a zone; those after the year 294246 are shown as the last one.
    Local,
    /// A timestamp with a zone; the same.
    Instant,
    /// It is shown as NULL where PostgreSQL has NULL, and its values are not compared.
    Uncompared,
}

impl Kind {
    fn of(column: &PgColumn) -> Option<Self> {
        Some(match column.pg_type {
            PgType::Bool => Self::Flag,
            PgType::Int2 => Self::Int2,
            PgType::Int4 => Self::Int4,
            PgType::Int8 => Self::Int8,
            PgType::Numeric => Self::Numeric,
            PgType::Text if column.deterministic => Self::Text,
            PgType::Bpchar if column.deterministic => Self::Padded,
            PgType::Enum if column.deterministic => Self::Enum,
            PgType::Uuid => Self::Uuid,
            PgType::Bytea => Self::Bytes,
            PgType::Date => Self::Date,
            PgType::Timestamp => Self::Local,
            PgType::Timestamptz => Self::Instant,
            PgType::Text
            | PgType::Bpchar
            | PgType::Enum
            // Arrow sorts NaN and the two zeros, PostgreSQL sorts otherwise.
            | PgType::Float4
            | PgType::Float8
            | PgType::NumericAsDouble
            | PgType::Name
            | PgType::Char
            | PgType::Json
            | PgType::Jsonb
            | PgType::Inet
            | PgType::Cidr
            | PgType::Macaddr
            | PgType::Macaddr8
            | PgType::Time
            | PgType::Interval
            | PgType::Oid
            | PgType::Array(_) => Self::Uncompared,
            // A row is NULL to PostgreSQL if all its fields are.
            PgType::Printed => return None,
        })
    }

    /// The type that its values are written as.
    pub(super) fn sql_type(self) -> &'static str {
        match self {
            Self::Flag => "bool",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Numeric => "numeric",
            Self::Text | Self::Enum | Self::Uncompared => "text",
            Self::Padded => "bpchar",
            Self::Uuid => "uuid",
            Self::Bytes => "bytea",
            Self::Date => "date",
            Self::Local => "timestamp",
            Self::Instant => "timestamptz",
        }
    }
}

impl Operand {
    /// The column that an expression stands for, if it is one.
    pub(super) fn of(expr: &Expr, columns: &PgColumns) -> Option<Self> {
        match expr {
            Expr::Alias(alias) => Self::of(&alias.expr, columns),
            Expr::Column(column) => {
                let column = columns.get(&column.name)?;
                Some(Self {
                    kind: Kind::of(column)?,
                    data_type: column.data_type.clone(),
                    name: identifier(&column.name)?,
                })
            }
            Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                let inner = Self::of(expr, columns)?;
                let to = field.data_type();
                keeps_order(&inner.data_type, to).then(|| Self {
                    data_type: to.clone(),
                    ..inner
                })
            }
            _ => None,
        }
    }

    /// A condition that it is NULL, as it is shown.
    pub(super) fn is_null(&self) -> Sql {
        let name = &self.name;
        if self.kind == Kind::Numeric {
            return Sql::exact(format!("({name} IS NULL OR {name} = {NAN})"));
        }
        Sql::exact(format!("{name} IS NULL"))
    }

    /// A condition that it is not NULL, as it is shown.
    pub(super) fn is_not_null(&self) -> Sql {
        if self.kind == Kind::Numeric {
            return Sql::exact(format!("{} <> {NAN}", self.name));
        }
        Sql::exact(format!("{} IS NOT NULL", self.name))
    }

    /// What stands for it where only the bytes of its text count.
    pub(super) fn bytewise(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Text => format!("{name} COLLATE \"C\""),
            // A cast to text could be one that the owner has defined. For NULL this is empty.
            Kind::Enum => format!("pg_catalog.concat({name}) COLLATE \"C\""),
            _ => name.clone(),
        }
    }

    /// What stands for it where only equality counts; an index of the column can serve.
    pub(super) fn plain(&self) -> String {
        match self.kind {
            Kind::Enum => self.bytewise(),
            _ => self.name.clone(),
        }
    }
}

/// Whether a conversion gives each value of one type the value of another that has the same place
/// among all literals that are taken.
fn keeps_order(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Decimal128, Decimal256, Float64, Int16, Int32, Int64, LargeUtf8, Timestamp, Utf8, Utf8View,
    };
    let digits = match from {
        Int16 => Some((5, 0)),
        Int32 => Some((10, 0)),
        Int64 => Some((19, 0)),
        Decimal128(precision, scale) | Decimal256(precision, scale) => {
            Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale)))
        }
        _ => None,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Int16, Int32 | Int64)
        | (Int32, Int64)
        | (Int16 | Int32 | Int64, Float64)
        | (Utf8, LargeUtf8 | Utf8View) => true,
        (Timestamp(from, Some(_)), Timestamp(to, Some(_))) => from == to,
        (Decimal256(..), Decimal128(..)) => false,
        (_, Decimal128(precision, scale) | Decimal256(precision, scale)) => {
            let (precision, scale) = (i16::from(*precision), i16::from(*scale));
            digits.is_some_and(|(whole, fraction)| fraction <= scale && whole <= precision - scale)
        }
        _ => false,
    }
}
