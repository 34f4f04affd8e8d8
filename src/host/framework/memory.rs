//! Fakes of the host for tests: storage in memory and a system view, with
//! counts, and faults on demand.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::host::framework::error::{Error, Result};
use crate::host::framework::storage::{Storage, Write};
use crate::host::framework::system::{Alias, Entity, Group, SystemView};
use crate::model::ids::EntityId;
use crate::model::time::Ttl;

/// Storage in memory.
#[derive(Debug)]
pub struct MemoryStorage {
    entries: Mutex<BTreeMap<String, Vec<u8>>>,
    reads: AtomicU64,
    writes: AtomicU64,
    read_only: AtomicBool,
    fail_reads: AtomicBool,
    // How many more changes succeed before one fails; negative: all do.
    writes_left: AtomicI64,
    transactional: AtomicBool,
    lose_replies: AtomicBool,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            reads: AtomicU64::default(),
            writes: AtomicU64::default(),
            read_only: AtomicBool::default(),
            fail_reads: AtomicBool::default(),
            writes_left: AtomicI64::new(-1),
            transactional: AtomicBool::new(true),
            lose_replies: AtomicBool::default(),
        }
    }
}

impl MemoryStorage {
    /// How often something was read or listed.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// How many changes were made.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Stores a value behind everybody's back, as another node does.
    pub fn set(&self, key: &str, value: &[u8]) {
        self.lock().insert(key.to_owned(), value.to_vec());
    }

    /// Removes a value behind everybody's back.
    pub fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    /// The value under a key, uncounted.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.lock().get(key).cloned()
    }

    /// Every key there is.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Behaves as on a standby.
    pub fn read_only(&self, yes: bool) {
        self.read_only.store(yes, Ordering::SeqCst);
    }

    /// Every write fails from now on.
    pub fn fail_writes(&self, yes: bool) {
        self.writes_left
            .store(if yes { 0 } else { -1 }, Ordering::SeqCst);
    }

    /// This many more changes succeed; the next fails, and all after it.
    pub fn fail_after(&self, changes: u32) {
        self.writes_left.store(changes.into(), Ordering::SeqCst);
    }

    /// Every read fails from now on.
    pub fn fail_reads(&self, yes: bool) {
        self.fail_reads.store(yes, Ordering::SeqCst);
    }

    /// Without transactions, a commit that fails leaves what came before.
    pub fn transactional(&self, yes: bool) {
        self.transactional.store(yes, Ordering::SeqCst);
    }

    /// Commits are made, and reported as failed: as when a deadline passes
    /// between the two.
    pub fn lose_replies(&self, yes: bool) {
        self.lose_replies.store(yes, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_read(&self) -> Result<()> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.fail_reads.load(Ordering::SeqCst) {
            return Err(Error::Host("storage is on fire".to_owned()));
        }
        Ok(())
    }

    fn count_write(&self) -> Result<()> {
        if self.read_only.load(Ordering::SeqCst) {
            return Err(Error::forward());
        }
        match self.writes_left.load(Ordering::SeqCst) {
            0 => return Err(Error::Host("storage is on fire".to_owned())),
            left if left > 0 => self
                .writes_left
                .store(left.saturating_sub(1), Ordering::SeqCst),
            _ => {}
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.count_read()?;
        Ok(self.lock().get(key).cloned())
    }

    async fn list(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<String>> {
        self.count_read()?;
        let limit = if limit == 0 {
            usize::MAX
        } else {
            usize::try_from(limit).unwrap_or(usize::MAX)
        };
        let entries = self.lock();
        let mut children: Vec<String> = Vec::new();
        // From one child to the next, past all that is in a folder.
        let mut from = Bound::Included([prefix, after].concat());
        while children.len() < limit {
            let range = (from, Bound::Unbounded);
            let Some((key, _)) = entries.range::<String, _>(range).next() else {
                break;
            };
            let Some(rest) = key.strip_prefix(prefix) else {
                break;
            };
            let child = match rest.split_once('/') {
                Some((folder, _)) => {
                    // `0` comes after `/`.
                    from = Bound::Included(format!("{prefix}{folder}0"));
                    format!("{folder}/")
                }
                None => {
                    from = Bound::Excluded(key.clone());
                    rest.to_owned()
                }
            };
            if child.as_str() > after {
                children.push(child);
            }
        }
        Ok(children)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<()> {
        let mut entries = self.lock();
        let mut before: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        for write in writes {
            if let Err(error) = self.count_write() {
                if self.transactional.load(Ordering::SeqCst) {
                    for (key, value) in before.into_iter().rev() {
                        match value {
                            Some(value) => entries.insert(key, value),
                            None => entries.remove(&key),
                        };
                    }
                }
                return Err(error);
            }
            let key = write.key().to_owned();
            let replaced = match write {
                Write::Put { key, value, .. } => entries.insert(key, value),
                Write::Delete { key } => entries.remove(&key),
            };
            before.push((key, replaced));
        }
        if self.lose_replies.load(Ordering::SeqCst) {
            return Err(Error::Host("context deadline exceeded".to_owned()));
        }
        Ok(())
    }

    async fn replace(&self, key: &str, seen: &[u8], value: Vec<u8>) -> Result<()> {
        // As a host answers: others get their turn before and after.
        tokio::task::yield_now().await;
        let transactional = self.transactional.load(Ordering::SeqCst);
        if transactional && self.lock().get(key).is_none_or(|found| found != seen) {
            return Err(Error::Conflict("it has changed meanwhile".to_owned()));
        }
        let write = Write::Put {
            key: key.to_owned(),
            value,
            seal_wrap: false,
        };
        let done = self.commit(vec![write]).await;
        tokio::task::yield_now().await;
        done
    }
}

/// A system view that knows what it is told.
#[derive(Debug, Default)]
pub struct FakeSystem {
    entities: Mutex<BTreeMap<String, (Entity, Vec<Group>)>>,
    read_only: AtomicBool,
    fail: AtomicBool,
    calls: AtomicU64,
}

impl FakeSystem {
    /// Adds or replaces an entity. One without aliases gets one at `userpass`, as
    /// whoever is in this world logs in somehow; [`Self::add_in`] adds it as it
    /// is.
    pub fn add(&self, mut entity: Entity, groups: &[&str]) {
        if entity.aliases.is_empty() {
            entity.aliases.push(Alias {
                mount_type: "userpass".to_owned(),
                accessor: "auth_userpass_1".to_owned(),
                name: entity.id.clone(),
                metadata: BTreeMap::new(),
            });
        }
        let groups = groups.iter().map(|name| Group {
            id: format!("group-{}", name.to_lowercase()),
            name: (*name).to_owned(),
        });
        let groups = groups.collect();
        self.lock().insert(entity.id.clone(), (entity, groups));
    }

    /// Adds or replaces an entity in groups with ids of their own.
    pub fn add_in(&self, entity: Entity, groups: Vec<Group>) {
        self.lock().insert(entity.id.clone(), (entity, groups));
    }

    /// Knows whom another knows.
    pub fn know(&self, other: &Self) {
        let entities = other.lock().clone();
        *self.lock() = entities;
    }

    /// Takes an entity away.
    pub fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Answers with another entity where `id` is asked for, as after a merge.
    pub fn answer_with(&self, id: &str, entity: Entity) {
        self.lock().insert(id.to_owned(), (entity, Vec::new()));
    }

    /// Behaves as on a standby.
    pub fn read_only(&self, yes: bool) {
        self.read_only.store(yes, Ordering::SeqCst);
    }

    /// Every call fails from now on.
    pub fn fail(&self, yes: bool) {
        self.fail.store(yes, Ordering::SeqCst);
    }

    /// How often it was asked.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Entity, Vec<Group>)>> {
        self.entities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.fail.load(Ordering::SeqCst) {
            return Err(Error::Host("the host does not answer".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl SystemView for FakeSystem {
    async fn entity(&self, id: &EntityId) -> Result<Option<Entity>> {
        self.count()?;
        Ok(self
            .lock()
            .get(id.as_str())
            .map(|(entity, _)| entity.clone()))
    }

    async fn groups(&self, id: &EntityId) -> Result<Vec<Group>> {
        self.count()?;
        Ok(self
            .lock()
            .get(id.as_str())
            .map(|(_, groups)| groups.clone())
            .unwrap_or_default())
    }

    async fn max_lease_ttl(&self) -> Result<Ttl> {
        self.count()?;
        Ok(Ttl::from_secs(32 * 24 * 3600))
    }

    async fn is_read_only(&self) -> Result<bool> {
        self.count()?;
        Ok(self.read_only.load(Ordering::SeqCst))
    }

    async fn version(&self) -> Result<String> {
        self.count()?;
        Ok("2.7.2".to_owned())
    }
}
