//! Tables of numbers in and out.

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
    Int8Array, Int64Array, UInt8Array, UInt64Array,
};
use arrow::datatypes::{DataType, Float32Type, Float64Type, i256};

use super::NumberKernel;
use crate::exact::Exact;

fn exact(text: &str) -> Exact {
    Exact::parse(text).unwrap()
}

fn round(to: &str) -> NumberKernel {
    NumberKernel::Round { to: exact(to) }
}

fn bucket(width: &str, origin: &str) -> NumberKernel {
    NumberKernel::Bucket {
        width: exact(width),
        origin: exact(origin),
    }
}

fn top(limit: &str) -> NumberKernel {
    NumberKernel::Top {
        limit: exact(limit),
    }
}

fn bottom(limit: &str) -> NumberKernel {
    NumberKernel::Bottom {
        limit: exact(limit),
    }
}

fn check(kernel: NumberKernel, values: &dyn Array, expected: &dyn Array) {
    kernel.check(values.data_type()).unwrap();
    let masked: ArrayRef = kernel.apply(values).unwrap();
    assert_eq!(masked.as_ref(), expected, "{kernel:?}");
}

#[test]
fn integers_round_half_to_even() {
    check(
        round("100"),
        &Int64Array::from(vec![
            1234,
            -50,
            50,
            150,
            -150,
            250,
            -250,
            0,
            i64::MAX,
            i64::MIN,
        ]),
        &Int64Array::from(vec![
            1200,
            0,
            0,
            200,
            -200,
            200,
            -200,
            0,
            i64::MAX - 7,
            i64::MIN + 8,
        ]),
    );
    check(
        round("7"),
        &Int64Array::from(vec![3, 4, -3, -4, 10, 11]),
        &Int64Array::from(vec![0, 7, 0, -7, 7, 14]),
    );
    check(
        round("10"),
        &Int8Array::from(vec![
            Some(127),
            Some(-128),
            None,
            Some(5),
            Some(-5),
            Some(15),
        ]),
        &Int8Array::from(vec![
            Some(127),
            Some(-128),
            None,
            Some(0),
            Some(0),
            Some(20),
        ]),
    );
    check(
        round("100"),
        &UInt64Array::from(vec![50, 51, 150, u64::MAX]),
        &UInt64Array::from(vec![0, 100, 200, u64::MAX - 15]),
    );
}

#[test]
fn decimals_round_on_the_decimal_value() {
    let decimal = |values: Vec<i128>| {
        Decimal128Array::from(values)
            .with_precision_and_scale(6, 2)
            .unwrap()
    };
    check(
        round("0.05"),
        &decimal(vec![112, 113, 1, -2, -3, 999_999]),
        &decimal(vec![110, 115, 0, 0, -5, 999_999]),
    );
    let wide = |values: Vec<i256>| {
        Decimal256Array::from(values)
            .with_precision_and_scale(76, 0)
            .unwrap()
    };
    check(
        bucket("1000", "0"),
        &wide(vec![i256::from_i128(1_999), i256::from_i128(-1)]),
        &wide(vec![i256::from_i128(1_000), i256::from_i128(-1_000)]),
    );
}

#[test]
fn floats_round_on_the_decimal_value() {
    check(
        round("0.01"),
        &Float64Array::from(vec![0.575, 0.145, 0.155, -0.004, 1e300, -1e300]),
        &Float64Array::from(vec![0.58, 0.14, 0.16, 0.0, 1e300, -1e300]),
    );
    let masked = round("100")
        .apply(&Float64Array::from(vec![-50.0]))
        .unwrap();
    assert!(
        masked
            .as_primitive::<Float64Type>()
            .value(0)
            .is_sign_positive()
    );
    check(
        round("100"),
        &Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1234.5]),
        &Float64Array::from(vec![None, None, None, Some(1200.0)]),
    );
    check(
        round("0.1"),
        &Float32Array::from(vec![0.7, 0.25, f32::MAX]),
        &Float32Array::from(vec![0.7, 0.2, f32::MAX]),
    );
}

#[test]
fn buckets_are_half_open() {
    check(
        bucket("100", "0"),
        &Int64Array::from(vec![47_678, 99, 100, 0, -1, -100, -101, i64::MIN]),
        &Int64Array::from(vec![47_600, 0, 100, 0, -100, -100, -200, i64::MIN]),
    );
    check(
        bucket("10", "5"),
        &Int8Array::from(vec![4, 5, 14, 15, -5, -6, 127, -120, -128]),
        &Int8Array::from(vec![-5, 5, 5, 15, -5, -15, 125, -125, -128]),
    );
    check(
        bucket("10", "-1"),
        &UInt8Array::from(vec![0, 8, 9, 255]),
        &UInt8Array::from(vec![0, 0, 9, 249]),
    );
    check(
        bucket("0.1", "0"),
        &Float64Array::from(vec![0.3, 0.7, 1.1, 0.29, -0.05]),
        &Float64Array::from(vec![0.3, 0.7, 1.1, 0.2, -0.1]),
    );
    let masked = bucket("0.1", "0")
        .apply(&Float32Array::from(vec![0.7, 0.75]))
        .unwrap();
    assert_eq!(
        masked.as_primitive::<Float32Type>().values().to_vec(),
        vec![0.7, 0.7]
    );
}

#[test]
fn codes_cap() {
    check(
        top("90"),
        &Int8Array::from(vec![89, 90, 104]),
        &Int8Array::from(vec![89, 90, 90]),
    );
    check(
        bottom("18"),
        &Int8Array::from(vec![3, 18, 40]),
        &Int8Array::from(vec![18, 18, 40]),
    );
    check(
        top("1.5"),
        &Float64Array::from(vec![1.4, 2.0, f64::INFINITY, f64::NAN]),
        &Float64Array::from(vec![Some(1.4), Some(1.5), Some(1.5), None]),
    );
}

#[test]
fn parameters_must_fit_the_type() {
    for (kernel, data_type) in [
        (round("0.5"), DataType::Int64),
        (round("1000"), DataType::Int8),
        (top("300"), DataType::UInt8),
        (bottom("-1"), DataType::UInt8),
        (bucket("10", "0.5"), DataType::Int32),
        (round("0.001"), DataType::Decimal128(10, 2)),
    ] {
        assert!(kernel.check(&data_type).is_err(), "{kernel:?} {data_type}");
    }
    assert!(round("200").check(&DataType::Decimal128(10, -2)).is_ok());
    assert!(round("0.001").check(&DataType::Float32).is_ok());
}
