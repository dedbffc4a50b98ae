//! Reading a map whose keys are known.

use std::collections::BTreeSet;

use crate::{Entry, Node, Problems, Shape, nearest};

/// Reads a map key by key and remembers which were asked for, so that [`MapReader::finish`] can
/// report the others. A key that the map's shape does not describe is never found.
#[derive(Debug)]
pub struct MapReader<'a> {
    node: &'a Node,
    entries: &'a [Entry],
    shape: &'static Shape,
    known: BTreeSet<&'a str>,
}

impl<'a> MapReader<'a> {
    /// Starts reading; a problem when the value is no map.
    pub fn new(node: &'a Node, shape: &'static Shape, problems: &mut Problems) -> Option<Self> {
        let entries = node.map(problems)?;
        let ignored = shape.keys().filter(|key| key.ignored);
        Some(Self {
            node,
            entries,
            shape,
            known: ignored.map(|key| key.name).collect(),
        })
    }

    /// The value of a key, if it is there.
    pub fn optional(&mut self, key: &str) -> Option<&'a Node> {
        let key = self.shape.key(key)?.name;
        self.known.insert(key);
        self.entries
            .iter()
            .find(|entry| &*entry.name == key)
            .map(|entry| &entry.value)
    }

    /// The key itself as a node, for messages about it.
    pub fn key(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|entry| &*entry.name == key)
            .map(|entry| &entry.key)
    }

    /// The value of a key, or a problem when it is missing.
    pub fn required(&mut self, key: &str, problems: &mut Problems) -> Option<&'a Node> {
        let found = self.optional(key);
        if found.is_none() {
            problems.push(self.node.error(format!("the key `{key}` is missing")));
        }
        found
    }

    /// The text of a required key that is not empty.
    pub fn string(&mut self, key: &str, problems: &mut Problems) -> Option<String> {
        self.required(key, problems)?.non_empty_string(problems)
    }

    /// The text of a key, if it is there.
    pub fn optional_string(&mut self, key: &str, problems: &mut Problems) -> Option<String> {
        self.optional(key)?.non_empty_string(problems)
    }

    /// The texts of a required key.
    pub fn string_list(&mut self, key: &str, problems: &mut Problems) -> Option<Vec<String>> {
        self.required(key, problems)?.string_list(problems)
    }

    /// The texts of a key, none if it is not there.
    pub fn optional_string_list(&mut self, key: &str, problems: &mut Problems) -> Vec<String> {
        self.optional(key)
            .and_then(|node| node.string_list(problems))
            .unwrap_or_default()
    }

    /// True or false of a key, if it is there.
    pub fn optional_bool(&mut self, key: &str, problems: &mut Problems) -> Option<bool> {
        self.optional(key)?.bool(problems)
    }

    /// The whole number of a key, if it is there.
    pub fn optional_i64(&mut self, key: &str, problems: &mut Problems) -> Option<i64> {
        self.optional(key)?.i64(problems)
    }

    /// Accepts keys without reading them.
    pub fn ignore(&mut self, keys: &[&'a str]) {
        self.known.extend(keys);
    }

    /// Reports every key that nobody asked for, with the nearest that somebody did.
    pub fn finish(self, problems: &mut Problems) {
        for entry in self.entries {
            if self.known.contains(&*entry.name) {
                continue;
            }
            let problem = entry.key.error(format!("unknown key `{}`", entry.name));
            problems.push(match nearest(&entry.name, self.known.iter().copied()) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem.with_help(format!(
                    "known keys are {}",
                    self.known.iter().copied().collect::<Vec<_>>().join(", ")
                )),
            });
        }
    }
}
