//! The engine: one world at a time, and the way of every query through it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement as ParsedStatement;
use datafusion::sql::resolve::resolve_table_references;
use futures::FutureExt;
use scrim_ledger::{Ledger, RefusedQuery};
use scrim_model::{Clock, Code, QueryId, Refusal, TableName};
use scrim_policy::{Decision, FunctionSet};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, watch};

use crate::activity::Activity;
use crate::ask::{Ask, Params};
use crate::config::{EngineConfig, EngineLimits};
use crate::errors::{Stage, refusal};
use crate::functions::Functions;
use crate::gate::admit;
use crate::guard::{Lowered, Tally, lower, tally};
use crate::lookup::Lookups;
use crate::query::{Bound, Query};
use crate::results::{Results, panicked};
use crate::sessions::{Sessions, in_zone};
use crate::world::{VisibleTable, World};
use crate::zone::TimeZone;

/// Planning recurses over the statement; the gate bounds how deep, this is room for it.
const STACK_BYTES: usize = 128 * 1024 * 1024;

/// Lowered guards that are kept.
const LOWERED_MAX: usize = 1_024;

/// Plans queries, governs them, and runs them on a runtime of its own.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// Why an engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The runtime could not be started.
    #[error("cannot start the engine's threads")]
    Threads(#[source] std::io::Error),
    /// The planning sessions could not be made.
    #[error("cannot set up the engine's sessions")]
    Sessions(#[source] DataFusionError),
}

/// What all queries of one engine share.
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) functions: Arc<Functions>,
    pub(crate) sessions: Sessions,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) activity: Arc<Activity>,
    world: RwLock<Option<Arc<World>>>,
    lowered: Mutex<LoweredCache>,
    planners: Semaphore,
    working: watch::Sender<usize>,
    handle: Handle,
    runtime: Option<Runtime>,
}

/// Lowered guards of one world, by decision hash.
#[derive(Debug, Default)]
struct LoweredCache {
    world: Option<Arc<World>>,
    guards: BTreeMap<String, Arc<Lowered>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The last query may end on one of the runtime's own threads, which must not wait for itself.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// Starts an engine that serves nothing until a world is loaded.
    ///
    /// # Errors
    /// When threads or the spill folder cannot be had.
    pub fn new(
        config: EngineConfig,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(config.partitions.max(2))
            .thread_name("scrim-query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(EngineError::Threads)?;
        let functions = Arc::new(Functions::listed());
        let sessions = Sessions::new(&config, &functions).map_err(EngineError::Sessions)?;
        let shared = Shared {
            planners: Semaphore::new(config.partitions.max(2) * 4),
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            functions,
            sessions,
            ledger,
            clock,
            activity: Arc::default(),
            world: RwLock::default(),
            lowered: Mutex::default(),
            working: watch::Sender::new(0),
            config,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The functions that policies may be compiled with.
    pub fn functions(&self) -> FunctionSet {
        let vault = &self.shared.sessions.vault.session;
        FunctionSet {
            scalars: vault
                .scalar_functions()
                .iter()
                .map(|(k, v)| (k.clone(), Arc::clone(v)))
                .collect(),
            planners: vault.expr_planners().to_vec(),
        }
    }

    /// Puts a world in force for the next decision; running queries keep theirs.
    pub fn load(&self, world: World) {
        *self
            .shared
            .world
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(world));
    }

    /// The limits of a single query.
    pub fn limits(&self) -> &EngineLimits {
        &self.shared.config.limits
    }

    /// The ledger that every query is recorded in.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// How many queries are being worked on at the moment; the work of one that was dropped has
    /// ended when it is no longer counted.
    pub fn working(&self) -> watch::Receiver<usize> {
        self.shared.working.subscribe()
    }

    /// The tables that a principal can see, sorted; what is hidden is absent.
    ///
    /// # Errors
    /// When no world is loaded.
    pub fn visible(&self, ask: &Ask) -> Result<Vec<VisibleTable>, Refusal> {
        let world = self.shared.world()?;
        Ok(world.visible(&self.shared.informed(ask)))
    }

    /// Binds a statement for a principal: decides every table that it names.
    ///
    /// # Errors
    /// A refusal, which is in the ledger before this returns.
    pub async fn bind(
        &self,
        ask: &Ask,
        sql: &str,
        params: Option<Params>,
    ) -> Result<Query<Bound>, Refusal> {
        self.bind_as(QueryId::new(), ask, sql, params).await
    }

    /// Binds a statement under an id that its caller knows, so that a refusal can be told with it.
    ///
    /// # Errors
    /// A refusal, which is in the ledger before this returns.
    pub async fn bind_as(
        &self,
        id: QueryId,
        ask: &Ask,
        sql: &str,
        params: Option<Params>,
    ) -> Result<Query<Bound>, Refusal> {
        let shared = Arc::clone(&self.shared);
        let (asker, text) = (ask.clone(), sql.to_owned());
        let bound = self
            .plan(async move {
                let world = shared.world()?;
                let asker = shared.informed(&asker);
                Query::bind(shared, world, asker, text, params, id)
            })
            .await;
        match bound {
            Ok(query) => Ok(query),
            Err(refusal) => Err(self.refuse(ask, id, sql, refusal).await),
        }
    }

    /// The whole way: bind, permit, govern, execute.
    ///
    /// # Errors
    /// A refusal, which is in the ledger before this returns.
    pub async fn run(
        &self,
        ask: &Ask,
        sql: &str,
        params: Option<Params>,
    ) -> Result<Results, Refusal> {
        let bound = self.bind(ask, sql, params).await?;
        self.start(bound).await
    }

    /// Takes a bound query to its results.
    ///
    /// # Errors
    /// A refusal, which is in the ledger before this returns.
    pub async fn start(&self, bound: Query<Bound>) -> Result<Results, Refusal> {
        let (ask, id, sql) = (
            bound.common.ask.clone(),
            bound.id(),
            bound.common.sql.clone(),
        );
        let permitted = match bound.permit().await {
            Ok(permitted) => permitted,
            Err(refusal) => return Err(self.refuse(&ask, id, &sql, refusal).await),
        };
        let governed = self.plan(permitted.govern()).await;
        governed
            .and_then(Query::execute)
            .inspect_err(|refusal| log(id, refusal))
    }

    /// The decisions on all tables that a statement names, shown or not, for the owner's `explain`;
    /// reads nothing and records nothing.
    ///
    /// # Errors
    /// When the statement does not pass the gate, or no world is loaded.
    pub async fn explain(&self, ask: &Ask, sql: &str) -> Result<Vec<Arc<Decision>>, Refusal> {
        let shared = Arc::clone(&self.shared);
        let (ask, sql) = (ask.clone(), sql.to_owned());
        self.plan(async move {
            let world = shared.world()?;
            let ask = shared.informed(&ask);
            let admitted = admit(&sql, &shared.config.limits)?;
            let statement = ParsedStatement::Statement(admitted.statement);
            let (named, _) = resolve_table_references(&statement, true)
                .map_err(|e| refusal(&e, Stage::Planning))?;
            let default_schema = world.default_schema(&ask);
            let decide = |named: TableReference| {
                let schema = named.schema().unwrap_or(&default_schema);
                Arc::new(world.decide(&ask, &TableName::new(schema, named.table())))
            };
            Ok(named.into_iter().map(decide).collect())
        })
        .await
    }

    /// Counts the rows that each row filter of a decision keeps, for the owner's `policy test`: numbers
    /// of the table as it is, under no agreement and in no record. Nothing that a client can reach may
    /// call this.
    ///
    /// # Errors
    /// When the decision is of another world, or its table cannot be read.
    pub async fn tally(&self, decision: &Arc<Decision>) -> Result<Vec<Tally>, Refusal> {
        let (shared, decision) = (Arc::clone(&self.shared), Arc::clone(decision));
        self.plan(async move {
            let world = shared.world()?;
            let vault = &shared.sessions.vault;
            let mut lookups = Lookups::new(&world, vault, shared.clock.as_ref());
            let counted = tally(&world, &decision, &mut lookups, vault).await;
            counted.map_err(|e| refusal(&e, Stage::Running))
        })
        .await
    }

    /// Runs one planning step where it can take as long as its limit says without holding up
    /// anybody else, and where a panic is only its own.
    async fn plan<T: Send + 'static>(
        &self,
        step: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let limit = self.shared.config.limits.planning_time;
        let too_long = || {
            Refusal::new(
                Code::TimeLimit,
                "the statement takes too long to plan; simplify it",
            )
        };
        let place = tokio::time::timeout(limit, self.shared.planners.acquire())
            .await
            .map_err(|_| too_long())?
            .map_err(Refusal::internal)?;
        let handle = self.shared.handle.clone();
        let work = self
            .shared
            .handle
            .spawn_blocking(move || handle.block_on(AssertUnwindSafe(step).catch_unwind()));
        let done = tokio::time::timeout(limit, work).await;
        drop(place);
        match done {
            Err(_) => Err(too_long()),
            Ok(Err(join)) => Err(Refusal::internal(join)),
            Ok(Ok(Err(panic))) => Err(panicked(panic.as_ref())),
            Ok(Ok(Ok(result))) => result,
        }
    }

    async fn refuse(&self, ask: &Ask, query: QueryId, sql: &str, refusal: Refusal) -> Refusal {
        log(query, &refusal);
        let principal = ask.principal.get();
        let record = RefusedQuery {
            query,
            principal: principal.id.clone(),
            org: principal.org.clone(),
            session: ask.session.map(|id| id.to_string()),
            address: ask.context.ip,
            sql: sql
                .chars()
                .take(self.shared.config.limits.sql_bytes_max)
                .collect(),
            tables: Vec::new(),
            code: refusal.code(),
            reason: refusal.message().to_owned(),
        };
        match self.shared.ledger.refused(record).await {
            Ok(()) => refusal,
            Err(e) => Refusal::new(
                Code::LedgerUnavailable,
                "the ledger cannot be written, so nothing is served; tell the operator",
            )
            .with_detail(e),
        }
    }
}

fn log(query: QueryId, refusal: &Refusal) {
    tracing::info!(%query, code = %refusal.code(), message = refusal.message(), detail = refusal.detail(), "refused");
}

/// Counts one query's work for as long as it goes on.
#[derive(Debug)]
pub(crate) struct Working(watch::Sender<usize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Shared {
    pub(crate) fn working(&self) -> Working {
        self.working.send_modify(|count| *count += 1);
        Working(self.working.clone())
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.handle
    }

    /// What binds and plans a principal's statement in a time zone.
    pub(crate) fn planner(&self, zone: Option<&TimeZone>) -> (Arc<SessionState>, Arc<Functions>) {
        let (session, functions) = (&self.sessions.principal, &self.functions);
        let Some(zone) = zone else {
            return (Arc::clone(session), Arc::clone(functions));
        };
        let session = in_zone(session, zone);
        let functions = functions.configured(session.config_options());
        (Arc::new(session), Arc::new(functions))
    }

    fn world(&self) -> Result<Arc<World>, Refusal> {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        world
            .clone()
            .ok_or_else(|| Refusal::internal("no world is loaded"))
    }

    /// The ask with what the engine knows about recent activity.
    fn informed(&self, ask: &Ask) -> Ask {
        let mut ask = ask.clone();
        self.activity
            .inform(&ask.principal.get().id, &mut ask.context);
        ask
    }

    /// The lowered guard of a decision, from the cache if this world has lowered it before and its
    /// look-up tables are as they were.
    pub(crate) async fn lowered(
        &self,
        world: &Arc<World>,
        decision: &Decision,
        lookups: &mut Lookups<'_>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Lowered>, DataFusionError> {
        if let Some(lowered) = self.cached(world, &decision.hash)
            && lookups.are(&lowered.lookups).await?
        {
            return Ok(lowered);
        }
        let vault = &self.sessions.vault;
        // Boxed, as it is seldom taken and large.
        let lowered = Box::pin(lower(world, decision, lookups, vault, now)).await?;
        let lowered = Arc::new(lowered);
        let mut cache = self.lowered.lock().unwrap_or_else(PoisonError::into_inner);
        // A world that was replaced meanwhile must not leave its guards to the next one.
        if cache
            .world
            .as_ref()
            .is_some_and(|cached| Arc::ptr_eq(cached, world))
        {
            if cache.guards.len() >= LOWERED_MAX {
                cache.guards.clear();
            }
            // What older snapshots hold must not stay in memory with guards that nobody asks for.
            cache.guards.retain(|_, cached| cached.agrees(&lowered));
            cache
                .guards
                .insert(decision.hash.clone(), Arc::clone(&lowered));
        }
        Ok(lowered)
    }

    fn cached(&self, world: &Arc<World>, hash: &str) -> Option<Arc<Lowered>> {
        let mut cache = self.lowered.lock().unwrap_or_else(PoisonError::into_inner);
        if !cache
            .world
            .as_ref()
            .is_some_and(|cached| Arc::ptr_eq(cached, world))
        {
            *cache = LoweredCache {
                world: Some(Arc::clone(world)),
                guards: BTreeMap::new(),
            };
        }
        cache.guards.get(hash).cloned()
    }
}
