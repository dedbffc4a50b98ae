//! The gate before the parser and the planner: how large and how deep a statement may be, and which
//! kinds of statement there are.

use std::collections::VecDeque;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as ParsedStatement};
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, Query as AstQuery, Statement, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use scrim_model::{Code, Refusal};

use crate::access;
use crate::config::EngineLimits;

/// One statement that passed the gate.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) statement: Box<Statement>,
    pub(crate) answer: Answer,
}

/// What is answered about a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its rows.
    Rows,
    /// Its plan.
    Plan,
    /// How each column of its one table is shown.
    Columns,
    /// What it reads, and how that and its result are shown.
    Access,
}

/// Checks and parses one statement.
///
/// # Errors
/// A refusal that depends on the text alone.
pub(crate) fn admit(sql: &str, limits: &EngineLimits) -> Result<Admitted, Refusal> {
    if sql.len() > limits.sql_bytes_max {
        return Err(too_large("longer", limits.sql_bytes_max, "bytes"));
    }
    let mut tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|e| syntax(&e.to_string()))?;
    measure(&tokens, limits)?;
    let mut answer = Answer::Rows;
    if let Some((asked, query)) = access::asked(&tokens)? {
        (answer, tokens) = (asked, query);
    }
    number_placeholders(&mut tokens)?;
    let mut statements = parse(tokens, limits)?;
    let (Some(statement), None) = (statements.pop_front(), statements.pop_front()) else {
        return Err(Refusal::new(
            Code::StatementRefused,
            "expected exactly one statement; send several as several requests",
        ));
    };
    match answer {
        Answer::Rows | Answer::Plan => classify(statement),
        Answer::Columns | Answer::Access => {
            let ParsedStatement::Statement(statement) = statement else {
                return Err(not_a_query());
            };
            plain(statement, answer)
        }
    }
}

/// Makes a message short and free of line breaks.
pub(crate) fn clip(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(400)
        .collect();
    line.trim().to_owned()
}

/// What the parser says of a mistake, in the words of our messages.
pub(crate) fn syntax(said: &str) -> Refusal {
    let said = said.replacen("Expected: ", "expected ", 1);
    let said = said.replacen(", found: ", ", found ", 1);
    let said = said.replacen(" at Line: ", " at line ", 1);
    let said = said.replacen(", Column: ", ", column ", 1);
    let mut text = String::with_capacity(said.len());
    for c in said.chars() {
        if c.is_control() {
            text.extend(c.escape_debug());
        } else {
            text.push(c);
        }
    }
    Refusal::new(Code::SqlSyntax, clip(&text))
}

fn too_large(how: &str, limit: usize, unit: &str) -> Refusal {
    Refusal::new(
        Code::SqlTooLarge,
        format!(
            "the statement is {how} than {limit} {unit}; split it or use a join instead of long lists"
        ),
    )
}

fn measure(tokens: &[TokenWithSpan], limits: &EngineLimits) -> Result<(), Refusal> {
    let (mut depth, mut deepest, mut operators, mut words) = (0_usize, 0_usize, 0_usize, 0_usize);
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            token if is_operator(token) => operators += 1,
            Token::Number(text, _) if text.len() > 1_000 => {
                return Err(too_large("wider in one number", 1_000, "digits"));
            }
            _ => {}
        }
        words += 1;
        deepest = deepest.max(depth);
    }
    if words > limits.sql_tokens_max {
        return Err(too_large("longer", limits.sql_tokens_max, "tokens"));
    }
    if operators > limits.sql_operators_max {
        return Err(too_large("longer", limits.sql_operators_max, "operators"));
    }
    if deepest > limits.sql_depth_max {
        return Err(too_large("deeper nested", limits.sql_depth_max, "levels"));
    }
    Ok(())
}

/// Whatever may make the tree one level deeper without a parenthesis.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::XOR
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::CASE
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::SELECT
                | Keyword::DIV
        ),
        Token::Comma
        | Token::SemiColon
        | Token::Period
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Whitespace(_)
        | Token::LParen
        | Token::RParen
        | Token::LBracket
        | Token::RBracket
        | Token::LBrace
        | Token::RBrace
        | Token::EOF => false,
        _ => true,
    }
}

/// DataFusion keeps every `?` under the one name "?", so two of them collide; they become `$1`,
/// `$2`, … in the order of the text.
fn number_placeholders(tokens: &mut [TokenWithSpan]) -> Result<(), Refusal> {
    let (mut count, mut named) = (0_usize, false);
    for token in tokens {
        if let Token::Placeholder(name) = &mut token.token {
            if name == "?" {
                count += 1;
                *name = format!("${count}");
            } else {
                named = true;
            }
        }
    }
    if named && count > 0 {
        return Err(Refusal::new(
            Code::ParameterInvalid,
            "use either ? or $1 for parameters, not both",
        ));
    }
    Ok(())
}

fn parse(
    tokens: Vec<TokenWithSpan>,
    limits: &EngineLimits,
) -> Result<VecDeque<ParsedStatement>, Refusal> {
    let refused = |error: DataFusionError| match error {
        DataFusionError::SQL(error, _) => match *error {
            ParserError::RecursionLimitExceeded => {
                too_large("deeper nested", limits.sql_depth_max, "levels")
            }
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => syntax(&text),
        },
        other => syntax(&other.strip_backtrace()),
    };
    DFParserBuilder::new(tokens)
        .with_recursion_limit(limits.sql_depth_max)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(refused)
}

fn classify(statement: ParsedStatement) -> Result<Admitted, Refusal> {
    match statement {
        ParsedStatement::Statement(statement) => plain(statement, Answer::Rows),
        ParsedStatement::Explain(explain) => {
            // The printed form carries every option, whatever fields the parser has for it.
            let text = explain.to_string().to_uppercase();
            let head = text.split_whitespace().take(2).collect::<Vec<_>>();
            if matches!(
                head.as_slice(),
                ["EXPLAIN", "ANALYZE" | "VERBOSE" | "FORMAT"]
            ) || text.starts_with("EXPLAIN (")
            {
                return Err(Refusal::new(
                    Code::StatementRefused,
                    "only plain `EXPLAIN <query>` is served, without ANALYZE, VERBOSE or FORMAT",
                ));
            }
            match *explain.statement {
                ParsedStatement::Statement(statement) => plain(statement, Answer::Plan),
                ParsedStatement::CreateExternalTable(_)
                | ParsedStatement::CopyTo(_)
                | ParsedStatement::Explain(_)
                | ParsedStatement::Reset(_) => Err(not_a_query()),
            }
        }
        ParsedStatement::CreateExternalTable(_) | ParsedStatement::CopyTo(_) => Err(read_only()),
        ParsedStatement::Reset(_) => Err(not_a_query()),
    }
}

fn plain(statement: Box<Statement>, answer: Answer) -> Result<Admitted, Refusal> {
    match statement.as_ref() {
        Statement::Query(query) => {
            check_query(query)?;
            Ok(Admitted { statement, answer })
        }
        Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ExplainTable { .. }
            if answer == Answer::Rows =>
        {
            Ok(Admitted { statement, answer })
        }
        Statement::Insert(_)
        | Statement::Update { .. }
        | Statement::Delete(_)
        | Statement::Merge { .. }
        | Statement::Truncate { .. }
        | Statement::CreateTable(_)
        | Statement::CreateView { .. }
        | Statement::CreateSchema { .. }
        | Statement::CreateFunction(_)
        | Statement::Drop { .. }
        | Statement::AlterTable { .. }
        | Statement::Copy { .. } => Err(read_only()),
        _ => Err(not_a_query()),
    }
}

fn read_only() -> Refusal {
    Refusal::new(
        Code::ReadOnly,
        "this server only reads: tables cannot be created or changed through it",
    )
}

fn not_a_query() -> Refusal {
    Refusal::new(
        Code::StatementRefused,
        "statements of this kind are not served; send a SELECT, EXPLAIN, SHOW TABLES, SHOW COLUMNS, DESCRIBE, SHOW ACCESS or EXPLAIN ACCESS",
    )
}

/// `SELECT … INTO`, and queries whose body writes, are queries to the parser only.
fn check_query(query: &AstQuery) -> Result<(), Refusal> {
    struct Writes;
    impl Visitor for Writes {
        type Break = Refusal;

        fn pre_visit_query(&mut self, query: &AstQuery) -> std::ops::ControlFlow<Refusal> {
            use datafusion::sql::sqlparser::ast::SetExpr;
            let writes = match query.body.as_ref() {
                SetExpr::Select(select) => select.into.is_some(),
                SetExpr::Insert(_)
                | SetExpr::Update(_)
                | SetExpr::Delete(_)
                | SetExpr::Merge(_) => true,
                SetExpr::Query(_)
                | SetExpr::SetOperation { .. }
                | SetExpr::Values(_)
                | SetExpr::Table(_) => false,
            };
            if writes || !query.locks.is_empty() {
                return std::ops::ControlFlow::Break(read_only());
            }
            std::ops::ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, _: &AstExpr) -> std::ops::ControlFlow<Refusal> {
            std::ops::ControlFlow::Continue(())
        }
    }
    match query.visit(&mut Writes) {
        std::ops::ControlFlow::Break(refusal) => Err(refusal),
        std::ops::ControlFlow::Continue(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(sql: &str) -> Option<Code> {
        admit(sql, &EngineLimits::default()).err().map(|r| r.code())
    }

    #[test]
    fn inv_13_only_reading_statements_pass() {
        for sql in [
            "SELECT 1",
            "EXPLAIN SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "SHOW TABLES",
            "DESCRIBE t",
            "VALUES (1)",
            "SHOW ACCESS",
            "show access on a.\"B\".c;",
            "EXPLAIN /* it */ ACCESS SELECT 1",
        ] {
            assert_eq!(code(sql), None, "{sql}");
        }
        for sql in [
            "INSERT INTO t VALUES (1)",
            "CREATE TABLE t (a INT)",
            "DROP TABLE t",
            "COPY t TO 'x'",
            "SELECT 1 INTO t",
            "UPDATE t SET a = 1",
            "DELETE FROM t",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x'",
        ] {
            assert_eq!(code(sql), Some(Code::ReadOnly), "{sql}");
        }
        for sql in [
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "SET a = 1",
            "SELECT 1; SELECT 2",
            "",
            "EXPLAIN ANALYZE SELECT 1",
            "EXPLAIN VERBOSE SELECT 1",
            "EXPLAIN FORMAT TREE SELECT 1",
            "SHOW ALL",
            "RESET a",
            "EXPLAIN EXPLAIN SELECT 1",
            "SHOW ACCESS ON a, b",
            "SHOW ACCESS TO a",
            "EXPLAIN ACCESS SHOW TABLES",
            "EXPLAIN ACCESS",
        ] {
            assert!(
                code(sql).is_some_and(|c| c == Code::StatementRefused || c == Code::SqlSyntax),
                "{sql}: {:?}",
                code(sql)
            );
        }
    }

    #[test]
    fn a_mistake_is_told_in_plain_words_with_its_place() {
        for (sql, said) in [
            (
                "SELEC",
                "expected an SQL statement, found SELEC at line 1, column 1",
            ),
            (
                "SELECT \u{1b}",
                "expected an expression, found \\u{1b} at line 1, column 8",
            ),
            (
                "SELECT\n  'a",
                "Unterminated string literal at line 2, column 3",
            ),
        ] {
            let refusal = admit(sql, &EngineLimits::default()).err().unwrap();
            assert_eq!(refusal.message(), said, "{sql:?}");
        }
    }

    #[test]
    fn inv_14_large_and_deep_statements_are_refused() {
        let chain = format!("SELECT {}", vec!["1"; 20_000].join("+"));
        let minus = format!("SELECT {}1", "- ".repeat(20_000));
        let nested = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        let not = format!("SELECT {} true", "NOT ".repeat(20_000));
        let unions = vec!["SELECT 1"; 5_000].join(" UNION ALL ");
        let long = format!("SELECT '{}'", "x".repeat(2_000_000));
        let cases = format!(
            "SELECT {}1{}",
            "CASE WHEN true THEN ".repeat(2_000),
            " END".repeat(2_000)
        );
        for sql in [chain, minus, nested, not, unions, long, cases] {
            assert_eq!(
                code(&sql),
                Some(Code::SqlTooLarge),
                "{}",
                sql.get(..40).unwrap_or_default()
            );
        }
    }

    #[test]
    fn inv_13_a_name_in_show_access_is_a_name() {
        for (sql, about) in [
            ("SHOW ACCESS ON T", "SELECT * FROM \"t\""),
            (
                "SHOW ACCESS ON select.\"A \"\"b\";",
                "SELECT * FROM \"select\".\"A \"\"b\"",
            ),
            ("EXPLAIN ACCESS SELECT ? + ?", "SELECT $1 + $2"),
        ] {
            let admitted = admit(sql, &EngineLimits::default()).unwrap();
            assert_eq!(admitted.statement.to_string(), about);
        }
    }

    #[test]
    fn question_marks_are_numbered() {
        let admitted = admit("SELECT ? + ?", &EngineLimits::default()).unwrap();
        assert_eq!(admitted.statement.to_string(), "SELECT $1 + $2");
        assert_eq!(code("SELECT ? + $1"), Some(Code::ParameterInvalid));
    }
}
