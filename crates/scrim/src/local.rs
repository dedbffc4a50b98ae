//! A configuration's policies and tables in this process, for the owner at the keyboard: what
//! `policy check`, `policy test` and `explain` look at. It listens nowhere and writes no ledger but
//! one that it throws away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use scrim_document::Problems;
use scrim_engine::{Engine, EngineConfig, EngineLimits, ExternalDecisions};
use scrim_identity::{KeyFile, read_key_file};
use scrim_ledger::{FILE_NAME, Ledger};
use scrim_model::{Clock, Revocations, Secret, SystemClock};
use scrim_policy::{Documents, LeftOut, PolicySet};
use scrim_server::Config;
use scrim_server::load::{self, Fixtures, Inputs, Loaded};
use tempfile::TempDir;

use crate::outcome::Failure;

/// Policies and tables, loaded and ready to be asked.
#[derive(Debug)]
pub struct Local {
    /// The configuration.
    pub config: Config,
    /// The engine, with the world loaded.
    pub engine: Engine,
    /// The policy set in force.
    pub policy: Arc<PolicySet>,
    /// What loading warned of.
    pub warnings: Problems,
    /// Why tables are not there, of contracts whose sources are not there or do not fit.
    pub left_out: Problems,
    clock: Arc<ForwardClock>,
    /// The throw-away ledger and spill folder.
    _scratch: TempDir,
}

impl Local {
    /// Loads what a configuration names. When it has no key file yet, keys are made up: masks work,
    /// and their tokens mean nothing tomorrow.
    ///
    /// What decides outside the policies is not asked: this is about the policies.
    pub async fn open(config: Config) -> Result<Self, Failure> {
        Self::open_narrowed(config, None).await
    }

    /// Like [`open`](Self::open), with what decides outside the policies: what a server would show.
    pub async fn open_as_served(config: Config) -> Result<Self, Failure> {
        let external = scrim_server::external_decisions(&config)?;
        Self::open_narrowed(config, external).await
    }

    async fn open_narrowed(
        config: Config,
        external: Option<ExternalDecisions>,
    ) -> Result<Self, Failure> {
        let keys = Bench::keys(&config)?;
        let bench = Bench::over(config, keys, external)?;
        let root_key = bench.root_key();
        let loaded = load::policies(&bench.inputs, root_key, &bench.engine).await?;
        let policy = Arc::clone(&loaded.world.policy);
        bench.engine.load(loaded.world);
        Ok(Self {
            config: bench.config,
            engine: bench.engine,
            policy,
            warnings: loaded.warnings,
            left_out: problems_of(loaded.left_out),
            clock: bench.clock,
            _scratch: bench.scratch,
        })
    }

    /// Has what the ledger of the configuration says is revoked hold here, too.
    pub fn recall_revocations(&self) -> Result<Revocations, Failure> {
        let path = self.config.ledger.join(FILE_NAME);
        if !path.exists() {
            return Ok(Revocations::default());
        }
        let revocations = scrim_ledger::revocations(&path);
        let revocations = revocations.map_err(|damage| Failure::failed(&damage))?;
        self.engine.revoke_agreements(revocations.agreements());
        Ok(revocations)
    }

    /// Lets a minute pass, so that limits on the queries of a minute begin anew.
    pub fn pass_a_minute(&self) {
        self.clock.pass_a_minute();
    }
}

/// An engine that policies can be loaded into, one set after the other.
#[derive(Debug)]
pub struct Bench {
    /// The configuration.
    pub config: Config,
    /// What policies are loaded from.
    pub inputs: Inputs,
    /// The engine; it serves nothing until a world is loaded.
    pub engine: Engine,
    keys: KeyFile,
    clock: Arc<ForwardClock>,
    scratch: TempDir,
}

impl Bench {
    /// An engine as a configuration describes it, over keys of its own if there are none.
    ///
    /// # Errors
    /// When keys, credentials or scratch space cannot be had.
    pub fn new(config: Config) -> Result<Self, Failure> {
        let keys = Self::keys(&config)?;
        Self::over(config, keys, None)
    }

    /// The same over keys of its own, whatever keys there are: for those who may not read them and
    /// look at no value.
    ///
    /// # Errors
    /// When credentials or scratch space cannot be had.
    pub fn without_keys(config: Config) -> Result<Self, Failure> {
        let keys = KeyFile::generate(SystemClock.now());
        Self::over(config, keys.map_err(|error| Failure::usage(&error))?, None)
    }

    fn keys(config: &Config) -> Result<KeyFile, Failure> {
        let keys = if config.keys.exists() {
            read_key_file(&config.keys)
        } else {
            KeyFile::generate(SystemClock.now())
        };
        keys.map_err(|error| Failure::usage(&error))
    }

    fn over(
        config: Config,
        keys: KeyFile,
        external: Option<ExternalDecisions>,
    ) -> Result<Self, Failure> {
        let clock = Arc::new(ForwardClock::default());
        let scratch = tempfile::tempdir()?;
        let (ledger, _) = Ledger::open(&scratch.path().join("ledger"), Arc::clone(&clock) as _)
            .map_err(|error| Failure::failed(&error))?;
        let settings = engine_settings(&config, scratch.path().join("spill"));
        let engine = Engine::narrowed(settings, ledger, Arc::clone(&clock) as _, external)
            .map_err(|error| Failure::failed(&error))?;
        Ok(Self {
            inputs: Inputs::new(&config)?,
            config,
            engine,
            keys,
            clock,
            scratch,
        })
    }

    /// Compiles documents, with fixtures in the place of some sources.
    ///
    /// # Errors
    /// All problems of the first step that has any.
    pub async fn load(
        &self,
        documents: Documents,
        fixtures: &Fixtures,
        inputs: &Inputs,
    ) -> Result<Loaded, Problems> {
        load::with_fixtures(documents, fixtures, inputs, self.root_key(), &self.engine).await
    }

    /// The key that masks' keys are made from.
    pub(crate) fn root_key(&self) -> Secret<[u8; 32]> {
        self.keys.root_key()
    }

    /// Lets a minute pass, so that limits on the queries of a minute begin anew.
    pub fn pass_a_minute(&self) {
        self.clock.pass_a_minute();
    }
}

/// Why contracts were left out, all in one.
pub(crate) fn problems_of(left_out: Vec<LeftOut>) -> Problems {
    let mut problems = Problems::default();
    for one in left_out {
        problems.extend(one.problems);
    }
    problems.sort();
    problems
}

/// The system's clock, some minutes ahead.
#[derive(Debug, Default)]
struct ForwardClock {
    minutes: AtomicI64,
}

impl ForwardClock {
    fn pass_a_minute(&self) {
        self.minutes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for ForwardClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::minutes(self.minutes.load(Ordering::Relaxed))
    }
}

fn engine_settings(config: &Config, spill_dir: PathBuf) -> EngineConfig {
    let limits = &config.limits;
    EngineConfig {
        memory_bytes: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX),
        spill_dir,
        partitions: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        limits: EngineLimits {
            rows_max: limits.rows_max,
            bytes_max: limits.bytes_max,
            time: limits.time,
            ..EngineLimits::default()
        },
    }
}

/// Reads a configuration, with the folder of its policies replaced if one is given.
pub fn read_config(path: &Path, policies: Option<&Path>) -> Result<Config, Failure> {
    let mut config = Config::load(path)?;
    if let Some(policies) = policies {
        policies.clone_into(&mut config.policies);
    }
    Ok(config)
}

/// The configuration for a folder of policies: the given one, else `scrim.yaml` in the folder or
/// beside it; without a folder, the one in the current folder.
pub fn find_config(dir: Option<&Path>, given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let Some(dir) = dir else {
        return Ok(PathBuf::from("scrim.yaml"));
    };
    if !dir.is_dir() {
        return Err(Failure::Usage(format!("{} is no folder", dir.display())));
    }
    let beside = [dir.join("scrim.yaml"), dir.join("..").join("scrim.yaml")];
    beside.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Failure::Usage(format!(
            "there is no scrim.yaml in {} or beside it: add --config FILE, which names sources, \
             look-ups and networks",
            dir.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::find_config;

    #[test]
    fn the_configuration_lies_in_the_folder_or_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let policies = root.path().join("policies");
        std::fs::create_dir(&policies).unwrap();
        assert!(find_config(Some(&policies), None).is_err());
        std::fs::write(root.path().join("scrim.yaml"), "").unwrap();
        assert!(find_config(Some(&policies), None).unwrap().is_file());
        assert_eq!(
            find_config(None, None).unwrap(),
            std::path::Path::new("scrim.yaml")
        );
    }
}
