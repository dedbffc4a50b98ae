//! Nested fields, and what is left of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Int64Array, ListArray, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::util::pretty::pretty_format_columns;

use super::{BoundTreatment, Show};
use crate::{Mask, MaskKeys, compact, parse_path, parse_steps};

fn keys() -> MaskKeys {
    MaskKeys::from_contract_key([3; 32], "uni-a")
}

fn prefix(length: i64) -> Mask {
    Mask::parse(
        "prefix",
        &BTreeMap::from([("length".to_owned(), length.into())]),
    )
    .unwrap()
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// `contact{phone, mail}`, of which the second is NULL and the fields may not be.
fn contact() -> ArrayRef {
    let fields: Fields = vec![
        Field::new("phone", DataType::Utf8, false),
        Field::new("mail", DataType::Utf8, false),
    ]
    .into();
    let columns = vec![
        texts(&["0123", "4567", "8901"]),
        texts(&["a@x", "b@x", "c@x"]),
    ];
    let nulls = NullBuffer::from(vec![true, false, true]);
    Arc::new(StructArray::try_new(fields, columns, Some(nulls)).unwrap())
}

fn list_of(values: ArrayRef, lengths: &[usize]) -> ArrayRef {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(ListArray::try_new(field, offsets, values, None).unwrap())
}

fn treat(array: &ArrayRef, column: &str, root: Show<'_>, nested: &[(&str, Show<'_>)]) -> ArrayRef {
    let nested: Vec<_> = nested
        .iter()
        .map(|(path, show)| (parse_steps(path).unwrap(), *show))
        .collect();
    let bound = BoundTreatment::bind(column, array.data_type(), root, &nested, &keys()).unwrap();
    let shown = bound.apply(array).unwrap();
    assert_eq!(shown.data_type(), bound.data_type());
    assert_eq!(shown.len(), array.len());
    // A slice of the treated is the treated slice.
    let (part, of_part) = (shown.slice(1, 2), bound.apply(&array.slice(1, 2)).unwrap());
    assert_eq!(part.as_ref(), of_part.as_ref());
    shown
}

fn check(shown: &ArrayRef, expected: &[&str]) {
    let table = pretty_format_columns("c", &[Arc::clone(shown)])
        .unwrap()
        .to_string();
    let rows: Vec<_> = table
        .lines()
        .skip(3)
        .filter_map(|line| Some(line.strip_prefix("| ")?.split('|').next()?.trim()))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_field_of_a_struct_is_masked_in_its_place() {
    let mask = prefix(2);
    let shown = treat(
        &contact(),
        "contact",
        Show::Clear,
        &[("phone", Show::Masked(&mask))],
    );
    check(
        &shown,
        &["{phone: 01, mail: a@x}", "", "{phone: 89, mail: c@x}"],
    );
    let shown = treat(
        &contact(),
        "contact",
        Show::Clear,
        &[("phone", Show::Hidden)],
    );
    check(
        &shown,
        &["{phone: , mail: a@x}", "", "{phone: , mail: c@x}"],
    );
    let shown = treat(
        &contact(),
        "contact",
        Show::Hidden,
        &[("mail", Show::Clear)],
    );
    check(
        &shown,
        &["{phone: , mail: a@x}", "", "{phone: , mail: c@x}"],
    );
    let shown = treat(&contact(), "contact", Show::Hidden, &[]);
    check(&shown, &["", "", ""]);
}

#[test]
fn elements_of_lists_are_masked() {
    let mask = prefix(1);
    let tags = list_of(texts(&["ab", "cd", "ef", "gh"]), &[1, 0, 2, 1]);
    let shown = treat(&tags, "tags", Show::Clear, &[("[]", Show::Masked(&mask))]);
    check(&shown, &["[a]", "[]", "[c, e]", "[g]"]);

    let visits = list_of(contact(), &[1, 1, 1]);
    let shown = treat(
        &visits,
        "visits",
        Show::Clear,
        &[("[].phone", Show::Masked(&mask))],
    );
    check(
        &shown,
        &["[{phone: 0, mail: a@x}]", "[]", "[{phone: 8, mail: c@x}]"],
    );

    let field = Arc::new(Field::new("item", DataType::Utf8, true));
    let pairs = texts(&["ab", "cd", "ef", "gh", "ij", "kl"]);
    let pairs: ArrayRef = Arc::new(FixedSizeListArray::try_new(field, 2, pairs, None).unwrap());
    let shown = treat(&pairs, "pairs", Show::Clear, &[("[]", Show::Masked(&mask))]);
    check(&shown, &["[a, c]", "[e, g]", "[i, k]"]);
}

#[test]
fn the_domain_of_a_nested_pseudonym_is_its_path() {
    let mask = Mask::parse("pseudonymize", &BTreeMap::new()).unwrap();
    let shown = treat(
        &contact(),
        "contact",
        Show::Clear,
        &[("phone", Show::Masked(&mask))],
    );
    let phones = shown.as_struct().column(0).as_string::<i32>();
    let alone = mask
        .bind("contact.phone", &DataType::Utf8, &keys())
        .unwrap();
    let alone = alone.apply(&texts(&["0123"])).unwrap();
    assert_eq!(phones.value(0), alone.as_string::<i32>().value(0));
}

#[test]
fn a_clear_treatment_is_the_array_itself() {
    let array = contact();
    let bound = BoundTreatment::bind("c", array.data_type(), Show::Clear, &[], &keys()).unwrap();
    assert!(bound.is_clear() && Arc::ptr_eq(&bound.apply(&array).unwrap(), &array));
    assert_eq!(bound.data_type(), array.data_type());
}

#[test]
fn inv_16_hidden_fields_leave_no_bytes() {
    let secret = "canary-of-a-hidden-field";
    let fields: Fields = vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("b", DataType::Utf8, true),
    ]
    .into();
    let columns = vec![texts(&["x", "y", "z"]), texts(&[secret, secret, secret])];
    let array: ArrayRef = Arc::new(StructArray::try_new(fields, columns, None).unwrap());
    let shown = treat(&array, "c", Show::Clear, &[("b", Show::Hidden)]);
    assert_eq!(shown.as_struct().column(1).logical_null_count(), 3);
    let data = compact(&shown).unwrap().to_data();
    for child in data.child_data() {
        for buffer in child.buffers() {
            assert!(
                !buffer
                    .windows(secret.len())
                    .any(|bytes| bytes == secret.as_bytes())
            );
        }
    }
}

#[test]
fn inv_16_what_lies_under_a_null_struct_is_wiped_even_where_fields_are_not_nullable() {
    let array = contact();
    let compacted = compact(&array).unwrap();
    assert_eq!(&compacted, &array);
    assert_eq!(compacted.data_type(), array.data_type());
    let phones = compacted
        .as_struct()
        .column(0)
        .as_string::<i32>()
        .value_data()
        .to_vec();
    assert_eq!(phones, b"01238901");
    let mask = prefix(2);
    let shown = treat(
        &array,
        "contact",
        Show::Clear,
        &[("phone", Show::Masked(&mask))],
    );
    assert_eq!(&compact(&shown).unwrap(), &shown);
}

#[test]
fn paths_that_lead_nowhere_are_refused() {
    let mask = prefix(1);
    let refuse = |root, nested: &[(&str, Show<'_>)]| {
        let nested: Vec<_> = nested
            .iter()
            .map(|(path, show)| (parse_steps(path).unwrap(), *show))
            .collect();
        let bound = BoundTreatment::bind("contact", contact().data_type(), root, &nested, &keys());
        bound.unwrap_err().to_string()
    };
    assert_eq!(
        refuse(Show::Clear, &[("fax", Show::Hidden)]),
        "path `contact.fax` does not exist; the fields are phone, mail"
    );
    assert_eq!(
        refuse(Show::Clear, &[("phone[]", Show::Hidden)]),
        "path `contact.phone[]` leads nowhere: `contact.phone` is Utf8, not a list"
    );
    assert_eq!(
        refuse(
            Show::Clear,
            &[("phone", Show::Hidden), ("phone", Show::Clear)]
        ),
        "path `contact.phone` is treated twice"
    );
    assert_eq!(
        refuse(
            Show::Masked(&Mask::null()),
            &[("phone", Show::Masked(&mask))]
        ),
        "path `contact` is masked as a whole and in parts; do one of the two"
    );
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let (column, steps) = parse_path("n.x").unwrap();
    let nested = [(steps, Show::Hidden)];
    let bound = BoundTreatment::bind(&column, numbers.data_type(), Show::Clear, &nested, &keys());
    assert_eq!(
        bound.unwrap_err().to_string(),
        "path `n.x` leads nowhere: `n` is Int64, not a struct"
    );
}
