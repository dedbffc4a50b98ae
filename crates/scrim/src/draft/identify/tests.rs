use std::sync::Arc;

use arrow::array::{
    BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};

use super::*;

#[expect(
    clippy::needless_pass_by_value,
    reason = "samples are made where they are passed"
)]
fn found(name: &str, sample: ArrayRef) -> Option<Finding> {
    identify(name, sample.data_type(), &sample)
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// As many different values as are wanted.
fn many(n: usize, value: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..n).map(value)))
}

fn kind_and_why(name: &str, sample: ArrayRef) -> (Kind, String) {
    let finding = found(name, sample).unwrap_or_else(|| panic!("{name}"));
    (finding.kind, finding.why)
}

#[test]
fn name_and_values_are_told_together() {
    let mostly = many(1000, |n| {
        if n < 970 {
            format!("p{n}@example.org")
        } else {
            format!("none {n}")
        }
    });
    assert_eq!(
        kind_and_why("holder_email", mostly.clone()),
        (
            Kind::Email,
            "named like an e-mail address; 97 % of 1,000 sampled values look like e-mail addresses"
                .to_owned()
        )
    );
    assert_eq!(
        kind_and_why("x", mostly).1,
        "97 % of 1,000 sampled values look like e-mail addresses"
    );
    assert_eq!(
        kind_and_why("email", text(&["a", "b"])).1,
        "named like an e-mail address"
    );
    let (kind, why) = kind_and_why("contact", text(&["+49 30 901820"; 7]));
    assert_eq!(
        (kind, why.as_str()),
        (
            Kind::Phone,
            "all 7 sampled values look like telephone numbers"
        )
    );
    let (kind, why) = kind_and_why("token_ref", many(60, |n| format!("K{n}")));
    assert_eq!(
        (kind, why.as_str()),
        (
            Kind::Unique,
            "all 60 sampled values are different from one another"
        )
    );
}

#[test]
fn inv_15_no_sampled_value_is_told() {
    let canary = "canary-7f3a";
    for name in ["email", "x", "notes", "patient_id", "name"] {
        for value in [
            format!("{canary}@example.org"),
            canary.to_owned(),
            format!("a b c d {canary}"),
        ] {
            let sample = many(200, |n| format!("{n}{value}"));
            let why = found(name, sample)
                .map(|finding| finding.why)
                .unwrap_or_default();
            assert!(!why.contains(canary), "{name}: {why}");
        }
    }
}

#[test]
fn what_values_surely_are_counts_more_than_the_name() {
    let ibans = text(&["DE89370400440532013000"; 5]);
    assert_eq!(kind_and_why("notes", ibans.clone()).0, Kind::BankAccount);
    assert_eq!(kind_and_why("password", ibans).0, Kind::Secret);
    let uuids = many(60, |n| format!("123e4567-e89b-12d3-a456-{n:012}"));
    let (kind, why) = kind_and_why("patient_id", uuids.clone());
    assert_eq!(kind, Kind::PersonKey);
    assert!(
        why.ends_with("all 60 sampled values look like UUIDs"),
        "{why}"
    );
    assert_eq!(kind_and_why("batch", uuids).0, Kind::Unique);
}

#[test]
fn a_type_that_cannot_hold_it_is_no_identifier() {
    let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![52.5]));
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]));
    for (name, sample) in [
        ("email", &booleans),
        ("email", &numbers),
        ("address", &floats),
        ("phone", &times),
        ("name", &numbers),
        ("notes", &numbers),
        ("latitude", &times),
    ] {
        assert_eq!(found(name, Arc::clone(sample)), None, "{name}");
    }
    assert_eq!(kind_and_why("latitude", floats).0, Kind::Coordinates);
    assert_eq!(kind_and_why("customer_id", numbers).0, Kind::PersonKey);
}

#[test]
fn a_bare_name_that_repeats_is_that_of_a_kind() {
    let kinds = many(500, |n| format!("kind {}", n % 5));
    assert_eq!(found("name", kinds.clone()), None);
    assert_eq!(kind_and_why("full_name", kinds).0, Kind::PersonName);
    let people = many(500, |n| format!("Anna {}", n % 300));
    assert_eq!(kind_and_why("name", people).0, Kind::PersonName);
}

#[test]
fn ordinary_columns_are_left_alone() {
    let wards = many(1000, |n| format!("Ward {}", n % 12));
    let codes = many(1000, |n| format!("E{}.{}", n % 90, n % 10));
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(19_000..19_900));
    let row_numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(1..1000));
    let cards: ArrayRef = Arc::new(Int64Array::from(vec![4_111_111_111_111_111; 4]));
    for (name, sample) in [
        ("ward", wards),
        ("icd10", codes),
        ("admitted", days),
        ("visit_id", row_numbers),
        ("status", text(&[])),
    ] {
        assert_eq!(found(name, sample), None, "{name}");
    }
    assert_eq!(kind_and_why("n", cards).0, Kind::Card);
}

#[test]
fn births_are_known_by_their_span() {
    // every hundredth day from 1930 to 2012
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(
        (-14_600..15_400).step_by(100),
    ));
    let (kind, why) = kind_and_why("d", days.clone());
    assert_eq!(kind, Kind::BirthDate);
    assert_eq!(
        why,
        "all 300 sampled values look like dates of birth, over several generations"
    );
    assert!(
        kind_and_why("birth_date", days)
            .1
            .starts_with("named like a date of birth; all 300")
    );
}

#[test]
fn dictionaries_and_views_are_text() {
    let emails = text(&["a@example.org"; 4]);
    for data_type in [
        DataType::Utf8View,
        DataType::LargeUtf8,
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
    ] {
        let sample = cast(&emails, &data_type).unwrap();
        assert_eq!(kind_and_why("x", sample).0, Kind::Email, "{data_type}");
    }
}

#[test]
fn thousands_have_commas() {
    for (number, text) in [
        (0, "0"),
        (999, "999"),
        (1000, "1,000"),
        (1_234_567, "1,234,567"),
    ] {
        assert_eq!(thousands(number), text);
    }
}
