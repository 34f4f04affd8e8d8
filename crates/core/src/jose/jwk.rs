//! Public keys as JWK (RFC 7517) or PEM.
//!
//! A [`PublicJwk`] is public, asymmetric and not known to be weak once it
//! exists. Private and symmetric keys are refused, never stripped: whoever
//! sent one has already leaked it. Certificates and addresses inside a JWK
//! (`x5c`, `x5u`) are neither kept nor followed.

mod material;
mod registered;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::jose::alg::Algorithm;
use crate::jose::der::{self, DerError};
use crate::jose::json::{JsonError, Strict, strict_json};
use crate::jose::{base64url, pem};
use crate::model::text;
use material::Material;

pub use registered::RegisteredKey;

/// The longest `kid`.
pub const MAX_KID: usize = 256;
/// The longest JWK text: RSA of 8192 bits with a certificate chain beside it.
pub const MAX_JWK: usize = 16 * 1024;
/// Members that only private or symmetric keys have (RFC 7518 6.2.2, 6.3.2, 6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a key is not one that we take.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JwkError {
    /// The text is not strict JSON.
    #[error("the key {0}")]
    Json(JsonError),
    /// The text is neither a JWK nor a PEM public key.
    #[error("the key is not a JWK or a PEM `PUBLIC KEY`")]
    NotAKey,
    /// The PEM block does not hold a key that we know.
    #[error("the key {0}")]
    Der(DerError),
    /// The text is too long.
    #[error("the key is longer than {MAX_JWK} bytes")]
    TooLong,
    /// A private or symmetric key was given.
    #[error(
        "the key has the member `{member}` of a private or symmetric key; replace that key, it has been disclosed"
    )]
    Private {
        /// The member.
        member: &'static str,
    },
    /// A member that must be there is not.
    #[error("the key has no `{member}`")]
    Missing {
        /// The member.
        member: &'static str,
    },
    /// A member has the wrong type, length or spelling.
    #[error("the member `{member}` of the key is malformed")]
    Malformed {
        /// The member.
        member: &'static str,
    },
    /// A key type or curve that we do not verify with.
    #[error("the key is not of a kind we verify with: OKP Ed25519, EC P-256 or P-384, RSA")]
    UnknownKind,
    /// `use`, `key_ops` or `alg` says that it is not for these signatures.
    #[error("the member `{member}` says that the key is not for verifying signatures of its kind")]
    NotForSignatures {
        /// The member.
        member: &'static str,
    },
    /// Anyone could sign for it, or nobody.
    #[error("the key is weak: {reason}")]
    Weak {
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// The key is not for this algorithm (RFC 8725 3.1).
    #[error("the key is not for the algorithm {0}")]
    WrongAlgorithm(Algorithm),
    /// The key did not make this signature over this message.
    #[error("the signature does not verify")]
    Invalid,
}

/// A public key for verifying signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicJwk {
    material: Material,
    kid: Option<String>,
    alg: Option<Algorithm>,
    /// Whether `use: sig` is written; no other use is taken.
    marked_sig: bool,
}

impl PublicJwk {
    /// Reads a JWK. Members we do not know are ignored (RFC 7517 4).
    ///
    /// # Errors
    /// [`JwkError`], which never repeats the key.
    pub fn from_value(value: &Value) -> Result<Self, JwkError> {
        let members = value
            .as_object()
            .ok_or(JwkError::Json(JsonError::NotAnObject))?;
        if let Some(member) = PRIVATE
            .into_iter()
            .find(|member| members.contains_key(*member))
        {
            return Err(JwkError::Private { member });
        }
        let material = Material::from_members(members)?;
        let kid = optional_str(members, "kid")?.map(checked_kid).transpose()?;
        let alg = optional_str(members, "alg")?
            .map(|name| {
                name.parse()
                    .map_err(|_| JwkError::NotForSignatures { member: "alg" })
            })
            .transpose()?;
        let marked_sig = match optional_str(members, "use")? {
            None => false,
            Some("sig") => true,
            Some(_) => return Err(JwkError::NotForSignatures { member: "use" }),
        };
        check_key_ops(members)?;
        let key = Self {
            material,
            kid,
            alg: None,
            marked_sig,
        };
        match alg {
            Some(alg) => key.with_alg(alg),
            None => Ok(key),
        }
    }

    /// Reads the text of a JWK.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn from_json_text(text: &str) -> Result<Self, JwkError> {
        if text.len() > MAX_JWK {
            return Err(JwkError::TooLong);
        }
        Self::from_value(&strict_json(text.as_bytes()).map_err(JwkError::Json)?)
    }

    /// Reads a PEM block `PUBLIC KEY` (RFC 7468 13).
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn from_pem(text: &str) -> Result<Self, JwkError> {
        Self::from_spki(&pem::decode(text, "PUBLIC KEY").ok_or(JwkError::NotAKey)?)
    }

    /// Reads a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn from_spki(der: &[u8]) -> Result<Self, JwkError> {
        let material = Material::from_spki(der::spki(der).map_err(JwkError::Der)?)?;
        Ok(Self {
            material,
            kid: None,
            alg: None,
            marked_sig: false,
        })
    }

    /// The same key for `alg` alone.
    ///
    /// # Errors
    /// [`JwkError::NotForSignatures`] if keys of this kind cannot do that.
    pub fn with_alg(mut self, alg: Algorithm) -> Result<Self, JwkError> {
        if !self.material.algorithms().contains(&alg) {
            return Err(JwkError::NotForSignatures { member: "alg" });
        }
        self.alg = Some(alg);
        Ok(self)
    }

    /// The same key under the id `kid`.
    ///
    /// # Errors
    /// [`JwkError::Malformed`] if the id is empty, too long or unsafe to show.
    pub fn with_kid(mut self, kid: &str) -> Result<Self, JwkError> {
        self.kid = Some(checked_kid(kid)?);
        Ok(self)
    }

    /// The same key marked as one for signatures (`use: sig`).
    #[must_use]
    pub const fn marked_for_signatures(mut self) -> Self {
        self.marked_sig = true;
        self
    }

    /// Its id, if it was given one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms it may verify: the one it names, else all of its kind.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        match &self.alg {
            Some(alg) => std::slice::from_ref(alg),
            None => self.material.algorithms(),
        }
    }

    /// Whether both are one key, whatever they are called.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.material == other.material
    }

    /// The RFC 7638 thumbprint with SHA-256, in base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        base64url::sha256(self.material.canonical().as_bytes())
    }

    /// The JWK: what the key is, then `kid`, `alg` and `use` if it has them.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = self.material.members();
        if let Some(kid) = &self.kid {
            members.insert("kid".to_owned(), Value::from(kid.as_str()));
        }
        if let Some(alg) = self.alg {
            members.insert("alg".to_owned(), Value::from(alg.as_str()));
        }
        if self.marked_sig {
            members.insert("use".to_owned(), Value::from("sig"));
        }
        Value::Object(members)
    }

    /// Checks that this key made `signature` over `message`. ECDSA signatures
    /// are the raw `r || s` of RFC 7518 3.4.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(
        &self,
        alg: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        if !self.algorithms().contains(&alg) {
            return Err(SignatureError::WrongAlgorithm(alg));
        }
        self.material.verify(alg, message, signature)
    }

    /// Refuses a point that is not on its curve, by asking `ring` to multiply
    /// it. Such a key verifies nothing, so this is for telling the person who
    /// registers it, not for the hot path.
    ///
    /// # Errors
    /// [`JwkError::Weak`].
    pub fn check_on_curve(&self) -> Result<(), JwkError> {
        self.material.check_on_curve()
    }
}

impl Serialize for PublicJwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Strict(value) = Strict::deserialize(deserializer)?;
        Self::from_value(&value).map_err(de::Error::custom)
    }
}

/// A member that is a string if it is there.
fn optional_str<'v>(
    members: &'v Map<String, Value>,
    member: &'static str,
) -> Result<Option<&'v str>, JwkError> {
    members
        .get(member)
        .map(|value| value.as_str().ok_or(JwkError::Malformed { member }))
        .transpose()
}

fn checked_kid(kid: &str) -> Result<String, JwkError> {
    if kid.is_empty() || text::check(kid, MAX_KID).is_err() {
        return Err(JwkError::Malformed { member: "kid" });
    }
    Ok(kid.to_owned())
}

/// `key_ops`, if there, is a list of names that has `verify` (RFC 7517 4.3).
fn check_key_ops(members: &Map<String, Value>) -> Result<(), JwkError> {
    let Some(ops) = members.get("key_ops") else {
        return Ok(());
    };
    let ops = ops
        .as_array()
        .filter(|ops| ops.iter().all(Value::is_string))
        .ok_or(JwkError::Malformed { member: "key_ops" })?;
    if ops.iter().any(|op| op == "verify") {
        Ok(())
    } else {
        Err(JwkError::NotForSignatures { member: "key_ops" })
    }
}
