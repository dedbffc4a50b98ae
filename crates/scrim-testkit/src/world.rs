//! The demo world for tests: generated once, asked in this process or through a server.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::RecordBatch;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use scrim::demo::data::DataOptions;
use scrim::demo::world::{PASSWORD, World, WorldOptions, persona};
use scrim::local::Local;
use scrim_engine::{Ask, Engine};
use scrim_identity::Accounts;
use scrim_model::{Clock, Context, Refusal, SessionSettings, SystemClock};
use scrim_server::{Config, Running, Server, load};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

/// Why a test's world is not as it should be.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Worlds that some test holds, by scale: whoever comes later shares them.
static WORLDS: Mutex<BTreeMap<u64, Weak<TestWorld>>> = Mutex::new(BTreeMap::new());

/// The demo world, loaded.
#[derive(Debug)]
pub struct TestWorld {
    world: World,
    local: Local,
    accounts: Accounts,
    _folder: TempDir,
}

impl TestWorld {
    /// The demo world at a tenth of its size, shared by all tests that run at the same time.
    pub async fn demo() -> Result<Arc<Self>, Trouble> {
        Self::demo_at(0.1).await
    }

    /// The demo world at a scale; 1 is what the demo shows.
    pub async fn demo_at(scale: f64) -> Result<Arc<Self>, Trouble> {
        if let Some(world) = lock().get(&scale.to_bits()).and_then(Weak::upgrade) {
            return Ok(world);
        }
        let world = Arc::new(Self::make(scale).await?);
        lock().insert(scale.to_bits(), Arc::downgrade(&world));
        Ok(world)
    }

    async fn make(scale: f64) -> Result<Self, Trouble> {
        let folder = tempfile::tempdir()?;
        let data = DataOptions {
            scale,
            ..DataOptions::default()
        };
        let options = WorldOptions { data, port: 0 };
        let world = World::create(folder.path(), options, SystemClock.now())?;
        let config = Config::load(&world.config())?;
        let accounts = load::accounts(&config.identity.accounts, &config.identity.attributes)?;
        let local = Local::open(config)
            .await
            .map_err(|failure| format!("{failure:?}"))?;
        Ok(Self {
            world,
            local,
            accounts,
            _folder: folder,
        })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        self.world.root()
    }

    /// Its policies and tables in this process.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// The engine over it.
    pub fn engine(&self) -> &Engine {
        &self.local.engine
    }

    /// A persona that asks from this machine; without a purpose of the test's own it states the
    /// persona's usual one. The time is a working day in 2026, so that tests do not age.
    pub fn ask(&self, id: &str, purpose: Option<&str>) -> Result<Ask, Trouble> {
        let principal = self
            .accounts
            .vouch(id)
            .ok_or_else(|| format!("there is no account {id}"))?;
        let usual = persona(id).map(|persona| persona.purpose);
        let mut context = Context::at("2026-03-02T10:00:00Z".parse()?);
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        context.ip = Some(here);
        context.networks = self.local.config.networks.containing(here);
        let purpose = purpose.or(usual).map(str::to_owned);
        let settings = SessionSettings {
            purpose,
            ..SessionSettings::default()
        };
        Ok(Ask {
            principal,
            context,
            settings,
            session: None,
            default_schema: None,
            time_zone: None,
        })
    }

    /// All that a statement gives.
    pub async fn rows(&self, ask: &Ask, sql: &str) -> Result<Vec<RecordBatch>, Refusal> {
        self.engine().run(ask, sql, None).await?.try_collect().await
    }

    /// Serves it on a free port, with a ledger of its own, until the answer is dropped.
    pub fn serve(&self) -> Result<Served, Trouble> {
        // a runtime of its own: the one of the test that happened to be first would end with it
        let runtime = Runtime::new()?;
        let ledger = tempfile::tempdir()?;
        let mut config = self.local.config.clone();
        ledger.path().clone_into(&mut config.ledger);
        config.listen.flight.set_port(0);
        let (sender, receiver) = std::sync::mpsc::channel();
        let start = async move {
            let started = Server::start(config, Arc::new(SystemClock)).await;
            // the other end waits below
            drop(sender.send(started));
        };
        drop(runtime.spawn(start));
        let running = receiver.recv()??;
        Ok(Served {
            running: Some(running),
            runtime: Some(runtime),
            ledger,
        })
    }
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<u64, Weak<TestWorld>>> {
    WORLDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server over the demo world.
#[derive(Debug)]
pub struct Served {
    running: Option<Running>,
    runtime: Option<Runtime>,
    ledger: TempDir,
}

impl Served {
    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.as_ref().map(Running::address)
    }

    /// The folder of its ledger.
    pub fn ledger(&self) -> &Path {
        self.ledger.path()
    }

    /// A persona's connection, signed in, with its purpose stated.
    pub async fn client(
        &self,
        id: &str,
        purpose: &str,
    ) -> Result<FlightSqlServiceClient<Channel>, Trouble> {
        let address = self.address().ok_or("the server has stopped")?;
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect()
            .await?;
        let mut client = FlightSqlServiceClient::new(channel);
        drop(client.handshake(id, PASSWORD).await?);
        client.set_header("x-scrim-purpose", purpose);
        Ok(client)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::TestWorld;

    #[tokio::test]
    async fn a_persona_gets_the_same_in_process_and_over_flight() {
        let world = TestWorld::demo().await.unwrap();
        let sql = "SELECT count(*) AS n FROM care.patients";
        let ask = world.ask("rolf", None).unwrap();
        let here = world.rows(&ask, sql).await.unwrap();
        let served = world.serve().unwrap();
        let mut client = served.client("rolf", "research").await.unwrap();
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let stream = client.do_get(ticket).await.unwrap();
        let there: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(here[0].column(0), there[0].column(0));
    }
}
