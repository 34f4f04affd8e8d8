//! What is kept of credentials: records of those that need one, and what was
//! revoked. A JWT whose uses nobody counts has no record.
//!
//! Records are read from storage each time: there can be many, each is needed
//! for seconds, and none may be stale.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::host::framework::error::{Error, Result};
use crate::host::framework::locks::{Held, Locks};
use crate::host::framework::record::{self, Record};
use crate::host::framework::storage::{Storage, Write};
use crate::model::credential::{Credential, Revocation};
use crate::model::ids::{CredentialId, DelegationId, EntityId};
use crate::model::time::Timestamp;

/// A credential as it is stored. The noun is the first version's shape.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum CredentialRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Box<Credential>),
}

impl Record for CredentialRecord {
    const PREFIX: &'static str = "credential/";
    type Noun = Credential;

    fn upgrade(self) -> std::result::Result<Credential, String> {
        let Self::V1(credential) = self;
        Ok(*credential)
    }

    fn newest(credential: &Credential) -> Self {
        Self::V1(Box::new(credential.clone()))
    }
}

/// A revocation as it is stored. The noun is the first version's shape.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum RevocationRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Revocation),
}

impl Record for RevocationRecord {
    const PREFIX: &'static str = "revoked/";
    type Noun = Revocation;

    fn upgrade(self) -> std::result::Result<Revocation, String> {
        let Self::V1(revocation) = self;
        Ok(revocation)
    }

    fn newest(revocation: &Revocation) -> Self {
        Self::V1(revocation.clone())
    }
}

/// What revocations are about.
#[derive(Clone, Copy, Debug)]
pub enum Revoked<'a> {
    /// One credential.
    One(&'a CredentialId),
    /// All that speak of a subject.
    Subject(&'a EntityId),
    /// All that were issued under a delegation, or under one that came from it.
    Delegation(&'a DelegationId),
}

impl Revoked<'_> {
    /// The name of the record.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::One(id) => format!("jti-{id}"),
            Self::Subject(id) => format!("subject-{id}"),
            Self::Delegation(id) => format!("delegation-{id}"),
        }
    }
}

/// A record, with the bytes it was read from: what a change of it must find.
#[derive(Debug)]
pub struct Stored {
    /// The record.
    pub credential: Credential,
    bytes: Vec<u8>,
}

/// The most credentials of which it is remembered that a change may have been
/// made or not.
const MAX_DOUBTS: usize = 16_384;

/// What is kept of the credentials of a mount.
#[derive(Debug)]
pub struct CredentialStore {
    storage: Arc<dyn Storage>,
    // One who changes a record holds its lock from the read on.
    locks: Locks,
    // How many uses are left at most of what was being used when storage failed.
    doubts: Mutex<HashMap<CredentialId, (u32, Timestamp)>>,
    revocations: AtomicU64,
}

impl CredentialStore {
    /// The credentials in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>) -> Self {
        Self {
            storage: Arc::clone(storage),
            locks: Locks::default(),
            doubts: Mutex::default(),
            revocations: AtomicU64::new(0),
        }
    }

    /// What is kept of a credential.
    ///
    /// # Errors
    /// If storage fails, or holds what this release cannot read.
    pub async fn get(&self, id: &CredentialId) -> Result<Option<Stored>> {
        let key = record::key::<CredentialRecord>(id.as_str());
        let Some(bytes) = self.storage.get(&key).await? else {
            return Ok(None);
        };
        let mut credential = record::decode::<CredentialRecord>(id.as_str(), &bytes)?;
        if let Some(left) = credential.uses_left {
            credential.uses_left = Some(self.at_most(id, left));
        }
        Ok(Some(Stored { credential, bytes }))
    }

    /// The change that keeps a new credential.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    pub fn put(id: &CredentialId, credential: &Credential) -> Result<Write> {
        record::put::<CredentialRecord>(id.as_str(), credential)
    }

    /// Commits changes.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<()> {
        self.storage.commit(writes).await
    }

    /// Keeps others from changing a credential. Hold it from the read of the
    /// record until its change is stored.
    pub async fn lock(&self, id: &CredentialId) -> Held<'_> {
        self.locks.hold(&[id.as_str()]).await
    }

    /// Uses one use of a credential, whose lock the caller holds since it read
    /// `seen`, and says how many are left. The use is stored when this returns.
    ///
    /// At most as many succeed as there were uses, whatever fails: where it is
    /// not known whether a use was stored, it counts as used in this process,
    /// and in the next one storage knows.
    ///
    /// # Errors
    /// If storage fails. The use may be gone then.
    pub async fn spend(&self, id: &CredentialId, seen: &Stored) -> Result<Option<u32>> {
        let Some(left) = seen.credential.uses_left else {
            return Ok(None);
        };
        let Some(left) = left.checked_sub(1) else {
            return Err(Error::Conflict("no use is left".to_owned()));
        };
        let mut credential = seen.credential.clone();
        credential.uses_left = Some(left);
        let done = self.change(id, seen, &credential).await;
        done.map(|()| Some(left))
    }

    /// Replaces what was `seen` of a credential, whose lock the caller holds
    /// since then. It may not raise the uses that are left.
    ///
    /// A write of which nobody knows whether it was made may come later, over
    /// others: so from then on no more uses are left than it says, and than any
    /// change after it says, whatever is in storage.
    ///
    /// # Errors
    /// If storage fails, or holds something else by now.
    pub async fn change(
        &self,
        id: &CredentialId,
        seen: &Stored,
        credential: &Credential,
    ) -> Result<()> {
        if credential.uses_left.is_some() {
            self.room_for_doubt()?;
        }
        let done = match Self::put(id, credential)? {
            Write::Put { key, value, .. } => self.storage.replace(&key, &seen.bytes, value).await,
            Write::Delete { .. } => Ok(()),
        };
        if let Some(left) = credential.uses_left {
            let expires_at = credential.expires_at.max(seen.credential.expires_at);
            let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
            let known = doubts.get_mut(id);
            match (&done, known) {
                (Ok(()), Some((most, end))) => {
                    *most = left.min(*most);
                    *end = expires_at.max(*end);
                }
                (Err(error), Some((most, end))) if is_doubtful(error) => {
                    *most = left.min(*most);
                    *end = expires_at.max(*end);
                }
                (Err(error), None) if is_doubtful(error) => {
                    doubts.insert(id.clone(), (left, expires_at));
                }
                (Ok(()), None) | (Err(_), _) => {}
            }
        }
        done
    }

    /// Revokes. One write, however many credentials it concerns.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn revoke(&self, what: Revoked<'_>, revocation: &Revocation) -> Result<()> {
        let write = record::put::<RevocationRecord>(&what.name(), revocation)?;
        self.end(vec![write]).await
    }

    /// Forgets a credential whose lease has ended, and revokes it, if it would
    /// live on, until it expires.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn end_lease(
        &self,
        id: &CredentialId,
        revocation: Option<&Revocation>,
        has_record: bool,
    ) -> Result<()> {
        let mut writes = Vec::with_capacity(2);
        if let Some(revocation) = revocation {
            let name = Revoked::One(id).name();
            writes.push(record::put::<RevocationRecord>(&name, revocation)?);
        }
        if has_record {
            writes.push(Write::Delete {
                key: record::key::<CredentialRecord>(id.as_str()),
            });
        }
        self.end(writes).await
    }

    async fn end(&self, writes: Vec<Write>) -> Result<()> {
        self.revocations.fetch_add(1, Ordering::AcqRel);
        let done = self.storage.commit(writes).await;
        self.revocations.fetch_add(1, Ordering::AcqRel);
        done
    }

    /// The revocation of something, if there is one.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn revocation(&self, what: Revoked<'_>) -> Result<Option<Revocation>> {
        let name = what.name();
        let key = record::key::<RevocationRecord>(&name);
        match self.storage.get(&key).await? {
            Some(bytes) => record::decode::<RevocationRecord>(&name, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The names of all that is revoked, in order: those after `after`, at most
    /// `limit` (0: all).
    ///
    /// # Errors
    /// If storage fails.
    pub async fn revoked(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.storage
            .list(RevocationRecord::PREFIX, after, limit)
            .await
    }

    /// A number that grows with every revocation, before it and after.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.revocations.load(Ordering::Acquire)
    }

    /// Another node changed `key`. Whether it is ours. Nothing of it is cached.
    pub fn invalidate(&self, key: &str) -> bool {
        let revoked = key.starts_with(RevocationRecord::PREFIX);
        if revoked {
            self.revocations.fetch_add(1, Ordering::AcqRel);
        }
        revoked || key.starts_with(CredentialRecord::PREFIX)
    }

    /// Forgets doubts about what has expired.
    pub fn forget_doubts(&self, now: Timestamp) {
        self.doubts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, (_, expires_at)| *expires_at > now);
    }

    fn at_most(&self, id: &CredentialId, left: u32) -> u32 {
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        doubts.get(id).map_or(left, |(most, _)| left.min(*most))
    }

    /// Makes sure that a use which fails can be remembered, before it is tried.
    fn room_for_doubt(&self) -> Result<()> {
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        if doubts.len() < MAX_DOUBTS {
            return Ok(());
        }
        Err(Error::Limited(
            "storage has failed too often to count uses safely; retry later".to_owned(),
        ))
    }
}

/// Whether an error leaves open if the change was made.
fn is_doubtful(error: &Error) -> bool {
    match error {
        Error::Host(text) => !text.contains(Error::READ_ONLY),
        Error::Internal(_) => true,
        Error::Invalid(_)
        | Error::Denied(_)
        | Error::NotFound(_)
        | Error::Conflict(_)
        | Error::Limited(_)
        | Error::NoRoute
        | Error::Unsupported => false,
    }
}
