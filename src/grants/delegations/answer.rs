//! What becomes of a request: a human's yes or no, and the end of what was
//! granted.

use std::sync::Arc;

use crate::facts::identity::upkeep;
use crate::facts::identity::{admit, caller};
use crate::grants::Cx;
use crate::grants::consents::seen::{self, Seen};
use crate::grants::consents::{binding, receipt, words};
use crate::grants::delegations::input::{Given, Terms};
use crate::grants::delegations::store::Whose;
use crate::grants::delegations::view;
use crate::host::framework::error::{Error, Result};
use crate::model::agent::Agent;
use crate::model::consent::{ConsentStatus, ConsentTo, HumanConsent};
use crate::model::delegation::{Answer, Delegation, DelegationStatus, Delegator};
use crate::model::ids::{AgentId, ConsentId, DelegationId, EntityId};
use crate::model::text::Description;

/// The most delegations that one agent may have of one subject at a time, those
/// that ended in the last day counted: as many are looked at to find one that
/// covers a request.
pub const MOST_BETWEEN_TWO: u32 = 256;

/// What was agreed to.
#[derive(Debug)]
pub struct Granted {
    /// The delegation, now active.
    pub delegation: Arc<Delegation>,
    /// The signed receipt.
    pub receipt: String,
}

/// What an answer is to.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// A request that names its subject.
    Bound,
    /// A request that names nobody, by the hash of its code.
    Code(&'a str),
}

/// What a human says to a request.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The word that the question ends with.
    pub seen: String,
    /// A word to the agent.
    pub reason: Description,
}

/// The same for what is not there and for what is somebody else's.
#[must_use]
pub fn unknown(id: &DelegationId) -> Error {
    Error::NotFound(format!("there is no delegation {id} that concerns you"))
}

/// The same for codes that are wrong, used, or expired.
#[must_use]
pub fn unknown_code() -> Error {
    Error::NotFound(
        "no request waits under this code: it is mistyped, was answered, or has expired".to_owned(),
    )
}

/// What a caller is to a delegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The human whose authority it passes on.
    Subject,
    /// The agent that received it.
    Holder,
    /// The agent that passed it on.
    Delegator,
}

/// What the caller is to a delegation; `None` if it does not concern the
/// caller.
///
/// # Errors
/// If storage fails.
pub async fn role(cx: &Cx, delegation: &Delegation) -> Result<Option<Role>> {
    let Some(entity) = &cx.caller.entity_id else {
        return Ok(None);
    };
    if delegation.subject.as_ref() == Some(entity) {
        return Ok(Some(Role::Subject));
    }
    let Some(agent) = cx.facts.agents.by_entity(entity).await? else {
        return Ok(None);
    };
    let by = match &delegation.delegator {
        Delegator::Subject => None,
        Delegator::Agent { id, .. } => Some(id),
    };
    Ok(if agent.id == delegation.agent {
        Some(Role::Holder)
    } else {
        (by == Some(&agent.id)).then_some(Role::Delegator)
    })
}

/// A human approves a request, or less of it.
///
/// # Errors
/// What is wider than what was asked for; [`Error::Conflict`] if it can no
/// longer be approved; [`Error::NotFound`] if it is not the caller's to answer.
pub async fn approve(
    cx: &Cx,
    id: &DelegationId,
    which: Which<'_>,
    human: &EntityId,
    given: Given,
    said: Said,
) -> Result<Granted> {
    let Said { seen, reason } = said;
    seen::given(&seen)?;
    let _held = cx.grants.delegations.hold(&[id.as_str()]).await;
    let present = answerable(cx, id, which, human).await?;
    let terms = Terms::of(&present);
    if present.status != DelegationStatus::Pending {
        let same = terms.narrowed(given).is_ok_and(|given| given == terms);
        return again(cx, present, same).await;
    }
    if present.is_expired(cx.now) {
        return Err(Error::Conflict(
            "the request has lapsed: nobody answered it in time; the agent can ask again"
                .to_owned(),
        ));
    }
    let asked = view::question(cx, &present).await?;
    Seen::of_delegation(cx, &present, &asked, human)
        .await?
        .check(&seen)?;
    let terms_now = terms.narrowed(given)?;
    let agent = receiver(cx, &present).await?;
    let _counted = cx.grants.delegations.hold_parties(&[human.as_str()]).await;
    room_but(cx, human, &agent.id, Some(id)).await?;

    let until = cx.now.plus(terms_now.ttl);
    let agreed = words::granted(&agent, &terms_now.wanted(), until);
    let text = format!("{asked} Agreed: {agreed}");
    let mut next = (*present).clone();
    next.subject = Some(human.clone());
    next.code = None;
    next.scope = terms_now.scope.clone();
    next.ttl = terms_now.ttl;
    next.max_ttl = terms_now.max_ttl;
    next.max_uses = terms_now.max_uses;
    next.text = agreed;
    agree(cx, Some(&present), next, &agent, human, text, reason).await
}

/// The same answer again, as after an answer that got lost.
async fn again(cx: &Cx, present: Arc<Delegation>, same: bool) -> Result<Granted> {
    let consent = match (&present.consent, present.status) {
        (Some(consent), DelegationStatus::Active) if same => {
            cx.grants.consents.get(consent).await?
        }
        (Some(_) | None, _) => None,
    };
    match consent {
        Some(consent) => Ok(Granted {
            receipt: consent.receipt.clone(),
            delegation: present,
        }),
        None => Err(answered(&present)),
    }
}

/// A human grants what nobody asked for.
///
/// # Errors
/// [`Error::Limited`] if the agent has too many of this human already.
pub async fn grant(cx: &Cx, human: &EntityId, agent: &Agent, terms: Terms) -> Result<Granted> {
    let _counted = cx.grants.delegations.hold_parties(&[human.as_str()]).await;
    check_room(cx, human, &agent.id).await?;
    let until = cx.now.plus(terms.ttl);
    let text = words::granted(agent, &terms.wanted(), until);
    let new = Delegation {
        subject: Some(human.clone()),
        ..terms.asked(cx, agent, text.clone())?
    };
    agree(cx, None, new, agent, human, text, Description::default()).await
}

/// Makes a delegation active, with the record and the receipt of the yes.
async fn agree(
    cx: &Cx,
    present: Option<&Delegation>,
    mut next: Delegation,
    agent: &Agent,
    human: &EntityId,
    text: String,
    reason: Description,
) -> Result<Granted> {
    let answer = Answer {
        at: cx.now,
        by: human.to_string(),
        reason,
    };
    next.status = DelegationStatus::Active;
    next.expires_at = cx.now.plus(next.ttl);
    let mut consent = HumanConsent {
        id: ConsentId::mint(cx.now, cx.random()?),
        subject: human.clone(),
        agent: agent.id.clone(),
        agent_name: agent.name.clone(),
        delegation: next.id.clone(),
        to: ConsentTo::Delegation,
        status: ConsentStatus::Approved,
        created_at: next.created_at,
        expires_at: next.expires_at,
        text,
        answer: Some(answer.clone()),
        used_at: None,
        receipt: String::new(),
    };
    let agreed = receipt::Agreed {
        scope: &next.scope,
        purpose: next.purpose.as_str(),
        max_ttl: next.max_ttl,
        max_uses: next.max_uses,
        until: next.expires_at,
    };
    consent.receipt = receipt::sign(cx, &consent, agent, &agreed).await?;
    next.consent = Some(consent.id.clone());
    next.answer = Some(answer);
    let with = cx.grants.consents.filing(&consent)?;
    let delegation = match present {
        Some(present) => cx.grants.delegations.change(present, next, with).await?,
        None => cx.grants.delegations.file(next, with).await?,
    };
    Ok(Granted {
        delegation,
        receipt: consent.receipt,
    })
}

/// A human refuses a request.
///
/// # Errors
/// [`Error::Conflict`] if it was answered otherwise; [`Error::NotFound`] if it
/// is not the caller's to answer.
pub async fn deny(
    cx: &Cx,
    id: &DelegationId,
    which: Which<'_>,
    human: &EntityId,
    reason: Description,
) -> Result<Arc<Delegation>> {
    let _held = cx.grants.delegations.hold(&[id.as_str()]).await;
    let present = answerable(cx, id, which, human).await?;
    match present.status {
        DelegationStatus::Pending => {}
        DelegationStatus::Denied => return Ok(present),
        DelegationStatus::Active | DelegationStatus::Revoked => return Err(answered(&present)),
    }
    let cool_down = cx.config().await?.consent_cooldown;
    let refusal = binding::of_refused_delegation(&present.agent, human);
    let with = if cool_down.is_zero() {
        Vec::new()
    } else {
        vec![
            cx.grants
                .consents
                .refusing(&refusal, cx.now.plus(cool_down))?,
        ]
    };
    let mut next = (*present).clone();
    next.status = DelegationStatus::Denied;
    // Whom it was about, so that the refusal can be undone and seen.
    next.subject = Some(human.clone());
    next.code = None;
    next.answer = Some(Answer {
        at: cx.now,
        by: human.to_string(),
        reason,
    });
    let denied = cx.grants.delegations.change(&present, next, with).await;
    cx.grants.consents.forget_refusal(&refusal);
    denied
}

/// Ends a delegation, or withdraws a request. What hangs below it ends with it:
/// a chain is judged whole, at each decision.
///
/// # Errors
/// [`Error::NotFound`], or if storage fails.
pub async fn revoke(
    cx: &Cx,
    id: &DelegationId,
    by_operator: bool,
    reason: Description,
) -> Result<Arc<Delegation>> {
    let _held = cx.grants.delegations.hold(&[id.as_str()]).await;
    let Some(present) = cx.grants.delegations.get(id).await? else {
        return Err(unknown(id));
    };
    if !by_operator {
        check_taking_back(cx, &present).await?;
    }
    match present.status {
        DelegationStatus::Denied | DelegationStatus::Revoked => return Ok(present),
        DelegationStatus::Pending | DelegationStatus::Active => {}
    }
    let mut next = (*present).clone();
    next.status = DelegationStatus::Revoked;
    next.code = None;
    next.answer = Some(Answer {
        at: cx.now,
        by: cx.caller.label(),
        reason,
    });
    cx.grants
        .delegations
        .change(&present, next, Vec::new())
        .await
}

/// A subject takes back what is in its own name, whoever it has become. An agent
/// does only what an agent may that can act.
async fn check_taking_back(cx: &Cx, delegation: &Delegation) -> Result<()> {
    match role(cx, delegation).await? {
        Some(Role::Subject) => Ok(()),
        Some(Role::Holder | Role::Delegator) => {
            let caller = caller::of(cx).await?;
            let agent = caller.agent.as_ref();
            let reason = agent.and_then(|agent| admit::inability(agent, caller.presence, cx));
            match reason {
                Some(reason) => Err(Error::Denied(format!(
                    "refused ({}): {reason}",
                    reason.as_str()
                ))),
                None => Ok(()),
            }
        }
        None => Err(unknown(&delegation.id)),
    }
}

/// The request, if the human may answer it, or has.
async fn answerable(
    cx: &Cx,
    id: &DelegationId,
    which: Which<'_>,
    human: &EntityId,
) -> Result<Arc<Delegation>> {
    let found = cx.grants.delegations.get(id).await?;
    match which {
        Which::Bound => found
            .filter(|one| one.subject.as_ref() == Some(human) && one.parent().is_none())
            .ok_or_else(|| unknown(id)),
        Which::Code(hash) => found
            .filter(|one| one.code.as_deref() == Some(hash) && one.is_waiting(cx.now))
            .ok_or_else(unknown_code),
    }
}

fn answered(delegation: &Delegation) -> Error {
    Error::Conflict(format!(
        "the request was answered already: it is {}",
        delegation.status.as_str()
    ))
}

/// The agent that a request is by, if it may receive anything now.
async fn receiver(cx: &Cx, delegation: &Delegation) -> Result<Arc<Agent>> {
    let gone = |problem: &str| Error::Conflict(format!("this cannot be approved: {problem}"));
    let Some(agent) = cx.facts.agents.get(&delegation.agent).await? else {
        return Err(gone("the agent is not registered any more"));
    };
    if agent.epoch != delegation.agent_epoch {
        return Err(gone("the agent was revoked since it asked"));
    }
    match upkeep::unable(&agent, cx) {
        Some(problem) => Err(gone(&problem)),
        None => Ok(agent),
    }
}

/// Whether there may be one more between a subject and an agent.
///
/// # Errors
/// [`Error::Limited`] if not.
pub async fn check_room(cx: &Cx, subject: &EntityId, agent: &AgentId) -> Result<()> {
    room_but(cx, subject, agent, None).await
}

/// The same, where one of those that are there is about to take the room.
async fn room_but(
    cx: &Cx,
    subject: &EntityId,
    agent: &AgentId,
    own: Option<&DelegationId>,
) -> Result<()> {
    let pair = Whose::Pair(subject, agent);
    let most = MOST_BETWEEN_TWO.saturating_add(1);
    let there = cx.grants.delegations.ids(pair, None, most).await?;
    let others = there.iter().filter(|id| Some(*id) != own).count();
    if others >= usize::try_from(MOST_BETWEEN_TWO).unwrap_or(usize::MAX) {
        return Err(Error::Limited(format!(
            "this agent has {MOST_BETWEEN_TWO} delegations of this subject already; revoke some, and wait a day until they are removed"
        )));
    }
    Ok(())
}
