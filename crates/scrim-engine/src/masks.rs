//! Which columns of a result went through a mask, by name only: parameters and keys stay inside.
//!
//! A bound plan is walked from its scans upwards. A column that is passed on as it is keeps its
//! mask's name, under whatever alias; anything computed from a masked column is *derived*. Rows that
//! were chosen by a masked column are not marked: their values are what they are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, Projection, Subquery};
use scrim_policy::{ColumnDecision, Decision, Showing};

use crate::stub::StubTable;

/// What a column of a result that was computed from masked ones is called.
pub(crate) const DERIVED: &str = "derived";

/// The name of a column's mask, or those of several, sorted and joined with commas; `None` when it
/// is clear on every row. A value that is hidden on some rows is masked by `null` there.
fn mask_name(column: &ColumnDecision) -> Option<String> {
    let mut names = BTreeSet::new();
    for treatment in &column.treatments {
        let nested = treatment.nested.iter().map(|(_, showing)| showing);
        for showing in std::iter::once(&treatment.root).chain(nested) {
            match showing {
                Showing::Clear => {}
                Showing::Masked(mask) => {
                    names.insert(mask.name());
                }
                Showing::Hidden => {
                    names.insert("null");
                }
            }
        }
    }
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// The mask of a table's column by its name, as a decision has it.
pub(crate) fn of_column(decision: &Decision, column: &str) -> Option<String> {
    let found = decision.columns.iter().find(|one| one.name == column);
    found.and_then(mask_name)
}

/// The mask's name for each column of a plan.
pub(crate) fn of_plan(plan: &LogicalPlan) -> Vec<Option<String>> {
    provenance(plan)
        .into_iter()
        .map(|mask| mask.map(|name| name.to_string()))
        .collect()
}

/// `None`: nothing masked went into the column.
type Mask = Option<Arc<str>>;

/// What is computed from columns of which some may be masked.
fn derived(any_masked: bool) -> Mask {
    any_masked.then(|| Arc::from(DERIVED))
}

/// A mask for each column of a node's output; positions are those of its schema.
fn provenance(plan: &LogicalPlan) -> Vec<Mask> {
    let width = plan.schema().fields().len();
    let mut masks = match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok();
            let stub = provider
                .as_deref()
                .and_then(|provider| (provider as &dyn std::any::Any).downcast_ref::<StubTable>());
            let fields = scan.projected_schema.fields().iter();
            fields
                .map(|field| of_column(&stub?.decision, field.name()).map(Arc::from))
                .collect()
        }
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let inputs = Inputs::of(&[input]);
            expr.iter().map(|one| inputs.expr(one)).collect()
        }
        LogicalPlan::Aggregate(aggregate) => {
            let inputs = Inputs::of(&[&aggregate.input]);
            let all = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            match aggregate.group_expr.as_slice() {
                // Grouping sets put columns of their own in between.
                [Expr::GroupingSet(_)] => inputs.by_name(plan.schema()),
                _ => all.map(|one| inputs.expr(one)).collect(),
            }
        }
        LogicalPlan::Window(window) => {
            let mut masks = provenance(&window.input);
            let mut inputs = Inputs::default();
            inputs.add(window.input.schema(), &masks);
            masks.extend(window.window_expr.iter().map(|one| inputs.expr(one)));
            masks
        }
        LogicalPlan::Join(join) => joined(join),
        LogicalPlan::Union(union) => {
            let arms: Vec<_> = union.inputs.iter().map(|arm| provenance(arm)).collect();
            merged(&arms, width)
        }
        LogicalPlan::RecursiveQuery(query) => {
            let arms = [&query.static_term, &query.recursive_term].map(|arm| provenance(arm));
            merged(&arms, width)
        }
        LogicalPlan::Filter(node) => provenance(&node.input),
        LogicalPlan::Sort(node) => provenance(&node.input),
        LogicalPlan::Limit(node) => provenance(&node.input),
        LogicalPlan::SubqueryAlias(node) => provenance(&node.input),
        LogicalPlan::Subquery(Subquery { subquery, .. }) => provenance(subquery),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::DescribeTable(_) => vec![None; width],
        other => Inputs::of(&other.inputs()).by_name(other.schema()),
    };
    // A node whose columns are not understood must not shift the names of the others.
    if masks.len() != width {
        let any = masks.iter().any(Option::is_some);
        masks = vec![derived(any); width];
    }
    masks
}

fn joined(join: &Join) -> Vec<Mask> {
    let mut left = provenance(&join.left);
    let right = provenance(&join.right);
    match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => left,
        JoinType::RightSemi | JoinType::RightAnti => right,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            left.extend(right);
            left
        }
        // One more column: whether a row was found.
        JoinType::LeftMark => with_mark(left, &right),
        JoinType::RightMark => with_mark(right, &left),
    }
}

fn with_mark(mut kept: Vec<Mask>, other: &[Mask]) -> Vec<Mask> {
    let any = other.iter().any(Option::is_some);
    kept.push(derived(any));
    kept
}

/// Columns of several inputs, one over the other: a mask only where all have the same.
fn merged(arms: &[Vec<Mask>], width: usize) -> Vec<Mask> {
    (0..width)
        .map(|index| {
            let column = arms.iter().map(|arm| arm.get(index).cloned().flatten());
            let column: Vec<Mask> = column.collect();
            match column.split_first() {
                Some((first, rest)) if rest.iter().all(|mask| mask == first) => first.clone(),
                // They differ, so at least one is masked.
                Some(_) => derived(true),
                None => None,
            }
        })
        .collect()
}

/// The columns that a node's expressions can name.
#[derive(Default)]
struct Inputs(HashMap<Column, Mask>);

impl Inputs {
    fn of(plans: &[&LogicalPlan]) -> Self {
        let mut inputs = Self::default();
        for plan in plans {
            inputs.add(plan.schema(), &provenance(plan));
        }
        inputs
    }

    fn add(&mut self, schema: &DFSchema, masks: &[Mask]) {
        let columns = schema.columns().into_iter();
        self.0.extend(columns.zip(masks.iter().cloned()));
    }

    fn column(&self, column: &Column) -> Mask {
        self.0.get(column).cloned().flatten()
    }

    fn expr(&self, expr: &Expr) -> Mask {
        match expr {
            Expr::Column(column) => self.column(column),
            Expr::Alias(alias) => self.expr(&alias.expr),
            other => derived(self.reads_masked(other)),
        }
    }

    fn reads_masked(&self, expr: &Expr) -> bool {
        let mut masked = false;
        let walked = expr.apply(|one| {
            masked |= match one {
                Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => {
                    self.column(column).is_some()
                }
                Expr::ScalarSubquery(subquery) => self.subquery(subquery),
                Expr::InSubquery(membership) => self.subquery(&membership.subquery),
                Expr::SetComparison(comparison) => self.subquery(&comparison.subquery),
                _ => false,
            };
            Ok(if masked {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        });
        masked || walked.is_err()
    }

    fn subquery(&self, subquery: &Subquery) -> bool {
        let inner = provenance(&subquery.subquery);
        let outer = subquery.outer_ref_columns.iter();
        inner.iter().any(Option::is_some) || outer.into_iter().any(|one| self.reads_masked(one))
    }

    /// For nodes that pass columns on under their names, and add some of their own.
    fn by_name(&self, schema: &DFSchema) -> Vec<Mask> {
        let any = self.0.values().any(Option::is_some);
        let columns = schema.columns().into_iter();
        columns
            .map(|column| match self.0.get(&column) {
                Some(mask) => mask.clone(),
                None => derived(any),
            })
            .collect()
    }
}
