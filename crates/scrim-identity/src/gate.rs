//! How many may check passwords at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many may wait for a place, each on a thread of its own.
const WAITING_MAX: usize = 128;

/// Lets a few through at a time: each run of Argon2id takes a processor and tens of megabytes, and
/// anybody can ask for one.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
}

/// A place inside; dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free: places,
                waiting: 0,
            }),
            freed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place; `None` when too many wait already.
    pub(crate) fn enter(&self) -> Option<Place<'_>> {
        let mut state = self.state();
        if state.free == 0 && state.waiting >= WAITING_MAX {
            return None;
        }
        state.waiting += 1;
        let waited = self.freed.wait_while(state, |state| state.free == 0);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state.free -= 1;
        Some(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().free += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::{Gate, WAITING_MAX};

    #[test]
    fn no_more_than_the_places_are_inside_and_all_get_in() {
        let gate = Gate::new(2);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let place = gate.enter().unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(place);
                });
            }
        });
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
        assert_eq!(gate.state().waiting, 0);
    }

    #[test]
    fn who_comes_when_too_many_wait_is_sent_away() {
        let gate = Gate::new(1);
        let place = gate.enter().unwrap();
        gate.state().waiting = WAITING_MAX;
        assert!(gate.enter().is_none());
        gate.state().waiting = 0;
        drop(place);
        assert!(gate.enter().is_some());
    }
}
