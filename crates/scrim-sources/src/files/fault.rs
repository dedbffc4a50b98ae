//! What an error of an object store is to whoever asks, and what of it the owner's log may hold.
//!
//! A store's answer can quote the request with its session token, so only its status and its own
//! word for the error are kept of it.

use std::error::Error;

use object_store::Error as StoreError;
use object_store::client::{HttpError, HttpErrorKind};
use scrim_engine::{FaultKind, SourceFault};

/// Letters of a store's own word for an error.
const WORD_MAX: usize = 64;

/// The fault behind an error while a file or a folder was read; `at` says which.
pub(crate) fn fault(at: &str, error: &StoreError) -> SourceFault {
    let (kind, cause) = told(error);
    SourceFault::new(kind, format!("{at}: {cause}"))
}

/// Whether the error says that there is nothing.
pub(crate) fn is_missing(error: &StoreError) -> bool {
    chain(error).any(|e| {
        let store = e.downcast_ref::<StoreError>();
        store.is_some_and(|e| matches!(e, StoreError::NotFound { .. }))
    })
}

fn told(error: &StoreError) -> (FaultKind, String) {
    for cause in chain(error) {
        match cause.downcast_ref::<StoreError>() {
            Some(StoreError::NotFound { .. }) => {
                return (FaultKind::Changed, "it is not there any more".to_owned());
            }
            Some(StoreError::Precondition { .. }) => {
                return (FaultKind::Changed, "it was replaced".to_owned());
            }
            _ => {}
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return (FaultKind::Unavailable, io.to_string());
        }
    }
    answered(error)
}

/// An error of a store that answered, or could not be reached.
fn answered(error: &StoreError) -> (FaultKind, String) {
    let text = error.to_string();
    if let Some(status) = status(&text) {
        let word = word(&text).map(|word| format!(" ({word})"));
        let cause = format!("the store answered {status}{}", word.unwrap_or_default());
        let kind = match status {
            // Beyond the end: the file has become shorter.
            416 => FaultKind::Changed,
            429 | 503 => FaultKind::Busy,
            _ => FaultKind::Unavailable,
        };
        return (kind, cause);
    }
    let http = chain(error).find_map(|e| e.downcast_ref::<HttpError>());
    let cause = match http.map(HttpError::kind) {
        Some(HttpErrorKind::Connect) => "the store cannot be reached",
        Some(HttpErrorKind::Timeout) => "the store was silent for too long",
        Some(_) => "the connection broke off",
        None => match error {
            StoreError::PermissionDenied { .. } => "the store denies it",
            StoreError::Unauthenticated { .. } => "the store does not know the credentials",
            StoreError::NotSupported { .. } => "the server does not serve parts of files",
            _ => "the store's answer was not understood, or its credentials were not found",
        },
    };
    (FaultKind::Unavailable, cause.to_owned())
}

fn chain<'a>(error: &'a StoreError) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let first: &'a (dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error: &&'a (dyn Error + 'static)| {
        (*error).source()
    })
}

fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// The word in the XML of a store's answer: `AccessDenied`, `NoSuchBucket`, ….
fn word(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("<Code>")?;
    let (word, _) = after.split_once("</Code>")?;
    let plain = word.len() <= WORD_MAX && word.chars().all(|c| c.is_ascii_alphanumeric());
    plain.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> StoreError {
        StoreError::Generic {
            store: "S3",
            source: text.into(),
        }
    }

    #[test]
    fn inv_15_a_stores_answer_is_never_quoted() {
        let body = "Server returned non-2xx status code: 403 Forbidden: <Error>\
                    <Code>SignatureDoesNotMatch</Code><CanonicalRequest>x-amz-security-token:\
                    CANARY</CanonicalRequest></Error>";
        let fault = fault("s3://lake/a.parquet", &generic(body));
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        assert_eq!(
            fault.to_string(),
            "s3://lake/a.parquet: the store answered 403 (SignatureDoesNotMatch)"
        );
    }

    #[test]
    fn each_failure_has_its_kind() {
        let precondition = StoreError::Precondition {
            path: "a".to_owned(),
            source: "412".into(),
        };
        // An answer to a repeated request comes wrapped.
        let wrapped = StoreError::Generic {
            store: "S3",
            source: Box::new(precondition),
        };
        for (error, kind) in [
            (wrapped, FaultKind::Changed),
            (generic("status code: 503 Slow Down: "), FaultKind::Busy),
            (generic("status code: 429 Too Many: "), FaultKind::Busy),
            (generic("status code: 416 Range: "), FaultKind::Changed),
            (generic("status code: 500 Oh: "), FaultKind::Unavailable),
            (generic("anything"), FaultKind::Unavailable),
        ] {
            assert_eq!(fault("x", &error).kind(), kind, "{error}");
        }
    }
}
