//! An agent passes a part of what it holds to another agent.

use std::sync::Arc;

use crate::facts::identity::upkeep;
use crate::grants::Cx;
use crate::grants::consents::words;
use crate::grants::delegations::answer::{check_room, unknown};
use crate::grants::delegations::input::{self, Given, least};
use crate::grants::delegations::view;
use crate::host::framework::error::{Error, Result};
use crate::model::agent::{Agent, MAX_DELEGATION_DEPTH};
use crate::model::delegation::{Delegation, DelegationStatus, Delegator};
use crate::model::ids::{AgentName, DelegationId};
use crate::model::time::Ttl;

/// The most delegations that may be passed on from one, those that ended in the
/// last day counted.
pub const MAX_CHILDREN: u32 = 32;

/// What was passed on, and what was cut.
#[derive(Debug)]
pub struct Passed {
    /// The new delegation.
    pub delegation: Arc<Delegation>,
    /// What the agent asked more of than there was.
    pub cut: Vec<String>,
}

/// Passes on a part of the delegation `id`, which the calling agent holds.
///
/// # Errors
/// What is wider than what it holds, or cannot be; [`Error::NotFound`] if it
/// does not hold it.
pub async fn pass(cx: &Cx, id: &DelegationId, name: &AgentName, given: Given) -> Result<Passed> {
    let holder = input::acting_agent(cx).await?;
    let chain = cx.grants.delegations.chain(id).await?;
    let Some(held) = chain.last().filter(|held| held.agent == holder.id) else {
        return Err(unknown(id));
    };
    let Some(subject) = held.subject.clone() else {
        return Err(Error::Conflict(
            "the request was not answered yet".to_owned(),
        ));
    };
    check_alive(cx, &chain).await?;
    let Some(receiver) = cx.facts.agents.by_name(name).await? else {
        return Err(Error::field(
            "agent",
            format_args!("there is no agent `{name}`"),
        ));
    };
    check_receiver(cx, &chain, &receiver).await?;
    let (new, cut) = part(cx, held, &holder, &receiver, given)?;

    let counted = [subject.as_str(), id.as_str()];
    let _counted = cx.grants.delegations.hold_parties(&counted).await;
    check_room(cx, &subject, &receiver.id).await?;
    let children = cx.grants.delegations.children(id, MAX_CHILDREN).await?;
    if children >= usize::try_from(MAX_CHILDREN).unwrap_or(usize::MAX) {
        return Err(Error::Limited(format!(
            "this delegation was passed on {MAX_CHILDREN} times already; revoke some, and wait a day until they are removed"
        )));
    }
    let delegation = cx.grants.delegations.file(new, Vec::new()).await?;
    Ok(Passed { delegation, cut })
}

/// Whether every link of a chain carries authority now, as far as the links
/// say. The decision looks closer, each time.
async fn check_alive(cx: &Cx, chain: &[Arc<Delegation>]) -> Result<()> {
    let broken = chain.first().is_none_or(|first| first.parent().is_some());
    if broken {
        return Err(Error::Conflict(
            "the chain of delegations does not hold together: ask for a new one".to_owned(),
        ));
    }
    for link in chain {
        let agent = cx.facts.agents.get(&link.agent).await?;
        let epoch = agent.map(|agent| agent.epoch);
        if !link.is_alive(cx.now) || epoch != Some(link.agent_epoch) {
            let standing = match epoch {
                Some(epoch) if epoch == link.agent_epoch => view::standing(link, cx.now),
                Some(_) | None => "void",
            };
            return Err(Error::Conflict(format!(
                "the delegation {} is {standing}, so nothing can be passed on from it",
                link.id
            )));
        }
    }
    Ok(())
}

async fn check_receiver(cx: &Cx, chain: &[Arc<Delegation>], receiver: &Agent) -> Result<()> {
    if let Some(problem) = upkeep::unable(receiver, cx) {
        return Err(Error::field("agent", problem));
    }
    if chain.iter().any(|link| link.agent == receiver.id) {
        return Err(Error::field(
            "agent",
            format_args!(
                "`{}` is in the chain already; authority is not passed in circles",
                receiver.name
            ),
        ));
    }
    let config = cx.config().await?;
    let most = receiver
        .max_delegation_depth
        .min(config.max_delegation_depth)
        .min(MAX_DELEGATION_DEPTH);
    if chain.len() >= usize::from(most) {
        return Err(Error::field(
            "agent",
            format_args!(
                "the chain would have {} links, and `{}` may stand at the end of {most} at most",
                chain.len().saturating_add(1),
                receiver.name
            ),
        ));
    }
    Ok(())
}

/// The new link: never more than the one it comes from.
fn part(
    cx: &Cx,
    held: &Delegation,
    holder: &Agent,
    receiver: &Agent,
    given: Given,
) -> Result<(Delegation, Vec<String>)> {
    let mut cut = Vec::new();
    let scope = match given.scope {
        Some(details) => {
            let scope = input::read_scope(details)?;
            input::check_covers(&held.scope, &scope, "what you hold")?;
            scope
        }
        None => held.scope.clone(),
    };
    let left = cx.now.until(held.expires_at);
    if given.ttl.is_some_and(Ttl::is_zero) {
        return Err(Error::field("ttl", "must be at least 1s"));
    }
    let ttl = given.ttl.unwrap_or(left).min(left);
    if given.ttl.is_some_and(|wanted| wanted > ttl) {
        cut.push(format!("`ttl` was cut to {ttl}, all that is left"));
    }
    // Never past the end of the one above, which may lie within a second.
    let expires_at = cx.now.plus(ttl).min(held.expires_at);
    let max_ttl = least(given.max_ttl.filter(|ttl| !ttl.is_zero()), held.max_ttl);
    if let (Some(wanted), Some(most)) = (given.max_ttl, max_ttl)
        && (wanted > most || wanted.is_zero())
    {
        cut.push(format!(
            "`max_ttl` was cut to {most}, that of what you hold"
        ));
    }
    let max_uses = least(given.max_uses.filter(|uses| *uses > 0), held.uses_left());
    if let (Some(wanted), Some(most)) = (given.max_uses, max_uses)
        && (wanted > most || wanted == 0)
    {
        cut.push(format!("`max_uses` was cut to {most}, all that is left"));
    }
    let terms = input::Terms {
        scope,
        purpose: given.purpose.unwrap_or_else(|| held.purpose.clone()),
        ttl,
        max_ttl,
        max_uses,
    };
    let text = words::granted(receiver, &terms.wanted(), expires_at);
    let new = Delegation {
        subject: held.subject.clone(),
        delegator: Delegator::Agent {
            id: holder.id.clone(),
            parent: held.id.clone(),
        },
        status: DelegationStatus::Active,
        expires_at,
        consent: held.consent.clone(),
        ..terms.asked(cx, receiver, text)?
    };
    Ok((new, cut))
}
