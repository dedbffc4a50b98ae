//! From the types that a contract declares to Arrow's, for sources whose values have none of their
//! own.

use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, Fields, TimeUnit,
};

use crate::WantedColumn;

/// The zone of instants.
pub(crate) const UTC: &str = "UTC";

/// The type that a contract declares for a column; none when it declares none.
///
/// # Errors
/// When the type is not one of the standard's, or lacks its fields.
pub(crate) fn declared(column: &WantedColumn) -> Result<Option<DataType>, String> {
    let Some(logical) = column.logical_type.as_deref() else {
        return Ok(None);
    };
    let physical = Physical::parse(column.physical_type.as_deref().unwrap_or_default());
    let data_type = match logical {
        "string" => DataType::Utf8,
        "boolean" => DataType::Boolean,
        "integer" => physical.integer().unwrap_or(DataType::Int64),
        "number" => physical
            .decimal()
            .map_err(|e| format!("column `{}`: {e}", column.name))?
            .or_else(|| physical.integer())
            .unwrap_or(DataType::Float64),
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => {
            let zone = physical.has_zone().then(|| UTC.into());
            DataType::Timestamp(TimeUnit::Microsecond, zone)
        }
        "object" => DataType::Struct(fields(column)?),
        "array" => {
            let item = column.items.as_deref().ok_or_else(|| {
                format!(
                    "column `{}` is an array; add `items` with the type of its elements",
                    column.name
                )
            })?;
            DataType::new_list(inner(item)?, true)
        }
        other => {
            return Err(format!(
                "column `{}` has the logicalType `{other}`; use string, boolean, integer, number, \
                 date, time, timestamp, object or array",
                column.name
            ));
        }
    };
    Ok(Some(data_type))
}

fn fields(object: &WantedColumn) -> Result<Fields, String> {
    if object.fields.is_empty() {
        return Err(format!(
            "column `{}` is an object; add `properties` with its fields",
            object.name
        ));
    }
    let field = |f: &WantedColumn| Ok(Arc::new(Field::new(&f.name, inner(f)?, true)));
    object.fields.iter().map(field).collect()
}

fn inner(column: &WantedColumn) -> Result<DataType, String> {
    let missing = || format!("`{}` has no logicalType", column.name);
    declared(column)?.ok_or_else(missing)
}

/// An owner's own word for a type: `DECIMAL(12, 2)`, `timestamp with time zone`.
struct Physical {
    name: String,
    parameters: Vec<String>,
}

impl Physical {
    fn parse(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        let (name, rest) = text.split_once('(').unwrap_or((text.as_str(), ""));
        let (inside, after) = rest.split_once(')').unwrap_or((rest, ""));
        let split = inside.split(',').map(|p| p.trim().to_owned());
        Self {
            // What stands behind the parameters is part of the name: `timestamp(6) with time zone`.
            name: format!("{} {}", name.trim(), after.trim())
                .trim()
                .to_owned(),
            parameters: split.filter(|p| !p.is_empty()).collect(),
        }
    }

    fn integer(&self) -> Option<DataType> {
        match self.name.as_str() {
            "tinyint" => Some(DataType::Int8),
            "smallint" | "int2" | "smallserial" => Some(DataType::Int16),
            "int" | "integer" | "int4" | "serial" => Some(DataType::Int32),
            "bigint" | "int8" | "long" | "bigserial" => Some(DataType::Int64),
            _ => None,
        }
    }

    /// A decimal, if it says its precision; without one it is as wide as a float.
    fn decimal(&self) -> Result<Option<DataType>, String> {
        if !matches!(self.name.as_str(), "decimal" | "numeric" | "dec" | "number") {
            return Ok(None);
        }
        let Some(precision) = self.parameters.first() else {
            return Ok(None);
        };
        let scale = self.parameters.get(1).map_or("0", String::as_str);
        let (Ok(precision), Ok(scale)) = (precision.parse::<u8>(), scale.parse::<i8>()) else {
            return Err("write a decimal as DECIMAL(precision, scale)".to_owned());
        };
        if precision == 0 || precision > DECIMAL256_MAX_PRECISION {
            return Err(format!(
                "a decimal has 1 to {DECIMAL256_MAX_PRECISION} digits"
            ));
        }
        if scale < 0 || scale.unsigned_abs() > precision {
            return Err("a decimal's scale is from 0 to its precision".to_owned());
        }
        Ok(Some(if precision <= DECIMAL128_MAX_PRECISION {
            DataType::Decimal128(precision, scale)
        } else {
            DataType::Decimal256(precision, scale)
        }))
    }

    fn has_zone(&self) -> bool {
        self.name.starts_with("timestamptz")
            || self.name.ends_with("with time zone")
            || self.name.ends_with("with local time zone")
            || self.name == "timestamp_tz"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(logical: &str, physical: &str) -> WantedColumn {
        WantedColumn {
            name: "c".to_owned(),
            logical_type: (!logical.is_empty()).then(|| logical.to_owned()),
            physical_type: (!physical.is_empty()).then(|| physical.to_owned()),
            required: false,
            fields: Vec::new(),
            items: None,
        }
    }

    #[test]
    fn declared_types_become_arrow_types() {
        for (logical, physical, expected) in [
            ("string", "VARCHAR(20)", "Utf8"),
            ("boolean", "", "Boolean"),
            ("integer", "", "Int64"),
            ("integer", "BIGINT", "Int64"),
            ("integer", "INT8", "Int64"),
            ("integer", "smallint", "Int16"),
            ("integer", "INTEGER", "Int32"),
            ("number", "", "Float64"),
            ("number", "NUMERIC", "Float64"),
            ("number", "DECIMAL(12,2)", "Decimal128(12, 2)"),
            ("number", "decimal(12)", "Decimal128(12, 0)"),
            ("number", "NUMERIC(60, 10)", "Decimal256(60, 10)"),
            ("number", "BIGINT", "Int64"),
            ("date", "DATE", "Date32"),
            ("time", "", "Time64(µs)"),
            ("timestamp", "TIMESTAMP", "Timestamp(µs)"),
            ("timestamp", "timestamptz", "Timestamp(µs, \"UTC\")"),
            (
                "timestamp",
                "TIMESTAMP(6) WITH TIME ZONE",
                "Timestamp(µs, \"UTC\")",
            ),
            ("timestamp", "timestamp without time zone", "Timestamp(µs)"),
        ] {
            let found = declared(&column(logical, physical)).unwrap().unwrap();
            assert_eq!(found.to_string(), expected, "{logical} {physical}");
        }
        assert_eq!(declared(&column("", "BIGINT")), Ok(None));
    }

    #[test]
    fn nested_types_have_the_types_of_their_parts() {
        let mut object = column("object", "");
        let mut items = column("array", "");
        items.items = Some(Box::new(column("number", "DECIMAL(4,1)")));
        object.fields = vec![column("string", ""), items];
        let found = declared(&object).unwrap().unwrap();
        let expected = "Struct(\"c\": Utf8, \"c\": List(Decimal128(4, 1)))";
        assert_eq!(found.to_string(), expected);
    }

    #[test]
    fn what_is_no_type_is_told() {
        let empty = column("object", "");
        let no_items = column("array", "");
        let cases = [
            (column("geometry", ""), "logicalType `geometry`"),
            (column("number", "DECIMAL(99,2)"), "1 to 76 digits"),
            (column("number", "DECIMAL(4,5)"), "scale"),
            (column("number", "DECIMAL(x)"), "DECIMAL(precision, scale)"),
            (empty, "add `properties`"),
            (no_items, "add `items`"),
        ];
        for (column, expected) in cases {
            let error = declared(&column).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
