//! The ground: the process, the wire, the path framework, and what the server says of
//! the mount.

pub mod framework;
pub mod plugin;
pub mod telemetry;
mod wing;

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::host::framework::error::Result;
use crate::host::framework::request::Context;
use crate::host::framework::storage::Storage;
use crate::host::framework::system::SystemView;
use crate::model::time::Ttl;

pub(crate) use wing::wing;

/// How long an answer of the host about the mount's longest lease is trusted.
/// The host tells nobody when an operator tunes it.
const LEASE_LIMIT_TRUST: Duration = Duration::from_secs(5);

/// What the catalog calls this plugin, where the host does not say.
const PLUGIN: &str = "agentic";

/// What the server is to one mount.
#[derive(Debug)]
pub struct Host {
    /// The storage of the mount, for what no store keeps.
    pub storage: Arc<dyn Storage>,
    /// The host's view.
    pub system: Arc<dyn SystemView>,
    /// What the catalog calls this plugin, which is the type of its mounts.
    pub plugin: String,
    standby: Arc<AtomicBool>,
    lease_limit: Mutex<Option<(Instant, Ttl)>>,
}

impl Host {
    /// The host of a mount. Asks it nothing.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, system: Arc<dyn SystemView>, plugin: &str) -> Self {
        Self {
            storage: Arc::clone(storage),
            system,
            plugin: if plugin.is_empty() { PLUGIN } else { plugin }.to_owned(),
            // Until the host has said otherwise, what is read is not trusted for long.
            standby: Arc::new(AtomicBool::new(true)),
            lease_limit: Mutex::new(None),
        }
    }

    /// Whether this node only reads, for stores to look at.
    #[must_use]
    pub const fn standby(&self) -> &Arc<AtomicBool> {
        &self.standby
    }

    /// Says whether this node only reads. The host makes a new instance when
    /// that changes.
    pub fn set_standby(&self, yes: bool) {
        self.standby.store(yes, Ordering::Relaxed);
    }

    /// Whether this node only reads, or has not asked yet.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.standby.load(Ordering::Relaxed)
    }

    /// The longest lease that the host allows this mount, at most five seconds
    /// old.
    ///
    /// # Errors
    /// If the host does not say.
    pub async fn lease_limit(&self) -> Result<Ttl> {
        let known = *self
            .lease_limit
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, limit)) = known.filter(|(since, _)| since.elapsed() < LEASE_LIMIT_TRUST) {
            return Ok(limit);
        }
        let limit = self.system.max_lease_ttl().await?;
        *self
            .lease_limit
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), limit));
        Ok(limit)
    }
}

/// The context of a request on this wing: the request itself, and the host.
#[derive(Debug)]
pub struct Cx {
    /// The host.
    pub host: Arc<Host>,
    request: Context,
}

impl Cx {
    /// The context of a request on a mount.
    #[must_use]
    pub const fn new(host: Arc<Host>, request: Context) -> Self {
        Self { host, request }
    }

    /// Whether this node only reads, or has not asked yet.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.host.is_standby()
    }

    /// The longest lease that the host allows this mount.
    ///
    /// # Errors
    /// If the host does not say.
    pub async fn lease_limit(&self) -> Result<Ttl> {
        self.host.lease_limit().await
    }

    /// The same request later, see [`Context::resumed`].
    #[must_use]
    pub fn resumed(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            request: self.request.resumed(),
        }
    }
}

impl Deref for Cx {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.request
    }
}
