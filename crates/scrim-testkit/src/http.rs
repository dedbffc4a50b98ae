//! A web server of files, as an owner might have one: tags, ranges, conditions, and a folder that
//! takes credentials.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, header};

use crate::web::{Reply, Traffic, Web, status_only, whole};

/// Files below this folder are given to [`USER`] with [`PASSWORD`], and to the bearer of [`TOKEN`].
pub const PRIVATE: &str = "private";
/// A user.
pub const USER: &str = "reader";
/// The user's password.
pub const PASSWORD: &str = "web-secret-2718";
/// `reader:web-secret-2718` in base64.
const BASIC: &str = "Basic cmVhZGVyOndlYi1zZWNyZXQtMjcxOA==";
/// A token.
pub const TOKEN: &str = "web-token-3141";

/// A web server on a free port of loopback.
#[derive(Debug)]
pub struct FileServer {
    web: Web,
}

impl FileServer {
    /// Serves the files of a folder.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder: Arc<Path> = folder.into().into();
        let web = Web::start(Arc::new(move |request| {
            let folder = Arc::clone(&folder);
            Box::pin(async move { answer(&folder, &request).unwrap_or_else(status_only) })
        }))?;
        Ok(Self { web })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.web.address()
    }

    /// The address of a file.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address())
    }

    /// What it was asked, and what is to go wrong.
    pub fn traffic(&self) -> &Traffic {
        &self.web.traffic
    }
}

fn answer(folder: &Path, request: &Request<Incoming>) -> Result<Reply, StatusCode> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let path = Path::new(request.uri().path().trim_start_matches('/'));
    let mut parts = path.components();
    if !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err(StatusCode::NOT_FOUND);
    }
    let headers = request.headers();
    if path.starts_with(PRIVATE) && !is_allowed(headers) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let path = folder.join(path);
    let data = fs::metadata(&path).map_err(|_| StatusCode::NOT_FOUND)?;
    let bytes = fs::read(&path).map_err(|_| StatusCode::NOT_FOUND)?;
    let tag = format!(
        "\"{:x}-{:x}-{:x}\"",
        data.ino(),
        data.mtime(),
        data.mtime_nsec()
    );
    check(headers, &tag, data.mtime())?;
    let range = headers
        .get(header::RANGE)
        .filter(|_| request.method() == Method::GET);
    let length = bytes.len();
    let (status, part) = match range {
        None => (StatusCode::OK, 0..length),
        Some(range) => {
            let range = range.to_str().ok().and_then(|text| in_range(text, length));
            let range = range.ok_or(StatusCode::RANGE_NOT_SATISFIABLE)?;
            (StatusCode::PARTIAL_CONTENT, range)
        }
    };
    let modified = DateTime::<Utc>::from_timestamp(data.mtime(), 0).unwrap_or_default();
    let modified = modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut reply = Response::builder()
        .status(status)
        .header(header::ETAG, tag)
        .header(header::LAST_MODIFIED, modified)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_LENGTH, part.len());
    if status == StatusCode::PARTIAL_CONTENT {
        let last = part.end.saturating_sub(1);
        let range = format!("bytes {}-{last}/{length}", part.start);
        reply = reply.header(header::CONTENT_RANGE, range);
    }
    let body = match *request.method() {
        Method::HEAD => Bytes::new(),
        _ => Bytes::from(bytes).slice(part),
    };
    reply
        .body(whole(body))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn is_allowed(headers: &HeaderMap) -> bool {
    let said = headers.get(header::AUTHORIZATION);
    said.is_some_and(|said| said == BASIC || *said == format!("Bearer {TOKEN}").as_str())
}

/// Whether the file is the one that was asked for.
fn check(headers: &HeaderMap, tag: &str, modified: i64) -> Result<(), StatusCode> {
    if let Some(expected) = headers.get(header::IF_MATCH) {
        let is = expected == tag || expected == "*";
        return is.then_some(()).ok_or(StatusCode::PRECONDITION_FAILED);
    }
    let Some(since) = headers.get(header::IF_UNMODIFIED_SINCE) else {
        return Ok(());
    };
    let since = since.to_str().ok();
    let since = since.and_then(|text| DateTime::parse_from_rfc2822(text).ok());
    match since {
        Some(since) if modified > since.timestamp() => Err(StatusCode::PRECONDITION_FAILED),
        _ => Ok(()),
    }
}

/// `bytes=0-9`, `bytes=5-` or `bytes=-3`, cut to what there is.
fn in_range(text: &str, length: usize) -> Option<std::ops::Range<usize>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = if first.is_empty() {
        length.saturating_sub(last.parse().ok()?)..length
    } else {
        let last = if last.is_empty() {
            length
        } else {
            last.parse::<usize>().ok()?.saturating_add(1).min(length)
        };
        first.parse().ok()?..last
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use object_store::http::{HttpBuilder, HttpStore};
    use object_store::path::Path;
    use object_store::{ClientOptions, Error, GetOptions, ObjectStore as _, ObjectStoreExt as _};

    use super::*;

    fn store(server: &FileServer, options: ClientOptions) -> HttpStore {
        HttpBuilder::new()
            .with_url(server.url(""))
            .with_client_options(options.with_allow_http(true))
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn files_have_tags_ranges_and_conditions() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        fs::write(&file, "0123456789").unwrap();
        let server = FileServer::start(folder.path()).unwrap();
        let store = store(&server, ClientOptions::new());
        let path = Path::from("a.csv");
        let head = store.head(&path).await.unwrap();
        assert_eq!(head.size, 10);
        let part = store.get_range(&path, 2..5).await.unwrap();
        assert_eq!(part.as_ref(), b"234");
        assert_eq!(server.traffic().seen().last().unwrap().range, Some((2, 4)));
        fs::remove_file(&file).unwrap();
        fs::write(&file, "abcdefghij").unwrap();
        let pinned = GetOptions {
            if_match: head.e_tag,
            ..GetOptions::default()
        };
        let error = store.get_opts(&path, pinned).await.unwrap_err();
        assert!(matches!(error, Error::Precondition { .. }), "{error}");
        let error = store.head(&Path::from("b.csv")).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_private_folder_takes_credentials() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(PRIVATE)).unwrap();
        fs::write(folder.path().join(PRIVATE).join("a"), "x").unwrap();
        let server = FileServer::start(folder.path()).unwrap();
        let is_read = async |authorization: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = authorization {
                headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            }
            let options = ClientOptions::new().with_default_headers(headers);
            let path = Path::from(format!("{PRIVATE}/a"));
            store(&server, options).head(&path).await.is_ok()
        };
        assert!(!is_read(None).await);
        assert!(!is_read(Some("Bearer wrong")).await);
        assert!(is_read(Some(&format!("Bearer {TOKEN}"))).await);
        assert!(is_read(Some(BASIC)).await);
    }
}
