//! A report for people.

use std::fmt::Write as _;

use super::{CoverageReport, Report, title};
use crate::render::text::printable;

/// Writes a report as lines.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for file in &report.files {
        line(&mut out, &printable(&file.path));
        for case in &file.cases {
            let mark = if case.differences.is_empty() {
                "✔"
            } else {
                "✘"
            };
            line(&mut out, &format!("  {mark} {}", printable(&title(case))));
            for difference in &case.differences {
                // A difference quotes values of the tables.
                let message = printable(&difference.message);
                line(&mut out, &format!("      {message} ({})", difference.at));
            }
        }
    }
    if let Some(coverage) = &report.coverage {
        covered(&mut out, coverage);
    }
    let (passed, failed) = report.counts();
    let seconds = report.took.as_secs_f64();
    line(
        &mut out,
        &format!("{passed} passed, {failed} failed, in {seconds:.1} s"),
    );
    out
}

fn covered(out: &mut String, coverage: &CoverageReport) {
    let parts = coverage.parts.iter();
    let parts = parts.map(|(part, touched, all)| format!("{part} {touched} of {all}"));
    let parts: Vec<String> = parts.collect();
    let percent = coverage.percent();
    line(out, &format!("coverage {percent} %: {}", parts.join(", ")));
    for missing in &coverage.missing {
        line(
            out,
            &format!("  {} ({})", printable(&missing.message), missing.at),
        );
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let written = writeln!(out, "{text}");
    debug_assert!(written.is_ok());
}
