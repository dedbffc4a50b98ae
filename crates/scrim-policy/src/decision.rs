//! What was decided for one table, as a value: small, printable, hashable, and the same in the
//! ledger, in result metadata and in cache keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use scrim_anonymize::{Mask, PathStep, parse_steps};
use scrim_document::Location;
use scrim_model::{Limits, TableName, Value};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Narrowing;

/// What a principal may see of one table in one request, and why.
///
/// It holds no expressions: clauses are named by id, with the values bound to them;
/// [`PolicySet::rules`](crate::PolicySet::rules) lowers them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The table.
    pub table: TableName,
    /// The version of the policy set that decided.
    pub policy_version: Arc<str>,
    /// The table's contract; `None` when no contract governs a table of that name.
    pub contract: Option<ContractRef>,
    /// Whether the table is shown.
    pub verdict: Verdict,
    /// The purpose for which it is shown: the session's, or the one that all arms share.
    pub purpose: Option<String>,
    /// The matching agreements, sorted by id. A row is shown by each arm that admits it.
    pub arms: Vec<Arm>,
    /// The contract's guards, in its order; all rows that are shown satisfy all of them.
    pub guards: Vec<GuardClause>,
    /// The visible columns, in the contract's order; any other does not exist for the principal.
    pub columns: Vec<ColumnDecision>,
    /// The agreements of the principal's organisation that did not match, and why.
    pub unmatched: Vec<Unmatched>,
    /// What one query or one principal may use.
    pub limits: Limits,
    /// What a decision point outside the policies took away, if one was asked; the rest of the
    /// decision is without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrowing: Option<Arc<Narrowing>>,
    /// SHA-256, lower-case hex, over everything here that determines what is shown.
    pub hash: String,
}

/// Whether a table is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Shown, as the rest of the decision says.
    Shown,
    /// No agreement matches, or a decision point outside took the table away: for the principal, it
    /// does not exist.
    NoAgreement,
    /// The matching agreements serve different purposes, so one must be stated.
    PurposeRequired,
    /// An agreement matches, but a guard closes the table for this request.
    Closed {
        /// The guard.
        guard: String,
        /// Where it stands.
        location: Location,
    },
}

/// A contract as a decision names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractRef {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Where its access policy stands.
    pub location: Location,
}

/// One matching agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The agreement's id.
    pub agreement: String,
    /// Where it stands.
    pub agreement_location: Location,
    /// The profile that it grants.
    pub profile: String,
    /// Where that stands.
    pub profile_location: Location,
    /// The organisation that receives, for masks that differ by recipient.
    pub recipient: String,
    /// The purpose that it serves.
    pub purpose: String,
    /// Its last day.
    pub until: Option<NaiveDate>,
    /// The profile's row filter; `None` admits all rows.
    pub rows: Option<Clause>,
}

/// A row filter with what is bound to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clause {
    /// Which clause: `contract/profiles/NAME/rows` or `contract/guards/ID/rows`.
    pub id: String,
    /// Its text, as the owner wrote it.
    pub text: String,
    /// Where it stands.
    pub location: Location,
    /// The values of the members it uses, by full name (`principal.org`); one that is missing here
    /// is not known, so whatever depends on it is not true.
    #[serde(deserialize_with = "untyped")]
    pub bindings: BTreeMap<String, Value>,
}

/// A guard that holds for this request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardClause {
    /// The guard's id.
    pub id: String,
    /// Where it stands.
    pub location: Location,
    /// Its row filter, if it has one.
    pub rows: Option<Clause>,
}

/// How one visible column is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnDecision {
    /// Its name.
    pub name: String,
    /// What each arm does with it, in the order of the arms.
    pub treatments: Vec<Treatment>,
    /// Where each arm says so, in the order of the arms.
    pub location: Vec<Location>,
}

/// What one arm does with one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Treatment {
    /// How the column as a whole is shown.
    pub root: Showing,
    /// How fields inside it are shown instead, by path under the column (`phone`, `[]`, `[].city`),
    /// sorted by path.
    pub nested: Vec<(String, Showing)>,
}

impl Treatment {
    /// A treatment of the whole column.
    pub fn whole(root: Showing) -> Self {
        Self {
            root,
            nested: Vec::new(),
        }
    }

    /// How what lies under a path of the column is shown: as the nearest path around it says.
    pub fn at(&self, path: &[PathStep]) -> &Showing {
        let around = self.nested.iter().filter_map(|(named, showing)| {
            let steps = parse_steps(named).ok()?;
            path.starts_with(&steps).then_some((steps.len(), showing))
        });
        around
            .max_by_key(|(length, _)| *length)
            .map_or(&self.root, |(_, showing)| showing)
    }

    /// Whether nothing of the column is shown.
    pub fn hides_all(&self) -> bool {
        self.root == Showing::Hidden
            && self
                .nested
                .iter()
                .all(|(_, showing)| *showing == Showing::Hidden)
    }

    /// Whether the whole column is shown as it is.
    pub fn is_clear(&self) -> bool {
        self.root == Showing::Clear
            && self
                .nested
                .iter()
                .all(|(_, showing)| *showing == Showing::Clear)
    }
}

/// How a value is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Showing {
    /// As it is.
    Clear,
    /// Through a mask.
    Masked(Mask),
    /// Not at all; where the type must be kept, as NULL.
    Hidden,
}

impl Showing {
    /// How open it is: clear before masked before hidden.
    pub fn openness(&self) -> u8 {
        match self {
            Self::Clear => 2,
            Self::Masked(_) => 1,
            Self::Hidden => 0,
        }
    }
}

/// An agreement of the principal's organisation that did not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// The agreement's id.
    pub agreement: String,
    /// The line because of which it did not match.
    pub location: Location,
    /// Why, in an owner's words.
    pub reason: String,
}

/// Reads values that were written without their types: an instant comes back as its text.
fn untyped<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Value>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Untyped {
        Bool(bool),
        Int64(i64),
        Float64(f64),
        Text(String),
        TextList(Vec<String>),
    }
    let read = BTreeMap::<String, Untyped>::deserialize(deserializer)?;
    let values = read.into_iter().map(|(name, value)| {
        let value = match value {
            Untyped::Bool(value) => Value::Bool(value),
            Untyped::Int64(value) => Value::Int64(value),
            Untyped::Float64(value) => Value::Float64(value),
            Untyped::Text(value) => Value::Text(value),
            Untyped::TextList(value) => Value::TextList(value),
        };
        (name, value)
    });
    Ok(values.collect())
}
