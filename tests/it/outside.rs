//! A decision point outside the policies: it can take away and nothing else, and nobody can tell
//! what it took from what was never there.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use chrono::TimeDelta;
use scrim_ledger::Outcome;
use scrim_testkit::decisions::DecisionPoint;
use scrim_testkit::web::{Gate, Trouble};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::cli::scrim;
use crate::client::{Client, code, error_info, is_clean};
use crate::flight::metadata::{tables, texts};
use crate::kit::{Hosted, Scratch};

const PATIENTS: &str = "SELECT * FROM care.patients";
const UNAVAILABLE: &str = "decision-unavailable";

/// The demo world with a decision point that answers this, as a server.
async fn hosted(answer: &Value, more: &str) -> (Hosted, DecisionPoint) {
    let point = DecisionPoint::start(&result(answer)).unwrap();
    let world = world(&point, more);
    (Hosted::start(world).await, point)
}

fn world(point: &DecisionPoint, more: &str) -> Scratch {
    let world = Scratch::demo();
    let url = point.url();
    let config = std::fs::read_to_string(world.path("scrim.yaml")).unwrap();
    let text = format!("{config}external_decisions: {{url: '{url}', timeout: 5s{more}}}\n");
    world.write("scrim.yaml", &text);
    world
}

fn result(answer: &Value) -> String {
    json!({"result": answer, "decision_id": "8d2a"}).to_string()
}

fn allowing(tables: &[&str]) -> Value {
    let all = tables
        .iter()
        .map(|table| ((*table).to_owned(), json!({"allow": true})));
    Value::Object(all.collect())
}

/// What was asked so far, and how often.
fn inputs(point: &DecisionPoint) -> Vec<Value> {
    let asked = point.asked().into_iter();
    asked
        .map(|asked| serde_json::from_str::<Value>(&asked.body).unwrap()["input"].clone())
        .collect()
}

fn asked_tables(input: &Value) -> Vec<&str> {
    let tables = input["tables"].as_array().unwrap().iter();
    tables
        .map(|table| table["name"].as_str().unwrap())
        .collect()
}

async fn count(client: &mut Client, sql: &str) -> i64 {
    let batch = client.query(sql).await.unwrap().batch();
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

async fn refused(client: &mut Client, sql: &str) -> Status {
    let status = client.query(sql).await.unwrap_err();
    is_clean(&status);
    status
}

/// All that a client can tell two refusals apart by, when they speak of tables of these names.
fn seen(status: &Status, name: &str) -> (Code, String, String) {
    let id = error_info(status).metadata["query_id"].clone();
    let said = status.message().replace(&id, "ID").replace(name, "NAME");
    (status.code(), said, error_info(status).reason)
}

async fn columns(client: &mut Client) -> BTreeSet<String> {
    let fetched = client.query(PATIENTS).await.unwrap();
    let schema = fetched.schema();
    schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

async fn listed(client: &mut Client) -> Vec<String> {
    texts(&client.fetch(&tables(None, true)).await.unwrap().batch(), 2)
}

#[tokio::test]
async fn one_question_tells_of_all_tables_that_the_statement_names_and_the_contracts_show() {
    let (host, point) = hosted(&json!(true), "").await;
    let mut client = Client::persona(host.address(), "ivan").await;
    let sql = "SELECT count(*) FROM care.patients p JOIN care.visits v USING (patient_id)
               WHERE v.patient_id IN (SELECT patient_id FROM care.nothing)
               OR p.full_name = 'a secret literal'";
    refused(&mut client, sql).await;
    let asked = inputs(&point);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked_tables(&asked[0]), ["care.patients", "care.visits"]);
    let input = &asked[0];
    assert_eq!(input["principal"]["id"], "ivan");
    assert_eq!(input["principal"]["groups"], json!(["fraud"]));
    assert_eq!(input["principal"]["attributes"], json!({"clearance": 2}));
    assert_eq!(input["context"]["network"], json!(["trusted"]));
    assert_eq!(input["settings"]["purpose"], "fraud-analytics");
    let patients = &input["tables"][0];
    assert_eq!(patients["agreements"], json!(["harbor-patients"]));
    let columns = patients["columns"].as_array().unwrap();
    let treatment = |name: &str| {
        let column = columns.iter().find(|column| column["name"] == name);
        column.map(|column| column["treatments"].clone())
    };
    assert_eq!(treatment("zip"), Some(json!(["clear"])));
    assert_eq!(treatment("full_name"), Some(json!(["partial"])));
    assert_eq!(treatment("national_id"), None, "it is hidden");
    for asked in point.asked() {
        assert!(!asked.body.contains("secret literal"), "{}", asked.body);
        assert!(!asked.body.contains("\"time\""), "{}", asked.body);
        assert_eq!(asked.authorization, None);
    }
}

#[tokio::test]
async fn inv_12_what_is_allowed_is_shown_as_the_contracts_show_it_and_asked_at_each_use() {
    let (host, point) = hosted(&allowing(&["care.patients"]), "").await;
    let plain = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "ivan").await;
    let mut other = Client::persona(plain.address(), "ivan").await;
    let (here, there) = (client.query(PATIENTS).await, other.query(PATIENTS).await);
    let (here, there) = (here.unwrap().batch(), there.unwrap().batch());
    assert!(here.num_rows() > 0);
    assert_eq!(here.columns(), there.columns());
    assert_eq!(
        point.asked().len(),
        2,
        "when it is announced and when it runs"
    );
    let prepared = client.handle(PATIENTS).await;
    point.answers(result(&json!(false)));
    let ticket = arrow_flight::Ticket {
        ticket: crate::client::packed(&arrow_flight::sql::CommandPreparedStatementQuery {
            prepared_statement_handle: prepared,
        }),
    };
    let status = client.get(ticket).await.unwrap_err();
    assert_eq!(code(&status), "name-not-found");
}

#[tokio::test]
async fn inv_07_a_table_that_is_taken_away_looks_like_one_that_never_was() {
    let answer = json!({"care.visits": {"allow": true}, "care.patients": {"allow": false},
                        "care.unheard_of": {"allow": true}});
    let (host, point) = hosted(&answer, "").await;
    let mut client = Client::persona(host.address(), "ivan").await;
    for sql in [
        "SELECT * FROM care.patients",
        "SELECT count(*) FROM scrim.care.patients",
        "SELECT * FROM patients",
        "SELECT 1 FROM care.visits WHERE visit_id IN (SELECT patient_id FROM care.patients)",
        "EXPLAIN SELECT * FROM care.patients",
        "DESCRIBE care.patients",
    ] {
        let gone = refused(&mut client, sql).await;
        let never = refused(&mut client, &sql.replace("patients", "patience")).await;
        assert_eq!(seen(&gone, "patients"), seen(&never, "patience"), "{sql}");
    }
    let schema = "SELECT table_name FROM information_schema.tables ORDER BY 1";
    let batch = client.query(schema).await.unwrap().batch();
    assert_eq!(texts(&batch, 0), ["visits"]);
    assert_eq!(listed(&mut client).await, ["visits"]);
    // the contracts of the others do not show them, so that no answer can
    assert!(inputs(&point).iter().all(|input| {
        let names = asked_tables(input);
        !names.contains(&"care.unheard_of") && !names.contains(&"care.patience")
    }));
    // whoever states no purpose is not told of the table by being asked for one
    client.headers.clear();
    let gone = refused(&mut client, "SELECT * FROM care.patients").await;
    assert_eq!(code(&gone), "name-not-found");
    let world = host.stop().await;
    let records = world.records();
    let shown = records
        .iter()
        .filter(|record| record.outcome != Outcome::Refused);
    for record in shown {
        assert!(!record.tables.iter().any(|table| table.contains("patients")));
    }
}

#[tokio::test]
async fn inv_07_a_column_that_is_taken_away_does_not_exist() {
    let answer = json!({"care.patients": {
        "allow": true, "hide": ["zip", "patient_id", "national_id"], "reason": "until the audit ends"}});
    let (host, _point) = hosted(&answer, "").await;
    let mut client = Client::persona(host.address(), "ivan").await;
    let seen_columns = columns(&mut client).await;
    assert!(seen_columns.contains("full_name"));
    for gone in ["zip", "patient_id", "national_id"] {
        assert!(!seen_columns.contains(gone));
        let sql = format!("SELECT {gone} FROM care.patients");
        let (gone, never) = (
            refused(&mut client, &sql).await,
            refused(&mut client, &sql.replace(gone, "nothing")).await,
        );
        let name = sql.split(' ').nth(1).unwrap();
        assert_eq!(seen(&gone, name), seen(&never, "nothing"), "{sql}");
    }
    let metadata = client.fetch(&tables(Some("patients"), true)).await.unwrap();
    assert!(!String::from_utf8_lossy(&metadata.bytes()).contains("zip"));
    // a mask stays a mask
    let names = client
        .query("SELECT full_name FROM care.patients WHERE full_name IS NOT NULL")
        .await;
    let names = texts(&names.unwrap().batch(), 0);
    assert!(!names.is_empty());
    assert!(
        names
            .iter()
            .all(|name| name.is_empty() || name.ends_with("****")),
        "{names:?}"
    );
    let world = host.stop().await;
    let ledger = std::fs::read_to_string(world.path("ledger/ledger.jsonl")).unwrap();
    assert!(
        ledger.contains("\"narrowing\":{\"origin\":\"http://127.0.0.1:"),
        "{ledger}"
    );
    assert!(ledger.contains("until the audit ends"));
}

#[tokio::test]
async fn a_row_filter_from_outside_holds_beside_all_others() {
    let (host, point) = hosted(&json!(true), "").await;
    let mut client = Client::persona(host.address(), "nora").await;
    let all = "SELECT count(*) FROM care.patients";
    let north = "SELECT count(*) FROM care.patients WHERE region = 'NORTH'";
    let (every, some) = (
        count(&mut client, all).await,
        count(&mut client, north).await,
    );
    assert!(0 < some && some < every);
    for (rows, expected) in [
        ("region = 'NORTH'", some),
        ("region = 'NORTH' OR NULL", some),
        ("true", every),
        ("false", 0),
        // what the guard of the contract withholds stays withheld
        ("region = 'NORTH' OR legal_hold", some),
    ] {
        let answer = json!({"care.patients": {"allow": true, "rows": rows}});
        point.answers(result(&answer));
        assert_eq!(count(&mut client, all).await, expected, "{rows}");
    }
    let answer =
        json!({"care.patients": {"allow": true, "rows": "region = 'NORTH'", "hide": ["region"]}});
    point.answers(result(&answer));
    assert_eq!(
        count(&mut client, all).await,
        some,
        "a column need not be visible"
    );
    assert!(!columns(&mut client).await.contains("region"));
}

/// What is wrong with an answer, and what the owner's ledger and log are told of it.
fn wrong_answers() -> Vec<String> {
    let of_patients = |answer: Value| result(&json!({"care.patients": answer}));
    vec![
        String::new(),
        "<html>".to_owned(),
        "{}".to_owned(),
        r#"{"result": "yes"}"#.to_owned(),
        of_patients(json!({"allow": 1})),
        of_patients(json!({"allow": true, "hid": ["zip"]})),
        of_patients(json!({"allow": true, "hide": ["zipp"]})),
        of_patients(json!({"allow": true, "rows": "region ="})),
        of_patients(json!({"allow": true, "rows": "CAST(zip AS BIGINT) > 1"})),
        of_patients(json!({"allow": true, "rows": "ward = principal.id"})),
        of_patients(json!({"allow": true, "reason": "x".repeat(2 << 20)})),
    ]
}

#[tokio::test]
async fn inv_03_without_an_answer_that_is_understood_nothing_is_shown() {
    let (host, point) = hosted(&json!(true), "").await;
    let mut client = Client::persona(host.address(), "ivan").await;
    let ticket = client.ticket(PATIENTS).await;
    for wrong in wrong_answers() {
        point.answers(wrong.clone());
        let wrong: String = wrong.chars().take(80).collect();
        let status = refused(&mut client, PATIENTS).await;
        assert_eq!(code(&status), UNAVAILABLE, "{wrong}: {status:?}");
        assert_eq!(status.code(), Code::Unavailable, "{wrong}");
        assert!(!status.message().contains("127.0.0.1"), "{status:?}");
        let status = client.get(ticket.clone()).await.unwrap_err();
        assert_eq!(code(&status), UNAVAILABLE, "{wrong}");
    }
    point.answers(result(&json!(true)));
    client.query(PATIENTS).await.unwrap();
    let records = host.stop().await.records();
    let mut codes = records.iter().filter_map(|record| record.code.as_deref());
    assert!(codes.any(|code| code == UNAVAILABLE));
}

#[tokio::test]
async fn inv_03_a_decision_point_in_trouble_closes_everything_that_it_decides() {
    let (host, point) = hosted(&json!(true), "").await;
    let elsewhere = DecisionPoint::start(&result(&json!(true))).unwrap();
    let mut client = Client::persona(host.address(), "ivan").await;
    for trouble in [
        Trouble::Status(500),
        Trouble::Status(401),
        Trouble::HangUp,
        Trouble::Cut(3),
    ] {
        point
            .traffic()
            .trouble("POST", 0, usize::MAX, trouble.clone());
        closed(&mut client, &format!("{trouble:?}")).await;
        point.traffic().heal();
    }
    point.redirects(&elsewhere.url());
    closed(&mut client, "redirect").await;
    assert!(elsewhere.asked().is_empty(), "nobody else is asked");
    drop(point);
    closed(&mut client, "nobody").await;
}

/// Nothing is shown, and what is taken away at other times cannot be told from what never was.
async fn closed(client: &mut Client, why: &str) {
    for sql in [
        PATIENTS,
        "SELECT * FROM care.nothing",
        "SELECT * FROM nothing",
    ] {
        let status = refused(client, sql).await;
        assert_eq!(code(&status), UNAVAILABLE, "{why}: {sql}");
    }
    let status = client.fetch(&tables(None, false)).await.unwrap_err();
    assert_eq!(code(&status), UNAVAILABLE, "{why}");
    // what names no table needs no decision
    client.query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn inv_14_an_answer_that_is_late_is_none() {
    let point = DecisionPoint::start(&result(&json!(true))).unwrap();
    let world = world(&point, "");
    world.edit("scrim.yaml", "timeout: 5s", "timeout: 50ms");
    let host = Hosted::start(world).await;
    let mut client = Client::persona(host.address(), "ivan").await;
    for trouble in [Trouble::Stall(2), Trouble::Hold(Gate::closed())] {
        point.traffic().trouble("POST", 0, usize::MAX, trouble);
        let status = refused(&mut client, PATIENTS).await;
        assert_eq!(code(&status), UNAVAILABLE);
        point.traffic().heal();
    }
}

#[tokio::test]
async fn a_question_whose_asker_left_holds_up_nobody() {
    let (host, point) = hosted(&json!(true), "").await;
    let gate = Gate::closed();
    point
        .traffic()
        .trouble("POST", 0, 100, Trouble::Hold(gate.clone()));
    let client = Client::persona(host.address(), "ivan").await;
    let asking = (0..100).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move { client.query(PATIENTS).await })
    });
    let asking: Vec<_> = asking.collect();
    gate.reached().await;
    for one in &asking {
        one.abort();
    }
    for one in asking {
        drop(one.await);
    }
    point.traffic().heal();
    let mut client = Client::persona(host.address(), "nora").await;
    let answered = tokio::time::timeout(Duration::from_secs(4), client.query(PATIENTS));
    answered.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_answer_is_used_again_for_as_long_as_it_may_and_for_the_same_question_only() {
    let (host, point) = hosted(&json!(true), ", cache: 10s").await;
    let mut client = Client::persona(host.address(), "ivan").await;
    client.query(PATIENTS).await.unwrap();
    client.query(PATIENTS).await.unwrap();
    client.query("SELECT zip FROM care.patients").await.unwrap();
    assert_eq!(point.asked().len(), 1);
    // another asker, another statement, another purpose
    let mut other = Client::persona(host.address(), "nora").await;
    other.query(PATIENTS).await.unwrap();
    assert_eq!(point.asked().len(), 2);
    client.query("SELECT * FROM care.visits").await.unwrap();
    assert_eq!(point.asked().len(), 3);
    let ticket = client.ticket(PATIENTS).await;
    point.answers(result(&json!(false)));
    host.clock.advance(TimeDelta::milliseconds(9_999));
    client.query(PATIENTS).await.unwrap();
    assert_eq!(point.asked().len(), 3);
    host.clock.advance(TimeDelta::milliseconds(1));
    let status = client.get(ticket).await.unwrap_err();
    assert_eq!(code(&status), "revoked", "decided anew at use");
    assert_eq!(
        code(&refused(&mut client, PATIENTS).await),
        "name-not-found"
    );
    assert_eq!(point.asked().len(), 4, "a no is kept, too");
    // a failure is not
    host.clock.advance(TimeDelta::seconds(10));
    point.answers("");
    refused(&mut client, PATIENTS).await;
    refused(&mut client, PATIENTS).await;
    assert_eq!(point.asked().len(), 6);
    // other policies, another question
    point.answers(result(&json!(true)));
    client.query(PATIENTS).await.unwrap();
    assert_eq!(point.asked().len(), 7);
    host.world.edit(
        "policies/contracts/visits.odcs.yaml",
        "\nversion: ",
        "\n# anew\nversion: 1",
    );
    host.reload().await;
    client.query(PATIENTS).await.unwrap();
    assert_eq!(point.asked().len(), 8);
}

#[tokio::test]
async fn the_decision_point_gets_its_token_and_on_demand_what_changes_all_the_time() {
    let point = DecisionPoint::start(&result(&json!(true))).unwrap();
    let world = world(&point, ", credentials: opa, volatile: true");
    let config = std::fs::read_to_string(world.path("scrim.yaml")).unwrap();
    world.write(
        "scrim.yaml",
        &format!("{config}secrets: {{file: secrets.yaml}}\n"),
    );
    world.write("secrets.yaml", "opa: {token: \"opa-token-1618\"}\n");
    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(world.path("secrets.yaml"), owner).unwrap();
    let host = Hosted::start(world).await;
    let mut client = Client::persona(host.address(), "ivan").await;
    client.query(PATIENTS).await.unwrap();
    let asked = point.asked();
    let authorization = asked[0].authorization.as_deref();
    assert_eq!(authorization, Some("Bearer opa-token-1618"));
    assert!(!asked[0].body.contains("opa-token"));
    let input = &inputs(&point)[0];
    assert_eq!(input["context"]["time"], "2026-03-02T12:00:00Z");
    assert_eq!(input["context"]["queries_last_hour"], 0);
    let world = host.stop().await;
    let ledger = std::fs::read_to_string(world.path("ledger/ledger.jsonl")).unwrap();
    assert!(!ledger.contains("opa-token"));
}

#[tokio::test]
async fn a_decision_point_that_cannot_prove_itself_is_none() {
    let point = DecisionPoint::start(&result(&json!(true))).unwrap();
    let world = world(&point, ", ca: ca.pem");
    world.edit("scrim.yaml", "url: 'http://", "url: 'https://");
    for ca in [None, Some("no certificate")] {
        if let Some(ca) = ca {
            world.write("ca.pem", ca);
        }
        let problems = scrim_server::external_decisions(&world.config()).unwrap_err();
        assert!(problems.to_string().contains("ca.pem"), "{problems}");
    }
    world.write("ca.pem", include_str!("data/test-only-certificate.pem"));
    let host = Hosted::start(world).await;
    let mut client = Client::persona(host.address(), "ivan").await;
    assert_eq!(code(&refused(&mut client, PATIENTS).await), UNAVAILABLE);
    assert!(point.asked().is_empty());
}

#[test]
fn the_owner_is_told_what_was_decided_outside() {
    let reason = "\u{1b}[2Jon leave";
    let answer = json!({"care.patients": {"allow": true, "hide": ["zip"], "rows": "region = 'NORTH'"},
                        "care.visits": {"allow": false, "reason": reason}});
    let point = DecisionPoint::start(&result(&answer)).unwrap();
    let world = world(&point, "");
    let explain = |sql: &str| {
        let purpose = ["--purpose", "fraud-analytics"];
        let arguments = ["explain", "--as", "ivan", purpose[0], purpose[1], sql];
        scrim(world.root(), arguments)
    };
    let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = one_line(explain("SELECT * FROM care.patients").good());
    assert!(text.contains("Decided outside"), "{text}");
    assert!(text.contains(&point.url()), "{text}");
    assert!(
        text.contains("takes away zip; lets through only rows with region = 'NORTH'"),
        "{text}"
    );
    let text = one_line(explain("SELECT * FROM care.visits").good());
    assert!(
        text.contains("Taken away by a decision from outside"),
        "{text}"
    );
    assert!(
        text.contains("on leave") && !text.contains('\u{1b}'),
        "{text}"
    );
    // the tests of policies are about the policies
    point.forget();
    scrim(world.root(), ["policy", "test"]).good();
    assert!(point.asked().is_empty());
    point.answers("no");
    let said = explain("SELECT * FROM care.patients").bad(2);
    assert!(said.contains("the answer is not understood"), "{said}");
}
