//! A human's yes, or the question: to one request, or to a delegation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::delegation::Answer;
use crate::model::ids::{AgentId, AgentName, ConsentId, DelegationId, EntityId, TargetName};
use crate::model::pattern::{Action, Resource};
use crate::model::text::Description;
use crate::model::time::{Timestamp, Ttl};

/// Where a consent stands. Expiry is computed, not a state.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ConsentStatus {
    /// Asked for; the subject has not answered.
    Pending,
    /// The subject said yes.
    Approved,
    /// The subject said no.
    Denied,
    /// It was used.
    Used,
}

/// What a consent is to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ConsentTo {
    /// A delegation, for as long as that holds.
    Delegation,
    /// One request, once.
    Request(Box<AskedFor>),
}

/// The request that a consent is to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedFor {
    /// The hash of everything that was asked.
    pub binding: String,
    /// At which target.
    pub target: TargetName,
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// Why, as the agent says.
    pub reason: Description,
    /// The longest lifetime of the credential that the subject was shown.
    #[serde(default)]
    pub ttl: Option<Ttl>,
    /// How many uses of it the subject was shown; none: no limit.
    #[serde(default)]
    pub max_uses: Option<u32>,
    /// The agent's epoch when it asked.
    #[serde(default)]
    pub agent_epoch: Option<u64>,
}

/// The record of a human's yes, or of the question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HumanConsent {
    /// Its identity.
    pub id: ConsentId,
    /// Who is asked.
    pub subject: EntityId,
    /// The agent that asks.
    pub agent: AgentId,
    /// What it was called then.
    pub agent_name: AgentName,
    /// The delegation it acts under, or that the consent is to.
    pub delegation: DelegationId,
    /// What the consent is to.
    pub to: ConsentTo,
    /// Where it stands.
    pub status: ConsentStatus,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// While it is pending, when it lapses; then, until when it can be used.
    pub expires_at: Timestamp,
    /// What the subject is shown.
    pub text: String,
    /// The subject's answer.
    pub answer: Option<Answer>,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// The signed receipt of a yes, a compact JWS; else empty.
    pub receipt: String,
}

impl HumanConsent {
    /// Whether its time has passed.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// Whether it waits for an answer that may still be given.
    #[must_use]
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.status == ConsentStatus::Pending && !self.is_expired(now)
    }

    /// The request it is to; none where it is to a delegation.
    #[must_use]
    pub fn request(&self) -> Option<&AskedFor> {
        match &self.to {
            ConsentTo::Delegation => None,
            ConsentTo::Request(asked) => Some(asked),
        }
    }
}
