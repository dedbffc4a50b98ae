//! Delta tables: Parquet files, and a log that says which of them a version of the table has.
//!
//! The log is read with Delta's own library, over our stores; the files are read like those of any
//! other table. The log is asked again for each query. What is asked of a reader and not understood
//! here is refused when the table is opened: rows would be wrong without it.

mod columns;
mod engine;
mod failure;
mod listing;
mod log;
mod mapped;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::StreamExt;
use object_store::path::Path;
use scrim_engine::SourceFault;
use scrim_policy::TableVersion;
use tokio::runtime::Handle;

use self::columns::Column;
use self::listing::{DeltaListing, read};
use self::log::Log;
use self::mapped::Mapped;
use crate::files::fault::fault;
use crate::files::footers::Footers;
use crate::files::store::Store;
use crate::files::table::{FileSet, FilesTable, OpenedTable};
use crate::files::{Declared, Format};
use crate::{SourceError, Wanted};

/// Where a Delta table lies.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) store: Arc<Store>,
    /// Its folder.
    pub(crate) root: Path,
    pub(crate) footers: Arc<Footers>,
    /// As its owner writes it.
    pub(crate) shown: String,
}

/// Opens the wanted columns of a version of a table.
///
/// # Errors
/// When there is no table, or something in it is not understood.
pub(crate) async fn open(
    place: Place,
    version: &TableVersion,
    wanted: &Wanted,
) -> Result<OpenedTable, SourceError> {
    let Place {
        store,
        root,
        footers,
        shown,
    } = place;
    let unreadable = |cause: String| SourceError::Unreadable {
        at: shown.clone(),
        cause,
    };
    let log = Log::new(Arc::clone(&store), root.clone(), version, Handle::current());
    let log = Arc::new(log.map_err(unreadable)?);
    look_for(&log, &store, &shown).await?;
    let first = read(&log, None).await;
    let first = first.map_err(|fault| refused(&shown, &fault))?;
    let (columns, extra) = choose(&first.columns, wanted).map_err(unreadable)?;
    let declared = columns.iter().filter_map(|column| {
        Some(Declared {
            name: column.physical.clone(),
            data_type: column.data_type.clone()?,
            of_file: column.is_partition,
        })
    });
    let declared: Vec<Declared> = declared.collect();
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let is_mapped = columns.iter().any(|column| column.name != column.physical);
    let listing = Arc::new(DeltaListing::new(log, Arc::clone(&store), root, columns));
    let set = FileSet {
        store,
        listing,
        format: Format::Parquet,
        footers,
        shown: shown.clone(),
    };
    let table = FilesTable::declared(set, declared).await?;
    Ok(OpenedTable {
        table: if is_mapped {
            Arc::new(Mapped::new(table, &names))
        } else {
            table
        },
        shown,
        extra,
        rows: None,
    })
}

/// Whether there is a log at all: a folder without one is told like a missing file.
async fn look_for(log: &Log, store: &Store, shown: &str) -> Result<(), SourceError> {
    let mut listed = store.inner().list(Some(&log.folder()));
    match listed.next().await {
        Some(Ok(_)) => Ok(()),
        None => Err(SourceError::Missing(format!("{shown}/_delta_log"))),
        Some(Err(error)) => Err(SourceError::fault(shown, &fault(shown, &error))),
    }
}

/// A fault while a table is opened; it need not say twice where.
fn refused(shown: &str, fault: &SourceFault) -> SourceError {
    let text = fault.to_string();
    let cause = text.strip_prefix(shown.trim_end_matches('/'));
    SourceError::Unreadable {
        at: shown.to_owned(),
        cause: cause.unwrap_or(&text).trim_start_matches(": ").to_owned(),
    }
}

/// The wanted columns that the table has, and the names of those that nobody wanted.
fn choose(found: &[Column], wanted: &Wanted) -> Result<(Vec<Column>, Vec<String>), String> {
    let Some(named) = &wanted.columns else {
        let (read, unread) = found
            .iter()
            .cloned()
            .partition(|c: &Column| c.data_type.is_some());
        return Ok((read, unread.into_iter().map(|column| column.name).collect()));
    };
    let mut columns: Vec<Column> = Vec::with_capacity(named.len());
    for name in named {
        let Some(column) = found.iter().find(|column| column.name == name.name) else {
            continue;
        };
        if column.data_type.is_none() {
            return Err(format!(
                "column `{}` is of a type that is not read from Delta tables here; leave it out of \
                 the contract",
                column.name
            ));
        }
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    let extra = found.iter().filter(|column| !columns.contains(column));
    let extra = extra.map(|column| column.name.clone()).collect();
    Ok((columns, extra))
}
