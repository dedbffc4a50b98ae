//! Contracts whose sources are not there, or are not what the contracts say.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::{World, alice, claims, claims_schema, contract, decide, decide_as};
use crate::{Documents, Showing, Verdict};
use scrim_document::SourceFile;
use scrim_model::{SessionSettings, TableName};

const ACCESS: &str = "purposes: [research]
profiles: {partner: {rows: region = 'EU', default: clear}}";

const OTHER: &str = "apiVersion: v3.1.0
kind: DataContract
id: other
version: 1.0.0
status: active
schema: [{name: other, properties: [{name: a}]}]
customProperties:
  - property: accessPolicy
    value: {purposes: [research], profiles: {all: {default: clear}}}
";

/// Two contracts, each with an agreement.
fn two() -> World {
    World::new()
        .contract(ACCESS)
        .agreement("claims-1", "partner", "")
        .file("contracts/other.odcs.yaml", OTHER)
        .source("public", "other", &["a"])
        .agreement("other-1", "all", "contract: {id: other, version: ^1}")
}

fn without(column: &str) -> SchemaRef {
    let schema = claims_schema();
    let fields = schema
        .fields()
        .iter()
        .filter(|field| field.name() != column);
    Arc::new(Schema::new(fields.cloned().collect::<Fields>()))
}

#[test]
fn inv_03_a_contract_whose_source_is_not_there_is_left_out_alone() {
    let all = two().set();
    for world in [
        two().without_claims(),
        two().with_claims(without("region")),
        two().with_claims(without("tags")),
    ] {
        let (set, warnings) = world.compile().unwrap();
        assert!(warnings.is_empty(), "{warnings}");
        let left_out: Vec<_> = set.left_out().iter().map(|one| &*one.contract).collect();
        assert_eq!(left_out, ["claims"]);
        assert!(set.left_out()[0].problems.has_errors());
        // For everybody it is as if the contract were not there at all.
        assert!(set.table(&claims()).is_none());
        let other = TableName::new("public", "other");
        assert_eq!(set.tables_for(&alice()), [&other]);
        let settings = SessionSettings::default();
        let nowhere = TableName::new("insurance", "nowhere");
        let context = scrim_model::Context::at(super::noon());
        let mut unknown = set.decide(&alice(), &context, &settings, &nowhere);
        let left_out = decide(&set);
        assert_eq!(left_out.verdict, Verdict::NoAgreement);
        unknown.table = claims();
        unknown.hash.clone_from(&left_out.hash);
        assert_eq!(left_out, unknown);
        let shown = set.decide(&alice(), &context, &settings, &other);
        assert_eq!(shown.verdict, Verdict::Shown);
        // What is in force is named by the documents, not by what is out of reach.
        assert_eq!(set.version(), all.version());
    }
    let (all, settings) = (decide(&all), SessionSettings::default());
    let (set, _) = two().compile().unwrap();
    assert_eq!(decide_as(&set, &alice(), &settings), all);
}

#[test]
fn a_contract_whose_rules_ask_a_look_up_that_is_not_there_is_left_out_alone() {
    let rows = "region IN (SELECT region FROM lookup.entitlements WHERE partner = principal.org)";
    let in_guard = format!(
        "purposes: [research]\nguards: [{{id: g, rows: \"{rows}\"}}]\nprofiles: {{partner: {{default: clear}}}}"
    );
    let in_profile = format!("purposes: [research]\nprofiles: {{partner: {{rows: \"{rows}\"}}}}");
    for access in [in_guard, in_profile] {
        for agreed in [true, false] {
            let mut world = World::new()
                .contract(&access)
                .file("contracts/other.odcs.yaml", OTHER)
                .source("public", "other", &["a"]);
            if agreed {
                world = world.agreement("claims-1", "partner", "");
            }
            let (set, warnings) = world.without_lookup().compile().unwrap();
            assert!(warnings.is_empty(), "{warnings}");
            assert_eq!(set.left_out().len(), 1);
            let said = set.left_out()[0].problems.to_string();
            assert!(said.contains("claims.odcs.yaml:3"), "{said}");
            assert!(
                said.ends_with(
                    "the look-up table `entitlements` could not be opened: it is out of reach"
                ),
                "{said}"
            );
            assert_eq!(set.tables().count(), 1);
        }
    }
    let wrong = ACCESS.replace(
        "region = 'EU'",
        "region IN (SELECT a FROM lookup.entitlement)",
    );
    let problems = World::new().contract(&wrong).without_lookup().problems();
    assert!(
        problems.contains("did you mean `lookup.entitlements`?"),
        "{problems}"
    );
}

/// Whatever the sources are at the moment, documents with a mistake are refused.
#[test]
fn inv_03_mistakes_in_documents_count_whether_or_not_the_source_is_there() {
    let cases = [
        (
            "default: clear",
            "columns: {regoin: clear}, default: clear",
            "no column `regoin`",
        ),
        (
            "research]",
            "research]\nguards: [{id: g, when: contxt.hour > 1}]",
            "contxt",
        ),
    ];
    for (from, to, said) in cases {
        let world = || World::new().contract(&ACCESS.replace(from, to));
        for world in [world(), world().without_claims()] {
            let problems = world.compile().map(drop).unwrap_err().to_string();
            assert!(problems.contains(said), "{problems}");
        }
    }
    for (profile, more, said) in [
        ("partnr", "", "no profile `partnr`"),
        ("partner", "purpose: reserch", "purpose `reserch`"),
        ("partner", "when: contxt.hour > 5", "contxt"),
        (
            "partner",
            "consumer: {organisation: acme, who: principal.nobody = 1}",
            "principal.nobody",
        ),
    ] {
        let world = || World::new().contract(ACCESS).agreement("a", profile, more);
        for world in [world(), world().without_claims()] {
            let problems = world.compile().map(drop).unwrap_err().to_string();
            assert!(problems.contains(said), "{problems}");
        }
    }
}

/// A contract of one column `c`, said to be of a type; its source has another.
fn typed(said: &str, found: DataType) -> String {
    let text = format!(
        "apiVersion: v3.1.0
kind: DataContract
id: typed
version: 1.0.0
status: active
schema:
  - name: typed
    properties:
      - {{name: c, {said}}}
customProperties:
  - property: accessPolicy
    value: {{purposes: [research], profiles: {{}}}}
"
    );
    let documents = Documents::parse(vec![SourceFile::new("c.yaml", text)]).unwrap();
    let contract = documents.contracts().next().unwrap().clone();
    let source = Schema::new(vec![Field::new("c", found, true)]);
    contract.misfits(&source).to_string()
}

fn fits(said: &str, types: &[DataType]) {
    for found in types {
        assert_eq!(typed(said, found.clone()), "", "{said}: {found}");
    }
}

fn misfits(said: &str, types: &[DataType]) {
    for found in types {
        let problems = typed(said, found.clone());
        assert!(
            problems.contains(&format!("`c` is {found} in the source")),
            "{said}: {problems}"
        );
    }
}

#[test]
fn a_logical_type_fits_where_nothing_is_lost() {
    use DataType as D;
    let text = [D::Utf8, D::LargeUtf8, D::Utf8View];
    let coded = D::Dictionary(Box::new(D::Int32), Box::new(D::Utf8));
    let whole = [
        D::Int8,
        D::Int64,
        D::UInt8,
        D::UInt64,
        D::Decimal128(38, 0),
        D::Decimal32(5, -2),
    ];
    let decimals = [D::Decimal64(12, 2), D::Decimal256(60, 10)];
    let floats = [D::Float16, D::Float32, D::Float64];
    let instants = [
        D::Timestamp(TimeUnit::Nanosecond, None),
        D::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into())),
    ];
    let bytes = [D::Binary, D::BinaryView, D::FixedSizeBinary(16)];
    let list = D::new_list(D::Utf8, true);
    let object = D::Struct(vec![Field::new("a", D::Utf8, true)].into());
    fits("logicalType: string", &text);
    fits("logicalType: string", &[coded, D::Null]);
    misfits("logicalType: string", &bytes);
    misfits(
        "logicalType: string",
        &[D::Int64, D::Date32, object.clone()],
    );
    fits("logicalType: integer", &whole);
    misfits("logicalType: integer", &decimals);
    misfits("logicalType: integer", &floats);
    misfits("logicalType: integer", &text);
    for types in [&whole[..], &decimals, &floats] {
        fits("logicalType: number", types);
    }
    misfits("logicalType: number", &text);
    fits("logicalType: boolean", &[D::Boolean]);
    misfits("logicalType: boolean", &[D::Int8, D::Utf8]);
    fits("logicalType: date", &[D::Date32, D::Date64]);
    misfits("logicalType: date", &instants);
    fits("logicalType: timestamp", &instants);
    misfits("logicalType: timestamp", &[D::Date32, D::Int64, D::Utf8]);
    fits(
        "logicalType: time",
        &[
            D::Time32(TimeUnit::Second),
            D::Time64(TimeUnit::Microsecond),
        ],
    );
    fits("logicalType: array", std::slice::from_ref(&list));
    misfits("logicalType: array", &[object.clone(), D::Utf8]);
    fits("logicalType: object", &[object]);
    misfits("logicalType: object", &[list, D::Utf8]);
}

#[test]
fn a_physical_type_fits_its_own_family() {
    use DataType as D;
    for said in [
        "VARCHAR(20)",
        "text",
        "character varying",
        "STRING",
        "bpchar",
    ] {
        fits(&format!("physicalType: {said}"), &[D::Utf8, D::LargeUtf8]);
        misfits(&format!("physicalType: {said}"), &[D::Int32, D::Binary]);
    }
    for said in ["BIGINT", "int4", "INTEGER UNSIGNED", "long"] {
        fits(
            &format!("physicalType: {said}"),
            &[D::Int16, D::UInt64, D::Decimal128(9, 0)],
        );
        misfits(&format!("physicalType: {said}"), &[D::Float64, D::Utf8]);
    }
    fits(
        "physicalType: 'DECIMAL(12, 2)'",
        &[D::Decimal128(15, 2), D::Int64],
    );
    misfits("physicalType: 'numeric(12,2)'", &[D::Float64, D::Utf8]);
    fits(
        "physicalType: double precision",
        &[D::Float32, D::Decimal128(12, 2)],
    );
    misfits("physicalType: double precision", &[D::Utf8]);
    let instant = D::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    for said in ["timestamptz", "timestamp(3) with time zone", "TIMESTAMP"] {
        fits(
            &format!("physicalType: {said}"),
            std::slice::from_ref(&instant),
        );
        misfits(&format!("physicalType: {said}"), &[D::Date32]);
    }
    fits("physicalType: time", &[D::Time64(TimeUnit::Microsecond)]);
    fits("physicalType: bytea", &[D::Binary]);
    fits("physicalType: 'text[]'", &[D::new_list(D::Utf8, true)]);
    fits("physicalType: 'ARRAY<INT>'", &[D::new_list(D::Int32, true)]);
    misfits("physicalType: STRUCT", &[D::Utf8]);
    // What only its own database knows says nothing here.
    for said in [
        "jsonb",
        "uuid",
        "inet",
        "mood",
        "time with time zone",
        "interval",
    ] {
        fits(&format!("physicalType: {said}"), &[D::Utf8, D::Int32]);
    }
}

#[test]
fn what_does_not_fit_names_both_types_and_what_to_write() {
    let said = [
        typed("logicalType: integer", DataType::Utf8),
        typed("logicalType: string", DataType::Binary),
        typed(
            "logicalType: number, physicalType: 'DECIMAL(9,2)'",
            DataType::Float64,
        ),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    c.yaml:9:32: `c` is Utf8 in the source, which is no `integer` (help: write `logicalType: string`, or mend the source)
    c.yaml:9:32: `c` is Binary in the source, which is no `string` (help: the standard has no word for this type: leave `logicalType` out)
    c.yaml:9:54: `c` is Float64 in the source, which is no `DECIMAL(9,2)` (help: write the type that the source has, or leave `physicalType` out)
    ");
    let wrong = contract(ACCESS).replace("{name: region}", "{name: region, logicalType: text}");
    let world = World::new().file("contracts/claims.odcs.yaml", &wrong);
    insta::assert_snapshot!(world.problems(), @"contracts/claims.odcs.yaml:15:37: `text` is no logical type (help: the standard's are string, integer, number, boolean, date, timestamp, time, object, array; the source's own type is its `physicalType`)");
}

#[test]
fn fields_inside_columns_are_compared_too() {
    let nested = |from: &str, to: &str| {
        let text = contract(ACCESS).replace(from, to);
        assert_ne!(text, contract(ACCESS));
        let world = World::new().file("contracts/claims.odcs.yaml", &text);
        world.agreement("a", "partner", "").problems()
    };
    let said = [
        nested("{name: city}", "{name: town}"),
        nested("{name: city}", "{name: city, logicalType: integer}"),
        nested(
            "- {name: tags}",
            "- {name: tags, items: {logicalType: number}}",
        ),
        nested(
            "- {name: tags}",
            "- {name: tags, logicalType: array, items: {logicalType: string}}",
        ),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    contracts/claims.odcs.yaml:24:20: `contact` has no field `town` in the source (help: its name in the source is its `physicalName`)
    contracts/claims.odcs.yaml:24:39: `contact.city` is Utf8 in the source, which is no `integer` (help: write `logicalType: string`, or mend the source)
    contracts/claims.odcs.yaml:25:43: `tags[]` is Utf8 in the source, which is no `number` (help: write `logicalType: string`, or mend the source)
    ");
}

/// What is added inside a column of the source must not show by itself.
#[test]
fn inv_06_fields_that_the_contract_does_not_list_are_hidden() {
    let nested = |access: &str| {
        let text = contract(access).replace("          - {name: city}\n", "");
        let world = World::new().file("contracts/claims.odcs.yaml", &text);
        let set = world.agreement("a", "partner", "").set();
        let decision = decide(&set);
        let contact = decision
            .columns
            .iter()
            .find(|column| column.name == "contact");
        contact.map(|column| column.treatments[0].nested.clone())
    };
    let clear = "purposes: [research]\nprofiles: {partner: {default: clear}}";
    assert_eq!(
        nested(clear),
        Some(vec![("city".to_owned(), Showing::Hidden)])
    );
    let named = clear.replace("default", "columns: {contact.city: clear}, default");
    assert_eq!(
        nested(&named),
        Some(vec![("city".to_owned(), Showing::Clear)])
    );
    let hidden = clear.replace("default: clear", "columns: {claim_id: clear}");
    assert_eq!(nested(&hidden), None);
    let documents = World::new().contract(clear);
    let source = claims_schema();
    let contracts = documents.documents();
    let contract = contracts.contracts().next().unwrap();
    assert_eq!(contract.unlisted_fields(&source), [""; 0]);
    let text = super::contract(clear).replace("          - {name: city}\n", "");
    let contracts = World::new().file("c.yaml", &text).documents();
    let contract = contracts.contracts().next().unwrap();
    assert_eq!(contract.unlisted_fields(&source), ["contact.city"]);
}
