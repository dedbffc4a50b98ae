//! What policies that are not enforced would have shown otherwise, for the owner to read.

use std::collections::BTreeSet;
use std::fmt;

use scrim_ledger::{ShadowCounts, ShadowSummary};

use crate::render::text::printable;

/// A summary as text.
pub(crate) fn text(summary: &ShadowSummary) -> impl fmt::Display {
    Text(summary)
}

struct Text<'a, T>(&'a T);

impl fmt::Display for Text<'_, ShadowSummary> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(summary) = self;
        let (Some(version), Some(since)) = (&summary.version, summary.since) else {
            return f.write_str(
                "the ledger tells of no shadow: name a folder with `shadow` in scrim.yaml",
            );
        };
        let since = since.format("%Y-%m-%d %H:%M:%S");
        write!(
            f,
            "shadow {version} since {since}: {}",
            queries(summary.queries)
        )?;
        if summary.missed > 0 {
            write!(
                f,
                ", {} of them not decided again for want of time",
                summary.missed
            )?;
        }
        if summary.differences.iter().next().is_none() {
            f.write_str("; nothing would be otherwise")?;
        }
        if let Some(stopped) = summary.stopped {
            let stopped = stopped.format("%Y-%m-%d %H:%M:%S");
            write!(
                f,
                "\nno query was decided under it since {stopped}: the server's log says why"
            )?;
        }
        for (org, table, counts) in summary.differences.iter() {
            let (org, table) = (printable(org), printable(table));
            let (differ, all) = (counts.differ, queries(counts.queries));
            write!(f, "\n\n{org}, {table}: otherwise for {differ} of {all}")?;
            Text(counts).fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Text<'_, ShadowCounts> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(counts) = self;
        let columns = |columns: &BTreeSet<String>| {
            let columns: Vec<_> = columns.iter().map(|column| printable(column)).collect();
            columns.join(", ")
        };
        if counts.refused > 0 {
            write!(f, "\n    {} would be refused", counts.refused)?;
        }
        for (count, what, columns) in [
            (
                counts.gain,
                "see further columns",
                columns(&counts.columns_gained),
            ),
            (
                counts.lose,
                "no longer see columns",
                columns(&counts.columns_lost),
            ),
            (
                counts.treated,
                "see columns in another way",
                columns(&counts.columns_treated),
            ),
        ] {
            if count > 0 {
                write!(f, "\n    {count} would {what}: {columns}")?;
            }
        }
        for (how, count) in &counts.rows {
            let rows = match how.as_str() {
                "wider" => "see further rows",
                "narrower" => "see fewer rows",
                "incomparable" => "see other rows, some more and some fewer",
                _ => "be shown rows by another rule",
            };
            write!(f, "\n    {count} would {rows}")?;
        }
        if counts.limits > 0 {
            write!(f, "\n    {} would have other limits", counts.limits)?;
        }
        Ok(())
    }
}

fn queries(count: u64) -> String {
    match count {
        1 => "1 query".to_owned(),
        count => format!("{count} queries"),
    }
}
