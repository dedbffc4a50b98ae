//! Primary and foreign keys: those of contracts, of visible and clear columns only.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, UInt8Type};
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys,
};

use super::metadata::{contains, texts};
use crate::client::Client;
use crate::kit::{Hosted, Scratch};

/// The rows of an answer, each as `pk.column <- fk.column (sequence, fk name, pk name)`.
fn references(batch: &RecordBatch) -> Vec<String> {
    let text = |name: &str, row: usize| {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column
            .iter()
            .nth(row)
            .flatten()
            .unwrap_or("none")
            .to_owned()
    };
    let rule = |name: &str| {
        let column = batch.column_by_name(name).unwrap();
        column.as_primitive::<UInt8Type>().clone()
    };
    (0..batch.num_rows())
        .map(|row| {
            // 3 is "no action"
            assert_eq!(rule("update_rule").value(row), 3);
            assert_eq!(rule("delete_rule").value(row), 3);
            assert_eq!(text("pk_catalog_name", row), "scrim");
            assert_eq!(text("fk_catalog_name", row), "scrim");
            let sequence = batch.column_by_name("key_sequence").unwrap();
            let side = |side: &str| {
                let part = |part: &str| text(&format!("{side}_{part}"), row);
                let (schema, table) = (part("db_schema_name"), part("table_name"));
                format!("{schema}.{table}.{}", part("column_name"))
            };
            format!(
                "{} <- {} ({}, {}, {})",
                side("pk"),
                side("fk"),
                sequence.as_primitive::<Int32Type>().value(row),
                text("fk_key_name", row),
                text("pk_key_name", row)
            )
        })
        .collect()
}

fn primary(schema: Option<&str>, table: &str) -> CommandGetPrimaryKeys {
    CommandGetPrimaryKeys {
        catalog: None,
        db_schema: schema.map(str::to_owned),
        table: table.to_owned(),
    }
}

fn exported(table: &str) -> CommandGetExportedKeys {
    CommandGetExportedKeys {
        table: table.to_owned(),
        ..CommandGetExportedKeys::default()
    }
}

fn imported(table: &str) -> CommandGetImportedKeys {
    CommandGetImportedKeys {
        table: table.to_owned(),
        ..CommandGetImportedKeys::default()
    }
}

const VISITS: &str = "care.patients.patient_id <- care.visits.patient_id \
                      (1, visits_patient_id_patients_fkey, patients_pkey)";
const CLAIMS: &str = "care.patients.patient_id <- insurance.claims.patient_id \
                      (1, claims_patient_id_patients_fkey, patients_pkey)";

#[tokio::test]
async fn keys_are_those_of_the_contracts() {
    let host = Hosted::demo().await;
    let mut client = Client::persona(host.address(), "nora").await;
    for (command, columns) in [
        (primary(None, "patients"), &["patient_id"][..]),
        (primary(Some("care"), "patients"), &["patient_id"]),
        (primary(None, "visits"), &["visit_id"]),
        (primary(Some("insurance"), "patients"), &[]),
        (primary(None, "patient%"), &[]),
        (primary(None, "PATIENTS"), &[]),
        (primary(None, "no_such_table"), &[]),
        (primary(None, ""), &[]),
    ] {
        let found = client.fetch(&command).await.unwrap().batch();
        assert_eq!(texts(&found, 3), columns, "{command:?}");
        for row in 0..found.num_rows() {
            assert_eq!(texts(&found, 0)[row], "scrim");
            assert_eq!(texts(&found, 4)[row], format!("{}_pkey", command.table));
            assert_eq!(found.column(5).as_primitive::<Int32Type>().value(row), 1);
        }
    }
    let found = client.fetch(&exported("patients")).await.unwrap().batch();
    assert_eq!(references(&found), [VISITS, CLAIMS]);
    let found = client.fetch(&imported("claims")).await.unwrap().batch();
    assert_eq!(references(&found), [CLAIMS]);
    for command in [exported("visits"), exported("patient_")] {
        let found = client.fetch(&command).await.unwrap().batch();
        assert_eq!(found.num_rows(), 0, "{command:?}");
    }
    for (catalog, fk_table, rows) in [
        (None, "visits", 1),
        (Some("scrim"), "visits", 1),
        (Some(""), "visits", 0),
        (Some("other"), "visits", 0),
        (None, "patients", 0),
    ] {
        let command = CommandGetCrossReference {
            pk_catalog: catalog.map(str::to_owned),
            pk_table: "patients".to_owned(),
            fk_table: fk_table.to_owned(),
            ..CommandGetCrossReference::default()
        };
        let found = client.fetch(&command).await.unwrap().batch();
        assert_eq!(found.num_rows(), rows, "{command:?}");
    }
}

#[tokio::test]
async fn inv_07_a_key_with_a_hidden_or_masked_column_is_no_key() {
    let host = Hosted::demo().await;
    for (id, has_primary, exported_keys) in [
        ("nora", true, &[VISITS, CLAIMS][..]),
        ("ivan", true, &[VISITS, CLAIMS]),
        // patient_id is a pseudonym
        ("rhea", false, &[]),
        // sees claims only
        ("iris", false, &[]),
        ("luca", false, &[]),
    ] {
        let mut client = Client::persona(host.address(), id).await;
        let found = client.fetch(&primary(None, "patients")).await.unwrap();
        assert_eq!(found.batch().num_rows(), usize::from(has_primary), "{id}");
        let found = client.fetch(&exported("patients")).await.unwrap().batch();
        assert_eq!(references(&found), exported_keys, "{id}");
        let found = client.fetch(&imported("claims")).await.unwrap();
        if id == "iris" {
            assert!(!contains(&found.bytes(), b"patients"));
        }
    }
}

#[tokio::test]
async fn inv_07_one_hidden_column_hides_a_key_of_several() {
    let world = Scratch::demo();
    let contract = "policies/contracts/visits.odcs.yaml";
    world.edit(
        contract,
        "        relationships: [{to: \"patients.patient_id\"}]\n",
        "",
    );
    world.edit(
        contract,
        "    description: One row for each visit.\n",
        "    description: One row for each visit.
    relationships:
      - {from: [visits.room, visits.ward], to: [patients.ward, patients.region]}
",
    );
    let host = Hosted::start(world).await;
    let name = "visits_room_ward_patients_fkey";
    let mut client = Client::persona(host.address(), "nora").await;
    let found = client.fetch(&imported("visits")).await.unwrap().batch();
    assert_eq!(
        references(&found),
        [
            format!("care.patients.ward <- care.visits.room (1, {name}, none)"),
            format!("care.patients.region <- care.visits.ward (2, {name}, none)"),
        ]
    );
    // room is masked for the insurer
    let mut client = Client::persona(host.address(), "ivan").await;
    let found = client.fetch(&imported("visits")).await.unwrap();
    assert_eq!(found.batch().num_rows(), 0);
    assert!(!contains(&found.bytes(), b"room"));
}
