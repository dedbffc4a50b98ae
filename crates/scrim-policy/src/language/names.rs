//! Every name in an expression, looked up before the planner sees it.
//!
//! A member (`principal.org`) becomes one quoted name, so the planner can only find the member
//! itself: not a field `org` of a column `principal`, nor, from a bare `org`, the member.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{BinaryExpr, Expr, Operator};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr as SqlExpr, Function, FunctionArguments, Ident, Query, SelectItem,
    SetExpr, TableFactor, Value, VisitorMut,
};
use scrim_document::nearest;

use super::scope::{NAMESPACES, Scope, is_member_name, member};
use super::{Fault, Language};

/// The schema in which row rules find look-up tables.
pub(super) const LOOKUP_SCHEMA: &str = "lookup";

/// Levels of operators, calls and parentheses in one another; AND and OR, of which many stand in a
/// row, are not counted.
///
/// The parser's own limit does not see `a + a + …`, and what comes after it would end the process:
/// a tree is walked by recursion.
const LEVELS_MAX: usize = 128;
/// Levels that one `CASE` counts for.
const CASE_LEVELS: usize = 20;

const SUBQUERY_HELP: &str =
    "write `column IN (SELECT column FROM lookup.table WHERE …)`, joined to the rest by AND or OR";

/// Walks over an SQL expression, rewrites members and collects what is wrong.
pub(super) struct Names<'a> {
    scope: &'a Scope,
    language: &'a Language<'a>,
    /// The look-up table of the subquery that is being visited.
    lookup: Option<SchemaRef>,
    levels: usize,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Names<'a> {
    pub(super) fn new(scope: &'a Scope, language: &'a Language<'a>) -> Self {
        Self {
            scope,
            language,
            lookup: None,
            levels: 0,
            faults: Vec::new(),
        }
    }

    fn fault(&mut self, fault: Fault) -> ControlFlow<()> {
        self.faults.push(fault);
        ControlFlow::Continue(())
    }

    fn columns(&self) -> &Schema {
        self.lookup.as_ref().unwrap_or(&self.scope.columns)
    }

    fn compound(&mut self, parts: &[Ident]) -> Option<Ident> {
        let (first, rest) = parts.split_first()?;
        let namespace = normal(first);
        if !NAMESPACES.contains(&namespace.as_str()) {
            let bare = rest.first().map(normal).unwrap_or_default();
            let known = |name: &str| self.columns().field_with_name(name).is_ok();
            if !known(&namespace) && known(&bare) {
                let message = format!("there is no column `{namespace}`");
                self.faults
                    .push(Fault::new(message).help(format!("write the bare name `{bare}`")));
            } else {
                self.column(first);
            }
            return None;
        }
        if self.columns().field_with_name(&namespace).is_ok() {
            let message = format!("`{namespace}` is both a namespace and a column here");
            let help = "give the column another `name` in the contract and keep its `physicalName`";
            self.faults.push(Fault::new(message).help(help));
            return None;
        }
        let full = parts.iter().map(normal).collect::<Vec<_>>().join(".");
        if self.scope.members.contains_key(&full) && rest.len() == 1 {
            return Some(Ident::with_quote('"', full));
        }
        let fault = self.unknown_member(&namespace, &full);
        self.faults.push(fault);
        None
    }

    fn unknown_member(&self, namespace: &str, full: &str) -> Fault {
        if namespace == "agreement" && !self.scope.purpose.has_agreement() {
            return Fault::new(format!("`{full}` is not known here"))
                .help("a guard holds for all agreements; put the condition into a profile");
        }
        let mut fault = Fault::new(format!("there is no `{full}`"));
        if namespace == "agreement" {
            fault.parameter = Some(full.to_owned());
        }
        let member = full.split_once('.').map_or("", |(_, member)| member);
        if let Some(near) = nearest(member, self.scope.members_of(namespace)) {
            return fault.help(format!("did you mean `{namespace}.{near}`?"));
        }
        match namespace {
            "agreement" => fault.help("every agreement of this profile must have that parameter"),
            "principal" => fault.help("attributes are declared in the identity settings"),
            _ => {
                let members: Vec<_> = self.scope.members_of(namespace).collect();
                fault.help(format!("{namespace} has {}", members.join(", ")))
            }
        }
    }

    fn column(&mut self, ident: &Ident) {
        let name = normal(ident);
        if NAMESPACES.contains(&name.as_str()) {
            let message = format!("`{name}` is a namespace, not a value");
            self.faults
                .push(Fault::new(message).help(format!("write `{name}.member`")));
            return;
        }
        if is_member_name(&name) && self.scope.members.contains_key(&name) {
            return;
        }
        if self.columns().field_with_name(&name).is_ok() {
            return;
        }
        let fault = self.unknown_column(&name);
        self.faults.push(fault);
    }

    fn unknown_column(&self, name: &str) -> Fault {
        let fault = Fault::new(format!("there is no column `{name}`"));
        if self.lookup.is_some() && self.scope.columns.field_with_name(name).is_ok() {
            return Fault::new(format!("`{name}` is not a column of the look-up table")).help(
                "a look-up cannot depend on the row: compare the column before `IN` instead",
            );
        }
        let fields = self.columns().fields();
        if let Some(field) = fields
            .iter()
            .find(|field| field.name().eq_ignore_ascii_case(name))
        {
            return fault.help(format!(
                "names without quotes are lower case: write \"{}\" in double quotes",
                field.name()
            ));
        }
        for namespace in NAMESPACES {
            if self
                .scope
                .members_of(namespace)
                .any(|member| member == name)
            {
                return fault.help(format!("did you mean `{namespace}.{name}`?"));
            }
        }
        if fields.is_empty() {
            return fault.help("columns can only be used in `rows`");
        }
        match nearest(name, fields.iter().map(|field| field.name().as_str())) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        }
    }

    fn function(&mut self, function: &Function) -> ControlFlow<()> {
        let name = function.name.to_string().to_lowercase();
        if self.language.functions.get(&name).is_none() {
            let fault = self.language.functions.refused(&name);
            return self.fault(fault);
        }
        let extras = match &function.args {
            FunctionArguments::List(list) => {
                list.duplicate_treatment.is_some() || !list.clauses.is_empty()
            }
            FunctionArguments::None => false,
            FunctionArguments::Subquery(_) => true,
        };
        // The planner would drop these in silence.
        if extras
            || function.filter.is_some()
            || function.over.is_some()
            || function.null_treatment.is_some()
            || !function.within_group.is_empty()
            || !matches!(function.parameters, FunctionArguments::None)
        {
            return self.fault(Fault::new(format!(
                "`{name}` takes arguments and nothing else"
            )));
        }
        ControlFlow::Continue(())
    }

    fn subquery(&mut self, query: &Query) -> Result<SchemaRef, Fault> {
        let Some((name, select)) = plain_lookup(query) else {
            return Err(
                Fault::new("this subquery is not one that a policy can ask").help(SUBQUERY_HELP)
            );
        };
        if self.lookup.is_some() {
            return Err(Fault::new("a look-up cannot ask another one"));
        }
        let Some(schema) = self.language.lookups.get(&name) else {
            return Err(self.no_lookup(&name));
        };
        if let Some(field) = schema
            .fields()
            .iter()
            .find(|field| is_member_name(field.name()))
        {
            return Err(Fault::new(format!(
                "the look-up table `{name}` has a column `{}`, which looks like a member",
                field.name()
            )));
        }
        match select {
            SelectItem::UnnamedExpr(SqlExpr::Identifier(_)) => Ok(SchemaRef::clone(schema)),
            _ => {
                Err(Fault::new("a look-up selects one column by its bare name").help(SUBQUERY_HELP))
            }
        }
    }

    fn no_lookup(&self, name: &str) -> Fault {
        if let Some(why) = self.language.unavailable.get(name) {
            let message = format!(
                "the look-up table `{name}` could not be opened: {}",
                why.message()
            );
            return Fault {
                unavailable: true,
                ..Fault::new(message)
            };
        }
        let fault = Fault::new(format!("there is no look-up table `{name}`"));
        let (opened, not) = (self.language.lookups, self.language.unavailable);
        let known = opened.keys().chain(not.keys()).map(String::as_str);
        match nearest(name, known) {
            Some(near) => fault.help(format!("did you mean `lookup.{near}`?")),
            None => fault.help("look-up tables are declared under `lookup` in scrim.yaml"),
        }
    }
}

/// Why an expression is refused that only a deep tree could hold.
pub(super) fn too_deep() -> Fault {
    Fault::new("the expression has too many operators or parentheses in one another")
        .help("name what is allowed with `IN` or a look-up table, or divide the rule")
}

/// How many levels an expression adds to what stands in it.
fn levels(expr: &SqlExpr) -> usize {
    match expr {
        SqlExpr::BinaryOp {
            op: BinaryOperator::And | BinaryOperator::Or,
            ..
        } => 0,
        SqlExpr::CompoundFieldAccess { access_chain, .. } => access_chain.len(),
        // Folding writes out the conditions of all branches for each of them, so that every one in
        // another makes a condition several times as long.
        SqlExpr::Case { .. } => CASE_LEVELS,
        _ => 1,
    }
}

/// A name as the planner reads it: without quotes it is lower case.
fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// The look-up table and the one selected item of a query that is nothing but
/// `SELECT item FROM lookup.table [WHERE condition]`.
fn plain_lookup(query: &Query) -> Option<(String, &SelectItem)> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [item] = select.projection.as_slice() else {
        return None;
    };
    let [from] = select.from.as_slice() else {
        return None;
    };
    let TableFactor::Table { name, .. } = &from.relation else {
        return None;
    };
    let parts: Option<Vec<_>> = name
        .0
        .iter()
        .map(|part| part.as_ident().map(normal))
        .collect();
    let parts = parts?;
    let [schema, table] = parts.as_slice() else {
        return None;
    };
    // Whatever else a query can say shows when it is written back.
    let mut plain = format!("SELECT {item} FROM {name}");
    if let Some(condition) = &select.selection {
        plain = format!("{plain} WHERE {condition}");
    }
    (schema == LOOKUP_SCHEMA && query.to_string() == plain).then(|| (table.clone(), item))
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if !self.scope.purpose.has_rows() {
            self.faults.push(
                Fault::new("look-up tables can only be asked in row rules")
                    .help("put the condition into `rows`"),
            );
            return ControlFlow::Break(());
        }
        match self.subquery(query) {
            Ok(schema) => {
                self.lookup = Some(schema);
                ControlFlow::Continue(())
            }
            Err(fault) => {
                self.faults.push(fault);
                ControlFlow::Break(())
            }
        }
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.lookup = None;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        self.levels = self.levels.saturating_sub(levels(expr));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        self.levels += levels(expr);
        let parts = match expr {
            SqlExpr::CompoundIdentifier(parts) => parts.len(),
            _ => 0,
        };
        if self.levels.max(parts) > LEVELS_MAX {
            self.faults.push(too_deep());
            return ControlFlow::Break(());
        }
        match expr {
            SqlExpr::CompoundIdentifier(parts) => {
                let parts = std::mem::take(parts);
                match self.compound(&parts) {
                    Some(member) => *expr = SqlExpr::Identifier(member),
                    None => *expr = SqlExpr::CompoundIdentifier(parts),
                }
                ControlFlow::Continue(())
            }
            SqlExpr::Identifier(ident) => {
                self.column(&ident.clone());
                ControlFlow::Continue(())
            }
            SqlExpr::Function(function) => self.function(&function.clone()),
            SqlExpr::InSubquery { negated: true, .. } => self.fault(
                Fault::new("`NOT IN` over a look-up table cannot be used")
                    .help("list what is allowed in the look-up table, and use `IN`"),
            ),
            SqlExpr::Exists { .. } | SqlExpr::Subquery(_) => self.fault(
                Fault::new("this subquery is not one that a policy can ask").help(SUBQUERY_HELP),
            ),
            SqlExpr::Value(value) if matches!(value.value, Value::Placeholder(_)) => self.fault(
                Fault::new(format!("`{value}` is a parameter, which a policy has not")),
            ),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Checks that look-ups are joined to the rest by AND and OR alone: under anything else, no answer
/// could become a yes.
pub(super) fn check_subqueries(expr: &Expr) -> Result<(), Fault> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And | Operator::Or,
            right,
        }) => {
            check_subqueries(left)?;
            check_subqueries(right)
        }
        Expr::InSubquery(subquery) if !subquery.negated => no_subquery(&subquery.expr),
        other => no_subquery(other),
    }
}

fn no_subquery(expr: &Expr) -> Result<(), Fault> {
    let found = expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
        ))
    })?;
    if found {
        let message = "a look-up can only be joined to the rest by AND or OR";
        return Err(Fault::new(message).help(SUBQUERY_HELP));
    }
    Ok(())
}

/// Checks that networks compared with `context.network` exist.
pub(super) fn check_networks(expr: &Expr, networks: &BTreeSet<String>) -> Result<(), Fault> {
    let mut unknown = None;
    expr.apply(|expr| {
        if let Expr::ScalarFunction(call) = expr
            && call
                .args
                .iter()
                .any(|argument| member(argument) == Some("context.network"))
        {
            for argument in &call.args {
                argument.apply(|inner| {
                    if let Expr::Literal(ScalarValue::Utf8(Some(name)), _) = inner
                        && !networks.contains(name)
                    {
                        unknown.get_or_insert_with(|| name.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(name) = unknown else { return Ok(()) };
    let fault = Fault::new(format!("there is no network `{name}`"));
    Err(match nearest(&name, networks.iter().map(String::as_str)) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help("named networks are declared under `networks` in scrim.yaml"),
    })
}
