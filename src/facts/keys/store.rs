//! Where signing keys are kept. Private keys never leave through any path.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::facts::config::store::DEFAULT_KEY;
use crate::facts::keys::ring::thumbprint;
pub use crate::facts::keys::ring::{KeyRing, KeyVersion, MAX_VERSIONS, RECEIPTS_KEY};
use crate::facts::keys::set::KeySet;
use crate::host::framework::error::{Error, Result};
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::snapshot::Snapshot;
use crate::host::framework::storage::Storage;
use crate::jose::alg::Algorithm;
use crate::jose::signer::SigningKey;
use crate::model::ids::KeyName;
use crate::model::secret::Secret;
use crate::model::time::{Timestamp, Ttl};

/// A key ring as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum KeyRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// See [`KeyRing`].
        name: KeyName,
        /// See [`KeyRing`].
        algorithm: Algorithm,
        /// See [`KeyRing`].
        versions: Vec<KeyVersionV1>,
        /// See [`KeyRing`].
        #[serde(default)]
        rotation_period: Ttl,
        /// See [`KeyRing`].
        #[serde(default)]
        released_at: Option<Timestamp>,
    },
}

/// A key version as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyVersionV1 {
    version: u32,
    created_at: Timestamp,
    verify_until: Option<Timestamp>,
    #[serde(default)]
    retired_at: Option<Timestamp>,
    pkcs8: String,
}

impl Record for KeyRecord {
    const PREFIX: &'static str = "key/";
    const SEAL_WRAP: bool = true;
    type Noun = KeyRing;

    fn upgrade(self) -> std::result::Result<KeyRing, String> {
        let Self::V1 {
            name,
            algorithm,
            versions,
            rotation_period,
            released_at,
        } = self;
        let versions = versions
            .into_iter()
            .map(|stored| {
                let pkcs8 = STANDARD
                    .decode(stored.pkcs8)
                    .map_err(|_| "its private key is not base64".to_owned())?;
                Ok(KeyVersion {
                    version: stored.version,
                    created_at: stored.created_at,
                    verify_until: stored.verify_until,
                    retired_at: stored.retired_at,
                    pkcs8: Secret::new(pkcs8),
                })
            })
            .collect::<std::result::Result<Vec<_>, String>>()?;
        if versions.is_empty() {
            return Err("it has no version".to_owned());
        }
        Ok(KeyRing {
            name,
            algorithm,
            versions,
            rotation_period,
            released_at,
        })
    }

    fn newest(ring: &KeyRing) -> Self {
        let versions = ring
            .versions
            .iter()
            .map(|version| KeyVersionV1 {
                version: version.version,
                created_at: version.created_at,
                verify_until: version.verify_until,
                retired_at: version.retired_at,
                pkcs8: STANDARD.encode(version.pkcs8.expose()),
            })
            .collect();
        Self::V1 {
            name: ring.name.clone(),
            algorithm: ring.algorithm,
            versions,
            rotation_period: ring.rotation_period,
            released_at: ring.released_at,
        }
    }
}

/// The keys of a mount, in storage.
#[derive(Debug)]
pub struct KeyStore {
    records: Collection<KeyRecord>,
    set: Snapshot<KeySet>,
    writing: tokio::sync::Mutex<()>,
}

impl KeyStore {
    /// The keys in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            set: Snapshot::new(Arc::clone(standby)),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// A key by its name.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self, name: &KeyName) -> Result<Option<Arc<KeyRing>>> {
        self.records.get(name.as_str()).await
    }

    /// The names of all keys.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.records.list(after, limit).await
    }

    /// Changes a key, or makes it: `change` sees what is there now.
    ///
    /// # Errors
    /// What `change` refuses, or if storage fails.
    pub async fn update(
        &self,
        name: &KeyName,
        change: impl FnOnce(Option<&KeyRing>) -> Result<KeyRing> + Send,
    ) -> Result<Arc<KeyRing>> {
        let _one_at_a_time = self.writing.lock().await;
        let present = self.records.get(name.as_str()).await?;
        let ring = change(present.as_deref())?;
        self.check_new(present.as_deref(), &ring).await?;
        let stored = self.records.store(name.as_str(), ring).await;
        self.set.forget();
        stored
    }

    /// Changes a key that is there.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not; what `change` refuses, or if storage
    /// fails.
    pub async fn change(
        &self,
        name: &KeyName,
        change: impl FnOnce(&mut KeyRing) -> Result<()> + Send,
    ) -> Result<Arc<KeyRing>> {
        self.update(name, |present| {
            let mut ring = present
                .cloned()
                .ok_or_else(|| Error::NotFound(format!("there is no key `{name}`")))?;
            change(&mut ring)?;
            Ok(ring)
        })
        .await
    }

    /// Refuses a private key that is in use already, or was retired: what one
    /// key signed must not verify as another's, and a compromised key must not
    /// come back.
    async fn check_new(&self, present: Option<&KeyRing>, next: &KeyRing) -> Result<()> {
        let known = |one: &KeyVersion| {
            present.is_some_and(|ring| ring.versions.iter().any(|two| two.version == one.version))
        };
        let mut new = Vec::new();
        for version in next.versions.iter().filter(|version| !known(version)) {
            new.push(thumbprint(next, version)?);
        }
        if new.is_empty() {
            return Ok(());
        }
        for name in self.list("", 0).await? {
            let Some(ring) = self.records.get(&name).await? else {
                continue;
            };
            for version in &ring.versions {
                if new.contains(&thumbprint(&ring, version)?) {
                    return Err(Error::field(
                        "private_key",
                        format_args!(
                            "is version {} of the key `{name}` already; every version needs a key of its own",
                            version.version
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Notes that something is about to stop using a key, if there is one by
    /// this name.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn release(&self, name: &str, now: Timestamp) -> Result<()> {
        let Ok(name) = name.parse::<KeyName>() else {
            return Ok(());
        };
        if self.get(&name).await?.is_none() {
            return Ok(());
        }
        let noted = self.change(&name, |ring| {
            ring.released_at = ring.released_at.max(Some(now));
            Ok(())
        });
        match noted.await {
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes a key.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove(&self, name: &KeyName) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let removed = self.records.remove(name.as_str()).await;
        self.set.forget();
        removed
    }

    /// Every key, parsed.
    ///
    /// # Errors
    /// If storage fails or holds what cannot be a key.
    pub async fn set(&self) -> Result<Arc<KeySet>> {
        self.set.get(|| self.load()).await
    }

    /// The name in a field that refers to a key; empty refers to the default.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such key.
    pub async fn reference(&self, field: &str, name: &str) -> Result<Option<KeyName>> {
        let wanted = if name.is_empty() { DEFAULT_KEY } else { name };
        let key: KeyName = wanted.parse().map_err(|error| Error::field(field, error))?;
        if key.as_str() == RECEIPTS_KEY {
            return Err(Error::field(
                field,
                "the key `receipts` signs receipts and nothing else; name another",
            ));
        }
        match self.get(&key).await? {
            Some(_) if name.is_empty() => Ok(None),
            Some(_) => Ok(Some(key)),
            None => Err(Error::field(
                field,
                format_args!("there is no key `{key}`; make it under `keys/{key}`"),
            )),
        }
    }

    /// Makes a key that the mount itself needs, if nobody has made it yet.
    ///
    /// # Errors
    /// If storage fails; on a read-only node, with the text that forwards.
    pub async fn ensure(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<SigningKey> + Send,
        now: Timestamp,
    ) -> Result<()> {
        let name: KeyName = name
            .parse()
            .map_err(|_| Error::Internal(format!("no key can be named `{name}`")))?;
        if self.get(&name).await?.is_some() {
            return Ok(());
        }
        let key = make()?;
        self.update(&name, |present| match present {
            Some(ring) => Ok(ring.clone()),
            None => Ok(KeyRing::new(name.clone(), &key, now)),
        })
        .await
        .map(drop)
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        let ours = self.records.invalidate(key);
        if ours {
            self.set.forget();
        }
        ours
    }

    async fn load(&self) -> Result<KeySet> {
        let mut set = KeySet::default();
        for name in self.list("", 0).await? {
            let Some(ring) = self.records.get(&name).await? else {
                continue;
            };
            set.add(&ring)?;
        }
        Ok(set)
    }
}
