//! One table in PostgreSQL and as Arrow has it, and what conditions select of the two.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray, RecordBatch};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::create_physical_expr;
use scrim_testkit::postgres::Database;
use tokio_postgres::Client;

/// A table with a column `id` that counts its rows, and these rows.
pub(super) struct Both {
    client: Client,
    name: &'static str,
    rows: RecordBatch,
    schema: DFSchemaRef,
    simplifier: ExprSimplifier,
}

impl Both {
    pub(super) async fn new(database: &Database, name: &'static str, rows: RecordBatch) -> Self {
        let client = database.client().await;
        // The zone and the style must not matter.
        let settings =
            "SET search_path = ''; SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL, DMY'";
        client.batch_execute(settings).await.unwrap();
        let schema = Arc::new(DFSchema::try_from(rows.schema()).unwrap());
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(&schema))
            .build();
        Self {
            client,
            name,
            rows,
            schema,
            simplifier: ExprSimplifier::new(context),
        }
    }

    /// The condition as the planner would write it.
    pub(super) fn simplified(&self, expr: &Expr) -> Expr {
        self.simplifier.simplify(expr.clone()).unwrap()
    }

    /// The rows for which PostgreSQL finds a condition true.
    pub(super) async fn postgres(&self, condition: &str) -> BTreeSet<usize> {
        let sql = format!("SELECT id FROM public.{} WHERE {condition}", self.name);
        let rows = self.client.query(&sql, &[]).await;
        let rows = rows.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        rows.iter()
            .map(|row| usize::try_from(row.get::<_, i32>(0)).unwrap())
            .collect()
    }

    /// The rows for which DataFusion finds a condition true.
    pub(super) fn datafusion(&self, expr: &Expr) -> BTreeSet<usize> {
        let planned = create_physical_expr(
            expr,
            &self.schema,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        );
        let planned = planned.unwrap_or_else(|e| panic!("{expr}: {e}"));
        let truths = planned.evaluate(&self.rows).unwrap();
        let truths = truths.into_array(self.rows.num_rows()).unwrap();
        let truths: &BooleanArray = as_boolean_array(&truths).unwrap();
        (0..truths.len())
            .filter(|row| truths.is_valid(*row) && truths.value(*row))
            .collect()
    }
}
