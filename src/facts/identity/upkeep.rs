//! Who answers for an agent, and when somebody looked at it last.

use crate::facts::Cx;
use crate::facts::identity::presence;
use crate::facts::identity::settings::IdentitySettings;
use crate::host::framework::error::Result;
use crate::model::agent::{Agent, Mode, Status};
use crate::model::decision::Reason;
use crate::model::identity::Consequence;

/// Whether whoever answers for an agent is disabled or gone; asked only where
/// something follows from it.
///
/// # Errors
/// If the host does not say.
pub async fn owner_gone(cx: &Cx, identity: &IdentitySettings, agent: &Agent) -> Result<bool> {
    match &agent.owner_entity_id {
        Some(owner) if identity.owner_gone != Consequence::Ignore => {
            let found = cx.host.system.entity(owner).await?;
            Ok(!presence::of(owner, found.as_ref()).is_present())
        }
        Some(_) | None => Ok(false),
    }
}

/// Whether an agent may do nothing until an operator has mended something: where
/// `config/identity` says `deny`.
///
/// # Errors
/// If storage or the host does not say.
pub async fn bars(cx: &Cx, agent: &Agent) -> Result<Option<Reason>> {
    let identity = cx.identity().await?;
    let overdue = agent.review_by.is_some_and(|end| end <= cx.now);
    if identity.review_overdue == Consequence::Deny && overdue {
        return Ok(Some(Reason::AgentReviewOverdue));
    }
    let gone = identity.owner_gone == Consequence::Deny && owner_gone(cx, identity, agent).await?;
    Ok(gone.then_some(Reason::AgentOwnerGone))
}

/// Why authority cannot be passed to an agent now.
#[must_use]
pub fn unable(agent: &Agent, cx: &Cx) -> Option<String> {
    let name = &agent.name;
    match agent.status(cx.now) {
        Status::Suspended => Some(format!("the agent `{name}` is suspended")),
        Status::Expired => Some(format!(
            "the registration of the agent `{name}` has expired"
        )),
        Status::Active if !agent.delegation_modes.contains(&Mode::OnBehalfOf) => Some(format!(
            "the agent `{name}` may not act for humans: its `delegation_modes` lack `on_behalf_of`"
        )),
        Status::Active => None,
    }
}
