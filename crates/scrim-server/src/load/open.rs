//! Opening the sources of a policy set. One that cannot be opened stands in nobody else's way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt;
use scrim_document::{Location, Problem, Problems, SourceFile};
use scrim_engine::{LookupTable, RawTable};
use scrim_model::TableName;
use scrim_policy::{ContractDocument, Documents, Server, ServerKind, Unavailable};
use scrim_sources::{Opened, Wanted};

use super::{Fixtures, Inputs};
use crate::config::Lookup;

/// Sources that are opened at once.
pub(super) const AT_ONCE: usize = 16;
/// How long one may take to open, whatever it waits for.
const OPEN_TIMEOUT: Duration = Duration::from_mins(1);

/// The sources of a policy set.
pub(super) struct Sources {
    pub(super) open: OpenSources,
    pub(super) unavailable: Unavailable,
}

/// Sources that are open. They outlive the policy set that they were opened for: the next one takes
/// over those of which it asks the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenSources {
    pub(super) tables: BTreeMap<TableName, Source>,
    pub(super) lookups: BTreeMap<String, Arc<LookupTable>>,
}

/// The source of one contract.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Nothing when the table is one that stands in the source's place.
    asked: Option<Asked>,
    pub(super) table: RawTable,
    /// Columns, and fields inside columns, that the contract does not list.
    pub(super) unlisted: Vec<String>,
}

/// What a contract asks of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    kind: ServerKind,
    credentials: Option<String>,
    wanted: Wanted,
}

/// What becomes of sources that are open already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// They stay open.
    WhatIsNew,
    /// They are opened anew, and stay open as they are when that fails.
    Everything,
}

impl OpenSources {
    /// Tables that stand in the place of sources, whatever contracts ask of these.
    pub(super) fn of(fixtures: &Fixtures) -> Self {
        let table = |(name, table): (&TableName, &RawTable)| {
            let source = Source {
                asked: None,
                table: table.clone(),
                unlisted: Vec::new(),
            };
            (name.clone(), source)
        };
        let lookup = |(name, table): (&String, &RawTable)| {
            let table = LookupTable::new(table.clone(), None);
            (name.clone(), Arc::new(table))
        };
        Self {
            tables: fixtures.tables.iter().map(table).collect(),
            lookups: fixtures.lookups.iter().map(lookup).collect(),
        }
    }

    fn fixture(&self, name: &TableName) -> Option<&Source> {
        self.tables.get(name).filter(|open| open.asked.is_none())
    }

    pub(super) fn schemas(&self) -> BTreeMap<TableName, SchemaRef> {
        let tables = self.tables.iter();
        tables
            .map(|(name, source)| (name.clone(), source.table.schema()))
            .collect()
    }

    pub(super) fn lookup_schemas(&self) -> BTreeMap<String, SchemaRef> {
        let lookups = self.lookups.iter();
        lookups
            .map(|(name, table)| (name.clone(), table.schema()))
            .collect()
    }

    fn table(&self, name: &TableName, asked: &Asked) -> Option<&Source> {
        let open = self.tables.get(name)?;
        (open.asked.as_ref() == Some(asked)).then_some(open)
    }
}

/// Opens all sources that are not open.
///
/// # Errors
/// Contracts that name no place that can be read.
pub(super) async fn all(
    documents: &Documents,
    inputs: &Inputs,
    before: &OpenSources,
    opening: Opening,
) -> Result<Sources, Problems> {
    // Collected first: a closure over borrowed contracts inside a stream would keep a server's start
    // from being spawned.
    let (mut tables, mut lookups) = (Vec::new(), Vec::new());
    let mut problems = Problems::default();
    let mut open = OpenSources::default();
    for contract in documents.contracts() {
        if let Some(fixture) = before.fixture(&contract.name) {
            open.tables.insert(contract.name.clone(), fixture.clone());
            continue;
        }
        let server = match contract.server(inputs.environment.as_deref()) {
            Ok(server) => server,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let asked = Asked {
            kind: server.kind.clone(),
            credentials: server.credentials.clone(),
            wanted: Wanted::from(contract),
        };
        match (before.table(&contract.name, &asked), opening) {
            (Some(source), Opening::WhatIsNew) => {
                open.tables.insert(contract.name.clone(), source.clone());
            }
            (_, Opening::WhatIsNew | Opening::Everything) => {
                tables.push(table(contract, server, asked, inputs));
            }
        }
    }
    problems.into_result(())?;
    for (name, at) in &inputs.lookups {
        match (before.lookups.get(name), opening) {
            (Some(table), Opening::WhatIsNew) => {
                open.lookups.insert(name.clone(), Arc::clone(table));
            }
            (_, Opening::WhatIsNew | Opening::Everything) => {
                lookups.push(named_lookup(name, at, inputs));
            }
        }
    }
    let (tables, lookups): (Vec<_>, Vec<_>) = tokio::join!(
        futures::stream::iter(tables).buffered(AT_ONCE).collect(),
        futures::stream::iter(lookups).buffered(AT_ONCE).collect(),
    );
    let mut unavailable = Unavailable::default();
    for (name, asked, opened) in tables {
        match (opened, before.table(&name, &asked)) {
            (Ok((table, unlisted)), _) => {
                let source = Source {
                    asked: Some(asked),
                    table,
                    unlisted,
                };
                open.tables.insert(name, source);
            }
            // A source that is away for a moment must not take its table along.
            (Err(problem), Some(source)) => {
                tracing::warn!(%problem, "a source cannot be opened anew; its table is served as it was");
                open.tables.insert(name, source.clone());
            }
            (Err(problem), None) => drop(unavailable.tables.insert(name, problem)),
        }
    }
    for (name, opened) in lookups {
        keep_lookup(name, opened, before, &mut open, &mut unavailable);
    }
    Ok(Sources { open, unavailable })
}

fn keep_lookup(
    name: String,
    opened: Result<Arc<LookupTable>, Problem>,
    before: &OpenSources,
    open: &mut OpenSources,
    unavailable: &mut Unavailable,
) {
    match (opened, before.lookups.get(&name)) {
        (Ok(table), _) => drop(open.lookups.insert(name, table)),
        (Err(problem), Some(table)) => {
            tracing::warn!(%problem, "a look-up table cannot be opened anew; it is asked as it was");
            open.lookups.insert(name, Arc::clone(table));
        }
        (Err(problem), None) => drop(unavailable.lookups.insert(name, problem)),
    }
}

async fn table(
    contract: &ContractDocument,
    server: &Server,
    asked: Asked,
    inputs: &Inputs,
) -> (TableName, Asked, Result<(RawTable, Vec<String>), Problem>) {
    let opened = contracted(contract, server, inputs).await;
    let opened = opened.map(|opened| {
        let unlisted = unlisted(contract, &opened);
        (opened.table, unlisted)
    });
    (contract.name.clone(), asked, opened)
}

async fn named_lookup(
    name: &str,
    at: &Lookup,
    inputs: &Inputs,
) -> (String, Result<Arc<LookupTable>, Problem>) {
    let opened = lookup(name, at, inputs).await;
    let table = opened.map(|opened| Arc::new(LookupTable::new(opened.table, at.refresh)));
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
