//! What a mask costs over one batch, on each encoding of text, and what compaction adds.
#![expect(clippy::unwrap_used, reason = "a bench stops at what it cannot set up")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Date32Array, Decimal128Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scrim_anonymize::{Mask, MaskKeys, ParamValue, compact};

/// The engine's batches have so many rows.
const ROWS: usize = 8_192;

fn params(list: &[(&str, ParamValue)]) -> BTreeMap<String, ParamValue> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn text(word: &str) -> ParamValue {
    ParamValue::Text(word.to_owned())
}

/// Text masks, with texts that look like what they are for; one in sixteen is NULL.
fn text_masks() -> Vec<(&'static str, BTreeMap<String, ParamValue>, StringArray)> {
    let column = |value: fn(usize) -> String| {
        (0..ROWS)
            .map(|row| (row % 16 != 0).then(|| value(row / 8)))
            .collect::<StringArray>()
    };
    vec![
        (
            "pseudonymize",
            params(&[]),
            column(|n| format!("NG-{n:06}")),
        ),
        (
            "partial",
            params(&[("keep_first", ParamValue::Int(2))]),
            column(|n| format!("Ann-Sofie Çelik {n}")),
        ),
        (
            "prefix",
            params(&[("length", ParamValue::Int(3))]),
            column(|n| format!("E{n:03}.9")),
        ),
        (
            "email",
            params(&[]),
            column(|n| format!("someone.{n}@mail.example.org")),
        ),
        (
            "regex_replace",
            params(&[
                ("pattern", text("^([A-Z]+[0-9]+)-.*$")),
                ("replacement", text("$1")),
            ]),
            column(|n| format!("W{n}-204-B")),
        ),
        (
            "zip3",
            params(&[]),
            column(|n| format!("{:05}", n % 100_000)),
        ),
        (
            "ip_truncate",
            params(&[]),
            column(|n| format!("10.{}.{}.7", n % 250, n % 199)),
        ),
    ]
}

fn number_masks() -> Vec<(&'static str, BTreeMap<String, ParamValue>, ArrayRef)> {
    let integers: ArrayRef = Arc::new((0..ROWS as i64).map(|n| n / 4).collect::<Int64Array>());
    let prices = (0..ROWS as i128)
        .map(|n| n * 977 % 10_000_000)
        .collect::<Decimal128Array>();
    let prices: ArrayRef = Arc::new(prices.with_precision_and_scale(15, 2).unwrap());
    let days = (0..ROWS as i32).map(|n| n * 3 % 20_000);
    let dates: ArrayRef = Arc::new(Date32Array::from_iter_values(days));
    vec![
        ("pseudonymize", params(&[]), Arc::clone(&integers)),
        (
            "bucket",
            params(&[("width", ParamValue::Int(10))]),
            Arc::clone(&integers),
        ),
        (
            "round",
            params(&[("to", ParamValue::Int(100))]),
            Arc::clone(&prices),
        ),
        (
            "top_code",
            params(&[("limit", ParamValue::Int(50_000))]),
            prices,
        ),
        ("truncate_date", params(&[("unit", text("month"))]), dates),
    ]
}

fn masks(criterion: &mut Criterion) {
    let keys = MaskKeys::from_contract_key([7; 32], "acme");
    let mut group = criterion.benchmark_group("mask");
    group.throughput(Throughput::Elements(ROWS as u64));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for (name, parameters, values) in text_masks() {
        let mask = Mask::parse(name, &parameters).unwrap();
        for (form, data_type) in [
            ("text", &DataType::Utf8),
            ("view", &DataType::Utf8View),
            ("dictionary", &dictionary),
        ] {
            let array = cast(&values, data_type).unwrap();
            let bound = mask.bind("column", data_type, &keys).unwrap();
            group.bench_with_input(BenchmarkId::new(name, form), &array, |bencher, array| {
                bencher.iter(|| black_box(bound.apply(array).unwrap()));
            });
        }
    }
    for (name, parameters, array) in number_masks() {
        let bound = Mask::parse(name, &parameters)
            .unwrap()
            .bind("column", array.data_type(), &keys)
            .unwrap();
        let form = array.data_type().to_string();
        group.bench_with_input(BenchmarkId::new(name, form), &array, |bencher, array| {
            bencher.iter(|| black_box(bound.apply(array).unwrap()));
        });
    }
    group.finish();
}

fn compaction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compact");
    group.throughput(Throughput::Elements(ROWS as u64));
    let words: StringArray = (0..ROWS)
        .map(|n| Some(format!("a text that is longer than a view {n}")))
        .collect();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for (form, data_type) in [
        ("text", &DataType::Utf8),
        ("view", &DataType::Utf8View),
        ("dictionary", &dictionary),
    ] {
        let array = cast(&words, data_type).unwrap();
        for (state, array) in [
            ("whole", Arc::clone(&array)),
            ("a slice", array.slice(100, 800)),
        ] {
            group.bench_with_input(BenchmarkId::new(form, state), &array, |bencher, array| {
                bencher.iter(|| black_box(compact(array).unwrap()));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, masks, compaction);
criterion_main!(benches);
