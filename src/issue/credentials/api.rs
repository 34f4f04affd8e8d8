//! `creds/issue` and `creds/:target`: the main job.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authorize::{self, Applicant, Authorized, Granted, Waiting};
use crate::engine::Permit;
use crate::grants::consents::ask::INTERVAL;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::issue::credentials::mint::{self, Terms};
use crate::issue::credentials::status::StatusStore;
use crate::issue::credentials::store::CredentialStore;
use crate::issue::credentials::{claims, leases, request, standing};
use crate::model::agent::{Agent, Mode};
use crate::model::authorization::Scope;
use crate::model::credential::{Credential, Grounds};
use crate::model::decision::{AccessRequest, Outcome, Reason};
use crate::model::ids::{
    AgentId, AgentName, ConsentId, CredentialId, DecisionId, DelegationId, TargetName,
};
use crate::model::pattern::{Action, Resource};
use crate::model::target::{CredentialType, Target};
use crate::model::text::Description;
use crate::model::time::{Timestamp, Ttl};
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::log;

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
    /// Who asked for what: the same names as in the answer to an allowed
    /// request.
    #[serde(flatten)]
    #[schemars(with = "Map<String, Value>")]
    facts: Map<String, Value>,
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
    /// How often it can be used; nothing if nobody counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
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
    /// What did not stand in the way, and an operator is to mend, as codes: the
    /// agent's owner is gone, or its review is overdue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Reason>,
}

/// Ask for a credential for one action on a target.
///
/// The caller must be a registered agent. Every layer must allow it: the
/// agent, the target, the ceiling, and where it acts for a human, the human's
/// baseline and delegation. The credential lives for seconds, names exactly
/// what was asked, and is a JWT signed by a key that `.well-known/jwks.json`
/// shows, or an opaque token that `creds/introspect` knows. Where the human must
/// agree to this very request, the answer has the outcome `consent_required`, no
/// credential, and a `consent_id` to retry with. A GET of `creds/:target` does
/// the same for clients that only read, and refuses where consent is missing.
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
    /// Number of uses to ask for; more than allowed is cut. A credential whose
    /// uses are counted must be redeemed for each.
    max_uses: Option<u32>,
    /// Public key (JWK) to bind the credential to: whoever presents it must
    /// prove to hold the private half.
    cnf_jwk: Option<Map<String, Value>>,
    /// The same, for a key that is registered for you: its thumbprint (RFC
    /// 7638).
    cnf_jkt: Option<String>,
}

impl<const BY_PATH: bool> Endpoint<Cx> for IssueCredential<BY_PATH> {
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
    const AUDIENCE: Audience = Audience::Judged;
    type Output = Answer;

    async fn handle(self, cx: &Cx) -> Result<Reply<Answer>> {
        // Before anything is decided, and counted against a rate.
        if cx.config().await?.issuer.is_empty() {
            return Err(Error::Invalid(
                "this mount has no issuer yet; an operator sets `issuer` under `config` first"
                    .to_owned(),
            ));
        }
        let applicant = Applicant::caller(cx).await?;
        let target = cx.facts.targets.get(&self.target).await?;
        if let Some(agent) = &applicant.agent
            && let Some(target) = &target
        {
            check_target(cx, agent, target, self.max_uses)?;
        }
        let key_thumbprint = match (self.cnf_jwk, self.cnf_jkt) {
            (Some(_), Some(_)) => {
                return Err(Error::field("cnf_jkt", "cannot come with `cnf_jwk`"));
            }
            (jwk, None) => request::thumbprint(jwk)?,
            (None, Some(jkt)) => Some(request::registered(applicant.agent.as_deref(), jkt)?),
        };
        let request = AccessRequest {
            reason: self.reason,
            context: request::context(self.context)?,
            delegation: self.delegation_id,
            consent: self.consent_id,
            ttl: self.ttl,
            max_uses: self.max_uses,
            details: request::details(self.authorization_details)?,
            key_thumbprint,
            ..AccessRequest::new(self.target, self.action, self.resource)
        };
        // Only what can be renewed has to be decided again.
        let again = target
            .is_some_and(|target| is_renewable(&target))
            .then(|| Box::new(request.clone()));
        let authorized = authorize::authorize_as(cx, applicant, request).await?;
        let granted = match authorized {
            Authorized::Waits(Waiting { decision, consent }) if !BY_PATH => {
                let mut facts = cx.noted.take();
                for named in ["outcome", "consent_id", "decision_id"] {
                    facts.remove(named);
                }
                let waits = ConsentRequired {
                    outcome: Outcome::ConsentRequired,
                    consent_id: consent.id.clone(),
                    text: consent.text.clone(),
                    expires_at: consent.expires_at,
                    interval: INTERVAL,
                    decision_id: decision,
                    facts,
                };
                return Ok(Answer::ConsentRequired(waits).into());
            }
            // A client that only reads would take it for a credential.
            authorized @ (Authorized::Granted(_) | Authorized::Waits(_)) => authorized.granted()?,
        };
        issue(cx, granted, again).await
    }
}

/// What can be told before a decision: a request that this path, or this node,
/// cannot serve must not use up a rate.
fn check_target(cx: &Cx, agent: &Agent, target: &Target, max_uses: Option<u32>) -> Result<()> {
    if target.credential_type == CredentialType::VaultToken {
        return Err(Error::Invalid(format!(
            "target `{}` is for tokens of the server: agent `{}` gets one by `login` on the auth mount",
            target.name, agent.name
        )));
    }
    let is_stored = target.credential_type == CredentialType::Opaque
        || target.leased
        || target.status_list
        || target.max_uses.is_some()
        || max_uses.is_some();
    if is_stored && cx.is_standby() {
        return Err(Error::forward());
    }
    Ok(())
}

/// Whether a lease of its credentials can be renewed. A JWT says itself when it
/// ends.
fn is_renewable(target: &Target) -> bool {
    target.leased && target.credential_type == CredentialType::Opaque
}

/// Makes the credential of a request that was granted. `again` is the request,
/// if its lease is to be renewable.
async fn issue(
    cx: &Cx,
    granted: Granted,
    again: Option<Box<AccessRequest>>,
) -> Result<Reply<Answer>> {
    let Granted {
        decision,
        permit,
        notes,
    } = granted;
    let target = permit.target();
    let config = cx.config().await?;
    let id = CredentialId::mint(cx.now, cx.random()?);
    let status = if target.status_list && target.credential_type == CredentialType::Jwt {
        Some(cx.issue.statuses.allocate().await?)
    } else {
        None
    };
    let terms = Terms {
        id: &id,
        decision: &decision,
        issuer: &config.issuer,
        txn: &cx.request_id,
        status,
    };
    let grounds = mint::grounds(&permit, &id);
    let is_opaque = target.credential_type == CredentialType::Opaque;
    // The target may have changed since `again` was kept.
    let renewable = again.is_some() && is_renewable(target);
    let (token, kept) = if is_opaque {
        let hasher = cx.facts.hasher.ensure(|| cx.random()).await?;
        let (token, kept) = mint::opaque_token(&permit, &terms, &hasher, cx.random()?)?;
        (token, Some(kept))
    } else {
        let keys = cx.facts.keys.set().await?;
        let signer = keys.signer(target.signing_key.as_ref(), config.signing_key.as_ref())?;
        (mint::access_token(&permit, &terms, signer)?, None)
    };

    let mut writes = Vec::new();
    if kept.is_some() || permit.max_uses().is_some() {
        let (hash, claims) =
            kept.map_or_else(|| (None, Map::new()), |kept| (Some(kept.hash), kept.claims));
        let credential = Credential {
            hash,
            claims,
            uses_left: permit.max_uses(),
            expires_at: grounds.expires_at,
            request: again.filter(|_| renewable),
        };
        writes.push(CredentialStore::put(&id, &credential)?);
    }
    if let Some(at) = status {
        writes.push(StatusStore::put(at, &grounds)?);
    }
    if !writes.is_empty() {
        cx.issue.credentials.commit(writes).await?;
    }
    if let Some(at) = status {
        cx.issue.statuses.note(at, grounds.clone());
    }
    // Whoever suspended or revoked the agent meanwhile has been answered: this
    // credential must not leave after that.
    if !standing::is_unchanged(cx, &grounds).await? {
        log::record(
            cx,
            Entry {
                outcome: Outcome::Deny,
                subject: permit.subject().cloned(),
                mode: Some(permit.mode()),
                target: permit.target().name.to_string(),
                action: permit.action().to_string(),
                resource: permit.resource().to_string(),
                jti: Some(id.clone()),
                problem: format!(
                    "the agent was suspended or revoked while its request was under way; decision {decision} is void"
                ),
                ..log::about(cx, Kind::Issue, permit.agent())
            },
        );
        return Err(Error::Denied(format!(
            "denied: the agent was suspended or revoked while its request was under way. Decision {decision}."
        )));
    }
    let lease = target
        .leased
        .then(|| leases::fresh(cx, &grounds, target, renewable, permit.max_uses().is_some()));
    let warnings = notes.iter().map(ToString::to_string).collect();
    let issued = Issued {
        notes,
        ..view(&permit, decision, &grounds, token.expose())
    };
    let answer = Answer::Issued(Box::new(issued));
    Ok(match lease {
        Some(lease) => Reply::Leased(answer, lease),
        None => Reply::Data(answer, warnings),
    })
}

fn view(permit: &Permit, decision: DecisionId, grounds: &Grounds, token: &str) -> Issued {
    let agent = permit.agent();
    Issued {
        credential: token.to_owned(),
        credential_type: permit.target().credential_type,
        token_type: if permit.key_thumbprint().is_some() {
            "DPoP"
        } else {
            "Bearer"
        },
        expires_at: grounds.expires_at,
        ttl: permit.ttl(),
        max_uses: permit.max_uses(),
        decision_id: decision,
        jti: grounds.id.clone(),
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
        consent_id: claims::consent_of(permit)
            .map(ToString::to_string)
            .unwrap_or_default(),
        notes: Vec::new(),
    }
}
