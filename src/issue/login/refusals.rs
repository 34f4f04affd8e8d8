//! What a refused login is told.

use crate::facts::issuers::keys::KeysError;
use crate::facts::issuers::verify::Refusal;
use crate::host::framework::error::Error;
use crate::model::ids::IssuerName;

/// What the holder of a token learns of why it is not believed.
pub(super) fn told(refusal: &Refusal, issuer: &IssuerName) -> Error {
    tracing::debug!(%issuer, problem = %refusal, "a token was refused");
    match refusal {
        Refusal::Keys(KeysError::Unavailable(_) | KeysError::Busy) => Error::Limited(
            "login refused (issuer.unavailable): the keys of the token's issuer cannot be had now; retry later".to_owned(),
        ),
        refusal if refusal.is_expiry() => expired(),
        Refusal::Keys(KeysError::NoneFits)
        | Refusal::Signature(_)
        | Refusal::Claims(_)
        | Refusal::Foreign(_)
        | Refusal::Unnamed(_) => not_taken(),
    }
}

/// A refusal with a stable code.
pub(super) fn refused(code: &str, why: &str) -> Error {
    Error::Denied(format!("login refused ({code}): {why}"))
}

pub(super) fn expired() -> Error {
    refused("token.expired", "the token has expired: get a fresh one")
}

pub(super) fn not_taken() -> Error {
    refused(
        "token.refused",
        "the token is not one that this mount takes: an operator can see why under `config/issuers/:name/check`",
    )
}

pub(super) fn unknown() -> Error {
    refused(
        "token.unknown_issuer",
        "neither an issuer that this mount believes nor a key of a registered agent vouches for the token",
    )
}
