//! What of a policy set its tests touch: a list of everything that can be touched, made from the
//! documents, and decisions ticked off on it. Deciding itself knows nothing of it.

use std::collections::{BTreeMap, BTreeSet};

use scrim_document::Location;

use crate::access::{AccessPolicy, Profile};
use crate::agreement::AgreementDocument;
use crate::odcs::{ContractDocument, Property};
use crate::{AgreementStatus, Decision, Documents, Showing, Verdict};

/// What of a policy set has been touched so far.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    points: BTreeMap<Key, Point>,
    /// For a column under a profile, which of the written treatments are about it.
    treatments: BTreeMap<(String, String, String), Vec<(Key, Sight)>>,
    /// The row filters of profiles and guards, by where they stand.
    rows: BTreeMap<Location, (Key, Key)>,
    agreements: BTreeMap<String, Places>,
    guards: BTreeMap<String, Vec<(String, bool)>>,
}

/// Something that a test can touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// What it belongs to.
    pub part: Part,
    /// What no test does as long as it is not touched, in an owner's words.
    pub missing: String,
    /// Where it stands.
    pub location: Location,
    /// Whether a test touched it.
    pub touched: bool,
}

/// The parts of a policy set that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Agreements.
    Agreements,
    /// `who` and `when` of agreements and guards, true and false.
    Conditions,
    /// Row filters of profiles and guards, on rows that they keep and rows that they hide.
    Rows,
    /// How profiles show columns.
    Columns,
}

impl Part {
    /// All parts, in the order of a report.
    pub const ALL: [Self; 4] = [
        Self::Agreements,
        Self::Conditions,
        Self::Rows,
        Self::Columns,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agreements => "agreements",
            Self::Conditions => "conditions",
            Self::Rows => "rows",
            Self::Columns => "columns",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Agreement(String),
    NotWho(String),
    NotWhen(String),
    Open(String, String),
    Closed(String, String),
    Kept(Location),
    Hidden(Location),
    Treatment(Location),
}

/// How a treatment is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// By a statement that reads the column.
    Read,
    /// By a test that expects the column not to be there.
    Missed,
}

#[derive(Debug, Clone)]
struct Places {
    who: Location,
    when: Option<Location>,
    active: bool,
}

impl Coverage {
    /// Everything that can be touched in a policy set; nothing is, yet.
    pub fn of(documents: &Documents) -> Self {
        let mut coverage = Self::default();
        for agreement in &documents.agreements {
            coverage.agreement(agreement);
        }
        for contract in &documents.contracts {
            let Some(access) = &contract.access else {
                continue;
            };
            coverage.guards(contract, access);
            // What is granted to nobody cannot be tested, and loading warns of it.
            let granted = |profile: &&Profile| {
                documents.agreements.iter().any(|agreement| {
                    agreement.contract == contract.id
                        && agreement.profile == profile.name
                        && agreement.status == AgreementStatus::Active
                })
            };
            for profile in access.profiles.iter().filter(granted) {
                coverage.profile(contract, profile);
            }
        }
        coverage
    }

    /// Counts a decision that a test rests on.
    pub fn decided(&mut self, decision: &Decision) {
        for arm in &decision.arms {
            self.touch(&Key::Agreement(arm.agreement.clone()));
        }
        for unmatched in &decision.unmatched {
            let Some(places) = self.agreements.get(&unmatched.agreement) else {
                continue;
            };
            let id = unmatched.agreement.clone();
            let key = if !places.active {
                Key::Agreement(id)
            } else if unmatched.location == places.who {
                Key::NotWho(id)
            } else if places.when.as_ref() == Some(&unmatched.location) {
                Key::NotWhen(id)
            } else {
                continue;
            };
            self.touch(&key);
        }
        self.guarded(decision);
    }

    /// Counts the columns that a test looks at under a decision: those that its statement reads, and
    /// those that it expects not to be there.
    pub fn looked_at(
        &mut self,
        decision: &Decision,
        read: &BTreeSet<String>,
        missed: &BTreeSet<String>,
    ) {
        let Some(contract) = &decision.contract else {
            return;
        };
        if decision.verdict != Verdict::Shown {
            return;
        }
        let looks = read.iter().map(|column| (column, Sight::Read));
        let looks = looks.chain(missed.iter().map(|column| (column, Sight::Missed)));
        let mut keys = Vec::new();
        for (column, sight) in looks {
            for arm in &decision.arms {
                let place = (contract.id.clone(), arm.profile.clone(), column.clone());
                let found = self.treatments.get(&place).into_iter().flatten();
                keys.extend(
                    found
                        .filter(|(_, by)| *by == sight)
                        .map(|(key, _)| key.clone()),
                );
            }
        }
        for key in &keys {
            self.touch(key);
        }
    }

    /// Counts what a row filter did with the rows of its table: the filter that stands there kept
    /// `kept` of `rows`.
    pub fn counted(&mut self, filter: &Location, rows: u64, kept: u64) {
        let Some((keeps, hides)) = self.rows.get(filter).cloned() else {
            return;
        };
        if kept > 0 {
            self.touch(&keeps);
        }
        if kept < rows {
            self.touch(&hides);
        }
    }

    /// Whether a row filter was seen to keep rows and to hide rows, so that it need not be counted
    /// again.
    pub fn is_counted(&self, filter: &Location) -> bool {
        let touched = |key: &Key| self.points.get(key).is_none_or(|point| point.touched);
        let keys = self.rows.get(filter);
        keys.is_none_or(|(keeps, hides)| touched(keeps) && touched(hides))
    }

    /// All points, in the order of the files.
    pub fn points(&self) -> Vec<&Point> {
        let mut points: Vec<&Point> = self.points.values().collect();
        points.sort_by(|a, b| (&a.location, a.part).cmp(&(&b.location, b.part)));
        points
    }

    /// How many points of a part are touched, and how many there are.
    pub fn share(&self, part: Part) -> (usize, usize) {
        let of_part = self.points.values().filter(|point| point.part == part);
        let touched = of_part.clone().filter(|point| point.touched).count();
        (touched, of_part.count())
    }

    fn touch(&mut self, key: &Key) {
        if let Some(point) = self.points.get_mut(key) {
            point.touched = true;
        }
    }

    fn point(&mut self, key: Key, part: Part, location: &Location, missing: String) {
        let location = location.clone();
        let point = Point {
            part,
            missing,
            location,
            touched: false,
        };
        self.points.insert(key, point);
    }

    fn agreement(&mut self, agreement: &AgreementDocument) {
        let id = &agreement.id;
        let active = agreement.status == AgreementStatus::Active;
        let who = agreement.who.location();
        let when = agreement
            .when
            .as_ref()
            .map(crate::access::ExprText::location);
        let missing = if active {
            format!("nobody uses the agreement {id}")
        } else {
            let status = agreement.status.as_str();
            format!("nobody asks under the agreement {id}, which is {status}")
        };
        let (key, location) = (Key::Agreement(id.clone()), &agreement.location);
        self.point(key, Part::Agreements, location, missing);
        if active && asks_more_than_organisation(&agreement.who.text) {
            let missing = format!("`who` of {id} keeps nobody of its organisation out");
            self.point(Key::NotWho(id.clone()), Part::Conditions, &who, missing);
        }
        if let Some(when) = when.as_ref().filter(|_| active) {
            let missing = format!("`when` of {id} keeps nobody out");
            self.point(Key::NotWhen(id.clone()), Part::Conditions, when, missing);
        }
        let places = Places { who, when, active };
        self.agreements.insert(id.clone(), places);
    }

    fn guards(&mut self, contract: &ContractDocument, access: &AccessPolicy) {
        let mut order = Vec::new();
        for guard in &access.guards {
            order.push((guard.id.clone(), guard.when.is_some()));
            let (table, id) = (&contract.name.table, &guard.id);
            if let Some(when) = &guard.when {
                let at = when.location();
                for (key, does) in [
                    (Key::Open(contract.id.clone(), id.clone()), "lets nobody in"),
                    (
                        Key::Closed(contract.id.clone(), id.clone()),
                        "closes the table for nobody",
                    ),
                ] {
                    let missing = format!("`when` of the guard {id} of {table} {does}");
                    self.point(key, Part::Conditions, &at, missing);
                }
            }
            if let Some(rows) = &guard.rows {
                self.row_filter(rows.location(), &format!("the guard {id} of {table}"));
            }
        }
        self.guards.insert(contract.id.clone(), order);
    }

    /// Guards are asked in their order, and the first that does not hold closes the table.
    fn guarded(&mut self, decision: &Decision) {
        let Some(contract) = decision.contract.as_ref().map(|contract| &contract.id) else {
            return;
        };
        let closing = match &decision.verdict {
            Verdict::Shown => None,
            Verdict::Closed { guard, .. } => Some(guard),
            Verdict::NoAgreement | Verdict::PurposeRequired => return,
        };
        let mut keys = Vec::new();
        for (guard, asks) in self.guards.get(contract).into_iter().flatten() {
            if closing == Some(guard) {
                keys.push(Key::Closed(contract.clone(), guard.clone()));
                break;
            }
            if *asks {
                keys.push(Key::Open(contract.clone(), guard.clone()));
            }
        }
        for key in &keys {
            self.touch(key);
        }
    }

    fn profile(&mut self, contract: &ContractDocument, profile: &Profile) {
        let whose = format!("the profile {} of {}", profile.name, contract.name.table);
        if let Some(rows) = &profile.rows {
            self.row_filter(rows.location(), &whose);
        }
        for written in written(contract, profile) {
            let sight = if written.hides {
                Sight::Missed
            } else {
                Sight::Read
            };
            let missing = match sight {
                Sight::Read => format!("nobody reads {} under {whose}", written.what),
                Sight::Missed => format!("nobody misses {} under {whose}", written.what),
            };
            let key = Key::Treatment(written.location.clone());
            self.point(key.clone(), Part::Columns, &written.location, missing);
            for column in written.columns {
                let place = (contract.id.clone(), profile.name.clone(), column.to_owned());
                let keys = self.treatments.entry(place).or_default();
                keys.push((key.clone(), sight));
            }
        }
    }

    fn row_filter(&mut self, at: Location, whose: &str) {
        let (keeps, hides) = (Key::Kept(at.clone()), Key::Hidden(at.clone()));
        let missing = |does: &str| format!("`rows` of {whose} {does} in any test");
        self.point(keeps.clone(), Part::Rows, &at, missing("keep no row"));
        self.point(hides.clone(), Part::Rows, &at, missing("hide no row"));
        self.rows.insert(at, (keeps, hides));
    }
}

/// What a profile says about columns in one place.
struct Written<'a> {
    /// `zip`, `tagged direct-identifier`, `default`.
    what: String,
    location: Location,
    /// Whether it is about whole columns and hides them.
    hides: bool,
    /// The columns that it is about.
    columns: Vec<&'a str>,
}

fn written<'a>(contract: &'a ContractDocument, profile: &'a Profile) -> Vec<Written<'a>> {
    let mut all = Vec::new();
    for named in &profile.columns {
        let root = root_of(&named.name, &contract.properties);
        all.push(Written {
            what: format!("`{}`", named.name),
            location: named.key.location(),
            hides: root == named.name && named.showing == Showing::Hidden,
            columns: vec![root],
        });
    }
    let is_named = |property: &&Property| {
        let mut named = profile.columns.iter();
        named.any(|named| named.name == property.name)
    };
    let unnamed = contract
        .properties
        .iter()
        .filter(|property| !is_named(property));
    let unnamed: Vec<&Property> = unnamed.collect();
    let mut tagged_columns = BTreeSet::new();
    for tagged in &profile.tagged {
        let here = unnamed
            .iter()
            .filter(|property| has_tag(property, &tagged.name));
        let columns: Vec<&str> = here.map(|property| property.name.as_str()).collect();
        tagged_columns.extend(columns.iter().copied());
        all.push(Written {
            what: format!("a column tagged `{}`", tagged.name),
            location: tagged.key.location(),
            hides: tagged.showing == Showing::Hidden,
            columns,
        });
    }
    let rest = unnamed.iter().map(|property| property.name.as_str());
    all.push(Written {
        what: "a column of `default`".to_owned(),
        location: profile.default_node.location(),
        hides: profile.default == Showing::Hidden,
        columns: rest.filter(|name| !tagged_columns.contains(name)).collect(),
    });
    // A default that is not written stands where its profile does.
    all.retain(|one| !one.columns.is_empty() && one.location != profile.node.location());
    all
}

/// The column that a path is about.
fn root_of<'a>(path: &'a str, properties: &[Property]) -> &'a str {
    if properties.iter().any(|property| property.name == path) {
        return path;
    }
    path.split(['.', '[']).next().unwrap_or(path)
}

/// Whether a column bears a tag itself: what is tagged inside it is shown with it.
fn has_tag(property: &Property, tag: &str) -> bool {
    property.tags.iter().any(|one| one == tag)
}

/// Whether a `who` asks anything but the organisation, which agreements are chosen by before it is
/// asked: else nobody of the organisation can be kept out.
fn asks_more_than_organisation(who: &str) -> bool {
    let lower = who.to_ascii_lowercase();
    let members = lower.split("principal.").skip(1);
    let name = |rest: &str| -> String {
        let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        rest.chars().take_while(is_part).collect()
    };
    lower.contains("context.") || members.map(name).any(|member| member != "org")
}

#[cfg(test)]
mod tests {
    use super::asks_more_than_organisation;

    #[test]
    fn a_who_about_the_organisation_alone_keeps_nobody_out() {
        assert!(!asks_more_than_organisation("principal.org = 'a'"));
        assert!(!asks_more_than_organisation("PRINCIPAL.ORG IN ('a', 'b')"));
        for who in [
            "principal.org = 'a' AND array_has(principal.groups, 'b')",
            "principal.org_unit = 'a'",
            "context.hour > 3",
        ] {
            assert!(asks_more_than_organisation(who), "{who}");
        }
    }
}
