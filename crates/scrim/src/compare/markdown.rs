//! A comparison as Markdown, for a pull request.

use scrim_policy::compare::{AgreementChange, OrganisationChange, Presence, TableChange, Width};

use super::text::{agreement, detail, verdict};
use super::{Counted, Report};

/// All that differs: a table of what changes for whom, and the parts behind it.
pub(super) fn page(report: &Report) -> String {
    let mut text = format!("### Policies: {}\n", verdict(report));
    if !report.difference.tables.is_empty() {
        text.push_str("\n| table | organisation | agreement | | rows | columns |\n");
        text.push_str("| --- | --- | --- | --- | --- | --- |\n");
    }
    for table in &report.difference.tables {
        for organisation in &table.organisations {
            for one in &organisation.agreements {
                text.push_str(&row(table, organisation, one, report));
            }
        }
        // What is said of the table as a whole is of no agreement.
        let whole = table.details.iter().any(|detail| detail.width.is_some());
        if whole || table.organisations.is_empty() {
            let name = format!("{}.{}", table.table.schema, table.table.table);
            let width = format!("{}{}", mark(table.width), table.width);
            let part = format!("| {} | | | {width} | | |\n", cell(&name));
            text.push_str(&part);
        }
    }
    for table in &report.difference.tables {
        text.push_str(&parts(table, report));
    }
    for remark in &report.remarks {
        let part = format!("\n> {}\n", line(remark));
        text.push_str(&part);
    }
    text
}

fn row(
    table: &TableChange,
    organisation: &OrganisationChange,
    one: &AgreementChange,
    report: &Report,
) -> String {
    let there = match one.presence {
        Presence::Added => "new, ",
        Presence::Removed => "gone, ",
        Presence::Changed => "",
    };
    let mut rows = match one.presence {
        Presence::Changed => one.rows.to_string(),
        Presence::Added | Presence::Removed => String::new(),
    };
    for counted in report.counted_of(&one.agreement) {
        let part = format!(
            "; {}: {} gained, {} lost",
            counted.principal, counted.gained, counted.lost
        );
        rows.push_str(&part);
    }
    let mut columns: Vec<String> = Vec::new();
    columns.extend(one.gained.iter().map(|column| format!("+{column}")));
    columns.extend(one.lost.iter().map(|column| format!("−{column}")));
    columns.extend(one.replaced.iter().map(|column| format!("≠{column}")));
    columns.extend(one.treatments.iter().map(ToString::to_string));
    let name = format!("{}.{}", table.table.schema, table.table.table);
    let cells = [
        cell(&name),
        cell(&organisation.organisation),
        cell(&one.agreement),
        format!("{there}{}{}", mark(one.width), one.width),
        cell(&rows),
        cell(&columns.join(", ")),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// What a reviewer must look at stands out.
fn mark(width: Width) -> &'static str {
    if width.widens() { "⚠ " } else { "" }
}

fn parts(table: &TableChange, report: &Report) -> String {
    let name = format!("{}.{}", table.table.schema, table.table.table);
    let mut text = format!("\n<details><summary>{}</summary>\n\n", line(&name));
    for one in &table.details {
        let part = format!("- {}\n", line(&detail(one)));
        text.push_str(&part);
    }
    for guard in &table.guards {
        let part = format!("- guard {}: {}\n", line(&guard.guard), guard.width);
        text.push_str(&part);
        for one in &guard.details {
            let part = format!("  - {}\n", line(&detail(one)));
            text.push_str(&part);
        }
    }
    for organisation in &table.organisations {
        for one in &organisation.agreements {
            let id = line(&one.agreement);
            let part = format!("- {id} for {}: {}\n", line(&one.purpose), one.width);
            text.push_str(&part);
            let counted: Vec<&Counted> = report.counted_of(&one.agreement).collect();
            for part in agreement(one, &counted) {
                let part = format!("  - {}\n", line(&part));
                text.push_str(&part);
            }
        }
    }
    text.push_str("\n</details>\n");
    text
}

/// A text inside a cell.
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// A text that cannot be taken for markup: documents are written by people, and a pull request is
/// read by others.
fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => safe.push(' '),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '`' | '*' | '_' | '[' | ']' | '\\' => {
                safe.push('\\');
                safe.push(character);
            }
            other => safe.push(other),
        }
    }
    safe
}
