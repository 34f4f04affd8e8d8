//! Random trees, grown, narrowed and cut on a real mount: what can be issued is
//! what a naive model says, and never wider than anything above.
#![expect(clippy::arithmetic_side_effects, reason = "small numbers, in a test")]

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::model::authorization::Scope;

use crate::people::{People, text};
use crate::world::HUMAN_ENTITY;

const AGENTS: [&str; 6] = ["a0", "a1", "a2", "a3", "a4", "a5"];
const RESOURCES: [&str; 4] = ["customers/1", "customers/2", "customers/1/x", "orders/1"];

/// Numbers without rhyme, the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    fn scope(&mut self) -> Value {
        let detail = |dice: &mut Self| {
            json!({
                "type": "agentic:action", "targets": [dice.pick(&["crm", "c*", "*"])],
                "actions": [dice.pick(&["read", "delete", "*"])],
                "resources": [dice.pick(&["**", "customers/**", "customers/*", "customers/1", "orders/*"])],
            })
        };
        let second = self.roll(3) == 0;
        let mut details = vec![detail(self)];
        if second {
            details.push(detail(self));
        }
        json!(details)
    }
}

struct Node {
    id: String,
    agent: usize,
    parent: Option<usize>,
    scope: Scope,
    expires_at: String,
    ended: bool,
}

fn path(nodes: &[Node], mut node: usize) -> Vec<usize> {
    let mut path = vec![node];
    while let Some(parent) = nodes[node].parent {
        path.push(parent);
        node = parent;
    }
    path
}

fn entity(agent: usize) -> String {
    format!("{}-entity", AGENTS[agent])
}

/// One more link, by a human or from a link that is there. Whether it may be is
/// for the model to say.
async fn grow(people: &People, dice: &mut Dice, nodes: &mut Vec<Node>) {
    let agent = dice.roll(AGENTS.len());
    let scope = dice.scope();
    let wanted = Scope::from_json(&scope).unwrap();
    let mut data = json!({ "agent": AGENTS[agent], "scope": scope, "ttl": 1 + dice.roll(5000) });
    let parent = (!nodes.is_empty() && dice.roll(4) > 0).then(|| dice.roll(nodes.len()));
    let Some(parent) = parent else {
        let granted = people.by(HUMAN_ENTITY, "delegations/grant", data).await;
        add(nodes, &granted.unwrap().unwrap(), agent, None);
        return;
    };
    let above = path(nodes, parent);
    let alive = above.iter().all(|link| !nodes[*link].ended);
    let circle = above.iter().any(|link| nodes[*link].agent == agent);
    let mut within = nodes[parent].scope.covers(&wanted);
    if !within && dice.roll(3) == 0 {
        // All of it, instead.
        data.as_object_mut().unwrap().remove("scope");
        within = true;
    }
    let (id, by) = (&nodes[parent].id, entity(nodes[parent].agent));
    let answer = people
        .by(&by, &format!("delegations/{id}/delegate"), data)
        .await;
    let allowed = alive && !circle && within && above.len() < 8;
    match answer {
        Ok(Some(made)) => {
            assert!(allowed);
            add(nodes, &made, agent, Some(parent));
        }
        Err(Error::Invalid(_) | Error::Conflict(_)) => assert!(!allowed),
        other => panic!("{other:?}"),
    }
}

fn add(nodes: &mut Vec<Node>, made: &Value, agent: usize, parent: Option<usize>) {
    nodes.push(Node {
        id: text(&made["id"]),
        agent,
        parent,
        scope: Scope::from_json(&made["scope"]).unwrap(),
        expires_at: text(&made["expires_at"]),
        ended: false,
    });
    for above in path(nodes, nodes.len() - 1) {
        assert!(nodes[above].scope.covers(&nodes[nodes.len() - 1].scope));
        assert!(
            nodes[above].expires_at >= text(&made["expires_at"]),
            "times sort as text"
        );
    }
}

async fn check(people: &People, dice: &mut Dice, nodes: &[Node], node: usize) {
    let (action, resource) = (dice.pick(&["read", "delete"]), dice.pick(&RESOURCES));
    let ask = json!({ "target": "crm", "action": action, "resource": resource, "delegation_id": nodes[node].id, "ttl": "10m" });
    let answer = people
        .by(&entity(nodes[node].agent), "creds/issue", ask)
        .await;
    let above = path(nodes, node);
    let covers = nodes[node].scope.covers_request(
        &"crm".parse().unwrap(),
        &action.parse().unwrap(),
        &resource.parse().unwrap(),
    );
    let alive = above.iter().all(|link| !nodes[*link].ended);
    match answer {
        Ok(Some(issued)) => {
            assert!(alive && covers, "{issued}");
            let granted = Scope::from_json(&issued["authorization_details"]).unwrap();
            for link in above {
                assert!(nodes[link].scope.covers(&granted));
                assert!(nodes[link].expires_at >= text(&issued["expires_at"]));
            }
        }
        Err(Error::Denied(told)) => {
            assert!(!alive || !covers, "{told}");
            let code = if alive {
                "delegation.scope"
            } else {
                "delegation."
            };
            assert!(told.contains(code), "{told}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn random_trees_hold_what_the_model_says() {
    for seed in 1..=12_u64 {
        let people = People::new().await;
        people
            .world
            .ok("config", json!({ "max_delegation_depth": 8 }))
            .await;
        for agent in AGENTS {
            people.register(agent, &format!("{agent}-entity")).await;
        }
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut nodes: Vec<Node> = Vec::new();
        for _ in 0..40 {
            if nodes.len() > 3 && dice.roll(5) == 0 {
                let node = dice.roll(nodes.len());
                let path = format!("delegations/{}/revoke", nodes[node].id);
                let who = if dice.roll(2) == 0 {
                    HUMAN_ENTITY.to_owned()
                } else {
                    entity(nodes[node].agent)
                };
                people.by(&who, &path, json!({})).await.unwrap();
                nodes[node].ended = true;
            } else {
                grow(&people, &mut dice, &mut nodes).await;
            }
            for _ in 0..3 {
                let node = dice.roll(nodes.len());
                check(&people, &mut dice, &nodes, node).await;
            }
        }
        // Another process, which knows only what is stored.
        let again = people.again();
        for agent in AGENTS {
            let known = vault_plugin_agentic::host::framework::system::Entity {
                id: format!("{agent}-entity"),
                name: agent.into(),
                ..Default::default()
            };
            again.world.system.add(known, &["support"]);
        }
        for node in 0..nodes.len() {
            check(&again, &mut dice, &nodes, node).await;
        }
    }
}
