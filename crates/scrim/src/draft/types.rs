//! Arrow's types in the words of contracts.

use arrow::datatypes::{DataType, TimeUnit};

/// The standard's logical type, where it has one, and a physical type in the words of SQL.
pub(super) fn in_words(data_type: &DataType) -> (Option<&'static str>, String) {
    let (logical, physical) = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ("string", "VARCHAR"),
        DataType::Boolean => ("boolean", "BOOLEAN"),
        DataType::Int8 => ("integer", "TINYINT"),
        DataType::Int16 => ("integer", "SMALLINT"),
        DataType::Int32 => ("integer", "INTEGER"),
        DataType::Int64 => ("integer", "BIGINT"),
        DataType::UInt8 => ("integer", "TINYINT UNSIGNED"),
        DataType::UInt16 => ("integer", "SMALLINT UNSIGNED"),
        DataType::UInt32 => ("integer", "INTEGER UNSIGNED"),
        DataType::UInt64 => ("integer", "BIGINT UNSIGNED"),
        DataType::Float16 | DataType::Float32 => ("number", "REAL"),
        DataType::Float64 => ("number", "DOUBLE"),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            return (Some("number"), format!("DECIMAL({precision},{scale})"));
        }
        DataType::Date32 | DataType::Date64 => ("date", "DATE"),
        DataType::Time32(_) | DataType::Time64(_) => ("time", "TIME"),
        DataType::Timestamp(unit, zone) => {
            return (Some("timestamp"), timestamp(*unit, zone.is_some()));
        }
        DataType::Struct(_) => ("object", "STRUCT"),
        DataType::Map(..) => ("object", "MAP"),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(..) => ("array", "LIST"),
        DataType::Dictionary(_, values) => return in_words(values),
        DataType::RunEndEncoded(_, values) => return in_words(values.data_type()),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => return (None, "VARBINARY".to_owned()),
        DataType::Interval(_) | DataType::Duration(_) => return (None, "INTERVAL".to_owned()),
        DataType::Null | DataType::Union(..) => return (None, data_type.to_string()),
    };
    (Some(logical), physical.to_owned())
}

fn timestamp(unit: TimeUnit, zone: bool) -> String {
    let precision = match unit {
        TimeUnit::Second => "(0)",
        TimeUnit::Millisecond => "(3)",
        // what every database means when it says no more
        TimeUnit::Microsecond => "",
        TimeUnit::Nanosecond => "(9)",
    };
    let zone = if zone { " WITH TIME ZONE" } else { "" };
    format!("TIMESTAMP{precision}{zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_words() {
        let words = |data_type| {
            let (logical, physical) = in_words(&data_type);
            format!("{} {physical}", logical.unwrap_or("-"))
        };
        for (data_type, expected) in [
            (DataType::Utf8View, "string VARCHAR"),
            (DataType::Int64, "integer BIGINT"),
            (DataType::Decimal128(12, 2), "number DECIMAL(12,2)"),
            (
                DataType::Timestamp(TimeUnit::Microsecond, None),
                "timestamp TIMESTAMP",
            ),
            (
                DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
                "timestamp TIMESTAMP(9) WITH TIME ZONE",
            ),
            (DataType::Binary, "- VARBINARY"),
            (DataType::new_list(DataType::Utf8, true), "array LIST"),
            (
                DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
                "string VARCHAR",
            ),
        ] {
            assert_eq!(words(data_type), expected);
        }
    }
}
