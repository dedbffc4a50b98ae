//! What is served at one moment: one policy set with the tables it governs.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use scrim_model::{Secret, TableName};
use scrim_policy::{Decision, ForeignKey, PolicySet, Verdict};

use crate::ask::Ask;
use crate::decisions::Decisions;
use crate::external::Said;
use crate::guard::KeptGuards;
use crate::lookup::LookupTable;
use crate::raw::RawTable;
use crate::stub::visible_schema;
use crate::{keys, masks};

/// One policy set, the tables it governs, the look-up tables of its row rules, and the root of the
/// keys of its masks. A query sees one world from its first step to its last.
#[derive(Debug)]
pub struct World {
    /// The policy set in force.
    pub policy: Arc<PolicySet>,
    /// The governed tables.
    pub tables: BTreeMap<TableName, RawTable>,
    /// Tables that only row rules may ask; what they hold outlives the world.
    pub lookups: BTreeMap<String, Arc<LookupTable>>,
    /// The key from which every contract's keys are derived.
    pub root_key: Secret<[u8; 32]>,
    /// What the policy set decided.
    decisions: Decisions,
    /// What its decisions were lowered to.
    pub(crate) guards: KeptGuards,
}

/// A table as one principal sees it.
#[derive(Debug, Clone)]
pub struct VisibleTable {
    /// Its name.
    pub name: TableName,
    /// The contract's description.
    pub description: Option<String>,
    /// Whom to ask for more.
    pub contact: Option<String>,
    /// The visible columns, all nullable.
    pub schema: SchemaRef,
    /// More about each column of the schema, in its order.
    pub columns: Vec<VisibleColumn>,
    /// The primary key, if all of it is visible and clear.
    pub primary_key: Vec<String>,
    /// What it refers to, where both sides are visible and clear.
    pub foreign_keys: Vec<ForeignKey>,
    /// Why it is visible.
    pub decision: Arc<Decision>,
}

/// More about a visible column.
#[derive(Debug, Clone, Default)]
pub struct VisibleColumn {
    /// The contract's description.
    pub description: Option<String>,
    /// The name of its mask; `None` when it is clear on every row.
    pub mask: Option<String>,
}

impl World {
    /// A world in which nothing was asked yet.
    pub fn new(
        policy: Arc<PolicySet>,
        tables: BTreeMap<TableName, RawTable>,
        lookups: BTreeMap<String, Arc<LookupTable>>,
        root_key: Secret<[u8; 32]>,
    ) -> Self {
        Self {
            decisions: Decisions::of(Arc::clone(&policy)),
            guards: KeptGuards::default(),
            policy,
            tables,
            lookups,
            root_key,
        }
    }

    /// What the policies show of a table, without what was taken away outside.
    pub(crate) fn decide(&self, ask: &Ask, name: &TableName, said: &Said) -> Arc<Decision> {
        said.narrow(self.decide_alone(ask, name))
    }

    /// What the policies show of a table.
    pub(crate) fn decide_alone(&self, ask: &Ask, name: &TableName) -> Arc<Decision> {
        let (principal, context) = (ask.principal.get(), &ask.context);
        self.decisions
            .decide(principal, context, &ask.settings, name)
    }

    /// The tables that a principal can see, sorted by name.
    pub(crate) fn visible(&self, ask: &Ask, said: &Said) -> Vec<VisibleTable> {
        let mut names = self.policy.tables_for(ask.principal.get());
        names.sort();
        names.dedup();
        let mut tables: Vec<_> = names
            .into_iter()
            .filter_map(|name| self.visible_table(ask, name, said))
            .collect();
        keys::show(&self.policy, &mut tables);
        tables
    }

    fn visible_table(&self, ask: &Ask, name: &TableName, said: &Said) -> Option<VisibleTable> {
        let table = self.policy.table(name)?;
        let decision = self.decide(ask, name, said);
        if !is_visible(&decision) {
            return None;
        }
        let schema = visible_schema(table, &decision);
        let column = |field: &FieldRef| {
            let column = table.columns.iter().find(|one| one.name == *field.name());
            VisibleColumn {
                description: column.and_then(|column| column.description.clone()),
                mask: masks::of_column(&decision, field.name()),
            }
        };
        Some(VisibleTable {
            name: name.clone(),
            description: table.description.clone(),
            contact: table.contact.clone(),
            columns: schema.fields().iter().map(column).collect(),
            schema,
            primary_key: Vec::new(),
            foreign_keys: Vec::new(),
            decision,
        })
    }

    /// The schema for bare names: the asked-for one, else the first that the principal can see.
    pub(crate) fn default_schema(&self, ask: &Ask, said: &Said) -> String {
        if let Some(schema) = &ask.default_schema {
            return schema.clone();
        }
        let mut names = self.policy.tables_for(ask.principal.get());
        names.sort();
        names
            .into_iter()
            .find(|name| is_visible(&self.decide(ask, name, said)))
            .map_or_else(|| "public".to_owned(), |name| name.schema.clone())
    }
}

/// A table without columns is as good as none.
fn is_visible(decision: &Decision) -> bool {
    decision.verdict == Verdict::Shown && !decision.columns.is_empty()
}
