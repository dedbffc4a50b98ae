//! Tables of the demo world in real servers: an object store and a database, each behind a proxy
//! that can spoil what passes.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use scrim_testkit::postgres::{Database, PASSWORD, Postgres, READER};
use scrim_testkit::proxy::Proxy;
use scrim_testkit::s3::{ACCESS_KEY, S3Server, SECRET_KEY};
use tempfile::TempDir;

use crate::kit::Scratch;

const BUCKET: &str = "lake";
const ENTITLEMENTS: &str = "{type: local, path: lookups/entitlements.csv, format: csv}";

/// An object store that holds tables of a world.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) server: S3Server,
    pub(crate) proxy: Proxy,
    _folder: TempDir,
}

impl Store {
    pub(crate) fn new(world: &Scratch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let server = S3Server::start(folder.path()).unwrap();
        let proxy = Proxy::start(server.address()).unwrap();
        tell_secrets(world, SECRET_KEY, PASSWORD);
        Self {
            server,
            proxy,
            _folder: folder,
        }
    }

    /// Moves a table here, its files as they are.
    pub(crate) fn take(&self, world: &Scratch, table: &str) {
        for path in files(world, table) {
            let key = format!("{table}/{}", path.file_name().unwrap().to_str().unwrap());
            self.server.put(BUCKET, &key, &fs::read(path).unwrap());
        }
        let entry = format!(
            "  - server: store
    type: s3
    environment: demo
    location: s3://{BUCKET}/{table}/*.parquet
    endpointUrl: {}
    format: parquet
    customProperties:
      - {{property: region, value: eu-central-1}}
      - {{property: credentials, value: store}}
",
            self.endpoint()
        );
        set_servers(world, table, &entry);
    }

    /// Moves the look-up table here.
    pub(crate) fn take_entitlements(&self, world: &Scratch) {
        let bytes = fs::read(world.path("lookups/entitlements.csv")).unwrap();
        self.server.put(BUCKET, "entitlements.csv", &bytes);
        let entry = format!(
            "{{type: s3, location: \"s3://{BUCKET}/entitlements.csv\", endpointUrl: \"{}\", \
             region: eu-central-1, credentials: store, format: csv}}",
            self.endpoint()
        );
        world.edit("scrim.yaml", ENTITLEMENTS, &entry);
    }

    /// Puts another file in the place of one.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        self.server.put(BUCKET, key, bytes);
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.proxy.address())
    }
}

/// A database that holds tables of a world.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) database: Database,
    pub(crate) proxy: Proxy,
}

impl Base {
    pub(crate) fn new(world: &Scratch) -> Self {
        Self::on(&Postgres::shared(), world)
    }

    /// In a certain server.
    pub(crate) fn on(server: &Arc<Postgres>, world: &Scratch) -> Self {
        tell_secrets(world, SECRET_KEY, PASSWORD);
        let address = ([127, 0, 0, 1], server.port()).into();
        Self {
            database: server.database(),
            proxy: Proxy::start(address).unwrap(),
        }
    }

    /// Moves a table here.
    pub(crate) fn take(&self, world: &Scratch, table: &str) {
        self.database.load(table, &batches(world, table));
        let entry = format!(
            "  - server: database
    type: postgres
    environment: demo
    host: localhost
    port: {}
    database: {}
    schema: public
    customProperties:
      - {{property: tlsCa, value: {}}}
      - {{property: credentials, value: database}}
",
            self.proxy.address().port(),
            self.database.name(),
            self.database.server().authority().display()
        );
        set_servers(world, table, &entry);
    }

    /// Moves the look-up table here.
    pub(crate) fn take_entitlements(&self, world: &Scratch) {
        let text = fs::read_to_string(world.path("lookups/entitlements.csv")).unwrap();
        self.database.load("entitlements", &[texts(&text)]);
        let entry = format!(
            "{{type: postgres, host: localhost, port: {}, database: {}, schema: public, \
             tlsCa: {}, credentials: database}}",
            self.proxy.address().port(),
            self.database.name(),
            self.database.server().authority().display()
        );
        world.edit("scrim.yaml", ENTITLEMENTS, &entry);
    }

    /// Ends the connections of the server under test, as an administrator does.
    pub(crate) fn kill(&self) {
        let name = self.database.name();
        self.database.execute(&format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
             WHERE datname = '{name}' AND usename = '{READER}'"
        ));
    }
}

/// Writes the secrets file, and has the configuration name it.
pub(crate) fn tell_secrets(world: &Scratch, secret_key: &str, password: &str) {
    let text = format!(
        "store: {{access_key_id: \"{ACCESS_KEY}\", secret_access_key: \"{secret_key}\"}}
database: {{user: \"{READER}\", password: \"{password}\"}}
"
    );
    world.write("secrets.yaml", &text);
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(world.path("secrets.yaml"), private).unwrap();
    let settings = fs::read_to_string(world.path("scrim.yaml")).unwrap();
    if !settings.contains("secrets:") {
        world.write(
            "scrim.yaml",
            &format!("{settings}\nsecrets: {{file: secrets.yaml}}\n"),
        );
    }
}

/// Puts another list of servers into the contract of a table.
fn set_servers(world: &Scratch, table: &str, entry: &str) {
    let path = format!("policies/contracts/{table}.odcs.yaml");
    let text = fs::read_to_string(world.path(&path)).unwrap();
    let (before, rest) = text.split_once("servers:\n").unwrap();
    let (_, after) = rest.split_once("\nschema:").unwrap();
    world.write(&path, &format!("{before}servers:\n{entry}schema:{after}"));
}

/// The files of a table of the demo, or of one that a test has added.
fn files(world: &Scratch, table: &str) -> Vec<PathBuf> {
    let folder = world.path(&format!("data/{table}"));
    if !folder.is_dir() {
        let one = [format!("data/{table}.parquet"), format!("{table}.parquet")];
        let paths = one.into_iter().map(|path| world.path(&path));
        return paths.filter(|path| path.exists()).collect();
    }
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// The rows of a table.
pub(crate) fn batches(world: &Scratch, table: &str) -> Vec<RecordBatch> {
    let read = |path: PathBuf| {
        let file = File::open(path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader.build().unwrap().map(Result::unwrap)
    };
    files(world, table).into_iter().flat_map(read).collect()
}

/// Lines of texts with commas between them.
pub(crate) fn texts(csv: &str) -> RecordBatch {
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let rows: Vec<_> = lines.collect();
    let columns = names.into_iter().enumerate().map(|(i, name)| {
        let values = rows.iter().map(|row| row[i]);
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        (name, column)
    });
    RecordBatch::try_from_iter(columns).unwrap()
}
