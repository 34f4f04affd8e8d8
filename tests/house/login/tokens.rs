//! Tokens whose form or claims are not those of a token for this mount.

use serde_json::json;
use vault_plugin_agentic::jose::alg::Algorithm;

use super::{Doors, OWN};
use crate::idp::{AUDIENCE, Signer, access, encode, with};
use crate::world::START;

/// Algorithms, headers, and the shape of a token.
#[tokio::test]
async fn a_token_that_is_not_what_it_should_be_is_refused() {
    let doors = Doors::new().await;
    let payload = access().to_string();
    let good = doors.idp.sign("at+jwt", &access());
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let stranger = Signer::new(Algorithm::EdDsa, "idp-1");
    let other_alg = Signer::new(Algorithm::Es256, "idp-1");
    let raw = |header: &str| doors.idp.sign_raw(header, &payload);
    let jwk = doors.idp.jwk();
    let nested = format!("{}1{}", "{\"a\":".repeat(64), "}".repeat(64));
    for (token, why) in [
        ("", "malformed"),
        ("a.b", "malformed"),
        ("a.b.c.d.e", "malformed"),
        (&*format!("{rest}."), "refused"),
        (&*format!("{rest}.{}", encode("x")), "refused"),
        (&*format!("{good}="), "malformed"),
        (&*format!(" {good}"), "malformed"),
        (&*format!("{rest}.{signature}A"), "malformed|refused"),
        (
            &*format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&payload)),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"HS256","kid":"idp-1","typ":"at+jwt"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"RS256","kid":"idp-1","typ":"at+jwt"}"#),
            "refused",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","alg":"none","typ":"at+jwt"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","crit":["exp"],"exp":1,"typ":"at+jwt"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","b64":false,"typ":"at+jwt"}"#),
            "malformed",
        ),
        (
            &*raw(&json!({"alg":"EdDSA","typ":"at+jwt","jwk":jwk}).to_string()),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","jku":"https://evil.example.com"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","x5u":"https://evil.example.com"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","x5c":["AA"]}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","zip":"DEF"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","enc":"A128GCM"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","cty":"JWT"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"another"}"#),
            "refused",
        ),
        (&*doors.idp.sign("JWT", &access()), "refused"),
        (&*doors.idp.sign("", &access()), "refused"),
        (&*doors.idp.sign("dpop+jwt", &access()), "refused"),
        (&*doors.idp.sign("logout+jwt", &access()), "refused"),
        (&*stranger.sign("at+jwt", &access()), "refused"),
        (&*other_alg.sign("at+jwt", &access()), "refused"),
        (
            &*doors
                .idp
                .sign_raw(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"idp-1"}"#, &nested),
            "unknown_issuer",
        ),
        (
            &*format!(
                "{}.{}.{}",
                encode(r#"{"alg":"EdDSA"}"#),
                "A".repeat(20_000),
                signature
            ),
            "malformed",
        ),
    ] {
        let said = doors.refusal(token).await;
        assert!(
            why.split('|').any(|why| said.contains(why)),
            "{token}: {said}"
        );
        assert!(token.len() < 8 || !said.contains(token), "{said}");
    }
    doors.ask(&good).await.unwrap();
}

/// Issuers, audiences, times and names of every JSON type.
#[tokio::test]
async fn claims_that_are_not_what_they_should_be_are_refused() {
    let doors = Doors::new().await;
    let odd = [
        json!(true),
        json!([]),
        json!({}),
        json!(-1),
        json!("1"),
        json!(1.0e300),
        json!([[1]]),
    ];
    let mut cases = vec![];
    for claim in ["exp", "nbf", "iat", "aud", "sub", "client_id", "iss"] {
        for value in &odd {
            let string = ["sub", "client_id", "iss", "aud"].contains(&claim) && value.is_string();
            if !string {
                cases.push((
                    with(access(), json!({ claim: value })),
                    "refused|unknown_issuer",
                ));
            }
        }
    }
    for (changes, why) in [
        (json!({ "exp": START - 31 }), "expired"),
        (json!({ "exp": START - 30 }), "expired"),
        (json!({ "exp": null }), "refused"),
        (json!({ "nbf": START + 31 }), "refused"),
        (json!({ "iat": START + 31 }), "refused"),
        (json!({ "aud": null }), "refused"),
        (json!({ "aud": "" }), "refused"),
        (json!({ "aud": "https://vault.example.com/" }), "refused"),
        (json!({ "aud": "HTTPS://vault.example.com" }), "refused"),
        (json!({ "aud": ["other"] }), "refused"),
        (json!({ "iss": null }), "unknown_issuer"),
        (
            json!({ "iss": "https://idp.example.com/" }),
            "unknown_issuer",
        ),
        (
            json!({ "iss": "https://IDP.example.com" }),
            "unknown_issuer",
        ),
        (
            json!({ "iss": "https://idp.example.com:443" }),
            "unknown_issuer",
        ),
        (json!({ "iss": "http://idp.example.com" }), "unknown_issuer"),
        (json!({ "iss": OWN }), "unknown_issuer"),
        (json!({ "sub": null }), "refused"),
        (json!({ "client_id": null }), "refused"),
        (json!({ "sub": "bot-client\u{202e}" }), "refused"),
        (
            json!({ "client_id": "another", "sub": "another" }),
            "agent.unknown",
        ),
        (
            json!({ "client_id": "Bot-Client", "sub": "Bot-Client" }),
            "agent.unknown",
        ),
        (json!({ "cnf": { "jkt": "x" } }), "refused"),
        (json!({ "cnf": { "x5t#S256": "x" } }), "refused"),
        (json!({ "authorization_details": {} }), "refused"),
        (
            json!({ "authorization_details": [{ "type": "other" }] }),
            "invalid_authorization_details",
        ),
        (
            json!({ "authorization_details": [{ "type": "vault:path_access", "path": "a", "capabilities": ["read"], "more": 1 }] }),
            "invalid_authorization_details",
        ),
        (
            json!({ "authorization_details": [] }),
            "details.not_covered",
        ),
    ] {
        cases.push((with(access(), changes), why));
    }
    for (claims, why) in cases {
        let said = doors.said(&claims).await;
        assert!(
            why.split('|').any(|why| said.contains(why)),
            "{claims}: {said}"
        );
    }
    for good in [
        json!({ "exp": START - 29 }),
        json!({ "nbf": START + 30 }),
        json!({ "iat": null, "jti": null }),
        json!({ "aud": ["other", AUDIENCE] }),
    ] {
        let claims = with(access(), good);
        let asked = doors.ask(&doors.idp.sign("at+jwt", &claims)).await;
        let expired = claims["exp"] == json!(START - 29);
        assert_eq!(asked.is_ok(), !expired, "{claims}: {asked:?}");
        assert!(!expired || asked.unwrap_err().to_string().contains("limits.no_time"));
    }
}
