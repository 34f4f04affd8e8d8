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

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::OnceCell;

use crate::facts::baselines::store::BaselineStore;
use crate::facts::config::store::{Config, ConfigStore};
use crate::facts::identity::cursor::Cursor;
use crate::facts::identity::settings::{IdentitySettings, IdentityStore};
use crate::facts::issuers::fetch::Network;
use crate::facts::issuers::keys::KeySets;
use crate::facts::issuers::store::IssuerStore;
use crate::facts::keys::hasher::HasherStore;
use crate::facts::keys::store::KeyStore;
use crate::facts::locations::store::{LocationStore, Locations};
use crate::facts::policies::store::{Library, PolicyStore};
use crate::facts::registry::store::AgentStore;
use crate::facts::targets::store::TargetStore;
use crate::host::framework::error::Result;
use crate::host::framework::storage::Storage;
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

/// What a request sees of the settings: one version of each, from its first look on,
/// whatever is written meanwhile.
#[derive(Debug, Default)]
struct View {
    config: OnceCell<Arc<Config>>,
    identity: OnceCell<Arc<IdentitySettings>>,
    library: OnceCell<Arc<Library>>,
    locations: OnceCell<Arc<Locations>>,
}

/// The context of a request on this wing. It has what the wings below have.
#[derive(Debug)]
pub struct Cx {
    /// The stores of this wing.
    pub facts: Arc<Stores>,
    view: View,
    below: record::Cx,
}

impl Cx {
    /// The context, over that of the wing below.
    #[must_use]
    pub fn new(facts: Arc<Stores>, below: record::Cx) -> Self {
        Self {
            facts,
            view: View::default(),
            below,
        }
    }

    /// The same request later. It sees the settings of then.
    #[must_use]
    pub fn resumed(&self) -> Self {
        Self::new(Arc::clone(&self.facts), self.below.resumed())
    }

    /// The settings of the mount, as this request sees them.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn config(&self) -> Result<&Arc<Config>> {
        self.view
            .config
            .get_or_try_init(|| self.facts.config.get())
            .await
    }

    /// Whose entities are humans and what follows from owners, as this request sees
    /// it.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn identity(&self) -> Result<&Arc<IdentitySettings>> {
        self.view
            .identity
            .get_or_try_init(|| self.facts.identity.get())
            .await
    }

    /// Every policy, compiled, as this request sees them.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn library(&self) -> Result<&Arc<Library>> {
        self.view
            .library
            .get_or_try_init(|| self.facts.policies.library())
            .await
    }

    /// Every named network range, as this request sees them.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn locations(&self) -> Result<&Arc<Locations>> {
        self.view
            .locations
            .get_or_try_init(|| self.facts.locations.all())
            .await
    }
}

impl Deref for Cx {
    type Target = record::Cx;

    fn deref(&self) -> &record::Cx {
        &self.below
    }
}
