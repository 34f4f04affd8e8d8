//! The host's word to end, and the streams it opens for our output.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::host::plugin::lifecycle::Lifecycle;
use crate::host::plugin::proto::goplugin::grpc_controller_server::GrpcController;
use crate::host::plugin::proto::goplugin::grpc_stdio_server::GrpcStdio;
use crate::host::plugin::proto::goplugin::{Empty, StdioData};

/// Ends the process when the host says so.
#[derive(Debug)]
pub(super) struct Controller(pub(super) Arc<Lifecycle>);

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.end();
        Ok(Response::new(Empty {}))
    }
}

/// Says nothing: what we have to say goes to the standard error stream, which
/// the host reads as its log. It expects the stream to stay open.
#[derive(Debug)]
pub(super) struct Stdio;

#[tonic::async_trait]
impl GrpcStdio for Stdio {
    type StreamStdioStream = tokio_stream::Pending<Result<StdioData, Status>>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(tokio_stream::pending()))
    }
}
