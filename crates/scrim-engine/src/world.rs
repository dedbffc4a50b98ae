//! What is served at one moment: one policy set with the tables it governs.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use scrim_model::{Secret, TableName};
use scrim_policy::{Decision, PolicySet, Verdict};

use crate::ask::Ask;
use crate::raw::RawTable;
use crate::stub::visible_schema;

/// One policy set, the tables it governs, the look-up tables of its row rules, and the root of the
/// keys of its masks. A query sees one world from its first step to its last.
#[derive(Debug)]
pub struct World {
    /// The policy set in force.
    pub policy: Arc<PolicySet>,
    /// The governed tables.
    pub tables: BTreeMap<TableName, RawTable>,
    /// Tables that only row rules may ask.
    pub lookups: BTreeMap<String, RawTable>,
    /// The key from which every contract's keys are derived.
    pub root_key: Secret<[u8; 32]>,
}

/// A table as one principal sees it.
#[derive(Debug, Clone)]
pub struct VisibleTable {
    /// Its name.
    pub name: TableName,
    /// The contract's description.
    pub description: Option<String>,
    /// The visible columns, all nullable.
    pub schema: SchemaRef,
    /// Why it is visible.
    pub decision: Arc<Decision>,
}

impl World {
    pub(crate) fn decide(&self, ask: &Ask, name: &TableName) -> Decision {
        self.policy
            .decide(ask.principal.get(), &ask.context, &ask.settings, name)
    }

    /// The tables that a principal can see, sorted by name.
    pub(crate) fn visible(&self, ask: &Ask) -> Vec<VisibleTable> {
        let mut names = self.policy.tables_for(ask.principal.get());
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| self.visible_table(ask, name))
            .collect()
    }

    fn visible_table(&self, ask: &Ask, name: &TableName) -> Option<VisibleTable> {
        let table = self.policy.table(name)?;
        let decision = self.decide(ask, name);
        if !matches!(decision.verdict, Verdict::Shown) || decision.columns.is_empty() {
            return None;
        }
        Some(VisibleTable {
            name: name.clone(),
            description: table.description.clone(),
            schema: visible_schema(table, &decision),
            decision: Arc::new(decision),
        })
    }

    /// The schema for bare names: the asked-for one, else the first that the principal can see.
    pub(crate) fn default_schema(&self, ask: &Ask) -> String {
        if let Some(schema) = &ask.default_schema {
            return schema.clone();
        }
        let mut names = self.policy.tables_for(ask.principal.get());
        names.sort();
        names
            .into_iter()
            .find(|name| matches!(self.decide(ask, name).verdict, Verdict::Shown))
            .map_or_else(|| "public".to_owned(), |name| name.schema.clone())
    }
}
