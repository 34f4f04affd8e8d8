//! From a permit to a credential: build, sign or hash, and then check what was
//! made, with the code that will read it.

use serde_json::{Map, Value};

use crate::engine::Permit;
use crate::facts::keys::hasher::Hasher;
use crate::facts::keys::set::{ACCESS_TOKEN, Signer};
use crate::host::framework::error::{Error, Result};
use crate::issue::credentials::claims::{
    self, AccessToken, Act, Agentic, Aud, Cnf, Status, StatusReference, consent_of,
};
use crate::issue::credentials::opaque;
use crate::jose::claims::{Claims, Expectations, TypPolicy};
use crate::jose::jws;
use crate::model::credential::{Grounds, StatusIndex};
use crate::model::ids::{CredentialId, DecisionId};
use crate::model::secret::Secret;
use crate::model::text::Label;
use crate::model::time::{Timestamp, Ttl};

/// What a credential says besides what was permitted.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Its id.
    pub id: &'a CredentialId,
    /// The decision that allowed it.
    pub decision: &'a DecisionId,
    /// The issuer of the mount.
    pub issuer: &'a str,
    /// The host's id of the request.
    pub txn: &'a str,
    /// Where its status is published.
    pub status: Option<StatusIndex>,
}

/// What an opaque token is in storage: its hash, and what it says.
#[derive(Debug)]
pub struct Kept {
    /// The keyed hash of it.
    pub hash: String,
    /// Its claims.
    pub claims: Map<String, Value>,
}

/// Whom the credential of a permit will speak of, and on what it will rest.
#[must_use]
pub fn grounds(permit: &Permit, id: &CredentialId) -> Grounds {
    let issued = permit.decided_at().unix();
    Grounds {
        id: id.clone(),
        agent: permit.agent().id.clone(),
        epoch: permit.agent().epoch,
        subject: permit.subject().cloned(),
        delegation: permit.chain().last().map(|held| held.id.clone()),
        target: Some(permit.target().name.clone()),
        issued_at: Timestamp::from_unix(issued),
        expires_at: Timestamp::from_unix(issued.saturating_add(permit.ttl().as_i64())),
    }
}

/// Where the status list of an index is.
#[must_use]
pub fn status_uri(issuer: &str, list: u64) -> String {
    format!("{issuer}/.well-known/status/{list}")
}

/// Makes the access token of a permit.
///
/// # Errors
/// [`Error::Internal`] if signing fails, or the token does not verify as what
/// was permitted.
pub fn access_token(permit: &Permit, terms: &Terms<'_>, signer: &Signer) -> Result<Secret<String>> {
    let token = signer
        .access_token_header
        .sign(&statement(permit, terms)?, &signer.key)
        .map_err(|error| Error::Internal(format!("signing failed: {error}")))?;
    let token = Secret::new(token);
    check(token.expose(), permit, terms, signer)?;
    Ok(token)
}

/// Makes the opaque token of a permit, with what to keep of it.
///
/// # Errors
/// [`Error::Internal`] if what is kept does not fit the token, or says something
/// else than what was permitted.
pub fn opaque_token(
    permit: &Permit,
    terms: &Terms<'_>,
    hasher: &Hasher,
    secret: [u8; opaque::SECRET],
) -> Result<(Secret<String>, Kept)> {
    let token = opaque::Token::new(terms.id.clone(), secret);
    let text = token.to_text();
    let claims: Map<String, Value> = serde_json::from_slice(&statement(permit, terms)?)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let kept = Kept {
        hash: opaque::hash(hasher, &token),
        claims,
    };
    let read = opaque::Token::parse(text.expose())
        .filter(|read| read.id == *terms.id && opaque::fits(hasher, read, &kept.hash));
    if read.is_none() {
        return Err(broken("its record does not fit it"));
    }
    let claims = Claims::read(kept.claims.clone()).map_err(|error| broken(&error.to_string()))?;
    speaks_of(&claims, permit, terms)?;
    Ok((text, kept))
}

/// What the credential says, as JSON: the payload of a JWT, the record of an
/// opaque token.
fn statement(permit: &Permit, terms: &Terms<'_>) -> Result<Vec<u8>> {
    let agent = permit.agent();
    let Grounds {
        issued_at,
        expires_at,
        ..
    } = grounds(permit, terms.id);
    let claims = AccessToken {
        iss: terms.issuer,
        sub: subject_of(permit),
        act: Act::of(permit),
        aud: Aud::from(permit.target().audience.as_slice()),
        client_id: &agent.id,
        iat: issued_at.unix(),
        nbf: issued_at.unix(),
        exp: expires_at.unix(),
        jti: terms.id,
        authorization_details: permit.details(),
        cnf: permit.key_thumbprint().map(|jkt| Cnf { jkt }),
        txn: terms.txn,
        status: terms.status.map(|at| Status {
            status_list: StatusReference {
                idx: at.index(),
                uri: status_uri(terms.issuer, at.list()),
            },
        }),
        agentic: Agentic {
            decision_id: terms.decision,
            delegation_id: permit.chain().last().map(|held| &held.id),
            consent_id: consent_of(permit),
            mode: permit.mode().as_str(),
            agent: &agent.name,
            epoch: agent.epoch,
            max_uses: permit.max_uses(),
            redeem_uri: permit
                .max_uses()
                .map(|_| format!("{}/creds/redeem", terms.issuer)),
        },
        fixed: &permit.target().claims,
    };
    serde_json::to_vec(&claims).map_err(|error| Error::Internal(error.to_string()))
}

/// The human, or the agent where it acts on its own.
fn subject_of(permit: &Permit) -> &str {
    match permit.subject() {
        Some(subject) => subject.as_str(),
        None => permit.agent().id.as_str(),
    }
}

/// Verifies a fresh token as its audience will: a fault in memory, in the
/// signing code or in the claims must not leave this process.
fn check(token: &str, permit: &Permit, terms: &Terms<'_>, signer: &Signer) -> Result<()> {
    let unverified =
        jws::decode(token, jws::MAX_TOKEN).map_err(|error| broken(&error.to_string()))?;
    let verified = jws::verify(unverified, [&signer.public], &[signer.key.alg()])
        .map_err(|error| broken(&error.to_string()))?;
    let audiences: Vec<&str> = permit.target().audience.iter().map(Label::as_str).collect();
    let expectations = Expectations {
        issuer: terms.issuer,
        audiences: &audiences,
        sole_audience: false,
        now: permit.decided_at(),
        leeway: Ttl::ZERO,
        typ: TypPolicy::OneOf(&[ACCESS_TOKEN]),
        require_exp: true,
        max_age: None,
        max_lifetime: Some(permit.ttl()),
        required: &["sub", "client_id", "jti", "authorization_details"],
    };
    let claims =
        Claims::check(verified, &expectations).map_err(|error| broken(&error.to_string()))?;
    speaks_of(&claims, permit, terms)
}

/// Whether it will be read as resting on what it was permitted for.
fn speaks_of(claims: &Claims, permit: &Permit, terms: &Terms<'_>) -> Result<()> {
    let counted = claims::is_counted(&claims.all);
    let actor = claims.actor.as_ref().map(|actor| {
        let current = actor.current().subject.as_str();
        (current, actor.depth())
    });
    let expected = permit
        .subject()
        .map(|_| (permit.agent().id.as_str(), permit.chain().len()));
    if claims.subject.as_deref() != Some(subject_of(permit))
        || actor != expected
        || claims.jkt.as_deref() != permit.key_thumbprint()
        || claims::grounds(claims) != Some(grounds(permit, terms.id))
        || counted != permit.max_uses().is_some()
    {
        return Err(broken("it speaks of somebody else"));
    }
    Ok(())
}

fn broken(problem: &str) -> Error {
    Error::Internal(format!("a fresh credential does not verify: {problem}"))
}
