//! The chain of delegations that a request rests on, with the agents along it.

use std::sync::Arc;

use crate::engine::facts::{Actor, Hop};
use crate::facts::identity::{presence, upkeep};
use crate::facts::policies::store::Library;
use crate::grants::Cx;
use crate::grants::delegations::answer::MOST_BETWEEN_TWO;
use crate::grants::delegations::store::Whose;
use crate::host::framework::error::Result;
use crate::model::agent::Agent;
use crate::model::decision::AccessRequest;
use crate::model::delegation::Delegation;
use crate::model::ids::EntityId;

/// The links from the subject's own to the agent's: of the delegation that the
/// request names, or of one that covers it. Empty if there is none that the
/// agent received: one of another agent is as good as none.
///
/// # Errors
/// If storage or host cannot say.
pub async fn of_request(
    cx: &Cx,
    request: &AccessRequest,
    actor: Option<&Actor>,
    library: &Library,
) -> Result<Vec<Hop>> {
    let Some(actor) = actor else {
        return Ok(Vec::new());
    };
    let found = match (&request.delegation, &request.subject) {
        (Some(id), _) => cx.grants.delegations.get(id).await?,
        (None, Some(subject)) => covering(cx, request, subject, &actor.agent, library).await?,
        (None, None) => None,
    };
    let Some(last) = found.filter(|last| last.agent == actor.agent.id) else {
        return Ok(Vec::new());
    };
    let mut hops = Vec::new();
    for delegation in cx.grants.delegations.chain(&last.id).await? {
        let agent = if delegation.agent == actor.agent.id {
            Some(actor.clone())
        } else {
            relay(cx, &delegation, library).await?
        };
        hops.push(Hop { delegation, agent });
    }
    Ok(hops)
}

/// The agent at a link that is not the last; `None` if it is not registered
/// any more.
async fn relay(cx: &Cx, delegation: &Delegation, library: &Library) -> Result<Option<Actor>> {
    let Some(agent) = cx.facts.agents.get(&delegation.agent).await? else {
        return Ok(None);
    };
    let identity = cx.identity().await?;
    Ok(Some(Actor {
        ceiling: library.ceiling(&agent),
        presence: presence::of_agent(cx, &agent).await?,
        owner_gone: upkeep::owner_gone(cx, identity, &agent).await?,
        agent,
    }))
}

/// Of the delegations that an agent has of a subject, the one that covers a
/// request and lasts longest; of equals, that with the least id. One whose
/// chain does not hold comes after all others: it is there to say why.
async fn covering(
    cx: &Cx,
    request: &AccessRequest,
    subject: &EntityId,
    agent: &Agent,
    library: &Library,
) -> Result<Option<Arc<Delegation>>> {
    let whose = Whose::Pair(subject, &agent.id);
    let mut fitting: Vec<Arc<Delegation>> = Vec::new();
    for id in cx
        .grants
        .delegations
        .ids(whose, None, MOST_BETWEEN_TWO)
        .await?
    {
        let Some(one) = cx.grants.delegations.get(&id).await? else {
            continue;
        };
        let fits = one.is_alive(cx.now)
            && one.agent_epoch == agent.epoch
            && one.subject.as_ref() == Some(subject)
            && one
                .scope
                .covers_request(&request.target, &request.action, &request.resource);
        if fits {
            fitting.push(one);
        }
    }
    // Ids come in order, and the sort leaves equals in theirs.
    fitting.sort_by_key(|one| std::cmp::Reverse(one.expires_at));
    for one in &fitting {
        if holds(cx, one, library).await? {
            return Ok(Some(Arc::clone(one)));
        }
    }
    Ok(fitting.into_iter().next())
}

/// Whether the links above a delegation hold, with the agents that passed it
/// on.
async fn holds(cx: &Cx, last: &Delegation, library: &Library) -> Result<bool> {
    let chain = cx.grants.delegations.chain(&last.id).await?;
    let Some((_, above)) = chain.split_last() else {
        return Ok(false);
    };
    if chain.first().is_none_or(|root| root.parent().is_some()) {
        return Ok(false);
    }
    for link in above {
        if !link.is_alive(cx.now) {
            return Ok(false);
        }
        let able = relay(cx, link, library).await?.is_some_and(|actor| {
            actor.presence.is_present()
                && actor.agent.epoch == link.agent_epoch
                && upkeep::unable(&actor.agent, cx).is_none()
        });
        if !able {
            return Ok(false);
        }
    }
    Ok(true)
}
