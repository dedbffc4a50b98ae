//! From rows that are written in a test file to tables, by the types that contracts declare.

use std::path::Path;

use scrim_document::{Node, Problem, Problems, SourceFile, nearest};
use scrim_engine::RawTable;
use scrim_model::TableName;
use scrim_policy::{
    BadRows, ContractDocument, Documents, FileFormat, FilePlace, FileServer, Property, ServerKind,
};
use scrim_server::load::{Fixtures, Inputs};
use scrim_sources::{FixtureError, FixtureRow, Wanted, WantedColumn, fixture};
use serde_json::Value;

use super::format::{Cell, Form, TableFixture, TestFile};

/// The tables that stand in the place of sources in a test file, which lies in `folder`.
///
/// # Errors
/// All problems of the fixtures.
pub(super) async fn fixtures(
    file: &TestFile,
    folder: &Path,
    documents: &Documents,
    inputs: &Inputs,
) -> Result<Fixtures, Problems> {
    let mut fixtures = Fixtures::default();
    let mut problems = Problems::default();
    for (name, fixture) in &file.tables {
        let made = if let Some(contract) = contract_named(documents, name) {
            let made = table(contract, fixture, folder, inputs).await;
            made.map(|table| (contract.name.clone(), table))
        } else {
            let (message, help) = no_contract(documents, name);
            Err(fixture.key.error(message).with_help(help).into())
        };
        match made {
            Ok((table_name, table)) => {
                if fixtures.tables.insert(table_name, table).is_some() {
                    let message = format!("the rows of `{name}` stand here twice");
                    problems.push(fixture.key.error(message));
                }
            }
            Err(found) => problems.extend(found),
        }
    }
    for (name, fixture) in &file.lookups {
        let made = if inputs.lookups.contains_key(name) {
            lookup(name, fixture, folder, inputs).await
        } else {
            // One that the server does not know would let rules hold here that fail there.
            Err(no_lookup(inputs, name, &fixture.key).into())
        };
        match made {
            Ok(table) => drop(fixtures.lookups.insert(name.clone(), table)),
            Err(found) => problems.extend(found),
        }
    }
    problems.into_result(fixtures).map(|(fixtures, _)| fixtures)
}

/// The contract of a table that is named `schema.table`, or `table` if there is one only.
pub(super) fn contract_named<'a>(
    documents: &'a Documents,
    name: &str,
) -> Option<&'a ContractDocument> {
    let mut found = documents
        .contracts()
        .filter(|contract| is_named(&contract.name, name));
    found.next().filter(|_| found.next().is_none())
}

/// Whether a table is meant by a name.
pub(super) fn is_named(table: &TableName, name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((schema, bare)) => {
            let schema = schema.strip_prefix("scrim.").unwrap_or(schema);
            table.schema == schema && table.table == bare
        }
        None => table.table == name,
    }
}

/// Why no contract, or more than one, is meant by a name, and what to write.
pub(super) fn no_contract(documents: &Documents, name: &str) -> (String, String) {
    let full = |contract: &ContractDocument| {
        let TableName { schema, table } = &contract.name;
        format!("{schema}.{table}")
    };
    let several = documents
        .contracts()
        .filter(|one| is_named(&one.name, name));
    let several: Vec<String> = several.map(full).collect();
    if !several.is_empty() {
        let message = format!("several contracts govern a table `{name}`");
        return (message, format!("write one of {}", several.join(", ")));
    }
    let names: Vec<String> = documents.contracts().map(full).collect();
    let help = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("tables are {}", names.join(", ")),
    };
    (format!("no contract governs a table `{name}`"), help)
}

fn no_lookup(inputs: &Inputs, name: &str, key: &Node) -> Problem {
    let problem = key.error(format!("the configuration names no look-up table `{name}`"));
    match nearest(name, inputs.lookups.keys().map(String::as_str)) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help("add it under `lookup` in scrim.yaml"),
    }
}

async fn table(
    contract: &ContractDocument,
    fixture: &TableFixture,
    folder: &Path,
    inputs: &Inputs,
) -> Result<RawTable, Problems> {
    match &fixture.form {
        Form::File(node, path) => {
            let wanted = Wanted::from(contract);
            open(node, path, folder, &wanted, inputs).await
        }
        Form::Rows { columns, rows } => {
            let of_contract = Typed {
                properties: &contract.properties,
                contract: contract.file().path(),
            };
            of_contract.table(&fixture.key, columns, rows)
        }
    }
}

async fn open(
    node: &Node,
    path: &str,
    folder: &Path,
    wanted: &Wanted,
    inputs: &Inputs,
) -> Result<RawTable, Problems> {
    let format = format_of(node, path)?;
    let place = FilePlace::Local {
        path: folder.join(path).display().to_string(),
    };
    let kind = ServerKind::Files(FileServer { place, format });
    let opened = inputs.sources.open(&kind, None, wanted).await;
    opened
        .map(|opened| opened.table)
        .map_err(|error| node.error(error.to_string()).into())
}

fn format_of(node: &Node, path: &str) -> Result<FileFormat, Problems> {
    let bad_rows = BadRows::Fail;
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    Ok(match extension.to_ascii_lowercase().as_str() {
        "parquet" => FileFormat::Parquet,
        "csv" => FileFormat::Csv {
            delimiter: ',',
            bad_rows,
        },
        "json" | "jsonl" | "ndjson" => FileFormat::JsonLines { bad_rows },
        "arrow" => FileFormat::Arrow,
        _ => {
            let problem = node.error(format!("what is in `{path}` is not known by its name"));
            let help = "names end in .csv, .json, .jsonl, .parquet or .arrow";
            return Err(problem.with_help(help).into());
        }
    })
}

/// A row, as it is written.
type WrittenRow = [(Node, String, Cell)];

/// Columns with the types that a contract declares.
struct Typed<'a> {
    properties: &'a [Property],
    /// The contract's file.
    contract: &'a str,
}

impl Typed<'_> {
    fn table(
        &self,
        key: &Node,
        columns: &[(Node, String)],
        rows: &[Vec<(Node, String, Cell)>],
    ) -> Result<RawTable, Problems> {
        let mut problems = Problems::default();
        for (node, name) in columns {
            if self.property(name).is_none() {
                problems.push(self.unknown(node, name));
            }
        }
        let mut read: Vec<FixtureRow> = Vec::with_capacity(rows.len());
        if problems.is_empty() {
            read.extend(rows.iter().map(|row| self.row(row, &mut problems)));
        }
        problems.into_result(())?;
        let wanted: Vec<WantedColumn> = self.properties.iter().map(WantedColumn::from).collect();
        let made = fixture(&wanted, &read, &key.location().to_string());
        made.map_err(|error| self.explained(error, key, rows).into())
    }

    fn property(&self, name: &str) -> Option<&Property> {
        self.properties
            .iter()
            .find(|property| property.name == name)
    }

    fn unknown(&self, node: &Node, name: &str) -> Problem {
        let problem = node.error(format!("the contract has no column `{name}`"));
        let names = self
            .properties
            .iter()
            .map(|property| property.name.as_str());
        match nearest(name, names) {
            Some(near) => problem.with_help(format!("did you mean `{near}`?")),
            None => problem.with_help(format!("its columns stand in {}", self.contract)),
        }
    }

    fn row(&self, row: &WrittenRow, problems: &mut Problems) -> FixtureRow {
        let mut values = FixtureRow::new();
        for (node, name, cell) in row {
            let Some(property) = self.property(name) else {
                problems.push(self.unknown(node, name));
                continue;
            };
            match value(cell, property) {
                Ok(value) => drop(values.insert(property.physical_name.clone(), value)),
                Err(what) => problems.push(node.error(format!("`{name}`: {what}"))),
            }
        }
        values
    }

    /// Why rows are no table, at the place that says so.
    fn explained(
        &self,
        error: FixtureError,
        key: &Node,
        rows: &[Vec<(Node, String, Cell)>],
    ) -> Problem {
        match error {
            FixtureError::Type(what) => key.error(what).with_help(format!(
                "rows are read by the types that the contract declares: add `logicalType` in {}",
                self.contract
            )),
            FixtureError::Value {
                row,
                column,
                data_type,
            } => {
                let mut properties = self.properties.iter();
                let property = properties.find(|property| property.physical_name == column);
                let name = property.map_or(column.as_str(), |property| property.name.as_str());
                let mut cells = rows.get(row).into_iter().flatten();
                let cell = cells.find(|(_, cell, _)| cell == name);
                let node = cell.map_or(key, |(node, _, _)| node);
                node.error(format!(
                    "row {}: the value of `{name}` is no {data_type}",
                    row + 1
                ))
            }
        }
    }
}

/// A value as the reader of JSON takes it: single values are text, which has its type from its
/// column.
fn value(cell: &Cell, property: &Property) -> Result<Value, String> {
    let text = property.logical_type.as_deref() == Some("string");
    Ok(match cell {
        Cell::Null => Value::Null,
        Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) if text => {
            return Err("the column is text, so put the value in quotes".to_owned());
        }
        Cell::Bool(value) => Value::String(value.to_string()),
        Cell::Int(value) => Value::String(value.to_string()),
        Cell::Float(value) | Cell::Text(value) => Value::String(value.to_string()),
        Cell::Loose(value) if property.items.is_some() || !property.properties.is_empty() => {
            let inline = Node::parse(&SourceFile::new("", value.as_str()));
            let inline = inline.map_err(|_| "expected a list or an object".to_owned())?;
            return self::value(&Cell::of(&inline), property);
        }
        Cell::Loose(value) => Value::String(value.clone()),
        Cell::List(items) => {
            let item = property.items.as_deref().ok_or("the column is no array")?;
            let items = items.iter().map(|cell| value(cell, item));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Cell::Map(fields) => {
            let mut object = FixtureRow::new();
            for (name, cell) in fields {
                let mut known = property.properties.iter();
                let field = known.find(|field| field.name == *name);
                let field = field.ok_or_else(|| format!("it has no field `{name}`"))?;
                object.insert(field.physical_name.clone(), value(cell, field)?);
            }
            Value::Object(object)
        }
    })
}

/// A look-up table has no contract, so its columns are of the types that their values have.
async fn lookup(
    name: &str,
    fixture_of: &TableFixture,
    folder: &Path,
    inputs: &Inputs,
) -> Result<RawTable, Problems> {
    let (columns, rows) = match &fixture_of.form {
        Form::File(node, path) => {
            return open(node, path, folder, &Wanted::all(name), inputs).await;
        }
        Form::Rows { columns, rows } => (columns, rows),
    };
    let key = &fixture_of.key;
    let mut names: Vec<&str> = columns.iter().map(|(_, name)| name.as_str()).collect();
    for (_, name, _) in rows.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    if names.is_empty() {
        let problem = key.error("the look-up table has no columns");
        return Err(problem.with_help("write `{columns: […], rows: []}`").into());
    }
    let mut wanted = Vec::new();
    for name in names {
        let cells = rows
            .iter()
            .flatten()
            .filter(|(_, column, _)| column == name);
        let logical = inferred(cells.map(|(_, _, cell)| cell)).ok_or_else(|| {
            let message = format!("the values of `{name}` are of different kinds");
            Problems::from(key.error(message))
        })?;
        wanted.push(WantedColumn {
            name: name.to_owned(),
            logical_type: Some(logical.to_owned()),
            physical_type: None,
            required: false,
            fields: Vec::new(),
            items: None,
        });
    }
    let read: Vec<FixtureRow> = rows.iter().map(|row| plain_row(row)).collect();
    let made = fixture(&wanted, &read, &key.location().to_string());
    made.map_err(|error| key.error(error.to_string()).into())
}

fn plain_row(row: &WrittenRow) -> FixtureRow {
    let plain = |cell: &Cell| match cell {
        Cell::Null | Cell::List(_) | Cell::Map(_) => Value::Null,
        Cell::Bool(value) => Value::String(value.to_string()),
        Cell::Int(value) => Value::String(value.to_string()),
        Cell::Float(value) | Cell::Text(value) => Value::String(value.to_string()),
        Cell::Loose(value) => Value::String(value.clone()),
    };
    row.iter()
        .map(|(_, name, cell)| (name.clone(), plain(cell)))
        .collect()
}

/// The type that all of some values have; `None` when there is none.
fn inferred<'a>(cells: impl Iterator<Item = &'a Cell>) -> Option<&'static str> {
    let mut found: Option<&'static str> = None;
    for cell in cells {
        let kind = match cell {
            Cell::Null => continue,
            Cell::Bool(_) => "boolean",
            Cell::Int(_) => "integer",
            Cell::Float(_) => "number",
            Cell::Text(_) => "string",
            Cell::Loose(text) => kind_of(text),
            Cell::List(_) | Cell::Map(_) => return None,
        };
        found = Some(match (found, kind) {
            (None, kind) => kind,
            (Some(before), kind) if before == kind => kind,
            (Some("integer" | "number"), "integer" | "number") => "number",
            // In a block of text nothing is in quotes, so text is what all of it can be.
            _ if matches!(cell, Cell::Loose(_)) => "string",
            _ => return None,
        });
    }
    Some(found.unwrap_or("string"))
}

fn kind_of(text: &str) -> &'static str {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if matches!(text, "true" | "false") {
        "boolean"
    } else if code {
        "string"
    } else if text.parse::<i64>().is_ok() {
        "integer"
    } else if text.parse::<f64>().is_ok_and(f64::is_finite) {
        "number"
    } else {
        "string"
    }
}
