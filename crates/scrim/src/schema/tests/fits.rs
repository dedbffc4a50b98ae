//! As much of JSON Schema as our schemas use. Patterns of text are left to `tests/clients`, where a
//! real validator reads them.

use serde_json::Value;

/// Whether data fit a schema.
pub(super) fn fits(schema: &Value, root: &Value, data: &Value) -> bool {
    let keywords = schema.as_object().unwrap();
    keywords
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "$ref" => {
                let pointer = value.as_str().unwrap().strip_prefix('#').unwrap();
                fits(root.pointer(pointer).unwrap(), root, data)
            }
            "type" => match value {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind, data)),
                kind => is(kind, data),
            },
            "enum" => value.as_array().unwrap().contains(data),
            "const" => value == data,
            "not" => !fits(value, root, data),
            "minimum" => data.as_f64().is_none_or(|n| n >= value.as_f64().unwrap()),
            "maximum" => data.as_f64().is_none_or(|n| n <= value.as_f64().unwrap()),
            "pattern" if value == r"\S" => data.as_str().is_none_or(|text| !text.trim().is_empty()),
            "anyOf" => each(value).any(|schema| fits(schema, root, data)),
            "oneOf" => {
                each(value)
                    .filter(|schema| fits(schema, root, data))
                    .count()
                    == 1
            }
            "allOf" => each(value).all(|schema| fits(schema, root, data)),
            "if" => !fits(value, root, data) || fits(&schema["then"], root, data),
            "items" => items(data).all(|item| fits(value, root, item)),
            "required" => each(value).all(|key| {
                let key = key.as_str().unwrap();
                data.as_object().is_none_or(|map| map.contains_key(key))
            }),
            "properties" => value.as_object().unwrap().iter().all(|(key, schema)| {
                let found = data.as_object().and_then(|map| map.get(key));
                found.is_none_or(|data| fits(schema, root, data))
            }),
            "additionalProperties" => others(schema, data).all(|data| match value {
                Value::Bool(open) => *open,
                schema => fits(schema, root, data),
            }),
            "$schema" | "$comment" | "$defs" | "title" | "description" | "then" | "pattern" => true,
            other => panic!("the keyword {other} is not known to the tests"),
        })
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn items(data: &Value) -> impl Iterator<Item = &Value> {
    data.as_array().into_iter().flatten()
}

/// The values under keys that a schema does not name.
fn others<'a>(schema: &'a Value, data: &'a Value) -> impl Iterator<Item = &'a Value> {
    let named = schema.get("properties").and_then(Value::as_object);
    let entries = data.as_object().into_iter().flatten();
    entries
        .filter(move |(key, _)| named.is_none_or(|named| !named.contains_key(*key)))
        .map(|(_, data)| data)
}

fn is(kind: &Value, data: &Value) -> bool {
    match kind.as_str().unwrap() {
        "string" => data.is_string(),
        "boolean" => data.is_boolean(),
        "integer" => data.is_i64() || data.is_u64(),
        "number" => data.is_number(),
        "null" => data.is_null(),
        "array" => data.is_array(),
        "object" => data.is_object(),
        other => panic!("the type {other} is not known to the tests"),
    }
}
