//! Contracts and agreements in, decision out.
//!
//! A data owner writes a *contract* for each table: what it is, in which ways (*profiles*) it may
//! be shown, and what always holds (*guards*). A steward writes an *agreement* for each consumer:
//! this organisation gets that profile, for this purpose, from–to. [`Documents::parse`] reads them,
//! [`PolicySet::compile`] checks them against one another and against the sources, and
//! [`PolicySet::decide`] says what one principal may see of one table:
//!
//! 1. agreements of the principal's organisation match by status, dates, contract version, the
//!    session's settings, `who` and `when`; without one, the table does not exist;
//! 2. every guard's `when` must be true, else the table is closed for this request;
//! 3. rows: (OR over the matching profiles' `rows`) AND all guards' `rows`;
//! 4. columns follow the row: each matching agreement is an arm, and a row is shown by the arms
//!    that admit it, the most open treatment first;
//! 5. a column that every arm hides does not exist.
//!
//! How the treatment of a column is found in a profile: what names the column wins; else its tags,
//! the least open of them; else `default` (`hidden` when there is none). A field inside a column is
//! treated like what surrounds it, unless its path is named, which may open or close it, or it is
//! tagged and not named, and then only what its tag closes counts: naming a column `clear` does not
//! clear what is tagged inside it.
//!
//! Conditions (`who`, `when`) are compiled once to physical expressions. A [`Decision`] holds no
//! expressions, only the ids of clauses and the values bound to them; [`PolicySet::rules`] lowers
//! it. Expressions cannot raise on any row and cannot turn the absence of an attribute into access:
//! what could is refused when the policy set loads.
//!
//! A decision is made from its [`Grounds`] and nothing else: of all that is known of a request, what
//! the table's agreements with the organisation and its guards ask. Equal grounds, equal decision.
//!
//! This crate must never know sessions, files, sockets, a clock or randomness. Of DataFusion it
//! knows the crates that make and fold expressions, never one that runs a query.

mod access;
mod agreement;
pub mod compare;
mod compile;
mod condition;
mod coverage;
mod decide;
mod decision;
mod digest;
mod documents;
mod env;
mod facts;
mod fit;
mod grounds;
mod language;
mod lapsed;
pub mod lint;
mod narrowing;
mod odcs;
mod raw;
mod relationships;
mod rules;
mod servers;
mod set;
mod shapes;
mod terse;
#[cfg(test)]
mod tests;
mod version;

pub use agreement::{AgreementDocument, AgreementStatus};
pub use coverage::{Coverage, Part, Point};
pub use decision::{
    Arm, Clause, ColumnDecision, ContractRef, Decision, GuardClause, Showing, Treatment, Unmatched,
    Verdict,
};
pub use digest::fingerprint;
pub use documents::Documents;
pub use env::{FunctionSet, LoadEnv, LookupTableSource, Unavailable};
pub use grounds::{Grounds, GroundsKey};
pub use language::network;
pub use narrowing::{
    AskedColumn, AskedTable, Asker, Circumstances, Narrowing, Question, Volatile, asked_name,
};
pub use odcs::{ContractDocument, Property};
pub use raw::{beside_raw, raw_name};
pub use rules::{RowRules, RuleError};
pub use scrim_anonymize::{MASKS, MaskShape, Parameter, ParameterKind, Unsaid};
pub use servers::{
    Addressing, BadRows, FileFormat, FilePlace, FileServer, PostgresServer, PostgresTls, Server,
    ServerKind, SourceEntry, TableVersion, read_source,
};
pub use set::{Column, ForeignKey, LeftOut, PolicySet, Table};
pub use shapes::{AGREEMENT, CONTRACT, POLICY, SOURCE};
pub use terse::{Parts, is_policy, join, policy_file, split};
