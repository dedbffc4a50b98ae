//! `scrim ledger`.

use std::path::Path;

use scrim_ledger::{Filter, Outcome, Record};

use crate::cli::{Ledger, LedgerShow};
use crate::out::Out;
use crate::outcome::Failure;
use crate::past::{damaged, ledger_file};
use crate::render::text;

/// Verifies or shows a ledger.
pub(crate) fn run(command: &Ledger, out: &mut Out) -> Result<(), Failure> {
    match command {
        Ledger::Verify(ledger) => verify(&ledger.path, out),
        Ledger::Show(arguments) => show(arguments, out),
    }
}

fn verify(path: &Path, out: &mut Out) -> Result<(), Failure> {
    let path = ledger_file(path)?;
    match scrim_ledger::verify(&path) {
        Ok(verified) => {
            let open = match verified.open {
                0 => String::new(),
                open => format!(", {open} open"),
            };
            out.line(format_args!(
                "{}: {} entries, all in order{open}; head {}",
                path.display(),
                verified.entries,
                verified.head
            ))?;
            Ok(())
        }
        Err(damage) => Err(Failure::Failed(format!("{}: {damage}", path.display()))),
    }
}

fn show(arguments: &LedgerShow, out: &mut Out) -> Result<(), Failure> {
    let path = ledger_file(&arguments.ledger.path)?;
    let outcome = arguments
        .outcome
        .as_deref()
        .map(str::parse::<Outcome>)
        .transpose()
        .map_err(Failure::Usage)?;
    let filter = Filter {
        query: None,
        principal: arguments.principal.clone(),
        table: arguments.table.clone(),
        since: arguments.since,
        until: arguments.until,
        outcome,
    };
    let damaged = damaged(&path);
    for record in scrim_ledger::read(&path, filter).map_err(&damaged)? {
        let record = record.map_err(&damaged)?;
        if arguments.json {
            let line = serde_json::to_string(&record).map_err(|error| Failure::failed(&error))?;
            writeln!(out.results(), "{line}")?;
        } else {
            write_record(&record, out)?;
        }
    }
    Ok(out.results().flush()?)
}

fn write_record(record: &Record, out: &mut Out) -> Result<(), Failure> {
    let at = record.at.format("%Y-%m-%d %H:%M:%S");
    let rows = record
        .rows
        .map_or_else(String::new, |rows| format!(" {rows} rows"));
    let code = record
        .code
        .as_ref()
        .map_or_else(String::new, |code| format!(" {code}"));
    let purpose = record
        .purpose
        .as_ref()
        .map_or_else(String::new, |purpose| format!(" for {purpose}"));
    let from = record
        .address
        .map_or_else(String::new, |address| format!(" from {address}"));
    let statement = record.statement.map_or_else(String::new, |statement| {
        format!(" of statement {statement}")
    });
    let to = out.results();
    writeln!(
        to,
        "{at}  {}{code}{rows}  {} ({}){purpose}{from}  query {}{statement}",
        record.outcome, record.principal, record.org, record.query
    )?;
    writeln!(to, "    {}", text::printable(&record.sql))?;
    if !record.tables.is_empty() {
        let under = match record.agreements.as_slice() {
            [] => String::new(),
            agreements => format!(" under {}", agreements.join(", ")),
        };
        writeln!(to, "    {}{under}", record.tables.join(", "))?;
    }
    if let Some(reason) = &record.reason {
        writeln!(to, "    {}", text::printable(reason))?;
    }
    Ok(())
}
