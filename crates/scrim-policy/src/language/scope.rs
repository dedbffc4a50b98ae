//! What an expression may name: the columns of a table and the members of three namespaces.
//!
//! A member is a flat column whose name holds a dot (`principal.org`). No column of a table may
//! have such a name, so a member can never be mistaken for a column or for a field of a struct.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use datafusion_common::{Column, DFSchema, DFSchemaRef, ScalarValue};
use datafusion_expr::Expr;
use scrim_model::{Value, ValueType};

/// The namespaces of the policy language.
pub(crate) const NAMESPACES: [&str; 3] = ["principal", "context", "agreement"];

/// UTC, as Arrow writes it without a database of time zones.
const UTC: &str = "+00:00";

/// Members that every principal and every request has, and some of which may be unknown.
pub(crate) const MEMBERS: &[(&str, ValueType)] = &[
    ("principal.id", ValueType::Text),
    ("principal.org", ValueType::Text),
    ("principal.groups", ValueType::TextList),
    ("principal.roles", ValueType::TextList),
    ("principal.acr", ValueType::Text),
    ("principal.auth_age", ValueType::Int64),
    ("principal.kind", ValueType::Text),
    ("principal.on_behalf_of", ValueType::Text),
    ("context.ip", ValueType::Text),
    ("context.country", ValueType::Text),
    ("context.network", ValueType::TextList),
    ("context.device", ValueType::Text),
    ("context.device_trusted", ValueType::Bool),
    ("context.time", ValueType::Timestamp),
    ("context.hour", ValueType::Int64),
    ("context.weekday", ValueType::Int64),
    ("context.purpose", ValueType::Text),
    ("context.risk", ValueType::Int64),
    ("context.queries_last_hour", ValueType::Int64),
    ("context.rows_last_day", ValueType::Int64),
    ("context.client", ValueType::Text),
];

/// Members of every agreement, beside its parameters.
const AGREEMENT_MEMBERS: [(&str, ValueType); 2] = [
    ("agreement.id", ValueType::Text),
    ("agreement.organisation", ValueType::Text),
];

/// What an expression is for, which decides what it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The rows of a profile.
    ProfileRows,
    /// The rows of a guard.
    GuardRows,
    /// The `when` of a guard.
    GuardWhen,
    /// The `who` or `when` of an agreement.
    AgreementCondition,
}

impl Use {
    /// Whether it is asked of each row.
    pub(crate) fn has_rows(self) -> bool {
        matches!(self, Self::ProfileRows | Self::GuardRows)
    }

    /// Whether an agreement is at hand.
    pub(crate) fn has_agreement(self) -> bool {
        matches!(self, Self::ProfileRows | Self::AgreementCondition)
    }
}

/// Everything that one kind of expression may name.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) purpose: Use,
    /// The table's columns; none outside row rules.
    pub(crate) columns: SchemaRef,
    /// The members, by full name.
    pub(crate) members: BTreeMap<String, ValueType>,
    /// Columns and members together.
    pub(crate) schema: DFSchemaRef,
}

impl Scope {
    /// The scope of expressions over a table's columns (or none), with the declared attributes and
    /// the parameters of an agreement.
    pub(crate) fn new(
        purpose: Use,
        columns: Option<&SchemaRef>,
        attributes: &BTreeMap<String, ValueType>,
        parameters: &BTreeMap<String, ValueType>,
    ) -> Option<Self> {
        let mut members = BTreeMap::new();
        // What we define comes last, so that no attribute can stand in for it.
        for (name, value_type) in attributes {
            members.insert(format!("principal.{name}"), *value_type);
        }
        if purpose.has_agreement() {
            for (name, value_type) in parameters {
                members.insert(format!("agreement.{name}"), *value_type);
            }
            members.extend(AGREEMENT_MEMBERS.map(|(name, kind)| (name.to_owned(), kind)));
        }
        members.extend(
            MEMBERS
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), *kind)),
        );
        let columns = columns.map_or_else(|| Arc::new(Schema::empty()), Arc::clone);
        let table_fields = columns.fields().iter().cloned();
        let member_fields = members.iter().map(|(name, kind)| member_field(name, *kind));
        let fields: Fields = table_fields.chain(member_fields).collect();
        let schema = DFSchema::from_unqualified_fields(fields, std::collections::HashMap::new());
        Some(Self {
            purpose,
            columns,
            members,
            schema: Arc::new(schema.ok()?),
        })
    }

    /// The members of one namespace, without its name.
    pub(crate) fn members_of<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        self.members
            .keys()
            .filter_map(move |name| name.strip_prefix(namespace)?.strip_prefix('.'))
    }
}

/// A member as a column.
pub(crate) fn member_field(name: &str, value_type: ValueType) -> Arc<Field> {
    Arc::new(Field::new(name, data_type(value_type), true))
}

/// The Arrow type of a value.
pub(crate) fn data_type(value_type: ValueType) -> DataType {
    match value_type {
        ValueType::Bool => DataType::Boolean,
        ValueType::Int64 => DataType::Int64,
        ValueType::Float64 => DataType::Float64,
        ValueType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        ValueType::Text => DataType::Utf8,
        ValueType::TextList => DataType::new_list(DataType::Utf8, true),
    }
}

/// A value as a literal of its declared type; NULL when there is none or it is of another type, or
/// no number: that would be greater than any.
pub(crate) fn scalar(value: Option<&Value>, declared: ValueType) -> ScalarValue {
    match (value, declared) {
        (Some(Value::Bool(value)), ValueType::Bool) => ScalarValue::Boolean(Some(*value)),
        (Some(Value::Int64(value)), ValueType::Int64) => ScalarValue::Int64(Some(*value)),
        (Some(Value::Float64(value)), ValueType::Float64) => {
            ScalarValue::Float64(Some(*value).filter(|value| !value.is_nan()))
        }
        (Some(Value::Int64(value)), ValueType::Float64) => {
            ScalarValue::Float64(Some(*value as f64))
        }
        (Some(Value::Timestamp(value)), ValueType::Timestamp) => {
            ScalarValue::TimestampMicrosecond(Some(value.timestamp_micros()), Some(UTC.into()))
        }
        (Some(Value::Text(value)), ValueType::Text) => ScalarValue::Utf8(Some(value.clone())),
        (Some(Value::TextList(values)), ValueType::TextList) => {
            let texts: Vec<_> = values
                .iter()
                .map(|text| ScalarValue::Utf8(Some(text.clone())))
                .collect();
            ScalarValue::List(ScalarValue::new_list_nullable(&texts, &DataType::Utf8))
        }
        (_, ValueType::Bool) => ScalarValue::Boolean(None),
        (_, ValueType::Int64) => ScalarValue::Int64(None),
        (_, ValueType::Float64) => ScalarValue::Float64(None),
        (_, ValueType::Timestamp) => ScalarValue::TimestampMicrosecond(None, Some(UTC.into())),
        (_, ValueType::Text) => ScalarValue::Utf8(None),
        (_, ValueType::TextList) => NULL_LIST.clone(),
    }
}

static NULL_LIST: LazyLock<ScalarValue> =
    LazyLock::new(|| ScalarValue::new_null_list(DataType::Utf8, true, 1));

/// Whether a name is that of a member, or would look like one.
pub(crate) fn is_member_name(name: &str) -> bool {
    NAMESPACES.iter().any(|namespace| {
        name.strip_prefix(namespace)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The member that an expression is, inside a subquery or out of it.
pub(crate) fn member(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(Column {
            relation: None,
            name,
            ..
        })
        | Expr::OuterReferenceColumn(
            _,
            Column {
                relation: None,
                name,
                ..
            },
        ) if is_member_name(name) => Some(name),
        _ => None,
    }
}

/// Whether a member may be unknown for some principal or request. What an agreement says is always
/// known: a profile that uses a parameter which an agreement lacks does not load.
pub(crate) fn may_be_unknown(member: &str) -> bool {
    let known = [
        "principal.id",
        "principal.org",
        "principal.groups",
        "principal.roles",
        "principal.kind",
        "context.time",
        "context.hour",
        "context.weekday",
    ];
    !member.starts_with("agreement.") && !known.contains(&member)
}
