//! A real S3 server over a folder, which checks signatures: `s3s` speaks the protocol, `s3s-fs`
//! keeps the objects. What that lacks and real stores have is added here: conditions on reads, tags
//! in listings, session tokens, and buckets that anybody may read.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::stream::{self, Stream};
use http_body_util::BodyExt;
use hyper::StatusCode;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput,
    PutObjectOutput, StreamingBlob, Timestamp,
};
use s3s::host::{S3Host, VirtualHost};
use s3s::path::S3Path;
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

use crate::web::{Traffic, Web, status_only};

/// The key that the server knows.
pub const ACCESS_KEY: &str = "AKIASCRIMTEST";
/// Its secret.
pub const SECRET_KEY: &str = "s3cret-of-the-test-8462";
/// A key that is good only together with [`SESSION_TOKEN`].
pub const SESSION_ACCESS_KEY: &str = "ASIASCRIMTEST";
/// The secret of that key.
pub const SESSION_SECRET_KEY: &str = "s3cret-of-the-session-1907";
/// What a request with [`SESSION_ACCESS_KEY`] has to bring along.
pub const SESSION_TOKEN: &str = "token-of-the-session-5533";
/// Objects of this bucket may be read without a signature.
pub const PUBLIC_BUCKET: &str = "public";

/// Bytes that are read from a file at once.
const CHUNK: u64 = 512 * 1024;

/// A server of S3 on a free port of loopback.
#[derive(Debug)]
pub struct S3Server {
    web: Web,
    folder: PathBuf,
}

impl S3Server {
    /// Serves the folders in `folder` as buckets.
    ///
    /// # Errors
    /// When there is no such folder, or no port.
    pub fn start(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let mut builder = S3ServiceBuilder::new(Objects {
            files: FileSystem::new(&folder).map_err(|e| io::Error::other(format!("{e:?}")))?,
            folder: folder.clone(),
        });
        let mut auth = SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY);
        auth.register(SESSION_ACCESS_KEY.to_owned(), SESSION_SECRET_KEY.into());
        builder.set_auth(auth);
        builder.set_access(Rights);
        builder.set_host(Hosts);
        let service = builder.build();
        let web = Web::start(Arc::new(move |request| {
            let service = service.clone();
            Box::pin(async move {
                match service.call(request.map(s3s::Body::from)).await {
                    Ok(reply) => reply.map(BodyExt::boxed_unsync),
                    Err(_) => status_only(StatusCode::INTERNAL_SERVER_ERROR),
                }
            })
        }))?;
        Ok(Self { web, folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.web.address()
    }

    /// Its address as a client's configuration has it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it was asked, and what is to go wrong. Paths begin with the bucket.
    pub fn traffic(&self) -> &Traffic {
        &self.web.traffic
    }

    /// Puts an object there or in the place of another, at once, as stores do.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let path = self.folder.join(bucket).join(key);
        let parent = path.parent().expect("a key has a folder");
        fs::create_dir_all(parent).expect("the folder can be written to");
        let new = tempfile::NamedTempFile::new_in(&self.folder).expect("a file can be made");
        fs::write(new.path(), bytes).expect("the folder can be written to");
        new.persist(&path).expect("a file can be moved");
    }

    /// Removes an object.
    ///
    /// # Panics
    /// If there is none.
    pub fn remove(&self, bucket: &str, key: &str) {
        fs::remove_file(self.folder.join(bucket).join(key)).expect("there is such an object");
    }
}

/// The bucket stands in the path for addresses and `localhost`, else it is the host's first label.
struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if name.parse::<IpAddr>().is_ok() {
            return Ok(VirtualHost::new(host));
        }
        Ok(match name.split_once('.') {
            Some((bucket, domain)) => VirtualHost::new(domain).with_bucket(bucket),
            None => VirtualHost::new(host),
        })
    }
}

/// Who may do what.
struct Rights;

#[async_trait::async_trait]
impl S3Access for Rights {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let bucket = match context.s3_path() {
            S3Path::Root => None,
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. } => Some(bucket.as_ref()),
        };
        let reads = matches!(
            context.s3_op().name(),
            "GetObject" | "HeadObject" | "ListObjectsV2"
        );
        let Some(credentials) = context.credentials() else {
            if reads && bucket == Some(PUBLIC_BUCKET) {
                return Ok(());
            }
            return Err(s3_error!(AccessDenied));
        };
        let token = context.headers().get("x-amz-security-token");
        match (credentials.access_key.as_str(), token) {
            (SESSION_ACCESS_KEY, Some(token)) if token == SESSION_TOKEN => Ok(()),
            (key, None) if key != SESSION_ACCESS_KEY => Ok(()),
            (_, _) => Err(s3_error!(InvalidToken)),
        }
    }
}

/// The objects of a folder.
struct Objects {
    files: FileSystem,
    folder: PathBuf,
}

impl Objects {
    fn path(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let inside = Path::new(key)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside {
            return Err(s3_error!(NoSuchKey));
        }
        Ok(self.folder.join(bucket).join(key))
    }

    fn tag_at(&self, bucket: &str, key: &str) -> Option<ETag> {
        let path = self.path(bucket, key).ok()?;
        Some(version(&fs::metadata(path).ok()?).0)
    }
}

/// A tag that no two versions of an object share (unlike the digest of the whole object it costs
/// nothing), and when it was made, in whole seconds, as HTTP tells it.
fn version(data: &fs::Metadata) -> (ETag, Timestamp) {
    let mut hasher = DefaultHasher::new();
    (data.ino(), data.len(), data.mtime(), data.mtime_nsec()).hash(&mut hasher);
    let made = UNIX_EPOCH + Duration::from_secs(data.mtime().unsigned_abs());
    (
        ETag::Strong(format!("{:016x}", hasher.finish())),
        made.into(),
    )
}

/// What a read may demand of the object.
struct Conditions {
    matching: Option<ETagCondition>,
    other_than: Option<ETagCondition>,
    unmodified_since: Option<Timestamp>,
}

impl Conditions {
    fn hold(&self, tag: &ETag, modified: &Timestamp) -> S3Result<()> {
        let is = |condition: &ETagCondition| {
            condition.is_any() || condition.as_etag().is_some_and(|it| it.strong_cmp(tag))
        };
        if self.matching.as_ref().is_some_and(|it| !is(it)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if self.other_than.as_ref().is_some_and(is) {
            return Err(s3_error!(NotModified));
        }
        // The time counts only when no tag was given.
        let newer = |since: &Timestamp| modified > since;
        if self.matching.is_none() && self.unmodified_since.as_ref().is_some_and(newer) {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let path = self.path(&input.bucket, &input.key)?;
        // All is told of the one file that is open, whatever is put in its place meanwhile.
        let file = fs::File::open(path).map_err(|_| s3_error!(NoSuchKey))?;
        let data = file.metadata().map_err(|_| s3_error!(InternalError))?;
        let (tag, modified) = version(&data);
        let conditions = Conditions {
            matching: input.if_match,
            other_than: input.if_none_match,
            unmodified_since: input.if_unmodified_since,
        };
        conditions.hold(&tag, &modified)?;
        let length = data.len();
        let range = match &input.range {
            Some(range) => range.check(length)?,
            None => 0..length,
        };
        let content_range = input.range.is_some().then(|| {
            let last = range.end.saturating_sub(1);
            format!("bytes {}-{last}/{length}", range.start)
        });
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some((range.end - range.start) as i64),
            content_range,
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(modified),
            e_tag: Some(tag),
            body: Some(StreamingBlob::wrap(chunks(file, range.start, range.end))),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let path = self.path(&input.bucket, &input.key)?;
        let data = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        // A folder is the start of keys, and no object.
        let data = data.ok_or_else(|| s3_error!(NoSuchKey))?;
        let (tag, modified) = version(&data);
        let conditions = Conditions {
            matching: input.if_match,
            other_than: input.if_none_match,
            unmodified_since: input.if_unmodified_since,
        };
        conditions.hold(&tag, &modified)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(data.len() as i64),
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(modified),
            e_tag: Some(tag),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let bucket = request.input.bucket.clone();
        let mut response = self.files.list_objects_v2(request).await?;
        for object in response.output.contents.iter_mut().flatten() {
            let key = object.key.as_deref().unwrap_or_default();
            object.e_tag = self.tag_at(&bucket, key);
        }
        Ok(response)
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let mut response = self.files.put_object(request).await?;
        response.output.e_tag = self.tag_at(&bucket, &key);
        Ok(response)
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.files.delete_object(request).await
    }
}

/// The bytes of a file from one place to another.
fn chunks(
    file: fs::File,
    from: u64,
    to: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    stream::try_unfold((Arc::new(file), from), move |(file, at)| async move {
        if at >= to {
            return Ok(None);
        }
        let length = (to - at).min(CHUNK);
        let reader = Arc::clone(&file);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; length as usize];
            reader.read_exact_at(&mut bytes, at).map(|()| bytes)
        });
        let bytes = read.await.map_err(io::Error::other)??;
        Ok(Some((Bytes::from(bytes), (file, at + length))))
    })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use object_store::aws::{AmazonS3, AmazonS3Builder};
    use object_store::path::Path;
    use object_store::{
        ClientOptions, Error, GetOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
    };

    use super::*;
    use crate::web::{Gate, Trouble};

    fn server() -> (tempfile::TempDir, S3Server) {
        let folder = tempfile::tempdir().unwrap();
        let server = S3Server::start(folder.path()).unwrap();
        (folder, server)
    }

    fn builder(server: &S3Server, bucket: &str) -> AmazonS3Builder {
        let retries = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        AmazonS3Builder::new()
            .with_endpoint(server.endpoint())
            .with_allow_http(true)
            .with_bucket_name(bucket)
            .with_region("eu-central-1")
            .with_retry(retries)
    }

    fn client(server: &S3Server) -> AmazonS3 {
        let builder = builder(server, "lake")
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY);
        builder.build().unwrap()
    }

    #[tokio::test]
    async fn objects_are_listed_and_read_in_parts_and_by_version() {
        let (_folder, server) = server();
        let old = b"0123456789".repeat(200_000);
        server.put("lake", "t/part 0=ä.bin", &old);
        let store = client(&server);
        let listed: Vec<_> = store
            .list(Some(&Path::from("t")))
            .try_collect()
            .await
            .unwrap();
        let [object] = listed.as_slice() else {
            panic!("{listed:?}");
        };
        assert_eq!(object.size, 2_000_000);
        let head = store.head(&object.location).await.unwrap();
        assert_eq!(head.e_tag, object.e_tag);
        assert!(head.e_tag.is_some());
        server.traffic().forget();
        let part = store.get_range(&object.location, 10..25).await.unwrap();
        assert_eq!(part.as_ref(), b"012345678901234");
        let seen = server.traffic().seen();
        assert_eq!(
            (seen.len(), seen[0].range, seen[0].status),
            (1, Some((10, 24)), 206)
        );
        assert_eq!(server.traffic().bytes(), 15);
        let pinned = |tag: &Option<String>| GetOptions {
            if_match: tag.clone(),
            ..GetOptions::default()
        };
        let whole = store
            .get_opts(&object.location, pinned(&head.e_tag))
            .await
            .unwrap();
        // Replaced under way: the reader still gets the old one, whole, and the next reader nothing.
        server.put("lake", "t/part 0=ä.bin", b"new");
        assert_eq!(whole.bytes().await.unwrap(), old);
        let error = store
            .get_opts(&object.location, pinned(&head.e_tag))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Precondition { .. }), "{error}");
        server.remove("lake", "t/part 0=ä.bin");
        let error = store.head(&object.location).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }

    #[tokio::test]
    async fn signatures_tokens_and_public_buckets_are_told_apart() {
        let (_folder, server) = server();
        server.put("lake", "x", b"x");
        server.put(PUBLIC_BUCKET, "x", b"x");
        let is_read = async |builder: AmazonS3Builder| {
            builder
                .build()
                .unwrap()
                .head(&Path::from("x"))
                .await
                .is_ok()
        };
        let key = |id: &str, secret: &str| {
            builder(&server, "lake")
                .with_access_key_id(id)
                .with_secret_access_key(secret)
        };
        assert!(is_read(key(ACCESS_KEY, SECRET_KEY)).await);
        assert!(!is_read(key(ACCESS_KEY, "wrong")).await);
        assert!(!is_read(key("AKIAOTHER", SECRET_KEY)).await);
        assert!(!is_read(key(SESSION_ACCESS_KEY, SESSION_SECRET_KEY)).await);
        let session = key(SESSION_ACCESS_KEY, SESSION_SECRET_KEY);
        assert!(is_read(session.clone().with_token(SESSION_TOKEN)).await);
        assert!(!is_read(session.with_token("wrong")).await);
        assert!(!is_read(builder(&server, "lake").with_skip_signature(true)).await);
        assert!(is_read(builder(&server, PUBLIC_BUCKET).with_skip_signature(true)).await);
        // The bucket stands in the host; a proxy spares us a name server.
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_proxy_url(server.endpoint());
        let virtual_host = key(ACCESS_KEY, SECRET_KEY)
            .with_endpoint("http://lake.store.test")
            .with_virtual_hosted_style_request(true)
            .with_client_options(options);
        assert!(is_read(virtual_host).await);
    }

    #[tokio::test]
    async fn troubles_strike_the_requests_that_were_named() {
        let (_folder, server) = server();
        server.put("lake", "x", &[7; 1_000]);
        server.put("lake", "y", &[7; 1_000]);
        let store = client(&server);
        let read = async |key: &str| store.get(&Path::from(key)).await?.bytes().await;
        server
            .traffic()
            .trouble("GET /lake/x", 1, 2, Trouble::Status(503));
        assert!(read("y").await.is_ok());
        let mut fine = Vec::new();
        for _ in 0..4 {
            fine.push(read("x").await.is_ok());
        }
        assert_eq!(fine, [true, false, false, true]);
        server.traffic().trouble("/lake/x", 0, 1, Trouble::Cut(100));
        assert!(read("x").await.is_err());
        server.traffic().trouble("/lake/x", 0, 1, Trouble::HangUp);
        assert!(read("x").await.is_err());
        server
            .traffic()
            .trouble("/lake/x", 0, 1, Trouble::Corrupt(10));
        let bytes = read("x").await.unwrap();
        assert_eq!((bytes[9], bytes[10], bytes[11]), (7, !7, 7));
        let gate = Gate::closed();
        server
            .traffic()
            .trouble("/lake/x", 0, 1, Trouble::Hold(gate.clone()));
        let (bytes, ()) = tokio::join!(read("x"), async {
            gate.reached().await;
            server.put("lake", "x", b"new");
            gate.open();
        });
        assert_eq!(bytes.unwrap().as_ref(), b"new");
    }
}
