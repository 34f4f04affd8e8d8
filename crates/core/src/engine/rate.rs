//! Rates: how often an agent may be allowed by one rule.
//!
//! The book of counters is state, but it has no clock and no lock of its own:
//! the mount owns it, gives `now`, and serialises access.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use super::policy::RuleRef;
use crate::model::ids::AgentId;
use crate::model::time::{Timestamp, Ttl};

/// The most uses a rate may count.
pub const MAX_COUNT: u32 = 10_000;
/// The longest window of a rate.
pub const MAX_WINDOW: Ttl = Ttl::from_secs(24 * 60 * 60);

/// So many uses in any span of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub window: Ttl,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a rate; write a number from 1 to {MAX_COUNT} per up to 24 hours, as in `30/1m`"
            )
        };
        let (count, window) = text.split_once('/').ok_or_else(wrong)?;
        let count = count
            .parse()
            .ok()
            .filter(|count| (1..=MAX_COUNT).contains(count))
            .ok_or_else(wrong)?;
        let window = super::duration::parse(window).map_err(|_| wrong())?;
        if window.is_zero() || window > MAX_WINDOW {
            return Err(wrong());
        }
        Ok(Self { count, window })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.window)
    }
}

/// One use that an allowed request makes of a rule's rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Whose.
    pub agent: AgentId,
    /// Of which rule.
    pub rule: RuleRef,
    /// What the rule allows.
    pub rate: Rate,
}

/// Why a charge was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rate is exhausted.
    Exceeded,
    /// The book is full of counters that are all in use.
    Full,
}

/// How many parts a window is counted in. A use leaves the count with its
/// part, so it may count up to one part too long and never too short.
const PARTS: u64 = 32;
/// The most counters.
const MAX_COUNTERS: usize = 50_000;

/// The counters of a mount.
#[derive(Debug)]
pub struct RateBook {
    counters: BTreeMap<Key, Counter>,
    most: usize,
}

/// Agent, policy, rule, and the window: a rule whose window changes starts to
/// count anew rather than mixing two lengths.
type Key = (AgentId, String, String, Ttl);

/// The uses in one sliding window: parts of it with their counts, oldest
/// first, never more than [`PARTS`] + 1.
#[derive(Debug, Default)]
struct Counter {
    parts: VecDeque<(i64, u32)>,
}

impl Default for RateBook {
    fn default() -> Self {
        Self::new(MAX_COUNTERS)
    }
}

impl RateBook {
    /// A book of at most so many counters.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self {
            counters: BTreeMap::new(),
            most,
        }
    }

    /// How much of the charge's rate is used in the window that ends at `now`.
    #[must_use]
    pub fn count(&self, charge: &Charge, now: Timestamp) -> u32 {
        self.counters
            .get(&key(charge))
            .map_or(0, |counter| counter.count(charge.rate.window, now))
    }

    /// Makes every charge, or none.
    ///
    /// # Errors
    /// If one of the rates is exhausted, or the book is full.
    pub fn try_charge(&mut self, charges: &[Charge], now: Timestamp) -> Result<(), Refusal> {
        let mut wanted: BTreeMap<Key, (u32, Rate)> = BTreeMap::new();
        for charge in charges {
            let entry = wanted.entry(key(charge)).or_insert((0, charge.rate));
            entry.0 = entry.0.saturating_add(1);
        }
        for (key, (uses, rate)) in &wanted {
            let used = self
                .counters
                .get(key)
                .map_or(0, |counter| counter.count(rate.window, now));
            if used.saturating_add(*uses) > rate.count {
                return Err(Refusal::Exceeded);
            }
        }
        let new = wanted
            .keys()
            .filter(|key| !self.counters.contains_key(key))
            .count();
        if self.counters.len().saturating_add(new) > self.most {
            self.forget_idle(now);
            let new = wanted
                .keys()
                .filter(|key| !self.counters.contains_key(key))
                .count();
            if self.counters.len().saturating_add(new) > self.most {
                return Err(Refusal::Full);
            }
        }
        for (key, (uses, rate)) in wanted {
            self.counters
                .entry(key)
                .or_default()
                .add(uses, rate.window, now);
        }
        Ok(())
    }

    /// Drops the counters whose window has passed.
    pub fn forget_idle(&mut self, now: Timestamp) {
        self.counters
            .retain(|(.., window), counter| counter.count(*window, now) > 0);
    }
}

fn key(charge: &Charge) -> Key {
    let rule = &charge.rule;
    (
        charge.agent.clone(),
        rule.policy().to_string(),
        rule.name().to_owned(),
        charge.rate.window,
    )
}

/// The length of a part of a window, in milliseconds; never zero.
fn part_millis(window: Ttl) -> i64 {
    let millis = window.as_secs().saturating_mul(1000).div_ceil(PARTS).max(1);
    i64::try_from(millis).unwrap_or(i64::MAX)
}

impl Counter {
    fn count(&self, window: Ttl, now: Timestamp) -> u32 {
        let oldest = Self::oldest(window, now);
        let inside = self.parts.iter().filter(|(part, _)| *part >= oldest);
        inside.fold(0, |sum, (_, uses)| sum.saturating_add(*uses))
    }

    /// A clock that goes back adds to the newest part: uses are never
    /// forgotten early.
    fn add(&mut self, uses: u32, window: Ttl, now: Timestamp) {
        let oldest = Self::oldest(window, now);
        while self.parts.front().is_some_and(|(part, _)| *part < oldest) {
            self.parts.pop_front();
        }
        let part = now.unix_millis().div_euclid(part_millis(window));
        match self.parts.back_mut() {
            Some((newest, count)) if *newest >= part => *count = count.saturating_add(uses),
            _ => self.parts.push_back((part, uses)),
        }
    }

    /// The part that the beginning of the window falls into.
    fn oldest(window: Ttl, now: Timestamp) -> i64 {
        let window_millis = window.as_i64().saturating_mul(1000);
        let begin = now
            .unix_millis()
            .saturating_sub(window_millis)
            .saturating_add(1);
        begin.div_euclid(part_millis(window))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::policy::{CompiledPolicy, Effect, PolicySet, Rule};

    fn charge(agent: u8, rate: &str) -> Charge {
        let name: crate::model::ids::PolicyName = "p".parse().unwrap();
        let policy = CompiledPolicy {
            name: name.clone(),
            rules: vec![Rule::new("r", Effect::Allow)],
        };
        let set = PolicySet::attach(
            std::slice::from_ref(&name),
            &[(name.clone(), Arc::new(policy))].into(),
        );
        Charge {
            agent: AgentId::mint(Timestamp::EPOCH, [agent; 10]),
            rule: set.rules().next().unwrap(),
            rate: rate.parse().unwrap(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds.saturating_add(1_800_000_000))
    }

    #[test]
    fn a_window_slides() {
        let (mut book, one) = (RateBook::default(), [charge(1, "3/1m")]);
        for second in [0, 20, 40] {
            assert_eq!(book.try_charge(&one, at(second)), Ok(()));
        }
        assert_eq!(book.try_charge(&one, at(59)), Err(Refusal::Exceeded));
        assert_eq!(
            book.try_charge(&one, at(62)),
            Ok(()),
            "the first has left the window"
        );
        assert_eq!(book.try_charge(&one, at(63)), Err(Refusal::Exceeded));
    }

    #[test]
    fn all_charges_are_made_or_none() {
        let mut book = RateBook::default();
        let (tight, wide) = (charge(1, "1/1m"), charge(2, "5/1m"));
        assert_eq!(
            book.try_charge(&[tight.clone(), wide.clone()], at(0)),
            Ok(())
        );
        assert_eq!(
            book.try_charge(&[wide.clone(), tight], at(1)),
            Err(Refusal::Exceeded)
        );
        assert_eq!(book.count(&wide, at(1)), 1);
        assert_eq!(
            book.try_charge(&vec![wide; 5], at(1)),
            Err(Refusal::Exceeded),
            "one of them is one too many"
        );
    }

    #[test]
    fn the_book_is_bounded_and_refuses_when_full() {
        let mut book = RateBook::new(2);
        for agent in [1, 2] {
            assert_eq!(book.try_charge(&[charge(agent, "1/10s")], at(0)), Ok(()));
        }
        assert_eq!(
            book.try_charge(&[charge(3, "1/10s")], at(5)),
            Err(Refusal::Full)
        );
        assert_eq!(
            book.try_charge(&[charge(3, "1/10s")], at(20)),
            Ok(()),
            "idle counters made room"
        );
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_free() {
        let (mut book, one) = (RateBook::default(), [charge(1, "2/1m")]);
        assert_eq!(book.try_charge(&one, at(100)), Ok(()));
        assert_eq!(book.try_charge(&one, at(0)), Ok(()));
        assert_eq!(book.try_charge(&one, at(0)), Err(Refusal::Exceeded));
        assert_eq!(book.try_charge(&one, at(101)), Err(Refusal::Exceeded));
    }

    #[test]
    fn memory_of_one_counter_is_bounded() {
        let (mut book, one) = (RateBook::default(), [charge(1, "10000/1h")]);
        for second in 0..9_000 {
            assert_eq!(book.try_charge(&one, at(second)), Ok(()));
        }
        let counter = book.counters.values().next().unwrap();
        assert!(counter.parts.len() as u64 <= PARTS + 1);
    }

    #[test]
    fn rates_have_one_form() {
        assert_eq!(
            "30/1m".parse(),
            Ok(Rate {
                count: 30,
                window: Ttl::from_secs(60)
            })
        );
        for bad in [
            "", "30", "0/1m", "30/0s", "30/25h", "10001/1m", "-1/1m", "30/m", "30/1m/1s",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}
