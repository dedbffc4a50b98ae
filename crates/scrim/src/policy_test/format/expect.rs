//! What must hold of an answer.

use scrim_document::{Entry, Location, MapReader, Node, Problems, Value as Yaml, nearest};
use scrim_model::Code;

use super::seen::{self, SeenTable};
use super::{Placed, text_list, texts};
use crate::policy_test::pattern::Pattern;
use crate::policy_test::shapes::{COLUMNS, COUNT, DECISION, EXPECT, REFUSED};

/// What must hold of an answer; what is not said may be anything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expect {
    /// It is refused.
    pub(crate) refused: Option<Placed<Refused>>,
    /// The names of the columns.
    pub(crate) columns: Option<Placed<Columns>>,
    /// The rows, as text; `None` is NULL.
    pub(crate) rows: Option<Placed<Vec<Vec<Option<String>>>>>,
    /// How many rows there are.
    pub(crate) row_count: Option<Placed<Count>>,
    /// Texts that are nowhere in it.
    pub(crate) never_contains: Vec<Placed<String>>,
    /// How columns are shown.
    pub(crate) masks: Vec<(String, Placed<Shown>)>,
    /// What each value of a column matches.
    pub(crate) matches: Vec<(String, Placed<Pattern>)>,
    /// Columns without any value.
    pub(crate) all_null: Vec<Placed<String>>,
    /// Personas that get the same.
    pub(crate) same_as: Vec<Placed<String>>,
    /// Personas that get none of the same rows.
    pub(crate) differs_from: Vec<Placed<String>>,
    /// A case whose rows hold all of these.
    pub(crate) subset_of: Option<Placed<String>>,
    /// What was decided.
    pub(crate) decision: Option<Placed<DecisionExpect>>,
    /// Tables that are visible.
    pub(crate) sees: Vec<SeenTable>,
    /// Tables that are not.
    pub(crate) denied: Vec<Placed<String>>,
}

/// A refusal that is expected.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// Its code.
    pub(crate) code: String,
    /// A part of its message.
    pub(crate) message: Option<String>,
}

/// Columns that are expected.
#[derive(Debug, Clone)]
pub(crate) enum Columns {
    /// These, in this order.
    Exactly(Vec<String>),
    /// Among others.
    Some {
        /// These are there.
        has: Vec<String>,
        /// These are not.
        lacks: Vec<String>,
    },
}

/// A number that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// At least so many.
    pub(crate) min: u64,
    /// At most so many.
    pub(crate) max: u64,
}

/// How a column is expected to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As it is.
    Clear,
    /// Through any mask.
    Masked,
    /// Not at all.
    Hidden,
    /// Through the mask of this name.
    Through(String),
}

/// A decision that is expected.
#[derive(Debug, Clone)]
pub(crate) struct DecisionExpect {
    /// The table, as written.
    pub(crate) table: Option<String>,
    /// The verdict, in the words of [`VERDICTS`].
    pub(crate) verdict: Option<String>,
    /// The agreements that match, sorted.
    pub(crate) agreements: Option<Vec<String>>,
    /// The guard that closes the table.
    pub(crate) guard: Option<String>,
}

/// The words for verdicts.
pub(crate) const VERDICTS: [&str; 4] = ["shown", "no-agreement", "purpose-required", "closed"];

impl Expect {
    /// Whether it says anything about the answer to a statement.
    pub(crate) fn is_of_answer(&self) -> bool {
        self.refused.is_some() || self.is_of_rows() || self.decision.is_some()
    }

    /// Whether it says anything about tables, without a statement.
    pub(crate) fn is_of_tables(&self) -> bool {
        !self.sees.is_empty() || !self.denied.is_empty()
    }

    /// Where it first compares the answer with other answers.
    pub(crate) fn first_of_others(&self) -> Option<&Placed<String>> {
        let others = self.same_as.iter().chain(&self.differs_from);
        others.chain(&self.subset_of).next()
    }

    /// The other personas that it speaks of.
    pub(super) fn other_personas(&self) -> impl Iterator<Item = &Placed<String>> {
        let columns = self.sees.iter().flat_map(SeenTable::named);
        let of_columns = columns.flat_map(|(_, column)| &column.differs_between);
        self.same_as
            .iter()
            .chain(&self.differs_from)
            .chain(of_columns)
    }

    /// Where it first says something of every value, which holds of no value, too.
    pub(crate) fn first_of_values(&self) -> Option<&Location> {
        let texts = self.never_contains.iter().map(|text| &text.at);
        let matches = self.matches.iter().map(|(_, pattern)| &pattern.at);
        let nulls = self.all_null.iter().map(|column| &column.at);
        texts.chain(matches).chain(nulls).next()
    }

    /// Whether it says anything about the rows of an answer.
    pub(crate) fn is_of_rows(&self) -> bool {
        self.columns.is_some()
            || self.rows.is_some()
            || self.row_count.is_some()
            || !self.never_contains.is_empty()
            || !self.masks.is_empty()
            || !self.matches.is_empty()
            || !self.all_null.is_empty()
            || !self.same_as.is_empty()
            || !self.differs_from.is_empty()
            || self.subset_of.is_some()
    }
}

/// Reads what must hold.
pub(super) fn expect(node: &Node, problems: &mut Problems) -> Option<Expect> {
    let before = problems.len();
    let mut map = MapReader::new(node, &EXPECT, problems)?;
    let placed = |node: Option<&Node>| node.cloned();
    let refused = placed(map.optional("refused"));
    let columns = placed(map.optional("columns"));
    let rows_node = placed(map.optional("rows"));
    let row_count = placed(map.optional("row_count"));
    let subset_of = placed(map.optional("subset_of"));
    let decision_node = placed(map.optional("decision"));
    let named = |node: Option<&Node>, problems: &mut Problems| -> Vec<Placed<String>> {
        node.map(|node| texts(node, problems)).unwrap_or_default()
    };
    let expect = Expect {
        refused: at(refused.as_ref(), problems, refusal),
        columns: at(columns.as_ref(), problems, columns_of),
        rows: at(rows_node.as_ref(), problems, rows),
        row_count: at(row_count.as_ref(), problems, count),
        never_contains: text_list(map.optional("never_contains"), problems),
        masks: by_column(map.optional("masks"), problems, shown),
        matches: by_column(map.optional("matches"), problems, pattern),
        all_null: text_list(map.optional("all_null"), problems),
        same_as: named(map.optional("same_as"), problems),
        differs_from: named(map.optional("differs_from"), problems),
        subset_of: at(subset_of.as_ref(), problems, Node::non_empty_string),
        decision: at(decision_node.as_ref(), problems, decision),
        sees: seen::tables(map.optional("sees"), problems),
        denied: text_list(map.optional("denied"), problems),
    };
    map.finish(problems);
    if problems.len() > before {
        return Some(expect);
    }
    if expect.refused.is_some() && expect.is_of_rows() {
        let help = "write `refused` alone, or what holds of the result";
        problems.push(node.error("a refused query has no result").with_help(help));
    } else if !expect.is_of_answer() && !expect.is_of_tables() {
        let keys: Vec<&str> = EXPECT.keys().map(|key| key.name).collect();
        let help = format!("write any of {}", keys.join(", "));
        problems.push(node.error("nothing is expected").with_help(help));
    }
    Some(expect)
}

/// Reads what stands at a node, if there is one.
fn at<T>(
    node: Option<&Node>,
    problems: &mut Problems,
    read: impl Fn(&Node, &mut Problems) -> Option<T>,
) -> Option<Placed<T>> {
    let node = node?;
    Some(Placed::new(node, read(node, problems)?))
}

/// Reads something for each of some columns.
fn by_column<T>(
    node: Option<&Node>,
    problems: &mut Problems,
    read: impl Fn(&Node, &mut Problems) -> Option<T>,
) -> Vec<(String, Placed<T>)> {
    let entries = node.and_then(|node| node.map(problems)).unwrap_or_default();
    let one = |entry: &Entry| {
        let value = read(&entry.value, problems)?;
        Some((entry.name.to_string(), Placed::new(&entry.value, value)))
    };
    entries.iter().filter_map(one).collect()
}

fn refusal(node: &Node, problems: &mut Problems) -> Option<Refused> {
    if node.as_map().is_none() {
        let code = code(node, problems)?;
        return Some(Refused {
            code,
            message: None,
        });
    }
    let mut map = MapReader::new(node, &REFUSED, problems)?;
    let found = map
        .required("code", problems)
        .and_then(|node| code(node, problems));
    let message = map.optional_string("message", problems);
    map.finish(problems);
    Some(Refused {
        code: found?,
        message,
    })
}

fn code(node: &Node, problems: &mut Problems) -> Option<String> {
    let code = node.string(problems)?;
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    if !known.contains(&code.as_str()) {
        let problem = node.error(format!("`{code}` is no code of a refusal"));
        problems.push(match nearest(&code, known.iter().copied()) {
            Some(near) => problem.with_help(format!("did you mean `{near}`?")),
            None => problem.with_help(format!("codes are {}", known.join(", "))),
        });
    }
    Some(code)
}

fn columns_of(node: &Node, problems: &mut Problems) -> Option<Columns> {
    if node.as_map().is_none() {
        return Some(Columns::Exactly(node.string_list(problems)?));
    }
    let mut map = MapReader::new(node, &COLUMNS, problems)?;
    let has = map.optional_string_list("has", problems);
    let lacks = map.optional_string_list("lacks", problems);
    map.finish(problems);
    if has.is_empty() && lacks.is_empty() {
        let problem = node.error("nothing is expected of the columns");
        problems.push(problem.with_help("name some under `has` or `lacks`; `[]` is no column"));
    }
    Some(Columns::Some { has, lacks })
}

/// Reads a number of rows, or its bounds.
pub(super) fn count(node: &Node, problems: &mut Problems) -> Option<Count> {
    if node.as_map().is_none() {
        let exact = number(node, problems)?;
        return Some(Count {
            min: exact,
            max: exact,
        });
    }
    let mut map = MapReader::new(node, &COUNT, problems)?;
    let (min, max) = (map.optional("min"), map.optional("max"));
    map.finish(problems);
    if min.is_none() && max.is_none() {
        let problem = node.error("nothing is expected of the number of rows");
        problems.push(problem.with_help("write a number, or `min`, `max` or both"));
    }
    let (min, max) = (
        min.map_or(Some(0), |node| number(node, problems)),
        max.map_or(Some(u64::MAX), |node| number(node, problems)),
    );
    let count = Count {
        min: min?,
        max: max?,
    };
    if count.min > count.max {
        problems.push(node.error("no number is that large and that small"));
    }
    Some(count)
}

fn number(node: &Node, problems: &mut Problems) -> Option<u64> {
    let count = u64::try_from(node.i64(problems)?).ok();
    if count.is_none() {
        problems.push(node.error("expected a number of rows, 0 or more"));
    }
    count
}

fn rows(node: &Node, problems: &mut Problems) -> Option<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    for row in node.list(problems)? {
        let values = row.list(problems)?;
        rows.push(values.iter().map(|value| cell(value, problems)).collect());
    }
    Some(rows)
}

fn cell(node: &Node, problems: &mut Problems) -> Option<String> {
    match node.value() {
        Yaml::Null => None,
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Int(value) => Some(value.to_string()),
        Yaml::Float(_, text) | Yaml::Text(text) => Some(text.to_string()),
        Yaml::List(_) | Yaml::Map(_) => {
            let problem = node.error("expected a value, found more than one");
            let help = "write it in quotes, as the command prints it: \"[a, b]\"";
            problems.push(problem.with_help(help));
            None
        }
    }
}

/// Reads how a column is shown.
pub(super) fn shown(node: &Node, problems: &mut Problems) -> Option<Shown> {
    // The mask `null` is a word of ours, not YAML's nothing.
    if node.is_null() {
        return Some(Shown::Through("null".to_owned()));
    }
    let word = node.non_empty_string(problems)?;
    Some(match word.as_str() {
        "clear" => Shown::Clear,
        "masked" => Shown::Masked,
        "hidden" => Shown::Hidden,
        _ => Shown::Through(word),
    })
}

/// Reads a regular expression.
pub(super) fn pattern(node: &Node, problems: &mut Problems) -> Option<Pattern> {
    let text = node.non_empty_string(problems)?;
    let pattern = Pattern::new(&text);
    if let Err(why) = &pattern {
        problems.push(node.error(format!("this is no regular expression: {why}")));
    }
    pattern.ok()
}

fn decision(node: &Node, problems: &mut Problems) -> Option<DecisionExpect> {
    let mut map = MapReader::new(node, &DECISION, problems)?;
    let table = map.optional_string("table", problems);
    let verdict_node = map.optional("verdict");
    let agreements = map.optional("agreements");
    let guard = map.optional_string("guard", problems);
    map.finish(problems);
    let verdict = verdict_node.and_then(|node| node.non_empty_string(problems));
    if let (Some(word), Some(node)) = (&verdict, verdict_node)
        && !VERDICTS.contains(&word.as_str())
    {
        let problem = node.error(format!("`{word}` is no verdict"));
        problems.push(match nearest(word, VERDICTS) {
            Some(near) => problem.with_help(format!("did you mean `{near}`?")),
            None => problem.with_help(format!("verdicts are {}", VERDICTS.join(", "))),
        });
    }
    let agreements = match agreements {
        Some(node) => Some(node.string_list(problems)?),
        None => None,
    };
    if verdict_node.is_none() && agreements.is_none() && guard.is_none() {
        let help = "write `verdict`, `agreements` or `guard`";
        problems.push(
            node.error("nothing is expected of the decision")
                .with_help(help),
        );
    }
    Some(DecisionExpect {
        table,
        verdict,
        agreements: agreements.map(|mut ids| {
            ids.sort();
            ids
        }),
        guard,
    })
}
