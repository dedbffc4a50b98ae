//! Contracts and agreements in, decision out.
mod access;
mod agreement;
mod decision;
mod documents;
mod env;
mod odcs;
mod set;
mod version;

pub use agreement::{AgreementDocument, AgreementStatus};
pub use decision::{
    Arm, Clause, ColumnDecision, ContractRef, Decision, GuardClause, Showing, Treatment, Unmatched,
    Verdict,
};
pub use documents::Documents;
pub use env::{FunctionSet, LoadEnv, LookupTableSource};
pub use odcs::{ContractDocument, Property, Server, ServerKind};
pub use set::{Column, PolicySet, RowRules, RuleError, Table};
