//! The demo world: a hospital, an insurer and a research institute in one folder that
//! `scrim serve` could serve as it is.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use scrim_identity::{IdentityError, KeyFile, hash_password, write_new_key_file};
use scrim_model::{PrincipalKind, Secret};

use super::data::{self, DataError, DataOptions, DataSize};
use super::files::{ENTITLEMENTS, POLICIES};

/// The password of every account of the demo world.
pub const PASSWORD: &str = "demo";

/// Someone in the demo world.
#[derive(Debug, Clone, Copy)]
pub struct Persona {
    /// The account's id.
    pub id: &'static str,
    /// Its organisation.
    pub org: &'static str,
    /// Its groups.
    pub groups: &'static [&'static str],
    /// Person or program.
    pub kind: PrincipalKind,
    /// Its clearance, if it has one.
    pub clearance: Option<i64>,
    /// The purpose it asks for.
    pub purpose: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
}

/// Everybody who has an account, the three whom the demo shows first.
pub const PERSONAS: &[Persona] = &[
    Persona {
        id: "nora",
        org: "northgate",
        groups: &["analyst"],
        kind: PrincipalKind::Human,
        clearance: Some(3),
        purpose: "operations",
        title: "analyst at the hospital",
    },
    Persona {
        id: "ivan",
        org: "harbor",
        groups: &["fraud"],
        kind: PrincipalKind::Human,
        clearance: Some(2),
        purpose: "fraud-analytics",
        title: "fraud analyst at the insurer",
    },
    Persona {
        id: "rhea",
        org: "meridian",
        groups: &["researcher", "study-7"],
        kind: PrincipalKind::Human,
        clearance: Some(1),
        purpose: "research",
        title: "researcher, member of study 7",
    },
    Persona {
        id: "rolf",
        org: "meridian",
        groups: &["researcher"],
        kind: PrincipalKind::Human,
        clearance: None,
        purpose: "research",
        title: "researcher",
    },
    Persona {
        id: "iris",
        org: "harbor",
        groups: &["fraud"],
        kind: PrincipalKind::Human,
        clearance: Some(1),
        purpose: "fraud-analytics",
        title: "fraud analyst with little clearance",
    },
    Persona {
        id: "harbor-batch",
        org: "harbor",
        groups: &[],
        kind: PrincipalKind::Service,
        clearance: None,
        purpose: "operations",
        title: "nightly settlement job of the insurer",
    },
    Persona {
        id: "luca",
        org: "lumen",
        groups: &[],
        kind: PrincipalKind::Human,
        clearance: None,
        purpose: "research",
        title: "vendor whose pilot has ended",
    },
];

/// The persona of that id.
pub fn persona(id: &str) -> Option<&'static Persona> {
    PERSONAS.iter().find(|persona| persona.id == id)
}

/// How the world is made.
#[derive(Debug, Clone, Copy)]
pub struct WorldOptions {
    /// Its rows.
    pub data: DataOptions,
    /// The port that its `scrim.yaml` listens on; 0 takes any free one.
    pub port: u16,
}

/// The demo world on disk.
#[derive(Debug, Clone)]
pub struct World {
    root: PathBuf,
    size: DataSize,
}

/// Why the demo world could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The rows.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file.
    #[error("cannot write {}", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
    /// The accounts or keys.
    #[error("cannot make the demo's accounts and keys")]
    Identity(#[from] IdentityError),
}

impl World {
    /// Makes the world in an empty folder.
    pub fn create(
        root: &Path,
        options: WorldOptions,
        now: DateTime<Utc>,
    ) -> Result<Self, WorldError> {
        for (path, text) in POLICIES {
            put(root, path, text)?;
        }
        put(root, "lookups/entitlements.csv", ENTITLEMENTS)?;
        put(root, "scrim.yaml", &settings(options.port))?;
        put(root, "accounts.yaml", &accounts()?)?;
        write_new_key_file(&root.join("keys.json"), &KeyFile::generate(now)?)?;
        let size = data::write(&root.join("data"), options.data)?;
        Ok(Self {
            root: root.to_owned(),
            size,
        })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its `scrim.yaml`.
    pub fn config(&self) -> PathBuf {
        self.root.join("scrim.yaml")
    }

    /// How many rows it has.
    pub fn size(&self) -> DataSize {
        self.size
    }
}

fn put(root: &Path, path: &str, text: &str) -> Result<(), WorldError> {
    let path = root.join(path);
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&path, text));
    written.map_err(|error| WorldError::Io(path, error))
}

fn settings(port: u16) -> String {
    format!(
        "\
# The demo world. Serve it yourself: scrim serve --config scrim.yaml
listen: {{flight: \"127.0.0.1:{port}\"}}
policies: policies
environment: demo
ledger: {{path: ledger}}
keys: {{file: keys.json}}
identity:
  accounts: accounts.yaml
  attributes: {{clearance: int64}}
  session: {{ttl: 8h}}
lookup:
  entitlements: {{type: local, path: lookups/entitlements.csv, format: csv}}
networks:
  trusted: [127.0.0.0/8, \"::1/128\"]
limits: {{memory: 1GiB, rows: 10000000, bytes: 2GiB, time: 5m, concurrent_per_principal: 8}}
"
    )
}

fn accounts() -> Result<String, WorldError> {
    use std::fmt::Write as _;

    // one hash for all: the password is public anyway, and hashing is slow on purpose
    let hash = hash_password(&Secret::new(PASSWORD.to_owned()))?;
    let mut text = format!("# Everybody's password is \"{PASSWORD}\".\naccounts:\n");
    for persona in PERSONAS {
        let groups = persona.groups.join(", ");
        let clearance = persona
            .clearance
            .map_or_else(String::new, |level| format!("clearance: {level}"));
        let line = format!(
            "  - {{id: {}, org: {}, groups: [{groups}], roles: [], kind: {}, attributes: {{{clearance}}}, \
             password_hash: \"{hash}\"}}",
            persona.id,
            persona.org,
            persona.kind.as_str(),
        );
        // writing to a string cannot fail
        let written = writeln!(text, "{line}");
        debug_assert!(written.is_ok());
    }
    Ok(text)
}
