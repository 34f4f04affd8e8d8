//! Signing keys: made, imported, stored and used.
//!
//! A private key leaves only through [`SigningKey::to_pkcs8`], in a [`Secret`].
//! `ring` keeps its own copy, which is not wiped.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use ring::{error::KeyRejected, rsa::PublicKeyComponents};
use serde_json::json;
use thiserror::Error;

use crate::jose::alg::Algorithm;
use crate::jose::jwk::{JwkError, PublicJwk};
use crate::jose::{base64url, der, pem};
use crate::model::secret::Secret;

/// Why there is no signing key, or no signature.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignerError {
    /// We verify with it but do not sign with it.
    #[error("we do not sign with {0}; choose EdDSA, ES256 or RS256")]
    NotForSigning(Algorithm),
    /// RSA keys are not made here.
    #[error("a key for {0} is not generated here; import one")]
    ImportOnly(Algorithm),
    /// The PEM text holds no private key for the algorithm.
    #[error("the text is not one PEM block `PRIVATE KEY` (or `RSA PRIVATE KEY` for RS256)")]
    NotPem,
    /// The key is malformed, inconsistent, or not for the algorithm.
    #[error("the private key is not usable with {0}")]
    Rejected(Algorithm),
    /// Its public half is one that we would not take from others.
    #[error(transparent)]
    Public(#[from] JwkError),
    /// The random source failed.
    #[error("the random source failed")]
    Random,
    /// A header names another algorithm than the key's.
    #[error("the header does not name the algorithm of the key")]
    WrongHeader,
}

/// A private key for one algorithm.
pub struct SigningKey {
    pair: Pair,
    pkcs8: Secret<Vec<u8>>,
    public: PublicJwk,
    alg: Algorithm,
    random: SystemRandom,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// Makes a key for `EdDSA` or `ES256`.
    ///
    /// # Errors
    /// [`SignerError::ImportOnly`] for RSA, [`SignerError::NotForSigning`] for
    /// what we do not sign with, [`SignerError::Random`].
    pub fn generate(alg: Algorithm, random: &SystemRandom) -> Result<Self, SignerError> {
        let document = match alg {
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(random),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, random)
            }
            Algorithm::Rs256 => return Err(SignerError::ImportOnly(alg)),
            Algorithm::Es384
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => return Err(SignerError::NotForSigning(alg)),
        }
        .map_err(|_| SignerError::Random)?;
        Self::from_pkcs8(alg, document.as_ref())
    }

    /// Reads a PKCS#8 key (RFC 5958). An Ed25519 key may come without its
    /// public half (RFC 8410), as OpenSSL writes it.
    ///
    /// # Errors
    /// [`SignerError::Rejected`] and [`SignerError::NotForSigning`].
    pub fn from_pkcs8(alg: Algorithm, pkcs8: &[u8]) -> Result<Self, SignerError> {
        let random = SystemRandom::new();
        let rejected = |_: KeyRejected| SignerError::Rejected(alg);
        let pair = match alg {
            Algorithm::EdDsa => {
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(rejected)?)
            }
            Algorithm::Es256 => Pair::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
                    .map_err(rejected)?,
            ),
            Algorithm::Rs256 => {
                Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?))
            }
            Algorithm::Es384
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => return Err(SignerError::NotForSigning(alg)),
        };
        let public = pair.public()?.with_alg(alg)?.marked_for_signatures();
        Ok(Self {
            pair,
            pkcs8: Secret::new(pkcs8.to_vec()),
            public,
            alg,
            random,
        })
    }

    /// Reads PEM: `PRIVATE KEY` (PKCS#8), for RS256 also `RSA PRIVATE KEY`
    /// (PKCS#1).
    ///
    /// # Errors
    /// [`SignerError::NotPem`] and those of [`SigningKey::from_pkcs8`].
    pub fn from_pem(alg: Algorithm, text: &str) -> Result<Self, SignerError> {
        if let Some(pkcs8) = pem::decode(text, "PRIVATE KEY") {
            return Self::from_pkcs8(alg, &pkcs8);
        }
        if alg != Algorithm::Rs256 {
            return Err(SignerError::NotPem);
        }
        let pkcs1 = pem::decode(text, "RSA PRIVATE KEY").ok_or(SignerError::NotPem)?;
        let pkcs8 = Secret::new(der::pkcs8_of_rsa(&pkcs1));
        Self::from_pkcs8(alg, pkcs8.expose())
    }

    /// The private key in PKCS#8, for the record that keeps it.
    #[must_use]
    pub fn to_pkcs8(&self) -> Secret<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// The public key, with `alg` and `use`; its id is the publisher's choice.
    #[must_use]
    pub const fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// The one algorithm it signs with.
    #[must_use]
    pub const fn alg(&self) -> Algorithm {
        self.alg
    }

    /// Signs `message`. ECDSA gives the raw `r || s` of RFC 7518 3.4.
    ///
    /// # Errors
    /// [`SignerError::Random`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::P256(pair) => pair
                .sign(&self.random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignerError::Random),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
                    .map_err(|_| SignerError::Random)?;
                Ok(signature)
            }
        }
    }
}

impl Pair {
    /// The public half, held to the same rules as a stranger's.
    fn public(&self) -> Result<PublicJwk, JwkError> {
        let jwk = match self {
            Self::Ed25519(pair) => json!({
                "kty": "OKP", "crv": "Ed25519", "x": base64url::encode(pair.public_key()),
            }),
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point
                    .split_first()
                    .and_then(|(_, both)| both.split_at_checked(32))
                    .ok_or(JwkError::UnknownKind)?;
                json!({ "kty": "EC", "crv": "P-256", "x": base64url::encode(x), "y": base64url::encode(y) })
            }
            Self::Rsa(pair) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({ "kty": "RSA", "n": base64url::encode(n), "e": base64url::encode(e) })
            }
        };
        PublicJwk::from_value(&jwk)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("alg", &self.alg)
            .field("thumbprint", &self.public.thumbprint())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
