//! Tables as binding sees them: a name and a schema that cannot be scanned.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use scrim_policy::{Decision, Table};

/// Stands in for a governed table until its guard is put there; scanning it is an error, so a table
/// that the enforcer forgot fails closed.
#[derive(Debug)]
pub(crate) struct StubTable {
    pub(crate) decision: Arc<Decision>,
    schema: SchemaRef,
}

impl StubTable {
    pub(crate) fn new(decision: Arc<Decision>, schema: SchemaRef) -> Self {
        Self { decision, schema }
    }
}

#[async_trait]
impl TableProvider for StubTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        internal_err!("a stub was scanned: its guard is missing")
    }
}

/// The schema in which a principal sees a table: the decision's columns in the contract's order,
/// with the source's types, everything nullable, without metadata.
pub(crate) fn visible_schema(table: &Table, decision: &Decision) -> SchemaRef {
    let fields: Vec<Field> = decision
        .columns
        .iter()
        .filter_map(|column| table.schema.field_with_name(&column.name).ok())
        .map(bare_field)
        .collect();
    Arc::new(Schema::new(fields))
}

/// Nullability and metadata of a source say something about its data, so neither is passed on.
fn bare_field(field: &Field) -> Field {
    Field::new(field.name(), bare_type(field.data_type()), true)
}

/// The type as clients see it: nested nullability and metadata say something about data too.
pub(crate) fn bare_type(data_type: &DataType) -> DataType {
    let bare = |field: &Arc<Field>| Arc::new(bare_field(field));
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(bare).collect::<Fields>()),
        DataType::List(field) => DataType::List(bare(field)),
        DataType::LargeList(field) => DataType::LargeList(bare(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(bare(field), *size),
        other => other.clone(),
    }
}
