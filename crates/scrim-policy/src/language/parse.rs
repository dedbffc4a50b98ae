//! SQL text to a DataFusion expression.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, Result, TableReference, plan_datafusion_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_sql::parser::DFParserBuilder;
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, VisitMut};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::ParserError;

use super::names::{LOOKUP_SCHEMA, Names, too_deep};
use super::scope::Scope;
use super::{Fault, Language, PolicyFunctions};
use crate::env::LookupTableSource;

/// Bytes of one expression.
const BYTES_MAX: usize = 16 << 10;
/// Parentheses and prefixes in one another; `names` limits the rest.
const DEPTH_MAX: usize = 64;

/// Parses an expression and looks up every name in it.
pub(super) fn parse(
    text: &str,
    scope: &Scope,
    language: &Language<'_>,
) -> Result<Expr, Vec<Fault>> {
    let mut sql = parse_sql(text).map_err(|fault| vec![fault])?;
    let mut names = Names::new(scope, language);
    // Breaking off early is only a matter of not reporting what follows from another fault.
    let (ControlFlow::Continue(()) | ControlFlow::Break(())) = sql.visit(&mut names);
    if !names.faults.is_empty() {
        return Err(names.faults);
    }
    plan(sql, scope, language).map_err(|error| vec![Fault::from(error)])
}

fn parse_sql(text: &str) -> Result<SqlExpr, Fault> {
    if text.len() > BYTES_MAX {
        return Err(Fault::new(format!(
            "the expression is longer than {} KiB",
            BYTES_MAX >> 10
        )));
    }
    let parsed = DFParserBuilder::new(text)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .build()
        .and_then(|mut parser| parser.parse_into_expr());
    let parsed = parsed.map_err(|error| {
        if is_too_deep(&error) {
            return too_deep();
        }
        Fault::new(format!(
            "not an SQL expression: {}",
            super::plain_message(&error)
        ))
    })?;
    if let Some(alias) = parsed.alias {
        return Err(Fault::new(format!("the condition ends before `{alias}`")));
    }
    Ok(parsed.expr)
}

fn is_too_deep(error: &DataFusionError) -> bool {
    let DataFusionError::SQL(parser, _) = error.find_root() else {
        return false;
    };
    matches!(parser.as_ref(), ParserError::RecursionLimitExceeded)
}

fn plan(sql: SqlExpr, scope: &Scope, language: &Language<'_>) -> Result<Expr> {
    let provider = Provider {
        functions: &language.functions,
        options: &language.options,
        lookups: language
            .lookups
            .iter()
            .map(|(name, schema)| (name.as_str(), schema))
            .collect(),
    };
    let planner = SqlToRel::new_with_options(&provider, ParserOptions::default());
    let expr = planner.sql_to_expr(sql, &scope.schema, &mut PlannerContext::new())?;
    // A function called by another of its names comes wrapped in an alias.
    Ok(expr.unalias_nested().data)
}

/// What DataFusion's planner may find: the functions of our list and the look-up tables.
struct Provider<'a> {
    functions: &'a PolicyFunctions,
    options: &'a ConfigOptions,
    lookups: HashMap<&'a str, &'a SchemaRef>,
}

impl fmt::Debug for Provider<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({} look-up tables)", self.lookups.len())
    }
}

fn unknown(name: &TableReference) -> DataFusionError {
    plan_datafusion_err!("there is no look-up table `{name}`")
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        if name.catalog().is_some() || name.schema() != Some(LOOKUP_SCHEMA) {
            return Err(unknown(&name));
        }
        let schema = self
            .lookups
            .get(name.table())
            .ok_or_else(|| unknown(&name))?;
        Ok(Arc::new(LookupTableSource::new(
            name.table(),
            Arc::clone(schema),
        )))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.functions.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.get(name)
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.options
    }

    // The lists are only used for guesses in messages, and those we make ourselves.
    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
