//! What a policy set may say and its owner hardly means.
//!
//! A lint reads the documents beside what they were compiled to, and finds places. Each has a stable
//! id and a name, a severity, a reason and a way out; all of them stand in [`LINTS`]. A comment in
//! the document silences one at one place, with a reason (see `allow`).
//!
//! Like all of this crate it is pure: the day, the ages of look-up tables and what the ledger knows
//! are passed in.

mod agreements;
mod allow;
mod identifiers;
mod masks;
mod rules;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use chrono::NaiveDate;
use scrim_document::Location;

use crate::access::AccessPolicy;
use crate::set::{Agreement, Governed};
use crate::{AgreementDocument, AgreementStatus, ContractDocument, Documents, PolicySet};

/// Something to look for.
#[derive(Debug, PartialEq, Eq)]
pub struct Lint {
    /// Its id, which stays.
    pub id: &'static str,
    /// Its name, for people.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it finds.
    pub finds: &'static str,
    /// What to do about it.
    pub way_out: &'static str,
    /// Whether the documents alone decide it, and neither the day nor what else is known.
    pub lasting: bool,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Likely not meant.
    Warning,
    /// Certainly not meant.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All lints, by id.
pub static LINTS: [&Lint; 23] = [
    &together::MASK_CONFLICT,
    &agreements::NEVER_MATCHES,
    &agreements::OVER,
    &rules::PROFILE_UNUSED,
    &rules::TAG_SHADOWED,
    &rules::GUARD_CONSTANT,
    &rules::ROWS_CONSTANT,
    &agreements::ENDS_SOON,
    &agreements::WITHOUT_END,
    &agreements::UNUSED,
    &masks::MOST_KEPT,
    &masks::DAY_KEPT,
    &masks::ADDRESS_KEPT,
    &masks::SMALL_STEP,
    &masks::UNMATCHED_KEPT,
    &masks::MACHINE_KEPT,
    &identifiers::PARTLY_SHOWN,
    &identifiers::AS_TOKEN,
    &identifiers::CLEAR,
    &identifiers::QUASI_CLEAR,
    &together::MASK_UNDONE,
    &together::THRESHOLDS_COMBINED,
    &rules::LOOKUP_OLD,
];

/// Mistakes in the comments that silence lints; nothing silences these.
pub static SILENCING: [&Lint; 2] = [&allow::WRONG, &allow::UNNEEDED];

/// One place that a lint found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What found it.
    pub lint: &'static Lint,
    /// Where.
    pub location: Location,
    /// What is there.
    pub message: String,
    /// Why its owner wants it so, when it is silenced.
    pub allowed: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lint {
            id, name, severity, ..
        } = self.lint;
        write!(
            f,
            "{}: {severity}: {} [{id} {name}]",
            self.location, self.message
        )
    }
}

/// What is known beside the documents.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// The day, in UTC.
    pub today: NaiveDate,
    /// An agreement that ends within so many days is about to end.
    pub ending_days: u32,
    /// How old each look-up table may get before it is read again, by name; one that is read again
    /// when it changes is not here.
    pub lookup_ages: BTreeMap<String, Duration>,
    /// What the ledger says, if there is one to ask.
    pub uses: Option<Uses>,
}

/// What a ledger knows of the use of agreements.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    /// The day of its first record.
    pub since: NaiveDate,
    /// The agreements under which anything was asked, by id.
    pub agreements: BTreeSet<String>,
}

impl PolicySet {
    /// Looks for what its owner hardly means, in the documents that this set was compiled from;
    /// sorted by place. Contracts that are left out are not looked at.
    pub fn lint(&self, documents: &Documents, circumstances: &Circumstances) -> Vec<Finding> {
        let mut of_contract: BTreeMap<&str, Vec<&AgreementDocument>> = BTreeMap::new();
        for agreement in documents.agreements() {
            let all = of_contract.entry(agreement.contract.as_str());
            all.or_default().push(agreement);
        }
        let mut findings = Findings::default();
        for contract in documents.contracts() {
            let written = of_contract.remove(contract.id.as_str());
            let Some(subject) = Subject::new(self, contract, written.unwrap_or_default()) else {
                continue;
            };
            together::look(&subject, &mut findings);
            agreements::look(&subject, circumstances, &mut findings);
            rules::look(&subject, circumstances, &mut findings);
            masks::look(&subject, &mut findings);
            identifiers::look(&subject, &mut findings);
        }
        let mut found = findings.0;
        allow::apply(documents, &mut found);
        found.sort_by(|a, b| {
            let key = |one: &Finding| (one.location.clone(), one.lint.id, one.message.clone());
            key(a).cmp(&key(b))
        });
        found.dedup();
        found
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn push(&mut self, lint: &'static Lint, location: Location, message: String) {
        self.0.push(Finding {
            lint,
            location,
            message,
            allowed: None,
        });
    }
}

/// A contract with its agreements, as written and as compiled.
struct Subject<'a> {
    contract: &'a ContractDocument,
    access: &'a AccessPolicy,
    governed: &'a Governed,
    /// Sorted by id.
    agreements: Vec<(&'a AgreementDocument, &'a Agreement)>,
}

impl<'a> Subject<'a> {
    fn new(
        set: &'a PolicySet,
        contract: &'a ContractDocument,
        written: Vec<&'a AgreementDocument>,
    ) -> Option<Self> {
        let governed = set.governed(&contract.name)?;
        let compiled = |document: &'a AgreementDocument| {
            let all = &governed.agreements;
            let found = all.binary_search_by(|one| one.id.as_str().cmp(&document.id));
            Some((document, all.get(found.ok()?)?))
        };
        Some(Self {
            contract,
            access: contract.access.as_ref()?,
            governed,
            agreements: written.into_iter().filter_map(compiled).collect(),
        })
    }

    /// The agreements that give access, or once did and may again.
    fn living(&self) -> impl Iterator<Item = (&'a AgreementDocument, &'a Agreement)> {
        let all = self.agreements.iter().copied();
        all.filter(|(document, _)| document.status != AgreementStatus::Ended)
    }

    /// The organisations to which a profile is granted, without the table's owner.
    fn recipients(&self, profile: &str) -> BTreeSet<&'a str> {
        let owner = self.contract.tenant.as_deref();
        let granted = self.living().filter(|(one, _)| one.profile == profile);
        granted
            .map(|(one, _)| one.organisation.as_str())
            .filter(|organisation| Some(*organisation) != owner)
            .collect()
    }

    /// Whether a profile is for the table's owner alone.
    fn is_the_owners(&self, profile: &str) -> bool {
        self.recipients(profile).is_empty() && self.living().any(|(one, _)| one.profile == profile)
    }
}

/// Names for a message; of many, the first.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let text = names.take(SHOWN).collect::<Vec<_>>().join(", ");
    match more {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
