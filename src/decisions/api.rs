//! `decisions/evaluate`: what would be decided. Issues, consumes, counts and
//! writes nothing.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authorize::{self, Applicant};
use crate::config::store::DenialDetail;
use crate::credentials::request;
use crate::engine::{self, Explanation, Limits};
use crate::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::framework::error::{Error, Result};
use crate::framework::response::Reply;
use crate::model::agent::Agent;
use crate::model::decision::{AccessRequest, Outcome};
use crate::model::ids::{AgentId, AgentName, DelegationId, EntityId, TargetName};
use crate::model::pattern::{Action, Resource};
use crate::model::text::Description;
use crate::model::time::Ttl;
use crate::state::{Cx, State};

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
/// Takes what `creds/issue` takes. An operator names the agent, and sees every
/// layer; an agent asks for itself, and sees what `denial_detail` under
/// `config` grants it. Nothing is issued, counted or written. AuthZEN clients
/// find the same under `access/v1/evaluation`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Evaluate {
    /// Name of the agent; an agent that asks may leave it out.
    agent: Option<AgentName>,
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

impl Endpoint<State> for Evaluate {
    const PLACE: Place = Place {
        path: "decisions/evaluate",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Evaluation;

    async fn handle(self, cx: &Cx) -> Result<Reply<Evaluation>> {
        let named = self.agent.map(|name| name.to_string());
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
        Ok(evaluate(cx, named.as_deref(), &request, Shown::ToOperator)
            .await?
            .into())
    }
}

/// How much of an explanation the answer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it, unless the caller is an agent.
    ToOperator,
    /// What a refused caller is told.
    AsRefused,
}

/// Decides `request` by the agent that is `named`, by name or id, or by the
/// caller; shows as much as the caller may see.
///
/// # Errors
/// [`Error::Denied`] if an agent asks about another; [`Error::Host`] if a fact
/// cannot be established.
pub async fn evaluate(
    cx: &Cx,
    named: Option<&str>,
    request: &AccessRequest,
    shown: Shown,
) -> Result<Evaluation> {
    let caller = match &cx.caller.entity_id {
        Some(entity) => cx.agents.by_entity(entity).await?,
        None => None,
    };
    let applicant = match (named, &caller) {
        (None, None) => {
            return Err(Error::Invalid(
                "missing required field \"agent\": say which agent would ask".to_owned(),
            ));
        }
        (Some(named), Some(agent))
            if named != agent.name.as_str() && named != agent.id.as_str() =>
        {
            return Err(Error::Denied(
                "an agent may ask what would be decided about itself only".to_owned(),
            ));
        }
        (_, Some(agent)) => Applicant {
            agent: Some(Arc::clone(agent)),
            ..Applicant::default()
        },
        (Some(named), None) => match find(cx, named).await? {
            Some(agent) => {
                let disabled = cx
                    .system
                    .entity(&agent.entity_id)
                    .await?
                    .is_none_or(|entity| entity.disabled || entity.id != agent.entity_id.as_str());
                Applicant {
                    agent: Some(agent),
                    disabled,
                    ..Applicant::default()
                }
            }
            None => Applicant::default(),
        },
    };
    let applicant = Applicant {
        sees_all: caller.is_none() && shown == Shown::ToOperator,
        ..applicant
    };
    let gathered = authorize::gather(cx, request, applicant).await?;
    let decision = engine::decide(request, &gathered.facts);
    let mut explanation = decision.explain(request, &gathered.facts);
    if caller.is_some() || shown == Shown::AsRefused {
        redact(&mut explanation, cx.config.get().await?.denial_detail);
    }
    Ok(Evaluation {
        decision: decision.outcome == Outcome::Allow,
        context: explanation,
    })
}

async fn find(cx: &Cx, named: &str) -> Result<Option<Arc<Agent>>> {
    if let Ok(id) = named.parse::<AgentId>()
        && let Some(agent) = cx.agents.get(&id).await?
    {
        return Ok(Some(agent));
    }
    match named.parse::<AgentName>() {
        Ok(name) => cx.agents.by_name(&name).await,
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
