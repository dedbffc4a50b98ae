//! `scrim source check`.

use std::time::Duration;

use futures::StreamExt;
use scrim_document::{Problem, Problems};
use scrim_server::Config;
use scrim_server::load::{self, Inputs, SourceReport};
use serde_json::{Value, json};

use super::runtime;
use crate::cli::{Source, SourceCheck};
use crate::out::Out;
use crate::outcome::Failure;
use crate::render::text;

/// Looks at sources.
pub(crate) fn run(command: &Source, out: &mut Out) -> Result<(), Failure> {
    match command {
        Source::Check(arguments) => runtime()?.block_on(check(arguments, out)),
    }
}

async fn check(arguments: &SourceCheck, out: &mut Out) -> Result<(), Failure> {
    let inputs = Inputs::new(&Config::load(&arguments.config)?)?;
    let mut looking = load::sources(&inputs)?;
    let mut reports: Vec<SourceReport> = Vec::new();
    while let Some(report) = looking.next().await {
        reports.push(report);
        out.progress(format_args!("{} looked at", sources(reports.len())));
    }
    out.end_progress();
    if arguments.json {
        let reports: Vec<Value> = reports.iter().map(as_json).collect();
        let json = serde_json::to_string_pretty(&reports).map_err(|e| Failure::failed(&e))?;
        out.line(json)?;
    } else {
        print(&reports, out)?;
    }
    if reports.iter().all(|report| report.problems.is_empty()) {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

const HEAD: [&str; 5] = ["table", "found", "rows", "time", "source"];

fn print(reports: &[SourceReport], out: &mut Out) -> Result<(), Failure> {
    let rows: Vec<[String; 5]> = reports.iter().map(row).collect();
    let mut widths = HEAD.map(text::width);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = text::width(cell).max(*width);
        }
    }
    let line = |cells: [&str; 5]| {
        let cells = cells.iter().zip(widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| text::fit(cell, width, at == 2 || at == 3));
        cells.collect::<Vec<_>>().join("  ")
    };
    out.line(line(HEAD).trim_end())?;
    for row in &rows {
        out.line(line(row.each_ref().map(String::as_str)).trim_end())?;
    }
    for report in reports.iter().filter(|report| !report.unlisted.is_empty()) {
        let columns = text::printable(&report.unlisted.join(", "));
        let table = &report.table;
        out.line(format_args!(
            "{table}: the contract does not list {columns}; hidden"
        ))?;
    }
    let problems = reports.iter().flat_map(|report| &report.problems);
    let problems: Problems = problems.cloned().collect();
    if !problems.is_empty() {
        out.line(problems.render().trim_end())?;
    }
    let all = sources(reports.len());
    let wrong = reports.iter().filter(|report| !report.problems.is_empty());
    match wrong.count() {
        0 => out.line(format_args!("{all}, all in order"))?,
        wrong => out.line(format_args!("{all}, {wrong} to mend"))?,
    }
    Ok(())
}

fn row(report: &SourceReport) -> [String; 5] {
    let found = match report.problems.len() {
        0 => "in order".to_owned(),
        1 => "1 problem".to_owned(),
        problems => format!("{problems} problems"),
    };
    [
        text::printable(&report.table),
        found,
        report
            .rows
            .map(|rows| format!("~{rows}"))
            .unwrap_or_default(),
        took(report.took),
        text::printable(report.place.as_deref().unwrap_or_default()),
    ]
}

fn sources(count: usize) -> String {
    match count {
        1 => "1 source".to_owned(),
        count => format!("{count} sources"),
    }
}

fn took(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn as_json(report: &SourceReport) -> Value {
    let problem = |problem: &Problem| {
        let at = problem.location();
        json!({
            "message": problem.message(),
            "help": problem.help(),
            "file": &*at.file,
            "line": at.line,
            "column": at.column,
        })
    };
    json!({
        "table": report.table,
        "contract": report.contract,
        "source": report.place,
        "in_order": report.problems.is_empty(),
        "rows": report.rows,
        "milliseconds": u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        "problems": report.problems.iter().map(problem).collect::<Vec<_>>(),
        "unlisted": report.unlisted,
    })
}
