//! Files, wherever they lie: on this machine, in an object store, on a web server.
//!
//! `store` opens a place, `listing` finds its files, `table` is the table over them. Every read is
//! pinned (`pin`) to the version of the file that was listed. Parquet is read by the library;
//! `rows` scans the other formats.

mod aws;
mod columns;
mod csv;
mod facts;
pub(crate) mod fault;
mod fixture;
pub(crate) mod footers;
mod format;
mod glob;
mod gzip;
pub(crate) mod hive;
mod ipc;
mod json;
mod lines;
pub(crate) mod listing;
mod parquet;
mod pin;
mod place;
mod prune;
mod rows;
mod secrets;
pub(crate) mod store;
pub(crate) mod table;
mod text;
pub(crate) mod types;
mod widen;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef};
use scrim_policy::{FileFormat, FilePlace, FileServer};

pub(crate) use self::columns::Declared;
use self::facts::Facts;
pub use self::fixture::{FixtureError, FixtureRow, fixture};
use self::footers::Footers;
pub(crate) use self::format::Format;
use self::listing::Found;
use self::place::Place;
pub(crate) use self::secrets::{Environment, Fields};
use self::store::{Store, Stores};
use self::table::{FileSet, FilesTable, OpenedFiles, OpenedTable};
use crate::{SourceError, SourceSettings, Wanted, delta};

/// What all tables over files share: stores, footers, and how to open more.
#[derive(Debug)]
pub(crate) struct Files {
    stores: Stores,
    footers: Arc<Footers>,
    environment: Environment,
    settings: SourceSettings,
}

impl Files {
    pub(crate) fn new(settings: SourceSettings, environment: Environment) -> Self {
        Self {
            stores: Stores::default(),
            footers: Arc::new(Footers::new(settings.footers_bytes)),
            environment,
            settings,
        }
    }

    /// Opens the wanted columns of a table, whatever tells which files it has; relative paths start
    /// at `base`.
    ///
    /// # Errors
    /// When there is no file, or what there is cannot be read or understood.
    pub(crate) async fn table(
        &self,
        server: &FileServer,
        base: &Path,
        fields: Fields<'_>,
        wanted: &Wanted,
    ) -> Result<OpenedTable, SourceError> {
        let FileFormat::Delta(version) = &server.format else {
            return Ok(self.open(server, base, fields, wanted).await?.into());
        };
        let (place, store) = self.store(&server.place, base, fields)?;
        let root = listing::folder(&place)?;
        let place = delta::Place {
            store,
            root,
            footers: Arc::clone(&self.footers),
            shown: place.shown,
        };
        delta::open(place, version, wanted).await
    }

    /// Opens the wanted columns of files; relative paths start at `base`.
    ///
    /// # Errors
    /// When there is no file, or what there is cannot be read or understood.
    pub(crate) async fn open(
        &self,
        server: &FileServer,
        base: &Path,
        fields: Fields<'_>,
        wanted: &Wanted,
    ) -> Result<OpenedFiles, SourceError> {
        let format = Format::new(&server.format)?;
        let (place, store) = self.store(&server.place, base, fields)?;
        let age = self.settings.listing_age;
        let found = Found::at(&place, Arc::clone(&store), format.extensions(), age).await?;
        let files = found.first().await?;
        let set = FileSet {
            store,
            listing: Arc::new(found),
            format,
            footers: Arc::clone(&self.footers),
            shown: place.shown,
        };
        FilesTable::open(set, files, wanted).await
    }

    /// The store of a place, and the place.
    fn store(
        &self,
        place: &FilePlace,
        base: &Path,
        fields: Fields<'_>,
    ) -> Result<(Place, Arc<Store>), SourceError> {
        let place = Place::new(place, base).map_err(|cause| SourceError::Unreadable {
            at: location(place).to_owned(),
            cause,
        })?;
        let store = self
            .stores
            .open(&place, &fields, &self.environment, &self.settings)?;
        Ok((place, store))
    }
}

/// A place as it is written. What is not understood could hold a secret, so only its start is told.
fn location(place: &FilePlace) -> &str {
    match place {
        FilePlace::Local { path } => path,
        FilePlace::S3 { .. } => "the location in S3",
        FilePlace::Azure { .. } => "the location in Azure",
        FilePlace::Gcs { .. } => "the location in Google's store",
        FilePlace::Http { .. } => "the address",
    }
}

/// Adds the columns that a contract declares to those that were seen in JSON, where a line need not
/// have any.
fn json_columns(facts: &mut Facts, wanted: &Wanted) -> Result<(), String> {
    let mut columns: Vec<FieldRef> = facts.columns.iter().cloned().collect();
    for column in wanted.columns.iter().flatten() {
        let Some(data_type) = types::declared(column)? else {
            continue;
        };
        columns.retain(|seen| *seen.name() != column.name);
        columns.push(Arc::new(Field::new(&column.name, data_type, true)));
    }
    facts.columns = columns.into();
    Ok(())
}
