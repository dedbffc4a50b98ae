//! Filters that a query learns while it runs, handed to the sources behind its guards.
//!
//! A join knows the keys of its first side before it reads the second, and a limited sort knows a
//! bound. A source can skip what cannot pass any more. The join and the sort decide on every row
//! that still comes, so a filter can only save work.
//!
//! It falls from where it is learned only past operators that can neither raise nor count: which
//! rows a source skips depends on the hidden rows beside them, and an expression that raised on a
//! row or not, as it was skipped or not, would tell of these. Every column is followed by its
//! place; names would be ambiguous above a join.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterPushdownResult, ChildPushdownResult, FilterPushdownPhase,
};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, PhysicalExpr};

use super::exec::GuardExec;
use super::prunable::Prunable;

/// A learned filter on its way down.
#[derive(Debug, Clone)]
pub(super) struct Learned {
    filter: Arc<dyn PhysicalExpr>,
    /// The columns that it is about, as places in the output of the operator that it has come to.
    pub(super) columns: Vec<usize>,
}

/// For one child of an operator, each output column's place in the child, if it is a column there.
type Places = Vec<Option<usize>>;

impl Learned {
    /// What an operator learns for one of its children: which child, and the filter.
    fn by(node: &dyn ExecutionPlan) -> Option<(usize, Self)> {
        let child = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            // The keys of the first side are a filter for the second only where a row of the
            // second that has no partner in the first has no part in the result.
            let plain = join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware;
            (plain && drops_unmatched(join.join_type)).then_some(1)?
        } else {
            let sort = node.downcast_ref::<SortExec>()?;
            sort.fetch().map(|_| 0)?
        };
        let filter = node.dynamic_expressions_produced().pop()?;
        let keys = filter.children().into_iter().map(column);
        let columns = keys.collect::<Option<Vec<_>>>()?;
        Some((child, Self { filter, columns }))
    }

    /// The filter in the places that its columns have below, if they all have one.
    fn below(&self, places: &Places) -> Option<Self> {
        let place = |index: &usize| places.get(*index).copied().flatten();
        let columns = self.columns.iter().map(place).collect::<Option<_>>()?;
        let filter = Arc::clone(&self.filter);
        Some(Self { filter, columns })
    }

    /// The filter over the output of the operator that it has come to.
    pub(super) fn over(&self, node: &dyn ExecutionPlan) -> Result<Arc<dyn PhysicalExpr>> {
        let schema = node.schema();
        let columns = self.columns.iter().map(|index| {
            let name = schema.fields().get(*index).map_or("", |field| field.name());
            Arc::new(Column::new(name, *index)) as _
        });
        Arc::clone(&self.filter).with_new_children(columns.collect())
    }
}

/// What a guard's query has learned of the rows that it still wants, as far as sources use it, and
/// the plan inside with these sources.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) inner: Arc<dyn ExecutionPlan>,
    pub(super) learned: Vec<Arc<dyn PhysicalExpr>>,
}

/// Hands what the operators of a query learn to its guards.
///
/// # Errors
/// When the plan cannot be put together again.
pub(crate) fn hand_down(plan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let fall = Fall {
        is_total,
        leaf: &|leaf, learned| {
            let guard = leaf.downcast_ref::<GuardExec>();
            let told = guard.map(|guard| guard.told(learned)).transpose()?;
            Ok(told
                .flatten()
                .map_or_else(|| Arc::clone(leaf), |told| Arc::new(told) as _))
        },
    };
    fall.through(plan, Vec::new())
}

/// Hands filters to the sources of a guard's own plan, and keeps those that were taken.
///
/// # Errors
/// When the plan cannot be put together again.
pub(super) fn into_sources(
    plan: &Arc<dyn ExecutionPlan>,
    learned: Vec<Learned>,
    options: &ConfigOptions,
) -> Result<Told> {
    let taken = RefCell::new(Vec::new());
    let fall = Fall {
        // What owners write was checked when it was loaded.
        is_total: |_| true,
        leaf: &|source, learned| {
            let offered = learned.iter().map(|one| {
                Ok(ChildFilterPushdownResult {
                    filter: Prunable::over(one.over(source.as_ref())?),
                    child_results: Vec::new(),
                })
            });
            let offer = ChildPushdownResult {
                parent_filters: offered.collect::<Result<_>>()?,
                self_filters: Vec::new(),
            };
            let phase = FilterPushdownPhase::Post;
            let answer = source.handle_child_pushdown_result(phase, offer, options)?;
            let Some(pruned) = answer.updated_node else {
                return Ok(Arc::clone(source));
            };
            let filters = learned.into_iter().map(|one| one.filter);
            taken.borrow_mut().extend(filters);
            Ok(pruned)
        },
    };
    Ok(Told {
        inner: fall.through(plan, learned)?,
        learned: taken.into_inner(),
    })
}

type Leaf<'a> = &'a dyn Fn(&Arc<dyn ExecutionPlan>, Vec<Learned>) -> Result<Arc<dyn ExecutionPlan>>;

/// The way of filters through a plan.
struct Fall<'a> {
    /// Whether an expression that stands in the way can raise on no row.
    is_total: fn(&Arc<dyn PhysicalExpr>) -> bool,
    /// What becomes of a leaf that filters come to.
    leaf: Leaf<'a>,
}

impl Fall<'_> {
    fn through(
        &self,
        node: &Arc<dyn ExecutionPlan>,
        learned: Vec<Learned>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let children = node.children();
        if children.is_empty() {
            return if learned.is_empty() {
                Ok(Arc::clone(node))
            } else {
                (self.leaf)(node, learned)
            };
        }
        let places = (!learned.is_empty()).then(|| self.past(node.as_ref()));
        let places = places.flatten().unwrap_or_default();
        let own = Learned::by(node.as_ref());
        let through = children.into_iter().enumerate().map(|(index, child)| {
            let passing = places.get(index).into_iter();
            let passing = passing.flat_map(|places| learned.iter().filter_map(|l| l.below(places)));
            let new = own
                .iter()
                .filter(|(to, _)| *to == index)
                .map(|(_, l)| l.clone());
            self.through(child, passing.chain(new).collect())
        });
        let through = through.collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(Arc::clone(node), through)
    }

    /// Where the columns of an operator come from, child by child, if a row less in a child can be
    /// noticed in nothing but the rows that it would have led to.
    fn past(&self, node: &dyn ExecutionPlan) -> Option<Vec<Places>> {
        if node.fetch().is_some() {
            return None;
        }
        let width = node.schema().fields().len();
        let total = |expr: &Arc<dyn PhysicalExpr>| (self.is_total)(expr);
        if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
            let mut exprs = projection.expr().iter().map(|one| &one.expr);
            let places = exprs.clone().map(column).collect();
            return exprs.all(total).then(|| vec![places]);
        }
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            let places = projected(filter.projection().as_deref(), width);
            return total(filter.predicate()).then(|| vec![places]);
        }
        if let Some(repartition) = node.downcast_ref::<RepartitionExec>() {
            let fine = match repartition.partitioning() {
                Partitioning::Hash(exprs, _) => exprs.iter().all(total),
                Partitioning::RoundRobinBatch(_) => true,
                Partitioning::Range(_) | Partitioning::UnknownPartitioning(_) => false,
            };
            return fine.then(|| vec![projected(None, width)]);
        }
        if node.is::<CoalescePartitionsExec>() || node.is::<CooperativeExec>() {
            return Some(vec![projected(None, width)]);
        }
        self.past_join(node.downcast_ref::<HashJoinExec>()?)
    }

    fn past_join(&self, join: &HashJoinExec) -> Option<Vec<Places>> {
        let keys = join.on.iter().flat_map(|(left, right)| [left, right]);
        let mut compared = keys.chain(join.filter.iter().map(JoinFilter::expression));
        if !compared.all(self.is_total) {
            return None;
        }
        let left = join.left.schema().fields().len();
        let joined = projected(
            join.projection.as_deref(),
            join.join_schema().fields().len(),
        );
        let first = |index: usize| (index < left).then_some(index);
        let second = |index: usize| index.checked_sub(left);
        let side = |of: &dyn Fn(usize) -> Option<usize>| -> Places {
            joined.iter().map(|index| index.and_then(of)).collect()
        };
        match join.join_type {
            JoinType::Inner => Some(vec![side(&first), side(&second)]),
            JoinType::LeftSemi => Some(vec![joined, Vec::new()]),
            JoinType::RightSemi => Some(vec![Vec::new(), joined]),
            JoinType::Left
            | JoinType::Right
            | JoinType::Full
            | JoinType::LeftAnti
            | JoinType::RightAnti
            | JoinType::LeftMark
            | JoinType::RightMark => None,
        }
    }
}

fn drops_unmatched(join: JoinType) -> bool {
    matches!(
        join,
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi
    )
}

fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

/// The places of an operator that hands on the columns of its child, or some of them.
fn projected(projection: Option<&[usize]>, width: usize) -> Places {
    match projection {
        Some(projection) => projection.iter().copied().map(Some).collect(),
        None => (0..width).map(Some).collect(),
    }
}

/// Whether an expression can raise on no row.
fn is_total(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let node = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        is_truth(*binary.op())
    } else if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        like.pattern().is::<Literal>()
    } else {
        expr.is::<Column>()
            || expr.is::<Literal>()
            || expr.is::<NotExpr>()
            || expr.is::<IsNullExpr>()
            || expr.is::<IsNotNullExpr>()
            || expr.is::<InListExpr>()
    };
    node && expr.children().into_iter().all(is_total)
}

fn is_truth(op: Operator) -> bool {
    matches!(
        op,
        Operator::And
            | Operator::Or
            | Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}
