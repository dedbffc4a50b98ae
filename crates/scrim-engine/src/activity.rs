//! What each principal has been doing lately: for `context.queries_last_hour`, `rows_last_day` and
//! the limits on rate and concurrency. Bounded, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use scrim_model::{Code, Context, Limits, Refusal};

/// Principals that are remembered; the longest idle one goes first.
const PRINCIPALS_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct Recent {
    /// Queries by minute, oldest first, one hour at most.
    queries: VecDeque<(i64, u64)>,
    /// Rows by hour, oldest first, one day at most.
    rows: VecDeque<(i64, u64)>,
    running: usize,
    seen: i64,
}

/// The activity of all principals.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    recent: Mutex<BTreeMap<String, Recent>>,
}

/// A running query's place; giving it back is dropping it.
#[derive(Debug)]
pub(crate) struct Place {
    activity: Arc<Activity>,
    principal: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(recent) = self.activity.lock().get_mut(&self.principal) {
            recent.running = recent.running.saturating_sub(1);
        }
    }
}

impl Activity {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills in what the context does not say yet.
    pub(crate) fn inform(&self, principal: &str, context: &mut Context) {
        let now = context.time.timestamp();
        let all = self.lock();
        let recent = all.get(principal);
        let sum = |counts: &VecDeque<(i64, u64)>, since: i64| {
            counts
                .iter()
                .filter(|(at, _)| *at > since)
                .map(|(_, n)| *n as i64)
                .sum::<i64>()
        };
        let queries = recent.map_or(0, |r| sum(&r.queries, now / 60 - 60));
        let rows = recent.map_or(0, |r| sum(&r.rows, now / 3600 - 24));
        context.queries_last_hour.get_or_insert(queries);
        context.rows_last_day.get_or_insert(rows);
    }

    /// Takes a place for one query, if the limits leave one.
    ///
    /// # Errors
    /// A refusal that says which limit and when to try again.
    pub(crate) fn enter(
        self: &Arc<Self>,
        principal: &str,
        limits: Limits,
        concurrent_max: usize,
        now: DateTime<Utc>,
    ) -> Result<Place, Refusal> {
        let minute = now.timestamp() / 60;
        let mut all = self.lock();
        make_room(&mut all);
        let recent = all.entry(principal.to_owned()).or_default();
        recent.seen = now.timestamp();
        let allowed = limits
            .concurrent_queries
            .map_or(concurrent_max, |n| concurrent_max.min(n as usize));
        if recent.running >= allowed {
            return Err(Refusal::new(
                Code::ConcurrencyLimit,
                format!("you are running {allowed} queries already; wait for one to end"),
            ));
        }
        let this_minute = recent
            .queries
            .back()
            .filter(|(at, _)| *at == minute)
            .map_or(0, |(_, n)| *n);
        if limits
            .queries_per_minute
            .is_some_and(|max| this_minute >= max)
        {
            return Err(Refusal::new(
                Code::RateLimit,
                format!(
                    "you have started {this_minute} queries in this minute; try again in the next one"
                ),
            ));
        }
        add(&mut recent.queries, minute, 1, 60);
        recent.running += 1;
        Ok(Place {
            activity: Arc::clone(self),
            principal: principal.to_owned(),
        })
    }

    /// Counts rows that were sent.
    pub(crate) fn sent(&self, principal: &str, rows: u64, now: DateTime<Utc>) {
        if let Some(recent) = self.lock().get_mut(principal) {
            add(&mut recent.rows, now.timestamp() / 3600, rows, 24);
        }
    }
}

fn add(counts: &mut VecDeque<(i64, u64)>, at: i64, n: u64, keep: usize) {
    match counts.back_mut() {
        Some((last, count)) if *last == at => *count += n,
        _ => counts.push_back((at, n)),
    }
    while counts.len() > keep {
        counts.pop_front();
    }
}

fn make_room(all: &mut BTreeMap<String, Recent>) {
    if all.len() < PRINCIPALS_MAX {
        return;
    }
    let idle = all
        .iter()
        .filter(|(_, r)| r.running == 0)
        .min_by_key(|(_, r)| r.seen);
    if let Some(name) = idle.map(|(name, _)| name.clone()) {
        all.remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    #[test]
    fn inv_14_places_are_limited_and_given_back() {
        let activity = Arc::new(Activity::default());
        let limits = Limits {
            queries_per_minute: Some(3),
            ..Limits::default()
        };
        let first = activity.enter("a", limits, 2, at(0)).unwrap();
        let second = activity.enter("a", limits, 2, at(1)).unwrap();
        assert_eq!(
            activity.enter("a", limits, 2, at(2)).unwrap_err().code(),
            Code::ConcurrencyLimit
        );
        drop(first);
        let third = activity.enter("a", limits, 2, at(3)).unwrap();
        drop((second, third));
        assert_eq!(
            activity.enter("a", limits, 2, at(4)).unwrap_err().code(),
            Code::RateLimit
        );
        assert!(activity.enter("a", limits, 2, at(64)).is_ok());
        assert!(activity.enter("b", limits, 2, at(4)).is_ok());
        activity.sent("a", 10, at(65));
        let mut context = Context::at(at(66));
        activity.inform("a", &mut context);
        assert_eq!(
            (context.queries_last_hour, context.rows_last_day),
            (Some(4), Some(10))
        );
    }
}
