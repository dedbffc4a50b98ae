//! Rows in the place of sources, as they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::policy_test::shapes::TABLE;
use scrim_document::{Entry, MapReader, Node, Problems, Value as Yaml};

/// Rows in the place of a source.
#[derive(Debug, Clone)]
pub(crate) struct TableFixture {
    /// The name that it is for.
    pub(crate) key: Node,
    /// What stands there.
    pub(crate) form: Form,
}

/// How rows are given.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// By the path of a file.
    File(Node, String),
    /// One by one; the names are those of columns without any value, too.
    Rows {
        /// The columns that are named for all rows.
        columns: Vec<(Node, String)>,
        /// The rows.
        rows: Vec<Vec<(Node, String, Cell)>>,
    },
}

/// A value, before it has its column's type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// None.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number, as it is written.
    Float(Arc<str>),
    /// Text.
    Text(Arc<str>),
    /// What stands in a block of text: of whatever type its column is.
    Loose(String),
    /// The elements of a list.
    List(Vec<Cell>),
    /// The fields of an object.
    Map(Vec<(String, Cell)>),
}

impl Cell {
    /// The value of a node.
    pub(crate) fn of(node: &Node) -> Self {
        match node.value() {
            Yaml::Null => Self::Null,
            Yaml::Bool(value) => Self::Bool(*value),
            Yaml::Int(value) => Self::Int(*value),
            Yaml::Float(_, text) => Self::Float(Arc::clone(text)),
            Yaml::Text(text) => Self::Text(Arc::clone(text)),
            Yaml::List(items) => Self::List(items.iter().map(Self::of).collect()),
            Yaml::Map(entries) => {
                let field = |entry: &Entry| (entry.name.to_string(), Self::of(&entry.value));
                Self::Map(entries.iter().map(field).collect())
            }
        }
    }
}

/// Reads fixtures, by the names that they are for.
pub(super) fn fixtures(
    node: Option<&Node>,
    problems: &mut Problems,
) -> BTreeMap<String, TableFixture> {
    let entries = node.and_then(|node| node.map(problems)).unwrap_or_default();
    let fixture = |entry: &Entry| {
        let fixture = TableFixture {
            key: entry.key.clone(),
            form: form(&entry.value, problems)?,
        };
        Some((entry.name.to_string(), fixture))
    };
    entries.iter().filter_map(fixture).collect()
}

fn form(node: &Node, problems: &mut Problems) -> Option<Form> {
    match node.value() {
        Yaml::List(items) => Some(Form::Rows {
            columns: Vec::new(),
            rows: items
                .iter()
                .filter_map(|item| by_name(item, problems))
                .collect(),
        }),
        Yaml::Text(text) if text.contains('\n') => block(node, text, problems),
        Yaml::Text(_) => Some(Form::File(node.clone(), node.non_empty_string(problems)?)),
        Yaml::Map(_) => described(node, problems),
        Yaml::Null | Yaml::Bool(_) | Yaml::Int(_) | Yaml::Float(..) => {
            let message = format!("expected rows, found {}", node.kind_name());
            let help = "write a list of rows, a block of text with a header line, or the path of a file; \
                        `[]` is no row";
            problems.push(node.error(message).with_help(help));
            None
        }
    }
}

fn by_name(row: &Node, problems: &mut Problems) -> Option<Vec<(Node, String, Cell)>> {
    let cell = |entry: &Entry| {
        (
            entry.value.clone(),
            entry.name.to_string(),
            Cell::of(&entry.value),
        )
    };
    Some(row.map(problems)?.iter().map(cell).collect())
}

/// `{file: …}`, or `{columns: […], rows: [[…], …]}`.
fn described(node: &Node, problems: &mut Problems) -> Option<Form> {
    let mut map = MapReader::new(node, &TABLE, problems)?;
    let file = map.optional("file");
    let (columns, rows) = (map.optional("columns"), map.optional("rows"));
    map.finish(problems);
    if let Some(file) = file {
        if columns.is_some() || rows.is_some() {
            let problem = node.error("rows are given twice: by a file, and one by one");
            problems.push(problem.with_help("write `file`, or `columns` and `rows`"));
        }
        return Some(Form::File(file.clone(), file.non_empty_string(problems)?));
    }
    let Some(columns) = columns else {
        let problem = node.error("the key `columns` is missing");
        problems.push(problem.with_help("write `file`, or `columns` and `rows`"));
        return None;
    };
    let columns: Vec<(Node, String)> = columns
        .list(problems)?
        .iter()
        .filter_map(|column| Some((column.clone(), column.non_empty_string(problems)?)))
        .collect();
    twice(&columns, problems);
    let mut read = Vec::new();
    for row in rows
        .and_then(|rows| rows.list(problems))
        .unwrap_or_default()
    {
        let values = row.list(problems)?;
        if values.len() != columns.len() {
            let (found, expected) = (values.len(), columns.len());
            problems.push(row.error(format!("expected {expected} values, found {found}")));
            continue;
        }
        let pairs = values.iter().zip(&columns);
        let cells = pairs.map(|(value, (_, name))| (value.clone(), name.clone(), Cell::of(value)));
        read.push(cells.collect());
    }
    Some(Form::Rows {
        columns,
        rows: read,
    })
}

/// A column that is named twice would have the values of its last place.
fn twice(columns: &[(Node, String)], problems: &mut Problems) {
    let mut names = BTreeSet::new();
    for (node, name) in columns {
        if !names.insert(name) {
            problems.push(node.error(format!("the column `{name}` stands here twice")));
        }
    }
}

/// A header line and a line for each row, the values set apart by commas or, as in Markdown, by bars.
fn block(node: &Node, text: &str, problems: &mut Problems) -> Option<Form> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .peekable();
    let header = lines.next()?;
    let bars = header.contains('|');
    let split = |line: &str| {
        if bars {
            by_bars(line)
        } else {
            cells(line, ',')
        }
    };
    let names: Vec<String> = split(header).into_iter().map(|(name, _)| name).collect();
    if bars {
        // Only right under the header: further down such a line is a row.
        lines.next_if(|line| is_rule(line));
    }
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let values = split(line);
        if values.len() != names.len() {
            let (found, expected) = (values.len(), names.len());
            let message = format!("row {number} has {found} values, the header has {expected}");
            problems.push(node.error(message));
            continue;
        }
        let cell = |(name, (text, quoted)): (&String, (String, bool))| {
            // An empty place is no value; empty text is written in quotes.
            let absent = !quoted && (text.is_empty() || text == "null");
            let cell = if absent {
                Cell::Null
            } else {
                Cell::Loose(text)
            };
            (node.clone(), name.clone(), cell)
        };
        rows.push(names.iter().zip(values).map(cell).collect());
    }
    let columns: Vec<(Node, String)> = names.into_iter().map(|name| (node.clone(), name)).collect();
    twice(&columns, problems);
    Some(Form::Rows { columns, rows })
}

/// The line between the header and the rows of a table in Markdown.
fn is_rule(line: &str) -> bool {
    let is_part = |c: char| matches!(c, '|' | '-' | ':' | ' ' | '+');
    line.contains("--") && line.chars().all(is_part)
}

fn by_bars(line: &str) -> Vec<(String, bool)> {
    let inner = line.strip_prefix('|').unwrap_or(line);
    cells(inner.strip_suffix('|').unwrap_or(inner), '|')
}

fn unquoted(cell: &str) -> (String, bool) {
    let inner = cell
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) => (inner.replace("\"\"", "\""), true),
        None => (cell.to_owned(), false),
    }
}

/// The cells of a line. A separator sets nothing apart in a cell that begins with a quote, a bracket
/// or a brace, before that is closed.
fn cells(line: &str, separator: char) -> Vec<(String, bool)> {
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut quoted, mut depth) = (false, 0_usize);
    for c in line.chars() {
        let begins = depth > 0 || cell.trim().is_empty();
        match c {
            '"' if quoted || begins || cell.ends_with('"') => quoted = !quoted,
            '[' | '{' if !quoted && begins => depth += 1,
            ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == separator && !quoted && depth == 0 {
            cells.push(unquoted(cell.trim()));
            cell.clear();
        } else {
            cell.push(c);
        }
    }
    cells.push(unquoted(cell.trim()));
    cells
}
