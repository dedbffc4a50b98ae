//! The engine: one world at a time, and the way of every query through it.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement as ParsedStatement;
use datafusion::sql::resolve::resolve_table_references;
use futures::FutureExt;
use scrim_ledger::{Ledger, Reading, RefusedQuery};
use scrim_model::{CATALOG, Clock, Code, QueryId, Refusal, TableName};
use scrim_policy::{Decision, FunctionSet, PolicySet};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, watch};

use crate::activity::Activity;
use crate::ask::{Ask, Params};
use crate::config::{EngineConfig, EngineLimits};
use crate::directory::DIRECTORY_SCHEMA;
use crate::errors::{Stage, refusal};
use crate::external::{External, ExternalDecisions, Said, Wanted};
use crate::functions::Functions;
use crate::gate::admit;
use crate::guard::{Lowered, Tally, lower, tally};
use crate::lookup::Lookups;
use crate::query::{Bound, Query};
use crate::results::{Results, panicked};
use crate::rights::Revoked;
use crate::sessions::{Sessions, in_zone};
use crate::shadow::Shadow;
use crate::world::{VisibleTable, World};
use crate::zone::TimeZone;

/// Planning recurses over the statement; the gate bounds how deep, this is room for it.
const STACK_BYTES: usize = 128 * 1024 * 1024;

/// Tables that the record of a refused statement tells of.
const REFUSED_TABLES_MAX: usize = 64;

/// Plans queries, governs them, and runs them on a runtime of its own.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
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
    external: Option<Arc<External>>,
    pub(crate) shadow: Shadow,
    world: RwLock<Option<Arc<World>>>,
    /// How many worlds were put in force.
    pub(crate) worlds: watch::Sender<u64>,
    pub(crate) revoked: RwLock<Revoked>,
    planners: Semaphore,
    working: watch::Sender<usize>,
    handle: Handle,
    runtime: Option<Runtime>,
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
        Self::narrowed(config, ledger, clock, None)
    }

    /// Starts an engine that shows no more than a decision point outside allows, if there is one.
    ///
    /// # Errors
    /// When threads or the spill folder cannot be had.
    pub fn narrowed(
        config: EngineConfig,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        external: Option<ExternalDecisions>,
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
            external: external.map(|how| Arc::new(External::new(how))),
            shadow: Shadow::new(),
            world: RwLock::default(),
            worlds: watch::Sender::new(0),
            revoked: RwLock::default(),
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

    /// Puts a world in force for the next decision. Running queries keep theirs; whether they may
    /// go on is asked of [`Engine::lapsed`].
    pub fn load(&self, world: World) {
        *self
            .shared
            .world
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(world));
        self.shared.worlds.send_modify(|count| *count += 1);
    }

    /// Has every query that may read be decided under these policies as well, in a while and without
    /// any effect on it. The ledger is told where they would have shown something else.
    pub fn load_shadow(&self, policy: Option<Arc<PolicySet>>) {
        let Shared {
            shadow,
            handle,
            ledger,
            ..
        } = self.shared.as_ref();
        shadow.load(policy, handle, ledger);
    }

    /// The policies that queries are decided under as well.
    pub fn shadow(&self) -> watch::Receiver<Option<Arc<PolicySet>>> {
        self.shared.shadow.policy()
    }

    /// How many queries wait to be decided under them.
    pub fn shadow_waiting(&self) -> watch::Receiver<usize> {
        self.shared.shadow.undone()
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
    /// When no world is loaded, or a decision point outside does not answer.
    pub async fn visible(&self, ask: &Ask) -> Result<Vec<VisibleTable>, Refusal> {
        let world = self.shared.world()?;
        let ask = self.shared.informed(&world, ask);
        let said = self.said(&world, &ask, |_| Ok(Wanted::All)).await?;
        Ok(world.visible(&ask, &said))
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
        self.bind_as(QueryId::new(), None, ask, sql, params).await
    }

    /// Binds a statement under an id that its caller knows, so that a refusal can be told with it,
    /// as a run of the announced statement, if it is one.
    ///
    /// # Errors
    /// A refusal, which is in the ledger before this returns.
    pub async fn bind_as(
        &self,
        id: QueryId,
        statement: Option<QueryId>,
        ask: &Ask,
        sql: &str,
        params: Option<Params>,
    ) -> Result<Query<Bound>, Refusal> {
        let mut refused = Refused {
            id,
            statement,
            ask: ask.clone(),
            sql: sql.to_owned(),
            world: None,
            readings: Arc::default(),
        };
        let world = match self.shared.world() {
            Ok(world) => world,
            Err(refusal) => return Err(self.refuse(refused, refusal).await),
        };
        let ask = self.shared.informed(&world, ask);
        refused.ask = ask.clone();
        refused.world = Some(Arc::clone(&world));
        let said = match self.said_of(&world, &ask, sql).await {
            Ok(said) => said,
            Err(refusal) => return Err(self.refuse(refused, refusal).await),
        };
        let (shared, text) = (Arc::clone(&self.shared), sql.to_owned());
        let bound = self
            .plan(async move {
                let (again, asked) = (Arc::clone(&shared), text.clone());
                let ids = (id, statement);
                let told = (ask.clone(), said.clone());
                let bound = Query::bind(shared, Arc::clone(&world), told, text, params, ids);
                Ok(bound.map_err(|refusal| (refusal, again.named(&world, &ask, &said, &asked))))
            })
            .await;
        match bound {
            Ok(Ok(query)) => Ok(query),
            Ok(Err((refusal, readings))) => {
                refused.readings = readings;
                Err(self.refuse(refused, refusal).await)
            }
            Err(refusal) => Err(self.refuse(refused, refusal).await),
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
        let (id, common) = (bound.id(), &bound.common);
        let refused = Refused {
            id,
            statement: common.statement,
            ask: common.ask.clone(),
            sql: common.sql.clone(),
            world: Some(Arc::clone(&common.world)),
            readings: Arc::clone(&common.readings),
        };
        let permitted = match bound.permit().await {
            Ok(permitted) => permitted,
            Err(refusal) => return Err(self.refuse(refused, refusal).await),
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
        let world = self.shared.world()?;
        let ask = self.shared.informed(&world, ask);
        let said = self.said_of(&world, &ask, sql).await?;
        let (shared, sql) = (Arc::clone(&self.shared), sql.to_owned());
        self.plan(async move {
            let named = named(&sql, &shared.config.limits)?;
            Ok(decisions(&world, &ask, &said, named))
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

    /// What is said outside about the tables that a statement names.
    async fn said_of(&self, world: &Arc<World>, ask: &Ask, sql: &str) -> Result<Said, Refusal> {
        let (sql, schema) = (sql.to_owned(), ask.default_schema.clone());
        self.said(world, ask, move |limits| {
            Ok(Wanted::of(&named(&sql, limits)?, schema.as_deref()))
        })
        .await
    }

    /// What is said outside about tables, if anybody is to be asked.
    async fn said(
        &self,
        world: &Arc<World>,
        ask: &Ask,
        wanted: impl FnOnce(&EngineLimits) -> Result<Wanted, Refusal> + Send + 'static,
    ) -> Result<Said, Refusal> {
        let Some(external) = &self.shared.external else {
            return Ok(Said::nobody());
        };
        let (asker, of) = (Arc::clone(external), (Arc::clone(world), ask.clone()));
        let limits = self.shared.config.limits.clone();
        let asking = self
            .plan(async move { asker.asking(&of.0, &of.1, &wanted(&limits)?) })
            .await?;
        let Some(asking) = asking else {
            return Ok(external.nothing());
        };
        if let Some(said) = external.kept(&asking, self.shared.clock.now()) {
            return Ok(said);
        }
        // Not within a step of planning, since places for these are few.
        let answer = external.answer(&asking).await?;
        let (asker, world) = (Arc::clone(external), Arc::clone(world));
        let now = self.shared.clock.now();
        self.plan(async move { asker.understood(&world, &asking, answer, now) })
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

    async fn refuse(&self, refused: Refused, refusal: Refusal) -> Refusal {
        let Refused {
            id,
            statement,
            ask,
            sql,
            world,
            readings,
        } = refused;
        log(id, &refusal);
        let record = RefusedQuery {
            query: id,
            statement,
            session: ask.session.map(|id| id.to_string()),
            facts: ask.facts(),
            sql: sql
                .chars()
                .take(self.shared.config.limits.sql_bytes_max)
                .collect(),
            policy_version: world.map(|world| world.policy.version().to_owned()),
            readings,
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

/// What the ledger is told of a query that was refused, beside the refusal.
struct Refused {
    id: QueryId,
    statement: Option<QueryId>,
    ask: Ask,
    sql: String,
    world: Option<Arc<World>>,
    readings: Arc<[Reading]>,
}

/// The tables that a statement names, as it names them.
fn named(sql: &str, limits: &EngineLimits) -> Result<Vec<TableReference>, Refusal> {
    let admitted = admit(sql, limits)?;
    let statement = ParsedStatement::Statement(admitted.statement);
    let named = resolve_table_references(&statement, true);
    let (named, _) = named.map_err(|e| refusal(&e, Stage::Planning))?;
    Ok(named)
}

/// One decision for each table, however often and by whichever names the statement names it.
fn decisions(
    world: &World,
    ask: &Ask,
    said: &Said,
    named: Vec<TableReference>,
) -> Vec<Arc<Decision>> {
    let default_schema = world.default_schema(ask, said);
    let mut decisions: Vec<Arc<Decision>> = Vec::new();
    for named in named {
        let name = TableName::new(named.schema().unwrap_or(&default_schema), named.table());
        if decisions.iter().all(|known| known.table != name) {
            decisions.push(world.decide(ask, &name, said));
        }
    }
    decisions
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

    pub(crate) fn world(&self) -> Result<Arc<World>, Refusal> {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        world
            .clone()
            .ok_or_else(|| Refusal::internal("no world is loaded"))
    }

    /// What the record of a refused statement tells of the tables that it names, if it can be read.
    fn named(&self, world: &World, ask: &Ask, said: &Said, sql: &str) -> Arc<[Reading]> {
        let mut named = named(sql, &self.config.limits).unwrap_or_default();
        named.retain(|name| {
            name.catalog().is_none_or(|catalog| catalog == CATALOG)
                && name.schema() != Some(DIRECTORY_SCHEMA)
        });
        named.truncate(REFUSED_TABLES_MAX);
        let decisions = decisions(world, ask, said, named).into_iter();
        decisions.map(Reading::from).collect()
    }

    /// The ask with what the engine knows about recent activity and revoked agreements.
    fn informed(&self, world: &World, ask: &Ask) -> Ask {
        let mut ask = ask.clone();
        let principal = ask.principal.get();
        let revoked = self.revoked(&world.policy, &principal.org);
        ask.context.revoked.extend(revoked);
        self.activity.inform(&principal.id, &mut ask.context);
        ask
    }

    /// The lowered guard of a decision, kept from before if its look-up tables are as they were.
    pub(crate) async fn lowered(
        &self,
        world: &World,
        decision: &Decision,
        lookups: &mut Lookups<'_>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Lowered>, DataFusionError> {
        if let Some(lowered) = world.guards.get(&decision.hash)
            && lookups.are(&lowered.lookups).await?
        {
            return Ok(lowered);
        }
        let vault = &self.sessions.vault;
        // Boxed, as it is seldom taken and large.
        let lowered = Box::pin(lower(world, decision, lookups, vault, now)).await?;
        let lowered = Arc::new(lowered);
        world.guards.keep(&lowered);
        Ok(lowered)
    }
}
