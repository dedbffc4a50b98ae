//! The two planning sessions: the principal's, which knows no table and no file, and the guards'
//! own, which no SQL reaches.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use crate::config::EngineConfig;
use crate::functions::Functions;
use crate::zone::TimeZone;

/// The planning sessions of one engine.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// Plans what principals write.
    pub(crate) principal: Arc<SessionState>,
    /// Plans what guards do.
    pub(crate) vault: Arc<SessionState>,
}

impl Sessions {
    pub(crate) fn new(config: &EngineConfig, functions: &Functions) -> Result<Self> {
        let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(config.memory_bytes));
        Ok(Self {
            principal: Arc::new(principal(config, functions, runtime(config, &pool)?)),
            vault: Arc::new(vault(config, runtime(config, &pool)?)),
        })
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
    SessionStateBuilder::new()
        .with_config(principal_options(config))
        .with_runtime_env(runtime)
        .with_physical_optimizer_rules(rules)
        .with_expr_planners(functions.planners.clone())
        .with_scalar_functions(functions.scalar.values().cloned().collect())
        .with_aggregate_functions(functions.aggregate.values().cloned().collect())
        .with_window_functions(functions.window.values().cloned().collect())
        .build()
}

/// The session of a principal in another time zone.
pub(crate) fn in_zone(session: &SessionState, zone: &TimeZone) -> SessionState {
    let mut session = session.clone();
    let options = session.config_mut().options_mut();
    options.execution.time_zone = Some(zone.to_string());
    session
}

/// The session of one query, which starts now: what `now()` and `current_date` are.
pub(crate) fn started(session: &SessionState, now: DateTime<Utc>) -> Arc<SessionState> {
    let mut session = session.clone();
    session.mark_start_execution();
    session.execution_props_mut().query_execution_start_time = Some(now);
    Arc::new(session)
}

fn vault(config: &EngineConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut options = ConfigOptions::new();
    options.catalog.information_schema = false;
    options.catalog.create_default_catalog_and_schema = false;
    options.optimizer.skip_failed_rules = false;
    options.execution.target_partitions = config.partitions;
    options.execution.collect_statistics = true;
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
