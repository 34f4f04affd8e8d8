//! Every key of a mount, parsed: what signs, what verifies, and what the world
//! is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::facts::config::store::DEFAULT_KEY;
use crate::facts::keys::ring::{KeyRing, RECEIPTS_KEY};
use crate::host::framework::error::{Error, Result};
use crate::jose::alg::Algorithm;
use crate::jose::jwk::PublicJwk;
use crate::jose::jws::{Header, HeaderBytes};
use crate::jose::signer::SigningKey;
use crate::model::ids::KeyName;
use crate::model::time::Timestamp;

/// The header type of an access token (RFC 9068 2.1).
pub const ACCESS_TOKEN: &str = "at+jwt";

/// A key that is ready to sign: parsed once, with its header encoded once.
#[derive(Debug)]
pub struct Signer {
    /// The key.
    pub key: SigningKey,
    /// Its public half, as published.
    pub public: PublicJwk,
    /// The header of an access token signed by it.
    pub access_token_header: HeaderBytes,
}

/// A public key as the key set shows it.
#[derive(Clone, Debug)]
pub struct Published {
    /// The JWK.
    pub jwk: Value,
    /// The same, parsed.
    pub public: PublicJwk,
    /// Until when it is shown; `None`: as long as it signs.
    pub until: Option<Timestamp>,
    /// Whether it signs receipts, and so no credential.
    pub is_for_receipts: bool,
}

/// Every key of a mount, parsed.
#[derive(Debug, Default)]
pub struct KeySet {
    /// The signing version of each key.
    pub signers: BTreeMap<KeyName, Arc<Signer>>,
    /// Every version that verifies.
    pub published: Vec<Published>,
    /// The algorithms among them.
    pub algorithms: Vec<Algorithm>,
}

impl KeySet {
    /// Adds the versions of a key.
    ///
    /// # Errors
    /// If one of them is no key.
    pub fn add(&mut self, ring: &KeyRing) -> Result<()> {
        for version in ring
            .versions
            .iter()
            .filter(|version| version.retired_at.is_none())
        {
            let broken = |problem: String| {
                Error::Internal(format!(
                    "version {} of key {} is not a key: {problem}",
                    version.version, ring.name
                ))
            };
            let key = SigningKey::from_pkcs8(ring.algorithm, version.pkcs8.expose())
                .map_err(|error| broken(error.to_string()))?;
            let kid = key.public().thumbprint();
            let public = key
                .public()
                .clone()
                .with_kid(&kid)
                .map_err(|error| broken(error.to_string()))?;
            self.published.push(Published {
                jwk: public.to_value(),
                public: public.clone(),
                until: version.verify_until,
                is_for_receipts: ring.name.as_str() == RECEIPTS_KEY,
            });
            if version.verify_until.is_none() {
                let header = Header::new(ring.algorithm)
                    .with_typ(ACCESS_TOKEN)
                    .with_kid(&kid);
                let signer = Signer {
                    key,
                    public,
                    access_token_header: HeaderBytes::new(&header),
                };
                self.signers.insert(ring.name.clone(), Arc::new(signer));
            }
        }
        if !self.algorithms.contains(&ring.algorithm) {
            self.algorithms.push(ring.algorithm);
        }
        Ok(())
    }

    /// The key that signs for a target that names `wanted`, or none, where the
    /// settings name `fallback`, or none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such key.
    pub fn signer(
        &self,
        wanted: Option<&KeyName>,
        fallback: Option<&KeyName>,
    ) -> Result<&Arc<Signer>> {
        let name = wanted
            .or(fallback)
            .map_or(DEFAULT_KEY, |name| name.as_str());
        self.signers
            .iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, signer)| signer)
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "there is no signing key `{name}`; an operator makes it under `keys/{name}`"
                ))
            })
    }

    /// The keys that verify credentials at `now`.
    pub fn verifiers(&self, now: Timestamp) -> impl Iterator<Item = &PublicJwk> {
        self.published
            .iter()
            .filter(move |key| !key.is_for_receipts && key.until.is_none_or(|end| end > now))
            .map(|key| &key.public)
    }

    /// The key set to publish at `now` (RFC 7517 5).
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> Value {
        let keys: Vec<&Value> = self
            .published
            .iter()
            .filter(|key| key.until.is_none_or(|end| end > now))
            .map(|key| &key.jwk)
            .collect();
        serde_json::json!({ "keys": keys })
    }
}
