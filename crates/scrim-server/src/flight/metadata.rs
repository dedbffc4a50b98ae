//! Metadata: catalogs, schemas, tables, keys, types and abilities, in the protocol's exact schemas
//! and only what the caller may see.

use std::collections::BTreeSet;

use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder};
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTables};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use scrim_engine::VisibleTable;
use scrim_model::{CATALOG, Refusal};
use tonic::Status;

use super::Flight;
use super::context::Caller;
use super::pattern::Pattern;
use super::settings::Settings;
use super::{keys, sql_info, xdbc};
use crate::status::to_status;
use crate::wire::{WireTypes, table_schema};

/// What every table is; also asked for as `BASE TABLE`.
const TABLE: &str = "TABLE";

type Built = Result<RecordBatch, arrow_flight::error::FlightError>;

impl Flight {
    /// The schema of a metadata command's result; `None` when it is none.
    pub(crate) fn listing_schema(command: &Command) -> Result<Option<SchemaRef>, Status> {
        Ok(Some(match command {
            Command::CommandGetCatalogs(_) => GetCatalogsBuilder::new().schema(),
            Command::CommandGetDbSchemas(_) => schemas_builder().schema(),
            Command::CommandGetTables(query) => tables_builder(query.include_schema).schema(),
            Command::CommandGetTableTypes(query) => query.into_builder().schema(),
            Command::CommandGetPrimaryKeys(_) => keys::primary_schema(),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => keys::foreign_schema(),
            Command::CommandGetSqlInfo(_) => sql_info::schema(),
            Command::CommandGetXdbcTypeInfo(_) => built(xdbc::batch(Some(0)))?.schema(),
            _ => return Ok(None),
        }))
    }

    /// The result of a metadata command, as of now; `None` when it is none.
    pub(crate) async fn listing(
        &self,
        caller: &Caller,
        command: &Command,
    ) -> Result<Option<RecordBatch>, Status> {
        let settings = self.effective(caller);
        let visible = async || {
            let tables = self.visible(caller, &settings).await;
            tables.map_err(|refusal| to_status(&refusal, None))
        };
        let batch = match command {
            Command::CommandGetCatalogs(_) => {
                let mut builder = GetCatalogsBuilder::new();
                builder.append(CATALOG);
                builder.build()
            }
            Command::CommandGetDbSchemas(query) => schemas(query, &schemas_of(visible().await?)),
            Command::CommandGetTables(query) => tables(query, &visible().await?, settings.types()),
            Command::CommandGetTableTypes(query) => {
                let mut builder = query.into_builder();
                builder.append(TABLE);
                builder.build()
            }
            Command::CommandGetPrimaryKeys(query) => {
                keys::primary(query, &visible().await?).map_err(Into::into)
            }
            Command::CommandGetExportedKeys(query) => {
                keys::exported(query, &visible().await?).map_err(Into::into)
            }
            Command::CommandGetImportedKeys(query) => {
                keys::imported(query, &visible().await?).map_err(Into::into)
            }
            Command::CommandGetCrossReference(query) => {
                keys::cross(query, &visible().await?).map_err(Into::into)
            }
            Command::CommandGetSqlInfo(query) => sql_info::batch(&query.info, self.engine.limits()),
            Command::CommandGetXdbcTypeInfo(query) => xdbc::batch(query.data_type),
            _ => return Ok(None),
        };
        built(batch).map(Some)
    }

    async fn visible(
        &self,
        caller: &Caller,
        settings: &Settings,
    ) -> Result<Vec<VisibleTable>, Refusal> {
        self.engine.visible(&self.ask(caller, settings)).await
    }

    /// The schemas in which a caller sees at least one table, sorted.
    pub(crate) async fn visible_schemas(
        &self,
        caller: &Caller,
        settings: &Settings,
    ) -> Result<BTreeSet<String>, Refusal> {
        self.visible(caller, settings).await.map(schemas_of)
    }
}

fn schemas_of(tables: Vec<VisibleTable>) -> BTreeSet<String> {
    tables.into_iter().map(|table| table.name.schema).collect()
}

fn built(batch: Built) -> Result<RecordBatch, Status> {
    batch.map_err(|e| to_status(&Refusal::internal(format!("metadata: {e}")), None))
}

/// The builders' own filters know no backslash; ours are applied before.
fn schemas_builder() -> GetDbSchemasBuilder {
    GetDbSchemasBuilder::new(None::<String>, None::<String>)
}

fn tables_builder(include_schema: bool) -> GetTablesBuilder {
    let types: [String; 0] = [];
    GetTablesBuilder::new(
        None::<String>,
        None::<String>,
        None::<String>,
        types,
        include_schema,
    )
}

fn in_catalog(catalog: Option<&str>) -> bool {
    catalog.is_none_or(|catalog| catalog == CATALOG)
}

fn schemas(query: &CommandGetDbSchemas, visible: &BTreeSet<String>) -> Built {
    let pattern = query.db_schema_filter_pattern.as_deref().map(Pattern::new);
    let mut builder = schemas_builder();
    if in_catalog(query.catalog.as_deref()) {
        for schema in visible {
            if pattern
                .as_ref()
                .is_none_or(|pattern| pattern.matches(schema))
            {
                builder.append(CATALOG, schema);
            }
        }
    }
    builder.build()
}

fn tables(query: &CommandGetTables, visible: &[VisibleTable], types: WireTypes) -> Built {
    let schema_pattern = query.db_schema_filter_pattern.as_deref().map(Pattern::new);
    let name_pattern = query.table_name_filter_pattern.as_deref().map(Pattern::new);
    let mut builder = tables_builder(query.include_schema);
    if in_catalog(query.catalog.as_deref()) && wants_tables(&query.table_types) {
        for table in visible {
            let name = &table.name;
            let matches = |pattern: &Option<Pattern>, text: &str| {
                pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
            };
            if matches(&schema_pattern, &name.schema) && matches(&name_pattern, &name.table) {
                let columns = table_schema(table, types);
                builder.append(CATALOG, &name.schema, &name.table, TABLE, &columns)?;
            }
        }
    }
    builder.build()
}

/// No types means all; clients know tables by several names.
fn wants_tables(types: &[String]) -> bool {
    let is_table = |name: &String| {
        name.eq_ignore_ascii_case("TABLE") || name.eq_ignore_ascii_case("BASE TABLE")
    };
    types.is_empty() || types.iter().any(is_table)
}
