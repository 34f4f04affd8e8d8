//! How an identity entity of the host stands, and what follows from who answers
//! for an agent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::text::folded;

/// The types of auth methods by which people log in interactively. A sign, and
/// no proof: service accounts live in directories, too.
pub const INTERACTIVE: [&str; 6] = ["ldap", "oidc", "okta", "radius", "saml", "userpass"];
/// The group of agents that `register` makes.
pub const AGENTS_GROUP: &str = "agents";

/// How an identity entity stands. Everything but [`Present`](Self::Present)
/// counts as not there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is there, enabled and itself.
    Present,
    /// An operator disabled it.
    Disabled,
    /// Its aliases, by which it was known, are gone: it was taken apart.
    Moved,
    /// It was merged into another.
    Merged,
    /// It is not there.
    Gone,
}

impl Presence {
    /// The name in fields and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Disabled => "disabled",
            Self::Moved => "moved",
            Self::Merged => "merged",
            Self::Gone => "gone",
        }
    }

    /// Whether it is there, enabled and itself.
    #[must_use]
    pub const fn is_present(self) -> bool {
        matches!(self, Self::Present)
    }
}

/// An account at one auth mount, by which the host knows an entity: all that
/// tells one account from another. The hosts keep a name as it was written, and
/// find it in any case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AliasKey {
    /// The accessor of the auth mount. The host never uses one twice.
    pub accessor: String,
    /// The account's name there, without its case.
    pub name: String,
}

impl AliasKey {
    /// Of an account by this name.
    #[must_use]
    pub fn new(accessor: &str, name: &str) -> Self {
        Self {
            accessor: accessor.to_owned(),
            name: folded(name),
        }
    }
}

/// What follows where something is amiss that an operator has to mend.
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
pub enum Consequence {
    /// Every request of the agent is denied.
    Deny,
    /// It is noted in each decision, counted, and reported.
    #[default]
    Warn,
    /// Nothing.
    Ignore,
}
