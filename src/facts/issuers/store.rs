//! Where issuers are kept, and which entities their humans are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::host::framework::error::{Error, Result};
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::snapshot::Snapshot;
use crate::host::framework::storage::{Storage, Write};
use crate::jose::jwk::PublicJwk;
use crate::model::ids::{EntityId, IssuerId, IssuerName};
use crate::model::issuer::Issuer;
use crate::model::text;
use crate::model::time::Timestamp;

/// The most issuers of a mount.
pub const MAX_ISSUERS: usize = 256;
/// How many mappings are removed at a time, with their issuer.
const BATCH: u32 = 64;

/// An issuer as it is stored. The noun is the first version's shape.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum IssuerRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Box<Issuer>),
}

impl Record for IssuerRecord {
    const PREFIX: &'static str = "issuer/";
    type Noun = Issuer;

    fn upgrade(self) -> std::result::Result<Issuer, String> {
        let Self::V1(issuer) = self;
        Ok(*issuer)
    }

    fn newest(issuer: &Issuer) -> Self {
        Self::V1(Box::new(issuer.clone()))
    }
}

/// What an issuer calls an entity. Stored under the issuer's id and the
/// entity's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum SubjectRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// The value of the issuer's `user_claim`.
        subject: String,
    },
}

impl Record for SubjectRecord {
    const PREFIX: &'static str = "issuer-subject/";
    type Noun = String;

    fn upgrade(self) -> std::result::Result<String, String> {
        let Self::V1 { subject } = self;
        Ok(subject)
    }

    fn newest(subject: &String) -> Self {
        Self::V1 {
            subject: subject.clone(),
        }
    }
}

/// From what an issuer calls somebody to the entity. Stored under the issuer's
/// id and the digest of the name; it is the other record that counts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum ClaimPointer {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Who that may be.
        entity_id: EntityId,
    },
}

impl Record for ClaimPointer {
    const PREFIX: &'static str = "issuer-claim/";
    type Noun = EntityId;

    fn upgrade(self) -> std::result::Result<EntityId, String> {
        let Self::V1 { entity_id } = self;
        Ok(entity_id)
    }

    fn newest(entity_id: &EntityId) -> Self {
        Self::V1 {
            entity_id: entity_id.clone(),
        }
    }
}

/// An enabled issuer, with the keys that were given for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Its definition.
    pub issuer: Issuer,
    /// Its keys, where they are not fetched.
    pub keys: Vec<PublicJwk>,
}

/// All issuers, by `iss`.
#[derive(Debug, Default)]
struct ByIssuerId {
    /// Those that are enabled. One that two definitions claim is nobody.
    enabled: BTreeMap<String, Option<Arc<Trusted>>>,
    /// Every definition; of two, as 0.1 allowed while one was disabled, the
    /// enabled one.
    defined: BTreeMap<String, Arc<Issuer>>,
}

/// On what a token of an issuer is believed: its keys or their place, audiences,
/// algorithms, how its claims are read, and what it must say. A digest: what was believed before
/// it changed, is believed no more.
#[must_use]
pub fn trust(issuer: &Issuer) -> String {
    let parts = serde_json::json!([
        issuer.use_jwks,
        issuer.jwks_uri,
        issuer.jwks_ca_pem,
        issuer.public_keys,
        issuer.audiences,
        issuer.supported_algorithms,
        issuer.jwt_type,
        issuer.user_claim,
        issuer.actor_claim,
        issuer.unique_id_claim,
        issuer.optional_authorization_details,
        issuer.authorization_details_claim,
    ]);
    text::hex(digest(&SHA256, parts.to_string().as_bytes()).as_ref())
}

/// The issuers of a mount, in storage.
#[derive(Debug)]
pub struct IssuerStore {
    storage: Arc<dyn Storage>,
    records: Collection<IssuerRecord>,
    subjects: Collection<SubjectRecord>,
    claims: Collection<ClaimPointer>,
    by_issuer_id: Snapshot<ByIssuerId>,
    writing: tokio::sync::Mutex<()>,
}

impl IssuerStore {
    /// The issuers in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            storage: Arc::clone(storage),
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            subjects: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            claims: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            by_issuer_id: Snapshot::new(Arc::clone(standby)),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// An issuer by its name.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self, name: &IssuerName) -> Result<Option<Arc<Issuer>>> {
        self.records.get(name.as_str()).await
    }

    /// The names of all issuers.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.records.list(after, limit).await
    }

    /// The enabled issuer whose `iss` is exactly this.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn trusted(&self, issuer_id: &str) -> Result<Option<Arc<Trusted>>> {
        let all = self.by_issuer_id.get(|| self.load()).await?;
        Ok(all.enabled.get(issuer_id).cloned().flatten())
    }

    /// The issuer whose `iss` is exactly this, enabled or not.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn by_issuer_id(&self, issuer_id: &str) -> Result<Option<Arc<Issuer>>> {
        let all = self.by_issuer_id.get(|| self.load()).await?;
        Ok(all.defined.get(issuer_id).cloned())
    }

    /// Defines or changes an issuer: `change` sees what is there now, and all
    /// others.
    ///
    /// # Errors
    /// What `change` refuses, or if storage fails.
    pub async fn update(
        &self,
        name: &IssuerName,
        change: impl FnOnce(Option<&Issuer>, &[Arc<Issuer>]) -> Result<Issuer> + Send,
    ) -> Result<Arc<Issuer>> {
        let _one_at_a_time = self.writing.lock().await;
        let (mut present, mut others) = (None, Vec::new());
        for other in self.list("", 0).await? {
            match self.records.get(&other).await? {
                Some(issuer) if issuer.name == *name => present = Some(issuer),
                Some(issuer) => others.push(issuer),
                None => {}
            }
        }
        let issuer = change(present.as_deref(), &others)?;
        let stored = self.records.store(name.as_str(), issuer).await;
        self.by_issuer_id.forget();
        stored
    }

    /// Revokes what an issuer's tokens have vouched for up to `now`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; if storage fails.
    pub async fn revoke(&self, name: &IssuerName, now: Timestamp) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let Some(issuer) = self.records.get(name.as_str()).await? else {
            return Err(Error::NotFound(format!("there is no issuer `{name}`")));
        };
        let mut issuer = (*issuer).clone();
        issuer.revoked_at = issuer.revoked_at.max(Some(now));
        let stored = self.records.store(name.as_str(), issuer).await;
        self.by_issuer_id.forget();
        stored.map(drop)
    }

    /// Removes an issuer, and who its humans were before it.
    ///
    /// # Errors
    /// If storage fails; then it may be removed again.
    pub async fn remove(&self, name: &IssuerName) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let Some(issuer) = self.records.get(name.as_str()).await? else {
            return Ok(());
        };
        let mut after = String::new();
        loop {
            let entities = self.list_subjects(&issuer.id, &after, BATCH).await?;
            let Some(last) = entities.last() else {
                break;
            };
            after.clone_from(last);
            for entity in entities.iter().filter_map(|entity| entity.parse().ok()) {
                self.unmap(&issuer.id, &entity).await?;
            }
        }
        let removed = self.records.remove(name.as_str()).await;
        self.by_issuer_id.forget();
        removed
    }

    /// The entity that `issuer` calls `subject`.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn entity_of(&self, issuer: &IssuerId, subject: &str) -> Result<Option<EntityId>> {
        let Some(entity) = self.claims.get(&claim_key(issuer, subject)).await? else {
            return Ok(None);
        };
        let called = self.subject_of(issuer, &entity).await?;
        Ok(called
            .is_some_and(|called| *called == subject)
            .then(|| (*entity).clone()))
    }

    /// What `issuer` calls an entity.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn subject_of(
        &self,
        issuer: &IssuerId,
        entity: &EntityId,
    ) -> Result<Option<Arc<String>>> {
        self.subjects.get(&subject_key(issuer, entity)).await
    }

    /// The entities that `issuer` has a name for.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn list_subjects(
        &self,
        issuer: &IssuerId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>> {
        let folder = format!("{}{issuer}/", SubjectRecord::PREFIX);
        self.storage.list(&folder, after, limit).await
    }

    /// Says what the issuer `name` calls an entity, in place of what it called
    /// it before.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such issuer; if another entity is
    /// called that; if storage fails.
    pub async fn map(
        &self,
        name: &IssuerName,
        entity: &EntityId,
        subject: &str,
        check: impl FnOnce(bool) -> Result<()> + Send,
    ) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let issuer = self.records.get(name.as_str()).await?.ok_or_else(|| {
            Error::NotFound(format!("there is no issuer `{name}`; define it first"))
        })?;
        let issuer = &issuer.id;
        if let Some(other) = self.entity_of(issuer, subject).await?
            && other != *entity
        {
            return Err(Error::field(
                "subject",
                format_args!(
                    "the entity `{other}` is called that already; delete that mapping first"
                ),
            ));
        }
        let before = self.subject_of(issuer, entity).await?;
        check(before.is_some())?;
        let mut writes = Vec::new();
        let mut keys = vec![claim_key(issuer, subject)];
        if let Some(before) = before.filter(|before| **before != subject) {
            keys.push(claim_key(issuer, &before));
            writes.push(self.claims.delete(&claim_key(issuer, &before)));
        }
        writes.push(self.claims.put(&claim_key(issuer, subject), entity)?);
        // The record that counts goes last: until then the pointer is nobody.
        let key = subject_key(issuer, entity);
        writes.push(self.subjects.put(&key, &subject.to_owned())?);
        self.commit(writes, &key, &keys).await
    }

    /// Forgets what the issuer `name` calls an entity.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove_subject(&self, name: &IssuerName, entity: &EntityId) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        match self.records.get(name.as_str()).await? {
            Some(issuer) => self.unmap(&issuer.id, entity).await,
            None => Ok(()),
        }
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        if self.records.invalidate(key) {
            self.by_issuer_id.forget();
            return true;
        }
        self.subjects.invalidate(key) || self.claims.invalidate(key)
    }

    async fn unmap(&self, issuer: &IssuerId, entity: &EntityId) -> Result<()> {
        let key = subject_key(issuer, entity);
        let Some(subject) = self.subjects.get(&key).await? else {
            return Ok(());
        };
        let claim = claim_key(issuer, &subject);
        // The record that counts goes first.
        let writes = vec![self.subjects.delete(&key), self.claims.delete(&claim)];
        self.commit(writes, &key, &[claim]).await
    }

    /// Makes changes to one mapping. Nothing of it stays cached, however it
    /// went.
    async fn commit(&self, writes: Vec<Write>, subject: &str, claims: &[String]) -> Result<()> {
        let forget = || {
            self.subjects.forget(subject);
            for claim in claims {
                self.claims.forget(claim);
            }
        };
        forget();
        let done = self.storage.commit(writes).await;
        forget();
        done
    }

    async fn load(&self) -> Result<ByIssuerId> {
        let mut all = ByIssuerId::default();
        for name in self.list("", 0).await? {
            let Some(issuer) = self.records.get(&name).await? else {
                continue;
            };
            if issuer.enabled || !all.defined.contains_key(&issuer.issuer_id) {
                let key = issuer.issuer_id.clone();
                all.defined.insert(key, Arc::clone(&issuer));
            }
            if !issuer.enabled {
                continue;
            }
            let keys = issuer
                .public_keys
                .iter()
                .filter_map(|key| key.key().ok())
                .collect();
            let issuer = (*issuer).clone();
            all.enabled
                .entry(issuer.issuer_id.clone())
                .and_modify(|both| *both = None)
                .or_insert_with(|| Some(Arc::new(Trusted { issuer, keys })));
        }
        Ok(all)
    }
}

fn subject_key(issuer: &IssuerId, entity: &EntityId) -> String {
    format!("{issuer}/{entity}")
}

/// A name of any characters as a storage key: its digest in hexadecimal, which
/// no storage can take for another.
fn claim_key(issuer: &IssuerId, subject: &str) -> String {
    let digest = digest(&SHA256, subject.as_bytes());
    format!("{issuer}/{}", text::hex(digest.as_ref()))
}
