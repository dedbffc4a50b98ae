//! The matrix as pages.

use chrono::{DateTime, Utc};
use scrim_model::Limits;
use serde_json::{Value as Json, json};

use super::{Cell, Row, Shown};

/// What the text begins with.
const HEAD: &str = "\
# Who sees what.
#
# table: agreements, how many conditions on rows by agreements and guards
#   column: clear, the mask, or what differs by agreement; columns that are not listed do not exist
# What is the same for several purposes or places stands once.
";

/// For reading, and for keeping beside the policies: each change of it is a change of access.
pub fn text(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    let places = places(rows);
    for of_principal in rows.chunk_by(|one, other| one.principal == other.principal) {
        let mut blocks: Vec<(String, Vec<&Row>)> = Vec::new();
        for row in of_principal {
            let block = block(row);
            match blocks.iter_mut().find(|(known, _)| *known == block) {
                Some((_, same)) => same.push(row),
                None => blocks.push((block, vec![row])),
            }
        }
        for (block, same) in blocks {
            let Some(first) = same.first() else { continue };
            let (who, org) = (&first.principal, &first.organisation);
            let part = format!("\n{who} ({org})\n");
            text.push_str(&part);
            for line in occasions(&same, &places) {
                let part = format!("  {line}\n");
                text.push_str(&part);
            }
            text.push_str(&block);
        }
    }
    text
}

/// The places of a matrix, in its order.
fn places(rows: &[Row]) -> Vec<String> {
    let mut places = Vec::new();
    for row in rows {
        let place = place(row);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn place(row: &Row) -> String {
    let from = row.ip.map_or("nowhere".to_owned(), |ip| ip.to_string());
    format!("{from} at {}", minute(row.time))
}

fn minute(time: DateTime<Utc>) -> impl std::fmt::Display {
    time.format("%Y-%m-%d %H:%M")
}

fn purpose(row: &Row) -> &str {
    row.purpose.as_deref().unwrap_or("no purpose")
}

/// For which purposes from which places: purposes with the same places share a line.
fn occasions(rows: &[&Row], all: &[String]) -> Vec<String> {
    let mut by_purpose: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows {
        match by_purpose
            .iter_mut()
            .find(|(known, _)| *known == purpose(row))
        {
            Some((_, places)) => places.push(place(row)),
            None => by_purpose.push((purpose(row), vec![place(row)])),
        }
    }
    let mut by_places: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for (purpose, places) in by_purpose {
        match by_places.iter_mut().find(|(_, known)| *known == places) {
            Some((purposes, _)) => purposes.push(purpose),
            None => by_places.push((vec![purpose], places)),
        }
    }
    let lines = by_places.into_iter().map(|(purposes, places)| {
        let from = if places == all && all.len() > 1 {
            "everywhere".to_owned()
        } else {
            places.join(", ")
        };
        format!("for {} from {from}", purposes.join(", "))
    });
    lines.collect()
}

fn block(row: &Row) -> String {
    let mut text = String::new();
    let mut denied = Vec::new();
    for Cell { table, shown } in &row.tables {
        match shown {
            Shown::Denied => denied.push(table.as_str()),
            Shown::PurposeRequired => {
                let part = format!("    {table}: a purpose must be stated\n");
                text.push_str(&part);
            }
            Shown::Closed { guard } => {
                let part = format!("    {table}: closed by {guard}\n");
                text.push_str(&part);
            }
            Shown::Shown {
                agreements,
                columns,
                hidden,
                limits,
                ..
            } => {
                let by = agreements.join(" + ");
                let (rows, limits) = (rows(shown), self::limits(limits));
                let part = format!("    {table}: shown by {by}, {rows}{limits}\n");
                text.push_str(&part);
                for column in columns {
                    let part = format!("      {:<18} {}\n", column.column, column.shown);
                    text.push_str(&part);
                }
                if *hidden > 0 {
                    let all = columns.len() + hidden;
                    let part = format!("      ({hidden} of {all} columns do not exist)\n");
                    text.push_str(&part);
                }
            }
        }
    }
    if !denied.is_empty() {
        let part = format!("    denied: {}\n", denied.join(", "));
        text.push_str(&part);
    }
    text
}

/// How many conditions there are on rows.
fn rows(shown: &Shown) -> String {
    match shown {
        Shown::Shown {
            row_rules,
            row_guards,
            ..
        } if row_rules + row_guards > 0 => format!("rows by {row_rules} + {row_guards}"),
        Shown::Shown { .. } => "all rows".to_owned(),
        Shown::Denied | Shown::PurposeRequired | Shown::Closed { .. } => "no rows".to_owned(),
    }
}

fn limits(limits: &Limits) -> String {
    let all = [
        ("rows", limits.max_rows),
        ("bytes", limits.max_bytes),
        ("a minute", limits.queries_per_minute),
        ("at once", limits.concurrent_queries),
    ];
    let said: Vec<String> = all
        .iter()
        .filter_map(|(unit, limit)| Some(format!("{} {unit}", (*limit)?)))
        .collect();
    if said.is_empty() {
        String::new()
    } else {
        format!(", at most {}", said.join(", "))
    }
}

/// One table for each purpose and place: who sees which table how, in few words.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("### Who sees what\n");
    let mut pages: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in rows {
        let title = format!("for {} from {}", purpose(row), place(row));
        match pages.iter_mut().find(|(known, _)| *known == title) {
            Some((_, of_page)) => of_page.push(row),
            None => pages.push((title, vec![row])),
        }
    }
    for (title, of_page) in pages {
        let tables = of_page.first().map_or(&[][..], |row| row.tables.as_slice());
        let names: Vec<String> = tables.iter().map(|cell| escaped(&cell.table)).collect();
        let part = format!("\n#### {}\n\n", escaped(&title));
        text.push_str(&part);
        let part = format!("| principal | {} |\n", names.join(" | "));
        text.push_str(&part);
        let part = format!("| --- |{}\n", " --- |".repeat(names.len()));
        text.push_str(&part);
        for row in of_page {
            let cells: Vec<String> = row
                .tables
                .iter()
                .map(|cell| few_words(&cell.shown))
                .collect();
            let who = escaped(&format!("{} ({})", row.principal, row.organisation));
            let part = format!("| {who} | {} |\n", cells.join(" | "));
            text.push_str(&part);
        }
    }
    text
}

fn few_words(shown: &Shown) -> String {
    match shown {
        Shown::Denied => "denied".to_owned(),
        Shown::PurposeRequired => "a purpose must be stated".to_owned(),
        Shown::Closed { guard } => format!("closed by {}", escaped(guard)),
        Shown::Shown {
            columns,
            hidden,
            row_rules,
            row_guards,
            ..
        } => {
            let clear = columns.iter().filter(|column| column.clear).count();
            let filtered = row_rules + row_guards > 0;
            let parts = [
                (clear, "clear"),
                (columns.len() - clear, "masked"),
                (*hidden, "hidden"),
            ];
            let mut words: Vec<String> = parts
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            words.extend(filtered.then(|| "rows filtered".to_owned()));
            words.join(", ")
        }
    }
}

/// A text that stays in its cell.
fn escaped(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
        .replace('|', "\\|")
        .replace('<', "&lt;")
}

/// One object for each principal, purpose and place.
pub fn json(rows: &[Row]) -> Json {
    let rows = rows.iter().map(|row| {
        json!({
            "principal": row.principal,
            "organisation": row.organisation,
            "purpose": row.purpose,
            "ip": row.ip.map(|ip| ip.to_string()),
            "time": row.time.to_rfc3339(),
            "tables": row.tables.iter().map(cell).collect::<Json>(),
        })
    });
    rows.collect()
}

fn cell(cell: &Cell) -> Json {
    let table = &cell.table;
    match &cell.shown {
        Shown::Denied => json!({"table": table, "verdict": "denied"}),
        Shown::PurposeRequired => json!({"table": table, "verdict": "purpose_required"}),
        Shown::Closed { guard } => json!({"table": table, "verdict": "closed", "guard": guard}),
        Shown::Shown {
            agreements,
            row_rules,
            row_guards,
            columns,
            hidden,
            limits,
        } => {
            let columns = columns.iter().map(|one| {
                let (name, shown) = (&one.column, &one.shown);
                json!({"column": name, "shown": shown, "clear": one.clear})
            });
            json!({
                "table": table,
                "verdict": "shown",
                "agreements": agreements,
                "row_rules": row_rules,
                "row_guards": row_guards,
                "columns": columns.collect::<Json>(),
                "hidden": hidden,
                "limits": limits,
            })
        }
    }
}

/// A line for each column of each table that is shown, and one for each table that is not.
pub fn csv(rows: &[Row]) -> String {
    let mut text =
        "principal,organisation,purpose,ip,time,table,verdict,agreements,rows,column,shown\n"
            .to_owned();
    for row in rows {
        for cell in &row.tables {
            let verdict = match &cell.shown {
                Shown::Denied => "denied",
                Shown::PurposeRequired => "purpose required",
                Shown::Closed { .. } => "closed",
                Shown::Shown { .. } => "shown",
            };
            let (agreements, columns) = match &cell.shown {
                Shown::Shown {
                    agreements,
                    columns,
                    ..
                } => (agreements.join(" "), columns.as_slice()),
                Shown::Denied | Shown::PurposeRequired | Shown::Closed { .. } => {
                    (String::new(), &[][..])
                }
            };
            let ip = row.ip.map_or_else(String::new, |ip| ip.to_string());
            let start = [
                row.principal.clone(),
                row.organisation.clone(),
                row.purpose.clone().unwrap_or_default(),
                ip,
                row.time.to_rfc3339(),
                cell.table.clone(),
                verdict.to_owned(),
                agreements,
                self::rows(&cell.shown),
            ];
            let mut line = |column: &str, shown: &str| {
                let fields = start.iter().map(String::as_str).chain([column, shown]);
                let fields: Vec<String> = fields.map(field).collect();
                text.push_str(&fields.join(","));
                text.push('\n');
            };
            if columns.is_empty() {
                line("", "");
            }
            for column in columns {
                line(&column.column, &column.shown);
            }
        }
    }
    text
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
