//! Status lists, read as a verifier reads them.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::system::Entity;

use crate::world::{AGENT_ENTITY, START, World};

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn list(world: &World, number: u64) -> Option<Value> {
    let path = format!(".well-known/status/{number}");
    let token = String::from_utf8(world.document(&path).await?).unwrap();
    Some(payload(&token))
}

/// The status of a credential, as its list has it.
async fn status(world: &World, token: &str) -> u8 {
    let reference = payload(token)["status"]["status_list"].clone();
    let uri = reference["uri"].as_str().unwrap();
    let base = "https://vault.example.com/v1/agentic/.well-known/status/";
    let list = list(world, uri.strip_prefix(base).unwrap().parse().unwrap())
        .await
        .unwrap();
    assert_eq!(list["sub"], uri);
    assert_eq!(list["status_list"]["bits"], 2);
    let compressed = URL_SAFE_NO_PAD
        .decode(list["status_list"]["lst"].as_str().unwrap())
        .unwrap();
    let bits = miniz_oxide::inflate::decompress_to_vec_zlib(&compressed).unwrap();
    let index = usize::try_from(reference["idx"].as_u64().unwrap()).unwrap();
    (bits[index / 4] >> [0, 2, 4, 6][index % 4]) & 3
}

async fn listed() -> World {
    World::with_target(json!({ "status_list": true })).await
}

#[tokio::test]
async fn a_list_shows_at_once_what_does_not_hold() {
    let world = listed().await;
    let (one, other) = (world.credential().await, world.credential().await);
    assert_eq!(status(&world, &one).await, 0);
    world.ok("agents/bot/suspend", json!({})).await;
    assert_eq!(status(&world, &one).await, 2);
    world.ok("agents/bot/resume", json!({})).await;
    assert_eq!(status(&world, &one).await, 0);
    world.ok("creds/revoke", json!({ "token": one })).await;
    assert_eq!(status(&world, &one).await, 1);
    assert_eq!(status(&world, &other).await, 0);
    world.ok("agents/bot/revoke", json!({})).await;
    world.ok("agents/bot/resume", json!({})).await;
    assert_eq!(status(&world, &other).await, 1);
    world.advance(1);
    let new = world.credential().await;
    assert_eq!(status(&world, &new).await, 0);
    world
        .ok("oversight/revoke", json!({ "agent": "bot" }))
        .await;
    assert_eq!(status(&world, &new).await, 1);
}

#[tokio::test]
async fn every_way_of_asking_gives_one_answer() {
    let world = listed().await;
    let token = world.credential().await;
    for (path, body) in [
        ("agents/bot/suspend", json!({})),
        ("agents/bot/resume", json!({})),
        ("agents/bot", json!({ "expires_at": START })),
        ("agents/bot", json!({ "expires_at": "" })),
        ("creds/revoke", json!({ "token": token })),
    ] {
        world.ok(path, body).await;
        let active = world.is_active(&token).await;
        assert_eq!(status(&world, &token).await == 0, active, "{path}");
        assert_eq!(world.redeem(&token).await["active"], active);
    }
}

#[tokio::test]
async fn another_process_computes_the_same() {
    let world = listed().await;
    let (one, other) = (world.credential().await, world.credential().await);
    world.ok("creds/revoke", json!({ "token": one })).await;
    let after = World::over(Arc::clone(&world.storage));
    after.backend.initialize().await.unwrap();
    assert_eq!(status(&after, &one).await, 1);
    assert_eq!(status(&after, &other).await, 0);
}

#[tokio::test]
async fn no_place_is_given_twice_not_even_after_a_crash() {
    let mut places = BTreeSet::new();
    let mut world = listed().await;
    for crash in 0..5 {
        for _ in 0..30 {
            let reference = payload(&world.credential().await)["status"]["status_list"].clone();
            assert!(places.insert(reference.to_string()), "{reference}");
        }
        let lost = crash % 2 == 0;
        world.storage.lose_replies(lost);
        let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
        assert_eq!(world.issue(ask).await.is_err(), lost);
        world.storage.lose_replies(false);
        world = World::over(Arc::clone(&world.storage));
        world.backend.initialize().await.unwrap();
    }
}

#[tokio::test]
async fn a_place_costs_one_write_and_a_block_one_more() {
    let world = listed().await;
    world.credential().await;
    let writes = world.storage.writes();
    for _ in 0..100 {
        world.credential().await;
    }
    assert_eq!(world.storage.writes() - writes, 100);
}

#[tokio::test]
async fn many_who_ask_cause_one_computation() {
    let world = listed().await;
    for _ in 0..50 {
        world.credential().await;
    }
    assert!(list(&world, 0).await.is_some());
    let reads = world.storage.reads();
    for _ in 0..50 {
        assert!(list(&world, 0).await.is_some());
    }
    assert_eq!(world.storage.reads(), reads);
}

#[tokio::test]
async fn a_list_is_signed_fresh_and_bounded_in_time() {
    let world = listed().await;
    world.credential().await;
    let document = world.document(".well-known/status/0").await.unwrap();
    let token = String::from_utf8(document).unwrap();
    let header = URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["typ"], "statuslist+jwt");
    let claims = payload(&token);
    assert_eq!(claims["iat"], START);
    assert_eq!(claims["exp"], START + 120);
    assert_eq!(claims["ttl"], 30);
    assert!(!world.is_active(&token).await, "it is no credential");
}

#[tokio::test]
async fn there_is_no_list_that_nobody_is_in() {
    let world = listed().await;
    for number in ["0", "1", "18446744073709551615", "00", "-1", "x"] {
        let path = format!(".well-known/status/{number}");
        assert!(world.document(&path).await.is_none(), "{number}");
    }
    world.credential().await;
    assert!(list(&world, 0).await.is_some());
    for number in ["00", "+0", "1"] {
        let path = format!(".well-known/status/{number}");
        assert!(world.document(&path).await.is_none(), "{number}");
    }
}

#[tokio::test]
async fn a_disabled_entity_is_a_suspension() {
    let world = listed().await;
    let token = world.credential().await;
    let entity = Entity {
        id: AGENT_ENTITY.into(),
        disabled: true,
        ..Entity::default()
    };
    world.system.add(entity, &[]);
    assert_eq!(status(&world, &token).await, 2);
}

#[tokio::test]
async fn a_deleted_agent_leaves_nothing_valid() {
    let world = listed().await;
    let token = world.credential().await;
    assert_eq!(status(&world, &token).await, 0);
    world
        .call(Operation::Delete, "agents/bot", Value::Null, None)
        .await
        .unwrap();
    assert_eq!(status(&world, &token).await, 1);
}
