//! YAML documents in which every value knows its file, line and column, and problems that are
//! collected instead of stopping at the first.
//!
//! ```
//! use scrim_document::{Key, Kind, MapReader, Node, Problems, Shape, SourceFile};
//!
//! static GREETING: Shape = Shape::closed(
//!     "greeting",
//!     "how somebody is greeted",
//!     &[
//!         Key::required("name", Kind::Text, "who is greeted"),
//!         Key::optional("language", Kind::Text, "in which language"),
//!     ],
//! );
//! let file = SourceFile::new("greeting.yaml", "name: Zoë\nlanguge: en\n");
//! let node = Node::parse(&file).unwrap();
//! let mut problems = Problems::default();
//! let mut map = MapReader::new(&node, &GREETING, &mut problems).unwrap();
//! let name = map.string("name", &mut problems);
//! let language = map.optional("language");
//! map.finish(&mut problems);
//! assert_eq!(name.as_deref(), Some("Zoë"));
//! assert!(language.is_none());
//! assert_eq!(
//!     problems.to_string(),
//!     "greeting.yaml:2:1: unknown key `languge` (help: did you mean `language`?)"
//! );
//! ```
//!
//! Everything here is strict where the reader of a policy must be: a key twice, a key nobody
//! asked for, text where a number belongs, an empty value where one is needed are problems.
//!
//! This crate must never know what the documents mean, and never opens a file.

mod node;
mod parse;
mod problem;
mod reader;
mod shape;
mod source;
mod words;

pub use node::{Entry, Node, Value};
pub use problem::{Problem, Problems, Severity};
pub use reader::MapReader;
pub use shape::{Key, Kind, Need, Shape, Variant};
pub use source::{Location, SourceFile};
pub use words::nearest;
