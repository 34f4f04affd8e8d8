//! AutoMTLS: the host and we know each other by certificate, byte for byte.
//!
//! The host's certificate is self-signed, on P-521, and marked as an
//! authority, which ordinary path building refuses in an end entity. So the
//! certificate is compared with the one we were given, and the handshake's
//! signature proves that the peer has its key. `ring` has no P-521; the
//! `p521` crate verifies that one scheme, and nothing here ever signs with it.

use std::fmt;
use std::sync::Arc;

use p521::ecdsa::signature::Verifier as _;
use p521::ecdsa::{DerSignature, VerifyingKey};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, PrivateKeyDer, PrivatePkcs8KeyDer,
    ServerName, SignatureVerificationAlgorithm, UnixTime, alg_id,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme, version::TLS13,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::host::plugin::ServeError;

/// gRPC runs over HTTP/2, and a Go host insists on hearing so in both roles.
const ALPN: &[u8] = b"h2";

/// Who we are on every connection of this process, and the one peer we know.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
    peer: Arc<PinnedPeer>,
}

impl Identity {
    /// A new identity, for a host known by `peer`.
    pub(super) fn generate(peer: CertificateDer<'static>) -> Result<Self, ServeError> {
        let tls = |error: rcgen::Error| ServeError::Tls(error.to_string());
        let key = KeyPair::generate().map_err(tls)?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).map_err(tls)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        let certificate = params.self_signed(&key).map_err(tls)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            key: Arc::new(PrivatePkcs8KeyDer::from(key.serialize_der()).into()),
            peer: Arc::new(PinnedPeer(peer)),
        })
    }

    /// The certificate that the host must pin.
    pub(super) const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Lets the host in.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, ServeError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map(|builder| {
                builder.with_client_cert_verifier(
                    Arc::clone(&self.peer) as Arc<dyn ClientCertVerifier>
                )
            })
            .and_then(|builder| {
                builder.with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            })
            .map_err(|error| ServeError::Tls(error.to_string()))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Calls the host back. It demands our certificate there, too.
    pub(super) fn connector(&self) -> Result<TlsConnector, Error> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.peer) as Arc<dyn ServerCertVerifier>)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Accepts the holder of one certificate's key, in either role.
#[derive(Debug)]
struct PinnedPeer(CertificateDer<'static>);

impl PinnedPeer {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        if certificate.as_ref() == self.0.as_ref() {
            Ok(())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn signature(
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = if signed.scheme == SignatureScheme::ECDSA_NISTP521_SHA512 {
            P521_ONLY
        } else {
            ring::default_provider().signature_verification_algorithms
        };
        verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn schemes() -> Vec<SignatureScheme> {
        let mut schemes = ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes();
        schemes.push(SignatureScheme::ECDSA_NISTP521_SHA512);
        schemes
    }
}

impl ClientCertVerifier for PinnedPeer {
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
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}

impl ServerCertVerifier for PinnedPeer {
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
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}

fn only_tls13() -> Error {
    Error::General("only TLS 1.3 is spoken here".to_owned())
}

/// What the host signs with.
static P521_ONLY: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[&P521Sha512],
    mapping: &[(SignatureScheme::ECDSA_NISTP521_SHA512, &[&P521Sha512])],
};

/// ECDSA on P-521 with SHA-512, for verification.
struct P521Sha512;

impl fmt::Debug for P521Sha512 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ECDSA_P521_SHA512")
    }
}

impl SignatureVerificationAlgorithm for P521Sha512 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = DerSignature::try_from(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA512
    }
}

#[cfg(test)]
mod tests {
    use p521::ecdsa::SigningKey;
    use p521::ecdsa::signature::Signer as _;

    use super::*;

    #[test]
    fn p521_signatures() {
        let key = SigningKey::from_slice(&[1; 66]).unwrap();
        let public = key.verifying_key().to_sec1_point(false);
        let signature: DerSignature = key.sign(b"handshake");
        let verify = |public: &[u8], message: &[u8], signature: &[u8]| {
            P521Sha512.verify_signature(public, message, signature)
        };
        let (public, signature) = (public.as_bytes(), signature.as_bytes());
        assert!(verify(public, b"handshake", signature).is_ok());
        assert!(verify(public, b"another", signature).is_err());
        assert!(verify(public, b"handshake", &signature[1..]).is_err());
        assert!(verify(&public[1..], b"handshake", signature).is_err());
        let other = SigningKey::from_slice(&[2; 66]);
        assert!(other.is_err(), "beyond the order of the curve");
        let mut zero = [0; 66];
        zero[65] = 7;
        let other = SigningKey::from_slice(&zero).unwrap();
        let other = other.verifying_key().to_sec1_point(false);
        assert!(verify(other.as_bytes(), b"handshake", signature).is_err());
    }
}
