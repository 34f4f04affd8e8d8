//! Credentials that are presented: from a text to what it says, once it is
//! known to be ours.

use serde_json::{Map, Value};

use crate::facts::keys::set::ACCESS_TOKEN;
use crate::host::framework::error::Result;
use crate::issue::Cx;
use crate::issue::credentials::claims;
use crate::issue::credentials::opaque;
use crate::issue::credentials::store::Stored;
use crate::jose::claims::{Claims, Expectations, TypPolicy};
use crate::jose::jws;
use crate::model::credential::{Grounds, LONGEST_LIFE};
use crate::model::ids::CredentialId;
use crate::model::time::Ttl;

/// How far apart the clocks of this mount's nodes may be. An expiry is not put
/// off by it.
const SKEW: Ttl = Ttl::from_secs(5);

/// A credential of ours, as far as can be told without its record.
#[derive(Debug)]
pub enum Shown {
    /// A JWT that one of our keys signed.
    Jwt(Box<Spoken>),
    /// Something that looks like an opaque token.
    Opaque(opaque::Token),
}

/// What a credential says.
#[derive(Debug)]
pub struct Spoken {
    /// On what it rests.
    pub grounds: Grounds,
    /// Every claim.
    pub claims: Map<String, Value>,
    /// Its audiences.
    pub audience: Vec<String>,
    /// The thumbprint of the key that its bearer must prove to hold.
    pub jkt: Option<String>,
}

impl Spoken {
    fn of(claims: Claims) -> Option<Self> {
        Some(Self {
            grounds: claims::grounds(&claims)?,
            audience: claims.audience,
            jkt: claims.jkt,
            claims: claims.all,
        })
    }
}

impl Shown {
    /// Reads a text. `None`: it is no credential of this mount, or is none any
    /// more. Reads no record.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn read(cx: &Cx, token: &str) -> Result<Option<Self>> {
        if token.len() > jws::MAX_TOKEN {
            return Ok(None);
        }
        if token.starts_with(opaque::PREFIX) {
            return Ok(opaque::Token::parse(token).map(Self::Opaque));
        }
        let config = cx.config().await?;
        let keys = cx.facts.keys.set().await?;
        let Ok(unverified) = jws::decode(token, jws::MAX_TOKEN) else {
            return Ok(None);
        };
        let Ok(verified) = jws::verify(unverified, keys.verifiers(cx.now), &keys.algorithms) else {
            return Ok(None);
        };
        // For whom it is, the caller may expect; that it is for somebody, we do.
        let Ok(unchecked) = Claims::read(verified.claims().clone()) else {
            return Ok(None);
        };
        let audiences: Vec<&str> = unchecked.audience.iter().map(String::as_str).collect();
        let expectations = Expectations {
            issuer: &config.issuer,
            audiences: &audiences,
            sole_audience: false,
            now: cx.now,
            leeway: SKEW,
            typ: TypPolicy::OneOf(&[ACCESS_TOKEN]),
            require_exp: true,
            max_age: None,
            max_lifetime: Some(LONGEST_LIFE),
            required: &["iat", "sub", "client_id", "jti", "authorization_details"],
        };
        Ok(Claims::check(verified, &expectations)
            .ok()
            .and_then(Spoken::of)
            .map(Box::new)
            .map(Self::Jwt))
    }

    /// Which credential it says to be.
    #[must_use]
    pub const fn id(&self) -> &CredentialId {
        match self {
            Self::Jwt(spoken) => &spoken.grounds.id,
            Self::Opaque(token) => &token.id,
        }
    }

    /// What it says, with its record if it has one. `None`: it is no credential
    /// of this mount, or its record is gone.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn resolve(self, cx: &Cx) -> Result<Option<(Spoken, Option<Stored>)>> {
        match self {
            Self::Jwt(spoken) if !claims::is_counted(&spoken.claims) => Ok(Some((*spoken, None))),
            Self::Jwt(spoken) => {
                let stored = cx.issue.credentials.get(&spoken.grounds.id).await?;
                // An opaque token's record is not a JWT's.
                Ok(stored
                    .filter(|stored| {
                        stored.credential.hash.is_none() && stored.credential.uses_left.is_some()
                    })
                    .map(|stored| (*spoken, Some(stored))))
            }
            Self::Opaque(token) => resolve_opaque(cx, &token).await,
        }
    }
}

async fn resolve_opaque(
    cx: &Cx,
    token: &opaque::Token,
) -> Result<Option<(Spoken, Option<Stored>)>> {
    let Some(hasher) = cx.facts.hasher.get().await? else {
        return Ok(None);
    };
    let Some(stored) = cx.issue.credentials.get(&token.id).await? else {
        return Ok(None);
    };
    let hash = stored.credential.hash.as_deref().unwrap_or_default();
    if !opaque::fits(&hasher, token, hash) {
        return Ok(None);
    }
    let issuer = &cx.config().await?.issuer;
    let spoken = spoken(&stored)
        .filter(|spoken| spoken.claims.get("iss").and_then(Value::as_str) == Some(issuer));
    Ok(spoken.map(|spoken| (spoken, Some(stored))))
}

/// What the record of an opaque token says.
#[must_use]
pub fn spoken(stored: &Stored) -> Option<Spoken> {
    let mut spoken = Spoken::of(Claims::read(stored.credential.claims.clone()).ok()?)?;
    // A renewal moves the expiry of the record.
    spoken.grounds.expires_at = stored.credential.expires_at;
    spoken
        .claims
        .insert("exp".to_owned(), stored.credential.expires_at.unix().into());
    Some(spoken)
}
