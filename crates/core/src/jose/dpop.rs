//! DPoP proofs (RFC 9449): whoever sent this request holds that key, now.
//!
//! Pure. That a proof came in exactly one header, and that its
//! [`Proof::replay_key`] was not seen before, are for the caller to see to.

mod htu;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::jose::alg::Algorithm;
use crate::jose::jws::{self, EmbeddedKey, JwsError};
use crate::jose::{base64url, claims};
use crate::model::text;
use crate::model::time::{Timestamp, Ttl};

pub use htu::HttpUri;

/// The longest proof: an RSA key of 8192 bits and its signature have room.
pub const MAX_PROOF: usize = 8 * 1024;
/// The longest `jti`.
const MAX_JTI: usize = 256;
/// The `typ` of a proof.
const TYP: &str = "dpop+jwt";

/// Why a proof proves nothing (RFC 9449 4.3). The messages name claims, never
/// their values.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DpopError {
    /// It is not a token that its own key signed.
    #[error("the proof is refused: {0}")]
    Jws(#[from] JwsError),
    /// Its `typ` is not `dpop+jwt`.
    #[error("the proof's `typ` is not {TYP}")]
    WrongType,
    /// A claim is missing or malformed.
    #[error("the proof's `{claim}` is missing or malformed")]
    Claim {
        /// The claim.
        claim: &'static str,
    },
    /// Made for another method.
    #[error("the proof is for another method")]
    WrongMethod,
    /// Made for another URI.
    #[error("the proof is for another URI")]
    WrongUri,
    /// Made with no nonce or an old one: answer `use_dpop_nonce` (RFC 9449 8).
    #[error("the proof does not have the nonce that was asked for")]
    WrongNonce,
    /// Made too long ago.
    #[error("the proof is too old")]
    TooOld,
    /// Made in the future.
    #[error("the proof says it was made in the future")]
    InFuture,
    /// Made for another access token, or for none.
    #[error("the proof is not for this access token")]
    WrongToken,
    /// Made with another key than the one the token is bound to.
    #[error("the proof is made with another key")]
    WrongKey,
}

/// What a proof has to prove.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The method of the request, as it was sent.
    pub method: &'a str,
    /// The URI of the request.
    pub uri: &'a HttpUri,
    /// The access token that came with it; its hash must be in the proof.
    pub access_token: Option<&'a str>,
    /// The thumbprint of the key that the proof must be made with.
    pub jkt: Option<&'a str>,
    /// The nonce that the client was given.
    pub nonce: Option<&'a str>,
    /// Which algorithms are taken.
    pub algorithms: &'a [Algorithm],
    /// The present.
    pub now: Timestamp,
    /// How long a proof is good for.
    pub max_age: Ttl,
    /// How far ahead the client's clock may be.
    pub skew: Ttl,
}

impl std::fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected")
            .field("method", &self.method)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// What a proof proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of its key (RFC 7638).
    pub jkt: String,
    /// Its id, unique for that key.
    pub jti: String,
    /// When it was made.
    pub issued_at: Timestamp,
}

impl Proof {
    /// What a replay store keeps until the proof is too old (RFC 9449 11.1).
    #[must_use]
    pub fn replay_key(&self) -> (&str, &str) {
        (&self.jkt, &self.jti)
    }
}

/// Checks a proof against a request (RFC 9449 4.3).
///
/// # Errors
/// [`DpopError`] says the first thing that is wrong.
pub fn verify(proof: &str, expected: &Expected<'_>) -> Result<Proof, DpopError> {
    let unverified = jws::decode_with(proof, MAX_PROOF, EmbeddedKey::Required)?;
    if !unverified.header().is_typ(TYP) {
        return Err(DpopError::WrongType);
    }
    let key = unverified
        .header()
        .jwk()
        .cloned()
        .ok_or(JwsError::HeaderMember { member: "jwk" })?;
    let (_, claims) =
        jws::verify(unverified.without_kid(), [&key], expected.algorithms)?.into_parts();

    let jti = required(&claims, "jti")?;
    if text::check(jti, MAX_JTI).is_err() {
        return Err(DpopError::Claim { claim: "jti" });
    }
    if required(&claims, "htm")? != expected.method {
        return Err(DpopError::WrongMethod);
    }
    let htu = required(&claims, "htu")?
        .parse::<HttpUri>()
        .map_err(|_| DpopError::Claim { claim: "htu" })?;
    if htu != *expected.uri {
        return Err(DpopError::WrongUri);
    }
    check_nonce(&claims, expected)?;
    check_token(&claims, expected)?;
    let jkt = key.thumbprint();
    if expected.jkt.is_some_and(|bound| !same(bound, &jkt)) {
        return Err(DpopError::WrongKey);
    }
    let issued_at = check_time(&claims, expected)?;
    Ok(Proof {
        jkt,
        jti: jti.to_owned(),
        issued_at,
    })
}

fn check_nonce(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), DpopError> {
    let Some(nonce) = expected.nonce else {
        return Ok(());
    };
    let found = claims
        .get("nonce")
        .and_then(Value::as_str)
        .ok_or(DpopError::WrongNonce)?;
    if same(found, nonce) {
        Ok(())
    } else {
        Err(DpopError::WrongNonce)
    }
}

fn check_token(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), DpopError> {
    let Some(token) = expected.access_token else {
        return Ok(());
    };
    let ath = required(claims, "ath")?;
    if same(ath, &base64url::sha256(token.as_bytes())) {
        Ok(())
    } else {
        Err(DpopError::WrongToken)
    }
}

fn check_time(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Timestamp, DpopError> {
    let issued_at = claims::issued_at(claims)
        .ok()
        .flatten()
        .ok_or(DpopError::Claim { claim: "iat" })?;
    if issued_at > expected.now.plus(expected.skew) {
        return Err(DpopError::InFuture);
    }
    if issued_at.plus(expected.max_age) < expected.now {
        return Err(DpopError::TooOld);
    }
    Ok(issued_at)
}

/// A non-empty string that must be there.
fn required<'c>(claims: &'c Map<String, Value>, claim: &'static str) -> Result<&'c str, DpopError> {
    claims
        .get(claim)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or(DpopError::Claim { claim })
}

fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}
