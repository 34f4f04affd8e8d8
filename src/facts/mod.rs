//! What decisions rest on: settings, who somebody is, agents, policies, baselines,
//! locations, targets, issuers, keys.

pub mod agents;
pub mod baselines;
pub mod config;
pub mod events;
pub mod identity;
pub mod issuers;
pub mod keys;
pub mod locations;
pub mod policies;
pub mod registry;
pub mod targets;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::facts::baselines::store::BaselineStore;
use crate::facts::config::store::ConfigStore;
use crate::facts::identity::cursor::Cursor;
use crate::facts::identity::settings::IdentityStore;
use crate::facts::issuers::fetch::Network;
use crate::facts::issuers::keys::KeySets;
use crate::facts::issuers::store::IssuerStore;
use crate::facts::keys::hasher::HasherStore;
use crate::facts::keys::store::KeyStore;
use crate::facts::locations::store::LocationStore;
use crate::facts::policies::store::PolicyStore;
use crate::facts::registry::store::AgentStore;
use crate::facts::targets::store::TargetStore;
use crate::host::framework::storage::Storage;
use crate::host::wing;
use crate::record;

/// What this wing keeps of a mount.
#[derive(Debug)]
pub struct Stores {
    /// The settings.
    pub config: ConfigStore,
    /// Whose entities are humans, and who does not govern.
    pub identity: IdentityStore,
    /// Where the last look at the agents stopped.
    pub swept: Cursor,
    /// The signing keys.
    pub keys: KeyStore,
    /// What makes keyed hashes.
    pub hasher: HasherStore,
    /// The registry.
    pub agents: AgentStore,
    /// The systems that credentials are for.
    pub targets: TargetStore,
    /// The policies.
    pub policies: PolicyStore,
    /// What subjects may do.
    pub baselines: Arc<BaselineStore>,
    /// Named network ranges.
    pub locations: LocationStore,
    /// Whose tokens are believed at a login.
    pub issuers: IssuerStore,
    /// The keys of those that were fetched.
    pub key_sets: KeySets,
}

impl Stores {
    /// The stores over a mount's storage. Reads nothing.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            config: ConfigStore::new(storage, standby),
            identity: IdentityStore::new(storage, standby),
            swept: Cursor::default(),
            keys: KeyStore::new(storage, standby),
            hasher: HasherStore::new(storage),
            agents: AgentStore::new(storage, standby),
            targets: TargetStore::new(storage, standby),
            policies: PolicyStore::new(storage, standby),
            baselines: Arc::new(BaselineStore::new(storage, standby)),
            locations: LocationStore::new(storage, standby),
            issuers: IssuerStore::new(storage, standby),
            key_sets: KeySets::new(Arc::new(Network)),
        }
    }

    /// Another node changed `key`: drops what it may have made stale. Whether it is
    /// of this wing.
    pub fn invalidate(&self, key: &str) -> bool {
        self.config.invalidate(key)
            || self.identity.invalidate(key)
            || self.keys.invalidate(key)
            || self.hasher.invalidate(key)
            || self.agents.invalidate(key)
            || self.targets.invalidate(key)
            || self.policies.invalidate(key)
            || self.baselines.invalidate(key)
            || self.locations.invalidate(key)
            || self.issuers.invalidate(key)
    }
}

wing!(facts: Stores, record::Cx);
