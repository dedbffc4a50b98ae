//! The tables of the test world.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// A table of the test world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    People,
    Visits,
    Orders,
    /// Nobody has an agreement for it.
    Vault,
}

impl Table {
    pub(crate) const ALL: [Self; 4] = [Self::People, Self::Visits, Self::Orders, Self::Vault];

    pub(crate) fn domain(self) -> &'static str {
        match self {
            Self::People | Self::Visits | Self::Vault => "clinic",
            Self::Orders => "shop",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Visits => "visits",
            Self::Orders => "orders",
            Self::Vault => "vault",
        }
    }

    /// Its columns. Nullability is part of the layout: it must not show.
    pub(crate) fn schema(self, strict: bool) -> SchemaRef {
        let field = |name: &str, data_type: DataType| {
            let key = name == self.key();
            Field::new(name, data_type, !(strict && key))
        };
        let fields = match self {
            Self::People => vec![
                field("id", DataType::Int64),
                field("region", DataType::Utf8),
                field("consent", DataType::Boolean),
                field("name", DataType::Utf8),
                field("code", DataType::Utf8),
                field("weight", DataType::Int64),
                field("score", DataType::Float64),
                field("balance", DataType::Decimal128(12, 2)),
                field("born", DataType::Date32),
                field("seen", DataType::Timestamp(TimeUnit::Microsecond, None)),
                field("kind", dictionary()),
                field("note", DataType::Utf8View),
                field("contact", contact(strict)),
                field("tags", list(Field::new("item", DataType::Utf8, !strict))),
                field("rank", DataType::Int32),
                field("email", DataType::Utf8),
                field("zip", DataType::Utf8),
                field("ip", DataType::Utf8),
                field("secret", DataType::Utf8),
                field("extra", DataType::Int64),
            ],
            Self::Visits => vec![
                field("vid", DataType::Int64),
                field("person", DataType::Int64),
                field("ward", dictionary()),
                field("day", DataType::Date32),
                field("cost", DataType::Decimal128(10, 2)),
                field("minutes", DataType::Int32),
                field("text", DataType::Utf8),
                field("flag", DataType::Boolean),
                field("doctor", DataType::Utf8),
                field("temp", DataType::Float32),
            ],
            Self::Orders => vec![
                field("oid", DataType::Int64),
                field("amount", DataType::Float64),
                field("qty", DataType::Int64),
                field("status", DataType::Utf8),
                field("placed", DataType::Timestamp(TimeUnit::Microsecond, None)),
                field("person", DataType::Int64),
                field("card", DataType::Utf8),
                field("items", list(Field::new("item", item(), true))),
            ],
            Self::Vault => vec![field("k", DataType::Int64), field("v", DataType::Utf8)],
        };
        Arc::new(Schema::new(fields))
    }

    /// The column that no two rows share.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::People => "id",
            Self::Visits => "vid",
            Self::Orders => "oid",
            Self::Vault => "k",
        }
    }

    pub(crate) fn column(self, name: &str) -> usize {
        self.schema(false).index_of(name).unwrap()
    }
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn contact(strict: bool) -> DataType {
    DataType::Struct(Fields::from(vec![
        Field::new("phone", DataType::Utf8, true),
        Field::new("city", DataType::Utf8, !strict),
    ]))
}

fn item() -> DataType {
    DataType::Struct(Fields::from(vec![
        Field::new("sku", DataType::Utf8, true),
        Field::new("n", DataType::Int32, true),
    ]))
}

fn list(field: Field) -> DataType {
    DataType::List(Arc::new(field))
}
