//! Compact JWS (RFC 7515 7.1): written, and read in two steps.
//!
//! [`decode`] gives an [`Unverified`], from which nothing can be believed;
//! [`verify`] alone turns it into a [`Verified`]. No other serialization, no
//! encryption, no nested token, no key out of a header.

mod header;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::jose::alg::Algorithm;
use crate::jose::base64url;
use crate::jose::json::{JsonError, strict_object};
use crate::jose::jwk::{JwkError, PublicJwk, SignatureError};
use crate::jose::signer::{SignerError, SigningKey};

pub use header::{EmbeddedKey, Header, HeaderBytes, same_media_type};

/// The longest token, unless the caller says otherwise.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Why a token is not taken. Never says what it claimed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JwsError {
    /// Longer than the caller reads.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts in strict base64url.
    #[error("the token is not a compact JWS")]
    Malformed,
    /// The header is not a strict JSON object.
    #[error("the token's header {0}")]
    Header(JsonError),
    /// A header member has the wrong type, length or characters.
    #[error("the token's header member `{member}` is missing or malformed")]
    HeaderMember {
        /// The member.
        member: &'static str,
    },
    /// `none`, an HMAC, encryption, or nothing we know.
    #[error("the token's algorithm is not one we verify")]
    Algorithm,
    /// A header member that changes what the token means, and that we do not
    /// take: extensions, compression, encryption, keys and their addresses.
    #[error("the token's header has the member `{member}`, which is not taken")]
    RefusedMember {
        /// The member.
        member: &'static str,
    },
    /// A token inside a token.
    #[error("nested tokens are not taken")]
    Nested,
    /// The key inside a proof is not one we take.
    #[error(transparent)]
    EmbeddedKey(#[from] JwkError),
    /// We know the algorithm, but this verifier does not take it.
    #[error("the token's algorithm is not one this verifier takes")]
    AlgorithmNotTaken,
    /// None of the keys goes by the token's `kid`. The set may be stale.
    #[error("no known key fits the token")]
    UnknownKey,
    /// More than one key fits.
    #[error("more than one key fits the token")]
    AmbiguousKey,
    /// The signature does not verify, or the key is not for the algorithm.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The payload is not a strict JSON object.
    #[error("the token's payload {0}")]
    Payload(JsonError),
}

/// Writes a token. Where one header signs many, keep a [`HeaderBytes`].
///
/// # Errors
/// [`SignerError`].
pub fn encode(header: &Header, payload: &[u8], key: &SigningKey) -> Result<String, SignerError> {
    HeaderBytes::new(header).sign(payload, key)
}

/// Reads a token of at most `max_len` bytes without believing it.
///
/// # Errors
/// [`JwsError`], for what can be seen without a key.
pub fn decode(token: &str, max_len: usize) -> Result<Unverified<'_>, JwsError> {
    decode_with(token, max_len, EmbeddedKey::Refused)
}

/// Reads a token whose header may or may not carry its own key. Only a kind
/// that is defined by its own key (a DPoP proof) has any use for one.
///
/// # Errors
/// [`JwsError`].
pub fn decode_with(
    token: &str,
    max_len: usize,
    embedded: EmbeddedKey,
) -> Result<Unverified<'_>, JwsError> {
    if token.len() > max_len {
        return Err(JwsError::TooLong);
    }
    let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
    let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
    if payload.contains('.') {
        return Err(JwsError::Malformed);
    }
    let part = |text| base64url::decode(text).ok_or(JwsError::Malformed);
    let header = Header::parse(&part(header)?, embedded)?;
    Ok(Unverified {
        header,
        signing_input,
        payload: part(payload)?,
        signature: part(signature)?,
    })
}

/// A token that was read and not believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Unverified<'t> {
    header: Header,
    signing_input: &'t str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Unverified<'_> {
    /// The header, for finding the key.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The same token with its `kid` forgotten: a proof is verified by the key
    /// inside it, whatever either is called.
    pub(super) fn without_kid(mut self) -> Self {
        self.header.forget_kid();
        self
    }

    /// The issuer that the payload names, for choosing whose keys to try.
    /// Anyone can write anything here.
    #[must_use]
    pub fn unverified_issuer(&self) -> Option<String> {
        match strict_object(&self.payload).ok()?.remove("iss")? {
            Value::String(issuer) => Some(issuer),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        }
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// A token that one of the given keys signed, with an algorithm that both the
/// key and the verifier take. Whether its claims are acceptable is the
/// question of [`crate::jose::claims`].
#[derive(Clone, PartialEq)]
pub struct Verified {
    header: Header,
    claims: Map<String, Value>,
}

impl Verified {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload.
    #[must_use]
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The header and the payload.
    #[must_use]
    pub fn into_parts(self) -> (Header, Map<String, Value>) {
        (self.header, self.claims)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// Checks the signature with the one key in `keys` that fits, and reads the
/// payload only then. `allowed` is what this verifier takes; the key's own
/// algorithms bind as well, so a token never chooses how it is verified
/// (RFC 8725 3.1).
///
/// # Errors
/// [`JwsError`].
pub fn verify<'k>(
    token: Unverified<'_>,
    keys: impl IntoIterator<Item = &'k PublicJwk>,
    allowed: &[Algorithm],
) -> Result<Verified, JwsError> {
    let alg = token.header.alg();
    if !allowed.contains(&alg) {
        return Err(JwsError::AlgorithmNotTaken);
    }
    choose(&token.header, keys)?.verify(alg, token.signing_input.as_bytes(), &token.signature)?;
    let claims = strict_object(&token.payload).map_err(JwsError::Payload)?;
    Ok(Verified {
        header: token.header,
        claims,
    })
}

/// The one key that fits: by `kid` if the token names one and a key has it,
/// else the only one for the algorithm among those that the `kid` does not
/// rule out. Two keys under one `kid` are told apart by algorithm alone.
///
/// # Errors
/// [`JwsError`] if there is none, or more than one.
pub fn choose<'k>(
    header: &Header,
    keys: impl IntoIterator<Item = &'k PublicJwk>,
) -> Result<&'k PublicJwk, JwsError> {
    let candidates: Vec<&PublicJwk> = keys
        .into_iter()
        .filter(|key| header.kid().is_none() || key.kid().is_none() || key.kid() == header.kid())
        .collect();
    let named = |key: &&&PublicJwk| header.kid().is_some() && key.kid() == header.kid();
    let fitting: Vec<&PublicJwk> = if candidates.iter().any(|key| named(&key)) {
        candidates.iter().filter(named).copied().collect()
    } else {
        candidates
    };
    let for_alg = |key: &&&PublicJwk| key.algorithms().contains(&header.alg());
    let mut usable = fitting.iter().filter(for_alg).copied();
    match (usable.next(), usable.next(), fitting.as_slice()) {
        (Some(key), None, _) => Ok(key),
        (Some(_), Some(_), _) => Err(JwsError::AmbiguousKey),
        (None, _, []) => Err(JwsError::UnknownKey),
        (None, _, _) => Err(SignatureError::WrongAlgorithm(header.alg()).into()),
    }
}
