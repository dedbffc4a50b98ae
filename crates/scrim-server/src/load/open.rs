//! Opening the sources of a policy set. One that cannot be opened stands in nobody else's way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt;
use scrim_document::{Location, Problem, Problems, SourceFile};
use scrim_engine::{LookupTable, RawTable};
use scrim_model::TableName;
use scrim_policy::{ContractDocument, Documents, Server, Unavailable};
use scrim_sources::{Opened, Wanted};

use super::{Fixtures, Inputs};
use crate::config::Lookup;

/// Sources that are opened at once.
pub(super) const AT_ONCE: usize = 16;
/// How long one may take to open, whatever it waits for.
const OPEN_TIMEOUT: Duration = Duration::from_mins(1);

/// The sources of a policy set.
pub(super) struct Sources {
    pub(super) tables: BTreeMap<TableName, Source>,
    pub(super) lookups: BTreeMap<String, LookupTable>,
    pub(super) unavailable: Unavailable,
}

/// The source of one contract.
pub(super) struct Source {
    pub(super) table: RawTable,
    /// Columns, and fields inside columns, that the contract does not list.
    pub(super) unlisted: Vec<String>,
}

impl Sources {
    fn of(fixtures: &Fixtures) -> Self {
        let table = |(name, table): (&TableName, &RawTable)| {
            let source = Source {
                table: table.clone(),
                unlisted: Vec::new(),
            };
            (name.clone(), source)
        };
        let lookup = |(name, table): (&String, &RawTable)| {
            (name.clone(), LookupTable::new(table.clone(), None))
        };
        Self {
            tables: fixtures.tables.iter().map(table).collect(),
            lookups: fixtures.lookups.iter().map(lookup).collect(),
            unavailable: Unavailable::default(),
        }
    }

    pub(super) fn schemas(&self) -> BTreeMap<TableName, SchemaRef> {
        let tables = self.tables.iter();
        tables
            .map(|(name, source)| (name.clone(), source.table.schema()))
            .collect()
    }
}

/// Opens all sources but those in whose place a fixture stands.
///
/// # Errors
/// Contracts that name no place that can be read.
pub(super) async fn all(
    documents: &Documents,
    fixtures: &Fixtures,
    inputs: &Inputs,
) -> Result<Sources, Problems> {
    // Collected first: a closure over borrowed contracts inside a stream would keep a server's start
    // from being spawned.
    let mut tables = Vec::new();
    let mut problems = Problems::default();
    let real = |contract: &&ContractDocument| !fixtures.tables.contains_key(&contract.name);
    for contract in documents.contracts().filter(real) {
        match contract.server(inputs.environment.as_deref()) {
            Ok(server) => tables.push(table(contract, server, inputs)),
            Err(problem) => problems.push(problem),
        }
    }
    problems.into_result(())?;
    let lookups: Vec<_> = inputs
        .lookups
        .iter()
        .filter(|(name, _)| !fixtures.lookups.contains_key(*name))
        .map(|(name, at)| named_lookup(name, at, inputs))
        .collect();
    let (tables, lookups): (Vec<_>, Vec<_>) = tokio::join!(
        futures::stream::iter(tables).buffered(AT_ONCE).collect(),
        futures::stream::iter(lookups).buffered(AT_ONCE).collect(),
    );
    let mut sources = Sources::of(fixtures);
    for (name, opened) in tables {
        match opened {
            Ok(source) => drop(sources.tables.insert(name, source)),
            Err(problem) => drop(sources.unavailable.tables.insert(name, problem)),
        }
    }
    for (name, opened) in lookups {
        match opened {
            Ok(table) => drop(sources.lookups.insert(name, table)),
            Err(problem) => drop(sources.unavailable.lookups.insert(name, problem)),
        }
    }
    Ok(sources)
}

async fn table(
    contract: &ContractDocument,
    server: &Server,
    inputs: &Inputs,
) -> (TableName, Result<Source, Problem>) {
    let opened = contracted(contract, server, inputs).await;
    let source = opened.map(|opened| Source {
        unlisted: unlisted(contract, &opened),
        table: opened.table,
    });
    (contract.name.clone(), source)
}

async fn named_lookup(
    name: &str,
    at: &Lookup,
    inputs: &Inputs,
) -> (String, Result<LookupTable, Problem>) {
    let opened = lookup(name, at, inputs).await;
    let table = opened.map(|opened| LookupTable::new(opened.table, at.refresh));
    (name.to_owned(), table)
}

/// What a source has beyond what its contract lists.
pub(super) fn unlisted(contract: &ContractDocument, opened: &Opened) -> Vec<String> {
    let mut names = opened.extra.clone();
    names.extend(contract.unlisted_fields(&opened.table.schema()));
    names
}

/// Opens the source of a contract.
///
/// # Errors
/// Why it cannot be opened, at the contract's entry.
pub(super) async fn contracted(
    contract: &ContractDocument,
    server: &Server,
    inputs: &Inputs,
) -> Result<Opened, Problem> {
    let wanted = Wanted::from(contract);
    let opening = inputs
        .sources
        .open(&server.kind, server.credentials.as_deref(), &wanted);
    in_time(opening)
        .await
        .map_err(|why| Problem::error(&server.location, contract.file(), why))
}

/// Opens a look-up table.
///
/// # Errors
/// Why it cannot be opened, at its place in the configuration.
pub(super) async fn lookup(name: &str, at: &Lookup, inputs: &Inputs) -> Result<Opened, Problem> {
    let wanted = Wanted::all(&at.table);
    let opening = inputs
        .sources
        .open(&at.kind, at.credentials.as_deref(), &wanted);
    in_time(opening)
        .await
        .map_err(|why| of_configuration(&at.location, format!("lookup.{name}: {why}")))
}

fn of_configuration(at: &Location, message: String) -> Problem {
    let file = SourceFile::new(Arc::clone(&at.file), "");
    Problem::error(at, &file, message)
}

async fn in_time(
    opening: impl Future<Output = Result<Opened, scrim_sources::SourceError>>,
) -> Result<Opened, String> {
    match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not answer within {OPEN_TIMEOUT:?}")),
    }
}
