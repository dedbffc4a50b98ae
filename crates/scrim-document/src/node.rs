//! Values that know where they stand.

use std::fmt;
use std::sync::Arc;

use crate::parse::parse;
use crate::{Location, Problem, Problems, SourceFile};

/// A YAML value with its place.
#[derive(Clone)]
pub struct Node {
    pub(crate) file: SourceFile,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Characters of the text that are this value; 0 for what spans several lines.
    pub(crate) length: u32,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number, with the text as it was written.
    Float(f64, Arc<str>),
    /// Text.
    Text(Arc<str>),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; no key occurs twice.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key, as a text node.
    pub key: Node,
    /// The key's text.
    pub name: Arc<str>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Parses one YAML document; a file may hold only one.
    pub fn parse(file: &SourceFile) -> Result<Self, Problems> {
        parse(file)
    }

    /// Where the value starts.
    pub fn location(&self) -> Location {
        self.file.location(self.line, self.column)
    }

    /// The file in which the value stands.
    pub fn file(&self) -> &SourceFile {
        &self.file
    }

    /// What the node holds.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The kind of value in words, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Float(..) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// An error about this value.
    pub fn error(&self, message: impl Into<String>) -> Problem {
        Problem::error(&self.location(), &self.file, message).with_length(self.length as usize)
    }

    /// A warning about this value.
    pub fn warning(&self, message: impl Into<String>) -> Problem {
        Problem::warning(&self.location(), &self.file, message).with_length(self.length as usize)
    }

    fn expected(&self, what: &str) -> Problem {
        let problem = self.error(format!("expected {what}, found {}", self.kind_name()));
        let scalar = matches!(
            self.value,
            Value::Bool(_) | Value::Int(_) | Value::Float(..)
        );
        if scalar && what == "text" {
            return problem.with_help("put it in quotes");
        }
        problem
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Whether another value says the same, wherever it stands and however it is laid out.
    pub fn same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(_, a), Value::Float(_, b)) | (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                let same = |(a, b): (&Entry, &Entry)| a.name == b.name && a.value.same(&b.value);
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            (
                Value::Null
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Float(..)
                | Value::Text(_)
                | Value::List(_)
                | Value::Map(_),
                _,
            ) => false,
        }
    }

    /// The text, if it is one; no problem otherwise.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list; no problem otherwise.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a map; no problem otherwise.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under a key, if it is a map with that key; no problem otherwise.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?
            .iter()
            .find(|entry| &*entry.name == key)
            .map(|entry| &entry.value)
    }

    /// The text, or a problem.
    pub fn string(&self, problems: &mut Problems) -> Option<String> {
        if let Value::Text(text) = &self.value {
            return Some(text.to_string());
        }
        problems.push(self.expected("text"));
        None
    }

    /// Text that is not empty, or a problem.
    pub fn non_empty_string(&self, problems: &mut Problems) -> Option<String> {
        let text = self.string(problems)?;
        if text.trim().is_empty() {
            problems.push(self.error("expected text, found none"));
            return None;
        }
        Some(text)
    }

    /// True or false, or a problem.
    pub fn bool(&self, problems: &mut Problems) -> Option<bool> {
        if let Value::Bool(value) = self.value {
            return Some(value);
        }
        problems.push(self.expected("true or false"));
        None
    }

    /// A whole number, or a problem.
    pub fn i64(&self, problems: &mut Problems) -> Option<i64> {
        if let Value::Int(value) = self.value {
            return Some(value);
        }
        problems.push(self.expected("a whole number"));
        None
    }

    /// A number, or a problem.
    pub fn f64(&self, problems: &mut Problems) -> Option<f64> {
        match self.value {
            Value::Int(value) => Some(value as f64),
            Value::Float(value, _) => Some(value),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                problems.push(self.expected("a number"));
                None
            }
        }
    }

    /// The items of a list, or a problem.
    pub fn list(&self, problems: &mut Problems) -> Option<&[Self]> {
        if let Value::List(items) = &self.value {
            return Some(items);
        }
        problems.push(self.expected("a list"));
        None
    }

    /// The entries of a map whose keys are free names, or a problem.
    pub fn map(&self, problems: &mut Problems) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value {
            return Some(entries);
        }
        problems.push(self.expected("a map"));
        None
    }

    /// The texts of a list, or a problem for each item that is none.
    pub fn string_list(&self, problems: &mut Problems) -> Option<Vec<String>> {
        let items = self.list(problems)?;
        let texts: Vec<_> = items
            .iter()
            .filter_map(|item| item.string(problems))
            .collect();
        (texts.len() == items.len()).then_some(texts)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ", self.line, self.column)?;
        self.value.fmt(f)
    }
}
