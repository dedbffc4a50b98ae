//! The policy language: DataFusion SQL boolean expressions over columns and three namespaces.
//!
//! An expression passes these steps when a policy set loads, and is refused at the first that it
//! does not pass:
//! 1. [`parse`]: SQL text to expression; every name is looked up by us, not by the planner.
//! 2. [`absence`]: nothing may turn the absence of an attribute into access.
//! 3. types are coerced by DataFusion, constants folded.
//! 4. [`total`]: what is left cannot raise on any row.
//!
//! [`fold`] binds values into it when a decision is lowered.

mod absence;
mod calls;
mod casts;
pub(crate) mod fold;
mod functions;
mod ip_in;
mod names;
mod parse;
pub(crate) mod scope;
mod total;

pub use ip_in::network;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::DataFusionError;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::{Expr, ExprSchemable};
use scrim_document::Problem;

use crate::access::ExprText;
use crate::env::LoadEnv;
pub(crate) use functions::PolicyFunctions;
use scope::Scope;

/// Why an expression is refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The parameter of the agreement whose lack is the fault.
    pub(crate) parameter: Option<String>,
    /// Whether a look-up table that could not be opened is the fault; the expression may be right.
    pub(crate) unavailable: bool,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            parameter: None,
            unavailable: false,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The fault as a problem at its expression.
    pub(crate) fn at(self, text: &ExprText) -> Problem {
        let problem = text.node.error(self.message);
        match self.help {
            Some(help) => problem.with_help(help),
            None => problem,
        }
    }
}

impl From<DataFusionError> for Fault {
    fn from(error: DataFusionError) -> Self {
        Self::new(plain_message(&error))
    }
}

/// DataFusion's message without its class, its backtrace and its guesses.
fn plain_message(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let mut message = text.lines().next().unwrap_or_default();
    if let Some((_, parser)) = message.split_once("ParserError(\"") {
        message = parser.trim_end_matches("\")");
    }
    while let Some((class, rest)) = message.split_once(": ") {
        let class = class.to_lowercase();
        let ends = [
            "error",
            "planning",
            "plan",
            "coercion",
            "simplification",
            "implemented",
        ];
        if class.len() > 40 || !ends.iter().any(|word| class.ends_with(word)) {
            break;
        }
        message = rest;
    }
    let mut chars = message.trim_end_matches('.').chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

/// What all expressions of a policy set share.
#[derive(Debug)]
pub(crate) struct Language<'a> {
    pub(crate) functions: Arc<PolicyFunctions>,
    pub(crate) options: Arc<ConfigOptions>,
    pub(crate) lookups: &'a BTreeMap<String, SchemaRef>,
    /// The look-up tables that could not be opened, and why.
    pub(crate) unavailable: &'a BTreeMap<String, Problem>,
    pub(crate) networks: &'a BTreeSet<String>,
}

/// An expression that passed all steps; members are still columns in it.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) expr: Expr,
    /// The members that it uses, by full name.
    pub(crate) members: BTreeSet<String>,
}

impl<'a> Language<'a> {
    pub(crate) fn new(env: &'a LoadEnv<'_>) -> Self {
        Self {
            functions: Arc::new(PolicyFunctions::new(&env.functions)),
            options: Arc::new(ConfigOptions::default()),
            lookups: env.lookups,
            unavailable: &env.unavailable.lookups,
            networks: &env.networks,
        }
    }

    /// Takes an expression through all steps.
    pub(crate) fn check(&self, text: &str, scope: &Scope) -> Result<Checked, Vec<Fault>> {
        let expr = parse::parse(text, scope, self)?;
        self.check_parsed(expr, scope).map_err(|fault| vec![fault])
    }

    fn check_parsed(&self, expr: Expr, scope: &Scope) -> Result<Checked, Fault> {
        let members = fold::members(&expr)?;
        let expr = self.prepare(expr, scope)?;
        let expr = fold::simplify(expr, &scope.schema, &self.options)?;
        let data_type = expr.get_type(&scope.schema)?;
        if data_type != DataType::Boolean {
            let message = format!("expected a condition that is true or false, found {data_type}");
            return Err(Fault::new(message));
        }
        total::check(&expr, &scope.schema)?;
        fold::plan(&expr, &scope.schema)?;
        Ok(Checked { expr, members })
    }

    /// The steps before constants are folded.
    fn prepare(&self, expr: Expr, scope: &Scope) -> Result<Expr, Fault> {
        absence::check(&expr)?;
        names::check_subqueries(&expr)?;
        names::check_networks(&expr, self.networks)?;
        let expr = absence::propagate(expr)?;
        Ok(fold::coerce(expr, scope, &self.options)?)
    }

    /// All steps but the last, for an expression of any type that is left as it was written.
    #[cfg(test)]
    pub(crate) fn check_any(&self, text: &str, scope: &Scope) -> Result<Expr, Vec<Fault>> {
        let checked = parse::parse(text, scope, self)?;
        let checked = self.prepare(checked, scope).and_then(|expr| {
            let folded = fold::simplify(expr.clone(), &scope.schema, &self.options)?;
            total::check(&folded, &scope.schema)?;
            fold::plan(&folded, &scope.schema)?;
            Ok(folded)
        });
        checked.map_err(|fault| vec![fault])
    }
}

/// The functions on the list.
#[cfg(test)]
pub(crate) fn listed_functions() -> impl Iterator<Item = &'static functions::Listed> {
    functions::LISTED.iter()
}
