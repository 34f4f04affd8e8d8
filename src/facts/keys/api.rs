//! `keys/…`: signing keys.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::facts::Cx;
use crate::facts::config::store::DEFAULT_KEY;
use crate::facts::keys::store::{KeyRing, RECEIPTS_KEY};
use crate::facts::keys::versions::{add_version, generate, import};
use crate::facts::keys::view::KeyView;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::jose::alg::Algorithm;
use crate::model::ids::KeyName;
use crate::model::time::Ttl;

/// How often a key may rotate by itself: not before the last token of the
/// version before has expired, so that there are few at a time.
const SHORTEST_PERIOD: Ttl = Ttl::from_secs(3600);
const LONGEST_PERIOD: Ttl = Ttl::from_secs(366 * 24 * 3600);

/// List the signing keys.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListKeys {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListKeys {
    const PLACE: Place = Place {
        path: "keys",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Signing key";
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        Ok(Listing::of(cx.facts.keys.list(&self.after, self.limit).await?).into())
    }
}

/// Read a signing key: its algorithm, versions and public halves.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadKey {
    /// Name of the key.
    name: KeyName,
}

impl Endpoint<Cx> for ReadKey {
    const PLACE: Place = Place {
        path: "keys/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Signing key";
    type Output = KeyView;

    async fn handle(self, cx: &Cx) -> Result<Reply<KeyView>> {
        match cx.facts.keys.get(&self.name).await? {
            Some(ring) => Ok(KeyView::of(&ring)?.into()),
            None => Ok(Reply::Nothing),
        }
    }
}

/// What a key can sign with here. More can be verified.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// Ed25519 (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA, imported.
    #[serde(rename = "RS256")]
    Rs256,
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::EdDsa => Self::EdDsa,
            KeyAlgorithm::Es256 => Self::Es256,
            KeyAlgorithm::Rs256 => Self::Rs256,
        }
    }
}

/// Make or import a signing key.
///
/// EdDSA and ES256 keys are made here; an RS256 key must be imported. A private
/// key that is given for an existing key becomes its next version. Private keys
/// can never be read back.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteKey {
    /// Name of the key.
    name: KeyName,
    /// What it signs with: `EdDSA` (the default), `ES256` or `RS256`.
    algorithm: Option<KeyAlgorithm>,
    /// A private key to import, in PEM (PKCS#8; for RSA also PKCS#1).
    #[schemars(extend("x-vault-displayAttrs" = { "editType": "textarea", "sensitive": true }))]
    private_key: Option<String>,
    /// After what time the key rotates by itself: from 1h to a year, or 0 for
    /// never, the default. Not for RS256, whose next key must be imported.
    rotation_period: Option<Ttl>,
}

impl Endpoint<Cx> for WriteKey {
    const PLACE: Place = Place {
        path: "keys/{name}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Signing key";
    type Output = KeyView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "name") {
            Some(name) => Ok(Some(cx.facts.keys.get(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<KeyView>> {
        let Self {
            name,
            algorithm,
            private_key,
            rotation_period,
        } = self;
        let algorithm = algorithm.map(Algorithm::from);
        let settle = |mut ring: KeyRing| {
            if let Some(period) = rotation_period {
                check_period(period, &ring)?;
                ring.rotation_period = period;
            }
            Ok(ring)
        };
        let stored = cx
            .facts
            .keys
            .update(&name, |present| {
                cx.check_new(present.is_some())?;
                match present {
                Some(ring) if algorithm.is_some_and(|wanted| wanted != ring.algorithm) => {
                    Err(Error::field(
                        "algorithm",
                        format_args!(
                            "key `{name}` signs with {}; make another key for another algorithm",
                            ring.algorithm
                        ),
                    ))
                }
                Some(ring) => {
                    let mut ring = ring.clone();
                    if let Some(pem) = &private_key {
                        let key = import(ring.algorithm, pem)?;
                        add_version(&mut ring, &key, cx.now)?;
                    }
                    settle(ring)
                }
                // It signs what outlives all else, and nothing but that: no key
                // that a target or the settings use may become it.
                None if name.as_str() == RECEIPTS_KEY => Err(Error::field(
                    "name",
                    "`receipts` is made with the first receipt, and signs nothing else; name another",
                )),
                None => {
                    let algorithm = algorithm.unwrap_or(Algorithm::EdDsa);
                    let key = match &private_key {
                        Some(pem) => import(algorithm, pem)?,
                        None => generate(algorithm, cx)?,
                    };
                    settle(KeyRing::new(name.clone(), &key, cx.now))
                }
                }
            })
            .await?;
        Ok(KeyView::of(&stored)?.into())
    }
}

/// Delete a signing key.
///
/// Refused while a target or the mount's settings use it, and for an hour after
/// the last of them stopped: until the last token that it signed has expired.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteKey {
    /// Name of the key.
    name: KeyName,
}

impl Endpoint<Cx> for DeleteKey {
    const PLACE: Place = Place {
        path: "keys/{name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Signing key";
    type Output = KeyView;

    async fn handle(self, cx: &Cx) -> Result<Reply<KeyView>> {
        let fallback = cx.config().await?.signing_key.clone();
        let is_fallback = match &fallback {
            Some(name) => *name == self.name,
            None => self.name.as_str() == DEFAULT_KEY,
        };
        if is_fallback {
            return Err(Error::Invalid(format!(
                "key `{}` is the one that signs where a target names none; set `signing_key` under `config` to another first",
                self.name
            )));
        }
        if self.name.as_str() == RECEIPTS_KEY {
            return Err(Error::Invalid(
                "key `receipts` signed what humans agreed to, and must go on to verify it; rotate it, or retire a version"
                    .to_owned(),
            ));
        }
        let users = cx.facts.targets.using_key(&self.name).await?;
        if !users.is_empty() {
            return Err(Error::Invalid(format!(
                "key `{}` is used by the targets {}; change them first",
                self.name,
                users.join(", ")
            )));
        }
        let needed_until = cx
            .facts
            .keys
            .get(&self.name)
            .await?
            .and_then(|ring| ring.needed_until())
            .filter(|end| *end > cx.now);
        if let Some(end) = needed_until {
            return Err(Error::Invalid(format!(
                "key `{}` may have signed tokens that live until {end}; delete it after that, or retire its versions under `keys/{}/retire` to end them now",
                self.name, self.name
            )));
        }
        cx.facts.keys.remove(&self.name).await?;
        Ok(Reply::Nothing)
    }
}

fn check_period(period: Ttl, ring: &KeyRing) -> Result<()> {
    if period.is_zero() {
        return Ok(());
    }
    if ring.name.as_str() == RECEIPTS_KEY {
        return Err(Error::field(
            "rotation_period",
            "is not for `receipts`: every version is kept for as long as a receipt may live",
        ));
    }
    if ring.algorithm == Algorithm::Rs256 {
        return Err(Error::field(
            "rotation_period",
            "is not for RS256: its next key must be imported",
        ));
    }
    if (SHORTEST_PERIOD..=LONGEST_PERIOD).contains(&period) {
        return Ok(());
    }
    Err(Error::field(
        "rotation_period",
        "must be 0, or between 1h and a year",
    ))
}
