//! Masks once more, written plainly, one value at a time.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use scrim_anonymize::{Mask as Kernel, MaskKeys, ParamValue};

use super::cell::{Cell, array, cells};

/// The root of the keys of all masks.
pub(crate) const ROOT_KEY: [u8; 32] = [7; 32];

/// What one agreement makes of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Treat {
    Clear,
    Hidden,
    Masked(Mask),
    /// One field of a struct is masked.
    Field(usize, Mask),
    /// The elements of a list are masked.
    Element(Mask),
    /// One field of the structs in a list is masked.
    ElementField(usize, Mask),
}

impl Treat {
    pub(crate) fn closedness(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::Hidden => 2,
            _ => 1,
        }
    }
}

/// A mask with its parameters, as the contracts of the test world use it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mask {
    Null,
    ConstantText(&'static str),
    ConstantInt(i64),
    Partial(usize, usize),
    Prefix(usize),
    Digits,
    Year,
    Month,
    Day,
    Round(i64),
    Bucket(i64),
    Top(i64),
    Bottom(i64),
    /// Checked against published vectors elsewhere; here the kernel itself is called.
    Kernel(&'static str),
}

/// Where a column stands, for masks with keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) contract: &'a str,
    pub(crate) recipient: &'a str,
    pub(crate) column: &'a str,
    pub(crate) data_type: &'a DataType,
}

/// A value under a treatment.
pub(crate) fn show(treat: Treat, cell: &Cell, place: Place<'_>) -> Cell {
    match (treat, cell) {
        (Treat::Clear, cell) => cell.clone(),
        (Treat::Hidden, _) | (_, Cell::Null) => Cell::Null,
        (Treat::Masked(mask), cell) => masked(mask, cell, place),
        (Treat::Field(at, mask), Cell::Struct(fields)) => {
            Cell::Struct(at_field(fields, at, mask, place))
        }
        (Treat::Element(mask), Cell::List(items)) => {
            Cell::List(items.iter().map(|item| masked(mask, item, place)).collect())
        }
        (Treat::ElementField(at, mask), Cell::List(items)) => Cell::List(
            items
                .iter()
                .map(|item| match item {
                    Cell::Struct(fields) => Cell::Struct(at_field(fields, at, mask, place)),
                    other => other.clone(),
                })
                .collect(),
        ),
        (treat, cell) => panic!("{treat:?} does not fit {cell:?}"),
    }
}

fn at_field(fields: &[Cell], at: usize, mask: Mask, place: Place<'_>) -> Vec<Cell> {
    let mut fields = fields.to_vec();
    fields[at] = masked(mask, &fields[at], place);
    fields
}

fn masked(mask: Mask, cell: &Cell, place: Place<'_>) -> Cell {
    match (mask, cell) {
        (_, Cell::Null) | (Mask::Null, _) => Cell::Null,
        (Mask::ConstantText(text), _) => Cell::text(text),
        (Mask::ConstantInt(value), _) => Cell::Int(value),
        (Mask::Kernel(name), cell) => by_kernel(name, cell, place),
        (mask, Cell::Text(text)) => Cell::Text(masked_text(mask, text)),
        (mask, Cell::Int(value)) => {
            let (min, max) = match place.data_type {
                DataType::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
                _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
            };
            Cell::Int(masked_number(mask, i128::from(*value), 1).clamp(min, max) as i64)
        }
        // Two digits after the point.
        (mask, Cell::Decimal(value)) => {
            let max = match place.data_type {
                DataType::Decimal128(precision, _) => 10_i128.pow(u32::from(*precision)) - 1,
                _ => i128::MAX,
            };
            Cell::Decimal(masked_number(mask, *value, 100).clamp(-max, max))
        }
        (Mask::Round(to), Cell::Float(value)) => {
            if value.is_finite() {
                let steps = (value / to as f64).round_ties_even();
                Cell::Float(steps * to as f64 + 0.0)
            } else {
                Cell::Null
            }
        }
        (mask, Cell::Date(day)) => Cell::Date(first_day(mask, *day)),
        (mask, Cell::Time(micros)) => {
            let day = first_day(mask, micros.div_euclid(DAY_MICROS) as i32);
            Cell::Time(i64::from(day).saturating_mul(DAY_MICROS))
        }
        (mask, cell) => panic!("{mask:?} does not fit {cell:?}"),
    }
}

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

fn masked_text(mask: Mask, text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    match mask {
        Mask::Partial(first, last) => {
            if chars.is_empty() {
                String::new()
            } else if chars.len() < first + last + 4 {
                "****".to_owned()
            } else {
                let head: String = chars[..first].iter().collect();
                let tail: String = chars[chars.len() - last..].iter().collect();
                format!("{head}****{tail}")
            }
        }
        Mask::Prefix(length) => chars.into_iter().take(length).collect(),
        Mask::Digits => chars
            .into_iter()
            .map(|c| if c.is_ascii_digit() { '#' } else { c })
            .collect(),
        other => panic!("{other:?} does not fit text"),
    }
}

fn masked_number(mask: Mask, value: i128, unit: i128) -> i128 {
    match mask {
        Mask::Round(to) => {
            let step = i128::from(to) * unit;
            let below = value.div_euclid(step);
            let rest = value.rem_euclid(step) * 2;
            let up = rest > step || (rest == step && below % 2 != 0);
            (below + i128::from(up)) * step
        }
        Mask::Bucket(width) => {
            value.div_euclid(i128::from(width) * unit) * i128::from(width) * unit
        }
        Mask::Top(limit) => value.min(i128::from(limit) * unit),
        Mask::Bottom(limit) => value.max(i128::from(limit) * unit),
        other => panic!("{other:?} does not fit numbers"),
    }
}

/// The first day of the span that holds `day`: the calendar repeats every 400 years; within them, by
/// counting days one year, then one month at a time.
fn first_day(mask: Mask, day: i32) -> i32 {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |year: i64| if leap(year) { 366 } else { 365 };
    let day = i64::from(day);
    let era = day.div_euclid(146_097);
    let (mut year, mut start) = (1970 + 400 * era, 146_097 * era);
    while day >= start + length(year) {
        start += length(year);
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    if mask != Mask::Year {
        for month in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if day < start + month {
                break;
            }
            start += month;
        }
    }
    let first = match mask {
        Mask::Year | Mask::Month => start,
        Mask::Day => day,
        other => panic!("{other:?} does not fit dates"),
    };
    // What no day of the type is early enough for, is its earliest day.
    i32::try_from(first).unwrap_or(i32::MIN)
}

fn by_kernel(name: &str, cell: &Cell, place: Place<'_>) -> Cell {
    let keys = MaskKeys::for_contract(&ROOT_KEY, place.contract, "1", place.recipient);
    let params: BTreeMap<String, ParamValue> = BTreeMap::new();
    let bound = Kernel::parse(name, &params)
        .unwrap()
        .bind(place.column, place.data_type, &keys)
        .unwrap();
    let raw = array(place.data_type, &[cell]);
    cells(&bound.apply(&raw).unwrap()).remove(0)
}
