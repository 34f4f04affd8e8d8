//! Credentials that rest on delegations: whatever ends along the chain ends
//! them, of every kind and for every path that asks.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::system::Entity;

use crate::people::{People, crm, text};
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY};

const RELAY: &str = "relay-entity";

/// Alice delegates to `relay`, which passes it on to bot: both delegations, and
/// a credential that bot got under them.
struct Chain {
    people: People,
    first: String,
    last: String,
    token: String,
}

impl Chain {
    async fn new(kind: &Value) -> Self {
        let people = People::new().await;
        people.world.ok("targets/crm", kind.clone()).await;
        people
            .world
            .ok("config", json!({ "max_delegation_depth": 8 }))
            .await;
        people
            .world
            .ok("agents/bot", json!({ "max_delegation_depth": 8 }))
            .await;
        people.register("relay", RELAY).await;
        let ask = people
            .by(RELAY, "delegations/request", crm("read"))
            .await
            .unwrap()
            .unwrap();
        let first = text(&ask["id"]);
        people.approve(&first, json!({})).await.unwrap();
        let passed = people
            .by(
                RELAY,
                &format!("delegations/{first}/delegate"),
                json!({ "agent": "bot" }),
            )
            .await
            .unwrap()
            .unwrap();
        let last = text(&passed["id"]);
        let issued = people.issue(&last).await.unwrap().unwrap();
        let token = text(&issued["credential"]);
        let chain = Self {
            people,
            first,
            last,
            token,
        };
        assert!(chain.holds().await, "{kind}");
        chain
    }

    async fn holds(&self) -> bool {
        let world = &self.people.world;
        let active = world.is_active(&self.token).await;
        assert_eq!(world.redeem(&self.token).await["active"], active);
        active
    }
}

fn kinds() -> [Value; 3] {
    [
        json!({}),
        json!({ "max_uses": 1000, "status_list": true }),
        json!({ "credential_type": "opaque" }),
    ]
}

#[tokio::test]
async fn whoever_ends_a_delegation_ends_what_rests_on_it() {
    for kind in kinds() {
        for which in [0, 1] {
            let chain = Chain::new(&kind).await;
            let id = if which == 0 {
                &chain.first
            } else {
                &chain.last
            };
            chain
                .people
                .by(HUMAN_ENTITY, &format!("delegations/{id}/revoke"), json!({}))
                .await
                .unwrap();
            assert!(!chain.holds().await, "{kind}");
        }
    }
}

#[tokio::test]
async fn every_agent_along_the_chain_counts() {
    for kind in kinds() {
        for agent in ["relay", "bot"] {
            let chain = Chain::new(&kind).await;
            let world = &chain.people.world;
            let path = |verb: &str| format!("agents/{agent}/{verb}");
            world.ok(&path("suspend"), json!({})).await;
            assert!(!chain.holds().await, "{agent} {kind}");
            world.ok(&path("resume"), json!({})).await;
            assert!(chain.holds().await, "{agent} {kind}");
            world.ok(&path("revoke"), json!({})).await;
            world.ok(&path("resume"), json!({})).await;
            assert!(!chain.holds().await, "{agent} {kind}");
        }
    }
}

#[tokio::test]
async fn every_entity_along_the_chain_counts() {
    for kind in kinds() {
        let chain = Chain::new(&kind).await;
        for id in [HUMAN_ENTITY, RELAY, AGENT_ENTITY] {
            let entity = |disabled| Entity {
                id: id.into(),
                disabled,
                ..Entity::default()
            };
            chain.people.world.system.add(entity(true), &[]);
            assert!(!chain.holds().await, "{id} {kind}");
            chain.people.world.system.add(entity(false), &[]);
            assert!(chain.holds().await, "{id} {kind}");
        }
    }
}

#[tokio::test]
async fn all_of_a_subject_or_a_delegation_end_in_one_write() {
    for kind in kinds() {
        for which in 0..4 {
            let chain = Chain::new(&kind).await;
            let world = &chain.people.world;
            let own = world.credential().await;
            world.advance(1);
            let writes = world.storage.writes();
            match which {
                0 => {
                    let subject = json!({ "subject": HUMAN_ENTITY });
                    world.ok("oversight/revoke", subject).await;
                }
                1 => {
                    let first = json!({ "delegation_id": chain.first });
                    world.ok("oversight/revoke", first).await;
                }
                2 => {
                    let last = json!({ "delegation_id": chain.last });
                    world.ok("oversight/revoke", last).await;
                }
                _ => {
                    chain
                        .people
                        .by(HUMAN_ENTITY, "self/revoke", json!({}))
                        .await
                        .unwrap();
                }
            }
            assert_eq!(world.storage.writes() - writes, 1);
            assert!(!chain.holds().await, "{which} {kind}");
            assert!(world.is_active(&own).await, "the agent's own stays");
            world.advance(1);
            let issued = chain.people.issue(&chain.last).await.unwrap().unwrap();
            let again = text(&issued["credential"]);
            assert!(world.is_active(&again).await, "delegations stay");
        }
    }
}

#[tokio::test]
async fn a_mark_is_not_moved_back_by_a_clock_that_is() {
    let chain = Chain::new(&json!({})).await;
    let world = &chain.people.world;
    let subject = json!({ "subject": HUMAN_ENTITY });
    world.advance(30);
    world.ok("oversight/revoke", subject.clone()).await;
    world.advance(-40);
    world.ok("oversight/revoke", subject).await;
    world.advance(20);
    let issued = chain.people.issue(&chain.last).await.unwrap().unwrap();
    assert!(!world.is_active(&text(&issued["credential"])).await);
}

#[tokio::test]
async fn a_delegation_that_is_used_up_keeps_what_it_gave() {
    let people = People::new().await;
    let ask = people.ask(&crm("read")).await;
    let id = text(&ask["id"]);
    people.approve(&id, json!({ "max_uses": 1 })).await.unwrap();
    let issued = people.issue(&id).await.unwrap().unwrap();
    assert!(people.issue(&id).await.is_err());
    assert!(people.world.is_active(&text(&issued["credential"])).await);
}
