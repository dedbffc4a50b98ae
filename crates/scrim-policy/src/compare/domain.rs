//! Sets of the values that an expression can have: ranges on a line, and whether NULL is in it.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;

/// A place on the line of a type's values, in the order in which they are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Whole(i128),
    Bytes(Vec<u8>),
}

impl Key {
    /// The place right behind it, unless there is none.
    fn next(&self) -> Option<Self> {
        match self {
            Self::Whole(value) => value.checked_add(1).map(Self::Whole),
            Self::Bytes(bytes) => {
                let mut bytes = bytes.clone();
                bytes.push(0);
                Some(Self::Bytes(bytes))
            }
        }
    }
}

/// From a place on, up to one that is no part of it, or without end.
type Range = (Key, Option<Key>);

/// Some of the values of a type, NULL being one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    null: bool,
    /// In order, apart from one another.
    ranges: Vec<Range>,
}

impl Set {
    pub(super) fn null() -> Self {
        Self {
            null: true,
            ranges: Vec::new(),
        }
    }

    const fn of(ranges: Vec<Range>) -> Self {
        Self {
            null: false,
            ranges,
        }
    }

    pub(super) const fn empty() -> Self {
        Self::of(Vec::new())
    }

    /// One value.
    pub(super) fn only(key: Key) -> Self {
        let next = key.next();
        Self::of(vec![(key, next)])
    }

    /// These values.
    pub(super) fn of_keys(mut keys: Vec<Key>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        let mut ranges: Vec<Range> = Vec::with_capacity(keys.len());
        for key in keys {
            let next = key.next();
            match ranges.last_mut() {
                Some((_, end)) if end.as_ref() == Some(&key) => *end = next,
                _ => ranges.push((key, next)),
            }
        }
        Self::of(ranges)
    }

    /// Whole numbers from the first up to and with the last.
    pub(super) fn between(first: i128, last: i128) -> Self {
        Self::of(vec![(Key::Whole(first), Key::Whole(last).next())])
    }

    /// The value and all that are greater.
    pub(super) fn from(key: Key) -> Self {
        Self::of(vec![(key, None)])
    }

    /// All that are greater than the value.
    pub(super) fn above(key: &Key) -> Self {
        Self::of(key.next().map(|next| (next, None)).into_iter().collect())
    }

    /// All texts that begin so.
    pub(super) fn starting_with(prefix: &str) -> Self {
        let mut end = prefix.as_bytes().to_vec();
        // No byte of UTF-8 is the greatest byte, so adding one to the last is all there is to do.
        let end = match end.last_mut() {
            Some(last) => {
                *last = last.saturating_add(1);
                Some(Key::Bytes(end))
            }
            None => None,
        };
        Self::of(vec![(Key::Bytes(prefix.as_bytes().to_vec()), end)])
    }

    pub(super) fn with_null(mut self) -> Self {
        self.null = true;
        self
    }

    pub(super) fn without_null(mut self) -> Self {
        self.null = false;
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.null && self.ranges.is_empty()
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        self.combine(other, |one, two| one && two)
    }

    /// What is in either.
    pub(super) fn or(&self, other: &Self) -> Self {
        self.combine(other, |one, two| one || two)
    }

    /// What is in this one and not in the other.
    pub(super) fn minus(&self, other: &Self) -> Self {
        self.combine(other, |one, two| one && !two)
    }

    /// Whether all of it is in the other.
    pub(super) fn within(&self, other: &Self) -> bool {
        self.minus(other).is_empty()
    }

    /// `keep` must not keep what is in neither.
    fn combine(&self, other: &Self, keep: impl Fn(bool, bool) -> bool) -> Self {
        let mut cuts: Vec<(&Key, bool)> = Vec::new();
        for (ranges, first) in [(&self.ranges, true), (&other.ranges, false)] {
            for (start, end) in ranges {
                cuts.push((start, first));
                cuts.extend(end.iter().map(|end| (end, first)));
            }
        }
        cuts.sort_unstable_by(|a, b| a.0.cmp(b.0));
        // Ranges of one set lie apart, so each of its cuts leads into a range or out of one.
        let (mut inside, mut open) = ([false, false], None);
        let mut ranges = Vec::new();
        for group in cuts.chunk_by(|a, b| a.0 == b.0) {
            for (_, first) in group {
                let [one, two] = &mut inside;
                let side = if *first { one } else { two };
                *side = !*side;
            }
            let Some((key, _)) = group.first() else {
                continue;
            };
            let [one, two] = inside;
            open = match (open, keep(one, two)) {
                (None, true) => Some((*key).clone()),
                (Some(start), false) => {
                    ranges.push((start, Some((*key).clone())));
                    None
                }
                (open, _) => open,
            };
        }
        ranges.extend(open.map(|start| (start, None)));
        Self {
            null: keep(self.null, other.null),
            ranges,
        }
    }
}

/// The type that stands for all types whose values lie on one line; `None` when values of the type
/// are not placed on a line here.
pub(super) fn line(data_type: &DataType) -> Option<DataType> {
    use DataType as D;
    Some(match data_type {
        D::Dictionary(_, value) => return line(value),
        D::Utf8 | D::LargeUtf8 | D::Utf8View => D::Utf8,
        D::Binary | D::LargeBinary | D::BinaryView => D::Binary,
        D::Boolean
        | D::Int8
        | D::Int16
        | D::Int32
        | D::Int64
        | D::UInt8
        | D::UInt16
        | D::UInt32
        | D::UInt64
        | D::Float32
        | D::Float64
        | D::Decimal32(..)
        | D::Decimal64(..)
        | D::Decimal128(..)
        | D::Date32
        | D::Date64
        | D::Time32(_)
        | D::Time64(_)
        | D::Timestamp(..) => data_type.clone(),
        _ => return None,
    })
}

/// All values of a type, and NULL. What lies on no line is one value, so that it is NULL or not.
pub(super) fn universe(data_type: &DataType) -> Set {
    use DataType as D;
    let whole = |first: i128, last: i128| Set::between(first, last);
    let known = match line(data_type) {
        Some(D::Utf8 | D::Binary) => Set::from(Key::Bytes(Vec::new())),
        Some(D::Boolean) => whole(0, 1),
        Some(D::Int8) => whole(i8::MIN.into(), i8::MAX.into()),
        Some(D::Int16) => whole(i16::MIN.into(), i16::MAX.into()),
        Some(D::Int32 | D::Float32 | D::Date32 | D::Time32(_)) => {
            whole(i32::MIN.into(), i32::MAX.into())
        }
        Some(D::UInt8) => whole(0, u8::MAX.into()),
        Some(D::UInt16) => whole(0, u16::MAX.into()),
        Some(D::UInt32) => whole(0, u32::MAX.into()),
        Some(D::UInt64) => whole(0, u64::MAX.into()),
        // A file may hold more digits than the type of its decimals says.
        Some(D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..)) => {
            Set::from(Key::Whole(i128::MIN))
        }
        Some(_) => whole(i64::MIN.into(), i64::MAX.into()),
        None => whole(0, 0),
    };
    known.with_null()
}

/// The first and the last place of the values that are compared as equal to a value: there are two
/// zeros among floats. `None` as for [`key`].
pub(super) fn equals(value: &ScalarValue) -> Option<(Key, Key)> {
    let negative = match value {
        ScalarValue::Float32(Some(0.0)) => ScalarValue::Float32(Some(-0.0)),
        ScalarValue::Float64(Some(0.0)) => ScalarValue::Float64(Some(-0.0)),
        other => return key(other).map(|key| (key.clone(), key)),
    };
    let positive = negative.arithmetic_negate().ok()?;
    Some((key(&negative)?, key(&positive)?))
}

/// Whether a value is a zero that has another sign, too.
pub(super) fn is_float_zero(value: &ScalarValue) -> bool {
    equals(value).is_some_and(|(first, last)| first != last)
}

pub(super) fn has_two_zeros(data_type: &DataType) -> bool {
    matches!(line(data_type), Some(DataType::Float32 | DataType::Float64))
}

/// Where a value lies on the line of its type; `None` for NULL and for what lies on none.
pub(super) fn key(value: &ScalarValue) -> Option<Key> {
    use ScalarValue as S;
    let whole = match value {
        S::Dictionary(_, value) => return key(value),
        S::Utf8(text) | S::LargeUtf8(text) | S::Utf8View(text) => {
            return text.as_ref().map(|text| Key::Bytes(text.clone().into()));
        }
        S::Binary(bytes) | S::LargeBinary(bytes) | S::BinaryView(bytes) => {
            return bytes.clone().map(Key::Bytes);
        }
        S::Boolean(value) => (*value)?.into(),
        S::Int8(value) => (*value)?.into(),
        S::Int16(value) => (*value)?.into(),
        S::Int32(value)
        | S::Date32(value)
        | S::Time32Second(value)
        | S::Time32Millisecond(value)
        | S::Decimal32(value, ..) => (*value)?.into(),
        S::Int64(value)
        | S::Date64(value)
        | S::Time64Microsecond(value)
        | S::Time64Nanosecond(value)
        | S::TimestampSecond(value, _)
        | S::TimestampMillisecond(value, _)
        | S::TimestampMicrosecond(value, _)
        | S::TimestampNanosecond(value, _)
        | S::Decimal64(value, ..) => (*value)?.into(),
        S::Decimal128(value, ..) => (*value)?,
        S::UInt8(value) => (*value)?.into(),
        S::UInt16(value) => (*value)?.into(),
        S::UInt32(value) => (*value)?.into(),
        S::UInt64(value) => (*value)?.into(),
        S::Float32(value) => {
            let bits = (*value)?.to_bits().cast_signed();
            i128::from(bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed())
        }
        S::Float64(value) => {
            let bits = (*value)?.to_bits().cast_signed();
            i128::from(bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed())
        }
        _ => return None,
    };
    Some(Key::Whole(whole))
}

#[cfg(test)]
mod tests {
    use datafusion_common::ScalarValue;
    use proptest::prelude::*;

    use super::{Key, Set, key};

    fn whole() -> impl Strategy<Value = Set> {
        let pieces = prop::collection::vec((-6_i128..6, 0_i128..4, any::<bool>()), 0..4);
        (pieces, any::<bool>()).prop_map(|(pieces, null)| {
            let set = pieces
                .into_iter()
                .fold(Set::empty(), |set, (at, more, endless)| {
                    let piece = if endless {
                        Set::above(&Key::Whole(at))
                    } else {
                        Set::between(at, at + more)
                    };
                    set.or(&piece)
                });
            if null { set.with_null() } else { set }
        })
    }

    fn holds(set: &Set, value: i128) -> bool {
        Set::only(Key::Whole(value)).within(set)
    }

    proptest! {
        #[test]
        fn sets_are_sets(one in whole(), two in whole()) {
            for value in -9..12 {
                let (a, b) = (holds(&one, value), holds(&two, value));
                prop_assert_eq!(holds(&one.and(&two), value), a && b);
                prop_assert_eq!(holds(&one.or(&two), value), a || b);
                prop_assert_eq!(holds(&one.minus(&two), value), a && !b);
            }
            prop_assert_eq!(one.or(&two), two.or(&one));
            prop_assert_eq!(one.minus(&two).or(&one.and(&two)), one);
        }
    }

    #[test]
    fn a_list_of_values_is_the_set_of_them() {
        let keys = |values: &[i128]| values.iter().map(|value| Key::Whole(*value)).collect();
        let one_by_one = [7, 3, 4, 3, i128::MAX, 5]
            .map(|value| Set::only(Key::Whole(value)))
            .iter()
            .fold(Set::empty(), |all, one| all.or(one));
        assert_eq!(Set::of_keys(keys(&[7, 3, 4, 3, i128::MAX, 5])), one_by_one);
        assert_eq!(Set::of_keys(Vec::new()), Set::empty());
        let texts = ["a", "a\0", "b"].map(|text| Key::Bytes(text.into()));
        assert_eq!(Set::of_keys(texts.to_vec()).ranges.len(), 2);
    }

    #[test]
    fn floats_lie_in_their_total_order() {
        let values = [
            -f64::NAN,
            f64::NEG_INFINITY,
            -1.5,
            -0.0,
            0.0,
            f64::MIN_POSITIVE,
            2.5,
            f64::INFINITY,
            f64::NAN,
        ];
        let keys = values.map(|value| key(&ScalarValue::Float64(Some(value))).unwrap());
        assert!(keys.is_sorted(), "{keys:?}");
        let keys = values.map(|value| key(&ScalarValue::Float32(Some(value as f32))).unwrap());
        assert!(keys.is_sorted(), "{keys:?}");
    }

    #[test]
    fn a_prefix_is_a_range() {
        let texts = Set::starting_with("EU");
        let holds = |text: &str| Set::only(Key::Bytes(text.into())).within(&texts);
        assert!(holds("EU") && holds("EU-DE") && holds("EU\u{10ffff}"));
        assert!(!holds("E") && !holds("EV") && !holds("eu"));
        let all = Set::starting_with("");
        assert!(Set::only(Key::Bytes(Vec::new())).within(&all));
    }
}
