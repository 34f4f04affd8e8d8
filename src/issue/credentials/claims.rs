//! The claims of an access token, in the order a reader wants them.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::engine::Permit;
use crate::jose::claims::Claims;
use crate::model::authorization::Scope;
use crate::model::credential::Grounds;
use crate::model::ids::{
    AgentId, AgentName, ConsentId, CredentialId, DecisionId, DelegationId, TargetName,
};
use crate::model::text::Label;

/// The claims of an access token (RFC 9068 2.2, RFC 9396 9.1).
#[derive(Debug, Serialize)]
pub struct AccessToken<'a> {
    /// Issuer.
    pub iss: &'a str,
    /// The human, or the agent where it acts on its own.
    pub sub: &'a str,
    /// The agent, where it acts for a human (RFC 8693 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Act<'a>>,
    /// Whom it is for.
    pub aud: Aud<'a>,
    /// The agent, as the client that asked (RFC 8693 4.3).
    pub client_id: &'a AgentId,
    /// When it was issued.
    pub iat: i64,
    /// Since when it is valid.
    pub nbf: i64,
    /// Until when.
    pub exp: i64,
    /// Its id.
    pub jti: &'a CredentialId,
    /// What was granted.
    pub authorization_details: &'a Scope,
    /// The key that its bearer must prove to hold (RFC 7800, RFC 9449 6.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Cnf<'a>>,
    /// The host's id of the request, as its audit log has it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub txn: &'a str,
    /// Where its status is published (draft-ietf-oauth-status-list-20 6.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What is ours.
    pub agentic: Agentic<'a>,
    /// The target's own.
    #[serde(flatten)]
    pub fixed: &'a Map<String, Value>,
}

/// An actor, with those that acted before it: the current one outermost.
#[derive(Debug, Serialize)]
pub struct Act<'a> {
    /// The agent.
    pub sub: &'a AgentId,
    /// The agent that passed the authority to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Self>>,
}

impl<'a> Act<'a> {
    /// The actors along a permit's chain of delegations; none where the agent
    /// acts on its own.
    #[must_use]
    pub fn of(permit: &'a Permit) -> Option<Self> {
        permit.subject()?;
        let (last, before) = permit.chain().split_last()?;
        let before = before.iter().fold(None, |before, delegation| {
            Some(Box::new(Self {
                sub: &delegation.agent,
                act: before,
            }))
        });
        Some(Self {
            sub: &last.agent,
            act: before,
        })
    }
}

/// The human's yes that a permit rests on: to the request itself, or to the
/// delegation.
#[must_use]
pub fn consent_of(permit: &Permit) -> Option<&ConsentId> {
    let standing = || permit.chain().first()?.consent.as_ref();
    permit.consent().or_else(standing)
}

/// One audience as text, several as a list (RFC 7519 4.1.3).
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Aud<'a> {
    /// One.
    One(&'a Label),
    /// Several.
    Several(&'a [Label]),
}

impl<'a> From<&'a [Label]> for Aud<'a> {
    fn from(audience: &'a [Label]) -> Self {
        match audience {
            [one] => Self::One(one),
            several => Self::Several(several),
        }
    }
}

/// A confirmation by thumbprint.
#[derive(Debug, Serialize)]
pub struct Cnf<'a> {
    /// RFC 7638 thumbprint of the key.
    pub jkt: &'a str,
}

/// What this plugin adds to the standard's claims.
#[derive(Debug, Serialize)]
pub struct Agentic<'a> {
    /// The decision that allowed it.
    pub decision_id: &'a DecisionId,
    /// The delegation it was issued under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegation_id: Option<&'a DelegationId>,
    /// The human's yes it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent_id: Option<&'a ConsentId>,
    /// On whose authority.
    pub mode: &'static str,
    /// The agent's label for people.
    pub agent: &'a AgentName,
    /// The agent's epoch: a revocation starts a new one.
    pub epoch: u64,
    /// How often it may be used. Who verifies it must redeem it for each use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    /// Where that is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redeem_uri: Option<String>,
}

/// The `status` claim.
#[derive(Debug, Serialize)]
pub struct Status {
    /// A place in a list.
    pub status_list: StatusReference,
}

/// A place in a status list.
#[derive(Debug, Serialize)]
pub struct StatusReference {
    /// Its index.
    pub idx: u64,
    /// Where the list is.
    pub uri: String,
}

/// Reads what the credential rests on, from what it says. `None`: no credential
/// of ours says such a thing.
#[must_use]
pub fn grounds(claims: &Claims) -> Option<Grounds> {
    let agentic = claims.all.get("agentic")?;
    let delegation = match agentic.get("delegation_id") {
        Some(id) => Some(id.as_str()?.parse().ok()?),
        None => None,
    };
    let subject = match &claims.actor {
        Some(_) => Some(claims.subject.as_deref()?.parse().ok()?),
        None => None,
    };
    Some(Grounds {
        id: claims.id.as_deref()?.parse().ok()?,
        agent: claims.client_id.as_deref()?.parse().ok()?,
        epoch: agentic.get("epoch")?.as_u64()?,
        subject,
        delegation,
        target: granted_target(claims),
        issued_at: claims.issued_at?,
        expires_at: claims.expires_at?,
    })
}

/// The target of what was granted: a credential is for one.
fn granted_target(claims: &Claims) -> Option<TargetName> {
    let details = claims.all.get("authorization_details")?;
    let target = details.get(0)?.get("targets")?.get(0)?;
    target.as_str()?.parse().ok()
}

/// Whether the uses of what says this are counted.
#[must_use]
pub fn is_counted(claims: &Map<String, Value>) -> bool {
    claims
        .get("agentic")
        .is_some_and(|agentic| agentic.get("max_uses").is_some())
}
