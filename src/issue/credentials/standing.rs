//! Whether a credential still holds. One function decides it, for
//! introspection, redemption, renewal and status lists.

use std::sync::Arc;

use crate::facts::identity::human::{self, NotHuman};
use crate::facts::identity::presence;
use crate::host::framework::error::Result;
use crate::issue::Cx;
use crate::issue::credentials::store::Revoked;
use crate::model::agent::{Agent, Status};
use crate::model::credential::{Grounds, Standing};
use crate::model::delegation::{Delegation, DelegationStatus};
use crate::model::identity::Presence;
use crate::model::ids::EntityId;
use crate::model::time::Timestamp;

/// What is known of what a credential rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The agent by the credential's id of it, if it is still registered.
    pub agent: Option<Arc<Agent>>,
    /// The agent's entity.
    pub entity: Presence,
    /// How it stands for the subject, where the credential speaks of a human.
    pub subject: Option<Standing>,
    /// How it stands for the target that it is for.
    pub target: Standing,
    /// How the chain of delegations stands that it was issued under.
    pub delegated: Standing,
    /// Whether it was revoked itself.
    pub revoked: bool,
    /// When all that speak of its subject, or rest on one of its delegations,
    /// were revoked.
    pub marks: Vec<Timestamp>,
}

/// Decides how a credential stands at `now`. The worst of all that holds
/// against it counts.
#[must_use]
pub fn judge(grounds: &Grounds, facts: &Facts, now: Timestamp) -> Standing {
    let Some(agent) = &facts.agent else {
        return Standing::Void;
    };
    // Times of credentials are whole seconds: what was issued in the second of
    // a revocation may have been issued before it.
    let is_marked = |mark: &Timestamp| grounds.issued_at.unix() <= mark.unix();
    let void = facts.revoked
        || grounds.expires_at <= now
        || agent.id != grounds.agent
        || agent.epoch != grounds.epoch
        || agent.credentials_revoked_at.iter().any(is_marked)
        || facts.marks.iter().any(is_marked)
        || Standing::from(facts.entity) == Standing::Void
        || facts.subject == Some(Standing::Void)
        || facts.target == Standing::Void
        || facts.subject.is_some() != grounds.subject.is_some()
        // Nobody speaks for a human without one's leave.
        || grounds.subject.is_some() != grounds.delegation.is_some()
        || facts.delegated == Standing::Void;
    let paused = agent.status(now) != Status::Active
        || facts.delegated == Standing::Suspended
        || Standing::from(facts.entity) == Standing::Suspended
        || facts.subject == Some(Standing::Suspended)
        || facts.target == Standing::Suspended;
    match (void, paused) {
        (true, _) => Standing::Void,
        (false, true) => Standing::Suspended,
        (false, false) => Standing::Active,
    }
}

/// How one link of a credential's chain stands, with the agent that holds it.
/// That its uses are used up is no matter: they were uses of the delegation, and
/// this was one.
#[must_use]
pub fn judge_link(
    grounds: &Grounds,
    link: &Delegation,
    agent: Option<&Agent>,
    now: Timestamp,
) -> Standing {
    let Some(agent) = agent else {
        return Standing::Void;
    };
    let holds = link.status == DelegationStatus::Active
        && !link.is_expired(now)
        && link.subject == grounds.subject
        && link.agent == agent.id
        && link.agent_epoch == agent.epoch;
    match (holds, agent.status(now)) {
        (false, _) => Standing::Void,
        (true, Status::Active) => Standing::Active,
        (true, Status::Suspended | Status::Expired) => Standing::Suspended,
    }
}

/// How a credential stands now.
///
/// # Errors
/// If storage or the host cannot say. Then nobody knows, and nobody accepts it.
pub async fn of(cx: &Cx, grounds: &Grounds) -> Result<Standing> {
    let ((agent, entity), subject, target, (delegated, marks), one) = tokio::try_join!(
        agent(cx, grounds),
        subject(cx, grounds),
        target(cx, grounds),
        chain(cx, grounds),
        cx.issue.credentials.revocation(Revoked::One(&grounds.id)),
    )?;
    let facts = Facts {
        agent,
        entity,
        subject,
        target,
        delegated,
        revoked: one.is_some(),
        marks,
    };
    Ok(judge(grounds, &facts, cx.now))
}

/// Whether a credential may still be handed out, after the time it took to make
/// it: what was suspended or revoked meanwhile must not leave. Asks nobody but
/// caches, and them as late as possible: a suspension that has returned is in
/// them.
///
/// # Errors
/// If storage fails.
pub async fn is_unchanged(cx: &Cx, grounds: &Grounds) -> Result<bool> {
    let facts = Facts {
        agent: cx.facts.agents.get(&grounds.agent).await?,
        entity: Presence::Present,
        subject: grounds.subject.as_ref().map(|_| Standing::Active),
        target: target(cx, grounds).await?,
        delegated: delegated(cx, grounds, &links(cx, grounds).await?).await?,
        revoked: false,
        marks: Vec::new(),
    };
    Ok(judge(grounds, &facts, cx.now) == Standing::Active)
}

async fn agent(cx: &Cx, grounds: &Grounds) -> Result<(Option<Arc<Agent>>, Presence)> {
    match cx.facts.agents.get(&grounds.agent).await? {
        Some(agent) => {
            let entity = presence::of_agent(cx, &agent).await?;
            Ok((Some(agent), entity))
        }
        None => Ok((None, Presence::Gone)),
    }
}

async fn subject(cx: &Cx, grounds: &Grounds) -> Result<Option<Standing>> {
    match &grounds.subject {
        Some(id) => of_subject(cx, id).await.map(Some),
        None => Ok(None),
    }
}

/// How credentials stand for the human that they speak of. One who is no human
/// any more may become one again.
///
/// # Errors
/// If storage or the host cannot say.
pub async fn of_subject(cx: &Cx, id: &EntityId) -> Result<Standing> {
    Ok(match human::why_not(cx, id).await? {
        None => Standing::Active,
        Some(NotHuman::NotPresent(presence)) => presence.into(),
        Some(_) => Standing::Suspended,
    })
}

/// How a credential stands for its target. Asks nobody but caches. A target that
/// was defined anew is another.
///
/// # Errors
/// If storage fails.
pub async fn target(cx: &Cx, grounds: &Grounds) -> Result<Standing> {
    let Some(name) = &grounds.target else {
        return Ok(Standing::Active);
    };
    let issued = grounds.issued_at.unix();
    let holds = cx.facts.targets.get(name).await?.is_some_and(|target| {
        target.created_at.unix() <= issued
            && target
                .credentials_revoked_at
                .is_none_or(|at| issued > at.unix())
    });
    Ok(if holds {
        Standing::Active
    } else {
        Standing::Void
    })
}

/// The chain of delegations that a credential was issued under, the subject's
/// own first.
///
/// # Errors
/// If storage fails.
pub async fn links(cx: &Cx, grounds: &Grounds) -> Result<Vec<Arc<Delegation>>> {
    match &grounds.delegation {
        Some(id) => cx.grants.delegations.chain(id).await,
        None => Ok(Vec::new()),
    }
}

/// How a chain stands, as far as this mount knows: the worst of its links
/// counts. Asks nobody but caches.
///
/// # Errors
/// If storage fails.
pub async fn delegated(cx: &Cx, grounds: &Grounds, links: &[Arc<Delegation>]) -> Result<Standing> {
    let (Some(first), Some(last)) = (links.first(), links.last()) else {
        return Ok(if grounds.delegation.is_none() {
            Standing::Active
        } else {
            Standing::Void
        });
    };
    if first.parent().is_some() || last.agent != grounds.agent {
        return Ok(Standing::Void);
    }
    let mut worst = Standing::Active;
    for link in links {
        let agent = cx.facts.agents.get(&link.agent).await?;
        worst = worst.max(judge_link(grounds, link, agent.as_deref(), cx.now));
    }
    Ok(worst)
}

/// How a chain stands, with what the host knows of the agents along it, and
/// when what it rests on was revoked.
async fn chain(cx: &Cx, grounds: &Grounds) -> Result<(Standing, Vec<Timestamp>)> {
    let mut marks = Vec::new();
    if let Some(subject) = &grounds.subject {
        marks.extend(
            cx.issue
                .credentials
                .revocation(Revoked::Subject(subject))
                .await?,
        );
    }
    let links = links(cx, grounds).await?;
    let mut worst = delegated(cx, grounds, &links).await?;
    for link in &links {
        let what = Revoked::Delegation(&link.id);
        marks.extend(cx.issue.credentials.revocation(what).await?);
        if link.agent == grounds.agent {
            continue;
        }
        if let Some(agent) = cx.facts.agents.get(&link.agent).await? {
            worst = worst.max(presence::of_agent(cx, &agent).await?.into());
        }
    }
    Ok((worst, marks.into_iter().map(|mark| mark.at).collect()))
}
