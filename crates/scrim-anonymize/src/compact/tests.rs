//! A canary in every hidden place of every type, searched for in the encoded stream.

use std::sync::Arc;

use arrow::array::builder::{StringRunBuilder, make_view};
use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array,
    Decimal256Array, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray, Float64Array,
    Int8Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, ListViewArray,
    MapArray, NullArray, PrimitiveArray, RecordBatch, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, UnionArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::{cast, filter, nullif};
use arrow::datatypes::{
    DataType, Field, Fields, Int32Type, IntervalMonthDayNano, Schema, UInt16Type, UnionFields,
    UnionMode, i256,
};
use arrow::ipc::writer::StreamWriter;
use arrow::util::pretty::pretty_format_columns;

use super::{compact, compact_batch};

const TEXT: &str = "canary: a secret that is long";
const SHORT: &str = "cAnArY";
const NUMBER: i64 = 0x5EC2_E75E_C2E7_0BAD;
const SMALL: i32 = 0x5EC2_E70D;

/// An array of three rows whose second is the canary, and the canary's bytes.
struct Case {
    name: String,
    array: ArrayRef,
    canary: Vec<u8>,
}

fn case(name: &str, array: impl Array + 'static, canary: &[u8]) -> Case {
    Case {
        name: name.to_owned(),
        array: Arc::new(array),
        canary: canary.to_vec(),
    }
}

fn long() -> StringArray {
    StringArray::from(vec!["first visible value", TEXT, "third visible value"])
}

fn short() -> StringArray {
    StringArray::from(vec!["first", SHORT, "third"])
}

fn plain() -> Vec<Case> {
    let number = NUMBER.to_le_bytes();
    vec![
        case("utf8", long(), TEXT.as_bytes()),
        case(
            "binary",
            BinaryArray::from(vec![b"1".as_slice(), TEXT.as_bytes(), b""]),
            TEXT.as_bytes(),
        ),
        case(
            "fixed binary",
            FixedSizeBinaryArray::try_from_iter(["123456", SHORT, "789012"].iter()).unwrap(),
            SHORT.as_bytes(),
        ),
        case("int64", Int64Array::from(vec![1, NUMBER, 3]), &number),
        case(
            "int32",
            Int32Array::from(vec![1, SMALL, 3]),
            &SMALL.to_le_bytes(),
        ),
        case(
            "float64",
            Float64Array::from(vec![1.0, f64::from_bits(NUMBER as u64), 3.0]),
            &number,
        ),
        case(
            "timestamp",
            TimestampMicrosecondArray::from(vec![1, NUMBER, 3]).with_timezone("UTC"),
            &number,
        ),
        case(
            "decimal128",
            Decimal128Array::from(vec![1, i128::from(NUMBER), 3]),
            &number,
        ),
        case(
            "decimal256",
            Decimal256Array::from(vec![
                i256::ONE,
                i256::from_i128(i128::from(NUMBER)),
                i256::ONE,
            ]),
            &number,
        ),
        case(
            "interval",
            IntervalMonthDayNanoArray::from(
                [1, NUMBER, 3]
                    .map(|nanos| IntervalMonthDayNano::new(0, 0, nanos))
                    .to_vec(),
            ),
            &number,
        ),
    ]
}

/// The above, and text in every other layout.
fn leaves() -> Vec<Case> {
    let mut cases = plain();
    for (name, array, canary) in [
        ("long", Arc::new(long()) as ArrayRef, TEXT),
        ("short", Arc::new(short()) as ArrayRef, SHORT),
    ] {
        let dictionary = |keys, values| DataType::Dictionary(Box::new(keys), Box::new(values));
        for to in [
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::LargeBinary,
            DataType::BinaryView,
            dictionary(DataType::Int8, DataType::Utf8),
            dictionary(DataType::UInt64, DataType::LargeUtf8),
            dictionary(DataType::Int32, DataType::Utf8View),
        ] {
            let array = cast(&array, &to).unwrap();
            cases.push(Case {
                name: format!("{name} {to}"),
                array,
                canary: canary.into(),
            });
        }
    }
    let mut runs = StringRunBuilder::<Int32Type>::new();
    runs.extend(["first", TEXT, "third"].map(Some));
    cases.push(case("runs", runs.finish(), TEXT.as_bytes()));
    cases
}

fn item(array: &ArrayRef) -> Arc<Field> {
    Arc::new(Field::new("item", array.data_type().clone(), true))
}

fn in_list(array: &ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths([1, 1, 1]);
    Arc::new(ListArray::try_new(item(array), offsets, Arc::clone(array), nulls).unwrap())
}

fn in_fixed_list(array: &ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    let values = Arc::clone(array);
    Arc::new(FixedSizeListArray::try_new(item(array), 1, values, nulls).unwrap())
}

fn in_list_view(array: &ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    let (offsets, sizes) = (vec![0, 1, 2].into(), vec![1, 1, 1].into());
    let values = Arc::clone(array);
    Arc::new(ListViewArray::try_new(item(array), offsets, sizes, values, nulls).unwrap())
}

fn in_struct(array: &ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    let fields: Fields = vec![Field::new("f", array.data_type().clone(), true)].into();
    Arc::new(StructArray::try_new(fields, vec![Arc::clone(array)], nulls).unwrap())
}

fn in_map(array: &ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    let fields: Fields = vec![
        Field::new("keys", DataType::Int32, false),
        Field::new("values", array.data_type().clone(), true),
    ]
    .into();
    let columns = vec![
        Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef,
        Arc::clone(array),
    ];
    let entries = StructArray::try_new(fields.clone(), columns, None).unwrap();
    let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
    let offsets = OffsetBuffer::from_lengths([1, 1, 1]);
    Arc::new(MapArray::try_new(field, offsets, entries, nulls, false).unwrap())
}

fn in_union(array: &ArrayRef, mode: UnionMode) -> ArrayRef {
    let fields = UnionFields::try_new(
        [3, 5],
        [
            Field::new("value", array.data_type().clone(), true),
            Field::new("number", DataType::Int32, true),
        ],
    )
    .unwrap();
    let numbers = |values: Vec<i32>| Arc::new(Int32Array::from(values)) as ArrayRef;
    let (offsets, other) = match mode {
        UnionMode::Dense => (Some(vec![0, 1, 2].into()), numbers(vec![])),
        UnionMode::Sparse => (None, numbers(vec![0, 0, 0])),
    };
    let children = vec![Arc::clone(array), other];
    Arc::new(UnionArray::try_new(fields, vec![3, 3, 3].into(), offsets, children).unwrap())
}

type Wrap<'a> = &'a dyn Fn(&ArrayRef) -> ArrayRef;

/// Every leaf, and every leaf inside every nested type, two levels deep.
fn cases() -> Vec<Case> {
    let mut cases = leaves();
    let wrappers: [(&str, Wrap<'_>); 9] = [
        ("list", &|array| in_list(array, None)),
        ("fixed list", &|array| in_fixed_list(array, None)),
        ("list view", &|array| in_list_view(array, None)),
        ("struct", &|array| in_struct(array, None)),
        ("map", &|array| in_map(array, None)),
        ("dense union", &|array| in_union(array, UnionMode::Dense)),
        ("sparse union", &|array| in_union(array, UnionMode::Sparse)),
        ("struct of list", &|array| {
            in_struct(&in_list(array, None), None)
        }),
        ("list of struct", &|array| {
            in_list(&in_struct(array, None), None)
        }),
    ];
    for leaf in leaves() {
        for (name, wrap) in wrappers {
            let (name, array) = (format!("{name} of {}", leaf.name), wrap(&leaf.array));
            cases.push(Case {
                name,
                array,
                canary: leaf.canary.clone(),
            });
        }
    }
    cases
}

/// Every way by which the second row may go.
fn hidings(array: &ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let second = || Some(NullBuffer::from(vec![true, false, true]));
    let kept = BooleanArray::from(vec![true, false, true]);
    let mut hidings = vec![
        ("filter", filter(array, &kept).unwrap()),
        ("head", array.slice(0, 1)),
        ("tail", array.slice(2, 1)),
        ("empty", array.slice(1, 0)),
        ("null struct", in_struct(array, second())),
        ("null list", in_list(array, second())),
        ("null fixed list", in_fixed_list(array, second())),
        ("null list view", in_list_view(array, second())),
        ("null map", in_map(array, second())),
        ("slice of struct", in_struct(array, None).slice(2, 1)),
        ("slice of list", in_list(array, None).slice(0, 1)),
        (
            "slice of fixed list",
            in_fixed_list(array, None).slice(2, 1),
        ),
        (
            "null struct in null list",
            in_list(&in_struct(array, second()), second()),
        ),
    ];
    let bitmapped = !matches!(
        array.data_type(),
        DataType::Union(_, _) | DataType::RunEndEncoded(_, _)
    );
    if bitmapped {
        let second = BooleanArray::from(vec![false, true, false]);
        hidings.push(("nullif", nullif(array, &second).unwrap()));
    }
    hidings
}

/// The bytes of an IPC stream with the array as its column.
fn encoded(array: &ArrayRef) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new(
        "c",
        array.data_type().clone(),
        true,
    )]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(array)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Every byte that the array's buffers reach.
fn reachable(data: &ArrayData, out: &mut Vec<u8>) {
    if let Some(nulls) = data.nulls() {
        out.extend_from_slice(nulls.buffer());
    }
    data.buffers()
        .iter()
        .for_each(|buffer| out.extend_from_slice(buffer));
    data.child_data()
        .iter()
        .for_each(|child| reachable(child, out));
}

fn holds(bytes: &[u8], canary: &[u8]) -> bool {
    bytes.windows(canary.len()).any(|window| window == canary)
}

fn leaks(array: &ArrayRef, canary: &[u8]) -> bool {
    let mut buffers = Vec::new();
    reachable(&array.to_data(), &mut buffers);
    holds(&buffers, canary) || holds(&encoded(array), canary)
}

/// Arrow compares sparse unions by slots that no row uses; these are compared as they are shown.
fn assert_same(one: &ArrayRef, other: &ArrayRef, what: &str) {
    if format!("{:?}", one.data_type()).contains("Sparse") {
        let shown = |array: &ArrayRef| {
            pretty_format_columns("c", &[Arc::clone(array)])
                .unwrap()
                .to_string()
        };
        assert_eq!(shown(one), shown(other), "{what}");
    } else {
        assert_eq!(one, other, "{what}");
    }
}

#[test]
fn inv_16_no_hidden_byte_leaves() {
    for Case {
        name,
        array,
        canary,
    } in cases()
    {
        assert!(
            leaks(&array, &canary),
            "{name}: the canary must be found while it is visible"
        );
        for (how, hidden) in hidings(&array) {
            let compacted = compact(&hidden).unwrap();
            assert!(!leaks(&compacted, &canary), "{name} after {how}");
            assert_eq!(
                compacted.data_type(),
                hidden.data_type(),
                "{name} after {how}"
            );
            assert_same(&compacted, &hidden, &format!("{name} after {how}"));
            let again = compact(&compacted).unwrap();
            // Runs and unions have no bitmap to tell that their hidden rows are clean already.
            let shown = format!("{:?}", hidden.data_type());
            let rebuilt = shown.contains("RunEndEncoded") || shown.contains("Union");
            assert!(
                rebuilt || Arc::ptr_eq(&again, &compacted),
                "{name} after {how}: twice"
            );
            assert_same(&again, &hidden, &format!("{name} after {how}: twice"));
        }
    }
}

/// Where Arrow leaks without compaction, as measured; if this test fails, Arrow got better.
#[test]
fn inv_16_the_canary_test_sees_what_it_must() {
    for (name, how) in [
        ("long Utf8View", "filter"),
        ("long Utf8View", "head"),
        ("long Dictionary(Int8, Utf8)", "filter"),
        ("long Dictionary(Int8, Utf8)", "tail"),
        ("utf8", "nullif"),
        ("short Utf8View", "nullif"),
        ("int64", "nullif"),
        ("utf8", "null struct"),
        ("int64", "null fixed list"),
    ] {
        let cases = cases();
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let hidings = hidings(&case.array);
        let (_, hidden) = hidings.iter().find(|(hiding, _)| *hiding == how).unwrap();
        assert!(holds(&encoded(hidden), &case.canary), "{name} after {how}");
    }
}

#[test]
fn inv_16_bits_of_other_rows_are_wiped() {
    let ones = BooleanBuffer::new_set(64);
    let sliced: ArrayRef = Arc::new(BooleanArray::new(ones.slice(3, 5), None));
    let compacted = compact(&sliced).unwrap();
    assert_eq!(
        compacted.as_boolean().values().inner().as_slice(),
        &[0b1_1111]
    );
    assert_eq!(&compacted, &sliced);

    let nulls = NullBuffer::from(vec![false, true, false]);
    let under_null: ArrayRef = Arc::new(BooleanArray::new(ones.slice(0, 3), Some(nulls)));
    let compacted = compact(&under_null).unwrap();
    assert_eq!(compacted.as_boolean().values().inner().as_slice(), &[0b010]);

    // The bitmap of the hidden rows says who had a value.
    let nulls = NullBuffer::from((0..64).map(|row| row % 2 == 0).collect::<Vec<_>>());
    let sliced: ArrayRef = Arc::new(Int64Array::new(vec![0; 64].into(), Some(nulls)));
    let compacted = compact(&sliced.slice(0, 2)).unwrap();
    assert_eq!(compacted.nulls().unwrap().buffer().as_slice(), &[0b01]);
}

#[test]
fn keys_under_null_point_at_nothing_hidden() {
    let keys = Int8Array::new(vec![2, 1, 0].into(), Some(vec![true, false, true].into()));
    let values: ArrayRef = Arc::new(StringArray::from(vec!["a", TEXT, "c"]));
    let array: ArrayRef = Arc::new(DictionaryArray::try_new(keys, values).unwrap());
    let compacted = compact(&array).unwrap();
    let dictionary = compacted.as_any_dictionary();
    assert_eq!(
        dictionary.values().as_string::<i32>(),
        &StringArray::from(vec!["a", "c"])
    );
    assert_eq!(
        dictionary
            .keys()
            .as_any()
            .downcast_ref::<Int8Array>()
            .unwrap()
            .values(),
        &[1, 0, 0]
    );

    // All rows NULL: no value is left at all.
    let keys = PrimitiveArray::<UInt16Type>::new(vec![0].into(), Some(vec![false].into()));
    let values: ArrayRef = Arc::new(StringArray::from(vec![TEXT]));
    let array: ArrayRef = Arc::new(DictionaryArray::try_new(keys, values).unwrap());
    assert!(
        compact(&array)
            .unwrap()
            .as_any_dictionary()
            .values()
            .is_empty()
    );
}

#[test]
fn views_that_share_bytes_stay_shared_and_gaps_are_seen() {
    let data: Vec<u8> = (b'a'..=b'z').cycle().take(60).collect();
    let view = |offset: u32, length: usize| {
        make_view(&data[offset as usize..offset as usize + length], 0, offset)
    };
    let views = |views: Vec<u128>| {
        let buffers = vec![data.clone().into()];
        Arc::new(StringViewArray::try_new(views.into(), buffers, None).unwrap()) as ArrayRef
    };
    let shared = views(vec![view(0, 40), view(10, 20), view(0, 40), view(40, 20)]);
    assert!(Arc::ptr_eq(&compact(&shared).unwrap(), &shared));
    // As many bytes are shown as are held, but not the same ones.
    let gap = views(vec![view(0, 20), view(0, 20), view(40, 20)]);
    let compacted = compact(&gap).unwrap();
    assert!(!Arc::ptr_eq(&compacted, &gap));
    assert_eq!(&compacted, &gap);
}

#[test]
fn one_long_value_in_many_rows_is_stored_once() {
    let long = "x".repeat(100_000);
    let mut builder = arrow::array::StringViewBuilder::new().with_deduplicate_strings();
    builder.append_value("a value that is filtered out");
    (0..1_000).for_each(|_| builder.append_value(&long));
    let array: ArrayRef = Arc::new(builder.finish());
    let compacted = compact(&array.slice(1, 1_000)).unwrap();
    let held: usize = compacted
        .as_string_view()
        .data_buffers()
        .iter()
        .map(Buffer::len)
        .sum();
    assert_eq!(held, long.len());
}

#[test]
fn a_compact_batch_is_returned_as_it_is() {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), None])),
        Arc::new(StringArray::from(vec![None, Some("b")])),
        Arc::new(StringViewArray::from(vec![
            Some("a long value, not inlined"),
            None,
        ])),
        Arc::new(NullArray::new(2)),
    ];
    let fields: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| Field::new(format!("c{i}"), column.data_type().clone(), true))
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let compacted = compact_batch(&batch).unwrap();
    for (new, old) in compacted.columns().iter().zip(batch.columns()) {
        assert!(Arc::ptr_eq(new, old));
    }
    let none = RecordBatch::new_empty(Arc::new(Schema::empty()));
    assert_eq!(compact_batch(&none).unwrap().num_columns(), 0);
}
