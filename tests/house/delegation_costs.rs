//! What delegation costs in calls to storage: the same, however many there are.
#![expect(clippy::arithmetic_side_effects, reason = "small numbers, in a test")]

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::system::Entity;

use crate::people::{People, crm, text};
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, request};

/// The calls to storage that something makes, when nothing of the delegation
/// is cached: reads, and changes.
async fn calls(people: &People, id: &str, work: impl AsyncFn()) -> (u64, u64) {
    people
        .world
        .backend
        .invalidate(&format!("delegation/{id}"))
        .await;
    let storage = &people.world.storage;
    let before = (storage.reads(), storage.writes());
    work().await;
    (storage.reads() - before.0, storage.writes() - before.1)
}

/// Humans who have granted bot a hundred delegations each.
async fn crowd(people: &People, humans: usize) {
    let grant = json!({ "agent": "bot", "scope": crm("read")["scope"], "ttl": "30d" });
    for human in 0..humans {
        let id = format!("human-{human}");
        let entity = Entity {
            id: id.clone(),
            name: id.clone(),
            ..Entity::default()
        };
        people.world.system.add(entity, &["support"]);
        for _ in 0..100 {
            people
                .by(&id, "delegations/grant", grant.clone())
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn the_number_of_delegations_costs_nothing() {
    let mut costs = Vec::new();
    for humans in [1, 20] {
        let people = People::new().await;
        crowd(&people, humans).await;
        people.world.advance(1);
        let id = people.delegation("read").await;
        let one = &people;
        let read = calls(one, &id, async || {
            one.read(HUMAN_ENTITY, &format!("delegations/{id}"))
                .await
                .unwrap();
        });
        let read = read.await;
        let issue = calls(one, &id, async || {
            one.issue(&id).await.unwrap();
        });
        let issue = issue.await;
        let page = calls(one, &id, async || {
            let page = json!({ "limit": 10 });
            let list = one
                .world
                .call(Operation::List, "oversight/delegations", page, None)
                .await;
            assert_eq!(list.unwrap().unwrap()["keys"].as_array().unwrap().len(), 10);
        });
        let page = page.await;
        let own = calls(one, &id, async || {
            let list = one.list(Some(HUMAN_ENTITY)).await.unwrap().unwrap();
            assert_eq!(list["keys"], json!([id]));
        });
        let own = own.await;
        let grant = calls(one, &id, async || {
            let grant = json!({ "agent": "bot", "scope": crm("read")["scope"] });
            one.by(HUMAN_ENTITY, "delegations/grant", grant)
                .await
                .unwrap();
        });
        let grant = grant.await;
        let asked = calls(one, &id, async || {
            one.ask(&crm("delete")).await;
        });
        let asked = asked.await;
        let tick = calls(one, &id, async || {
            let periodic = request(Operation::Periodic, "", Value::Null, None);
            one.world.backend.handle(periodic).await.unwrap();
        });
        let tick = tick.await;
        let revoke = calls(one, &id, async || {
            one.by(HUMAN_ENTITY, &format!("delegations/{id}/revoke"), json!({}))
                .await
                .unwrap();
        });
        let revoke = revoke.await;
        assert_eq!(issue.1, 0, "nothing to count, nothing to write");
        assert!(revoke.1 <= 3, "{revoke:?}");
        costs.push([read, issue, page, own, grant, asked, tick, revoke]);
    }
    // A page of others' may be cached or not; what is changed may not differ.
    let writes = |costs: &[(u64, u64); 8]| costs.map(|cost| cost.1);
    assert_eq!(writes(&costs[0]), writes(&costs[1]));
    for (few, many) in costs[0].iter().zip(&costs[1]) {
        assert!(many.0 <= few.0 + 10, "{costs:?}");
    }
}

#[tokio::test]
async fn a_warm_request_on_behalf_reads_and_writes_nothing() {
    let people = People::new().await;
    people.register("two", "two-entity").await;
    people
        .world
        .ok("agents/two", json!({ "max_delegation_depth": 2 }))
        .await;
    let one = people.delegation("read").await;
    let path = format!("delegations/{one}/delegate");
    let two = people
        .by(AGENT_ENTITY, &path, json!({ "agent": "two" }))
        .await
        .unwrap()
        .unwrap();
    let two = text(&two["id"]);
    people.issue_as("two-entity", &two).await.unwrap();
    let storage = &people.world.storage;
    let before = (storage.reads(), storage.writes());
    for _ in 0..50 {
        people.issue_as("two-entity", &two).await.unwrap();
    }
    assert_eq!((storage.reads(), storage.writes()), before);
}
