//! A delegation: authority that a human, or an agent that holds some, passed to
//! an agent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::authorization::Scope;
use crate::model::ids::{AgentId, ConsentId, DelegationId, EntityId};
use crate::model::text::Description;
use crate::model::time::{Timestamp, Ttl};

/// Where a delegation stands. Expiry is computed, not a state.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DelegationStatus {
    /// Asked for; the subject has not answered.
    Pending,
    /// Granted by the subject.
    Active,
    /// The subject said no.
    Denied,
    /// Taken back.
    Revoked,
}

impl DelegationStatus {
    /// The name in fields, logs and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Denied => "denied",
            Self::Revoked => "revoked",
        }
    }
}

/// Who passed the authority on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delegator {
    /// The subject: this is the first link of a chain.
    Subject,
    /// An agent that held it, with the delegation it held it by.
    Agent {
        /// That agent.
        id: AgentId,
        /// What it held.
        parent: DelegationId,
    },
}

/// One link of a chain of authority that begins with a human.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Its identity.
    pub id: DelegationId,
    /// The human whose authority it passes on; the same along a chain. None
    /// while a request that names nobody waits for somebody.
    pub subject: Option<EntityId>,
    /// The agent that receives it.
    pub agent: AgentId,
    /// The agent's epoch when it was asked for or granted: a later one voids
    /// it.
    pub agent_epoch: u64,
    /// Who passes it on.
    pub delegator: Delegator,
    /// What it is for.
    pub scope: Scope,
    /// Why, in the words that the subject saw.
    pub purpose: Description,
    /// Where it stands.
    pub status: DelegationStatus,
    /// When it was asked for or granted.
    pub created_at: Timestamp,
    /// When it ends; while it is pending, when the request lapses.
    pub expires_at: Timestamp,
    /// How long it is to last from the subject's yes.
    #[serde(default)]
    pub ttl: Ttl,
    /// The longest lifetime of a credential under it.
    pub max_ttl: Option<Ttl>,
    /// How many credentials may be issued under it.
    pub max_uses: Option<u32>,
    /// How many have been.
    pub uses: u32,
    /// The record of the subject's yes.
    pub consent: Option<ConsentId>,
    /// What the code of a request that names nobody hashes to.
    #[serde(default)]
    pub code: Option<String>,
    /// What the subject is shown.
    #[serde(default)]
    pub text: String,
    /// The last answer to it: a yes, a no, or its revocation.
    #[serde(default)]
    pub answer: Option<Answer>,
}

/// Who answered a request, or ended what was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// An entity id, or the caller's display name.
    pub by: String,
    /// Why, as they said.
    pub reason: Description,
}

impl Delegation {
    /// The delegation above it, if an agent passed it on.
    #[must_use]
    pub const fn parent(&self) -> Option<&DelegationId> {
        match &self.delegator {
            Delegator::Subject => None,
            Delegator::Agent { parent, .. } => Some(parent),
        }
    }

    /// How many uses are left; none if they are not counted.
    #[must_use]
    pub fn uses_left(&self) -> Option<u32> {
        self.max_uses.map(|most| most.saturating_sub(self.uses))
    }

    /// Whether its time has passed; for a pending one, the time to answer.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// Whether it waits for an answer that may still be given.
    #[must_use]
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.status == DelegationStatus::Pending && !self.is_expired(now)
    }

    /// Whether it carries authority now, as far as it says itself.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.status == DelegationStatus::Active
            && !self.is_expired(now)
            && self.uses_left() != Some(0)
    }
}
