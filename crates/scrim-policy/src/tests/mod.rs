//! Tests over whole policy sets, written as the files that owners write.

mod coverage;
mod decisions;
mod grounds;
mod keys;
mod languages;
mod lapsed;
mod laws;
mod left_out;
mod lints;
mod narrowing;
mod problems;
mod rows;
mod scale;
mod servers;
mod terse;
mod totality;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::execution::session_state::SessionStateBuilder;
use scrim_document::{Problem, Problems, SourceFile};
use scrim_model::{
    Context, Principal, PrincipalKind, SessionSettings, TableName, Value, ValueType,
};

use crate::{Decision, Documents, FunctionSet, LoadEnv, PolicySet, Unavailable};

/// The engine's functions, as the engine hands them over.
pub(crate) fn functions() -> FunctionSet {
    static FUNCTIONS: LazyLock<FunctionSet> = LazyLock::new(|| {
        let state = SessionStateBuilder::new_with_default_features().build();
        let scalars = state.scalar_functions().iter();
        FunctionSet {
            scalars: scalars
                .map(|(name, one)| (name.clone(), Arc::clone(one)))
                .collect(),
            planners: state.expr_planners().to_vec(),
        }
    });
    FUNCTIONS.clone()
}

/// One column of each type that rules are written over.
pub(crate) fn claims_schema() -> SchemaRef {
    let contact = DataType::Struct(
        vec![
            Field::new("phone", DataType::Utf8, true),
            Field::new("city", DataType::Utf8, true),
        ]
        .into(),
    );
    let microseconds = DataType::Timestamp(TimeUnit::Microsecond, None);
    Arc::new(Schema::new(vec![
        Field::new("claim_id", DataType::Int64, false),
        Field::new("patient_id", DataType::Utf8View, true),
        Field::new("region", DataType::Utf8View, true),
        Field::new("service_date", DataType::Date32, true),
        Field::new("visited", microseconds, true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("score", DataType::Float64, true),
        Field::new("legal_hold", DataType::Boolean, false),
        Field::new("contact", contact, true),
        Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
        Field::new("unlisted", DataType::Utf8, true),
    ]))
}

/// A small world of policies: files as text, sources as schemas.
pub(crate) struct World {
    files: Vec<SourceFile>,
    schemas: BTreeMap<TableName, SchemaRef>,
    lookups: BTreeMap<String, SchemaRef>,
    attributes: BTreeMap<String, ValueType>,
    unavailable: Unavailable,
}

impl World {
    pub(crate) fn new() -> Self {
        let entitlements = Arc::new(Schema::new(vec![
            Field::new("partner", DataType::Utf8, true),
            Field::new("region", DataType::Utf8, true),
            Field::new("level", DataType::Int64, true),
        ]));
        let attributes = [
            ("clearance", ValueType::Int64),
            ("home", ValueType::Text),
            ("trust", ValueType::Float64),
            ("teams", ValueType::TextList),
        ];
        Self {
            files: Vec::new(),
            schemas: [(claims(), claims_schema())].into(),
            lookups: [("entitlements".to_owned(), entitlements as SchemaRef)].into(),
            attributes: attributes
                .map(|(name, kind)| (name.to_owned(), kind))
                .into(),
            unavailable: Unavailable::default(),
        }
    }

    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push(SourceFile::new(path, text));
        self
    }

    /// A further table's source, all text.
    pub(crate) fn source(mut self, schema: &str, table: &str, columns: &[&str]) -> Self {
        let fields = columns
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, true));
        let fields: Vec<Field> = fields.collect();
        self.schemas
            .insert(TableName::new(schema, table), Arc::new(Schema::new(fields)));
        self
    }

    /// The claims table has this schema at its source.
    pub(crate) fn with_claims(mut self, schema: SchemaRef) -> Self {
        self.schemas.insert(claims(), schema);
        self
    }

    /// The source of the claims table could not be opened.
    pub(crate) fn without_claims(mut self) -> Self {
        self.schemas.remove(&claims());
        self.unavailable.tables.insert(claims(), unreachable());
        self
    }

    /// The look-up table could not be opened.
    pub(crate) fn without_lookup(mut self) -> Self {
        self.lookups.clear();
        let name = "entitlements".to_owned();
        self.unavailable.lookups.insert(name, unreachable());
        self
    }

    /// The claims table with an access policy.
    pub(crate) fn contract(self, access: &str) -> Self {
        self.file("contracts/claims.odcs.yaml", &contract(access))
    }

    /// An agreement with the claims contract: `profile` and what is not the usual.
    pub(crate) fn agreement(self, id: &str, profile: &str, more: &str) -> Self {
        self.file(
            &format!("agreements/{id}.yaml"),
            &agreement(id, profile, more),
        )
    }

    pub(crate) fn documents(self) -> Documents {
        Documents::parse(self.files).unwrap_or_else(|problems| panic!("{problems}"))
    }

    pub(crate) fn compile(self) -> Result<(PolicySet, Problems), Problems> {
        let documents = Documents::parse(self.files)?;
        let env = LoadEnv {
            schemas: &self.schemas,
            lookups: &self.lookups,
            unavailable: self.unavailable,
            attributes: &self.attributes,
            networks: BTreeSet::from(["office".to_owned()]),
            functions: functions(),
        };
        PolicySet::compile(documents, &env)
    }

    /// The policy set, which must have neither errors nor warnings.
    pub(crate) fn set(self) -> PolicySet {
        match self.compile() {
            Ok((set, warnings)) => {
                assert!(warnings.is_empty(), "{warnings}");
                assert!(set.left_out().is_empty(), "{:?}", set.left_out());
                set
            }
            Err(problems) => panic!("{problems}"),
        }
    }

    /// What is wrong, a line each.
    pub(crate) fn problems(self) -> String {
        match self.compile() {
            Ok((set, mut problems)) => {
                for left_out in set.left_out() {
                    problems.extend(left_out.problems.clone());
                }
                problems.to_string()
            }
            Err(problems) => problems.to_string(),
        }
    }
}

fn unreachable() -> Problem {
    let file = SourceFile::new("a source", "");
    Problem::error(&file.location(1, 1), &file, "it is out of reach")
}

pub(crate) fn claims() -> TableName {
    TableName::new("insurance", "claims")
}

/// A contract for the claims table, with the lines of an access policy.
pub(crate) fn contract(access: &str) -> String {
    let access: Vec<_> = access.lines().map(|line| format!("      {line}")).collect();
    let access = access.join("\n");
    format!(
        "apiVersion: v3.1.0
kind: DataContract
id: claims
version: 1.2.0
status: active
domain: insurance
servers:
  - {{server: files, type: local, environment: test, path: data/claims.parquet, format: parquet}}
schema:
  - name: claims
    description: One row for each claim.
    properties:
      - {{name: claim_id, primaryKey: true, required: true}}
      - {{name: patient_id, tags: [identifier]}}
      - {{name: region}}
      - {{name: service_date}}
      - {{name: visited}}
      - {{name: amount}}
      - {{name: score}}
      - {{name: legal_hold}}
      - name: contact
        properties:
          - {{name: phone, tags: [identifier]}}
          - {{name: city}}
      - {{name: tags}}
customProperties:
  - property: accessPolicy
    value:
{access}"
    )
}

pub(crate) fn agreement(id: &str, profile: &str, more: &str) -> String {
    let mut lines = vec![
        "apiVersion: v0.9.0".to_owned(),
        "kind: AccessAgreement".to_owned(),
        format!("id: {id}"),
        "status: active".to_owned(),
        "contract: {id: claims, version: ^1}".to_owned(),
        format!("profile: {profile}"),
        "consumer: {organisation: acme, who: true}".to_owned(),
        "purpose: research".to_owned(),
    ];
    for line in more.lines() {
        let key = line.split(':').next().unwrap_or_default();
        lines.retain(|existing| existing.split(':').next() != Some(key));
        lines.push(line.to_owned());
    }
    lines.join("\n") + "\n"
}

pub(crate) fn noon() -> DateTime<Utc> {
    "2026-06-03T12:00:00Z".parse().unwrap()
}

pub(crate) fn alice() -> Principal {
    Principal {
        id: "alice".to_owned(),
        org: "acme".to_owned(),
        groups: vec!["analyst".to_owned()],
        roles: Vec::new(),
        kind: PrincipalKind::Human,
        acr: None,
        authenticated_at: None,
        on_behalf_of: None,
        attributes: [("clearance".to_owned(), Value::Int64(2))].into(),
    }
}

pub(crate) fn decide(set: &PolicySet) -> Decision {
    decide_as(set, &alice(), &SessionSettings::default())
}

pub(crate) fn decide_as(
    set: &PolicySet,
    principal: &Principal,
    settings: &SessionSettings,
) -> Decision {
    set.decide(principal, &Context::at(noon()), settings, &claims())
}
