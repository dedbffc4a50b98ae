//! Compiling each text once: a condition is shared by all agreements that have it, a row rule by
//! all agreements of its profile whose parameters have the same types.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_common::{DFSchema, DFSchemaRef, ScalarValue};
use scrim_document::Problems;
use scrim_model::ValueType;

use crate::access::ExprText;
use crate::agreement::AgreementDocument;
use crate::condition::Condition;
use crate::language::scope::{Scope, Use, scalar};
use crate::language::{Checked, Fault, Language};
use crate::set::RowRule;

/// The parameters of an agreement, by name.
type Types = BTreeMap<String, ValueType>;

pub(super) struct Clauses<'a> {
    language: &'a Language<'a>,
    attributes: &'a Types,
    /// Of conditions that mention no agreement: by use and text.
    conditions: HashMap<(bool, Arc<str>), Option<Arc<Condition>>>,
    plain_scopes: [Option<Scope>; 2],
    table: Option<SchemaRef>,
    /// Of the current table's profiles: by profile and the types of the parameters.
    rows: HashMap<(String, String), Result<Arc<RowRule>, Vec<Fault>>>,
    row_scopes: HashMap<String, Option<Scope>>,
    guard_scope: Option<Scope>,
    /// What rules of the current table ask and cannot, since it could not be opened.
    unavailable: Problems,
}

/// Whether a text may name a member of `agreement`; saying yes too often costs only time.
pub(super) fn mentions_agreement(text: &str) -> bool {
    text.to_ascii_lowercase().contains("agreement")
}

pub(super) fn types(agreement: &AgreementDocument) -> Types {
    let parameters = agreement.parameters.iter();
    parameters
        .map(|(name, value)| (name.clone(), value.value_type()))
        .collect()
}

fn agreement_values(agreement: &AgreementDocument) -> BTreeMap<String, ScalarValue> {
    agreement
        .members()
        .into_iter()
        .map(|(name, value)| {
            let kind = value.value_type();
            (name, scalar(Some(&value), kind))
        })
        .collect()
}

impl<'a> Clauses<'a> {
    pub(super) fn new(language: &'a Language<'a>, attributes: &'a Types) -> Self {
        let plain = |purpose| Scope::new(purpose, None, attributes, &Types::new());
        Self {
            language,
            attributes,
            conditions: HashMap::new(),
            plain_scopes: [plain(Use::GuardWhen), plain(Use::AgreementCondition)],
            table: None,
            rows: HashMap::new(),
            row_scopes: HashMap::new(),
            guard_scope: None,
            unavailable: Problems::default(),
        }
    }

    /// Everything about rows from here on is about this table.
    pub(super) fn start_table(&mut self, schema: &SchemaRef) {
        self.rows.clear();
        self.row_scopes.clear();
        self.guard_scope = Scope::new(Use::GuardRows, Some(schema), self.attributes, &Types::new());
        self.table = Some(Arc::clone(schema));
    }

    /// What was asked and could not be opened since the table was started.
    pub(super) fn take_unavailable(&mut self) -> Problems {
        std::mem::take(&mut self.unavailable)
    }

    /// Files a fault where it belongs: with what is wrong in the documents, or with what is not
    /// there at the moment.
    pub(super) fn report(&mut self, fault: Fault, text: &ExprText, problems: &mut Problems) {
        if fault.unavailable {
            self.unavailable.push(fault.at(text));
        } else {
            problems.push(fault.at(text));
        }
    }

    /// The table's columns, as lowered row rules see them.
    pub(super) fn table_schema(&self) -> Option<DFSchemaRef> {
        let table = self.table.as_ref()?;
        DFSchema::try_from(Arc::clone(table)).ok().map(Arc::new)
    }

    pub(super) fn guard_when(
        &mut self,
        text: &ExprText,
        problems: &mut Problems,
    ) -> Option<Arc<Condition>> {
        self.shared_condition(false, text, problems)
    }

    /// The `who` or `when` of an agreement, with the agreement's values bound into it.
    pub(super) fn agreement_condition(
        &mut self,
        text: &ExprText,
        agreement: &AgreementDocument,
        problems: &mut Problems,
    ) -> Option<Arc<Condition>> {
        if !mentions_agreement(&text.text) {
            return self.shared_condition(true, text, problems);
        }
        let scope = Scope::new(
            Use::AgreementCondition,
            None,
            self.attributes,
            &types(agreement),
        );
        let compiled = self.condition(text, scope.as_ref(), &agreement_values(agreement));
        self.settle(compiled, text, problems)
    }

    fn shared_condition(
        &mut self,
        of_agreement: bool,
        text: &ExprText,
        problems: &mut Problems,
    ) -> Option<Arc<Condition>> {
        let key = (of_agreement, Arc::clone(&text.text));
        // A text with a problem is compiled again, so that each place where it stands is reported.
        if let Some(Some(known)) = self.conditions.get(&key) {
            return Some(Arc::clone(known));
        }
        let [guard, agreement] = &self.plain_scopes;
        let scope = if of_agreement { agreement } else { guard };
        let compiled = self.condition(text, scope.as_ref(), &BTreeMap::new());
        let compiled = self.settle(compiled, text, problems);
        self.conditions.insert(key, compiled.clone());
        compiled
    }

    fn condition(
        &self,
        text: &ExprText,
        scope: Option<&Scope>,
        values: &BTreeMap<String, ScalarValue>,
    ) -> Result<Arc<Condition>, Vec<Fault>> {
        let scope = scope.ok_or_else(no_scope)?;
        let checked = self.language.check(&text.text, scope)?;
        let compiled = Condition::compile(checked, scope, values, &self.language.options);
        compiled.map(Arc::new).map_err(|fault| vec![fault])
    }

    pub(super) fn guard_rows(
        &mut self,
        id: String,
        text: &ExprText,
        problems: &mut Problems,
    ) -> Option<Arc<RowRule>> {
        let compiled = match &self.guard_scope {
            Some(scope) => self.row_rule(id, text, scope),
            None => Err(no_scope()),
        };
        self.settle(compiled, text, problems)
    }

    /// The row rule of a profile for an agreement, or what is wrong with it.
    pub(super) fn profile_rows(
        &mut self,
        id: &str,
        text: &ExprText,
        parameters: &Types,
    ) -> Result<Arc<RowRule>, Vec<Fault>> {
        let none = Types::new();
        let types = if mentions_agreement(&text.text) {
            parameters
        } else {
            &none
        };
        let key = (id.to_owned(), format!("{types:?}"));
        if let Some(known) = self.rows.get(&key) {
            return known.clone();
        }
        let (attributes, table) = (self.attributes, self.table.as_ref());
        let scope = self
            .row_scopes
            .entry(key.1.clone())
            .or_insert_with(|| Scope::new(Use::ProfileRows, table, attributes, types));
        let compiled = match scope.clone() {
            Some(scope) => self.row_rule(id.to_owned(), text, &scope),
            None => Err(no_scope()),
        };
        self.rows.insert(key, compiled.clone());
        compiled
    }

    fn settle<T>(
        &mut self,
        compiled: Result<T, Vec<Fault>>,
        text: &ExprText,
        problems: &mut Problems,
    ) -> Option<T> {
        match compiled {
            Ok(compiled) => Some(compiled),
            Err(faults) => {
                for fault in faults {
                    self.report(fault, text, problems);
                }
                None
            }
        }
    }

    fn row_rule(
        &self,
        id: String,
        text: &ExprText,
        scope: &Scope,
    ) -> Result<Arc<RowRule>, Vec<Fault>> {
        let Checked { expr, members } = self.language.check(&text.text, scope)?;
        let kind = |name: String| scope.members.get(&name).map(|kind| (name, *kind));
        let members = members.into_iter().filter_map(kind).collect();
        Ok(Arc::new(RowRule {
            id,
            text: Arc::clone(&text.text),
            location: text.location(),
            members,
            expr,
        }))
    }
}

fn no_scope() -> Vec<Fault> {
    vec![Fault::new(
        "the columns of this table cannot be named unambiguously",
    )]
}
