//! The types of results, as GetXdbcTypeInfo tells them.

use std::sync::LazyLock;

use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType as Type, XdbcDatetimeSubcode as Sub};
use datafusion::arrow::array::RecordBatch;

/// One type: what it is, how it is written, how wide it is.
struct Row {
    name: &'static str,
    data_type: Type,
    size: Option<i32>,
    quote: Option<(&'static str, &'static str)>,
    kind: Kind,
}

/// What further columns depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    Unsigned,
    Approximate,
    Decimal,
    Text,
    Bytes,
    Flag,
    Time(Sub),
    Other,
}

const QUOTED: Option<(&str, &str)> = Some(("'", "'"));

const fn row(name: &'static str, data_type: Type, size: i32, kind: Kind) -> Row {
    Row {
        name,
        data_type,
        size: Some(size),
        quote: None,
        kind,
    }
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let time = |name, data_type, size, prefix, sub| Row {
        name,
        data_type,
        size: Some(size),
        quote: Some((prefix, "'")),
        kind: Kind::Time(sub),
    };
    vec![
        row("BOOLEAN", Type::XdbcBit, 1, Kind::Flag),
        row("TINYINT", Type::XdbcTinyint, 3, Kind::Signed),
        row("SMALLINT", Type::XdbcSmallint, 5, Kind::Signed),
        row("INTEGER", Type::XdbcInteger, 10, Kind::Signed),
        row("BIGINT", Type::XdbcBigint, 19, Kind::Signed),
        row("TINYINT UNSIGNED", Type::XdbcTinyint, 3, Kind::Unsigned),
        row("SMALLINT UNSIGNED", Type::XdbcSmallint, 5, Kind::Unsigned),
        row("INTEGER UNSIGNED", Type::XdbcInteger, 10, Kind::Unsigned),
        row("BIGINT UNSIGNED", Type::XdbcBigint, 20, Kind::Unsigned),
        row("REAL", Type::XdbcReal, 24, Kind::Approximate),
        row("DOUBLE", Type::XdbcDouble, 53, Kind::Approximate),
        row("DECIMAL", Type::XdbcDecimal, 76, Kind::Decimal),
        Row {
            name: "VARCHAR",
            data_type: Type::XdbcVarchar,
            size: None,
            quote: QUOTED,
            kind: Kind::Text,
        },
        Row {
            name: "VARBINARY",
            data_type: Type::XdbcVarbinary,
            size: None,
            quote: Some(("X'", "'")),
            kind: Kind::Bytes,
        },
        // XDBC's subcode for a date is the one it calls "year": 1 is SQL_CODE_DATE.
        time("DATE", Type::XdbcDate, 10, "DATE '", Sub::XdbcSubcodeYear),
        time("TIME", Type::XdbcTime, 18, "TIME '", Sub::XdbcSubcodeTime),
        time(
            "TIMESTAMP",
            Type::XdbcTimestamp,
            29,
            "TIMESTAMP '",
            Sub::XdbcSubcodeTimestamp,
        ),
        time(
            "TIMESTAMP WITH TIME ZONE",
            Type::XdbcTimestamp,
            35,
            "TIMESTAMPTZ '",
            Sub::XdbcSubcodeTimestampWithTimezone,
        ),
        Row {
            name: "INTERVAL",
            data_type: Type::XdbcInterval,
            size: None,
            quote: Some(("INTERVAL '", "'")),
            kind: Kind::Other,
        },
        nested("ARRAY"),
        nested("STRUCT"),
        nested("MAP"),
    ]
});

/// XDBC has no number for what holds other values.
const fn nested(name: &'static str) -> Row {
    Row {
        name,
        data_type: Type::XdbcUnknownType,
        size: None,
        quote: None,
        kind: Kind::Other,
    }
}

/// The types, or those of one XDBC type.
pub(super) fn batch(data_type: Option<i32>) -> Result<RecordBatch, FlightError> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for row in ROWS.iter() {
        builder.append(info(row));
    }
    builder.build()?.record_batch(data_type)
}

fn info(row: &Row) -> XdbcTypeInfo {
    let exact = matches!(row.kind, Kind::Signed | Kind::Unsigned | Kind::Decimal);
    let number = exact || row.kind == Kind::Approximate;
    let (minimum_scale, maximum_scale) = match row.kind {
        Kind::Decimal => (Some(0), Some(76)),
        Kind::Signed | Kind::Unsigned => (Some(0), Some(0)),
        Kind::Time(Sub::XdbcSubcodeYear)
        | Kind::Approximate
        | Kind::Text
        | Kind::Bytes
        | Kind::Flag
        | Kind::Other => (None, None),
        Kind::Time(_) => (Some(0), Some(9)),
    };
    let (sql_data_type, datetime_subcode) = match row.kind {
        Kind::Time(sub) => (Type::XdbcDatetime, Some(sub)),
        _ => (row.data_type, None),
    };
    let searchable = match row.kind {
        Kind::Text => Searchable::Full,
        _ => Searchable::Basic,
    };
    XdbcTypeInfo {
        type_name: row.name.to_owned(),
        data_type: row.data_type,
        column_size: row.size,
        literal_prefix: row.quote.map(|(prefix, _)| prefix.to_owned()),
        literal_suffix: row.quote.map(|(_, suffix)| suffix.to_owned()),
        create_params: (row.kind == Kind::Decimal)
            .then(|| vec!["precision".to_owned(), "scale".to_owned()]),
        nullable: Nullable::NullabilityNullable,
        case_sensitive: row.kind == Kind::Text,
        searchable,
        unsigned_attribute: number.then_some(row.kind == Kind::Unsigned),
        fixed_prec_scale: false,
        auto_increment: number.then_some(false),
        local_type_name: Some(row.name.to_owned()),
        minimum_scale,
        maximum_scale,
        sql_data_type,
        datetime_subcode,
        num_prec_radix: match row.kind {
            Kind::Approximate => Some(2),
            Kind::Signed | Kind::Unsigned | Kind::Decimal => Some(10),
            Kind::Text | Kind::Bytes | Kind::Flag | Kind::Time(_) | Kind::Other => None,
        },
        interval_precision: None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{
        DataType, Field, Fields, Int32Type, IntervalUnit, TimeUnit,
    };

    use super::*;
    use crate::wire::sql_type;

    #[test]
    fn nineteen_columns_ordered_by_type() {
        let all = batch(None).unwrap();
        assert_eq!((all.num_columns(), all.num_rows()), (19, ROWS.len()));
        let types = all.column(1).as_primitive::<Int32Type>().values().to_vec();
        assert!(types.is_sorted());
    }

    #[test]
    fn filtered_by_type() {
        let text = batch(Some(Type::XdbcVarchar as i32)).unwrap();
        assert_eq!(text.num_rows(), 1);
        assert_eq!(text.column(0).as_string::<i32>().value(0), "VARCHAR");
        assert_eq!(batch(Some(12_345)).unwrap().num_rows(), 0);
    }

    #[test]
    fn every_type_of_a_result_is_listed() {
        let item = Arc::new(Field::new("item", DataType::Int8, true));
        let entries = Fields::from(vec![
            Field::new("keys", DataType::Utf8, false),
            Field::new("values", DataType::Utf8, true),
        ]);
        let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
        for data_type in [
            DataType::Null,
            DataType::Boolean,
            DataType::Int8,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::UInt8,
            DataType::UInt16,
            DataType::UInt32,
            DataType::UInt64,
            DataType::Float16,
            DataType::Float32,
            DataType::Float64,
            DataType::Decimal256(76, 10),
            DataType::Utf8View,
            DataType::FixedSizeBinary(16),
            DataType::Date64,
            DataType::Time32(TimeUnit::Second),
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            DataType::Duration(TimeUnit::Second),
            DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::LargeListView(item),
            DataType::Struct(Fields::empty()),
            DataType::Map(entries, false),
        ] {
            let sql = sql_type(&data_type);
            let row = ROWS.iter().find(|row| row.name == sql.name);
            let row = row.unwrap_or_else(|| panic!("{data_type} is {}", sql.name));
            // No column is wider than its type can be.
            assert!(sql.precision <= row.size, "{data_type}");
        }
    }
}
