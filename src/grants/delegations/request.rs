//! What agents ask for: bounded, so that they cannot tire a human.

use std::sync::Arc;

use crate::facts::identity::human::{self, NotHuman};
use crate::grants::Cx;
use crate::grants::consents::{binding, words};
use crate::grants::delegations::answer::check_room;
use crate::grants::delegations::code;
use crate::grants::delegations::input::Terms;
use crate::host::framework::error::{Error, Result};
use crate::model::agent::Agent;
use crate::model::delegation::Delegation;
use crate::model::ids::EntityId;
use crate::model::secret::Secret;
use crate::model::time::Ttl;

/// How long a request waits for the human whom it names.
const LIFE: Ttl = Ttl::from_secs(24 * 3600);
/// The most requests of one agent that wait at a time.
const MOST_OF_AGENT: usize = 64;
/// The most of them that are kept, those that lapsed or were withdrawn in the
/// last ten minutes counted.
const MOST_KEPT: u32 = 256;
/// The most requests that wait for one subject.
const MOST_OF_SUBJECT: usize = 32;
/// The most requests of one agent that wait for one subject.
const MOST_BETWEEN: usize = 8;

/// Asks a human who is named.
///
/// # Errors
/// If the human does not exist, refused lately, or is asked too much.
pub async fn of(
    cx: &Cx,
    agent: &Agent,
    terms: Terms,
    subject: EntityId,
) -> Result<Arc<Delegation>> {
    check_subject(cx, &subject).await?;
    let parties = [agent.id.as_str(), subject.as_str()];
    let _counted = cx.grants.delegations.hold_parties(&parties).await;
    let waiting = cx.grants.delegations.waiting_for(&subject, cx.now).await?;
    let ours = || waiting.iter().filter(|one| one.agent == agent.id);
    let same = ours().find(|one| Terms::of(one) == terms && one.agent_epoch == agent.epoch);
    if let Some(same) = same {
        return Ok(Arc::clone(same));
    }
    let refusal = binding::of_refused_delegation(&agent.id, &subject);
    if let Some(until) = cx.grants.consents.refused_until(&refusal, cx.now).await? {
        return Err(Error::Limited(format!(
            "this human has just refused you; ask again after {until}"
        )));
    }
    if ours().count() >= MOST_BETWEEN || waiting.len() >= MOST_OF_SUBJECT {
        return Err(Error::Limited(
            "too many requests wait for this human; wait for an answer, or withdraw one".to_owned(),
        ));
    }
    check_agent(cx, agent).await?;
    check_room(cx, &subject, &agent.id).await?;
    let text = words::requested(agent, &terms.wanted());
    let new = Delegation {
        subject: Some(subject),
        expires_at: cx.now.plus(LIFE),
        ..terms.asked(cx, agent, text)?
    };
    cx.grants.delegations.file(new, Vec::new()).await
}

/// Asks whoever has the code, which is returned.
///
/// # Errors
/// If too many requests of the agent wait.
pub async fn of_anybody(
    cx: &Cx,
    agent: &Agent,
    terms: Terms,
) -> Result<(Arc<Delegation>, Secret<String>)> {
    let _counted = cx
        .grants
        .delegations
        .hold_parties(&[agent.id.as_str()])
        .await;
    check_agent(cx, agent).await?;
    let code = code::make(cx)?;
    if cx.grants.delegations.by_code(&code.hash).await?.is_some() {
        return Err(Error::Conflict(
            "the code that was drawn is in use; ask again".to_owned(),
        ));
    }
    let text = words::requested(agent, &terms.wanted());
    let new = Delegation {
        code: Some(code.hash),
        expires_at: cx.now.plus(code::LIFE),
        ..terms.asked(cx, agent, text)?
    };
    let filed = cx.grants.delegations.file(new, Vec::new()).await?;
    Ok((filed, code.shown))
}

async fn check_agent(cx: &Cx, agent: &Agent) -> Result<()> {
    let asked = cx.grants.delegations.asked_by(&agent.id, cx.now).await?;
    if asked.len() >= MOST_OF_AGENT {
        return Err(Error::Limited(format!(
            "{MOST_OF_AGENT} of your requests wait already; wait for an answer, or withdraw one"
        )));
    }
    let kept = cx.grants.delegations.kept_of(&agent.id, MOST_KEPT).await?;
    if kept >= usize::try_from(MOST_KEPT).unwrap_or(usize::MAX) {
        return Err(Error::Limited(format!(
            "you have made and withdrawn {MOST_KEPT} requests lately; ask again in ten minutes"
        )));
    }
    Ok(())
}

/// A subject is a human whom the host knows.
async fn check_subject(cx: &Cx, subject: &EntityId) -> Result<()> {
    match human::why_not(cx, subject).await? {
        None => Ok(()),
        // An agent learns nothing more of who is who.
        Some(NotHuman::Agent(_) | NotHuman::FormerAgent(_) | NotHuman::Login) => Err(Error::field(
            "subject_entity_id",
            "is an agent, and only a human can be a subject",
        )),
        Some(_) => Err(Error::field(
            "subject_entity_id",
            "names no identity entity of a human who could answer; leave it out to get a code that any human can enter",
        )),
    }
}
