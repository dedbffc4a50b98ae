//! Which of two masks tells more.

use std::cmp::Ordering;

use arrow::datatypes::DataType;

use crate::date::Unit;
use crate::exact::Exact;
use crate::mask::{KeepDomain, Kind, Mask};

impl Mask {
    /// How much this mask tells of a column's values, against another: less when what it shows can be
    /// worked out from what the other shows. `None` when neither is certain.
    ///
    /// Equal means that both tell the same, which two constants do.
    pub fn tells(&self, other: &Self, data_type: &DataType) -> Option<Ordering> {
        let here = follows(&self.0, &other.0, data_type);
        let there = follows(&other.0, &self.0, data_type);
        match (here, there) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }
}

/// Whether what `one` shows of any value follows from what `other` shows of it.
fn follows(one: &Kind, other: &Kind, data_type: &DataType) -> bool {
    if one == other {
        return true;
    }
    match (one, other) {
        (Kind::Null, _) => true,
        (Kind::Constant { .. }, other) => keeps_nulls(other),
        (
            Kind::Partial {
                keep_first,
                keep_last,
                fill,
                min_masked,
            },
            Kind::Partial {
                keep_first: first,
                keep_last: last,
                fill: other_fill,
                min_masked: masked,
            },
        ) => {
            // How long a value is shows in whether any of it does.
            let as_long =
                sum([*keep_first, *keep_last, *min_masked]) == sum([*first, *last, *masked]);
            let nothing = *keep_first == 0 && *keep_last == 0;
            // Without a fill, a short value reads like an empty one.
            let told_apart = !other_fill.is_empty() || fill.is_empty();
            keep_first <= first && keep_last <= last && (nothing || as_long) && told_apart
        }
        (Kind::Prefix { length }, Kind::Prefix { length: other }) => length <= other,
        (
            Kind::Email {
                keep_local,
                keep_domain,
            },
            Kind::Email {
                keep_local: local,
                keep_domain: domain,
            },
        ) => {
            // A local part that would be kept whole is not kept at all, so more is not always more.
            (keep_local == local || *keep_local == 0) && openness(*keep_domain) <= openness(*domain)
        }
        (
            Kind::TruncateDate { unit, zone },
            Kind::TruncateDate {
                unit: other_unit,
                zone: other_zone,
            },
        ) => zone == other_zone && holds(*unit, *other_unit),
        (Kind::Round { to }, Kind::Round { to: other }) => {
            // Steps lie in one another when they do not meet at a half, which whole values never
            // reach when the steps are odd.
            let odd = |step: i128| step % 2 != 0;
            let whole = to.at_scale(0).zip(other.at_scale(0));
            data_type.is_integer()
                && whole.is_some_and(|(to, other)| odd(to) && odd(other) && multiple(to, other))
        }
        (
            Kind::Bucket { width, origin },
            Kind::Bucket {
                width: other_width,
                origin: other_origin,
            },
        ) => !data_type.is_floating() && nested([width, origin], [other_width, other_origin]),
        (Kind::TopCode { limit }, Kind::TopCode { limit: other }) => {
            limit.order(*other).is_some_and(Ordering::is_le)
        }
        (Kind::BottomCode { limit }, Kind::BottomCode { limit: other }) => {
            limit.order(*other).is_some_and(Ordering::is_ge)
        }
        (Kind::IpTruncate { v4, v6 }, Kind::IpTruncate { v4: v4s, v6: v6s }) => {
            v4 <= v4s && v6 <= v6s
        }
        _ => false,
    }
}

fn sum(parts: [u32; 3]) -> u64 {
    parts.into_iter().map(u64::from).sum()
}

/// Whether each bucket, by its width and origin, is made of whole other ones.
fn nested([width, origin]: [&Exact; 2], [other_width, other_origin]: [&Exact; 2]) -> bool {
    let all = [width, origin, other_width, other_origin];
    let scale = all.into_iter().map(|number| number.scale()).max();
    let scale = scale.and_then(|scale| i8::try_from(scale).ok());
    let nested = scale.and_then(|scale| {
        let [width, origin, other_width, other_origin] = all.map(|number| number.at_scale(scale));
        let apart = origin?.checked_sub(other_origin?)?;
        Some(multiple(width?, other_width?) && multiple(apart, other_width?))
    });
    nested == Some(true)
}

/// Whether what a mask shows is NULL only where the value is.
fn keeps_nulls(mask: &Kind) -> bool {
    match mask {
        Kind::Constant { .. }
        | Kind::Partial { .. }
        | Kind::Prefix { .. }
        | Kind::Email { .. }
        | Kind::RegexReplace { .. }
        | Kind::Pseudonymize { .. }
        | Kind::TruncateDate { .. }
        | Kind::Zip3 => true,
        // Numbers that are none, and addresses that cannot be read, become NULL.
        Kind::Null
        | Kind::Round { .. }
        | Kind::Bucket { .. }
        | Kind::TopCode { .. }
        | Kind::BottomCode { .. }
        | Kind::IpTruncate { .. } => false,
    }
}

fn openness(domain: KeepDomain) -> u8 {
    match domain {
        KeepDomain::None => 0,
        KeepDomain::Tld => 1,
        KeepDomain::Full => 2,
    }
}

/// Whether each span of the first unit is made of spans of the second.
fn holds(unit: Unit, part: Unit) -> bool {
    match (unit, part) {
        (_, Unit::Day) => true,
        (Unit::Week, part) => part == Unit::Week,
        (Unit::Year, part) => part != Unit::Week,
        (Unit::Quarter, part) => matches!(part, Unit::Quarter | Unit::Month),
        (Unit::Month, part) => part == Unit::Month,
        (Unit::Day, Unit::Year | Unit::Quarter | Unit::Month | Unit::Week) => false,
    }
}

fn multiple(of: i128, step: i128) -> bool {
    of.checked_rem(step) == Some(0)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;
    use std::collections::{BTreeMap, HashMap};
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, Date32Array, Int64Array, StringArray};
    use arrow::datatypes::DataType;
    use arrow::util::display::{ArrayFormatter, FormatOptions};

    use crate::{Mask, MaskKeys, ParamValue};

    /// `partial keep_last=4` and the like.
    fn mask(text: &str) -> Mask {
        let mut words = text.split(' ');
        let name = words.next().unwrap();
        let parameters: BTreeMap<String, ParamValue> = words
            .map(|word| {
                let (name, value) = word.split_once('=').unwrap();
                let value = match value.parse() {
                    Ok(number) => ParamValue::Int(number),
                    Err(_) => ParamValue::Text(value.to_owned()),
                };
                (name.to_owned(), value)
            })
            .collect();
        Mask::parse(name, &parameters).unwrap()
    }

    fn texts() -> ArrayRef {
        let mut values: Vec<Option<String>> = vec![None, Some(String::new())];
        for length in 1..=12 {
            values.push(Some("abcdefghijkl".chars().take(length).collect()));
            values.push(Some("xbcdefghijky".chars().skip(12 - length).collect()));
        }
        for text in [
            "ab@mail.example.org",
            "a@mail.example.org",
            "abc@example.com",
            "xyz@EXAMPLE.com",
            "10.1.2.3",
            "10.1.9.3",
            "10.200.2.3",
            "2001:db8::1",
            "2001:db8:0:1::1",
            "12345",
            "12399",
        ] {
            values.push(Some(text.to_owned()));
        }
        Arc::new(StringArray::from(values))
    }

    fn numbers() -> ArrayRef {
        let near_zero = (-200..200).map(Some);
        let far = [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX].map(Some);
        Arc::new(near_zero.chain(far).chain([None]).collect::<Int64Array>())
    }

    fn days() -> ArrayRef {
        let near = (-800..1_600).map(Some);
        Arc::new(near.chain([None]).collect::<Date32Array>())
    }

    fn shown(mask: &Mask, values: &ArrayRef) -> Vec<String> {
        let keys = MaskKeys::from_contract_key([7; 32], "acme");
        let bound = mask.bind("c", values.data_type(), &keys).unwrap();
        let masked = bound.apply(values).unwrap();
        let options = FormatOptions::default().with_null("NULL");
        let text = ArrayFormatter::try_new(masked.as_ref(), &options).unwrap();
        (0..masked.len())
            .map(|row| text.value(row).to_string())
            .collect()
    }

    /// Whether equal values of the other never become different ones of this.
    fn follows_on(one: &Mask, other: &Mask, values: &ArrayRef) -> bool {
        let mut known: HashMap<String, String> = HashMap::new();
        let pairs = shown(other, values).into_iter().zip(shown(one, values));
        pairs.into_iter().all(|(other, one)| {
            let first = known.entry(other).or_insert_with(|| one.clone());
            *first == one
        })
    }

    const OF_TEXTS: [&str; 24] = [
        "null",
        "constant value=x",
        "constant value=y",
        "partial",
        "partial keep_last=2",
        "partial keep_last=4",
        "partial keep_last=4 min_masked=2",
        "partial keep_first=1 keep_last=4",
        "partial keep_last=2 fill=",
        "partial fill=",
        "prefix length=1",
        "prefix length=3",
        "email",
        "email keep_local=0",
        "email keep_local=2",
        "email keep_domain=full",
        "email keep_local=0 keep_domain=none",
        "zip3",
        "ip_truncate",
        "ip_truncate v4=16",
        "ip_truncate v4=16 v6=64",
        "regex_replace pattern=b replacement=x",
        "pseudonymize",
        "pseudonymize bits=64",
    ];
    const OF_NUMBERS: [&str; 17] = [
        "null",
        "constant value=1",
        "round to=5",
        "round to=10",
        "round to=15",
        "round to=3",
        "round to=9",
        "bucket width=10",
        "bucket width=20",
        "bucket width=20 origin=10",
        "bucket width=20 origin=5",
        "bucket width=7",
        "top_code limit=50",
        "top_code limit=100",
        "bottom_code limit=10",
        "bottom_code limit=-10",
        "pseudonymize",
    ];
    const OF_DAYS: [&str; 6] = [
        "null",
        "truncate_date unit=year",
        "truncate_date unit=quarter",
        "truncate_date unit=month",
        "truncate_date unit=week",
        "truncate_date unit=day",
    ];

    #[test]
    fn less_is_what_can_be_worked_out() {
        let mut claims = 0;
        for (masks, values) in [
            (&OF_TEXTS[..], texts()),
            (&OF_NUMBERS[..], numbers()),
            (&OF_DAYS[..], days()),
        ] {
            for one in masks {
                for other in masks {
                    let (first, second) = (mask(one), mask(other));
                    let told = first.tells(&second, values.data_type());
                    let back = second.tells(&first, values.data_type());
                    assert_eq!(told.map(Ordering::reverse), back, "{one} | {other}");
                    if told.is_some_and(Ordering::is_le) {
                        claims += 1;
                        assert!(follows_on(&first, &second, &values), "{one} | {other}");
                    }
                }
            }
        }
        assert!(claims > 120, "{claims}");
    }

    #[test]
    fn the_order_is_what_owners_expect() {
        for (less, more, data_type) in [
            (
                "truncate_date unit=year",
                "truncate_date unit=month",
                DataType::Date32,
            ),
            (
                "partial keep_last=2 min_masked=6",
                "partial keep_last=4",
                DataType::Utf8,
            ),
            ("partial", "partial keep_last=4", DataType::Utf8),
            ("prefix length=2", "prefix length=3", DataType::Utf8),
            ("round to=15", "round to=5", DataType::Int64),
            (
                "bucket width=100",
                "bucket width=10",
                DataType::Decimal128(12, 2),
            ),
            ("top_code limit=10", "top_code limit=20", DataType::Float64),
            ("ip_truncate v4=16", "ip_truncate", DataType::Utf8),
            (
                "email keep_local=0",
                "email keep_domain=full",
                DataType::Utf8,
            ),
            ("null", "zip3", DataType::Utf8),
        ] {
            let told = mask(less).tells(&mask(more), &data_type);
            assert_eq!(told, Some(Ordering::Less), "{less} | {more}");
        }
        for (one, other, data_type) in [
            (
                "truncate_date unit=week",
                "truncate_date unit=month",
                DataType::Date32,
            ),
            (
                "truncate_date unit=year",
                "truncate_date unit=month zone=Europe/Berlin",
                DataType::Date32,
            ),
            // A value of six characters shows two of them, or none.
            ("partial keep_last=2", "partial keep_last=4", DataType::Utf8),
            ("round to=10", "round to=5", DataType::Int64),
            ("round to=15", "round to=5", DataType::Float64),
            ("bucket width=100", "bucket width=10", DataType::Float64),
            ("prefix length=2", "zip3", DataType::Utf8),
        ] {
            assert_eq!(
                mask(one).tells(&mask(other), &data_type),
                None,
                "{one} | {other}"
            );
        }
    }
}
