//! Why each person sees what it sees, in a few lines for each table.

use scrim_policy::{Decision, Table, Verdict};

use super::show::PAGE;
use crate::explain::{hidden_columns, masked_columns};
use crate::render::text::wrap;

/// Columns of the table's name at the left.
const LEFT: usize = 20;

/// The lines for one table.
pub(crate) fn lines(decision: &Decision, table: &Table) -> Vec<String> {
    let name = format!("  {}.{}", decision.table.schema, decision.table.table);
    let mut texts = Vec::new();
    match &decision.verdict {
        Verdict::Shown => {}
        Verdict::NoAgreement => texts.push("no agreement matches: does not exist".to_owned()),
        Verdict::PurposeRequired => texts.push("a purpose must be stated".to_owned()),
        Verdict::Closed { guard, .. } => texts.push(format!("closed by the guard {guard}")),
    }
    for arm in &decision.arms {
        let contract = &table.contract;
        let rows = arm.rows.as_ref().map_or_else(
            || "all rows".to_owned(),
            |rows| {
                format!(
                    "rows {}",
                    rows.text.split_whitespace().collect::<Vec<_>>().join(" ")
                )
            },
        );
        texts.push(format!(
            "{} → profile {} of contract {} {}: {rows}",
            arm.agreement, arm.profile, contract.id, contract.version
        ));
    }
    let masked: Vec<String> = masked_columns(decision)
        .into_iter()
        .map(|(name, mask)| format!("{name} ({mask})"))
        .collect();
    if !masked.is_empty() {
        texts.push(format!("masked: {}", masked.join(", ")));
    }
    let hidden = hidden_columns(decision, table);
    if decision.verdict == Verdict::Shown && !hidden.is_empty() {
        texts.push(format!("not there: {}", hidden.join(", ")));
    }
    let mut lines = Vec::new();
    for text in &texts {
        for line in wrap(text, PAGE - LEFT - 1) {
            let left = if lines.is_empty() { name.as_str() } else { "" };
            lines.push(format!("{left:<LEFT$} {line}"));
        }
    }
    lines
}
