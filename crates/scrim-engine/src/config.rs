//! What an engine may use, each limit with its unit.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of one engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Bytes that all running queries may hold together.
    pub memory_bytes: usize,
    /// Where sorts, joins and aggregates spill; wiped by its owner at start.
    pub spill_dir: PathBuf,
    /// Partitions of every plan; also what a guard claims to have, whatever lies behind it.
    pub partitions: usize,
    /// Limits of a single query.
    pub limits: EngineLimits,
}

/// Limits of a single query, whoever asks; contracts can only be stricter.
#[derive(Debug, Clone)]
pub struct EngineLimits {
    /// Bytes of a statement's text.
    pub sql_bytes_max: usize,
    /// Tokens of a statement.
    pub sql_tokens_max: usize,
    /// Infix and prefix operators of a statement: DataFusion's planning time grows with the square
    /// of a chain's length and cannot be interrupted.
    pub sql_operators_max: usize,
    /// Nesting of a statement.
    pub sql_depth_max: usize,
    /// Nodes of a logical plan, subqueries included.
    pub plan_nodes_max: usize,
    /// Rows of one result.
    pub rows_max: u64,
    /// Bytes of one result, as Arrow buffers.
    pub bytes_max: u64,
    /// Time of one query from its start to its last row.
    pub time: Duration,
    /// Time that planning alone may take.
    pub planning_time: Duration,
    /// Queries that one principal may run at once.
    pub concurrent_per_principal: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            sql_bytes_max: 1024 * 1024,
            sql_tokens_max: 50_000,
            sql_operators_max: 1_000,
            sql_depth_max: 50,
            plan_nodes_max: 1_000,
            rows_max: 10_000_000,
            bytes_max: 4 * 1024 * 1024 * 1024,
            time: Duration::from_mins(5),
            planning_time: Duration::from_secs(20),
            concurrent_per_principal: 8,
        }
    }
}
