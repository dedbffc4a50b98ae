//! What is known of the columns of a table: shared by what reads their values and by what prints
//! conditions on them.
//!
//! How values are read is part of what a condition means, so it is said here. Reading is total: no
//! value that PostgreSQL can hold is an error, since a hidden row could hold it.
//!
//! - Dates and timestamps before or after what Arrow's type can tell, `infinity` and `-infinity`
//!   among them, are its least or greatest value.
//! - The time `24:00` is the last microsecond of the day.
//! - In a `numeric` column that is read as a decimal, `NaN` and the infinities are NULL. In one that
//!   is read as a double they are a double's own, and numbers are rounded to the nearest double.
//! - Intervals beyond what Arrow's nanoseconds can tell are its greatest or least number of them.
//! - An array of several dimensions is one list of all its elements, the last dimension fastest;
//!   where its indices start is forgotten.
//! - Texts are as PostgreSQL prints them, the blanks at the end of a `char(n)` included.

use datafusion::arrow::datatypes::DataType;

/// The columns that were opened, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct PgColumns(Vec<PgColumn>);

/// A column that was opened. Every one may be NULL in Arrow, whatever its constraints say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PgColumn {
    /// Its name, in PostgreSQL and in Arrow.
    pub(crate) name: String,
    /// Its type in Arrow.
    pub(crate) data_type: DataType,
    /// Its type in PostgreSQL.
    pub(crate) pg_type: PgType,
    /// Whether its collation takes only equal bytes for equal texts; true for types without one.
    pub(crate) deterministic: bool,
}

/// The types of PostgreSQL that are read, each with the one Arrow type that it is read as. A domain
/// is the type that it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PgType {
    /// `boolean`: Boolean.
    Bool,
    /// `smallint`: Int16.
    Int2,
    /// `integer`: Int32.
    Int4,
    /// `bigint`: Int64.
    Int8,
    /// `real`: Float32.
    Float4,
    /// `double precision`: Float64.
    Float8,
    /// `numeric(p, s)`: Decimal128 or Decimal256.
    Numeric,
    /// `numeric` of any precision that is read as a double because the contract says so: Float64.
    NumericAsDouble,
    /// `text` and `varchar`: Utf8.
    Text,
    /// `char(n)`: Utf8.
    Bpchar,
    /// `name`: Utf8.
    Name,
    /// `"char"`, one byte: Utf8.
    Char,
    /// `json`: Utf8.
    Json,
    /// `jsonb`: Utf8.
    Jsonb,
    /// `uuid`: Utf8, in lower case with hyphens.
    Uuid,
    /// An enum: Utf8, its label.
    Enum,
    /// `inet`: Utf8.
    Inet,
    /// `cidr`: Utf8.
    Cidr,
    /// `macaddr`: Utf8.
    Macaddr,
    /// `macaddr8`: Utf8.
    Macaddr8,
    /// `bytea`: Binary.
    Bytea,
    /// `date`: Date32.
    Date,
    /// `time`: Time64 of microseconds.
    Time,
    /// `timestamp`: Timestamp of microseconds.
    Timestamp,
    /// `timestamp with time zone`: Timestamp of microseconds, UTC.
    Timestamptz,
    /// `interval`: Interval of months, days and nanoseconds.
    Interval,
    /// `oid`: Int64.
    Oid,
    /// An array: List.
    Array(Box<PgType>),
    /// Any other type that is read as text because the contract says so: Utf8, as PostgreSQL prints
    /// it.
    Printed,
}

impl PgColumns {
    /// Columns in their order.
    pub(crate) fn new(columns: Vec<PgColumn>) -> Self {
        Self(columns)
    }

    /// The column of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&PgColumn> {
        self.0.iter().find(|column| column.name == name)
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PgColumn> {
        self.0.iter()
    }
}
