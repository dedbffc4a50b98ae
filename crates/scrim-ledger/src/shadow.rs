//! What policies that are not enforced would have shown otherwise.

use std::path::Path;

use chrono::{DateTime, Utc};
use scrim_model::QueryId;
use serde::{Deserialize, Serialize};

use crate::{Damage, ShadowSummary, replay::Entries};

/// How policies that are not enforced, the shadow, would have decided otherwise about one table of
/// one query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowDifference {
    /// The query.
    pub query: QueryId,
    /// Who asked.
    pub principal: String,
    /// On whose behalf.
    pub org: String,
    /// The table.
    pub table: String,
    /// The version of the shadow.
    pub shadow_version: String,
    /// The hash of the decision that was enforced.
    pub enforced: String,
    /// The hash of the shadow's decision.
    pub shadow: String,
    /// What differs.
    pub what: ShadowChange,
}

/// What differs between a decision and its shadow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShadowChange {
    /// The shadow's verdict, where it is not the one that was enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Columns that the shadow shows beyond those that were shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<String>,
    /// Columns that were shown, and not by the shadow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Columns that the shadow shows in another way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub treated: Vec<String>,
    /// How the shadow's rows stand to those that were shown (`wider`, `narrower`, `incomparable`,
    /// `unknown`), where they are not the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Whether limits differ.
    #[serde(skip_serializing_if = "is_false")]
    pub limits: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Sums up what a ledger tells of the newest shadow, checking the chain on the way; what is older
/// than `from` does not count.
pub fn shadow(path: &Path, from: Option<DateTime<Utc>>) -> Result<ShadowSummary, Damage> {
    let mut entries = Entries::of_live_file(path)?;
    let mut summary = ShadowSummary::default();
    while let Some((line, number)) = entries.next_whole()? {
        let damage = |what: String| Damage { line: number, what };
        let at = DateTime::parse_from_rfc3339(line.at)
            .map_err(|_| damage("`at` is not an instant".to_owned()))?;
        let entry = serde_json::from_slice(line.body)
            .map_err(|error| damage(format!("the entry lacks something: {error}")))?;
        summary.take(at.to_utc(), entry, from);
    }
    Ok(summary)
}

/// The entries that say something of a shadow.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(crate) enum Entry {
    ShadowLoaded {
        version: String,
    },
    ShadowLost,
    /// A server may start without the shadow.
    ServerStarted,
    ShadowDiffered(Box<ShadowDifference>),
    ShadowMissed {
        queries: u64,
    },
    Opened {
        org: String,
        tables: Vec<String>,
    },
    #[serde(other)]
    Other,
}
