//! What clients set: as options of the session, as headers of a request, as statements.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, TimeUnit};
use bytes::Bytes;
use chrono::TimeDelta;
use prost::{Message, Oneof};
use tonic::Code;

use crate::client::{Client, code, is_clean, statement};
use crate::kit::Hosted;

/// An option's value, as the protocol has it.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(oneof = "Form", tags = "1, 2, 3, 4")]
    form: Option<Form>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Form {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Int64(i64),
    #[prost(double, tag = "4")]
    Double(f64),
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(btree_map = "string, message", tag = "1")]
    options: BTreeMap<String, Value>,
}

/// Only an enumeration's number.
#[derive(Clone, PartialEq, Message)]
struct Error {
    #[prost(int32, tag = "1")]
    value: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Errors {
    #[prost(btree_map = "string, message", tag = "1")]
    errors: BTreeMap<String, Error>,
}

const INVALID_NAME: i32 = 1;
const INVALID_VALUE: i32 = 2;

#[expect(
    clippy::unnecessary_wraps,
    reason = "an option without a form is taken out"
)]
fn text(text: &str) -> Option<Form> {
    Some(Form::Text(text.to_owned()))
}

async fn set(client: &mut Client, options: &[(&str, Option<Form>)]) -> Vec<(String, i32)> {
    let options = options
        .iter()
        .map(|(name, form)| ((*name).to_owned(), Value { form: form.clone() }))
        .collect();
    let body = Options { options }.encode_to_vec();
    let answers = client.action("SetSessionOptions", body.into()).await;
    let result = Errors::decode(answers.unwrap()[0].clone()).unwrap();
    let errors = result.errors.into_iter();
    errors.map(|(name, error)| (name, error.value)).collect()
}

async fn get(client: &mut Client) -> BTreeMap<String, Form> {
    let answers = client.action("GetSessionOptions", Bytes::new()).await;
    let result = Options::decode(answers.unwrap()[0].clone()).unwrap();
    let options = result.options.into_iter();
    options
        .map(|(name, value)| (name, value.form.unwrap()))
        .collect()
}

#[tokio::test]
async fn options_are_set_read_and_taken_out() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let before = get(&mut client).await;
    assert_eq!(before["catalog"], Form::Text("scrim".into()));
    assert_eq!(before["schema"], Form::Text("care".into()));
    assert!(!before.contains_key("native_types"));
    client.headers.clear();
    let options = [
        ("catalog", text("scrim")),
        ("schema", text("insurance")),
        ("time_zone", text("Europe/Berlin")),
        ("native_types", Some(Form::Bool(true))),
        ("max_endpoints", Some(Form::Int64(4))),
        ("scrim.purpose", text("operations")),
        ("scrim.agreement", text("northgate-claims")),
        ("scrim.release", text("rows")),
    ];
    assert_eq!(set(&mut client, &options).await, []);
    let after = get(&mut client).await;
    for (name, form) in options {
        assert_eq!(after.get(name), form.as_ref(), "{name}");
    }
    client.query("SELECT count(*) FROM claims").await.unwrap();
    let none: Vec<_> = after.keys().map(|name| (name.as_str(), None)).collect();
    assert_eq!(set(&mut client, &none).await, []);
    let cleared = get(&mut client).await;
    assert_eq!(cleared.keys().collect::<Vec<_>>(), ["catalog", "schema"]);
}

#[tokio::test]
async fn each_option_has_its_own_error() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "iris").await;
    let long = "x".repeat(1_000);
    let wrong = [
        ("catalog", text("other")),
        ("max_endpoints", Some(Form::Int64(65))),
        ("native_types", Some(Form::Int64(1))),
        // hidden is as good as none
        ("schema", text("care")),
        ("scrim.agreement", text(&long)),
        ("scrim.purpose", Some(Form::Bool(true))),
        ("scrim.release", text("everything")),
        ("time_zone", text("Mars/Olympus")),
    ];
    let mut options = wrong.to_vec();
    options.push(("search_path", text("care")));
    options.push(("max_endpoints ", Some(Form::Double(1.0))));
    let errors = set(&mut client, &options).await;
    let mut expected: Vec<_> = wrong
        .map(|(name, _)| (name.to_owned(), INVALID_VALUE))
        .into();
    expected.push(("search_path".to_owned(), INVALID_NAME));
    expected.push(("max_endpoints ".to_owned(), INVALID_NAME));
    expected.sort();
    assert_eq!(errors, expected);
    // what is right beside what is wrong holds
    let both = [
        ("schema", text("insurance")),
        ("time_zone", text("nowhere")),
    ];
    let errors = set(&mut client, &both).await;
    assert_eq!(errors, [("time_zone".to_owned(), INVALID_VALUE)]);
    let schema = get(&mut client).await["schema"].clone();
    assert_eq!(schema, Form::Text("insurance".into()));
}

#[tokio::test]
async fn a_schema_is_chosen_by_option_header_or_statement() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let sql = "SELECT count(*) FROM claims";
    assert_eq!(client.query(sql).await.unwrap_err().code(), Code::NotFound);
    for name in ["x-scrim-schema", "schema"] {
        let mut client = client.clone();
        client.headers.push((name, "insurance".to_owned()));
        client.query(sql).await.unwrap();
    }
    for set in [
        "USE insurance",
        "SET schema = 'insurance'",
        "USE scrim.insurance",
    ] {
        client.query("USE care").await.unwrap();
        assert_eq!(client.query(sql).await.unwrap_err().code(), Code::NotFound);
        client.query(set).await.unwrap();
        client.query(sql).await.unwrap();
    }
    for set in ["USE nowhere", "SET schema = 'nowhere'"] {
        let status = client.query(set).await.unwrap_err();
        is_clean(&status);
        let found = (status.code(), code(&status));
        assert_eq!(found, (Code::NotFound, "name-not-found"));
    }
    let status = client.query("USE other.care").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_drivers_send_as_headers_is_taken_refused_or_ignored() {
    let host = Hosted::demo().await;
    let client = Client::persona(host.address(), "nora").await;
    for (name, value, fine) in [
        ("catalog", "scrim", true),
        ("useserverprepstmts", "false", true),
        ("catalog", "other", false),
        ("database", "other", true),
        ("x-native-types", "perhaps", false),
        ("x-max-endpoints", "0", false),
        ("x-scrim-time-zone", "Mars/Olympus", false),
    ] {
        let mut client = client.clone();
        client.headers.push((name, value.to_owned()));
        match client.query("SELECT 1").await {
            Ok(_) => assert!(fine, "{name}: {value}"),
            Err(status) => {
                is_clean(&status);
                assert!(!fine, "{name}: {value}: {status:?}");
                assert_eq!(code(&status), "request-invalid");
            }
        }
    }
}

/// The one text that a query gives.
async fn one(client: &mut Client, sql: &str) -> String {
    let fetched = client.query(sql).await;
    let batch = fetched.unwrap_or_else(|e| panic!("{sql}: {e}")).batch();
    batch.column(0).as_string::<i32>().value(0).to_owned()
}

#[tokio::test]
async fn the_time_zone_is_that_of_the_session() {
    let host = Hosted::demo().await;
    // half past eleven at night in UTC
    host.clock.advance(TimeDelta::minutes(11 * 60 + 30));
    let mut client = Client::persona(host.address(), "nora").await;
    let today = "SELECT CAST(current_date AS VARCHAR)";
    let now = "SELECT CAST(now() AS VARCHAR)";
    assert_eq!(one(&mut client, today).await, "2026-03-02");
    assert!(
        one(&mut client, now)
            .await
            .starts_with("2026-03-02T23:30:00")
    );
    client.query("SET TIME ZONE 'Europe/Berlin'").await.unwrap();
    assert_eq!(one(&mut client, today).await, "2026-03-03");
    assert_eq!(one(&mut client, now).await, "2026-03-03T00:30:00+01:00");
    let cast = "SELECT CAST(TIMESTAMPTZ '2026-07-01 12:00:00' AS VARCHAR)";
    assert_eq!(one(&mut client, cast).await, "2026-07-01T12:00:00+02:00");
    let schema = client.query("SELECT now() AS n").await.unwrap().schema();
    let zoned = DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into()));
    assert_eq!(*schema.field(0).data_type(), zoned);
    // a request's header wins over its session, and a ticket keeps what it was announced under
    let mut other = client.clone();
    other
        .headers
        .push(("x-scrim-time-zone", "-05:00".to_owned()));
    let in_winter = "2026-03-02T18:30:00-05:00";
    assert_eq!(one(&mut other, now).await, in_winter);
    let info = other.info(&statement(now)).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let batch = client.get(ticket).await.unwrap().batch();
    assert_eq!(batch.column(0).as_string::<i32>().value(0), in_winter);
    // one session's zone is nobody else's
    let mut other = Client::persona(host.address(), "nora").await;
    assert_eq!(one(&mut other, today).await, "2026-03-02");
    client.query("SET TIME ZONE DEFAULT").await.unwrap();
    assert_eq!(one(&mut client, today).await, "2026-03-02");
}
