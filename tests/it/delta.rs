//! Delta tables under contracts: rules and masks hold over them, and each query sees one version.

use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use scrim_model::Code;

use crate::kit::{Local, Scratch, copy};

const CONTRACT: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: people
name: People in a lake
version: 1.0.0
status: active
domain: care
servers:
  - {server: lake, type: local, environment: demo, path: lake, format: delta}
schema:
  - name: people
    properties:
      - {name: id, logicalType: integer}
      - {name: name, logicalType: string, tags: [direct-identifier]}
customProperties:
  - property: accessPolicy
    value:
      purposes: [operations]
      guards:
        - {id: some, rows: id <> 97}
      profiles:
        owner: {columns: {id: clear, name: {mask: partial, keep_first: 1, fill: "*"}}}
"#;

const AGREEMENT: &str = r#"
apiVersion: v0.9.0
kind: AccessAgreement
id: northgate-people
status: active
contract: {id: people, version: "^1"}
profile: owner
consumer: {organisation: northgate, who: "principal.org = 'northgate'"}
purpose: operations
"#;

/// The demo world with a table whose rows are deleted by vectors.
fn world() -> Scratch {
    let world = Scratch::demo();
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/delta/vectors");
    fs::create_dir(world.path("lake")).unwrap();
    copy(&made, &world.path("lake"), &[]);
    world.write("policies/contracts/people.odcs.yaml", CONTRACT);
    world.write("policies/agreements/northgate-people.yaml", AGREEMENT);
    world
}

async fn ids(local: &Local, condition: &str) -> Vec<i64> {
    let sql = format!("SELECT id FROM care.people WHERE {condition} ORDER BY id");
    let (_, batches) = local.rows(&local.usual("nora"), &sql, None).await.unwrap();
    let column = |batch: &arrow::array::RecordBatch| {
        batch
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    };
    batches.iter().flat_map(column).collect()
}

#[tokio::test]
async fn inv_06_rules_and_masks_hold_over_a_delta_table() {
    let world = world();
    let local = Local::start(&world).await;
    let kept: Vec<i64> = (0..15).chain([95, 96, 98, 99, 200, 201]).collect();
    assert_eq!(ids(&local, "true").await, kept);
    assert_eq!(ids(&local, "id = 97 OR id = 50").await, [0_i64; 0]);
    assert_eq!(ids(&local, "id IN (14, 15, 95)").await, [14, 95]);
    assert_eq!(ids(&local, "name LIKE 'person%'").await, [0_i64; 0]);
    assert_eq!(ids(&local, "name = 'p*' AND id < 4").await, [1, 2, 3]);
    // one more commit, and the next query sees it
    let log = world.path("lake/_delta_log");
    let first = fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    let add = first
        .lines()
        .find(|line| line.starts_with("{\"add\""))
        .unwrap();
    let path = add
        .split("\"path\": \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let remove =
        format!(r#"{{"remove":{{"path":"{path}","dataChange":true,"deletionTimestamp":1}}}}"#);
    let third = fs::read_to_string(log.join("00000000000000000002.json")).unwrap();
    let vector = third.split("\"deletionVector\": ").last().unwrap();
    let vector = vector.split('}').next().unwrap();
    let remove = remove.replace("}}", &format!(",\"deletionVector\":{vector}}}}}}}"));
    fs::write(log.join("00000000000000000004.json"), remove).unwrap();
    assert_eq!(ids(&local, "true").await, [200, 201]);
}

#[tokio::test]
async fn inv_07_a_vacuumed_table_is_a_clear_failure_without_names() {
    let world = world();
    let local = Local::start(&world).await;
    let before = ids(&local, "true").await;
    let log = world.path("lake/_delta_log");
    fs::rename(&log, world.path("aside")).unwrap();
    let sql = "SELECT id FROM care.people";
    let refusal = local
        .rows(&local.usual("nora"), sql, None)
        .await
        .unwrap_err();
    assert!(
        matches!(
            refusal.code(),
            Code::SourceUnavailable | Code::SourceInvalid
        ),
        "{refusal}"
    );
    assert!(!refusal.message().contains("lake"), "{refusal}");
    fs::rename(world.path("aside"), &log).unwrap();
    assert_eq!(ids(&local, "true").await, before);
    for entry in fs::read_dir(world.path("lake")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "parquet") {
            fs::remove_file(path).unwrap();
        }
    }
    let refusal = local
        .rows(&local.usual("nora"), sql, None)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::SourceChanged, "{refusal}");
    assert!(!refusal.message().contains("parquet"), "{refusal}");
}
