//! The target: a system that credentials are for, with its rules.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::authorization::VaultPathAccess;
use crate::model::ids::{KeyName, TargetName};
use crate::model::pattern::{Action, Pattern};
use crate::model::text::{Description, Label};
use crate::model::time::{Timestamp, Ttl};

/// What an allowed request for a target gets.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// A signed JWT access token (RFC 9068), verified offline.
    #[default]
    Jwt,
    /// A random string that says nothing, verified online.
    Opaque,
    /// A token of the host, from `login` on an auth mount.
    VaultToken,
}

impl CredentialType {
    /// The name in fields, logs and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
            Self::VaultToken => "vault_token",
        }
    }
}

/// Which kind of token the host makes at a login.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    /// Stored by the host, which can count its uses and revoke it.
    #[default]
    Service,
    /// Not stored: it cannot be counted, renewed or revoked.
    Batch,
}

/// How much of a human's yes a request needs. Ordered: the stricter is greater.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// None beyond the policies.
    #[default]
    None,
    /// A delegation that the subject granted.
    Standing,
    /// A yes to this very request.
    PerRequest,
}

impl Consent {
    /// The name in fields, logs and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Standing => "standing",
            Self::PerRequest => "per_request",
        }
    }
}

/// A system that credentials are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// What it is.
    pub description: Description,
    /// What an allowed request gets.
    pub credential_type: CredentialType,
    /// The `aud` of its credentials. Never empty.
    pub audience: Vec<Label>,
    /// What can be done there. None: nothing.
    pub actions: Vec<Action>,
    /// To what. None: requests may not name a resource.
    pub resources: Vec<Pattern>,
    /// Facts about it that policies may refer to.
    pub labels: BTreeMap<String, String>,
    /// A credential's lifetime where the request names none.
    pub default_ttl: Ttl,
    /// The longest lifetime of any credential for it.
    pub max_ttl: Ttl,
    /// How much of a human's yes it wants.
    pub consent: Consent,
    /// Which key signs its credentials; none: the mount's default key.
    pub signing_key: Option<KeyName>,
    /// Claims that every credential for it carries.
    pub claims: Map<String, Value>,
    /// How often any credential for it may be used.
    #[serde(default)]
    pub max_uses: Option<u32>,
    /// Whether its credentials must be bound to a key.
    #[serde(default)]
    pub proof_of_possession: bool,
    /// Whether its credentials are leases of the host.
    #[serde(default)]
    pub leased: bool,
    /// Whether its JWTs are in a status list, for verifiers who are offline.
    #[serde(default)]
    pub status_list: bool,
    /// The host's policies that its tokens carry.
    #[serde(default)]
    pub vault_policies: Vec<Label>,
    /// What those policies allow.
    #[serde(default)]
    pub vault_paths: Vec<VaultPathAccess>,
    /// Which kind of token the host makes for it.
    #[serde(default)]
    pub vault_token_type: TokenType,
    /// Whether its tokens have an alias, and so an identity entity.
    #[serde(default = "yes")]
    pub vault_alias: bool,
    /// When the credentials for it were last revoked: those that were issued up to
    /// this second are void.
    #[serde(default)]
    pub credentials_revoked_at: Option<Timestamp>,
    /// When it was defined.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

const fn yes() -> bool {
    true
}

impl Target {
    /// A target that offers nothing yet, without limits of its own.
    #[must_use]
    pub fn new(name: TargetName, now: Timestamp) -> Self {
        Self {
            name,
            description: Description::default(),
            credential_type: CredentialType::default(),
            audience: Vec::new(),
            actions: Vec::new(),
            resources: Vec::new(),
            labels: BTreeMap::new(),
            default_ttl: Ttl::ZERO,
            max_ttl: Ttl::LONGEST,
            consent: Consent::default(),
            signing_key: None,
            claims: Map::new(),
            max_uses: None,
            proof_of_possession: false,
            leased: false,
            status_list: false,
            vault_policies: Vec::new(),
            vault_paths: Vec::new(),
            vault_token_type: TokenType::default(),
            vault_alias: true,
            credentials_revoked_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}
