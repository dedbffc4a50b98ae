//! The one function from the engine's types to those of the wire.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::describe::type_metadata;

/// Which of Arrow's types a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireTypes {
    /// Those that every driver reads.
    Plain,
    /// Arrow's own: views, large and fixed-size ones, half floats, narrow decimals.
    Native,
}

/// The schema under which a result leaves.
///
/// Drivers read only part of Arrow's types: JDBC throws at string views and does not decode
/// dictionaries, ODBC refuses large strings and fixed-size binaries. A client that says so gets
/// Arrow's own types, but for encodings of values: dictionaries and runs leave as their values, since
/// a dictionary is a message of its own that could be larger than any driver accepts.
///
/// Every column is nullable, so that neither a mask, a row filter nor the optimiser's statistics can
/// change the shape between the announcement of a result and the result. Metadata of the source go;
/// what a column says of itself is the name of its type, precision and scale.
pub fn wire_schema(schema: &Schema, types: WireTypes) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = wire_type(field.data_type(), types);
        let metadata = type_metadata(&data_type);
        Arc::new(Field::new(field.name(), data_type, true).with_metadata(metadata))
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

fn wire_field(field: &FieldRef, types: WireTypes) -> FieldRef {
    let data_type = wire_type(field.data_type(), types);
    Arc::new(Field::new(field.name(), data_type, true))
}

fn wire_type(data_type: &DataType, types: WireTypes) -> DataType {
    let plain = |plain: DataType| match types {
        WireTypes::Plain => plain,
        WireTypes::Native => data_type.clone(),
    };
    match data_type {
        // ODBC cannot describe a column without a type.
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            plain(DataType::Utf8)
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => plain(DataType::Binary),
        DataType::Dictionary(_, values) => wire_type(values, types),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type(), types),
        DataType::Float16 => plain(DataType::Float32),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            plain(DataType::Decimal128(*precision, *scale))
        }
        DataType::LargeList(item) | DataType::LargeListView(item) if types == WireTypes::Native => {
            DataType::LargeList(wire_field(item, types))
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(wire_field(item, types)),
        DataType::FixedSizeList(item, length) => {
            DataType::FixedSizeList(wire_field(item, types), *length)
        }
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| wire_field(field, types))
                .collect(),
        ),
        DataType::Map(entries, sorted) => DataType::Map(wire_entries(entries, types), *sorted),
        // No driver reads unions from a query; they pass as they are.
        DataType::Union(..)
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => data_type.clone(),
    }
}

/// A map's entries and keys may not be null, by Arrow's own definition.
fn wire_entries(entries: &FieldRef, types: WireTypes) -> FieldRef {
    let DataType::Struct(pair) = entries.data_type() else {
        return Arc::clone(entries);
    };
    let pair: Fields = pair
        .iter()
        .enumerate()
        .map(|(i, field)| Field::new(field.name(), wire_type(field.data_type(), types), i > 0))
        .collect();
    Arc::new(Field::new(entries.name(), DataType::Struct(pair), false))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{IntervalUnit, TimeUnit};

    use super::*;

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", item, true)))
    }

    fn check(from: &DataType, to: &DataType) {
        let schema = Schema::new(vec![Field::new("c", from.clone(), false)]);
        let wire = wire_schema(&schema, WireTypes::Plain);
        assert_eq!(wire.field(0).data_type(), to, "{from}");
        assert!(wire.field(0).is_nullable(), "{from}");
        assert_eq!(
            wire_schema(&wire, WireTypes::Plain),
            wire,
            "a wire schema stays as it is: {from}"
        );
    }

    #[test]
    fn exotic_types_become_plain_ones() {
        let view_list =
            DataType::LargeListView(Arc::new(Field::new("item", DataType::Utf8View, false)));
        let nested = DataType::Struct(Fields::from(vec![
            Field::new("phone", DataType::LargeUtf8, false),
            Field::new("tags", view_list.clone(), false),
        ]));
        let nested_wire = DataType::Struct(Fields::from(vec![
            Field::new("phone", DataType::Utf8, true),
            Field::new("tags", list(DataType::Utf8), true),
        ]));
        let dictionary =
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
        let runs = DataType::RunEndEncoded(
            Arc::new(Field::new("run_ends", DataType::Int32, false)),
            Arc::new(Field::new("values", DataType::LargeBinary, true)),
        );
        for (from, to) in [
            (DataType::Utf8View, DataType::Utf8),
            (DataType::LargeUtf8, DataType::Utf8),
            (DataType::Utf8, DataType::Utf8),
            (DataType::BinaryView, DataType::Binary),
            (DataType::LargeBinary, DataType::Binary),
            (DataType::FixedSizeBinary(16), DataType::Binary),
            (dictionary, DataType::Utf8),
            (runs, DataType::Binary),
            (DataType::Float16, DataType::Float32),
            (DataType::Decimal32(7, 2), DataType::Decimal128(7, 2)),
            (DataType::Decimal64(12, 3), DataType::Decimal128(12, 3)),
            (DataType::Null, DataType::Utf8),
            (view_list, list(DataType::Utf8)),
            (list(DataType::Utf8View), list(DataType::Utf8)),
            (nested, nested_wire),
        ] {
            check(&from, &to);
        }
    }

    #[test]
    fn plain_types_stay() {
        for data_type in [
            DataType::Boolean,
            DataType::Int64,
            DataType::UInt8,
            DataType::Float64,
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Time64(TimeUnit::Nanosecond),
            DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Decimal128(38, 10),
            DataType::Decimal256(50, 10),
        ] {
            check(&data_type, &data_type);
        }
    }

    #[test]
    fn maps_keep_their_keys_not_null_and_metadata_goes() {
        let pair = Fields::from(vec![
            Field::new("keys", DataType::Utf8View, false),
            Field::new("values", DataType::Utf8View, false),
        ]);
        let entries = Arc::new(Field::new("entries", DataType::Struct(pair), false));
        let field = Field::new("m", DataType::Map(entries, false), false)
            .with_metadata([("secret".to_owned(), "note".to_owned())].into());
        let wire = wire_schema(&Schema::new(vec![field]), WireTypes::Plain);
        assert!(!wire.field(0).metadata().contains_key("secret"));
        assert_eq!(
            wire.field(0).metadata()["ARROW:FLIGHT:SQL:TYPE_NAME"],
            "MAP"
        );
        let DataType::Map(entries, false) = wire.field(0).data_type() else {
            panic!("not a map: {}", wire.field(0));
        };
        let DataType::Struct(pair) = entries.data_type() else {
            panic!("not a struct")
        };
        assert_eq!(pair[0].data_type(), &DataType::Utf8);
        assert!(!pair[0].is_nullable() && pair[1].is_nullable() && !entries.is_nullable());
    }

    #[test]
    fn native_types_keep_everything_but_encodings_and_nullability() {
        let dictionary =
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
        let large = |item| DataType::LargeList(Arc::new(Field::new("item", item, true)));
        for (from, to) in [
            (DataType::Utf8View, DataType::Utf8View),
            (DataType::LargeBinary, DataType::LargeBinary),
            (DataType::FixedSizeBinary(16), DataType::FixedSizeBinary(16)),
            (DataType::Float16, DataType::Float16),
            (DataType::Decimal32(7, 2), DataType::Decimal32(7, 2)),
            (DataType::Null, DataType::Null),
            (dictionary.clone(), DataType::Utf8View),
            (large(dictionary), large(DataType::Utf8View)),
        ] {
            let schema = Schema::new(vec![Field::new("c", from.clone(), false)]);
            let wire = wire_schema(&schema, WireTypes::Native);
            assert_eq!(wire.field(0).data_type(), &to, "{from}");
            assert!(wire.field(0).is_nullable(), "{from}");
        }
    }
}
