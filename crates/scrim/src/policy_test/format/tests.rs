use scrim_document::SourceFile;

use super::{Case, Cell, Form, TestFile};

const GOOD: &str = "
kind: PolicyTest
at: 2026-03-02T10:00:00Z
context: {ip: 10.1.2.3}
personas:
  ivan: {org: harbor, groups: [fraud], purpose: research, context: {hour: 23}}
cases:
  - {name: one, as: ivan, sql: SELECT 1, expect: {rows: [[1, null, 2.50, x]]}}
  - {name: two, as: ivan, context: {ip: \"::1\"}, sql: SELECT 1, expect: {refused: table-closed}}
";

fn parse(text: &str) -> Result<TestFile, String> {
    let file = TestFile::parse(&SourceFile::new("a.test.yaml", text));
    file.map_err(|problems| problems.to_string())
}

fn asked(file: &TestFile, case: &Case) -> super::Asked {
    case.asked(&file.personas[&case.personas[0]])
}

#[test]
fn a_case_knows_its_circumstances() {
    let file = parse(GOOD).unwrap();
    let one = asked(&file, &file.cases[0]).situation.context;
    assert_eq!(one.ip, Some("10.1.2.3".parse().unwrap()));
    assert_eq!(one.time.to_rfc3339(), "2026-03-02T23:00:00+00:00");
    let two = asked(&file, &file.cases[1]).situation.context;
    assert_eq!(two.ip, Some("::1".parse().unwrap()));
    let row: Vec<_> = ["1", "", "2.50", "x"]
        .map(|v| Some(v.to_owned()).filter(|v| !v.is_empty()))
        .into();
    let rows = &file.cases[0].expect.rows.as_ref().unwrap();
    assert_eq!(rows.value, vec![row]);
    assert_eq!((rows.at.line, rows.at.column), (8, 57));
}

#[test]
fn what_a_case_says_beats_its_persona_which_beats_the_file() {
    let text = GOOD
        .replace("context: {ip: 10.1.2.3}", "context: {ip: 10.1.2.3, country: FR}\npurpose: billing")
        .replace("as: ivan, context: {ip: \"::1\"}", "as: ivan, at: 2026-05-01T04:00:00Z, purpose: audit, with: {groups: [], acr: mfa, attributes: {a: 1}}, context: {network: office}");
    let file = parse(&text).unwrap();
    assert_eq!(
        asked(&file, &file.cases[0]).purpose.as_deref(),
        Some("research")
    );
    let two = asked(&file, &file.cases[1]);
    assert_eq!(two.purpose.as_deref(), Some("audit"));
    assert_eq!(two.persona.groups, Vec::<String>::new());
    assert_eq!(
        (two.persona.org.as_str(), two.persona.acr.as_deref()),
        ("harbor", Some("mfa"))
    );
    assert!(two.persona.attributes.contains_key("a"));
    assert_eq!(
        two.situation.context.time.to_rfc3339(),
        "2026-05-01T04:00:00+00:00"
    );
    assert_eq!(two.situation.context.country.as_deref(), Some("FR"));
    assert_eq!(two.situation.network.unwrap().value, "office");
}

#[test]
fn rows_can_be_written_in_four_ways() {
    let text = GOOD.to_owned()
        + "tables:
  a.list: [{x: 1, y: [p, q]}, {x: 2}]
  a.columns: {columns: [x, y], rows: [[1, null]]}
  a.bars: |
    | x | y      |
    |---|--------|
    | 1 | \"null\" |
    | 2 |        |
  a.commas: |
    x, y
    1, [p, q]
  a.file: rows.csv
";
    let file = parse(&text).unwrap();
    let rows = |name: &str| match &file.tables[name].form {
        Form::Rows { rows, .. } => {
            let cells = rows.iter().map(|row| {
                row.iter()
                    .map(|(_, name, cell)| (name.as_str(), cell.clone()))
            });
            cells.map(Iterator::collect).collect::<Vec<Vec<_>>>()
        }
        Form::File(..) => panic!("{name} is a file"),
    };
    let loose = |text: &str| Cell::Loose(text.to_owned());
    assert_eq!(rows("a.list").len(), 2);
    assert_eq!(
        rows("a.columns"),
        [[("x", Cell::Int(1)), ("y", Cell::Null)]]
    );
    assert_eq!(
        rows("a.bars"),
        [
            [("x", loose("1")), ("y", loose("null"))],
            [("x", loose("2")), ("y", Cell::Null)]
        ]
    );
    assert_eq!(
        rows("a.commas"),
        [[("x", loose("1")), ("y", loose("[p, q]"))]]
    );
    assert!(matches!(&file.tables["a.file"].form, Form::File(_, path) if path == "rows.csv"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn mistakes_are_named_with_their_place() {
    for (from, to, said) in [
        (
            "as: ivan, context",
            "as: ivam, context",
            "a.test.yaml:9:21: there is no persona `ivam` in this file (help: did you mean `ivan`?)",
        ),
        ("table-closed", "closed", "`closed` is no code of a refusal"),
        (
            "refused: table-closed",
            "row_count: -1, columns: [a]",
            "a.test.yaml:9:",
        ),
        (
            "refused: table-closed",
            "refused: table-closed, columns: [a]",
            "a refused query has no result",
        ),
        ("refused: table-closed", "", "nothing is expected"),
        (
            "refused: table-closed",
            "row_count: {min: 3, max: 2}",
            "no number is that large",
        ),
        (
            "refused: table-closed",
            "matches: {a: \"(\"}",
            "this is no regular expression",
        ),
        (
            "refused: table-closed",
            "same_as: ivam",
            "did you mean `ivan`?",
        ),
        (
            "refused: table-closed",
            "subset_of: on",
            "there is no other case `on` in this file (help: did you mean `one`?)",
        ),
        (
            "refused: table-closed",
            "decision: {verdict: close}",
            "did you mean `closed`?",
        ),
        (
            "refused: table-closed",
            "decision: {table: a}",
            "nothing is expected of the decision",
        ),
        (
            "refused: table-closed",
            "sees: {a: }",
            "nothing is expected of the statement",
        ),
        (
            "sql: SELECT 1, expect: {refused: table-closed}",
            "expect: {row_count: 1}",
            "the key `sql` is missing",
        ),
        (
            "sql: SELECT 1, expect: {refused: table-closed}",
            "expect: {sees: {a: {columns: {b: {mask: hidden, all_null: true}}}}}",
            "a hidden column has no values",
        ),
        ("name: two", "name: one", "the case `one` stands here twice"),
        (
            "{ip: \"::1\"}",
            "{ip: \"::1\", network: office}",
            "an address and a network are said",
        ),
        (
            "context: {hour: 23}}",
            "context: {hour: 24}}",
            "expected an hour from 0 to 23",
        ),
        (
            "context: {hour: 23}}",
            "auth_age: -1}",
            "expected a number of seconds",
        ),
        (
            "context: {hour: 23}}",
            "kind: robot}",
            "`robot` is no kind of principal",
        ),
        (
            "context: {hour: 23}}",
            "context: {hour: 23}}\n  other: {id: ivan, org: harbor}",
            "a.test.yaml:7:",
        ),
        (
            "cases:",
            "tables: {a: 3}\ncases:",
            "expected rows, found a whole number",
        ),
        (
            "cases:",
            "tables: {a: {columns: [x], rows: [[1, 2]]}}\ncases:",
            "expected 1 values, found 2",
        ),
        (
            "cases:",
            "tables: {a: \"x, y\\n1\\n\"}\ncases:",
            "row 1 has 1 values, the header has 2",
        ),
        (
            "as: ivan, context",
            "as: [], context",
            "a.test.yaml:9:5: nobody asks",
        ),
        (
            "refused: table-closed",
            "columns: {}",
            "nothing is expected of the columns",
        ),
        (
            "refused: table-closed",
            "columns: {lacks: []}",
            "nothing is expected of the columns",
        ),
        (
            "refused: table-closed",
            "row_count: {}",
            "nothing is expected of the number of rows",
        ),
        (
            "refused: table-closed",
            "same_as: ivan",
            "`ivan` is compared with itself",
        ),
        (
            "sql: SELECT 1, expect: {refused: table-closed}",
            "expect: {sees: {a: {columns: {b: {all_null: false}}}}}",
            "expected true, found false",
        ),
        (
            "cases:",
            "tables: {a: \"x, y, x\\n1, 2, 3\\n\"}\ncases:",
            "the column `x` stands here twice",
        ),
        (
            "cases:",
            "tables: {a: {columns: [x, x], rows: []}}\ncases:",
            "the column `x` stands here twice",
        ),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let problems = parse(&text).expect_err(to);
        assert!(problems.contains(said), "{to}: {problems}");
    }
}

#[test]
fn every_line_of_a_table_is_a_row() {
    let text = GOOD.to_owned()
        + "tables:
  a: |
    | x | y       |
    |---|---------|
    |   |         |
    | - | \"a|b\" |
    | a [ | 5\" |
  b: |
    x, y
";
    let file = parse(&text).unwrap();
    let rows = |name: &str| match &file.tables[name].form {
        Form::Rows { rows, .. } => rows.clone(),
        Form::File(..) => panic!("{name} is a file"),
    };
    let loose = |text: &str| Cell::Loose(text.to_owned());
    let cells: Vec<Vec<Cell>> = rows("a")
        .into_iter()
        .map(|row| row.into_iter().map(|(_, _, cell)| cell).collect())
        .collect();
    assert_eq!(
        cells,
        [
            [Cell::Null, Cell::Null],
            [loose("-"), loose("a|b")],
            [loose("a ["), loose("5\"")],
        ]
    );
    assert!(rows("b").is_empty());
}
