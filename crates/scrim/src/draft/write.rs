//! The text of a draft.

use std::fmt::Write as _;

use super::yaml::{comment, scalar, type_name};
use super::{Column, Entry};

/// Lines of YAML, each at its depth.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, depth: usize, text: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        writeln!(self.0, "{:width$}{text}", "", width = depth * 2).unwrap_or_default();
    }
}

/// A contract that shows nothing yet.
pub(super) fn contract(
    table: &str,
    physical_table: &str,
    looked_at: &str,
    entry: &Entry,
    columns: &[Column],
) -> String {
    let mut lines = Lines::default();
    let name = scalar(table);
    lines.line(
        0,
        format_args!("# A draft of `scrim contract new`; {looked_at}."),
    );
    lines.line(0, "# What looks like an identifier is tagged, with the reason beside it. Read every column: what was");
    lines.line(0, "# not found can identify people all the same. Nobody sees anything until a profile below shows");
    lines.line(0, "# columns and an agreement grants that profile.");
    lines.line(0, "apiVersion: v3.1.0");
    lines.line(0, "kind: DataContract");
    lines.line(0, format_args!("id: {name}"));
    lines.line(0, format_args!("name: {name}"));
    lines.line(0, "version: 0.1.0");
    lines.line(0, "status: draft");
    lines.line(
        0,
        format_args!("domain: public # clients see scrim.public.{name}"),
    );
    lines.line(0, "description:");
    lines.line(
        1,
        "purpose: Say here what the table is, and whom it is for.",
    );
    servers(&mut lines, entry);
    lines.line(0, "schema:");
    lines.line(1, format_args!("- name: {name}"));
    lines.line(2, format_args!("physicalName: {}", scalar(physical_table)));
    lines.line(2, "physicalType: table");
    lines.line(2, "properties:");
    for column in columns {
        property(&mut lines, 3, column);
    }
    access(&mut lines, columns);
    lines.0
}

fn servers(lines: &mut Lines, entry: &Entry) {
    lines.line(0, "servers:");
    for (index, (key, value)) in entry.keys.iter().enumerate() {
        let dash = if index == 0 { "- " } else { "  " };
        lines.line(1, format_args!("{dash}{key}: {value}"));
    }
    if !entry.custom.is_empty() {
        lines.line(2, "customProperties:");
    }
    for (property, value) in &entry.custom {
        lines.line(
            3,
            format_args!("- {{property: {property}, value: {value}}}"),
        );
    }
}

fn property(lines: &mut Lines, depth: usize, column: &Column) {
    lines.line(depth, format_args!("- name: {}", scalar(&column.name)));
    about(lines, depth + 1, column);
}

/// All about a column but its name, which the element of a list has none of.
fn about(lines: &mut Lines, depth: usize, column: &Column) {
    if let Some(physical) = &column.physical_name {
        lines.line(depth, format_args!("physicalName: {}", scalar(physical)));
    }
    if let Some(logical) = column.logical {
        lines.line(depth, format_args!("logicalType: {logical}"));
    }
    if let Some(printed) = &column.printed {
        let choice = if printed.starts_with("numeric") {
            "; `double` would read it as numbers, rounded"
        } else {
            ""
        };
        let printed = comment(printed);
        lines.line(
            depth,
            format_args!("# {printed} in the database, read as text{choice}"),
        );
    }
    lines.line(
        depth,
        format_args!("physicalType: {}", type_name(&column.physical)),
    );
    if let Some(position) = column.key {
        lines.line(depth, "primaryKey: true");
        lines.line(depth, format_args!("primaryKeyPosition: {position}"));
    }
    if column.required {
        lines.line(depth, "required: true");
    }
    if let Some(classification) = column.classification() {
        let why = match &column.finding {
            Some(finding) => finding.why.as_str(),
            None => "for what is inside it",
        };
        lines.line(depth, format_args!("# {}", comment(why)));
        lines.line(depth, format_args!("classification: {classification}"));
    }
    if column
        .finding
        .as_ref()
        .is_some_and(|finding| finding.kind.is_direct())
    {
        lines.line(depth, "tags: [direct-identifier]");
    }
    if !column.fields.is_empty() {
        lines.line(depth, "properties:");
        for field in &column.fields {
            property(lines, depth + 1, field);
        }
    }
    if let Some(item) = &column.item {
        lines.line(depth, "items:");
        about(lines, depth + 1, item);
    }
}

fn access(lines: &mut Lines, columns: &[Column]) {
    lines.line(0, "customProperties:");
    lines.line(1, "- property: accessPolicy");
    lines.line(2, "value:");
    lines.line(
        3,
        "purposes: [operations] # what agreements may be made for",
    );
    lines.line(3, "profiles:");
    lines.line(4, "reader:");
    let mut hints = Vec::new();
    for column in columns.iter().filter(|column| column.is_found()) {
        hint(column, &column.name, &mut hints);
    }
    if !hints.is_empty() {
        lines.line(
            5,
            "# masks for what was found; take the marks away to show these columns so",
        );
        lines.line(5, "# columns:");
        for hint in hints {
            lines.line(5, format_args!("#   {hint}"));
        }
    }
    if columns.iter().any(Column::is_direct) {
        lines.line(5, "tagged: {direct-identifier: hidden}");
    }
    lines.line(5, "default: hidden");
}

/// How a column that was found may be shown; what is inside a column is shown with it or not at all.
fn hint(column: &Column, path: &str, hints: &mut Vec<String>) {
    if column.finding.is_some() {
        let mask = column.mask.unwrap_or("hidden");
        return hints.push(format!("{}: {mask}", scalar(path)));
    }
    if !path.contains(['.', '[']) {
        hints.push(format!("{}: clear", scalar(path)));
    }
    // Other names have no path.
    let has_path = |field: &&Column| field.is_found() && !field.name.contains(['.', '[', ']']);
    for field in column.fields.iter().filter(has_path) {
        hint(field, &format!("{path}.{}", field.name), hints);
    }
    if let Some(item) = column.item.as_deref().filter(|item| item.is_found()) {
        hint(item, &format!("{path}[]"), hints);
    }
}
