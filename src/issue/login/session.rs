//! The token that a login gets, and its renewal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authorize::{self, Applicant, Granted};
use crate::engine::{self, Permit};
use crate::facts::identity::caller::LOGIN_NAME;
use crate::facts::identity::presence::LOGIN_MARK;
use crate::host::framework::error::{Error, Result};
use crate::host::framework::request::Kept;
use crate::host::framework::response::{Alias, Auth, Reply, Response};
use crate::issue::Cx;
use crate::issue::credentials::events;
use crate::issue::credentials::{claims, mint, standing};
use crate::issue::login::proven::Proven;
use crate::issue::login::refusals::refused;
use crate::issue::login::rests::Rests;
use crate::model::authorization::Scope;
use crate::model::decision::{AccessRequest, Outcome};
use crate::model::ids::{
    AgentId, ConsentId, CredentialId, DecisionId, DelegationId, EntityId, TargetName,
};
use crate::model::pattern::{Action, Resource};
use crate::model::target::TokenType;
use crate::model::text::Description;
use crate::model::time::{Timestamp, Ttl};
use crate::record::decisions::entry::Kind;

/// What the host keeps of a login, for its renewal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    agent: AgentId,
    epoch: u64,
    rests: Rests,
    subject: Option<EntityId>,
    delegation: Option<DelegationId>,
    consent: Option<ConsentId>,
    target: TargetName,
    action: Action,
    resource: Resource,
    reason: Description,
    context: Map<String, Value>,
    details: Option<Scope>,
    token_details: Option<Scope>,
    policies: Vec<String>,
    ends_at: Timestamp,
}

/// The token for a request that was allowed. It lives as long as the decision
/// says, which knows how long the tokens are good that grant the authority.
///
/// # Errors
/// If the agent or what it acts under was suspended or revoked meanwhile.
pub async fn open(
    cx: &Cx,
    proven: &Proven,
    granted: &Granted,
    request: AccessRequest,
) -> Result<Auth> {
    let permit = &granted.permit;
    let ttl = permit.ttl();
    let target = permit.target();
    let token_type = match permit.max_uses() {
        Some(_) => TokenType::Service,
        // A token without an alias would not be known as a login's, nor would its
        // children: so it is one that the server lets have none.
        None if !target.vault_alias => TokenType::Batch,
        None => target.vault_token_type,
    };
    let policies: Vec<String> = target
        .vault_policies
        .iter()
        .map(|policy| policy.as_str().to_owned())
        .collect();
    check_unchanged(cx, permit, &proven.rests).await?;
    let session = Session {
        agent: permit.agent().id.clone(),
        epoch: permit.agent().epoch,
        rests: proven.rests.clone(),
        subject: permit.subject().cloned(),
        delegation: request.delegation,
        consent: permit.consent().cloned(),
        target: request.target,
        action: request.action,
        resource: request.resource,
        reason: request.reason,
        context: request.context,
        details: request.details,
        token_details: proven.details.clone(),
        policies: policies.clone(),
        ends_at: cx.now.plus(ttl),
    };
    Ok(Auth {
        policies,
        metadata: metadata(permit, &granted.decision),
        display_name: format!("{LOGIN_NAME}{}", permit.agent().name),
        ttl,
        explicit_max_ttl: ttl,
        renewable: token_type == TokenType::Service && may_be_renewed(permit),
        num_uses: permit.max_uses(),
        token_type,
        bound_cidrs: Vec::new(),
        // Known by it, also its children: none of them governs or consents.
        alias: target.vault_alias.then(|| Alias {
            name: permit.agent().id.to_string(),
            metadata: BTreeMap::from([(LOGIN_MARK.to_owned(), "true".to_owned())]),
        }),
        issued_at: cx.now,
        internal: session.keep()?,
    })
}

/// Whoever suspended or revoked the agent, or what it acts under, meanwhile has
/// been answered: no token may leave after that. The last thing before it does.
async fn check_unchanged(cx: &Cx, permit: &Permit, rests: &Rests) -> Result<()> {
    let cx = &cx.resumed();
    let id = CredentialId::mint(cx.now, cx.random()?);
    let holds = match cx.facts.agents.get(&permit.agent().id).await? {
        Some(agent) => rests.broken(cx, &agent).await?.is_none(),
        None => false,
    };
    if holds && standing::is_unchanged(cx, &mint::grounds(permit, &id)).await? {
        return Ok(());
    }
    Err(refused(
        "agent.changed",
        "the agent, or what it acts under, was suspended or revoked while its login was under way",
    ))
}

/// A yes that was used, and a use that was counted, are not there for a second
/// decision.
fn may_be_renewed(permit: &Permit) -> bool {
    permit.max_uses().is_none()
        && permit.consent().is_none()
        && permit.chain().iter().all(|link| link.max_uses.is_none())
}

/// Who asked for what, for whom, and by which decision: in the clear in the
/// audit entries of everything that is done with the token.
fn metadata(permit: &Permit, decision: &DecisionId) -> BTreeMap<String, String> {
    let agent = permit.agent();
    let mut metadata = BTreeMap::from(
        [
            ("agent", agent.name.to_string()),
            ("agent_id", agent.id.to_string()),
            ("mode", permit.mode().as_str().to_owned()),
            ("decision_id", decision.to_string()),
            ("target", permit.target().name.to_string()),
            ("action", permit.action().to_string()),
            ("resource", permit.resource().to_string()),
            (
                "subject",
                permit
                    .subject()
                    .map_or_else(|| agent.id.to_string(), ToString::to_string),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    if let Some(link) = permit.chain().last() {
        metadata.insert("delegation_id".to_owned(), link.id.to_string());
    }
    if let Some(consent) = claims::consent_of(permit) {
        metadata.insert("consent_id".to_owned(), consent.to_string());
    }
    metadata
}

/// Renews a token: the same request is decided anew, from what holds now. Its
/// end stays where it was.
///
/// # Errors
/// If it would not be allowed now; the host then refuses the renewal, and the
/// token lives to its end.
pub async fn renew(cx: &Cx, kept: Kept) -> Result<Option<Response>> {
    let agent = kept.internal.get("agent").and_then(Value::as_str);
    let agent = agent.and_then(|id| id.parse().ok());
    let answer = renewed(cx, kept).await;
    if let Err(error) = &answer {
        events::not_renewed(cx, agent.as_ref(), None, error).await;
    }
    answer
}

async fn renewed(cx: &Cx, kept: Kept) -> Result<Option<Response>> {
    let session = Session::read(kept.internal)?;
    let Some(agent) = cx.facts.agents.get(&session.agent).await? else {
        return Err(ended("the agent is not registered any more"));
    };
    if agent.epoch != session.epoch {
        return Err(ended("the agent was revoked since"));
    }
    if let Some(why) = session.rests.broken(cx, &agent).await? {
        return Err(ended(why));
    }
    // Before anything that it rests on is used up.
    if session.ends_at <= cx.now {
        return Err(ended("its time is up"));
    }
    let applicant = Applicant {
        token_details: session.token_details.clone(),
        granted_for: Some(cx.now.until(session.ends_at)),
        kind: Kind::Renew,
        ..Applicant::agent(cx, agent).await?
    };
    let request = AccessRequest {
        subject: session.subject.clone(),
        delegation: session.delegation.clone(),
        consent: session.consent.clone(),
        reason: session.reason.clone(),
        context: session.context.clone(),
        details: session.details.clone(),
        ..AccessRequest::new(
            session.target.clone(),
            session.action.clone(),
            session.resource.clone(),
        )
    };
    // Nobody is asked to agree to what goes on already.
    let gathered = authorize::gather::gather(cx, &request, applicant.clone()).await?;
    if engine::decide(&request, &gathered.facts).outcome == Outcome::ConsentRequired {
        return Err(ended("a human must agree to it first"));
    }
    let Granted {
        decision, permit, ..
    } = authorize::authorize_as(cx, applicant, request)
        .await?
        .granted()?;
    let policies = permit.target().vault_policies.iter();
    if !policies.map(|policy| policy.as_str()).eq(&session.policies) {
        return Err(ended("the target's policies have changed since"));
    }
    check_unchanged(cx, &permit, &session.rests).await?;
    let left = permit.ttl();
    let ttl = if kept.increment.is_zero() {
        left
    } else {
        left.min(kept.increment)
    };
    if ttl.is_zero() || !may_be_renewed(&permit) {
        return Err(ended("its time is up"));
    }
    let issued_at = kept.issued_at.unwrap_or(cx.now);
    let auth = Auth {
        policies: session.policies.clone(),
        metadata: metadata(&permit, &decision),
        display_name: format!("{LOGIN_NAME}{}", permit.agent().name),
        ttl,
        explicit_max_ttl: issued_at.until(session.ends_at).max(Ttl::from_secs(1)),
        renewable: true,
        num_uses: None,
        token_type: TokenType::Service,
        bound_cidrs: Vec::new(),
        alias: None,
        issued_at,
        internal: session.keep()?,
    };
    Response::encode(Reply::Login(auth, Map::new()))
}

impl Session {
    fn keep(&self) -> Result<Map<String, Value>> {
        match serde_json::to_value(self) {
            Ok(Value::Object(kept)) => Ok(kept),
            Ok(_) | Err(_) => Err(Error::Internal("a login cannot be kept".to_owned())),
        }
    }

    fn read(kept: Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(kept))
            .map_err(|_| ended("the login was made by another release of this plugin"))
    }
}

fn ended(why: &str) -> Error {
    Error::Denied(format!("the token cannot be renewed: {why}; log in anew"))
}
