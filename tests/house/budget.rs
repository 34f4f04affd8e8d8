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
    assert_eq!(world.system.calls(), calls, "calls to the host");
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
        assert!(world.storage.writes() - writes <= 3, "{path}");
    }
}
