//! The key of a mount's keyed hashes: of opaque tokens, and of questions. It is
//! seal-wrapped: who reads a hash has neither what it is of nor what it takes to
//! test a guess.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::host::framework::error::Result;
use crate::host::framework::record::{self, Record};
use crate::host::framework::storage::Storage;
use crate::model::secret::Secret;

/// The bytes of the key, and of a digest.
pub const KEY: usize = 32;
const HASH_KEY: &str = "mount";

/// The key, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum HashKeyRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// The key, in base64.
        key: String,
    },
}

impl Record for HashKeyRecord {
    const PREFIX: &'static str = "credential-key/";
    const SEAL_WRAP: bool = true;
    type Noun = Secret<Vec<u8>>;

    fn upgrade(self) -> std::result::Result<Secret<Vec<u8>>, String> {
        let Self::V1 { key } = self;
        let key = STANDARD
            .decode(key)
            .map_err(|_| "the key is not base64".to_owned())?;
        Ok(Secret::new(key))
    }

    fn newest(key: &Secret<Vec<u8>>) -> Self {
        Self::V1 {
            key: STANDARD.encode(key.expose()),
        }
    }
}

/// Makes and compares keyed hashes.
#[derive(Clone)]
pub struct Hasher(hmac::Key);

impl Hasher {
    /// The hasher with this key.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A keyed digest, for what `label` says.
    #[must_use]
    pub fn digest(&self, label: &str, data: &[u8]) -> [u8; KEY] {
        let mut digest = [0; KEY];
        digest
            .iter_mut()
            .zip(self.sign(&[label.as_bytes(), &[0], data]))
            .for_each(|(to, from)| *to = from);
        digest
    }

    /// The hash of some parts, one after the other: of a fixed length, or with what
    /// keeps them apart.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        context.sign().as_ref().to_vec()
    }

    /// Whether a hash is that of these parts, in constant time.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], hash: &[u8]) -> bool {
        let mut message = parts.concat();
        let fits = hmac::verify(&self.0, &message, hash).is_ok();
        message.zeroize();
        fits
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// The hasher of a mount, whose key is in storage.
#[derive(Debug)]
pub struct HasherStore {
    storage: Arc<dyn Storage>,
    known: tokio::sync::Mutex<Option<Hasher>>,
}

impl HasherStore {
    /// The one whose key is in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>) -> Self {
        Self {
            storage: Arc::clone(storage),
            known: tokio::sync::Mutex::default(),
        }
    }

    /// The hasher. `None`: there is no key yet, and so nothing was hashed.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self) -> Result<Option<Hasher>> {
        let mut known = self.known.lock().await;
        self.load(&mut known).await
    }

    /// The same, with `make` to make the key where there is none yet.
    ///
    /// # Errors
    /// If storage fails; on a read-only node, with the text that forwards.
    pub async fn ensure(&self, make: impl FnOnce() -> Result<[u8; KEY]> + Send) -> Result<Hasher> {
        let mut known = self.known.lock().await;
        if let Some(hasher) = self.load(&mut known).await? {
            return Ok(hasher);
        }
        let key = Secret::new(make()?.to_vec());
        let write = record::put::<HashKeyRecord>(HASH_KEY, &key)?;
        self.storage.commit(vec![write]).await?;
        let hasher = Hasher::new(key.expose());
        *known = Some(hasher.clone());
        Ok(hasher)
    }

    async fn load(&self, known: &mut Option<Hasher>) -> Result<Option<Hasher>> {
        if known.is_none() {
            let key = record::key::<HashKeyRecord>(HASH_KEY);
            if let Some(bytes) = self.storage.get(&key).await? {
                let key = record::decode::<HashKeyRecord>(HASH_KEY, &bytes)?;
                *known = Some(Hasher::new(key.expose()));
            }
        }
        Ok(known.clone())
    }

    /// Another node changed `key`. Whether it is ours. The key never changes.
    #[must_use]
    pub fn invalidate(&self, key: &str) -> bool {
        key.starts_with(HashKeyRecord::PREFIX)
    }
}
