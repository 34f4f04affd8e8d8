//! The JOSE header: what we write in it, and what we take from others.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::JwsError;
use crate::jose::alg::Algorithm;
use crate::jose::base64url;
use crate::jose::json::strict_object;
use crate::jose::jwk::{MAX_KID, PublicJwk};
use crate::jose::signer::{SignerError, SigningKey};
use crate::model::text;

/// The longest `typ`.
const MAX_TYP: usize = 128;
/// Members that no token of any kind of ours has: extensions (RFC 7515 4.1.11,
/// RFC 7797), compression and encryption (RFC 7516 4.1), and keys or addresses
/// of keys that the sender chose (RFC 8725 3.10).
const REFUSED: [&str; 12] = [
    "crit", "b64", "zip", "enc", "epk", "apu", "apv", "iv", "tag", "jku", "x5u", "x5c",
];

/// Whether a header may carry the key that verifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddedKey {
    /// It may not: everything but a proof of possession.
    Refused,
    /// It must, as `jwk`.
    Required,
}

/// A JOSE header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    alg: Algorithm,
    typ: Option<String>,
    kid: Option<String>,
    jwk: Option<PublicJwk>,
}

impl Header {
    /// A header that names only the algorithm.
    #[must_use]
    pub const fn new(alg: Algorithm) -> Self {
        Self {
            alg,
            typ: None,
            kid: None,
            jwk: None,
        }
    }

    /// With the kind of token it heads, such as `at+jwt`.
    #[must_use]
    pub fn with_typ(mut self, typ: &str) -> Self {
        self.typ = Some(typ.to_owned());
        self
    }

    /// With the id of the key that signs.
    #[must_use]
    pub fn with_kid(mut self, kid: &str) -> Self {
        self.kid = Some(kid.to_owned());
        self
    }

    /// With the key that verifies it, for a proof of possession.
    #[must_use]
    pub fn with_jwk(mut self, jwk: PublicJwk) -> Self {
        self.jwk = Some(jwk);
        self
    }

    /// Which algorithm it says it was signed with.
    #[must_use]
    pub const fn alg(&self) -> Algorithm {
        self.alg
    }

    /// Which kind of token it says it heads.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Which key it says it was signed with.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key inside, if its kind has one.
    #[must_use]
    pub const fn jwk(&self) -> Option<&PublicJwk> {
        self.jwk.as_ref()
    }

    /// Whether it heads a token of the kind `typ`; a header without one does not.
    #[must_use]
    pub fn is_typ(&self, typ: &str) -> bool {
        self.typ().is_some_and(|found| same_media_type(found, typ))
    }

    pub(super) fn forget_kid(&mut self) {
        self.kid = None;
    }

    /// Reads a header from outside.
    pub(super) fn parse(json: &[u8], embedded: EmbeddedKey) -> Result<Self, JwsError> {
        let members = strict_object(json).map_err(JwsError::Header)?;
        let refused = |member: &&str| members.contains_key(*member);
        if let Some(member) = REFUSED.into_iter().find(refused) {
            return Err(JwsError::RefusedMember { member });
        }
        let alg = bounded(&members, "alg", MAX_TYP)?
            .ok_or(JwsError::HeaderMember { member: "alg" })?
            .parse()
            .map_err(|_| JwsError::Algorithm)?;
        let jwk = match (members.get("jwk"), embedded) {
            (None, EmbeddedKey::Refused) => None,
            (Some(_), EmbeddedKey::Refused) => {
                return Err(JwsError::RefusedMember { member: "jwk" });
            }
            (None, EmbeddedKey::Required) => return Err(JwsError::HeaderMember { member: "jwk" }),
            (Some(jwk), EmbeddedKey::Required) => Some(PublicJwk::from_value(jwk)?),
        };
        if bounded(&members, "cty", MAX_TYP)?.is_some_and(|cty| same_media_type(cty, "JWT")) {
            return Err(JwsError::Nested);
        }
        Ok(Self {
            alg,
            typ: bounded(&members, "typ", MAX_TYP)?.map(str::to_owned),
            kid: bounded(&members, "kid", MAX_KID)?.map(str::to_owned),
            jwk,
        })
    }
}

/// A non-empty string that is safe to show, if the member is there.
fn bounded<'m>(
    members: &'m Map<String, Value>,
    member: &'static str,
    max: usize,
) -> Result<Option<&'m str>, JwsError> {
    let Some(value) = members.get(member) else {
        return Ok(None);
    };
    match value.as_str() {
        Some(found) if !found.is_empty() && text::check(found, max).is_ok() => Ok(Some(found)),
        Some(_) | None => Err(JwsError::HeaderMember { member }),
    }
}

/// Whether two `typ` or `cty` values name one media type: without regard to
/// case, `application/` being understood where there is no slash (RFC 7515
/// 4.1.9).
#[must_use]
pub fn same_media_type(a: &str, b: &str) -> bool {
    fn subtype(name: &str) -> &str {
        const PREFIX: &str = "application/";
        match name.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => {
                rest
            }
            Some(_) | None => name,
        }
    }
    subtype(a).eq_ignore_ascii_case(subtype(b))
}

/// A header in its final spelling, for signing many tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderBytes {
    /// base64url and the dot after it.
    encoded: String,
    alg: Algorithm,
}

impl HeaderBytes {
    /// Spells `header`: `alg`, `typ`, `kid`, `jwk`.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let mut json = format!(r#"{{"alg":"{}""#, header.alg);
        let texts = [("typ", header.typ()), ("kid", header.kid())];
        let texts = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, Value::from(text?))));
        let jwk = header.jwk().map(|jwk| ("jwk", jwk.to_value()));
        for (name, value) in texts.chain(jwk) {
            // Writing to a String does not fail.
            let _ = write!(json, r#","{name}":{value}"#);
        }
        json.push('}');
        Self {
            encoded: base64url::encode(json) + ".",
            alg: header.alg,
        }
    }

    /// Writes the token of this header and `payload`.
    ///
    /// # Errors
    /// [`SignerError::WrongHeader`] if it names another algorithm than the
    /// key's, [`SignerError::Random`].
    pub fn sign(&self, payload: &[u8], key: &SigningKey) -> Result<String, SignerError> {
        if self.alg != key.alg() {
            return Err(SignerError::WrongHeader);
        }
        // Room for the payload and the longest usual signature: one allocation.
        let room = self
            .encoded
            .len()
            .saturating_add(payload.len().saturating_mul(4) / 3)
            .saturating_add(352);
        let mut token = String::with_capacity(room);
        token.push_str(&self.encoded);
        base64url::encode_onto(&mut token, payload);
        let signature = key.sign(token.as_bytes())?;
        token.push('.');
        base64url::encode_onto(&mut token, signature);
        Ok(token)
    }
}
