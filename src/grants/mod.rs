//! What people gave, and what is used up of it: delegations, consents, rates.

pub mod consents;
pub mod delegations;
pub mod rates;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::facts;
use crate::grants::consents::store::ConsentStore;
use crate::grants::delegations::code_attempts::CodeAttempts;
use crate::grants::delegations::store::DelegationStore;
use crate::grants::rates::Rates;
use crate::host::framework::storage::Storage;
use crate::host::wing;

/// The most that one page of a list shows.
pub const MOST_IN_LIST: u32 = 1_000;

/// What this wing keeps of a mount.
#[derive(Debug)]
pub struct Stores {
    /// What humans passed to agents, and agents to agents.
    pub delegations: DelegationStore,
    /// What humans agreed to, and are asked.
    pub consents: ConsentStore,
    /// How often wrong codes were tried on this node.
    pub code_attempts: CodeAttempts,
    /// How much of each rate is used on this node.
    pub rates: Arc<Rates>,
}

impl Stores {
    /// The stores over a mount's storage. Reads nothing.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            delegations: DelegationStore::new(storage, standby),
            consents: ConsentStore::new(storage, standby),
            code_attempts: CodeAttempts::default(),
            rates: Arc::default(),
        }
    }

    /// Another node changed `key`: drops what it may have made stale. Whether it is
    /// of this wing.
    pub fn invalidate(&self, key: &str) -> bool {
        self.delegations.invalidate(key) || self.consents.invalidate(key)
    }
}

wing!(grants: Stores, facts::Cx);
