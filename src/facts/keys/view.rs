//! A signing key, as it is read.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::facts::keys::store::KeyRing;
use crate::host::framework::error::{Error, Result};
use crate::jose::alg::Algorithm;
use crate::jose::signer::SigningKey;
use crate::model::ids::KeyName;
use crate::model::time::{Timestamp, Ttl};

/// A signing key, as it is read: the public halves.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyView {
    name: KeyName,
    algorithm: Algorithm,
    latest_version: u32,
    /// After what time it rotates by itself; 0: never.
    rotation_period: Ttl,
    versions: Vec<VersionView>,
}

/// One version of a key, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VersionView {
    version: u32,
    kid: String,
    created_at: Timestamp,
    /// Until when it is published; empty while it signs.
    verify_until: String,
    /// When it was taken out of use as compromised; empty if it was not.
    retired_at: String,
    public_key: Map<String, Value>,
}

impl KeyView {
    /// What is shown of a key.
    ///
    /// # Errors
    /// If it is no key.
    pub fn of(ring: &KeyRing) -> Result<Self> {
        let versions = ring
            .versions
            .iter()
            .map(|version| {
                let key = SigningKey::from_pkcs8(ring.algorithm, version.pkcs8.expose())
                    .map_err(|error| Error::Internal(format!("key {}: {error}", ring.name)))?;
                let kid = key.public().thumbprint();
                let Value::Object(public_key) = key.public().to_value() else {
                    return Err(Error::Internal("a JWK is not an object".to_owned()));
                };
                Ok(VersionView {
                    version: version.version,
                    kid,
                    created_at: version.created_at,
                    verify_until: version
                        .verify_until
                        .map(|end| end.to_string())
                        .unwrap_or_default(),
                    retired_at: version
                        .retired_at
                        .map(|at| at.to_string())
                        .unwrap_or_default(),
                    public_key,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            name: ring.name.clone(),
            algorithm: ring.algorithm,
            latest_version: ring.versions.last().map_or(0, |version| version.version),
            rotation_period: ring.rotation_period,
            versions,
        })
    }
}
