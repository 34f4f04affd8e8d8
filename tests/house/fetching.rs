//! Key sets over a real network on this machine: what is taken, and what is
//! not followed, waited for or swallowed.

use serde_json::{Value, json};
use vault_plugin_agentic::facts::issuers::fetch::{FetchError, KeySource as _, Network};
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::issuer::Issuer;

use crate::idp::{AUDIENCE, Answer, IDP, Idp, Signer, access, with};
use crate::world::{AGENT_ENTITY, World, request};

/// An issuer whose keys are at `idp`, as the registry stores it.
async fn issuer(idp: &Idp, changes: Value) -> Issuer {
    let world = World::new().await;
    let issuer = json!({
        "issuer_id": IDP, "audiences": AUDIENCE, "jwks_uri": idp.url(),
        "jwks_ca_pem": idp.authority, "allow_private_addresses": true, "allow_plain_http": true,
    });
    world.ok("config/issuers/idp", with(issuer, changes)).await;
    let stored = world.storage.value("issuer/idp").unwrap();
    let mut record: Value = serde_json::from_slice(&stored).unwrap();
    record.as_object_mut().unwrap().remove("v");
    serde_json::from_value(record).unwrap()
}

fn signer() -> Signer {
    Signer::new(Algorithm::EdDsa, "idp-1")
}

#[tokio::test]
async fn a_key_set_comes_over_tls_from_the_given_authority() {
    let signer = signer();
    let idp = Idp::start(&[&signer]);
    let issuer = issuer(&idp, json!({})).await;
    let document = Network.fetch(&issuer).await.unwrap();
    let set: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(set["keys"], json!([signer.jwk()]));
    let by_name = Issuer {
        jwks_uri: issuer.jwks_uri.replace("127.0.0.1", "localhost"),
        ..issuer
    };
    assert_eq!(Network.fetch(&by_name).await, Ok(document));
}

#[tokio::test]
async fn nobody_else_is_believed_to_be_the_issuer() {
    let signer = signer();
    let (idp, other) = (Idp::start(&[&signer]), Idp::start(&[&signer]));
    let issuer = issuer(&idp, json!({})).await;
    // Another authority, and another name than the certificate's.
    let named = Idp::named(&["elsewhere.example.com"], &[&signer]);
    for wrong in [
        Issuer {
            jwks_ca_pem: other.authority.clone(),
            ..issuer.clone()
        },
        Issuer {
            jwks_uri: named.url(),
            jwks_ca_pem: named.authority.clone(),
            ..issuer.clone()
        },
    ] {
        let refused = Network.fetch(&wrong).await;
        assert!(matches!(refused, Err(FetchError::Tls(_))), "{refused:?}");
    }
    assert_eq!(named.hits(), 0);
    assert_eq!(idp.hits(), 0);
    // One that does not speak TLS at all.
    let plain = Idp::plain(&[&signer]);
    let wrong = Issuer {
        jwks_uri: plain.url().replace("http:", "https:"),
        ..issuer
    };
    let refused = Network.fetch(&wrong).await;
    assert!(matches!(refused, Err(FetchError::Tls(_))), "{refused:?}");
}

#[tokio::test]
async fn private_addresses_and_plain_http_are_for_those_whom_it_is_allowed() {
    let signer = signer();
    let (idp, plain) = (Idp::start(&[&signer]), Idp::plain(&[&signer]));
    let allowed = issuer(&idp, json!({})).await;
    // By a name, which nothing can be said of before it is resolved.
    let by_name = allowed.jwks_uri.replace("127.0.0.1", "localhost");
    let closed = Issuer {
        allow_private_addresses: false,
        jwks_uri: by_name,
        ..allowed.clone()
    };
    assert_eq!(Network.fetch(&closed).await, Err(FetchError::Forbidden));
    assert_eq!(idp.hits(), 0);
    let over_http = Issuer {
        jwks_uri: plain.url(),
        ..allowed
    };
    assert!(Network.fetch(&over_http).await.is_ok());
    let closed = Issuer {
        allow_plain_http: false,
        ..over_http
    };
    assert!(matches!(
        Network.fetch(&closed).await,
        Err(FetchError::Url(_))
    ));
    assert_eq!(plain.hits(), 1);

    let world = World::new().await;
    for (uri, changes, why) in [
        ("https://127.0.0.1/keys", json!({}), "may not be reached"),
        (
            "https://169.254.169.254/keys",
            json!({ "allow_private_addresses": true }),
            "may not be reached",
        ),
        (
            "http://127.0.0.1/keys",
            json!({ "allow_private_addresses": true }),
            "allow_plain_http",
        ),
        (
            "http://10.0.0.1/keys",
            json!({ "allow_plain_http": true }),
            "may not be reached",
        ),
        (
            "https://user@idp.example.com/keys",
            json!({}),
            "without user",
        ),
        ("", json!({}), "is needed"),
    ] {
        let body = json!({ "issuer_id": IDP, "audiences": AUDIENCE, "jwks_uri": uri });
        let said = world
            .refused("config/issuers/idp", with(body, changes))
            .await;
        assert!(said.contains(why), "{uri}: {said}");
    }
}

#[tokio::test]
async fn what_is_no_document_is_neither_followed_nor_swallowed() {
    let signer = signer();
    let mut idp = Idp::start(&[&signer]);
    let issuer = issuer(&idp, json!({})).await;
    for status in [301, 302, 303, 307, 308] {
        idp.answer(Answer::Status(status, "https://127.0.0.1:1/"));
        assert_eq!(
            Network.fetch(&issuer).await,
            Err(FetchError::Redirect(status))
        );
    }
    for status in [204, 400, 404, 500] {
        idp.answer(Answer::Status(status, "/"));
        assert_eq!(
            Network.fetch(&issuer).await,
            Err(FetchError::Status(status))
        );
    }
    for (answer, problem) in [
        (Answer::Endless, FetchError::Body),
        (Answer::Garbage, FetchError::Protocol),
        (Answer::Silence, FetchError::Slow),
    ] {
        idp.answer(answer);
        assert_eq!(Network.fetch(&issuer).await, Err(problem));
    }
    idp.down();
    assert_eq!(Network.fetch(&issuer).await, Err(FetchError::Connect));
    idp.up();
    idp.serve(&[&signer]);
    assert!(Network.fetch(&issuer).await.is_ok());
}

/// The mount as a whole, over the network, with the clock given.
#[tokio::test]
async fn keys_are_rotated_and_the_provider_goes_and_comes() {
    let (old, new) = (signer(), Signer::new(Algorithm::Es256, "idp-2"));
    let mut idp = Idp::start(&[&old]);
    idp.down();
    let world = World::auth(Default::default());
    world.backend.initialize().await.unwrap();
    let issuer = json!({
        "issuer_id": IDP, "audiences": AUDIENCE, "jwks_uri": idp.url(),
        "jwks_ca_pem": idp.authority, "allow_private_addresses": true,
    });
    world.ok("config/issuers/idp", issuer.clone()).await;
    world
        .policy(
            "kv",
            r#"rule "read" { effect = "allow"; targets = ["kv"]; actions = ["read"] }"#,
        )
        .await;
    world
        .ok(
            "targets/kv",
            json!({ "credential_type": "vault_token", "actions": "read", "vault_policies": "kv" }),
        )
        .await;
    world.ok("agents/register", json!({ "name": "bot", "entity_id": AGENT_ENTITY, "ceiling_policies": "kv", "issuer": IDP, "subject": "bot-client" })).await;
    let life = with(access(), json!({ "exp": crate::world::START + 100_000 }));
    let ask = async |signer: &Signer| {
        let data = json!({ "jwt": signer.sign("at+jwt", &life), "target": "kv" });
        let mut request = request(Operation::Update, "login", data, None);
        request.unauthenticated = true;
        match world.backend.handle(request).await {
            Ok(_) => "let in".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    // Down at the start: nobody gets in, and nobody makes us ask again at once.
    assert!(ask(&old).await.contains("issuer.unavailable"));
    idp.up();
    assert!(ask(&old).await.contains("issuer.unavailable"));
    assert_eq!(idp.hits(), 0);
    world.advance(10);
    assert_eq!(ask(&old).await, "let in");
    // A flood of unknown keys is one fetch.
    let unknown = Signer::new(Algorithm::EdDsa, "unknown");
    world.advance(10);
    for _ in 0..50 {
        assert!(ask(&unknown).await.contains("token.refused"));
    }
    assert_eq!(idp.hits(), 2);
    // Rotation: the new key is found when it is first seen, the old one goes.
    idp.serve(&[&old, &new]);
    assert!(ask(&new).await.contains("token.refused"));
    world.advance(10);
    assert_eq!(ask(&new).await, "let in");
    idp.serve(&[&new]);
    assert_eq!(ask(&old).await, "let in");
    world.advance(300);
    assert!(ask(&old).await.contains("token.refused"));
    assert_eq!(ask(&new).await, "let in");
    // Down later: the last good set serves for an hour since it came.
    idp.down();
    world.advance(3590);
    assert_eq!(ask(&new).await, "let in");
    world.advance(10);
    assert!(ask(&new).await.contains("issuer.unavailable"));
    let check = world.ok("config/issuers/idp/check", json!({})).await;
    assert!(
        check["keys_problem"]
            .as_str()
            .unwrap()
            .contains("cannot be connected to"),
        "{check}"
    );
    idp.up();
    world.advance(10);
    assert_eq!(ask(&new).await, "let in");
    // A changed definition believes nothing that was fetched before.
    let hits = idp.hits();
    world
        .ok("config/issuers/idp", json!({ "clock_skew_leeway": 10 }))
        .await;
    assert_eq!(ask(&new).await, "let in");
    assert_eq!(idp.hits(), hits + 1);
}
