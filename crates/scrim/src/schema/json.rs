//! JSON Schemas, in the draft of 2020-12.

use scrim_document::{Key, Kind, Need, Shape, Variant};
use serde_json::{Map, Value, json};

use crate::cli::Document;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// What is said of the contract's own standard, which has a schema of its own.
const STANDARD: &str = "Of the Open Data Contract Standard this knows what Scrim reads. All of it is in \
     https://github.com/bitol-io/open-data-contract-standard/blob/main/schema/odcs-json-schema-v3.1.0.json";

/// The JSON Schema of a kind of document.
pub fn json_schema(document: Document) -> Value {
    let mut writer = Writer::default();
    let shape = document.shape();
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), DRAFT.into());
    schema.insert("title".to_owned(), format!("Scrim: {}", shape.name).into());
    if document == Document::Contract {
        schema.insert("$comment".to_owned(), STANDARD.into());
    }
    schema.extend(writer.map(shape));
    schema.insert("$defs".to_owned(), writer.definitions.into());
    schema.into()
}

/// Writes kinds and collects the maps that they are made of.
#[derive(Default)]
struct Writer {
    definitions: Map<String, Value>,
}

impl Writer {
    fn map(&mut self, shape: &Shape) -> Map<String, Value> {
        let mut schema = self.keys(shape.keys().copied());
        schema.insert("description".to_owned(), shape.says.into());
        schema.insert("additionalProperties".to_owned(), shape.open.into());
        let needs: Vec<Value> = shape.needs().map(need).collect();
        if !needs.is_empty() {
            schema.insert("allOf".to_owned(), needs.into());
        }
        schema
    }

    /// A map with these keys.
    fn keys(&mut self, keys: impl Iterator<Item = Key>) -> Map<String, Value> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for key in keys {
            if key.required {
                required.push(Value::from(key.name));
            }
            let mut value = self.kind(&key.holds);
            if let Some(value) = value.as_object_mut() {
                value.insert("description".to_owned(), description(&key).into());
            }
            properties.insert(key.name.to_owned(), value);
        }
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), properties.into());
        schema.insert("required".to_owned(), required.into());
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match *kind {
            Kind::Text => json!({"type": "string", "pattern": r"\S"}),
            Kind::AnyText => json!({"type": "string"}),
            Kind::Condition => json!({"type": ["string", "boolean"], "pattern": r"\S"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::True => json!({"const": true}),
            Kind::Whole { min, max } => whole(min, max),
            Kind::Number => json!({"type": "number"}),
            Kind::Form { pattern, .. } => json!({"type": "string", "pattern": pattern}),
            Kind::Words(words) => json!({"enum": words()}),
            Kind::Null => json!({"type": "null"}),
            Kind::Any => json!({}),
            Kind::Refused => json!({"not": {}}),
            Kind::List(items) => json!({"type": "array", "items": self.kind(items)}),
            Kind::Map(shape) => self.reference(shape),
            Kind::Named(values) => {
                json!({"type": "object", "additionalProperties": self.kind(values)})
            }
            Kind::Properties(shape) => self.properties(shape),
            Kind::Tagged { key, of } => {
                let variants = of().into_iter().map(|variant| self.variant(key, variant));
                json!({"oneOf": variants.collect::<Vec<_>>()})
            }
            Kind::AnyOf(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| self.kind(kind)).collect();
                json!({"anyOf": kinds})
            }
        }
    }

    fn reference(&mut self, shape: &Shape) -> Value {
        if !self.definitions.contains_key(shape.name) {
            // Named before it is written: a map may hold maps of its own kind.
            self.definitions.insert(shape.name.to_owned(), Value::Null);
            let definition = self.map(shape);
            self.definitions
                .insert(shape.name.to_owned(), definition.into());
        }
        json!({"$ref": format!("#/$defs/{}", shape.name)})
    }

    fn properties(&mut self, shape: &Shape) -> Value {
        let each: Vec<_> = shape
            .keys()
            .map(|key| {
                let mut value = self.kind(&key.holds);
                if let Some(value) = value.as_object_mut() {
                    value.insert("description".to_owned(), description(key).into());
                }
                json!({
                    "if": {"properties": {"property": {"const": key.name}}, "required": ["property"]},
                    "then": {"properties": {"value": value}, "required": ["value"]},
                })
            })
            .collect();
        json!({"type": "array", "items": {"allOf": each}})
    }

    fn variant(&mut self, key: &'static str, variant: Variant) -> Value {
        let mut schema = self.keys(variant.keys.into_iter());
        // YAML takes the bare word for a value of its own.
        let word = match variant.word {
            "null" => json!({"enum": ["null", null]}),
            word => json!({"const": word}),
        };
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.shift_insert(0, key.to_owned(), word);
        }
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.insert(0, key.into());
        }
        schema.insert("description".to_owned(), variant.says.into());
        schema.insert("additionalProperties".to_owned(), false.into());
        schema.into()
    }
}

fn need(need: &Need) -> Value {
    let said = json!({need.key: {"enum": need.words}});
    json!({
        "if": {"properties": said, "required": [need.key]},
        "then": {"required": need.keys},
    })
}

fn whole(min: i64, max: i64) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "integer".into());
    if min > i64::MIN {
        schema.insert("minimum".to_owned(), min.into());
    }
    if max < i64::MAX {
        schema.insert("maximum".to_owned(), max.into());
    }
    schema.into()
}

/// What a key means, with what a pattern alone does not tell.
fn description(key: &Key) -> String {
    let mut text = key.says.to_owned();
    if let Kind::Form { like, .. } = key.holds {
        text = format!("{text} ({like})");
    }
    match key.unsaid {
        Some(value) => format!("{text}; when unsaid: {value}"),
        None => text,
    }
}
