//! Literals as PostgreSQL reads them.

use chrono::{Datelike, NaiveDateTime};
use datafusion::arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use datafusion::common::ScalarValue;
use uuid::Uuid;

use super::operand::{Kind, Operand};
use super::sql::string;

/// Below, floats and integers have the same order, and so do floats and their shortest texts.
const FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    /// A value of the column's type.
    Like(String),
    /// A number that the column's type lacks, and the type that it is read as.
    Beyond(String, &'static str),
    /// A text that is not how any value of the column is shown.
    Never,
}

impl Literal {
    /// Reads a literal that a column is compared with, if its place among the column's values is
    /// certain.
    pub(super) fn of(value: &ScalarValue, column: &Operand) -> Option<Self> {
        if value.data_type() != column.data_type {
            return None;
        }
        match column.kind {
            Kind::Flag => match value {
                ScalarValue::Boolean(Some(value)) => Some(Self::Like(value.to_string())),
                _ => None,
            },
            Kind::Int2 | Kind::Int4 | Kind::Int8 => number(value, column.kind),
            Kind::Numeric => match value {
                ScalarValue::Decimal128(Some(digits), _, scale) => {
                    Some(Self::Like(decimal(digits, *scale)))
                }
                ScalarValue::Decimal256(Some(digits), _, scale) => {
                    Some(Self::Like(decimal(digits, *scale)))
                }
                _ => None,
            },
            Kind::Text | Kind::Padded | Kind::Enum => {
                let text = text(value)?;
                Some(if text.contains('\0') {
                    Self::Never
                } else {
                    Self::Like(text.to_owned())
                })
            }
            Kind::Uuid => {
                let text = text(value)?;
                let canonical = Uuid::parse_str(text).is_ok_and(|uuid| uuid.to_string() == text);
                Some(if canonical {
                    Self::Like(text.to_owned())
                } else {
                    Self::Never
                })
            }
            Kind::Bytes => match value {
                ScalarValue::Binary(Some(bytes)) => Some(Self::Like(hexadecimal(bytes))),
                _ => None,
            },
            Kind::Date => match value {
                ScalarValue::Date32(Some(days)) => time(date32_to_datetime(*days)?, "%Y-%m-%d"),
                _ => None,
            },
            Kind::Local => time(instant(value)?, "%Y-%m-%d %H:%M:%S%.6f"),
            Kind::Instant => time(instant(value)?, "%Y-%m-%d %H:%M:%S%.6f+00"),
            Kind::Uncompared => None,
        }
    }

    /// The literal with its type, so that the operator is certain; `None` for what has no SQL.
    pub(super) fn sql(&self, column: &Operand) -> Option<String> {
        let (text, sql_type) = match self {
            Self::Like(text) => (text, column.kind.sql_type()),
            Self::Beyond(text, sql_type) => (text, *sql_type),
            Self::Never => return None,
        };
        Some(format!("{}::{sql_type}", string(text)?))
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

fn instant(value: &ScalarValue) -> Option<NaiveDateTime> {
    match value {
        ScalarValue::TimestampMicrosecond(Some(micros), _) => timestamp_us_to_datetime(*micros),
        _ => None,
    }
}

/// Only years of four digits: they are written in one way only, and lie within all bounds.
fn time(time: NaiveDateTime, format: &str) -> Option<Literal> {
    (1..=9999)
        .contains(&time.year())
        .then(|| Literal::Like(time.format(format).to_string()))
}

/// Digits and their scale as one number.
fn decimal(digits: &dyn std::fmt::Display, scale: i8) -> String {
    format!("{digits}e{}", -i16::from(scale))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("\\x".to_owned()).chain(digits).collect()
}

/// A number that a column of integers is compared with.
fn number(value: &ScalarValue, kind: Kind) -> Option<Literal> {
    let whole = match value {
        ScalarValue::Int16(Some(value)) => i128::from(*value),
        ScalarValue::Int32(Some(value)) => i128::from(*value),
        ScalarValue::Int64(Some(value)) => i128::from(*value),
        ScalarValue::Decimal128(Some(digits), _, scale) => {
            let unit = 10_i128.checked_pow(u32::try_from(*scale).ok()?)?;
            if digits % unit != 0 {
                return Some(Literal::Beyond(decimal(digits, *scale), "numeric"));
            }
            digits / unit
        }
        ScalarValue::Float64(Some(value)) => {
            // Arrow puts the negative zero before the other one.
            let negative_zero = *value == 0.0 && value.is_sign_negative();
            if negative_zero || value.is_nan() || value.abs() >= FLOAT_MAX {
                return None;
            }
            if value.fract() != 0.0 {
                return Some(Literal::Beyond(value.to_string(), "numeric"));
            }
            *value as i128
        }
        _ => return None,
    };
    let fits = match kind {
        Kind::Int2 => i16::try_from(whole).is_ok(),
        Kind::Int4 => i32::try_from(whole).is_ok(),
        _ => i64::try_from(whole).is_ok(),
    };
    let text = whole.to_string();
    Some(if fits {
        Literal::Like(text)
    } else if i64::try_from(whole).is_ok() {
        Literal::Beyond(text, "int8")
    } else {
        Literal::Beyond(text, "numeric")
    })
}
