//! Published vectors, and agreement with the `hmac` crate.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, StringArray, UInt64Array};
use arrow::datatypes::{Int64Type, UInt64Type};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{KeyedHmac, PseudonymKernel, Tag, number};
use crate::keys::MaskKeys;

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn kernel(scope: &str, bits: u32) -> PseudonymKernel {
    let keys = MaskKeys::from_contract_key(std::array::from_fn(|i| i as u8), scope);
    PseudonymKernel::new(&keys.domain("patient_id", scope), bits)
}

/// What HMAC-SHA-256 of another author says.
fn oracle(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[test]
fn rfc_4231_holds_for_the_oracle() {
    assert_eq!(
        hex(&oracle(&[0x0b; 20], b"Hi There")),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    );
    assert_eq!(
        hex(&oracle(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn every_length_agrees_with_the_oracle() {
    let key: [u8; 32] = std::array::from_fn(|i| (i * 7) as u8);
    let mac = KeyedHmac::new(&key);
    let body: Vec<u8> = (0..300_u32).map(|i| (i * 31) as u8).collect();
    for length in 0..body.len() {
        let message = [&[Tag::Binary as u8], &body[..length]].concat();
        assert_eq!(
            mac.mac(Tag::Binary, &body[..length]).to_vec(),
            oracle(&key, &message),
            "{length}"
        );
    }
}

#[test]
fn tokens_match_the_golden_table() {
    let day = 14_404_i64; // 2009-06-09
    let text = |value: &'static str| (Tag::Text, value.as_bytes().to_vec());
    let int = |value: i64| (Tag::Signed, value.to_be_bytes().to_vec());
    for ((tag, body), scope, token, as_number) in [
        (
            text("alice"),
            "uni-a",
            "b15a6f5d94a410b7c436e0b2b793b90d",
            6_389_824_670_166_812_763,
        ),
        (
            text("alice"),
            "uni-b",
            "4d945577bc204b063a4d002608362f35",
            2_795_093_505_109_665_155,
        ),
        (
            text(""),
            "uni-a",
            "8183d4505ac249ccdc1f830eee8b83c4",
            4_666_268_147_213_477_094,
        ),
        (
            text("Zo\u{eb}"),
            "uni-a",
            "18302424fa489e240c438fa7c9ff9f6d",
            871_466_398_514_433_810,
        ),
        (
            text("Zoe\u{308}"),
            "uni-a",
            "44f720ce8ccacd893f2609a66ca5af9f",
            2_484_738_392_662_042_308,
        ),
        (
            int(42),
            "uni-a",
            "b0edefb74b94fb25c4acd4a81a4af8aa",
            6_374_554_845_340_925_330,
        ),
        (
            int(-1),
            "uni-a",
            "d62d12649b3df4ea3701250c5c79dbe8",
            7_716_505_860_689_558_133,
        ),
        (
            (Tag::Date, day.to_be_bytes().to_vec()),
            "uni-a",
            "c24084aa1b81e3355cf1ad3687da50d1",
            6_998_666_754_004_152_730_u64,
        ),
    ] {
        let found = kernel(scope, 128).mac.mac(tag, &body);
        assert_eq!(
            (hex(&found[..16]).as_str(), number(&found)),
            (token, as_number)
        );
    }
}

#[test]
fn columns_show_the_golden_tokens() {
    let names = ["alice", "Zo\u{eb}", "Zoe\u{308}", ""];
    let expected = [
        "b15a6f5d94a410b7c436e0b2b793b90d",
        "18302424fa489e240c438fa7c9ff9f6d",
        // NFC first: both ways to write the name are one person.
        "18302424fa489e240c438fa7c9ff9f6d",
        "8183d4505ac249ccdc1f830eee8b83c4",
    ];
    let masked = kernel("uni-a", 128)
        .apply(&StringArray::from(names.to_vec()))
        .unwrap();
    assert_eq!(
        masked.as_string::<i32>(),
        &StringArray::from(expected.to_vec())
    );
    let masked = kernel("uni-a", 64)
        .apply(&StringArray::from(names.to_vec()))
        .unwrap();
    assert_eq!(masked.as_string::<i32>().value(0), "b15a6f5d94a410b7");

    let masked = kernel("uni-a", 128).apply(&Int64Array::from(vec![Some(42), None, Some(-1)]));
    let masked = masked.unwrap();
    let masked = masked.as_primitive::<Int64Type>();
    assert_eq!(masked.value(0), 6_374_554_845_340_925_330);
    assert_eq!(masked.value(2), 7_716_505_860_689_558_133);
    assert!(masked.is_null(1) && masked.values()[1] == 0);

    let masked = kernel("uni-a", 128)
        .apply(&UInt64Array::from(vec![42, u64::MAX]))
        .unwrap();
    let masked = masked.as_primitive::<UInt64Type>();
    assert!(
        masked
            .values()
            .iter()
            .all(|token| i64::try_from(*token).is_ok())
    );
}

#[test]
fn values_that_come_back_have_their_token_again() {
    // More distinct values than the memo holds, in an order that evicts and returns.
    let values: Vec<i64> = (0..20_000_i64).map(|row| (row * row) % 3_001).collect();
    let array = Int64Array::from(values.clone());
    let kernel = kernel("uni-a", 128);
    let masked = kernel.apply(&array).unwrap();
    for (value, token) in values
        .iter()
        .zip(masked.as_primitive::<Int64Type>().values())
    {
        assert_eq!(
            *token as u64,
            number(&kernel.mac.mac(Tag::Signed, &value.to_be_bytes()))
        );
    }
    let texts: StringArray = values
        .iter()
        .map(|value| Some(format!("value {value}")))
        .collect();
    let masked = kernel.apply(&(Arc::new(texts) as Arc<dyn Array>)).unwrap();
    for (value, token) in values.iter().zip(masked.as_string::<i32>()) {
        let expected = kernel
            .mac
            .mac(Tag::Text, format!("value {value}").as_bytes());
        assert_eq!(token, Some(hex(&expected[..16]).as_str()));
    }
}
