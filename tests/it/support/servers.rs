//! The servers that hold the tables of one world.

use std::fs;
use std::path::Path;

use scrim_model::Secret;
use scrim_policy::{
    Addressing, FileFormat, FilePlace, FileServer, PostgresServer, PostgresTls, ServerKind,
};
use scrim_sources::{Credential, Credentials};
use scrim_testkit::load::csv;
use scrim_testkit::postgres::{Database, PASSWORD, Postgres, READER};
use scrim_testkit::s3::{ACCESS_KEY, S3Server, SECRET_KEY};

use super::data::Data;
use super::files::{self, Layout};
use super::place::Place;
use super::tables::Table;

const BUCKET: &str = "lake";

/// The servers of one world: none but the disk, unless a table lies elsewhere.
#[derive(Debug)]
pub(crate) struct Servers {
    store: Option<S3Server>,
    database: Option<Database>,
}

impl Servers {
    /// Puts the data where they lie; those of this machine below `folder`.
    pub(crate) fn start(data: &Data, layout: &Layout, folder: &Path) -> Self {
        let store = data.places.any(Place::S3).then(|| {
            let root = folder.join("s3");
            fs::create_dir_all(root.join(BUCKET)).unwrap();
            S3Server::start(root).unwrap()
        });
        let postgres = data.places.any(Place::Postgres);
        let servers = Self {
            store,
            database: postgres.then(|| Postgres::shared().database()),
        };
        for table in Table::ALL {
            match data.places.of(table) {
                Place::Postgres => files::load(data, table, layout, servers.database()),
                place => {
                    for (i, bytes) in files::parquet(data, table, layout).iter().enumerate() {
                        let path = format!("{}/part-{i}.parquet", table.name());
                        servers.put(place, &path, bytes, folder);
                    }
                }
            }
        }
        let wards = files::wards(data);
        match data.places.wards {
            Place::Postgres => servers.database().load("wards", &[wards]),
            place => servers.put(place, "wards.csv", &csv(&[wards]), folder),
        }
        servers
    }

    fn put(&self, place: Place, path: &str, bytes: &[u8], folder: &Path) {
        if place == Place::S3 {
            self.store().put(BUCKET, path, bytes);
        } else {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    fn store(&self) -> &S3Server {
        self.store.as_ref().expect("a table lies in the store")
    }

    fn database(&self) -> &Database {
        let database = self.database.as_ref();
        database.expect("a table lies in the database")
    }

    /// What a contract would say of a table, and the name of its credentials. Files of CSV lie alone,
    /// those of Parquet in a folder.
    pub(crate) fn entry(
        &self,
        place: Place,
        table: &str,
        format: FileFormat,
    ) -> (ServerKind, Option<&'static str>) {
        let path = match &format {
            FileFormat::Csv { .. } => format!("{table}.csv"),
            _ => format!("{table}/"),
        };
        let files = |place| ServerKind::Files(FileServer { place, format });
        match place {
            Place::Local => (files(FilePlace::Local { path }), None),
            Place::S3 => {
                let place = FilePlace::S3 {
                    location: format!("s3://{BUCKET}/{path}"),
                    endpoint_url: Some(self.store().endpoint()),
                    region: Some("eu-central-1".to_owned()),
                    addressing: Addressing::Path,
                };
                (files(place), Some("store"))
            }
            Place::Postgres => (postgres(self.database()), Some("database")),
        }
    }
}

fn postgres(database: &Database) -> ServerKind {
    let authority = database.server().authority();
    ServerKind::Postgres(PostgresServer {
        host: "localhost".to_owned(),
        port: database.server().port(),
        database: database.name().to_owned(),
        schema: "public".to_owned(),
        tls: PostgresTls::VerifyFull {
            ca: Some(authority.to_str().unwrap().to_owned()),
        },
    })
}

/// The credentials that [`Servers::entry`] names.
pub(crate) fn credentials() -> Credentials {
    let credential = |fields: [(&str, &str); 2]| {
        let field = |(name, value): (&str, &str)| (name.to_owned(), Secret::new(value.to_owned()));
        Credential::new(fields.map(field))
    };
    let store = [
        ("access_key_id", ACCESS_KEY),
        ("secret_access_key", SECRET_KEY),
    ];
    let database = [("user", READER), ("password", PASSWORD)];
    Credentials::new([
        ("store".to_owned(), credential(store)),
        ("database".to_owned(), credential(database)),
    ])
}
