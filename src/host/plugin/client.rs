//! Calling the host back.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::host::framework::error::Error;
use crate::host::plugin::proto::goplugin::ConnInfo;
use crate::host::plugin::tls::Identity;

/// Connects to a service that the host announced. The channel makes a new
/// connection in the same way should this one break.
pub(super) async fn dial(identity: &Identity, address: ConnInfo) -> Result<Channel, DialError> {
    if address.network != "unix" {
        return Err(DialError::Network(address.network));
    }
    let tls = identity.connector()?;
    let path: Arc<str> = address.address.into();
    let connector = tower::service_fn(move |_| {
        let (tls, path) = (tls.clone(), Arc::clone(&path));
        async move {
            let stream = UnixStream::connect(&*path).await?;
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            tls.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await?;
    Ok(channel)
}

/// Why the host cannot be called back.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("the host's storage is on a `{0}` address; only unix sockets are supported")]
    Network(String),
    #[error("cannot set up TLS to the host's storage: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot connect to the host's storage: {0}")]
    Connect(#[from] tonic::transport::Error),
}

/// What the host says in a reply's `err`, verbatim.
pub(super) fn host_error(text: String) -> Result<(), Error> {
    if text.is_empty() {
        Ok(())
    } else {
        Err(Error::Host(text))
    }
}

/// What the host says by failing a call, verbatim: it recognises its own
/// texts, such as the one that sends a request to the active node.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is handed to `map_err` by name"
)]
pub(super) fn host_status(status: tonic::Status) -> Error {
    if status.message().is_empty() {
        Error::Host(format!("the host failed a call: {:?}", status.code()))
    } else {
        Error::Host(status.message().to_owned())
    }
}
