//! Which conversions cannot fail on any value.
//!
//! Each entry was read in Arrow's cast kernels and is run over adversarial values by the property
//! test. What is not listed is refused.

use arrow::datatypes::{DataType, TimeUnit};

/// Whether `CAST` is defined for every value.
pub(super) fn cast_is_total(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Boolean, Date32, Date64, Decimal128, Dictionary, FixedSizeList, Float16, Float32, Float64,
        LargeList, LargeUtf8, List, Null, Timestamp, Utf8, Utf8View,
    };
    if from == to {
        return true;
    }
    match (from, to) {
        (Null, _)
        | (Float16, Float32 | Float64)
        | (Float32, Float64)
        | (Date32, Date64)
        | (Utf8 | Utf8View, LargeUtf8)
        | (Utf8 | LargeUtf8, Utf8View)
        | (Utf8View, Utf8) => true,
        (Dictionary(_, value), to) if !matches!(to, Dictionary(..)) => cast_is_total(value, to),
        (Boolean, to) => to.is_integer() || is_text(to),
        (from, to) if from.is_integer() && to.is_integer() => widens(from, to),
        (from, Float32 | Float64) if from.is_integer() || is_decimal(from) => true,
        (from, Decimal128(precision, scale)) if from.is_integer() => {
            *scale >= 0 && i16::from(*precision) - i16::from(*scale) >= digits(from)
        }
        (from, to) if is_decimal(from) && is_decimal(to) => decimal_widens(from, to),
        (from, to) if from.is_integer() && is_text(to) => true,
        // Larger units would overflow.
        (Date32, Timestamp(TimeUnit::Second | TimeUnit::Millisecond, None)) => true,
        // To a coarser unit; giving a zone to a local time can fail.
        (Timestamp(from, zone), Timestamp(to, to_zone)) => {
            (zone.is_some() || to_zone.is_none()) && fineness(*from) >= fineness(*to)
        }
        (List(from) | FixedSizeList(from, _), List(to) | LargeList(to))
        | (LargeList(from), LargeList(to)) => cast_is_total(from.data_type(), to.data_type()),
        _ => false,
    }
}

/// Whether `TRY_CAST` gives a value or NULL for every value. It is not so for all: some kernels
/// raise although they were asked not to.
pub(super) fn try_cast_is_total(from: &DataType, to: &DataType) -> bool {
    use DataType::{Boolean, Date32, Date64, Dictionary, Timestamp};
    if cast_is_total(from, to) {
        return true;
    }
    match (from, to) {
        (Dictionary(_, value), to) if !matches!(to, Dictionary(..)) => try_cast_is_total(value, to),
        (from, to) if is_text(from) => {
            to.is_integer()
                || is_float(to)
                || is_decimal(to)
                || matches!(to, Boolean | Date32 | Timestamp(_, None))
        }
        (from, to) if is_number(from) && is_number(to) => true,
        (Date32, Timestamp(_, None)) | (Date64, Date32) => true,
        (Timestamp(_, zone), Timestamp(_, to_zone)) => zone.is_some() || to_zone.is_none(),
        _ => false,
    }
}

/// Whether values of a type can be compared, and cannot hold values of other types.
pub(super) fn is_scalar(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_scalar(value),
        other => {
            is_number(other)
                || is_text(other)
                || matches!(
                    other,
                    DataType::Null
                        | DataType::Boolean
                        | DataType::Binary
                        | DataType::LargeBinary
                        | DataType::BinaryView
                        | DataType::FixedSizeBinary(_)
                        | DataType::Date32
                        | DataType::Date64
                        | DataType::Time32(_)
                        | DataType::Time64(_)
                        | DataType::Timestamp(..)
                )
        }
    }
}

/// Whether a type is a list of such values.
pub(super) fn is_scalar_list(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            is_scalar(field.data_type())
        }
        _ => false,
    }
}

pub(super) fn is_float(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Float16 | DataType::Float32 | DataType::Float64
    )
}

pub(super) fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..)
    )
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || is_float(data_type) || is_decimal(data_type)
}

/// Bits of the magnitude of an integer type.
fn magnitude(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Int8 => 7,
        DataType::UInt8 => 8,
        DataType::Int16 => 15,
        DataType::UInt16 => 16,
        DataType::Int32 => 31,
        DataType::UInt32 => 32,
        DataType::Int64 => 63,
        _ => 64,
    }
}

fn widens(from: &DataType, to: &DataType) -> bool {
    let sign_is_kept = from.is_unsigned_integer() || to.is_signed_integer();
    sign_is_kept && magnitude(from) <= magnitude(to)
}

/// Decimal digits that hold every value of an integer type.
fn digits(data_type: &DataType) -> i16 {
    match magnitude(data_type) {
        7 | 8 => 3,
        15 | 16 => 5,
        31 | 32 => 10,
        63 => 19,
        _ => 20,
    }
}

fn decimal_parts(data_type: &DataType) -> Option<(u8, u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale) => Some((4, *precision, *scale)),
        DataType::Decimal64(precision, scale) => Some((8, *precision, *scale)),
        DataType::Decimal128(precision, scale) => Some((16, *precision, *scale)),
        _ => None,
    }
}

fn decimal_widens(from: &DataType, to: &DataType) -> bool {
    let (Some((from_bytes, from_precision, from_scale)), Some((to_bytes, to_precision, to_scale))) =
        (decimal_parts(from), decimal_parts(to))
    else {
        return false;
    };
    let whole = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
    from_bytes <= to_bytes
        && from_scale <= to_scale
        && whole(from_precision, from_scale) <= whole(to_precision, to_scale)
}

fn fineness(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}
