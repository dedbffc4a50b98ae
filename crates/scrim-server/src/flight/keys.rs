//! Primary and foreign keys: what contracts say, as far as the caller may know it. Names are exact
//! here, not patterns.

use std::sync::Arc;

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, UpdateDeleteRules,
};
use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt8Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use scrim_engine::VisibleTable;
use scrim_model::{CATALOG, TableName};

/// What a command asks for; `None` narrows nothing.
struct Wanted<'a> {
    catalog: Option<&'a str>,
    schema: Option<&'a str>,
    table: &'a str,
}

impl Wanted<'_> {
    fn is(&self, name: &TableName) -> bool {
        self.catalog.is_none_or(|catalog| catalog == CATALOG)
            && self.schema.is_none_or(|schema| schema == name.schema)
            && self.table == name.table
    }
}

/// One column of a primary key, with its place in the key.
type Row<'a> = (&'a VisibleTable, (i32, &'a String));

/// One column of a foreign key. Every table that is referred to is in the one catalog.
#[derive(Debug, Clone)]
struct Pair<'a> {
    referred: &'a TableName,
    referred_column: &'a str,
    referring: &'a TableName,
    referring_column: &'a str,
    sequence: i32,
    name: String,
    referred_name: Option<String>,
}

/// The schema of the answer about primary keys.
pub(super) fn primary_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

/// The schema of the answers about foreign keys.
pub(super) fn foreign_schema() -> SchemaRef {
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

/// The primary keys of the tables of a name, ordered by table and place in the key.
pub(super) fn primary(
    query: &CommandGetPrimaryKeys,
    visible: &[VisibleTable],
) -> Result<RecordBatch, ArrowError> {
    let wanted = Wanted {
        catalog: query.catalog.as_deref(),
        schema: query.db_schema.as_deref(),
        table: &query.table,
    };
    // Visible tables are sorted by name, and keys have their columns in order.
    let tables = visible.iter().filter(|table| wanted.is(&table.name));
    let rows: Vec<Row<'_>> = tables
        .flat_map(|table| {
            (1_i32..)
                .zip(&table.primary_key)
                .map(move |row| (table, row))
        })
        .collect();
    let texts = |text: &dyn Fn(&Row<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    let sequence = rows.iter().map(|(_, (sequence, _))| *sequence);
    RecordBatch::try_new(
        primary_schema(),
        vec![
            texts(&|_| CATALOG.to_owned()),
            texts(&|(table, _)| table.name.schema.clone()),
            texts(&|(table, _)| table.name.table.clone()),
            texts(&|(_, (_, column))| (*column).clone()),
            texts(&|(table, _)| primary_name(&table.name)),
            Arc::new(Int32Array::from_iter_values(sequence)),
        ],
    )
}

/// The foreign keys that refer to a table, ordered by the referring table.
pub(super) fn exported(
    query: &CommandGetExportedKeys,
    visible: &[VisibleTable],
) -> Result<RecordBatch, ArrowError> {
    let wanted = Wanted {
        catalog: query.catalog.as_deref(),
        schema: query.db_schema.as_deref(),
        table: &query.table,
    };
    let mut found = pairs(visible);
    found.retain(|pair| wanted.is(pair.referred));
    found.sort_by(|a, b| {
        let key = |pair: &Pair<'_>| (pair.referring.clone(), pair.name.clone(), pair.sequence);
        key(a).cmp(&key(b)).then_with(|| a.referred.cmp(b.referred))
    });
    foreign(&found)
}

/// The foreign keys of a table, ordered by the table referred to.
pub(super) fn imported(
    query: &CommandGetImportedKeys,
    visible: &[VisibleTable],
) -> Result<RecordBatch, ArrowError> {
    let wanted = Wanted {
        catalog: query.catalog.as_deref(),
        schema: query.db_schema.as_deref(),
        table: &query.table,
    };
    let mut found = pairs(visible);
    found.retain(|pair| wanted.is(pair.referring));
    by_referred(&mut found);
    foreign(&found)
}

/// The foreign keys from one table to another, ordered by the table referred to.
pub(super) fn cross(
    query: &CommandGetCrossReference,
    visible: &[VisibleTable],
) -> Result<RecordBatch, ArrowError> {
    let referred = Wanted {
        catalog: query.pk_catalog.as_deref(),
        schema: query.pk_db_schema.as_deref(),
        table: &query.pk_table,
    };
    let referring = Wanted {
        catalog: query.fk_catalog.as_deref(),
        schema: query.fk_db_schema.as_deref(),
        table: &query.fk_table,
    };
    let mut found = pairs(visible);
    found.retain(|pair| referred.is(pair.referred) && referring.is(pair.referring));
    by_referred(&mut found);
    foreign(&found)
}

fn by_referred(pairs: &mut [Pair<'_>]) {
    pairs.sort_by(|a, b| {
        let key = |pair: &Pair<'_>| {
            let name = pair.referred_name.clone();
            (
                pair.referred.clone(),
                name,
                pair.sequence,
                pair.name.clone(),
            )
        };
        key(a)
            .cmp(&key(b))
            .then_with(|| a.referring.cmp(b.referring))
    });
}

fn pairs(visible: &[VisibleTable]) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    for table in visible {
        for key in &table.foreign_keys {
            let target = visible.iter().find(|other| other.name == key.table);
            let is_primary = target.is_some_and(|target| {
                target.primary_key.len() == key.referenced.len()
                    && key
                        .referenced
                        .iter()
                        .all(|c| target.primary_key.contains(c))
            });
            let columns = key.columns.iter().zip(&key.referenced);
            pairs.extend(
                (1_i32..)
                    .zip(columns)
                    .map(|(sequence, (own, theirs))| Pair {
                        referred: &key.table,
                        referred_column: theirs,
                        referring: &table.name,
                        referring_column: own,
                        sequence,
                        name: foreign_name(&table.name, &key.columns, &key.table),
                        referred_name: is_primary.then(|| primary_name(&key.table)),
                    }),
            );
        }
    }
    pairs
}

/// Contracts give keys no names, and clients tell keys apart by name.
fn primary_name(table: &TableName) -> String {
    format!("{}_pkey", table.table)
}

fn foreign_name(table: &TableName, columns: &[String], referred: &TableName) -> String {
    let columns = columns.join("_");
    format!("{}_{columns}_{}_fkey", table.table, referred.table)
}

fn foreign(pairs: &[Pair<'_>]) -> Result<RecordBatch, ArrowError> {
    let texts = |text: &dyn for<'p> Fn(&'p Pair<'p>) -> Option<&'p str>| -> ArrayRef {
        Arc::new(pairs.iter().map(text).collect::<StringArray>())
    };
    let sequence = pairs.iter().map(|pair| pair.sequence);
    let rule = UpdateDeleteRules::NoAction as u8;
    let rules: ArrayRef = Arc::new(UInt8Array::from(vec![rule; pairs.len()]));
    RecordBatch::try_new(
        foreign_schema(),
        vec![
            texts(&|_| Some(CATALOG)),
            texts(&|pair| Some(&pair.referred.schema)),
            texts(&|pair| Some(&pair.referred.table)),
            texts(&|pair| Some(pair.referred_column)),
            texts(&|_| Some(CATALOG)),
            texts(&|pair| Some(&pair.referring.schema)),
            texts(&|pair| Some(&pair.referring.table)),
            texts(&|pair| Some(pair.referring_column)),
            Arc::new(Int32Array::from_iter_values(sequence)),
            texts(&|pair| Some(&pair.name)),
            texts(&|pair| pair.referred_name.as_deref()),
            Arc::clone(&rules),
            rules,
        ],
    )
}
