//! Recognising the statements: none of them is SQL, so it is done on the tokens, before the parser.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use scrim_model::{Code, Refusal};

use crate::gate::Answer;

/// `catalog.schema.table`.
const NAME_PARTS_MAX: usize = 3;

/// Whether the tokens ask for access, and then the tokens of the query that the answer is about.
///
/// # Errors
/// A refusal when they begin like such a statement and are none.
pub(crate) fn asked(
    tokens: &[TokenWithSpan],
) -> Result<Option<(Answer, Vec<TokenWithSpan>)>, Refusal> {
    let mut rest = tokens.iter().filter(|token| !is_blank(&token.token));
    let (Some(first), Some(second)) = (rest.next(), rest.next()) else {
        return Ok(None);
    };
    if !is_word(&second.token, "access") {
        return Ok(None);
    }
    if is_word(&first.token, "show") {
        let rest: Vec<&Token> = rest.map(|token| &token.token).collect();
        return shown(&rest).map(Some);
    }
    if !is_word(&first.token, "explain") {
        return Ok(None);
    }
    let query: Vec<_> = rest.cloned().collect();
    if query.iter().all(|token| token.token == Token::SemiColon) {
        return Err(wrong());
    }
    Ok(Some((Answer::Access, query)))
}

/// What follows `SHOW ACCESS`.
fn shown(rest: &[&Token]) -> Result<(Answer, Vec<TokenWithSpan>), Refusal> {
    let mut rest = rest;
    while let [before @ .., Token::SemiColon] = rest {
        rest = before;
    }
    match rest {
        [] => Ok((
            Answer::Rows,
            written("SELECT * FROM information_schema.\"access\"")?,
        )),
        [on, name @ ..] if is_word(on, "on") => {
            let mut tokens = written("SELECT * FROM")?;
            tokens.extend(table(name)?.into_iter().map(TokenWithSpan::wrap));
            Ok((Answer::Columns, tokens))
        }
        _ => Err(wrong()),
    }
}

fn written(sql: &str) -> Result<Vec<TokenWithSpan>, Refusal> {
    Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(Refusal::internal)
}

/// The tokens of a table's name, each part quoted, so that none can be anything but a name.
fn table(name: &[&Token]) -> Result<Vec<Token>, Refusal> {
    let parts: Vec<&[&Token]> = name.split(|token| **token == Token::Period).collect();
    if parts.len() > NAME_PARTS_MAX {
        return Err(wrong());
    }
    let mut tokens = Vec::with_capacity(name.len());
    for part in parts {
        let [Token::Word(word)] = part else {
            return Err(wrong());
        };
        if !tokens.is_empty() {
            tokens.push(Token::Period);
        }
        tokens.push(Token::Word(quoted(word)));
    }
    Ok(tokens)
}

fn quoted(word: &Word) -> Word {
    let value = match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_ascii_lowercase(),
    };
    Word {
        value,
        quote_style: Some('"'),
        keyword: Keyword::NoKeyword,
    }
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

fn wrong() -> Refusal {
    Refusal::new(
        Code::SqlSyntax,
        "write SHOW ACCESS, SHOW ACCESS ON <table> or EXPLAIN ACCESS <query>",
    )
}
