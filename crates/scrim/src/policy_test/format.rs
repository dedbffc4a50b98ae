//! From YAML to test cases.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chrono::{DateTime, Timelike, Utc};
use scrim_document::{
    Entry, Location, MapReader, Node, Problems, SourceFile, Value as Yaml, nearest,
};
use scrim_model::{Code, Context, PrincipalKind};

use super::shapes::{CASE, CONTEXT, EXPECT, PERSONA, TEST};

/// One test file.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// Its path as shown.
    pub path: String,
    /// The people in it, by id.
    pub personas: BTreeMap<String, Persona>,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

/// Someone in whose name a case asks.
#[derive(Debug, Clone)]
pub struct Persona {
    /// The principal's id.
    pub id: String,
    /// Its organisation.
    pub org: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// Person, program or agent.
    pub kind: PrincipalKind,
    /// Its attributes, as YAML.
    pub attributes: Vec<(String, Node)>,
    /// Where it stands.
    pub node: Node,
    context: Circumstances,
}

/// One question with what its answer must be.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// In whose name it asks: a key of the personas.
    pub persona: String,
    /// The purpose that is stated.
    pub purpose: Option<String>,
    /// The one agreement to act under.
    pub agreement: Option<String>,
    /// The statement.
    pub sql: String,
    /// What must hold.
    pub expect: Expect,
    /// The circumstances, complete but for the names of networks.
    pub context: Context,
    /// Where it stands.
    pub location: Location,
}

/// What must hold of an answer; what is `None` may be anything.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The names of the columns.
    pub columns: Option<Vec<String>>,
    /// The rows, as text; `None` is NULL.
    pub rows: Option<Vec<Vec<Option<String>>>>,
    /// How many rows there are.
    pub row_count: Option<u64>,
    /// The code with which it is refused.
    pub refused: Option<String>,
    /// Texts that are nowhere in it.
    pub never_contains: Vec<String>,
}

impl TestFile {
    /// Reads a test file.
    pub fn parse(file: &SourceFile) -> Result<Self, Problems> {
        let root = Node::parse(file)?;
        let mut problems = Problems::default();
        let parsed = read_file(&root, file, &mut problems);
        match parsed {
            Some(parsed) if !problems.has_errors() => Ok(parsed),
            Some(_) | None => Err(problems),
        }
    }
}

/// What is said about the circumstances in one place.
#[derive(Debug, Clone, Default)]
struct Circumstances {
    ip: Option<IpAddr>,
    country: Option<String>,
    device: Option<String>,
    device_trusted: Option<bool>,
    time: Option<DateTime<Utc>>,
    hour: Option<u32>,
    risk: Option<i64>,
    queries_last_hour: Option<i64>,
    rows_last_day: Option<i64>,
    client: Option<String>,
}

impl Circumstances {
    fn apply(&self, context: &mut Context) {
        fn set<T: Clone>(to: &mut Option<T>, from: Option<&T>) {
            if let Some(value) = from {
                *to = Some(value.clone());
            }
        }
        set(&mut context.ip, self.ip.as_ref());
        set(&mut context.country, self.country.as_ref());
        set(&mut context.device, self.device.as_ref());
        set(&mut context.device_trusted, self.device_trusted.as_ref());
        set(&mut context.risk, self.risk.as_ref());
        set(
            &mut context.queries_last_hour,
            self.queries_last_hour.as_ref(),
        );
        set(&mut context.rows_last_day, self.rows_last_day.as_ref());
        set(&mut context.client, self.client.as_ref());
        if let Some(time) = self.time {
            context.time = time;
        }
        if let Some(time) = self.hour.and_then(|hour| context.time.with_hour(hour)) {
            context.time = time;
        }
    }
}

fn read_file(root: &Node, file: &SourceFile, problems: &mut Problems) -> Option<TestFile> {
    let mut map = MapReader::new(root, &TEST, problems)?;
    if let Some(kind) = map.required("kind", problems)
        && kind.as_str() != Some("PolicyTest")
    {
        problems.push(
            kind.error("this is no policy test")
                .with_help("write `kind: PolicyTest`"),
        );
    }
    let at = map
        .required("at", problems)
        .and_then(|node| time(node, problems));
    let context = circumstances(map.optional("context"), problems);
    let personas = map
        .required("personas", problems)
        .and_then(|node| node.map(problems));
    let cases = map
        .required("cases", problems)
        .and_then(|node| node.list(problems));
    map.finish(problems);
    let personas: BTreeMap<String, Persona> = personas?
        .iter()
        .filter_map(|entry| Some((entry.name.to_string(), persona(entry, problems)?)))
        .collect();
    check_ids(&personas, problems);
    let mut base = Context::at(at?);
    context.apply(&mut base);
    let mut names = BTreeSet::new();
    let mut read = Vec::new();
    for node in cases? {
        let Some(case) = case(node, &base, &personas, problems) else {
            continue;
        };
        if !names.insert(case.name.clone()) {
            problems.push(node.error(format!("the case `{}` stands here twice", case.name)));
        }
        read.push(case);
    }
    Some(TestFile {
        path: file.path().to_owned(),
        personas,
        cases: read,
    })
}

fn check_ids(personas: &BTreeMap<String, Persona>, problems: &mut Problems) {
    let mut ids = BTreeSet::new();
    for persona in personas.values() {
        if !ids.insert(&persona.id) {
            let problem = persona
                .node
                .error(format!("two personas have the id `{}`", persona.id));
            problems.push(problem.with_help(
                "give each an id of its own; the circumstances of one may differ by case: `context`",
            ));
        }
    }
}

fn persona(entry: &Entry, problems: &mut Problems) -> Option<Persona> {
    let mut map = MapReader::new(&entry.value, &PERSONA, problems)?;
    let id = map
        .optional_string("id", problems)
        .unwrap_or_else(|| entry.name.to_string());
    let org = map.string("org", problems);
    let groups = map.optional_string_list("groups", problems);
    let roles = map.optional_string_list("roles", problems);
    let kind = map
        .optional("kind")
        .and_then(|node| kind(node, problems))
        .unwrap_or_default();
    let attributes = match map.optional("attributes") {
        Some(node) => node.map(problems).unwrap_or_default(),
        None => &[],
    };
    let context = circumstances(map.optional("context"), problems);
    map.finish(problems);
    let attributes = attributes
        .iter()
        .map(|entry| (entry.name.to_string(), entry.value.clone()))
        .collect();
    Some(Persona {
        id,
        org: org?,
        groups,
        roles,
        kind,
        attributes,
        node: entry.value.clone(),
        context,
    })
}

fn kind(node: &Node, problems: &mut Problems) -> Option<PrincipalKind> {
    let word = node.string(problems)?;
    let found = PrincipalKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == word);
    if found.is_none() {
        let problem = node.error(format!("`{word}` is no kind of principal"));
        problems.push(problem.with_help("kinds are human, service and agent"));
    }
    found
}

fn case(
    node: &Node,
    base: &Context,
    personas: &BTreeMap<String, Persona>,
    problems: &mut Problems,
) -> Option<Case> {
    let mut map = MapReader::new(node, &CASE, problems)?;
    let name = map.string("name", problems);
    let persona = map.required("as", problems);
    let purpose = map.optional_string("purpose", problems);
    let agreement = map.optional_string("agreement", problems);
    let own = circumstances(map.optional("context"), problems);
    let sql = map.string("sql", problems);
    let expected = map
        .required("expect", problems)
        .and_then(|node| expect(node, problems));
    map.finish(problems);
    let persona_node = persona?;
    let persona = persona_node.string(problems)?;
    let Some(known) = personas.get(&persona) else {
        let problem = persona_node.error(format!("there is no persona `{persona}` in this file"));
        problems.push(
            match nearest(&persona, personas.keys().map(String::as_str)) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem.with_help("add it under `personas`"),
            },
        );
        return None;
    };
    let mut context = base.clone();
    known.context.apply(&mut context);
    own.apply(&mut context);
    Some(Case {
        name: name?,
        persona,
        purpose,
        agreement,
        sql: sql?,
        expect: expected?,
        context,
        location: node.location(),
    })
}

fn expect(node: &Node, problems: &mut Problems) -> Option<Expect> {
    let before = problems.len();
    let mut map = MapReader::new(node, &EXPECT, problems)?;
    let columns = map
        .optional("columns")
        .and_then(|node| node.string_list(problems));
    let rows = map.optional("rows").and_then(|node| rows(node, problems));
    let row_count = map
        .optional("row_count")
        .and_then(|node| count(node, problems));
    let refused = map
        .optional("refused")
        .and_then(|node| refusal(node, problems));
    let never_contains = map.optional_string_list("never_contains", problems);
    map.finish(problems);
    let expect = Expect {
        columns,
        rows,
        row_count,
        refused,
        never_contains,
    };
    let of_rows = expect.columns.is_some()
        || expect.rows.is_some()
        || expect.row_count.is_some()
        || !expect.never_contains.is_empty();
    if problems.len() == before && expect.refused.is_some() == of_rows {
        let message = if of_rows {
            "a refused query has no result"
        } else {
            "nothing is expected"
        };
        let help = "write `refused` alone, or any of columns, rows, row_count, never_contains";
        problems.push(node.error(message).with_help(help));
    }
    Some(expect)
}

fn count(node: &Node, problems: &mut Problems) -> Option<u64> {
    let count = u64::try_from(node.i64(problems)?).ok();
    if count.is_none() {
        problems.push(node.error("expected a number of rows, 0 or more"));
    }
    count
}

fn refusal(node: &Node, problems: &mut Problems) -> Option<String> {
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

fn rows(node: &Node, problems: &mut Problems) -> Option<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    for row in node.list(problems)? {
        rows.push(
            row.list(problems)?
                .iter()
                .map(|value| cell(value, problems))
                .collect(),
        );
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
            problems.push(
                problem.with_help("write it in quotes, as the command prints it: \"[a, b]\""),
            );
            None
        }
    }
}

fn circumstances(node: Option<&Node>, problems: &mut Problems) -> Circumstances {
    let Some(mut map) = node.and_then(|node| MapReader::new(node, &CONTEXT, problems)) else {
        return Circumstances::default();
    };
    let read = Circumstances {
        ip: map.optional("ip").and_then(|node| ip(node, problems)),
        country: map.optional_string("country", problems),
        device: map.optional_string("device", problems),
        device_trusted: map.optional_bool("device_trusted", problems),
        time: map.optional("time").and_then(|node| time(node, problems)),
        hour: map.optional("hour").and_then(|node| hour(node, problems)),
        risk: map.optional_i64("risk", problems),
        queries_last_hour: map.optional_i64("queries_last_hour", problems),
        rows_last_day: map.optional_i64("rows_last_day", problems),
        client: map.optional_string("client", problems),
    };
    map.finish(problems);
    read
}

fn ip(node: &Node, problems: &mut Problems) -> Option<IpAddr> {
    let text = node.string(problems)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let problem = node.error(format!("`{text}` is no address"));
        problems.push(problem.with_help("write it like 10.1.2.3 or 2001:db8::1"));
    }
    parsed
}

fn time(node: &Node, problems: &mut Problems) -> Option<DateTime<Utc>> {
    let text = node.string(problems)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let problem = node.error(format!("`{text}` is no time"));
        problems.push(problem.with_help("write it like 2026-03-02T10:00:00Z"));
    }
    parsed
}

fn hour(node: &Node, problems: &mut Problems) -> Option<u32> {
    let hour = u32::try_from(node.i64(problems)?)
        .ok()
        .filter(|hour| *hour < 24);
    if hour.is_none() {
        problems.push(node.error("expected an hour from 0 to 23"));
    }
    hour
}

#[cfg(test)]
mod tests {
    use scrim_document::SourceFile;

    use super::TestFile;

    const GOOD: &str = "
kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 10.1.2.3}
personas:
  ivan: {org: harbor, groups: [fraud], context: {hour: 23}}
cases:
  - {name: one, as: ivan, sql: SELECT 1, expect: {rows: [[1, null, 2.50, x]]}}
  - {name: two, as: ivan, context: {ip: \"::1\"}, sql: SELECT 1, expect: {refused: table-closed}}
";

    #[test]
    fn a_case_knows_its_circumstances() {
        let file = TestFile::parse(&SourceFile::new("a.test.yaml", GOOD)).unwrap();
        assert_eq!(file.cases[0].context.ip, Some("10.1.2.3".parse().unwrap()));
        assert_eq!(
            file.cases[0].context.time.to_rfc3339(),
            "2026-03-02T23:00:00+00:00"
        );
        assert_eq!(file.cases[1].context.ip, Some("::1".parse().unwrap()));
        let row: Vec<_> = ["1", "", "2.50", "x"]
            .map(|v| Some(v.to_owned()).filter(|v| !v.is_empty()))
            .into();
        assert_eq!(file.cases[0].expect.rows, Some(vec![row]));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let text = GOOD
            .replace("as: ivan, context", "as: ivam, context")
            .replace("table-closed", "closed");
        let problems = TestFile::parse(&SourceFile::new("a.test.yaml", text))
            .unwrap_err()
            .to_string();
        assert!(
            problems.contains("there is no persona `ivam`"),
            "{problems}"
        );
        assert!(problems.contains("did you mean `ivan`?"), "{problems}");
        assert!(problems.contains("a.test.yaml:9:"), "{problems}");
        assert!(
            problems.contains("`closed` is no code of a refusal"),
            "{problems}"
        );
    }

    #[test]
    fn what_cannot_hold_is_a_mistake() {
        for (from, to, place) in [
            ("refused: table-closed", "row_count: -1, columns: [a]", "9:"),
            (
                "refused: table-closed",
                "refused: table-closed, columns: [a]",
                "9:",
            ),
            ("refused: table-closed", "", "9:"),
            (
                "context: {hour: 23}}",
                "context: {hour: 23}}\n  other: {id: ivan, org: harbor}",
                "7:",
            ),
        ] {
            let text = GOOD.replace(from, to);
            let problems = TestFile::parse(&SourceFile::new("a.test.yaml", text));
            let problems = problems.expect_err(to).to_string();
            let place = format!("a.test.yaml:{place}");
            assert!(problems.contains(&place), "{to}: {problems}");
        }
    }
}
