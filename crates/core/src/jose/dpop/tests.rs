use proptest::prelude::*;
use ring::rand::SystemRandom;
use serde_json::json;

use super::*;
use crate::jose::jwk::{JwkError, PublicJwk, SignatureError};
use crate::jose::jws::Header;
use crate::jose::signer::SigningKey;
use crate::jose::vectors::*;

const MADE: i64 = 1_562_262_616;
const URI: &str = "https://server.example.com/token";

fn expected(uri: &HttpUri) -> Expected<'_> {
    Expected {
        method: "POST",
        uri,
        access_token: None,
        jkt: None,
        nonce: None,
        algorithms: &[Algorithm::Es256, Algorithm::EdDsa],
        now: Timestamp::from_unix(MADE),
        max_age: Ttl::from_secs(60),
        skew: Ttl::from_secs(5),
    }
}

fn uri(text: &str) -> HttpUri {
    text.parse().unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256, &SystemRandom::new()).unwrap()
}

fn good() -> Value {
    json!({"jti": "-BwC3ESc6acc2lTc", "htm": "POST", "htu": URI, "iat": MADE})
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = good();
    claims[claim] = value;
    claims
}

fn proof(key: &SigningKey, claims: &Value) -> String {
    let header = Header::new(key.alg())
        .with_typ(TYP)
        .with_jwk(key.public().clone());
    jws::encode(&header, claims.to_string().as_bytes(), key).unwrap()
}

fn refusal(claims: &Value) -> DpopError {
    verify(&proof(&key(), claims), &expected(&uri(URI))).unwrap_err()
}

/// A proof with this header, signed by `key`.
fn with_header(key: &SigningKey, header: &Value) -> DpopError {
    let input = format!(
        "{}.{}",
        base64url::encode(header.to_string()),
        base64url::encode(good().to_string())
    );
    let proof = format!(
        "{input}.{}",
        base64url::encode(key.sign(input.as_bytes()).unwrap())
    );
    verify(&proof, &expected(&uri(URI))).unwrap_err()
}

#[test]
fn rfc_9449_token_request_is_proved() {
    let proved = verify(RFC9449_TOKEN_PROOF, &expected(&uri(URI))).unwrap();
    let jti = "-BwC3ESc6acc2lTc";
    let issued_at = Timestamp::from_unix(MADE);
    assert_eq!(
        proved,
        Proof {
            jkt: RFC9449_JKT.to_owned(),
            jti: jti.to_owned(),
            issued_at
        }
    );
    assert_eq!(proved.replay_key(), (RFC9449_JKT, jti));
}

#[test]
fn rfc_9449_resource_request_is_proved() {
    let uri = uri("https://resource.example.org/protectedresource");
    let expected = Expected {
        method: "GET",
        access_token: Some(RFC9449_ACCESS_TOKEN),
        jkt: Some(RFC9449_JKT),
        now: Timestamp::from_unix(MADE + 2),
        ..expected(&uri)
    };
    assert!(verify(RFC9449_RESOURCE_PROOF, &expected).is_ok());
    let other = Expected {
        access_token: Some("another"),
        ..expected
    };
    assert_eq!(
        verify(RFC9449_RESOURCE_PROOF, &other),
        Err(DpopError::WrongToken)
    );
    let other = Expected {
        jkt: Some(RFC8037_THUMBPRINT),
        ..expected
    };
    assert_eq!(
        verify(RFC9449_RESOURCE_PROOF, &other),
        Err(DpopError::WrongKey)
    );
}

#[test]
fn claims_are_there_and_well_formed() {
    for claim in ["jti", "htm", "htu", "iat"] {
        for value in [
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!(""),
            json!("-1"),
        ] {
            let error = match claim {
                "jti" if value == "-1" => continue,
                "htm" if value == "-1" => DpopError::WrongMethod,
                _ => DpopError::Claim { claim },
            };
            assert_eq!(refusal(&with(claim, value)), error);
        }
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(claim);
        assert_eq!(refusal(&claims), DpopError::Claim { claim });
    }
    for jti in ["j".repeat(MAX_JTI + 1), "a\u{0}".to_owned()] {
        assert_eq!(
            refusal(&with("jti", json!(jti))),
            DpopError::Claim { claim: "jti" }
        );
    }
}

#[test]
fn method_and_uri_are_those_of_the_request() {
    for htm in ["GET", "post", "POST "] {
        assert_eq!(refusal(&with("htm", json!(htm))), DpopError::WrongMethod);
    }
    for htu in [
        "https://server.example.com/token/",
        "http://server.example.com/token",
        "https://server.example.com:8200/token",
        "https://evil.example/token",
    ] {
        assert_eq!(refusal(&with("htu", json!(htu))), DpopError::WrongUri);
    }
    for htu in [
        "HTTPS://SERVER.example.com:443/token",
        "https://server.example.com/%74oken",
        "https://server.example.com/token?a=b#c",
    ] {
        assert!(
            verify(
                &proof(&key(), &with("htu", json!(htu))),
                &expected(&uri(URI))
            )
            .is_ok(),
            "{htu}"
        );
    }
}

#[test]
fn a_proof_is_good_for_a_short_time() {
    for (iat, outcome) in [
        (MADE - 60, None),
        (MADE - 61, Some(DpopError::TooOld)),
        (MADE + 5, None),
        (MADE + 6, Some(DpopError::InFuture)),
    ] {
        let found = verify(
            &proof(&key(), &with("iat", json!(iat))),
            &expected(&uri(URI)),
        );
        assert_eq!(found.err(), outcome);
    }
}

#[test]
fn the_nonce_that_was_given_comes_back() {
    let uri = uri(URI);
    let asked = Expected {
        nonce: Some("n-0S6_WzA2Mj"),
        ..expected(&uri)
    };
    assert!(
        verify(
            &proof(&key(), &with("nonce", json!("n-0S6_WzA2Mj"))),
            &asked
        )
        .is_ok()
    );
    for nonce in [json!("other"), json!(""), json!(1), json!(null)] {
        assert_eq!(
            verify(&proof(&key(), &with("nonce", nonce)), &asked),
            Err(DpopError::WrongNonce)
        );
    }
    assert_eq!(
        verify(&proof(&key(), &good()), &asked),
        Err(DpopError::WrongNonce)
    );
}

#[test]
fn a_token_needs_its_hash() {
    let uri = uri(URI);
    let with_token = Expected {
        access_token: Some("token"),
        ..expected(&uri)
    };
    assert_eq!(
        verify(&proof(&key(), &good()), &with_token),
        Err(DpopError::Claim { claim: "ath" })
    );
    let ath = base64url::sha256(b"token");
    assert!(verify(&proof(&key(), &with("ath", json!(ath))), &with_token).is_ok());
    let plain = with("ath", json!("token"));
    assert_eq!(
        verify(&proof(&key(), &plain), &with_token),
        Err(DpopError::WrongToken)
    );
}

#[test]
fn only_its_own_public_key_verifies_it() {
    let key = key();
    let jwk = key.public().to_value();
    let header = |jwk: &Value| json!({"typ": TYP, "alg": "ES256", "jwk": jwk});

    let mut private = jwk.clone();
    private["d"] = json!("c2VjcmV0");
    let refused = JwsError::EmbeddedKey(JwkError::Private { member: "d" });
    assert_eq!(
        with_header(&key, &header(&private)),
        DpopError::Jws(refused)
    );

    let other = self::key().public().to_value();
    let invalid = DpopError::Jws(JwsError::Signature(SignatureError::Invalid));
    assert_eq!(with_header(&key, &header(&other)), invalid);

    let missing = DpopError::Jws(JwsError::HeaderMember { member: "jwk" });
    assert_eq!(
        with_header(&key, &json!({"typ": TYP, "alg": "ES256"})),
        missing
    );
    for member in ["jku", "x5u", "x5c", "crit"] {
        let mut header = header(&jwk);
        header[member] = json!("https://evil.example");
        assert_eq!(
            with_header(&key, &header),
            DpopError::Jws(JwsError::RefusedMember { member })
        );
    }
    let symmetric = header(&json!({"kty": "oct", "k": "c2VjcmV0"}));
    let refused = JwsError::EmbeddedKey(JwkError::Private { member: "k" });
    assert_eq!(with_header(&key, &symmetric), DpopError::Jws(refused));
}

#[test]
fn kind_and_algorithm_are_held_to() {
    let key = key();
    let jwk = key.public().to_value();
    for typ in ["JWT", "at+jwt", "dpop", "dpop+jwt2"] {
        assert_eq!(
            with_header(&key, &json!({"typ": typ, "alg": "ES256", "jwk": jwk})),
            DpopError::WrongType
        );
    }
    assert_eq!(
        with_header(&key, &json!({"alg": "ES256", "jwk": jwk})),
        DpopError::WrongType
    );
    for alg in ["none", "HS256"] {
        let found = with_header(&key, &json!({"typ": TYP, "alg": alg, "jwk": jwk}));
        assert_eq!(found, DpopError::Jws(JwsError::Algorithm));
    }
    let uri = uri(URI);
    let narrow = Expected {
        algorithms: &[Algorithm::EdDsa],
        ..expected(&uri)
    };
    assert_eq!(
        verify(&proof(&key, &good()), &narrow),
        Err(DpopError::Jws(JwsError::AlgorithmNotTaken))
    );
    let long = format!("{}{}", proof(&key, &good()), "A".repeat(MAX_PROOF));
    assert_eq!(
        verify(&long, &expected(&uri)),
        Err(DpopError::Jws(JwsError::TooLong))
    );
}

#[test]
fn names_given_to_the_key_do_not_matter() {
    let key = key();
    let jwk: PublicJwk = key.public().clone().with_kid("one").unwrap();
    let header = Header::new(key.alg())
        .with_typ("application/DPoP+JWT")
        .with_jwk(jwk)
        .with_kid("two");
    let proof = jws::encode(&header, good().to_string().as_bytes(), &key).unwrap();
    let proved = verify(&proof, &expected(&uri(URI))).unwrap();
    assert_eq!(proved.jkt, key.public().thumbprint());
}

proptest! {
    #[test]
    fn no_changed_bit_proves_anything(at in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let mut bytes = RFC9449_TOKEN_PROOF.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(verify(&changed, &expected(&uri(URI))).is_err());
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,200}") {
        prop_assert!(verify(&text, &expected(&uri(URI))).is_err());
    }
}
