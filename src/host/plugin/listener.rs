//! The socket on which the host finds us.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::host::plugin::ServeError;

/// How long a peer may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A bound socket. The host connects once, so the file goes as soon as it
/// has, and nothing is left behind even if we are killed.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    place: Place,
}

impl Listener {
    /// Binds a socket with a name of its own below `directory`.
    pub(super) fn bind(directory: &Path) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Io {
            what: "listen on a socket for the host",
            source,
        };
        let place = Place::make(directory).map_err(failed)?;
        let socket = UnixListener::bind(&place.socket).map_err(failed)?;
        fs::set_permissions(&place.socket, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { socket, place })
    }

    /// Where the socket is.
    pub(super) fn path(&self) -> &Path {
        &self.place.socket
    }

    /// The connections of the host. Each handshake runs by itself, so that a
    /// peer that says nothing keeps nobody waiting.
    pub(super) fn connections(
        self,
        acceptor: TlsAcceptor,
    ) -> ReceiverStream<io::Result<HostConnection>> {
        let (accepted, connections) = mpsc::channel(1);
        tokio::spawn(async move {
            let Self { socket, place } = self;
            let place = Arc::new(place);
            loop {
                let stream = tokio::select! {
                    stream = socket.accept() => stream,
                    () = accepted.closed() => return,
                };
                match stream {
                    Ok((stream, _)) => {
                        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
                        let place = Arc::clone(&place);
                        tokio::spawn(async move {
                            if let Some(connection) = admit(stream, acceptor).await {
                                place.remove();
                                let _ = accepted.send(Ok(connection)).await;
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        });
        ReceiverStream::new(connections)
    }
}

async fn admit(stream: UnixStream, acceptor: TlsAcceptor) -> Option<HostConnection> {
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(HostConnection(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::warn!(%error, "refused a connection that is not the host's");
            None
        }
        Err(_) => {
            tracing::warn!("refused a connection that did not say whose it is");
            None
        }
    }
}

/// A directory that only we may enter, so that the socket in it is never, not
/// even between two system calls, open to another user.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    socket: PathBuf,
}

impl Place {
    fn make(parent: &Path) -> io::Result<Self> {
        let mut name = [0; 8];
        SystemRandom::new()
            .fill(&mut name)
            .map_err(|_| io::Error::other("the operating system gives no random bytes"))?;
        let directory = parent.join(format!("plugin-{:016x}", u64::from_be_bytes(name)));
        DirBuilder::new().mode(0o700).create(&directory)?;
        let socket = directory.join("agentic.sock");
        Ok(Self { directory, socket })
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_dir(&self.directory);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A connection whose peer is the host.
#[derive(Debug)]
pub(super) struct HostConnection(Box<TlsStream<UnixStream>>);

impl Connected for HostConnection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for HostConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for HostConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
