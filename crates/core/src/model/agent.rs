//! The agent: a registered non-human actor.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::jose::jwk::RegisteredKey;
use crate::model::identity::AliasKey;
use crate::model::ids::{AgentId, AgentName, EntityId, IssuerId, PolicyName};
use crate::model::text::{Description, Label};
use crate::model::time::Timestamp;

/// The policy that belongs to every ceiling, where it exists and the agent
/// does not leave it out.
pub const DEFAULT_CEILING: &str = "default-ceiling";
/// The longest chain of delegations any agent may stand at the end of.
pub const MAX_DELEGATION_DEPTH: u8 = 8;

/// On whose authority an agent acts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// On its own: the subject is the agent itself.
    Autonomous,
    /// For a human: the subject is the human, the agent is the actor (RFC 8693 4.1).
    OnBehalfOf,
}

impl Mode {
    /// The name in fields, logs and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Autonomous => "autonomous",
            Self::OnBehalfOf => "on_behalf_of",
        }
    }
}

/// Whether an agent may act at all.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It may, within its ceiling.
    Active,
    /// Somebody pulled the kill switch; `resume` ends it.
    Suspended,
    /// Its `expires_at` has passed. Computed, never stored.
    Expired,
}

impl Status {
    /// The name in fields, logs and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
        }
    }
}

/// What the agent runs on, as its owner states it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Software {
    /// Who makes it.
    pub vendor: Label,
    /// Which model it runs.
    pub model: Label,
    /// Which version of it.
    pub version: Label,
}

/// A registered agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its identity. Made by us, never used twice.
    pub id: AgentId,
    /// Its label for people. Unique while it exists.
    pub name: AgentName,
    /// The one Vault identity entity that it is.
    pub entity_id: EntityId,
    /// What it is for.
    pub description: Description,
    /// The team or person who answers for it, in words.
    pub owner: Label,
    /// The identity entity of whoever answers for it. None: nobody that the host
    /// knows.
    #[serde(default)]
    pub owner_entity_id: Option<EntityId>,
    /// By when somebody has to look at it again.
    #[serde(default)]
    pub review_by: Option<Timestamp>,
    /// Facts about it that policies may refer to.
    pub labels: BTreeMap<String, String>,
    /// The policies that bound what it can ever do. None: it can do nothing.
    pub ceiling_policies: Vec<PolicyName>,
    /// Whether the policy `default-ceiling`, where it exists, is left out of
    /// the ceiling.
    pub no_default_ceiling_policy: bool,
    /// The modes it may act in.
    pub delegation_modes: BTreeSet<Mode>,
    /// How long a chain of delegations it may stand at the end of; 1 means
    /// directly from a human only.
    pub max_delegation_depth: u8,
    /// When its registration ends.
    pub expires_at: Option<Timestamp>,
    /// Keys that it signs assertions and proofs of possession with.
    pub public_keys: Vec<RegisteredKey>,
    /// The external issuer that knows it, compared exactly.
    pub issuer: String,
    /// Who it is at that issuer.
    pub subject: String,
    /// The definition of that issuer which vouches for it. None in records of
    /// 0.1, until they were looked at.
    #[serde(default)]
    pub issuer_record: Option<IssuerId>,
    /// Every alias that its entity was ever seen with: whoever logs in by one of
    /// them is this agent, whatever entity the host says.
    #[serde(default)]
    pub aliases: BTreeSet<AliasKey>,
    /// What it runs on.
    pub software: Software,
    /// Whether requests need authorization details (Vault Enterprise's field,
    /// inverted there).
    pub optional_authorization_details: bool,
    /// The kill switch: when pulled, and why.
    pub suspended: Option<Suspension>,
    /// Grows with every `revoke`: credentials and delegations of an earlier
    /// epoch are void.
    pub epoch: u64,
    /// When its credentials were last revoked without more: those that were
    /// issued up to this second are void.
    #[serde(default)]
    pub credentials_revoked_at: Option<Timestamp>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its registration last changed.
    pub updated_at: Timestamp,
    /// Who registered it: an entity id, or the caller's display name.
    pub created_by: String,
}

/// What is kept of an agent that was deleted, so that whoever it was does not
/// become a human or an operator by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerAgent {
    /// Its id.
    pub id: AgentId,
    /// What it was called.
    pub name: AgentName,
    /// The entity that it was.
    pub entity_id: EntityId,
    /// Every alias that the entity was ever seen with.
    pub aliases: BTreeSet<AliasKey>,
    /// Who answered for it.
    pub owner: Label,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// By whom: an entity id, or the caller's display name.
    pub deleted_by: String,
}

/// A pulled kill switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: Description,
}

impl Agent {
    /// An agent that may do nothing yet, in both modes.
    #[must_use]
    pub fn new(id: AgentId, name: AgentName, entity_id: EntityId, now: Timestamp) -> Self {
        Self {
            id,
            name,
            entity_id,
            description: Description::default(),
            owner: Label::default(),
            owner_entity_id: None,
            review_by: None,
            labels: BTreeMap::new(),
            ceiling_policies: Vec::new(),
            no_default_ceiling_policy: false,
            delegation_modes: BTreeSet::from([Mode::Autonomous, Mode::OnBehalfOf]),
            max_delegation_depth: 1,
            expires_at: None,
            public_keys: Vec::new(),
            issuer: String::new(),
            subject: String::new(),
            issuer_record: None,
            aliases: BTreeSet::new(),
            software: Software::default(),
            optional_authorization_details: true,
            suspended: None,
            epoch: 0,
            credentials_revoked_at: None,
            created_at: now,
            updated_at: now,
            created_by: String::new(),
        }
    }

    /// Whether it may act at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        if self.suspended.is_some() {
            Status::Suspended
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Status::Expired
        } else {
            Status::Active
        }
    }
}
