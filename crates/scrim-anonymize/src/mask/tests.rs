//! What a policy may write, and what it is told otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, TimeUnit};

use super::{MASKS, Mask};
use crate::{MaskKeys, ParamValue};

fn mask(name: &str, params: &[(&str, ParamValue)]) -> Result<Mask, String> {
    let params: BTreeMap<String, ParamValue> = params
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    Mask::parse(name, &params).map_err(|error| error.to_string())
}

fn keys() -> MaskKeys {
    MaskKeys::from_contract_key(std::array::from_fn(|i| i as u8), "uni-a")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_mask_reads_and_shows_its_parameters() {
    for (name, params, shown, json) in [
        ("null", vec![], "null", r#"{"mask":"null"}"#),
        (
            "constant",
            vec![("value", "x".into())],
            r#"constant(value="x")"#,
            r#"{"mask":"constant","value":"x"}"#,
        ),
        (
            "partial",
            vec![("keep_last", 2.into())],
            r#"partial(keep_first=0, keep_last=2, fill="****", min_masked=4)"#,
            r#"{"mask":"partial","keep_first":0,"keep_last":2,"fill":"****","min_masked":4}"#,
        ),
        (
            "prefix",
            vec![("length", 3.into())],
            "prefix(length=3)",
            r#"{"mask":"prefix","length":3}"#,
        ),
        (
            "email",
            vec![],
            "email(keep_local=1, keep_domain=tld)",
            r#"{"mask":"email","keep_local":1,"keep_domain":"tld"}"#,
        ),
        (
            "regex_replace",
            vec![("pattern", "a+".into()), ("replacement", "b".into())],
            r#"regex_replace(pattern="a+", replacement="b")"#,
            r#"{"mask":"regex_replace","pattern":"a+","replacement":"b","on_no_match":"redact"}"#,
        ),
        (
            "pseudonymize",
            vec![
                ("domain", "patient_id".into()),
                ("scope", "group:eu".into()),
            ],
            "pseudonymize(domain=patient_id, scope=group:eu, bits=128)",
            r#"{"mask":"pseudonymize","domain":"patient_id","scope":"group:eu","bits":128}"#,
        ),
        (
            "truncate_date",
            vec![("unit", "quarter".into())],
            "truncate_date(unit=quarter, zone=UTC)",
            r#"{"mask":"truncate_date","unit":"quarter","zone":"UTC"}"#,
        ),
        (
            "round",
            vec![("to", 0.05.into())],
            "round(to=0.05)",
            r#"{"mask":"round","to":"0.05"}"#,
        ),
        (
            "bucket",
            vec![("width", 10.into())],
            "bucket(width=10, origin=0)",
            r#"{"mask":"bucket","width":10,"origin":0}"#,
        ),
        (
            "top_code",
            vec![("limit", 90.into())],
            "top_code(limit=90)",
            r#"{"mask":"top_code","limit":90}"#,
        ),
        (
            "bottom_code",
            vec![("limit", (-1).into())],
            "bottom_code(limit=-1)",
            r#"{"mask":"bottom_code","limit":-1}"#,
        ),
        ("zip3", vec![], "zip3", r#"{"mask":"zip3"}"#),
        (
            "ip_truncate",
            vec![("v4", 16.into())],
            "ip_truncate(v4=16, v6=48)",
            r#"{"mask":"ip_truncate","v4":16,"v6":48}"#,
        ),
    ] {
        let mask = mask(name, &params).unwrap();
        assert_eq!(mask.name(), name);
        assert!(MASKS.iter().any(|shape| shape.name == name));
        assert_eq!(mask.to_string(), shown);
        assert_eq!(serde_json::to_string(&mask).unwrap(), json);
        assert_eq!(serde_json::from_str::<Mask>(json).unwrap(), mask);
    }
    assert!(serde_json::from_str::<Mask>(r#"{"mask":"zip4"}"#).is_err());
    assert!(MASKS.iter().is_sorted_by_key(|shape| shape.name));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn mistakes_are_named_with_their_remedy() {
    let list = ParamValue::List(vec![]);
    for (name, params, message) in [
        (
            "psuedonymize",
            vec![],
            "there is no mask `psuedonymize`; the masks are bottom_code, bucket, constant, email, ip_truncate, null, partial, prefix, pseudonymize, regex_replace, round, top_code, truncate_date, zip3",
        ),
        (
            "null",
            vec![("a", 1.into())],
            "mask `null` has no parameter `a`; it takes none",
        ),
        (
            "partial",
            vec![("keep", 1.into())],
            "mask `partial` has no parameter `keep`; it takes keep_first, keep_last, fill, min_masked",
        ),
        (
            "partial",
            vec![("min_masked", 0.into())],
            "mask `partial`: `min_masked` must be a whole number from 1 to 65536",
        ),
        (
            "prefix",
            vec![],
            "mask `prefix` needs the parameter `length`",
        ),
        (
            "prefix",
            vec![("length", list)],
            "mask `prefix`: `length` must be a whole number from 1 to 65536",
        ),
        (
            "email",
            vec![("keep_domain", "all".into())],
            "mask `email`: `keep_domain` must be one of tld, full, none",
        ),
        (
            "pseudonymize",
            vec![("bits", 48.into())],
            "mask `pseudonymize`: `bits` must be 64, 96, 128 or 256; shorter tokens would make two people one",
        ),
        (
            "pseudonymize",
            vec![("scope", "everyone".into())],
            "mask `pseudonymize`: `scope` must be `recipient` or `group:` and its id",
        ),
        (
            "truncate_date",
            vec![],
            "mask `truncate_date` needs the parameter `unit`",
        ),
        (
            "truncate_date",
            vec![("unit", "year".into()), ("zone", "Mars".into())],
            "mask `truncate_date`: `zone` must be a time zone such as UTC or Europe/Berlin",
        ),
        (
            "round",
            vec![("to", 0.into())],
            "mask `round`: `to` must be above zero",
        ),
        (
            "round",
            vec![("to", f64::NAN.into())],
            "mask `round`: `to` must be a number of at most 38 digits",
        ),
        (
            "zip3",
            vec![("population", "census".into())],
            "mask `zip3`: `population` is not supported yet; leave it out to use the built-in list",
        ),
        (
            "ip_truncate",
            vec![("v4", 33.into())],
            "mask `ip_truncate`: `v4` must be a whole number from 0 to 32",
        ),
    ] {
        assert_eq!(mask(name, &params).unwrap_err(), message);
    }
    let error = mask(
        "regex_replace",
        &[("pattern", "(".into()), ("replacement", "".into())],
    );
    assert!(
        error
            .unwrap_err()
            .starts_with("mask `regex_replace`: `pattern` is not a usable")
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_mask_that_cannot_keep_the_type_is_refused() {
    let check = |name, params: &[(&str, ParamValue)], data_type: DataType| {
        let refused = mask(name, params).unwrap().check("c", &data_type);
        refused.map_err(|error| error.to_string())
    };
    for (name, params, data_type, message) in [
        (
            "prefix",
            vec![("length", 1.into())],
            DataType::Int64,
            "mask `prefix` cannot keep the type Int64 of `c`; it works on text",
        ),
        (
            "round",
            vec![("to", 1.into())],
            DataType::Utf8,
            "mask `round` cannot keep the type Utf8 of `c`; it works on integers, decimals and floats",
        ),
        (
            "round",
            vec![("to", 0.5.into())],
            DataType::Int64,
            "mask `round` on `c`: `to` is 0.5, which Int64 cannot hold exactly",
        ),
        (
            "truncate_date",
            vec![("unit", "year".into())],
            DataType::Utf8,
            "mask `truncate_date` cannot keep the type Utf8 of `c`; it works on dates and timestamps",
        ),
        (
            "pseudonymize",
            vec![],
            DataType::Date32,
            "mask `pseudonymize` cannot keep the type Date32 of `c`; it works on text, Int64, UInt64 and binary",
        ),
        (
            "pseudonymize",
            vec![],
            DataType::Int32,
            "mask `pseudonymize` cannot keep the type Int32 of `c`; it works on text, Int64, UInt64 and binary; a token of fewer than 63 bits would make two people one",
        ),
        (
            "pseudonymize",
            vec![],
            DataType::FixedSizeBinary(8),
            "mask `pseudonymize` cannot keep the type FixedSizeBinary(8) of `c`; a fixed-size binary must be as long as `bits`",
        ),
        (
            "constant",
            vec![("value", "x".into())],
            DataType::Int64,
            "mask `constant` on `c`: `value` is \"x\", which is no Int64",
        ),
        (
            "constant",
            vec![("value", 1.5.into())],
            DataType::Int64,
            "mask `constant` on `c`: `value` is 1.5, which is no Int64",
        ),
        (
            "constant",
            vec![("value", true.into())],
            DataType::Date32,
            "mask `constant` on `c`: `value` is true, which is no Date32",
        ),
    ] {
        assert_eq!(check(name, &params, data_type).unwrap_err(), message);
    }
    let berlin = [("unit", "day".into()), ("zone", "Europe/Berlin".into())];
    let zoneless = DataType::Timestamp(TimeUnit::Second, None);
    assert!(check("truncate_date", &berlin, zoneless).is_err());
    let zoned = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
    assert!(check("truncate_date", &berlin, zoned).is_ok());
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    assert!(check("prefix", &[("length", 1.into())], dictionary).is_ok());
}

#[test]
fn constants_are_cast_to_the_column() {
    let list = ParamValue::List(vec![1.into(), 2.into()]);
    let element = Arc::new(Field::new("item", DataType::Int16, true));
    for (value, data_type) in [
        (ParamValue::from("2020-02-29"), DataType::Date32),
        (
            "2020-02-29T00:00:00Z".into(),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        ),
        (0.into(), DataType::Decimal128(10, 2)),
        (1.5.into(), DataType::Float32),
        (7.into(), DataType::Utf8View),
        (false.into(), DataType::Boolean),
        ("abcd".into(), DataType::FixedSizeBinary(4)),
        ("abcd".into(), DataType::BinaryView),
        (list.clone(), DataType::List(Arc::clone(&element))),
        (list.clone(), DataType::FixedSizeList(element, 2)),
        (
            "x".into(),
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
        ),
    ] {
        let bound = mask("constant", &[("value", value)]).unwrap();
        let bound = bound.bind("c", &data_type, &keys()).unwrap();
        let values = arrow::array::new_null_array(&data_type, 3);
        let masked = bound.apply(&values).unwrap();
        assert_eq!(masked.data_type(), &data_type);
        assert_eq!(masked.logical_null_count(), 3);
    }
    let bound = mask("constant", &[("value", 5.into())]).unwrap();
    let bound = bound.bind("c", &DataType::Int64, &keys()).unwrap();
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let masked = bound.apply(&values).unwrap();
    assert_eq!(
        masked.as_ref(),
        &Int64Array::from(vec![Some(5), None, Some(5)]) as &dyn Array
    );
}

#[test]
fn pseudonyms_join_within_a_domain_and_scope_only() {
    let token = |params: &[(&str, ParamValue)], column: &str, recipient: &str| {
        let keys = MaskKeys::from_contract_key([7; 32], recipient);
        let bound = mask("pseudonymize", params).unwrap();
        let bound = bound.bind(column, &DataType::Utf8, &keys).unwrap();
        let values: ArrayRef = Arc::new(StringArray::from(vec!["alice"]));
        bound
            .apply(&values)
            .unwrap()
            .as_string::<i32>()
            .value(0)
            .to_owned()
    };
    let person = [("domain", "person".into())];
    let group = [("domain", "person".into()), ("scope", "group:eu".into())];
    assert_eq!(token(&person, "a", "x"), token(&person, "b", "x"));
    assert_eq!(token(&[], "person", "x"), token(&person, "b", "x"));
    assert_ne!(token(&[], "a", "x"), token(&[], "b", "x"));
    assert_ne!(token(&person, "a", "x"), token(&person, "a", "y"));
    assert_eq!(token(&group, "a", "x"), token(&group, "a", "y"));
    assert_ne!(token(&group, "a", "x"), token(&person, "a", "x"));

    assert_eq!(mask("pseudonymize", &group).unwrap().group(), Some("eu"));
    assert_eq!(mask("pseudonymize", &person).unwrap().group(), None);
    // Nobody gets a group's tokens by being called like it.
    let keys = MaskKeys::from_contract_key([7; 32], "group:eu");
    assert!(
        mask("pseudonymize", &[])
            .unwrap()
            .bind("a", &DataType::Utf8, &keys)
            .is_err()
    );
}

#[test]
fn inv_15_a_bound_mask_prints_no_key() {
    let bound = mask("pseudonymize", &[]).unwrap();
    let bound = bound.bind("c", &DataType::Utf8, &keys()).unwrap();
    let shown = format!("{bound:?}");
    assert_eq!(
        shown,
        r#"BoundMask { name: "pseudonymize", data_type: Utf8, .. }"#
    );
}

#[test]
fn a_dictionary_masks_only_what_rows_show() {
    let values: ArrayRef = Arc::new(StringArray::from(vec!["a-secret", "a-b", "a-b", "c-d"]));
    let data_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let encoded = cast(&values, &data_type).unwrap().slice(1, 3);
    let bound = mask("prefix", &[("length", 1.into())]).unwrap();
    let bound = bound.bind("c", &data_type, &keys()).unwrap();
    let masked = bound.apply(&encoded).unwrap();
    let masked = masked.as_dictionary::<Int32Type>();
    assert_eq!(
        masked.values().as_string::<i32>(),
        &StringArray::from(vec!["a", "c"])
    );
    assert!(bound.apply(&values).is_err());
}
