//! The two planning sessions: the principal's, which knows no table and no file, and the guards'
//! own, which no SQL reaches.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::alias::AliasGenerator;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry, SessionStateDefaults, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{Optimizer, OptimizerConfig};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use crate::config::EngineConfig;
use crate::functions::Functions;
use crate::lookup;
use crate::zone::TimeZone;

/// The planning sessions of one engine.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// Plans what principals write.
    pub(crate) principal: Arc<SessionState>,
    /// Runs what principals write. Made once: it holds a copy of every function's name.
    pub(crate) principal_task: Arc<TaskContext>,
    /// Plans and runs what guards do.
    pub(crate) vault: Arc<Vault>,
}

/// The guards' own session.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) session: SessionState,
    pub(crate) task: Arc<TaskContext>,
    /// What a query may still ask of a plan that is optimised already: fewer rows, columns, or both.
    narrowing: Optimizer,
}

impl Sessions {
    pub(crate) fn new(config: &EngineConfig, functions: &Functions) -> Result<Self> {
        let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(config.memory_bytes));
        let principal = Arc::new(principal(config, functions, runtime(config, &pool)?));
        let session = vault(config, runtime(config, &pool)?);
        Ok(Self {
            principal_task: principal.task_ctx(),
            principal,
            vault: Arc::new(Vault {
                task: session.task_ctx(),
                narrowing: narrowing(&session),
                session,
            }),
        })
    }
}

impl Sessions {
    /// What runs the plans of one of the principal's sessions.
    pub(crate) fn task(&self, session: &Arc<SessionState>) -> Arc<TaskContext> {
        if Arc::ptr_eq(session, &self.principal) {
            Arc::clone(&self.principal_task)
        } else {
            session.task_ctx()
        }
    }
}

impl Vault {
    /// Analyses and optimises a guard's plan, once for all queries.
    pub(crate) fn prepare(&self, plan: LogicalPlan, now: DateTime<Utc>) -> Result<LogicalPlan> {
        let analysed = self.session.analyzer().execute_and_check(
            plan,
            self.session.config_options(),
            |_, _| {},
        )?;
        let planning = Planning::new(&self.session, now);
        self.session
            .optimizer()
            .optimize(analysed, &planning, |_, _| {})
    }

    /// Optimises a prepared plan after a query has narrowed it.
    pub(crate) fn narrow(&self, plan: LogicalPlan, now: DateTime<Utc>) -> Result<LogicalPlan> {
        let planning = Planning::new(&self.session, now);
        self.narrowing.optimize(plan, &planning, |_, _| {})
    }
}

fn narrowing(session: &SessionState) -> Optimizer {
    let needed = [
        "push_down_limit",
        "push_down_filter",
        "optimize_projections",
    ];
    let rules = session.optimizers().iter();
    Optimizer::with_rules(
        rules
            .filter(|rule| needed.contains(&rule.name()))
            .cloned()
            .collect(),
    )
}

/// What the optimiser is told about one query: its own time, and names for subqueries that do not
/// count the queries of others.
pub(crate) struct Planning<'a> {
    session: &'a SessionState,
    now: DateTime<Utc>,
    aliases: Arc<AliasGenerator>,
}

impl<'a> Planning<'a> {
    pub(crate) fn new(session: &'a SessionState, now: DateTime<Utc>) -> Self {
        Self {
            session,
            now,
            aliases: Arc::default(),
        }
    }
}

impl OptimizerConfig for Planning<'_> {
    fn query_execution_start_time(&self) -> Option<DateTime<Utc>> {
        Some(self.now)
    }

    fn alias_generator(&self) -> &Arc<AliasGenerator> {
        &self.aliases
    }

    fn options(&self) -> Arc<ConfigOptions> {
        Arc::clone(self.session.config_options())
    }

    fn function_registry(&self) -> Option<&dyn FunctionRegistry> {
        Some(self.session)
    }
}

fn runtime(config: &EngineConfig, pool: &Arc<dyn MemoryPool>) -> Result<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![config.spill_dir.clone()]));
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::clone(pool))
        .with_disk_manager_builder(disk)
        // A file that was replaced must be seen at once, and listing a local folder is cheap.
        .with_object_list_cache_limit(0)
        .build_arc()
}

/// Options of the principal's session; spelled out rather than trusted to defaults.
fn principal_options(config: &EngineConfig) -> SessionConfig {
    let mut options = ConfigOptions::new();
    options.catalog.information_schema = false;
    options.catalog.create_default_catalog_and_schema = false;
    options.optimizer.skip_failed_rules = false;
    options.execution.target_partitions = config.partitions;
    options.execution.time_zone = Some("+00:00".to_owned());
    options.execution.collect_statistics = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    SessionConfig::from(options)
}

fn principal(
    config: &EngineConfig,
    functions: &Functions,
    runtime: Arc<RuntimeEnv>,
) -> SessionState {
    let mut rules = PhysicalOptimizer::new().rules;
    // Answers COUNT and MIN while planning; the scan is gone before any check of the leaves.
    rules.retain(|rule| rule.name() != "aggregate_statistics");
    let mut session = SessionStateBuilder::new()
        .with_config(principal_options(config))
        .with_runtime_env(runtime)
        .with_physical_optimizer_rules(rules)
        .with_expr_planners(functions.planners.clone())
        .with_scalar_functions(functions.scalar.values().cloned().collect())
        .with_aggregate_functions(functions.aggregate.values().cloned().collect())
        .with_window_functions(functions.window.values().cloned().collect())
        .build();
    // Functions read the options from here; the time is each query's own.
    session.mark_start_execution();
    session
}

/// The session of a principal in another time zone.
pub(crate) fn in_zone(session: &SessionState, zone: &TimeZone) -> SessionState {
    let mut session = session.clone();
    let options = session.config_mut().options_mut();
    options.execution.time_zone = Some(zone.to_string());
    // Functions read the zone from here.
    session.mark_start_execution();
    session
}

fn vault(config: &EngineConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut options = ConfigOptions::new();
    options.catalog.information_schema = false;
    options.catalog.create_default_catalog_and_schema = false;
    options.optimizer.skip_failed_rules = false;
    options.execution.target_partitions = config.partitions;
    options.execution.collect_statistics = true;
    // A join here is with a look-up table, which is in memory already: the source streams past it,
    // and no row of the source is sent from one partition to another or spilled for its sake.
    options.optimizer.hash_join_single_partition_threshold = lookup::BYTES_MAX;
    options.optimizer.hash_join_single_partition_threshold_rows = lookup::ROWS_MAX;
    // A partition of such a join would wait until all have begun; a guard may read one after the
    // other.
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    // Plain strings: string views would be copied once more on their way to the wire.
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    SessionStateBuilder::new()
        .with_config(SessionConfig::from(options))
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(SessionStateDefaults::default_scalar_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_file_formats(SessionStateDefaults::default_file_formats())
        .build()
}
