//! A delegation, as it is read.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::facts::identity::human::{self, NotHuman};
use crate::grants::Cx;
use crate::grants::consents::seen::Seen;
use crate::grants::consents::words;
use crate::grants::delegations::input::Terms;
use crate::host::framework::error::Result;
use crate::model::agent::Mode;
use crate::model::authorization::Scope;
use crate::model::delegation::{Delegation, DelegationStatus, Delegator};
use crate::model::ids::{AgentId, DelegationId, EntityId};
use crate::model::text::Description;
use crate::model::time::{OptionalTime, Timestamp, Ttl};

/// Where a delegation stands now, as people read it: with what is computed.
#[must_use]
pub fn standing(delegation: &Delegation, now: Timestamp) -> &'static str {
    match delegation.status {
        DelegationStatus::Pending | DelegationStatus::Active if delegation.is_expired(now) => {
            "expired"
        }
        DelegationStatus::Active if delegation.uses_left() == Some(0) => "used_up",
        DelegationStatus::Pending
        | DelegationStatus::Active
        | DelegationStatus::Denied
        | DelegationStatus::Revoked => delegation.status.as_str(),
    }
}

/// What an agent is told where a subject counts as no human: nothing before the
/// subject has agreed to anything, and never why.
#[must_use]
pub const fn known_to_agent(delegation: &Delegation) -> &'static str {
    if delegation.consent.is_some() {
        "the subject does not count as a human any more"
    } else {
        ""
    }
}

/// What the human is asked, by what is known of the agent now.
///
/// # Errors
/// If storage fails.
pub async fn question(cx: &Cx, delegation: &Delegation) -> Result<String> {
    let agent = cx.facts.agents.get(&delegation.agent).await?;
    Ok(agent.map_or_else(
        || delegation.text.clone(),
        |agent| words::requested(&agent, &Terms::of(delegation).wanted()),
    ))
}

/// A delegation, as it is read by those it concerns.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DelegationView {
    id: DelegationId,
    /// `pending`, `active`, `denied`, `revoked`, `expired` or `used_up`. What
    /// is above it in the chain must hold as well.
    status: &'static str,
    /// Name of the agent that received it; empty if it is not registered any
    /// more.
    agent: String,
    agent_id: AgentId,
    /// The human whose authority it passes on; empty while a request that
    /// names nobody waits.
    subject_entity_id: String,
    /// The delegation it was passed on from; empty if the subject gave it.
    parent_id: String,
    /// The agent that passed it on; empty if the subject gave it.
    delegator_id: String,
    mode: Mode,
    /// What it is for (RFC 9396).
    #[schemars(with = "Vec<Map<String, Value>>")]
    scope: Scope,
    purpose: Description,
    created_at: Timestamp,
    /// When it ends; while it is pending, when the request lapses.
    expires_at: Timestamp,
    /// How long it lasts, or will, from the subject's yes, in seconds.
    ttl: Ttl,
    /// Longest lifetime of a credential under it, in seconds; 0: not limited
    /// here.
    max_ttl: Ttl,
    /// How many credentials may be issued under it; 0: not limited.
    max_uses: u32,
    /// How many were issued, if that is limited.
    uses: u32,
    /// The record of the subject's yes; empty before.
    consent_id: String,
    /// What the subject is shown.
    text: String,
    /// The word that an approval has to bring back as `seen`; shown to whom the
    /// question is put, while it waits.
    seen: String,
    /// Why the subject does not count as a human any more, so that this serves
    /// nothing; empty if it does.
    subject_problem: String,
    /// When it was answered, or ended; empty before.
    answered_at: OptionalTime,
    /// Who answered it, or ended it.
    answered_by: String,
    /// Why.
    reason: Description,
}

impl DelegationView {
    /// The question, as `human` reads it to whom it is put.
    ///
    /// # Errors
    /// If storage or the host cannot say.
    pub async fn question(cx: &Cx, delegation: &Delegation, human: &EntityId) -> Result<Self> {
        let mut view = Self::whole(cx, delegation).await?;
        if delegation.is_waiting(cx.now) {
            let text = question(cx, delegation).await?;
            let seen = Seen::of_delegation(cx, delegation, &text, human).await?;
            view.text = format!("{text} {}", seen.sentence());
            seen.as_str().clone_into(&mut view.seen);
        }
        Ok(view)
    }

    /// The view for its subject, and for those who govern.
    ///
    /// # Errors
    /// If storage or the host cannot say.
    pub async fn whole(cx: &Cx, delegation: &Delegation) -> Result<Self> {
        Self::telling(cx, delegation, |why| why.to_string()).await
    }

    /// The view of a delegation at the request's time, for anybody it concerns. Why
    /// its subject is no human, agents are not told: it says with whom somebody is
    /// in a group, and how they log in.
    ///
    /// # Errors
    /// If storage or the host cannot say.
    pub async fn of(cx: &Cx, delegation: &Delegation) -> Result<Self> {
        Self::telling(cx, delegation, |_| known_to_agent(delegation).to_owned()).await
    }

    /// The view, with what `tell` says of why the subject is no human.
    async fn telling(
        cx: &Cx,
        delegation: &Delegation,
        tell: impl FnOnce(&NotHuman) -> String + Send,
    ) -> Result<Self> {
        let why_not = match &delegation.subject {
            Some(subject) => human::why_not(cx, subject).await?,
            None => None,
        };
        let agent = cx.facts.agents.get(&delegation.agent).await?;
        let answer = delegation.answer.as_ref();
        Ok(Self {
            id: delegation.id.clone(),
            status: standing(delegation, cx.now),
            agent: agent
                .map(|agent| agent.name.to_string())
                .unwrap_or_default(),
            agent_id: delegation.agent.clone(),
            subject_entity_id: delegation
                .subject
                .clone()
                .map(String::from)
                .unwrap_or_default(),
            parent_id: delegation
                .parent()
                .cloned()
                .map(String::from)
                .unwrap_or_default(),
            delegator_id: match &delegation.delegator {
                Delegator::Subject => String::new(),
                Delegator::Agent { id, .. } => id.to_string(),
            },
            mode: Mode::OnBehalfOf,
            scope: delegation.scope.clone(),
            purpose: delegation.purpose.clone(),
            created_at: delegation.created_at,
            expires_at: delegation.expires_at,
            ttl: delegation.ttl,
            max_ttl: delegation.max_ttl.unwrap_or_default(),
            max_uses: delegation.max_uses.unwrap_or_default(),
            uses: delegation.uses,
            consent_id: delegation
                .consent
                .clone()
                .map(String::from)
                .unwrap_or_default(),
            text: delegation.text.clone(),
            seen: String::new(),
            subject_problem: why_not.as_ref().map(tell).unwrap_or_default(),
            answered_at: OptionalTime(answer.map(|answer| answer.at)),
            answered_by: answer.map(|answer| answer.by.clone()).unwrap_or_default(),
            reason: answer
                .map(|answer| answer.reason.clone())
                .unwrap_or_default(),
        })
    }
}

/// A delegation in one line of a list; `problem` says why its subject does not
/// count as a human.
#[must_use]
pub fn brief(delegation: &Delegation, problem: &str, now: Timestamp) -> Value {
    json!({
        "status": standing(delegation, now),
        "subject_problem": problem,
        "agent_id": delegation.agent,
        "subject_entity_id": delegation.subject,
        "purpose": delegation.purpose,
        "expires_at": delegation.expires_at,
    })
}
