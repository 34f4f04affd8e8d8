//! `agents/:name/forget-alias`: an account that was an agent's by mistake.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::Cx;
use crate::facts::agents::api::AgentView;
use crate::facts::identity::presence;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result, needed};
use crate::host::framework::response::Reply;
use crate::model::identity::AliasKey;
use crate::model::ids::AgentName;
use crate::model::text::{Description, Label};
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::log;

/// Forget that an agent was seen with an account.
///
/// For an account that was joined to the agent's entity by mistake, and was taken
/// away from it again: whoever logs in by it is not the agent then, and may
/// govern and consent. Recorded.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ForgetAlias {
    /// Name of the agent.
    name: AgentName,
    /// The account, as `accessor/name`, as the agent's `aliases` show it.
    alias: Label,
    /// Why. Needed: it gives authority back.
    reason: Description,
}

impl Endpoint<Cx> for ForgetAlias {
    const PLACE: Place = Place {
        path: "agents/{name}/forget-alias",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        let reason = needed(&self.reason)?.to_owned();
        let Some((accessor, name)) = self.alias.as_str().split_once('/') else {
            return Err(Error::field(
                "alias",
                "must be `accessor/name`, as the agent's `aliases` show it",
            ));
        };
        let alias = AliasKey::new(accessor, name);
        let Some(agent) = cx.facts.agents.by_name(&self.name).await? else {
            return Err(Error::NotFound(format!(
                "there is no agent `{}`",
                self.name
            )));
        };
        let entity = cx.host.system.entity(&agent.entity_id).await?;
        let has = entity.is_some_and(|entity| {
            entity.id == agent.entity_id.as_str() && presence::keys(&entity).contains(&alias)
        });
        if has {
            return Err(Error::Conflict(
                "the agent's entity has this account still: take it away there first".to_owned(),
            ));
        }
        let changed = cx
            .facts
            .agents
            .forget_alias(&agent.id, &alias, cx.now)
            .await?;
        let entry = Entry {
            purpose: reason,
            resource: format!("{}/{}", alias.accessor, alias.name),
            ..log::about(cx, Kind::AgentForget, &changed)
        };
        log::record(cx, entry);
        Ok(AgentView::known(cx, &changed).await.into())
    }
}
