//! The registered claims (RFC 7519 4.1, RFC 8693 4, RFC 7800), read strictly,
//! and what a verifier expects of them.
//!
//! A claim that is there has the right type or the token is refused; nothing
//! is coerced, trimmed or normalised. Whether the claims allow anything is not
//! decided here.

mod actor;
mod read;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::jose::jws::{Header, Verified};
use crate::model::time::{Timestamp, Ttl};

pub use actor::{Actor, MAX_ACTORS, Party};

/// Why claims are not accepted. The messages name claims, never their values.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClaimError {
    /// A claim that must be there is not.
    #[error("the token has no `{claim}`")]
    Missing {
        /// The claim.
        claim: &'static str,
    },
    /// A claim has the wrong type, length or characters.
    #[error("the token's `{claim}` is malformed")]
    Malformed {
        /// The claim.
        claim: &'static str,
    },
    /// A token of another kind.
    #[error("the token is of another kind: its `typ` is not the one expected")]
    WrongType,
    /// Another issuer than the one whose keys verified it.
    #[error("the token's `iss` is not the expected issuer")]
    WrongIssuer {
        /// What was expected.
        expected: String,
        /// What it says.
        found: String,
    },
    /// Meant for somebody else, or not for us alone.
    #[error("the token's `aud` is not the expected audience")]
    WrongAudience {
        /// What it says.
        found: Vec<String>,
    },
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is in the future.
    #[error("the token says it was issued in the future")]
    IssuedInFuture,
    /// `iat` is too long ago.
    #[error("the token was issued too long ago")]
    TooOld,
    /// The time from `iat`, or from now, to `exp` is too long.
    #[error("the token lives too long")]
    LivesTooLong,
    /// Actors acting for actors, too many of them.
    #[error("the token's `act` is nested more than {MAX_ACTORS} deep")]
    TooManyActors,
    /// Bound to a key by a method that we cannot check, so not to be taken as
    /// if it were not bound.
    #[error("the token's `cnf` has no `jkt`, the only confirmation method taken")]
    UnsupportedConfirmation,
}

/// Which `typ` headers a verifier takes (RFC 8725 3.11, 3.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypPolicy<'a> {
    /// One of these.
    OneOf(&'a [&'a str]),
    /// None at all, or one of these.
    AbsentOr(&'a [&'a str]),
}

impl TypPolicy<'_> {
    fn check(self, header: &Header) -> Result<(), ClaimError> {
        let (Self::OneOf(kinds) | Self::AbsentOr(kinds)) = self;
        let absent = header.typ().is_none() && matches!(self, Self::AbsentOr(_));
        if absent || kinds.iter().any(|kind| header.is_typ(kind)) {
            Ok(())
        } else {
            Err(ClaimError::WrongType)
        }
    }
}

/// What a verifier expects of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectations<'a> {
    /// `iss`, compared byte for byte.
    pub issuer: &'a str,
    /// `aud` has one of these; an empty list takes no token.
    pub audiences: &'a [&'a str],
    /// `aud` has one element and no other.
    pub sole_audience: bool,
    /// The present.
    pub now: Timestamp,
    /// How far clocks may differ.
    pub leeway: Ttl,
    /// Which kinds are taken.
    pub typ: TypPolicy<'a>,
    /// Whether `exp` must be there.
    pub require_exp: bool,
    /// How long ago `iat`, which then must be there, may be.
    pub max_age: Option<Ttl>,
    /// How long after `iat` (or now, without it) `exp`, which then must be
    /// there, may be.
    pub max_lifetime: Option<Ttl>,
    /// Other claims that must be there.
    pub required: &'a [&'static str],
}

/// The registered claims of a token, and all others beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`, one or many; empty if it is absent.
    pub audience: Vec<String>,
    /// `exp`, rounded down.
    pub expires_at: Option<Timestamp>,
    /// `nbf`, rounded up.
    pub not_before: Option<Timestamp>,
    /// `iat`, rounded down.
    pub issued_at: Option<Timestamp>,
    /// `jti`.
    pub id: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `act`: who is acting for the subject, and for whom that one acted.
    pub actor: Option<Actor>,
    /// `may_act`: who may become the actor.
    pub may_act: Option<Party>,
    /// `cnf.jkt`: the thumbprint of the key that the token is bound to.
    pub jkt: Option<String>,
    /// `authorization_details`, an array, as it stands.
    pub authorization_details: Option<Vec<Value>>,
    /// Every claim as it stands.
    pub all: Map<String, Value>,
}

impl Claims {
    /// Reads the claims without expecting anything but their types.
    ///
    /// # Errors
    /// [`ClaimError::Malformed`] and its kin.
    pub fn read(all: Map<String, Value>) -> Result<Self, ClaimError> {
        Ok(Self {
            issuer: read::text(&all, "iss")?,
            subject: read::text(&all, "sub")?,
            audience: read::audience(&all)?,
            expires_at: read::date(&all, "exp", read::Round::Down)?,
            not_before: read::date(&all, "nbf", read::Round::Up)?,
            issued_at: read::date(&all, "iat", read::Round::Down)?,
            id: read::text(&all, "jti")?,
            client_id: read::text(&all, "client_id")?,
            scope: read::scope(&all)?,
            actor: Actor::read(&all)?,
            may_act: Party::read_may_act(&all)?,
            jkt: read::jkt(&all)?,
            authorization_details: read::details(&all)?,
            all,
        })
    }

    /// Reads the claims of a verified token and holds them to `expected`.
    ///
    /// # Errors
    /// [`ClaimError`] says the first thing that is wrong.
    pub fn check(token: Verified, expected: &Expectations<'_>) -> Result<Self, ClaimError> {
        let (header, all) = token.into_parts();
        expected.typ.check(&header)?;
        let claims = Self::read(all)?;
        claims.check_issuer(expected)?;
        claims.check_audience(expected)?;
        claims.check_times(expected)?;
        match expected
            .required
            .iter()
            .find(|claim| !claims.all.contains_key(**claim))
        {
            Some(claim) => Err(ClaimError::Missing { claim }),
            None => Ok(claims),
        }
    }

    /// The claim that an operator named, if it is text that is not empty and
    /// safe to show.
    #[must_use]
    pub fn named(&self, claim: &str) -> Option<&str> {
        read::named(&self.all, claim)
    }

    fn check_issuer(&self, expected: &Expectations<'_>) -> Result<(), ClaimError> {
        let found = self
            .issuer
            .as_deref()
            .ok_or(ClaimError::Missing { claim: "iss" })?;
        if found == expected.issuer {
            return Ok(());
        }
        Err(ClaimError::WrongIssuer {
            expected: expected.issuer.to_owned(),
            found: found.to_owned(),
        })
    }

    fn check_audience(&self, expected: &Expectations<'_>) -> Result<(), ClaimError> {
        let found = &self.audience;
        if found.is_empty() {
            return Err(ClaimError::Missing { claim: "aud" });
        }
        let ours = found
            .iter()
            .any(|audience| expected.audiences.contains(&audience.as_str()));
        if !ours || (expected.sole_audience && found.len() != 1) {
            return Err(ClaimError::WrongAudience {
                found: found.clone(),
            });
        }
        Ok(())
    }

    fn check_times(&self, expected: &Expectations<'_>) -> Result<(), ClaimError> {
        let Expectations { now, leeway, .. } = *expected;
        match self.expires_at {
            Some(expires_at) if expires_at.plus(leeway) <= now => return Err(ClaimError::Expired),
            None if expected.require_exp || expected.max_lifetime.is_some() => {
                return Err(ClaimError::Missing { claim: "exp" });
            }
            Some(_) | None => {}
        }
        if self
            .not_before
            .is_some_and(|not_before| not_before > now.plus(leeway))
        {
            return Err(ClaimError::NotYetValid);
        }
        if self
            .issued_at
            .is_some_and(|issued_at| issued_at > now.plus(leeway))
        {
            return Err(ClaimError::IssuedInFuture);
        }
        if let Some(max_age) = expected.max_age {
            let issued_at = self.issued_at.ok_or(ClaimError::Missing { claim: "iat" })?;
            if issued_at.plus(max_age).plus(leeway) < now {
                return Err(ClaimError::TooOld);
            }
        }
        if let (Some(max), Some(expires_at)) = (expected.max_lifetime, self.expires_at) {
            // The leeway is in `iat` being compared with our clock, above.
            if self.issued_at.unwrap_or(now).plus(max) < expires_at {
                return Err(ClaimError::LivesTooLong);
            }
        }
        Ok(())
    }
}

/// `iat` alone, for tokens whose other claims have another meaning.
pub(super) fn issued_at(claims: &Map<String, Value>) -> Result<Option<Timestamp>, ClaimError> {
    read::date(claims, "iat", read::Round::Down)
}
