//! A decision point that speaks the data API of OPA: `POST {"input": …}` is answered with
//! `{"result": …}`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, StatusCode, Url, redirect, retry};
use scrim_document::{Problem, Problems, SourceFile};
use scrim_engine::{Answer, DecisionPoint, ExternalDecisions, TableAnswer};
use scrim_model::Secret;
use scrim_policy::Question;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::config::{self, Config, External};
use crate::start::chain;

/// Bytes of one answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Connections that wait for the next question.
const IDLE_MAX: usize = 16;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The decision point that a configuration names, ready to be asked.
///
/// # Errors
/// When its credentials or certificates cannot be used.
pub fn external_decisions(config: &Config) -> Result<Option<ExternalDecisions>, Problems> {
    let Some(external) = &config.external else {
        return Ok(None);
    };
    let token = token(config, external)?;
    let client = client(external).map_err(|message| problem(external, message))?;
    let point = Opa {
        client,
        url: external.url.clone(),
        token,
    };
    Ok(Some(ExternalDecisions {
        origin: origin(&external.url),
        point: Arc::new(point),
        timeout: external.timeout,
        keep: external.cache,
        volatile: external.volatile,
    }))
}

/// What the ledger and the log call it: its address, without what may be a secret of the owner.
fn origin(url: &Url) -> Arc<str> {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().into()
}

fn problem(external: &External, message: impl Into<String>) -> Problem {
    let file = SourceFile::new(Arc::clone(&external.location.file), "");
    Problem::error(&external.location, &file, message)
}

fn token(config: &Config, external: &External) -> Result<Option<Secret<String>>, Problems> {
    let Some(name) = &external.credentials else {
        return Ok(None);
    };
    let credentials = config::credentials(config.secrets.as_deref(), std::env::vars_os())?;
    let found = credentials.of(Some(name));
    let found = found.map_err(|error| problem(external, error.to_string()))?;
    let Some(token) = found.and_then(|credential| credential.get("token")) else {
        let message = format!("the credential `{name}` has no `token`");
        return Err(problem(external, message).into());
    };
    Ok(Some(Secret::new(token.expose().clone())))
}

fn client(external: &External) -> Result<Client, String> {
    let mut client = Client::builder()
        .user_agent(concat!("scrim/", env!("CARGO_PKG_VERSION")))
        .timeout(external.timeout)
        .pool_max_idle_per_host(IDLE_MAX)
        .https_only(external.url.scheme() == "https")
        .referer(false)
        // Only the address that the owner wrote down is asked, and only once.
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy();
    if let Some(path) = &external.ca {
        let unusable = |why: &dyn fmt::Display| format!("{}: {why}", path.display());
        let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
        if certificates.is_empty() {
            return Err(unusable(&"there is no certificate in this file"));
        }
        client = client.tls_built_in_root_certs(false);
        for certificate in certificates {
            client = client.add_root_certificate(certificate);
        }
    }
    client.build().map_err(|error| chain(&error))
}

/// A decision point behind HTTP.
struct Opa {
    client: Client,
    url: Url,
    token: Option<Secret<String>>,
}

impl fmt::Debug for Opa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opa({})", origin(&self.url))
    }
}

impl DecisionPoint for Opa {
    fn answer<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, String>> {
        self.ask(question).boxed()
    }
}

#[derive(Serialize)]
struct Input<'a> {
    input: &'a Question,
}

impl Opa {
    async fn ask(&self, question: &Question) -> Result<Answer, String> {
        let body = serde_json::to_vec(&Input { input: question }).map_err(|e| e.to_string())?;
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON)
            .body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let failed = |error: reqwest::Error| chain(&error.without_url());
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answers with status {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let most = ANSWER_BYTES_MAX >> 20;
                return Err(format!("the answer is larger than {most} MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        parse(&body)
    }
}

/// What stands around a result (`decision_id`, `metrics`, …) is OPA's and says nothing to us.
#[derive(Deserialize)]
struct Output {
    result: Option<Said>,
}

/// A result: one word for all tables, or an answer for each.
struct Said(Answer);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTable {
    allow: bool,
    #[serde(default)]
    hide: BTreeSet<String>,
    rows: Option<String>,
    reason: Option<String>,
}

fn parse(body: &[u8]) -> Result<Answer, String> {
    let output: Output = serde_json::from_slice(body)
        .map_err(|error| format!("the answer is not understood: {error}"))?;
    let said = output.result.ok_or(
        "the answer has no result: there is no policy of this name, or it is undefined for the \
         input",
    )?;
    Ok(said.0)
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or an answer for each table")
    }

    fn visit_bool<E>(self, allow: bool) -> Result<Answer, E> {
        Ok(Answer::All(allow))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let mut tables = BTreeMap::new();
        while let Some((name, said)) = map.next_entry::<String, OfTable>()? {
            let OfTable {
                allow,
                hide,
                rows,
                reason,
            } = said;
            let answer = TableAnswer {
                allow,
                hide,
                rows,
                reason,
            };
            if tables.insert(name, answer).is_some() {
                return Err(A::Error::custom("a table is answered for twice"));
            }
        }
        Ok(Answer::Each(tables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_one_word_or_one_for_each_table() {
        assert_eq!(parse(b"{\"result\": true}"), Ok(Answer::All(true)));
        let no = br#"{"decision_id": "4", "result": false, "metrics": {"a": [1]}}"#;
        assert_eq!(parse(no), Ok(Answer::All(false)));
        let each = br#"{"result": {
            "care.patients": {"allow": true, "hide": ["ssn", "mrn"], "rows": "ward = 'A'"},
            "care.visits": {"allow": false, "reason": "on leave", "rows": null}}}"#;
        let Ok(Answer::Each(tables)) = parse(each) else {
            panic!("{:?}", parse(each))
        };
        let patients = &tables["care.patients"];
        assert!(patients.allow && patients.hide.contains("mrn"));
        assert_eq!(patients.rows.as_deref(), Some("ward = 'A'"));
        let visits = TableAnswer {
            reason: Some("on leave".to_owned()),
            ..TableAnswer::default()
        };
        assert_eq!(tables["care.visits"], visits);
        assert_eq!(
            parse(br#"{"result": {}}"#),
            Ok(Answer::Each(BTreeMap::new()))
        );
    }

    #[test]
    fn inv_03_what_is_not_understood_to_the_last_word_is_no_answer() {
        for wrong in [
            "",
            "true",
            "{}",
            "[]",
            r#"{"result": null}"#,
            r#"{"result": 1}"#,
            r#"{"result": "true"}"#,
            r#"{"result": [true]}"#,
            r#"{"result": true, "result": true}"#,
            r#"{"result": {"t": true}}"#,
            r#"{"result": {"t": {}}}"#,
            r#"{"result": {"t": {"allow": "yes"}}}"#,
            r#"{"result": {"t": {"allow": true, "hide": "ssn"}}}"#,
            r#"{"result": {"t": {"allow": true, "hide": [1]}}}"#,
            r#"{"result": {"t": {"allow": true, "rows": true}}}"#,
            r#"{"result": {"t": {"allow": true, "mask": {"ssn": "clear"}}}}"#,
            r#"{"result": {"t": {"allow": false, "allow": true}}}"#,
            r#"{"result": {"t": {"allow": false}, "t": {"allow": true}}}"#,
            r#"{"result": true} {"result": true}"#,
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
