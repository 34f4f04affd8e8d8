//! `self`: who the caller is to this mount.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agents::api::AgentView;
use crate::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::framework::error::{Error, Result};
use crate::framework::response::Reply;
use crate::model::ids::PolicyName;
use crate::state::{Cx, State};

/// The caller, as this mount knows it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SelfView {
    /// `agent`, or `human` for any other entity.
    kind: &'static str,
    entity_id: String,
    /// The caller's registration, if it is an agent.
    agent: Map<String, Value>,
    /// The policies that bound it, `default-ceiling` included.
    effective_ceiling: Vec<PolicyName>,
}

/// Read who you are to this mount: your registration and your ceiling.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadSelf {}

impl Endpoint<State> for ReadSelf {
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
        let agent = cx.agents.by_entity(entity).await?;
        let effective_ceiling = match &agent {
            Some(agent) => cx.policies.ceiling_names(agent).await?,
            None => Vec::new(),
        };
        let view = match &agent {
            Some(agent) => serde_json::to_value(AgentView::of(agent, cx.now)),
            None => Ok(Value::Null),
        };
        let view = view.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(SelfView {
            kind: if agent.is_some() { "agent" } else { "human" },
            entity_id: entity.to_string(),
            agent: match view {
                Value::Object(map) => map,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => Map::new(),
            },
            effective_ceiling,
        }
        .into())
    }
}
