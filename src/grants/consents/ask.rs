//! A request that a human must agree to: the question, asked once however
//! often the agent asks, and not without end.

use std::sync::Arc;

use crate::engine::{Decision, Facts};
use crate::grants::Cx;
use crate::grants::consents::{binding, words};
use crate::host::framework::error::{Error, Result};
use crate::model::consent::{AskedFor, ConsentStatus, ConsentTo, HumanConsent};
use crate::model::decision::{AccessRequest, Reason};
use crate::model::ids::ConsentId;

/// How often an agent that waits should ask, in seconds.
pub const INTERVAL: u64 = 5;
/// The most questions that wait for one subject.
const MOST_OF_SUBJECT: usize = 16;
/// How many of them may be one agent's, so that it cannot keep others from
/// asking.
const MOST_BETWEEN: usize = 4;

/// What became of asking.
#[derive(Debug)]
pub enum Asked {
    /// The question that waits for its answer, or was answered with yes and
    /// waits for its use.
    Waits(Arc<HumanConsent>),
    /// It may not be asked, and the request is denied for it.
    Refused(Reason),
}

/// Finds or makes the question for a request of which the decision is that it
/// needs one.
///
/// # Errors
/// [`Error::Limited`] if too many questions wait for the subject;
/// [`Error::Host`] if storage fails.
pub async fn ask(
    cx: &Cx,
    request: &AccessRequest,
    facts: &Facts,
    decision: &Decision,
) -> Result<Asked> {
    if decision.reason() == Some(Reason::ConsentPending)
        && let Some(id) = &request.consent
        && let Some(pending) = cx.grants.consents.get(id).await?
    {
        return Ok(Asked::Waits(pending));
    }
    let (Some(actor), Some(target), Some(subject), Some(hop)) = (
        &facts.agent,
        &facts.target,
        &facts.subject,
        facts.chain.last(),
    ) else {
        return Ok(Asked::Refused(Reason::ConsentNoSubject));
    };
    let agent = &actor.agent;
    let delegation = &hop.delegation.id;
    let binding = binding::of_request(agent, target, &subject.id, delegation, request);

    let _counted = cx.grants.consents.hold_subject(&subject.id).await;
    if let Some(known) = cx.grants.consents.for_request(&binding).await?
        && !known.is_expired(cx.now)
        && matches!(
            known.status,
            ConsentStatus::Pending | ConsentStatus::Approved
        )
    {
        return Ok(Asked::Waits(known));
    }
    let refusal = binding::of_refusal(
        &agent.id,
        &subject.id,
        request.target.as_str(),
        request.action.as_str(),
    );
    if cx
        .grants
        .consents
        .refused_until(&refusal, cx.now)
        .await?
        .is_some()
    {
        return Ok(Asked::Refused(Reason::ConsentCoolingDown));
    }
    let waiting = cx.grants.consents.waiting_for(&subject.id, cx.now).await?;
    let ours = waiting.iter().filter(|one| one.agent == agent.id).count();
    if ours >= MOST_BETWEEN || waiting.len() >= MOST_OF_SUBJECT {
        return Err(Error::Limited(
            "too many requests wait for this human's consent; ask again when some are answered"
                .to_owned(),
        ));
    }
    let lapses = cx.now.plus(cx.config().await?.consent_timeout);
    let consent = HumanConsent {
        id: ConsentId::mint(cx.now, cx.random()?),
        subject: subject.id.clone(),
        agent: agent.id.clone(),
        agent_name: agent.name.clone(),
        delegation: delegation.clone(),
        to: ConsentTo::Request(Box::new(AskedFor {
            binding,
            target: request.target.clone(),
            action: request.action.clone(),
            resource: request.resource.clone(),
            reason: request.reason.clone(),
            ttl: Some(decision.limits.ttl),
            max_uses: decision.limits.max_uses,
            agent_epoch: Some(agent.epoch),
        })),
        status: ConsentStatus::Pending,
        created_at: cx.now,
        expires_at: lapses,
        text: words::single(agent, target, request, &decision.limits, lapses),
        answer: None,
        used_at: None,
        receipt: String::new(),
    };
    cx.grants.consents.ask(consent).await.map(Asked::Waits)
}
