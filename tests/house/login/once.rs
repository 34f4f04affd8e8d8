//! What may be presented once, and by whoever has the key.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::jose::alg::Algorithm;

use super::{Doors, OWN};
use crate::idp::{AUDIENCE, IDP, Signer, access, with};
use crate::world::{START, World};

#[tokio::test]
async fn what_is_presented_once_is_presented_once() {
    let doors = Doors::of(json!({ "unique_id_claim": "jti" })).await;
    let jwt = |changes: Value| doors.idp.sign("at+jwt", &with(access(), changes));
    doors.ask(&jwt(json!({}))).await.unwrap();
    assert!(doors.refusal(&jwt(json!({}))).await.contains("token.spent"));
    // Another token with the same id is the same token.
    assert!(
        doors
            .refusal(&jwt(json!({ "exp": START + 500 })))
            .await
            .contains("token.spent")
    );
    doors.ask(&jwt(json!({ "jti": "2" }))).await.unwrap();
    for (changes, why) in [
        (json!({ "jti": null }), "token.refused"),
        (json!({ "jti": 1 }), "token.refused"),
        (json!({ "jti": "3", "iat": null }), "token.refused"),
        (
            json!({ "jti": "4", "exp": START + 24 * 3600 + 1 }),
            "token.refused",
        ),
    ] {
        let said = doors.refusal(&jwt(changes.clone())).await;
        assert!(said.contains(why), "{changes}: {said}");
    }
    // Nor is it forgotten with the definition of its issuer.
    let path = "config/issuers/idp";
    let gone = doors.world.call(Operation::Delete, path, Value::Null, None);
    gone.await.unwrap();
    let issuer = json!({ "issuer_id": IDP, "use_jwks": false, "audiences": [AUDIENCE], "public_keys": [doors.idp.listed()], "unique_id_claim": "jti" });
    doors.world.ok(path, issuer).await;
    // An agent is its issuer's, by its definition: an operator binds it anew.
    let said = doors.refusal(&jwt(json!({}))).await;
    assert!(said.contains("agent.unknown"), "{said}");
    let bound = json!({ "issuer": IDP, "subject": "bot-client" });
    doors.world.ok("agents/bot", bound).await;
    assert!(doors.refusal(&jwt(json!({}))).await.contains("token.spent"));
    // What was not verified is not remembered: nobody can use up another's.
    let forged = Signer::new(Algorithm::EdDsa, "idp-1");
    let mine = with(access(), json!({ "jti": "6" }));
    assert!(
        doors
            .refusal(&forged.sign("at+jwt", &mine))
            .await
            .contains("token.refused")
    );
    doors.ask(&jwt(json!({ "jti": "6" }))).await.unwrap();
}

#[tokio::test]
async fn an_assertion_is_made_by_the_agents_own_key() {
    let doors = Doors::new().await;
    let id = doors.world.read("agents/bot").await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    doors.ask(&doors.assertion(json!({}))).await.unwrap();
    assert!(
        doors
            .refusal(&doors.assertion(json!({})))
            .await
            .contains("token.spent")
    );
    doors
        .ask(
            &doors.assertion(
                json!({ "jti": "b", "iss": id, "sub": id, "aud": format!("{OWN}/login") }),
            ),
        )
        .await
        .unwrap();
    for (changes, why) in [
        (json!({ "sub": "other" }), "token.refused"),
        (json!({ "sub": null }), "token.refused"),
        (json!({ "iss": "other", "sub": "other" }), "unknown_issuer"),
        (json!({ "aud": AUDIENCE }), "token.refused"),
        (json!({ "aud": [OWN, AUDIENCE] }), "token.refused"),
        (json!({ "aud": format!("{OWN}/") }), "token.refused"),
        (json!({ "jti": null }), "token.refused"),
        (json!({ "iat": null }), "token.refused"),
        (json!({ "exp": null }), "token.refused"),
        (json!({ "exp": START + 301 }), "token.refused"),
        (json!({ "exp": START - 30 }), "token.expired"),
        (json!({ "act": { "sub": "x" } }), "token.refused"),
        (json!({ "may_act": { "sub": "bot" } }), "token.refused"),
        (
            json!({ "authorization_details": [{ "type": "secret-type" }] }),
            "invalid_authorization_details",
        ),
        (
            json!({ "jti": "n", "authorization_details": [{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"] }] }),
            "details.not_covered",
        ),
    ] {
        let mut claims = changes.clone();
        claims
            .as_object_mut()
            .unwrap()
            .entry("jti")
            .or_insert(json!("c"));
        let jwt = doors.assertion(claims);
        assert!(doors.refusal(&jwt).await.contains(why), "{changes}");
    }
    // A key that is not in the record, or not there any more.
    let stranger = Signer::new(Algorithm::Es256, "bot-1");
    let claims = json!({ "iss": "bot", "sub": "bot", "aud": OWN, "iat": START, "exp": START + 60, "jti": "d" });
    assert!(
        doors
            .refusal(&stranger.sign("JWT", &claims))
            .await
            .contains("unknown_issuer")
    );
    doors
        .world
        .ok("agents/bot", json!({ "public_keys": [stranger.jwk()] }))
        .await;
    doors.ask(&stranger.sign("JWT", &claims)).await.unwrap();
    assert!(
        doors
            .refusal(&doors.assertion(json!({ "jti": "e" })))
            .await
            .contains("unknown_issuer")
    );
}

#[tokio::test]
async fn a_standby_leaves_what_is_used_once_to_the_active_node() {
    let doors = Doors::new().await;
    doors.world.storage.read_only(true);
    let standby = World::auth(Arc::clone(&doors.world.storage));
    standby.system.read_only(true);
    standby.backend.initialize().await.unwrap();
    let doors = Doors {
        world: standby,
        ..doors
    };
    doors
        .ask(&doors.idp.sign("at+jwt", &access()))
        .await
        .unwrap();
    let forwarded = doors.ask(&doors.assertion(json!({}))).await;
    assert_eq!(forwarded, Err(Error::forward()));
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_comes_with_a_proof() {
    let doors = Doors::new().await;
    let holder = Signer::new(Algorithm::Es256, "holder");
    let jkt = holder.key.public().thumbprint();
    let jwt = doors
        .idp
        .sign("at+jwt", &with(access(), json!({ "cnf": { "jkt": jkt } })));
    assert!(doors.refusal(&jwt).await.contains("proof.required"));
    let ath = {
        let digest = ring::digest::digest(&ring::digest::SHA256, jwt.as_bytes());
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest)
    };
    let proof = |signer: &Signer, changes: Value| {
        let header =
            json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": signer.key.public().to_value() });
        let claims = json!({ "jti": "p-1", "htm": "POST", "htu": format!("{OWN}/login"), "iat": START, "ath": ath });
        signer.sign_raw(&header.to_string(), &with(claims, changes).to_string())
    };
    let ask = |proof: String| json!({ "jwt": jwt, "dpop": proof, "target": "kv" });
    for changes in [
        json!({ "htm": "GET" }),
        json!({ "htu": "https://other.example.com/login" }),
        json!({ "ath": null }),
        json!({ "iat": START - 91 }),
        json!({ "iat": START + 31 }),
    ] {
        let said = doors
            .try_login(ask(proof(&holder, changes.clone())))
            .await
            .unwrap_err()
            .to_string();
        assert!(said.contains("proof.refused"), "{changes}: {said}");
    }
    let thief = Signer::new(Algorithm::Es256, "thief");
    let said = doors
        .try_login(ask(proof(&thief, json!({}))))
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("proof.refused"), "{said}");
    doors
        .try_login(ask(proof(&holder, json!({}))))
        .await
        .unwrap();
    let said = doors
        .try_login(ask(proof(&holder, json!({}))))
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("token.spent"), "{said}");
}

/// A process that begins over storage that is there does not know what another
/// one has seen.
#[tokio::test]
async fn what_another_process_may_have_seen_is_refused() {
    let doors = Doors::new().await;
    let spent = doors.assertion(json!({}));
    doors.ask(&spent).await.unwrap();
    let after = World::auth(Arc::clone(&doors.world.storage));
    after.backend.initialize().await.unwrap();
    let doors = Doors {
        world: after,
        ..doors
    };
    assert!(doors.refusal(&spent).await.contains("token.spent"));
    // It may have been made by a clock that runs ahead.
    doors.world.advance(10);
    let ahead =
        |seconds: i64| json!({ "iat": START + seconds, "exp": START + seconds + 60, "jti": "z" });
    for seconds in [1, 30, 32] {
        let said = doors.refusal(&doors.assertion(ahead(seconds))).await;
        assert!(said.contains("token.spent"), "{seconds}: {said}");
    }
    doors.ask(&doors.assertion(ahead(33))).await.unwrap();
}
