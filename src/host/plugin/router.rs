//! Which service a call is for. Each knows its own methods.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::Service;

use crate::host::plugin::broker::Broker;
use crate::host::plugin::controller::{Controller, Stdio};
use crate::host::plugin::lifecycle::Lifecycle;
use crate::host::plugin::proto::goplugin::grpc_broker_server::GrpcBrokerServer;
use crate::host::plugin::proto::goplugin::grpc_controller_server::GrpcControllerServer;
use crate::host::plugin::proto::goplugin::grpc_stdio_server::GrpcStdioServer;
use crate::host::plugin::proto::logical::plugin_version_server::PluginVersionServer;
use crate::host::plugin::proto::multiplexing::plugin_multiplexing_server::PluginMultiplexingServer;
use crate::host::plugin::proto::pb::backend_server::BackendServer;
use crate::host::plugin::service::{Mounts, Multiplexing, Version};

/// All services of the process.
#[derive(Clone)]
pub(super) struct Router {
    backend: BackendServer<Mounts>,
    broker: GrpcBrokerServer<Arc<Broker>>,
    controller: GrpcControllerServer<Controller>,
    stdio: GrpcStdioServer<Stdio>,
    version: PluginVersionServer<Version>,
    multiplexing: PluginMultiplexingServer<Multiplexing>,
    health: HealthServer<HealthService>,
}

impl Router {
    /// The services around `mounts`. Messages may be as long as the host
    /// makes them; it has limits of its own, far above tonic's.
    pub(super) fn new(
        mounts: Mounts,
        broker: Arc<Broker>,
        lifecycle: Arc<Lifecycle>,
        health: HealthService,
    ) -> Self {
        let version = Version(mounts.version());
        Self {
            backend: BackendServer::new(mounts)
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX),
            broker: GrpcBrokerServer::new(broker),
            controller: GrpcControllerServer::new(Controller(lifecycle)),
            stdio: GrpcStdioServer::new(Stdio),
            version: PluginVersionServer::new(version),
            multiplexing: PluginMultiplexingServer::new(Multiplexing),
            health: HealthServer::new(health),
        }
    }
}

impl Service<Request<Body>> for Router {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut parts = request.uri().path().splitn(3, '/');
        let service = parts.nth(1).unwrap_or_default();
        match service {
            BackendServer::<Mounts>::NAME => self.backend.call(request),
            GrpcBrokerServer::<Arc<Broker>>::NAME => self.broker.call(request),
            GrpcControllerServer::<Controller>::NAME => self.controller.call(request),
            GrpcStdioServer::<Stdio>::NAME => self.stdio.call(request),
            PluginVersionServer::<Version>::NAME => self.version.call(request),
            PluginMultiplexingServer::<Multiplexing>::NAME => self.multiplexing.call(request),
            HealthServer::<HealthService>::NAME => self.health.call(request),
            _ => Box::pin(ready(Ok(
                Status::unimplemented("no such service").into_http()
            ))),
        }
    }
}
