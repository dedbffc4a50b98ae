//! `information_schema` as one principal sees it: only the visible tables and columns, and what it
//! may see of them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use scrim_model::CATALOG;

use crate::access;
use crate::world::VisibleTable;

/// The schema whose tables describe the others.
pub(crate) const DIRECTORY_SCHEMA: &str = "information_schema";

/// A column with its name and type.
pub(crate) type Named = (Field, ArrayRef);

/// A table without data, made for the asker: one of `information_schema`, or the answer to a
/// question about access.
#[derive(Debug)]
pub(crate) struct DirectoryTable {
    batch: RecordBatch,
}

impl DirectoryTable {
    pub(crate) fn new(batch: RecordBatch) -> Self {
        Self { batch }
    }
}

/// The directory's table of that name; `visible` is asked only if there is one.
pub(crate) fn table(
    name: &str,
    visible: impl FnOnce() -> Vec<VisibleTable>,
) -> Option<DirectoryTable> {
    let batch = match name {
        "schemata" => schemata(&visible()),
        "tables" => tables(&visible()),
        "columns" => columns(&visible()),
        "views" => views(),
        "access" => access::tables(&visible()),
        _ => return None,
    };
    batch.ok().map(DirectoryTable::new)
}

pub(crate) fn text(name: &str, values: Vec<Option<String>>) -> Named {
    (
        Field::new(name, DataType::Utf8, true),
        Arc::new(StringArray::from(values)),
    )
}

pub(crate) fn batch(columns: Vec<Named>) -> Result<RecordBatch> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

pub(crate) fn repeated(name: &str, value: &str, rows: usize) -> Named {
    text(name, vec![Some(value.to_owned()); rows])
}

fn schemata(visible: &[VisibleTable]) -> Result<RecordBatch> {
    let mut names: Vec<_> = visible.iter().map(|t| t.name.schema.clone()).collect();
    names.push(DIRECTORY_SCHEMA.to_owned());
    names.sort();
    names.dedup();
    let rows = names.len();
    batch(vec![
        repeated("catalog_name", CATALOG, rows),
        text("schema_name", names.into_iter().map(Some).collect()),
    ])
}

fn tables(visible: &[VisibleTable]) -> Result<RecordBatch> {
    let rows = visible.len();
    batch(vec![
        repeated("table_catalog", CATALOG, rows),
        text(
            "table_schema",
            visible
                .iter()
                .map(|t| Some(t.name.schema.clone()))
                .collect(),
        ),
        text(
            "table_name",
            visible.iter().map(|t| Some(t.name.table.clone())).collect(),
        ),
        repeated("table_type", "BASE TABLE", rows),
    ])
}

fn columns(visible: &[VisibleTable]) -> Result<RecordBatch> {
    let all: Vec<(&VisibleTable, usize, &Arc<Field>)> = visible
        .iter()
        .flat_map(|t| {
            t.schema
                .fields()
                .iter()
                .enumerate()
                .map(move |(i, f)| (t, i, f))
        })
        .collect();
    let positions: Vec<u64> = all.iter().map(|(_, i, _)| *i as u64 + 1).collect();
    let nothing: Vec<Option<u64>> = vec![None; all.len()];
    let number = |name: &str, values: Vec<Option<u64>>| -> Named {
        (
            Field::new(name, DataType::UInt64, true),
            Arc::new(UInt64Array::from(values)),
        )
    };
    let scale = all.iter().map(|(_, _, f)| match f.data_type() {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(i32::from(*scale)),
        _ => None,
    });
    let precision = all.iter().map(|(_, _, f)| match f.data_type() {
        DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) => {
            Some(u64::from(*precision))
        }
        _ => None,
    });
    batch(vec![
        repeated("table_catalog", CATALOG, all.len()),
        text(
            "table_schema",
            all.iter()
                .map(|(t, ..)| Some(t.name.schema.clone()))
                .collect(),
        ),
        text(
            "table_name",
            all.iter()
                .map(|(t, ..)| Some(t.name.table.clone()))
                .collect(),
        ),
        text(
            "column_name",
            all.iter().map(|(_, _, f)| Some(f.name().clone())).collect(),
        ),
        (
            Field::new("ordinal_position", DataType::UInt64, true),
            Arc::new(UInt64Array::from(positions)),
        ),
        text("column_default", vec![None; all.len()]),
        repeated("is_nullable", "YES", all.len()),
        text(
            "data_type",
            all.iter()
                .map(|(_, _, f)| Some(f.data_type().to_string()))
                .collect(),
        ),
        number("character_maximum_length", nothing.clone()),
        number("character_octet_length", nothing),
        number("numeric_precision", precision.collect()),
        (
            Field::new("numeric_scale", DataType::Int32, true),
            Arc::new(Int32Array::from(scale.collect::<Vec<_>>())),
        ),
        text("interval_type", vec![None; all.len()]),
    ])
}

fn views() -> Result<RecordBatch> {
    batch(
        ["table_catalog", "table_schema", "table_name", "definition"]
            .map(|name| text(name, Vec::new()))
            .into(),
    )
}

#[async_trait]
impl TableProvider for DirectoryTable {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = [vec![self.batch.clone()]];
        let plan = MemorySourceConfig::try_new_exec(
            &partitions,
            self.batch.schema(),
            projection.cloned(),
        )?;
        Ok(plan)
    }
}
