//! A decision point over HTTP, as OPA serves one: it answers what it was told to, and tells what it
//! was asked.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};

use crate::web::{Reply, Traffic, Web, status_only, whole};

/// The path of its one policy.
pub const PATH: &str = "/v1/data/scrim/tables";

/// A decision point on a free port of loopback.
#[derive(Debug)]
pub struct DecisionPoint {
    web: Web,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    status: StatusCode,
    answer: Bytes,
    location: Option<String>,
    asked: Vec<Asked>,
}

/// A question.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The header `authorization`.
    pub authorization: Option<String>,
    /// The body.
    pub body: String,
}

impl DecisionPoint {
    /// Answers every question with this body.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(answer: &str) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            status: StatusCode::OK,
            answer: Bytes::copy_from_slice(answer.as_bytes()),
            location: None,
            asked: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let web = Web::start(Arc::new(move |request| {
            let state = Arc::clone(&shared);
            Box::pin(async move { reply(request, &state).await.unwrap_or_else(status_only) })
        }))?;
        Ok(Self { web, state })
    }

    /// The address of its policy.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.web.address())
    }

    /// From now on every question is answered with this body.
    pub fn answers(&self, answer: impl Into<String>) {
        let mut state = lock(&self.state);
        state.status = StatusCode::OK;
        state.answer = answer.into().into();
    }

    /// From now on every question is sent to another address.
    pub fn redirects(&self, to: &str) {
        let mut state = lock(&self.state);
        state.status = StatusCode::TEMPORARY_REDIRECT;
        state.location = Some(to.to_owned());
    }

    /// The questions so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }

    /// Forgets the questions so far.
    pub fn forget(&self) {
        lock(&self.state).asked.clear();
    }

    /// What it was asked, and what is to go wrong.
    pub fn traffic(&self) -> &Traffic {
        &self.web.traffic
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn reply(request: Request<Incoming>, state: &Mutex<State>) -> Result<Reply, StatusCode> {
    if request.method() != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    let authorization = request.headers().get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|said| said.to_str().ok().map(str::to_owned));
    let body = request.into_body().collect().await;
    let body = body.map_err(|_| StatusCode::BAD_REQUEST)?.to_bytes();
    let body = String::from_utf8(body.into()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut state = lock(state);
    state.asked.push(Asked {
        authorization,
        body,
    });
    let mut reply = Response::builder()
        .status(state.status)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(location) = &state.location {
        reply = reply.header(header::LOCATION, location);
    }
    reply
        .body(whole(state.answer.clone()))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
