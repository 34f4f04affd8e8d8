//! A go-plugin host, as small as it can be: it starts the plugin, in a process
//! or in this one, connects with mutual TLS, and mounts.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    version::TLS13,
};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status};
use vault_plugin_agentic::host::framework::backend::{Factory, MountType};
use vault_plugin_agentic::host::plugin::{Environment, Guest, ServeError, serve_host};

use crate::store::{Store, serve_store};
use crate::wire::goplugin::grpc_broker_client::GrpcBrokerClient;
use crate::wire::goplugin::grpc_stdio_client::GrpcStdioClient;
use crate::wire::goplugin::{ConnInfo, StdioData};
use crate::wire::pb;
use crate::wire::pb::backend_client::BackendClient;

pub const MAGIC: &str = "6669da05-b1c8-4f49-97d9-c8e5bed98e20";

/// A certificate and the key that goes with it, or one that does not.
#[derive(Clone)]
pub struct Credentials {
    pub certificate: CertificateDer<'static>,
    pub key: Arc<CertifiedKey>,
    pub pem: String,
}

impl Credentials {
    pub fn generate() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let base64 = base64::engine::general_purpose::STANDARD.encode(certificate.der());
        Self {
            certificate: certificate.der().clone(),
            key: Self::certified(certificate.der().clone(), &key),
            pem: format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n"),
        }
    }

    /// The same certificate, with a key that somebody else has.
    pub fn without_its_key(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            key: Self::certified(self.certificate.clone(), &key),
            ..self.clone()
        }
    }

    fn certified(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<CertifiedKey> {
        let der = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let signer = ring::sign::any_supported_type(&der).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate], signer))
    }
}

/// The host's end of everything.
pub struct Host {
    pub credentials: Credentials,
    pub dir: TempDir,
}

impl Host {
    pub fn new() -> Self {
        Self {
            credentials: Credentials::generate(),
            dir: TempDir::new().unwrap(),
        }
    }

    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("VAULT_BACKEND_PLUGIN", MAGIC.into()),
            ("PLUGIN_PROTOCOL_VERSIONS", "5".into()),
            ("PLUGIN_CLIENT_CERT", self.credentials.pem.clone().into()),
            ("TMPDIR", self.dir.path().into()),
        ]
    }

    /// Starts the real binary.
    pub async fn spawn(self) -> Running {
        let mut child = command(&self.env()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).await.unwrap();
        Running::new(self, &line, Plugin::Process(Box::new(child)))
    }

    /// Serves `factory` in this process.
    pub async fn serve(self, factory: Arc<dyn Factory>) -> Running {
        self.serve_as(factory, None, Duration::from_secs(60)).await
    }

    pub async fn serve_as(
        self,
        factory: Arc<dyn Factory>,
        mount_type: Option<MountType>,
        idle: Duration,
    ) -> Running {
        let env = self.env();
        let lookup = |name: &str| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.clone())
        };
        let environment = Environment::read(lookup).unwrap();
        let guest = Guest {
            factory,
            mount_type,
            version: "v1.2.3",
            idle,
        };
        let (sender, mut lines) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            serve_host(
                &environment,
                guest,
                &mut Announced(sender),
                std::future::pending(),
            )
            .await
        });
        let line = lines.recv().await.unwrap();
        Running::new(self, &line, Plugin::Task(task))
    }
}

pub fn command(env: &[(&'static str, OsString)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vault-plugin-agentic"));
    command
        .env_clear()
        .envs(env.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

struct Announced(mpsc::UnboundedSender<String>);

impl Write for Announced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.send(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

enum Plugin {
    Process(Box<Child>),
    Task(JoinHandle<Result<(), ServeError>>),
}

/// A plugin that has announced itself.
pub struct Running {
    pub host: Host,
    pub fields: Vec<String>,
    pub socket: PathBuf,
    pub certificate: CertificateDer<'static>,
    plugin: Plugin,
}

impl Running {
    fn new(host: Host, line: &str, plugin: Plugin) -> Self {
        assert!(line.ends_with('\n'), "{line:?}");
        let fields: Vec<String> = line.trim_end().split('|').map(str::to_owned).collect();
        let der = base64::engine::general_purpose::STANDARD_NO_PAD
            .decode(&fields[5])
            .unwrap();
        Self {
            host,
            socket: PathBuf::from(&fields[3]),
            fields,
            certificate: der.into(),
            plugin,
        }
    }

    pub fn pid(&self) -> u32 {
        match &self.plugin {
            Plugin::Process(child) => child.id().unwrap(),
            Plugin::Task(_) => panic!("not a process"),
        }
    }

    /// Waits for the plugin's end; what a process wrote to its log.
    pub async fn ended(self) -> (Host, String) {
        let mut log = String::new();
        let end = async {
            match self.plugin {
                Plugin::Process(mut child) => {
                    let mut stderr = child.stderr.take().unwrap();
                    stderr.read_to_string(&mut log).await.unwrap();
                    assert!(child.wait().await.unwrap().success(), "{log}");
                }
                Plugin::Task(task) => task.await.unwrap().unwrap(),
            }
        };
        tokio::time::timeout(Duration::from_secs(8), end)
            .await
            .expect("the plugin should have ended");
        (self.host, log)
    }

    /// Whether nothing lies around in the directory for sockets.
    pub fn left_behind(host: &Host) -> Vec<PathBuf> {
        std::fs::read_dir(host.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with("broker"))
            .collect()
    }

    /// Connects as whoever has `credentials`, if anybody.
    pub async fn connect(&self, credentials: Option<&Credentials>) -> Result<Channel, String> {
        connect(&self.socket, &self.certificate, credentials).await
    }

    /// Connects as the host, and opens the streams that a host opens.
    pub async fn open(&self) -> Session {
        let channel = self.connect(Some(&self.host.credentials)).await.unwrap();
        let (announce, announcements) = mpsc::channel(16);
        let broker = GrpcBrokerClient::new(channel.clone())
            .start_stream(ReceiverStream::new(announcements))
            .await
            .unwrap()
            .into_inner();
        let stdio = GrpcStdioClient::new(channel.clone())
            .stream_stdio(())
            .await
            .unwrap()
            .into_inner();
        Session {
            backend: BackendClient::new(channel.clone())
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX),
            channel,
            announce,
            broker,
            stdio,
            credentials: self.host.credentials.clone(),
            plugin: self.certificate.clone(),
            dir: self.host.dir.path().join("broker"),
            next: AtomicU32::new(1),
        }
    }
}

/// A connected host.
pub struct Session {
    pub channel: Channel,
    pub backend: BackendClient<Channel>,
    pub announce: mpsc::Sender<ConnInfo>,
    pub broker: tonic::Streaming<ConnInfo>,
    pub stdio: tonic::Streaming<StdioData>,
    credentials: Credentials,
    plugin: CertificateDer<'static>,
    dir: PathBuf,
    next: AtomicU32,
}

impl Session {
    pub async fn mount(&self, id: &str) -> Mount {
        self.mount_with(id, Store::default()).await
    }

    pub async fn mount_with(&self, id: &str, store: Store) -> Mount {
        let store = Arc::new(store);
        let broker_id = self.offer(&store).await;
        let err = self
            .set_up(id, broker_id, &[("plugin_type", "secret")])
            .await;
        assert_eq!(err, "");
        Mount {
            backend: self.backend.clone(),
            id: id.to_owned(),
            store,
        }
    }

    /// Serves `store` and says where.
    pub async fn offer(&self, store: &Arc<Store>) -> u32 {
        let (id, address) = self.listen(store);
        self.announce.send(address).await.unwrap();
        id
    }

    /// Serves `store` without saying where.
    pub fn listen(&self, store: &Arc<Store>) -> (u32, ConnInfo) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        std::fs::create_dir_all(&self.dir).unwrap();
        let path = self.dir.join(id.to_string());
        let listener = UnixListener::bind(&path).unwrap();
        let acceptor = acceptor(&self.credentials, &self.plugin);
        tokio::spawn(serve_store(listener, acceptor, Arc::clone(store)));
        let address = ConnInfo {
            service_id: id,
            network: "unix".to_owned(),
            address: path.to_str().unwrap().to_owned(),
            knock: None,
        };
        (id, address)
    }

    pub async fn set_up(&self, id: &str, broker_id: u32, config: &[(&str, &str)]) -> String {
        let args = pb::SetupArgs {
            broker_id,
            config: config
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            backend_uuid: format!("uuid of {id}"),
        };
        let reply = self.backend.clone().setup(for_mount(id, args)).await;
        reply.unwrap().into_inner().err
    }
}

/// Says which mount a call is for.
pub fn for_mount<T>(id: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !id.is_empty() {
        request
            .metadata_mut()
            .insert("multiplex_id", id.parse().unwrap());
    }
    request
}

/// A mount, from the host's end.
#[derive(Clone)]
pub struct Mount {
    pub backend: BackendClient<Channel>,
    pub id: String,
    pub store: Arc<Store>,
}

impl Mount {
    pub async fn call(&self, operation: &str, path: &str, data: &str) -> pb::HandleRequestReply {
        self.try_call(operation, path, data).await.unwrap()
    }

    pub async fn try_call(
        &self,
        operation: &str,
        path: &str,
        data: &str,
    ) -> Result<pb::HandleRequestReply, Status> {
        self.try_send(request(operation, path, data)).await
    }

    pub async fn send(&self, request: pb::Request) -> pb::HandleRequestReply {
        self.try_send(request).await.unwrap()
    }

    async fn try_send(&self, request: pb::Request) -> Result<pb::HandleRequestReply, Status> {
        let args = pb::HandleRequestArgs {
            storage_id: 0,
            request: Some(request),
        };
        let mut backend = self.backend.clone();
        let reply = backend.handle_request(for_mount(&self.id, args)).await?;
        Ok(reply.into_inner())
    }

    pub async fn exists(&self, operation: &str, path: &str) -> pb::HandleExistenceCheckReply {
        let args = pb::HandleExistenceCheckArgs {
            storage_id: 0,
            request: Some(request(operation, path, "{}")),
        };
        let request = for_mount(&self.id, args);
        let reply = self.backend.clone().handle_existence_check(request).await;
        reply.unwrap().into_inner()
    }

    /// Reads `path`; the data of the answer.
    pub async fn read(&self, path: &str) -> serde_json::Value {
        let reply = self.call("read", path, "null").await;
        assert_eq!(reply.err, None);
        serde_json::from_str(&reply.response.unwrap().data).unwrap()
    }
}

fn request(operation: &str, path: &str, data: &str) -> pb::Request {
    pb::Request {
        id: "request-1".to_owned(),
        operation: operation.to_owned(),
        path: path.to_owned(),
        data: data.to_owned(),
        mount_point: "agentic/".to_owned(),
        ..pb::Request::default()
    }
}

async fn connect(
    socket: &Path,
    plugin: &CertificateDer<'static>,
    credentials: Option<&Credentials>,
) -> Result<Channel, String> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(plugin.clone())));
    let mut config = match credentials {
        Some(credentials) => {
            builder.with_client_cert_resolver(Arc::new(Resolved(Arc::clone(&credentials.key))))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsConnector::from(Arc::new(config));
    let socket = socket.to_owned();
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let (tls, socket) = (tls.clone(), socket.clone());
            async move {
                let stream = UnixStream::connect(&socket).await?;
                let name = ServerName::try_from("localhost").unwrap();
                tls.connect(name, stream).await.map(TokioIo::new)
            }
        }))
        .await
        .map_err(|error| format!("{error:?}"))?;
    // A refused client certificate shows only once something is read.
    crate::wire::logical::plugin_version_client::PluginVersionClient::new(channel.clone())
        .version(crate::wire::logical::Empty {})
        .await
        .map_err(|error| format!("{error:?}"))?;
    Ok(channel)
}

fn acceptor(host: &Credentials, plugin: &CertificateDer<'static>) -> TlsAcceptor {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Pinned(plugin.clone())))
        .with_cert_resolver(Arc::new(Resolved(Arc::clone(&host.key))));
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub fn grpc() -> Server {
    Server::builder()
}

#[derive(Debug)]
struct Resolved(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Resolved {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl rustls::server::ResolvesServerCert for Resolved {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Pinned(CertificateDer<'static>);

impl Pinned {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        (certificate.as_ref() == self.0.as_ref())
            .then_some(())
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn signed(
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, &algorithms)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::HandshakeNotComplete)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signed(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::HandshakeNotComplete)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signed(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
