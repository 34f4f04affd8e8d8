//! What the host keeps for a mount: storage and a system view, with the
//! faults and gaps that hosts have.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::host::grpc;
use crate::wire::{logical, pb};

type Answer<T> = Result<Response<T>, Status>;
type Pending = Vec<(String, Option<Vec<u8>>)>;

/// One mount's storage.
#[derive(Default)]
pub struct Store {
    pub entries: Mutex<BTreeMap<String, Vec<u8>>>,
    pub open: Mutex<HashMap<String, Pending>>,
    pub transactions: AtomicUsize,
    /// HashiCorp Vault: neither pages nor transactions.
    pub plain: bool,
    /// The text with which writes to keys that begin so are refused.
    pub refuse: Option<(&'static str, &'static str)>,
    /// The text with which every call fails, as a status.
    pub broken: Option<&'static str>,
    pub state: i32,
    pub calls: Mutex<Vec<&'static str>>,
}

impl Store {
    fn called(&self, what: &'static str) -> Result<(), Status> {
        self.calls.lock().unwrap().push(what);
        self.broken
            .map_or(Ok(()), |text| Err(Status::unknown(text)))
    }

    fn extended(&self, what: &'static str) -> Result<(), Status> {
        self.called(what)?;
        if self.plain {
            return Err(Status::unimplemented("unknown method"));
        }
        Ok(())
    }

    fn write(&self, key: String, value: Option<Vec<u8>>, txn: &str) -> String {
        if let Some((prefix, text)) = self.refuse
            && key.starts_with(prefix)
        {
            return text.to_owned();
        }
        match self.open.lock().unwrap().get_mut(txn) {
            Some(pending) => pending.push((key, value)),
            None => self.apply(key, value),
        }
        String::new()
    }

    fn apply(&self, key: String, value: Option<Vec<u8>>) {
        let mut entries = self.entries.lock().unwrap();
        match value {
            Some(value) => entries.insert(key, value),
            None => entries.remove(&key),
        };
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let mut keys: Vec<String> = entries
            .keys()
            .filter_map(|key| key.strip_prefix(prefix))
            .map(|rest| match rest.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => rest.to_owned(),
            })
            .collect();
        keys.dedup();
        keys
    }
}

/// Serves `store` on one socket, as a host's broker does.
pub async fn serve_store(listener: UnixListener, acceptor: TlsAcceptor, store: Arc<Store>) {
    let (sender, incoming) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let stream = Connection(Box::new(stream));
                let _ = sender.send(Ok::<_, std::io::Error>(stream)).await;
            }
        }
    });
    let storage = pb::storage_server::StorageServer::new(Served(Arc::clone(&store)))
        .max_decoding_message_size(usize::MAX);
    let system = pb::system_view_server::SystemViewServer::new(Served(store));
    let both = Both { storage, system };
    let _ = grpc()
        .serve_with_incoming(both, ReceiverStream::new(incoming))
        .await;
}

#[derive(Clone)]
struct Both {
    storage: pb::storage_server::StorageServer<Served>,
    system: pb::system_view_server::SystemViewServer<Served>,
}

impl tower::Service<http::Request<tonic::body::Body>> for Both {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = tonic::codegen::BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        if request.uri().path().starts_with("/pb.Storage/") {
            self.storage.call(request)
        } else {
            self.system.call(request)
        }
    }
}

struct Connection(Box<tokio_rustls::server::TlsStream<tokio::net::UnixStream>>);

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl tokio::io::AsyncRead for Connection {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut *self.0).poll_read(cx, buffer)
    }
}

impl tokio::io::AsyncWrite for Connection {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

#[derive(Clone)]
struct Served(Arc<Store>);

#[tonic::async_trait]
impl pb::storage_server::Storage for Served {
    async fn list(&self, request: Request<pb::StorageListArgs>) -> Answer<pb::StorageListReply> {
        self.0.called("list")?;
        Ok(Response::new(pb::StorageListReply {
            keys: self.0.keys(&request.into_inner().prefix),
            err: String::new(),
        }))
    }

    async fn list_page(
        &self,
        request: Request<pb::StorageListPageArgs>,
    ) -> Answer<pb::StorageListReply> {
        self.0.extended("page")?;
        let args = request.into_inner();
        let mut keys = self.0.keys(&args.prefix);
        keys.retain(|key| *key > args.after);
        if args.limit > 0 {
            keys.truncate(args.limit.unsigned_abs() as usize);
        }
        Ok(Response::new(pb::StorageListReply {
            keys,
            err: String::new(),
        }))
    }

    async fn get(&self, request: Request<pb::StorageGetArgs>) -> Answer<pb::StorageGetReply> {
        self.0.called("get")?;
        let key = request.into_inner().key;
        let value = self.0.entries.lock().unwrap().get(&key).cloned();
        Ok(Response::new(pb::StorageGetReply {
            entry: value.map(|value| pb::StorageEntry {
                key,
                value,
                seal_wrap: false,
            }),
            err: String::new(),
        }))
    }

    async fn put(&self, request: Request<pb::StoragePutArgs>) -> Answer<pb::StoragePutReply> {
        self.0.called("put")?;
        let args = request.into_inner();
        let entry = args.entry.unwrap();
        let err = self.0.write(entry.key, Some(entry.value), &args.txn);
        Ok(Response::new(pb::StoragePutReply { err }))
    }

    async fn delete(
        &self,
        request: Request<pb::StorageDeleteArgs>,
    ) -> Answer<pb::StorageDeleteReply> {
        self.0.called("delete")?;
        let args = request.into_inner();
        let err = self.0.write(args.key, None, &args.txn);
        Ok(Response::new(pb::StorageDeleteReply { err }))
    }

    async fn is_transactional(
        &self,
        _: Request<pb::Empty>,
    ) -> Answer<pb::StorageIsTransactionalReply> {
        self.0.extended("is_transactional")?;
        Ok(Response::new(pb::StorageIsTransactionalReply {
            transactional: true,
        }))
    }

    async fn begin_read_only_tx(&self, _: Request<pb::Empty>) -> Answer<pb::StorageBeginTxReply> {
        Err(Status::unimplemented("not used"))
    }

    async fn begin_tx(&self, _: Request<pb::Empty>) -> Answer<pb::StorageBeginTxReply> {
        self.0.extended("begin")?;
        let count = self.0.transactions.fetch_add(1, Ordering::Relaxed);
        let txn = format!("txn {count}");
        let mut open = self.0.open.lock().unwrap();
        open.insert(txn.clone(), Vec::new());
        Ok(Response::new(pb::StorageBeginTxReply {
            txn,
            err: String::new(),
        }))
    }

    async fn commit(
        &self,
        request: Request<pb::StorageCommitTxArgs>,
    ) -> Answer<pb::StorageCommitTxReply> {
        self.0.extended("commit")?;
        let txn = request.into_inner().txn;
        let pending = self.0.open.lock().unwrap().remove(&txn).unwrap();
        for (key, value) in pending {
            self.0.apply(key, value);
        }
        Ok(Response::new(pb::StorageCommitTxReply {
            err: String::new(),
        }))
    }

    async fn rollback(
        &self,
        request: Request<pb::StorageRollbackTxArgs>,
    ) -> Answer<pb::StorageRollbackTxReply> {
        self.0.extended("rollback")?;
        let txn = request.into_inner().txn;
        self.0.open.lock().unwrap().remove(&txn);
        Ok(Response::new(pb::StorageRollbackTxReply {
            err: String::new(),
        }))
    }
}

#[tonic::async_trait]
impl pb::system_view_server::SystemView for Served {
    async fn default_lease_ttl(&self, _: Request<pb::Empty>) -> Answer<pb::TtlReply> {
        Ok(Response::new(pb::TtlReply {
            ttl: 60_000_000_000,
        }))
    }

    async fn max_lease_ttl(&self, _: Request<pb::Empty>) -> Answer<pb::TtlReply> {
        Ok(Response::new(pb::TtlReply {
            ttl: 3_600_000_000_000,
        }))
    }

    async fn replication_state(&self, _: Request<pb::Empty>) -> Answer<pb::ReplicationStateReply> {
        Ok(Response::new(pb::ReplicationStateReply {
            state: self.0.state,
        }))
    }

    async fn local_mount(&self, _: Request<pb::Empty>) -> Answer<pb::LocalMountReply> {
        Ok(Response::new(pb::LocalMountReply { local: false }))
    }

    async fn entity_info(
        &self,
        request: Request<pb::EntityInfoArgs>,
    ) -> Answer<pb::EntityInfoReply> {
        let id = request.into_inner().entity_id;
        Ok(Response::new(pb::EntityInfoReply {
            entity: (id == "known").then(|| logical::Entity {
                id,
                name: "bob".to_owned(),
                disabled: true,
                ..logical::Entity::default()
            }),
            err: String::new(),
        }))
    }

    async fn plugin_env(&self, _: Request<pb::Empty>) -> Answer<pb::PluginEnvReply> {
        Ok(Response::new(pb::PluginEnvReply {
            plugin_environment: Some(logical::PluginEnvironment {
                vault_version: "2.7.2".to_owned(),
                ..logical::PluginEnvironment::default()
            }),
            err: String::new(),
        }))
    }

    async fn groups_for_entity(
        &self,
        _: Request<pb::EntityInfoArgs>,
    ) -> Answer<pb::GroupsForEntityReply> {
        Ok(Response::new(pb::GroupsForEntityReply {
            groups: vec![logical::Group {
                name: "ops".to_owned(),
                ..logical::Group::default()
            }],
            err: String::new(),
        }))
    }
}
