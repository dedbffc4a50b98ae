//! From YAML events to nodes.
//!
//! The parser's own loader recurses once per level, so a file of brackets could end the process.
//! Here the levels stand on a stack of ours, and depth, size and aliases have limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use crate::{Entry, Node, Problem, Problems, SourceFile, Value};

/// Levels of lists and maps in one another.
const DEPTH_MAX: usize = 64;
/// Values in one file; each anchor and each alias makes a copy, which counts in full.
const NODES_MAX: usize = 1_000_000;
/// Bytes of one file.
const BYTES_MAX: usize = 16 << 20;

const UNFIT: &str = "the value does not fit its YAML tag";

pub(crate) fn parse(file: &SourceFile) -> Result<Node, Problems> {
    let start = file.location(1, 1);
    if file.text().len() > BYTES_MAX {
        let message = format!("the file is longer than {} MiB", BYTES_MAX >> 20);
        return Err(Problem::error(&start, file, message).into());
    }
    // The parser lets most of them through, and on a terminal they can hide what stands beside them.
    if let Some(problem) = control_character(file) {
        return Err(problem.into());
    }
    let mut builder = Builder {
        file,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        documents: 0,
        root: None,
        problems: Problems::default(),
    };
    let mut parser = Parser::new_from_str(file.visible_text());
    while let Some(event) = parser.next_event() {
        let result = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let at = location(file, *error.marker());
                Err(Problem::error(
                    &at,
                    file,
                    format!("not valid YAML: {}", error.info()),
                ))
            }
        };
        if let Err(problem) = result {
            builder.problems.push(problem);
            return Err(builder.problems);
        }
    }
    if !builder.problems.is_empty() {
        return Err(builder.problems);
    }
    let empty = Node {
        file: file.clone(),
        line: 1,
        column: 1,
        length: 0,
        value: Value::Null,
    };
    Ok(builder.root.unwrap_or(empty))
}

/// A character that YAML does not know outside escapes.
fn control_character(file: &SourceFile) -> Option<Problem> {
    let (mut line, mut column) = (1, 1);
    for c in file.visible_text().chars() {
        if c.is_control() && !matches!(c, '\t' | '\r' | '\n') {
            let code = u32::from(c);
            let message = format!("the control character U+{code:04X} cannot stand in a file");
            let help = "write it as an escape in double quotes; or the file is damaged";
            let at = file.location(line, column);
            return Some(Problem::error(&at, file, message).with_help(help));
        }
        (line, column) = match c {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        };
    }
    None
}

fn location(file: &SourceFile, mark: Marker) -> crate::Location {
    file.location(mark.line().max(1) as u32, mark.col() as u32 + 1)
}

/// A list or map that is being read.
enum Open {
    List {
        node: Node,
        items: Vec<Node>,
        anchor: usize,
    },
    Map {
        node: Node,
        entries: Vec<Entry>,
        /// The line of each key.
        lines: BTreeMap<Arc<str>, u32>,
        key: Option<Node>,
        anchor: usize,
    },
}

struct Builder<'f> {
    file: &'f SourceFile,
    stack: Vec<Open>,
    /// What an anchor names, with its number of values; missing while it is still open.
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
    problems: Problems,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self
                        .at(span, Value::Null)
                        .error("a second document starts here")
                        .with_help("write each document into a file of its own"));
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref());
                let value = value.map_err(|message| self.at(span, Value::Null).error(message))?;
                let value = if self.awaits_key() {
                    as_key(value, &text)
                } else {
                    value
                };
                let node = self.at(span, value);
                self.finished(node, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                let node = self.opened(span, tag.as_deref(), "seq")?;
                self.stack.push(Open::List {
                    node,
                    items: Vec::new(),
                    anchor,
                });
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                let node = self.opened(span, tag.as_deref(), "map")?;
                self.stack.push(Open::Map {
                    node,
                    entries: Vec::new(),
                    lines: BTreeMap::new(),
                    key: None,
                    anchor,
                });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.closed(),
        }
    }

    fn at(&self, span: Span, value: Value) -> Node {
        let one_line = span.start.line() == span.end.line();
        let length = if one_line { span.len() } else { 0 };
        Node {
            file: self.file.clone(),
            line: span.start.line().max(1) as u32,
            column: span.start.col() as u32 + 1,
            length: length as u32,
            value,
        }
    }

    /// Whether the next value is a key.
    fn awaits_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open::Map { key: None, .. }))
    }

    /// A list or map begins, whose tag, if it has one, must be this.
    fn opened(&self, span: Span, tag: Option<&Tag>, kind: &str) -> Result<Node, Problem> {
        let node = self.at(Span::empty(span.start), Value::Null);
        if self.stack.len() >= DEPTH_MAX {
            return Err(node.error(format!("more than {DEPTH_MAX} levels in one another")));
        }
        match core_tag(tag).map_err(|message| node.error(message))? {
            Some(tag) if tag != kind => Err(node.error(UNFIT)),
            Some(_) | None => Ok(node),
        }
    }

    fn closed(&mut self) -> Result<(), Problem> {
        let (node, anchor) = match self.stack.pop() {
            Some(Open::List {
                node,
                items,
                anchor,
            }) => (
                Node {
                    value: Value::List(items),
                    ..node
                },
                anchor,
            ),
            Some(Open::Map {
                node,
                entries,
                anchor,
                lines: _,
                key: _,
            }) => (
                Node {
                    value: Value::Map(entries),
                    ..node
                },
                anchor,
            ),
            None => return Ok(()),
        };
        let size = if anchor == 0 { 1 } else { size(&node) };
        self.finished(node, anchor, size)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Problem> {
        let here = self.at(span, Value::Null);
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(here.error("the alias stands inside what it names"));
        };
        count(&mut self.nodes, *size, &here)?;
        let node = Node {
            value: node.value.clone(),
            ..here
        };
        if depth(&node) + self.stack.len() > DEPTH_MAX {
            return Err(node.error(format!("more than {DEPTH_MAX} levels in one another")));
        }
        self.finished(node, 0, 1)
    }

    /// Puts a finished value where it belongs.
    fn finished(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Problem> {
        count(&mut self.nodes, 1, &node)?;
        if anchor > 0 {
            count(&mut self.nodes, size, &node)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map {
                entries,
                lines,
                key,
                ..
            }) => match key.take() {
                None => *key = Some(node),
                Some(key) => {
                    let name = key_name(&key)?;
                    if let Some(first) = lines.get(&name) {
                        let message = format!("the key `{name}` stands here twice");
                        let help = format!("the first is on line {first}");
                        self.problems.push(key.error(message).with_help(help));
                    } else {
                        lines.insert(Arc::clone(&name), key.line);
                    }
                    entries.push(Entry {
                        key,
                        name,
                        value: node,
                    });
                }
            },
        }
        Ok(())
    }
}

fn count(nodes: &mut usize, more: usize, at: &Node) -> Result<(), Problem> {
    *nodes = nodes.saturating_add(more);
    if *nodes > NODES_MAX {
        return Err(at.error(format!("more than {NODES_MAX} values in one file")));
    }
    Ok(())
}

/// A key is the text that stands there: `007` and `7`, `TRUE` and `true` are different names.
fn as_key(value: Value, text: &str) -> Value {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Float(..) => Value::Text(text.into()),
        Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => value,
    }
}

fn key_name(key: &Node) -> Result<Arc<str>, Problem> {
    match &key.value {
        Value::Text(text) => Ok(Arc::clone(text)),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(..)
        | Value::List(_)
        | Value::Map(_) => {
            Err(key.error(format!("expected text as a key, found {}", key.kind_name())))
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| 1 + size(&entry.value))
                .sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(..) | Value::Text(_) => 1,
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| depth(&entry.value))
                .max()
                .unwrap_or(0)
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(..) | Value::Text(_) => 0,
    }
}

/// The value of a scalar by YAML 1.2's core schema, without octal and hexadecimal numbers: an
/// owner who writes `0x1F` in a policy most likely means text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let tag = core_tag(tag)?;
    if tag == Some("str") || (style != ScalarStyle::Plain && tag.is_none()) {
        return Ok(Value::Text(text.into()));
    }
    let value = plain(text);
    let kept = match (tag, &value) {
        (None, _)
        | (Some("null"), Value::Null)
        | (Some("bool"), Value::Bool(_))
        | (Some("int"), Value::Int(_))
        | (Some("float"), Value::Float(..)) => true,
        (Some(_), _) => false,
    };
    match value {
        _ if !kept => Err(UNFIT.to_owned()),
        // Rust makes an infinity of `1e999`, which is greater than anything it is compared with.
        Value::Float(number, _) if !number.is_finite() => {
            Err(format!("the number `{text}` is too large"))
        }
        value => Ok(value),
    }
}

/// The name of a tag of YAML's core schema; of others nobody here knows what they mean.
fn core_tag(tag: Option<&Tag>) -> Result<Option<&str>, String> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() => Ok(Some(tag.suffix.as_str())),
        Some(tag) => Err(format!("the YAML tag `{tag}` is not understood here")),
        None => Ok(None),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Int(number);
    }
    // Rust also parses `inf` and `nan`, which are words in YAML.
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.contains(|c: char| c.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(number) if numeric => Value::Float(number, text.into()),
        _ => Value::Text(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Key, Kind, MapReader, Node, Problems, Shape, SourceFile, Value};

    static LIMITS: Shape = Shape::closed(
        "limits",
        "what a test reads",
        &[
            Key::required("name", Kind::Text, ""),
            Key::optional("rows", Kind::Text, ""),
            Key::optional("limits", Kind::List(&Kind::Text), ""),
            Key::required("needed", Kind::List(&Kind::Text), ""),
            Key::optional("purpose", Kind::Text, ""),
        ],
    );

    fn problems_of(text: &str) -> String {
        match Node::parse(&SourceFile::new("f.yaml", text)) {
            Ok(node) => format!("{node:?}"),
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn every_value_knows_its_place() {
        let text =
            "a: 1\nbär:\n  - x\n  - {k: 'v w', n: ~}\nc: |\n  many\n  lines\nd: 2026-01-01\n";
        let node = Node::parse(&SourceFile::new("f.yaml", text)).unwrap();
        let list = node.get("bär").unwrap();
        let map = &list.as_list().unwrap()[1];
        let place = |node: &Node| node.location().to_string();
        assert_eq!(place(&node), "f.yaml:1:1");
        assert_eq!(place(list), "f.yaml:3:3");
        assert_eq!(place(map), "f.yaml:4:5");
        assert_eq!(place(map.get("k").unwrap()), "f.yaml:4:9");
        assert!(map.get("n").unwrap().is_null());
        assert_eq!(node.get("c").unwrap().as_str(), Some("many\nlines\n"));
        assert_eq!(node.get("d").unwrap().as_str(), Some("2026-01-01"));
        assert!(matches!(node.get("a").unwrap().value(), Value::Int(1)));
    }

    #[test]
    fn scalars_are_read_by_the_core_schema() {
        let kinds = |text: &str| {
            let node = Node::parse(&SourceFile::new("f.yaml", text)).unwrap();
            let items = node.as_list().unwrap().iter();
            items.map(Node::kind_name).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            kinds("[yes, no, on, inf, .nan, 0x1f, 1_000, '1', \"\", NULL, 1.5, -3, 1e3, TRUE]"),
            "text, text, text, text, text, text, text, text, text, nothing, a number, \
             a whole number, a number, true or false"
        );
        assert_eq!(
            kinds("[!!str 1, !!int 1, 99999999999999999999]"),
            "text, a whole number, a number"
        );
    }

    #[test]
    fn what_is_ambiguous_or_hostile_is_a_problem() {
        insta::assert_snapshot!(problems_of("a: 1\nb: 2\na: 3\n"), @"f.yaml:3:1: the key `a` stands here twice (help: the first is on line 1)");
        insta::assert_snapshot!(problems_of("a: 1\n---\nb: 2\n"), @"f.yaml:2:1: a second document starts here (help: write each document into a file of its own)");
        insta::assert_snapshot!(problems_of("a: !secret x\n"), @"f.yaml:1:4: the YAML tag `!secret` is not understood here");
        insta::assert_snapshot!(problems_of("a: [1, 2\n"), @"f.yaml:2:1: not valid YAML: while parsing a flow sequence, expected ',' or ']'");
        insta::assert_snapshot!(problems_of("? [a]\n: b\n"), @"f.yaml:1:3: expected text as a key, found a list");
        insta::assert_snapshot!(problems_of("a: &x [*x]\n"), @"f.yaml:1:8: the alias stands inside what it names");
        assert!(problems_of(&"[".repeat(10_000)).contains("f.yaml:1:"));
        assert!(problems_of(&"- ".repeat(100_000)).contains("levels in one another"));
    }

    #[test]
    fn what_does_not_mean_what_it_seems_to_is_a_problem() {
        insta::assert_snapshot!(problems_of("a: 1\nbä: '2\u{1b}[8m'\n"), @"f.yaml:2:7: the control character U+001B cannot stand in a file (help: write it as an escape in double quotes; or the file is damaged)");
        insta::assert_snapshot!(problems_of("a: 'x\0'\n"), @"f.yaml:1:6: the control character U+0000 cannot stand in a file (help: write it as an escape in double quotes; or the file is damaged)");
        insta::assert_snapshot!(problems_of("a: 1e999\n"), @"f.yaml:1:4: the number `1e999` is too large");
        insta::assert_snapshot!(problems_of("a: !!int x\n"), @"f.yaml:1:4: the value does not fit its YAML tag");
        insta::assert_snapshot!(problems_of("a: !!map [x]\n"), @"f.yaml:1:4: the value does not fit its YAML tag");
        insta::assert_snapshot!(problems_of("a: !secret [x]\n"), @"f.yaml:1:4: the YAML tag `!secret` is not understood here");
        insta::assert_snapshot!(problems_of("a: &n 7\n*n : b\n"), @"f.yaml:2:1: expected text as a key, found a whole number");
        assert!(Node::parse(&SourceFile::new("f.yaml", "a: !!seq [\"\\0\"]\n")).is_ok());
    }

    #[test]
    fn a_key_is_the_text_that_stands_there() {
        let text = "{007: a, 7: b, TRUE: c, true: d, 1e3: e, 1000: f, !!int 8: g}";
        let node = Node::parse(&SourceFile::new("f.yaml", text)).unwrap();
        let entries = node.as_map().unwrap().iter();
        let names: Vec<_> = entries.map(|entry| &*entry.name).collect();
        assert_eq!(names, ["007", "7", "TRUE", "true", "1e3", "1000", "8"]);
        insta::assert_snapshot!(problems_of("null: a\n"), @"f.yaml:1:1: expected text as a key, found nothing");
    }

    #[test]
    fn what_is_meant_is_underlined_whatever_the_alphabet() {
        let report = |text: &str| {
            let node = Node::parse(&SourceFile::new("f.yaml", text)).unwrap();
            let list = node.get("größe").unwrap().as_list().unwrap();
            let problems: Problems = list.iter().map(|item| item.error("no")).collect();
            problems.render()
        };
        insta::assert_snapshot!(report("größe: [äöü, 7]\n"), @r"
         × no
          ╭─[f.yaml:1:9]
        1 │ größe: [äöü, 7]
          ·         ─┬─
          ·          ╰── here
          ╰────
         × no
          ╭─[f.yaml:1:14]
        1 │ größe: [äöü, 7]
          ·              ┬
          ·              ╰── here
          ╰────
        ");
        assert!(report("\u{feff}größe: [äöü, 7]\n").contains("f.yaml:1:9"));
    }

    #[test]
    fn long_maps_are_read_in_time_and_a_long_report_ends() {
        let keys: Vec<_> = (0..200_000).map(|key| format!("k{key}: 1\n")).collect();
        assert!(Node::parse(&SourceFile::new("f.yaml", keys.concat())).is_ok());
        let Err(problems) = Node::parse(&SourceFile::new("f.yaml", "k: 1\n".repeat(100_000)))
        else {
            panic!("a key stands there twice")
        };
        assert_eq!(problems.len(), 99_999);
        assert!(problems.render().ends_with(" … and 99899 more\n"));
    }

    #[test]
    fn anchors_in_one_another_are_counted_in_full() {
        let opened: Vec<_> = (0..60).map(|level| format!("&a{level} [")).collect();
        let text = format!(
            "{}{}{}",
            opened.concat(),
            "x, ".repeat(20_000),
            "]".repeat(60)
        );
        assert!(problems_of(&text).contains("values in one file"));
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let previous = format!("*a{}, ", level - 1).repeat(10);
            let line = format!("a{level}: &a{level} [{previous}]\n");
            text += &line;
        }
        assert!(problems_of(&text).contains("values in one file"));
    }

    #[test]
    fn problems_are_collected_with_help_and_rendered_with_their_lines() {
        let text = "name: 7\nrows: \nlimits: [a, 1]\npurpoze: x\n";
        let node = Node::parse(&SourceFile::new("policies/f.yaml", text)).unwrap();
        let mut problems = Problems::default();
        let mut map = MapReader::new(&node, &LIMITS, &mut problems).unwrap();
        assert_eq!(map.string("name", &mut problems), None);
        assert_eq!(map.optional_string("rows", &mut problems), None);
        assert!(map.optional_string_list("limits", &mut problems).is_empty());
        assert_eq!(map.string_list("needed", &mut problems), None);
        assert!(map.optional("purpose").is_none());
        map.finish(&mut problems);
        insta::assert_snapshot!(problems, @"
        policies/f.yaml:1:7: expected text, found a whole number (help: put it in quotes)
        policies/f.yaml:2:5: expected text, found nothing
        policies/f.yaml:3:13: expected text, found a whole number (help: put it in quotes)
        policies/f.yaml:1:1: the key `needed` is missing
        policies/f.yaml:4:1: unknown key `purpoze` (help: did you mean `purpose`?)
        ");
        let first: Problems = problems.iter().take(1).cloned().collect();
        insta::assert_snapshot!(first.render(), @r"
         × expected text, found a whole number
          ╭─[policies/f.yaml:1:7]
        1 │ name: 7
          ·       ┬
          ·       ╰── here
        2 │ rows: 
          ╰────
         help: put it in quotes
        ");
    }
}
