//! The hash of a decision: equal exactly when the same is shown.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use scrim_model::Value;
use sha2::{Digest, Sha256};

use crate::version::hex;
use crate::{Clause, Decision, Table, Treatment, Verdict};

/// SHA-256 over fields, each with its length in front, so that no two lists of fields are the same
/// bytes.
pub(crate) struct Fields(Sha256);

impl Fields {
    pub(crate) fn new(domain: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.text(domain);
        fields
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// How many of something follow.
    pub(crate) fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.count(usize::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn number(&mut self, number: Option<u64>) {
        self.count(usize::from(number.is_some()));
        self.0.update(number.unwrap_or_default().to_be_bytes());
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// What stands for a treatment.
pub(crate) fn of_treatment(treatment: &Treatment) -> [u8; 32] {
    let mut fields = Fields::new("scrim/treatment/v1");
    // Debug shows every parameter of a mask, by name, and the same bytes for the same mask.
    fields.text(&format!("{treatment:?}"));
    fields.finish()
}

/// What stands for a table's columns: the meaning of a clause depends on their types, and what is
/// shown depends on the columns of the source that they are.
pub(crate) fn of_columns(table: &Table) -> String {
    let mut fields = Fields::new("scrim/columns/v1");
    for (field, column) in table.schema.fields().iter().zip(&table.columns) {
        fields.text(field.name());
        fields.text(&column.physical_name);
        fields.text(&without_nullability(field.data_type()).to_string());
    }
    hex(&fields.finish())
}

/// Whether a source's files rule NULL out inside a column is no part of what a clause means, and a
/// hash that changed with it would tell of the files.
pub(crate) fn without_nullability(data_type: &DataType) -> DataType {
    let bare = |field: &Arc<Field>| {
        Arc::new(Field::new(
            field.name(),
            without_nullability(field.data_type()),
            true,
        ))
    };
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(bare).collect()),
        DataType::List(item) => DataType::List(bare(item)),
        DataType::LargeList(item) => DataType::LargeList(bare(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(bare(item), *size),
        other => other.clone(),
    }
}

/// The hash of a decision, given what stands for its table's columns and, arm by arm, for the
/// treatments of its visible columns.
///
/// Left out is what does not change what is shown: where clauses stand, the policy set's version,
/// which agreements did not match, and until when the others last. So a change elsewhere in the
/// policies keeps a hash, and with it caches and streams.
pub(crate) fn of_decision(
    decision: &Decision,
    schema: &str,
    treatments: impl Iterator<Item = [u8; 32]>,
) -> String {
    let mut fields = Fields::new("scrim/decision/v1");
    fields.text(&decision.table.schema);
    fields.text(&decision.table.table);
    fields.optional(
        decision
            .contract
            .as_ref()
            .map(|contract| contract.id.as_str()),
    );
    fields.optional(
        decision
            .contract
            .as_ref()
            .map(|contract| contract.version.as_str()),
    );
    fields.text(schema);
    match &decision.verdict {
        Verdict::Shown => fields.text("shown"),
        Verdict::NoAgreement => fields.text("no-agreement"),
        Verdict::PurposeRequired => fields.text("purpose-required"),
        Verdict::Closed { guard, location: _ } => {
            fields.text("closed");
            fields.text(guard);
        }
    }
    fields.optional(decision.purpose.as_deref());
    fields.count(decision.arms.len());
    for arm in &decision.arms {
        for text in [&arm.agreement, &arm.profile, &arm.recipient, &arm.purpose] {
            fields.text(text);
        }
        clause(&mut fields, arm.rows.as_ref());
    }
    fields.count(decision.guards.len());
    for guard in &decision.guards {
        fields.text(&guard.id);
        clause(&mut fields, guard.rows.as_ref());
    }
    fields.count(decision.columns.len());
    for column in &decision.columns {
        fields.text(&column.name);
    }
    for treatment in treatments {
        fields.bytes(&treatment);
    }
    let limits = decision.limits;
    for limit in [
        limits.max_rows,
        limits.max_bytes,
        limits.queries_per_minute,
        limits.concurrent_queries,
    ] {
        fields.number(limit);
    }
    hex(&fields.finish())
}

/// The hash of a decision from which something was taken away; its own when nothing was.
pub(crate) fn of_narrowing(hash: &str, allow: bool, hidden: &[&str], rows: Option<&str>) -> String {
    if allow && hidden.is_empty() && rows.is_none() {
        return hash.to_owned();
    }
    let mut fields = Fields::new("scrim/narrowing/v1");
    fields.text(hash);
    fields.count(usize::from(allow));
    // Of a table that does not exist there is nothing more to tell.
    if allow {
        fields.count(hidden.len());
        for column in hidden {
            fields.text(column);
        }
        fields.optional(rows);
    }
    hex(&fields.finish())
}

/// SHA-256 over a list of byte strings, each with its length in front, so that no two lists are the
/// same bytes.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut fields = Fields::new("scrim/fingerprint/v1");
    for part in parts {
        fields.bytes(part);
    }
    fields.finish()
}

fn clause(fields: &mut Fields, clause: Option<&Clause>) {
    let Some(clause) = clause else {
        return fields.count(0);
    };
    fields.count(1);
    fields.text(&clause.id);
    fields.text(&clause.text);
    fields.count(clause.bindings.len());
    for (name, bound) in &clause.bindings {
        fields.text(name);
        value(fields, bound);
    }
}

fn value(fields: &mut Fields, value: &Value) {
    match value {
        Value::Bool(value) => fields.text(if *value { "true" } else { "false" }),
        Value::Int64(value) => {
            fields.text("int64");
            fields.bytes(&value.to_be_bytes());
        }
        Value::Float64(value) => {
            fields.text("float64");
            fields.bytes(&value.to_bits().to_be_bytes());
        }
        Value::Timestamp(value) => {
            fields.text("timestamp");
            fields.bytes(&value.timestamp_micros().to_be_bytes());
        }
        Value::Text(value) => {
            fields.text("text");
            fields.text(value);
        }
        Value::TextList(values) => {
            fields.text("texts");
            fields.count(values.len());
            for value in values {
                fields.text(value);
            }
        }
    }
}
