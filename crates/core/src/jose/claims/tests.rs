use proptest::prelude::*;
use ring::rand::SystemRandom;
use serde_json::json;

use super::*;
use crate::jose::alg::Algorithm;
use crate::jose::jws::{self, MAX_TOKEN};
use crate::jose::signer::SigningKey;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://idp.example/realms/a";

fn expectations() -> Expectations<'static> {
    Expectations {
        issuer: ISSUER,
        audiences: &["https://vault.example", "other"],
        sole_audience: false,
        now: Timestamp::from_unix(NOW),
        leeway: Ttl::from_secs(30),
        typ: TypPolicy::OneOf(&["at+jwt"]),
        require_exp: true,
        max_age: None,
        max_lifetime: None,
        required: &["sub"],
    }
}

fn good() -> Value {
    json!({"iss": ISSUER, "sub": "alice", "aud": "https://vault.example", "exp": NOW + 60, "iat": NOW - 60, "jti": "j"})
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = good();
    claims[claim] = value;
    claims
}

fn without(claim: &str) -> Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(claim);
    claims
}

fn check_typ(
    typ: Option<&str>,
    claims: &Value,
    expected: &Expectations<'_>,
) -> Result<Claims, ClaimError> {
    let key = SigningKey::generate(Algorithm::EdDsa, &SystemRandom::new()).unwrap();
    let mut header = Header::new(Algorithm::EdDsa);
    if let Some(typ) = typ {
        header = header.with_typ(typ);
    }
    let token = jws::encode(&header, claims.to_string().as_bytes(), &key).unwrap();
    let token = jws::decode(&token, MAX_TOKEN).unwrap();
    Claims::check(
        jws::verify(token, [key.public()], &[Algorithm::EdDsa]).unwrap(),
        expected,
    )
}

fn check(claims: &Value, expected: &Expectations<'_>) -> Result<Claims, ClaimError> {
    check_typ(Some("at+jwt"), claims, expected)
}

fn refusal(claims: &Value) -> ClaimError {
    check(claims, &expectations()).unwrap_err()
}

#[test]
fn a_good_token_is_read() {
    let claims = check(&good(), &expectations()).unwrap();
    assert_eq!(claims.issuer.as_deref(), Some(ISSUER));
    assert_eq!(claims.subject.as_deref(), Some("alice"));
    assert_eq!(claims.audience, ["https://vault.example"]);
    assert_eq!(claims.expires_at, Some(Timestamp::from_unix(NOW + 60)));
    assert_eq!(claims.id.as_deref(), Some("j"));
    assert_eq!(Value::Object(claims.all), good());
}

#[test]
fn times_are_numbers_and_nothing_else() {
    for claim in ["exp", "nbf", "iat"] {
        for value in [
            json!(null),
            json!(true),
            json!("1800000060"),
            json!([NOW]),
            json!({}),
            json!(-1),
            json!(-0.5),
            json!(u64::MAX),
            json!(1_u64 << 53),
            json!(i64::MIN),
        ] {
            assert_eq!(
                refusal(&with(claim, value.clone())),
                ClaimError::Malformed { claim },
                "{claim} {value}"
            );
        }
    }
    let claims = check(&with("exp", json!(1_800_000_060.9)), &expectations()).unwrap();
    assert_eq!(claims.expires_at, Some(Timestamp::from_unix(NOW + 60)));
    let claims = check(&with("nbf", json!(1_799_999_999.1)), &expectations()).unwrap();
    assert_eq!(claims.not_before, Some(Timestamp::from_unix(NOW)));
    assert!(check(&with("exp", json!((1_u64 << 53) - 1)), &expectations()).is_ok());
}

#[test]
fn times_are_compared_with_leeway_to_the_second() {
    for (claim, last_good, first_bad, error) in [
        ("exp", NOW - 29, NOW - 30, ClaimError::Expired),
        ("nbf", NOW + 30, NOW + 31, ClaimError::NotYetValid),
        ("iat", NOW + 30, NOW + 31, ClaimError::IssuedInFuture),
    ] {
        assert!(
            check(&with(claim, json!(last_good)), &expectations()).is_ok(),
            "{claim}"
        );
        assert_eq!(refusal(&with(claim, json!(first_bad))), error);
    }
    assert_eq!(refusal(&with("exp", json!(0))), ClaimError::Expired);
}

#[test]
fn age_and_lifetime_have_limits() {
    let aged = Expectations {
        max_age: Some(Ttl::from_secs(60)),
        ..expectations()
    };
    assert!(check(&with("iat", json!(NOW - 90)), &aged).is_ok());
    assert_eq!(
        check(&with("iat", json!(NOW - 91)), &aged),
        Err(ClaimError::TooOld)
    );
    assert_eq!(
        check(&without("iat"), &aged),
        Err(ClaimError::Missing { claim: "iat" })
    );

    let short = Expectations {
        max_lifetime: Some(Ttl::from_secs(120)),
        require_exp: false,
        ..expectations()
    };
    assert!(check(&good(), &short).is_ok());
    assert_eq!(
        check(&with("exp", json!(NOW + 61)), &short),
        Err(ClaimError::LivesTooLong)
    );
    assert_eq!(
        check(&without("exp"), &short),
        Err(ClaimError::Missing { claim: "exp" })
    );
    let mut undated = without("iat");
    undated["exp"] = json!(NOW + 121);
    assert_eq!(check(&undated, &short), Err(ClaimError::LivesTooLong));
}

#[test]
fn what_must_be_there_is_asked_for() {
    for claim in ["iss", "aud", "exp", "sub"] {
        assert_eq!(refusal(&without(claim)), ClaimError::Missing { claim });
    }
    let endless = Expectations {
        require_exp: false,
        ..expectations()
    };
    assert!(check(&without("exp"), &endless).is_ok());
}

#[test]
fn an_audience_is_a_string_or_strings() {
    for value in [
        json!(null),
        json!(true),
        json!(1),
        json!({}),
        json!(""),
        json!([]),
        json!([""]),
        json!([null]),
        json!(["https://vault.example", 1]),
        json!(["https://vault.example", ["x"]]),
        json!({"0": "https://vault.example"}),
        json!(vec!["https://vault.example"; 65]),
    ] {
        assert_eq!(
            refusal(&with("aud", value.clone())),
            ClaimError::Malformed { claim: "aud" },
            "{value}"
        );
    }
    for value in [
        "https://vault.example/",
        "HTTPS://vault.example",
        "https://vault",
        "*",
        " https://vault.example",
    ] {
        let found = vec![value.to_owned()];
        assert_eq!(
            refusal(&with("aud", json!(value))),
            ClaimError::WrongAudience { found }
        );
    }
    assert!(check(&with("aud", json!(["x", "other"])), &expectations()).is_ok());
    let sole = Expectations {
        sole_audience: true,
        ..expectations()
    };
    assert!(check(&with("aud", json!(["other"])), &sole).is_ok());
    assert!(matches!(
        check(&with("aud", json!(["x", "other"])), &sole),
        Err(ClaimError::WrongAudience { .. })
    ));
    let nobody = Expectations {
        audiences: &[],
        ..expectations()
    };
    assert!(matches!(
        check(&good(), &nobody),
        Err(ClaimError::WrongAudience { .. })
    ));
}

#[test]
fn an_issuer_is_compared_byte_for_byte() {
    for issuer in [
        "https://idp.example/realms/a/",
        "https://IDP.example/realms/a",
        "https://idp.example:443/realms/a",
        "http://idp.example/realms/a",
        "https://idp.example/realms/A",
        "https://idp.example/realms/%61",
    ] {
        let found = refusal(&with("iss", json!(issuer)));
        assert_eq!(
            found,
            ClaimError::WrongIssuer {
                expected: ISSUER.to_owned(),
                found: issuer.to_owned()
            }
        );
        assert!(!found.to_string().contains("idp"));
    }
}

#[test]
fn names_are_strings_that_can_be_shown() {
    for claim in ["iss", "sub", "jti", "client_id"] {
        for value in [
            json!(null),
            json!(1),
            json!(["a"]),
            json!({}),
            json!(""),
            json!("a\u{0}"),
            json!("x".repeat(2049)),
        ] {
            assert_eq!(
                refusal(&with(claim, value)),
                ClaimError::Malformed { claim }
            );
        }
    }
    for value in [json!(["a"]), json!(1), json!("a\nb"), json!("é")] {
        assert_eq!(
            refusal(&with("scope", value)),
            ClaimError::Malformed { claim: "scope" }
        );
    }
}

#[test]
fn a_token_of_another_kind_is_refused() {
    for typ in [
        None,
        Some("JWT"),
        Some("dpop+jwt"),
        Some("oauth-id-jag+jwt"),
        Some("at+jwt+x"),
    ] {
        assert_eq!(
            check_typ(typ, &good(), &expectations()),
            Err(ClaimError::WrongType)
        );
    }
    assert!(check_typ(Some("application/AT+JWT"), &good(), &expectations()).is_ok());
    let svid = Expectations {
        typ: TypPolicy::AbsentOr(&["JWT", "JOSE"]),
        ..expectations()
    };
    for typ in [None, Some("JWT"), Some("jose")] {
        assert!(check_typ(typ, &good(), &svid).is_ok());
    }
    assert_eq!(
        check_typ(Some("at+jwt"), &good(), &svid),
        Err(ClaimError::WrongType)
    );
}

#[test]
fn a_bound_token_is_never_taken_for_a_free_one() {
    let jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    assert_eq!(
        check(&with("cnf", json!({"jkt": jkt})), &expectations())
            .unwrap()
            .jkt
            .as_deref(),
        Some(jkt)
    );
    for cnf in [
        json!({}),
        json!({"x5t#S256": jkt}),
        json!({"jwk": {}}),
        json!({"kid": "k"}),
    ] {
        assert_eq!(
            refusal(&with("cnf", cnf)),
            ClaimError::UnsupportedConfirmation
        );
    }
    for cnf in [
        json!(null),
        json!(jkt),
        json!([]),
        json!({"jkt": 1}),
        json!({"jkt": ""}),
        json!({"jkt": "abcd"}),
    ] {
        assert_eq!(
            refusal(&with("cnf", cnf)),
            ClaimError::Malformed { claim: "cnf" }
        );
    }
}

#[test]
fn authorization_details_pass_through_as_an_array() {
    let details = json!([{"type": "vault:path_access", "x": 1}]);
    let claims = check(
        &with("authorization_details", details.clone()),
        &expectations(),
    )
    .unwrap();
    assert_eq!(
        claims.authorization_details.map(Value::Array),
        Some(details)
    );
    for value in [json!({}), json!(null), json!("[]")] {
        assert_eq!(
            refusal(&with("authorization_details", value)),
            ClaimError::Malformed {
                claim: "authorization_details"
            }
        );
    }
}

proptest! {
    #[test]
    fn reading_never_panics(name in "(iss|aud|exp|nbf|iat|act|may_act|cnf|scope)", number in any::<f64>(), text in ".{0,8}") {
        for value in [json!(number), json!(text), json!([text]), json!({"sub": text, "act": number})] {
            let Value::Object(claims) = with(&name, value) else { continue };
            let _ = Claims::read(claims);
        }
    }
}
