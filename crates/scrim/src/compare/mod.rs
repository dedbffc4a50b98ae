//! Two states of policies against one another: where each comes from, what differs, and the pages
//! that say so.

mod count;
mod git;
mod markdown;
mod side;
mod text;

use std::collections::BTreeSet;

use scrim_model::TableName;
use scrim_policy::PolicySet;
use scrim_policy::compare::{Difference, Width, sets};
use scrim_server::Config;
use scrim_server::load::{self, Inputs, Typed};
use serde_json::{Value as Json, json};

pub use count::Counted;
pub use side::Side;

use crate::local::Bench;
use crate::outcome::Failure;

/// What to compare besides what logic tells.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Count the rows of every agreement whose rows differ, not only where logic cannot tell.
    pub count: bool,
    /// Only this table, as `schema.table`.
    pub table: Option<String>,
    /// Only this organisation.
    pub organisation: Option<String>,
}

/// Everything that differs between two states of policies.
#[derive(Debug)]
pub struct Report {
    /// What the old side is called.
    pub old: String,
    /// What the new side is called.
    pub new: String,
    /// What differs.
    pub difference: Difference,
    /// The rows that were counted.
    pub counted: Vec<Counted>,
    /// What to know about how it was found out.
    pub remarks: Vec<String>,
}

impl Report {
    /// How the new policies stand to the old ones.
    pub fn width(&self) -> Width {
        self.difference.width()
    }

    /// As text.
    pub fn text(&self) -> String {
        text::page(self)
    }

    /// As Markdown, for a pull request.
    pub fn markdown(&self) -> String {
        markdown::page(self)
    }

    /// As JSON.
    pub fn json(&self) -> Json {
        let counted = self.counted.iter().map(|one| {
            json!({
                "table": one.table,
                "agreement": one.agreement,
                "principal": one.principal,
                "gained": one.gained,
                "lost": one.lost,
            })
        });
        json!({
            "old": self.old,
            "new": self.new,
            "width": self.width(),
            "difference": self.difference,
            "counted": counted.collect::<Json>(),
            "remarks": self.remarks,
        })
    }

    /// What was counted of an agreement.
    fn counted_of(&self, agreement: &str) -> impl Iterator<Item = &Counted> {
        let counted = self.counted.iter();
        counted.filter(move |one| one.agreement == agreement)
    }
}

/// Compiles the policies of one side.
async fn typed(bench: &Bench, side: &Side) -> Result<Typed, Failure> {
    let inputs = Inputs {
        policies: side.folder().to_owned(),
        ..bench.inputs.clone()
    };
    let typed = load::typed(&inputs, bench.engine.functions()).await;
    typed.map_err(|problems| side.wrong(problems))
}

/// Compares two sides, with the sources that a configuration names.
///
/// # Errors
/// When policies of either side cannot be read or are wrong, or rows cannot be counted.
pub async fn compare(
    config: Config,
    (old, new): (&Side, &Side),
    options: &Options,
) -> Result<Report, Failure> {
    let bench = Bench::without_keys(config)?;
    let (was, is) = tokio::try_join!(typed(&bench, old), typed(&bench, new))?;
    known([&was.policy, &is.policy], options)?;
    let mut difference = sets(&was.policy, &is.policy);
    for (table, place) in &is.places {
        if let Some(before) = was.places.get(table).filter(|before| *before != place) {
            difference.moved(table, before.to_string(), place.to_string());
        }
    }
    narrow(&mut difference, options);
    let mut remarks = Vec::new();
    for (side, typed) in [(old, &was), (new, &is)] {
        for table in &typed.declared {
            remarks.push(format!(
                "{}.{} of {}: its source cannot be opened, so its columns are taken to be of the \
                 types that the contract says",
                table.schema,
                table.table,
                side.name()
            ));
        }
    }
    let counted = count::rows(&bench, (&was, &is), &difference, options, &mut remarks).await?;
    Ok(Report {
        old: old.name().to_owned(),
        new: new.name().to_owned(),
        difference,
        counted,
        remarks,
    })
}

/// Refuses a table or an organisation of which there is nothing on either side: that nothing differs
/// for a name with a slip in it would tell nobody anything.
fn known(sides: [&PolicySet; 2], options: &Options) -> Result<(), Failure> {
    if let Some(wanted) = &options.table {
        let all = sides.into_iter().flat_map(|set| {
            let left_out = set.left_out().iter().map(|one| &one.table);
            set.tables().map(|table| &table.name).chain(left_out)
        });
        let all: BTreeSet<&TableName> = all.collect();
        if !all.iter().any(|name| is_table(name, wanted)) {
            let all = all.iter();
            let all: Vec<_> = all
                .map(|name| format!("{}.{}", name.schema, name.table))
                .collect();
            return Err(unknown("table", wanted, &all));
        }
    }
    if let Some(wanted) = &options.organisation {
        let all: BTreeSet<&str> = sides
            .into_iter()
            .flat_map(PolicySet::organisations)
            .collect();
        if !all.contains(wanted.as_str()) {
            let all: Vec<_> = all.into_iter().map(str::to_owned).collect();
            return Err(unknown("organisation with an agreement", wanted, &all));
        }
    }
    Ok(())
}

fn unknown(what: &str, wanted: &str, all: &[String]) -> Failure {
    let all = if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    };
    Failure::Usage(format!(
        "there is no {what} `{wanted}` on either side; there are {all}"
    ))
}

fn is_table(name: &TableName, wanted: &str) -> bool {
    format!("{}.{}", name.schema, name.table) == *wanted || name.table == *wanted
}

/// Leaves out what was not asked for.
fn narrow(difference: &mut Difference, options: &Options) {
    if let Some(wanted) = &options.table {
        difference
            .tables
            .retain(|change| is_table(&change.table, wanted));
    }
    if let Some(wanted) = &options.organisation {
        for table in &mut difference.tables {
            table
                .organisations
                .retain(|one| one.organisation == *wanted);
            let agreements = table.organisations.iter().flat_map(|one| &one.agreements);
            // What is said of the table as a whole holds for every organisation.
            let widths = table.details.iter().filter_map(|detail| detail.width);
            let widths = widths.chain(agreements.map(|agreement| agreement.width));
            table.width = widths.fold(Width::Equal, Width::and);
        }
        difference.tables.retain(|table| {
            let whole = table.details.iter().any(|detail| detail.width.is_some());
            whole || !table.organisations.is_empty()
        });
    }
}
