//! What a client can observe of one statement, in a form that can be compared.

use std::fmt;

use arrow::ipc::writer::StreamWriter;
use futures::StreamExt;
use scrim_engine::{Ask, Engine};
use scrim_model::Code;

use super::answer::Answer;

/// What came of a statement.
pub(crate) struct Observed {
    pub(crate) answer: Result<Answer, (Code, String)>,
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
            Err((code, message)) => write!(f, "refused with {code}: {message}"),
        }
    }
}

/// Runs a statement as a client would.
pub(crate) async fn observe(engine: &Engine, ask: &Ask, sql: &str) -> Observed {
    let mut results = match engine.run(ask, sql, None).await {
        Ok(results) => results,
        Err(refusal) => {
            let answer = Err((refusal.code(), refusal.message().to_owned()));
            return Observed { answer, wire: Vec::new() };
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
                let answer = Err((refusal.code(), refusal.message().to_owned()));
                return Observed { answer, wire: writer.into_inner().unwrap() };
            }
        }
    }
    let wire = writer.into_inner().unwrap();
    Observed { answer: Ok(Answer::new(schema, batches)), wire }
}

/// How two observations differ, if they do.
pub(crate) fn difference(a: &Observed, b: &Observed, ordered: bool) -> Option<&'static str> {
    match (&a.answer, &b.answer) {
        (Ok(a), Ok(b)) if a.schema != b.schema => Some("the schemas differ"),
        (Ok(a), Ok(b)) if a.rows(ordered) != b.rows(ordered) => Some("the rows differ"),
        (Ok(_), Ok(_)) => None,
        (Err(a), Err(b)) if a == b => None,
        (Err(_), Err(_)) => Some("the refusals differ"),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => Some("one is answered, the other is refused"),
    }
}

/// Whether `bytes` hold `needle`.
pub(crate) fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
