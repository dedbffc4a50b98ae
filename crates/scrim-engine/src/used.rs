//! Which columns of each table a statement uses, for the owner's record: what its result is made
//! of, and what chooses, joins, groups or sorts its rows.
//!
//! A bound plan is walked from its result downwards, with the positions of each node's output that
//! are used above it. What is not understood uses everything below it.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Subquery};
use scrim_model::TableName;

use crate::stub::StubTable;

/// Positions in a node's output.
type Positions = BTreeSet<usize>;

/// The names of the columns that a plan over stubs uses, by table.
pub(crate) fn columns(plan: &LogicalPlan) -> BTreeMap<TableName, BTreeSet<String>> {
    let mut used = Used {
        subqueries: has_subquery(plan),
        ..Used::default()
    };
    used.node(plan, &all(plan));
    used.columns
}

fn all(plan: &LogicalPlan) -> Positions {
    (0..plan.schema().fields().len()).collect()
}

#[derive(Default)]
struct Used {
    columns: BTreeMap<TableName, BTreeSet<String>>,
    /// Whether there is any subquery; without, no join has a lateral side.
    subqueries: bool,
}

/// The nodes below one node, each with what is used of it.
struct Below<'a>(Vec<(&'a LogicalPlan, Positions)>);

impl<'a> Below<'a> {
    fn of(plan: &'a LogicalPlan) -> Self {
        let inputs = plan.inputs().into_iter();
        Self(inputs.map(|input| (input, Positions::new())).collect())
    }

    fn column(&mut self, column: &Column) {
        for (input, positions) in &mut self.0 {
            if let Some(at) = input.schema().maybe_index_of_column(column) {
                positions.insert(at);
                return;
            }
        }
    }

    fn columns<'c>(&mut self, columns: impl IntoIterator<Item = &'c Column>) {
        for column in columns {
            self.column(column);
        }
    }

    /// Passes positions on to a single input that has the same ones.
    fn same(&mut self, positions: &Positions) {
        for (_, own) in &mut self.0 {
            own.extend(positions);
        }
    }

    fn everything(&mut self) {
        for (input, positions) in &mut self.0 {
            *positions = all(input);
        }
    }
}

impl Used {
    fn node(&mut self, plan: &LogicalPlan, positions: &Positions) {
        let mut below = Below::of(plan);
        match plan {
            LogicalPlan::TableScan(_) => self.scan(plan, positions),
            LogicalPlan::Projection(node) => {
                self.asked((0..).zip(&node.expr), positions, &mut below);
            }
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Repartition(_) => {
                below.same(positions);
                self.exprs(plan, &mut below);
            }
            LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => below.same(positions),
            LogicalPlan::Subquery(node) => self.node(&node.subquery, positions),
            LogicalPlan::Aggregate(node) => {
                for expr in &node.group_expr {
                    self.expr(expr, &mut below);
                }
                let before = plan.schema().fields().len() - node.aggr_expr.len();
                self.asked((before..).zip(&node.aggr_expr), positions, &mut below);
            }
            LogicalPlan::Window(node) => {
                let before = node.input.schema().fields().len();
                let passed = positions.iter().copied().filter(|at| *at < before);
                below.same(&passed.collect());
                self.asked((before..).zip(&node.window_expr), positions, &mut below);
            }
            LogicalPlan::Join(_) => {
                let columns = plan.schema().columns();
                below.columns(positions.iter().filter_map(|at| columns.get(*at)));
                self.exprs(plan, &mut below);
                // A lateral side asks for columns of the other.
                if self.subqueries {
                    for input in plan.inputs() {
                        below.columns(&outer(input));
                    }
                }
            }
            LogicalPlan::Unnest(node) => {
                let lists = node.list_type_columns.iter().map(|(at, _)| *at);
                let taken = lists.chain(node.struct_type_columns.iter().copied());
                let from = |at: &usize| node.dependency_indices.get(*at).copied();
                let passed = positions.iter().filter_map(from);
                below.same(&taken.chain(passed).collect());
            }
            // Which row of several is kept depends on no more than its expressions.
            LogicalPlan::Distinct(Distinct::On(_)) => self.exprs(plan, &mut below),
            LogicalPlan::Distinct(Distinct::All(_))
            | LogicalPlan::RecursiveQuery(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::DescribeTable(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_) => {
                below.everything();
                self.exprs(plan, &mut below);
            }
        }
        for (input, positions) in below.0 {
            self.node(input, &positions);
        }
    }

    /// What those expressions of a node ask for whose positions are used above it.
    fn asked<'e>(
        &mut self,
        exprs: impl Iterator<Item = (usize, &'e Expr)>,
        positions: &Positions,
        below: &mut Below<'_>,
    ) {
        let asked = exprs.filter(|(at, _)| positions.contains(at));
        asked.for_each(|(_, expr)| self.expr(expr, below));
    }

    fn scan(&mut self, plan: &LogicalPlan, positions: &Positions) {
        let LogicalPlan::TableScan(scan) = plan else {
            return;
        };
        let Ok(provider) = source_as_provider(&scan.source) else {
            return;
        };
        let any: &dyn std::any::Any = provider.as_ref();
        let Some(stub) = any.downcast_ref::<StubTable>() else {
            return;
        };
        let fields = scan.projected_schema.fields().iter().enumerate();
        let names = fields.filter(|(at, _)| positions.contains(at));
        let table = self.columns.entry(stub.decision.table.clone()).or_default();
        table.extend(names.map(|(_, field)| field.name().clone()));
    }

    /// All expressions of a node.
    fn exprs(&mut self, plan: &LogicalPlan, below: &mut Below<'_>) {
        for expr in plan.expressions() {
            self.expr(&expr, below);
        }
    }

    /// What one expression uses of the nodes below, and its subqueries of theirs.
    fn expr(&mut self, expr: &Expr, below: &mut Below<'_>) {
        let walked = expr.apply(|one| {
            match one {
                Expr::Column(column) => below.column(column),
                // Whether there is a row, whatever it shows.
                Expr::Exists(exists) => self.subquery(&exists.subquery, false, below),
                Expr::InSubquery(inside) => self.subquery(&inside.subquery, true, below),
                Expr::SetComparison(inside) => self.subquery(&inside.subquery, true, below),
                Expr::ScalarSubquery(subquery) => self.subquery(subquery, true, below),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(walked.is_ok(), "the walk itself cannot fail");
    }

    fn subquery(&mut self, subquery: &Subquery, values: bool, below: &mut Below<'_>) {
        let plan = &subquery.subquery;
        let positions = if values { all(plan) } else { Positions::new() };
        self.node(plan, &positions);
        below.columns(&outer(plan));
    }
}

fn has_subquery(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found = matches!(node, LogicalPlan::Subquery(_));
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    debug_assert!(walked.is_ok(), "the walk itself cannot fail");
    found
}

/// The columns of nodes around a plan that it asks for, however deep inside it.
fn outer(plan: &LogicalPlan) -> Vec<Column> {
    let mut columns = Vec::new();
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|one| {
                if let Expr::OuterReferenceColumn(_, column) = one {
                    columns.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    debug_assert!(walked.is_ok(), "the walk itself cannot fail");
    columns
}
