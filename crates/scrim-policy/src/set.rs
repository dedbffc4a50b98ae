//! A policy set that is in force.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;
use datafusion_common::DFSchemaRef;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::Expr;
use scrim_document::{Location, Problems};
use scrim_model::{Context, Limits, Principal, SessionSettings, TableName, Value, ValueType};

use crate::agreement::AgreementDocument;
use crate::condition::Condition;
use crate::facts::Facts;
use crate::grounds::{Asked, Grounds};
use crate::language::PolicyFunctions;
use crate::rules::{RowRules, RuleError};
use crate::{AgreementStatus, ContractRef, Decision, Documents, LoadEnv, Treatment};
use crate::{compile, digest, rules};

/// A policy set, checked and compiled; nothing in it changes any more.
pub struct PolicySet {
    pub(crate) version: Arc<str>,
    /// Sorted by the name of the table.
    pub(crate) governed: Vec<Governed>,
    by_name: HashMap<TableName, usize>,
    by_organisation: HashMap<String, Vec<usize>>,
    /// The agreements of all contracts with the organisations that they are for.
    agreements: BTreeMap<String, String>,
    left_out: Vec<LeftOut>,
    pub(crate) options: Arc<ConfigOptions>,
    /// What the row filters of decision points outside may call.
    pub(crate) functions: Arc<PolicyFunctions>,
}

/// A contract that is not in force because its source does not fit it, or could not be opened: its
/// table exists for nobody.
#[derive(Debug, Clone)]
pub struct LeftOut {
    /// The contract's id.
    pub contract: String,
    /// The name of its table.
    pub table: TableName,
    /// Why, for the owner.
    pub problems: Problems,
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PolicySet({}, {} tables)",
            self.version,
            self.governed.len()
        )
    }
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
    /// Whom those who see it may ask for more.
    pub contact: Option<String>,
    /// The contract's columns, in its order, with the source's real types, all nullable.
    pub schema: SchemaRef,
    /// More about each column of the schema, in its order.
    pub columns: Vec<Column>,
    /// The columns that tell rows apart, in the key's order; none when the contract names none.
    pub primary_key: Vec<String>,
    /// What its columns refer to in other tables of the policy set, in the contract's order.
    pub foreign_keys: Vec<ForeignKey>,
}

/// Columns of one table that refer to columns of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table that they refer to.
    pub table: TableName,
    /// Its columns, in the order of the referring ones.
    pub referenced: Vec<String>,
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

/// A table with everything that decides about it.
pub(crate) struct Governed {
    pub(crate) table: Table,
    /// The columns, as lowered row rules see them.
    pub(crate) schema: DFSchemaRef,
    /// What stands in the hash for all columns.
    pub(crate) schema_digest: String,
    pub(crate) guards: Vec<CompiledGuard>,
    pub(crate) profiles: Vec<Profile>,
    /// Sorted by id.
    pub(crate) agreements: Vec<Agreement>,
    consumers: HashMap<String, Consumer>,
}

/// What a table has for one organisation.
pub(crate) struct Consumer {
    /// Indices of its agreements, which are sorted by id.
    agreements: Vec<usize>,
    pub(crate) asked: Asked,
}

impl Consumer {
    /// Without an agreement yet, but under the guards of the table.
    fn under(guards: &[CompiledGuard]) -> Self {
        let mut asked = Asked::default();
        for guard in guards {
            asked.guard(guard);
        }
        Self {
            agreements: Vec::new(),
            asked,
        }
    }
}

/// A guard, compiled.
pub(crate) struct CompiledGuard {
    pub(crate) id: String,
    pub(crate) location: Location,
    pub(crate) when: Option<Arc<Condition>>,
    pub(crate) when_text: Option<Arc<str>>,
    pub(crate) rows: Option<Arc<RowRule>>,
}

/// A profile, compiled; its rows are the agreements', since their types are.
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) location: Location,
    /// For every column of the table, in its order.
    pub(crate) columns: Vec<ProfileColumn>,
    pub(crate) limits: Limits,
}

/// How a profile shows a column.
pub(crate) struct ProfileColumn {
    pub(crate) treatment: Treatment,
    pub(crate) location: Location,
    /// Whether anything of the column is shown.
    pub(crate) visible: bool,
    /// What stands for the treatment in the hash of a decision.
    pub(crate) digest: [u8; 32],
}

impl ProfileColumn {
    pub(crate) fn new(treatment: Treatment, location: Location) -> Self {
        let digest = digest::of_treatment(&treatment);
        Self {
            visible: !treatment.hides_all(),
            treatment,
            location,
            digest,
        }
    }
}

/// A row rule, typed and checked, in which members are still columns.
pub(crate) struct RowRule {
    pub(crate) id: String,
    pub(crate) text: Arc<str>,
    pub(crate) location: Location,
    pub(crate) members: Vec<(String, ValueType)>,
    pub(crate) expr: Expr,
}

/// An agreement, compiled.
pub(crate) struct Agreement {
    pub(crate) id: String,
    pub(crate) status: AgreementStatus,
    pub(crate) organisation: String,
    pub(crate) purpose: String,
    pub(crate) start: Option<NaiveDate>,
    pub(crate) end: Option<NaiveDate>,
    pub(crate) version_fits: bool,
    pub(crate) requirement: String,
    /// Index of its profile.
    pub(crate) profile: usize,
    pub(crate) who: Arc<Condition>,
    pub(crate) who_text: Arc<str>,
    pub(crate) when: Option<Arc<Condition>>,
    pub(crate) when_text: Option<Arc<str>>,
    pub(crate) rows: Option<Arc<RowRule>>,
    /// The members of `agreement.*`, by full name.
    pub(crate) members: BTreeMap<String, Value>,
    pub(crate) places: Places,
}

/// Where each part of an agreement stands, for reasons.
pub(crate) struct Places {
    pub(crate) agreement: Location,
    pub(crate) status: Location,
    pub(crate) version: Location,
    pub(crate) purpose: Location,
    pub(crate) start: Location,
    pub(crate) end: Location,
    pub(crate) who: Location,
    pub(crate) when: Location,
}

impl Places {
    pub(crate) fn of(agreement: &AgreementDocument) -> Self {
        let nodes = &agreement.nodes;
        let or_whole =
            |location: Option<Location>| location.unwrap_or_else(|| agreement.location.clone());
        Self {
            agreement: agreement.location.clone(),
            status: nodes.status.location(),
            version: nodes.version.location(),
            purpose: nodes.purpose.location(),
            start: or_whole(nodes.start.as_ref().map(scrim_document::Node::location)),
            end: or_whole(nodes.end.as_ref().map(scrim_document::Node::location)),
            who: agreement.who.location(),
            when: or_whole(
                agreement
                    .when
                    .as_ref()
                    .map(crate::access::ExprText::location),
            ),
        }
    }
}

impl Governed {
    pub(crate) fn new(
        table: Table,
        schema: DFSchemaRef,
        guards: Vec<CompiledGuard>,
        profiles: Vec<Profile>,
        agreements: Vec<Agreement>,
    ) -> Self {
        let mut consumers: HashMap<String, Consumer> = HashMap::new();
        for (index, agreement) in agreements.iter().enumerate() {
            let consumer = consumers.entry(agreement.organisation.clone());
            let consumer = consumer.or_insert_with(|| Consumer::under(&guards));
            consumer.agreements.push(index);
            consumer.asked.agreement(agreement);
        }
        let schema_digest = digest::of_columns(&table);
        Self {
            table,
            schema,
            schema_digest,
            guards,
            profiles,
            agreements,
            consumers,
        }
    }

    /// What there is for an organisation; `None` without an agreement.
    pub(crate) fn consumer(&self, organisation: &str) -> Option<&Consumer> {
        self.consumers.get(organisation)
    }

    /// The agreements of an organisation, sorted by id.
    pub(crate) fn agreements_of(&self, organisation: &str) -> impl Iterator<Item = &Agreement> {
        let indices = self
            .consumer(organisation)
            .map_or(&[][..], |consumer| consumer.agreements.as_slice());
        indices
            .iter()
            .filter_map(|index| self.agreements.get(*index))
    }
}

impl PolicySet {
    /// Checks documents against one another and against the sources, and compiles what they say.
    ///
    /// With any error in the documents there is no policy set. A contract whose source does not fit
    /// it, or could not be opened, is left out, and the others hold: see [`PolicySet::left_out`].
    /// The problems beside a policy set are warnings.
    pub fn compile(documents: Documents, env: &LoadEnv<'_>) -> Result<(Self, Problems), Problems> {
        let compiled = compile::compile(&documents, env);
        // Taken by value because what was compiled is the only form in which it is used further.
        drop(documents);
        compiled
    }

    pub(crate) fn assemble(
        version: &str,
        governed: Vec<Governed>,
        agreements: BTreeMap<String, String>,
        left_out: Vec<LeftOut>,
        options: Arc<ConfigOptions>,
        functions: Arc<PolicyFunctions>,
    ) -> Self {
        let names = governed.iter().map(|one| one.table.name.clone());
        let by_name = names
            .enumerate()
            .map(|(index, name)| (name, index))
            .collect();
        let mut by_organisation: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, one) in governed.iter().enumerate() {
            for agreement in &one.agreements {
                let tables = by_organisation
                    .entry(agreement.organisation.clone())
                    .or_default();
                if tables.last() != Some(&index) {
                    tables.push(index);
                }
            }
        }
        Self {
            version: version.into(),
            governed,
            by_name,
            by_organisation,
            agreements,
            left_out,
            options,
            functions,
        }
    }

    /// The version: SHA-256, lower-case hex, over the normalised files.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The contracts that are not in force because of their sources, sorted by id.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The ids of all agreements, those of contracts that are left out among them, sorted.
    pub fn agreements(&self) -> impl Iterator<Item = &str> {
        self.agreements.keys().map(String::as_str)
    }

    /// The organisations that have any agreement, sorted.
    pub fn organisations(&self) -> BTreeSet<&str> {
        self.agreements.values().map(String::as_str).collect()
    }

    /// Whether there is such an agreement with an organisation.
    pub fn has_agreement(&self, id: &str, organisation: &str) -> bool {
        self.agreements.get(id).is_some_and(|of| of == organisation)
    }

    /// All governed tables, sorted by name.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.governed.iter().map(|one| &one.table)
    }

    /// The purposes of all agreements, sorted.
    pub fn purposes(&self) -> BTreeSet<&str> {
        let agreements = self.governed.iter().flat_map(|one| &one.agreements);
        agreements
            .map(|agreement| agreement.purpose.as_str())
            .collect()
    }

    /// A governed table.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.governed(name).map(|one| &one.table)
    }

    pub(crate) fn governed(&self, name: &TableName) -> Option<&Governed> {
        self.governed.get(*self.by_name.get(name)?)
    }

    /// The tables for which the principal's organisation has any agreement, sorted: the only ones
    /// worth deciding.
    pub fn tables_for(&self, principal: &Principal) -> Vec<&TableName> {
        let indices = self
            .by_organisation
            .get(&principal.org)
            .map_or(&[][..], Vec::as_slice);
        let governed = indices.iter().filter_map(|index| self.governed.get(*index));
        governed.map(|one| &one.table.name).collect()
    }

    /// Decides what a principal may see of a table: pure and total, and no unless something says yes.
    pub fn decide(
        &self,
        principal: &Principal,
        context: &Context,
        settings: &SessionSettings,
        table: &TableName,
    ) -> Decision {
        self.grounds(principal, context, settings, table).decide()
    }

    /// What the decision about a table rests on.
    pub fn grounds<'a>(
        &'a self,
        principal: &'a Principal,
        context: &'a Context,
        settings: &'a SessionSettings,
        table: &'a TableName,
    ) -> Grounds<'a> {
        let facts = Facts::at_once(principal, context, settings);
        Grounds::new(self, &facts, table)
    }

    /// Lowers the clauses of a decision to typed expressions over the columns of its table, with
    /// the decision's values bound into them and constants folded.
    ///
    /// A clause that cannot be made a condition over columns admits no row.
    pub fn rules(&self, decision: &Decision) -> Result<RowRules, RuleError> {
        rules::lower(self, decision)
    }
}
