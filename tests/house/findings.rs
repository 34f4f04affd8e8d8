//! Ways to widen authority, to go stale or to exhaust memory that were found
//! once. Each stays closed.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::memory::MemoryStorage;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, World, lines};

fn ask() -> Value {
    json!({ "target": "crm", "action": "read", "resource": "customers/42" })
}

#[tokio::test]
async fn a_limit_on_uses_is_said_and_counted() {
    let world = World::with_agent().await;
    world
        .policy(
            "crm",
            r#"rule "read" { effect = "allow"; limits { max_uses = 1 } }"#,
        )
        .await;
    let issued = world.issue(ask()).await.unwrap().unwrap();
    let token = json!({ "token": issued["credential"] });
    let first = world.ok("creds/redeem", token.clone()).await;
    assert_eq!(first["agentic"]["max_uses"], 1);
    assert_eq!(first["active"], true);
    assert_eq!(world.ok("creds/redeem", token).await["active"], false);
}

#[tokio::test]
async fn a_default_ceiling_that_is_not_understood_denies() {
    let world = World::with_agent().await;
    let stored = json!({ "v": "1", "name": "default-ceiling", "text": "rule \"x\" {\n  efect = 1\n}", "created_at": "2027-01-01T00:00:00Z", "updated_at": "2027-01-01T00:00:00Z" });
    world
        .storage
        .set("policy/default-ceiling", stored.to_string().as_bytes());
    let after = World::over(Arc::clone(&world.storage));
    let refusal = after.issue(ask()).await.unwrap_err().to_string();
    assert!(refusal.contains("ceiling.policy_missing"), "{refusal}");
}

#[tokio::test]
async fn a_default_ceiling_in_force_cannot_be_deleted() {
    let world = World::with_agent().await;
    world
        .policy("default-ceiling", r#"rule "no" { effect = "deny" }"#)
        .await;
    let refusal = world
        .call(
            Operation::Delete,
            "policies/default-ceiling",
            Value::Null,
            None,
        )
        .await
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("agent bot"), "{refusal}");
}

#[tokio::test]
async fn a_write_that_failed_after_it_was_made_binds() {
    let world = World::with_agent().await;
    world.issue(ask()).await.unwrap();
    world.storage.lose_replies(true);
    let answer = world
        .call(Operation::Update, "agents/bot/suspend", json!({}), None)
        .await;
    assert!(matches!(answer, Err(Error::Host(_))), "{answer:?}");
    world.storage.lose_replies(false);
    let refusal = world.issue(ask()).await.unwrap_err().to_string();
    assert!(refusal.contains("agent.suspended"), "{refusal}");
}

#[tokio::test]
async fn an_agent_that_is_half_registered_governs_nothing() {
    for position in 0..3 {
        let world = World::with_agent().await;
        world.storage.transactional(false);
        world.storage.fail_after(position);
        let register = json!({ "name": "half", "entity_id": HUMAN_ENTITY });
        assert!(
            world
                .call(Operation::Update, "agents/register", register, None)
                .await
                .is_err()
        );
        world.storage.fail_writes(false);
        let after = World::over(Arc::clone(&world.storage));
        assert_eq!(after.read("agents/half").await, None, "position {position}");
    }
}

#[tokio::test]
async fn no_resource_is_the_whole_target_and_must_be_offered() {
    let world = World::with_agent().await;
    world.policy("crm", "rule \"a\" { effect = \"allow\"; targets = [\"crm\"] }\nrule \"b\" { effect = \"deny\"; resources = [\"payroll/**\"] }").await;
    world
        .ok(
            "targets/crm",
            json!({ "resources": "customers/*,payroll/*" }),
        )
        .await;
    for resource in ["", "payroll/1"] {
        let mut ask = ask();
        ask["resource"] = json!(resource);
        assert!(world.issue(ask).await.is_err(), "{resource:?}");
    }
    assert!(world.issue(ask()).await.is_ok());
}

#[tokio::test]
async fn a_group_is_seen_whatever_its_name() {
    let world = World::with_agent().await;
    world.system.add(
        vault_plugin_agentic::host::framework::system::Entity {
            id: HUMAN_ENTITY.into(),
            name: "alice".into(),
            ..Default::default()
        },
        &["contractors/eu", "Support"],
    );
    world.policy("base", "rule \"a\" { effect = \"allow\" }\nrule \"b\" { effect = \"deny\"; subject { groups = [\"contractors/*\"] } }").await;
    // The server takes names of groups that differ by case for one.
    world
        .ok("baselines/group/SUPPORT", json!({ "policies": "base" }))
        .await;
    let mut ask = ask();
    ask["agent"] = json!("bot");
    ask["subject"] = json!(HUMAN_ENTITY);
    let layers = world.ok("decisions/evaluate", ask).await["context"]["layers"].clone();
    let baseline = layers
        .as_array()
        .unwrap()
        .iter()
        .find(|layer| layer["layer"] == "baseline")
        .unwrap();
    assert_eq!(baseline["reason"], "baseline.denied");
}

#[tokio::test]
async fn an_agent_learns_nothing_of_humans() {
    let world = World::with_agent().await;
    world.ok("config", json!({ "denial_detail": "full" })).await;
    world
        .ok(
            &format!("baselines/entity/{HUMAN_ENTITY}"),
            json!({ "policies": "crm" }),
        )
        .await;
    let evaluate = async |subject: &str| {
        let mut ask = ask();
        ask["subject"] = json!(subject);
        world
            .call(Operation::Update, "self/evaluate", ask, Some(AGENT_ENTITY))
            .await
            .unwrap()
    };
    assert_eq!(
        evaluate(HUMAN_ENTITY).await,
        evaluate("nobody-at-all").await
    );
}

#[tokio::test]
async fn what_callers_send_is_bounded_before_it_is_read() {
    let world = World::with_agent().await;
    let many: Vec<Value> = (0..300).map(|_| json!({})).collect();
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    for context in [
        json!({ "a": many }),
        json!(huge),
        json!({ "a": "x".repeat(9000) }),
    ] {
        let mut ask = ask();
        ask["context"] = context;
        assert!(matches!(world.issue(ask).await, Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn errors_repeat_little_of_what_was_sent() {
    let world = World::with_agent().await;
    let secret = "eyJhbGciOiJFZERTQSJ9".repeat(20);
    for (path, field) in [
        ("keys/x", "algorithm"),
        ("targets/crm", "consent"),
        ("creds/issue", "authorization_details"),
    ] {
        let mut body = ask();
        body[field] = json!(secret);
        let refusal = world.refused(path, body).await;
        assert!(
            !refusal.contains(&secret) && refusal.len() < 600,
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn a_key_record_that_cannot_be_read_is_not_repeated() {
    let storage = Arc::new(MemoryStorage::default());
    storage.set(
        "key/default",
        br#"{"v":"1","name":"default","algorithm":"EdDSA","versions":["MC4CAQAwBQYDK2Vw"]}"#,
    );
    let world = World::over(storage);
    let error = world
        .call(Operation::Read, "keys/default", Value::Null, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(!error.contains("MC4CAQ"), "{error}");
}

#[tokio::test]
async fn the_default_key_cannot_be_stranded() {
    let world = World::with_agent().await;
    world.ok("keys/other", json!({})).await;
    world.ok("config", json!({ "signing_key": "other" })).await;
    let now = world
        .call(Operation::Delete, "keys/default", Value::Null, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(now.contains("may have signed tokens that live"), "{now}");
    world.advance(3661);
    world
        .call(Operation::Delete, "keys/default", Value::Null, None)
        .await
        .unwrap();
    assert!(
        world
            .refused("config", json!({ "signing_key": "" }))
            .await
            .contains("no key `default`")
    );
}

/// Many costly conditions must not add up. When the steps of a decision are
/// spent, a deny rule that could not be looked at denies.
#[tokio::test]
async fn the_conditions_of_one_decision_share_a_budget() {
    let world = World::with_agent().await;
    let seven = format!("({})", ["contains(request.context.x, 1)"; 7].join(" || "));
    let costly = [seven.as_str(); 5].join(" || ");
    let rules = |count: usize| {
        let costly = (0..count).map(|n| {
            format!("rule \"a{n}\" {{ effect = \"allow\"; targets = [\"crm\"]; condition = {costly} }}\n")
        });
        let rest = "rule \"b\" { effect = \"deny\"; targets = [\"crm\"]; condition = request.context.y == 2 }\n\
                    rule \"c\" { effect = \"allow\"; targets = [\"crm\"] }\n";
        lines(&(costly.collect::<String>() + rest))
    };
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1",
        "context": { "x": vec![0; 250], "y": 1 } });
    world.policy("crm", &rules(20)).await;
    assert!(world.issue(ask.clone()).await.is_ok());
    world.policy("crm", &rules(32)).await;
    world
        .policy("crm2", &rules(32).replace("\"c\"", "\"d\""))
        .await;
    world.policy("crm3", &rules(32)).await;
    world.policy("crm4", &rules(32)).await;
    world
        .ok(
            "agents/bot",
            json!({ "ceiling_policies": "crm,crm2,crm3,crm4" }),
        )
        .await;
    let refused = world.issue(ask).await.unwrap_err();
    assert!(matches!(refused, Error::Denied(_)), "{refused}");
}
