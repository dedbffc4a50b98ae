//! What a policy set is compiled against.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::{ScalarUDF, TableSource};
use scrim_document::Problem;
use scrim_model::{TableName, ValueType};

/// The functions and planners that the engine gives the policy language; of these, only immutable
/// functions on this crate's own list of total ones can be called in a policy.
#[derive(Clone, Default)]
pub struct FunctionSet {
    /// Functions by every name they answer to.
    pub scalars: BTreeMap<String, Arc<ScalarUDF>>,
    /// Planners of special syntax (`EXTRACT`, `[…]`, field access).
    pub planners: Vec<Arc<dyn ExprPlanner>>,
}

impl fmt::Debug for FunctionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionSet({} functions)", self.scalars.len())
    }
}

/// The sources that could not be opened, and why. A contract that needs one is left out; the others
/// are served.
#[derive(Debug, Clone, Default)]
pub struct Unavailable {
    /// Those of contracts, by the contract's table name.
    pub tables: BTreeMap<TableName, Problem>,
    /// Look-up tables, by name.
    pub lookups: BTreeMap<String, Problem>,
}

/// What a policy set is compiled against: the sources' real schemas and the names that the
/// configuration defines.
#[derive(Debug, Clone)]
pub struct LoadEnv<'a> {
    /// The schema of each contract's source that could be opened, by the contract's table name.
    pub schemas: &'a BTreeMap<TableName, SchemaRef>,
    /// The schemas of the look-up tables that row rules may ask and that could be opened, by name.
    pub lookups: &'a BTreeMap<String, SchemaRef>,
    /// The sources that could not be opened.
    pub unavailable: Unavailable,
    /// The attributes that accounts may have, with their types.
    pub attributes: &'a BTreeMap<String, ValueType>,
    /// The named networks.
    pub networks: BTreeSet<String>,
    /// The functions of the engine.
    pub functions: FunctionSet,
}

/// Stands for a look-up table in the subquery of a lowered row rule: it has a schema and cannot be
/// scanned; the engine puts the real table in its place.
#[derive(Debug, Clone)]
pub struct LookupTableSource {
    name: String,
    schema: SchemaRef,
}

impl LookupTableSource {
    pub(crate) fn new(name: impl Into<String>, schema: SchemaRef) -> Self {
        Self {
            name: name.into(),
            schema,
        }
    }

    /// The look-up table's name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TableSource for LookupTableSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
