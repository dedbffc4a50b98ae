//! Two states of policies against one another: where each comes from, what differs, and the pages
//! that say so.

mod count;
mod git;
mod markdown;
mod side;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use scrim_document::nearest;
use scrim_engine::{Engine, World};
use scrim_identity::KeyFile;
use scrim_ledger::Ledger;
use scrim_model::{Clock, Secret, SystemClock, TableName};
use scrim_policy::PolicySet;
use scrim_policy::compare::{Difference, Width, sets};
use scrim_server::Config;
use scrim_server::load::{self, Inputs, Typed};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

pub use count::Counted;
pub use side::Side;

use crate::local::engine_settings;
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

/// An engine for compiling policies and counting rows; its ledger is thrown away.
struct Bench {
    config: Config,
    engine: Engine,
    root_key: Secret<[u8; 32]>,
    _scratch: TempDir,
}

impl Bench {
    fn new(config: Config) -> Result<Self, Failure> {
        let scratch = tempfile::tempdir()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // Counting shows no value, so no mask's key matters.
        let keys = KeyFile::generate(clock.now()).map_err(|error| Failure::usage(&error))?;
        let (ledger, _) = Ledger::open(&scratch.path().join("ledger"), Arc::clone(&clock))
            .map_err(|error| Failure::failed(&error))?;
        let settings = engine_settings(&config, scratch.path().join("spill"));
        let engine =
            Engine::new(settings, ledger, clock).map_err(|error| Failure::failed(&error))?;
        Ok(Self {
            config,
            engine,
            root_key: keys.root_key(),
            _scratch: scratch,
        })
    }

    /// Compiles the policies of one side.
    async fn typed(&self, side: &Side) -> Result<Typed, Failure> {
        let mut config = self.config.clone();
        side.folder().clone_into(&mut config.policies);
        let inputs = Inputs::new(&config)?;
        let typed = load::typed(&inputs, self.engine.functions()).await;
        typed.map_err(|problems| side.wrong(problems))
    }

    /// Puts another policy set over the tables of one side.
    fn serve(&self, typed: &Typed, policy: PolicySet) {
        let world: World = typed.world(policy, self.root_key.clone());
        self.engine.load(world);
    }
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
    let bench = Bench::new(config)?;
    compare_on(&bench, (old, new), options).await
}

async fn compare_on(
    bench: &Bench,
    (old, new): (&Side, &Side),
    options: &Options,
) -> Result<Report, Failure> {
    let (was, is) = tokio::try_join!(bench.typed(old), bench.typed(new))?;
    there(options, &was.policy, &is.policy)?;
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
    let counted = count::rows(bench, (&was, &is), &difference, options, &mut remarks).await?;
    Ok(Report {
        old: old.name().to_owned(),
        new: new.name().to_owned(),
        difference,
        counted,
        remarks,
    })
}

/// What is asked for must be there on a side: of a name that is written wrong nothing ever differs.
fn there(options: &Options, old: &PolicySet, new: &PolicySet) -> Result<(), Failure> {
    if let Some(wanted) = &options.table {
        let tables = old.tables().chain(new.tables());
        let tables: Vec<_> = tables.map(|table| &table.name).collect();
        if !tables.iter().any(|name| is_named(name, wanted)) {
            let known = tables.iter();
            let known = known.map(|name| format!("{}.{}", name.schema, name.table));
            let message = format!("neither side has a table `{wanted}`");
            return Err(unknown(message, wanted, &known.collect()));
        }
    }
    if let Some(wanted) = &options.organisation {
        let sides = [old, new].into_iter();
        let known = sides.flat_map(|side| side.organisations().into_iter().map(str::to_owned));
        let known: BTreeSet<String> = known.collect();
        if !known.contains(wanted) {
            let message = format!("neither side has an agreement with `{wanted}`");
            return Err(unknown(message, wanted, &known));
        }
    }
    Ok(())
}

fn unknown(message: String, wanted: &str, known: &BTreeSet<String>) -> Failure {
    Failure::Usage(match nearest(wanted, known.iter().map(String::as_str)) {
        Some(near) => format!("{message}: did you mean `{near}`?"),
        None => message,
    })
}

fn is_named(name: &TableName, wanted: &str) -> bool {
    name.table == wanted || format!("{}.{}", name.schema, name.table) == wanted
}

/// Leaves out what was not asked for.
fn narrow(difference: &mut Difference, options: &Options) {
    if let Some(wanted) = &options.table {
        let tables = &mut difference.tables;
        tables.retain(|change| is_named(&change.table, wanted));
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
