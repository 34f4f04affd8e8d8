//! `keys/:name/rotate` and `keys/:name/retire`: one version after the other.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::Cx;
use crate::facts::keys::store::{KeyRing, MAX_VERSIONS};
use crate::facts::keys::view::KeyView;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result, needed};
use crate::host::framework::response::Reply;
use crate::jose::alg::Algorithm;
use crate::jose::signer::SigningKey;
use crate::model::decision::Outcome;
use crate::model::ids::KeyName;
use crate::model::text::Description;
use crate::model::time::Timestamp;
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::log;

/// Rotate a signing key.
///
/// A new version signs from now on. The one before it stays published for an
/// hour, the longest that anything it signed can live. An imported RS256 key
/// is rotated by writing the next private key to `keys/:name`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RotateKey {
    /// Name of the key.
    name: KeyName,
    /// Why. Needed.
    reason: Description,
}

impl Endpoint<Cx> for RotateKey {
    const PLACE: Place = Place {
        path: "keys/{name}/rotate",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = KeyView;

    async fn handle(self, cx: &Cx) -> Result<Reply<KeyView>> {
        needed(&self.reason)?;
        let stored = cx
            .facts
            .keys
            .change(&self.name, |ring| {
                let key = generate(ring.algorithm, cx)?;
                add_version(ring, &key, cx.now)
            })
            .await?;
        let entry = Entry {
            resource: self.name.to_string(),
            purpose: self.reason.into(),
            ..log::entry(cx, Kind::KeyRotate, Outcome::Allow)
        };
        log::record(cx, entry);
        Ok(KeyView::of(&stored)?.into())
    }
}

/// Take a version of a key out of use at once, as compromised.
///
/// It leaves the key set, and every credential that it signed is inactive from
/// now on at whoever asks here. A verifier that has the key set cached accepts
/// them until it fetches it again. If the version signs, another takes its place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RetireKey {
    /// Name of the key.
    name: KeyName,
    /// Why. Needed: it cannot be undone.
    reason: Description,
    /// Number of the version; default: the one that signs.
    version: Option<u32>,
    /// The private key that takes its place, in PEM: for RS256, where the
    /// version signs.
    #[schemars(extend("x-vault-displayAttrs" = { "editType": "textarea", "sensitive": true }))]
    private_key: Option<String>,
}

impl Endpoint<Cx> for RetireKey {
    const PLACE: Place = Place {
        path: "keys/{name}/retire",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = KeyView;

    async fn handle(self, cx: &Cx) -> Result<Reply<KeyView>> {
        needed(&self.reason)?;
        let stored = cx
            .facts
            .keys
            .change(&self.name, |ring| {
                let signs = ring.versions.last().map_or(0, |version| version.version);
                let number = self.version.unwrap_or(signs);
                if number == signs {
                    let key = match &self.private_key {
                        Some(pem) => import(ring.algorithm, pem)?,
                        None => generate(ring.algorithm, cx)?,
                    };
                    // A full ring must not keep a compromised key in use.
                    ring.rotate(&key, cx.now);
                }
                if !ring.retire(number, cx.now) {
                    return Err(Error::field(
                        "version",
                        format_args!("key `{}` has no version {number}", self.name),
                    ));
                }
                ring.drop_retired(MAX_VERSIONS.saturating_mul(2));
                Ok(())
            })
            .await?;
        let entry = Entry {
            resource: self.name.to_string(),
            purpose: self.reason.into(),
            ..log::entry(cx, Kind::KeyRetire, Outcome::Allow)
        };
        log::record(cx, entry);
        Ok(KeyView::of(&stored)?.into())
    }
}

/// Adds a version that signs from now on.
///
/// # Errors
/// If there are too many.
pub(super) fn add_version(ring: &mut KeyRing, key: &SigningKey, now: Timestamp) -> Result<()> {
    ring.rotate(key, now);
    if ring.versions.len() > MAX_VERSIONS {
        return Err(Error::Invalid(format!(
            "key `{}` already has {MAX_VERSIONS} versions that verify; wait until the oldest have expired",
            ring.name
        )));
    }
    Ok(())
}

/// Reads a private key that somebody gave.
///
/// # Errors
/// If it is none for the algorithm.
pub(super) fn import(algorithm: Algorithm, pem: &str) -> Result<SigningKey> {
    SigningKey::from_pem(algorithm, pem).map_err(|error| Error::field("private_key", error))
}

/// Makes a private key.
///
/// # Errors
/// If such a key must be imported.
pub(super) fn generate(algorithm: Algorithm, cx: &Cx) -> Result<SigningKey> {
    SigningKey::generate(algorithm, cx.rng()).map_err(|error| Error::field("algorithm", error))
}
