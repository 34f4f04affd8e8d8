//! The numbers of a public key, and which of them are too weak.

use ring::agreement::{
    self, ECDH_P256, ECDH_P384, EphemeralPrivateKey, UnparsedPublicKey as Point,
};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use super::{JwkError, SignatureError, optional_str};
use crate::jose::alg::Algorithm;
use crate::jose::base64url;
use crate::jose::der::SpkiKey;

/// SEC 1 2.3.3: what begins an uncompressed point.
const UNCOMPRESSED: u8 = 4;

/// What the key is. Every value has passed the checks of its constructor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Material {
    Ed25519([u8; 32]),
    /// `04 || x || y`.
    P256([u8; 65]),
    /// `04 || x || y`.
    P384([u8; 97]),
    /// Unsigned, big-endian, no leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl Material {
    /// From the members of a JWK (RFC 7518 6, RFC 8037 2).
    pub(super) fn from_members(members: &Map<String, Value>) -> Result<Self, JwkError> {
        let required = |member| optional_str(members, member)?.ok_or(JwkError::Missing { member });
        let bytes = |member| {
            base64url::decode(required(member)?)
                .filter(|bytes| !bytes.is_empty())
                .ok_or(JwkError::Malformed { member })
        };
        match required("kty")? {
            "OKP" => match required("crv")? {
                "Ed25519" => Self::ed25519(&bytes("x")?),
                _ => Err(JwkError::UnknownKind),
            },
            "EC" => {
                let curve = required("crv")?;
                let len = match curve {
                    "P-256" => 32,
                    "P-384" => 48,
                    _ => return Err(JwkError::UnknownKind),
                };
                let mut point = vec![UNCOMPRESSED];
                for member in ["x", "y"] {
                    let coordinate = bytes(member)?;
                    if coordinate.len() != len {
                        return Err(JwkError::Malformed { member });
                    }
                    point.extend_from_slice(&coordinate);
                }
                if len == 32 {
                    Self::p256(&point)
                } else {
                    Self::p384(&point)
                }
            }
            "RSA" => Self::rsa(&bytes("n")?, &bytes("e")?),
            _ => Err(JwkError::UnknownKind),
        }
    }

    /// From a SubjectPublicKeyInfo.
    pub(super) fn from_spki(key: SpkiKey<'_>) -> Result<Self, JwkError> {
        match key {
            SpkiKey::Ed25519(x) => Self::ed25519(x),
            SpkiKey::P256(point) => Self::p256(point),
            SpkiKey::P384(point) => Self::p384(point),
            SpkiKey::Rsa { n, e } => Self::rsa(n, e),
        }
    }

    fn ed25519(x: &[u8]) -> Result<Self, JwkError> {
        let x = <[u8; 32]>::try_from(x).map_err(|_| JwkError::Malformed { member: "x" })?;
        check_ed25519(x)?;
        Ok(Self::Ed25519(x))
    }

    fn p256(point: &[u8]) -> Result<Self, JwkError> {
        uncompressed(point).map(Self::P256)
    }

    fn p384(point: &[u8]) -> Result<Self, JwkError> {
        uncompressed(point).map(Self::P384)
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, JwkError> {
        check_rsa(n, e)?;
        Ok(Self::Rsa {
            n: n.to_vec(),
            e: e.to_vec(),
        })
    }

    pub(super) const fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Ed25519(_) => &[Algorithm::EdDsa],
            Self::P256(_) => &[Algorithm::Es256],
            Self::P384(_) => &[Algorithm::Es384],
            Self::Rsa { .. } => &[
                Algorithm::Rs256,
                Algorithm::Rs384,
                Algorithm::Rs512,
                Algorithm::Ps256,
                Algorithm::Ps384,
                Algorithm::Ps512,
            ],
        }
    }

    pub(super) fn verify(
        &self,
        alg: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let outcome = match (self, alg) {
            (Self::Ed25519(x), Algorithm::EdDsa) => against(&ED25519, x, message, signature),
            (Self::P256(point), Algorithm::Es256) => {
                against(&ECDSA_P256_SHA256_FIXED, point, message, signature)
            }
            (Self::P384(point), Algorithm::Es384) => {
                against(&ECDSA_P384_SHA384_FIXED, point, message, signature)
            }
            (Self::Rsa { n, e }, alg) => {
                let parameters = rsa_parameters(alg).ok_or(SignatureError::WrongAlgorithm(alg))?;
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Self::Ed25519(_) | Self::P256(_) | Self::P384(_), alg) => {
                return Err(SignatureError::WrongAlgorithm(alg));
            }
        };
        outcome.map_err(|_| SignatureError::Invalid)
    }

    /// The required members in lexicographic order without whitespace
    /// (RFC 7638 3, RFC 8037 appendix A.3). base64url needs no escapes.
    pub(super) fn canonical(&self) -> String {
        match self {
            Self::Ed25519(x) => format!(
                r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                base64url::encode(x)
            ),
            Self::P256(point) => canonical_point("P-256", point),
            Self::P384(point) => canonical_point("P-384", point),
            Self::Rsa { n, e } => {
                format!(
                    r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
                    base64url::encode(e),
                    base64url::encode(n)
                )
            }
        }
    }

    pub(super) fn members(&self) -> Map<String, Value> {
        let named: Vec<(&str, Value)> = match self {
            Self::Ed25519(x) => vec![
                ("kty", "OKP".into()),
                ("crv", "Ed25519".into()),
                ("x", base64url::encode(x).into()),
            ],
            Self::P256(point) => point_members("P-256", point),
            Self::P384(point) => point_members("P-384", point),
            Self::Rsa { n, e } => vec![
                ("kty", "RSA".into()),
                ("n", base64url::encode(n).into()),
                ("e", base64url::encode(e).into()),
            ],
        };
        named
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    pub(super) fn check_on_curve(&self) -> Result<(), JwkError> {
        let (curve, point) = match self {
            Self::P256(point) => (&ECDH_P256, point.as_slice()),
            Self::P384(point) => (&ECDH_P384, point.as_slice()),
            Self::Ed25519(_) | Self::Rsa { .. } => return Ok(()),
        };
        // Agreement validates the other side's point; what is agreed is dropped.
        EphemeralPrivateKey::generate(curve, &SystemRandom::new())
            .and_then(|ours| agreement::agree_ephemeral(ours, &Point::new(curve, point), |_| ()))
            .map_err(|_| JwkError::Weak {
                reason: "the point is not on the curve",
            })
    }
}

fn against(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), ring::error::Unspecified> {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature)
}

const fn rsa_parameters(alg: Algorithm) -> Option<&'static RsaParameters> {
    match alg {
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Es384 => None,
    }
}

/// A point that is spelled in full. Zero coordinates are no curve's point
/// that anyone has the key of.
fn uncompressed<const LEN: usize>(point: &[u8]) -> Result<[u8; LEN], JwkError> {
    let point = <[u8; LEN]>::try_from(point).map_err(|_| JwkError::Malformed { member: "x" })?;
    match point.split_first() {
        Some((&UNCOMPRESSED, coordinates)) if coordinates.iter().any(|b| *b != 0) => Ok(point),
        Some((&UNCOMPRESSED, _)) => Err(JwkError::Weak {
            reason: "the point is at infinity",
        }),
        Some(_) | None => Err(JwkError::Malformed { member: "x" }),
    }
}

/// `x` and `y` of an uncompressed point.
fn coordinates(point: &[u8]) -> (String, String) {
    let both = point.split_first().map_or(&[][..], |(_, both)| both);
    let (x, y) = both.split_at_checked(both.len() / 2).unwrap_or_default();
    (base64url::encode(x), base64url::encode(y))
}

fn canonical_point(curve: &str, point: &[u8]) -> String {
    let (x, y) = coordinates(point);
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

fn point_members(curve: &'static str, point: &[u8]) -> Vec<(&'static str, Value)> {
    let (x, y) = coordinates(point);
    vec![
        ("kty", "EC".into()),
        ("crv", curve.into()),
        ("x", x.into()),
        ("y", y.into()),
    ]
}

/// p = 2^255 - 19, little-endian.
const FIELD: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// The `y` of the eight points of small order (RFC 7748 6 and its errata,
/// turned to Edwards form): for them a signature that verifies for any message
/// can be made without a private key.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = FIELD;
        minus_one[0] = 0xec;
        minus_one
    },
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
];

fn check_ed25519(x: [u8; 32]) -> Result<(), JwkError> {
    let mut y = x;
    // The top bit is the sign of the other coordinate.
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    if SMALL_ORDER.contains(&y) {
        return Err(JwkError::Weak {
            reason: "the point has a small order",
        });
    }
    // One point has one encoding: y is below p (RFC 8032 5.1.3).
    if y.iter().rev().ge(FIELD.iter().rev()) {
        return Err(JwkError::Weak {
            reason: "the point is not in its one encoding",
        });
    }
    Ok(())
}

/// 3 * 5 * 7 * 11 * 13 * 17 * 19 * 23 * 29.
const SMALL_PRIMES: u64 = 3_234_846_615;

fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), JwkError> {
    let (Some(first), Some(last)) = (n.first(), n.last()) else {
        return Err(JwkError::Malformed { member: "n" });
    };
    // Base64urlUInt is the least number of octets (RFC 7518 2).
    if *first == 0 {
        return Err(JwkError::Malformed { member: "n" });
    }
    if !matches!((n.len(), first), (256, 0x80..) | (257..=1024, _)) {
        return Err(JwkError::Weak {
            reason: "an RSA modulus has 2048 to 8192 bits",
        });
    }
    if last & 1 == 0 || has_small_factor(n) {
        return Err(JwkError::Weak {
            reason: "the RSA modulus has a small factor",
        });
    }
    if e.first().is_none_or(|first| *first == 0) {
        return Err(JwkError::Malformed { member: "e" });
    }
    // Four bytes: ring takes no exponent past 33 bits, nobody uses one past 32.
    let value = e
        .iter()
        .fold(0_u64, |sum, byte| sum.wrapping_shl(8) | u64::from(*byte));
    if e.len() > 4 || value < 3 || value & 1 == 0 {
        return Err(JwkError::Weak {
            reason: "an RSA exponent is odd, at least 3 and at most 32 bits",
        });
    }
    Ok(())
}

/// Whether a prime up to 29 divides `n`: no two large primes do that.
fn has_small_factor(n: &[u8]) -> bool {
    let rest = n.iter().fold(0_u64, |rest, byte| {
        (rest.wrapping_shl(8) | u64::from(*byte)) % SMALL_PRIMES
    });
    [3, 5, 7, 11, 13, 17, 19, 23, 29]
        .into_iter()
        .any(|prime| rest.is_multiple_of(prime))
}
