//! From a permit to a credential: build, sign, and then check what was made,
//! with the code that any verifier would use.

use crate::credentials::claims::{AccessToken, Act, Agentic, Aud, Cnf, consent_of};
use crate::engine::Permit;
use crate::framework::error::{Error, Result};
use crate::jose::claims::{Claims, Expectations, TypPolicy};
use crate::jose::jws;
use crate::keys::store::{ACCESS_TOKEN, Signer};
use crate::model::ids::{CredentialId, DecisionId};
use crate::model::secret::Secret;
use crate::model::text::Label;
use crate::model::time::{Timestamp, Ttl};

/// A fresh credential.
#[derive(Debug)]
pub struct Credential {
    /// The signed token.
    pub token: Secret<String>,
    /// Its id.
    pub jti: CredentialId,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Makes the access token of a permit, and uses the permit up.
///
/// # Errors
/// [`Error::Internal`] if signing fails, or the token does not verify as what
/// was permitted.
pub fn access_token(
    permit: &Permit,
    decision: &DecisionId,
    jti: CredentialId,
    issuer: &str,
    txn: &str,
    signer: &Signer,
) -> Result<Credential> {
    let issued = permit.decided_at().unix();
    let expires_at = Timestamp::from_unix(issued.saturating_add(permit.ttl().as_i64()));
    let agent = permit.agent();
    let claims = AccessToken {
        iss: issuer,
        sub: subject_of(permit),
        act: Act::of(permit),
        aud: Aud::from(permit.target().audience.as_slice()),
        client_id: &agent.id,
        iat: issued,
        nbf: issued,
        exp: expires_at.unix(),
        jti: &jti,
        authorization_details: permit.details(),
        cnf: permit.key_thumbprint().map(|jkt| Cnf { jkt }),
        txn,
        agentic: Agentic {
            decision_id: decision,
            delegation_id: permit.chain().last().map(|held| &held.id),
            consent_id: consent_of(permit),
            mode: permit.mode().as_str(),
            agent: &agent.name,
            epoch: agent.epoch,
        },
        fixed: &permit.target().claims,
    };
    let payload =
        serde_json::to_vec(&claims).map_err(|error| Error::Internal(error.to_string()))?;
    let token = signer
        .access_token_header
        .sign(&payload, &signer.key)
        .map_err(|error| Error::Internal(format!("signing failed: {error}")))?;
    let credential = Credential {
        token: Secret::new(token),
        jti,
        expires_at,
    };
    check(&credential, permit, issuer, signer)?;
    Ok(credential)
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
fn check(credential: &Credential, permit: &Permit, issuer: &str, signer: &Signer) -> Result<()> {
    let broken =
        |problem: String| Error::Internal(format!("a fresh credential does not verify: {problem}"));
    let token = credential.token.expose();
    let unverified =
        jws::decode(token, jws::MAX_TOKEN).map_err(|error| broken(error.to_string()))?;
    let verified = jws::verify(unverified, [&signer.public], &[signer.key.alg()])
        .map_err(|error| broken(error.to_string()))?;
    let audiences: Vec<&str> = permit.target().audience.iter().map(Label::as_str).collect();
    let expectations = Expectations {
        issuer,
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
        Claims::check(verified, &expectations).map_err(|error| broken(error.to_string()))?;
    let subject = subject_of(permit);
    let actor = claims.actor.as_ref().map(|actor| {
        let current = actor.current().subject.as_str();
        (current, actor.depth())
    });
    let expected = permit
        .subject()
        .map(|_| (permit.agent().id.as_str(), permit.chain().len()));
    if claims.subject.as_deref() != Some(subject)
        || actor != expected
        || claims.jkt.as_deref() != permit.key_thumbprint()
    {
        return Err(broken("it speaks of somebody else".to_owned()));
    }
    Ok(())
}
