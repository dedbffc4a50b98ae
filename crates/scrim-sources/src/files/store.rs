//! Where files lie: an object store for each place and credential.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::aws;
use super::place::{Bucket, Place};
use super::secrets::{Environment, Fields};
use crate::{SourceError, SourceSettings};

/// Repetitions of a failed read; nothing but reads is ever asked of a store.
const RETRIES_MAX: usize = 4;
/// For how long a failed read is repeated.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);

/// An object store, open.
pub(crate) struct Store {
    inner: Arc<dyn ObjectStore>,
    /// What its files' paths start with, as owners write them.
    prefix: String,
    is_local: bool,
    /// Tells it from every other store of this process.
    id: u64,
}

impl Store {
    pub(crate) fn inner(&self) -> &Arc<dyn ObjectStore> {
        &self.inner
    }

    /// A path in it, as its owner would write it.
    pub(crate) fn shown(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// A tag as the store compares it: this machine's as they are, others as HTTP writes them.
    pub(super) fn quoted(&self, tag: &str) -> String {
        if self.is_local || tag.starts_with('"') {
            tag.to_owned()
        } else {
            format!("\"{tag}\"")
        }
    }
}

/// Stores know their credentials and would print them.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.prefix).finish()
    }
}

/// All stores that are open; places of the same bucket, endpoint and credential share one.
#[derive(Debug, Default)]
pub(super) struct Stores {
    open: Mutex<HashMap<Key, Arc<Store>>>,
    count: AtomicU64,
}

/// What a store is made for, and the name of the credential that opens it.
type Key = (Bucket, Option<String>);

impl Stores {
    pub(super) fn open(
        &self,
        place: &Place,
        fields: &Fields<'_>,
        environment: &Environment,
        settings: &SourceSettings,
    ) -> Result<Arc<Store>, SourceError> {
        let key = (place.bucket.clone(), fields.name().map(str::to_owned));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(&key) {
            return Ok(Arc::clone(store));
        }
        let built = build(&place.bucket, fields, environment, settings);
        let inner = built.map_err(|cause| SourceError::Unreadable {
            at: place.shown.clone(),
            cause,
        })?;
        let store = Arc::new(Store {
            inner,
            prefix: place.bucket.shown(),
            is_local: place.bucket == Bucket::Local,
            id: self.count.fetch_add(1, Ordering::Relaxed),
        });
        open.insert(key, Arc::clone(&store));
        Ok(store)
    }
}

fn build(
    bucket: &Bucket,
    fields: &Fields<'_>,
    environment: &Environment,
    settings: &SourceSettings,
) -> Result<Arc<dyn ObjectStore>, String> {
    let client = |url: &str| {
        ClientOptions::new()
            .with_connect_timeout(settings.connect_timeout)
            .with_timeout(settings.read_timeout)
            .with_allow_http(url.starts_with("http://"))
    };
    match bucket {
        Bucket::Local => {
            fields.only(&[])?;
            Ok(Arc::new(LocalFileSystem::new()))
        }
        Bucket::S3(bucket) => aws::build(bucket, fields, environment, retry(), client),
        Bucket::Azure {
            container,
            account,
            endpoint,
        } => {
            let builder = azure(fields, environment, account.as_deref())?
                .with_container_name(container)
                .with_retry(retry());
            let builder = match endpoint {
                Some(url) => builder
                    .with_client_options(client(url))
                    .with_endpoint(url.clone()),
                None => builder.with_client_options(client("")),
            };
            Ok(Arc::new(builder.build().map_err(unbuilt)?))
        }
        Bucket::Gcs { bucket, endpoint } => {
            let builder = gcs(fields)?.with_bucket_name(bucket).with_retry(retry());
            let builder = match endpoint {
                Some(url) => builder
                    .with_client_options(client(url))
                    .with_base_url(url.trim_end_matches('/')),
                None => builder.with_client_options(client("")),
            };
            Ok(Arc::new(builder.build().map_err(unbuilt)?))
        }
        Bucket::Http { base } => {
            let options = match fields.authorization()? {
                Some(headers) => client(base).with_default_headers(headers),
                None => client(base),
            };
            let builder = HttpBuilder::new()
                .with_url(base)
                .with_client_options(options)
                .with_retry(retry());
            Ok(Arc::new(builder.build().map_err(unbuilt)?))
        }
    }
}

fn retry() -> RetryConfig {
    RetryConfig {
        // Waits are random between the first and three times the last, so that readers spread.
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(1),
            base: 3.0,
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    }
}

fn azure(
    fields: &Fields<'_>,
    environment: &Environment,
    account: Option<&str>,
) -> Result<MicrosoftAzureBuilder, String> {
    fields.only(&[
        "account",
        "access_key",
        "sas_token",
        "client_id",
        "client_secret",
        "tenant_id",
    ])?;
    let mut builder = MicrosoftAzureBuilder::new();
    if fields.name().is_none() {
        builder = environment
            .starting_with("AZURE_")
            .filter_map(|(name, value)| Some((name.parse::<AzureConfigKey>().ok()?, value)))
            .fold(builder, |b, (key, value)| b.with_config(key, value));
    }
    if let Some(account) = fields.get("account").or(account) {
        builder = builder.with_account(account);
    }
    if fields.anonymous()? {
        return Ok(builder.with_skip_signature(true));
    }
    for (field, key) in [
        ("access_key", AzureConfigKey::AccessKey),
        ("sas_token", AzureConfigKey::SasKey),
        ("client_id", AzureConfigKey::ClientId),
        ("client_secret", AzureConfigKey::ClientSecret),
        ("tenant_id", AzureConfigKey::AuthorityId),
    ] {
        if let Some(value) = fields.get(field) {
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder)
}

fn gcs(fields: &Fields<'_>) -> Result<GoogleCloudStorageBuilder, String> {
    fields.only(&["service_account_key", "service_account_file"])?;
    let builder = GoogleCloudStorageBuilder::new();
    if fields.anonymous()? {
        return Ok(builder.with_skip_signature(true));
    }
    Ok(
        match (
            fields.get("service_account_key"),
            fields.get("service_account_file"),
        ) {
            (Some(key), _) => builder.with_service_account_key(key),
            (None, Some(file)) => builder.with_service_account_path(file),
            (None, None) => builder,
        },
    )
}

/// What a builder says of its settings can quote them, so it is not shown.
pub(super) fn unbuilt(error: object_store::Error) -> String {
    match error {
        object_store::Error::UnknownConfigurationKey { key, .. } => {
            format!("the setting `{key}` is not known")
        }
        _ => "the address or the credentials are not complete, or not as this kind of store \
              needs them"
            .to_owned(),
    }
}
