//! What a decision costs in a large policy set, made anew and made before, and what loading that set
//! costs.
#![expect(clippy::unwrap_used, reason = "a bench stops at what it cannot set up")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{TimeZone, Utc};
use criterion::{Criterion, criterion_group, criterion_main};
use datafusion::functions::all_default_functions;
use datafusion::functions_nested::all_default_nested_functions;
use scrim_document::SourceFile;
use scrim_engine::Decisions;
use scrim_model::{Context, Principal, PrincipalKind, SessionSettings, TableName};
use scrim_policy::{Documents, FunctionSet, LoadEnv, PolicySet, Unavailable};

const CONTRACTS: usize = 1_000;
const AGREEMENTS: usize = 10_000;

fn contract(number: usize) -> String {
    format!(
        "\
apiVersion: v3.1.0
kind: DataContract
id: table-{number}
version: 1.0.0
status: active
domain: bench
servers:
  - {{server: files, type: local, path: data/table_{number}.parquet, format: parquet}}
schema:
  - name: table_{number}
    properties:
      - {{name: id, logicalType: integer}}
      - {{name: region, logicalType: string}}
      - {{name: person, logicalType: string, tags: [direct-identifier]}}
      - {{name: born, logicalType: date}}
      - {{name: amount, logicalType: integer}}
customProperties:
  - property: accessPolicy
    value:
      purposes: [research, billing]
      guards:
        - id: hold
          rows: amount IS NOT NULL
      profiles:
        partner:
          rows: array_has(agreement.regions, region) AND born >= DATE '1950-01-01'
          columns:
            id: clear
            region: clear
            born: {{mask: truncate_date, unit: year}}
            amount: {{mask: round, to: 10}}
          tagged: {{direct-identifier: {{mask: pseudonymize}}}}
          default: hidden
        full:
          default: clear
"
    )
}

fn agreement(number: usize) -> String {
    let table = number % CONTRACTS;
    let org = number / CONTRACTS;
    let profile = if org == 0 { "full" } else { "partner" };
    format!(
        "\
apiVersion: v0.9.0
kind: AccessAgreement
id: agreement-{number}
status: active
contract: {{id: table-{table}, version: \"^1\"}}
profile: {profile}
consumer:
  organisation: org-{org}
  who: \"principal.org = 'org-{org}' AND array_has(principal.groups, 'analyst')\"
purpose: research
start: 2024-01-01
end: 2099-12-31
when: context.hour BETWEEN 0 AND 23
parameters: {{regions: [EU, UK]}}
"
    )
}

fn files() -> Vec<SourceFile> {
    let contracts = (0..CONTRACTS)
        .map(|n| SourceFile::new(format!("contracts/table-{n}.odcs.yaml"), contract(n)));
    let agreements = (0..AGREEMENTS)
        .map(|n| SourceFile::new(format!("agreements/agreement-{n}.yaml"), agreement(n)));
    contracts.chain(agreements).collect()
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("region", DataType::Utf8),
        field("person", DataType::Utf8),
        field("born", DataType::Date32),
        field("amount", DataType::Int64),
    ]))
}

fn functions() -> FunctionSet {
    let mut set = FunctionSet::default();
    for function in all_default_functions()
        .into_iter()
        .chain(all_default_nested_functions())
    {
        for alias in function.aliases() {
            set.scalars.insert(alias.clone(), Arc::clone(&function));
        }
        set.scalars.insert(function.name().to_owned(), function);
    }
    set
}

fn load() -> PolicySet {
    let schemas = (0..CONTRACTS)
        .map(|n| (TableName::new("bench", format!("table_{n}")), schema()))
        .collect();
    let (lookups, attributes) = (BTreeMap::new(), BTreeMap::new());
    let env = LoadEnv {
        schemas: &schemas,
        lookups: &lookups,
        unavailable: Unavailable::default(),
        attributes: &attributes,
        networks: BTreeSet::new(),
        functions: functions(),
    };
    let documents = Documents::parse(files()).unwrap();
    PolicySet::compile(documents, &env).unwrap().0
}

fn analyst(org: usize) -> Principal {
    let mut id = String::new();
    write!(id, "analyst-{org}").unwrap();
    Principal {
        id,
        org: format!("org-{org}"),
        groups: vec!["analyst".to_owned()],
        roles: Vec::new(),
        kind: PrincipalKind::Human,
        acr: None,
        authenticated_at: None,
        on_behalf_of: None,
        attributes: BTreeMap::new(),
    }
}

fn decision(criterion: &mut Criterion) {
    let policies = Arc::new(load());
    let decisions = Decisions::of(Arc::clone(&policies));
    let context = Context::at(Utc.with_ymd_and_hms(2026, 3, 2, 10, 0, 0).unwrap());
    let settings = SessionSettings {
        purpose: Some("research".to_owned()),
        ..SessionSettings::default()
    };
    let mut group = criterion.benchmark_group("decision");
    for (name, principal) in [
        ("partner", analyst(7)),
        ("full", analyst(0)),
        ("nothing matches", analyst(99)),
    ] {
        let tables: Vec<_> = (0..CONTRACTS)
            .map(|at| TableName::new("bench", format!("table_{at}")))
            .collect();
        let mut anew = tables.iter().cycle().step_by(7);
        group.bench_function(format!("{name}, made anew"), |bencher| {
            bencher.iter(|| {
                let table = anew.next().unwrap();
                black_box(policies.decide(&principal, &context, &settings, table))
            });
        });
        let mut kept = tables.iter().cycle().step_by(7);
        group.bench_function(format!("{name}, made before"), |bencher| {
            bencher.iter(|| {
                let table = kept.next().unwrap();
                black_box(decisions.decide(&principal, &context, &settings, table))
            });
        });
    }
    group.finish();
}

fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy set");
    group.sample_size(10);
    group.bench_function("load", |bencher| bencher.iter(|| black_box(load())));
    group.finish();
}

criterion_group!(benches, decision, loading);
criterion_main!(benches);
