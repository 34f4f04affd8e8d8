//! The receipt of a human's yes: a compact JWS over who agreed to what for
//! whom, in the words that were shown, until when. Whoever has our key set can
//! verify it; it is no credential, and its header says so.

use std::sync::Arc;

use serde::Serialize;

use crate::facts::keys::set::Signer;
use crate::facts::keys::store::RECEIPTS_KEY;
use crate::grants::Cx;
use crate::grants::consents::binding;
use crate::host::framework::error::{Error, Result};
use crate::jose::alg::Algorithm;
use crate::jose::jws::{self, Header, HeaderBytes};
use crate::jose::signer::SigningKey;
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::consent::HumanConsent;
use crate::model::ids::{AgentId, AgentName, ConsentId, DelegationId, EntityId};
use crate::model::time::{Timestamp, Ttl};

/// The header type of a receipt.
pub const RECEIPT: &str = "agentic-consent+jwt";

/// The longest receipt that we believe to be one of ours.
const MAX_RECEIPT: usize = 128 * 1024;

#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    /// The human who agreed.
    sub: &'a EntityId,
    /// The agent that it is for.
    aud: &'a AgentId,
    iat: i64,
    exp: i64,
    /// The consent's own id.
    jti: &'a ConsentId,
    /// What was agreed to (RFC 9396).
    authorization_details: &'a Scope,
    #[serde(skip_serializing_if = "str::is_empty")]
    purpose: &'a str,
    /// The host's id of the request, as its audit log has it.
    #[serde(skip_serializing_if = "str::is_empty")]
    txn: &'a str,
    agentic: Agentic<'a>,
}

#[derive(Debug, Serialize)]
struct Agentic<'a> {
    agent: &'a AgentName,
    epoch: u64,
    delegation_id: &'a DelegationId,
    /// `delegation`, or `request` where it is to one request only.
    consent_to: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ttl: Option<Ttl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
    /// The hash of the request that a single consent is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    /// What was shown, and its hash.
    text: &'a str,
    text_sha256: String,
}

/// What a receipt says besides what its consent holds.
#[derive(Clone, Copy, Debug)]
pub struct Agreed<'a> {
    /// To what.
    pub scope: &'a Scope,
    /// Why.
    pub purpose: &'a str,
    /// The longest lifetime of a credential.
    pub max_ttl: Option<Ttl>,
    /// How many credentials.
    pub max_uses: Option<u32>,
    /// Until when.
    pub until: Timestamp,
}

/// Signs the receipt of a consent.
///
/// # Errors
/// [`Error::Invalid`] if the mount has no issuer or no key yet;
/// [`Error::Internal`] if signing fails.
pub async fn sign(
    cx: &Cx,
    consent: &HumanConsent,
    agent: &Agent,
    agreed: &Agreed<'_>,
) -> Result<String> {
    let config = cx.config().await?;
    if config.issuer.is_empty() {
        return Err(Error::Invalid(
            "this mount has no issuer yet, and cannot sign a receipt; an operator sets `issuer` under `config` first".to_owned(),
        ));
    }
    let signer = &*signer(cx).await?;
    let claims = Claims {
        iss: &config.issuer,
        sub: &consent.subject,
        aud: &consent.agent,
        iat: cx.now.unix(),
        exp: agreed.until.unix(),
        jti: &consent.id,
        authorization_details: agreed.scope,
        purpose: agreed.purpose,
        txn: &cx.request_id,
        agentic: Agentic {
            agent: &agent.name,
            epoch: agent.epoch,
            delegation_id: &consent.delegation,
            consent_to: match consent.request() {
                None => "delegation",
                Some(_) => "request",
            },
            max_ttl: agreed.max_ttl,
            max_uses: agreed.max_uses,
            request: consent.request().map(|asked| asked.binding.as_str()),
            text: &consent.text,
            text_sha256: binding::of_text(&consent.text),
        },
    };
    let payload =
        serde_json::to_vec(&claims).map_err(|error| Error::Internal(error.to_string()))?;
    let mut header = Header::new(signer.key.alg()).with_typ(RECEIPT);
    if let Some(kid) = signer.public.kid() {
        header = header.with_kid(kid);
    }
    let receipt = HeaderBytes::new(&header)
        .sign(&payload, &signer.key)
        .map_err(|error| Error::Internal(format!("signing failed: {error}")))?;
    check(&receipt, signer)?;
    Ok(receipt)
}

/// The key for receipts, which is made with the first of them. It is a key of
/// its own: receipts outlive credentials by far, and must verify after any
/// number of rotations of the keys that sign those.
async fn signer(cx: &Cx) -> Result<Arc<Signer>> {
    let make = || {
        SigningKey::generate(Algorithm::EdDsa, cx.rng())
            .map_err(|error| Error::Internal(format!("no key for receipts: {error}")))
    };
    cx.facts.keys.ensure(RECEIPTS_KEY, make, cx.now).await?;
    let keys = cx.facts.keys.set().await?;
    let found = keys
        .signers
        .iter()
        .find(|(name, _)| name.as_str() == RECEIPTS_KEY);
    found
        .map(|(_, signer)| Arc::clone(signer))
        .ok_or_else(|| Error::Internal("the key for receipts is gone".to_owned()))
}

/// A fault in memory or in the signing code must not become evidence.
fn check(receipt: &str, signer: &Signer) -> Result<()> {
    let broken =
        |problem: String| Error::Internal(format!("a fresh receipt does not verify: {problem}"));
    let unverified =
        jws::decode(receipt, MAX_RECEIPT).map_err(|error| broken(error.to_string()))?;
    jws::verify(unverified, [&signer.public], &[signer.key.alg()])
        .map_err(|error| broken(error.to_string()))?;
    Ok(())
}
