//! What the host says in the environment, and the one line we answer.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::host::plugin::ServeError;

/// The name and value by which a host marks its plugins. Not a secret: it
/// only tells a plugin from a program that somebody runs by hand.
const MAGIC: (&str, &str) = (
    "VAULT_BACKEND_PLUGIN",
    "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
);

/// The version of the plugin protocol: the multiplexed one.
const PROTOCOL: &str = "5";

/// What a host tells a plugin that it starts.
#[derive(Clone, Debug)]
pub struct Environment {
    pub(super) host_certificate: CertificateDer<'static>,
    pub(super) socket_dir: PathBuf,
}

impl Environment {
    /// The environment of this process.
    pub(super) fn of_process() -> Result<Self, ServeError> {
        Self::read(|name| std::env::var_os(name))
    }

    /// Reads the variables of a host. A host that fails with version 5 tries
    /// again with 3 and 4 and without certificates; that is refused here.
    ///
    /// # Errors
    /// If `lookup` holds no host's variables, or those of one that we cannot
    /// serve.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ServeError> {
        let text = |name| lookup(name).and_then(|value| value.into_string().ok());
        if text(MAGIC.0).as_deref() != Some(MAGIC.1) {
            return Err(ServeError::NoHost);
        }
        let versions = text("PLUGIN_PROTOCOL_VERSIONS").unwrap_or_default();
        if !versions
            .split(',')
            .any(|version| version.trim() == PROTOCOL)
        {
            return Err(ServeError::Protocol(versions));
        }
        let pem = text("PLUGIN_CLIENT_CERT")
            .filter(|pem| !pem.is_empty())
            .ok_or(ServeError::NoCertificate)?;
        let host_certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| ServeError::BadCertificate(error.to_string()))?;
        let socket_dir = ["PLUGIN_UNIX_SOCKET_DIR", "TMPDIR"]
            .into_iter()
            .filter_map(lookup)
            .find(|directory| !directory.is_empty())
            .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        Ok(Self {
            host_certificate,
            socket_dir,
        })
    }
}

/// Tells the host where we listen and by which certificate it knows us, in
/// one write. It is the only thing ever written to the standard output.
pub(super) fn announce(
    socket: &Path,
    certificate: &CertificateDer<'_>,
    out: &mut (dyn Write + Send),
) -> Result<(), ServeError> {
    let line = format!(
        "1|{PROTOCOL}|unix|{}|grpc|{}\n",
        socket.display(),
        STANDARD_NO_PAD.encode(certificate)
    );
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| ServeError::Io {
            what: "announce the plugin to the host",
            source,
        })
}
