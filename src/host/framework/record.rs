//! Records in storage: versioned, typed, and cached.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::framework::error::{Error, Result};
use crate::host::framework::snapshot::is_stale;
use crate::host::framework::storage::{Storage, Write};

/// The most records a collection keeps in memory. Beyond it the cache starts
/// anew: a bound matters more than the last hit.
const MAX_CACHED: usize = 16_384;

/// A record as it is stored: an enum of versions, tagged `v`. Every version is
/// read; only the newest is written.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The folder of its keys, with a trailing `/`.
    const PREFIX: &'static str;
    /// Whether the seal wraps it once more, where the host can.
    const SEAL_WRAP: bool = false;
    /// What it is a record of.
    type Noun: Send + Sync + 'static;

    /// The noun, whatever version was stored.
    ///
    /// # Errors
    /// A sentence, where the record holds what cannot be.
    fn upgrade(self) -> std::result::Result<Self::Noun, String>;

    /// The newest version of a noun.
    fn newest(noun: &Self::Noun) -> Self;
}

/// All records of one kind.
#[derive(Debug)]
pub struct Collection<R: Record> {
    storage: Arc<dyn Storage>,
    cache: RwLock<HashMap<String, Cached<R::Noun>>>,
    absent: RwLock<Absent>,
    // Grows with every change, so that a slow read cannot put back what a
    // change has meanwhile replaced.
    changes: AtomicU64,
    standby: Arc<AtomicBool>,
}

/// A change under way, between [`Collection::begin`] and
/// [`Collection::settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// Names that nothing is stored under, as of one generation.
#[derive(Debug, Default)]
struct Absent {
    generation: u64,
    since: HashMap<String, Instant>,
}

#[derive(Debug)]
struct Cached<N> {
    noun: Arc<N>,
    since: Instant,
}

impl<R: Record> Collection<R> {
    /// The collection in `storage`. `standby` says whether this node only
    /// reads.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, standby: Arc<AtomicBool>) -> Self {
        Self {
            storage,
            cache: RwLock::new(HashMap::new()),
            absent: RwLock::default(),
            changes: AtomicU64::new(0),
            standby,
        }
    }

    /// The noun under `name`. Absence is not cached.
    ///
    /// # Errors
    /// If storage fails, or holds what this release cannot read.
    pub async fn get(&self, name: &str) -> Result<Option<Arc<R::Noun>>> {
        if let Some(noun) = self.cached(name) {
            return Ok(Some(noun));
        }
        let before = self.changes.load(Ordering::Acquire);
        let Some(bytes) = self.storage.get(&key::<R>(name)).await? else {
            return Ok(None);
        };
        let noun = Arc::new(decode::<R>(name, &bytes)?);
        self.remember_if(name, &noun, before);
        Ok(Some(noun))
    }

    /// The same, where absence is the rule and is remembered as well: until
    /// anything of the kind changes.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn find(&self, name: &str) -> Result<Option<Arc<R::Noun>>> {
        let generation = self.generation();
        if self.is_absent(name, generation) {
            return Ok(None);
        }
        let found = self.get(name).await?;
        if found.is_none() {
            self.remember_absent(name, generation);
        }
        Ok(found)
    }

    fn is_absent(&self, name: &str, generation: u64) -> bool {
        let absent = self.absent.read().unwrap_or_else(PoisonError::into_inner);
        absent.generation == generation
            && absent
                .since
                .get(name)
                .is_some_and(|since| !is_stale(&self.standby, *since))
    }

    fn remember_absent(&self, name: &str, generation: u64) {
        let mut absent = self.absent.write().unwrap_or_else(PoisonError::into_inner);
        // It may have been stored during the read.
        if self.generation() != generation {
            return;
        }
        if absent.generation != generation || absent.since.len() >= MAX_CACHED {
            *absent = Absent {
                generation,
                since: HashMap::new(),
            };
        }
        absent.since.insert(name.to_owned(), Instant::now());
    }

    /// The names of all records, in order: those after `after`, at most
    /// `limit` (0: all).
    ///
    /// # Errors
    /// If storage fails.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.storage.list(R::PREFIX, after, limit).await
    }

    /// The change that stores `noun`. Give it to [`Storage::commit`], between
    /// [`Collection::begin`] and [`Collection::settle`].
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    pub fn put(&self, name: &str, noun: &R::Noun) -> Result<Write> {
        put::<R>(name, noun)
    }

    /// The change that removes a record.
    #[must_use]
    pub fn delete(&self, name: &str) -> Write {
        Write::Delete {
            key: key::<R>(name),
        }
    }

    /// Stores one noun by itself.
    ///
    /// # Errors
    /// If storage fails; then nothing is cached under its name.
    pub async fn store(&self, name: &str, noun: R::Noun) -> Result<Arc<R::Noun>> {
        let write = self.put(name, &noun)?;
        let noun = Arc::new(noun);
        let ticket = self.begin(name);
        let done = self.storage.commit(vec![write]).await;
        self.settle(name, done.is_ok().then_some(&noun), ticket);
        done.map(|()| noun)
    }

    /// Removes one record by itself.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let ticket = self.begin(name);
        let removed = self.storage.commit(vec![self.delete(name)]).await;
        self.settle(name, None, ticket);
        removed
    }

    /// Announces a change: what is cached under `name` goes, and no read that
    /// is under way may put it back. The ticket is for [`Self::settle`].
    #[must_use]
    pub fn begin(&self, name: &str) -> Ticket {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.remove(name);
        Ticket(self.changes.fetch_add(1, Ordering::AcqRel).wrapping_add(1))
    }

    /// Ends a change, however it went. A commit that failed may have been
    /// made all the same, and a read meanwhile may have seen either state: so
    /// nothing stays cached but a `noun` that was surely stored last.
    pub fn settle(&self, name: &str, noun: Option<&Arc<R::Noun>>, ticket: Ticket) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        let alone = self.changes.fetch_add(1, Ordering::AcqRel) == ticket.0;
        match noun {
            Some(noun) if alone => keep(&mut cache, name, noun),
            _ => {
                cache.remove(name);
            }
        }
    }

    /// A number that grows with every change, before it and after.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Drops what is cached under `name`: it has changed, or may have.
    pub fn forget(&self, name: &str) {
        let _ = self.begin(name);
    }

    /// Drops what a changed storage key may have made stale. Whether the key
    /// is one of ours.
    pub fn invalidate(&self, changed: &str) -> bool {
        match changed.strip_prefix(R::PREFIX) {
            Some(name) => {
                self.forget(name);
                true
            }
            None => false,
        }
    }

    fn cached(&self, name: &str) -> Option<Arc<R::Noun>> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        let cached = cache.get(name)?;
        (!is_stale(&self.standby, cached.since)).then(|| Arc::clone(&cached.noun))
    }

    /// Caches what was read, unless something has changed since.
    fn remember_if(&self, name: &str, noun: &Arc<R::Noun>, before: u64) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if before == self.changes.load(Ordering::Acquire) {
            keep(&mut cache, name, noun);
        }
    }
}

fn keep<N>(cache: &mut HashMap<String, Cached<N>>, name: &str, noun: &Arc<N>) {
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    let cached = Cached {
        noun: Arc::clone(noun),
        since: Instant::now(),
    };
    cache.insert(name.to_owned(), cached);
}

/// The change that stores a noun which no collection caches.
///
/// # Errors
/// [`Error::Internal`] if it cannot be serialized.
pub fn put<R: Record>(name: &str, noun: &R::Noun) -> Result<Write> {
    let value =
        serde_json::to_vec(&R::newest(noun)).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Write::Put {
        key: key::<R>(name),
        value,
        seal_wrap: R::SEAL_WRAP,
    })
}

/// The storage key of a record.
#[must_use]
pub fn key<R: Record>(name: &str) -> String {
    [R::PREFIX, name].concat()
}

/// Reads a record of any version.
///
/// # Errors
/// [`Error::Internal`] where a newer release wrote it, or nobody did.
pub fn decode<R: Record>(name: &str, bytes: &[u8]) -> Result<R::Noun> {
    let unreadable = |problem: String| {
        Error::Internal(format!(
            "the record {}{name} cannot be read; a newer release may have written it: {problem}",
            R::PREFIX
        ))
    };
    let record: R = serde_json::from_slice(bytes).map_err(|error| {
        // What a secret record holds must not reach a log, not even in part.
        let place = format!("line {} column {}", error.line(), error.column());
        unreadable(if R::SEAL_WRAP {
            place
        } else {
            error.to_string()
        })
    })?;
    record.upgrade().map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::host::framework::memory::MemoryStorage;

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "v", deny_unknown_fields)]
    enum Note {
        #[serde(rename = "1")]
        V1 { text: String },
    }

    impl Record for Note {
        const PREFIX: &'static str = "note/";
        type Noun = String;

        fn upgrade(self) -> std::result::Result<String, String> {
            let Self::V1 { text } = self;
            Ok(text)
        }

        fn newest(noun: &String) -> Self {
            Self::V1 { text: noun.clone() }
        }
    }

    fn notes() -> (Arc<MemoryStorage>, Collection<Note>) {
        let storage = Arc::new(MemoryStorage::default());
        let shared: Arc<dyn Storage> = Arc::clone(&storage) as _;
        (storage, Collection::new(shared, Arc::default()))
    }

    #[tokio::test]
    async fn a_second_read_asks_nobody() {
        let (storage, notes) = notes();
        notes.store("a", "text".into()).await.unwrap();
        notes.forget("a");
        assert_eq!(
            notes.get("a").await.unwrap().as_deref(),
            Some(&"text".to_owned())
        );
        let reads = storage.reads();
        assert_eq!(
            notes.get("a").await.unwrap().as_deref(),
            Some(&"text".to_owned())
        );
        assert_eq!(storage.reads(), reads);
    }

    #[tokio::test]
    async fn absence_is_remembered_until_something_changes() {
        let (storage, notes) = notes();
        for _ in 0..3 {
            assert_eq!(notes.find("a").await.unwrap(), None);
        }
        assert_eq!(storage.reads(), 1);
        notes.store("b", "text".into()).await.unwrap();
        assert_eq!(notes.find("a").await.unwrap(), None);
        assert_eq!(storage.reads(), 2);
        storage.set("note/a", br#"{"v":"1","text":"new"}"#);
        assert!(notes.invalidate("note/a"));
        assert_eq!(
            notes.find("a").await.unwrap().as_deref(),
            Some(&"new".to_owned())
        );
    }

    #[tokio::test]
    async fn invalidation_drops_what_another_node_changed() {
        let (storage, notes) = notes();
        notes.store("a", "old".into()).await.unwrap();
        storage.set("note/a", br#"{"v":"1","text":"new"}"#);
        assert!(notes.invalidate("note/a"));
        assert!(!notes.invalidate("other/a"));
        assert_eq!(
            notes.get("a").await.unwrap().as_deref(),
            Some(&"new".to_owned())
        );
    }

    #[tokio::test]
    async fn a_failed_write_leaves_nothing_cached() {
        let (storage, notes) = notes();
        notes.store("a", "old".into()).await.unwrap();
        storage.fail_writes(true);
        assert!(notes.store("a", "new".into()).await.is_err());
        storage.fail_writes(false);
        assert_eq!(
            notes.get("a").await.unwrap().as_deref(),
            Some(&"old".to_owned())
        );
    }

    #[tokio::test]
    async fn a_newer_record_is_an_error_and_never_a_default() {
        let (storage, notes) = notes();
        storage.set("note/a", br#"{"v":"2","text":"x"}"#);
        storage.set("note/b", b"garbage");
        storage.set("note/c", br#"{"v":"1","text":"x","more":1}"#);
        for name in ["a", "b", "c"] {
            assert!(
                matches!(notes.get(name).await, Err(Error::Internal(_))),
                "{name}"
            );
        }
    }
}
