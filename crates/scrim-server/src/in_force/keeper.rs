//! The one task that puts policies in force: one thing after the other, for whatever reason, so that
//! nothing comes in between.

use std::sync::Arc;
use std::time::Duration;

use scrim_document::SourceFile;
use scrim_ledger::LoadCause;
use scrim_policy::LeftOut;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use super::folder::Found;
use super::handle::{Ask, PoliciesHandle, Request};
use super::watch::Watch;
use super::{InForce, LoadError, Made, Policies, Refused, Why, described, names};
use crate::flight::Flight;
use crate::load::{self, Opening};

const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// How long a mistake in the folder may be one that somebody is about to mend: the other half of a
/// file, the other file of two.
const SETTLE: Duration = Duration::from_millis(500);
/// How often a folder is read again that is another each time.
const READS_MAX: usize = 20;
/// The pause between two looks at a folder of which nobody tells what happens in it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The task.
#[derive(Debug)]
pub(crate) struct Keeper {
    in_force: InForce,
    requests: mpsc::Receiver<Request>,
    watch: Watch,
    at_once: Arc<Notify>,
    heal: Option<Heal>,
    /// What the folder says and cannot be put in force.
    bad: Option<Bad>,
    /// What the last attempt to serve what is left out said; the same again is no news.
    said: String,
}

/// When to try next to serve what is left out.
#[derive(Debug)]
struct Heal {
    pause: Duration,
    due: Instant,
}

/// Policies in the folder with which something is wrong.
#[derive(Debug)]
struct Bad {
    version: String,
    known_version: Option<String>,
    /// Whether it is no fault of theirs, so that they are tried again.
    is_passing: bool,
    /// Why, and when it is to be told: until then it may be mended.
    untold: Option<(LoadError, Instant)>,
}

impl Keeper {
    /// A task for what is in force, and how others reach it.
    pub(crate) fn new(in_force: InForce, watch: Watch) -> (Self, PoliciesHandle, Arc<Notify>) {
        let (handle, requests) = PoliciesHandle::new(in_force.policies());
        let at_once = Arc::new(Notify::new());
        let mut keeper = Self {
            in_force,
            requests,
            watch,
            at_once: Arc::clone(&at_once),
            heal: None,
            bad: None,
            said: String::new(),
        };
        keeper.plan_healing();
        (keeper, handle, at_once)
    }

    /// Works until nobody can ask for anything any more.
    pub(crate) async fn run(mut self, flight: Arc<Flight>) {
        // What happened between the first load and now.
        self.look(&flight).await;
        loop {
            let heal_at = self.heal.as_ref().map(|heal| heal.due);
            let untold = self.bad.as_ref().and_then(|bad| bad.untold.as_ref());
            let tell_at = untold.map(|(_, due)| *due);
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => {
                        self.answer(request).await;
                        // It may have come with other changes.
                        self.look(&flight).await;
                    }
                    None => return,
                },
                () = self.watch.changed() => self.look(&flight).await,
                () = at(heal_at) => self.heal().await,
                () = self.at_once.notified() => self.heal().await,
                () = at(tell_at) => self.tell_bad().await,
            }
        }
    }

    async fn answer(&mut self, request: Request) {
        let Request { ask, why, reply } = request;
        let outcome = match ask {
            Ask::Folder => self.reload(&why).await,
            Ask::Version(prefix) => self.roll_back(&prefix, &why).await,
        };
        self.plan_healing();
        if reply.send(outcome).is_err() {
            tracing::debug!("nobody waits for the end of a load");
        }
    }

    /// Puts in force what the folder says, whether or not it has changed; sources are looked at
    /// anew.
    async fn reload(&mut self, why: &Why) -> Result<Policies, Refused> {
        self.watch.settled().await;
        let found = Found::read(&self.in_force.means.inputs).await;
        self.bad = None;
        let loaded = match &found.files {
            Ok(files) => {
                let opening = Opening::Everything;
                self.in_force.load(files, why, None, opening).await
            }
            Err(problems) => Err(problems.clone().into()),
        };
        let Err(error) = loaded else {
            return Ok(self.in_force.policies.borrow().clone());
        };
        self.bad = Some(Bad {
            version: found.version().to_owned(),
            known_version: found.known_version(),
            is_passing: error.is_passing(),
            untold: None,
        });
        let version = found.known_version();
        Err(self.in_force.refuse(version, why, &error).await)
    }

    /// Puts an earlier version in force, until the folder changes.
    async fn roll_back(&mut self, prefix: &str, why: &Why) -> Result<Policies, Refused> {
        let store = self.in_force.means.store.clone();
        let wanted = prefix.to_owned();
        let kept = load::aside(&self.in_force.means.inputs, move || {
            let version = store.find(&wanted)?;
            let files = store.get(&version)?;
            Ok::<_, LoadError>((version, files))
        });
        let kept = match kept.await {
            Ok(kept) => kept,
            Err(problems) => Err(problems.into()),
        };
        let (version, files) = match kept {
            Ok((version, files)) => (Some(version), Ok(files)),
            Err(error) => (None, Err(error)),
        };
        let outcome = match files {
            Ok(files) => self.force(&files, version.as_deref(), why).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(self.in_force.policies.borrow().clone()),
            Err(error) => Err(self.in_force.refuse(version, why, &error).await),
        }
    }

    async fn force(
        &mut self,
        files: &[SourceFile],
        version: Option<&str>,
        why: &Why,
    ) -> Result<(), LoadError> {
        let found = Found::read(&self.in_force.means.inputs).await;
        // What the folder says anyway is no rollback.
        let folder = Some(found.version()).filter(|folder| Some(*folder) != version);
        let opening = Opening::WhatIsNew;
        self.in_force.load(files, why, folder, opening).await?;
        self.bad = None;
        Ok(())
    }

    /// Looks at the folder and the accounts, and puts in force what has changed.
    async fn look(&mut self, flight: &Flight) {
        let found = self.read_settled().await;
        if let Some(shadow) = &self.in_force.means.shadow {
            shadow.look();
        }
        let inputs = &self.in_force.means.inputs;
        if let Some(accounts) = self.watch.accounts_changed(inputs).await {
            match flight.replace_accounts(accounts).await {
                Ok(()) => tracing::info!("the accounts file has changed and counts"),
                Err(error) => tracing::error!(%error, "sessions are closed, and not recorded"),
            }
        }
        if self.in_force.is_known(&found) {
            self.bad = None;
            self.in_force.forget_refused().await;
            return;
        }
        let before = self.bad.take_if(|bad| bad.version == found.version());
        if before.as_ref().is_some_and(|before| !before.is_passing) {
            self.bad = before;
            return;
        }
        let was_told = before.is_some_and(|before| before.untold.is_none());
        let why = Why::from(LoadCause::Folder);
        let loaded = match &found.files {
            Ok(files) => {
                let opening = Opening::WhatIsNew;
                self.in_force.load(files, &why, None, opening).await
            }
            Err(problems) => Err(problems.clone().into()),
        };
        self.bad = loaded.err().map(|error| Bad {
            version: found.version().to_owned(),
            known_version: found.known_version(),
            is_passing: error.is_passing(),
            untold: (!was_told).then(|| (error, Instant::now() + SETTLE)),
        });
        self.plan_healing();
    }

    /// Reads the folder once nobody is writing to it.
    async fn read_settled(&mut self) -> Found {
        let told = self.watch.settled().await;
        // Before the folder is read, so that no change falls between both.
        self.watch.renew(&self.in_force.means.inputs).await;
        let inputs = &self.in_force.means.inputs;
        let started = Instant::now();
        let mut found = Found::read(inputs).await;
        self.watch.looked(started.elapsed());
        if told || self.in_force.is_known(&found) {
            return found;
        }
        // Found by chance: whoever writes may be about to write more.
        for _ in 0..READS_MAX {
            tokio::time::sleep(LOOK_AGAIN).await;
            let again = Found::read(inputs).await;
            if again.version() == found.version() {
                break;
            }
            found = again;
        }
        found
    }

    /// What is wrong in the folder is no passing state.
    async fn tell_bad(&mut self) {
        let Some(bad) = &mut self.bad else {
            return;
        };
        let version = bad.known_version.clone();
        if let Some((error, _)) = bad.untold.take() {
            let why = Why::from(LoadCause::Folder);
            self.in_force.refuse(version, &why, &error).await;
        }
    }

    /// Tries to serve what is left out, under the policies that are in force. Whoever waits for the
    /// attempt is told that it was made.
    async fn heal(&mut self) {
        let before = self.in_force.left_out.borrow().clone();
        if before.is_empty() {
            self.heal = None;
            return;
        }
        let (files, folder) = {
            let policies = self.in_force.policies.borrow();
            (Arc::clone(&policies.files), policies.folder.clone())
        };
        let kept = (&self.in_force.open, Opening::WhatIsNew);
        let why = Why::from(LoadCause::SourceHealed);
        let failed = match self.in_force.means.make(&files, kept).await {
            Ok(made) if is_progress(&before, &made.loaded.left_out) => {
                match self.in_force.replace(made, &why, folder.as_deref()).await {
                    Ok(()) => None,
                    Err(error) => Some(format!("the policies in force stay: {error}")),
                }
            }
            Ok(Made { loaded, .. }) => {
                let said = described(&loaded.left_out);
                if names(&loaded.left_out) == names(&before) {
                    self.in_force.still_left_out(loaded.left_out);
                }
                Some(said)
            }
            Err(error) => Some(format!(
                "the policies cannot be loaded anew, those in force stay: {error}"
            )),
        };
        let pause = self.heal.as_ref().map_or(PAUSE_MIN, |heal| heal.pause);
        let pause = match failed {
            None => PAUSE_MIN,
            Some(failed) => {
                self.say(&failed);
                self.in_force.left_out.send_modify(|_| {});
                PAUSE_MAX.min(pause * 2)
            }
        };
        self.heal = None;
        self.plan_healing_in(pause);
    }

    fn say(&mut self, text: &str) {
        if self.said != text {
            tracing::warn!("{text}");
            text.clone_into(&mut self.said);
        }
    }

    fn plan_healing(&mut self) {
        self.plan_healing_in(PAUSE_MIN);
    }

    /// Plans the next attempt if something is left out and none is planned.
    fn plan_healing_in(&mut self, pause: Duration) {
        if self.in_force.left_out.borrow().is_empty() {
            self.heal = None;
        } else if self.heal.is_none() {
            let due = Instant::now() + jittered(pause);
            self.heal = Some(Heal { pause, due });
        }
    }
}

impl InForce {
    /// The same tables as before, with what was found this time.
    fn still_left_out(&self, left_out: Vec<LeftOut>) {
        self.left_out.send_replace(left_out.clone());
        self.policies
            .send_modify(|policies| policies.left_out = left_out);
    }
}

/// Something is served again, and nothing is lost.
fn is_progress(before: &[LeftOut], after: &[LeftOut]) -> bool {
    after.len() < before.len() && names(after).is_subset(&names(before))
}

/// A moment that may never come.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// A pause that is up to half as long again, so that servers that broke together do not try
/// together.
fn jittered(pause: Duration) -> Duration {
    // Without randomness from the system there is none, which harms nobody here.
    let random = getrandom::u32().unwrap_or_default();
    let more = pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
    PAUSE_MAX.min(pause + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_14_pauses_have_a_lower_and_an_upper_bound() {
        for pause in [PAUSE_MIN, PAUSE_MIN * 8, PAUSE_MAX] {
            for _ in 0..100 {
                let jittered = jittered(pause);
                assert!(pause <= jittered && jittered <= PAUSE_MAX, "{jittered:?}");
            }
        }
    }
}
