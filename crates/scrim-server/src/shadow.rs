//! Policies that are not enforced, under which queries are decided as well.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use scrim_document::Problems;
use scrim_engine::Engine;
use scrim_ledger::{Event, Ledger};
use scrim_model::Secret;
use tokio::sync::Mutex;

use crate::in_force::Found;
use crate::load::{self, Inputs, Loaded, OpenSources, Opening};

/// A second folder of policies. Whatever is wrong with it is told and has no effect on what is
/// served.
#[derive(Debug, Clone)]
pub(crate) struct Shadow {
    inputs: Inputs,
    root_key: Secret<[u8; 32]>,
    engine: Engine,
    ledger: Ledger,
    /// Held while the folder is read, so that a reading that began later also ends later.
    last: Arc<Mutex<Last>>,
    /// Whether somebody waits to look at the folder, who will see all that is there by then.
    waiting: Arc<AtomicBool>,
}

/// What the last reading left.
#[derive(Debug, Default)]
struct Last {
    /// What the folder said, whether or not it could be loaded.
    found: Option<String>,
    /// The version that the ledger knows of.
    told: Option<String>,
    /// Whether the ledger knows that it could not be loaded.
    lost: bool,
    /// The sources that are open already.
    open: OpenSources,
}

impl Shadow {
    /// The policies of a folder, beside those of `inputs`.
    pub(crate) fn new(
        folder: &Path,
        inputs: &Inputs,
        root_key: Secret<[u8; 32]>,
        engine: Engine,
        ledger: Ledger,
    ) -> Self {
        let inputs = Inputs {
            policies: folder.to_owned(),
            ..inputs.clone()
        };
        Self {
            inputs,
            root_key,
            engine,
            ledger,
            last: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// Reads the folder anew, aside: nobody waits for it.
    pub(crate) fn read_again(&self) {
        let shadow = self.clone();
        tokio::spawn(async move {
            let mut last = shadow.last.lock().await;
            let found = Found::read(&shadow.inputs).await;
            shadow.read(found, &mut last).await;
        });
    }

    /// Looks whether the folder says something else than it did, aside, and reads it anew if so.
    pub(crate) fn look(&self) {
        if self.waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let shadow = self.clone();
        tokio::spawn(async move {
            let mut last = shadow.last.lock().await;
            shadow.waiting.store(false, Ordering::Release);
            let found = Found::read(&shadow.inputs).await;
            if last.found.as_deref() != Some(found.version()) {
                shadow.read(found, &mut last).await;
            }
        });
    }

    async fn load(&self, found: Found, open: &OpenSources) -> Result<Loaded, Problems> {
        let folder = &self.inputs.policies;
        let files = found.files?;
        let files = files.iter().map(|file| load::in_folder(folder, file));
        let before = (open, Opening::WhatIsNew);
        let key = self.root_key.clone();
        load::set(files.collect(), &self.inputs, key, &self.engine, before).await
    }

    /// What is not compared must not count as the same.
    async fn tell_lost(&self, last: &mut Last) {
        if !last.lost {
            match self.ledger.event(Event::ShadowLost).await {
                Ok(()) => last.lost = true,
                Err(error) => {
                    tracing::warn!(%error, "that the shadow is lost is not in the ledger");
                }
            }
        }
    }

    async fn read(&self, found: Found, last: &mut Last) {
        last.found = Some(found.version().to_owned());
        let loaded = match self.load(found, &last.open).await {
            Ok(loaded) => loaded,
            Err(problems) => {
                tracing::warn!("the shadow cannot be loaded, so nothing is compared: {problems}");
                self.tell_lost(last).await;
                self.engine.load_shadow(None);
                last.told = None;
                return;
            }
        };
        for left_out in &loaded.left_out {
            let (table, problems) = (&left_out.table, &left_out.problems);
            tracing::warn!(%table, "left out of the shadow: {problems}");
        }
        let version = loaded.world.policy.version().to_owned();
        if last.told.as_ref() != Some(&version) {
            let event = Event::ShadowLoaded {
                version: version.clone(),
            };
            if let Err(error) = self.ledger.event(event).await {
                tracing::warn!(%error, "the shadow is not loaded");
                return;
            }
            tracing::info!(version, "queries are decided under the shadow as well");
            last.told = Some(version);
            last.lost = false;
        }
        last.open = loaded.open;
        self.engine.load_shadow(Some(loaded.world.policy));
    }
}
