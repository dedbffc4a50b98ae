//! A policy set that is compared with another one: compiled also where its sources cannot be opened,
//! as far as its contracts say the types of their columns.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt;
use scrim_document::{Problem, Problems};
use scrim_engine::{LookupTable, RawTable, World};
use scrim_model::{Secret, TableName};
use scrim_policy::{
    ContractDocument, Documents, FunctionSet, LoadEnv, PolicySet, ServerKind, Unavailable,
};
use scrim_sources::Wanted;

use super::open::{self, AT_ONCE};
use super::{Inputs, policy_files};

/// A policy set, with as many of its sources as could be opened.
#[derive(Debug)]
pub struct Typed {
    /// The policy set.
    pub policy: Arc<PolicySet>,
    /// Where each table lies, as its contract says.
    pub places: BTreeMap<TableName, Place>,
    /// The tables whose sources could not be opened, and whose columns are what their contracts say.
    pub declared: Vec<TableName>,
    tables: BTreeMap<TableName, RawTable>,
    lookups: BTreeMap<String, Arc<LookupTable>>,
}

/// Where a table lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    kind: ServerKind,
    credentials: Option<String>,
    table: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.table, self.kind)?;
        match &self.credentials {
            Some(credentials) => write!(f, " with credentials {credentials}"),
            None => Ok(()),
        }
    }
}

impl Typed {
    /// Its tables, with another policy set over them.
    pub fn world(&self, policy: PolicySet, root_key: Secret<[u8; 32]>) -> World {
        World::new(
            Arc::new(policy),
            self.tables.clone(),
            self.lookups.clone(),
            root_key,
        )
    }
}

/// Reads policies and compiles them against what can be opened of their sources.
///
/// # Errors
/// All problems of the first step that has any: reading, parsing, compiling.
pub async fn typed(inputs: &Inputs, functions: FunctionSet) -> Result<Typed, Problems> {
    let documents = Documents::parse(policy_files(&inputs.policies)?)?;
    let contracts: Vec<ContractDocument> = documents.contracts().cloned().collect();
    let places = contracts.iter().filter_map(|contract| {
        let server = contract.server(inputs.environment.as_deref()).ok()?;
        let place = Place {
            kind: server.kind.clone(),
            credentials: server.credentials.clone(),
            table: contract.physical_name.clone(),
        };
        Some((contract.name.clone(), place))
    });
    let places = places.collect();
    let opening = contracts
        .into_iter()
        .map(|contract| source(contract, inputs));
    let opened: Vec<_> = futures::stream::iter(opening.collect::<Vec<_>>())
        .buffered(AT_ONCE)
        .collect()
        .await;
    let (mut tables, mut schemas) = (BTreeMap::new(), BTreeMap::new());
    let mut unavailable = Unavailable::default();
    let mut declared = Vec::new();
    for (contract, source) in opened {
        let name = contract.name.clone();
        match (source, Wanted::from(&contract).declared()) {
            (Ok(table), _) => {
                schemas.insert(name.clone(), table.schema());
                tables.insert(name, table);
            }
            (Err(_), Some(schema)) => {
                schemas.insert(name.clone(), schema);
                declared.push(name);
            }
            (Err(problem), None) => drop(unavailable.tables.insert(name, problem)),
        }
    }
    let mut lookups = BTreeMap::new();
    for (name, at) in &inputs.lookups {
        match open::lookup(name, at, inputs).await {
            Ok(opened) => {
                let table = LookupTable::new(opened.table, at.refresh);
                lookups.insert(name.clone(), Arc::new(table));
            }
            Err(problem) => drop(unavailable.lookups.insert(name.clone(), problem)),
        }
    }
    let lookup_schemas: BTreeMap<String, SchemaRef> = lookups
        .iter()
        .map(|(name, table)| (name.clone(), table.schema()))
        .collect();
    let env = LoadEnv {
        schemas: &schemas,
        lookups: &lookup_schemas,
        unavailable,
        attributes: &inputs.attributes,
        networks: inputs.networks.clone(),
        functions,
    };
    let (policy, _) = PolicySet::compile(documents, &env)?;
    Ok(Typed {
        policy: Arc::new(policy),
        places,
        declared,
        tables,
        lookups,
    })
}

async fn source(
    contract: ContractDocument,
    inputs: &Inputs,
) -> (ContractDocument, Result<RawTable, Problem>) {
    let opened = match contract.server(inputs.environment.as_deref()) {
        Ok(server) => open::contracted(&contract, server, inputs).await,
        Err(problem) => Err(problem),
    };
    let table = opened.map(|opened| opened.table);
    (contract, table)
}
