//! The credential: what is kept of one that was handed out, and on what it
//! rests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::decision::AccessRequest;
use crate::model::identity::Presence;
use crate::model::ids::{AgentId, CredentialId, DelegationId, EntityId, TargetName};
use crate::model::time::{Timestamp, Ttl};

/// The longest that any credential lives: one hour, renewals included. So what
/// is kept about credentials can go an hour after the last of them was issued.
pub const LONGEST_LIFE: Ttl = Ttl::from_secs(3600);

/// The claims that a credential sets itself; a target's static claims may not
/// take their names.
pub const RESERVED: [&str; 17] = [
    "iss",
    "sub",
    "act",
    "aud",
    "client_id",
    "iat",
    "nbf",
    "exp",
    "jti",
    "authorization_details",
    "cnf",
    "txn",
    "agentic",
    "scope",
    "status",
    "may_act",
    "auth_time",
];

/// Whom a credential speaks of, and on what it rests: all that decides whether
/// it still holds, besides the credential itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grounds {
    /// The credential.
    pub id: CredentialId,
    /// The agent that got it.
    pub agent: AgentId,
    /// The agent's epoch when it did.
    pub epoch: u64,
    /// The human that the agent acts for.
    pub subject: Option<EntityId>,
    /// The delegation that it was issued under, the last of its chain.
    pub delegation: Option<DelegationId>,
    /// The target that it is for. None in what 0.1 stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// When it was issued, in whole seconds.
    pub issued_at: Timestamp,
    /// When it expires, in whole seconds.
    pub expires_at: Timestamp,
}

/// What is kept of a credential that cannot do without a record: one that says
/// nothing itself, or one whose uses are counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The keyed hash of an opaque token's secret. None: it is a JWT.
    pub hash: Option<String>,
    /// What an opaque token says. A JWT says it itself.
    pub claims: Map<String, Value>,
    /// How often it can still be used. None: nobody counts.
    pub uses_left: Option<u32>,
    /// When it expires. A renewal puts it off.
    pub expires_at: Timestamp,
    /// What is decided anew when its lease is renewed. None: it is no lease that
    /// can be.
    pub request: Option<Box<AccessRequest>>,
}

/// That credentials were revoked: one, or all of a subject or delegation up to
/// some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// When. Of a subject or delegation, what was issued up to this second is
    /// void.
    pub at: Timestamp,
    /// When the last credential that it concerns has expired.
    pub until: Timestamp,
}

/// Where the status of a credential is published: a place in the one sequence
/// that all lists of a mount share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusIndex(u64);

impl StatusIndex {
    /// How many credentials share a list. Two bits each: 2 KiB before they are
    /// compressed.
    pub const PER_LIST: u64 = 8192;

    /// The place with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Which list it is in.
    #[must_use]
    pub const fn list(self) -> u64 {
        self.0 / Self::PER_LIST
    }

    /// Where in that list.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0 % Self::PER_LIST
    }
}

/// How a credential stands. Ordered: the worse is greater.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It holds.
    Active,
    /// It does not hold now, and may again: the agent is suspended, or an
    /// entity is disabled.
    Suspended,
    /// It does not hold, and never will.
    Void,
}

/// How a credential stands for an entity, all else being well.
impl From<Presence> for Standing {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Present => Self::Active,
            // Either can be undone.
            Presence::Disabled | Presence::Moved => Self::Suspended,
            Presence::Merged | Presence::Gone => Self::Void,
        }
    }
}

impl Standing {
    /// The status type (draft-ietf-oauth-status-list 7.1).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Active => 0,
            Self::Void => 1,
            Self::Suspended => 2,
        }
    }
}
