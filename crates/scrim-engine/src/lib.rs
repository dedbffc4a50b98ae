//! Binds, governs, verifies and executes queries: the policy enforcement point.
//!
//! `query` is the page to read first: the life of a query as types. A governed table is a guard, a
//! leaf whose own plan (source → row filter → masks → projection) no rule of the optimiser can see
//! into. This crate must never know gRPC, HTTP, or the environment.

mod about;
mod access;
mod activity;
mod ask;
mod config;
mod decisions;
mod directory;
mod engine;
mod errors;
mod external;
mod fault;
mod functions;
mod gate;
mod guard;
mod keys;
mod labels;
mod lookup;
mod masks;
mod names;
mod query;
mod raw;
mod results;
mod rights;
mod sessions;
mod shadow;
mod share;
mod stub;
mod used;
mod verify;
mod world;
mod zone;

pub use about::About;
pub use ask::{Ask, Params};
pub use config::{EngineConfig, EngineLimits};
pub use decisions::Decisions;
pub use engine::{Engine, EngineError};
pub use external::{Answer, DecisionPoint, ExternalDecisions, TableAnswer};
pub use fault::{FaultKind, SourceFault};
pub use guard::Tally;
pub use lookup::LookupTable;
pub use query::{Bound, Governed, Permitted, Query};
pub use raw::{RawTable, Versioned};
pub use results::Results;
pub use rights::Rights;
pub use share::Share;
pub use world::{VisibleColumn, VisibleTable, World};
pub use zone::TimeZone;
