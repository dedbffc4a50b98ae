//! Decisions as an entry holds them: each file's name once, columns that are shown alike together.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::NaiveDate;
use scrim_document::Location;
use scrim_model::{Limits, TableName, Value};
use scrim_policy::{
    Arm, Clause, ColumnDecision, ContractRef, Decision, GuardClause, Narrowing, Showing, Treatment,
    Unmatched, Verdict,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::facts::Written;

/// Agreements that did not match and are written down with their reasons; the others are counted.
/// The facts and the policy set tell of all of them.
const UNMATCHED_MAX: usize = 16;

/// A table of a query: what was decided about it, and what the query uses of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The decision.
    pub decision: Arc<Decision>,
    /// The visible columns that the query uses, in the decision's order; `None` when it did not
    /// come to that.
    pub used: Option<Vec<String>>,
    /// Agreements that did not match and that a record only counted; none before it is written.
    pub unmatched_more: usize,
}

impl From<Arc<Decision>> for Reading {
    fn from(decision: Arc<Decision>) -> Self {
        Self {
            decision,
            used: None,
            unmatched_more: 0,
        }
    }
}

/// The tables of one entry.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Decided {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    decided: Vec<Judged>,
}

/// A place: which of the entry's files, line and column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(usize, u32, u32);

#[derive(Debug, Serialize, Deserialize)]
struct Judged {
    table: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<(String, String, Place)>,
    verdict: Said,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    arms: Vec<Admits>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    guards: Vec<Guards>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    columns: Vec<Columns>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unmatched: Vec<(String, String, Place)>,
    #[serde(default, skip_serializing_if = "is_zero")]
    unmatched_more: usize,
    #[serde(default, skip_serializing_if = "is_default")]
    limits: Limits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    narrowing: Option<Arc<Narrowing>>,
    hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used: Option<Used>,
}

/// `schema.table`; the parts are apart, since both may hold a dot.
type Name = (String, String);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Shown,
    NoAgreement,
    PurposeRequired,
    Closed(String, Place),
}

#[derive(Debug, Serialize, Deserialize)]
struct Admits {
    agreement: String,
    at: Place,
    profile: String,
    profile_at: Place,
    recipient: String,
    purpose: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<NaiveDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<Rows>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rows {
    id: String,
    text: String,
    at: Place,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    with: BTreeMap<String, Written<'static>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Guards {
    id: String,
    at: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<Rows>,
}

/// Neighbours that every arm shows in one way, said in one place.
#[derive(Debug, Serialize, Deserialize)]
struct Columns {
    names: Vec<String>,
    shown: Vec<Shown>,
    at: Vec<Place>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Shown {
    Whole(Showing),
    Nested(Showing, Vec<(String, Showing)>),
}

/// Which columns a query uses.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Used {
    Some(Vec<String>),
    All(Every),
}

#[derive(Debug, Serialize, Deserialize)]
enum Every {
    #[serde(rename = "*")]
    Column,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_default(limits: &Limits) -> bool {
    *limits == Limits::default()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.0, self.1, self.2)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(());
        let place = Self(
            next()?.parse().map_err(drop)?,
            next()?.parse().map_err(drop)?,
            next()?.parse().map_err(drop)?,
        );
        parts.next().is_none().then_some(place).ok_or(())
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|()| D::Error::custom("a place is FILE:LINE:COLUMN"))
    }
}

impl Decided {
    /// As the readings are written.
    pub(crate) fn of(readings: &[Reading]) -> Self {
        let mut out = Self::default();
        for reading in readings {
            let table = out.table(reading);
            out.decided.push(table);
        }
        out
    }

    fn place(&mut self, location: &Location) -> Place {
        let known = self.files.iter().position(|file| *file == location.file);
        let file = known.unwrap_or_else(|| {
            self.files.push(Arc::clone(&location.file));
            self.files.len() - 1
        });
        Place(file, location.line, location.column)
    }

    fn table(&mut self, reading: &Reading) -> Judged {
        let Decision {
            table,
            policy_version: _,
            contract,
            verdict,
            purpose,
            arms,
            guards,
            columns,
            unmatched,
            limits,
            narrowing,
            hash,
        } = &*reading.decision;
        Judged {
            table: (table.schema.clone(), table.table.clone()),
            contract: contract.as_ref().map(|one| {
                (
                    one.id.clone(),
                    one.version.clone(),
                    self.place(&one.location),
                )
            }),
            verdict: match verdict {
                Verdict::Shown => Said::Shown,
                Verdict::NoAgreement => Said::NoAgreement,
                Verdict::PurposeRequired => Said::PurposeRequired,
                Verdict::Closed { guard, location } => {
                    Said::Closed(guard.clone(), self.place(location))
                }
            },
            purpose: purpose.clone(),
            arms: arms.iter().map(|arm| self.arm(arm)).collect(),
            guards: guards
                .iter()
                .map(|guard| Guards {
                    id: guard.id.clone(),
                    at: self.place(&guard.location),
                    rows: guard.rows.as_ref().map(|rows| self.rows(rows)),
                })
                .collect(),
            columns: self.columns(columns),
            unmatched: unmatched
                .iter()
                .take(UNMATCHED_MAX)
                .map(|one| {
                    let at = self.place(&one.location);
                    (one.agreement.clone(), one.reason.clone(), at)
                })
                .collect(),
            unmatched_more: unmatched.len().saturating_sub(UNMATCHED_MAX),
            limits: *limits,
            narrowing: narrowing.clone(),
            hash: hash.clone(),
            used: reading.used.as_ref().map(|used| {
                if used.len() == columns.len() {
                    Used::All(Every::Column)
                } else {
                    Used::Some(used.clone())
                }
            }),
        }
    }

    fn arm(&mut self, arm: &Arm) -> Admits {
        Admits {
            agreement: arm.agreement.clone(),
            at: self.place(&arm.agreement_location),
            profile: arm.profile.clone(),
            profile_at: self.place(&arm.profile_location),
            recipient: arm.recipient.clone(),
            purpose: arm.purpose.clone(),
            until: arm.until,
            rows: arm.rows.as_ref().map(|rows| self.rows(rows)),
        }
    }

    fn rows(&mut self, clause: &Clause) -> Rows {
        let with = clause.bindings.iter();
        Rows {
            id: clause.id.clone(),
            text: clause.text.clone(),
            at: self.place(&clause.location),
            with: with
                .map(|(name, value)| (name.clone(), owned(value)))
                .collect(),
        }
    }

    fn columns(&mut self, columns: &[ColumnDecision]) -> Vec<Columns> {
        let mut runs: Vec<Columns> = Vec::new();
        let mut before: Option<&ColumnDecision> = None;
        for column in columns {
            let alike = before.is_some_and(|one| {
                one.treatments == column.treatments && one.location == column.location
            });
            before = Some(column);
            if let Some(run) = runs.last_mut().filter(|_| alike) {
                run.names.push(column.name.clone());
                continue;
            }
            runs.push(Columns {
                names: vec![column.name.clone()],
                shown: column.treatments.iter().map(Shown::of).collect(),
                at: column.location.iter().map(|at| self.place(at)).collect(),
            });
        }
        runs
    }
}

fn owned(value: &Value) -> Written<'static> {
    match Written::from(value) {
        Written::Text(text) => Written::Text(text.into_owned().into()),
        Written::TextList(texts) => Written::TextList(texts.into_owned().into()),
        Written::Float64 { float64 } => Written::Float64 {
            float64: float64.into_owned().into(),
        },
        Written::Bool(value) => Written::Bool(value),
        Written::Int64(value) => Written::Int64(value),
        Written::Timestamp { instant } => Written::Timestamp { instant },
    }
}

impl Shown {
    fn of(treatment: &Treatment) -> Self {
        if treatment.nested.is_empty() {
            Self::Whole(treatment.root.clone())
        } else {
            Self::Nested(treatment.root.clone(), treatment.nested.clone())
        }
    }

    fn treatment(self) -> Treatment {
        match self {
            Self::Whole(root) => Treatment::whole(root),
            Self::Nested(root, nested) => Treatment { root, nested },
        }
    }
}

/// Reading them back.
impl Decided {
    /// The readings as they were written, under the policy set that the entry names.
    pub(crate) fn readings(self, policy_version: &Arc<str>) -> Result<Vec<Reading>, String> {
        let files = &self.files;
        let read = |table| read_table(files, table, policy_version);
        self.decided.into_iter().map(read).collect()
    }
}

/// A table of a query, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableUse {
    /// The table.
    pub table: TableName,
    /// The hash of the decision: equal exactly when the same is shown.
    pub hash: String,
    /// The agreements that matched.
    pub agreements: Vec<String>,
    /// The columns that the query uses; `None` when the record does not say.
    pub used: Option<Vec<String>>,
    /// What a decision point outside took away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrowing: Option<Arc<Narrowing>>,
}

/// The tables of an entry in short, without what takes long to read.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Brief {
    #[serde(default)]
    decided: Vec<BriefTable>,
    /// What older versions wrote.
    #[serde(default)]
    decisions: Vec<BriefDecision>,
}

#[derive(Debug, Deserialize)]
struct BriefTable {
    table: Name,
    hash: String,
    #[serde(default)]
    arms: Vec<BriefArm>,
    #[serde(default)]
    columns: Vec<BriefColumns>,
    used: Option<Used>,
    #[serde(default)]
    narrowing: Option<Arc<Narrowing>>,
}

#[derive(Debug, Deserialize)]
struct BriefDecision {
    table: TableName,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    arms: Vec<BriefArm>,
}

#[derive(Debug, Deserialize)]
struct BriefArm {
    agreement: String,
}

#[derive(Debug, Deserialize)]
struct BriefColumns {
    names: Vec<String>,
}

impl Brief {
    pub(crate) fn uses(self) -> Vec<TableUse> {
        let agreements = |arms: Vec<BriefArm>| arms.into_iter().map(|arm| arm.agreement).collect();
        let decided = self.decided.into_iter().map(|one| TableUse {
            table: TableName::new(one.table.0, one.table.1),
            hash: one.hash,
            agreements: agreements(one.arms),
            used: one.used.map(|used| match used {
                Used::Some(names) => names,
                Used::All(Every::Column) => {
                    one.columns.into_iter().flat_map(|run| run.names).collect()
                }
            }),
            narrowing: one.narrowing,
        });
        let older = self.decisions.into_iter().map(|one| TableUse {
            table: one.table,
            hash: one.hash,
            agreements: agreements(one.arms),
            used: None,
            narrowing: None,
        });
        decided.chain(older).collect()
    }
}

fn location(files: &[Arc<str>], place: Place) -> Result<Location, String> {
    let Place(file, line, column) = place;
    let file = files
        .get(file)
        .ok_or_else(|| format!("the entry names a file {file} and holds {}", files.len()))?;
    let file = Arc::clone(file);
    Ok(Location { file, line, column })
}

fn read_table(
    files: &[Arc<str>],
    table: Judged,
    policy_version: &Arc<str>,
) -> Result<Reading, String> {
    let at = |place| location(files, place);
    let columns = read_columns(files, table.columns)?;
    let used = table.used.map(|used| match used {
        Used::Some(names) => names,
        Used::All(Every::Column) => columns.iter().map(|column| column.name.clone()).collect(),
    });
    let unmatched = table.unmatched.into_iter();
    let decision = Decision {
        table: TableName::new(table.table.0, table.table.1),
        policy_version: Arc::clone(policy_version),
        contract: match table.contract {
            None => None,
            Some((id, version, place)) => Some(ContractRef {
                id,
                version,
                location: at(place)?,
            }),
        },
        verdict: match table.verdict {
            Said::Shown => Verdict::Shown,
            Said::NoAgreement => Verdict::NoAgreement,
            Said::PurposeRequired => Verdict::PurposeRequired,
            Said::Closed(guard, place) => Verdict::Closed {
                guard,
                location: at(place)?,
            },
        },
        purpose: table.purpose,
        arms: table
            .arms
            .into_iter()
            .map(|arm| read_arm(files, arm))
            .collect::<Result<_, _>>()?,
        guards: table
            .guards
            .into_iter()
            .map(|guard| {
                Ok(GuardClause {
                    id: guard.id,
                    location: at(guard.at)?,
                    rows: read_rows(files, guard.rows)?,
                })
            })
            .collect::<Result<_, String>>()?,
        columns,
        unmatched: unmatched
            .map(|(agreement, reason, place)| {
                Ok(Unmatched {
                    agreement,
                    location: at(place)?,
                    reason,
                })
            })
            .collect::<Result<_, String>>()?,
        limits: table.limits,
        narrowing: table.narrowing,
        hash: table.hash,
    };
    Ok(Reading {
        decision: Arc::new(decision),
        used,
        unmatched_more: table.unmatched_more,
    })
}

fn read_columns(files: &[Arc<str>], runs: Vec<Columns>) -> Result<Vec<ColumnDecision>, String> {
    let mut columns = Vec::new();
    for run in runs {
        let treatments: Vec<_> = run.shown.into_iter().map(Shown::treatment).collect();
        let places = run.at.into_iter().map(|place| location(files, place));
        let places: Vec<_> = places.collect::<Result<_, _>>()?;
        columns.extend(run.names.into_iter().map(|name| ColumnDecision {
            name,
            treatments: treatments.clone(),
            location: places.clone(),
        }));
    }
    Ok(columns)
}

fn read_arm(files: &[Arc<str>], arm: Admits) -> Result<Arm, String> {
    Ok(Arm {
        agreement: arm.agreement,
        agreement_location: location(files, arm.at)?,
        profile: arm.profile,
        profile_location: location(files, arm.profile_at)?,
        recipient: arm.recipient,
        purpose: arm.purpose,
        until: arm.until,
        rows: read_rows(files, arm.rows)?,
    })
}

fn read_rows(files: &[Arc<str>], rows: Option<Rows>) -> Result<Option<Clause>, String> {
    let Some(rows) = rows else { return Ok(None) };
    let with = rows.with.into_iter();
    Ok(Some(Clause {
        id: rows.id,
        text: rows.text,
        location: location(files, rows.at)?,
        bindings: with.map(|(name, value)| (name, value.into())).collect(),
    }))
}
