//! The latest decisions of this node, in memory: the end of the decision log,
//! and for the latest of all, everything that a changed policy is tried
//! against.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::facts::Facts;
use crate::model::decision::{AccessRequest, Outcome};
use crate::model::ids::{DecisionId, PolicyName};
use crate::model::time::{Timestamp, Ttl};
use crate::record::decisions::entry::Entry;

/// The most decisions that a node may keep in memory.
pub const MOST_MEMORY: u32 = 100_000;

/// How many decisions a node keeps in memory where nothing else is said.
pub const DEFAULT_MEMORY: u32 = 1_000;

/// How many are kept with all that they were made from.
const REPLAYABLE: usize = 1_000;
/// How many entries about nobody known are kept.
const STRANGERS: usize = 250;
/// How many entries are copied out at a time while somebody looks through.
const CHUNK: usize = 512;
/// How far the times of entries may be out of order: an entry is written when
/// its request ends, and says when it began.
pub const SLACK: Ttl = Ttl::from_secs(120);

/// A decision, with all that it was made from.
#[derive(Debug)]
pub struct Decided {
    /// Its id.
    pub id: DecisionId,
    /// What was decided.
    pub outcome: Outcome,
    /// What was asked.
    pub request: AccessRequest,
    /// What was known.
    pub facts: Facts,
    /// The names of the policies of the subject's baseline.
    pub baseline: Option<Vec<PolicyName>>,
}

/// An entry with its place in the order in which this process wrote entries.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The place. Never given twice by one process.
    pub place: u64,
    /// The entry.
    pub entry: Arc<Entry>,
}

/// The latest decisions. At most as many entries as `keep` says, and what
/// strangers did apart from them.
#[derive(Debug)]
pub struct Recent(Mutex<Rings>);

#[derive(Debug)]
struct Rings {
    keep: usize,
    next: u64,
    // Everything from this place on is here.
    whole_from: u64,
    agents: VecDeque<Placed>,
    strangers: VecDeque<Placed>,
    decided: VecDeque<Arc<Decided>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self(Mutex::new(Rings {
            keep: usize::try_from(DEFAULT_MEMORY).unwrap_or(REPLAYABLE),
            next: 0,
            whole_from: 0,
            agents: VecDeque::new(),
            strangers: VecDeque::new(),
            decided: VecDeque::new(),
        }))
    }
}

impl Recent {
    fn rings(&self) -> std::sync::MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry; the oldest of its kind goes.
    pub fn push(&self, entry: Arc<Entry>) -> Placed {
        let mut rings = self.rings();
        let placed = Placed {
            place: rings.next,
            entry,
        };
        rings.next = rings.next.saturating_add(1);
        let keep = rings.keep;
        let (ring, keep) = if placed.entry.is_of_agent() {
            (&mut rings.agents, keep)
        } else {
            (&mut rings.strangers, STRANGERS.min(keep))
        };
        let oldest = if ring.len() >= keep {
            ring.pop_front()
        } else {
            None
        };
        ring.push_back(placed.clone());
        if let Some(gone) = &oldest {
            rings.whole_from = rings.whole_from.max(gone.place.saturating_add(1));
        }
        drop(rings);
        drop(oldest);
        placed
    }

    /// Adds what a decision was made from; the oldest goes.
    pub fn push_decided(&self, decided: Decided) {
        let mut rings = self.rings();
        let limit = REPLAYABLE.min(rings.keep);
        let oldest = if rings.decided.len() >= limit {
            rings.decided.pop_front()
        } else {
            None
        };
        rings.decided.push_back(Arc::new(decided));
        drop(rings);
        drop(oldest);
    }

    /// Says how many entries to keep.
    pub fn keep(&self, entries: u32) {
        let keep = usize::try_from(entries.clamp(1, MOST_MEMORY)).unwrap_or(REPLAYABLE);
        let mut rings = self.rings();
        if rings.keep == keep {
            return;
        }
        rings.keep = keep;
        for (ring, keep) in [(true, keep), (false, STRANGERS.min(keep))] {
            let ring = if ring {
                &mut rings.agents
            } else {
                &mut rings.strangers
            };
            let surplus = ring.len().saturating_sub(keep);
            let gone = ring.drain(..surplus).next_back();
            ring.shrink_to(keep);
            if let Some(gone) = gone {
                rings.whole_from = rings.whole_from.max(gone.place.saturating_add(1));
            }
        }
        let surplus = rings.decided.len().saturating_sub(keep.min(REPLAYABLE));
        rings.decided.drain(..surplus);
    }

    /// How many entries are kept now.
    #[must_use]
    pub fn len(&self) -> usize {
        let rings = self.rings();
        rings.agents.len().saturating_add(rings.strangers.len())
    }

    /// Whether nothing was decided yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All decisions that can be tried again, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Decided>> {
        self.rings().decided.iter().cloned().collect()
    }

    /// What a decision was made from, if that is still remembered.
    #[must_use]
    pub fn decided(&self, id: &DecisionId) -> Option<Arc<Decided>> {
        let rings = self.rings();
        rings
            .decided
            .iter()
            .rev()
            .find(|one| one.id == *id)
            .cloned()
    }

    /// The entry by an id made at `time`.
    #[must_use]
    pub fn find(&self, id: &DecisionId, time: Timestamp) -> Option<Placed> {
        let rings = self.rings();
        find_in(&rings.agents, id, time)
            .or_else(|| find_in(&rings.strangers, id, time))
            .cloned()
    }

    /// The place from which on every entry of this process is remembered.
    #[must_use]
    pub fn whole_from(&self) -> u64 {
        self.rings().whole_from
    }

    /// Shows entries to `look`, the latest first, from those before the
    /// `before`th on, until it says that it has seen enough. Decisions are made
    /// meanwhile.
    pub fn look_back(&self, mut before: u64, mut look: impl FnMut(&Placed) -> bool) {
        loop {
            let chunk = self.chunk(before);
            let Some(last) = chunk.last() else {
                return;
            };
            before = last.place;
            if !chunk.iter().all(&mut look) {
                return;
            }
        }
    }

    /// Some entries before the `before`th, the latest first.
    fn chunk(&self, before: u64) -> Vec<Placed> {
        let rings = self.rings();
        let older = |ring: &VecDeque<Placed>| ring.partition_point(|one| one.place < before);
        let mut agents = rings.agents.range(..older(&rings.agents)).rev().peekable();
        let mut strangers = rings
            .strangers
            .range(..older(&rings.strangers))
            .rev()
            .peekable();
        let latest = std::iter::from_fn(|| match (agents.peek(), strangers.peek()) {
            (Some(one), Some(other)) if one.place < other.place => strangers.next(),
            (Some(_), _) => agents.next(),
            (None, _) => strangers.next(),
        });
        latest.take(CHUNK).cloned().collect()
    }
}

/// Finds an entry by its id: near where its time says it is.
fn find_in<'r>(ring: &'r VecDeque<Placed>, id: &DecisionId, time: Timestamp) -> Option<&'r Placed> {
    let first = ring.partition_point(|placed| placed.entry.at < time.minus(SLACK));
    ring.range(first..)
        .take_while(|placed| placed.entry.at <= time.plus(SLACK))
        .find(|placed| placed.entry.id == *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::decisions::entry::Kind;

    fn entry(second: i64, agent: bool) -> Arc<Entry> {
        let at = Timestamp::from_unix(second);
        let mut entry = Entry::new(
            DecisionId::mint(at, [7; 10]),
            at,
            Kind::Issue,
            Outcome::Allow,
        );
        if agent {
            entry.agent_id = Some("0192f0c1-2345-7abc-8def-0123456789ab".parse().unwrap());
        }
        Arc::new(entry)
    }

    fn seconds(recent: &Recent, before: u64) -> Vec<i64> {
        let mut seen = Vec::new();
        recent.look_back(before, |placed| {
            seen.push(placed.entry.at.unix());
            true
        });
        seen
    }

    #[test]
    fn the_latest_are_kept_and_shown_first() {
        let recent = Recent::default();
        recent.keep(3);
        for second in 1..=5 {
            recent.push(entry(second, true));
        }
        assert_eq!(seconds(&recent, u64::MAX), [5, 4, 3]);
        assert_eq!(seconds(&recent, 3), [3]);
        recent.keep(1);
        assert_eq!(seconds(&recent, u64::MAX), [5]);
    }

    #[test]
    fn strangers_push_out_strangers_only() {
        let recent = Recent::default();
        recent.push(entry(1, true));
        for second in 2..2_000 {
            recent.push(entry(second, false));
        }
        recent.push(entry(3_000, true));
        let seen = seconds(&recent, u64::MAX);
        assert_eq!(seen.len(), STRANGERS + 2);
        assert_eq!((seen.first(), seen.last()), (Some(&3_000), Some(&1)));
    }

    #[test]
    fn an_entry_is_found_by_its_id() {
        let recent = Recent::default();
        for second in 0..900 {
            recent.push(entry(second, second % 3 == 0));
        }
        for second in [0, 450, 897] {
            let at = Timestamp::from_unix(second);
            let id = DecisionId::mint(at, [7; 10]);
            assert_eq!(recent.find(&id, at).map(|p| p.entry.at), Some(at));
        }
        let other = DecisionId::mint(Timestamp::from_unix(450), [8; 10]);
        assert!(recent.find(&other, Timestamp::from_unix(450)).is_none());
    }
}
