//! The process: a go-plugin guest over gRPC. Everything that knows the host's
//! wire is here, and nothing else is.
//!
//! A process lives like this. `handshake` reads what the host says in the
//! environment and prints one line; `listener` lets in the one host whose
//! certificate was in that environment; `service` serves its mounts, each
//! with a connection of its own back to the host's storage, found by
//! `broker`; `lifecycle` ends it all, whoever dies first.

mod broker;
mod client;
mod controller;
mod convert;
mod handshake;
mod lifecycle;
mod listener;
mod process;
mod proto;
mod router;
mod service;
mod storage;
mod system;
mod tls;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use crate::host::framework::backend::{Factory, MountType};
use crate::host::plugin::broker::Broker;
pub use crate::host::plugin::handshake::Environment;
use crate::host::plugin::lifecycle::Lifecycle;
use crate::host::plugin::listener::Listener;
use crate::host::plugin::router::Router;
use crate::host::plugin::service::Mounts;
use crate::host::plugin::tls::Identity;

/// How long a process without any mount lives. A host that loses interest
/// while it starts a plugin leaks the process, connected and never set up.
const IDLE: Duration = Duration::from_secs(60);

/// How many aborted calls the connection survives. A host aborts a call
/// whenever its own client hangs up, which anybody can do thousands of times;
/// h2's default of 20 would end the only connection the host ever makes.
const RESETS: usize = 1_000_000;

/// Why the process did not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Nobody who speaks the protocol started us.
    #[error("not started by a plugin host")]
    NoHost,
    /// The host speaks other versions of the protocol only.
    #[error("the host offers plugin protocol versions `{0}`; this plugin speaks version 5")]
    Protocol(String),
    /// The host does not identify itself.
    #[error("the host sent no certificate in PLUGIN_CLIENT_CERT; this plugin needs AutoMTLS")]
    NoCertificate,
    /// The host's certificate is not one.
    #[error("PLUGIN_CLIENT_CERT is not a PEM certificate: {0}")]
    BadCertificate(String),
    /// Our own certificate, or the use of it, failed.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The socket, the signals or the standard output failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What came of it.
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Server(#[from] tonic::transport::Error),
}

/// What is served, and under which terms.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Makes the mounts.
    pub factory: Arc<dyn Factory>,
    /// How the catalog's arguments say we are mounted.
    pub mount_type: Option<MountType>,
    /// A semantic version with a leading `v`.
    pub version: &'static str,
    /// How long to live without a mount.
    pub idle: Duration,
}

/// Serves the host that started this process until it wants no more.
///
/// # Errors
/// If no host started us, or serving it is impossible.
pub async fn serve(
    factory: Arc<dyn Factory>,
    mount_type_from_args: Option<MountType>,
    version: &'static str,
) -> Result<(), ServeError> {
    let environment = Environment::of_process()?;
    let guest = Guest {
        factory,
        mount_type: mount_type_from_args,
        version,
        idle: IDLE,
    };
    let orders = process::Orders::heed()?;
    serve_host(&environment, guest, &mut std::io::stdout(), orders.end()).await
}

/// Serves one host, whose `environment` need not be the process's, and
/// announces where on `out`; until the host ends it, or `orders` do. The
/// socket is gone when this returns, or is dropped.
///
/// # Errors
/// If serving is impossible.
pub async fn serve_host(
    environment: &Environment,
    guest: Guest,
    out: &mut (dyn Write + Send),
    orders: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let identity = Identity::generate(environment.host_certificate.clone())?;
    let listener = Listener::bind(&environment.socket_dir)?;
    handshake::announce(listener.path(), identity.certificate(), out)?;

    let idle = guest.idle;
    let lifecycle = Arc::new(Lifecycle::default());
    let broker = Arc::new(Broker::new(Arc::clone(&lifecycle)));
    let mounts = Mounts::new(
        guest,
        identity.clone(),
        Arc::clone(&broker),
        Arc::clone(&lifecycle),
    );
    let reporter = HealthReporter::new();
    reporter
        .set_service_status("plugin", ServingStatus::Serving)
        .await;
    let health = HealthService::from_health_reporter(reporter);

    let router = Router::new(mounts, broker, Arc::clone(&lifecycle), health);
    let server = Server::builder()
        .http2_max_pending_accept_reset_streams(Some(RESETS))
        .http2_max_local_error_reset_streams(Some(RESETS))
        .serve_with_incoming(router, listener.connections(identity.acceptor()?));

    tokio::select! {
        ended = server => ended?,
        () = lifecycle.over(idle, orders) => {}
    }
    Ok(())
}
