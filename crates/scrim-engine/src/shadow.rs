//! Decides queries a second time, under policies that are not enforced, and tells the ledger what
//! these would have shown otherwise.
//!
//! A query leaves what is needed in a queue and goes on; a full queue costs the comparison and not
//! the query. Nothing of this reaches whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use scrim_ledger::{Event, Ledger, LedgerError, ShadowChange, ShadowDifference};
use scrim_model::QueryId;
use scrim_policy::compare::{self, Change, Width};
use scrim_policy::{Decision, PolicySet, Verdict};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::ask::Ask;

/// Queries that wait for their second decision.
const WAITING_MAX: usize = 1_024;
/// Pairs of decisions whose comparison is kept.
const COMPARED_MAX: usize = 1_024;

/// The policies that are not enforced, and the queries that wait for them.
#[derive(Debug)]
pub(crate) struct Shadow {
    policy: watch::Sender<Option<Arc<PolicySet>>>,
    waiting: OnceLock<mpsc::Sender<Job>>,
    undone: watch::Sender<usize>,
    missed: Arc<AtomicU64>,
}

/// A query that is to be decided again.
#[derive(Debug)]
struct Job {
    query: QueryId,
    ask: Ask,
    enforced: Arc<PolicySet>,
    shadow: Arc<PolicySet>,
    decisions: Vec<Arc<Decision>>,
    /// Counts the job for as long as it lives.
    _undone: Undone,
}

#[derive(Debug)]
struct Undone(watch::Sender<usize>);

impl Drop for Undone {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Comparisons by the hashes of both decisions.
type Compared = BTreeMap<(String, String), Option<ShadowChange>>;

impl Shadow {
    pub(crate) fn new() -> Self {
        Self {
            policy: watch::Sender::new(None),
            waiting: OnceLock::new(),
            undone: watch::Sender::new(0),
            missed: Arc::default(),
        }
    }

    /// From now on queries are decided under these policies as well, or under none.
    pub(crate) fn load(&self, policy: Option<Arc<PolicySet>>, handle: &Handle, ledger: &Ledger) {
        if policy.is_some() {
            self.waiting.get_or_init(|| {
                let (sender, jobs) = mpsc::channel(WAITING_MAX);
                handle.spawn(work(jobs, ledger.clone(), Arc::clone(&self.missed)));
                sender
            });
        }
        self.policy.send_replace(policy);
    }

    pub(crate) fn policy(&self) -> watch::Receiver<Option<Arc<PolicySet>>> {
        self.policy.subscribe()
    }

    pub(crate) fn undone(&self) -> watch::Receiver<usize> {
        self.undone.subscribe()
    }

    /// Has a query decided again in a while; does not wait.
    pub(crate) fn note<'a>(
        &self,
        query: QueryId,
        ask: &Ask,
        enforced: &Arc<PolicySet>,
        decisions: impl ExactSizeIterator<Item = &'a Arc<Decision>>,
    ) {
        let Some(waiting) = self.waiting.get() else {
            return;
        };
        let Some(shadow) = self.policy.borrow().clone() else {
            return;
        };
        if decisions.len() == 0 {
            return;
        }
        let Ok(place) = waiting.try_reserve() else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.undone.send_modify(|count| *count += 1);
        place.send(Job {
            query,
            ask: ask.clone(),
            enforced: Arc::clone(enforced),
            shadow,
            decisions: decisions.cloned().collect(),
            _undone: Undone(self.undone.clone()),
        });
    }
}

/// Takes one query after the other, on a thread that no query needs.
async fn work(mut jobs: mpsc::Receiver<Job>, ledger: Ledger, missed: Arc<AtomicU64>) {
    let mut compared = Compared::new();
    while let Some(job) = jobs.recv().await {
        let compare = move || {
            let differences = job.differences(&mut compared);
            (job, differences, compared)
        };
        let (job, differences, kept) = match tokio::task::spawn_blocking(compare).await {
            Ok(done) => done,
            Err(error) => {
                tracing::warn!(%error, "a query could not be decided under the shadow");
                missed.fetch_add(1, Ordering::Relaxed);
                compared = Compared::new();
                continue;
            }
        };
        compared = kept;
        if let Err(error) = tell(differences, &ledger, &missed).await {
            tracing::warn!(%error, "what the shadow would have shown is not recorded");
        }
        // Only now is the job done.
        drop(job);
    }
}

async fn tell(
    differences: Vec<ShadowDifference>,
    ledger: &Ledger,
    missed: &AtomicU64,
) -> Result<(), LedgerError> {
    for difference in differences {
        ledger.event(Event::ShadowDiffered(difference)).await?;
    }
    let queries = missed.swap(0, Ordering::Relaxed);
    if queries > 0 {
        tracing::warn!(
            queries,
            "there was no time to decide queries under the shadow"
        );
        ledger.event(Event::ShadowMissed { queries }).await?;
    }
    Ok(())
}

impl Job {
    fn differences(&self, compared: &mut Compared) -> Vec<ShadowDifference> {
        let (principal, ask) = (self.ask.principal.get(), &self.ask);
        let mut differences = Vec::new();
        for enforced in &self.decisions {
            let table = &enforced.table;
            let shadow = self
                .shadow
                .decide(principal, &ask.context, &ask.settings, table)
                .narrowed_like(enforced);
            let Some(what) = self.compare(enforced, &shadow, compared) else {
                continue;
            };
            differences.push(ShadowDifference {
                query: self.query,
                principal: principal.id.clone(),
                org: principal.org.clone(),
                table: table.to_string(),
                shadow_version: self.shadow.version().to_owned(),
                enforced: enforced.hash.clone(),
                shadow: shadow.hash,
                what,
            });
        }
        differences
    }

    fn compare(
        &self,
        enforced: &Decision,
        shadow: &Decision,
        compared: &mut Compared,
    ) -> Option<ShadowChange> {
        let key = (enforced.hash.clone(), shadow.hash.clone());
        if let Some(known) = compared.get(&key) {
            return known.clone();
        }
        let change = change((&self.enforced, enforced), (&self.shadow, shadow));
        if compared.len() >= COMPARED_MAX {
            compared.clear();
        }
        compared.insert(key, change.clone());
        change
    }
}

/// What differs; none when the same is shown.
fn change(
    enforced: (&PolicySet, &Decision),
    shadow: (&PolicySet, &Decision),
) -> Option<ShadowChange> {
    let Change {
        table: _,
        verdict: _,
        gained,
        lost,
        replaced,
        treatments,
        rows,
        limits,
    } = compare::decisions(enforced, shadow)?;
    let verdict = Some(word(shadow.1)).filter(|word| *word != self::word(enforced.1));
    let treated = treatments.into_iter().map(|change| change.column);
    let treated: BTreeSet<String> = treated.chain(replaced).collect();
    let rows = Some(rows).filter(|rows| *rows != Width::Equal && verdict.is_none());
    Some(ShadowChange {
        verdict: verdict.map(str::to_owned),
        gained,
        lost,
        treated: treated.into_iter().collect(),
        rows: rows.map(|rows| rows.to_string()),
        limits: !limits.is_empty(),
    })
}

fn word(decision: &Decision) -> &'static str {
    match &decision.verdict {
        // A table without columns is no table.
        Verdict::Shown if decision.columns.is_empty() => "no_agreement",
        Verdict::Shown => "shown",
        Verdict::NoAgreement => "no_agreement",
        Verdict::PurposeRequired => "purpose_required",
        Verdict::Closed { .. } => "closed",
    }
}
