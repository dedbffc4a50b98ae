//! Arrow's types by the names that SQL clients show.

use datafusion::arrow::datatypes::{DataType, TimeUnit};

/// A type as clients of SQL know it; its name is one of those that GetXdbcTypeInfo lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SqlType {
    pub(crate) name: &'static str,
    /// Digits of a number, characters of a time.
    pub(crate) precision: Option<i32>,
    /// Digits after the point, of numbers and of seconds.
    pub(crate) scale: Option<i32>,
    /// Whether upper and lower case differ.
    pub(crate) case_sensitive: bool,
}

const fn sized(name: &'static str, precision: i32, scale: i32) -> SqlType {
    SqlType {
        name,
        precision: Some(precision),
        scale: Some(scale),
        case_sensitive: false,
    }
}

const fn bare(name: &'static str) -> SqlType {
    SqlType {
        name,
        precision: None,
        scale: None,
        case_sensitive: false,
    }
}

const fn text() -> SqlType {
    SqlType {
        case_sensitive: true,
        ..bare("VARCHAR")
    }
}

/// The type of a column.
pub(crate) fn sql_type(data_type: &DataType) -> SqlType {
    match data_type {
        DataType::Boolean => sized("BOOLEAN", 1, 0),
        DataType::Int8 => sized("TINYINT", 3, 0),
        DataType::Int16 => sized("SMALLINT", 5, 0),
        DataType::Int32 => sized("INTEGER", 10, 0),
        DataType::Int64 => sized("BIGINT", 19, 0),
        DataType::UInt8 => sized("TINYINT UNSIGNED", 3, 0),
        DataType::UInt16 => sized("SMALLINT UNSIGNED", 5, 0),
        DataType::UInt32 => sized("INTEGER UNSIGNED", 10, 0),
        DataType::UInt64 => sized("BIGINT UNSIGNED", 20, 0),
        DataType::Float16 | DataType::Float32 => SqlType {
            precision: Some(24),
            ..bare("REAL")
        },
        DataType::Float64 => SqlType {
            precision: Some(53),
            ..bare("DOUBLE")
        },
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            sized("DECIMAL", i32::from(*precision), i32::from(*scale))
        }
        // A column without a type leaves as text.
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => text(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => bare("VARBINARY"),
        DataType::Date32 | DataType::Date64 => sized("DATE", 10, 0),
        DataType::Time32(unit) | DataType::Time64(unit) => time("TIME", 8, *unit),
        DataType::Timestamp(unit, None) => time("TIMESTAMP", 19, *unit),
        DataType::Timestamp(unit, Some(_)) => time("TIMESTAMP WITH TIME ZONE", 25, *unit),
        DataType::Duration(_) | DataType::Interval(_) => bare("INTERVAL"),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(..) => bare("ARRAY"),
        DataType::Struct(_) | DataType::Union(..) => bare("STRUCT"),
        DataType::Map(..) => bare("MAP"),
        DataType::Dictionary(_, values) => sql_type(values),
        DataType::RunEndEncoded(_, values) => sql_type(values.data_type()),
    }
}

/// The point counts as a character when digits follow it.
fn time(name: &'static str, whole: i32, unit: TimeUnit) -> SqlType {
    let digits = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    sized(name, whole + digits + i32::from(digits > 0), digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_precision_and_scale() {
        let micros = TimeUnit::Microsecond;
        for (data_type, name, precision, scale) in [
            (DataType::Int64, "BIGINT", Some(19), Some(0)),
            (DataType::Decimal128(12, 2), "DECIMAL", Some(12), Some(2)),
            (DataType::Utf8View, "VARCHAR", None, None),
            (DataType::Float64, "DOUBLE", Some(53), None),
            (DataType::Date32, "DATE", Some(10), Some(0)),
            (
                DataType::Timestamp(micros, None),
                "TIMESTAMP",
                Some(26),
                Some(6),
            ),
            (
                DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
                "TIMESTAMP WITH TIME ZONE",
                Some(25),
                Some(0),
            ),
        ] {
            let found = sql_type(&data_type);
            assert_eq!(
                (found.name, found.precision, found.scale),
                (name, precision, scale)
            );
        }
    }
}
