//! That schemas, reference and readers say the same.
//!
//! `tests/data/documents` has a document of each kind in which every key stands that is described.

mod fits;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use scrim_document::{Kind, Node, Shape, SourceFile, Value as Yaml};
use scrim_policy::Documents;
use scrim_server::Config;
use serde_json::{Value, json};

use super::{Document, json_schema, parts, reference};
use crate::policy_test::TestFile;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The document in which every key stands.
fn whole(document: Document) -> SourceFile {
    let name = match document {
        Document::Contract => "contract.odcs.yaml",
        Document::Policy => "everything.policy.yaml",
        Document::Agreement => "agreement.yaml",
        Document::Test => "everything.test.yaml",
        Document::Config => "scrim.yaml",
    };
    let path = root().join("tests/data/documents").join(name);
    SourceFile::new(name, std::fs::read_to_string(path).unwrap())
}

/// What the reader of a kind of document finds wrong with one.
fn problems(document: Document, file: SourceFile) -> String {
    let said = match document {
        Document::Contract | Document::Agreement => Documents::parse(vec![file]).map(drop),
        Document::Policy => Documents::parse(vec![bare_contract(), file]).map(drop),
        Document::Test => TestFile::parse(&file).map(drop),
        Document::Config => Config::parse(&file, Path::new("/srv")).map(drop),
    };
    said.map_or_else(|problems| problems.to_string(), |()| String::new())
}

/// The contract of the access policy that stands in a file of its own.
fn bare_contract() -> SourceFile {
    let whole = whole(Document::Contract);
    let parts = scrim_policy::split(&whole).unwrap();
    SourceFile::new(whole.path(), parts.contract)
}

#[test]
fn every_kind_of_document_goes_by_one_name() {
    assert_eq!(Document::ALL, *Document::value_variants());
    for document in Document::ALL {
        let value = document.to_possible_value().unwrap();
        assert_eq!(value.get_name(), document.name());
    }
}

#[test]
fn no_two_parts_of_a_document_share_a_name() {
    for document in Document::ALL {
        let mut names: Vec<_> = parts(document.shape()).iter().map(|s| s.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{}", document.name());
    }
}

#[test]
fn a_schema_describes_keys_with_what_they_mean() {
    let schema = json_schema(Document::Agreement);
    let end = &schema["properties"]["end"];
    assert_eq!(end["type"], "string");
    let says = "the last day, in UTC (a day, like 2026-12-31)";
    assert_eq!(end["description"], says);
    assert_eq!(schema["additionalProperties"], false);
    let consumer = &schema["properties"]["consumer"];
    assert_eq!(consumer["$ref"], "#/$defs/consumer");
    assert_eq!(schema["$defs"]["consumer"]["required"][1], "who");
}

/// A key that is described and not read would be an unknown key here.
#[test]
fn every_key_that_is_described_is_read() {
    for document in Document::ALL {
        let file = whole(document);
        let node = Node::parse(&file).unwrap();
        assert_eq!(problems(document, file), "", "{}", document.name());
        let mut seen = BTreeSet::new();
        walk(&Kind::Map(document.shape()), &node, &mut seen);
        for shape in parts(document.shape()) {
            for key in shape.keys() {
                let refused = matches!(key.holds, Kind::Refused);
                let there = seen.contains(&(shape.name, key.name));
                let what = format!("{}: {}.{}", document.name(), shape.name, key.name);
                assert_eq!(there, !refused, "{what} must stand in tests/data/documents");
            }
        }
    }
}

/// Collects the keys of a document that are described, and the masks with their parameters.
fn walk(kind: &Kind, node: &Node, seen: &mut BTreeSet<(&'static str, &'static str)>) {
    let entries = node.as_map().unwrap_or_default();
    let items = node.as_list().unwrap_or_default();
    match kind {
        Kind::Map(shape) => {
            for entry in entries {
                if let Some(key) = shape.key(&entry.name) {
                    seen.insert((shape.name, key.name));
                    walk(&key.holds, &entry.value, seen);
                }
            }
        }
        Kind::Properties(shape) => {
            for item in items {
                let name = item.get("property").and_then(Node::as_str).unwrap();
                if let Some(key) = shape.key(name) {
                    seen.insert((shape.name, key.name));
                    walk(&key.holds, item.get("value").unwrap(), seen);
                }
            }
        }
        Kind::List(kind) => items.iter().for_each(|item| walk(kind, item, seen)),
        Kind::Named(kind) => {
            for entry in entries {
                walk(kind, &entry.value, seen);
            }
        }
        Kind::AnyOf(kinds) => kinds.iter().for_each(|kind| walk(kind, node, seen)),
        Kind::Tagged { key, of } => {
            let word = node.get(key).and_then(Node::as_str);
            for variant in of().iter().filter(|variant| Some(variant.word) == word) {
                seen.insert((key, variant.word));
                for key in &variant.keys {
                    if node.get(key.name).is_some() {
                        seen.insert((variant.word, key.name));
                    }
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_mask_with_every_parameter_stands_in_the_policy_of_the_tests() {
    let mut seen = BTreeSet::new();
    let node = Node::parse(&whole(Document::Policy)).unwrap();
    walk(&Kind::Map(Document::Policy.shape()), &node, &mut seen);
    for mask in &scrim_policy::MASKS {
        assert!(seen.contains(&("mask", mask.name)), "{}", mask.name);
        for parameter in mask.parameters {
            let refused = matches!(parameter.holds, scrim_policy::ParameterKind::Refused);
            let there = seen.contains(&(mask.name, parameter.name));
            assert_eq!(there, !refused, "{} {}", mask.name, parameter.name);
        }
    }
}

/// A document as the data that a schema speaks of.
fn data(node: &Node) -> Value {
    match node.value() {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => json!(value),
        Yaml::Int(value) => json!(value),
        Yaml::Float(value, _) => json!(value),
        Yaml::Text(text) => json!(&**text),
        Yaml::List(items) => items.iter().map(data).collect(),
        Yaml::Map(entries) => entries
            .iter()
            .map(|entry| (entry.name.to_string(), data(&entry.value)))
            .collect(),
    }
}

/// The data with one thing changed, each with what and where.
fn changed(whole: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut pointers = vec![String::new()];
    while let Some(pointer) = pointers.pop() {
        let here = whole.pointer(&pointer).unwrap();
        let escaped = |name: &String| name.replace('~', "~0").replace('/', "~1");
        let inside: Vec<String> = match here {
            Value::Object(map) => map.keys().map(escaped).collect(),
            Value::Array(items) => (0..items.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        pointers.extend(inside.iter().map(|name| format!("{pointer}/{name}")));
        let mut change = |what: &str, new: Value| {
            let mut data = whole.clone();
            *data.pointer_mut(&pointer).unwrap() = new;
            all.push((format!("{what} at {pointer}"), data));
        };
        for new in [
            Value::Null,
            json!(true),
            json!(7),
            json!(2.5),
            json!([]),
            json!({}),
        ] {
            if *here != new {
                change(&new.to_string(), new);
            }
        }
        if let Value::Object(map) = here {
            for key in map.keys() {
                let mut without = map.clone();
                without.shift_remove(key);
                change(&format!("no {key}"), without.into());
            }
            let mut more = map.clone();
            more.insert("zzzzzz".to_owned(), json!("x"));
            change("one more", more.into());
        }
    }
    all
}

/// Parts of what readers say of mistakes that a schema does not tell: they have to do with more than
/// one key, or with how many there are of something.
const BEYOND_SCHEMAS: [&str; 18] = [
    "the contract has no `accessPolicy`",
    "`bits` must be 64, 96, 128 or 256",
    "nobody asks",
    "the contract serves no purpose",
    "expected one schema object, found 0",
    "expected columns, found none",
    // of `custom`, whose address says whether it is read
    "the key `format` is missing",
    "nothing is expected",
    "there is no persona",
    "without `tls:",
    "without `client_ca`",
    "expected one of `subject` and `san`",
    "expected at least",
    // what one part of a test says of another
    "the key `sql` is missing",
    "the key `columns` is missing",
    "values, found",
    "there is no other case",
    "no number is that large and that small",
];

/// Nobody's editor may underline what is right. And what is of the wrong kind, missing or unknown is
/// underlined.
#[test]
fn schemas_take_what_readers_take_and_refuse_what_is_of_the_wrong_kind() {
    let mut report = String::new();
    for document in Document::ALL {
        let schema = json_schema(document);
        let file = whole(document);
        let whole = data(&Node::parse(&file).unwrap());
        assert!(fits::fits(&schema, &schema, &whole), "{}", document.name());
        for (what, data) in changed(&whole) {
            let text = SourceFile::new(file.path(), data.to_string());
            let problems = problems(document, text);
            let fits = fits::fits(&schema, &schema, &data);
            let first = problems.lines().next().unwrap_or("no problem");
            let beyond = BEYOND_SCHEMAS.iter().any(|part| first.contains(part));
            // A place that is not read may have any address; the standard wants it to be text.
            let unread = what.ends_with(" at /servers/2/location");
            let known = if fits { beyond } else { unread };
            if fits != problems.is_empty() && !known {
                writeln!(report, "{}: {what}: {first}", document.name()).unwrap();
            }
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn the_reference_has_a_row_for_each_key() {
    let limits = reference(Document::Contract, "limits").unwrap();
    let rows = "\
| key | holds | when unsaid | says |
| --- | --- | --- | --- |
| `max_rows` | a whole number from 1 | | rows of one result |
";
    assert!(limits.starts_with(rows), "{limits}");
    assert!(reference(Document::Contract, "nothing").is_none());
}

/// The reference in a page of this repository, between `<!-- keys: DOCUMENT.PART -->` and
/// `<!-- end of keys -->`, written anew; the parts are noted.
fn with_reference(page: &str, noted: &mut BTreeSet<(&'static str, String)>) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("<!-- keys: ") {
        let (name, after) = after.split_once(" -->\n").unwrap();
        let (_, after) = after.split_once("<!-- end of keys -->").unwrap();
        let (kind, part) = name.split_once('.').unwrap();
        let document = Document::ALL
            .into_iter()
            .find(|one| one.name() == kind)
            .unwrap();
        let table = reference(document, part).unwrap_or_else(|| panic!("no part {name}"));
        noted.insert((document.name(), part.to_owned()));
        write!(
            out,
            "{before}<!-- keys: {name} -->\n\n{table}\n<!-- end of keys -->"
        )
        .unwrap();
        rest = after;
    }
    out + rest
}

/// `SCRIM_BLESS=1` writes it anew.
#[test]
fn the_reference_in_the_policies_readme_is_as_the_readers_have_it() {
    let path = root().join("policies/README.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut noted = BTreeSet::new();
    let written = with_reference(&page, &mut noted);
    if std::env::var_os("SCRIM_BLESS").is_some() {
        std::fs::write(&path, &written).unwrap();
    } else {
        for (was, is) in page.lines().zip(written.lines()) {
            assert_eq!(was, is, "if it should be so: SCRIM_BLESS=1");
        }
        assert_eq!(page, written);
    }
    // These the standard describes, or another table holds all of their keys.
    let left_out = ["customProperties", "element", "columnKey", "tableKey"];
    let told = |shape: &&'static Shape| !left_out.contains(&shape.name);
    let documents = [Document::Contract, Document::Agreement, Document::Test];
    for document in documents {
        for shape in parts(document.shape()).into_iter().filter(told) {
            let name = (document.name(), shape.name.to_owned());
            assert!(noted.contains(&name), "{name:?} is not in the reference");
        }
    }
    assert!(noted.contains(&("contract", "masks".to_owned())));
}
