//! What a client can observe of one statement, in a form that can be compared.

use std::fmt;

use arrow::ipc::writer::StreamWriter;
use futures::StreamExt;
use scrim_engine::{Ask, Engine};
use scrim_model::{Code, Refusal};

use super::answer::Answer;
use super::sql::Statement;

/// What came of a statement.
pub(crate) struct Observed {
    pub(crate) answer: Result<Answer, (Code, String)>,
    /// What only the owner's log knows of a refusal.
    pub(crate) detail: String,
    /// Every byte of the schema and the batches, encoded as they came.
    pub(crate) wire: Vec<u8>,
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Ok(answer) => {
                writeln!(f, "{} rows of {:?}", answer.len(), answer.columns())?;
                let text: Vec<char> = answer.text().chars().take(6_000).collect();
                f.write_str(&text.into_iter().collect::<String>())
            }
            Err((code, message)) => {
                let detail: String = self.detail.chars().take(600).collect();
                write!(f, "refused with {code}: {message}\n   ({detail})")
            }
        }
    }
}

/// Runs a statement as a client would.
pub(crate) async fn observe(engine: &Engine, ask: &Ask, sql: &str) -> Observed {
    let mut results = match Box::pin(engine.run(ask, sql, None)).await {
        Ok(results) => results,
        Err(refusal) => {
            return refused(&refusal, Vec::new());
        }
    };
    let schema = results.schema();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    let mut batches = Vec::new();
    while let Some(next) = results.next().await {
        match next {
            Ok(batch) => {
                writer.write(&batch).unwrap();
                batches.push(batch);
            }
            Err(refusal) => {
                return refused(&refusal, writer.into_inner().unwrap());
            }
        }
    }
    let wire = writer.into_inner().unwrap();
    Observed {
        answer: Ok(Answer::new(schema, batches)),
        detail: String::new(),
        wire,
    }
}

fn refused(refusal: &Refusal, wire: Vec<u8>) -> Observed {
    Observed {
        answer: Err((refusal.code(), refusal.message().to_owned())),
        detail: refusal.detail().unwrap_or_default().to_owned(),
        wire,
    }
}

/// How two observations differ, if they do.
pub(crate) fn difference(
    a: &Observed,
    b: &Observed,
    statement: &Statement,
) -> Option<&'static str> {
    let ordered = statement.ordered;
    match (&a.answer, &b.answer) {
        (Ok(a), Ok(b)) if a.schema != b.schema => Some("the schemas differ"),
        (Ok(a), Ok(b)) if a.rows(ordered) != b.rows(ordered) => Some("the rows differ"),
        (Ok(_), Ok(_)) => None,
        (Err(a), Err(b)) if a == b => None,
        (Err(a), Err(b)) if statement.racing && on_a_value(a.0) && on_a_value(b.0) => None,
        (Err(_), Err(_)) => Some("the refusals differ"),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => Some("one is answered, the other is refused"),
    }
}

/// Fails with the first few of the findings, if there are any.
pub(crate) fn conclude(failures: &[String]) {
    let first: Vec<&str> = failures.iter().take(8).map(String::as_str).collect();
    assert!(
        failures.is_empty(),
        "{} failures\n\n{}",
        failures.len(),
        first.join("\n\n")
    );
}

/// Whether a refusal says that an expression failed on a value.
pub(crate) fn on_a_value(code: Code) -> bool {
    matches!(
        code,
        Code::CastInvalid | Code::DivideByZero | Code::Overflow | Code::ExpressionFailed
    )
}

/// Whether `bytes` hold `needle`.
pub(crate) fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else {
        return false;
    };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
