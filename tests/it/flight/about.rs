//! What a result says about itself: ids, order, and the metadata of its schema.

use std::collections::BTreeMap;

use arrow_flight::FlightInfo;
use scrim_ledger::Outcome;
use tonic::Code;

use crate::client::{Client, code, error_info, statement};
use crate::kit::Hosted;

type About = BTreeMap<String, String>;

fn about(info: &FlightInfo) -> About {
    let schema = info.clone().try_decode_schema().unwrap();
    schema.metadata().clone().into_iter().collect()
}

async fn said(client: &mut Client, sql: &str) -> About {
    let info = client.info(&statement(sql)).await.unwrap();
    let said = about(&info);
    let sent = client.get(info.endpoint[0].ticket.clone().unwrap()).await;
    let sent = sent.unwrap().schema();
    let sent: About = sent.metadata().clone().into_iter().collect();
    assert_eq!(said, sent, "{sql}");
    said
}

#[tokio::test]
async fn every_result_has_an_id_that_the_ledger_knows() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rolf").await;
    let sql = "SELECT ward FROM care.patients";
    let info = client.info(&statement(sql)).await.unwrap();
    let id = std::str::from_utf8(&info.app_metadata).unwrap().to_owned();
    assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{id}");
    assert_eq!(about(&info)["scrim.query_id"], id);
    let mut runs = Vec::new();
    for _ in 0..2 {
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let fetched = client.get(ticket).await.unwrap();
        assert_eq!(fetched.schema().metadata()["scrim.query_id"], id);
        let run = fetched.messages[0].app_metadata.clone();
        runs.push(String::from_utf8(run.to_vec()).unwrap());
        assert!(
            fetched.messages[1..]
                .iter()
                .all(|m| m.app_metadata.is_empty())
        );
    }
    let refused = client
        .query("SELECT no_such_column FROM care.patients")
        .await;
    let status = refused.unwrap_err();
    let refused = error_info(&status).metadata["query_id"].clone();
    assert!(status.message().ends_with(&format!("(query {refused})")));
    let records = host.stop().await.records();
    let of = |run: &String| {
        records
            .iter()
            .find(|r| r.query.to_string() == *run)
            .unwrap()
    };
    for run in &runs {
        let record = of(run);
        assert_eq!(record.statement.unwrap().to_string(), id);
        assert_eq!(
            (record.sql.as_str(), record.outcome),
            (sql, Outcome::Completed)
        );
    }
    assert_ne!(runs[0], runs[1], "each run has a record of its own");
    assert_eq!(of(&refused).outcome, Outcome::Refused);
}

#[tokio::test]
async fn errors_on_the_way_carry_the_run() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    let sql = "SELECT 1 / (length(ward) - length(ward)) FROM care.patients";
    let status = client.query(sql).await.unwrap_err();
    assert_eq!(
        (status.code(), code(&status)),
        (Code::InvalidArgument, "divide-by-zero")
    );
    let run = error_info(&status).metadata["query_id"].clone();
    let record = host
        .stop()
        .await
        .records()
        .into_iter()
        .find(|r| r.sql == sql);
    assert_eq!(record.unwrap().query.to_string(), run);
}

#[tokio::test]
async fn order_is_told_only_when_the_statement_asks_for_it_as_a_whole() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    for (sql, ordered) in [
        ("SELECT ward FROM care.patients ORDER BY ward", true),
        (
            "SELECT ward FROM care.patients ORDER BY patient_id LIMIT 3 OFFSET 1",
            true,
        ),
        (
            "SELECT ward || 'x' AS w FROM (SELECT * FROM care.patients ORDER BY zip LIMIT 9) AS s",
            true,
        ),
        (
            "SELECT ward, count(*) FROM care.patients GROUP BY ward ORDER BY 2 DESC",
            true,
        ),
        ("SELECT ward FROM care.patients", false),
        // an order inside that nothing depends on is none
        (
            "SELECT ward FROM (SELECT * FROM care.patients ORDER BY zip) AS s",
            false,
        ),
        (
            "SELECT ward FROM (SELECT * FROM care.patients ORDER BY zip) WHERE zip > '1'",
            false,
        ),
        (
            "SELECT count(*) FROM (SELECT * FROM care.patients ORDER BY zip)",
            false,
        ),
        (
            "SELECT rank() OVER (ORDER BY zip) FROM care.patients",
            false,
        ),
        ("SELECT 1 UNION ALL (SELECT 2 ORDER BY 1)", false),
        (
            "EXPLAIN SELECT ward FROM care.patients ORDER BY ward",
            false,
        ),
    ] {
        let info = client.info(&statement(sql)).await.unwrap();
        assert_eq!((info.ordered, info.total_records), (ordered, -1), "{sql}");
    }
}

#[tokio::test]
async fn a_result_says_what_it_rests_on() {
    let host = Hosted::demo().await;
    let mut nora = Client::persona(host.address(), "nora").await;
    let mut rolf = Client::persona(host.address(), "rolf").await;
    let all = said(&mut rolf, "SELECT * FROM care.patients").await;
    assert_eq!(all["scrim.contracts"], "patients");
    assert_eq!(all["scrim.agreements"], "meridian-patients");
    assert_eq!(all["scrim.row_filter"], "true");
    assert!(
        all["scrim.masked_columns"].contains("care.patients.zip"),
        "{all:?}"
    );
    assert_eq!(all["scrim.decision"].len(), 64);
    // Only what the statement names, and nothing that is clear.
    let one = said(
        &mut rolf,
        "SELECT ward FROM care.patients WHERE zip LIKE '0%'",
    )
    .await;
    assert_eq!(one["scrim.masked_columns"], "care.patients.zip");
    assert_eq!(one["scrim.decision"], all["scrim.decision"]);
    assert_ne!(one["scrim.query_id"], all["scrim.query_id"]);
    let both = said(
        &mut nora,
        "SELECT count(*) FROM care.patients p JOIN care.visits v ON p.patient_id = v.patient_id",
    )
    .await;
    assert_eq!(both["scrim.contracts"], "patients,visits");
    assert_eq!(both["scrim.masked_columns"], "");
    assert_ne!(both["scrim.decision"], all["scrim.decision"]);
    let free = said(&mut nora, "SELECT 1").await;
    for key in ["scrim.contracts", "scrim.agreements", "scrim.decision"] {
        assert_eq!(free[key], "", "{key}");
    }
    assert_eq!(free["scrim.row_filter"], "false");
}

#[tokio::test]
async fn inv_07_what_a_result_says_of_itself_tells_no_hidden_name() {
    let host = Hosted::demo().await;
    for id in ["ivan", "rhea", "rolf", "iris", "luca"] {
        let mut client = Client::persona(host.address(), id).await;
        for table in ["care.patients", "care.visits", "insurance.claims"] {
            let sql = format!("SELECT * FROM {table}");
            let Ok(info) = client.info(&statement(&sql)).await else {
                continue;
            };
            let visible = info.clone().try_decode_schema().unwrap();
            let about = about(&info);
            for column in about["scrim.masked_columns"]
                .split(',')
                .filter(|c| !c.is_empty())
            {
                let name = column.strip_prefix(&format!("{table}.")).unwrap();
                visible.field_with_name(name).unwrap();
            }
            let text = format!("{about:?}");
            for hidden in [
                "legal_hold",
                "consent_research",
                "legal-hold",
                "entitlements",
            ] {
                assert!(!text.contains(hidden), "{id}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn inv_12_a_change_of_policies_that_keeps_the_shape_is_applied_not_refused() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "rolf").await;
    let sql = "SELECT ward FROM care.patients";
    let whole = client.query(sql).await.unwrap().batch().num_rows();
    let info = client.info(&statement(sql)).await.unwrap();
    host.world.edit(
        "policies/contracts/patients.odcs.yaml",
        "rows: NOT legal_hold",
        "rows: NOT legal_hold AND ward = 'Lighthouse'",
    );
    host.reload().await;
    let fetched = client
        .get(info.endpoint[0].ticket.clone().unwrap())
        .await
        .unwrap();
    let rows = fetched.batch();
    assert!(
        (1..whole).contains(&rows.num_rows()),
        "{} of {whole}",
        rows.num_rows()
    );
    // The result tells what it rests on now.
    let (then, now) = (about(&info), fetched.schema().metadata().clone());
    assert_eq!(then["scrim.query_id"], now["scrim.query_id"]);
    assert_ne!(then["scrim.decision"], now["scrim.decision"]);
}
