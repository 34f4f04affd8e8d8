//! One document from one place, over a network that may be hostile.
//!
//! No redirect is followed, no proxy is asked, nothing is kept between
//! fetches, and size and time are bounded. Every address is judged before it
//! is connected to, and it is that address which is connected to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::model::issuer::Issuer;
use agentic_net::addresses::{Reach, reach};
use agentic_net::trust::SYSTEM_CERTIFICATES;

/// The most bytes of a document: a hundred RSA keys with their certificates.
pub const MAX_DOCUMENT: usize = 256 * 1024;
/// The most that all of a fetch may take.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// How many addresses of one name are tried.
const MAX_ADDRESSES: usize = 4;
/// The most bytes of an answer's head.
const MAX_HEAD: usize = 32 * 1024;

/// Why a document could not be fetched. For operators: none of it comes from
/// a token.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FetchError {
    /// Not a URL that is fetched from.
    #[error("the URL must be `https://host[:port]/path`{0}")]
    Url(&'static str),
    /// The name has no address.
    #[error("the name of the host cannot be resolved")]
    Resolve,
    /// Every address of the name is one that may not be reached.
    #[error(
        "the host is at an address that may not be reached: private and loopback addresses need `allow_private_addresses`, link-local and metadata addresses are never reached"
    )]
    Forbidden,
    /// Nobody answers there.
    #[error("the host cannot be connected to")]
    Connect,
    /// The authorities that may vouch for the host cannot be read.
    #[error("{0}")]
    Authorities(&'static str),
    /// The host is not who it should be.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// What came is not HTTP.
    #[error("the host does not speak HTTP/1.1")]
    Protocol,
    /// It points elsewhere.
    #[error("the host answered with a redirect ({0}), which is not followed")]
    Redirect(u16),
    /// It has no document.
    #[error("the host answered with the status {0}")]
    Status(u16),
    /// It has too much of one.
    #[error("the document is longer than {MAX_DOCUMENT} bytes, or ended early")]
    Body,
    /// It takes too long.
    #[error("the host took more than 5 seconds")]
    Slow,
}

/// Where key sets come from.
#[async_trait]
pub trait KeySource: Send + Sync + fmt::Debug {
    /// The document at the issuer's `jwks_uri`.
    async fn fetch(&self, issuer: &Issuer) -> Result<Vec<u8>, FetchError>;
}

/// The network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network;

#[async_trait]
impl KeySource for Network {
    async fn fetch(&self, issuer: &Issuer) -> Result<Vec<u8>, FetchError> {
        tokio::time::timeout(DEADLINE, fetch(issuer))
            .await
            .unwrap_or(Err(FetchError::Slow))
    }
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    host: String,
    port: u16,
    tls: bool,
    path: String,
}

impl Place {
    /// Reads a URL: HTTPS, or HTTP where that is allowed; no user, no query
    /// that could hold a secret, no fragment.
    ///
    /// # Errors
    /// [`FetchError::Url`]; [`FetchError::Forbidden`] for an address in it
    /// that may not be reached.
    pub fn parse(url: &str, allowed: Allowed) -> Result<Self, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::Url(""))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if allowed.plain_http => false,
            Some("http") => {
                return Err(FetchError::Url(
                    "; plain HTTP needs `allow_plain_http`, and a loopback address",
                ));
            }
            Some(_) | None => return Err(FetchError::Url("")),
        };
        let authority = uri.authority().ok_or(FetchError::Url(""))?;
        if authority.as_str().contains('@') || url.contains('#') || url.len() > 2048 {
            return Err(FetchError::Url(", without user and fragment"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(FetchError::Url(""));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            allowed.check(address, tls)?;
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") if tls => 443,
            Some("") => 80,
            Some(port) => port
                .strip_prefix(':')
                .and_then(|port| port.parse().ok())
                .ok_or(FetchError::Url(""))?,
            None => return Err(FetchError::Url("")),
        };
        Ok(Self {
            port,
            tls,
            path: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
            host,
        })
    }

    fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (true | false, port) => format!("{host}:{port}"),
        }
    }
}

/// What an operator allows beyond public addresses and TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Private and loopback addresses.
    pub private: bool,
    /// HTTP without TLS, at loopback addresses.
    pub plain_http: bool,
}

impl Allowed {
    /// What `issuer` allows.
    #[must_use]
    pub const fn by(issuer: &Issuer) -> Self {
        Self {
            private: issuer.allow_private_addresses,
            plain_http: issuer.allow_plain_http,
        }
    }

    fn check(self, address: IpAddr, tls: bool) -> Result<(), FetchError> {
        let allowed = match reach(address) {
            Reach::Public => tls,
            Reach::Private => tls && self.private,
            Reach::Loopback => (tls && self.private) || (!tls && self.plain_http),
            Reach::Never => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(FetchError::Forbidden)
        }
    }
}

async fn fetch(issuer: &Issuer) -> Result<Vec<u8>, FetchError> {
    let allowed = Allowed::by(issuer);
    let place = Place::parse(&issuer.jwks_uri, allowed)?;
    let stream = connect(&place, allowed).await?;
    if !place.tls {
        return exchange(stream, &place).await;
    }
    let config = tls_config(&issuer.jwks_ca_pem)?;
    let name = ServerName::try_from(place.host.clone()).map_err(|_| FetchError::Url(""))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| FetchError::Tls(error.to_string()))?;
    exchange(stream, &place).await
}

/// Connects to the first address that may be reached and answers.
async fn connect(place: &Place, allowed: Allowed) -> Result<TcpStream, FetchError> {
    let found = tokio::net::lookup_host((place.host.as_str(), place.port))
        .await
        .map_err(|_| FetchError::Resolve)?;
    let mut problem = FetchError::Resolve;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        match allowed.check(address.ip(), place.tls) {
            Ok(()) => addresses.push(address),
            Err(forbidden) => problem = forbidden,
        }
    }
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        problem = FetchError::Connect;
        if let Ok(stream) = TcpStream::connect(address).await {
            return Ok(stream);
        }
    }
    Err(problem)
}

async fn exchange<S>(stream: S, place: &Place) -> Result<Vec<u8>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| FetchError::Protocol)?;
    let request = Request::get(place.path.as_str())
        .header(header::HOST, place.authority())
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::CONNECTION, "close")
        .header(
            header::USER_AGENT,
            concat!("vault-plugin-agentic/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Url(""))?;
    let document = async move {
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| FetchError::Protocol)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(FetchError::Redirect(status.as_u16()));
        }
        if status != StatusCode::OK {
            return Err(FetchError::Status(status.as_u16()));
        }
        let body = Limited::new(response.into_body(), MAX_DOCUMENT)
            .collect()
            .await
            .map_err(|_| FetchError::Body)?;
        Ok(body.to_bytes().to_vec())
    };
    // The connection moves the bytes for as long as the document wants them,
    // and ends with it: what the host still has to say is not waited for.
    tokio::pin!(document, connection);
    tokio::select! {
        biased;
        fetched = &mut document => fetched,
        _ = &mut connection => document.await,
    }
}

/// TLS with these authorities and no other, and nothing remembered.
fn tls_config(authorities: &str) -> Result<Arc<ClientConfig>, FetchError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Tls(error.to_string()))?
        .with_root_certificates(roots(authorities)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates of authorities in PEM; those of the system if there is no
/// text.
///
/// # Errors
/// [`FetchError::Authorities`] if there is none, or one cannot be read.
pub fn roots(authorities: &str) -> Result<RootCertStore, FetchError> {
    let bytes = if authorities.is_empty() {
        SYSTEM_CERTIFICATES
            .iter()
            .find_map(|file| std::fs::read(file).ok())
            .ok_or(FetchError::Authorities(
                "this system has no certificate authorities: give those of the issuer as `jwks_ca_pem`",
            ))?
    } else {
        authorities.as_bytes().to_vec()
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate
            .map_err(|_| FetchError::Authorities("`jwks_ca_pem` must be certificates in PEM"))?;
        let added = roots.add(certificate);
        if added.is_err() && !authorities.is_empty() {
            return Err(FetchError::Authorities(
                "`jwks_ca_pem` holds a certificate that cannot be an authority",
            ));
        }
    }
    if roots.is_empty() {
        return Err(FetchError::Authorities(
            "`jwks_ca_pem` must be certificates in PEM",
        ));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
