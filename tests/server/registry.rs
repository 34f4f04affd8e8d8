//! The registry on a real server: who may, and Vault Enterprise's shape of it.

use serde_json::json;

use crate::example::Example;
use crate::support::Bao;

#[test]
fn an_agent_governs_nothing_even_where_the_acl_lets_it() {
    let bao = Bao::dev();
    let mount = bao.secrets();
    let agent = bao.login(
        "bold",
        &mount.acl(&[("*", "create, read, update, delete, list, sudo")]),
    );
    agent
        .client
        .write(
            &mount.at("config"),
            &json!({ "issuer": "https://before.example.com" }),
        )
        .ok();
    mount
        .write("agents/bold", &json!({ "entity_id": agent.entity_id }))
        .ok();
    for (path, body) in [
        ("agents/bold", json!({ "owner": "me" })),
        ("agents/bold/resume", json!({})),
        ("config", json!({ "issuer": "https://mine.example.com" })),
        (
            "policies/all",
            json!({ "policy": "rule \"all\" {\n  effect = \"allow\"\n}" }),
        ),
        ("targets/mine", json!({ "actions": "all" })),
        ("keys/default/rotate", json!({})),
        (
            "register",
            json!({ "display_name": "x", "entity_id": agent.entity_id }),
        ),
    ] {
        let refused = agent.client.write(&mount.at(path), &body).refused(403);
        assert!(
            refused.errors().contains("agents may not govern"),
            "{path}: {refused:?}"
        );
    }
    agent.client.delete(&mount.at("agents/bold")).refused(403);
    assert_eq!(
        agent
            .client
            .read(&mount.at("self"))
            .ok()
            .text_at("/data/kind"),
        "agent"
    );
}

#[test]
fn the_kill_switch_binds_the_next_decision() {
    let example = Example::secrets(Bao::dev());
    example.issue().ok();
    example
        .mount
        .write("agents/bot/suspend", &json!({ "reason": "odd" }))
        .ok();
    assert!(
        example
            .issue()
            .refused(403)
            .errors()
            .contains("agent.suspended")
    );
    let agent = example.mount.read("agents/bot").ok();
    assert_eq!(
        (
            agent.text_at("/data/status"),
            agent.text_at("/data/suspended_reason")
        ),
        ("suspended".into(), "odd".into())
    );
    example.mount.write("agents/bot/resume", &json!({})).ok();
    example.issue().ok();
}

#[test]
fn a_disabled_entity_is_nobody() {
    let example = Example::secrets(Bao::dev());
    let path = format!("identity/entity/id/{}", example.agent.entity_id);
    example
        .mount
        .bao
        .client()
        .write(&path, &json!({ "disabled": true }))
        .ok();
    example.issue().refused(403);
    let ask =
        json!({ "agent": "bot", "target": "crm", "action": "read", "resource": "customers/1" });
    let dry = example.mount.write("decisions/evaluate", &ask).ok();
    assert_eq!(dry.text_at("/data/context/reason"), "agent.disabled");
}

#[test]
fn vault_enterprises_registry_is_served_under_its_own_mount() {
    let bao = Bao::own();
    let root = bao.client();
    root.write("sys/mounts/agent-registry", &json!({ "type": "agentic" }))
        .ok();
    let entity = bao.login("ent", "").entity_id;
    root.write(
        "agent-registry/policies/p",
        &json!({ "policy": "rule \"a\" {\n  effect = \"allow\"\n}" }),
    )
    .ok();
    let body = json!({
        "display_name": "ent-agent", "entity_id": entity, "ceiling_policies": ["p"],
        "no_default_ceiling_policy": false, "description": "d", "owner": "o", "optional_authorization_details": true,
    });
    let made = root.write("agent-registry/register", &body).ok();
    let id = made.text_at("/data/id");
    let path = format!("agent-registry/registration/id/{id}");
    let read = root.read(&path).ok();
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(read.data(field), value, "{field}");
    }
    assert!(
        !read.text_at("/data/creation_time").is_empty()
            && !read.text_at("/data/last_updated_time").is_empty()
    );
    // A PUT replaces: what it does not name is cleared.
    let replaced = root.send("PUT", &path, Some(&json!({ "display_name": "ent-agent", "entity_id": entity, "no_default_ceiling_policy": true }))).ok();
    assert_eq!(
        (
            replaced.data("description"),
            replaced.data("ceiling_policies"),
            replaced.data("optional_authorization_details")
        ),
        (&json!(""), &json!([]), &json!(false))
    );
    assert_eq!(
        root.read("agent-registry/registration/display-name/ent-agent")
            .ok()
            .text_at("/data/id"),
        id
    );
    assert_eq!(
        root.read(&format!("agent-registry/registration/entity-id/{entity}"))
            .ok()
            .text_at("/data/id"),
        id
    );
    assert_eq!(
        root.list("agent-registry/registration/id").keys(),
        std::slice::from_ref(&id)
    );
    assert_eq!(
        root.list("agent-registry/registration/display-name").keys(),
        ["ent-agent"]
    );
    for _ in 0..2 {
        assert_eq!(root.delete(&path).status, 204);
    }
    assert_eq!(root.read(&path).status, 404);
    assert_eq!(root.list("agent-registry/registration/id").status, 404);
}

#[test]
fn writes_are_idempotent_and_reads_show_no_drift() {
    let example = Example::secrets(Bao::dev());
    for (path, body) in [
        (
            "config",
            json!({ "issuer": example.issuer, "default_ttl": 90, "max_ttl": 600, "max_delegation_depth": 2, "denial_detail": "full", "baseline_rule": "deny" }),
        ),
        (
            "targets/crm",
            json!({ "description": "d", "audience": ["b", "a"], "actions": ["write", "read"], "resources": ["b/*", "a/**"], "labels": { "k": "v" }, "default_ttl": 30, "max_ttl": 60, "consent": "none", "claims": { "x": [1, "y"] } }),
        ),
        (
            "locations/l",
            json!({ "cidrs": ["192.168.0.0/16", "10.0.0.0/8"] }),
        ),
        ("policies/p", json!({ "policy": crate::example::POLICY })),
        (
            "agents/bot",
            json!({ "owner": "o", "labels": { "a": "b" }, "ceiling_policies": ["p", "crm"], "delegation_modes": ["on_behalf_of"] }),
        ),
    ] {
        for _ in 0..2 {
            example.mount.write(path, &body).ok();
            let read = example.mount.read(path).ok();
            for (field, value) in body.as_object().unwrap() {
                assert_eq!(read.data(field), value, "{path} {field}");
            }
        }
    }
}
