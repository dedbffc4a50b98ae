//! Metadata: catalogs, schemas, tables, keys, types and abilities, in the protocol's exact schemas
//! and only what the caller may see.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder};
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTables};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use scrim_engine::VisibleTable;
use scrim_model::{CATALOG, Refusal};
use tonic::Status;

use super::Flight;
use super::context::Caller;
use super::pattern::Pattern;
use super::{sql_info, xdbc};
use crate::status::to_status;
use crate::wire::wire_schema;

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
            Command::CommandGetPrimaryKeys(_) => primary_keys_schema(),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => foreign_keys_schema(),
            Command::CommandGetSqlInfo(_) => sql_info::schema(),
            Command::CommandGetXdbcTypeInfo(_) => built(xdbc::batch(Some(0)))?.schema(),
            _ => return Ok(None),
        }))
    }

    /// The result of a metadata command, as of now; `None` when it is none.
    pub(crate) fn listing(
        &self,
        caller: &Caller,
        command: &Command,
    ) -> Result<Option<RecordBatch>, Status> {
        let batch = match command {
            Command::CommandGetCatalogs(_) => {
                let mut builder = GetCatalogsBuilder::new();
                builder.append(CATALOG);
                builder.build()
            }
            Command::CommandGetDbSchemas(query) => schemas(query, &self.visible_schemas(caller)?),
            Command::CommandGetTables(query) => tables(query, &self.visible(caller)?),
            Command::CommandGetTableTypes(query) => {
                let mut builder = query.into_builder();
                builder.append(TABLE);
                builder.build()
            }
            Command::CommandGetPrimaryKeys(_) => Ok(RecordBatch::new_empty(primary_keys_schema())),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => {
                Ok(RecordBatch::new_empty(foreign_keys_schema()))
            }
            Command::CommandGetSqlInfo(query) => sql_info::batch(&query.info),
            Command::CommandGetXdbcTypeInfo(query) => xdbc::batch(query.data_type),
            _ => return Ok(None),
        };
        built(batch).map(Some)
    }

    fn visible(&self, caller: &Caller) -> Result<Vec<VisibleTable>, Status> {
        let ask = self.ask(caller, &self.effective(caller));
        self.engine
            .visible(&ask)
            .map_err(|refusal| to_status(&refusal, None))
    }

    /// The schemas in which a caller sees at least one table, sorted.
    pub(crate) fn visible_schemas(&self, caller: &Caller) -> Result<BTreeSet<String>, Status> {
        Ok(self
            .visible(caller)?
            .into_iter()
            .map(|table| table.name.schema)
            .collect())
    }
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

fn tables(query: &CommandGetTables, visible: &[VisibleTable]) -> Built {
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
                let columns = wire_schema(&table.schema);
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

fn primary_keys_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

fn foreign_keys_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}
