//! What the process side needs of a mount: the seam between `plugin`, which
//! knows the wire, and everything else, which does not.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::host::framework::error::Result;
use crate::host::framework::request::Request;
use crate::host::framework::response::Response;
use crate::host::framework::storage::Storage;
use crate::host::framework::system::SystemView;

/// The two ways in which the host mounts us. The numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MountType {
    /// A secrets engine.
    Secrets = 1,
    /// An auth method.
    Auth = 2,
}

/// Paths that the host treats specially, in its own notation (`*` at the end,
/// `+` for a segment).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialPaths {
    /// Need `sudo`.
    pub root: Vec<String>,
    /// Need no token.
    pub unauthenticated: Vec<String>,
    /// Storage that the seal wraps once more.
    pub seal_wrap_storage: Vec<String>,
}

/// What the host says when it sets a mount up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountConfig {
    /// How it is mounted.
    pub mount_type: MountType,
    /// The mount's identity, stable over reloads and restarts.
    pub uuid: String,
    /// What the catalog calls this plugin, which is the type of its mounts.
    pub plugin: String,
}

/// One mount.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug {
    /// Which paths the host must treat specially.
    fn special_paths(&self) -> SpecialPaths;

    /// Prepares the mount. Storage may be read-only; may be called again.
    ///
    /// # Errors
    /// Only what makes serving unsafe.
    async fn initialize(&self) -> Result<()>;

    /// Serves one request. `None`: nothing to say.
    ///
    /// # Errors
    /// Whatever the caller, the host or we did wrong.
    async fn handle(&self, request: Request) -> Result<Option<Response>>;

    /// Whether what a write names exists already; `None` where that does not
    /// matter. Reads only.
    ///
    /// # Errors
    /// If the host cannot be asked.
    async fn exists(&self, request: Request) -> Result<Option<bool>>;

    /// Another node changed this key of our storage.
    async fn invalidate(&self, key: &str);

    /// The host is about to forget the mount: it is unmounted, reloaded, sealed
    /// or changes its part in a cluster. May be called again; storage may be
    /// gone.
    async fn cleanup(&self);
}

/// Makes mounts.
pub trait Factory: Send + Sync + fmt::Debug {
    /// Makes a mount. Must touch neither storage nor system view yet.
    fn mount(
        &self,
        config: MountConfig,
        storage: Arc<dyn Storage>,
        system: Arc<dyn SystemView>,
    ) -> Arc<dyn Backend>;
}
