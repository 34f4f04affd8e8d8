//! What was presented once and may not be again.
//!
//! In the memory of one process, and only what was verified gets in. What was
//! made before the memory began may have been presented already, so it is
//! refused as well: a restart, a crash or another node taking over lets
//! nobody in twice. Whoever made it may have had a clock that runs ahead, so
//! that goes for what says that it was made a little later, too.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::digest::{SHA256, digest};
use thiserror::Error;

use crate::model::time::{Timestamp, Ttl};

/// The most that is remembered of all.
pub const MAX_ALL: usize = 65_536;
/// The most that is remembered of one issuer or agent, so that none of them
/// can fill the memory for the others.
pub const MAX_EACH: usize = 8_192;
/// How far the clocks of two nodes of this server may differ.
const NODES_DIFFER: Ttl = Ttl::from_secs(2);

/// Why something may not be presented.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Spent {
    /// It was presented before.
    #[error("it was presented before")]
    Before,
    /// It was made before this memory began, so it may have been.
    #[error("it was made before this process started, and may have been presented before")]
    Unknown,
    /// There is no room to remember it.
    #[error("too many are remembered already")]
    Full,
}

/// Something that may be presented once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Who made it: ids are unique for one maker only.
    pub maker: String,
    /// Its id.
    pub id: String,
    /// When it was made, as it says.
    pub made_at: Timestamp,
    /// How far ahead that may be of the clock of whoever accepts it.
    pub ahead: Ttl,
    /// Until when it could be presented.
    pub until: Timestamp,
}

/// The memory.
#[derive(Debug, Default)]
pub struct Presented(Mutex<Memory>);

type Key = [u8; 32];

#[derive(Debug, Default)]
struct Memory {
    since: Option<Timestamp>,
    // In the order in which they can be forgotten.
    queue: BTreeSet<(Timestamp, Key)>,
    // From what was presented to its maker.
    known: HashMap<Key, Key>,
    counts: HashMap<Key, usize>,
}

impl Presented {
    /// Says that what was presented up to `now` may have been presented
    /// elsewhere: this process has just taken over. Before this is said,
    /// everything may.
    pub fn begin(&self, now: Timestamp) {
        self.lock().since = Some(now);
    }

    /// Says whether it could be presented now, and remembers nothing.
    ///
    /// # Errors
    /// [`Spent`].
    pub fn look(&self, once: &Once) -> Result<(), Spent> {
        self.lock().look(once).map(drop)
    }

    /// Remembers everything, or nothing if one of them is spent.
    ///
    /// # Errors
    /// [`Spent`].
    pub fn spend(&self, all: &[Once], now: Timestamp) -> Result<(), Spent> {
        let mut memory = self.lock();
        memory.forget(now);
        let mut keys = Vec::with_capacity(all.len());
        for once in all {
            let pair = memory.look(once)?;
            if keys.contains(&pair) {
                return Err(Spent::Before);
            }
            keys.push(pair);
        }
        for (once, (maker, key)) in all.iter().zip(keys) {
            memory.keep(once.until, maker, key);
        }
        Ok(())
    }

    /// Drops what has expired.
    pub fn forget_expired(&self, now: Timestamp) {
        self.lock().forget(now);
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn look(&self, once: &Once) -> Result<(Key, Key), Spent> {
        let maker = sum(&[&once.maker]);
        let key = sum(&[&once.maker, &once.id]);
        // Times in tokens are whole seconds.
        let may_have_been = |since: Timestamp| {
            once.made_at.unix() <= since.plus(once.ahead).plus(NODES_DIFFER).unix()
        };
        if self.since.is_none_or(may_have_been) {
            return Err(Spent::Unknown);
        }
        if self.known.contains_key(&key) {
            return Err(Spent::Before);
        }
        let of_maker = self.counts.get(&maker).copied().unwrap_or_default();
        if self.known.len() >= MAX_ALL || of_maker >= MAX_EACH {
            return Err(Spent::Full);
        }
        Ok((maker, key))
    }

    fn keep(&mut self, until: Timestamp, maker: Key, key: Key) {
        self.known.insert(key, maker);
        self.queue.insert((until, key));
        let count = self.counts.entry(maker).or_default();
        *count = count.saturating_add(1);
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((until, key)) = self.queue.first().copied() {
            if until >= now {
                break;
            }
            self.queue.pop_first();
            let Some(maker) = self.known.remove(&key) else {
                continue;
            };
            if let Some(count) = self.counts.get_mut(&maker) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.counts.remove(&maker);
                }
            }
        }
    }
}

/// A digest over the parts and their lengths.
fn sum(parts: &[&str]) -> Key {
    let mut text = String::new();
    for part in parts {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    let mut key = [0; 32];
    for (to, from) in key
        .iter_mut()
        .zip(digest(&SHA256, text.as_bytes()).as_ref())
    {
        *to = *from;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn once(maker: &str, id: &str) -> Once {
        Once {
            maker: maker.to_owned(),
            id: id.to_owned(),
            made_at: at(100),
            ahead: Ttl::from_secs(30),
            until: at(200),
        }
    }

    fn since(seconds: i64) -> Presented {
        let replays = Presented::default();
        replays.begin(at(seconds));
        replays
    }

    #[test]
    fn a_second_time_is_one_too_many_until_it_has_expired() {
        let replays = since(0);
        replays.spend(&[once("a", "1")], at(100)).unwrap();
        assert_eq!(
            replays.spend(&[once("a", "1")], at(200)),
            Err(Spent::Before)
        );
        replays.spend(&[once("b", "1")], at(100)).unwrap();
        replays.spend(&[once("a", "2")], at(100)).unwrap();
        replays.spend(&[once("a", "1")], at(201)).unwrap();
    }

    #[test]
    fn all_or_nothing_and_none_twice_in_one() {
        let replays = since(0);
        replays.spend(&[once("a", "1")], at(100)).unwrap();
        let both = [once("a", "2"), once("a", "1")];
        assert_eq!(replays.spend(&both, at(100)), Err(Spent::Before));
        replays.spend(&[once("a", "2")], at(100)).unwrap();
        let twins = [once("a", "3"), once("a", "3")];
        assert_eq!(replays.spend(&twins, at(100)), Err(Spent::Before));
        replays.spend(&[once("a", "3")], at(100)).unwrap();
    }

    #[test]
    fn what_is_older_than_the_memory_is_refused() {
        // At 68 it could be presented elsewhere, by a clock that is 2 behind.
        for seconds in [100, 69, 68] {
            let spent = since(seconds).spend(&[once("a", "1")], at(101));
            assert_eq!(spent, Err(Spent::Unknown), "{seconds}");
        }
        assert_eq!(since(67).spend(&[once("a", "1")], at(101)), Ok(()));
        let exact = Once {
            ahead: Ttl::ZERO,
            ..once("a", "1")
        };
        assert_eq!(since(97).spend(&[exact], at(101)), Ok(()));
        assert_eq!(
            Presented::default().look(&once("a", "1")),
            Err(Spent::Unknown)
        );
    }

    #[test]
    fn makers_cannot_be_cut_elsewhere() {
        let replays = since(0);
        replays.spend(&[once("ab", "c")], at(100)).unwrap();
        replays.spend(&[once("a", "bc")], at(100)).unwrap();
    }

    #[test]
    fn one_maker_cannot_fill_it_for_the_others() {
        let replays = since(0);
        for id in 0..MAX_EACH {
            replays
                .spend(&[once("flood", &id.to_string())], at(100))
                .unwrap();
        }
        assert_eq!(
            replays.spend(&[once("flood", "more")], at(100)),
            Err(Spent::Full)
        );
        replays.spend(&[once("other", "1")], at(100)).unwrap();
        // It refuses until something has expired.
        replays.spend(&[once("flood", "more")], at(201)).unwrap();
    }

    #[test]
    fn the_whole_of_it_is_bounded() {
        let replays = since(0);
        let mut taken = 0;
        for maker in 0..9 {
            for id in 0..MAX_EACH {
                let once = once(&maker.to_string(), &id.to_string());
                taken += usize::from(replays.spend(&[once], at(100)).is_ok());
            }
        }
        assert_eq!(taken, MAX_ALL);
    }
}
