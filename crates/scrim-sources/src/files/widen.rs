//! One type for values of two: files of a table are written over years, and their types grow.

use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, Fields,
};

use super::types::UTC;

/// The type that holds every value of both, of the same kind; none if there is no such type.
pub(super) fn widened(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, BinaryView, Dictionary, FixedSizeBinary, LargeBinary, LargeList, LargeUtf8, List,
        Null, Struct, Timestamp, Utf8, Utf8View,
    };
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Null, other) | (other, Null) => Some(other.clone()),
        (Dictionary(_, value), Dictionary(_, other)) => widened(value, other),
        (Dictionary(_, value), other) | (other, Dictionary(_, value)) => widened(value, other),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => {
            let large = *a == LargeUtf8 || *b == LargeUtf8;
            Some(if large { LargeUtf8 } else { Utf8 })
        }
        (
            Binary | LargeBinary | BinaryView | FixedSizeBinary(_),
            Binary | LargeBinary | BinaryView | FixedSizeBinary(_),
        ) => {
            let large = *a == LargeBinary || *b == LargeBinary;
            Some(if large { LargeBinary } else { Binary })
        }
        // An instant is the same in every zone.
        (Timestamp(unit, Some(_)), Timestamp(other, Some(_))) if unit == other => {
            Some(Timestamp(*unit, Some(UTC.into())))
        }
        (List(item), List(other)) => Some(List(item_of(item, other)?)),
        (List(item) | LargeList(item), List(other) | LargeList(other)) => {
            Some(LargeList(item_of(item, other)?))
        }
        (Struct(fields), Struct(others)) => Some(Struct(fields_of(fields, others)?)),
        _ if a.is_integer() && b.is_integer() => integer(a, b),
        _ if a.is_floating() && b.is_floating() => {
            let double = [a, b].contains(&&DataType::Float64);
            Some(if double {
                DataType::Float64
            } else {
                DataType::Float32
            })
        }
        _ => decimal(a, b),
    }
}

/// The type without the notes that writers leave in nested fields, which differ from file to file.
pub(super) fn bare(data_type: &DataType) -> DataType {
    let field = |f: &FieldRef| {
        let inner = bare(f.data_type());
        Arc::new(Field::new(f.name(), inner, f.is_nullable()))
    };
    match data_type {
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}

fn item_of(a: &FieldRef, b: &FieldRef) -> Option<FieldRef> {
    let data_type = widened(a.data_type(), b.data_type())?;
    let nullable = a.is_nullable() || b.is_nullable();
    Some(Arc::new(Field::new(a.name(), data_type, nullable)))
}

/// The fields of both; one that either lacks can be NULL.
fn fields_of(a: &Fields, b: &Fields) -> Option<Fields> {
    let mut fields = Vec::with_capacity(a.len());
    for field in a {
        fields.push(match b.find(field.name()) {
            Some((_, other)) => item_of(field, other)?,
            None => Arc::new(Field::new(field.name(), field.data_type().clone(), true)),
        });
    }
    for field in b.iter().filter(|field| a.find(field.name()).is_none()) {
        let data_type = field.data_type().clone();
        fields.push(Arc::new(Field::new(field.name(), data_type, true)));
    }
    Some(fields.into())
}

fn integer(a: &DataType, b: &DataType) -> Option<DataType> {
    let bits = |t: &DataType| t.primitive_width().map(|bytes| bytes * 8);
    // A signed type holds an unsigned one of half its width.
    let signed = a.is_signed_integer() || b.is_signed_integer();
    let needed = |t: &DataType| {
        let more = signed && t.is_unsigned_integer();
        bits(t).map(|bits| if more { bits * 2 } else { bits })
    };
    match (needed(a)?.max(needed(b)?), signed) {
        (8, true) => Some(DataType::Int8),
        (16, true) => Some(DataType::Int16),
        (32, true) => Some(DataType::Int32),
        (64, true) => Some(DataType::Int64),
        (8, false) => Some(DataType::UInt8),
        (16, false) => Some(DataType::UInt16),
        (32, false) => Some(DataType::UInt32),
        (64, false) => Some(DataType::UInt64),
        _ => None,
    }
}

fn decimal(a: &DataType, b: &DataType) -> Option<DataType> {
    let parts = |t: &DataType| match t {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => Some((i16::from(*p), i16::from(*s))),
        _ => None,
    };
    let ((digits, scale), (other_digits, other_scale)) = (parts(a)?, parts(b)?);
    let whole = (digits - scale).max(other_digits - other_scale);
    let scale = scale.max(other_scale);
    let precision = u8::try_from(whole + scale).ok()?;
    let scale = i8::try_from(scale).ok()?;
    if precision <= DECIMAL128_MAX_PRECISION {
        Some(DataType::Decimal128(precision, scale))
    } else {
        (precision <= DECIMAL256_MAX_PRECISION).then_some(DataType::Decimal256(precision, scale))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    fn list(item: DataType) -> DataType {
        DataType::new_list(item, true)
    }

    fn object(fields: &[(&str, DataType, bool)]) -> DataType {
        let field = |(name, t, null): &(&str, DataType, bool)| Field::new(*name, t.clone(), *null);
        DataType::Struct(fields.iter().map(field).collect())
    }

    fn stamp(unit: TimeUnit, zone: Option<&str>) -> DataType {
        DataType::Timestamp(unit, zone.map(Into::into))
    }

    #[test]
    fn types_grow_within_their_kind_and_no_further() {
        use DataType::{
            Binary, Date32, Decimal128, Decimal256, Float32, Float64, Int8, Int16, Int32, Int64,
            LargeUtf8, Null, UInt8, UInt32, UInt64, Utf8, Utf8View,
        };
        let micro = TimeUnit::Microsecond;
        let dictionary = DataType::Dictionary(Box::new(Int32), Box::new(Utf8));
        for (a, b, expected) in [
            (Int32, Int64, Some(Int64)),
            (UInt8, UInt32, Some(UInt32)),
            (UInt8, Int8, Some(Int16)),
            (UInt32, Int8, Some(Int64)),
            (UInt64, Int64, None),
            (Float32, Float64, Some(Float64)),
            (Int32, Float64, None),
            (Decimal128(10, 2), Decimal128(8, 4), Some(Decimal128(12, 4))),
            (
                Decimal128(38, 0),
                Decimal128(38, 10),
                Some(Decimal256(48, 10)),
            ),
            (Decimal256(76, 0), Decimal128(38, 10), None),
            (Int32, Decimal128(10, 2), None),
            (Utf8, LargeUtf8, Some(LargeUtf8)),
            (Utf8View, Utf8, Some(Utf8)),
            (Utf8, Binary, None),
            (dictionary, Utf8, Some(Utf8)),
            (Null, Date32, Some(Date32)),
            (Date32, stamp(micro, None), None),
            (stamp(micro, None), stamp(micro, Some("UTC")), None),
            (
                stamp(micro, Some("UTC")),
                stamp(micro, Some("+00:00")),
                Some(stamp(micro, Some("UTC"))),
            ),
            (stamp(micro, None), stamp(TimeUnit::Nanosecond, None), None),
            (list(Int32), list(Int64), Some(list(Int64))),
            (list(Int32), list(Utf8), None),
        ] {
            assert_eq!(widened(&a, &b), expected, "{a} {b}");
            assert_eq!(widened(&b, &a), expected, "{b} {a}");
        }
    }

    #[test]
    fn objects_have_the_fields_of_both() {
        let a = object(&[("x", DataType::Int32, false), ("y", DataType::Utf8, false)]);
        let b = object(&[
            ("z", DataType::Date32, false),
            ("x", DataType::Int64, false),
        ]);
        let both = object(&[
            ("x", DataType::Int64, false),
            ("y", DataType::Utf8, true),
            ("z", DataType::Date32, true),
        ]);
        assert_eq!(widened(&a, &b), Some(both.clone()));
        assert_eq!(widened(&both, &a), Some(both));
    }
}
