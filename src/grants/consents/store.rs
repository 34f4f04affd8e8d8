//! Where consents are kept: a record by id, and keys that say by their name
//! what leads to it. What counts is the record.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::host::framework::due::{Due, Entry, mark};
use crate::host::framework::error::Result;
use crate::host::framework::locks::{Held, Locks};
use crate::host::framework::record::{Collection, Record, Ticket};
use crate::host::framework::storage::{Storage, Write};
use crate::model::consent::{ConsentStatus, HumanConsent};
use crate::model::ids::{ConsentId, EntityId};
use crate::model::time::{Timestamp, Ttl};

/// How long what has ended can still be read.
const KEPT: Ttl = Ttl::from_secs(24 * 3600);
/// How long a question that nobody answered can still be read.
const KEPT_UNANSWERED: Ttl = Ttl::from_secs(10 * 60);
/// Questions that wait, by the subject who must answer.
const WAITING: &str = "consent-waiting/";
/// When something is to be removed.
const DUE: &str = "consent-due/";

/// A consent as it is stored. The noun is the first version's shape.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum ConsentRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Box<HumanConsent>),
}

impl Record for ConsentRecord {
    const PREFIX: &'static str = "consent/";
    type Noun = HumanConsent;

    fn upgrade(self) -> std::result::Result<HumanConsent, String> {
        let Self::V1(consent) = self;
        Ok(*consent)
    }

    fn newest(consent: &HumanConsent) -> Self {
        Self::V1(Box::new(consent.clone()))
    }
}

/// From the hash of a request to the consent that was last asked for it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum RequestPointer {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Which consent.
        id: ConsentId,
    },
}

impl Record for RequestPointer {
    const PREFIX: &'static str = "consent-request/";
    type Noun = ConsentId;

    fn upgrade(self) -> std::result::Result<ConsentId, String> {
        let Self::V1 { id } = self;
        Ok(id)
    }

    fn newest(id: &ConsentId) -> Self {
        Self::V1 { id: id.clone() }
    }
}

/// Until when something that was refused may not be asked for again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum CoolDown {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Until when.
        until: Timestamp,
    },
}

impl Record for CoolDown {
    const PREFIX: &'static str = "consent-refused/";
    type Noun = Timestamp;

    fn upgrade(self) -> std::result::Result<Timestamp, String> {
        let Self::V1 { until } = self;
        Ok(until)
    }

    fn newest(until: &Timestamp) -> Self {
        Self::V1 { until: *until }
    }
}

/// The consents of a mount, in storage.
#[derive(Debug)]
pub struct ConsentStore {
    storage: Arc<dyn Storage>,
    records: Collection<ConsentRecord>,
    requests: Collection<RequestPointer>,
    refused: Collection<CoolDown>,
    due: Due,
    one: Locks,
    subjects: Locks,
}

impl ConsentStore {
    /// The consents in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            storage: Arc::clone(storage),
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            requests: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            refused: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            due: Due::new(DUE, Arc::clone(storage)),
            one: Locks::default(),
            subjects: Locks::default(),
        }
    }

    /// A consent by its id.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self, id: &ConsentId) -> Result<Option<Arc<HumanConsent>>> {
        self.records.get(id.as_str()).await
    }

    /// The consent that was last asked for a request with this hash.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn for_request(&self, hash: &str) -> Result<Option<Arc<HumanConsent>>> {
        match self.requests.get(hash).await? {
            Some(id) => self.get(&id).await,
            None => Ok(None),
        }
    }

    /// The questions that wait for a subject's answer.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn waiting_for(
        &self,
        subject: &EntityId,
        now: Timestamp,
    ) -> Result<Vec<Arc<HumanConsent>>> {
        let mut waiting = Vec::new();
        for name in self
            .storage
            .list(&waiting_folder(subject), "", 1024)
            .await?
        {
            if let Ok(id) = name.parse::<ConsentId>() {
                let found = self.get(&id).await?;
                waiting.extend(found.filter(|consent| consent.is_waiting(now)));
            }
        }
        Ok(waiting)
    }

    /// Until when something with this hash may not be asked for, if it may not
    /// at `now`.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn refused_until(&self, hash: &str, now: Timestamp) -> Result<Option<Timestamp>> {
        let until = self.refused.get(hash).await?;
        Ok(until.as_deref().copied().filter(|until| *until > now))
    }

    /// The ids of all consents, in order.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn ids(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.records.list(after, limit).await
    }

    /// Holds a subject, for as long as it takes to count what waits for it and
    /// to add one.
    pub async fn hold_subject(&self, subject: &EntityId) -> Held<'_> {
        self.subjects.hold(&[subject.as_str()]).await
    }

    /// Holds a consent, for as long as it takes to look at it and to change it.
    pub async fn hold(&self, id: &ConsentId) -> Held<'_> {
        self.one.hold(&[id.as_str()]).await
    }

    /// The changes that store the consent to a new delegation, to be made with
    /// it. It goes with the delegation.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn filing(&self, consent: &HumanConsent) -> Result<Vec<Write>> {
        Ok(vec![self.records.put(consent.id.as_str(), consent)?])
    }

    /// The changes that remove the consent to a delegation, to be made with
    /// it.
    #[must_use]
    pub fn removal(&self, id: &ConsentId) -> Vec<Write> {
        self.records.forget(id.as_str());
        vec![self.records.delete(id.as_str())]
    }

    /// The change that forbids asking for something for a while. It is removed
    /// by [`Self::allowing`] or with a consent.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn refusing(&self, hash: &str, until: Timestamp) -> Result<Write> {
        self.refused.forget(hash);
        self.refused.put(hash, &until)
    }

    /// The change that allows it again.
    #[must_use]
    pub fn allowing(&self, hash: &str) -> Write {
        self.refused.forget(hash);
        self.refused.delete(hash)
    }

    /// Drops what is cached of a refusal, after the change that it was part
    /// of.
    pub fn forget_refusal(&self, hash: &str) {
        self.refused.forget(hash);
    }

    /// Stores a question. Keys that lead to it come first: a key to nothing is
    /// nothing.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn ask(&self, consent: HumanConsent) -> Result<Arc<HumanConsent>> {
        let name = consent.id.clone();
        let name = name.as_str();
        let binding = consent.request().map(|asked| asked.binding.clone());
        let mut writes = vec![
            self.due.put(due_at(&consent), name),
            mark(waiting_key(&consent)),
        ];
        if let Some(binding) = &binding {
            writes.push(self.requests.put(binding, &consent.id)?);
        }
        writes.push(self.records.put(name, &consent)?);
        self.write(consent, writes, binding.as_deref()).await
    }

    /// Stores an answer, and with it what belongs to it. The caller
    /// [holds](Self::hold) it.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn answer(
        &self,
        present: &HumanConsent,
        next: HumanConsent,
        with: Vec<Write>,
    ) -> Result<Arc<HumanConsent>> {
        let name = next.id.clone();
        let name = name.as_str();
        let (before, after) = (due_at(present), due_at(&next));
        let mut writes = with;
        if before.unix() != after.unix() {
            writes.push(self.due.put(after, name));
        }
        writes.push(self.records.put(name, &next)?);
        writes.push(Write::Delete {
            key: waiting_key(present),
        });
        if before.unix() != after.unix() {
            writes.push(self.due.delete(before.unix(), name));
        }
        self.write(next, writes, None).await
    }

    async fn write(
        &self,
        consent: HumanConsent,
        writes: Vec<Write>,
        binding: Option<&str>,
    ) -> Result<Arc<HumanConsent>> {
        let consent = Arc::new(consent);
        let name = consent.id.as_str();
        let ticket = self.records.begin(name);
        let done = self.storage.commit(writes).await;
        self.records
            .settle(name, done.is_ok().then_some(&consent), ticket);
        if let Some(binding) = binding {
            self.requests.forget(binding);
        }
        done.map(|()| consent)
    }

    /// The change that marks one as used, between [`Self::begin`] and
    /// [`Self::settle`]. The caller [holds](Self::hold) it.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn using(&self, used: &HumanConsent) -> Result<Write> {
        self.records.put(used.id.as_str(), used)
    }

    /// Announces a change that is part of a greater one.
    #[must_use]
    pub fn begin(&self, id: &ConsentId) -> Ticket {
        self.records.begin(id.as_str())
    }

    /// Ends it.
    pub fn settle(&self, id: &ConsentId, stored: Option<&Arc<HumanConsent>>, ticket: Ticket) {
        self.records.settle(id.as_str(), stored, ticket);
    }

    /// What is due to be removed at `now`, at most `limit`.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn ripe(&self, now: Timestamp, limit: u32) -> Result<Vec<Entry>> {
        self.due.ripe(now, limit).await
    }

    /// Removes what an entry is about, with the memory of a refusal that
    /// belongs to it, if its time has come. Says whether it did.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn tidy(
        &self,
        entry: &Entry,
        now: Timestamp,
        refusal: Option<String>,
    ) -> Result<bool> {
        let _held = self.one.hold(&[&entry.name]).await;
        let found = match entry.name.parse::<ConsentId>() {
            Ok(id) => self.get(&id).await?,
            Err(_) => None,
        };
        let done = self.due.delete(entry.at, &entry.name);
        let Some(consent) = found else {
            self.storage.commit(vec![done]).await?;
            return Ok(false);
        };
        let due = due_at(&consent);
        if due > now {
            let moved = self.due.put(due, &entry.name);
            self.storage.commit(vec![moved, done]).await?;
            return Ok(false);
        }
        let mut writes = vec![Write::Delete {
            key: waiting_key(&consent),
        }];
        if let Some(asked) = consent.request()
            && self.requests.get(&asked.binding).await?.as_deref() == Some(&consent.id)
        {
            writes.push(self.requests.delete(&asked.binding));
        }
        if let Some(hash) = &refusal
            && self.refused_until(hash, now).await?.is_none()
        {
            writes.push(self.refused.delete(hash));
        }
        writes.push(self.records.delete(&entry.name));
        writes.push(done);
        let ticket = self.records.begin(&entry.name);
        let removed = self.storage.commit(writes).await;
        self.records.settle(&entry.name, None, ticket);
        if let Some(asked) = consent.request() {
            self.requests.forget(&asked.binding);
        }
        if let Some(hash) = &refusal {
            self.refused.forget(hash);
        }
        removed.map(|()| true)
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        self.records.invalidate(key)
            || self.requests.invalidate(key)
            || self.refused.invalidate(key)
            || key.starts_with(WAITING)
            || key.starts_with(DUE)
    }
}

fn waiting_folder(subject: &EntityId) -> String {
    format!("{WAITING}{}/", subject.as_str().replace("..", "._"))
}

fn waiting_key(consent: &HumanConsent) -> String {
    format!("{}{}", waiting_folder(&consent.subject), consent.id)
}

/// When a consent may be removed. One that is used keeps the time of its
/// approval.
fn due_at(consent: &HumanConsent) -> Timestamp {
    consent.expires_at.plus(match consent.status {
        ConsentStatus::Pending => KEPT_UNANSWERED,
        ConsentStatus::Approved | ConsentStatus::Denied | ConsentStatus::Used => KEPT,
    })
}
