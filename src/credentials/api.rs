//! `creds/issue` and `creds/:target`: the main job.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authorize::{self, Authorized, Granted, Waiting};
use crate::config::store::DEFAULT_KEY;
use crate::consents::ask::INTERVAL;
use crate::credentials::{claims, mint, request};
use crate::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::framework::error::{Error, Result};
use crate::framework::response::Reply;
use crate::model::agent::Mode;
use crate::model::authorization::Scope;
use crate::model::decision::{AccessRequest, Outcome};
use crate::model::ids::{
    AgentId, AgentName, ConsentId, CredentialId, DecisionId, DelegationId, TargetName,
};
use crate::model::pattern::{Action, Resource};
use crate::model::target::CredentialType;
use crate::model::text::Description;
use crate::model::time::{Timestamp, Ttl};
use crate::state::{Cx, State};

/// What an allowed request gets, or what it waits for.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// A credential.
    Issued(Box<Issued>),
    /// A human must agree first.
    ConsentRequired(ConsentRequired),
}

/// One object, with the fields of either.
impl JsonSchema for Answer {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Answer")
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut both = Issued::json_schema(generator);
        let waits = ConsentRequired::json_schema(generator);
        let more = waits.get("properties").and_then(Value::as_object).cloned();
        if let Some(properties) = both.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, schema) in more.unwrap_or_default() {
                properties.entry(name).or_insert(schema);
            }
        }
        both.remove("required");
        both
    }
}

/// A request that a human must agree to. Nothing was issued.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConsentRequired {
    outcome: Outcome,
    /// The consent to retry with, once it is approved.
    consent_id: ConsentId,
    /// What the human is asked, for the agent to show.
    text: String,
    /// When the request is denied for want of an answer.
    expires_at: Timestamp,
    /// How often to ask, in seconds.
    interval: u64,
    decision_id: DecisionId,
}

/// A fresh credential, and what it is for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Issued {
    /// The credential itself. Nothing else in the answer is secret.
    credential: String,
    credential_type: CredentialType,
    /// How to present it: `Bearer`, or `DPoP` if it is bound to a key.
    token_type: &'static str,
    expires_at: Timestamp,
    /// Its lifetime in seconds.
    ttl: Ttl,
    decision_id: DecisionId,
    jti: CredentialId,
    outcome: Outcome,
    agent: AgentName,
    agent_id: AgentId,
    /// The human it acts for, or the agent itself.
    subject: String,
    mode: Mode,
    target: TargetName,
    action: Action,
    resource: Resource,
    /// What was granted (RFC 9396).
    #[schemars(with = "Vec<Map<String, Value>>")]
    authorization_details: Scope,
    /// The delegation it was issued under; empty where the agent acts on its
    /// own.
    delegation_id: String,
    /// The record of the human's yes; empty where the agent acts on its own.
    consent_id: String,
}

/// Ask for a credential for one action on a target.
///
/// The caller must be a registered agent. Every layer must allow it: the
/// agent, the target, the ceiling, and where it acts for a human, the human's
/// baseline and delegation. The credential lives for seconds, names exactly
/// what was asked, and is signed by a key that `.well-known/jwks.json` shows.
/// Where the human must agree to this very request, the answer has the outcome
/// `consent_required`, no credential, and a `consent_id` to retry with. A GET
/// of `creds/:target` does the same for clients that only read, and refuses
/// where consent is missing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct IssueCredential<const BY_PATH: bool> {
    /// Name of the target.
    target: TargetName,
    /// What is to be done there.
    action: Action,
    /// To what, in one plain spelling; no patterns.
    #[serde(default)]
    resource: Resource,
    /// Delegation to act under.
    delegation_id: Option<DelegationId>,
    /// Consent to this very request, from an earlier answer
    /// `consent_required`. It is used up.
    consent_id: Option<ConsentId>,
    /// What the request is for, as authorization details (RFC 9396): a list of
    /// objects, or its JSON text. They can only narrow.
    authorization_details: Option<Vec<Map<String, Value>>>,
    /// Facts that the agent asserts, for conditions of policies.
    #[serde(default)]
    context: Map<String, Value>,
    /// Why, for the record.
    #[serde(default)]
    reason: Description,
    /// Lifetime to ask for; more than allowed is cut.
    ttl: Option<Ttl>,
    /// Public key (JWK) to bind the credential to: whoever presents it must
    /// prove to hold the private half.
    cnf_jwk: Option<Map<String, Value>>,
}

impl<const BY_PATH: bool> Endpoint<State> for IssueCredential<BY_PATH> {
    const PLACE: Place = if BY_PATH {
        Place {
            path: "creds/{target}",
            verb: Verb::Read,
        }
    } else {
        Place {
            path: "creds/issue",
            verb: Verb::Write,
        }
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Answer;

    async fn handle(self, cx: &Cx) -> Result<Reply<Answer>> {
        // Before anything is decided, and counted against a rate.
        if cx.config.get().await?.issuer.is_empty() {
            return Err(Error::Invalid(
                "this mount has no issuer yet; an operator sets `issuer` under `config` first"
                    .to_owned(),
            ));
        }
        let request = AccessRequest {
            reason: self.reason,
            context: request::context(self.context)?,
            delegation: self.delegation_id,
            consent: self.consent_id,
            ttl: self.ttl,
            details: request::details(self.authorization_details)?,
            key_thumbprint: request::thumbprint(self.cnf_jwk)?,
            ..AccessRequest::new(self.target, self.action, self.resource)
        };
        let granted = match authorize::authorize(cx, request).await? {
            Authorized::Waits(Waiting { decision, consent }) if !BY_PATH => {
                let waits = ConsentRequired {
                    outcome: Outcome::ConsentRequired,
                    consent_id: consent.id.clone(),
                    text: consent.text.clone(),
                    expires_at: consent.expires_at,
                    interval: INTERVAL,
                    decision_id: decision,
                };
                return Ok(Answer::ConsentRequired(waits).into());
            }
            // A client that only reads would take it for a credential.
            authorized @ (Authorized::Granted(_) | Authorized::Waits(_)) => authorized.granted()?,
        };
        let issued = issue(cx, granted).await?;
        Ok(Answer::Issued(Box::new(issued)).into())
    }
}

async fn issue(cx: &Cx, granted: Granted) -> Result<Issued> {
    let Granted { decision, permit } = granted;
    match permit.target().credential_type {
        CredentialType::Jwt => {}
        kind @ (CredentialType::Opaque | CredentialType::VaultToken) => {
            return Err(Error::Invalid(format!(
                "target `{}` is for credentials of type `{}`, which this path does not issue",
                permit.target().name,
                kind.as_str()
            )));
        }
    }
    let config = cx.config.get().await?;
    let keys = cx.keys.set().await?;
    let name = permit
        .target()
        .signing_key
        .as_ref()
        .or(config.signing_key.as_ref());
    let signer = match name {
        Some(name) => keys.signers.get(name),
        None => keys
            .signers
            .iter()
            .find(|(name, _)| name.as_str() == DEFAULT_KEY)
            .map(|(_, signer)| signer),
    };
    let Some(signer) = signer else {
        let name = name.map_or(DEFAULT_KEY, |name| name.as_str());
        return Err(Error::Invalid(format!(
            "there is no signing key `{name}`; an operator makes it under `keys/{name}`"
        )));
    };
    let jti = CredentialId::mint(cx.now, cx.random()?);
    let credential = mint::access_token(
        &permit,
        &decision,
        jti,
        &config.issuer,
        &cx.request_id,
        signer,
    )?;
    let agent = permit.agent();
    Ok(Issued {
        credential: credential.token.expose().clone(),
        credential_type: permit.target().credential_type,
        token_type: if permit.key_thumbprint().is_some() {
            "DPoP"
        } else {
            "Bearer"
        },
        expires_at: credential.expires_at,
        ttl: permit.ttl(),
        decision_id: decision,
        jti: credential.jti,
        outcome: Outcome::Allow,
        agent: agent.name.clone(),
        agent_id: agent.id.clone(),
        subject: permit
            .subject()
            .map_or_else(|| agent.id.to_string(), ToString::to_string),
        mode: permit.mode(),
        target: permit.target().name.clone(),
        action: permit.action().clone(),
        resource: permit.resource().clone(),
        authorization_details: permit.details().clone(),
        delegation_id: permit
            .chain()
            .last()
            .map(|held| held.id.to_string())
            .unwrap_or_default(),
        consent_id: claims::consent_of(&permit)
            .map(ToString::to_string)
            .unwrap_or_default(),
    })
}
