//! The columns of a table over files that need not all have the same.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::datasource::table_schema::TableSchema;

use super::facts::Facts;
use super::listing::DataFile;
use super::types::declared;
use super::widen::widened;
use crate::{Wanted, WantedColumn};

/// The columns of a table: those in its files, and those in the names of folders.
#[derive(Debug)]
pub(super) struct Columns {
    /// All of them, in the contract's order.
    schema: SchemaRef,
    /// For each column of the schema, where it is in the scan's own: first those in files, then
    /// those of folders.
    positions: Vec<usize>,
    scanned: TableSchema,
    /// Columns that no file may lack.
    required: HashSet<String>,
    /// Whether the files tell the types of their columns.
    typed: bool,
    /// Whether the table itself tells its columns, of which its files may lack any.
    by_table: bool,
}

/// A column as its table itself has it.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    /// Its name in files.
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// Whether all rows of a file have one value, which does not stand in it.
    pub(crate) of_file: bool,
}

/// Columns of a source that were looked for.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) columns: Columns,
    /// Columns that nobody wanted.
    pub(super) extra: Vec<String>,
}

/// A column that files have.
struct InFiles<'a> {
    name: &'a str,
    data_type: DataType,
    files: usize,
    /// The number of the last of them.
    last: usize,
}

impl Columns {
    /// Chooses the wanted columns of files. `shown` names a file in an error.
    ///
    /// # Errors
    /// When files contradict each other, or a type that is declared cannot be.
    pub(super) fn choose(
        wanted: &Wanted,
        files: &[(DataFile, Facts)],
        typed: bool,
        shown: &dyn Fn(&DataFile) -> String,
    ) -> Result<Chosen, String> {
        let in_files = in_files(files, shown)?;
        let keys = folder_columns(files);
        let all: Vec<WantedColumn>;
        let wanted_columns = if let Some(columns) = &wanted.columns {
            columns
        } else {
            let names = in_files.iter().map(|column| column.name);
            let of_all = |key: &&str| files.iter().all(|(file, _)| has_key(file, key));
            let keys = keys.iter().copied().filter(of_all);
            all = names.chain(keys).map(any).collect();
            &all
        };
        let mut columns = Builder::new(typed);
        for column in wanted_columns {
            let found = in_files.iter().find(|found| found.name == column.name);
            let having = |(file, _): &&(DataFile, Facts)| has_key(file, &column.name);
            match (found, files.iter().filter(having).count()) {
                (None, 0) => {}
                (Some(found), 0) => columns.in_files(column, found, files.len())?,
                (None, having) if having == files.len() => columns.of_folders(column)?,
                _ => {
                    return Err(format!(
                        "column `{}` stands in the names of some files' folders only; keep it in \
                         all of them, or in all files",
                        column.name
                    ));
                }
            }
        }
        let extra = in_files
            .iter()
            .map(|column| column.name)
            .chain(keys)
            .filter(|name| !columns.seen.contains(*name))
            .map(str::to_owned)
            .collect();
        Ok(Chosen {
            columns: columns.finish(),
            extra,
        })
    }

    /// The columns that a table itself tells.
    pub(super) fn declared(declared: Vec<Declared>) -> Self {
        let mut columns = Builder::new(true);
        for column in declared {
            let of = if column.of_file {
                &mut columns.of_folders
            } else {
                &mut columns.in_files
            };
            columns.order.push((!column.of_file, of.len()));
            of.push(nullable(&column.name, column.data_type));
        }
        Self {
            by_table: true,
            ..columns.finish()
        }
    }

    /// Whether the table itself tells its columns.
    pub(super) fn are_declared(&self) -> bool {
        self.by_table
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns as they are scanned: those in files, then those of folders.
    pub(super) fn scanned(&self) -> &TableSchema {
        &self.scanned
    }

    /// The scan's columns for columns of the schema, all of them if none are said.
    pub(super) fn projection(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        match projection {
            None => self.positions.clone(),
            Some(columns) => {
                let position = |column: &usize| self.positions.get(*column).copied();
                columns.iter().filter_map(position).collect()
            }
        }
    }

    /// Whether the files still are what the table was opened with: what each has, fits, and each
    /// column is in at least one of them.
    ///
    /// # Errors
    /// What does not fit; it names the file, if it is one file's fault.
    pub(super) fn check<'a>(
        &self,
        files: impl Iterator<Item = (&'a DataFile, &'a Present)>,
        shown: &dyn Fn(&DataFile) -> String,
    ) -> Result<(), String> {
        let fields = self.scanned.file_schema().fields();
        let mut seen = vec![false; fields.len()];
        for (file, present) in files {
            for (seen, here) in seen.iter_mut().zip(&present.0) {
                *seen |= *here;
            }
            for key in self.scanned.table_partition_cols() {
                if !has_key(file, key.name()) {
                    let shown = shown(file);
                    return Err(format!("{shown} is in no folder named `{}=…`", key.name()));
                }
            }
        }
        match fields.iter().zip(seen).find(|(_, seen)| !seen) {
            Some((field, _)) => Err(format!(
                "no file has the column `{}` any more",
                field.name()
            )),
            None => Ok(()),
        }
    }

    /// Which of the table's columns a file has.
    ///
    /// # Errors
    /// When one does not fit.
    pub(super) fn present(&self, facts: &Facts) -> Result<Present, String> {
        let fields = self.scanned.file_schema().fields();
        let mut present = Vec::with_capacity(fields.len());
        for field in fields {
            let mut named = facts.columns.iter().filter(|f| f.name() == field.name());
            let (first, second) = (named.next(), named.next());
            if second.is_some() {
                return Err(twice(field.name()));
            }
            match first {
                None if self.required.contains(field.name()) => {
                    return Err(format!("the required column `{}` is missing", field.name()));
                }
                Some(found) if !self.fits(found.data_type(), field.data_type()) => {
                    return Err(format!(
                        "column `{}` has the type {}, which does not fit {}",
                        field.name(),
                        found.data_type(),
                        field.data_type()
                    ));
                }
                found => present.push(found.is_some()),
            }
        }
        let mut keys = self.scanned.table_partition_cols().iter();
        let in_file = keys.find(|key| facts.columns.find(key.name()).is_some());
        // A table that tells its columns also tells which of the two counts.
        if let Some(key) = in_file.filter(|_| !self.by_table) {
            let name = key.name();
            return Err(format!(
                "column `{name}` is in the file and in its folder's name"
            ));
        }
        Ok(Present(present))
    }

    fn fits(&self, here: &DataType, table: &DataType) -> bool {
        match (self.typed, self.by_table) {
            (false, _) => true,
            (true, false) => fits(here, table),
            (true, true) => holds(table, here),
        }
    }

    /// The values that a file's folders give.
    ///
    /// # Errors
    /// When a value is not of its column's type.
    pub(super) fn folder_values(&self, file: &DataFile) -> Result<Vec<ScalarValue>, String> {
        let value = |key: &FieldRef| {
            let text = file.partition.iter().find(|(name, _)| name == key.name());
            let text = text.and_then(|(_, value)| value.clone());
            let value = ScalarValue::Utf8(text);
            // A cast that fails on a value quotes it.
            value.cast_to(key.data_type()).map_err(|_| {
                let (name, data_type) = (key.name(), key.data_type());
                format!("the value of `{name}` in the folder's name is no {data_type}")
            })
        };
        self.scanned
            .table_partition_cols()
            .iter()
            .map(value)
            .collect()
    }
}

/// Which of the table's columns a file has, in the order of the scan.
#[derive(Debug, Clone)]
pub(super) struct Present(Vec<bool>);

/// Gathers columns in the contract's order.
struct Builder {
    in_files: Vec<FieldRef>,
    of_folders: Vec<FieldRef>,
    /// In the order of the contract: whether it is in files, and which one of those.
    order: Vec<(bool, usize)>,
    seen: HashSet<String>,
    required: HashSet<String>,
    typed: bool,
}

impl Builder {
    fn new(typed: bool) -> Self {
        Self {
            in_files: Vec::new(),
            of_folders: Vec::new(),
            order: Vec::new(),
            seen: HashSet::new(),
            required: HashSet::new(),
            typed,
        }
    }

    fn in_files(
        &mut self,
        column: &WantedColumn,
        found: &InFiles<'_>,
        files: usize,
    ) -> Result<(), String> {
        if column.required && found.files < files {
            return Err(format!(
                "{} of {files} files lack the required column `{}`",
                files - found.files,
                column.name
            ));
        }
        let said = if self.typed { None } else { declared(column)? };
        let data_type = said.unwrap_or_else(|| found.data_type.clone());
        if self.seen.insert(column.name.clone()) {
            self.order.push((true, self.in_files.len()));
            self.in_files.push(nullable(&column.name, data_type));
            if column.required {
                self.required.insert(column.name.clone());
            }
        }
        Ok(())
    }

    fn of_folders(&mut self, column: &WantedColumn) -> Result<(), String> {
        let data_type = declared(column)?.unwrap_or(DataType::Utf8);
        if data_type.is_nested() {
            let name = &column.name;
            return Err(format!(
                "column `{name}` stands in folders' names and cannot be nested"
            ));
        }
        if self.seen.insert(column.name.clone()) {
            self.order.push((false, self.of_folders.len()));
            self.of_folders.push(nullable(&column.name, data_type));
        }
        Ok(())
    }

    fn finish(self) -> Columns {
        let position = |(in_files, index): &(bool, usize)| {
            index + if *in_files { 0 } else { self.in_files.len() }
        };
        let positions: Vec<usize> = self.order.iter().map(position).collect();
        let file_schema = Arc::new(Schema::new(self.in_files));
        let scanned = TableSchema::builder(file_schema)
            .with_table_partition_cols(self.of_folders)
            .build();
        let fields: Fields = positions
            .iter()
            .filter_map(|position| scanned.table_schema().fields().get(*position).cloned())
            .collect();
        Columns {
            schema: Arc::new(Schema::new(fields)),
            positions,
            scanned,
            required: self.required,
            typed: self.typed,
            by_table: false,
        }
    }
}

/// Any file may lack any column, so that all are nullable.
fn nullable(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

fn any(name: &str) -> WantedColumn {
    WantedColumn {
        name: name.to_owned(),
        logical_type: None,
        physical_type: None,
        required: false,
        fields: Vec::new(),
        items: None,
    }
}

fn in_files<'a>(
    files: &'a [(DataFile, Facts)],
    shown: &dyn Fn(&DataFile) -> String,
) -> Result<Vec<InFiles<'a>>, String> {
    let mut columns: Vec<InFiles<'a>> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for (number, (file, facts)) in (1..).zip(files) {
        for field in &facts.columns {
            let name = field.name().as_str();
            let at = *index.entry(name).or_insert(columns.len());
            let Some(known) = columns.get_mut(at) else {
                let data_type = field.data_type().clone();
                columns.push(InFiles {
                    name,
                    data_type,
                    files: 1,
                    last: number,
                });
                continue;
            };
            if known.last == number {
                return Err(format!("{}: {}", shown(file), twice(name)));
            }
            known.files += 1;
            known.last = number;
            let (before, here) = (&known.data_type, field.data_type());
            known.data_type = widened(before, here).ok_or_else(|| {
                format!(
                    "{}: column `{name}` has the type {here}, which does not fit {before} of the \
                     files before it",
                    shown(file)
                )
            })?;
        }
    }
    Ok(columns)
}

/// The columns in the names of folders, in order.
fn folder_columns(files: &[(DataFile, Facts)]) -> Vec<&str> {
    let mut seen = HashSet::new();
    let all = files.iter().flat_map(|(file, _)| &file.partition);
    all.map(|(name, _)| name.as_str())
        .filter(|name| seen.insert(*name))
        .collect()
}

fn has_key(file: &DataFile, name: &str) -> bool {
    file.partition.iter().any(|(key, _)| key == name)
}

fn fits(here: &DataType, table: &DataType) -> bool {
    widened(table, here).is_some_and(|both| both == *table)
}

/// Whether a type that a table declares holds every value of one that a file has, by the ways in
/// which such tables let types grow.
fn holds(table: &DataType, here: &DataType) -> bool {
    use DataType::{
        Date32, Decimal128, Float64, Int8, Int16, Int32, Int64, LargeList, List, Map, Struct,
        Timestamp,
    };
    match (table, here) {
        (Struct(table), Struct(here)) => table.iter().all(|field| {
            let found = here.find(field.name());
            found.is_none_or(|(_, here)| holds(field.data_type(), here.data_type()))
        }),
        (List(table), List(here) | LargeList(here)) => holds(table.data_type(), here.data_type()),
        (Map(table, _), Map(here, _)) => match (table.data_type(), here.data_type()) {
            // Writers call keys and values as they like.
            (Struct(table), Struct(here)) => {
                let mut pairs = table.iter().zip(here);
                pairs.all(|(table, here)| holds(table.data_type(), here.data_type()))
            }
            _ => false,
        },
        // Old writers know instants only by nanoseconds and without a zone.
        (Timestamp(..), Timestamp(..))
        | (Timestamp(_, None), Date32)
        | (Float64, Int8 | Int16 | Int32) => true,
        (Decimal128(precision, scale), whole) if whole.is_signed_integer() => {
            let digits = match whole {
                Int8 => 3,
                Int16 => 5,
                Int32 => 10,
                Int64 => 19,
                _ => return false,
            };
            i16::from(*precision) - i16::from(*scale) >= digits
        }
        _ => fits(here, table),
    }
}

fn twice(name: &str) -> String {
    format!("column `{name}` is there twice")
}
