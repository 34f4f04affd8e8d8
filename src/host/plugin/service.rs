//! The mounts of this process, as the host calls them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use tonic::{Request, Response, Status};

use crate::host::framework::backend::{Backend, MountConfig, MountType};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::request::{Noted, Operation};
use crate::host::plugin::broker::Broker;
use crate::host::plugin::lifecycle::Lifecycle;
use crate::host::plugin::proto::{logical, multiplexing, pb};
use crate::host::plugin::storage::HostStorage;
use crate::host::plugin::system::HostSystem;
use crate::host::plugin::tls::Identity;
use crate::host::plugin::{Guest, client, convert};

/// A reply to the host.
type Answer<T> = std::result::Result<Response<T>, Status>;

/// Which mount a call is for. A host that does not multiplex leaves it out.
const MULTIPLEX_ID: &str = "multiplex_id";

/// All mounts of this process.
#[derive(Debug)]
pub(super) struct Mounts {
    guest: Guest,
    identity: Identity,
    broker: Arc<Broker>,
    lifecycle: Arc<Lifecycle>,
    by_id: RwLock<HashMap<String, Mount>>,
}

/// One mount, and how it is mounted.
#[derive(Clone, Debug)]
struct Mount {
    backend: Arc<dyn Backend>,
    mount_type: MountType,
}

impl Mounts {
    /// No mounts yet.
    pub(super) fn new(
        guest: Guest,
        identity: Identity,
        broker: Arc<Broker>,
        lifecycle: Arc<Lifecycle>,
    ) -> Self {
        Self {
            guest,
            identity,
            broker,
            lifecycle,
            by_id: RwLock::default(),
        }
    }

    /// The version of the plugin.
    pub(super) const fn version(&self) -> &'static str {
        self.guest.version
    }

    /// The mount that `request` is for.
    fn of<T>(&self, request: &Request<T>) -> std::result::Result<Mount, Status> {
        self.by_id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(multiplex_id(request))
            .cloned()
            .ok_or_else(|| Status::failed_precondition("this mount is not set up"))
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, Mount>)) {
        let mut mounts = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut mounts);
        self.lifecycle.mounts(mounts.len());
    }

    /// Makes a mount. Neither storage nor system view may be used yet: when
    /// the host only registers a plugin, it has none to offer.
    async fn set_up(&self, id: String, args: pb::SetupArgs) -> std::result::Result<(), String> {
        let mount_type = self.mount_type(args.config.get("plugin_type").map(String::as_str))?;
        let address = self
            .broker
            .take(args.broker_id)
            .await
            .ok_or("the host did not say where its storage is")?;
        let channel = client::dial(&self.identity, address)
            .await
            .map_err(|error| error.to_string())?;
        let config = MountConfig {
            mount_type,
            uuid: args.backend_uuid,
            plugin: args.config.get("plugin_name").cloned().unwrap_or_default(),
        };
        let storage = Arc::new(HostStorage::new(channel.clone()));
        let system = Arc::new(HostSystem::new(channel));
        let mount = Mount {
            backend: self.guest.factory.mount(config, storage, system),
            mount_type,
        };
        self.change(|mounts| {
            mounts.insert(id, mount);
        });
        Ok(())
    }

    /// How the host mounts us. It says so at a mount, not at a registration;
    /// there the catalog's arguments decide.
    fn mount_type(&self, said: Option<&str>) -> std::result::Result<MountType, String> {
        let said = match said {
            None | Some("") => None,
            Some("secret") => Some(MountType::Secrets),
            Some("auth") => Some(MountType::Auth),
            Some(other) => {
                return Err(format!(
                    "the host mounts this plugin as `{other}`; it can be `secret` or `auth`"
                ));
            }
        };
        match (said, self.guest.mount_type) {
            (Some(said), Some(args)) if said != args => Err(format!(
                "the host mounts this plugin as {}, but its arguments in the catalog say {}; \
                 register it once for each type, with `--type=secrets` or `--type=auth`",
                name(said),
                name(args)
            )),
            (said, args) => Ok(said.or(args).unwrap_or(MountType::Secrets)),
        }
    }

    /// Awaits `work` where the host cannot interrupt it. A panic is our fault,
    /// and the fault of this one request only.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let ended = self.lifecycle.run(work).await;
        ended.unwrap_or_else(|error| {
            let how = if error.is_panic() {
                "panicked"
            } else {
                "was cancelled"
            };
            Err(Error::Internal(format!("a handler {how}")))
        })
    }
}

const fn name(mount_type: MountType) -> &'static str {
    match mount_type {
        MountType::Secrets => "a secrets engine",
        MountType::Auth => "an auth method",
    }
}

fn multiplex_id<T>(request: &Request<T>) -> &str {
    request
        .metadata()
        .get(MULTIPLEX_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
}

#[tonic::async_trait]
impl pb::backend_server::Backend for Mounts {
    async fn handle_request(
        &self,
        request: Request<pb::HandleRequestArgs>,
    ) -> Answer<pb::HandleRequestReply> {
        let wire = request.get_ref().request.as_ref();
        let Some(operation) = wire.and_then(|wire| convert::operation(&wire.operation)) else {
            return Ok(Response::new(convert::unsupported()));
        };
        let mount = self.of(&request)?;
        let wire = request.into_inner().request.unwrap_or_default();
        let id = wire.id.clone();
        // Nobody but a renewal has a login to say again.
        let held = (operation == Operation::Renew)
            .then(|| wire.auth.clone())
            .flatten();
        let mut noted = Noted::default();
        let outcome = match convert::request(operation, wire) {
            Ok(request) => {
                noted = request.noted.clone();
                self.finish(async move { mount.backend.handle(request).await })
                    .await
            }
            Err(error) => Err(error),
        };
        let reply = convert::reply(operation, &id, outcome, &noted.take());
        Ok(Response::new(convert::renewed(reply, held)))
    }

    async fn handle_existence_check(
        &self,
        request: Request<pb::HandleExistenceCheckArgs>,
    ) -> Answer<pb::HandleExistenceCheckReply> {
        let wire = request.get_ref().request.as_ref();
        let operation = wire
            .and_then(|wire| convert::operation(&wire.operation))
            .filter(|operation| matches!(operation, Operation::Create | Operation::Update));
        let Some(operation) = operation.filter(|_| !wire.is_none_or(convert::is_too_long)) else {
            // What is too long, the request itself will be told.
            return Ok(Response::new(pb::HandleExistenceCheckReply::default()));
        };
        let mount = self.of(&request)?;
        let wire = request.into_inner().request.unwrap_or_default();
        let id = wire.id.clone();
        let outcome = match convert::request(operation, wire) {
            Ok(request) => {
                self.finish(async move { mount.backend.exists(request).await })
                    .await
            }
            Err(error) => Err(error),
        };
        Ok(Response::new(convert::existence(&id, outcome)))
    }

    async fn special_paths(&self, request: Request<pb::Empty>) -> Answer<pb::SpecialPathsReply> {
        let special = self.of(&request)?.backend.special_paths();
        let paths = Some(pb::Paths {
            root: special.root,
            unauthenticated: special.unauthenticated,
            seal_wrap_storage: special.seal_wrap_storage,
            ..pb::Paths::default()
        });
        Ok(Response::new(pb::SpecialPathsReply { paths }))
    }

    async fn r#type(&self, request: Request<pb::Empty>) -> Answer<pb::TypeReply> {
        let r#type = self.of(&request)?.mount_type as u32;
        Ok(Response::new(pb::TypeReply { r#type }))
    }

    async fn setup(&self, request: Request<pb::SetupArgs>) -> Answer<pb::SetupReply> {
        let id = multiplex_id(&request).to_owned();
        let err = match self.set_up(id, request.into_inner()).await {
            Ok(()) => String::new(),
            Err(text) => text,
        };
        Ok(Response::new(pb::SetupReply { err }))
    }

    async fn initialize(
        &self,
        request: Request<pb::InitializeArgs>,
    ) -> Answer<pb::InitializeReply> {
        let mount = self.of(&request)?;
        let outcome = self
            .finish(async move { mount.backend.initialize().await })
            .await;
        Ok(Response::new(pb::InitializeReply {
            err: outcome.err().map(convert::plain_error),
        }))
    }

    async fn invalidate_key(&self, request: Request<pb::InvalidateKeyArgs>) -> Answer<pb::Empty> {
        let mount = self.of(&request)?;
        let key = request.into_inner().key;
        self.finish(async move {
            mount.backend.invalidate(&key).await;
            Ok(())
        })
        .await
        .map_err(|_| Status::internal("internal error"))?;
        Ok(Response::new(pb::Empty {}))
    }

    /// Forgets the mount. The host does this twice when it unmounts.
    async fn cleanup(&self, request: Request<pb::Empty>) -> Answer<pb::Empty> {
        let id = multiplex_id(&request);
        let mut forgotten = None;
        self.change(|mounts| forgotten = mounts.remove(id));
        if let Some(mount) = forgotten {
            let ended = async move {
                mount.backend.cleanup().await;
                Ok(())
            };
            // Whatever became of it, the mount is gone.
            let _ = self.finish(ended).await;
        }
        Ok(Response::new(pb::Empty {}))
    }
}

/// Says which version this is.
#[derive(Debug)]
pub(super) struct Version(pub(super) &'static str);

#[tonic::async_trait]
impl logical::plugin_version_server::PluginVersion for Version {
    async fn version(&self, _: Request<logical::Empty>) -> Answer<logical::VersionReply> {
        Ok(Response::new(logical::VersionReply {
            plugin_version: self.0.to_owned(),
        }))
    }
}

/// Says that one process serves many mounts.
#[derive(Debug)]
pub(super) struct Multiplexing;

#[tonic::async_trait]
impl multiplexing::plugin_multiplexing_server::PluginMultiplexing for Multiplexing {
    async fn multiplexing_support(
        &self,
        _: Request<multiplexing::MultiplexingSupportRequest>,
    ) -> Answer<multiplexing::MultiplexingSupportResponse> {
        Ok(Response::new(multiplexing::MultiplexingSupportResponse {
            supported: true,
        }))
    }
}
