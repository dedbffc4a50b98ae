//! Tables of keys for people, in Markdown.

use scrim_document::{Key, Kind, Shape};
use scrim_policy::{MASKS, MaskShape, Parameter, ParameterKind, Unsaid};

use crate::cli::Document;

/// The maps that a document is made of, itself first.
pub fn parts(shape: &'static Shape) -> Vec<&'static Shape> {
    let mut found = vec![shape];
    let mut next = 0;
    while let Some(shape) = found.get(next).copied() {
        next += 1;
        for key in shape.keys() {
            inside(&key.holds, &mut found);
        }
    }
    found
}

fn inside(kind: &'static Kind, found: &mut Vec<&'static Shape>) {
    match *kind {
        Kind::Map(shape) | Kind::Properties(shape) => {
            if !found.iter().any(|one| std::ptr::eq(*one, shape)) {
                found.push(shape);
            }
        }
        Kind::List(kind) | Kind::Named(kind) => inside(kind, found),
        Kind::AnyOf(kinds) => kinds.iter().for_each(|kind| inside(kind, found)),
        Kind::Text
        | Kind::AnyText
        | Kind::Condition
        | Kind::Bool
        | Kind::True
        | Kind::Whole { .. }
        | Kind::Number
        | Kind::Form { .. }
        | Kind::Words(_)
        | Kind::Null
        | Kind::Any
        | Kind::Refused
        | Kind::Tagged { .. } => {}
    }
}

/// The table of a part of a document, or of the masks (`masks`); none when there is no such part.
pub fn reference(document: Document, part: &str) -> Option<String> {
    if part == "masks" {
        return Some(masks());
    }
    let parts = parts(document.shape());
    let shape = parts.into_iter().find(|shape| shape.name == part)?;
    let mut text = "| key | holds | when unsaid | says |\n| --- | --- | --- | --- |\n".to_owned();
    // What is refused is no use to know, and what is ignored is in the standard.
    let told = |key: &&Key| !key.ignored && !matches!(key.holds, Kind::Refused);
    for key in shape.keys().filter(told) {
        let unsaid = match key.unsaid {
            _ if key.required => " required ".to_owned(),
            Some(value) if is_word(value) => format!(" `{value}` "),
            Some(value) => format!(" {value} "),
            None => match needed_by(shape, key) {
                words if words.is_empty() => " ".to_owned(),
                words => format!(" required by {} ", quoted(&words)),
            },
        };
        let row = format!(
            "| `{}` | {} |{unsaid}| {} |\n",
            key.name,
            cell(&holds(&key.holds)),
            cell(key.says)
        );
        text.push_str(&row);
    }
    Some(text)
}

/// The words under other keys that need a key.
fn needed_by(shape: &Shape, key: &Key) -> Vec<&'static str> {
    let needs = shape.needs().filter(|need| need.keys.contains(&key.name));
    needs.flat_map(|need| need.words).copied().collect()
}

/// Whether something is written just so, and does not describe it.
fn is_word(text: &str) -> bool {
    !text.contains(' ')
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// What stands in a place, in words.
fn holds(kind: &Kind) -> String {
    match *kind {
        Kind::Text | Kind::AnyText => "text".to_owned(),
        Kind::Condition => "a condition".to_owned(),
        Kind::Bool => "`true`, `false`".to_owned(),
        Kind::True => "`true`".to_owned(),
        Kind::Whole { min, max } => whole(min, max),
        Kind::Number => "a number".to_owned(),
        Kind::Form { like, .. } => like.to_owned(),
        Kind::Words(words) => quoted(&words()),
        Kind::Null => "nothing".to_owned(),
        Kind::Any => "anything".to_owned(),
        Kind::Refused => "nothing yet".to_owned(),
        Kind::List(Kind::Text | Kind::AnyText) => "a list of texts".to_owned(),
        Kind::List(Kind::Named(Kind::Any)) => "a list of maps".to_owned(),
        Kind::List(Kind::List(items)) => format!("a list of lists, of {} each", holds(items)),
        Kind::List(items) => format!("a list, of {} each", holds(items)),
        Kind::Map(shape) => format!("*{}*", shape.name),
        Kind::Named(values) => format!("by name: {}", holds(values)),
        Kind::Properties(_) => "custom properties".to_owned(),
        Kind::Tagged { key, of: _ } => format!("`{{{key}: NAME, …}}`"),
        Kind::AnyOf(kinds) => {
            let told = kinds.iter().filter(|kind| !matches!(kind, Kind::Null));
            told.map(holds).collect::<Vec<_>>().join("; or ")
        }
    }
}

fn whole(min: i64, max: i64) -> String {
    let from = (min > i64::MIN).then(|| format!(" from {min}"));
    let to = (max < i64::MAX).then(|| format!(" to {max}"));
    let range = [from, to].into_iter().flatten().collect::<String>();
    format!("a whole number{range}")
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

fn masks() -> String {
    let mut text =
        "| mask | parameters (when unsaid) | for | gives |\n| --- | --- | --- | --- |\n".to_owned();
    for mask in &MASKS {
        let MaskShape {
            name,
            parameters,
            fits,
            gives,
            kind: _,
        } = mask;
        let told = parameters.iter().filter_map(parameter);
        let told = cell(&told.collect::<Vec<_>>().join("; "));
        let space = if told.is_empty() { "" } else { " " };
        let row = format!("| `{name}` | {told}{space}| {fits} | {gives} |\n");
        text.push_str(&row);
    }
    text
}

/// A parameter of a mask, unless it is refused.
fn parameter(parameter: &Parameter) -> Option<String> {
    let words = match parameter.holds {
        ParameterKind::Words(words) => words(),
        ParameterKind::Refused => return None,
        ParameterKind::Anything
        | ParameterKind::Text
        | ParameterKind::Count { .. }
        | ParameterKind::Number
        | ParameterKind::Step => Vec::new(),
    };
    let others = |unsaid: &str| {
        let others = words.iter().copied().filter(|word| *word != unsaid);
        quoted(&others.collect::<Vec<_>>())
    };
    let aside = match parameter.unsaid {
        Unsaid::Needed | Unsaid::Left if words.is_empty() => String::new(),
        Unsaid::Needed | Unsaid::Left => format!(" ({})", others("")),
        Unsaid::Is(value) if words.is_empty() => format!(" (`{value}`)"),
        Unsaid::Is(value) => format!(" (`{value}`; {})", others(value)),
    };
    Some(format!("`{}`{aside} {}", parameter.name, parameter.says))
}
