//! Whether a source is what its contract says: each column is there, and of the type that it is said
//! to be of.
//!
//! A type fits when nothing is lost by calling it so: a whole number is a number, and a number is no
//! whole number. What the contract leaves out is not asked for. `required` is not looked at: nothing
//! that a partner sees depends on it.

use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use scrim_anonymize::{PathStep, format_path};
use scrim_document::{Problem, Problems, nearest};

use crate::odcs::{ContractDocument, Property};

/// The standard's words for types.
pub(crate) const LOGICAL_TYPES: [&str; 9] = [
    "string",
    "integer",
    "number",
    "boolean",
    "date",
    "timestamp",
    "time",
    "object",
    "array",
];

impl ContractDocument {
    /// What a source with this schema lacks of the contract's columns, or has as another type;
    /// nothing when it fits.
    pub fn misfits(&self, source: &Schema) -> Problems {
        let mut problems = Problems::default();
        for property in &self.properties {
            column(property, None, source.fields(), &mut problems);
        }
        problems
    }

    /// What the source has inside columns beyond the fields that the contract lists there: it stays
    /// hidden unless a profile names it.
    pub fn unlisted_fields(&self, source: &Schema) -> Vec<String> {
        let mut paths = Vec::new();
        for property in &self.properties {
            if let Ok(field) = source.field_with_name(&property.physical_name) {
                let found = unlisted(property, field.data_type());
                paths.extend(found.iter().map(|steps| format_path(&property.name, steps)));
            }
        }
        paths
    }
}

/// The fields inside a column that its contract does not list, where it lists any.
pub(crate) fn unlisted(property: &Property, data_type: &DataType) -> Vec<Vec<PathStep>> {
    let mut found = Vec::new();
    collect_unlisted(property, data_type, &mut Vec::new(), &mut found);
    found
}

fn collect_unlisted(
    property: &Property,
    data_type: &DataType,
    path: &mut Vec<PathStep>,
    found: &mut Vec<Vec<PathStep>>,
) {
    match plain(data_type) {
        DataType::Struct(fields) if !property.properties.is_empty() => {
            for field in fields {
                path.push(PathStep::Field(field.name().clone()));
                let mut listed = property.properties.iter();
                match listed.find(|inner| inner.physical_name == *field.name()) {
                    Some(inner) => collect_unlisted(inner, field.data_type(), path, found),
                    None => found.push(path.clone()),
                }
                path.pop();
            }
        }
        other => {
            if let (Some(item), Some(element)) = (&property.items, element(other)) {
                path.push(PathStep::Element);
                collect_unlisted(item, element.data_type(), path, found);
                path.pop();
            }
        }
    }
}

/// A property among the columns of a table, or among the fields of the struct `inside`.
fn column(property: &Property, inside: Option<&str>, fields: &Fields, problems: &mut Problems) {
    let wanted = &property.physical_name;
    if let Some(field) = fields.iter().find(|field| field.name() == wanted) {
        let path = match inside {
            Some(outer) => format!("{outer}.{}", property.name),
            None => property.name.clone(),
        };
        return value(property, &path, field.data_type(), problems);
    }
    let at = property.node.get("name").unwrap_or(&property.node);
    let problem = at.error(match inside {
        Some(outer) => format!("`{outer}` has no field `{wanted}` in the source"),
        None => format!("the source has no column `{wanted}`"),
    });
    let names = fields.iter().map(|field| field.name().as_str());
    problems.push(match nearest(wanted, names) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help("its name in the source is its `physicalName`"),
    });
}

/// The values of a column, a field or a list.
fn value(property: &Property, path: &str, data_type: &DataType, problems: &mut Problems) {
    let found = plain(data_type);
    if let Some(said) = &property.logical_type
        && !is_logical(found, said)
    {
        problems.push(other_type(property, path, "logicalType", found));
    } else if let Some(said) = &property.physical_type
        && Family::of(said).is_some_and(|family| !family.holds(found))
    {
        problems.push(other_type(property, path, "physicalType", found));
    }
    if let DataType::Struct(fields) = found {
        for inner in &property.properties {
            column(inner, Some(path), fields, problems);
        }
    }
    if let (Some(item), Some(element)) = (&property.items, element(found)) {
        value(item, &format!("{path}[]"), element.data_type(), problems);
    }
}

fn other_type(property: &Property, path: &str, key: &str, found: &DataType) -> Problem {
    let at = property.node.get(key).unwrap_or(&property.node);
    let said = at.as_str().unwrap_or_default();
    let problem = at.error(format!(
        "`{path}` is {found} in the source, which is no `{said}`"
    ));
    problem.with_help(match logical(found) {
        Some(word) if key == "logicalType" => {
            format!("write `logicalType: {word}`, or mend the source")
        }
        None if key == "logicalType" => {
            "the standard has no word for this type: leave `logicalType` out".to_owned()
        }
        Some(_) | None => {
            "write the type that the source has, or leave `physicalType` out".to_owned()
        }
    })
}

/// A type without the way in which equal values are kept.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => other,
    }
}

/// What a list holds.
fn element(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => Some(element),
        _ => None,
    }
}

/// The standard's word for a type, if it has one.
fn logical(data_type: &DataType) -> Option<&'static str> {
    LOGICAL_TYPES
        .into_iter()
        .find(|word| is_logical(data_type, word))
}

/// Whether values of a type are what a word of the standard says.
fn is_logical(data_type: &DataType, word: &str) -> bool {
    let family = match word {
        "string" => Family::Text,
        "integer" => Family::Integer,
        "number" => Family::Number,
        "boolean" => Family::Boolean,
        "date" => Family::Date,
        "timestamp" => Family::Timestamp,
        "time" => Family::Time,
        "object" => Family::Object,
        "array" => Family::List,
        // The reader of contracts lets no other word through.
        _ => return false,
    };
    family.holds(data_type)
}

/// Types that are much the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Integer,
    /// Numbers that are what they look like, with decimals or without.
    Decimal,
    Number,
    Boolean,
    Date,
    Timestamp,
    Time,
    Binary,
    Object,
    List,
}

impl Family {
    /// Whether values of a type belong to it.
    fn holds(self, data_type: &DataType) -> bool {
        use DataType as D;
        let whole = data_type.is_integer()
            || matches!(
                data_type,
                D::Decimal32(_, scale)
                | D::Decimal64(_, scale)
                | D::Decimal128(_, scale)
                | D::Decimal256(_, scale) if *scale <= 0
            );
        // A column without any value is of every type.
        data_type.is_null()
            || match self {
                Self::Text => data_type.is_string(),
                Self::Integer => whole,
                Self::Decimal => whole || data_type.is_decimal(),
                Self::Number => whole || data_type.is_decimal() || data_type.is_floating(),
                Self::Boolean => matches!(data_type, D::Boolean),
                Self::Date => matches!(data_type, D::Date32 | D::Date64),
                Self::Timestamp => matches!(data_type, D::Timestamp(..)),
                Self::Time => matches!(data_type, D::Time32(_) | D::Time64(_)),
                Self::Binary => data_type.is_binary(),
                Self::Object => matches!(data_type, D::Struct(_) | D::Map(..)),
                Self::List => element(data_type).is_some(),
            }
    }

    /// The family of a source's own type, as databases and file formats write it; none when the
    /// type is not one of the common ones, and then it says nothing here.
    fn of(physical: &str) -> Option<Self> {
        let text = physical.trim().to_lowercase();
        if text.ends_with("[]") {
            return Some(Self::List);
        }
        // A time of day with a zone is kept as text.
        if text.starts_with("time") && !text.starts_with("timestamp") && text.contains("with time")
        {
            return None;
        }
        // `decimal(12, 2)`, `array<int>`, `timestamp(3) with time zone`.
        let name = text
            .split(['(', '<', '['])
            .next()
            .unwrap_or_default()
            .trim_end();
        let name = name.strip_suffix(" unsigned").unwrap_or(name);
        let name = name.split(" with").next().unwrap_or_default();
        Some(match name {
            "text" | "string" | "char" | "character" | "varchar" | "character varying"
            | "nchar" | "nvarchar" | "bpchar" | "clob" | "utf8" | "largeutf8" | "utf8view" => {
                Self::Text
            }
            "int" | "integer" | "tinyint" | "smallint" | "mediumint" | "bigint" | "hugeint"
            | "int2" | "int4" | "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16"
            | "uint32" | "uint64" | "utinyint" | "usmallint" | "uinteger" | "ubigint" | "byte"
            | "short" | "long" | "smallserial" | "serial" | "bigserial" => Self::Integer,
            "decimal" | "numeric" | "dec" | "decimal128" | "decimal256" => Self::Decimal,
            "float" | "double" | "double precision" | "real" | "half" | "float4" | "float8"
            | "float16" | "float32" | "float64" | "number" => Self::Number,
            "bool" | "boolean" => Self::Boolean,
            "date" | "date32" | "date64" => Self::Date,
            "timestamp" | "timestamptz" | "timestamp_ntz" | "timestamp_ltz" | "datetime" => {
                Self::Timestamp
            }
            "time" | "time32" | "time64" => Self::Time,
            "binary" | "varbinary" | "bytea" | "blob" | "bytes" => Self::Binary,
            "struct" | "row" | "record" | "map" => Self::Object,
            "array" | "list" => Self::List,
            _ => return None,
        })
    }
}
