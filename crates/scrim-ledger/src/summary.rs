//! What policies that are not enforced would have shown otherwise, summed up.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::ShadowChange;
use crate::shadow::Entry;

/// What the ledger says about the newest shadow.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShadowSummary {
    /// Its version; none when there has never been one.
    pub version: Option<String>,
    /// Since when queries are counted.
    pub since: Option<DateTime<Utc>>,
    /// Queries that were allowed to read since then.
    pub queries: u64,
    /// Those of them that could not be decided again for want of time.
    pub missed: u64,
    /// Since when queries are not decided under it any more; none while they are.
    pub stopped: Option<DateTime<Utc>>,
    /// What would be otherwise.
    pub differences: ShadowDifferences,
}

/// What would be otherwise, by organisation and table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ShadowDifferences(BTreeMap<(String, String), ShadowCounts>);

/// What would be otherwise for one organisation and table, in numbers of queries.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShadowCounts {
    /// All queries of the table.
    pub queries: u64,
    /// Those that would see anything otherwise.
    pub differ: u64,
    /// Would be refused.
    pub refused: u64,
    /// Would see further columns.
    pub gain: u64,
    /// Would no longer see columns.
    pub lose: u64,
    /// Would see columns in another way.
    pub treated: u64,
    /// Would see other rows, by how these stand to the rows that were shown.
    pub rows: BTreeMap<String, u64>,
    /// Would have other limits.
    pub limits: u64,
    /// The further columns.
    pub columns_gained: BTreeSet<String>,
    /// The columns no longer seen.
    pub columns_lost: BTreeSet<String>,
    /// The columns seen in another way.
    pub columns_treated: BTreeSet<String>,
}

impl ShadowSummary {
    /// Takes the next entry; what is older than `from` does not count.
    pub(crate) fn take(&mut self, at: DateTime<Utc>, entry: Entry, from: Option<DateTime<Utc>>) {
        let counts = self.since.is_some_and(|since| at >= since);
        match entry {
            // After a restart, or when it can be loaded again, the same shadow goes on.
            Entry::ShadowLoaded { version } if self.version.as_ref() == Some(&version) => {
                self.stopped = None;
            }
            Entry::ShadowLoaded { version } => {
                *self = Self {
                    version: Some(version),
                    since: Some(from.map_or(at, |from| from.max(at))),
                    ..Self::default()
                };
            }
            Entry::ShadowLost | Entry::ServerStarted => {
                self.stopped.get_or_insert(at);
            }
            Entry::Opened { org, tables } if counts && self.stopped.is_none() => {
                self.queries += 1;
                for table in tables {
                    self.differences.of(org.clone(), table).queries += 1;
                }
            }
            Entry::ShadowMissed { queries } if counts => self.missed += queries,
            // A query that was under way when the shadow changed belongs to the one before.
            Entry::ShadowDiffered(difference)
                if counts && self.version.as_ref() == Some(&difference.shadow_version) =>
            {
                let difference = *difference;
                let of = self.differences.of(difference.org, difference.table);
                of.count(difference.what);
            }
            Entry::Opened { .. }
            | Entry::ShadowMissed { .. }
            | Entry::ShadowDiffered(_)
            | Entry::Other => {}
        }
    }
}

impl ShadowDifferences {
    fn of(&mut self, org: String, table: String) -> &mut ShadowCounts {
        self.0.entry((org, table)).or_default()
    }

    /// Where anything would be otherwise: the organisation, the table, how often what.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &ShadowCounts)> {
        let all = self.0.iter().filter(|(_, counts)| counts.differ > 0);
        all.map(|((org, table), counts)| (org.as_str(), table.as_str(), counts))
    }
}

impl Serialize for ShadowDifferences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            org: &'a str,
            table: &'a str,
            #[serde(flatten)]
            counts: &'a ShadowCounts,
        }
        serializer.collect_seq(
            self.iter()
                .map(|(org, table, counts)| Line { org, table, counts }),
        )
    }
}

impl ShadowCounts {
    fn count(&mut self, change: ShadowChange) {
        let ShadowChange {
            verdict,
            gained,
            lost,
            treated,
            rows,
            limits,
        } = change;
        self.differ += 1;
        // Whatever a refused query would have lost with the table is no news.
        if verdict.is_some() {
            self.refused += 1;
            return;
        }
        self.gain += u64::from(!gained.is_empty());
        self.lose += u64::from(!lost.is_empty());
        self.treated += u64::from(!treated.is_empty());
        self.limits += u64::from(limits);
        if let Some(rows) = rows {
            *self.rows.entry(rows).or_default() += 1;
        }
        self.columns_gained.extend(gained);
        self.columns_lost.extend(lost);
        self.columns_treated.extend(treated);
    }
}

#[cfg(test)]
mod tests {
    use scrim_model::QueryId;

    use super::*;
    use crate::ShadowDifference;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).unwrap()
    }

    fn loaded(version: &str) -> Entry {
        let version = version.to_owned();
        Entry::ShadowLoaded { version }
    }

    fn opened(org: &str) -> Entry {
        Entry::Opened {
            org: org.to_owned(),
            tables: vec!["care.patients".to_owned()],
        }
    }

    fn differed(version: &str, what: ShadowChange) -> Entry {
        Entry::ShadowDiffered(Box::new(ShadowDifference {
            query: QueryId::new(),
            principal: "nora".to_owned(),
            org: "acme".to_owned(),
            table: "care.patients".to_owned(),
            shadow_version: version.to_owned(),
            enforced: "a".to_owned(),
            shadow: "b".to_owned(),
            what,
        }))
    }

    fn summary(entries: Vec<(i64, Entry)>, from: Option<DateTime<Utc>>) -> ShadowSummary {
        let mut summary = ShadowSummary::default();
        for (minute, entry) in entries {
            summary.take(at(minute), entry, from);
        }
        summary
    }

    #[test]
    fn queries_that_no_shadow_saw_are_not_counted() {
        let entries = |more: Vec<(i64, Entry)>| {
            let mut entries = vec![(0, loaded("one")), (1, opened("acme"))];
            entries.extend(more);
            summary(entries, None)
        };
        let lost = entries(vec![(2, Entry::ShadowLost), (3, opened("acme"))]);
        assert_eq!((lost.queries, lost.stopped), (1, Some(at(2))));
        let without = entries(vec![(4, Entry::ServerStarted), (5, opened("acme"))]);
        assert_eq!((without.queries, without.stopped), (1, Some(at(4))));
        let again = entries(vec![
            (2, Entry::ServerStarted),
            (3, Entry::ShadowLost),
            (4, opened("acme")),
            (5, loaded("one")),
            (6, opened("acme")),
        ]);
        assert_eq!(
            (again.queries, again.stopped, again.since),
            (2, None, Some(at(0)))
        );
    }

    #[test]
    fn queries_are_counted_by_what_would_be_otherwise() {
        let lost = ShadowChange {
            lost: vec!["ssn".to_owned()],
            rows: Some("narrower".to_owned()),
            ..ShadowChange::default()
        };
        let refused = ShadowChange {
            verdict: Some("no_agreement".to_owned()),
            lost: vec!["name".to_owned()],
            ..ShadowChange::default()
        };
        let entries = || {
            vec![
                (0, loaded("one")),
                (1, opened("acme")),
                (2, differed("one", refused.clone())),
                (3, loaded("two")),
                (4, opened("acme")),
                (5, opened("other")),
                (5, differed("one", refused.clone())),
                (6, differed("two", lost.clone())),
                (7, opened("acme")),
                (8, loaded("two")),
                (9, differed("two", refused.clone())),
                (9, Entry::ShadowMissed { queries: 4 }),
            ]
        };
        let all = summary(entries(), None);
        assert_eq!((all.queries, all.missed, all.since), (3, 4, Some(at(3))));
        let counts: Vec<_> = all.differences.iter().collect();
        let [("acme", "care.patients", counts)] = counts.as_slice() else {
            panic!("{counts:?}")
        };
        assert_eq!((counts.queries, counts.differ), (2, 2));
        assert_eq!((counts.refused, counts.lose, counts.gain), (1, 1, 0));
        assert_eq!(counts.columns_lost, ["ssn".to_owned()].into());
        let json = serde_json::to_value(&all).unwrap();
        let line = &json["differences"][0];
        assert_eq!((&line["org"], &line["lose"]), (&"acme".into(), &1.into()));
        let late = summary(entries(), Some(at(9)));
        assert_eq!((late.queries, late.missed), (0, 4));
        let quiet = summary(vec![(0, loaded("one")), (1, opened("acme"))], None);
        assert_eq!((quiet.queries, quiet.differences.iter().count()), (1, 0));
        assert_eq!(summary(vec![(1, opened("acme"))], None).version, None);
    }
}
