//! Which Arrow type each type of PostgreSQL is read as.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, IntervalUnit, TimeUnit,
};

use super::columns::PgType;
use crate::WantedColumn;

/// Elements of an array, as Arrow calls them.
const ITEM: &str = "item";

/// Domains over domains that are looked through.
const DOMAINS_MAX: usize = 16;

/// A type as the catalog has it.
#[derive(Debug, Clone)]
pub(super) struct CatalogType {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What a type is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of PostgreSQL's own, told by its name.
    Own,
    /// An enum.
    Enum,
    /// A domain over another type, with that type's modifier.
    Domain { base: u32, modifier: i32 },
    /// An array of a type.
    Array { item: u32 },
    /// A type of an extension or of the owner, a composite, a range, …
    Other,
}

/// What the owner chose for a column whose type has no Arrow type of its own, or not only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Nothing was said.
    None,
    /// `physicalType: text`.
    Text,
    /// `physicalType: double`.
    Double,
    /// Nobody could say anything: all columns of a table are asked for.
    Any,
}

/// Why a column is not read: what to tell its owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotRead(pub(super) String);

/// The types of a table's columns, by their object id.
#[derive(Debug, Default)]
pub(super) struct Types(pub(super) BTreeMap<u32, CatalogType>);

impl Types {
    /// How a column is read. `wanted` is what a contract says of it, if one does.
    pub(super) fn read(
        &self,
        id: u32,
        modifier: i32,
        wanted: Option<&WantedColumn>,
    ) -> Result<(PgType, DataType), NotRead> {
        let choice = wanted.map_or(Choice::Any, Choice::of);
        let (id, modifier) = self.base(id, modifier)?;
        let Kind::Array { item } = self.get(id)?.kind else {
            return self.scalar(id, modifier, choice, "physicalType");
        };
        if choice == Choice::Text {
            return Ok(printed());
        }
        let choice = match wanted.and_then(|w| w.items.as_deref()) {
            Some(items) => Choice::of(items),
            None => choice,
        };
        let (item, modifier) = self.base(item, modifier)?;
        let (pg_type, data_type) =
            self.scalar(item, modifier, choice, "physicalType of its items")?;
        let field = Arc::new(Field::new(ITEM, data_type, true));
        Ok((PgType::Array(Box::new(pg_type)), DataType::List(field)))
    }

    fn get(&self, id: u32) -> Result<&CatalogType, NotRead> {
        let gone = || NotRead("is of a type that was dropped".to_owned());
        self.0.get(&id).ok_or_else(gone)
    }

    /// What domains are made from, in the end.
    fn base(&self, mut id: u32, mut modifier: i32) -> Result<(u32, i32), NotRead> {
        for _ in 0..DOMAINS_MAX {
            let Kind::Domain { base, modifier: of } = self.get(id)?.kind else {
                return Ok((id, modifier));
            };
            id = base;
            if modifier < 0 {
                modifier = of;
            }
        }
        Err(NotRead(format!(
            "is a domain over more than {DOMAINS_MAX} others"
        )))
    }

    fn scalar(
        &self,
        id: u32,
        modifier: i32,
        choice: Choice,
        key: &str,
    ) -> Result<(PgType, DataType), NotRead> {
        let known = self.get(id)?;
        let own = match known.kind {
            Kind::Enum => Some((PgType::Enum, DataType::Utf8)),
            Kind::Own if known.name == "numeric" => {
                return numeric(modifier, choice, key);
            }
            Kind::Own => own(&known.name),
            Kind::Domain { .. } | Kind::Array { .. } | Kind::Other => None,
        };
        match (own, choice) {
            (Some((pg_type, data_type)), choice)
                if choice != Choice::Text || data_type == DataType::Utf8 =>
            {
                Ok((pg_type, data_type))
            }
            (Some(_), _) | (None, Choice::Text | Choice::Any) => Ok(printed()),
            (None, Choice::None | Choice::Double) => Err(NotRead(format!(
                "is of the type `{}`, which is read as text only; write `text` as the {key}",
                known.name
            ))),
        }
    }
}

impl Choice {
    fn of(wanted: &WantedColumn) -> Self {
        let said = wanted.physical_type.as_deref().map(str::trim);
        match said.map(str::to_ascii_lowercase).as_deref() {
            Some("text") => Self::Text,
            Some("double" | "double precision" | "float8") => Self::Double,
            Some(_) | None => Self::None,
        }
    }
}

fn printed() -> (PgType, DataType) {
    (PgType::Printed, DataType::Utf8)
}

fn own(name: &str) -> Option<(PgType, DataType)> {
    let micros = TimeUnit::Microsecond;
    Some(match name {
        "bool" => (PgType::Bool, DataType::Boolean),
        "int2" => (PgType::Int2, DataType::Int16),
        "int4" => (PgType::Int4, DataType::Int32),
        "int8" => (PgType::Int8, DataType::Int64),
        "oid" => (PgType::Oid, DataType::Int64),
        "float4" => (PgType::Float4, DataType::Float32),
        "float8" => (PgType::Float8, DataType::Float64),
        "text" | "varchar" => (PgType::Text, DataType::Utf8),
        "bpchar" => (PgType::Bpchar, DataType::Utf8),
        "name" => (PgType::Name, DataType::Utf8),
        "char" => (PgType::Char, DataType::Utf8),
        "json" => (PgType::Json, DataType::Utf8),
        "jsonb" => (PgType::Jsonb, DataType::Utf8),
        "uuid" => (PgType::Uuid, DataType::Utf8),
        "inet" => (PgType::Inet, DataType::Utf8),
        "cidr" => (PgType::Cidr, DataType::Utf8),
        "macaddr" => (PgType::Macaddr, DataType::Utf8),
        "macaddr8" => (PgType::Macaddr8, DataType::Utf8),
        "bytea" => (PgType::Bytea, DataType::Binary),
        "date" => (PgType::Date, DataType::Date32),
        "time" => (PgType::Time, DataType::Time64(micros)),
        "timestamp" => (PgType::Timestamp, DataType::Timestamp(micros, None)),
        "timestamptz" => {
            let zone = Some(Arc::from("UTC"));
            (PgType::Timestamptz, DataType::Timestamp(micros, zone))
        }
        "interval" => (
            PgType::Interval,
            DataType::Interval(IntervalUnit::MonthDayNano),
        ),
        _ => return None,
    })
}

/// The decimal that holds every value of the modifier, unless the owner chose otherwise.
fn numeric(modifier: i32, choice: Choice, key: &str) -> Result<(PgType, DataType), NotRead> {
    match choice {
        Choice::Text => return Ok(printed()),
        Choice::Double => return Ok((PgType::NumericAsDouble, DataType::Float64)),
        Choice::None | Choice::Any => {}
    }
    let decimal = precision_and_scale(modifier).and_then(|(precision, scale)| {
        if precision <= DECIMAL128_MAX_PRECISION {
            Some(DataType::Decimal128(precision, scale))
        } else if precision <= DECIMAL256_MAX_PRECISION {
            Some(DataType::Decimal256(precision, scale))
        } else {
            None
        }
    });
    match decimal {
        Some(decimal) => Ok((PgType::Numeric, decimal)),
        None if choice == Choice::Any => Ok(printed()),
        None => Err(NotRead(format!(
            "is a numeric without a precision, or of more than {DECIMAL256_MAX_PRECISION} digits; \
             write `double` or `text` as the {key}"
        ))),
    }
}

/// Arrow's precision and scale for a modifier. A negative scale becomes more digits before the
/// point, and a scale beyond the precision more digits in all.
fn precision_and_scale(modifier: i32) -> Option<(u8, i8)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    let precision = (packed >> 16) & 0xffff;
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    let digits = (precision - scale.min(0)).max(scale);
    Some((u8::try_from(digits).ok()?, i8::try_from(scale.max(0)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modifier of `numeric(precision, scale)`, as PostgreSQL packs it.
    fn modifier(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn a_numeric_becomes_the_decimal_that_holds_all_its_values() {
        for (precision, scale, expected) in [
            (10, 2, Some((10, 2))),
            (38, 38, Some((38, 38))),
            (5, -2, Some((7, 0))),
            (2, 5, Some((5, 5))),
            (76, 0, Some((76, 0))),
            (200, 0, Some((200, 0))),
            (1000, 10, None),
            (10, 200, None),
        ] {
            let found = precision_and_scale(modifier(precision, scale));
            assert_eq!(found, expected, "numeric({precision}, {scale})");
        }
        assert_eq!(precision_and_scale(-1), None);
    }

    fn wanted(physical_type: Option<&str>, items: Option<&str>) -> WantedColumn {
        WantedColumn {
            name: "c".to_owned(),
            logical_type: None,
            physical_type: physical_type.map(str::to_owned),
            required: false,
            fields: Vec::new(),
            items: items.map(|of| Box::new(wanted(Some(of), None))),
        }
    }

    fn types() -> Types {
        let own = |name: &str| (name.to_owned(), Kind::Own);
        let all = [
            (1, own("int4")),
            (2, own("numeric")),
            (3, own("tsvector")),
            (
                4,
                (
                    "price".to_owned(),
                    Kind::Domain {
                        base: 2,
                        modifier: modifier(8, 2),
                    },
                ),
            ),
            (5, ("_tsvector".to_owned(), Kind::Array { item: 3 })),
            (6, ("_price".to_owned(), Kind::Array { item: 4 })),
            (
                7,
                (
                    "loop".to_owned(),
                    Kind::Domain {
                        base: 7,
                        modifier: -1,
                    },
                ),
            ),
            (8, ("citext".to_owned(), Kind::Other)),
        ];
        let all = all.map(|(id, (name, kind))| (id, CatalogType { name, kind }));
        Types(BTreeMap::from(all))
    }

    #[test]
    fn what_the_contract_chooses_decides_where_there_is_a_choice() {
        let read = |id, wanted: Option<WantedColumn>| {
            types()
                .read(id, -1, wanted.as_ref())
                .map(|(pg_type, _)| pg_type)
        };
        let list = |of| PgType::Array(Box::new(of));
        let (text, double) = (Some("TEXT"), Some("double"));
        for (id, column, expected) in [
            (1, Some(wanted(None, None)), PgType::Int4),
            (1, Some(wanted(double, None)), PgType::Int4),
            (1, Some(wanted(text, None)), PgType::Printed),
            (2, Some(wanted(double, None)), PgType::NumericAsDouble),
            (2, Some(wanted(text, None)), PgType::Printed),
            (2, None, PgType::Printed),
            (3, Some(wanted(text, None)), PgType::Printed),
            (3, None, PgType::Printed),
            (4, Some(wanted(None, None)), PgType::Numeric),
            (5, Some(wanted(None, text)), list(PgType::Printed)),
            (5, Some(wanted(text, None)), PgType::Printed),
            (6, Some(wanted(None, None)), list(PgType::Numeric)),
            (6, Some(wanted(None, double)), list(PgType::NumericAsDouble)),
            (8, Some(wanted(text, None)), PgType::Printed),
        ] {
            assert_eq!(read(id, column), Ok(expected), "type {id}");
        }
        for (id, reason) in [
            (2, "write `double` or `text` as the physicalType"),
            (3, "is of the type `tsvector`, which is read as text only"),
            (5, "write `text` as the physicalType of its items"),
            (7, "is a domain over more than 16 others"),
            (9, "dropped"),
        ] {
            let NotRead(told) = read(id, Some(wanted(None, None))).unwrap_err();
            assert!(told.contains(reason), "type {id}: {told}");
        }
    }
}
