//! The answers, as tables with fixed columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use datafusion::arrow::array::{BooleanArray, Date32Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Date32Type, Field, Schema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::OptimizerConfig;
use scrim_model::{CATALOG, Limits, TableName};
use scrim_policy::{Arm, Decision, Showing, Treatment};

use super::reads::{self, Read};
use crate::about::filters_rows;
use crate::directory::{Named, batch, repeated, text};
use crate::masks::DERIVED;
use crate::world::{VisibleTable, World};

type Result<T> = std::result::Result<T, DataFusionError>;

/// `SHOW ACCESS`: a row for each visible table.
pub(crate) fn tables(visible: &[VisibleTable]) -> Result<RecordBatch> {
    let texts = |name, of: &dyn Fn(&VisibleTable) -> Option<String>| {
        text(name, visible.iter().map(of).collect())
    };
    let masked = |table: &VisibleTable| table.columns.iter().filter(|c| c.mask.is_some()).count();
    batch(vec![
        repeated("table_catalog", CATALOG, visible.len()),
        texts("table_schema", &|t| Some(t.name.schema.clone())),
        texts("table_name", &|t| Some(t.name.table.clone())),
        texts("description", &|t| t.description.clone()),
        texts("agreements", &|t| {
            let ids = t.decision.arms.iter().map(|arm| arm.agreement.as_str());
            Some(ids.collect::<Vec<_>>().join(", "))
        }),
        texts("purpose", &|t| t.decision.purpose.clone()),
        // From then on something of what is shown ends.
        days(
            "until",
            visible
                .iter()
                .map(|t| t.decision.arms.iter().filter_map(|arm| arm.until).min()),
        ),
        flags(
            "rows_limited",
            visible.iter().map(|t| Some(filters_rows(&t.decision))),
        ),
        counts(
            "columns_clear",
            visible.iter().map(|t| t.columns.len() - masked(t)),
        ),
        counts("columns_masked", visible.iter().map(masked)),
        texts("limits", &|t| limits(t.decision.limits)),
        texts("contact", &|t| Some(contact(t.contact.as_deref()))),
    ])
}

/// `SHOW ACCESS ON`: a row for each visible column of the statement's table, and for each agreement
/// under which rows of it are shown.
pub(crate) fn columns(plan: &LogicalPlan, world: &World) -> Result<RecordBatch> {
    let shown = shown(reads::whole(plan)?);
    let said = |row: &Shown| world.policy.table(&row.table);
    batch(vec![
        texts("column_name", &shown, |row| row.column.clone()),
        texts("data_type", &shown, |row| row.data_type.clone()),
        texts("description", &shown, |row| {
            let columns = &said(row)?.columns;
            let found = columns
                .iter()
                .find(|one| Some(&one.name) == row.column.as_ref());
            found?.description.clone()
        }),
        texts("shown", &shown, Shown::shown),
        texts("mask", &shown, |row| row.mask.clone()),
        texts("agreement", &shown, |row| row.agreement.clone()),
        texts("purpose", &shown, |row| row.purpose.clone()),
        days("until", shown.iter().map(|row| row.until)),
        flags("rows_limited", shown.iter().map(|row| row.rows_limited)),
        texts("contact", &shown, |row| {
            Some(contact(
                said(row).and_then(|table| table.contact.as_deref()),
            ))
        }),
    ])
}

/// `EXPLAIN ACCESS`: a row for each column that the statement reads, and for each agreement under
/// which rows of it are shown; then a row for each column of its result.
pub(crate) fn query(
    plan: &LogicalPlan,
    planning: &dyn OptimizerConfig,
    result: &Schema,
    masks: &[Option<String>],
) -> Result<RecordBatch> {
    let mut rows: Vec<(&str, Shown)> = shown(reads::used(plan, planning)?)
        .into_iter()
        .map(|row| ("read", row))
        .collect();
    for (field, mask) in result.fields().iter().zip(masks) {
        let row = Shown {
            column: Some(field.name().clone()),
            data_type: Some(field.data_type().to_string()),
            mask: mask.clone(),
            ..Shown::default()
        };
        rows.push(("result", row));
    }
    let (parts, rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let named = |row: &Shown, name: &str| (!row.table.table.is_empty()).then(|| name.to_owned());
    batch(vec![
        text(
            "part",
            parts.into_iter().map(|p| Some(p.to_owned())).collect(),
        ),
        texts("table_schema", &rows, |row| named(row, &row.table.schema)),
        texts("table_name", &rows, |row| named(row, &row.table.table)),
        texts("column_name", &rows, |row| row.column.clone()),
        texts("data_type", &rows, |row| row.data_type.clone()),
        texts("shown", &rows, Shown::shown),
        texts("mask", &rows, |row| {
            row.mask.clone().filter(|mask| mask != DERIVED)
        }),
        texts("agreement", &rows, |row| row.agreement.clone()),
        texts("purpose", &rows, |row| row.purpose.clone()),
        days("until", rows.iter().map(|row| row.until)),
        flags("rows_limited", rows.iter().map(|row| row.rows_limited)),
    ])
}

/// How a column is shown under one agreement.
#[derive(Debug, Clone)]
struct Shown {
    table: TableName,
    /// None when the statement reads no column of the table, as `count(*)` does.
    column: Option<String>,
    data_type: Option<String>,
    mask: Option<String>,
    agreement: Option<String>,
    purpose: Option<String>,
    until: Option<NaiveDate>,
    rows_limited: Option<bool>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            table: TableName::new("", ""),
            column: None,
            data_type: None,
            mask: None,
            agreement: None,
            purpose: None,
            until: None,
            rows_limited: None,
        }
    }
}

impl Shown {
    fn shown(&self) -> Option<String> {
        self.column.as_ref()?;
        let word = match self.mask.as_deref() {
            None => "clear",
            Some(DERIVED) => DERIVED,
            Some(_) => "masked",
        };
        Some(word.to_owned())
    }

    fn under(mut self, arm: &Arm, decision: &Decision) -> Self {
        let guarded = decision.guards.iter().any(|guard| guard.rows.is_some());
        self.agreement = Some(arm.agreement.clone());
        self.purpose = Some(arm.purpose.clone());
        self.until = arm.until;
        self.rows_limited = Some(guarded || arm.rows.is_some());
        self
    }
}

fn shown(tables: BTreeMap<TableName, Read>) -> Vec<Shown> {
    let mut rows = Vec::new();
    for (table, read) in tables {
        let fields = read.schema.fields();
        let columns = read.columns.iter().filter_map(|index| fields.get(*index));
        let mut columns: Vec<_> = columns
            .map(|field| Shown {
                table: table.clone(),
                column: Some(field.name().clone()),
                data_type: Some(field.data_type().to_string()),
                ..Shown::default()
            })
            .collect();
        if columns.is_empty() {
            columns.push(Shown {
                table,
                ..Shown::default()
            });
        }
        let Some(decision) = read.decision else {
            rows.append(&mut columns);
            continue;
        };
        for column in columns {
            rows.extend(under_each(&column, &decision));
        }
    }
    rows
}

fn under_each(column: &Shown, decision: &Decision) -> Vec<Shown> {
    let of_decision = decision
        .columns
        .iter()
        .find(|one| Some(&one.name) == column.column.as_ref());
    let arms = decision.arms.iter().enumerate();
    arms.map(|(index, arm)| {
        let treatment = of_decision.and_then(|one| one.treatments.get(index));
        Shown {
            mask: treatment.and_then(mask),
            ..column.clone()
        }
        .under(arm, decision)
    })
    .collect()
}

/// A treatment in the words of a contract; `None` when all is clear. What is hidden inside a column,
/// or on the rows of one agreement only, is masked by `null` there.
fn mask(treatment: &Treatment) -> Option<String> {
    if treatment.is_clear() {
        return None;
    }
    let told = |showing: &Showing| match showing {
        Showing::Clear => "clear".to_owned(),
        Showing::Masked(mask) => mask.told(),
        Showing::Hidden => "null".to_owned(),
    };
    let root = (treatment.root != Showing::Clear).then(|| told(&treatment.root));
    let nested = treatment.nested.iter();
    let nested = nested.map(|(path, showing)| format!("{path}: {}", told(showing)));
    Some(
        root.into_iter()
            .chain(nested)
            .collect::<Vec<_>>()
            .join(", "),
    )
}

/// Limits in the words of a contract.
fn limits(limits: Limits) -> Option<String> {
    let all = [
        ("max_rows", limits.max_rows),
        ("max_bytes", limits.max_bytes),
        ("queries_per_minute", limits.queries_per_minute),
        ("concurrent_queries", limits.concurrent_queries),
    ];
    let said = all
        .iter()
        .filter_map(|(name, limit)| Some(format!("{name}: {}", (*limit)?)));
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// Whom to ask for more; a contract that names nobody says the same as every other.
fn contact(named: Option<&str>) -> String {
    named.map_or_else(
        || "ask whoever gave you your account".to_owned(),
        str::to_owned,
    )
}

fn texts(name: &str, rows: &[Shown], of: impl Fn(&Shown) -> Option<String>) -> Named {
    text(name, rows.iter().map(of).collect())
}

fn days(name: &str, days: impl Iterator<Item = Option<NaiveDate>>) -> Named {
    let days = days.map(|day| day.map(Date32Type::from_naive_date));
    (
        Field::new(name, DataType::Date32, true),
        Arc::new(days.collect::<Date32Array>()),
    )
}

fn flags(name: &str, flags: impl Iterator<Item = Option<bool>>) -> Named {
    (
        Field::new(name, DataType::Boolean, true),
        Arc::new(flags.collect::<BooleanArray>()),
    )
}

fn counts(name: &str, counts: impl Iterator<Item = usize>) -> Named {
    let counts = counts.map(|count| i64::try_from(count).ok());
    (
        Field::new(name, DataType::Int64, true),
        Arc::new(counts.collect::<Int64Array>()),
    )
}
