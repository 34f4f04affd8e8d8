//! The rules of the registry.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, World, lines};

#[tokio::test]
async fn one_agent_per_entity_and_the_entity_exists() {
    let world = World::with_agent().await;
    assert!(
        world
            .refused("agents/second", json!({ "entity_id": AGENT_ENTITY }))
            .await
            .contains("already the agent `bot`")
    );
    assert!(
        world
            .refused("agents/second", json!({ "entity_id": "nobody" }))
            .await
            .contains("no such identity entity")
    );
    assert!(
        world
            .refused("agents/second", json!({}))
            .await
            .contains("entity_id")
    );
    assert!(
        world
            .refused("agents/bot", json!({ "entity_id": HUMAN_ENTITY }))
            .await
            .contains("cannot become a new one")
    );
}

#[tokio::test]
async fn names_that_look_alike_or_are_reserved_are_refused() {
    let world = World::with_agent().await;
    for name in ["BOT", "b0t"] {
        let refusal = world
            .refused(
                "agents/register",
                json!({ "name": name, "entity_id": HUMAN_ENTITY }),
            )
            .await;
        assert!(
            refusal.contains("looks like the registered agent `bot`"),
            "{refusal}"
        );
    }
    for name in [
        "register",
        "self",
        "entity-id",
        "b\u{f6}t",
        "a\u{202e}b",
        "",
        "a/b",
        "-a",
    ] {
        assert!(
            !world
                .refused(
                    "agents/register",
                    json!({ "name": name, "entity_id": HUMAN_ENTITY })
                )
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_ceiling_names_existing_policies_and_never_root() {
    let world = World::with_agent().await;
    assert!(
        world
            .refused("agents/bot", json!({ "ceiling_policies": "crm,missing" }))
            .await
            .contains("no policy `missing`")
    );
    assert!(
        world
            .refused("agents/bot", json!({ "ceiling_policies": "root" }))
            .await
            .contains("reserved")
    );
}

#[tokio::test]
async fn a_read_gives_back_what_was_written() {
    let world = World::with_agent().await;
    let written = json!({
        "description": "answers tickets", "owner": "team-support", "labels": { "tier": "prod" },
        "ceiling_policies": ["crm"], "delegation_modes": ["autonomous"], "max_delegation_depth": 2,
        "expires_at": "2028-01-01T00:00:00Z", "issuer": "https://idp.example.com", "subject": "bot-1",
        "software": { "vendor": "v", "model": "m", "version": "1" },
        "public_keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }],
        "no_default_ceiling_policy": true, "optional_authorization_details": false,
    });
    world.ok("agents/bot", written.clone()).await;
    let read = world.read("agents/bot").await.unwrap();
    for (field, value) in written.as_object().unwrap() {
        assert_eq!(read[field], *value, "{field}");
    }
    world
        .ok(
            "agents/bot",
            json!({ "description": "", "labels": {}, "expires_at": "" }),
        )
        .await;
    let read = world.read("agents/bot").await.unwrap();
    assert_eq!(
        (&read["description"], &read["labels"], &read["expires_at"]),
        (&json!(""), &json!({}), &json!(""))
    );
    assert_eq!(read["owner"], "team-support", "what is not named stays");
}

#[tokio::test]
async fn an_agent_governs_nothing_even_where_the_acl_lets_it() {
    let world = World::with_agent().await;
    for (operation, path, data) in [
        (
            Operation::Update,
            "agents/bot",
            json!({ "description": "mine" }),
        ),
        (Operation::Update, "agents/bot/resume", json!({})),
        (Operation::Delete, "agents/bot", json!({})),
        (Operation::Update, "policies/crm", json!({ "policy": "" })),
        (
            Operation::Update,
            "targets/crm",
            json!({ "actions": "all" }),
        ),
        (Operation::Update, "config", json!({ "max_ttl": 3600 })),
        (Operation::Update, "keys/default/rotate", json!({})),
        (
            Operation::Update,
            "baselines/entity/human-entity",
            json!({ "policies": "crm" }),
        ),
        (
            Operation::Update,
            "register",
            json!({ "display_name": "x", "entity_id": HUMAN_ENTITY }),
        ),
    ] {
        let answer = world.call(operation, path, data, Some(AGENT_ENTITY)).await;
        assert!(
            matches!(&answer, Err(Error::Denied(text)) if text.contains("agents may not govern")),
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn enterprises_registry_is_the_same_registry() {
    let world = World::with_agent().await;
    let made = world.ok("register", json!({ "display_name": "ent", "entity_id": HUMAN_ENTITY, "ceiling_policies": ["crm"], "no_default_ceiling_policy": false, "description": "d", "owner": "o" })).await;
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(made["creation_time"].is_string() && made["last_updated_time"].is_string());
    assert_eq!(world.read("agents/ent").await.unwrap()["id"], made["id"]);
    let path = format!("registration/id/{id}");
    let replaced = world
        .ok(
            &path,
            json!({ "display_name": "ent", "entity_id": HUMAN_ENTITY, "ceiling_policies": [] }),
        )
        .await;
    assert_eq!(
        (
            &replaced["description"],
            &replaced["owner"],
            &replaced["ceiling_policies"]
        ),
        (&json!(""), &json!(""), &json!([]))
    );
    assert!(
        world
            .refused(&path, json!({ "display_name": "other" }))
            .await
            .contains("cannot change")
    );
    for path in [
        path.clone(),
        "registration/display-name/ent".into(),
        format!("registration/entity-id/{HUMAN_ENTITY}"),
    ] {
        assert_eq!(world.read(&path).await.unwrap()["id"], made["id"], "{path}");
    }
    let list = world
        .call(Operation::List, "registration/id/", Value::Null, None)
        .await
        .unwrap()
        .unwrap();
    assert!(list["keys"].as_array().unwrap().contains(&made["id"]));
    for _ in 0..2 {
        assert_eq!(
            world
                .call(Operation::Delete, &path, Value::Null, None)
                .await,
            Ok(None)
        );
    }
    assert_eq!(world.read(&path).await, None);
}

#[tokio::test]
async fn lists_page() {
    let world = World::with_agent().await;
    world
        .ok("agents/alpha", json!({ "entity_id": HUMAN_ENTITY }))
        .await;
    let list = async |data: Value| {
        world
            .call(Operation::List, "agents/", data, None)
            .await
            .unwrap()
            .unwrap()["keys"]
            .clone()
    };
    assert_eq!(list(json!({})).await, json!(["alpha", "bot"]));
    assert_eq!(list(json!({ "limit": "1" })).await, json!(["alpha"]));
    assert_eq!(list(json!({ "after": "alpha" })).await, json!(["bot"]));
}

#[tokio::test]
async fn a_policy_in_use_cannot_be_deleted() {
    let world = World::with_agent().await;
    world
        .ok("baselines/group/support", json!({ "policies": "crm" }))
        .await;
    let refusal = world
        .call(Operation::Delete, "policies/crm", Value::Null, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("agent bot") && refusal.contains("group support"),
        "{refusal}"
    );
    world
        .call(
            Operation::Delete,
            "baselines/group/support",
            Value::Null,
            None,
        )
        .await
        .unwrap();
    world
        .ok("agents/bot", json!({ "ceiling_policies": "" }))
        .await;
    assert_eq!(
        world
            .call(Operation::Delete, "policies/crm", Value::Null, None)
            .await,
        Ok(None)
    );
}

#[tokio::test]
async fn the_default_ceiling_joins_in_unless_left_out() {
    let world = World::with_agent().await;
    world
        .policy(
            "default-ceiling",
            r#"rule "no" { effect = "deny"; resources = ["customers/13"] }"#,
        )
        .await;
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/13" });
    assert!(
        world
            .issue(ask.clone())
            .await
            .unwrap_err()
            .to_string()
            .contains("ceiling.denied")
    );
    world
        .ok("agents/bot", json!({ "no_default_ceiling_policy": true }))
        .await;
    assert!(world.issue(ask).await.is_ok());
}

#[tokio::test]
async fn a_target_can_only_be_what_its_credentials_can_be() {
    let world = World::with_agent().await;
    let token = json!({ "actions": "read", "credential_type": "vault_token",
        "vault_policies": "kv-reader", "max_uses": 1,
        "vault_paths": [{ "path": "secret/data/orders/*", "capabilities": ["read"] }] });
    let read = world.ok("targets/kv", token.clone()).await;
    assert_eq!(read["vault_paths"], token["vault_paths"]);
    assert_eq!(read["max_uses"], 1);
    let with = |field: &str, value: Value| {
        let mut target = token.clone();
        target[field] = value;
        target
    };
    for (target, field) in [
        (with("vault_policies", json!([])), "vault_policies"),
        (with("vault_policies", json!("root")), "vault_policies"),
        (with("vault_policies", json!("a,default")), "vault_policies"),
        (with("vault_policies", json!("Upper")), "vault_policies"),
        (with("vault_policies", json!("a,a")), "vault_policies"),
        (
            with(
                "vault_paths",
                json!([{ "path": "a/../b", "capabilities": ["read"] }]),
            ),
            "vault_paths",
        ),
        (
            with("vault_paths", json!([{ "path": "a", "capabilities": [] }])),
            "vault_paths",
        ),
        (
            with(
                "vault_paths",
                json!([{ "path": "a", "capabilities": ["read"], "x": 1 }]),
            ),
            "vault_paths",
        ),
        (with("vault_token_type", json!("batch")), "max_uses"),
        (with("leased", json!(true)), "leased"),
        (with("status_list", json!(true)), "status_list"),
        (
            with("proof_of_possession", json!(true)),
            "proof_of_possession",
        ),
        (with("credential_type", json!("jwt")), "vault_policies"),
        (with("credential_type", json!("paper")), "credential_type"),
    ] {
        let refusal = world.refused("targets/kv2", target).await;
        assert!(refusal.contains(&format!("\"{field}\"")), "{refusal}");
    }
}

#[tokio::test]
async fn a_location_in_use_stays() {
    let world = World::with_agent().await;
    world
        .ok("locations/office", json!({ "cidrs": "10.0.0.0/8" }))
        .await;
    let rule = "rule \"office\" { effect = \"allow\"; targets = [\"crm\"]; environment { locations = [\"office\"] } }";
    world.policy("crm", &lines(rule)).await;
    let delete = || world.call(Operation::Delete, "locations/office", json!({}), None);
    let refused = delete().await.unwrap_err();
    assert!(
        refused.to_string().contains("in use by the policies crm"),
        "{refused}"
    );
    assert!(world.read("locations/office").await.is_some());
    world
        .policy("crm", &lines("rule \"any\" { effect = \"allow\" }"))
        .await;
    delete().await.unwrap();
    assert!(world.read("locations/office").await.is_none());
    // As everywhere, taking away what is not there succeeds.
    delete().await.unwrap();
}
