use proptest::prelude::*;
use ring::rand::SystemRandom;
use serde_json::json;

use super::*;
use crate::jose::vectors::*;

fn key(text: &str) -> PublicJwk {
    PublicJwk::from_json_text(text).unwrap()
}

fn read<'k>(
    token: &str,
    keys: impl IntoIterator<Item = &'k PublicJwk>,
) -> Result<Verified, JwsError> {
    verify(decode(token, MAX_TOKEN)?, keys, &Algorithm::ALL)
}

fn signer(alg: Algorithm) -> SigningKey {
    SigningKey::generate(alg, &SystemRandom::new()).unwrap()
}

/// A token with `header`, properly signed.
fn signed(header: &str, payload: &str, key: &SigningKey) -> String {
    let input = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(payload)
    );
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", base64url::encode(signature))
}

/// What is said of an otherwise good token with this header.
fn with_header(header: &Value) -> JwsError {
    let key = signer(Algorithm::EdDsa);
    read(&signed(&header.to_string(), "{}", &key), [key.public()]).unwrap_err()
}

#[test]
fn rfc_7515_tokens_verify() {
    let claims = json!({"iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true});
    for (jwk, token) in [
        (RFC7515_A2_KEY, RFC7515_A2_TOKEN),
        (RFC7515_A3_KEY, RFC7515_A3_TOKEN),
    ] {
        let verified = read(token, [&key(jwk)]).unwrap();
        assert_eq!(Value::Object(verified.claims().clone()), claims);
        assert_eq!(verified.header().typ(), None);
    }
}

#[test]
fn a_payload_that_is_no_object_is_refused_after_its_signature() {
    let key = key(RFC8037_KEY);
    assert_eq!(
        read(RFC8037_TOKEN, [&key]),
        Err(JwsError::Payload(JsonError::Refused))
    );
    let signer = signer(Algorithm::EdDsa);
    for payload in ["[]", "1", "\"x\"", "null"] {
        let token = signed(r#"{"alg":"EdDSA"}"#, payload, &signer);
        assert_eq!(
            read(&token, [signer.public()]),
            Err(JwsError::Payload(JsonError::NotAnObject))
        );
    }
    let token = signed(r#"{"alg":"EdDSA"}"#, r#"{"sub":"a","sub":"b"}"#, &signer);
    assert_eq!(
        read(&token, [signer.public()]),
        Err(JwsError::Payload(JsonError::Refused))
    );
}

#[test]
fn none_and_hmac_and_encryption_are_no_algorithms() {
    for alg in [
        "none", "None", "nOnE", "HS256", "HS384", "HS512", "RSA-OAEP", "dir", "ES512", "eddsa",
        "EdDSA ",
    ] {
        assert_eq!(
            with_header(&json!({"alg": alg})),
            JwsError::Algorithm,
            "{alg}"
        );
    }
    for alg in [
        json!(null),
        json!(1),
        json!(["EdDSA"]),
        json!({"a": "EdDSA"}),
        json!(true),
        json!(""),
    ] {
        assert_eq!(
            with_header(&json!({"alg": alg})),
            JwsError::HeaderMember { member: "alg" }
        );
    }
    assert_eq!(
        with_header(&json!({})),
        JwsError::HeaderMember { member: "alg" }
    );
    let unsigned = format!(
        "{}.{}.",
        base64url::encode(r#"{"alg":"none"}"#),
        RFC7515_PAYLOAD
    );
    assert_eq!(
        read(&unsigned, [&key(RFC7515_A2_KEY)]),
        Err(JwsError::Algorithm)
    );
}

#[test]
fn hmac_with_our_public_key_is_refused() {
    let public = key(RFC7515_A2_KEY);
    let input = format!(
        "{}.{}",
        base64url::encode(r#"{"alg":"HS256"}"#),
        RFC7515_PAYLOAD
    );
    for secret in [RFC7515_A2_KEY.to_owned(), public.to_value().to_string()] {
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let token = format!(
            "{input}.{}",
            base64url::encode(ring::hmac::sign(&secret, input.as_bytes()))
        );
        assert_eq!(read(&token, [&public]), Err(JwsError::Algorithm));
    }
}

#[test]
fn a_key_verifies_only_what_it_is_for() {
    let key = signer(Algorithm::EdDsa);
    let token = signed(r#"{"alg":"ES256"}"#, "{}", &key);
    let refused = JwsError::Signature(SignatureError::WrongAlgorithm(Algorithm::Es256));
    assert_eq!(read(&token, [key.public()]), Err(refused));

    let token = signed(r#"{"alg":"EdDSA"}"#, "{}", &key);
    let token = decode(&token, MAX_TOKEN).unwrap();
    assert_eq!(
        verify(token, [key.public()], &[Algorithm::Es256]),
        Err(JwsError::AlgorithmNotTaken)
    );
}

#[test]
fn members_that_change_the_meaning_are_refused() {
    for member in [
        "crit", "b64", "zip", "enc", "epk", "jku", "x5u", "x5c", "jwk",
    ] {
        for value in [
            json!(null),
            json!([]),
            json!("https://evil.example/keys"),
            json!(false),
        ] {
            let found = with_header(&json!({"alg": "EdDSA", member: value}));
            assert_eq!(found, JwsError::RefusedMember { member });
        }
    }
    let own: Value = serde_json::from_str(RFC8037_KEY).unwrap();
    let found = with_header(&json!({"alg": "EdDSA", "jwk": own}));
    assert_eq!(found, JwsError::RefusedMember { member: "jwk" });
}

#[test]
fn nested_and_encrypted_tokens_are_refused() {
    for cty in ["JWT", "jwt", "application/jwt"] {
        assert_eq!(
            with_header(&json!({"alg": "EdDSA", "cty": cty})),
            JwsError::Nested
        );
    }
    for token in ["a.b.c.d.e", "e30.e30.e30.e30.e30", "e30..e30.e30.e30"] {
        assert_eq!(decode(token, MAX_TOKEN), Err(JwsError::Malformed));
    }
}

#[test]
fn header_members_have_one_type() {
    for member in ["kid", "typ", "cty"] {
        for value in [
            json!(null),
            json!(1),
            json!([]),
            json!({}),
            json!(""),
            json!("a\u{202e}b"),
            json!("x".repeat(300)),
        ] {
            assert_eq!(
                with_header(&json!({"alg": "EdDSA", member: value})),
                JwsError::HeaderMember { member }
            );
        }
    }
    let key = signer(Algorithm::EdDsa);
    for header in [
        r#"{"alg":"EdDSA","alg":"none"}"#,
        r#"{"alg":"EdDSA","x":{"a":1,"a":1}}"#,
        "{",
        "\u{feff}{}",
    ] {
        let found = read(&signed(header, "{}", &key), [key.public()]);
        assert_eq!(found, Err(JwsError::Header(JsonError::Refused)), "{header}");
    }
    let found = read(&signed(r#"["EdDSA"]"#, "{}", &key), [key.public()]);
    assert_eq!(found, Err(JwsError::Header(JsonError::NotAnObject)));
}

#[test]
fn one_token_has_one_spelling() {
    let key = key(RFC7515_A3_KEY);
    let (head, tail) = RFC7515_A3_TOKEN.split_at(RFC7515_A3_TOKEN.len() - 1);
    assert_eq!(tail, "Q");
    for token in [
        format!("{RFC7515_A3_TOKEN}="),
        format!("{RFC7515_A3_TOKEN}=="),
        format!("{RFC7515_A3_TOKEN}\n"),
        format!(" {RFC7515_A3_TOKEN}"),
        format!("{head}R"),
        format!("{head}Q."),
        format!(".{RFC7515_A3_TOKEN}"),
        RFC7515_A3_TOKEN.replace('_', "/").replace('-', "+"),
        RFC7515_A3_TOKEN.replacen('.', "..", 1),
        RFC7515_A3_TOKEN.replacen('.', ". ", 1),
    ] {
        assert_eq!(read(&token, [&key]), Err(JwsError::Malformed), "{token}");
    }
    for token in ["", ".", "..", "a", "a.b"] {
        assert!(decode(token, MAX_TOKEN).is_err(), "{token}");
    }
}

#[test]
fn length_is_bounded_before_anything_is_read() {
    let token = "a".repeat(MAX_TOKEN + 1);
    assert_eq!(decode(&token, MAX_TOKEN), Err(JwsError::TooLong));
    assert_eq!(decode(RFC7515_A3_TOKEN, 20), Err(JwsError::TooLong));
}

#[test]
fn the_kid_chooses_the_key() {
    let [a, b] = [signer(Algorithm::EdDsa), signer(Algorithm::EdDsa)];
    let named = |key: &SigningKey, kid: &str| key.public().clone().with_kid(kid).unwrap();
    let token = encode(&Header::new(Algorithm::EdDsa).with_kid("a"), b"{}", &a).unwrap();

    assert!(read(&token, [&named(&b, "b"), &named(&a, "a")]).is_ok());
    assert!(read(&token, [a.public()]).is_ok());
    assert_eq!(read(&token, [&named(&a, "b")]), Err(JwsError::UnknownKey));
    assert_eq!(read(&token, []), Err(JwsError::UnknownKey));
    // The name is another's: the right key beside it does not count.
    let invalid = JwsError::Signature(SignatureError::Invalid);
    assert_eq!(
        read(&token, [&named(&b, "a"), &named(&a, "b")]),
        Err(invalid.clone())
    );
    assert_eq!(read(&token, [&named(&b, "a"), a.public()]), Err(invalid));
    assert_eq!(
        read(&token, [&named(&a, "a"), &named(&b, "a")]),
        Err(JwsError::AmbiguousKey)
    );
    assert_eq!(
        read(&token, [a.public(), b.public()]),
        Err(JwsError::AmbiguousKey)
    );
}

#[test]
fn two_keys_under_one_kid_are_told_apart_by_algorithm() {
    let [ed, ec] = [signer(Algorithm::EdDsa), signer(Algorithm::Es256)];
    let keys = [&ed, &ec].map(|key| key.public().clone().with_kid("k").unwrap());
    for key in [&ed, &ec] {
        let token = encode(&Header::new(key.alg()).with_kid("k"), b"{}", key).unwrap();
        assert!(read(&token, &keys).is_ok());
    }
}

#[test]
fn without_a_kid_exactly_one_key_may_fit() {
    let [a, b, ec] = [
        signer(Algorithm::EdDsa),
        signer(Algorithm::EdDsa),
        signer(Algorithm::Es256),
    ];
    let token = encode(&Header::new(Algorithm::EdDsa), b"{}", &a).unwrap();
    assert!(read(&token, [a.public(), ec.public()]).is_ok());
    assert_eq!(
        read(&token, [a.public(), b.public()]),
        Err(JwsError::AmbiguousKey)
    );
}

#[test]
fn media_types_compare_as_the_standard_says() {
    for (a, b) in [
        ("at+jwt", "AT+JWT"),
        ("at+jwt", "application/at+jwt"),
        ("Application/JWT", "jwt"),
    ] {
        assert!(same_media_type(a, b) && same_media_type(b, a), "{a} {b}");
    }
    for (a, b) in [
        ("at+jwt", "jwt"),
        ("at+jwt", "text/at+jwt"),
        ("a/b", "application/a/b"),
        ("", "jwt"),
    ] {
        assert!(!same_media_type(a, b), "{a} {b}");
    }
}

#[test]
fn a_kept_header_writes_the_same_token() {
    let key = signer(Algorithm::EdDsa);
    let header = Header::new(Algorithm::EdDsa)
        .with_typ("at+jwt")
        .with_kid("k \"1\"");
    let token = encode(&header, br#"{"sub":"x"}"#, &key).unwrap();
    assert_eq!(
        HeaderBytes::new(&header)
            .sign(br#"{"sub":"x"}"#, &key)
            .unwrap(),
        token
    );
    assert_eq!(decode(&token, MAX_TOKEN).unwrap().header(), &header);
    assert_eq!(
        encode(&Header::new(Algorithm::Es256), b"{}", &key),
        Err(SignerError::WrongHeader)
    );
}

#[test]
fn the_issuer_can_be_looked_up_and_nothing_is_shown() {
    let key = signer(Algorithm::EdDsa);
    let token = encode(
        &Header::new(Algorithm::EdDsa),
        br#"{"iss":"https://i","secret":"s3cr3t"}"#,
        &key,
    )
    .unwrap();
    let unverified = decode(&token, MAX_TOKEN).unwrap();
    assert_eq!(unverified.unverified_issuer().as_deref(), Some("https://i"));
    let shown = format!("{unverified:?} {:?}", read(&token, [key.public()]).unwrap());
    assert!(!shown.contains("s3cr3t") && !shown.contains(&token));
    let token = encode(
        &Header::new(Algorithm::EdDsa),
        br#"{"iss":["https://i"]}"#,
        &key,
    )
    .unwrap();
    assert_eq!(decode(&token, MAX_TOKEN).unwrap().unverified_issuer(), None);
}

proptest! {
    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&String::from_utf8_lossy(&bytes), MAX_TOKEN);
        let parts: Vec<String> = bytes.chunks(40).take(3).map(base64url::encode).collect();
        let _ = decode(&parts.join("."), MAX_TOKEN);
    }

    #[test]
    fn headers_of_any_json_are_read_without_panic(text in r#"\{("(alg|kid|typ|crit|jwk)":("EdDSA"|1|null|\{\}|\[\]),?){0,4}\}"#) {
        let _ = decode(&format!("{}.e30.AA", base64url::encode(text)), MAX_TOKEN);
    }

    #[test]
    fn what_is_signed_verifies_and_no_changed_bit_does(sub in "[ -~]{0,40}", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        for key in [signer(Algorithm::EdDsa), signer(Algorithm::Es256)] {
            let payload = json!({"sub": sub});
            let token = encode(&Header::new(key.alg()), payload.to_string().as_bytes(), &key).unwrap();
            let verified = read(&token, [key.public()]).unwrap();
            prop_assert_eq!(Value::Object(verified.claims().clone()), payload);

            let mut bytes = token.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(read(&changed, [key.public()]).is_err());
            }
        }
    }
}
