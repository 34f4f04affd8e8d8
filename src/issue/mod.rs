//! What an allowed request gets: credentials, and tokens of the server.

pub mod credentials;
pub mod login;

use std::sync::Arc;

use crate::grants;
use crate::host::framework::storage::Storage;
use crate::host::wing;
use crate::issue::credentials::cursors::Cursors;
use crate::issue::credentials::replay::Presented;
use crate::issue::credentials::status::StatusStore;
use crate::issue::credentials::store::CredentialStore;
use crate::issue::login::gate::Gate;

/// What this wing keeps of a mount.
#[derive(Debug)]
pub struct Stores {
    /// What is kept of credentials.
    pub credentials: CredentialStore,
    /// Who has a place in a status list.
    pub statuses: StatusStore,
    /// Where the last removal of expired records stopped.
    pub tidied: Cursors,
    /// What was presented, at a login or with a credential, and may not be
    /// again.
    pub presented: Presented,
    /// How many log in at a time.
    pub logins: Gate,
}

impl Stores {
    /// The stores over a mount's storage. Reads nothing.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>) -> Self {
        Self {
            credentials: CredentialStore::new(storage),
            statuses: StatusStore::new(storage),
            tidied: Cursors::default(),
            presented: Presented::default(),
            logins: Gate::default(),
        }
    }

    /// Another node changed `key`: drops what it may have made stale. Whether it is
    /// of this wing.
    pub fn invalidate(&self, key: &str) -> bool {
        self.credentials.invalidate(key) || self.statuses.invalidate(key)
    }
}

wing!(issue: Stores, grants::Cx);
