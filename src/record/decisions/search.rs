//! Looking through the decision log: what memory holds first, then what
//! storage holds, the latest first.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::host::framework::error::Result;
use crate::model::decision::Outcome;
use crate::model::ids::{AgentId, DecisionId, EntityId, TargetName};
use crate::model::time::Timestamp;
use crate::record::Stores;
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::recent::{Placed, SLACK};
use crate::record::decisions::segment::Segment;

/// How many entries a page holds where the caller does not say.
const PAGE: usize = 100;
/// How many entries a page holds at most.
pub const MOST: u32 = 1_000;
/// How many segments one request reads at most. Beyond it the answer says
/// where to go on.
const SEGMENTS: usize = 256;
/// How many stored entries one request looks at, at most.
const LOOKS: usize = 65_536;
/// The same for those who do not govern: anybody with an entity may ask, and
/// most of what is read is about others.
const OWN_SEGMENTS: usize = 32;
const OWN_LOOKS: usize = 8_192;

/// Which entries are wanted. What is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those about this agent.
    pub agent: Option<AgentId>,
    /// Those about an agent of this name.
    pub agent_name: Option<String>,
    /// Those on behalf of this human.
    pub subject: Option<EntityId>,
    /// Those for this target.
    pub target: Option<TargetName>,
    /// Those with this outcome.
    pub outcome: Option<Outcome>,
    /// Those of this kind.
    pub kind: Option<Kind>,
    /// Those from then on.
    pub since: Option<Timestamp>,
    /// Those until then.
    pub until: Option<Timestamp>,
    /// Those on behalf of a human, or about one of the agents: for views of
    /// those who are neither.
    pub concerning: Option<Concerning>,
}

/// Whom an entry must concern.
#[derive(Clone, Debug)]
pub struct Concerning {
    /// The human on whose behalf, or who answers for the agent.
    pub entity: EntityId,
    /// The agent that it is.
    pub agent: Option<AgentId>,
}

impl Concerning {
    /// Whether it does.
    #[must_use]
    pub fn holds(&self, entry: &Entry) -> bool {
        match &self.agent {
            Some(agent) => {
                entry.agent_id.as_ref() == Some(agent)
                    || entry.chain.iter().any(|link| link.agent == *agent)
            }
            None => {
                entry.subject.as_ref() == Some(&self.entity) || entry.owner == self.entity.as_str()
            }
        }
    }
}

impl Filter {
    fn holds(&self, entry: &Entry) -> bool {
        self.agent
            .as_ref()
            .is_none_or(|id| entry.agent_id.as_ref() == Some(id))
            && self
                .agent_name
                .as_ref()
                .is_none_or(|name| entry.agent == *name)
            && self
                .subject
                .as_ref()
                .is_none_or(|id| entry.subject.as_ref() == Some(id))
            && self
                .target
                .as_ref()
                .is_none_or(|name| entry.target == name.as_str())
            && self.outcome.is_none_or(|outcome| entry.outcome == outcome)
            && self.kind.is_none_or(|kind| entry.kind == kind)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at <= until)
            && self
                .concerning
                .as_ref()
                .is_none_or(|whom| whom.holds(entry))
    }

    /// Whether nothing at `at`, or earlier, can be wanted.
    fn is_past(&self, at: Timestamp) -> bool {
        self.since.is_some_and(|since| at < since.minus(SLACK))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Page {
    /// The entries, the latest first.
    pub entries: Vec<Arc<Entry>>,
    /// Where to go on; `None` if there is nothing more.
    pub next: Option<DecisionId>,
}

/// The entries that a filter wants, the latest first: those before `after`, at
/// most `limit` (0: a hundred).
///
/// # Errors
/// If storage fails.
pub async fn search(
    record: &Stores,
    filter: &Filter,
    after: Option<&DecisionId>,
    limit: u32,
) -> Result<Page> {
    let limit = match limit {
        0 => PAGE,
        limit => usize::try_from(limit.min(MOST)).unwrap_or(PAGE),
    };
    // Where nothing is stored, memory is all there is.
    let mut whole_from = if record.journal.retains() {
        record.recent.whole_from()
    } else {
        0
    };
    // What waits to be stored may be older than what is remembered.
    let waiting = record.journal.waiting_before(whole_from);
    if let Some(oldest) = waiting.last() {
        whole_from = oldest.place;
    }
    let mut hunt = Hunt {
        filter,
        limit,
        whole_from,
        ids: waiting.iter().map(|one| one.entry.id.clone()).collect(),
        waiting,
        page: Page::default(),
        last: None,
        left: BTreeMap::new(),
    };
    let place = after.and_then(|id| {
        let remembered = record.recent.find(id, id.minted_at());
        let waits = || hunt.waiting.iter().find(|one| one.entry.id == *id).cloned();
        Some(remembered.or_else(waits)?.place)
    });
    let in_memory = after.is_none() || place.is_some_and(|place| place >= whole_from);
    if in_memory && hunt.memory(record, place.unwrap_or(u64::MAX)) {
        return Ok(hunt.page);
    }
    let begin = match after.filter(|_| !in_memory) {
        None => Begin::Behind,
        Some(id) => match locate(record, id).await? {
            Some((segment, index)) => Begin::At(id, segment.number, index),
            None => Begin::Before(id),
        },
    };
    hunt.storage(record, begin).await?;
    Ok(hunt.page)
}

/// One entry.
///
/// # Errors
/// If storage fails.
pub async fn find(record: &Stores, id: &DecisionId) -> Result<Option<Arc<Entry>>> {
    let remembered = record.recent.find(id, id.minted_at());
    if let Some(placed) = remembered.or_else(|| record.journal.find_waiting(id)) {
        return Ok(Some(placed.entry));
    }
    let found = locate(record, id).await?;
    Ok(found.and_then(|(segment, index)| segment.entries.get(index).cloned().map(Arc::new)))
}

/// Where a stored entry is.
async fn locate(record: &Stores, id: &DecisionId) -> Result<Option<(Arc<Segment>, usize)>> {
    let Some(mut number) = newest_before(record, id.minted_at()).await? else {
        return Ok(None);
    };
    while let Some(segment) = record.journal.segment(number).await? {
        if let Some(index) = segment.entries.iter().position(|entry| entry.id == *id) {
            return Ok(Some((segment, index)));
        }
        let all_older = |entry: &Entry| entry.at < id.minted_at().minus(SLACK);
        if segment.entries.iter().all(all_older) {
            break;
        }
        number = number.saturating_sub(1);
    }
    Ok(None)
}

/// The last segment that can hold something made at `time`.
async fn newest_before(record: &Stores, time: Timestamp) -> Result<Option<u64>> {
    let end = time.plus(SLACK);
    last_that_begins(record, |entry| entry.at <= end).await
}

/// The last segment whose first entry is as wanted, which those before one that
/// is are too. One that cannot be read counts as wanted.
async fn last_that_begins(record: &Stores, wanted: impl Fn(&Entry) -> bool) -> Result<Option<u64>> {
    let head = record.journal.head().await?;
    let (mut low, mut high) = (head.first, head.last);
    if low > high {
        return Ok(None);
    }
    while low < high {
        let middle = high.saturating_sub(high.saturating_sub(low) / 2);
        let segment = record.journal.segment(middle).await?;
        let begins = segment.as_ref().and_then(|segment| segment.entries.first());
        if begins.is_none_or(&wanted) {
            low = middle;
        } else {
            high = middle.saturating_sub(1);
        }
    }
    Ok(Some(low))
}

/// Where looking through storage begins.
#[derive(Clone, Copy)]
enum Begin<'i> {
    /// Behind all that memory has shown.
    Behind,
    /// Behind an entry that is stored, there.
    At(&'i DecisionId, u64, usize),
    /// Behind one that is not stored, or not any more.
    Before(&'i DecisionId),
}

/// A search under way.
///
/// Memory holds the strangers' entries for longer than those of agents, or the
/// other way round. So it shows what is younger than anything that it has
/// forgotten, and storage shows the rest, together with what memory holds of
/// that time and storage does not.
struct Hunt<'f> {
    filter: &'f Filter,
    limit: usize,
    // The place from which on memory has everything, together with what waits.
    whole_from: u64,
    waiting: Vec<Placed>,
    // Of those that wait.
    ids: HashSet<DecisionId>,
    page: Page,
    last: Option<DecisionId>,
    // What memory holds of the time before, until it is met in storage.
    left: BTreeMap<DecisionId, Arc<Entry>>,
}

impl Hunt<'_> {
    /// Looks at one entry. Whether to go on; otherwise the page is full.
    fn look(&mut self, entry: &Arc<Entry>) -> bool {
        if self.filter.holds(entry) {
            if self.page.entries.len() >= self.limit {
                self.page.next.clone_from(&self.last);
                return false;
            }
            self.page.entries.push(Arc::clone(entry));
        }
        self.last = Some(entry.id.clone());
        true
    }

    /// Looks through memory. Whether the page is full.
    fn memory(&mut self, record: &Stores, before: u64) -> bool {
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        let mut waiting = waiting.by_ref().filter(|one| one.place < before).peekable();
        let mut full = false;
        record.recent.look_back(before, |placed| {
            while let Some(other) = waiting.next_if(|other| other.place >= placed.place) {
                if other.place > placed.place && !self.look(&other.entry) {
                    full = true;
                    return false;
                }
            }
            if placed.place < self.whole_from || self.filter.is_past(placed.entry.at) {
                return false;
            }
            full = !self.look(&placed.entry);
            !full
        });
        for placed in waiting {
            full = full || !self.look(&placed.entry);
        }
        full
    }

    /// Whether memory has shown it.
    fn was_shown(&self, record: &Stores, entry: &Entry) -> bool {
        let placed = record.recent.find(&entry.id, entry.id.minted_at());
        self.ids.contains(&entry.id) || placed.is_some_and(|placed| placed.place >= self.whole_from)
    }

    /// Notes what memory holds of the time that storage is asked for.
    fn gather(&mut self, record: &Stores, begin: Begin<'_>) {
        let wanted = |id: &DecisionId| match begin {
            Begin::Behind => true,
            Begin::At(after, ..) => id != after && id.minted_at() <= after.minted_at().plus(SLACK),
            Begin::Before(after) => id < after,
        };
        let filter = self.filter;
        record.recent.look_back(self.whole_from, |placed| {
            if wanted(&placed.entry.id) && filter.holds(&placed.entry) {
                let entry = Arc::clone(&placed.entry);
                self.left.insert(entry.id.clone(), entry);
            }
            true
        });
    }

    /// Forgets of what memory holds that which storage has shown before.
    async fn forget_shown(&mut self, record: &Stores, begin: Begin<'_>, from: u64) -> Result<()> {
        let (after, index) = match begin {
            Begin::Behind => return Ok(()),
            Begin::At(after, _, index) => (after, Some(index)),
            Begin::Before(after) => (after, None),
        };
        let last = after.minted_at().plus(SLACK);
        let begins = |entry: &Entry| entry.at > last.plus(SLACK);
        let mut number = from;
        let mut read = 0_usize;
        while !self.left.is_empty() && read < SEGMENTS {
            let Some(segment) = record.journal.segment(number).await? else {
                break;
            };
            if segment.entries.first().is_some_and(begins) {
                break;
            }
            let first = if number == from { index } else { Some(0) };
            for (place, entry) in segment.entries.iter().enumerate() {
                let shown = match first {
                    Some(first) => place >= first,
                    None => entry.at >= after.minted_at().minus(SLACK),
                };
                if shown {
                    self.left.remove(&entry.id);
                }
            }
            number = number.saturating_add(1);
            read = read.saturating_add(1);
        }
        Ok(())
    }

    /// Shows what only memory holds from then on: storage would have shown it.
    fn show_left(&mut self, from: Timestamp) -> bool {
        while let Some(last) = self.left.last_entry() {
            if last.key().minted_at() <= from.plus(SLACK) {
                return true;
            }
            let entry = last.remove();
            if !self.look(&entry) {
                return false;
            }
        }
        true
    }

    /// Looks through storage.
    async fn storage(&mut self, record: &Stores, begin: Begin<'_>) -> Result<()> {
        self.gather(record, begin);
        if self.stored(record, begin).await? {
            while let Some((_, entry)) = self.left.pop_last() {
                if !self.look(&entry) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether storage was looked through to its end.
    async fn stored(&mut self, record: &Stores, begin: Begin<'_>) -> Result<bool> {
        let newest = match begin {
            Begin::Behind => {
                last_that_begins(record, |entry| !self.was_shown(record, entry)).await?
            }
            Begin::At(_, number, _) => Some(number),
            Begin::Before(id) => {
                let end = id.minted_at().minus(SLACK);
                last_that_begins(record, |entry| entry.at < end).await?
            }
        };
        if let Some(number) = newest {
            self.forget_shown(record, begin, number).await?;
        }
        let until = match self.filter.until {
            Some(until) => newest_before(record, until).await?,
            None => newest,
        };
        let Some(mut number) = newest.min(until) else {
            return Ok(true);
        };
        let first = record.journal.head().await?.first;
        let (segments, looks) = match self.filter.concerning {
            Some(_) => (OWN_SEGMENTS, OWN_LOOKS),
            None => (SEGMENTS, LOOKS),
        };
        let mut behind = matches!(begin, Begin::At(..));
        let (mut read, mut looked) = (0_usize, 0_usize);
        while number >= first && number > 0 {
            if read >= segments || looked >= looks {
                self.page.next.clone_from(&self.last);
                return Ok(false);
            }
            read = read.saturating_add(1);
            if let Some(segment) = record.journal.segment(number).await? {
                looked = looked.saturating_add(segment.entries.len());
                let end = match begin {
                    Begin::At(_, of, index) if of == number => index,
                    Begin::At(..) | Begin::Before(_) | Begin::Behind => segment.entries.len(),
                };
                for entry in segment.entries.iter().take(end).rev() {
                    if !behind {
                        behind = match begin {
                            Begin::Behind => !self.was_shown(record, entry),
                            Begin::Before(id) => entry.at < id.minted_at().minus(SLACK),
                            Begin::At(..) => true,
                        };
                        if !behind {
                            continue;
                        }
                    }
                    if self.filter.is_past(entry.at) {
                        return Ok(true);
                    }
                    self.left.remove(&entry.id);
                    if !self.show_left(entry.at) || !self.look(&Arc::new(entry.clone())) {
                        return Ok(false);
                    }
                }
            }
            number = number.saturating_sub(1);
        }
        Ok(true)
    }
}
