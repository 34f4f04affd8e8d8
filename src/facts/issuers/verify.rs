//! Whether an issuer said this: the one way from the text of a token to claims
//! that may be believed.

use thiserror::Error;

use crate::facts::Cx;
use crate::facts::issuers::keys::KeysError;
use crate::facts::issuers::store::Trusted;
use crate::jose::alg::Algorithm;
use crate::jose::claims::{ClaimError, Claims, Expectations};
use crate::jose::jws::{self, JwsError, Unverified};

/// Why a token is not believed. For operators: a stranger is told less.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// It is not signed by a key of the issuer, or not in the way it should be.
    #[error(transparent)]
    Signature(#[from] JwsError),
    /// There is no key to verify it with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// It is signed, and its claims are not those of a token for this mount.
    #[error(transparent)]
    Claims(#[from] ClaimError),
    /// It is signed, and of another kind than the issuer's tokens should be.
    #[error("the token is of another kind: it has the claim `{0}`")]
    Foreign(&'static str),
    /// It is signed, and a claim that the issuer's definition names is missing
    /// or is not text.
    #[error("the token has no `{0}`, or one that is not text")]
    Unnamed(String),
}

impl Refusal {
    /// Whether the issuer did say it, a while ago.
    #[must_use]
    pub const fn is_expiry(&self) -> bool {
        matches!(self, Self::Claims(ClaimError::Expired))
    }
}

/// The claims of a token that an issuer signed for this mount. `dpop` and
/// replay are for the caller to see to.
///
/// # Errors
/// [`Refusal`].
pub async fn verify(cx: &Cx, token: Unverified<'_>, trusted: &Trusted) -> Result<Claims, Refusal> {
    let issuer = &trusted.issuer;
    let algorithms: Vec<Algorithm> = issuer.supported_algorithms.iter().copied().collect();
    if !algorithms.contains(&token.header().alg()) {
        return Err(JwsError::AlgorithmNotTaken.into());
    }
    let verified = if issuer.use_jwks {
        let keys = cx
            .facts
            .key_sets
            .of(issuer, token.header(), cx.clock())
            .await?;
        jws::verify(token, keys.iter(), &algorithms)?
    } else {
        jws::verify(token, &trusted.keys, &algorithms)?
    };
    let audiences: Vec<&str> = issuer.audiences.iter().map(|one| one.as_str()).collect();
    let expected = Expectations {
        issuer: &issuer.issuer_id,
        audiences: &audiences,
        sole_audience: issuer.jwt_type == crate::model::issuer::JwtType::Assertion,
        now: cx.now,
        leeway: issuer.clock_skew_leeway,
        typ: issuer.jwt_type.typ(),
        require_exp: true,
        max_age: None,
        max_lifetime: issuer.longest_lifetime(),
        required: if issuer.unique_id_claim.is_empty() {
            &[]
        } else {
            &["iat"]
        },
    };
    let claims = Claims::check(verified, &expected)?;
    let foreign = issuer
        .jwt_type
        .foreign_claims()
        .iter()
        .find(|claim| claims.all.contains_key(**claim));
    if let Some(claim) = foreign {
        return Err(Refusal::Foreign(claim));
    }
    if !issuer.unique_id_claim.is_empty() {
        text(&claims, &issuer.unique_id_claim)?;
    }
    Ok(claims)
}

/// The text of a claim that an issuer's definition names.
///
/// # Errors
/// [`Refusal::Unnamed`].
pub fn text<'c>(claims: &'c Claims, claim: &str) -> Result<&'c str, Refusal> {
    claims
        .named(claim)
        .ok_or_else(|| Refusal::Unnamed(claim.to_owned()))
}

/// Whom a token is about: the agent that it was given to, and the human that
/// it was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The agent, as the issuer calls it.
    pub agent: String,
    /// The human, as the issuer calls them; nobody, where the token is about
    /// the agent alone.
    pub human: Option<String>,
}

/// Whom a token says that it is about.
///
/// An actor of another issuer is refused: an issuer can say who its own
/// clients are, and nobody else's.
///
/// # Errors
/// [`Refusal`] if a claim is missing.
pub fn parties(claims: &Claims, trusted: &Trusted) -> Result<Parties, Refusal> {
    let issuer = &trusted.issuer;
    let human = text(claims, &issuer.user_claim)?;
    let Some(actor) = &claims.actor else {
        let agent = text(claims, &issuer.actor_claim)?;
        return Ok(Parties {
            agent: agent.to_owned(),
            // Only `sub` names a client that has a token of its own (RFC 9068
            // 2.2). In another claim, a human may be called what an agent is.
            human: (agent != human || issuer.user_claim != "sub").then(|| human.to_owned()),
        });
    };
    let current = actor.current();
    if current
        .issuer
        .as_ref()
        .is_some_and(|named| *named != issuer.issuer_id)
    {
        return Err(ClaimError::Malformed { claim: "act" }.into());
    }
    Ok(Parties {
        agent: current.subject.clone(),
        human: Some(human.to_owned()),
    })
}
