//! Where delegations are kept: a record by id, and keys that say by their name
//! whose it is. What counts is the record: a key to nothing is nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::host::framework::due::{Due, Entry, mark};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::locks::{Held, Locks};
use crate::host::framework::record::{Collection, Record, Ticket};
use crate::host::framework::storage::{Storage, Write};
use crate::model::agent::MAX_DELEGATION_DEPTH;
use crate::model::delegation::{Delegation, DelegationStatus};
use crate::model::ids::{AgentId, DelegationId, EntityId};
use crate::model::time::{Timestamp, Ttl};

/// How long what has ended can still be read.
pub const KEPT: Ttl = Ttl::from_secs(24 * 3600);
/// How long a request that nobody answered can still be read.
const KEPT_UNANSWERED: Ttl = Ttl::from_secs(10 * 60);

/// By the agent that received it.
const BY_AGENT: &str = "delegation-agent/";
/// By subject, then agent.
const BY_SUBJECT: &str = "delegation-subject/";
/// By the delegation it was passed on from.
const BY_PARENT: &str = "delegation-child/";
/// Requests that wait, by agent.
const ASKED: &str = "delegation-asked/";
/// Requests that wait, by the subject who must answer.
const WAITING: &str = "delegation-waiting/";
/// When something is to be removed.
const DUE: &str = "delegation-due/";

/// A delegation as it is stored. The noun is the first version's shape.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum DelegationRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Box<Delegation>),
}

impl Record for DelegationRecord {
    const PREFIX: &'static str = "delegation/";
    type Noun = Delegation;

    fn upgrade(self) -> std::result::Result<Delegation, String> {
        let Self::V1(delegation) = self;
        Ok(*delegation)
    }

    fn newest(delegation: &Delegation) -> Self {
        Self::V1(Box::new(delegation.clone()))
    }
}

/// From the hash of a code to the request that waits under it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum CodePointer {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Which request.
        id: DelegationId,
    },
}

impl Record for CodePointer {
    const PREFIX: &'static str = "delegation-code/";
    type Noun = DelegationId;

    fn upgrade(self) -> std::result::Result<DelegationId, String> {
        let Self::V1 { id } = self;
        Ok(id)
    }

    fn newest(id: &DelegationId) -> Self {
        Self::V1 { id: id.clone() }
    }
}

/// Whose delegations to list.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// Everybody's.
    All,
    /// Those that an agent received.
    Agent(&'a AgentId),
    /// Those of a subject.
    Subject(&'a EntityId),
    /// Those of a subject that an agent received.
    Pair(&'a EntityId, &'a AgentId),
}

/// The delegations of a mount, in storage.
#[derive(Debug)]
pub struct DelegationStore {
    storage: Arc<dyn Storage>,
    records: Collection<DelegationRecord>,
    codes: Collection<CodePointer>,
    due: Due,
    one: Locks,
    parties: Locks,
    standby: Arc<AtomicBool>,
}

impl DelegationStore {
    /// The delegations in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            storage: Arc::clone(storage),
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            codes: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            due: Due::new(DUE, Arc::clone(storage)),
            one: Locks::default(),
            parties: Locks::default(),
            standby: Arc::clone(standby),
        }
    }

    /// A delegation by its id.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self, id: &DelegationId) -> Result<Option<Arc<Delegation>>> {
        self.records.get(id.as_str()).await
    }

    /// A delegation and those above it, the subject's own first. A chain that
    /// is broken begins with a link that has a parent.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn chain(&self, id: &DelegationId) -> Result<Vec<Arc<Delegation>>> {
        let mut chain: Vec<Arc<Delegation>> = Vec::new();
        let mut next = self.get(id).await?;
        while let Some(delegation) = next {
            next = match delegation.parent() {
                // One more than may be, so that the guard sees it.
                Some(parent) if chain.len() <= usize::from(MAX_DELEGATION_DEPTH) => {
                    self.get(parent).await?
                }
                Some(_) | None => None,
            };
            chain.push(delegation);
        }
        chain.reverse();
        Ok(chain)
    }

    /// The request that waits, or waited, under a code with this hash.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn by_code(&self, hash: &str) -> Result<Option<Arc<Delegation>>> {
        let Some(id) = self.codes.get(hash).await? else {
            return Ok(None);
        };
        let found = self.get(&id).await?;
        Ok(found.filter(|delegation| delegation.code.as_deref() == Some(hash)))
    }

    /// Ids in order, those after `after`, at most `limit`. Of a subject's,
    /// those of one agent stand together.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn ids(
        &self,
        whose: Whose<'_>,
        after: Option<&DelegationId>,
        limit: u32,
    ) -> Result<Vec<DelegationId>> {
        let after_id = after.map_or("", DelegationId::as_str);
        let names = match whose {
            Whose::All => self.records.list(after_id, limit).await?,
            Whose::Agent(agent) => {
                let folder = format!("{BY_AGENT}{agent}/");
                self.storage.list(&folder, after_id, limit).await?
            }
            Whose::Subject(subject) => {
                let from = match after {
                    Some(id) => match self.get(id).await? {
                        Some(delegation) => format!("{}.{id}", delegation.agent),
                        None => return Err(Error::field("after", "names no delegation")),
                    },
                    None => String::new(),
                };
                self.storage
                    .list(&folder(BY_SUBJECT, subject), &from, limit)
                    .await?
            }
            Whose::Pair(subject, agent) => {
                let prefix = format!("{agent}.");
                let from = format!("{prefix}{after_id}");
                let mut names = self
                    .storage
                    .list(&folder(BY_SUBJECT, subject), &from, limit)
                    .await?;
                names.retain(|name| name.starts_with(&prefix));
                names
            }
        };
        Ok(names
            .iter()
            .filter_map(|name| name.rsplit('.').next()?.parse().ok())
            .collect())
    }

    /// The requests that an agent has made and that nobody has answered.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn asked_by(&self, agent: &AgentId, now: Timestamp) -> Result<Vec<Arc<Delegation>>> {
        self.waiting_in(&format!("{ASKED}{agent}/"), now).await
    }

    /// How many requests of an agent are kept that nobody has answered, also
    /// those that have lapsed and those that it withdrew; counted up to `limit`.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn kept_of(&self, agent: &AgentId, limit: u32) -> Result<usize> {
        let folder = format!("{ASKED}{agent}/");
        Ok(self.storage.list(&folder, "", limit).await?.len())
    }

    /// The requests that wait for a subject's answer.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn waiting_for(
        &self,
        subject: &EntityId,
        now: Timestamp,
    ) -> Result<Vec<Arc<Delegation>>> {
        self.waiting_in(&folder(WAITING, subject), now).await
    }

    async fn waiting_in(&self, folder: &str, now: Timestamp) -> Result<Vec<Arc<Delegation>>> {
        // Those that have lapsed stay until they are tidied away, and their
        // number is bounded by that of those that may wait.
        let (mut waiting, mut lapsed) = (Vec::new(), Vec::new());
        for name in self.storage.list(folder, "", 1024).await? {
            if let Ok(id) = name.parse::<DelegationId>() {
                match self.get(&id).await? {
                    Some(one) if one.is_waiting(now) => waiting.push(one),
                    // It will never wait again, and must not hide who does.
                    Some(one) if folder.starts_with(WAITING) => {
                        lapsed.extend(waiting_keys(&one).find(|key| key.starts_with(folder)));
                    }
                    Some(_) | None => {}
                }
            }
        }
        if !lapsed.is_empty() && !self.standby.load(Ordering::Relaxed) {
            let writes = lapsed.into_iter().map(|key| Write::Delete { key });
            // What stays is found again.
            if let Err(error) = self.storage.commit(writes.collect()).await {
                tracing::debug!(%error, "lapsed requests could not be cleared");
            }
        }
        Ok(waiting)
    }

    /// How many were passed on from a delegation, counted up to `limit`.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn children(&self, parent: &DelegationId, limit: u32) -> Result<usize> {
        let folder = format!("{BY_PARENT}{parent}/");
        Ok(self.storage.list(&folder, "", limit).await?.len())
    }

    /// Holds what new delegations between these are counted under, for as long
    /// as it takes to count them and to add one.
    pub async fn hold_parties(&self, names: &[&str]) -> Held<'_> {
        self.parties.hold(names).await
    }

    /// Holds delegations, for as long as it takes to look at them and to
    /// change them.
    pub async fn hold(&self, ids: &[&str]) -> Held<'_> {
        self.one.hold(ids).await
    }

    /// Stores a new delegation, with what belongs to it.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn file(&self, delegation: Delegation, with: Vec<Write>) -> Result<Arc<Delegation>> {
        self.write(None, delegation, with).await
    }

    /// Changes a delegation that is there, and stores with it what belongs to
    /// the change. The caller [holds](Self::hold) it.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn change(
        &self,
        present: &Delegation,
        next: Delegation,
        with: Vec<Write>,
    ) -> Result<Arc<Delegation>> {
        self.write(Some(present), next, with).await
    }

    /// The change that counts one more use, between [`Self::begin`] and
    /// [`Self::settle`]. The caller [holds](Self::hold) it.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn counting(&self, next: &Delegation) -> Result<Write> {
        self.records.put(next.id.as_str(), next)
    }

    /// Makes changes of several stores together.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<()> {
        self.storage.commit(writes).await
    }

    /// Announces a change that is part of a greater one.
    #[must_use]
    pub fn begin(&self, id: &DelegationId) -> Ticket {
        self.records.begin(id.as_str())
    }

    /// Ends it.
    pub fn settle(&self, id: &DelegationId, stored: Option<&Arc<Delegation>>, ticket: Ticket) {
        self.records.settle(id.as_str(), stored, ticket);
    }

    /// What is due to be removed at `now`, at most `limit`.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn ripe(&self, now: Timestamp, limit: u32) -> Result<Vec<Entry>> {
        self.due.ripe(now, limit).await
    }

    /// Removes what an entry is about, and `with` it what belongs to it, if
    /// its time has come. Says whether it did.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn tidy(&self, entry: &Entry, now: Timestamp, with: Vec<Write>) -> Result<bool> {
        let _held = self.one.hold(&[&entry.name]).await;
        let found = match entry.name.parse::<DelegationId>() {
            Ok(id) => self.get(&id).await?,
            Err(_) => None,
        };
        let done = self.due.delete(entry.at, &entry.name);
        let Some(delegation) = found else {
            self.storage.commit(vec![done]).await?;
            return Ok(false);
        };
        let due = due_at(&delegation);
        if due > now {
            let moved = self.due.put(due, &entry.name);
            self.storage.commit(vec![moved, done]).await?;
            return Ok(false);
        }
        // The record goes after the keys that lead to it, and before the one
        // that made us look: a removal that fails is made again.
        let mut writes = with;
        let keys = self.keys(&delegation);
        let keys = keys.into_iter().chain(waiting_keys(&delegation));
        writes.extend(keys.map(|key| Write::Delete { key }));
        if let Some(code) = &delegation.code {
            writes.push(self.codes.delete(code));
        }
        writes.push(self.records.delete(&entry.name));
        writes.push(done);
        let ticket = self.records.begin(&entry.name);
        let removed = self.storage.commit(writes).await;
        self.records.settle(&entry.name, None, ticket);
        self.forget_code(&delegation);
        removed.map(|()| true)
    }

    /// A number that grows with every change to a delegation, before it and
    /// after.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.records.generation()
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        let bare = [BY_AGENT, BY_SUBJECT, BY_PARENT, ASKED, WAITING, DUE];
        self.records.invalidate(key)
            || self.codes.invalidate(key)
            || bare.iter().any(|prefix| key.starts_with(prefix))
    }

    /// Keys that lead to it come before the record and go after it, so that
    /// nothing that is in force cannot be found.
    async fn write(
        &self,
        present: Option<&Delegation>,
        next: Delegation,
        with: Vec<Write>,
    ) -> Result<Arc<Delegation>> {
        let id = next.id.clone();
        let name = id.as_str();
        let mut writes = with;
        let known: Vec<String> = present.map(|one| self.keys(one)).unwrap_or_default();
        let keys = self.keys(&next).into_iter();
        writes.extend(keys.filter(|key| !known.contains(key)).map(mark));
        let due = due_at(&next);
        if present.is_none_or(|one| due_at(one).unix() != due.unix()) {
            writes.push(self.due.put(due, name));
        }
        let was_waiting = present.is_some_and(|one| one.status == DelegationStatus::Pending);
        let waits = next.status == DelegationStatus::Pending;
        if waits && !was_waiting {
            writes.extend(waiting_keys(&next).map(mark));
            if let Some(code) = &next.code {
                writes.push(self.codes.put(code, &id)?);
            }
        }
        writes.push(self.records.put(name, &next)?);
        if let Some(one) = present {
            if was_waiting && !waits {
                // What the agent withdrew counts against it while it is kept.
                let kept = asked_key(one);
                let withdrawn = next.status == DelegationStatus::Revoked;
                let keys = waiting_keys(one).filter(|key| !withdrawn || *key != kept);
                writes.extend(keys.map(|key| Write::Delete { key }));
                if let Some(code) = &one.code {
                    writes.push(self.codes.delete(code));
                }
            }
            if due_at(one).unix() != due.unix() {
                writes.push(self.due.delete(due_at(one).unix(), name));
            }
        }
        let next = Arc::new(next);
        let ticket = self.records.begin(name);
        let done = self.storage.commit(writes).await;
        self.records
            .settle(name, done.is_ok().then_some(&next), ticket);
        self.forget_code(&next);
        if let Some(one) = present {
            self.forget_code(one);
        }
        done.map(|()| next)
    }

    fn forget_code(&self, delegation: &Delegation) {
        if let Some(code) = &delegation.code {
            self.codes.forget(code);
        }
    }

    /// The keys that lead to a delegation for as long as it is there.
    fn keys(&self, delegation: &Delegation) -> Vec<String> {
        let (id, agent) = (&delegation.id, &delegation.agent);
        let subject = delegation.subject.as_ref();
        let subject = subject.map(|one| format!("{}{agent}.{id}", folder(BY_SUBJECT, one)));
        let parent = delegation.parent();
        let parent = parent.map(|one| format!("{BY_PARENT}{one}/{id}"));
        let agent = format!("{BY_AGENT}{agent}/{id}");
        [Some(agent), subject, parent]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// The keys that lead to a request for as long as it waits.
fn waiting_keys(delegation: &Delegation) -> impl Iterator<Item = String> {
    let id = &delegation.id;
    let subject = delegation.subject.as_ref();
    let subject = subject.map(|one| format!("{}{id}", folder(WAITING, one)));
    [Some(asked_key(delegation)), subject].into_iter().flatten()
}

fn asked_key(delegation: &Delegation) -> String {
    format!("{ASKED}{}/{}", delegation.agent, delegation.id)
}

/// Entity ids are the host's. One with two dots would be a path to elsewhere,
/// which the host refuses; there is no such entity.
fn folder(prefix: &str, subject: &EntityId) -> String {
    format!("{prefix}{}/", subject.as_str().replace("..", "._"))
}

/// When a delegation may be removed.
fn due_at(delegation: &Delegation) -> Timestamp {
    match (delegation.status, &delegation.answer) {
        (DelegationStatus::Pending, _) => delegation.expires_at.plus(KEPT_UNANSWERED),
        // Withdrawn before anybody agreed.
        (DelegationStatus::Revoked, Some(answer))
            if delegation.consent.is_none() && delegation.parent().is_none() =>
        {
            answer.at.plus(KEPT_UNANSWERED)
        }
        (DelegationStatus::Denied | DelegationStatus::Revoked, Some(answer)) => {
            answer.at.plus(KEPT).min(delegation.expires_at.plus(KEPT))
        }
        (DelegationStatus::Active | DelegationStatus::Denied | DelegationStatus::Revoked, _) => {
            delegation.expires_at.plus(KEPT)
        }
    }
}
