//! What became of the consent that a request presents.

use crate::engine::facts::{Actor, ConsentFacts, ConsentState, Hop};
use crate::grants::Cx;
use crate::grants::consents::binding;
use crate::host::framework::error::Result;
use crate::model::consent::ConsentStatus;
use crate::model::decision::AccessRequest;
use crate::model::target::Target;

/// The facts of the consent that a request presents. None of another agent's,
/// or to a delegation: those are as good as unknown.
///
/// # Errors
/// If storage fails.
pub async fn of_request(
    cx: &Cx,
    request: &AccessRequest,
    actor: Option<&Actor>,
    target: Option<&Target>,
    chain: &[Hop],
) -> Result<Option<ConsentFacts>> {
    let (Some(id), Some(actor)) = (&request.consent, actor) else {
        return Ok(None);
    };
    let Some(consent) = cx.grants.consents.get(id).await? else {
        return Ok(None);
    };
    let Some(asked) = consent
        .request()
        .filter(|_| consent.agent == actor.agent.id)
    else {
        return Ok(None);
    };
    let matches_request = chain.last().zip(target).is_some_and(|(hop, target)| {
        let (agent, delegation) = (&actor.agent, &hop.delegation.id);
        binding::of_request(agent, target, &consent.subject, delegation, request) == asked.binding
    });
    Ok(Some(ConsentFacts {
        id: consent.id.clone(),
        subject: consent.subject.clone(),
        matches_request,
        state: match consent.status {
            ConsentStatus::Pending => ConsentState::Pending,
            ConsentStatus::Approved => ConsentState::Approved,
            ConsentStatus::Denied => ConsentState::Denied,
            ConsentStatus::Used => ConsentState::Used,
        },
        expires_at: consent.expires_at,
        ttl: asked.ttl,
        max_uses: asked.max_uses,
    }))
}
