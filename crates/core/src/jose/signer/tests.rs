use serde_json::Value;

use super::*;
use crate::jose::vectors::{RFC8037_D, RFC8037_KEY, RFC8037_PAYLOAD, RFC8037_TOKEN};

/// RFC 8037 A.1 as PKCS#8 without the public half (RFC 8410 7).
pub(super) fn rfc_8037_signer() -> SigningKey {
    let mut pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    pkcs8.extend(base64url::decode(RFC8037_D).unwrap());
    SigningKey::from_pkcs8(Algorithm::EdDsa, &pkcs8).unwrap()
}

/// A 2048-bit key for tests, PKCS#1.
const RSA: &str = include_str!("test_rsa.pem");
const RSA_PKCS8: &str = include_str!("test_rsa_pkcs8.pem");

#[test]
fn rfc_8037_appendix_a_is_signed_to_the_byte() {
    let key = rfc_8037_signer();
    let (input, signature) = RFC8037_TOKEN.rsplit_once('.').unwrap();
    assert_eq!(
        base64url::encode(key.sign(input.as_bytes()).unwrap()),
        signature
    );
    assert!(input.ends_with(&base64url::encode(RFC8037_PAYLOAD)));
    assert!(
        key.public()
            .is_same_key(&PublicJwk::from_json_text(RFC8037_KEY).unwrap())
    );
}

#[test]
fn what_it_signs_its_public_half_verifies() {
    let random = SystemRandom::new();
    let keys = [
        SigningKey::generate(Algorithm::EdDsa, &random).unwrap(),
        SigningKey::generate(Algorithm::Es256, &random).unwrap(),
        SigningKey::from_pem(Algorithm::Rs256, RSA).unwrap(),
    ];
    for key in keys {
        let signature = key.sign(b"message").unwrap();
        assert_eq!(
            key.public().verify(key.alg(), b"message", &signature),
            Ok(())
        );
        assert_eq!(key.public().algorithms(), [key.alg()]);
        assert_eq!(key.public().check_on_curve(), Ok(()));

        let again = SigningKey::from_pkcs8(key.alg(), key.to_pkcs8().expose()).unwrap();
        assert_eq!(again.public(), key.public());
    }
}

#[test]
fn es256_signatures_are_raw() {
    let key = SigningKey::generate(Algorithm::Es256, &SystemRandom::new()).unwrap();
    assert_eq!(key.sign(b"message").unwrap().len(), 64);
}

#[test]
fn both_pem_forms_of_an_rsa_key_are_one_key() {
    let one = SigningKey::from_pem(Algorithm::Rs256, RSA).unwrap();
    let other = SigningKey::from_pem(Algorithm::Rs256, RSA_PKCS8).unwrap();
    assert_eq!(one.public(), other.public());
    assert_eq!(one.to_pkcs8().expose(), other.to_pkcs8().expose());
}

#[test]
fn only_signing_algorithms_get_keys() {
    let random = SystemRandom::new();
    assert_eq!(
        SigningKey::generate(Algorithm::Rs256, &random).unwrap_err(),
        SignerError::ImportOnly(Algorithm::Rs256)
    );
    for alg in Algorithm::ALL.into_iter().filter(|alg| !alg.signs()) {
        assert_eq!(
            SigningKey::generate(alg, &random).unwrap_err(),
            SignerError::NotForSigning(alg)
        );
        assert_eq!(
            SigningKey::from_pkcs8(alg, b"").unwrap_err(),
            SignerError::NotForSigning(alg)
        );
    }
}

#[test]
fn a_key_of_another_kind_is_rejected() {
    let ed25519 = rfc_8037_signer();
    for alg in [Algorithm::Es256, Algorithm::Rs256] {
        assert_eq!(
            SigningKey::from_pkcs8(alg, ed25519.to_pkcs8().expose()).unwrap_err(),
            SignerError::Rejected(alg)
        );
    }
    assert_eq!(
        SigningKey::from_pem(Algorithm::EdDsa, RSA_PKCS8).unwrap_err(),
        SignerError::Rejected(Algorithm::EdDsa)
    );
    assert_eq!(
        SigningKey::from_pem(Algorithm::Es256, RSA).unwrap_err(),
        SignerError::NotPem
    );
    assert_eq!(
        SigningKey::from_pem(Algorithm::Rs256, "").unwrap_err(),
        SignerError::NotPem
    );
}

#[test]
fn nothing_private_is_shown() {
    let key = rfc_8037_signer();
    let shown = format!("{key:?} {:?} {:?}", key.public(), key.to_pkcs8());
    assert!(!shown.contains(RFC8037_D));
    let Value::Object(members) = key.public().to_value() else {
        panic!("not an object")
    };
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "crv", "kty", "use", "x"]);
}
