//! Where a contract says that files lie, taken apart: the store, and the path in it.

use std::path::{Component, Path, PathBuf};

use scrim_policy::{Addressing, FilePlace};
use url::Url;

/// A place of files.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) bucket: Bucket,
    /// The path in the store, a pattern or not; it ends in a slash if its owner says that it is a
    /// folder.
    pub(super) path: String,
    /// As its owner writes it.
    pub(super) shown: String,
}

/// What a store is made for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    /// This machine.
    Local,
    /// A bucket of a store that speaks S3.
    S3(S3Bucket),
    /// A container of Azure's.
    Azure {
        container: String,
        account: Option<String>,
        endpoint: Option<String>,
    },
    /// A bucket of Google's.
    Gcs {
        bucket: String,
        endpoint: Option<String>,
    },
    /// A web server.
    Http { base: String },
}

/// A bucket of a store that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct S3Bucket {
    pub(super) name: String,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) virtual_host: bool,
}

impl Bucket {
    /// What the paths of its files start with.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Local => "/".to_owned(),
            Self::S3(bucket) => format!("s3://{}/", bucket.name),
            Self::Azure { container, .. } => format!("az://{container}/"),
            Self::Gcs { bucket, .. } => format!("gs://{bucket}/"),
            Self::Http { base } => base.clone(),
        }
    }
}

impl Place {
    /// Takes a place apart; relative paths start at `base`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(place: &FilePlace, base: &Path) -> Result<Self, String> {
        match place {
            FilePlace::Local { path } => local(path, base),
            FilePlace::S3 {
                location,
                endpoint_url,
                region,
                addressing,
            } => {
                let (name, path) = bucket_and_path(location, &["s3://", "s3a://"])?;
                let bucket = Bucket::S3(S3Bucket {
                    name,
                    endpoint: endpoint(endpoint_url.as_deref())?,
                    region: region.clone(),
                    virtual_host: *addressing == Addressing::VirtualHost,
                });
                Ok(Self::in_store(bucket, path, location))
            }
            FilePlace::Azure {
                location,
                endpoint_url,
            } => {
                let schemes = ["abfss://", "abfs://", "az://", "azure://"];
                let (name, path) = bucket_and_path(location, &schemes)?;
                let (container, account) = container_and_account(name)?;
                let bucket = Bucket::Azure {
                    container,
                    account,
                    endpoint: endpoint(endpoint_url.as_deref())?,
                };
                Ok(Self::in_store(bucket, path, location))
            }
            FilePlace::Gcs {
                location,
                endpoint_url,
            } => {
                let (bucket, path) = bucket_and_path(location, &["gs://"])?;
                let endpoint = endpoint(endpoint_url.as_deref())?;
                Ok(Self::in_store(
                    Bucket::Gcs { bucket, endpoint },
                    path,
                    location,
                ))
            }
            FilePlace::Http { location } => http(location),
        }
    }

    fn in_store(bucket: Bucket, path: String, shown: &str) -> Self {
        Self {
            bucket,
            path,
            shown: shown.to_owned(),
        }
    }
}

fn local(path: &str, base: &Path) -> Result<Place, String> {
    let full = std::path::absolute(base.join(path)).map_err(|e| e.to_string())?;
    let full = without_dots(&full);
    let text = full.to_str().ok_or("the path is not UTF-8")?;
    let slash = if path.ends_with('/') { "/" } else { "" };
    Ok(Place {
        bucket: Bucket::Local,
        path: format!("{}{slash}", text.trim_matches('/')),
        shown: full.display().to_string(),
    })
}

/// The path without `..`, which paths in stores cannot have.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    plain
}

fn bucket_and_path(location: &str, schemes: &[&str]) -> Result<(String, String), String> {
    let expected = || format!("write the location as {}bucket/path", schemes.join("… or "));
    let rest = schemes
        .iter()
        .find_map(|scheme| location.strip_prefix(scheme))
        .ok_or_else(expected)?;
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(expected());
    }
    Ok((bucket.to_owned(), path.to_owned()))
}

/// `container@account.dfs.core.windows.net`, or just the container.
fn container_and_account(name: String) -> Result<(String, Option<String>), String> {
    let Some((container, host)) = name.split_once('@') else {
        return Ok((name, None));
    };
    let account = [".dfs.core.windows.net", ".blob.core.windows.net"]
        .iter()
        .find_map(|suffix| host.strip_suffix(suffix))
        .ok_or("write the location as abfss://container@account.dfs.core.windows.net/path")?;
    Ok((container.to_owned(), Some(account.to_owned())))
}

fn endpoint(url: Option<&str>) -> Result<Option<String>, String> {
    let Some(text) = url else {
        return Ok(None);
    };
    let url = parsed(text)?;
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

fn http(location: &str) -> Result<Place, String> {
    let url = parsed(location)?;
    let path = super::hive::percent_decoded(url.path().trim_start_matches('/'))
        .ok_or("the path is not UTF-8")?;
    let mut base = url.clone();
    base.set_path("/");
    Ok(Place {
        bucket: Bucket::Http {
            base: base.to_string(),
        },
        path,
        shown: location.to_owned(),
    })
}

/// An address of a web server. Secrets in it would be shown wherever the address is.
fn parsed(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("the address is not understood: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the address starts with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address holds credentials; name them instead".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the address has a part after `?` or `#`, which is not used".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(location: &str, endpoint_url: Option<&str>) -> Result<Place, String> {
        let place = FilePlace::S3 {
            location: location.to_owned(),
            endpoint_url: endpoint_url.map(str::to_owned),
            region: None,
            addressing: Addressing::Path,
        };
        Place::new(&place, Path::new("/"))
    }

    #[test]
    fn local_paths_start_at_the_base() {
        for (path, base, expected, shown) in [
            (
                "data/a.csv",
                "/srv/x",
                "srv/x/data/a.csv",
                "/srv/x/data/a.csv",
            ),
            ("../b/", "/srv/x", "srv/b/", "/srv/b"),
            ("/c/*.csv", "/srv/x", "c/*.csv", "/c/*.csv"),
            ("./d e%20f", "/srv", "srv/d e%20f", "/srv/d e%20f"),
        ] {
            let local = FilePlace::Local {
                path: path.to_owned(),
            };
            let place = Place::new(&local, Path::new(base)).unwrap();
            assert_eq!(
                (place.path.as_str(), place.shown.as_str()),
                (expected, shown)
            );
        }
    }

    #[test]
    fn places_in_stores_are_a_bucket_and_a_path() {
        let place = s3("s3://lake/a/b%20c/", Some("http://127.0.0.1:9000/")).unwrap();
        assert_eq!(place.path, "a/b%20c/");
        let Bucket::S3(bucket) = place.bucket else {
            panic!("{place:?}");
        };
        assert_eq!(bucket.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(bucket.name, "lake");
        let azure = FilePlace::Azure {
            location: "abfss://box@acct.dfs.core.windows.net/a".to_owned(),
            endpoint_url: None,
        };
        let place = Place::new(&azure, Path::new("/")).unwrap();
        let Bucket::Azure {
            container, account, ..
        } = place.bucket
        else {
            panic!("{place:?}");
        };
        assert_eq!(
            (container.as_str(), account.as_deref()),
            ("box", Some("acct"))
        );
        let http = FilePlace::Http {
            location: "https://example.org:8443/a%20b/c.parquet".to_owned(),
        };
        let place = Place::new(&http, Path::new("/")).unwrap();
        assert_eq!(place.path, "a b/c.parquet");
        assert_eq!(place.bucket.shown(), "https://example.org:8443/");
    }

    #[test]
    fn inv_15_addresses_with_secrets_are_refused() {
        let http = |location: &str| {
            let location = location.to_owned();
            Place::new(&FilePlace::Http { location }, Path::new("/"))
        };
        for (result, expected) in [
            (http("https://u:CANARY@h/a"), "holds credentials"),
            (http("https://h/a?sig=CANARY"), "after `?`"),
            (http("ftp://h/a"), "https://"),
            (s3("lake/a", None), "s3://"),
            (s3("s3:///a", None), "s3://"),
            (
                s3("s3://lake/a", Some("lake.example.org")),
                "not understood",
            ),
        ] {
            let error = result.unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("CANARY"), "{error}");
        }
    }
}
