//! The bytes that leave: no message too large, no byte of what is hidden.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow_flight::FlightData;
use prost::Message as _;
use scrim::demo::data::canary;
use tonic::Code;

use super::metadata::contains;
use crate::client::{Client, MESSAGE_BYTES_MAX, code, is_clean};
use crate::kit::{Hosted, Scratch};

/// Queries over all that a persona may see, in shapes that carry buffers along: filters, limits,
/// joins, sorts, groups, dictionaries, views, nested values.
const QUERIES: &[&str] = &[
    "SELECT * FROM care.patients",
    "SELECT * FROM care.visits",
    "SELECT * FROM insurance.claims",
    "SELECT * FROM care.patients LIMIT 3",
    "SELECT * FROM care.patients LIMIT 5 OFFSET 400",
    "SELECT * FROM care.patients ORDER BY patient_id DESC LIMIT 7",
    "SELECT * FROM care.patients WHERE ward = 'Sunroom'",
    "SELECT p.*, v.* FROM care.patients p JOIN care.visits v ON p.patient_id = v.patient_id LIMIT 50",
    "SELECT p.*, v.* FROM care.patients p LEFT JOIN care.visits v ON p.patient_id = v.patient_id LIMIT 50",
    "SELECT ward, array_agg(contact), array_agg(tags) FROM care.patients GROUP BY ward",
    "SELECT contact, tags, CAST(contact AS VARCHAR), array_to_string(tags, ',') FROM care.patients",
    "SELECT DISTINCT ward, region FROM care.visits",
    "SELECT arrow_cast(ward, 'Utf8'), arrow_cast(ward, 'Utf8View') FROM care.patients LIMIT 9",
    "SELECT substr(contact['email'], 1, 3), upper(contact['email']) FROM care.patients",
    "SELECT first_value(contact) OVER (ORDER BY zip), lag(zip) OVER (ORDER BY zip) FROM care.patients",
    "SELECT * FROM care.patients UNION ALL SELECT * FROM care.patients LIMIT 1500",
    "SELECT notes, room, vitals FROM care.visits ORDER BY admitted_at LIMIT 20",
    "SELECT min(notes), max(notes), string_agg(notes, ',') FROM care.visits",
    "SELECT holder_email, policy_number FROM insurance.claims",
    "EXPLAIN SELECT * FROM care.patients WHERE zip = '021'",
    "SELECT * FROM information_schema.columns",
];

/// What each persona may never receive, and what it must receive or the search is blind.
fn canaries(id: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match id {
        // owners see theirs, but never those in rows that a guard withholds
        "nora" => (
            &[canary::HELD, canary::IBAN],
            &[canary::NAME, canary::PHONE, canary::NOTE],
        ),
        "ivan" | "iris" => (
            &[
                canary::HELD,
                canary::NAME,
                canary::NATIONAL_ID,
                canary::PHONE,
                canary::NOTE,
            ],
            &[canary::IBAN],
        ),
        _ => (&[canary::PREFIX], &[]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_16_no_canary_is_in_any_byte_that_leaves() {
    let host = Hosted::demo().await;
    for id in ["nora", "ivan", "rhea", "rolf", "iris", "luca"] {
        let plain = Client::persona(host.address(), id).await;
        let mut native = plain.clone();
        native.headers.push(("x-native-types", "true".to_owned()));
        let mut all = Vec::new();
        let both = [plain, native];
        for (client, sql) in both
            .iter()
            .flat_map(|c| QUERIES.iter().map(move |sql| (c, sql)))
        {
            match client.clone().query(sql).await {
                Ok(fetched) => all.extend(fetched.bytes()),
                Err(status) => {
                    is_clean(&status);
                    all.extend_from_slice(status.message().as_bytes());
                }
            }
        }
        let (hidden, shown) = canaries(id);
        for text in hidden {
            assert!(!contains(&all, text.as_bytes()), "{id} received {text}");
        }
        for text in shown {
            assert!(
                contains(&all, text.as_bytes()),
                "{id} never received {text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_07_errors_hold_no_value() {
    let host = Hosted::demo().await;
    let mut on_values = 0;
    for id in ["nora", "ivan", "rolf"] {
        let mut client = Client::persona(host.address(), id).await;
        for sql in [
            "SELECT CAST(full_name AS INT) FROM care.patients",
            "SELECT CAST(contact['phone'] AS INT) FROM care.patients",
            "SELECT CAST(ward AS DATE) FROM care.patients",
            "SELECT 1 / (CASE WHEN notes LIKE 'canary%' THEN 0 ELSE 1 END) FROM care.visits",
            "SELECT * FROM care.patients WHERE regexp_like('a', contact['phone'])",
            "SELECT * FROM care.patients WHERE regexp_like('a', '[' || full_name)",
            "SELECT date_trunc(full_name, birth_date) FROM care.patients",
            "SELECT chr(CAST(length(full_name) AS BIGINT) - 100) FROM care.patients",
            "SELECT arrow_cast(full_name, 'Decimal128(3, 1)') FROM care.patients",
            "SELECT to_timestamp(full_name) FROM care.patients",
            "SELECT decode(full_name, 'hex') FROM care.patients",
            "SELECT make_date(2020, 13, CAST(length(ward) AS INT)) FROM care.patients",
            "SELECT CAST(holder_email AS INT) FROM insurance.claims",
            "SELECT CAST(iban AS INT) FROM insurance.claims",
        ] {
            let Err(status) = client.query(sql).await else {
                continue;
            };
            is_clean(&status);
            on_values += usize::from(code(&status) != "name-not-found");
            for value in ["canary", "Lighthouse", "Sunroom", "@", "Zoë", "NG-0"] {
                assert!(!status.message().contains(value), "{id}: {sql}: {status:?}");
            }
        }
    }
    assert!(on_values > 20, "{on_values}");
}

/// A world with one table of wide texts beside narrow ones.
fn skewed() -> Scratch {
    let world = Scratch::demo();
    let wide = "w".repeat(1_500_000);
    let rows = 20_000;
    let text = (0..rows).map(|i| {
        if i % 5_000 == 17 {
            wide.as_str()
        } else {
            "narrow"
        }
    });
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("text", Arc::new(StringArray::from_iter_values(text))),
        (
            "flag",
            Arc::new(BooleanArray::from_iter((0..rows).map(|i| Some(i % 2 == 0)))),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    world.add_table("wide", &[batch]);
    world
}

fn largest(messages: &[FlightData]) -> usize {
    messages.iter().map(FlightData::encoded_len).max().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_14_no_message_is_larger_than_clients_accept_however_skewed_the_rows() {
    let host = Hosted::start(skewed()).await;
    let mut client = Client::persona(host.address(), "nora").await;
    for (sql, rows) in [
        ("SELECT * FROM care.wide", 20_000),
        ("SELECT * FROM care.wide ORDER BY id", 20_000),
        ("SELECT text, flag FROM care.wide WHERE flag", 10_000),
        ("SELECT array_agg(id) FROM care.wide", 1),
        ("SELECT id, text || text FROM care.wide WHERE id = 17", 1),
    ] {
        let fetched = client
            .query(sql)
            .await
            .unwrap_or_else(|status| panic!("{sql}: {status:?}"));
        let size = largest(&fetched.messages);
        assert!(size <= MESSAGE_BYTES_MAX, "{sql}: {size}");
        assert_eq!(fetched.batch().num_rows(), rows, "{sql}");
    }
    // one value that no message can hold names its column and leaves the server in good health
    let sql = "SELECT id, concat(text, text, text) AS triple FROM care.wide";
    let status = client.query(sql).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::ResourceExhausted, "byte-limit"),
        "{status:?}"
    );
    assert!(status.message().contains("triple"), "{status:?}");
    is_clean(&status);
    client.query("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_requests_are_refused_in_words() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let sql = format!("SELECT '{}'", "x".repeat(2 << 20));
    let status = client.query(&sql).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::InvalidArgument, "sql-too-large"),
        "{status:?}"
    );
    is_clean(&status);
    client.inner = client.inner.clone().max_encoding_message_size(usize::MAX);
    let sql = format!("SELECT '{}'", "x".repeat(20 << 20));
    let status = client.query(&sql).await.unwrap_err();
    assert!(
        matches!(
            status.code(),
            Code::OutOfRange | Code::ResourceExhausted | Code::InvalidArgument
        ),
        "{status:?}"
    );
    client.query("SELECT 1").await.unwrap();
}
