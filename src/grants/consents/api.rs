//! `consents/…`: a human sees what it is asked, and answers.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::events;
use crate::facts::identity::human;
use crate::facts::identity::upkeep;
use crate::grants::Cx;
use crate::grants::consents::seen::{self, Seen};
use crate::grants::consents::{binding, receipt};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::consent::{AskedFor, ConsentStatus, HumanConsent};
use crate::model::delegation::Answer;
use crate::model::ids::{AgentId, AgentName, ConsentId, DelegationId, EntityId};
use crate::model::text::Description;
use crate::model::time::{OptionalTime, Timestamp};
use crate::record::decisions::entry::Kind;

/// A consent, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConsentView {
    id: ConsentId,
    /// `pending`, `approved`, `denied`, `used` or `expired`. A consent to a
    /// delegation stays `approved`; whether the delegation holds, it says
    /// itself.
    status: &'static str,
    /// `request`, or `delegation`.
    consent_to: &'static str,
    /// What the agent was called when it asked.
    agent: AgentName,
    agent_id: AgentId,
    subject_entity_id: EntityId,
    delegation_id: DelegationId,
    /// Target of the request; empty where the consent is to a delegation.
    target: String,
    /// What is to be done there.
    action: String,
    /// To what.
    resource: String,
    /// Why, as the agent says.
    reason: Description,
    /// What the subject is shown.
    text: String,
    /// The word that an approval has to bring back as `seen`; shown to whom the
    /// question is put, while it waits.
    seen: String,
    created_at: Timestamp,
    /// While it is pending, when it is denied for want of an answer; then,
    /// until when it can be used.
    expires_at: Timestamp,
    /// When it was answered; empty before.
    answered_at: OptionalTime,
    /// What the subject said to it.
    answer: Description,
    /// When it was used; empty before.
    used_at: OptionalTime,
    /// The signed receipt of a yes; empty before.
    receipt: String,
}

impl ConsentView {
    /// The view of a consent at `now`.
    #[must_use]
    pub fn of(consent: &HumanConsent, now: Timestamp) -> Self {
        let asked = consent.request().cloned();
        let answer = consent.answer.as_ref();
        let text = |part: fn(AskedFor) -> String| asked.clone().map(part).unwrap_or_default();
        Self {
            id: consent.id.clone(),
            status: standing(consent, now),
            consent_to: match &asked {
                Some(_) => "request",
                None => "delegation",
            },
            agent: consent.agent_name.clone(),
            agent_id: consent.agent.clone(),
            subject_entity_id: consent.subject.clone(),
            delegation_id: consent.delegation.clone(),
            target: text(|asked| asked.target.into()),
            action: text(|asked| asked.action.into()),
            resource: text(|asked| asked.resource.into()),
            reason: asked.clone().map(|asked| asked.reason).unwrap_or_default(),
            text: consent.text.clone(),
            seen: String::new(),
            created_at: consent.created_at,
            expires_at: consent.expires_at,
            answered_at: OptionalTime(answer.map(|answer| answer.at)),
            answer: answer
                .map(|answer| answer.reason.clone())
                .unwrap_or_default(),
            used_at: OptionalTime(consent.used_at),
            receipt: consent.receipt.clone(),
        }
    }
}

/// Where a consent stands now.
#[must_use]
pub fn standing(consent: &HumanConsent, now: Timestamp) -> &'static str {
    match consent.status {
        ConsentStatus::Denied => "denied",
        ConsentStatus::Used => "used",
        ConsentStatus::Pending | ConsentStatus::Approved if consent.is_expired(now) => "expired",
        ConsentStatus::Pending => "pending",
        ConsentStatus::Approved => "approved",
    }
}

/// The same for what is not there and for what is somebody else's.
#[must_use]
pub fn unknown(id: &ConsentId) -> Error {
    Error::NotFound(format!("there is no consent {id} that concerns you"))
}

/// Read a consent that concerns you: what you are asked, or what you asked.
///
/// For its subject and the agent that asked. For anybody else it is not there.
/// A consent to a delegation holds the receipt of its approval.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadConsent {
    /// Id of the consent.
    id: ConsentId,
}

impl Endpoint<Cx> for ReadConsent {
    const PLACE: Place = Place {
        path: "consents/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = ConsentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ConsentView>> {
        let (Some(entity), Some(consent)) = (
            &cx.caller.entity_id,
            cx.grants.consents.get(&self.id).await?,
        ) else {
            return Err(unknown(&self.id));
        };
        let concerned = consent.subject == *entity
            || cx
                .facts
                .agents
                .by_entity(entity)
                .await?
                .is_some_and(|agent| agent.id == consent.agent);
        if !concerned {
            return Err(unknown(&self.id));
        }
        let mut view = ConsentView::of(&consent, cx.now);
        if consent.subject == *entity && consent.is_waiting(cx.now) {
            let seen = Seen::of_consent(cx, &consent).await?;
            view.text = format!("{} {}", view.text, seen.sentence());
            seen.as_str().clone_into(&mut view.seen);
        }
        Ok(view.into())
    }
}

/// Agree to one request of an agent.
///
/// For the human who is asked, and nobody else. `seen` is the word that the
/// question ends with at `consents/:id`. The agent can get one credential
/// with it, for exactly what the text says, within the mount's
/// `consent_timeout`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ApproveConsent {
    /// Id of the consent.
    id: ConsentId,
    /// The word that the question ends with, as its human reads it.
    seen: String,
    /// A word to the agent.
    #[serde(default)]
    reason: Description,
}

impl Endpoint<Cx> for ApproveConsent {
    const PLACE: Place = Place {
        path: "consents/{id}/approve",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = ConsentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ConsentView>> {
        let approved = approve(cx, &self.id, &self.seen, self.reason).await?;
        events::consent(cx, Kind::ConsentApprove, &approved).await;
        Ok(ConsentView::of(&approved, cx.now).into())
    }
}

/// Refuse one request of an agent.
///
/// For the human who is asked, and nobody else. The agent may not ask again for
/// the same action at the same target for a while, `consent_cooldown` under
/// `config`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DenyConsent {
    /// Id of the consent.
    id: ConsentId,
    /// Why; the agent can read it.
    #[serde(default)]
    reason: Description,
}

impl Endpoint<Cx> for DenyConsent {
    const PLACE: Place = Place {
        path: "consents/{id}/deny",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::TakesBack;
    type Output = ConsentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ConsentView>> {
        let denied = deny(cx, &self.id, self.reason).await?;
        events::consent(cx, Kind::ConsentDeny, &denied).await;
        Ok(ConsentView::of(&denied, cx.now).into())
    }
}

/// The question, if it is in this human's name.
async fn mine(cx: &Cx, id: &ConsentId, human: &EntityId) -> Result<Arc<HumanConsent>> {
    let found = cx.grants.consents.get(id).await?;
    found
        .filter(|consent| consent.subject == *human)
        .ok_or_else(|| unknown(id))
}

fn answer(human: &EntityId, reason: Description, cx: &Cx) -> Answer {
    Answer {
        at: cx.now,
        by: human.to_string(),
        reason,
    }
}

fn answered(consent: &HumanConsent, now: Timestamp) -> Error {
    Error::Conflict(format!(
        "this cannot be answered any more: it is {}",
        standing(consent, now)
    ))
}

async fn approve(
    cx: &Cx,
    id: &ConsentId,
    seen: &str,
    reason: Description,
) -> Result<Arc<HumanConsent>> {
    let _held = cx.grants.consents.hold(id).await;
    let human = human::caller(cx).await?;
    let present = mine(cx, id, &human).await?;
    seen::given(seen)?;
    let (true, Some(asked)) = (present.is_waiting(cx.now), present.request()) else {
        // The same answer again, as after an answer that got lost.
        return if present.status == ConsentStatus::Approved && !present.is_expired(cx.now) {
            Ok(present)
        } else {
            Err(answered(&present, cx.now))
        };
    };
    Seen::of_consent(cx, &present).await?.check(seen)?;
    let agent = asking(cx, &present).await?;
    let Some(scope) = Scope::of_request(&asked.target, &asked.action, &asked.resource) else {
        return Err(Error::Conflict(
            "the resource is too long for a credential to name".to_owned(),
        ));
    };
    let until = cx.now.plus(cx.config().await?.consent_timeout);
    let agreed = receipt::Agreed {
        scope: &scope,
        purpose: asked.reason.as_str(),
        max_ttl: None,
        max_uses: None,
        until,
    };
    let mut next = (*present).clone();
    next.status = ConsentStatus::Approved;
    next.expires_at = until;
    next.answer = Some(answer(&human, reason, cx));
    next.receipt = receipt::sign(cx, &next, &agent, &agreed).await?;
    cx.grants.consents.answer(&present, next, Vec::new()).await
}

/// The agent that asked, if it may use an answer now.
async fn asking(cx: &Cx, consent: &HumanConsent) -> Result<Arc<Agent>> {
    let gone = |problem: &str| Error::Conflict(format!("this cannot be approved: {problem}"));
    let Some(agent) = cx.facts.agents.get(&consent.agent).await? else {
        return Err(gone("the agent is not registered any more"));
    };
    let epoch = consent.request().and_then(|asked| asked.agent_epoch);
    if epoch.is_some_and(|epoch| epoch != agent.epoch) {
        return Err(gone("the agent was revoked since it asked"));
    }
    match upkeep::unable(&agent, cx) {
        Some(problem) => Err(gone(&problem)),
        None => Ok(agent),
    }
}

async fn deny(cx: &Cx, id: &ConsentId, reason: Description) -> Result<Arc<HumanConsent>> {
    let _held = cx.grants.consents.hold(id).await;
    // A no is never barred, whoever the human has become.
    let human = human::own_name(cx)?;
    let present = mine(cx, id, human).await?;
    let (true, Some(asked)) = (present.is_waiting(cx.now), present.request()) else {
        return if present.status == ConsentStatus::Denied {
            Ok(present)
        } else {
            Err(answered(&present, cx.now))
        };
    };
    let refusal = binding::of_refusal(
        &present.agent,
        &present.subject,
        asked.target.as_str(),
        asked.action.as_str(),
    );
    let cool_down = cx.config().await?.consent_cooldown;
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
    next.status = ConsentStatus::Denied;
    next.answer = Some(answer(human, reason, cx));
    let denied = cx.grants.consents.answer(&present, next, with).await;
    cx.grants.consents.forget_refusal(&refusal);
    denied
}
