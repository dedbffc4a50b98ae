//! Plain DataFusion over the authorised copy: the answer that every statement must give.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::answer::Answer;
use super::cell::batch;
use super::data::Data;
use super::personas::Persona;
use super::tables::Table;

/// A session over what one persona may see, filtered and masked by hand.
pub(crate) fn session(data: &Data, persona: Persona) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_default_catalog_and_schema("scrim", "clinic")
        .with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.time_zone = Some("+00:00".to_owned());
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .build();
    let session = SessionContext::new_with_state(state);
    let catalog = MemoryCatalogProvider::new();
    for domain in ["clinic", "shop"] {
        let schema = MemorySchemaProvider::new();
        for table in Table::ALL
            .into_iter()
            .filter(|table| table.domain() == domain)
        {
            if let Some(shown) = persona.authorised(table, data) {
                let rows = batch(&shown.schema, &shown.rows);
                let mem = MemTable::try_new(shown.schema, vec![vec![rows]]).unwrap();
                schema
                    .register_table(table.name().to_owned(), Arc::new(mem))
                    .unwrap();
            }
        }
        catalog.register_schema(domain, Arc::new(schema)).unwrap();
    }
    session.register_catalog("scrim", Arc::new(catalog));
    session
}

/// The answer of plain DataFusion, or its error.
pub(crate) async fn answer(session: &SessionContext, sql: &str) -> Result<Answer, String> {
    let frame = session.sql(sql).await.map_err(|e| e.to_string())?;
    // Before its types are coerced, a plan may name others than its batches have.
    let state = session.state();
    let typed = state
        .analyzer()
        .execute_and_check(
            frame.logical_plan().clone(),
            state.config_options(),
            |_, _| {},
        )
        .map_err(|e| e.to_string())?;
    let schema = nullable(typed.schema().as_arrow());
    let batches = frame.collect().await.map_err(|e| e.to_string())?;
    let batches = batches
        .into_iter()
        .map(|b| RecordBatch::try_new(Arc::clone(&schema), b.columns().to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    Ok(Answer::new(schema, batches))
}

fn nullable(schema: &Schema) -> SchemaRef {
    let field = |f: &Arc<Field>| Field::new(f.name(), f.data_type().clone(), true);
    Arc::new(Schema::new(
        schema.fields().iter().map(field).collect::<Vec<_>>(),
    ))
}
