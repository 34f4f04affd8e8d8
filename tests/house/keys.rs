//! The life of signing keys.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::world::World;

async fn published(world: &World) -> usize {
    let document = world.document(".well-known/jwks.json").await.unwrap();
    let set: Value = serde_json::from_slice(&document).unwrap();
    set["keys"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_key_rotates_by_itself_and_the_old_one_verifies_as_long_as_it_must() {
    let world = World::with_agent().await;
    world
        .ok("keys/default", json!({ "rotation_period": "24h" }))
        .await;
    world.advance(24 * 3600 - 1);
    world.tick().await;
    assert_eq!(published(&world).await, 1);
    let token = world.credential().await;
    world.advance(1);
    world.tick().await;
    assert_eq!(published(&world).await, 2);
    assert!(world.is_active(&token).await, "the old key verifies");
    assert!(world.is_active(&world.credential().await).await);
    world.tick().await;
    assert_eq!(published(&world).await, 2, "once in a period");
    world.advance(3600);
    assert_eq!(published(&world).await, 1);
    world.tick().await;
    let key = world.read("keys/default").await.unwrap();
    assert_eq!(key["versions"].as_array().unwrap().len(), 1, "pruned");
    assert_eq!(key["latest_version"], 2);
    assert_eq!(key["rotation_period"], 24 * 3600);
}

#[tokio::test]
async fn a_period_that_cannot_be_is_refused() {
    let world = World::with_agent().await;
    for period in ["1s", "59m", "9000h"] {
        let refusal = world
            .refused("keys/default", json!({ "rotation_period": period }))
            .await;
        assert!(refusal.contains("rotation_period"), "{refusal}");
    }
    let rsa = include_str!("../../crates/core/src/jose/signer/test_rsa_pkcs8.pem");
    let rsa = json!({ "algorithm": "RS256", "private_key": rsa, "rotation_period": "24h" });
    assert!(world.refused("keys/rs", rsa).await.contains("RS256"));
    assert!(world.read("keys/rs").await.is_none());
}

#[tokio::test]
async fn a_compromised_version_ends_at_once_with_all_it_signed() {
    let world = World::with_agent().await;
    let first = world.credential().await;
    world.ok("keys/default/rotate", json!({})).await;
    let second = world.credential().await;
    assert!(world.is_active(&first).await);
    let key = world
        .ok("keys/default/retire", json!({ "version": 1 }))
        .await;
    assert_ne!(key["versions"][0]["retired_at"], "");
    assert!(!world.is_active(&first).await);
    assert!(world.is_active(&second).await);
    assert_eq!(published(&world).await, 1);

    let key = world.ok("keys/default/retire", json!({})).await;
    assert_eq!(key["latest_version"], 3, "another signs");
    assert!(!world.is_active(&second).await);
    assert!(world.is_active(&world.credential().await).await);
    assert_eq!(published(&world).await, 1);
    assert!(
        world
            .refused("keys/default/retire", json!({ "version": 9 }))
            .await
            .contains("no version 9")
    );
    let none = world
        .call(Operation::Update, "keys/none/retire", json!({}), None)
        .await;
    assert!(matches!(none, Err(Error::NotFound(_))), "{none:?}");
}

#[tokio::test]
async fn the_key_for_receipts_is_nobody_elses() {
    let world = World::with_agent().await;
    let told = world.refused("keys/receipts", json!({})).await;
    assert!(told.contains("receipts"), "{told}");
    assert!(world.read("keys/receipts").await.is_none());
}

#[tokio::test]
async fn retiring_is_never_blocked() {
    let world = World::with_agent().await;
    for _ in 0..100 {
        world.ok("keys/default/retire", json!({})).await;
    }
    assert_eq!(published(&world).await, 1);
    let key = world.read("keys/default").await.unwrap();
    assert_eq!(key["versions"].as_array().unwrap().len(), 64);
}

#[tokio::test]
async fn a_key_full_of_versions_can_still_be_retired() {
    let world = World::with_agent().await;
    let mut rotated = 0;
    while world
        .call(Operation::Update, "keys/default/rotate", json!({}), None)
        .await
        .is_ok()
    {
        rotated += 1;
    }
    assert_eq!(rotated, 31);
    let token = world.credential().await;
    world.ok("keys/default/retire", json!({})).await;
    assert!(!world.is_active(&token).await);
}

#[tokio::test]
async fn a_key_that_signed_cannot_go_before_its_last_token() {
    let world = World::with_agent().await;
    let delete = || world.call(Operation::Delete, "keys/own", Value::Null, None);
    world.ok("keys/own", json!({})).await;
    delete().await.unwrap();
    world.ok("keys/own", json!({})).await;
    world
        .ok("targets/crm", json!({ "signing_key": "own" }))
        .await;
    let token = world.credential().await;
    assert!(delete().await.is_err(), "a target uses it");
    world.ok("targets/crm", json!({ "signing_key": "" })).await;
    let refusal = delete().await.unwrap_err().to_string();
    assert!(refusal.contains("keys/own/retire"), "{refusal}");
    assert!(world.is_active(&token).await);
    world.advance(3660);
    delete().await.unwrap();
    assert!(world.read("keys/own").await.is_none());

    world.ok("keys/own", json!({})).await;
    world
        .ok("targets/crm", json!({ "signing_key": "own" }))
        .await;
    world
        .call(Operation::Delete, "targets/crm", Value::Null, None)
        .await
        .unwrap();
    assert!(delete().await.is_err(), "its target has just gone");
}

#[tokio::test]
async fn both_metadata_documents_say_the_same() {
    let world = World::with_agent().await;
    let mut documents = Vec::new();
    for path in ["openid-configuration", "oauth-authorization-server"] {
        let body = world
            .document(&format!(".well-known/{path}"))
            .await
            .unwrap();
        documents.push(serde_json::from_slice::<Value>(&body).unwrap());
    }
    let [openid, oauth] = &documents[..] else {
        panic!("two documents")
    };
    for (name, value) in oauth.as_object().unwrap() {
        assert_eq!(openid[name], *value, "{name}");
    }
    let issuer = "https://vault.example.com/v1/agentic";
    assert_eq!(oauth["issuer"], issuer);
    assert_eq!(
        oauth["introspection_endpoint"],
        format!("{issuer}/creds/introspect")
    );
    assert_eq!(
        oauth["revocation_endpoint"],
        format!("{issuer}/creds/revoke")
    );
    assert!(
        oauth["dpop_signing_alg_values_supported"]
            .as_array()
            .unwrap()
            .contains(&json!("ES256"))
    );
}
