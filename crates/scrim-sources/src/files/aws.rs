//! Stores that speak S3, and the profiles in which AWS's own tools keep keys.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use ini::{Ini, ParseOption};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::client::CredentialProvider;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::place::S3Bucket;
use super::secrets::{Environment, Fields};
use super::store::unbuilt;

/// Opens a bucket: with the credential's keys or profile; with neither, as AWS's tools find keys.
pub(super) fn build(
    bucket: &S3Bucket,
    fields: &Fields<'_>,
    environment: &Environment,
    retry: RetryConfig,
    client: impl Fn(&str) -> ClientOptions,
) -> Result<Arc<dyn ObjectStore>, String> {
    fields.only(&[
        "access_key_id",
        "secret_access_key",
        "session_token",
        "profile",
    ])?;
    let mut builder = AmazonS3Builder::new();
    if fields.name().is_none() {
        builder = environment
            .starting_with("AWS_")
            .filter_map(|(name, value)| Some((name.parse::<AmazonS3ConfigKey>().ok()?, value)))
            .fold(builder, |b, (key, value)| b.with_config(key, value));
    }
    let profile = profile(fields, environment)?;
    let said = |key| builder.get_config_value(&key);
    let endpoint = bucket
        .endpoint
        .clone()
        .or_else(|| said(AmazonS3ConfigKey::S3Endpoint))
        .or_else(|| said(AmazonS3ConfigKey::Endpoint))
        .or_else(|| profile.as_ref()?.endpoint.clone());
    let region = bucket
        .region
        .clone()
        .or_else(|| said(AmazonS3ConfigKey::Region))
        .or_else(|| profile.as_ref()?.region.clone());
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    let address = endpoint.as_deref().unwrap_or_default();
    if let Some(url) = &endpoint {
        let url = if bucket.virtual_host {
            of_bucket(url, &bucket.name)?
        } else {
            url.clone()
        };
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, url);
    }
    builder = builder
        .with_bucket_name(&bucket.name)
        .with_virtual_hosted_style_request(bucket.virtual_host)
        .with_client_options(client(address))
        .with_retry(retry);
    builder = if fields.anonymous()? {
        builder.with_skip_signature(true)
    } else if let Some(profile) = profile {
        builder.with_credentials(Arc::new(ProfileKeys::new(profile.files, profile.name)))
    } else {
        with_keys(builder, fields)?
    };
    Ok(Arc::new(builder.build().map_err(unbuilt)?))
}

fn with_keys(builder: AmazonS3Builder, fields: &Fields<'_>) -> Result<AmazonS3Builder, String> {
    let Some(name) = fields.name() else {
        // Web identity, the container's or the machine's own: the library finds it.
        return Ok(builder);
    };
    let (Some(id), Some(key)) = (fields.get("access_key_id"), fields.get("secret_access_key"))
    else {
        return Err(format!(
            "the credentials `{name}` need access_key_id and secret_access_key, or profile, or \
             anonymous: \"true\""
        ));
    };
    let builder = builder.with_access_key_id(id).with_secret_access_key(key);
    Ok(match fields.get("session_token") {
        Some(token) => builder.with_token(token),
        None => builder,
    })
}

/// `https://host` as `https://bucket.host`.
fn of_bucket(url: &str, bucket: &str) -> Result<String, String> {
    let not_understood = || format!("the endpoint {url} cannot name a bucket before its host");
    let mut address = Url::parse(url).map_err(|_| not_understood())?;
    let host = address.host_str().ok_or_else(not_understood)?;
    if host.starts_with(&format!("{bucket}.")) {
        return Ok(url.to_owned());
    }
    let host = format!("{bucket}.{host}");
    address
        .set_host(Some(&host))
        .map_err(|_| not_understood())?;
    Ok(address.as_str().trim_end_matches('/').to_owned())
}

/// A profile of AWS's tools.
#[derive(Debug)]
struct Profile {
    name: String,
    files: Files,
    region: Option<String>,
    endpoint: Option<String>,
}

/// The files that hold profiles.
#[derive(Debug, Clone)]
struct Files {
    credentials: Option<PathBuf>,
    config: Option<PathBuf>,
}

/// The profile that is named, or that AWS's tools would use.
fn profile(fields: &Fields<'_>, environment: &Environment) -> Result<Option<Profile>, String> {
    let files = Files::of(environment);
    let named = match fields.name() {
        Some(_) => fields.get("profile"),
        None => environment.get("AWS_PROFILE"),
    };
    if let Some(name) = named {
        // A profile without keys is told when the store is opened, not at the first query.
        files.keys(name)?;
        return Ok(Some(files.profile(name)));
    }
    let keys_elsewhere = fields.name().is_some()
        || [
            "AWS_ACCESS_KEY_ID",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_SKIP_SIGNATURE",
        ]
        .iter()
        .any(|name| environment.get(name).is_some());
    let default = !keys_elsewhere && files.keys("default").is_ok();
    Ok(default.then(|| files.profile("default")))
}

impl Files {
    fn of(environment: &Environment) -> Self {
        let at = |variable: &str, name: &str| {
            let home = || {
                Some(
                    PathBuf::from(environment.get("HOME")?)
                        .join(".aws")
                        .join(name),
                )
            };
            environment.get(variable).map(PathBuf::from).or_else(home)
        };
        Self {
            credentials: at("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            config: at("AWS_CONFIG_FILE", "config"),
        }
    }

    fn profile(&self, name: &str) -> Profile {
        Profile {
            name: name.to_owned(),
            files: self.clone(),
            region: self.value(name, "region"),
            endpoint: self
                .value(name, "endpoint_url")
                .map(|url| url.trim_end_matches('/').to_owned()),
        }
    }

    /// The keys of a profile.
    fn keys(&self, name: &str) -> Result<AwsCredential, String> {
        let value = |key: &str| self.value(name, key);
        if let (Some(key_id), Some(secret_key)) =
            (value("aws_access_key_id"), value("aws_secret_access_key"))
        {
            return Ok(AwsCredential {
                key_id,
                secret_key,
                token: value("aws_session_token"),
            });
        }
        let other = [
            "role_arn",
            "sso_session",
            "sso_start_url",
            "credential_process",
        ]
        .into_iter()
        .find(|key| value(key).is_some());
        Err(match other {
            Some(way) => format!(
                "the profile `{name}` gets its keys by {way}, which is not followed; put keys in \
                 the profile or the credentials"
            ),
            None => format!(
                "there is no profile `{name}` with aws_access_key_id and aws_secret_access_key in \
                 {}",
                self.shown()
            ),
        })
    }

    /// A value of a profile; the file of credentials goes first.
    fn value(&self, profile: &str, key: &str) -> Option<String> {
        let of_config = match profile {
            "default" => profile.to_owned(),
            other => format!("profile {other}"),
        };
        let value = |path: &Option<PathBuf>, section: &str| {
            let options = ParseOption {
                enabled_quote: false,
                enabled_escape: false,
                // Settings of single services are indented beneath an empty value.
                enabled_indented_mutiline_value: true,
                ..ParseOption::default()
            };
            let text = std::fs::read_to_string(path.as_ref()?).ok()?;
            let ini = Ini::load_from_str_opt(&text, options).ok()?;
            let value = ini.section(Some(section))?.get(key)?.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        value(&self.credentials, profile).or_else(|| value(&self.config, &of_config))
    }

    fn shown(&self) -> String {
        let paths = [&self.credentials, &self.config].into_iter().flatten();
        let shown: Vec<_> = paths.map(|path| path.display().to_string()).collect();
        if shown.is_empty() {
            "~/.aws, as HOME is not set".to_owned()
        } else {
            shown.join(" and ")
        }
    }

    fn times(&self) -> [Option<SystemTime>; 2] {
        let time = |path: &Option<PathBuf>| {
            let metadata = std::fs::metadata(path.as_ref()?).ok()?;
            metadata.modified().ok()
        };
        [time(&self.credentials), time(&self.config)]
    }
}

/// The keys of a profile, read again when its files changed: tools renew what is temporary there.
#[derive(Debug)]
struct ProfileKeys {
    files: Files,
    profile: String,
    read: Mutex<Option<(Times, Arc<AwsCredential>)>>,
}

type Times = [Option<SystemTime>; 2];

impl ProfileKeys {
    fn new(files: Files, profile: String) -> Self {
        Self {
            files,
            profile,
            read: Mutex::default(),
        }
    }
}

#[async_trait]
impl CredentialProvider for ProfileKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let times = self.files.times();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, keys)) = read.as_ref()
            && *then == times
        {
            return Ok(Arc::clone(keys));
        }
        let keys = self.files.keys(&self.profile);
        let keys = Arc::new(keys.map_err(|cause| object_store::Error::Unauthenticated {
            path: self.profile.clone(),
            source: cause.into(),
        })?);
        *read = Some((times, Arc::clone(&keys)));
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CREDENTIALS: &str = "\
        [default]\naws_access_key_id = ID0\naws_secret_access_key = KEY0\n\
        [lake]\naws_access_key_id=ID1\naws_secret_access_key=KE\\Y1#\"=\naws_session_token=T1\n";
    const CONFIG: &str = "\
        [default]\nregion = eu-central-1\n\
        [profile lake]\nregion = eu-west-3\nservices = local\ns3 =\n  endpoint_url = http://no\n\
        endpoint_url = http://127.0.0.1:9000/\n\
        [profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = lake\n";

    fn environment(folder: &Path, more: &[(&str, &str)]) -> Environment {
        let aws = folder.join(".aws");
        std::fs::create_dir_all(&aws).unwrap();
        std::fs::write(aws.join("credentials"), CREDENTIALS).unwrap();
        std::fs::write(aws.join("config"), CONFIG).unwrap();
        let home = ("HOME", folder.to_str().unwrap());
        let all = more.iter().chain([&home]);
        Environment::new(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn profiles_are_read_as_the_tools_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(&environment(folder.path(), &[]));
        let keys = files.keys("lake").unwrap();
        assert_eq!(
            (
                keys.key_id.as_str(),
                keys.secret_key.as_str(),
                keys.token.as_deref()
            ),
            ("ID1", "KE\\Y1#\"=", Some("T1"))
        );
        let lake = files.profile("lake");
        assert_eq!(lake.region.as_deref(), Some("eu-west-3"));
        assert_eq!(lake.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(files.keys("default").unwrap().key_id, "ID0");
        assert_eq!(
            files.profile("default").region.as_deref(),
            Some("eu-central-1")
        );
        assert!(files.keys("role").unwrap_err().contains("role_arn"));
        let missing = files.keys("none").unwrap_err();
        assert!(missing.contains("no profile `none`"), "{missing}");
    }

    #[test]
    fn the_profile_is_the_named_one_or_that_of_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let found = |more: &[(&str, &str)]| {
            let environment = environment(folder.path(), more);
            profile(&Fields::new(None), &environment).map(|p| p.map(|p| p.name))
        };
        assert_eq!(found(&[]), Ok(Some("default".to_owned())));
        assert_eq!(
            found(&[("AWS_PROFILE", "lake")]),
            Ok(Some("lake".to_owned()))
        );
        assert_eq!(found(&[("AWS_ACCESS_KEY_ID", "x")]), Ok(None));
        assert!(found(&[("AWS_PROFILE", "none")]).is_err());
        let nowhere = Environment::default();
        assert!(profile(&Fields::new(None), &nowhere).unwrap().is_none());
    }

    #[tokio::test]
    async fn keys_that_were_renewed_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(&environment(folder.path(), &[]));
        let path = files.credentials.clone().unwrap();
        let provider = ProfileKeys::new(files, "default".to_owned());
        let first = provider.get_credential().await.unwrap();
        std::fs::write(&path, CREDENTIALS.replace("ID0", "ID9")).unwrap();
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(later).unwrap();
        let second = provider.get_credential().await.unwrap();
        assert_eq!(
            (first.key_id.as_str(), second.key_id.as_str()),
            ("ID0", "ID9")
        );
    }

    #[test]
    fn a_bucket_can_be_named_before_the_host() {
        for (url, expected) in [
            ("http://localhost:9000", "http://lake.localhost:9000"),
            ("https://lake.s3.example.org", "https://lake.s3.example.org"),
            ("https://s3.example.org", "https://lake.s3.example.org"),
        ] {
            assert_eq!(of_bucket(url, "lake").unwrap(), expected);
        }
    }
}
