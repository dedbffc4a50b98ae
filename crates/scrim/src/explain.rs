//! Decisions in words that a data owner reads, down to file and line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use scrim_document::Location;
use scrim_model::{Limits, Principal, Value};
use scrim_policy::{Clause, ColumnDecision, Decision, Narrowing, Showing, Table, Verdict};

use crate::render::text::{printable, width, wrap};

/// Columns of a line.
const LINE: usize = 100;
/// Columns of the names at the left.
const NAMES_MAX: usize = 26;

/// One table's decision, told to its owner.
pub fn decision(decision: &Decision, table: Option<&Table>, principal: &Principal) -> String {
    let mut page = Page::default();
    page.line(0, &heading(decision, table));
    page.line(2, &verdict(decision, principal));
    narrowing(decision, &mut page);
    agreements(decision, &mut page);
    if decision.verdict == Verdict::Shown {
        rows(decision, &mut page);
        columns(decision, table, &mut page);
        limits(decision.limits, &mut page);
    }
    page.text
}

/// The columns that exist in the contract and not for the principal.
pub fn hidden_columns(decision: &Decision, table: &Table) -> Vec<String> {
    let visible: Vec<&str> = decision
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let all = table.schema.fields().iter().map(|field| field.name());
    all.filter(|name| !visible.contains(&name.as_str()))
        .cloned()
        .collect()
}

/// The columns that are not simply clear, each with what is done to it, in few words.
pub fn masked_columns(decision: &Decision) -> Vec<(String, String)> {
    let mut masked = Vec::new();
    for column in &decision.columns {
        let mut words: Vec<String> = Vec::new();
        for treatment in &column.treatments {
            if !treatment.is_clear() {
                let word = briefly(&treatment.root, &treatment.nested);
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        if !words.is_empty() {
            masked.push((column.name.clone(), words.join(" or ")));
        }
    }
    masked
}

fn briefly(root: &Showing, nested: &[(String, Showing)]) -> String {
    let name = |showing: &Showing| match showing {
        Showing::Clear => "clear".to_owned(),
        Showing::Masked(mask) => mask.name().to_owned(),
        Showing::Hidden => "hidden".to_owned(),
    };
    if nested.is_empty() {
        return name(root);
    }
    let parts: Vec<String> = nested
        .iter()
        .filter(|(_, showing)| *showing != Showing::Clear)
        .map(|(path, showing)| format!("{path}: {}", name(showing)))
        .collect();
    parts.join(", ")
}

/// Lines under one another, names at the left, text at the right.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    pub(crate) fn line(&mut self, indent: usize, text: &str) {
        for line in wrap(text, LINE - indent) {
            self.push(indent, "", 0, &line);
        }
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.push(2, "", 0, text);
    }

    /// A name and its text, which is wrapped beside it.
    fn entry(&mut self, name: &str, names: usize, text: &str) {
        let mut name = name;
        for line in wrap(text, LINE - 6 - names) {
            self.push(4, name, names, &line);
            name = "";
        }
    }

    /// One of several facts that stand under a first line.
    pub(crate) fn fact(&mut self, name: &str, names: usize, text: &str) {
        let mut name = name;
        for line in wrap(text, LINE - 4 - names) {
            self.push(2, name, names, &line);
            name = "";
        }
    }

    /// A line as it is.
    pub(crate) fn verbatim(&mut self, indent: usize, text: &str) {
        self.push(indent, "", 0, text);
    }

    fn push(&mut self, indent: usize, name: &str, names: usize, text: &str) {
        let gap = if names == 0 {
            0
        } else {
            (names + 2).saturating_sub(width(name)).max(1)
        };
        // writing to a string cannot fail
        // Some of it was chosen by those who asked.
        let (name, text) = (printable(name), printable(text));
        let written = writeln!(
            self.text,
            "{}{name}{}{text}",
            " ".repeat(indent),
            " ".repeat(gap)
        );
        debug_assert!(written.is_ok());
    }
}

fn heading(decision: &Decision, table: Option<&Table>) -> String {
    let name = format!("{}.{}", decision.table.schema, decision.table.table);
    match (
        &decision.contract,
        table.and_then(|table| table.description.as_ref()),
    ) {
        (Some(contract), description) => {
            let about = description.map_or_else(String::new, |text| format!(": {text}"));
            format!(
                "{name}{about} (contract {} {}, {})",
                contract.id, contract.version, contract.location
            )
        }
        (None, _) => format!("{name} (no contract)"),
    }
}

fn verdict(decision: &Decision, principal: &Principal) -> String {
    let who = format!("{} ({})", principal.id, principal.org);
    let purpose = decision
        .purpose
        .as_ref()
        .map_or_else(String::new, |p| format!(" for {p}"));
    match &decision.verdict {
        Verdict::Shown => format!("Shown to {who}{purpose}."),
        Verdict::NoAgreement if decision.contract.is_none() => {
            "No contract governs a table of this name, so for everybody it does not exist."
                .to_owned()
        }
        Verdict::NoAgreement if decision.narrowing.is_some() => {
            format!(
                "Taken away by a decision from outside, so for {who} this table does not exist."
            )
        }
        Verdict::NoAgreement => {
            format!("No agreement matches, so for {who} this table does not exist.")
        }
        Verdict::PurposeRequired => {
            format!("Agreements for several purposes match, so {who} must state one.")
        }
        Verdict::Closed { guard, location } => {
            format!("Closed for this request by the guard {guard} ({location}), whoever asks.")
        }
    }
}

/// What was decided outside the policies, and by whom.
fn narrowing(decision: &Decision, page: &mut Page) {
    let Some(narrowing) = &decision.narrowing else {
        return;
    };
    let Narrowing {
        origin,
        allow,
        hide,
        rows,
        reason,
    } = narrowing.as_ref();
    page.heading("Decided outside");
    let mut texts = Vec::new();
    if !allow {
        texts.push("takes the table away".to_owned());
    }
    if !hide.is_empty() {
        let names: Vec<&str> = hide.iter().map(String::as_str).collect();
        texts.push(format!("takes away {}", names.join(", ")));
    }
    if let Some(rows) = rows {
        let rows = rows.split_whitespace().collect::<Vec<_>>().join(" ");
        texts.push(format!("lets through only rows with {rows}"));
    }
    if texts.is_empty() {
        texts.push("takes nothing away".to_owned());
    }
    let reason = reason.as_ref();
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    page.line(4, &format!("{origin} {}{reason}", texts.join("; ")));
}

fn agreements(decision: &Decision, page: &mut Page) {
    let names = decision.arms.iter().map(|arm| arm.agreement.as_str());
    let names = column_width(names.chain(decision.unmatched.iter().map(|u| u.agreement.as_str())));
    if !decision.arms.is_empty() {
        page.heading("Agreements that match");
    }
    for arm in &decision.arms {
        let until = arm
            .until
            .map_or_else(|| "without end".to_owned(), |day| format!("until {day}"));
        let text = format!(
            "gives the profile {} ({}) for {}, {until} ({})",
            arm.profile, arm.profile_location, arm.purpose, arm.agreement_location
        );
        page.entry(&arm.agreement, names, &text);
    }
    if !decision.unmatched.is_empty() {
        page.heading("Agreements that do not match");
    }
    for unmatched in &decision.unmatched {
        let text = format!("{} ({})", unmatched.reason, unmatched.location);
        page.entry(&unmatched.agreement, names, &text);
    }
}

fn rows(decision: &Decision, page: &mut Page) {
    let guards = decision
        .guards
        .iter()
        .filter_map(|guard| Some((&guard.id, guard.rows.as_ref()?)));
    let guards: Vec<_> = guards.collect();
    let names = decision.arms.iter().map(|arm| arm.agreement.as_str());
    let names = column_width(names.chain(guards.iter().map(|(id, _)| id.as_str())));
    page.heading(match decision.arms.as_slice() {
        [_] => "Rows that the agreement admits",
        _ => "Rows that at least one agreement admits",
    });
    for arm in &decision.arms {
        match &arm.rows {
            Some(rows) => page.entry(&arm.agreement, names, &clause(rows)),
            None => page.entry(&arm.agreement, names, "all rows"),
        }
    }
    if !guards.is_empty() {
        page.heading("and that every guard lets through");
    }
    for (id, rows) in guards {
        page.entry(id, names, &clause(rows));
    }
}

fn clause(clause: &Clause) -> String {
    let mut text = clause.text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !clause.bindings.is_empty() {
        text.push_str(" with ");
        text.push_str(&bindings(&clause.bindings));
    }
    format!("{text} ({})", clause.location)
}

fn bindings(bindings: &BTreeMap<String, Value>) -> String {
    let pairs: Vec<String> = bindings
        .iter()
        .map(|(name, value)| format!("{name} = {}", value_text(value)))
        .collect();
    pairs.join(", ")
}

pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Float64(value) => value.to_string(),
        Value::Timestamp(value) => value.to_rfc3339(),
        Value::Text(value) => format!("'{value}'"),
        Value::TextList(values) => {
            let values: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
            format!("[{}]", values.join(", "))
        }
    }
}

fn columns(decision: &Decision, table: Option<&Table>, page: &mut Page) {
    page.heading("Columns");
    let names = column_width(decision.columns.iter().map(|column| column.name.as_str()));
    for column in &decision.columns {
        page.entry(&column.name, names, &column_text(decision, column));
    }
    let hidden = table
        .map(|table| hidden_columns(decision, table))
        .unwrap_or_default();
    if !hidden.is_empty() {
        page.heading("Columns that do not exist for this principal");
        page.line(4, &hidden.join(", "));
    }
}

fn column_text(decision: &Decision, column: &ColumnDecision) -> String {
    let mut parts: Vec<(String, Vec<&str>)> = Vec::new();
    for ((treatment, location), arm) in column
        .treatments
        .iter()
        .zip(&column.location)
        .zip(&decision.arms)
    {
        let text = treatment_text(&treatment.root, &treatment.nested, location);
        match parts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, arms)) => arms.push(&arm.agreement),
            None => parts.push((text, vec![&arm.agreement])),
        }
    }
    if let [(text, _)] = parts.as_slice() {
        return text.clone();
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(text, arms)| format!("on rows of {}: {text}", arms.join(" and ")))
        .collect();
    parts.join("; ")
}

fn treatment_text(root: &Showing, nested: &[(String, Showing)], location: &Location) -> String {
    let mut text = showing_text(root);
    for (path, showing) in nested {
        text.push_str(", ");
        text.push_str(path);
        text.push_str(": ");
        text.push_str(&showing_text(showing));
    }
    format!("{text} ({location})")
}

fn showing_text(showing: &Showing) -> String {
    match showing {
        Showing::Clear => "clear".to_owned(),
        Showing::Masked(mask) => mask.to_string(),
        Showing::Hidden => "NULL".to_owned(),
    }
}

fn limits(limits: Limits, page: &mut Page) {
    let all = [
        (limits.max_rows, "rows in one result"),
        (limits.max_bytes, "bytes in one result"),
        (limits.queries_per_minute, "queries a minute"),
        (limits.concurrent_queries, "queries at once"),
    ];
    let said: Vec<String> = all
        .iter()
        .filter_map(|(limit, unit)| Some(format!("{} {unit}", (*limit)?)))
        .collect();
    if !said.is_empty() {
        page.heading("Limits");
        page.line(4, &format!("at most {}", said.join(", ")));
    }
}

fn column_width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(width).max().unwrap_or_default().min(NAMES_MAX)
}
