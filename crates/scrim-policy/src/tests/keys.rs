//! Primary keys and relationships, as contracts write them.

use scrim_model::TableName;

use super::World;
use crate::{ForeignKey, PolicySet};

/// A contract of the domain `care` with these lines under its schema object.
fn table(id: &str, lines: &str) -> String {
    let lines: Vec<_> = lines.lines().map(|line| format!("    {line}")).collect();
    let lines = lines.join("\n");
    format!(
        "apiVersion: v3.1.0
kind: DataContract
id: {id}
version: 1.0.0
status: active
domain: care
schema:
  - name: {id}
{lines}
customProperties:
  - {{property: accessPolicy, value: {{purposes: [research], profiles: {{all: {{default: clear}}}}}}}}
"
    )
}

const PATIENTS: &str = "id: patients_tbl
properties:
  - {name: country, id: country_prop, primaryKey: true, primaryKeyPosition: 2}
  - {name: number, id: number_prop, primaryKey: true, primaryKeyPosition: 1}
  - {name: name, primaryKeyPosition: -1}";

/// Patients and visits; the visits' lines are the case.
fn world(visits: &str) -> World {
    World::new()
        .source("care", "patients", &["country", "number", "name"])
        .source("care", "visits", &["id", "country", "number", "address"])
        .file("contracts/patients.odcs.yaml", &table("patients", PATIENTS))
        .file("contracts/visits.odcs.yaml", &table("visits", visits))
}

fn foreign(set: &PolicySet) -> &[ForeignKey] {
    &set.table(&TableName::new("care", "visits"))
        .unwrap()
        .foreign_keys
}

fn key(columns: &[&str], referenced: &[&str]) -> ForeignKey {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    ForeignKey {
        columns: owned(columns),
        table: TableName::new("care", "patients"),
        referenced: owned(referenced),
    }
}

#[test]
fn a_primary_key_has_its_columns_in_its_own_order() {
    let set = world("properties: [{name: id, primaryKey: true}]").set();
    let primary = |table| {
        let table = set.table(&TableName::new("care", table)).unwrap();
        table.primary_key.clone()
    };
    assert_eq!(primary("patients"), ["number", "country"]);
    assert_eq!(primary("visits"), ["id"]);
}

#[test]
fn every_notation_of_the_standard_finds_the_same_column() {
    for to in [
        "patients.number",
        "patients.odcs.yaml#schema/patients_tbl/properties/number_prop",
        "schema/patients_tbl/properties/number_prop",
        "/schema/patients_tbl/properties/number_prop",
        "patients.odcs.yaml#patients.number",
        "./patients.odcs.yaml#/schema/patients_tbl/properties/number_prop",
        "../contracts/patients.odcs.yaml#patients.number",
    ] {
        let at_the_property =
            format!("properties: [{{name: number, relationships: [{{to: '{to}'}}]}}]");
        let set = world(&at_the_property).set();
        assert_eq!(foreign(&set), [key(&["number"], &["number"])], "{to}");
        let at_the_table = format!(
            "properties: [{{name: id}}, {{name: number}}]
relationships: [{{type: foreignKey, from: visits.number, to: '{to}'}}]"
        );
        let set = world(&at_the_table).set();
        assert_eq!(foreign(&set), [key(&["number"], &["number"])], "{to}");
    }
}

#[test]
fn keys_of_several_columns_and_of_the_table_itself() {
    let set = world(
        "id: visits_tbl
properties: [{name: id}, {name: country}, {name: number, id: n, relationships: [{to: visits.id}]}]
relationships:
  - from: [schema/visits_tbl/properties/n, visits.country]
    to: [patients.number, patients.country]
  - {from: [visits.number, visits.country], to: [patients.number, patients.country]}",
    )
    .set();
    let own = ForeignKey {
        table: TableName::new("care", "visits"),
        ..key(&["number"], &["id"])
    };
    let both = key(&["number", "country"], &["number", "country"]);
    assert_eq!(foreign(&set), [own, both]);
}

#[test]
fn what_leads_out_of_the_set_or_is_no_key_is_left_alone() {
    let lines = "properties:
  - {name: id, relationships: [{to: 'https://example.com/a.yaml#people.id'}]}
  - {name: number, relationships: [{type: lineage, to: patients.number}, {to: people.id}]}
  - {name: country, relationships: [{to: 'people.odcs.yaml#people.id'}]}";
    insta::assert_snapshot!(world(lines).problems(), @r"
    contracts/visits.odcs.yaml:11:83: warning: the policy set has no such table, so this relationship is not shown (help: write `table.column` within a domain, else `FILE.odcs.yaml#schema/ID/properties/ID`)
    contracts/visits.odcs.yaml:12:46: warning: the policy set has no such table, so this relationship is not shown (help: write `table.column` within a domain, else `FILE.odcs.yaml#schema/ID/properties/ID`)
    ");
    let (set, _) = world(lines).compile().unwrap();
    assert!(foreign(&set).is_empty());
}

#[test]
fn mistakes_are_told_with_their_place() {
    let lines = "properties:
  - {name: id, primaryKey: true, primaryKeyPosition: 0}
  - {name: number, primaryKey: true, primaryKeyPosition: 2, relationships: [{to: patients.nummer}]}
  - {name: country, primaryKey: true, primaryKeyPosition: 2, relationships: [{to: visits.zip}]}
relationships:
  - {from: patients.number, to: patients.number}
  - {from: visits.nr, to: patients.number}
  - {from: [visits.id, visits.number], to: [patients.number, visits.id]}";
    insta::assert_snapshot!(world(lines).problems(), @r"
    contracts/visits.odcs.yaml:10:58: positions in the primary key count from 1
    contracts/visits.odcs.yaml:11:86: scrim.care.patients has no column `nummer` (help: did you mean `number`?)
    contracts/visits.odcs.yaml:12:63: the primary key has two columns at position 2
    contracts/visits.odcs.yaml:12:87: scrim.care.visits has no column `zip`
    contracts/visits.odcs.yaml:14:16: a relationship starts at a column of its own table
    contracts/visits.odcs.yaml:15:16: scrim.care.visits has no column `nr`
    contracts/visits.odcs.yaml:16:9: the columns that are referred to are not of one table
    ");
    let lines = "properties:
  - {name: id, relationships: [{from: visits.id, to: patients.number}, {}, {to: patients}]}
relationships:
  - {to: patients.number}
  - {from: visits.id, to: [patients.number]}
  - {from: [visits.id], to: [patients.number, patients.country]}
  - {from: [], to: []}
  - {from: visits.id, to: schema/patients_tbl}";
    insta::assert_snapshot!(world(lines).problems(), @r"
    contracts/visits.odcs.yaml:10:37: a property's relationship starts at the property (help: leave `from` out, or write it under the schema object)
    contracts/visits.odcs.yaml:10:76: the key `to` is missing
    contracts/visits.odcs.yaml:10:85: `patients` names no column (help: write `table.column`, or `schema/ID/properties/ID`)
    contracts/visits.odcs.yaml:12:9: the key `from` is missing
    contracts/visits.odcs.yaml:13:31: `from` and `to` are not of the same form (help: write one column on both sides, or a list on both)
    contracts/visits.odcs.yaml:14:33: `from` names 1 columns, `to` names 2
    contracts/visits.odcs.yaml:15:16: expected columns, found none
    contracts/visits.odcs.yaml:15:24: expected columns, found none
    contracts/visits.odcs.yaml:16:31: `schema/patients_tbl` names no column (help: write `table.column`, or `schema/ID/properties/ID`)
    ");
}
