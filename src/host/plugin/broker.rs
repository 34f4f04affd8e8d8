//! Where the host serves a mount's storage and system view.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tonic::{Request, Response, Status, Streaming};

use crate::host::plugin::lifecycle::Lifecycle;
use crate::host::plugin::proto::goplugin::ConnInfo;
use crate::host::plugin::proto::goplugin::grpc_broker_server::GrpcBroker;

/// How long a setup waits for the address that belongs to it.
const WAIT: Duration = Duration::from_secs(5);

/// The addresses the host has announced. One comes for each setup, before it
/// or after it, since it travels on another stream.
#[derive(Debug)]
pub(super) struct Broker {
    addresses: Mutex<HashMap<u32, ConnInfo>>,
    arrived: Notify,
    lifecycle: Arc<Lifecycle>,
}

impl Broker {
    /// A broker that has heard nothing yet.
    pub(super) fn new(lifecycle: Arc<Lifecycle>) -> Self {
        Self {
            addresses: Mutex::default(),
            arrived: Notify::new(),
            lifecycle,
        }
    }

    /// Takes the address announced as `id`, once.
    pub(super) async fn take(&self, id: u32) -> Option<ConnInfo> {
        tokio::time::timeout(WAIT, async {
            loop {
                let mut arrival = std::pin::pin!(self.arrived.notified());
                arrival.as_mut().enable();
                if let Some(address) = self.addresses().remove(&id) {
                    return address;
                }
                arrival.await;
            }
        })
        .await
        .ok()
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, HashMap<u32, ConnInfo>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl GrpcBroker for Arc<Broker> {
    type StartStreamStream = tokio_stream::Pending<Result<ConnInfo, Status>>;

    /// Listens for announcements as long as the host lives. It opens this
    /// stream once and never again, so its end is the end of the process. We
    /// announce nothing ourselves; our side stays open and silent.
    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let mut announcements = request.into_inner();
        let broker = Self::clone(self);
        tokio::spawn(async move {
            while let Ok(Some(address)) = announcements.message().await {
                broker.addresses().insert(address.service_id, address);
                broker.arrived.notify_waiters();
            }
            broker.lifecycle.end();
        });
        Ok(Response::new(tokio_stream::pending()))
    }
}
