use serde_json::json;

use super::*;
use crate::jose::vectors::*;

const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9zlHTYnnmhlTCMWaSJpoAvhhhyUg\nTziXdBi0jSNxrPqQoC+/64fYblnObKe47WhiTc+9Z7tx2idY+ORKUfXeLw==\n-----END PUBLIC KEY-----";
const P384_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEpRFI3zNUZqPrNTT9kcfGZmNf7+0wR0db\nUjsROX3qKDEpHI0UMHhuVismpnufett3M6iTTSH85pTsSoz5a/Y5AC8OLZoD84YY\nr4VcP2VUY3xuYA+H9Bm1BaFCEgFk7Jv5\n-----END PUBLIC KEY-----";
const RSA_PEM: &str = include_str!("test_rsa_public.pem");

fn key(text: &str) -> PublicJwk {
    PublicJwk::from_json_text(text).unwrap()
}

fn refusal(value: impl std::borrow::Borrow<Value>) -> JwkError {
    PublicJwk::from_value(value.borrow()).unwrap_err()
}

/// The RFC 7515 A.3 key with `member` set to `value`.
fn with(text: &str, member: &str, value: impl Into<Value>) -> Value {
    let mut jwk: Value = serde_json::from_str(text).unwrap();
    jwk[member] = value.into();
    jwk
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    assert_eq!(key(RFC7638_KEY).thumbprint(), RFC7638_THUMBPRINT);
    assert_eq!(key(RFC8037_KEY).thumbprint(), RFC8037_THUMBPRINT);
    let dpop = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
    assert_eq!(key(dpop).thumbprint(), RFC9449_JKT);
}

#[test]
fn a_jwk_comes_back_as_it_was() {
    for text in [RFC7638_KEY, RFC8037_KEY, RFC7515_A2_KEY, RFC7515_A3_KEY] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(key(text).to_value(), value);
        assert_eq!(
            serde_json::from_value::<PublicJwk>(value).unwrap(),
            key(text)
        );
    }
    let extra = with(RFC7515_A3_KEY, "x5u", "https://evil.example/key");
    assert_eq!(PublicJwk::from_value(&extra).unwrap(), key(RFC7515_A3_KEY));
}

#[test]
fn rfc_signatures_verify_and_only_with_their_algorithm() {
    for (jwk, token, alg) in [
        (RFC7515_A2_KEY, RFC7515_A2_TOKEN, Algorithm::Rs256),
        (RFC7515_A3_KEY, RFC7515_A3_TOKEN, Algorithm::Es256),
        (RFC8037_KEY, RFC8037_TOKEN, Algorithm::EdDsa),
    ] {
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature).unwrap();
        let key = key(jwk);
        assert_eq!(key.verify(alg, input.as_bytes(), &signature), Ok(()));
        for other in Algorithm::ALL.into_iter().filter(|other| *other != alg) {
            let expected = if key.algorithms().contains(&other) {
                SignatureError::Invalid
            } else {
                SignatureError::WrongAlgorithm(other)
            };
            assert_eq!(
                key.verify(other, input.as_bytes(), &signature),
                Err(expected)
            );
        }
    }
}

#[test]
fn signatures_of_other_software_verify() {
    let rsa = PublicJwk::from_pem(RSA_PEM).unwrap();
    for (alg, signature) in RSA_SIGNATURES {
        let signature = base64url::decode(signature).unwrap();
        for tried in rsa.algorithms() {
            assert_eq!(
                rsa.verify(*tried, b"message", &signature).is_ok(),
                *tried == alg
            );
        }
    }
    let signature = base64url::decode(ES384_SIGNATURE).unwrap();
    let p384 = key(ES384_KEY);
    assert_eq!(
        p384.verify(Algorithm::Es384, b"message", &signature),
        Ok(())
    );
    assert_eq!(
        p384.verify(Algorithm::Es384, b"massage", &signature),
        Err(SignatureError::Invalid)
    );
}

#[test]
fn an_alg_in_the_key_binds_it() {
    let key = key(RFC7638_KEY);
    assert_eq!(key.algorithms(), [Algorithm::Rs256]);
    let refused = SignatureError::WrongAlgorithm(Algorithm::Ps256);
    assert_eq!(key.verify(Algorithm::Ps256, b"", b""), Err(refused));
}

#[test]
fn degenerate_signatures_do_not_verify() {
    let (input, signature) = RFC7515_A3_TOKEN.rsplit_once('.').unwrap();
    let good = base64url::decode(signature).unwrap();
    let order = b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let zero = [0; 32];
    let bad = [
        Vec::new(),
        vec![0; 64],
        vec![0xff; 64],
        good[..63].to_vec(),
        [&good[..], &[0]].concat(),
        [&zero[..], &good[32..]].concat(),
        [&good[..32], &zero].concat(),
        [&good[..32], order].concat(),
        [&order[..], order].concat(),
    ];
    for signature in bad {
        let found = key(RFC7515_A3_KEY).verify(Algorithm::Es256, input.as_bytes(), &signature);
        assert_eq!(found, Err(SignatureError::Invalid));
    }
    for len in [0, 63, 64, 65] {
        let found = key(RFC8037_KEY).verify(Algorithm::EdDsa, b"x", &vec![0; len]);
        assert_eq!(found, Err(SignatureError::Invalid));
    }
    for len in [0, 255, 256, 257] {
        for alg in [Algorithm::Rs256, Algorithm::Ps256] {
            let found = key(RFC7515_A2_KEY).verify(alg, b"x", &vec![0; len]);
            assert_eq!(found, Err(SignatureError::Invalid));
        }
    }
}

#[test]
fn ed25519_signatures_are_not_malleable() {
    /// L, the order of the base point, little-endian.
    const L: [u8; 32] = *b"\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10";
    let (input, signature) = RFC8037_TOKEN.rsplit_once('.').unwrap();
    let mut signature = base64url::decode(signature).unwrap();
    let mut carry = 0_u16;
    for (s, l) in signature[32..].iter_mut().zip(L) {
        carry += u16::from(*s) + u16::from(l);
        *s = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    let found = key(RFC8037_KEY).verify(Algorithm::EdDsa, input.as_bytes(), &signature);
    assert_eq!(found, Err(SignatureError::Invalid));
}

#[test]
fn ed25519_points_of_small_order_are_refused_in_every_spelling() {
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    for point in points {
        let digits: Vec<char> = point.chars().collect();
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
            .collect();
        let found = refusal(json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(bytes)}));
        assert!(matches!(found, JwkError::Weak { .. }), "{point}: {found:?}");
    }
}

#[test]
fn weak_rsa_keys_are_refused() {
    let n = |bytes: Vec<u8>| with(RFC7515_A2_KEY, "n", base64url::encode(bytes));
    let e = |bytes: &[u8]| with(RFC7515_A2_KEY, "e", base64url::encode(bytes));
    let modulus = |len: usize, first: u8, last: u8| {
        let mut bytes = vec![0x5a; len];
        bytes[0] = first;
        bytes[len - 1] = last;
        bytes
    };
    for weak in [
        n(modulus(128, 0x81, 1)),
        n(modulus(256, 0x7f, 1)),
        n(modulus(1025, 1, 1)),
        n(modulus(256, 0x81, 2)),
        n(vec![0xff; 256]),
        e(&[1]),
        e(&[2]),
        e(&[1, 0, 0]),
        e(&[1, 0, 0, 0, 1]),
        e(&[1, 0, 0, 0, 0, 0, 0, 0, 1]),
    ] {
        let found = refusal(weak);
        assert!(matches!(found, JwkError::Weak { .. }), "{found:?}");
    }
    assert_eq!(refusal(e(&[0])), JwkError::Malformed { member: "e" });
    assert_eq!(
        refusal(e(&[0, 1, 0, 1])),
        JwkError::Malformed { member: "e" }
    );
    assert_eq!(
        refusal(n(modulus(257, 0, 1))),
        JwkError::Malformed { member: "n" }
    );
    assert!(PublicJwk::from_value(&e(&[3])).is_ok());
}

#[test]
fn points_are_whole_and_on_their_curve() {
    for coordinate in ["", "AQ", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEUA"] {
        assert_eq!(
            refusal(with(RFC7515_A3_KEY, "x", coordinate)),
            JwkError::Malformed { member: "x" }
        );
    }
    let zero = base64url::encode([0; 32]);
    let infinity = json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero});
    assert_eq!(
        refusal(infinity),
        JwkError::Weak {
            reason: "the point is at infinity"
        }
    );
    assert_eq!(
        refusal(with(RFC7515_A3_KEY, "crv", "P-384")),
        JwkError::Malformed { member: "x" }
    );

    let off = with(
        RFC7515_A3_KEY,
        "y",
        "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4",
    );
    let reason = "the point is not on the curve";
    assert_eq!(
        PublicJwk::from_value(&off).unwrap().check_on_curve(),
        Err(JwkError::Weak { reason })
    );
    assert_eq!(
        RegisteredKey::from_value(off).unwrap_err(),
        JwkError::Weak { reason }
    );
}

#[test]
fn private_and_symmetric_keys_are_refused_without_being_shown() {
    for member in PRIVATE {
        let found = refusal(with(RFC7515_A3_KEY, member, "c2VjcmV0"));
        assert_eq!(found, JwkError::Private { member });
        assert!(!found.to_string().contains("c2VjcmV0"));
    }
    assert_eq!(
        refusal(json!({"kty": "oct", "k": "c2VjcmV0"})),
        JwkError::Private { member: "k" }
    );
}

#[test]
fn other_kinds_and_uses_are_refused() {
    for (member, value) in [
        ("kty", "oct"),
        ("kty", "ec"),
        ("crv", "P-521"),
        ("crv", "secp256k1"),
        ("crv", "X25519"),
    ] {
        assert_eq!(
            refusal(with(RFC7515_A3_KEY, member, value)),
            JwkError::UnknownKind,
            "{value}"
        );
    }
    assert_eq!(
        refusal(with(RFC8037_KEY, "crv", "X25519")),
        JwkError::UnknownKind
    );
    for (member, value) in [
        ("use", json!("enc")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
    ] {
        assert_eq!(
            refusal(with(RFC7515_A3_KEY, member, value)),
            JwkError::NotForSignatures { member }
        );
    }
    for (member, value) in [
        ("kty", json!(1)),
        ("x", json!(null)),
        ("x", json!("f83O+3D2")),
        ("kid", json!("")),
        ("kid", json!("a\nb")),
        ("kid", json!("k".repeat(MAX_KID + 1))),
        ("kid", json!(7)),
        ("alg", json!(["ES256"])),
        ("use", json!(true)),
        ("key_ops", json!("verify")),
        ("key_ops", json!(["verify", 1])),
    ] {
        assert_eq!(
            refusal(with(RFC7515_A3_KEY, member, value)),
            JwkError::Malformed { member }
        );
    }
    for value in [json!([]), json!("key"), json!(null)] {
        assert_eq!(refusal(value), JwkError::Json(JsonError::NotAnObject));
    }
    assert_eq!(refusal(json!({})), JwkError::Missing { member: "kty" });
}

#[test]
fn duplicates_and_length_are_seen_in_text() {
    let twice = RFC8037_KEY.replace(r#""kty":"OKP""#, r#""kty":"OKP","kty":"OKP""#);
    assert_eq!(
        PublicJwk::from_json_text(&twice),
        Err(JwkError::Json(JsonError::Refused))
    );
    let long = format!("{RFC8037_KEY}{}", " ".repeat(MAX_JWK));
    assert_eq!(PublicJwk::from_json_text(&long), Err(JwkError::TooLong));
}

#[test]
fn pem_gives_the_same_key_as_jwk() {
    for (pem, alg) in [
        (P256_PEM, Algorithm::Es256),
        (P384_PEM, Algorithm::Es384),
        (RSA_PEM, Algorithm::Rs256),
    ] {
        let key = PublicJwk::from_pem(pem).unwrap();
        assert!(key.algorithms().contains(&alg));
        assert_eq!(key.check_on_curve(), Ok(()));
        assert_eq!(PublicJwk::from_value(&key.to_value()).unwrap(), key);
    }
    let private = P256_PEM.replace("PUBLIC", "PRIVATE");
    assert_eq!(PublicJwk::from_pem(&private), Err(JwkError::NotAKey));
    let certificate = P256_PEM.replace("PUBLIC KEY", "CERTIFICATE");
    assert_eq!(PublicJwk::from_pem(&certificate), Err(JwkError::NotAKey));
    let torn = P384_PEM.replace("MHYw", "MHcw");
    assert_eq!(PublicJwk::from_pem(&torn), Err(JwkError::Der(DerError)));
}

#[test]
fn a_registered_key_is_given_back_as_written() {
    let object: Value = serde_json::from_str(RFC7638_KEY).unwrap();
    let spaced = format!("\n {RFC8037_KEY} ");
    for written in [object, json!(spaced), json!(P384_PEM), json!(RSA_PEM)] {
        let key: RegisteredKey = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&key).unwrap(), written);
        assert_eq!(
            serde_json::from_value::<RegisteredKey>(serde_json::to_value(&key).unwrap()).unwrap(),
            key
        );
    }
    let key = RegisteredKey::from_value(json!(spaced)).unwrap();
    assert_eq!(key.key().thumbprint(), RFC8037_THUMBPRINT);
}

#[test]
fn what_is_no_key_is_not_registered() {
    for value in [
        json!(null),
        json!(true),
        json!(1),
        json!([]),
        json!(""),
        json!("ssh-ed25519 AAAA"),
    ] {
        assert_eq!(
            RegisteredKey::from_value(value).unwrap_err(),
            JwkError::NotAKey
        );
    }
    let twice = r#"{"kty":"OKP","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert!(serde_json::from_str::<RegisteredKey>(twice).is_err());
}

#[test]
fn a_registered_key_has_one_type_for_the_host() {
    let schema = schemars::schema_for!(RegisteredKey);
    assert_eq!(schema.get("type"), Some(&json!("object")));
}
