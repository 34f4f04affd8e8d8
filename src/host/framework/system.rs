//! What the host tells a plugin about itself and about identities.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use crate::host::framework::error::Result;
use crate::model::ids::EntityId;
use crate::model::time::Ttl;

/// A Vault identity entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Whether an operator disabled it.
    pub disabled: bool,
    /// Its accounts at auth mounts, those in the mount's own namespace.
    pub aliases: Vec<Alias>,
}

/// An entity's account at one auth mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// The type of the auth mount. Empty: the mount is gone, and nobody can log
    /// in there.
    pub mount_type: String,
    /// The mount's accessor.
    pub accessor: String,
    /// The account's name there.
    pub name: String,
    /// What the auth method said of the account at its last login. Nobody else
    /// can write it.
    pub metadata: BTreeMap<String, String>,
}

/// A Vault identity group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its id, which a rename does not change.
    pub id: String,
    /// Its name. The host does not tell names apart that differ by case.
    pub name: String,
}

/// The host's view of itself. Nothing here is cached: each call is a round
/// trip, and each answer holds now.
#[async_trait]
pub trait SystemView: Send + Sync + fmt::Debug {
    /// The entity, if there is one by this id.
    async fn entity(&self, id: &EntityId) -> Result<Option<Entity>>;

    /// The groups the entity is in, directly or through others.
    async fn groups(&self, id: &EntityId) -> Result<Vec<Group>>;

    /// The longest lease this mount may give.
    async fn max_lease_ttl(&self) -> Result<Ttl>;

    /// Whether this node may not write: a standby that serves reads.
    async fn is_read_only(&self) -> Result<bool>;

    /// The server's version.
    async fn version(&self) -> Result<String>;
}
