//! The token of a login: what it can do, and what the audit log says of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Gateway;
use crate::support::Bao;

#[test]
fn one_token_reads_one_path_once_and_the_audit_log_says_for_whom() {
    let gateway = Gateway::on(Bao::dev());
    let path = gateway.secrets.at("app");
    let ask = |uses: u32| {
        let jwt = gateway.token(json!({}));
        gateway
            .login(json!({ "jwt": jwt, "target": "kv", "action": "read", "resource": "app", "max_uses": uses }))
            .ok()
    };
    let answer = ask(1);
    let token = answer.text_at("/auth/client_token");
    let auth = &answer.json["auth"];
    assert_eq!(auth["num_uses"], 1);
    assert_eq!(auth["renewable"], false);
    // The server knows it, and its children, by the alias of the login.
    let entity = auth["entity_id"].as_str().unwrap();
    assert!(!entity.is_empty() && entity != gateway.agent.entity_id);
    assert_eq!(auth["policies"], auth["token_policies"]);
    assert_eq!(auth["policies"].as_array().unwrap().len(), 1);
    assert_eq!(auth["lease_duration"], 60);
    assert_eq!(auth["metadata"]["decision_id"], *answer.data("decision_id"));
    let client = gateway.bao.client_with(&token);
    assert_eq!(client.read(&path).ok().data("value"), "app");
    client.read(&path).refused(403);
    // Another path is another token's.
    let other = gateway
        .bao
        .client_with(&ask(1).text_at("/auth/client_token"));
    other.read(&gateway.secrets.at("other")).refused(403);
    let own = gateway
        .bao
        .client_with(&ask(1).text_at("/auth/client_token"));
    own.read("auth/token/lookup-self").refused(403);

    let entries = gateway.bao.audit_of(&path);
    let read = entries
        .iter()
        .find(|entry| entry["auth"]["metadata"]["decision_id"] == *answer.data("decision_id"))
        .unwrap();
    let metadata = &read["auth"]["metadata"];
    assert_eq!(metadata["agent"], "bot");
    assert_eq!(metadata["agent_id"], *answer.data("agent_id"));
    assert_eq!(metadata["subject"], *answer.data("subject"));
    assert_eq!(
        (
            &metadata["target"],
            &metadata["action"],
            &metadata["resource"]
        ),
        (&json!("kv"), &json!("read"), &json!("app"))
    );
    assert_eq!(metadata["mode"], "autonomous");
    let text = std::fs::read_to_string(
        gateway
            .bao
            .plugin_directory()
            .parent()
            .unwrap()
            .join("audit.log"),
    )
    .unwrap();
    assert!(!text.contains(&token) && !text.contains("eyJ"));
}

#[test]
fn a_login_inline_is_one_request_and_nothing_is_stored() {
    let bao = Bao::own();
    let gateway = Gateway::on(&bao);
    let path = gateway.secrets.at("app");
    let login =
        |jwt: String| json!({ "jwt": jwt, "target": "kv", "action": "read", "resource": "app" });
    // Once, so that the keys of the provider are there.
    gateway.inline(&path, &login(gateway.token(json!({})))).ok();
    // An assertion that is taken makes a token of the usual kind, too.
    gateway.wait_until_known();
    let before = stored(&bao);
    for jwt in [gateway.token(json!({})), gateway.assertion()] {
        let answer = gateway.inline(&path, &login(jwt)).ok();
        assert_eq!(answer.data("value"), "app");
    }
    let refused = gateway.inline(
        &gateway.secrets.at("other"),
        &login(gateway.token(json!({}))),
    );
    refused.refused(403);
    let refused = gateway.inline(&path, &login(gateway.token(json!({ "aud": "other" }))));
    assert!(
        refused.status == 403 || refused.status == 400,
        "{refused:?}"
    );
    assert_eq!(stored(&bao), before);

    let entries = bao.audit_of(&path);
    let metadata = &entries.last().unwrap()["auth"]["metadata"];
    assert_eq!(metadata["agent"], "bot");
    assert!(metadata["decision_id"].is_string());
    // The server counts no uses there, so a login for so many is not for it.
    let mut counted = login(gateway.token(json!({})));
    counted["max_uses"] = json!(1);
    assert_eq!(gateway.inline(&path, &counted).status, 500);
}

/// Every key of the server's storage, with the value where it can be read, and
/// every token that it knows.
fn stored(bao: &Bao) -> BTreeMap<String, Value> {
    let root = bao.client();
    let mut found = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for key in root.list(&format!("sys/raw/{folder}")).ok().keys() {
            let path = format!("{folder}{key}");
            if path.ends_with('/') {
                folders.push(path);
            } else {
                let value = root.read(&format!("sys/raw/{path}"));
                found.insert(path, value.data("value").clone());
            }
        }
    }
    let tokens = root.list("auth/token/accessors").ok().keys();
    found.insert("tokens".to_owned(), json!(tokens.len()));
    found
}

#[test]
fn batch_tokens_are_not_stored() {
    let gateway = Gateway::on(Bao::dev());
    gateway
        .mount
        .write("targets/kv", &json!({ "vault_token_type": "batch" }))
        .ok();
    let answer = gateway.ask(&gateway.token(json!({}))).ok();
    assert_eq!(answer.json["auth"]["token_type"], "batch");
    assert_eq!(answer.json["auth"]["accessor"], "");
    let client = gateway
        .bao
        .client_with(&answer.text_at("/auth/client_token"));
    client.read(&gateway.secrets.at("app")).ok();
    client.read(&gateway.secrets.at("other")).refused(403);
}

#[test]
fn a_path_access_detail_chooses_the_target() {
    let gateway = Gateway::on(Bao::dev());
    let detail = |path: &str, capability: &str| json!([{ "type": "vault:path_access", "path": path, "capabilities": [capability] }]);
    let app = gateway.secrets.at("app");
    let body =
        json!({ "jwt": gateway.token(json!({})), "authorization_details": detail(&app, "read") });
    let answer = gateway.login(body).ok();
    assert_eq!(answer.data("target"), "kv");
    assert_eq!(answer.data("action"), "read");
    let client = gateway
        .bao
        .client_with(&answer.text_at("/auth/client_token"));
    client.read(&app).ok();
    // In the token it binds, whatever the request says.
    let other = detail(&gateway.secrets.at("other"), "read");
    let jwt = gateway.token(json!({ "authorization_details": other }));
    let said = gateway.ask(&jwt).refused(403);
    assert!(said.errors().contains("details.not_covered"), "{said:?}");
    let said = gateway.login(json!({ "jwt": jwt })).refused(400);
    assert!(said.errors().contains("no target's tokens"), "{said:?}");
}

#[test]
fn a_token_is_renewed_as_long_as_the_request_would_be_allowed() {
    let gateway = Gateway::on(Bao::dev());
    let token = gateway
        .ask(&gateway.token(json!({})))
        .ok()
        .text_at("/auth/client_token");
    let root = gateway.bao.client();
    let renew = || root.write("auth/token/renew", &json!({ "token": token }));
    let renewed = renew().ok();
    assert!(renewed.json["auth"]["lease_duration"].as_i64().unwrap() <= 60);
    assert_eq!(
        renewed.json["auth"]["policies"].as_array().unwrap().len(),
        1
    );
    gateway.mount.write("agents/bot/suspend", &json!({})).ok();
    // The host keeps the reason to itself.
    renew().refused(403);
    gateway.mount.write("agents/bot/resume", &json!({})).ok();
    renew().ok();
}

#[test]
fn the_doctor_sees_what_the_policy_gives_too_much() {
    let gateway = Gateway::on(Bao::dev());
    let acl = gateway
        .mount
        .read("targets/kv/acl")
        .ok()
        .text_at("/data/policy");
    let ask = |policy: &str| {
        gateway
            .mount
            .write("targets/kv/doctor", &json!({ "policy": policy }))
            .ok()
    };
    assert_eq!(ask(&acl).data("healthy"), true);
    let wider = format!(
        "{acl}\npath \"{}\" {{\n  capabilities = [\"read\"]\n}}\n",
        gateway.secrets.at("other")
    );
    let said = ask(&wider);
    assert_eq!(said.data("healthy"), false);
    assert!(said.text.contains("do not say so"), "{said:?}");
    let said = ask("");
    assert!(said.text.contains("does not allow it"), "{said:?}");
    let said = gateway.mount.read("targets/kv/doctor").ok();
    assert_eq!(said.data("healthy"), true);
    assert!(said.text.contains("not compared"), "{said:?}");
}

#[test]
fn an_agent_acts_for_a_human_who_delegated_and_agreed() {
    let gateway = Gateway::on(Bao::dev());
    let human = gateway.mount.human("ada");
    let at = |path: &str| gateway.mount.at(path);
    let subject = format!("config/issuers/idp/subjects/{}", human.entity_id);
    gateway
        .mount
        .write(&subject, &json!({ "subject": "ada" }))
        .ok();
    let baseline = format!("baselines/entity/{}", human.entity_id);
    gateway
        .mount
        .write(&baseline, &json!({ "policies": "kv" }))
        .ok();
    gateway
        .mount
        .write("targets/kv", &json!({ "consent": "per_request" }))
        .ok();
    let delegated = || gateway.token(json!({ "sub": "ada", "act": { "sub": "bot-client" } }));
    let said = gateway.ask(&delegated()).refused(403);
    assert!(said.errors().contains("delegation.none"), "{said:?}");
    let scope = json!([{ "type": "agentic:action", "targets": ["kv"], "actions": ["read"], "resources": ["**"] }]);
    let grant = json!({ "agent": "bot", "scope": scope, "ttl": "1h" });
    let granted = human.client.write(&at("delegations/grant"), &grant).ok();
    let said = gateway.ask(&delegated()).refused(403);
    let asked = said.errors();
    let consent = asked
        .split("consent_id=")
        .nth(1)
        .unwrap()
        .split('`')
        .next()
        .unwrap();
    human
        .client
        .write(&at(&format!("consents/{consent}/approve")), &json!({}))
        .ok();
    let body = json!({
        "jwt": delegated(), "target": "kv", "action": "read", "resource": "app", "consent_id": consent,
    });
    let answer = gateway.login(body).ok();
    let path = gateway.secrets.at("app");
    gateway
        .bao
        .client_with(&answer.text_at("/auth/client_token"))
        .read(&path)
        .ok();
    let entries = gateway.bao.audit_of(&path);
    let metadata = &entries.last().unwrap()["auth"]["metadata"];
    for (name, value) in [
        ("agent", json!("bot")),
        ("subject", json!(human.entity_id)),
        ("mode", json!("on_behalf_of")),
        ("delegation_id", granted.data("id").clone()),
        ("consent_id", json!(consent)),
        ("decision_id", answer.data("decision_id").clone()),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }
    // The human takes it back, and is disabled: the next login is refused.
    let id = granted.text_at("/data/id");
    human
        .client
        .write(&at(&format!("delegations/{id}/revoke")), &json!({}))
        .ok();
    let said = gateway.ask(&delegated()).refused(403);
    assert!(said.errors().contains("delegation."), "{said:?}");
}
