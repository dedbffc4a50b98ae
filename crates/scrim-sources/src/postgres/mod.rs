//! Tables of PostgreSQL, 12 and newer.
//!
//! A scan is one `COPY (SELECT …) TO STDOUT (FORMAT binary)` in a read-only transaction, decoded
//! straight into Arrow. What values become is said in [`columns`]; which conditions the server
//! evaluates, in [`push`]. Connections are shared by all tables of a database and bounded in number.

mod binary;
mod columns;
mod connect;
mod copy;
mod failure;
mod numeric;
mod parts;
mod push;
mod scan;
mod schema;
mod sql;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod types;
mod values;

use std::sync::Arc;

use scrim_engine::RawTable;
use scrim_policy::PostgresServer;

use schema::Table;
use table::PgTable;

pub(crate) use connect::{Database, Databases};

use crate::{Credential, Opened, SourceError, Sources, Wanted};

/// Opens a table of a database.
///
/// # Errors
/// When the database cannot be reached, refuses us, or lacks the table.
pub(crate) async fn open(
    sources: &Sources,
    at: &PostgresServer,
    credential: Option<&Credential>,
    wanted: &Wanted,
) -> Result<Opened, SourceError> {
    let table = look_up(sources, at, credential, wanted).await?;
    let (extra, rows) = (table.extra().to_vec(), table.rows());
    let shown = Arc::clone(table.shown());
    Ok(Opened {
        table: RawTable::unversioned(Arc::new(table), shown),
        extra,
        rows,
    })
}

async fn look_up(
    sources: &Sources,
    at: &PostgresServer,
    credential: Option<&Credential>,
    wanted: &Wanted,
) -> Result<PgTable, SourceError> {
    let database = sources.database(at, credential)?;
    let shown = format!("{}, table {}.{}", database.shown(), at.schema, wanted.table);
    let table = Table::look_up(&database, &at.schema, wanted).await;
    let table = table.map_err(|failure| failure.unreadable(&shown))?;
    Ok(PgTable::new(database, table, &shown))
}
