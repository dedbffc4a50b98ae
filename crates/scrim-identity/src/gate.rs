//! How many may check passwords at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::recent::Credential;

/// How many may wait for a place, each on a thread of its own.
const WAITING_MAX: usize = 128;

/// Lets a few through at a time, and of those that bring the same credential one after the other:
/// each run of Argon2id takes a processor and tens of megabytes, and anybody can ask for one.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
    /// What those inside brought, at most as many as there are places.
    inside: Vec<Credential>,
}

impl State {
    fn is_closed_to(&self, credential: &Credential) -> bool {
        self.free == 0 || self.inside.contains(credential)
    }
}

/// A place inside; dropping it lets others in.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    gate: &'a Gate,
    credential: &'a Credential,
}

impl Gate {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free: places,
                waiting: 0,
                inside: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place; `None` when too many wait already. Who comes in may find that what they
    /// wanted to prove was proven while they waited.
    pub(crate) fn enter<'a>(&'a self, credential: &'a Credential) -> Option<Place<'a>> {
        let mut state = self.state();
        if state.is_closed_to(credential) && state.waiting >= WAITING_MAX {
            return None;
        }
        state.waiting += 1;
        let waited = self
            .changed
            .wait_while(state, |state| state.is_closed_to(credential));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state.free -= 1;
        state.inside.push(credential.clone());
        Some(Place {
            gate: self,
            credential,
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.free += 1;
        state.inside.retain(|inside| inside != self.credential);
        drop(state);
        // All: the first to wake may wait for another credential than the one that left.
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use scrim_model::Secret;

    use super::{Gate, WAITING_MAX};
    use crate::recent::{Credential, CredentialKey};

    fn credentials(count: usize) -> Vec<Credential> {
        let key = CredentialKey::generate().unwrap();
        let password = Secret::new("pw".to_owned());
        (0..count)
            .map(|number| key.credential(&number.to_string(), &password, "hash"))
            .collect()
    }

    /// Sixteen come at once, each with one of these credentials; the most that were ever inside.
    fn most_inside(gate: &Gate, credentials: &[Credential]) -> usize {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for credential in credentials.iter().cycle().take(16) {
                scope.spawn(|| {
                    let place = gate.enter(credential).unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(place);
                });
            }
        });
        let state = gate.state();
        assert_eq!((state.waiting, state.inside.len()), (0, 0));
        most.load(Ordering::SeqCst)
    }

    #[test]
    fn no_more_than_the_places_are_inside_and_all_get_in() {
        assert!((1..=2).contains(&most_inside(&Gate::new(2), &credentials(16))));
    }

    #[test]
    fn one_credential_is_inside_once_and_others_are_not_kept_out() {
        let gate = Gate::new(4);
        assert_eq!(most_inside(&gate, &credentials(1)), 1);
        let credentials = credentials(4);
        let places: Vec<_> = credentials.iter().map(|c| gate.enter(c).unwrap()).collect();
        assert_eq!(gate.state().free, 0);
        drop(places);
        assert_eq!(gate.state().free, 4);
    }

    #[test]
    fn who_comes_when_too_many_wait_is_sent_away() {
        let credentials = credentials(2);
        let [first, second] = &credentials[..] else {
            panic!("two were asked for")
        };
        // No place for anybody, and a place for others only.
        for (places, comes) in [(1, second), (2, first)] {
            let gate = Gate::new(places);
            let place = gate.enter(first).unwrap();
            gate.state().waiting = WAITING_MAX;
            assert!(gate.enter(comes).is_none());
            gate.state().waiting = 0;
            drop(place);
            assert!(gate.enter(comes).is_some());
        }
    }
}
