//! What names in a statement can mean: the tables that the decisions show, the listed functions,
//! and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use scrim_model::{CATALOG, Code, Refusal, TableName};
use scrim_policy::{Decision, Verdict};

use crate::ask::Ask;
use crate::directory::{self, DIRECTORY_SCHEMA};
use crate::external::Said;
use crate::functions::Functions;
use crate::stub::{StubTable, visible_schema};
use crate::world::World;

/// The names that one statement of one principal can use; remembers the decisions that it led to.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    pub(crate) world: &'a World,
    pub(crate) ask: &'a Ask,
    /// What was said outside about the tables that the statement names.
    said: &'a Said,
    pub(crate) functions: &'a Functions,
    pub(crate) options: &'a ConfigOptions,
    /// Found out when the first bare name needs it.
    default_schema: OnceLock<String>,
    decided: Mutex<BTreeMap<TableName, Arc<Decision>>>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(
        world: &'a World,
        ask: &'a Ask,
        said: &'a Said,
        functions: &'a Functions,
        options: &'a ConfigOptions,
    ) -> Self {
        Self {
            world,
            ask,
            said,
            functions,
            options,
            default_schema: OnceLock::new(),
            decided: Mutex::default(),
        }
    }

    /// The decisions of all tables that the statement names.
    pub(crate) fn into_decisions(self) -> BTreeMap<TableName, Arc<Decision>> {
        self.decided
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, name: &TableName) -> Arc<Decision> {
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        let decision = decided
            .entry(name.clone())
            .or_insert_with(|| self.world.decide(self.ask, name, self.said));
        Arc::clone(decision)
    }

    fn governed(&self, name: &TableName, written: &TableReference) -> Result<Arc<dyn TableSource>> {
        let Some(table) = self.world.policy.table(name) else {
            return Err(unknown(written));
        };
        let decision = self.decide(name);
        match &decision.verdict {
            Verdict::Shown if !decision.columns.is_empty() => {
                let schema = visible_schema(table, &decision);
                Ok(provider_as_source(Arc::new(StubTable::new(
                    decision, schema,
                ))))
            }
            Verdict::Shown | Verdict::NoAgreement => {
                // Whoever has no agreement must leave no trace of the name in a query that goes on.
                self.decided
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(name);
                Err(unknown(written))
            }
            Verdict::PurposeRequired => Err(carry(Refusal::new(
                Code::PurposeRequired,
                format!(
                    "state your purpose to read {written}: your agreements for it serve different purposes"
                ),
            ))),
            Verdict::Closed { .. } => Err(carry(Refusal::new(
                Code::TableClosed,
                format!("{written} is closed for this request by a guard of its contract"),
            ))),
        }
    }
}

/// A refusal on its way through DataFusion's error type.
pub(crate) fn carry(refusal: Refusal) -> DataFusionError {
    DataFusionError::External(Box::new(refusal))
}

fn unknown(written: &TableReference) -> DataFusionError {
    carry(Refusal::new(
        Code::NameNotFound,
        format!(
            "table {} does not exist",
            crate::gate::clip(&written.to_string())
        ),
    ))
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, written: TableReference) -> Result<Arc<dyn TableSource>> {
        let catalog = written.catalog().unwrap_or(CATALOG);
        let default = || self.world.default_schema(self.ask, self.said);
        let schema = match written.schema() {
            Some(schema) => schema,
            None => self.default_schema.get_or_init(default),
        };
        if catalog != CATALOG {
            return Err(unknown(&written));
        }
        if schema == DIRECTORY_SCHEMA {
            return directory::table(written.table(), || self.world.visible(self.ask, self.said))
                .map(|table| provider_as_source(Arc::new(table)))
                .ok_or_else(|| unknown(&written));
        }
        self.governed(&TableName::new(schema, written.table()), &written)
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(
            name, schema,
        ))))
    }

    fn get_table_function_source(
        &self,
        name: &str,
        _args: Vec<datafusion::logical_expr::Expr>,
    ) -> Result<Arc<dyn TableSource>> {
        Err(carry(crate::functions::refused(name)))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.functions.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window.get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.options
    }

    // The lists are only used for "did you mean", whose answer varies from run to run. They are not
    // empty, since DataFusion calls an unknown function its own bug when it has nothing to suggest;
    // the suggestion is cut off again.
    fn udf_names(&self) -> Vec<String> {
        vec![String::new()]
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        vec![String::new()]
    }

    fn udwf_names(&self) -> Vec<String> {
        vec![String::new()]
    }
}
