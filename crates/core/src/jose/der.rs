//! The little of DER that keys need: SubjectPublicKeyInfo (RFC 5280 4.1.2.7)
//! read, a PKCS#1 key wrapped as PKCS#8 (RFC 5958).
//!
//! One length has one encoding, every byte is accounted for, and nothing is
//! longer than [`MAX_SPKI`]. It says nothing about whether a key is any good.

use thiserror::Error;
use zeroize::Zeroizing;

/// The longest SubjectPublicKeyInfo: RSA of 8192 bits takes 1062 bytes.
pub const MAX_SPKI: usize = 1200;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// 1.3.101.112, id-Ed25519 (RFC 8410 3).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.2.840.10045.2.1, id-ecPublicKey (RFC 5480 2.1.1).
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7, secp256r1.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34, secp384r1.
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.2.840.113549.1.1.1, rsaEncryption (RFC 3279 2.3.1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The bytes are not the DER we read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("is not a public key in DER of a kind we know (Ed25519, P-256, P-384, RSA)")]
pub struct DerError;

/// What a SubjectPublicKeyInfo holds, not yet judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpkiKey<'d> {
    /// An Ed25519 key as written.
    Ed25519(&'d [u8]),
    /// A point on P-256 as written.
    P256(&'d [u8]),
    /// A point on P-384 as written.
    P384(&'d [u8]),
    /// An RSA key: unsigned, big-endian, no leading zeros.
    Rsa {
        /// The modulus.
        n: &'d [u8],
        /// The public exponent.
        e: &'d [u8],
    },
}

/// Reads a SubjectPublicKeyInfo.
///
/// # Errors
/// [`DerError`], whatever is wrong with it.
pub fn spki(der: &[u8]) -> Result<SpkiKey<'_>, DerError> {
    if der.len() > MAX_SPKI {
        return Err(DerError);
    }
    let mut info = Reader(der).only(SEQUENCE)?;
    let mut algorithm = Reader(info.take(SEQUENCE)?);
    let key = info.only(BIT_STRING)?.0;
    // A key is whole bytes: no unused bits.
    let Some((0, key)) = key.split_first() else {
        return Err(DerError);
    };
    let kind = algorithm.take(OID)?;
    if kind == ED25519 {
        algorithm.end()?;
        return Ok(SpkiKey::Ed25519(key));
    }
    if kind == EC {
        return match algorithm.only(OID)?.0 {
            P256 => Ok(SpkiKey::P256(key)),
            P384 => Ok(SpkiKey::P384(key)),
            _ => Err(DerError),
        };
    }
    if kind == RSA {
        algorithm.only(NULL)?.end()?;
        let mut numbers = Reader(key).only(SEQUENCE)?;
        let n = unsigned(numbers.take(INTEGER)?)?;
        let e = unsigned(numbers.only(INTEGER)?.0)?;
        return Ok(SpkiKey::Rsa { n, e });
    }
    Err(DerError)
}

/// A PKCS#1 RSA private key inside a PKCS#8 wrapper.
pub(super) fn pkcs8_of_rsa(pkcs1: &[u8]) -> Vec<u8> {
    let mut algorithm = Vec::with_capacity(16);
    put(&mut algorithm, OID, RSA);
    put(&mut algorithm, NULL, &[]);
    let mut body = Zeroizing::new(Vec::with_capacity(pkcs1.len().saturating_add(32)));
    put(&mut body, INTEGER, &[0]);
    put(&mut body, SEQUENCE, &algorithm);
    put(&mut body, OCTET_STRING, pkcs1);
    let mut whole = Vec::with_capacity(body.len().saturating_add(8));
    put(&mut whole, SEQUENCE, &body);
    whole
}

/// The rest of some DER.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    /// The content of the next element, which has tag `tag`.
    fn take(&mut self, tag: u8) -> Result<&'d [u8], DerError> {
        let (&[found, first], rest) = self.0.split_first_chunk::<2>().ok_or(DerError)?;
        if found != tag {
            return Err(DerError);
        }
        let (len, rest) = match first {
            ..=0x7f => (usize::from(first), rest),
            0x81 => {
                let (&[len], rest) = rest.split_first_chunk::<1>().ok_or(DerError)?;
                (least(usize::from(len), 0x80)?, rest)
            }
            0x82 => {
                let (len, rest) = rest.split_first_chunk::<2>().ok_or(DerError)?;
                (least(usize::from(u16::from_be_bytes(*len)), 0x100)?, rest)
            }
            _ => return Err(DerError),
        };
        let (content, rest) = rest.split_at_checked(len).ok_or(DerError)?;
        self.0 = rest;
        Ok(content)
    }

    /// The next element's content, if it is also the last.
    fn only(mut self, tag: u8) -> Result<Self, DerError> {
        let content = self.take(tag)?;
        self.end()?;
        Ok(Self(content))
    }

    /// Nothing is left.
    const fn end(&self) -> Result<(), DerError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DerError)
        }
    }
}

/// A length that needed as many bytes as were spent on it.
const fn least(len: usize, min: usize) -> Result<usize, DerError> {
    if len < min { Err(DerError) } else { Ok(len) }
}

/// The magnitude of a positive INTEGER in its least number of bytes.
fn unsigned(integer: &[u8]) -> Result<&[u8], DerError> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|b| *b >= 0x80) => Ok(rest),
        [1..=0x7f, ..] => Ok(integer),
        _ => Err(DerError),
    }
}

/// Appends an element. Contents are far below 64 KiB: PEM is bounded.
fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let [high, low] = u16::try_from(content.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    match (high, low) {
        (0, ..=0x7f) => out.push(low),
        (0, _) => out.extend_from_slice(&[0x81, low]),
        _ => out.extend_from_slice(&[0x82, high, low]),
    }
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 8410 10.1.
    const ED25519_SPKI: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

    fn example() -> Vec<u8> {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD
            .decode(ED25519_SPKI)
            .unwrap()
    }

    #[test]
    fn rfc_8410_example_is_read() {
        let der = example();
        assert_eq!(spki(&der), Ok(SpkiKey::Ed25519(&der[12..])));
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let der = example();
        for len in 0..der.len() {
            assert_eq!(spki(&der[..len]), Err(DerError), "{len}");
        }
        let mut longer = der;
        longer.push(0);
        assert_eq!(spki(&longer), Err(DerError));
    }

    #[test]
    fn a_length_has_one_encoding() {
        let mut der = example();
        der.splice(1..2, [0x81, 0x2a]);
        assert_eq!(spki(&der), Err(DerError));
        let mut der = example();
        der.splice(1..2, [0x80]);
        assert_eq!(spki(&der), Err(DerError));
    }

    #[test]
    fn unused_bits_and_parameters_are_refused() {
        let mut der = example();
        der[11] = 1;
        assert_eq!(spki(&der), Err(DerError));
    }

    #[test]
    fn integers_are_positive_and_short() {
        assert_eq!(unsigned(&[0, 0x80]), Ok(&[0x80][..]));
        assert_eq!(unsigned(&[1]), Ok(&[1][..]));
        for bad in [&[][..], &[0], &[0, 1], &[0x80], &[0, 0, 0x80]] {
            assert_eq!(unsigned(bad), Err(DerError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = spki(&bytes);
        }
    }
}
