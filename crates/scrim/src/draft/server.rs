//! A source as an entry of a contract's `servers`.

use scrim_policy::{
    Addressing, FileFormat, FilePlace, FileServer, PostgresServer, PostgresTls, ServerKind,
};

use super::yaml::scalar;

/// The entry's keys and values in order, values as YAML, and its custom properties likewise.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) keys: Vec<(&'static str, String)>,
    pub(super) custom: Vec<(&'static str, String)>,
}

impl Entry {
    pub(super) fn of(
        kind: &ServerKind,
        environment: Option<&str>,
        credentials: Option<&str>,
    ) -> Self {
        let mut entry = Self::default();
        match kind {
            ServerKind::Files(files) => entry.files(files, environment),
            ServerKind::Postgres(server) => entry.postgres(server, environment),
        }
        if let Some(credentials) = credentials {
            entry.custom("credentials", credentials);
        }
        entry
    }

    fn key(&mut self, key: &'static str, value: &str) {
        self.keys.push((key, scalar(value)));
    }

    fn custom(&mut self, property: &'static str, value: &str) {
        self.custom.push((property, scalar(value)));
    }

    fn begin(&mut self, name: &str, kind: &str, environment: Option<&str>) {
        self.key("server", name);
        self.key("type", kind);
        if let Some(environment) = environment {
            self.key("environment", environment);
        }
    }

    fn postgres(&mut self, server: &PostgresServer, environment: Option<&str>) {
        self.begin("database", "postgres", environment);
        self.key("host", &server.host);
        self.keys.push(("port", server.port.to_string()));
        self.key("database", &server.database);
        self.key("schema", &server.schema);
        match &server.tls {
            PostgresTls::VerifyFull { ca: None } => {}
            PostgresTls::VerifyFull { ca: Some(ca) } => self.custom("tlsCa", ca),
            PostgresTls::Off => self.custom("tls", "off"),
        }
    }

    fn files(&mut self, files: &FileServer, environment: Option<&str>) {
        let (kind, endpoint) = match &files.place {
            FilePlace::Local { .. } => ("local", None),
            FilePlace::S3 { endpoint_url, .. } => ("s3", endpoint_url.as_deref()),
            FilePlace::Azure { endpoint_url, .. } => ("azure", endpoint_url.as_deref()),
            // The standard has no types for these.
            FilePlace::Gcs { endpoint_url, .. } => ("custom", endpoint_url.as_deref()),
            FilePlace::Http { .. } => ("custom", None),
        };
        self.begin("files", kind, environment);
        match &files.place {
            FilePlace::Local { path } => self.key("path", path),
            FilePlace::S3 { location, .. }
            | FilePlace::Azure { location, .. }
            | FilePlace::Gcs { location, .. }
            | FilePlace::Http { location } => self.key("location", location),
        }
        match (endpoint, kind) {
            (Some(endpoint), "azure") => self.custom("endpointUrl", endpoint),
            (Some(endpoint), _) => self.key("endpointUrl", endpoint),
            (None, _) => {}
        }
        self.key("format", format_name(&files.format));
        if let FilePlace::S3 {
            region, addressing, ..
        } = &files.place
        {
            if let Some(region) = region {
                self.custom("region", region);
            }
            match addressing {
                Addressing::Path => {}
                Addressing::VirtualHost => self.custom("addressing", "virtual"),
            }
        }
    }
}

fn format_name(format: &FileFormat) -> &'static str {
    match format {
        FileFormat::Parquet => "parquet",
        FileFormat::Csv { .. } => "csv",
        FileFormat::JsonLines { .. } => "json",
        FileFormat::Arrow => "arrow",
        FileFormat::Delta(_) => "delta",
    }
}
