//! A comparison as text.

use scrim_policy::compare::{
    AgreementChange, Detail, GuardChange, OrganisationChange, Presence, TableChange, Width,
};

use super::{Counted, Report};

/// All that differs, for reading.
pub(super) fn page(report: &Report) -> String {
    let mut lines = Lines::default();
    let (old, new) = (&report.difference.old, &report.difference.new);
    lines.add(0, &format!("old: {} (version {})", report.old, short(old)));
    lines.add(0, &format!("new: {} (version {})", report.new, short(new)));
    for table in &report.difference.tables {
        lines.add(0, "");
        self::table(table, report, &mut lines);
    }
    lines.add(0, "");
    for remark in &report.remarks {
        lines.add(0, &format!("note: {remark}"));
    }
    lines.add(0, &verdict(report));
    lines.text
}

/// The comparison in one line.
pub(super) fn verdict(report: &Report) -> String {
    let tables = report.difference.tables.len();
    match (tables, report.width()) {
        (0, _) if report.difference.old != report.difference.new => {
            "nothing differs in what is shown".to_owned()
        }
        (0, _) if !report.remarks.is_empty() => "the policies do not differ".to_owned(),
        (0, _) => "nothing differs".to_owned(),
        (1, width) => format!("1 table differs: {}", meaning(width)),
        (tables, width) => format!("{tables} tables differ: {}", meaning(width)),
    }
}

/// What a width means for those who see the tables.
pub(super) fn meaning(width: Width) -> &'static str {
    match width {
        Width::Equal => "the same is shown as before",
        Width::Wider => "more is shown than before",
        Width::Narrower => "less is shown than before",
        Width::Incomparable => "something more is shown than before, and something less",
        Width::Unknown => "it cannot be told whether more is shown than before",
    }
}

/// The beginning of a version.
fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn add(&mut self, indent: usize, line: &str) {
        let line = format!("{}{line}", " ".repeat(indent));
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

fn table(table: &TableChange, report: &Report, lines: &mut Lines) {
    let name = format!("{}.{}", table.table.schema, table.table.table);
    lines.add(
        0,
        &format!("{name}{}: {}", presence(table.presence), table.width),
    );
    for detail in &table.details {
        lines.add(2, &self::detail(detail));
    }
    for guard in &table.guards {
        self::guard(guard, lines);
    }
    for organisation in &table.organisations {
        self::organisation(organisation, report, lines);
    }
}

fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Added => " (new)",
        Presence::Removed => " (gone)",
        Presence::Changed => "",
    }
}

fn guard(guard: &GuardChange, lines: &mut Lines) {
    let (id, there) = (&guard.guard, presence(guard.presence));
    lines.add(2, &format!("guard {id}{there}: {}", guard.width));
    for detail in &guard.details {
        lines.add(4, &self::detail(detail));
    }
}

fn organisation(organisation: &OrganisationChange, report: &Report, lines: &mut Lines) {
    let columns = [
        ("gains", &organisation.gained),
        ("loses", &organisation.lost),
    ];
    let columns = columns
        .into_iter()
        .filter(|(_, columns)| !columns.is_empty());
    let columns: Vec<String> = columns
        .map(|(verb, columns)| format!("{verb} {}", columns.join(", ")))
        .collect();
    let colon = if columns.is_empty() { "" } else { ": " };
    let name = &organisation.organisation;
    lines.add(2, &format!("{name}{colon}{}", columns.join("; ")));
    for one in &organisation.agreements {
        let counted: Vec<&Counted> = report.counted_of(&one.agreement).collect();
        let (id, there) = (&one.agreement, presence(one.presence));
        lines.add(
            4,
            &format!("{id}{there} for {}: {}", one.purpose, one.width),
        );
        for line in agreement(one, &counted) {
            lines.add(6, &line);
        }
    }
}

/// What differs of an agreement, a line each.
pub(super) fn agreement(change: &AgreementChange, counted: &[&Counted]) -> Vec<String> {
    let mut lines: Vec<String> = change.details.iter().map(detail).collect();
    for (what, columns) in [
        ("columns gained", &change.gained),
        ("columns lost", &change.lost),
        ("columns replaced", &change.replaced),
    ] {
        if !columns.is_empty() {
            lines.push(format!("{what}: {}", columns.join(", ")));
        }
    }
    lines.extend(change.treatments.iter().map(ToString::to_string));
    lines.extend(change.limits.iter().map(ToString::to_string));
    if change.presence == Presence::Changed && change.rows != Width::Equal {
        let by = match change.rows {
            Width::Unknown => "logic cannot tell",
            Width::Equal | Width::Wider | Width::Narrower | Width::Incomparable => "by logic",
        };
        lines.push(format!("all rows that it gives: {}, {by}", change.rows));
    }
    lines.extend(counted.iter().map(|one| {
        format!(
            "rows counted today as {}: {} gained, {} lost",
            one.principal, one.gained, one.lost
        )
    }));
    lines
}

/// One part: what it was, what it is.
pub(super) fn detail(detail: &Detail) -> String {
    let part = &detail.part;
    let width = detail
        .width
        .map_or_else(String::new, |width| format!(" ({width})"));
    match (&detail.old, &detail.new) {
        (Some(old), Some(new)) => format!("{part}: {old} → {new}{width}"),
        (None, Some(new)) => format!("{part}: {new}{width}"),
        (Some(old), None) => format!("{part}: was {old}{width}"),
        (None, None) => format!("{part}{width}"),
    }
}
