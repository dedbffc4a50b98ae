//! A report for programs.

use std::time::Duration;

use scrim_document::Location;
use serde_json::{Map, Value, json};

use super::{CoverageReport, Report};
use crate::policy_test::{CaseResult, Difference, FileResult};

/// Writes a report as JSON.
pub fn render(report: &Report) -> String {
    let (passed, failed) = report.counts();
    let json = json!({
        "passed": passed,
        "failed": failed,
        "milliseconds": milliseconds(report.took),
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
        "coverage": report.coverage.as_ref().map(coverage),
    });
    format!("{json:#}\n")
}

fn file(file: &FileResult) -> Value {
    json!({
        "file": file.path,
        "cases": file.cases.iter().map(case).collect::<Vec<_>>(),
    })
}

fn case(case: &CaseResult) -> Value {
    json!({
        "name": case.name,
        "persona": case.persona,
        "line": case.location.line,
        "passed": case.differences.is_empty(),
        "milliseconds": milliseconds(case.took),
        "differences": case.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

fn difference(difference: &Difference) -> Value {
    placed(&difference.at, [("message", difference.message.as_str())])
}

fn coverage(coverage: &CoverageReport) -> Value {
    let parts = coverage.parts.iter().map(|(part, touched, all)| {
        let share = json!({"touched": touched, "all": all});
        ((*part).to_owned(), share)
    });
    let missing = coverage.missing.iter().map(|missing| {
        let texts = [
            ("part", missing.part),
            ("message", missing.message.as_str()),
        ];
        placed(&missing.at, texts)
    });
    json!({
        "percent": coverage.percent(),
        "parts": parts.collect::<Map<_, _>>(),
        "missing": missing.collect::<Vec<_>>(),
    })
}

fn placed<const N: usize>(at: &Location, texts: [(&str, &str); N]) -> Value {
    let mut object: Map<String, Value> = texts
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text.into()))
        .collect();
    object.insert("file".to_owned(), (*at.file).into());
    object.insert("line".to_owned(), at.line.into());
    object.insert("column".to_owned(), at.column.into());
    Value::Object(object)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
