//! A world, wherever its tables lie, and an engine that serves it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use scrim_document::SourceFile;
use scrim_engine::{Ask, Engine, EngineConfig, EngineLimits, LookupTable, RawTable, World};
use scrim_identity::Accounts;
use scrim_ledger::Ledger;
use scrim_model::{Clock, Context, Secret, SessionSettings, TableName, ValueType};
use scrim_policy::{BadRows, Documents, FileFormat, LoadEnv, PolicySet, Unavailable};
use scrim_sources::{SourceSettings, Sources, Wanted};
use tempfile::TempDir;

use super::data::Data;
use super::files::Layout;
use super::masks::ROOT_KEY;
use super::personas::Persona;
use super::place::Place;
use super::policy;
use super::servers::{self, Servers};
use super::tables::Table;

/// A world that is served.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) engine: Engine,
    accounts: Accounts,
    _servers: Servers,
    _folder: TempDir,
}

/// A clock that stands still.
#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000, 0).unwrap()
    }
}

/// Settings of the engines under test.
pub(crate) fn limits() -> EngineLimits {
    EngineLimits {
        rows_max: 50_000,
        time: Duration::from_secs(20),
        ..EngineLimits::default()
    }
}

impl Scene {
    /// Writes the data and serves them.
    pub(crate) async fn new(data: &Data, layout: &Layout, partitions: usize) -> Self {
        Self::with_limits(data, layout, partitions, limits()).await
    }

    pub(crate) async fn with_limits(
        data: &Data,
        layout: &Layout,
        partitions: usize,
        limits: EngineLimits,
    ) -> Self {
        Self::serve(data, layout, partitions, limits, &|_| None).await
    }

    /// Serves the data with some of the tables elsewhere than in files.
    pub(crate) async fn over(data: &Data, elsewhere: &dyn Fn(Table) -> Option<RawTable>) -> Self {
        Self::serve(data, &Layout::plain(), 1, limits(), elsewhere).await
    }

    async fn serve(
        data: &Data,
        layout: &Layout,
        partitions: usize,
        limits: EngineLimits,
        elsewhere: &dyn Fn(Table) -> Option<RawTable>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers = Servers::start(data, layout, folder.path());
        let config = EngineConfig {
            memory_bytes: 256 * 1024 * 1024,
            spill_dir: folder.path().join("spill"),
            partitions,
            limits,
        };
        std::fs::create_dir_all(&config.spill_dir).unwrap();
        let (ledger, _) = Ledger::open(&folder.path().join("ledger"), Arc::new(Standing)).unwrap();
        let engine = Engine::new(config, ledger, Arc::new(Standing)).unwrap();
        let world = load(&engine, data, &servers, folder.path(), elsewhere).await;
        engine.load(world);
        Self {
            engine,
            accounts: accounts(),
            _servers: servers,
            _folder: folder,
        }
    }

    /// A persona's standing to ask.
    pub(crate) fn ask(&self, persona: Persona) -> Ask {
        let mut context = Context::at(Standing.now());
        context.ip = Some("10.1.2.3".parse().unwrap());
        Ask {
            principal: self.accounts.vouch(persona.id()).unwrap(),
            context,
            settings: SessionSettings::default(),
            session: None,
            default_schema: None,
            time_zone: None,
        }
    }
}

async fn load(
    engine: &Engine,
    data: &Data,
    servers: &Servers,
    base: &Path,
    elsewhere: &dyn Fn(Table) -> Option<RawTable>,
) -> World {
    let sources = Sources::new(
        base.to_owned(),
        servers::credentials(),
        SourceSettings::default(),
    );
    let open = async |place: Place, path: &str, format: FileFormat| -> RawTable {
        let (kind, credentials) = servers.entry(place, path, format);
        let opened = sources.open(&kind, credentials, &Wanted::all(path)).await;
        opened.unwrap_or_else(|e| panic!("{path}: {e}")).table
    };
    let mut tables: BTreeMap<TableName, RawTable> = BTreeMap::new();
    for table in Table::ALL {
        let raw = match elsewhere(table) {
            Some(raw) => raw,
            None => open(data.places.of(table), table.name(), FileFormat::Parquet).await,
        };
        tables.insert(TableName::new(table.domain(), table.name()), raw);
    }
    let csv = FileFormat::Csv {
        delimiter: ',',
        bad_rows: BadRows::Fail,
    };
    let wards = open(data.places.wards, "wards", csv).await;
    let lookups = BTreeMap::from([("wards".to_owned(), Arc::new(LookupTable::new(wards, None)))]);
    let schemas: BTreeMap<TableName, SchemaRef> = tables
        .iter()
        .map(|(name, raw)| (name.clone(), raw.schema()))
        .collect();
    let lookup_schemas: BTreeMap<String, SchemaRef> = lookups
        .iter()
        .map(|(name, raw)| (name.clone(), raw.schema()))
        .collect();
    let attributes = BTreeMap::from([("home".to_owned(), ValueType::Text)]);
    let env = LoadEnv {
        schemas: &schemas,
        lookups: &lookup_schemas,
        unavailable: Unavailable::default(),
        attributes: &attributes,
        networks: BTreeSet::new(),
        functions: engine.functions(),
    };
    let documents =
        Documents::parse(policy::files(data.places)).unwrap_or_else(|p| panic!("{}", p.render()));
    let (policy, _) =
        PolicySet::compile(documents, &env).unwrap_or_else(|p| panic!("{}", p.render()));
    World::new(Arc::new(policy), tables, lookups, Secret::new(ROOT_KEY))
}

fn accounts() -> Accounts {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2NyaW1zY3JpbXNjcmlt$\
                q1dcYrP1fAkLw6LAHhVvS3kV1cyuQO0M5o6cTbWKQFw";
    let account = |id: &str, org: &str, groups: &str, home: &str| {
        format!(
            "  - {{id: {id}, org: {org}, groups: [{groups}], roles: [], kind: human, \
             attributes: {{home: {home}}}, password_hash: \"{hash}\"}}\n"
        )
    };
    let text = format!(
        "accounts:\n{}{}{}",
        account("ana", "acme", "analyst", "EU"),
        account("bob", "beta", "researcher", "UK"),
        account("cyd", "acme", "analyst, auditor", "UK")
    );
    let types = BTreeMap::from([("home".to_owned(), ValueType::Text)]);
    Accounts::parse(&SourceFile::new("accounts.yaml", text), &types)
        .unwrap_or_else(|p| panic!("{}", p.render()))
}
