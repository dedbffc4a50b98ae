//! What may stand in a document: its keys, what each of them holds, and what it means.
//!
//! [`MapReader`](crate::MapReader) reads a map by its shape, and the JSON Schema that editors use and
//! the reference for people are written from the same shapes. A key that is not described here
//! cannot be read.

/// A map whose keys are known.
#[derive(Debug)]
pub struct Shape {
    /// Its name in schemas and in the reference; no two shapes of one document share one.
    pub name: &'static str,
    /// What it is, in a few words.
    pub says: &'static str,
    /// Its keys, in the order in which people write them.
    pub keys: &'static [Key],
    /// A shape whose keys may stand here, too.
    pub and: Option<&'static Shape>,
    /// Whether keys that are not described are left alone. Otherwise they are mistakes.
    pub open: bool,
    /// Keys that must be there for what stands under others.
    pub needs: &'static [Need],
}

/// Keys that must be there when another says one of some words. Readers say so when they come to the
/// word; a test holds both together.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// The key with the word.
    pub key: &'static str,
    /// The words.
    pub words: &'static [&'static str],
    /// The keys that must be there.
    pub keys: &'static [&'static str],
}

/// A key of a map.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What stands there.
    pub holds: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What holds when it is not there, where that is a value.
    pub unsaid: Option<&'static str>,
    /// What it means.
    pub says: &'static str,
    /// Whether it is accepted and never read.
    pub ignored: bool,
}

/// What stands in one place of a document.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text that is not empty.
    Text,
    /// Any text.
    AnyText,
    /// A condition in SQL; `true` and `false` need no quotes.
    Condition,
    /// True or false.
    Bool,
    /// `true` alone: what is not so is left out.
    True,
    /// A whole number in a range, both ends included.
    Whole {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Any number.
    Number,
    /// Text of a certain form.
    Form {
        /// What it is, with an example.
        like: &'static str,
        /// A regular expression that every such text matches.
        pattern: &'static str,
    },
    /// One of some words.
    Words(fn() -> Vec<&'static str>),
    /// Nothing: no value, `null` or `~`.
    Null,
    /// Anything at all.
    Any,
    /// What this version refuses, whatever it is.
    Refused,
    /// A list.
    List(&'static Kind),
    /// A map with known keys.
    Map(&'static Shape),
    /// A map whose keys are names that the author gives.
    Named(&'static Kind),
    /// A list of `{property: NAME, value: …}`. The keys of the shape are the names that are read;
    /// other entries are left alone.
    Properties(&'static Shape),
    /// A map whose other keys depend on the word under one.
    Tagged {
        /// The key with the word.
        key: &'static str,
        /// The words with their other keys.
        of: fn() -> Vec<Variant>,
    },
    /// Any of these.
    AnyOf(&'static [Kind]),
}

/// A word with the keys that may stand beside it.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The word.
    pub word: &'static str,
    /// What it means.
    pub says: &'static str,
    /// The keys beside it.
    pub keys: Vec<Key>,
}

impl Key {
    /// A key that must be there.
    pub const fn required(name: &'static str, holds: Kind, says: &'static str) -> Self {
        Self {
            name,
            holds,
            required: true,
            unsaid: None,
            says,
            ignored: false,
        }
    }

    /// A key that may be there.
    pub const fn optional(name: &'static str, holds: Kind, says: &'static str) -> Self {
        Self {
            required: false,
            ..Self::required(name, holds, says)
        }
    }

    /// A key that may be there and that nobody reads.
    pub const fn ignored(name: &'static str, says: &'static str) -> Self {
        Self {
            ignored: true,
            ..Self::optional(name, Kind::Any, says)
        }
    }

    /// A key that may be there, to be told that it cannot hold.
    pub const fn refused(name: &'static str) -> Self {
        Self::optional(name, Kind::Refused, "not enforced by this version")
    }

    /// The same with what holds when it is not there.
    #[must_use]
    pub const fn unsaid(self, value: &'static str) -> Self {
        Self {
            unsaid: Some(value),
            ..self
        }
    }
}

impl Shape {
    /// A shape to which no other key may be added.
    pub const fn closed(name: &'static str, says: &'static str, keys: &'static [Key]) -> Self {
        Self {
            name,
            says,
            keys,
            and: None,
            open: false,
            needs: &[],
        }
    }

    /// A shape of which only some keys matter here.
    pub const fn open(name: &'static str, says: &'static str, keys: &'static [Key]) -> Self {
        Self {
            open: true,
            ..Self::closed(name, says, keys)
        }
    }

    /// The same with the keys of another.
    #[must_use]
    pub const fn and(self, other: &'static Self) -> Self {
        Self {
            and: Some(other),
            ..self
        }
    }

    /// The same with keys that words under others need.
    #[must_use]
    pub const fn needing(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    /// The keys that words under others need, those of the other shape last.
    pub fn needs(&self) -> impl Iterator<Item = &'static Need> + use<> {
        let others = std::iter::successors(self.and, |shape| shape.and);
        self.needs
            .iter()
            .chain(others.flat_map(|shape| shape.needs))
    }

    /// All keys that are described, those of the other shape last.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        let mut shape = (self.keys, self.and);
        std::iter::from_fn(move || {
            loop {
                if let Some((first, rest)) = shape.0.split_first() {
                    shape.0 = rest;
                    return Some(first);
                }
                let other = shape.1?;
                shape = (other.keys, other.and);
            }
        })
    }

    /// The description of a key.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}
