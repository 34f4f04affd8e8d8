//! `oversight/delegations/…`: all delegations, for operators.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::events;
use crate::grants::Cx;
use crate::grants::delegations::answer::{self, unknown};
use crate::grants::delegations::list::Page;
use crate::grants::delegations::store::Whose;
use crate::grants::delegations::view::DelegationView;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result, needed};
use crate::host::framework::response::{Listing, Reply};
use crate::model::ids::{AgentName, DelegationId, EntityId};
use crate::model::text::Description;
use crate::record::decisions::entry::Kind;

/// List the delegations of everybody, of an agent, or of a subject.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OverseeDelegations {
    /// Name of an agent: only those that it received.
    agent: Option<AgentName>,
    /// Identity entity of a human: only those of its own.
    subject: Option<EntityId>,
    /// Only those that stand so: `pending`, `active`, `denied`, `revoked`,
    /// `expired` or `used_up`.
    #[serde(default)]
    status: String,
    /// Show ids after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many, up to 1000; 0 shows 100.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for OverseeDelegations {
    const PLACE: Place = Place {
        path: "oversight/delegations",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let page = Page::new(&self.status, &self.after, self.limit)?;
        let agent = match &self.agent {
            None => None,
            Some(name) => match cx.facts.agents.by_name(name).await? {
                Some(agent) => Some(agent.id.clone()),
                None => {
                    return Err(Error::field(
                        "agent",
                        format_args!("there is no agent `{name}`"),
                    ));
                }
            },
        };
        let whose = match (&agent, &self.subject) {
            (None, None) => Whose::All,
            (Some(agent), None) => Whose::Agent(agent),
            (None, Some(subject)) => Whose::Subject(subject),
            (Some(agent), Some(subject)) => Whose::Pair(subject, agent),
        };
        page.of(cx, whose).await
    }
}

/// Read any delegation.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OverseeDelegation {
    /// Id of the delegation.
    id: DelegationId,
}

impl Endpoint<Cx> for OverseeDelegation {
    const PLACE: Place = Place {
        path: "oversight/delegations/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = DelegationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DelegationView>> {
        match cx.grants.delegations.get(&self.id).await? {
            Some(delegation) => Ok(DelegationView::whole(cx, &delegation).await?.into()),
            None => Err(unknown(&self.id)),
        }
    }
}

/// End any delegation, with whatever was passed on from it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OverrideDelegation {
    /// Id of the delegation.
    id: DelegationId,
    /// Why. Needed.
    reason: Description,
}

impl Endpoint<Cx> for OverrideDelegation {
    const PLACE: Place = Place {
        path: "oversight/delegations/{id}/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = DelegationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DelegationView>> {
        needed(&self.reason)?;
        let revoked = answer::revoke(cx, &self.id, true, self.reason).await?;
        events::delegation(cx, Kind::DelegationRevoke, &revoked).await;
        Ok(DelegationView::whole(cx, &revoked).await?.into())
    }
}
