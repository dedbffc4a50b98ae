//! What decides outside the policies and can only narrow what they give.
//!
//! One question for each use of a statement, about all tables that it names, and for each listing,
//! about all tables of its principal. Without an answer that is understood to its last word nothing
//! is shown. A table that is taken away looks like one that never was, also while nobody answers:
//! so a statement that names only tables which do not exist is asked about like any other, and what
//! an answer is kept under depends on the names that the statement holds and not on what they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::common::TableReference;
use futures::future::BoxFuture;
use scrim_model::{CATALOG, Code, Refusal, TableName};
use scrim_policy::{Decision, Narrowing, Question, asked_name, fingerprint};
use tokio::sync::Semaphore;

use crate::ask::Ask;
use crate::directory::DIRECTORY_SCHEMA;
use crate::gate::clip;
use crate::world::World;

/// Questions that wait for their answers at once.
const AT_ONCE_MAX: usize = 64;
/// Bytes of one question.
const QUESTION_BYTES_MAX: usize = 4 << 20;
/// About how many bytes of answers are kept.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// A decision point outside the policies.
pub trait DecisionPoint: fmt::Debug + Send + Sync {
    /// Asks once; an error says why there is no answer, for the owner. May be dropped at any time.
    fn answer<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, String>>;
}

/// What a decision point answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The same for every table.
    All(bool),
    /// For each table by its name in the question; a table that is not here is not allowed.
    Each(BTreeMap<String, TableAnswer>),
}

/// What a decision point answers about one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableAnswer {
    /// Whether the table stays.
    pub allow: bool,
    /// The columns that go.
    pub hide: BTreeSet<String>,
    /// A further row filter, in the language of contracts.
    pub rows: Option<String>,
    /// Why, for the owner.
    pub reason: Option<String>,
}

/// How a decision point is asked.
#[derive(Debug, Clone)]
pub struct ExternalDecisions {
    /// Who it is, for the ledger and the log.
    pub origin: Arc<str>,
    /// What is asked.
    pub point: Arc<dyn DecisionPoint>,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// How long an answer may be used again; zero is never.
    pub keep: Duration,
    /// Whether it is also told what differs with every request: the time, recent activity.
    pub volatile: bool,
}

/// A decision point with the answers that it gave lately.
pub(crate) struct External {
    how: ExternalDecisions,
    kept: Mutex<Kept>,
    places: Semaphore,
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External")
            .field("how", &self.how)
            .finish_non_exhaustive()
    }
}

/// What was taken away, by table.
type Narrowings = BTreeMap<TableName, Arc<Narrowing>>;

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<[u8; 32], (DateTime<Utc>, Arc<Narrowings>)>,
    bytes: usize,
}

/// What was said outside about the tables of one request.
#[derive(Debug, Clone)]
pub(crate) struct Said(Option<Answered>);

#[derive(Debug, Clone)]
struct Answered {
    origin: Arc<str>,
    tables: Arc<Narrowings>,
}

impl Said {
    /// Nobody is asked on this server.
    pub(crate) fn nobody() -> Self {
        Self(None)
    }

    /// The decision without what was taken away. Of a table that nobody asked about nothing is left.
    pub(crate) fn narrow(&self, decision: Arc<Decision>) -> Arc<Decision> {
        let Some(answered) = &self.0 else {
            return decision;
        };
        let decision = Arc::unwrap_or_clone(decision);
        Arc::new(match answered.tables.get(&decision.table) {
            Some(narrowing) => decision.narrowed(narrowing),
            None => decision.narrowed(&Arc::new(Narrowing {
                origin: Arc::clone(&answered.origin),
                allow: false,
                hide: BTreeSet::new(),
                rows: None,
                reason: Some("it was not asked about this table".to_owned()),
            })),
        })
    }
}

/// The tables that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All that its principal can see.
    All,
    /// Those that a statement names, whether there are such tables or not.
    Named(BTreeSet<TableName>),
}

impl Wanted {
    /// The tables of a statement, from the names in it.
    ///
    /// Where bare names belong depends on what is visible, and so does the directory.
    pub(crate) fn of(names: &[TableReference], default_schema: Option<&str>) -> Self {
        let mut wanted = BTreeSet::new();
        for name in names {
            if name.catalog().is_some_and(|catalog| catalog != CATALOG) {
                continue;
            }
            match name.schema().or(default_schema) {
                None | Some(DIRECTORY_SCHEMA) => return Self::All,
                Some(schema) => wanted.insert(TableName::new(schema, name.table())),
            };
        }
        Self::Named(wanted)
    }

    fn key(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Named(names) => {
                let names: Vec<_> = names.iter().map(asked_name).collect();
                names.join("\n")
            }
        }
    }
}

/// A question with what is needed to understand its answer.
#[derive(Debug)]
pub(crate) struct Asking {
    question: Question,
    tables: Vec<TableName>,
    key: [u8; 32],
}

impl External {
    pub(crate) fn new(how: ExternalDecisions) -> Self {
        Self {
            how,
            kept: Mutex::default(),
            places: Semaphore::new(AT_ONCE_MAX),
        }
    }

    /// The question for a request; none when it is about no table at all.
    ///
    /// # Errors
    /// When it is too large.
    pub(crate) fn asking(
        &self,
        world: &World,
        ask: &Ask,
        wanted: &Wanted,
    ) -> Result<Option<Asking>, Refusal> {
        let policy = &world.policy;
        let (principal, context, settings) = (ask.principal.get(), &ask.context, &ask.settings);
        let names: BTreeSet<TableName> = match wanted {
            Wanted::All => policy.tables_for(principal).into_iter().cloned().collect(),
            Wanted::Named(names) if names.is_empty() => return Ok(None),
            Wanted::Named(names) => names.clone(),
        };
        let decided = names.iter().map(|name| world.decide_alone(ask, name));
        let decided: Vec<Arc<Decision>> = decided.collect();
        let volatile = self.how.volatile;
        let decided = decided.iter().map(AsRef::as_ref);
        let question = Question::new(policy, (principal, context, settings), volatile, decided);
        let json = serde_json::to_vec(&question).map_err(Refusal::internal)?;
        if json.len() > QUESTION_BYTES_MAX {
            let most = QUESTION_BYTES_MAX >> 20;
            return Err(self.unavailable(&format!("the question is larger than {most} MiB")));
        }
        Ok(Some(Asking {
            key: fingerprint([json.as_slice(), wanted.key().as_bytes()]),
            question,
            tables: names.into_iter().collect(),
        }))
    }

    /// What is said when nobody is asked about any table.
    pub(crate) fn nothing(&self) -> Said {
        self.said(&Arc::default())
    }

    /// What was said to the same question not long ago.
    pub(crate) fn kept(&self, asking: &Asking, now: DateTime<Utc>) -> Option<Said> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, tables) = kept.answers.get(&asking.key)?;
        self.is_fresh(*at, now).then(|| self.said(tables))
    }

    /// Asks, once.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub(crate) async fn answer(&self, asking: &Asking) -> Result<Answer, Refusal> {
        let asked = async {
            // The semaphore lives as long as this and is never closed.
            let _place = self.places.acquire().await.map_err(|e| e.to_string())?;
            self.how.point.answer(&asking.question).await
        };
        match tokio::time::timeout(self.how.timeout, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(self.unavailable(&why)),
            Err(_) => {
                let timeout = self.how.timeout;
                Err(self.unavailable(&format!("there is no answer within {timeout:?}")))
            }
        }
    }

    /// Makes sure that an answer is understood, and keeps it for as long as it may be used.
    ///
    /// # Errors
    /// When any of it is not.
    pub(crate) fn understood(
        &self,
        world: &World,
        asking: &Asking,
        answer: Answer,
        now: DateTime<Utc>,
    ) -> Result<Said, Refusal> {
        let mut said = match answer {
            Answer::All(allow) => {
                let answer = TableAnswer {
                    allow,
                    ..TableAnswer::default()
                };
                let asked = asking.question.tables.iter();
                asked
                    .map(|table| (table.name.clone(), answer.clone()))
                    .collect()
            }
            Answer::Each(tables) => tables,
        };
        let mut narrowings = Narrowings::new();
        for table in &asking.tables {
            let name = asked_name(table);
            if !asking
                .question
                .tables
                .iter()
                .any(|asked| asked.name == name)
            {
                continue;
            }
            let narrowing = self.narrowing(said.remove(&name));
            if let Err(why) = world.policy.check_narrowing(table, &narrowing) {
                return Err(self.unavailable(&why));
            }
            if !narrowing.allow {
                let reason = narrowing.reason.as_deref().unwrap_or_default();
                let principal = &asking.question.principal.id;
                tracing::info!(%table, %principal, reason, by = %self.how.origin, "taken away");
            }
            narrowings.insert(table.clone(), Arc::new(narrowing));
        }
        let narrowings = Arc::new(narrowings);
        self.keep(asking.key, &narrowings, now);
        Ok(self.said(&narrowings))
    }

    fn narrowing(&self, said: Option<TableAnswer>) -> Narrowing {
        let TableAnswer {
            allow,
            hide,
            rows,
            reason,
        } = said.unwrap_or_else(|| TableAnswer {
            reason: Some("the answer does not name this table".to_owned()),
            ..TableAnswer::default()
        });
        Narrowing {
            origin: Arc::clone(&self.how.origin),
            allow,
            hide,
            rows,
            // Written by a stranger to the log's reader.
            reason: reason.map(|reason| clip(&reason)),
        }
    }

    fn said(&self, tables: &Arc<Narrowings>) -> Said {
        Said(Some(Answered {
            origin: Arc::clone(&self.how.origin),
            tables: Arc::clone(tables),
        }))
    }

    /// A clock that went back makes nothing fresh.
    fn is_fresh(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let age = now.signed_duration_since(at).to_std();
        age.is_ok_and(|age| age < self.how.keep)
    }

    fn keep(&self, key: [u8; 32], narrowings: &Arc<Narrowings>, now: DateTime<Utc>) {
        if self.how.keep.is_zero() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = weight(narrowings);
        if kept.bytes + bytes > KEPT_BYTES_MAX {
            kept.answers.retain(|_, (at, _)| self.is_fresh(*at, now));
            kept.bytes = kept.answers.values().map(|(_, one)| weight(one)).sum();
        }
        if kept.bytes + bytes > KEPT_BYTES_MAX {
            kept.answers.clear();
            kept.bytes = 0;
        }
        if let Some((_, before)) = kept.answers.insert(key, (now, Arc::clone(narrowings))) {
            kept.bytes = kept.bytes.saturating_sub(weight(&before));
        }
        kept.bytes += bytes;
    }

    fn unavailable(&self, why: &str) -> Refusal {
        tracing::warn!(by = %self.how.origin, why = clip(why), "no decision from outside");
        Refusal::new(
            Code::DecisionUnavailable,
            "a decision that this needs cannot be had at the moment; try again later",
        )
        .with_detail(format_args!("{}: {}", self.how.origin, clip(why)))
    }
}

/// About how many bytes an answer takes.
fn weight(narrowings: &Narrowings) -> usize {
    let one = |(name, narrowing): (&TableName, &Arc<Narrowing>)| {
        let hidden: usize = narrowing.hide.iter().map(|name| name.len() + 64).sum();
        let texts = [&narrowing.rows, &narrowing.reason];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        name.schema.len() + name.table.len() + hidden + texts + 256
    };
    narrowings.iter().map(one).sum::<usize>() + 128
}
