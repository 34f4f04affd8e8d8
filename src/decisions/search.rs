//! Looking through the decision log: what memory holds first, then what
//! storage holds, the latest first.

use std::sync::Arc;

use crate::decisions::entry::{Entry, Kind};
use crate::decisions::recent::{Placed, SLACK};
use crate::decisions::store;
use crate::framework::error::Result;
use crate::model::decision::Outcome;
use crate::model::ids::{AgentId, DecisionId, EntityId, TargetName};
use crate::model::time::Timestamp;
use crate::state::State;

/// How many entries a page holds where the caller does not say.
const PAGE: usize = 100;
/// How many entries a page holds at most.
pub const MOST: u32 = 1_000;
/// How many segments one request reads at most. Beyond it the answer says
/// where to go on.
const SEGMENTS: usize = 256;
/// How many stored entries one request looks at, at most.
const LOOKS: usize = 65_536;

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
    state: &State,
    filter: &Filter,
    after: Option<&DecisionId>,
    limit: u32,
) -> Result<Page> {
    let limit = match limit {
        0 => PAGE,
        limit => usize::try_from(limit.min(MOST)).unwrap_or(PAGE),
    };
    let mut hunt = Hunt {
        filter,
        limit,
        page: Page::default(),
        last: None,
    };
    let start = match after {
        None => Some(u64::MAX),
        Some(id) => place_of(state, id),
    };
    if let Some(before) = start
        && hunt.memory(state, before)
    {
        return Ok(hunt.page);
    }
    // What memory has shown is not shown again.
    let after = if start.is_some() { None } else { after };
    hunt.storage(state, after, start.is_some()).await?;
    Ok(hunt.page)
}

/// One entry.
///
/// # Errors
/// If storage fails.
pub async fn find(state: &State, id: &DecisionId) -> Result<Option<Arc<Entry>>> {
    if let Some(placed) = in_memory(state, id) {
        return Ok(Some(placed.entry));
    }
    let Some(from) = newest_before(state, id.minted_at()).await? else {
        return Ok(None);
    };
    let mut number = from;
    while let Some(segment) = state.journal.segment(number).await? {
        if let Some(entry) = store::find_in(&segment, id) {
            return Ok(Some(Arc::new(entry.clone())));
        }
        let all_older = |entry: &Entry| entry.at < id.minted_at().minus(SLACK);
        if segment.entries.iter().all(all_older) {
            break;
        }
        number = number.saturating_sub(1);
    }
    Ok(None)
}

fn in_memory(state: &State, id: &DecisionId) -> Option<Placed> {
    state.recent.find(id, id.minted_at()).or_else(|| {
        state
            .journal
            .waiting_before(u64::MAX)
            .into_iter()
            .find(|placed| placed.entry.id == *id)
    })
}

fn place_of(state: &State, id: &DecisionId) -> Option<u64> {
    in_memory(state, id).map(|placed| placed.place)
}

/// The last segment that can hold something made at `time`.
async fn newest_before(state: &State, time: Timestamp) -> Result<Option<u64>> {
    let head = state.journal.head().await?;
    let end = time.plus(SLACK);
    let (mut low, mut high) = (head.first, head.last);
    if low > high {
        return Ok(None);
    }
    // The last of those that begin before the end.
    while low < high {
        let middle = high.saturating_sub(high.saturating_sub(low) / 2);
        let begins = match state.journal.segment(middle).await? {
            Some(segment) => segment.entries.first().map(|entry| entry.at),
            None => None,
        };
        if begins.is_none_or(|at| at <= end) {
            low = middle;
        } else {
            high = middle.saturating_sub(1);
        }
    }
    Ok(Some(low))
}

/// A search under way.
struct Hunt<'f> {
    filter: &'f Filter,
    limit: usize,
    page: Page,
    last: Option<DecisionId>,
}

impl Hunt<'_> {
    /// Looks at one entry. Whether to go on.
    fn look(&mut self, entry: &Arc<Entry>) -> bool {
        if self.filter.is_past(entry.at) {
            return false;
        }
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

    /// Looks through memory. Whether that was all.
    fn memory(&mut self, state: &State, before: u64) -> bool {
        // What waits to be stored may be older than what is remembered.
        let waiting = state.journal.waiting_before(before);
        let mut waiting = waiting.into_iter().peekable();
        let mut ended = false;
        state.recent.look_back(before, |placed| {
            while let Some(other) = waiting.next_if(|other| other.place >= placed.place) {
                if other.place > placed.place && !self.look(&other.entry) {
                    ended = true;
                    return false;
                }
            }
            ended = !self.look(&placed.entry);
            !ended
        });
        for placed in waiting {
            ended = ended || !self.look(&placed.entry);
        }
        ended
    }

    /// Looks through storage, behind `after`, and past what was `shown` from
    /// memory.
    async fn storage(
        &mut self,
        state: &State,
        after: Option<&DecisionId>,
        shown: bool,
    ) -> Result<()> {
        let end = self.filter_end();
        let newest = match after.or(end.as_ref()) {
            Some(id) => newest_before(state, id.minted_at()).await?,
            None => Some(state.journal.head().await?.last),
        };
        let Some(mut number) = newest else {
            return Ok(());
        };
        let first = state.journal.head().await?.first;
        // Behind `after`, once it is found; it may have expired meanwhile.
        let mut skipping = after;
        let (mut read, mut looked) = (0_usize, 0_usize);
        while number >= first && number > 0 {
            if read >= SEGMENTS || looked >= LOOKS {
                self.page.next.clone_from(&self.last);
                return Ok(());
            }
            read = read.saturating_add(1);
            if let Some(segment) = state.journal.segment(number).await? {
                looked = looked.saturating_add(segment.entries.len());
                for entry in segment.entries.iter().rev() {
                    if let Some(id) = skipping {
                        if entry.id == *id {
                            skipping = None;
                            continue;
                        }
                        if entry.at >= id.minted_at().minus(SLACK) {
                            continue;
                        }
                        skipping = None;
                    }
                    if shown && state.recent.find(&entry.id, entry.id.minted_at()).is_some() {
                        continue;
                    }
                    if !self.look(&Arc::new(entry.clone())) {
                        return Ok(());
                    }
                }
            }
            number = number.saturating_sub(1);
        }
        Ok(())
    }

    /// An id as of the end of the time that is wanted.
    fn filter_end(&self) -> Option<DecisionId> {
        self.filter
            .until
            .map(|until| DecisionId::mint(until, [0xff; 10]))
    }
}
