//! The state of one mount: the stores of every wing, and its view of the host. Two
//! mounts share nothing. The one place that knows all wings.

use std::sync::Arc;

use crate::host::framework::endpoint::Within;
use crate::host::framework::request::Context;
use crate::host::framework::storage::Storage;
use crate::host::framework::system::SystemView;
use crate::host::{self, Host};
use crate::{facts, grants, issue, record};

/// The context of a request on a mount: that of the highest wing.
pub type Cx = issue::Cx;

/// The state of one mount.
#[derive(Debug)]
pub struct State {
    /// The host.
    pub host: Arc<Host>,
    /// What was decided and done.
    pub record: Arc<record::Stores>,
    /// What decisions rest on.
    pub facts: Arc<facts::Stores>,
    /// What people gave.
    pub grants: Arc<grants::Stores>,
    /// What was handed out.
    pub issue: Arc<issue::Stores>,
}

impl State {
    /// The state over a mount's storage. Touches neither storage nor host.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, system: Arc<dyn SystemView>, plugin: &str) -> Self {
        let host = Host::new(storage, system, plugin);
        let standby = Arc::clone(host.standby());
        Self {
            host: Arc::new(host),
            record: Arc::new(record::Stores::new(storage, &standby)),
            facts: Arc::new(facts::Stores::new(storage, &standby)),
            grants: Arc::new(grants::Stores::new(storage, &standby)),
            issue: Arc::new(issue::Stores::new(storage)),
        }
    }

    /// The context of a request.
    #[must_use]
    pub fn context(&self, request: Context) -> Cx {
        let host = host::Cx::new(Arc::clone(&self.host), request);
        let record = record::Cx::new(Arc::clone(&self.record), host);
        let facts = facts::Cx::new(Arc::clone(&self.facts), record);
        let grants = grants::Cx::new(Arc::clone(&self.grants), facts);
        issue::Cx::new(Arc::clone(&self.issue), grants)
    }

    /// Another node changed `key`: drops what it may have made stale.
    pub fn invalidate(&self, key: &str) {
        let known = self.facts.invalidate(key)
            || self.grants.invalidate(key)
            || self.issue.invalidate(key)
            || self.record.invalidate(key);
        if !known {
            tracing::debug!("another node changed a storage key that this release does not cache");
        }
    }
}

macro_rules! within {
    ($($wing:ty),*) => {$(
        impl Within<$wing> for Cx {
            fn wing(&self) -> &$wing {
                self
            }
        }
    )*};
}
within!(host::Cx, record::Cx, facts::Cx, grants::Cx, issue::Cx);
