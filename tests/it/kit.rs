//! The demo world for tests: a folder of its own for each, its engine, its server, and clients.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use scrim::demo::data::DataOptions;
use scrim::demo::world::{World, WorldOptions, persona};
use scrim_document::{Problems, SourceFile};
use scrim_engine::{Ask, Engine, EngineConfig, EngineLimits, Params};
use scrim_identity::{Accounts, read_key_file};
use scrim_ledger::{Filter, Ledger, Record};
use scrim_model::{Clock, Context, Refusal, SessionSettings};
use scrim_policy::PolicySet;
use scrim_server::load::{self, Inputs, Loaded};
use scrim_server::{Config, Running, Server};
use tempfile::TempDir;

/// How many people the world has: enough for every case, few enough to be quick.
const SCALE: f64 = 0.05;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<DateTime<Utc>>);

impl TestClock {
    /// Noon of a working day.
    pub(crate) fn noon() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-03-02T12:00:00Z".parse().unwrap())))
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }

    pub(crate) fn set(&self, now: DateTime<Utc>) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// The demo world's folder, written once for all tests that run at the same time.
fn demo() -> Arc<TempDir> {
    static SHARED: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = shared.upgrade() {
        return folder;
    }
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let data = DataOptions {
        scale: SCALE,
        ..DataOptions::default()
    };
    World::create(
        folder.path(),
        WorldOptions { data, port: 0 },
        TestClock::noon().now(),
    )
    .unwrap();
    *shared = Arc::downgrade(&folder);
    folder
}

/// One test's folder with a world in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    _demo: Option<Arc<TempDir>>,
}

impl Scratch {
    /// The demo world; its data are shared with other tests and must not be changed.
    pub(crate) fn demo() -> Self {
        let demo = demo();
        let folder = tempfile::tempdir().unwrap();
        copy(demo.path(), folder.path(), &["data"]);
        std::os::unix::fs::symlink(demo.path().join("data"), folder.path().join("data")).unwrap();
        Self {
            folder,
            _demo: Some(demo),
        }
    }

    /// The demo world with data of its own.
    pub(crate) fn demo_with_data() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(demo().path(), folder.path(), &[]);
        Self {
            folder,
            _demo: None,
        }
    }

    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            _demo: None,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces a text that must be there.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{path} does not hold {from}");
        self.write(path, &text.replace(from, to));
    }

    /// Adds the table `care.<name>` with these row groups, which the hospital's own people see whole.
    pub(crate) fn add_table(&self, name: &str, batches: &[RecordBatch]) {
        let schema = batches[0].schema();
        let file = fs::File::create(self.path(&format!("{name}.parquet"))).unwrap();
        let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), None).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
        let mut contract = CONTRACT.replace("NAME", name);
        for field in schema.fields() {
            let kind = match field.data_type() {
                DataType::Utf8 => ", logicalType: string, physicalType: VARCHAR",
                DataType::Boolean => ", logicalType: boolean, physicalType: BOOLEAN",
                DataType::Int64 => ", logicalType: integer, physicalType: BIGINT",
                _ => "",
            };
            let line = format!(
                "      - {{name: {}{kind}}}\ncustomProperties:",
                field.name()
            );
            contract = contract.replace("customProperties:", &line);
        }
        self.write(&format!("policies/contracts/{name}.odcs.yaml"), &contract);
        let agreement = AGREEMENT.replace("NAME", name);
        self.write(
            &format!("policies/agreements/northgate-{name}.yaml"),
            &agreement,
        );
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(&self.path("scrim.yaml")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Everything that the ledger says about queries.
    pub(crate) fn records(&self) -> Vec<Record> {
        read_ledger(&self.path("ledger/ledger.jsonl"))
    }
}

const CONTRACT: &str = r"
apiVersion: v3.1.0
kind: DataContract
id: NAME
name: A table of a test
version: 1.0.0
status: active
domain: care
servers:
  - {server: files, type: local, environment: demo, path: NAME.parquet, format: parquet}
schema:
  - name: NAME
    physicalName: NAME
    properties:
customProperties:
  - property: accessPolicy
    value:
      purposes: [operations]
      profiles:
        owner: {default: clear}
";

const AGREEMENT: &str = r#"
apiVersion: v0.9.0
kind: AccessAgreement
id: northgate-NAME
status: active
contract: {id: NAME, version: "^1"}
profile: owner
consumer: {organisation: northgate, who: "principal.org = 'northgate'"}
purpose: operations
start: 2024-01-01
end: 2099-12-31
"#;

pub(crate) fn read_ledger(path: &Path) -> Vec<Record> {
    scrim_ledger::read(path, Filter::default())
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Copies a folder; a key file stays its owner's alone.
pub(crate) fn copy(from: &Path, to: &Path, except: &[&str]) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if except.iter().any(|except| name == *except) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target, &[]);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A world in this process, without a server.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) config: Config,
    pub(crate) engine: Engine,
    pub(crate) ledger: Ledger,
    pub(crate) accounts: Accounts,
    pub(crate) policy: Arc<PolicySet>,
    pub(crate) clock: Arc<TestClock>,
    _world: Option<Scratch>,
}

impl Local {
    /// The demo world in a folder that goes away with this.
    pub(crate) async fn demo() -> Self {
        let world = Scratch::demo();
        let local = Self::start(&world).await;
        Self {
            _world: Some(world),
            ..local
        }
    }

    pub(crate) async fn start(world: &Scratch) -> Self {
        Self::start_with(world, |_| {}).await
    }

    /// With the engine's settings changed.
    pub(crate) async fn start_with(
        world: &Scratch,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let config = world.config();
        let clock = TestClock::noon();
        let (ledger, _) = Ledger::open(&config.ledger, Arc::clone(&clock) as _).unwrap();
        let mut settings = EngineConfig {
            memory_bytes: 512 << 20,
            spill_dir: world.path("spill"),
            partitions: 2,
            limits: EngineLimits::default(),
        };
        change(&mut settings);
        let engine = Engine::new(settings, ledger.clone(), Arc::clone(&clock) as _).unwrap();
        let loaded = load_policies(&config, &engine).await;
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        assert!(loaded.left_out.is_empty(), "{:?}", loaded.left_out);
        let policy = Arc::clone(&loaded.world.policy);
        engine.load(loaded.world);
        let accounts = accounts(&config);
        Self {
            config,
            engine,
            ledger,
            accounts,
            policy,
            clock,
            _world: None,
        }
    }

    /// A persona on this machine; it states its own purpose unless another is given.
    pub(crate) fn ask(&self, id: &str, purpose: Option<&str>) -> Ask {
        let principal = self
            .accounts
            .vouch(id)
            .unwrap_or_else(|| panic!("no account {id}"));
        let mut ask = Ask {
            principal,
            context: Context::at(self.clock.now()),
            settings: SessionSettings {
                purpose: purpose.map(str::to_owned),
                ..Default::default()
            },
            session: None,
            default_schema: None,
            time_zone: None,
        };
        self.place(&mut ask, "127.0.0.1");
        ask
    }

    /// A persona of the demo with the purpose that it usually has.
    pub(crate) fn usual(&self, id: &str) -> Ask {
        self.ask(id, Some(persona(id).unwrap().purpose))
    }

    /// Moves an asker to an address.
    pub(crate) fn place(&self, ask: &mut Ask, address: &str) {
        let address: IpAddr = address.parse().unwrap();
        ask.context.ip = Some(address);
        ask.context.networks = self.config.networks.containing(address);
    }

    /// All rows of a query.
    pub(crate) async fn rows(
        &self,
        ask: &Ask,
        sql: &str,
        params: Option<Params>,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), Refusal> {
        let results = self.engine.run(ask, sql, params).await?;
        let schema = results.schema();
        Ok((schema, results.try_collect().await?))
    }
}

/// Loads what a configuration names; it is in force once the engine is given it.
pub(crate) async fn load_policies(config: &Config, engine: &Engine) -> Result<Loaded, Problems> {
    let keys = read_key_file(&config.keys).unwrap();
    load::policies(&Inputs::new(config)?, keys.root_key(), engine).await
}

/// Compares with a file under `tests/golden`; `SCRIM_BLESS=1` writes it anew.
pub(crate) fn golden(name: &str, found: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = folder.join(name);
    if std::env::var_os("SCRIM_BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let help = "if it should be so: SCRIM_BLESS=1";
    for (number, (was, is)) in (1..).zip(expected.lines().zip(found.lines())) {
        assert_eq!(was, is, "{name}:{number}: {help}");
    }
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&expected), lines(found), "{name}: {help}");
}

pub(crate) fn accounts(config: &Config) -> Accounts {
    let path = &config.identity.accounts;
    let text = fs::read_to_string(path).unwrap();
    let file = SourceFile::new(path.display().to_string(), text);
    Accounts::parse(&file, &config.identity.attributes)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// A world behind a server on a free port of this machine.
#[derive(Debug)]
pub(crate) struct Hosted {
    pub(crate) world: Scratch,
    pub(crate) clock: Arc<TestClock>,
    running: Running,
}

impl Hosted {
    pub(crate) async fn demo() -> Self {
        Self::start(Scratch::demo()).await
    }

    pub(crate) async fn start(world: Scratch) -> Self {
        let clock = TestClock::noon();
        let running = Server::start(world.config(), Arc::clone(&clock) as _)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            world,
            clock,
            running,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Puts the policies in force that lie in the folder now.
    pub(crate) async fn reload(&self) {
        let loaded = self.running.reload().await.unwrap();
        loaded.unwrap_or_else(|refused| panic!("{refused:?}"));
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.running.engine()
    }

    /// Stops in order and gives back the folder.
    pub(crate) async fn stop(self) -> Scratch {
        self.running.shutdown(Duration::from_secs(5)).await.unwrap();
        self.world
    }
}
