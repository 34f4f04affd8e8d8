//! Storage that fails, at every position, with and without transactions.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::memory::MemoryStorage;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::world::{AGENT_ENTITY, World};

#[tokio::test]
async fn a_registration_that_fails_anywhere_can_be_made_again() {
    for transactional in [true, false] {
        for position in 0..3 {
            let world = World::with_agent().await;
            world.storage.transactional(transactional);
            world
                .call(Operation::Delete, "agents/bot", Value::Null, None)
                .await
                .unwrap();
            world.storage.fail_after(position);
            let register =
                json!({ "name": "bot", "entity_id": AGENT_ENTITY, "ceiling_policies": "crm" });
            let failed = world
                .call(Operation::Update, "agents/register", register.clone(), None)
                .await;
            assert!(matches!(failed, Err(Error::Host(_))), "{failed:?}");
            world.storage.fail_writes(false);
            // Another process over the same storage, as after a crash.
            let after = World::over(Arc::clone(&world.storage));
            let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1" });
            assert!(
                after.issue(ask.clone()).await.is_err(),
                "half an agent may do nothing"
            );
            after.ok("agents/register", register).await;
            assert!(after.issue(ask).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_deletion_that_fails_anywhere_leaves_all_or_nobody() {
    for transactional in [true, false] {
        // What is kept of a former agent is written before it goes.
        for position in 0..4 {
            let world = World::with_agent().await;
            world.storage.transactional(transactional);
            world.storage.fail_after(position);
            assert!(
                world
                    .call(Operation::Delete, "agents/bot", Value::Null, None)
                    .await
                    .is_err()
            );
            world.storage.fail_writes(false);
            let there = world.read("agents/bot").await.is_some();
            let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1" });
            assert_eq!(world.issue(ask).await.is_ok(), there, "position {position}");
            assert_eq!(there, transactional || position < 2);
        }
    }
}

#[tokio::test]
async fn a_standby_asks_to_be_forwarded_and_changes_nothing() {
    let world = World::with_agent().await;
    world.storage.read_only(true);
    world.system.read_only(true);
    let standby = World::over(Arc::clone(&world.storage));
    standby.system.read_only(true);
    standby.backend.initialize().await.unwrap();
    let refused = standby
        .call(Operation::Update, "agents/bot/suspend", json!({}), None)
        .await;
    assert!(
        matches!(refused, Err(Error::Host(text)) if text.contains("cannot write to readonly storage"))
    );
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1" });
    assert!(
        standby.issue(ask).await.is_ok(),
        "a stateless credential needs no write"
    );
}

#[tokio::test]
async fn another_nodes_changes_bind_after_invalidation() {
    let world = World::with_agent().await;
    let standby = World::over(Arc::clone(&world.storage));
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1" });
    assert!(standby.issue(ask.clone()).await.is_ok());
    world.ok("agents/bot/suspend", json!({})).await;
    for key in world
        .storage
        .keys()
        .iter()
        .filter(|key| key.starts_with("agent"))
    {
        standby.backend.invalidate(key).await;
    }
    assert!(
        standby
            .issue(ask)
            .await
            .unwrap_err()
            .to_string()
            .contains("agent.suspended")
    );
}

#[tokio::test]
async fn storage_of_a_newer_release_is_not_touched() {
    let storage = Arc::new(MemoryStorage::default());
    storage.set("meta/layout", b"2");
    let world = World::over(storage);
    assert!(world.backend.initialize().await.is_err());
}

#[tokio::test]
async fn initializing_twice_changes_nothing() {
    let world = World::new().await;
    let writes = world.storage.writes();
    world.backend.initialize().await.unwrap();
    assert_eq!(world.storage.writes(), writes);
}
