//! `self`: who the caller is to this mount.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::facts::agents::api::AgentView;
use crate::facts::identity::{caller, human};
use crate::grants::delegations::store::Whose;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::model::agent::Agent;
use crate::model::delegation::Delegation;
use crate::model::ids::{DelegationId, EntityId, PolicyName};

/// The most delegations that are shown.
const MOST_SHOWN: usize = 100;
/// How many are looked at with one call to storage, and with how many calls.
const PAGE: u32 = 200;
const PAGES: u32 = 5;

/// The caller, as this mount knows it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SelfView {
    /// `agent`, `human`, or `other` for who is neither.
    kind: &'static str,
    /// Why the caller does not count as a human; empty for agents and humans.
    problem: String,
    entity_id: String,
    /// The caller's registration, if it is an agent.
    agent: Map<String, Value>,
    /// The policies that bound it, `default-ceiling` included.
    effective_ceiling: Vec<PolicyName>,
    /// Ids of the delegations that an agent holds and that are active, or that
    /// a human has granted and that are; at most 100. `delegations/` lists all.
    delegations: Vec<DelegationId>,
    /// Requests for authority that wait: for a human's own answer, or of an
    /// agent's own making. Each with `id`, `agent_id`, `subject_entity_id`,
    /// `text` and `expires_at`.
    #[schemars(with = "Vec<Map<String, Value>>")]
    delegations_waiting: Vec<Value>,
    /// Single requests that wait for a human's answer, in the same shape.
    #[schemars(with = "Vec<Map<String, Value>>")]
    consents_waiting: Vec<Value>,
}

/// Read who you are to this mount: your registration and your ceiling, what you
/// hold or have granted, and what waits for you.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadSelf {}

impl Endpoint<Cx> for ReadSelf {
    const PLACE: Place = Place {
        path: "self",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = SelfView;

    async fn handle(self, cx: &Cx) -> Result<Reply<SelfView>> {
        let Some(entity) = &cx.caller.entity_id else {
            return Err(Error::Denied("your token has no identity entity, so you are nobody here; log in through an auth method".to_owned()));
        };
        let caller = caller::of(cx).await?;
        match &caller.agent {
            Some(agent) => of_agent(cx, entity, agent).await,
            None => of_other(cx, entity).await,
        }
    }
}

async fn of_agent(cx: &Cx, entity: &EntityId, agent: &Agent) -> Result<Reply<SelfView>> {
    let view = serde_json::to_value(AgentView::known(cx, agent).await)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let waiting = cx.grants.delegations.asked_by(&agent.id, cx.now).await?;
    Ok(SelfView {
        kind: "agent",
        problem: String::new(),
        entity_id: entity.to_string(),
        agent: view.as_object().cloned().unwrap_or_default(),
        effective_ceiling: cx.facts.policies.ceiling_names(agent).await?,
        delegations: active(cx, Whose::Agent(&agent.id)).await?,
        delegations_waiting: waiting.iter().map(|one| delegation(one)).collect(),
        consents_waiting: Vec::new(),
    }
    .into())
}

/// A human, or somebody who is none: what is in their name they see, to take it
/// back.
async fn of_other(cx: &Cx, entity: &EntityId) -> Result<Reply<SelfView>> {
    let why_not = human::why_not(cx, entity).await?;
    let waiting = cx.grants.delegations.waiting_for(entity, cx.now).await?;
    let asked = cx.grants.consents.waiting_for(entity, cx.now).await?;
    Ok(SelfView {
        kind: if why_not.is_none() { "human" } else { "other" },
        problem: why_not.map(|why| why.to_string()).unwrap_or_default(),
        entity_id: entity.to_string(),
        agent: Map::new(),
        effective_ceiling: Vec::new(),
        delegations: active(cx, Whose::Subject(entity)).await?,
        delegations_waiting: waiting.iter().map(|one| delegation(one)).collect(),
        consents_waiting: asked
            .iter()
            .map(|one| {
                json!({
                    "id": one.id, "agent_id": one.agent, "subject_entity_id": one.subject,
                    "text": one.text, "expires_at": one.expires_at,
                })
            })
            .collect(),
    }
    .into())
}

fn delegation(one: &Delegation) -> Value {
    json!({
        "id": one.id, "agent_id": one.agent, "subject_entity_id": one.subject,
        "text": one.text, "expires_at": one.expires_at,
    })
}

/// The active ones among the first of somebody's delegations.
async fn active(cx: &Cx, whose: Whose<'_>) -> Result<Vec<DelegationId>> {
    let mut active = Vec::new();
    let mut after = None;
    for _ in 0..PAGES {
        let ids = cx
            .grants
            .delegations
            .ids(whose, after.as_ref(), PAGE)
            .await?;
        after = ids.last().cloned();
        for id in ids {
            let found = cx.grants.delegations.get(&id).await?;
            if found.is_some_and(|one| one.is_alive(cx.now)) {
                active.push(id);
            }
            if active.len() >= MOST_SHOWN {
                return Ok(active);
            }
        }
        if after.is_none() {
            break;
        }
    }
    Ok(active)
}
