//! The tables of the test world.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::place::Place;

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

    /// Its columns, as they are read from where they lie. PostgreSQL has neither structs, which stand
    /// last for this reason, nor several ways to keep a text. Nullability is part of the layout: it
    /// must not show.
    pub(crate) fn schema(self, place: Place, strict: bool) -> SchemaRef {
        let nested = self.nested_schema(strict);
        match place {
            Place::Local | Place::S3 => nested,
            Place::Postgres => {
                let flat = nested.fields().iter().filter_map(|field| {
                    let data_type = flat(field.data_type())?;
                    Some(field.as_ref().clone().with_data_type(data_type))
                });
                Arc::new(Schema::new(flat.collect::<Vec<_>>()))
            }
        }
    }

    fn nested_schema(self, strict: bool) -> SchemaRef {
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
                field("tags", list(Field::new("item", DataType::Utf8, !strict))),
                field("rank", DataType::Int32),
                field("email", DataType::Utf8),
                field("zip", DataType::Utf8),
                field("ip", DataType::Utf8),
                field("secret", DataType::Utf8),
                field("extra", DataType::Int64),
                field("contact", contact(strict)),
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
        self.nested_schema(false).index_of(name).unwrap()
    }
}

/// How PostgreSQL keeps a type, if it does.
fn flat(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Struct(_) => None,
        DataType::List(item) => {
            let item = item.as_ref().clone();
            let data_type = flat(item.data_type())?;
            Some(list(item.with_data_type(data_type)))
        }
        DataType::Dictionary(..) | DataType::Utf8View => Some(DataType::Utf8),
        other => Some(other.clone()),
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
