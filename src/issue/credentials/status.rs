//! Status lists (draft-ietf-oauth-status-list-20): how verifiers that stay
//! offline learn that a JWT does not hold any more.
//!
//! All lists of a mount are one sequence of places, cut into lists. Places are
//! given out in order and never again, from blocks that are reserved in storage,
//! so that neither a crash nor another node can give one out twice. Each place
//! that was given out has a record, of what the credential rests on; what a list
//! says is computed from these, when it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::host::framework::error::{Error, Result};
use crate::host::framework::record::{self, Record};
use crate::host::framework::storage::{Storage, Write};
use crate::model::credential::{Grounds, StatusIndex};
use crate::model::time::Timestamp;

/// How many places are reserved at a time: one write for so many credentials.
const BLOCK: u64 = 1024;
const BLOCK_NAME: &str = "mount";
/// How many lists are kept ready to serve.
const MAX_READY: usize = 64;

/// The next place that was never reserved, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum BlockRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Its number.
        next: u64,
    },
}

impl Record for BlockRecord {
    const PREFIX: &'static str = "status-block/";
    type Noun = u64;

    fn upgrade(self) -> std::result::Result<u64, String> {
        let Self::V1 { next } = self;
        Ok(next)
    }

    fn newest(next: &u64) -> Self {
        Self::V1 { next: *next }
    }
}

/// Who has a place in a list, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum PlaceRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Box<Grounds>),
}

impl Record for PlaceRecord {
    const PREFIX: &'static str = "status/";
    type Noun = Grounds;

    fn upgrade(self) -> std::result::Result<Grounds, String> {
        let Self::V1(grounds) = self;
        Ok(*grounds)
    }

    fn newest(grounds: &Grounds) -> Self {
        Self::V1(Box::new(grounds.clone()))
    }
}

/// The folder of a list, below that of all places.
fn folder(list: u64) -> String {
    format!("{list:016x}/")
}

fn name(at: StatusIndex) -> String {
    format!("{}{:04x}", folder(at.list()), at.index())
}

/// A list that was computed, ready to serve.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Which changes it knows of.
    pub generation: u64,
    /// When it was computed.
    pub since: std::time::Instant,
    /// The signed list.
    pub token: Arc<str>,
}

/// The places of a mount's status lists.
#[derive(Debug)]
pub struct StatusStore {
    storage: Arc<dyn Storage>,
    // What is left of the reserved block: the next place, and the one after the
    // last.
    block: tokio::sync::Mutex<(u64, u64)>,
    known: Mutex<Known>,
    /// Held while lists are computed, so that many who ask cause one
    /// computation.
    pub computing: tokio::sync::Mutex<BTreeMap<u64, Ready>>,
}

/// Who has a place, as far as this process knows.
#[derive(Debug, Default)]
struct Known {
    places: BTreeMap<u64, BTreeMap<u64, Arc<Grounds>>>,
    /// The lists of which storage holds nothing more.
    complete: BTreeSet<u64>,
}

impl StatusStore {
    /// The places in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>) -> Self {
        Self {
            storage: Arc::clone(storage),
            block: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            computing: tokio::sync::Mutex::default(),
        }
    }

    /// Gives out a place that nobody ever had. Writes once in a while.
    ///
    /// # Errors
    /// If storage fails; on a read-only node, with the text that forwards.
    pub async fn allocate(&self) -> Result<StatusIndex> {
        let mut block = self.block.lock().await;
        if block.0 >= block.1 {
            let first = self.reserved().await?;
            let end = first
                .checked_add(BLOCK)
                .ok_or_else(|| Error::Internal("no place is left in any list".to_owned()))?;
            let write = record::put::<BlockRecord>(BLOCK_NAME, &end)?;
            self.storage.commit(vec![write]).await?;
            *block = (first, end);
        }
        let place = block.0;
        block.0 = place.saturating_add(1);
        Ok(StatusIndex::new(place))
    }

    /// The first place that was never reserved.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn reserved(&self) -> Result<u64> {
        let key = record::key::<BlockRecord>(BLOCK_NAME);
        match self.storage.get(&key).await? {
            Some(bytes) => record::decode::<BlockRecord>(BLOCK_NAME, &bytes),
            None => Ok(0),
        }
    }

    /// The change that notes who has a place. Commit it, then say so with
    /// [`Self::note`].
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    pub fn put(at: StatusIndex, grounds: &Grounds) -> Result<Write> {
        record::put::<PlaceRecord>(&name(at), grounds)
    }

    /// Says that a place is stored.
    pub fn note(&self, at: StatusIndex, grounds: Grounds) {
        self.known()
            .places
            .entry(at.list())
            .or_default()
            .insert(at.index(), Arc::new(grounds));
    }

    /// Who has a place in a list and has not expired at `now`, by index.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn places(&self, list: u64, now: Timestamp) -> Result<Vec<(u64, Arc<Grounds>)>> {
        let complete = self.known().complete.contains(&list);
        if !complete {
            let stored = self.load(list).await?;
            let mut known = self.known();
            if !stored.is_empty() {
                let places = known.places.entry(list).or_default();
                for (index, grounds) in stored {
                    places.entry(index).or_insert_with(|| Arc::new(grounds));
                }
            }
            // Of a list that nobody is in, nothing is kept: anybody can ask.
            if known.places.contains_key(&list) {
                known.complete.insert(list);
            }
        }
        let mut known = self.known();
        let Some(places) = known.places.get_mut(&list) else {
            return Ok(Vec::new());
        };
        places.retain(|_, grounds| grounds.expires_at > now);
        Ok(places
            .iter()
            .map(|(index, grounds)| (*index, Arc::clone(grounds)))
            .collect())
    }

    async fn load(&self, list: u64) -> Result<Vec<(u64, Grounds)>> {
        let folder = folder(list);
        let prefix = record::key::<PlaceRecord>(&folder);
        let mut places = Vec::new();
        for index in self.storage.list(&prefix, "", 0).await? {
            let name = format!("{folder}{index}");
            let key = record::key::<PlaceRecord>(&name);
            let (Some(bytes), Ok(index)) = (
                self.storage.get(&key).await?,
                u64::from_str_radix(&index, 16),
            ) else {
                continue;
            };
            places.push((index, record::decode::<PlaceRecord>(&name, &bytes)?));
        }
        Ok(places)
    }

    /// Keeps a computed list, and no more of them than are asked for at a time.
    pub fn keep(ready: &mut BTreeMap<u64, Ready>, list: u64, one: Ready) {
        if ready.len() >= MAX_READY {
            ready.clear();
        }
        ready.insert(list, one);
    }

    /// Forgets whom it knows and has expired.
    pub fn forget_expired(&self, now: Timestamp) {
        let mut known = self.known();
        for places in known.places.values_mut() {
            places.retain(|_, grounds| grounds.expires_at > now);
        }
        known.places.retain(|_, places| !places.is_empty());
        let Known { places, complete } = &mut *known;
        complete.retain(|list| places.contains_key(list));
    }

    /// Another node changed `key`. Whether it is ours. A node that only reads
    /// serves no list.
    #[must_use]
    pub fn invalidate(&self, key: &str) -> bool {
        key.starts_with(PlaceRecord::PREFIX) || key.starts_with(BlockRecord::PREFIX)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
