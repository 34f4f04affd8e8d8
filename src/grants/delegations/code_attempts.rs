//! How often wrong codes were tried, in memory: guessing must not write to
//! storage.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::model::ids::EntityId;
use crate::model::time::{Timestamp, Ttl};

/// The time over which guesses are counted.
const WINDOW: Ttl = Ttl::from_secs(10 * 60);
/// How many wrong codes one caller may try in it.
const PER_CALLER: u32 = 5;
/// How many wrong codes all callers together may.
const IN_ALL: u32 = 500;
/// How many callers are counted; more of them at once are all refused.
const CALLERS: usize = 10_000;

/// Counters of wrong codes.
#[derive(Debug, Default)]
pub struct CodeAttempts(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    by_caller: HashMap<EntityId, Counter>,
    all: Counter,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    since: Timestamp,
    count: u32,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            since: Timestamp::EPOCH,
            count: 0,
        }
    }
}

impl Counter {
    fn current(&mut self, now: Timestamp) -> &mut u32 {
        if self.since.plus(WINDOW) <= now {
            self.since = now;
            self.count = 0;
        }
        &mut self.count
    }
}

impl CodeAttempts {
    /// Counts a try, before it is known whether it is wrong: many at once
    /// cannot slip through. Whether it may be made.
    #[must_use]
    pub fn begin(&self, caller: &EntityId, now: Timestamp) -> bool {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !counters.by_caller.contains_key(caller) && counters.by_caller.len() >= CALLERS {
            counters
                .by_caller
                .retain(|_, counter| counter.since.plus(WINDOW) > now);
            if counters.by_caller.len() >= CALLERS {
                return false;
            }
        }
        if *counters.all.current(now) >= IN_ALL {
            return false;
        }
        let counter = counters.by_caller.entry(caller.clone()).or_default();
        let count = counter.current(now);
        if *count >= PER_CALLER {
            return false;
        }
        *count = count.saturating_add(1);
        let all = counters.all.current(now);
        *all = all.saturating_add(1);
        true
    }

    /// Takes a try back: the code was right.
    pub fn was_right(&self, caller: &EntityId, now: Timestamp) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.by_caller.get_mut(caller) {
            let count = counter.current(now);
            *count = count.saturating_sub(1);
        }
        let all = counters.all.current(now);
        *all = all.saturating_sub(1);
    }

    /// Drops the counters whose window has passed.
    pub fn forget_idle(&self, now: Timestamp) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters
            .by_caller
            .retain(|_, counter| counter.count > 0 && counter.since.plus(WINDOW) > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> EntityId {
        name.parse().unwrap()
    }

    #[test]
    fn wrong_codes_are_limited_per_caller_and_right_ones_are_not() {
        let (guesses, now) = (CodeAttempts::default(), Timestamp::from_unix(1_000));
        for _ in 0..100 {
            assert!(guesses.begin(&caller("a"), now));
            guesses.was_right(&caller("a"), now);
        }
        for _ in 0..PER_CALLER {
            assert!(guesses.begin(&caller("a"), now));
        }
        assert!(!guesses.begin(&caller("a"), now));
        assert!(guesses.begin(&caller("b"), now));
        assert!(guesses.begin(&caller("a"), now.plus(WINDOW)));
    }

    #[test]
    fn all_callers_together_are_limited() {
        let (guesses, now) = (CodeAttempts::default(), Timestamp::from_unix(1_000));
        for n in 0..IN_ALL {
            assert!(guesses.begin(&caller(&format!("e{n}")), now));
        }
        assert!(!guesses.begin(&caller("fresh"), now));
        guesses.forget_idle(now.plus(WINDOW));
        assert!(guesses.begin(&caller("fresh"), now.plus(WINDOW)));
    }

    #[test]
    fn the_number_of_counters_is_bounded() {
        let guesses = CodeAttempts::default();
        let mut now = Timestamp::from_unix(1_000);
        for n in 0..CALLERS * 2 {
            if n % 400 == 0 {
                now = now.plus(WINDOW);
            }
            assert!(guesses.begin(&caller(&format!("e{n}")), now));
        }
        assert!(guesses.0.lock().unwrap().by_caller.len() <= CALLERS);
    }
}
