//! Who answers for an agent, and when somebody looked at it last.

use crate::framework::error::Result;
use crate::identity::presence;
use crate::identity::settings::IdentitySettings;
use crate::model::agent::Agent;
use crate::model::decision::Reason;
use crate::model::identity::Consequence;
use crate::state::Cx;

/// Whether whoever answers for an agent is disabled or gone; asked only where
/// something follows from it.
///
/// # Errors
/// If the host does not say.
pub async fn owner_gone(cx: &Cx, identity: &IdentitySettings, agent: &Agent) -> Result<bool> {
    match &agent.owner_entity_id {
        Some(owner) if identity.owner_gone != Consequence::Ignore => {
            let found = cx.system.entity(owner).await?;
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
    let identity = cx.identity.get().await?;
    let overdue = agent.review_by.is_some_and(|end| end <= cx.now);
    if identity.review_overdue == Consequence::Deny && overdue {
        return Ok(Some(Reason::AgentReviewOverdue));
    }
    let gone = identity.owner_gone == Consequence::Deny && owner_gone(cx, &identity, agent).await?;
    Ok(gone.then_some(Reason::AgentOwnerGone))
}
