//! The decision log in storage. Entries wait in memory and are written in
//! batches, never by the request that they are about.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::framework::error::{Error, Result};
use crate::host::framework::record::{Record, decode};
use crate::host::framework::storage::{Storage, Write};
use crate::model::ids::DecisionId;
use crate::model::time::{Timestamp, Ttl};
use crate::record::decisions::recent::Placed;
use crate::record::decisions::segment::{self, Head, HeadRecord, Segment, SegmentRecord};

/// How many names of segments are listed at a time.
const LISTED: u32 = 1024;
/// The most entries of one segment.
const ENTRIES: usize = 512;
/// The most bytes of one segment: the host takes 1 MiB.
const BYTES: usize = 512 * 1024;
/// The most entries that wait to be written.
pub const MOST_PENDING: usize = 16_384;
/// The most entries about no agent among them: whoever can reach a login can
/// make these, so they never take the room of those about agents.
pub const MOST_STRANGERS: usize = 256;
/// So many waiting entries are not left to the next periodic call.
const PRESSING: usize = 2_048;
/// The most segments that one call writes.
const WRITES: usize = 64;
/// The most segments that one write removes.
const REMOVALS: u32 = 64;
/// The most such writes of one call: it removes several times what one call
/// writes.
const REMOVING: usize = 8;
/// How many segments that were read are remembered.
const REMEMBERED: usize = 8;

const HEAD: &str = "head";

/// The decision log in storage.
#[derive(Debug)]
pub struct Journal {
    storage: Arc<dyn Storage>,
    standby: Arc<AtomicBool>,
    // For how long entries are kept, in seconds; 0: they are not stored.
    retention: AtomicU64,
    waiting: Mutex<Waiting>,
    // Whether somebody is about to write what waits.
    flushing: AtomicBool,
    // Held while writing, so that there is one writer. What is in it is what
    // storage holds, as far as this process knows.
    head: tokio::sync::Mutex<Option<Head>>,
    read: Mutex<VecDeque<Arc<Segment>>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Placed>,
    // How many of them are about no agent.
    strangers: usize,
    // Lost since the last segment was made.
    lost: u64,
}

/// What became of entries, since this process started.
#[derive(Debug, Default)]
pub struct Counts {
    /// Entries that were stored.
    pub stored: AtomicU64,
    /// Entries that found no room while they waited.
    pub lost: AtomicU64,
    /// Entries about no agent beyond those that may wait.
    pub strangers_left_out: AtomicU64,
    /// Writes that failed.
    pub failed: AtomicU64,
}

impl Waiting {
    /// Counts anew, after some have gone.
    fn count(&mut self) {
        let agents = self.entries.iter().filter(|one| one.entry.is_of_agent());
        self.strangers = self.entries.len().saturating_sub(agents.count());
    }
}

impl Journal {
    /// The log in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            storage: Arc::clone(storage),
            standby: Arc::clone(standby),
            retention: AtomicU64::new(0),
            waiting: Mutex::default(),
            flushing: AtomicBool::new(false),
            head: tokio::sync::Mutex::default(),
            read: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// Says for how long entries are kept; zero: not at all.
    pub fn retain(&self, retention: Ttl) {
        self.retention.store(retention.as_secs(), Ordering::Relaxed);
        if retention.is_zero() {
            *self.waiting() = Waiting::default();
        }
    }

    /// Whether entries are stored.
    #[must_use]
    pub fn retains(&self) -> bool {
        self.retention.load(Ordering::Relaxed) > 0
    }

    /// What became of entries.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many entries wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.waiting().entries.len()
    }

    /// Has an entry written with the next batch, if entries are stored. Says
    /// whether so many wait that the caller should have them written soon, and
    /// say so by [`Self::flushed`].
    pub fn offer(&self, placed: &Placed) -> bool {
        if !self.retains() || self.standby.load(Ordering::Relaxed) {
            return false;
        }
        let mut waiting = self.waiting();
        if placed.entry.is_of_agent() {
            let agents = waiting.entries.len().saturating_sub(waiting.strangers);
            if agents >= MOST_PENDING {
                waiting.lost = waiting.lost.saturating_add(1);
                drop(waiting);
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
                return !self.flushing.swap(true, Ordering::Relaxed);
            }
        } else {
            if waiting.strangers >= MOST_STRANGERS {
                drop(waiting);
                let left_out = &self.counts.strangers_left_out;
                left_out.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            waiting.strangers = waiting.strangers.saturating_add(1);
        }
        waiting.entries.push_back(placed.clone());
        // Once for every time that many have gathered, not for each beyond.
        let pressing = waiting.entries.len().is_multiple_of(PRESSING);
        drop(waiting);
        pressing && !self.flushing.swap(true, Ordering::Relaxed)
    }

    /// Whoever was told to write what waits has done so, or failed.
    pub fn flushed(&self) {
        self.flushing.store(false, Ordering::Relaxed);
    }

    /// The entry among those that wait that has an id.
    #[must_use]
    pub fn find_waiting(&self, id: &DecisionId) -> Option<Placed> {
        let waiting = self.waiting();
        let mut found = waiting.entries.iter().rev();
        found.find(|placed| placed.entry.id == *id).cloned()
    }

    /// The entries that wait, the latest first, from those before the
    /// `before`th on.
    #[must_use]
    pub fn waiting_before(&self, before: u64) -> Vec<Placed> {
        let waiting = self.waiting();
        let older = |placed: &&Placed| placed.place < before;
        waiting
            .entries
            .iter()
            .rev()
            .filter(older)
            .cloned()
            .collect()
    }

    /// Writes what waits, a bounded number of segments.
    ///
    /// # Errors
    /// If storage fails. What was not surely stored still waits.
    pub async fn flush(&self) -> Result<()> {
        if self.standby.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut known = self.head.lock().await;
        for _ in 0..WRITES {
            if self.waiting().entries.is_empty() {
                break;
            }
            // Until it is known how this ends, nothing is known.
            let head = match known.take() {
                Some(head) => Ok(head),
                None => self.resume().await,
            };
            let written = match head {
                Ok(head) => self.append(head).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(head) => *known = Some(head),
                Err(error) => {
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes one segment of what waits after `head`.
    async fn append(&self, head: Head) -> Result<Head> {
        let (segment, lost) = self.next_segment(&head);
        if segment.entries.is_empty() {
            return Ok(head);
        }
        let (number, entries) = (segment.number, segment.entries.len());
        let value = encoded::<SegmentRecord>(&segment)?;
        let head = Head {
            last: number,
            hash: segment::hash(&value),
            ..head
        };
        let writes = vec![
            put::<SegmentRecord>(&segment::name(number), value),
            put::<HeadRecord>(HEAD, encoded::<HeadRecord>(&head)?),
        ];
        self.storage.commit(writes).await?;
        let mut waiting = self.waiting();
        let done = entries.min(waiting.entries.len());
        waiting.entries.drain(..done);
        waiting.count();
        waiting.lost = waiting.lost.saturating_sub(lost);
        drop(waiting);
        let stored = u64::try_from(entries).unwrap_or(u64::MAX);
        self.counts.stored.fetch_add(stored, Ordering::Relaxed);
        // A copy of the hash outside of this storage: who rewrites the log
        // there cannot rewrite what the server's log has said.
        tracing::info!(
            segment = number,
            entries,
            hash = head.hash,
            "decisions were stored"
        );
        Ok(head)
    }

    fn next_segment(&self, head: &Head) -> (Segment, u64) {
        let waiting = self.waiting();
        let mut entries = Vec::new();
        let mut bytes = 0_usize;
        for placed in waiting.entries.iter().take(ENTRIES) {
            bytes = bytes.saturating_add(placed.entry.weight());
            if bytes > BYTES {
                break;
            }
            entries.push((*placed.entry).clone());
        }
        // What was lost came after everything that waits.
        let lost = if entries.len() == waiting.entries.len() {
            waiting.lost
        } else {
            0
        };
        let segment = Segment {
            previous: head.hash.clone(),
            number: head.last.saturating_add(1),
            lost,
            entries,
        };
        (segment, lost)
    }

    /// The head as it is stored. The last segment may have been written
    /// although that was reported as failed; and one beyond the head that
    /// follows from it, when the head could not be. Both count, and what they
    /// hold does not wait any more.
    async fn resume(&self) -> Result<Head> {
        let mut head = self.head().await?;
        if let Some(stored) = self.stored(head.last).await? {
            self.settle(&stored);
        }
        while let Some(stored) = self.stored(head.last.saturating_add(1)).await? {
            let follows = decode::<SegmentRecord>("", &stored)
                .is_ok_and(|segment| segment.previous == head.hash);
            if !follows {
                break;
            }
            head.last = head.last.saturating_add(1);
            head.hash = segment::hash(&stored);
            self.settle(&stored);
        }
        // What does not follow is evidence, and not to be written over: the
        // log goes on after it, and verifying it tells.
        let mut beyond = self.numbers(head.last, LISTED).await?;
        while let Some(last) = beyond.last().copied().filter(|last| *last > head.last) {
            tracing::error!(
                segment = last,
                "stored segments of the decision log do not follow from its head, which was removed or changed"
            );
            head.last = last;
            beyond = self.numbers(last, LISTED).await?;
        }
        Ok(head)
    }

    /// What a stored segment holds does not wait any more.
    fn settle(&self, stored: &[u8]) {
        let Ok(segment) = decode::<SegmentRecord>("", stored) else {
            return;
        };
        let held: HashSet<&DecisionId> = segment.entries.iter().map(|one| &one.id).collect();
        let mut waiting = self.waiting();
        let before = waiting.entries.len();
        waiting
            .entries
            .retain(|placed| !held.contains(&placed.entry.id));
        waiting.count();
        if waiting.entries.len() < before {
            waiting.lost = waiting.lost.saturating_sub(segment.lost);
        }
    }

    /// Removes what is older than the retention: of what has gathered, more than
    /// one call writes.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn expire(&self, now: Timestamp) -> Result<()> {
        for _ in 0..REMOVING {
            if self.standby.load(Ordering::Relaxed) || !self.remove_oldest(now).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether there may be more to remove.
    async fn remove_oldest(&self, now: Timestamp) -> Result<bool> {
        let retention = Ttl::from_secs(self.retention.load(Ordering::Relaxed));
        let end = now.minus(retention);
        let mut known = self.head.lock().await;
        let oldest = self
            .storage
            .list(SegmentRecord::PREFIX, "", REMOVALS)
            .await?;
        if oldest.is_empty() {
            return Ok(false);
        }
        let before = match known.take() {
            Some(head) => head,
            None => self.resume().await?,
        };
        let mut head = before.clone();
        let mut removals = Vec::new();
        // What cannot be read goes when something after it has expired.
        let mut sure = 0;
        for name in &oldest {
            let Some(number) = segment::number(name).filter(|number| *number <= before.last) else {
                break;
            };
            removals.push(Write::Delete {
                key: [SegmentRecord::PREFIX, name].concat(),
            });
            if number < before.first {
                sure = removals.len();
                continue;
            }
            let stored = self.stored(number).await?.unwrap_or_default();
            let Ok(segment) = decode::<SegmentRecord>(name, &stored) else {
                continue;
            };
            let expired = retention.is_zero() || segment.entries.iter().all(|one| one.at < end);
            if !expired {
                break;
            }
            sure = removals.len();
            head.first = number.saturating_add(1);
            head.anchor = segment::hash(&stored);
        }
        removals.truncate(sure);
        let more = sure > 0 && sure == oldest.len();
        if !removals.is_empty() {
            let mut writes = Vec::new();
            if head != before {
                writes.push(put::<HeadRecord>(HEAD, encoded::<HeadRecord>(&head)?));
            }
            writes.extend(removals);
            self.storage.commit(writes).await?;
        }
        *known = Some(head);
        Ok(more)
    }

    /// The head, as it is stored.
    ///
    /// # Errors
    /// If storage fails, or holds what this release cannot read.
    pub async fn head(&self) -> Result<Head> {
        let key = [HeadRecord::PREFIX, HEAD].concat();
        match self.storage.get(&key).await? {
            Some(stored) => decode::<HeadRecord>(HEAD, &stored),
            None => Ok(Head::default()),
        }
    }

    /// The bytes of a segment.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn stored(&self, number: u64) -> Result<Option<Vec<u8>>> {
        let key = [SegmentRecord::PREFIX, &segment::name(number)].concat();
        self.storage.get(&key).await
    }

    /// The numbers of the segments after `after` that storage holds.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn numbers(&self, after: u64, limit: u32) -> Result<Vec<u64>> {
        let after = if after == 0 {
            String::new()
        } else {
            segment::name(after)
        };
        let names = self
            .storage
            .list(SegmentRecord::PREFIX, &after, limit)
            .await?;
        Ok(names
            .iter()
            .filter_map(|name| segment::number(name))
            .collect())
    }

    /// A segment. One that cannot be read counts as not there: a reader of the
    /// log goes on, and `decisions/verify` tells.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn segment(&self, number: u64) -> Result<Option<Arc<Segment>>> {
        let remembered = self
            .remembered()
            .iter()
            .find(|segment| segment.number == number)
            .cloned();
        if remembered.is_some() {
            return Ok(remembered);
        }
        let Some(stored) = self.stored(number).await? else {
            return Ok(None);
        };
        let Ok(segment) = decode::<SegmentRecord>(&segment::name(number), &stored) else {
            return Ok(None);
        };
        if segment.number != number {
            return Ok(None);
        }
        let segment = Arc::new(segment);
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(Arc::clone(&segment));
        Ok(Some(segment))
    }

    /// Another node changed `key`, or somebody else did. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        let ours = key.starts_with(SegmentRecord::PREFIX) || key.starts_with(HeadRecord::PREFIX);
        if ours {
            self.remembered().clear();
            if let Ok(mut head) = self.head.try_lock() {
                *head = None;
            }
        }
        ours
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> MutexGuard<'_, VecDeque<Arc<Segment>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encoded<R: Record>(noun: &R::Noun) -> Result<Vec<u8>> {
    serde_json::to_vec(&R::newest(noun)).map_err(|error| Error::Internal(error.to_string()))
}

fn put<R: Record>(name: &str, value: Vec<u8>) -> Write {
    Write::Put {
        key: [R::PREFIX, name].concat(),
        value,
        seal_wrap: R::SEAL_WRAP,
    }
}
