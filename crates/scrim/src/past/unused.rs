//! What nobody used, from the ledger: agreements, columns of profiles, purposes; and the smaller
//! ones that would have sufficed.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use scrim_policy::{
    AgreementDocument, AgreementStatus, Arm, Decision, Documents, PolicySet, Showing, Treatment,
};
use serde_json::{Value as Json, json};

use super::usage::{Usage, Used};
use super::{count, path_in};
use crate::explain::Page;

/// What nobody used.
#[derive(Debug)]
pub(crate) struct Unused {
    since: Option<DateTime<Utc>>,
    /// When the ledger begins, if that is later.
    begins: Option<DateTime<Utc>>,
    queries: u64,
    without_columns: u64,
    /// Agreements in force under which nobody asked anything.
    agreements: Vec<IdleAgreement>,
    /// Purposes of contracts for which nobody asked anything.
    purposes: Vec<IdlePurpose>,
    /// Agreements under which only some of the columns were asked for.
    columns: Vec<IdleColumns>,
    /// Profiles that could show less.
    profiles: Vec<SmallerProfile>,
    /// Agreements that were used and that the last who did would not have now, so that nothing can
    /// be said of their columns.
    untold: Vec<String>,
}

#[derive(Debug)]
struct IdleAgreement {
    agreement: String,
    organisation: String,
    contract: String,
    profile: String,
    start: Option<NaiveDate>,
    end: Option<NaiveDate>,
    place: String,
}

#[derive(Debug)]
struct IdlePurpose {
    contract: String,
    purpose: String,
    /// The agreements that serve it.
    agreements: Vec<String>,
    place: String,
}

#[derive(Debug)]
struct IdleColumns {
    agreement: String,
    profile: String,
    queries: u64,
    last: DateTime<Utc>,
    /// Visible columns that nobody asked for.
    never: Vec<String>,
    /// Visible columns that somebody asked for.
    asked: Vec<String>,
    /// The agreement's parameters that the rule of its rows asks for.
    parameters: Vec<String>,
    place: String,
}

#[derive(Debug)]
struct SmallerProfile {
    contract: String,
    profile: String,
    /// The agreements that grant it.
    agreements: Vec<String>,
    never: Vec<String>,
    /// What to write instead, as YAML.
    instead: String,
    place: String,
}

/// A profile as one agreement shows it now.
struct Now<'a> {
    document: &'a AgreementDocument,
    used: &'a Used,
    arm: Arm,
    /// The visible columns.
    columns: Vec<(String, Treatment)>,
}

impl Unused {
    pub(crate) fn of(
        usage: &Usage,
        since: Option<DateTime<Utc>>,
        documents: &Documents,
        policy: &PolicySet,
        today: NaiveDate,
    ) -> Self {
        let now: Vec<Now<'_>> = documents
            .agreements()
            .filter_map(|document| Now::of(document, usage, policy))
            .collect();
        let told = |one: &&AgreementDocument| now.iter().any(|now| now.document.id == one.id);
        let in_use = documents.agreements().filter(|one| is_active(one));
        let is_known = |used: &Used| used.facts.is_some();
        let in_use = in_use.filter(|one| usage.agreements.get(&one.id).is_some_and(is_known));
        Self {
            since,
            begins: usage
                .begins
                .filter(|begins| since.is_none_or(|since| *begins > since)),
            queries: usage.queries,
            without_columns: usage.without_columns,
            untold: in_use
                .filter(|one| !told(one))
                .map(|one| one.id.clone())
                .collect(),
            agreements: idle_agreements(usage, documents, today),
            purposes: idle_purposes(usage, documents),
            columns: now.iter().filter_map(Now::idle).collect(),
            profiles: smaller_profiles(&now, usage, documents),
        }
    }
}

fn is_active(agreement: &AgreementDocument) -> bool {
    agreement.status == AgreementStatus::Active
}

fn idle_agreements(usage: &Usage, documents: &Documents, today: NaiveDate) -> Vec<IdleAgreement> {
    let in_time = |one: &&AgreementDocument| {
        one.start.is_none_or(|start| start <= today) && one.end.is_none_or(|end| today <= end)
    };
    let agreements = documents.agreements().filter(|one| is_active(one));
    let agreements = agreements.filter(in_time);
    let idle = agreements.filter(|one| !usage.agreements.contains_key(&one.id));
    idle.map(|one| IdleAgreement {
        agreement: one.id.clone(),
        organisation: one.organisation.clone(),
        contract: one.contract.clone(),
        profile: one.profile.clone(),
        start: one.start,
        end: one.end,
        place: one.location.to_string(),
    })
    .collect()
}

fn idle_purposes(usage: &Usage, documents: &Documents) -> Vec<IdlePurpose> {
    let mut idle = Vec::new();
    for contract in documents.contracts() {
        for purpose in contract.purposes() {
            let serves =
                |one: &&AgreementDocument| one.contract == contract.id && one.purpose == *purpose;
            let serving: Vec<_> = documents.agreements().filter(serves).collect();
            if serving
                .iter()
                .any(|one| usage.agreements.contains_key(&one.id))
            {
                continue;
            }
            idle.push(IdlePurpose {
                contract: contract.id.clone(),
                purpose: purpose.clone(),
                agreements: serving.into_iter().map(|one| one.id.clone()).collect(),
                place: contract.location.to_string(),
            });
        }
    }
    idle
}

impl<'a> Now<'a> {
    /// An agreement that was used, decided again as its last query was; `None` when it does not
    /// match any more.
    fn of(document: &'a AgreementDocument, usage: &'a Usage, policy: &PolicySet) -> Option<Self> {
        let used = usage.agreements.get(&document.id)?;
        let facts = used.facts.as_ref()?;
        let decision = policy.decide(
            &facts.principal,
            &facts.context,
            &facts.settings,
            &used.table,
        );
        let at = decision
            .arms
            .iter()
            .position(|arm| arm.agreement == document.id)?;
        Some(Self {
            document,
            used,
            columns: visible(&decision, at),
            arm: decision.arms.into_iter().nth(at)?,
        })
    }

    fn is_asked(&self, column: &str) -> bool {
        self.used.any_column || self.used.columns.contains(column)
    }

    fn idle(&self) -> Option<IdleColumns> {
        let names = self.columns.iter().map(|(name, _)| name.clone());
        let (asked, never): (Vec<_>, Vec<_>) = names.partition(|name| self.is_asked(name));
        let bound = self.arm.rows.iter().flat_map(|rows| rows.bindings.keys());
        let parameters = bound.filter_map(|name| name.strip_prefix("agreement."));
        let parameters = parameters.filter(|name| self.document.parameters.contains_key(*name));
        (!never.is_empty()).then(|| IdleColumns {
            agreement: self.document.id.clone(),
            profile: self.arm.profile.clone(),
            queries: self.used.queries,
            last: self.used.last,
            never,
            asked,
            parameters: parameters.map(str::to_owned).collect(),
            place: self.document.location.to_string(),
        })
    }
}

/// The columns of which an arm shows anything.
fn visible(decision: &Decision, arm: usize) -> Vec<(String, Treatment)> {
    let columns = decision.columns.iter();
    let shown = columns.filter_map(|column| {
        let treatment = column.treatments.get(arm)?;
        (!treatment.hides_all()).then(|| (column.name.clone(), treatment.clone()))
    });
    shown.collect()
}

/// Each profile of which no agreement uses all columns, without those that none uses.
fn smaller_profiles(now: &[Now<'_>], usage: &Usage, documents: &Documents) -> Vec<SmallerProfile> {
    let mut profiles: BTreeMap<(&str, &str), Vec<&Now<'_>>> = BTreeMap::new();
    for one in now {
        let key = (
            one.document.contract.as_str(),
            one.document.profile.as_str(),
        );
        profiles.entry(key).or_default().push(one);
    }
    let mut smaller = Vec::new();
    for ((contract, profile), of) in profiles {
        let Some(first) = of.first() else { continue };
        // An agreement that was used and does not match now may need columns that are unknown here.
        let granting = |one: &&AgreementDocument| {
            one.contract == contract && one.profile == profile && is_active(one)
        };
        let unknown = documents.agreements().filter(granting).any(|one| {
            usage.agreements.contains_key(&one.id) && of.iter().all(|now| now.document.id != one.id)
        });
        let (asked, never): (Vec<_>, Vec<_>) = first
            .columns
            .iter()
            .partition(|(name, _)| of.iter().any(|one| one.is_asked(name)));
        if never.is_empty() || unknown {
            continue;
        }
        smaller.push(SmallerProfile {
            contract: contract.to_owned(),
            profile: profile.to_owned(),
            agreements: of.iter().map(|one| one.document.id.clone()).collect(),
            never: never.iter().map(|(name, _)| name.clone()).collect(),
            instead: instead(&asked),
            place: first.arm.profile_location.to_string(),
        });
    }
    smaller
}

/// The columns of a profile as a contract says them.
fn instead(columns: &[&(String, Treatment)]) -> String {
    let mut lines = vec![if columns.is_empty() {
        "columns: {}\n".to_owned()
    } else {
        "columns:\n".to_owned()
    }];
    for (name, treatment) in columns {
        let mut line = |path: &str, showing: &Showing| {
            lines.push(format!("  {}: {}\n", key(path), yaml(showing)));
        };
        line(name, &treatment.root);
        for (path, showing) in &treatment.nested {
            line(&path_in(name, path), showing);
        }
    }
    lines.push("default: hidden\n".to_owned());
    lines.concat()
}

/// A path as a key of YAML, in quotes where it could be read as something else.
fn key(path: &str) -> String {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    let begins = path.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let is_word = WORDS.iter().any(|word| path.eq_ignore_ascii_case(word));
    if begins && path.chars().all(plain) && !is_word {
        path.to_owned()
    } else {
        Json::from(path).to_string()
    }
}

/// A treatment in YAML.
fn yaml(showing: &Showing) -> String {
    match showing {
        Showing::Clear => "clear".to_owned(),
        Showing::Hidden => "hidden".to_owned(),
        Showing::Masked(mask) => {
            let Ok(Json::Object(parameters)) = serde_json::to_value(mask) else {
                return format!("{{mask: {}}}", mask.name());
            };
            // What JSON writes is YAML, and a name needs no quotes.
            let pairs: Vec<_> = parameters
                .iter()
                .map(|(key, value)| match value.as_str() {
                    Some(name) if key == "mask" => format!("mask: {name}"),
                    _ => format!("{key}: {value}"),
                })
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

impl Unused {
    /// For programs.
    pub(crate) fn json(&self) -> Json {
        let agreement = |one: &IdleAgreement| {
            json!({
                "agreement": one.agreement,
                "organisation": one.organisation,
                "contract": one.contract,
                "profile": one.profile,
                "start": one.start,
                "end": one.end,
                "place": one.place,
            })
        };
        let purpose = |one: &IdlePurpose| {
            json!({
                "contract": one.contract,
                "purpose": one.purpose,
                "agreements": one.agreements,
                "place": one.place,
            })
        };
        let columns = |one: &IdleColumns| {
            json!({
                "agreement": one.agreement,
                "profile": one.profile,
                "queries": one.queries,
                "last": one.last,
                "never": one.never,
                "asked": one.asked,
                "parameters": one.parameters,
                "place": one.place,
            })
        };
        let profile = |one: &SmallerProfile| {
            json!({
                "contract": one.contract,
                "profile": one.profile,
                "agreements": one.agreements,
                "never": one.never,
                "instead": one.instead,
                "place": one.place,
            })
        };
        json!({
            "since": self.since,
            "begins": self.begins,
            "queries": self.queries,
            "without_columns": self.without_columns,
            "agreements": self.agreements.iter().map(agreement).collect::<Vec<_>>(),
            "purposes": self.purposes.iter().map(purpose).collect::<Vec<_>>(),
            "columns": self.columns.iter().map(columns).collect::<Vec<_>>(),
            "profiles": self.profiles.iter().map(profile).collect::<Vec<_>>(),
            "untold": self.untold,
        })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut page = Page::default();
        let since = self.since.map_or_else(String::new, |since| {
            format!(
                " since {}",
                since.to_rfc3339_opts(SecondsFormat::Secs, true)
            )
        });
        let queries = count(self.queries, "query", "queries");
        page.line(0, &format!("From {queries}{since}"));
        if let Some(begins) = self.begins {
            let begins = begins.to_rfc3339_opts(SecondsFormat::Secs, true);
            page.line(
                2,
                &format!("the ledger begins at {begins}, and tells nothing of before"),
            );
        }
        if self.without_columns > 0 {
            let text = format!(
                "{} of them are of an older version, which did not record columns: they count as \
                 using all",
                self.without_columns
            );
            page.line(2, &text);
        }
        self.write_idle(&mut page);
        self.write_columns(&mut page);
        let nothing = self.agreements.is_empty()
            && self.purposes.is_empty()
            && self.columns.is_empty()
            && self.profiles.is_empty();
        if nothing {
            page.line(2, "every agreement, purpose and visible column was used");
        }
        page.into_text()
    }

    fn write_idle(&self, page: &mut Page) {
        if !self.agreements.is_empty() {
            page.blank();
            page.line(
                0,
                "Agreements that nobody used: suspend or end them (status)",
            );
        }
        for one in &self.agreements {
            let start = one
                .start
                .map_or_else(String::new, |day| format!(" since {day}"));
            let end = one.end.map_or_else(
                || ", without end".to_owned(),
                |day| format!(", until {day}"),
            );
            let text = format!(
                "{} gives {} the profile {} of {}{start}{end} ({})",
                one.agreement, one.organisation, one.profile, one.contract, one.place
            );
            page.line(2, &text);
        }
        if !self.purposes.is_empty() {
            page.blank();
            page.line(0, "Purposes that nobody asked for");
        }
        for one in &self.purposes {
            let serving = match one.agreements.as_slice() {
                [] => "no agreement serves it".to_owned(),
                agreements => format!("served by {}", agreements.join(", ")),
            };
            let text = format!(
                "{} of {}: {serving} ({})",
                one.purpose, one.contract, one.place
            );
            page.line(2, &text);
        }
    }

    fn write_columns(&self, page: &mut Page) {
        if !self.columns.is_empty() {
            page.blank();
            page.line(0, "Columns that nobody asked for, by agreement");
        }
        for one in &self.columns {
            let last = one.last.to_rfc3339_opts(SecondsFormat::Secs, true);
            let queries = match one.queries {
                1 => "1 query".to_owned(),
                queries => format!("{queries} queries, the last"),
            };
            let text = format!(
                "{} (profile {}, {queries} at {last}): {} ({})",
                one.agreement,
                one.profile,
                one.never.join(", "),
                one.place
            );
            page.line(2, &text);
            if !one.parameters.is_empty() {
                let text = format!("its rows need the parameters {}", one.parameters.join(", "));
                page.line(4, &text);
            }
        }
        if !self.untold.is_empty() {
            page.blank();
            let text = format!(
                "Nothing can be said of the columns of {}: the last who used them would not be \
                 shown anything under them now",
                self.untold.join(", ")
            );
            page.line(0, &text);
        }
        if !self.profiles.is_empty() {
            page.blank();
            page.line(
                0,
                "Smaller profiles that would have sufficed: these lines instead of columns, tagged \
                 and default; rows and limits stay",
            );
        }
        for one in &self.profiles {
            page.blank();
            let text = format!(
                "{} of {}, for {} ({})",
                one.profile,
                one.contract,
                one.agreements.join(", "),
                one.place
            );
            page.line(2, &text);
            for line in one.instead.lines() {
                page.verbatim(4, line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn a_path_is_a_key_whatever_its_name() {
        for (path, written) in [
            ("zip", "zip"),
            ("contact.email", "contact.email"),
            ("tags[].code", "tags[].code"),
            ("größe", "größe"),
            ("null", "\"null\""),
            ("No", "\"No\""),
            ("7", "\"7\""),
            ("a: b", "\"a: b\""),
            ("#x", "\"#x\""),
            ("say \"x\"", "\"say \\\"x\\\"\""),
        ] {
            assert_eq!(key(path), written);
        }
    }
}
