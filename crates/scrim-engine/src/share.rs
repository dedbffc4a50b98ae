//! A result in shares, so that several readers can fetch it at once: each share is the same plan
//! over its part of the source, and can be run again by itself.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use scrim_model::{Code, Limits, Refusal};
use scrim_policy::Treatment;

use crate::about::filters_rows;
use crate::fault;
use crate::gate::Answer;
use crate::query::{Bound, Common, Query};
use crate::raw::RawTable;
use crate::stub::StubTable;

/// Shares of one result.
const SHARES_MAX: u16 = 64;

/// One share of a result, of the source as it was when the result was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Which one, from 0.
    pub index: u16,
    /// Of how many.
    pub of: u16,
    /// The state of the source, from [`Query::source_version`].
    pub version: String,
}

impl Query<Bound> {
    /// Into how many shares the result can be cut, of as many as are wanted. It depends on the
    /// statement, the decision and the limits, never on data.
    ///
    /// Only a table that is shown whole is cut: where its rows are cut depends on all that lies
    /// between them, and would tell of hidden rows and columns.
    pub fn shares(&self, wanted: u16) -> u16 {
        if self.common.answer != Answer::Rows || self.whole_table().is_none() {
            return 1;
        }
        // All shares may be fetched at once.
        let server = self.common.shared.config.limits.concurrent_per_principal;
        let agreed = self.common.limits().concurrent_queries.unwrap_or(u64::MAX);
        let most = agreed.min(server as u64).min(SHARES_MAX.into());
        wanted.min(u16::try_from(most).unwrap_or(SHARES_MAX)).max(1)
    }

    /// The state of the source that the shares are cut from.
    ///
    /// # Errors
    /// When the source cannot be looked at.
    pub async fn source_version(&self) -> Result<String, Refusal> {
        let table = self.whole_table().ok_or_else(changed)?;
        version(&self.common, table).await
    }

    /// Narrows the query to one share.
    ///
    /// # Errors
    /// When the result can no longer be cut as it was.
    pub fn only(mut self, share: Share) -> Result<Self, Refusal> {
        if share.index >= share.of || self.shares(share.of) != share.of {
            return Err(changed());
        }
        self.common.share = Some(share);
        Ok(self)
    }

    /// The one table of a statement that handles each row by itself, if that is shown whole and can
    /// be cut.
    fn whole_table(&self) -> Option<&RawTable> {
        if !each_row_alone(self.plan()) {
            return None;
        }
        let mut decisions = self.common.decisions.values();
        let (Some(decision), None) = (decisions.next(), decisions.next()) else {
            return None;
        };
        let raw = self.common.world.tables.get(&decision.table)?;
        let clear = |treatments: &[Treatment]| treatments.iter().all(Treatment::is_clear);
        let whole = raw.can_be_cut()
            && !filters_rows(decision)
            && decision.columns.len() == raw.schema().fields().len()
            && decision.columns.iter().all(|c| clear(&c.treatments));
        whole.then_some(raw)
    }
}

fn each_row_alone(plan: &LogicalPlan) -> bool {
    let alone = match plan {
        LogicalPlan::Projection(projection) => each_row_alone(&projection.input),
        LogicalPlan::Filter(filter) => each_row_alone(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => each_row_alone(&alias.input),
        LogicalPlan::TableScan(scan) => source_as_provider(&scan.source).is_ok_and(|provider| {
            let any: &dyn std::any::Any = provider.as_ref();
            any.is::<StubTable>()
        }),
        _ => false,
    };
    alone
        && plan
            .expressions()
            .iter()
            .all(|expr| !expr.is_volatile() && !expr.exists(|e| Ok(is_subquery(e))).unwrap_or(true))
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)
    )
}

async fn version(common: &Common, table: &RawTable) -> Result<String, Refusal> {
    let vault = &common.shared.sessions.vault.session;
    let version = table.version(vault).await.map_err(|e| fault::refusal(&e))?;
    // A table may have many files, and a ticket has little room.
    let root_key = common.world.root_key.expose();
    Ok(scrim_anonymize::blinded(
        root_key,
        "scrim/source/v1",
        &[&version],
    ))
}

fn changed() -> Refusal {
    Refusal::new(
        Code::ResultChanged,
        "the result can no longer be fetched in these parts; run the statement again",
    )
}

impl Common {
    /// Once the plan stands: whether the source it was made over is the one that was announced.
    pub(crate) async fn check_version(&self) -> Result<(), Refusal> {
        let Some(share) = &self.share else {
            return Ok(());
        };
        for name in self.decisions.keys() {
            let table = self.world.tables.get(name).ok_or_else(changed)?;
            if version(self, table).await? != share.version {
                return Err(changed());
            }
        }
        Ok(())
    }

    /// The session that plans the query. A share is planned in one piece, so that its rows come in
    /// the same order each time.
    pub(crate) fn planner(&self) -> Arc<SessionState> {
        if self.share.is_none() {
            return Arc::clone(&self.session);
        }
        let mut alone = self.session.as_ref().clone();
        alone.config_mut().options_mut().execution.target_partitions = 1;
        Arc::new(alone)
    }

    /// A share may have its part of what the whole may have, so that all together have no more.
    pub(crate) fn of_share(&self, limits: Limits) -> Limits {
        let of = self.share.as_ref().map_or(1, |share| u64::from(share.of));
        Limits {
            max_rows: limits.max_rows.map(|rows| rows / of),
            max_bytes: limits.max_bytes.map(|bytes| bytes / of),
            ..limits
        }
    }
}

/// The vault for a share: its plan has one partition for each share, the same whoever asks first.
pub(crate) fn vault(vault: &SessionState, of: u16) -> SessionState {
    let mut vault = vault.clone();
    let options = vault.config_mut().options_mut();
    options.execution.target_partitions = usize::from(of);
    options.optimizer.repartition_file_min_size = 1;
    // Each partition reads its own files and no others, whichever are read at all.
    options.execution.enable_file_stream_work_stealing = false;
    // It would put every row through one queue for each share, of which all but one are unread.
    options.optimizer.enable_round_robin_repartition = false;
    vault
}

/// Cuts the source itself where the planner saw no reason to.
pub(crate) fn cut(
    plan: Arc<dyn ExecutionPlan>,
    vault: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>> {
    let options = vault.config_options();
    let cut = plan.transform_up(|node| {
        if !node.children().is_empty() {
            return Ok(Transformed::no(node));
        }
        let parts = node.repartitioned(options.execution.target_partitions, options)?;
        Ok(parts.map_or_else(|| Transformed::no(node), Transformed::yes))
    })?;
    Ok(cut.data)
}
