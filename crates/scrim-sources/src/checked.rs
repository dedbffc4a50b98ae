//! Files that are looked at before each scan.
//!
//! A listing of files takes a missing file for an empty table and a missing column for NULL. Both
//! would be wrong answers, so both are errors here.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, exec_err};
use datafusion::datasource::listing::ListingTable;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use object_store::ObjectMeta;
use scrim_engine::Versioned;

/// A listing table whose files must be there, with the columns that they had when it was opened.
#[derive(Debug)]
pub(crate) struct CheckedTable {
    inner: ListingTable,
    shown: String,
    /// The files whose columns were found right last.
    found_right: Mutex<Vec<ObjectMeta>>,
}

impl CheckedTable {
    pub(crate) fn new(inner: ListingTable, shown: &str) -> Self {
        Self {
            inner,
            shown: shown.to_owned(),
            found_right: Mutex::default(),
        }
    }

    /// The files as they are now, in the order of their paths.
    async fn files(&self, session: &dyn Session) -> Result<Vec<ObjectMeta>> {
        let mut files = Vec::new();
        for url in self.inner.table_paths() {
            let store = session.runtime_env().object_store(url)?;
            let extension = &self.inner.options().file_extension;
            let listed = url
                .list_all_files(session, store.as_ref(), extension)
                .await?;
            files.extend(listed.try_collect::<Vec<_>>().await?);
        }
        if files.is_empty() {
            return exec_err!("there is no file at {} any more", self.shown);
        }
        files.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(files)
    }

    async fn check(&self, session: &dyn Session) -> Result<()> {
        let files = self.files(session).await?;
        if *self
            .found_right
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            == files
        {
            return Ok(());
        }
        for url in self.inner.table_paths() {
            let schema = self.inner.options().infer_schema(session, url).await?;
            if !same_columns(&schema, &self.inner.schema()) {
                return exec_err!(
                    "the columns of {} are others than when it was opened",
                    self.shown
                );
            }
        }
        *self
            .found_right
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = files;
        Ok(())
    }
}

#[async_trait]
impl Versioned for CheckedTable {
    /// Which files there are, how large, of what time.
    async fn version(&self, session: &dyn Session) -> Result<String> {
        let files = self.files(session).await?;
        let lines = files.iter().map(|file| {
            let tag = file.e_tag.as_deref().unwrap_or_default();
            let time = file.last_modified.timestamp_nanos_opt().unwrap_or_default();
            format!("{} {} {time} {tag}", file.location, file.size)
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

fn same_columns(now: &Schema, then: &Schema) -> bool {
    then.fields().iter().all(|column| {
        now.field_with_name(column.name())
            .is_ok_and(|f| f.data_type() == column.data_type())
    })
}

#[async_trait]
impl TableProvider for CheckedTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.check(session).await?;
        self.inner.scan(session, projection, filters, limit).await
    }
}
