//! Moving an access policy out of its contract and back, as an edit of the text: comments, order and
//! quotes stay as they were written. What comes out is read again, and it is a problem when it does
//! not say just what went in.

use scrim_document::{Entry, Node, Problem, Problems, SourceFile};

use super::lines::{Lines, column, comment, dedented, line, spaces};

/// The property that holds the access policy.
const PROPERTY: &str = "accessPolicy";
/// The key of the contract under which it stands.
const LIST: &str = "customProperties";
/// The key of a file of its own that names the contract.
const CONTRACT: &str = "contract";

/// A contract and its access policy as two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The contract without an access policy.
    pub contract: String,
    /// The access policy.
    pub policy: String,
}

/// Moves the access policy of a contract into a text of its own.
///
/// # Errors
/// When there is none, or it cannot be moved line by line.
pub fn split(file: &SourceFile) -> Result<Parts, Problems> {
    let root = Node::parse(file)?;
    let place = Place::find(&root)?;
    let lines = Lines::of(file);
    let spans = place.spans(&root, &lines)?;
    let goes = |number| spans.entry.holds(number) || spans.heading == Some(number);
    let mut contract = lines.mark.to_owned();
    let mut policy = String::new();
    for (number, text) in lines.numbered() {
        if !goes(number) {
            contract.push_str(text);
        } else if !spans.value.holds(number)
            && let Some(comment) = comment(text)
        {
            // What stood beside the wrapping was written for people, too.
            policy.extend([comment, lines.end]);
        }
    }
    let id = root.get("id").and_then(Node::as_str).unwrap_or_default();
    let indent = column(place.value) - 1;
    for number in spans.value.0..spans.value.1 {
        if number == line(place.value) {
            policy = format!("{policy}{CONTRACT}: {}{}", scalar(id), lines.end);
        }
        policy.push_str(dedented(lines.get(number), indent));
    }
    let read = |text: &str| Node::parse(&SourceFile::new(file.path(), text)).ok();
    match read(&contract).zip(read(&policy)) {
        Some((rest, own)) if says_the_same(&root, &rest, &own) => Ok(Parts { contract, policy }),
        Some(_) | None => Err(stuck(place.value).into()),
    }
}

/// Moves the access policy of a text of its own into its contract.
///
/// # Errors
/// When it is another contract's, when the contract has one, or it cannot be moved line by line.
pub fn join(contract: &SourceFile, policy: &SourceFile) -> Result<String, Problems> {
    let (rest, own) = (Node::parse(contract)?, Node::parse(policy)?);
    check_pair(&rest, &own)?;
    let lines = Lines::of(contract);
    let gap = Gap::find(&rest, &lines)?;
    let mut text = lines.mark.to_owned();
    let broken = |text: &str| !text.is_empty() && !text.ends_with('\n');
    for (_, before) in lines.numbered().filter(|(number, _)| gap.is_after(*number)) {
        text.push_str(before);
    }
    if broken(&text) {
        text.push_str(lines.end);
    }
    let (dash, end) = (" ".repeat(gap.dash), lines.end);
    if let Some(comment) = gap.empty.and_then(|number| comment(lines.get(number))) {
        text.extend([comment, end]);
    }
    if gap.heading {
        text = format!("{text}{LIST}:{end}");
    }
    text = format!("{text}{dash}- property: {PROPERTY}{end}{dash}  value:{end}");
    text.push_str(&indented(&own, policy, gap.dash + 4)?);
    for (_, after) in lines.numbered().filter(|(number, _)| *number >= gap.at) {
        if broken(&text) {
            text.push_str(end);
        }
        text.push_str(after);
    }
    match Node::parse(&SourceFile::new(contract.path(), text.as_str())) {
        Ok(whole) if says_the_same(&whole, &rest, &own) => Ok(text),
        Ok(_) | Err(_) => Err(stuck(&own).into()),
    }
}

fn check_pair(contract: &Node, policy: &Node) -> Result<(), Problem> {
    let id = contract.get("id").and_then(Node::as_str);
    let Some(named) = policy.get(CONTRACT) else {
        return Err(policy.error(format!("the key `{CONTRACT}` is missing")));
    };
    if id.is_none() || named.as_str() != id {
        let message = format!(
            "this is not the access policy of the contract `{}`",
            id.unwrap_or_default()
        );
        return Err(named.error(message));
    }
    match entry_of(contract) {
        Some(entry) => Err(entry
            .error("the contract has an `accessPolicy` already")
            .with_help("keep one of the two")),
        None => Ok(()),
    }
}

fn stuck(node: &Node) -> Problem {
    let problem = node.error("the access policy cannot be moved as it is written");
    problem.with_help(
        "write it line by line and not in braces, with `property` and `value` alone, without anchors",
    )
}

fn entries(node: &Node) -> &[Entry] {
    node.as_map().unwrap_or_default()
}

fn custom(root: &Node) -> &[Node] {
    root.get(LIST).and_then(Node::as_list).unwrap_or_default()
}

fn is_access(entry: &Node) -> bool {
    entry.get("property").and_then(Node::as_str) == Some(PROPERTY)
}

/// The custom property with the access policy.
fn entry_of(root: &Node) -> Option<&Node> {
    custom(root).iter().find(|entry| is_access(entry))
}

/// Lines from the first to the one after the last.
#[derive(Clone, Copy)]
struct Span(usize, usize);

impl Span {
    fn holds(self, number: usize) -> bool {
        (self.0..self.1).contains(&number)
    }
}

/// The access policy in a contract.
struct Place<'a> {
    heading: &'a Node,
    list: &'a Node,
    entry: &'a Node,
    key: &'a Node,
    value: &'a Node,
}

/// The lines of an access policy in a contract.
struct Spans {
    /// The line of `customProperties`, if nothing else stands under it.
    heading: Option<usize>,
    /// The custom property.
    entry: Span,
    /// Its value, with the comments above.
    value: Span,
}

impl<'a> Place<'a> {
    fn find(root: &'a Node) -> Result<Self, Problem> {
        let list = entries(root).iter().find(|entry| &*entry.name == LIST);
        let Some((list, entry)) = list.zip(entry_of(root)) else {
            return Err(root
                .error("the contract has no `accessPolicy` to move")
                .with_help("it may stand in a file of its own already"));
        };
        let value = entries(entry).iter().find(|entry| &*entry.name == "value");
        match value.filter(|value| !entries(&value.value).is_empty()) {
            Some(value) if entries(entry).len() == 2 => Ok(Self {
                heading: &list.key,
                list: &list.value,
                entry,
                key: &value.key,
                value: &value.value,
            }),
            Some(_) | None => Err(stuck(entry)),
        }
    }

    fn spans(&self, root: &Node, lines: &Lines<'_>) -> Result<Spans, Problem> {
        let maps = [self.entry, self.value];
        let in_braces = lines.at(self.list).starts_with('[')
            || maps.iter().any(|node| lines.at(node).starts_with('{'));
        let first = line(self.entry);
        let dash = lines.get(first).trim_start().starts_with("- ");
        if in_braces || !dash || line(self.value) <= line(self.key) {
            return Err(stuck(self.value));
        }
        let indent = column(self.value) - 1;
        let items = custom(root).iter().map(line);
        let next = items.chain(entries(root).iter().map(|entry| line(&entry.key)));
        let next = next.filter(|number| *number > first).min();
        let end = next.unwrap_or_else(|| lines.end_after(first));
        let entry = Span(first, lines.last_of(first, end, indent));
        let keys = entries(self.entry).iter().map(|entry| line(&entry.key));
        let next = keys.filter(|number| *number > line(self.value)).min();
        let end = next.unwrap_or(entry.1);
        Ok(Spans {
            heading: (custom(root).len() == 1).then(|| line(self.heading)),
            entry,
            value: Span(
                line(self.key) + 1,
                lines.last_of(line(self.value), end, indent),
            ),
        })
    }
}

/// Where an access policy goes in a contract that has none.
struct Gap {
    /// The line before which it goes.
    at: usize,
    /// A line that goes: that of an empty list.
    empty: Option<usize>,
    /// Spaces in front of the dash.
    dash: usize,
    /// Whether the list begins here.
    heading: bool,
}

impl Gap {
    fn is_after(&self, number: usize) -> bool {
        number < self.at && self.empty != Some(number)
    }

    fn find(root: &Node, lines: &Lines<'_>) -> Result<Self, Problem> {
        let heading = entries(root).iter().find(|entry| &*entry.name == LIST);
        let Some(heading) = heading else {
            let end = lines.end_after(line(root));
            return Ok(Self {
                at: lines.last_of(line(root), end, 0),
                empty: None,
                dash: 2,
                heading: true,
            });
        };
        let (Some(first), Some(last)) = (custom(root).first(), custom(root).last()) else {
            return Ok(Self {
                at: line(&heading.key) + 1,
                empty: Some(line(&heading.key)),
                dash: 2,
                heading: true,
            });
        };
        let text = lines.get(line(first));
        if lines.at(&heading.value).starts_with('[') || !text.trim_start().starts_with("- ") {
            return Err(stuck(&heading.value));
        }
        let keys = entries(root).iter().map(|entry| line(&entry.key));
        let next = keys.filter(|number| *number > line(&heading.key)).min();
        let end = next.unwrap_or_else(|| lines.end_after(line(last)));
        Ok(Self {
            at: lines.last_of(line(last), end, spaces(text)),
            empty: None,
            dash: spaces(text),
            heading: false,
        })
    }
}

/// The lines of an access policy with this many spaces in front, without the contract's name.
fn indented(root: &Node, file: &SourceFile, indent: usize) -> Result<String, Problem> {
    let lines = Lines::of(file);
    let named = entries(root).iter().find(|entry| &*entry.name == CONTRACT);
    let named = named.filter(|named| line(&named.key) == line(&named.value));
    let named = named.filter(|_| !lines.at(root).starts_with('{'));
    let named = named.ok_or_else(|| stuck(root))?;
    let (id, named) = (&named.value, line(&named.key));
    let pad = " ".repeat(indent);
    let mut text = String::new();
    for number in 1..lines.end_after(line(root)) {
        let own = lines.get(number);
        let marker = number < line(root) && own.starts_with("---");
        if number == named {
            if let Some(comment) = comment_beside(own, id) {
                text.extend([pad.as_str(), comment, lines.end]);
            }
        } else if own.trim_end_matches(['\r', '\n']).is_empty() {
            text.push_str(own);
        } else if !marker {
            text.extend([pad.as_str(), own]);
        }
    }
    Ok(text)
}

/// The comment behind the contract's name, which may have a `#` of its own.
fn comment_beside<'a>(own: &'a str, id: &Node) -> Option<&'a str> {
    own.match_indices(" #").find_map(|(at, _)| {
        let (before, rest) = own.split_at_checked(at)?;
        let before = Node::parse(&SourceFile::new("", before)).ok()?;
        let whole = before.get(CONTRACT).is_some_and(|named| named.same(id));
        whole.then_some(rest.trim())
    })
}

/// Text as YAML reads it back: bare where it is a plain word.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if plain && !reserved.contains(&text.to_lowercase().as_str()) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// Whether a contract with an access policy says what a contract without one and an access policy
/// of its own say together.
fn says_the_same(whole: &Node, rest: &Node, own: &Node) -> bool {
    let value = entry_of(whole).and_then(|entry| entry.get("value"));
    let id = rest.get("id").and_then(Node::as_str);
    let others = |root| custom(root).iter().filter(|entry| !is_access(entry));
    entry_of(rest).is_none()
        && own.get(CONTRACT).and_then(Node::as_str) == id
        && value.is_some_and(|value| same_but(value, own, CONTRACT))
        && same_but(whole, rest, LIST)
        && others(whole).count() == others(rest).count()
        && others(whole).zip(others(rest)).all(|(a, b)| a.same(b))
}

/// Whether two maps have the same entries in the same order, whatever stands under one key.
fn same_but(a: &Node, b: &Node, key: &str) -> bool {
    let kept = |node| entries(node).iter().filter(|entry| &*entry.name != key);
    let mut pairs = kept(a).zip(kept(b));
    kept(a).count() == kept(b).count()
        && pairs.all(|(a, b)| a.name == b.name && a.value.same(&b.value))
}
