//! Looking at what a configuration names: every source, for `scrim source check`, and the documents,
//! for `scrim policy lint`.

use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use scrim_document::Problems;
use scrim_policy::{ContractDocument, Documents};
use scrim_sources::Opened;

use super::Inputs;
use super::open::{self, AT_ONCE};
use crate::config::Lookup;

/// How a source was found.
#[derive(Debug)]
pub struct SourceReport {
    /// The table as policies name it: `care.patients`, `lookup.entitlements`.
    pub table: String,
    /// The contract's id; none for a look-up table.
    pub contract: Option<String>,
    /// Where it lies; none when the contract does not say it for this environment.
    pub place: Option<String>,
    /// About how many rows it has, if it says so cheaply.
    pub rows: Option<u64>,
    /// How long it took to find out.
    pub took: Duration,
    /// Why it cannot be served; none when all is well.
    pub problems: Problems,
    /// Columns that its contract does not list; they stay hidden.
    pub unlisted: Vec<String>,
}

/// Looks at the source of every contract, and of every look-up table, several at once; they come in
/// the order of their names, contracts first.
///
/// # Errors
/// All problems of the documents, with which nothing is known of the sources.
pub fn sources(inputs: &Inputs) -> Result<BoxStream<'static, SourceReport>, Problems> {
    let documents = inputs.documents()?;
    let mut looks = Vec::new();
    let mut contracts: Vec<_> = documents.contracts().cloned().collect();
    contracts.sort_by(|a, b| a.name.cmp(&b.name));
    for contract in contracts {
        looks.push(contracted(contract, inputs.clone()).boxed());
    }
    for (name, lookup) in inputs.lookups.clone() {
        looks.push(looked_up(name, lookup, inputs.clone()).boxed());
    }
    Ok(futures::stream::iter(looks).buffered(AT_ONCE).boxed())
}

/// The documents of the policies, read and not compiled, for those who look at how they are written.
///
/// # Errors
/// All problems of the documents.
pub fn documents(inputs: &Inputs) -> Result<Documents, Problems> {
    inputs.documents()
}

async fn contracted(contract: ContractDocument, inputs: Inputs) -> SourceReport {
    let name = &contract.name;
    let mut report = SourceReport {
        table: format!("{}.{}", name.schema, name.table),
        contract: Some(contract.id.clone()),
        place: None,
        rows: None,
        took: Duration::ZERO,
        problems: Problems::default(),
        unlisted: Vec::new(),
    };
    let server = match contract.server(inputs.environment.as_deref()) {
        Ok(server) => server,
        Err(problem) => {
            report.problems.push(problem);
            return report;
        }
    };
    report.place = Some(server.kind.to_string());
    let start = Instant::now();
    let opened = open::contracted(&contract, server, &inputs).await;
    report.took = start.elapsed();
    match opened {
        Ok(opened) => {
            report.problems = contract.misfits(&opened.table.schema());
            report.unlisted = open::unlisted(&contract, &opened);
            report.rows = opened.rows;
        }
        Err(problem) => report.problems.push(problem),
    }
    report
}

async fn looked_up(name: String, lookup: Lookup, inputs: Inputs) -> SourceReport {
    let start = Instant::now();
    let opened = open::lookup(&name, &lookup, &inputs).await;
    let took = start.elapsed();
    let (rows, problems) = match opened {
        Ok(Opened { rows, .. }) => (rows, Problems::default()),
        Err(problem) => (None, problem.into()),
    };
    SourceReport {
        table: format!("lookup.{name}"),
        contract: None,
        place: Some(lookup.kind.to_string()),
        rows,
        took,
        problems,
        unlisted: Vec::new(),
    }
}
