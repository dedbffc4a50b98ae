//! A policy set that is in force.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_expr::Expr;
use scrim_document::Problems;
use scrim_model::{Context, Limits, Principal, SessionSettings, TableName};
use thiserror::Error;

use crate::{ContractRef, Decision, Documents, LoadEnv, Verdict};

/// A policy set, checked and compiled; nothing in it changes any more.
#[derive(Debug)]
pub struct PolicySet {
    version: Arc<str>,
    tables: Vec<Table>,
}

/// A governed table.
#[derive(Debug, Clone)]
pub struct Table {
    /// The name under which clients see it.
    pub name: TableName,
    /// The contract that governs it.
    pub contract: ContractRef,
    /// What it is.
    pub description: Option<String>,
    /// The contract's columns, in its order, with the source's real types, all nullable.
    pub schema: SchemaRef,
    /// More about each column of the schema, in its order.
    pub columns: Vec<Column>,
}

/// What a contract says about a column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The name under which clients see it.
    pub name: String,
    /// The source's own name of it.
    pub physical_name: String,
    /// What it is.
    pub description: Option<String>,
    /// How sensitive it is, in the owner's words.
    pub classification: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// The row filters of a decision, as expressions over the bare columns of its table.
#[derive(Debug, Clone)]
pub struct RowRules {
    /// All of these hold for every row that is shown.
    pub guards: Vec<Expr>,
    /// Which rows each arm admits, in the order of the decision's arms; `None` is all.
    pub arms: Vec<Option<Expr>>,
}

/// Why a decision could not be lowered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// The decision was made by another policy set.
    #[error("the decision was made by policy set {decision}, not by {set}")]
    OtherPolicySet {
        /// The decision's.
        decision: String,
        /// This one's.
        set: String,
    },
    /// The decision does not show its table.
    #[error("the decision does not show {0}")]
    NotShown(TableName),
    /// The decision names something that the policy set does not hold.
    #[error("the policy set holds no {0}")]
    Unknown(String),
}

impl PolicySet {
    /// Checks documents against one another and against the sources, and compiles what they say.
    ///
    /// All or nothing: with any error there is no policy set. The problems beside a policy set are
    /// warnings.
    pub fn compile(
        documents: Documents,
        _env: &LoadEnv<'_>,
    ) -> Result<(Self, Problems), Problems> {
        Ok((Self { version: documents.version.into(), tables: Vec::new() }, Problems::default()))
    }

    /// The version: SHA-256, lower-case hex, over the normalised files.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All governed tables, sorted by name.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter()
    }

    /// A governed table.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// The tables for which the principal's organisation has any agreement, sorted: the only ones
    /// worth deciding.
    pub fn tables_for(&self, _principal: &Principal) -> Vec<&TableName> {
        Vec::new()
    }

    /// Decides what a principal may see of a table: pure and total, and no without a reason for yes.
    pub fn decide(
        &self,
        _principal: &Principal,
        _context: &Context,
        _settings: &SessionSettings,
        table: &TableName,
    ) -> Decision {
        Decision {
            table: table.clone(),
            policy_version: Arc::clone(&self.version),
            contract: None,
            verdict: Verdict::NoAgreement,
            purpose: None,
            arms: Vec::new(),
            guards: Vec::new(),
            columns: Vec::new(),
            unmatched: Vec::new(),
            limits: Limits::default(),
            hash: String::new(),
        }
    }

    /// Lowers the clauses of a decision to typed expressions, with its values bound into them.
    pub fn rules(&self, _decision: &Decision) -> Result<RowRules, RuleError> {
        Ok(RowRules { guards: Vec::new(), arms: Vec::new() })
    }
}
