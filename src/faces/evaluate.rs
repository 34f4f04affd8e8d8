//! `decisions/evaluate` and `self/evaluate`: what would be decided. Issues,
//! consumes, counts and writes nothing.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authorize::{self, Applicant};
use crate::engine::{self, Explanation, Limits};
use crate::facts::config::store::DenialDetail;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::issue::credentials::request;
use crate::model::agent::Agent;
use crate::model::decision::{AccessRequest, Outcome};
use crate::model::ids::{AgentId, AgentName, DelegationId, EntityId, TargetName};
use crate::model::pattern::{Action, Resource};
use crate::model::text::Description;
use crate::model::time::Ttl;

/// What would be decided.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Evaluation {
    /// Whether it would be allowed.
    pub decision: bool,
    /// The decision and why, as far as the caller may see it.
    pub context: Explanation,
}

/// Decide without acting: a dry run, and a policy decision point.
///
/// Takes what `creds/issue` takes, and the agent's name, and shows every layer.
/// Nothing is issued, counted or written. An agent asks for itself at
/// `self/evaluate`. AuthZEN clients find the bare answer under
/// `access/v1/evaluation`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Evaluate {
    /// Name of the agent.
    agent: AgentName,
    /// Identity entity of the human it would act for.
    subject: Option<EntityId>,
    /// Name of the target.
    target: TargetName,
    /// What would be done there.
    action: Action,
    /// To what.
    #[serde(default)]
    resource: Resource,
    /// Delegation that it would act under.
    delegation_id: Option<DelegationId>,
    /// What the request is for, as authorization details (RFC 9396).
    authorization_details: Option<Vec<Map<String, Value>>>,
    /// Facts that the agent would assert.
    #[serde(default)]
    context: Map<String, Value>,
    /// Why, as the agent would say.
    #[serde(default)]
    reason: Description,
    /// Lifetime that it would ask for.
    ttl: Option<Ttl>,
    /// Public key (JWK) that it would bind the credential to.
    cnf_jwk: Option<Map<String, Value>>,
}

impl Endpoint<Cx> for Evaluate {
    const PLACE: Place = Place {
        path: "decisions/evaluate",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Evaluation;

    async fn handle(self, cx: &Cx) -> Result<Reply<Evaluation>> {
        let request = AccessRequest {
            reason: self.reason,
            context: request::context(self.context)?,
            subject: self.subject,
            delegation: self.delegation_id,
            ttl: self.ttl,
            details: request::details(self.authorization_details)?,
            key_thumbprint: request::thumbprint(self.cnf_jwk)?,
            ..AccessRequest::new(self.target, self.action, self.resource)
        };
        let applicant = Applicant {
            sees_all: true,
            ..named(cx, self.agent.as_str()).await?
        };
        let (outcome, explanation) = decide(cx, applicant, &request).await?;
        Ok(Evaluation {
            decision: outcome == Outcome::Allow,
            context: explanation,
        }
        .into())
    }
}

/// See what would be decided about a request of yours.
///
/// For agents. Takes what `creds/issue` takes, and shows what `denial_detail`
/// under `config` grants. Nothing is issued, counted or written.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EvaluateOwn {
    /// Identity entity of the human you would act for.
    subject: Option<EntityId>,
    /// Name of the target.
    target: TargetName,
    /// What would be done there.
    action: Action,
    /// To what.
    #[serde(default)]
    resource: Resource,
    /// Delegation that you would act under.
    delegation_id: Option<DelegationId>,
    /// What the request is for, as authorization details (RFC 9396).
    authorization_details: Option<Vec<Map<String, Value>>>,
    /// Facts that you would assert.
    #[serde(default)]
    context: Map<String, Value>,
    /// Why.
    #[serde(default)]
    reason: Description,
    /// Lifetime that you would ask for.
    ttl: Option<Ttl>,
    /// Public key (JWK) that you would bind the credential to.
    cnf_jwk: Option<Map<String, Value>>,
}

impl Endpoint<Cx> for EvaluateOwn {
    const PLACE: Place = Place {
        path: "self/evaluate",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Judged;
    type Output = Evaluation;

    async fn handle(self, cx: &Cx) -> Result<Reply<Evaluation>> {
        let request = AccessRequest {
            reason: self.reason,
            context: request::context(self.context)?,
            subject: self.subject,
            delegation: self.delegation_id,
            ttl: self.ttl,
            details: request::details(self.authorization_details)?,
            key_thumbprint: request::thumbprint(self.cnf_jwk)?,
            ..AccessRequest::new(self.target, self.action, self.resource)
        };
        let applicant = Applicant::caller(cx).await?;
        if applicant.agent.is_none() {
            return Err(Error::Denied(
                "only a registered agent can ask this about itself; operators ask about any under `decisions/evaluate`".to_owned(),
            ));
        }
        let (outcome, mut explanation) = decide(cx, applicant, &request).await?;
        redact(&mut explanation, cx.config().await?.denial_detail);
        Ok(Evaluation {
            decision: outcome == Outcome::Allow,
            context: explanation,
        }
        .into())
    }
}

/// What would be decided about a request, for who may know no more than that:
/// `None` where the caller is the agent itself, who is told as much as when it is
/// refused.
///
/// # Errors
/// [`Error::Denied`] if an agent asks about another; [`Error::Host`] if a fact
/// cannot be established.
pub async fn answer(
    cx: &Cx,
    agent: &str,
    request: &AccessRequest,
) -> Result<(bool, Option<Explanation>)> {
    let caller = Applicant::caller(cx).await?;
    let own = match &caller.agent {
        Some(own) if agent != own.name.as_str() && agent != own.id.as_str() => {
            return Err(Error::Denied(
                "an agent may ask what would be decided about itself only".to_owned(),
            ));
        }
        own => own.is_some(),
    };
    let applicant = if own { caller } else { named(cx, agent).await? };
    let (outcome, mut explanation) = decide(cx, applicant, request).await?;
    redact(&mut explanation, cx.config().await?.denial_detail);
    Ok((outcome == Outcome::Allow, own.then_some(explanation)))
}

/// An agent by its name or id, as the one who would ask.
async fn named(cx: &Cx, agent: &str) -> Result<Applicant> {
    match find(cx, agent).await? {
        Some(agent) => Applicant::agent(cx, agent).await,
        None => Ok(Applicant::default()),
    }
}

async fn decide(
    cx: &Cx,
    applicant: Applicant,
    request: &AccessRequest,
) -> Result<(Outcome, Explanation)> {
    let gathered = authorize::gather::gather(cx, request, applicant).await?;
    let decision = engine::decide(request, &gathered.facts);
    let explanation = decision.explain(request, &gathered.facts);
    Ok((decision.outcome, explanation))
}

async fn find(cx: &Cx, named: &str) -> Result<Option<Arc<Agent>>> {
    if let Ok(id) = named.parse::<AgentId>()
        && let Some(agent) = cx.facts.agents.get(&id).await?
    {
        return Ok(Some(agent));
    }
    match named.parse::<AgentName>() {
        Ok(name) => cx.facts.agents.by_name(&name).await,
        Err(_) => Ok(None),
    }
}

/// Leaves of an explanation what a refused agent may see.
fn redact(explanation: &mut Explanation, detail: DenialDetail) {
    match detail {
        DenialDetail::Full => {}
        DenialDetail::Reason => explanation.layers.clear(),
        DenialDetail::None => {
            explanation.layers.clear();
            if explanation.outcome != Outcome::Allow {
                explanation.layer = None;
                explanation.reason = None;
                explanation.message = "Denied.".to_owned();
                explanation.limits = Limits::default();
            }
        }
    }
}
