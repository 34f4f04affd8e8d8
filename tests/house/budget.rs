//! What the hot path costs: nothing in storage.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_warm_issue_reads_and_writes_nothing() {
    let world = World::with_agent().await;
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    world.issue(ask.clone()).await.unwrap();
    let (reads, writes, calls) = (
        world.storage.reads(),
        world.storage.writes(),
        world.system.calls(),
    );
    for _ in 0..100 {
        world.issue(ask.clone()).await.unwrap();
    }
    assert_eq!(world.storage.reads(), reads, "storage reads");
    assert_eq!(world.storage.writes(), writes, "storage writes");
    // Whether its entity is there, enabled and itself: no answer of the host's
    // outlives the request.
    assert_eq!(world.system.calls() - calls, 100, "calls to the host");
}

#[tokio::test]
async fn what_must_be_kept_costs_one_write_and_what_need_not_none() {
    for (fields, writes, reads) in [
        (json!({}), 0, 0),
        (json!({ "leased": true }), 0, 0),
        (json!({ "proof_of_possession": false }), 0, 0),
        (json!({ "max_uses": 1 }), 1, 0),
        (json!({ "status_list": true }), 1, 0),
        (json!({ "credential_type": "opaque" }), 1, 0),
        (
            json!({ "credential_type": "opaque", "max_uses": 1, "leased": true }),
            1,
            0,
        ),
    ] {
        let world = World::with_target(fields.clone()).await;
        world.credential().await;
        let before = (world.storage.writes(), world.storage.reads());
        let calls = world.system.calls();
        for _ in 0..10 {
            world.credential().await;
        }
        assert_eq!(world.storage.writes() - before.0, 10 * writes, "{fields}");
        assert_eq!(world.storage.reads() - before.1, 10 * reads, "{fields}");
        assert_eq!(world.system.calls() - calls, 10, "{fields}");
    }
}

#[tokio::test]
async fn whether_it_holds_costs_the_same_however_many_there_are() {
    for (fields, reads) in [
        (json!({}), 1),
        (json!({ "max_uses": 9 }), 2),
        (json!({ "credential_type": "opaque" }), 2),
    ] {
        let world = World::with_target(fields.clone()).await;
        for _ in 0..3 {
            let token = world.credential().await;
            world.introspect(&token).await;
            let before = (world.storage.writes(), world.storage.reads());
            let calls = world.system.calls();
            assert!(world.is_active(&token).await);
            assert_eq!(world.storage.writes(), before.0, "{fields}");
            assert_eq!(world.storage.reads() - before.1, reads, "{fields}");
            assert_eq!(world.system.calls() - calls, 1, "the agent's entity");
            for _ in 0..100 {
                world.credential().await;
            }
        }
    }
}

#[tokio::test]
async fn a_dry_run_writes_nothing_even_when_cold() {
    let world = World::with_agent().await;
    let writes = world.storage.writes();
    let ask =
        json!({ "agent": "bot", "target": "crm", "action": "read", "resource": "customers/42" });
    world.ok("decisions/evaluate", ask).await;
    assert_eq!(world.storage.writes(), writes);
}

#[tokio::test]
async fn a_change_costs_a_bounded_number_of_writes() {
    let world = World::with_agent().await;
    for path in [
        "agents/bot/suspend",
        "agents/bot/resume",
        "agents/bot/revoke",
    ] {
        let writes = world.storage.writes();
        world.ok(path, json!({})).await;
        assert_eq!(world.storage.writes() - writes, 1, "{path}");
    }
}
