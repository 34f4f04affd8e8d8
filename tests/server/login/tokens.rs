//! Who gets in, and all those who do not.

use serde_json::json;
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::time::{Clock as _, SystemClock};

use super::{AUDIENCE, Gateway};
use crate::support::{Bao, Signer, unique};

#[test]
fn a_key_of_its_own_proves_an_agent_once() {
    let gateway = Gateway::on(Bao::dev());
    gateway.wait_until_known();
    let assertion = gateway.assertion();
    gateway.ask(&assertion).ok();
    let again = gateway.ask(&assertion).refused(403);
    assert!(again.errors().contains("token.spent"), "{again:?}");
}

#[test]
fn a_crash_lets_nobody_in_twice() {
    let bao = Bao::own();
    let gateway = Gateway::on(&bao);
    gateway.wait_until_known();
    let spent = gateway.assertion();
    gateway.ask(&spent).ok();
    bao.kill9_plugins();
    bao.wait("back", |_| gateway.ask("x").status == 400);
    let again = gateway.ask(&spent).refused(403);
    assert!(again.errors().contains("token.spent"), "{again:?}");
    // So may one that a clock ahead of ours made about then.
    gateway.wait_until_known();
}

/// One of each class of tokens that should not get anybody in; the house's
/// tests have the whole table.
#[test]
fn tokens_that_come_in_from_anywhere_are_refused() {
    let gateway = Gateway::on(Bao::dev());
    let now = SystemClock.now().unix();
    let payload = gateway.claims(json!({})).to_string();
    let good = gateway.token(json!({}));
    let stranger = Signer::new(Algorithm::EdDsa, "idp-1");
    let raw = |header: &str| gateway.signer.sign_raw(header, &payload);
    let jwk = json!({ "alg": "EdDSA", "typ": "at+jwt", "jwk": gateway.signer.jwk() }).to_string();
    let cases = [
        (String::new(), 400, "malformed"),
        (raw(r#"{"alg":"none","typ":"at+jwt"}"#), 400, "malformed"),
        (
            raw(r#"{"alg":"HS256","typ":"at+jwt","kid":"idp-1"}"#),
            400,
            "malformed",
        ),
        (
            raw(r#"{"alg":"EdDSA","typ":"at+jwt","jku":"https://evil.example.com"}"#),
            400,
            "malformed",
        ),
        (
            raw(r#"{"alg":"EdDSA","typ":"at+jwt","crit":["x"]}"#),
            400,
            "malformed",
        ),
        (raw(&jwk), 400, "malformed"),
        (format!("{}.{}", good, "x"), 400, "malformed"),
        ("x".repeat(20_000), 400, "malformed"),
        (
            raw(r#"{"alg":"RS256","typ":"at+jwt","kid":"idp-1"}"#),
            403,
            "token.refused",
        ),
        (
            gateway.signer.sign("JWT", &gateway.claims(json!({}))),
            403,
            "token.refused",
        ),
        (
            stranger.sign("at+jwt", &gateway.claims(json!({}))),
            403,
            "token.refused",
        ),
        (
            gateway.token(json!({ "iss": "https://idp.example.com/" })),
            403,
            "token.unknown_issuer",
        ),
        (
            gateway.token(json!({ "iss": "bot" })),
            403,
            "token.unknown_issuer",
        ),
        (
            gateway.token(json!({ "exp": now - 60 })),
            403,
            "token.expired",
        ),
        (
            gateway.token(json!({ "exp": "never" })),
            403,
            "token.refused",
        ),
        (
            gateway.token(json!({ "nbf": now + 300 })),
            403,
            "token.refused",
        ),
        (gateway.token(json!({ "aud": [] })), 403, "token.refused"),
        (
            gateway.token(json!({ "aud": "https://vault.example.com/" })),
            403,
            "token.refused",
        ),
        (gateway.token(json!({ "sub": 1 })), 403, "token.refused"),
        (
            gateway.token(json!({ "client_id": "other", "sub": "other" })),
            403,
            "agent.unknown",
        ),
        (
            gateway.token(json!({ "sub": "alice" })),
            403,
            "subject.unknown",
        ),
        (
            gateway.token(json!({ "sub": "alice", "act": { "sub": "other" } })),
            403,
            "agent.unknown",
        ),
        (
            gateway.token(
                json!({ "act": { "sub": "bot-client", "iss": "https://other.example.com" } }),
            ),
            403,
            "token.refused",
        ),
        (
            gateway
                .token(json!({ "cnf": { "jkt": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" } })),
            403,
            "proof.required",
        ),
        (
            gateway.token(json!({ "authorization_details": [{ "type": "x" }] })),
            400,
            "invalid_authorization_details",
        ),
    ];
    for (token, status, why) in &cases {
        let said = gateway.ask(token).refused(*status);
        assert!(said.errors().contains(why), "{why}: {said:?}");
        assert!(token.len() < 8 || !said.text.contains(token.as_str()));
    }
    gateway.ask(&good).ok();
    // Nothing of them is in the logs.
    let log = gateway.bao.log();
    for (token, _, _) in cases.iter().filter(|(token, _, _)| token.len() > 8) {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!log.contains(token.as_str()) && (signature.len() < 8 || !log.contains(signature)));
    }
}

#[test]
fn an_unknown_key_is_asked_for_once_however_often_it_is_sent() {
    let gateway = Gateway::on(Bao::dev());
    gateway.ask(&gateway.token(json!({}))).ok();
    let unknown = Signer::new(Algorithm::EdDsa, "unknown");
    let hits = gateway.idp.hits();
    let begin = SystemClock.now().unix();
    for _ in 0..100 {
        let said = gateway
            .ask(&unknown.sign("at+jwt", &gateway.claims(json!({}))))
            .refused(403);
        assert!(said.errors().contains("token.refused"), "{said:?}");
    }
    // At most one more in each ten seconds that this took.
    let took = usize::try_from(SystemClock.now().unix() - begin).unwrap();
    assert!(gateway.idp.hits() - hits <= 1 + took / 10 + 1);
}

#[test]
fn keys_are_rotated_and_the_provider_goes_and_comes() {
    let mut gateway = Gateway::on(Bao::dev());
    gateway.idp.down();
    let said = gateway.ask(&gateway.token(json!({}))).refused(429);
    assert!(said.errors().contains("issuer.unavailable"), "{said:?}");
    gateway.idp.up();
    let bao = gateway.bao;
    bao.wait("back", |_| {
        gateway.ask(&gateway.token(json!({}))).status == 200
    });
    // A new key is found without anybody saying so.
    let new = Signer::new(Algorithm::Es256, "idp-2");
    gateway.idp.serve(&[&gateway.signer, &new]);
    bao.wait("rotated", |_| {
        gateway
            .ask(&new.sign("at+jwt", &gateway.claims(json!({}))))
            .status
            == 200
    });
    // Down later: what is known serves on.
    gateway.idp.down();
    gateway.ask(&gateway.token(json!({}))).ok();
    gateway
        .ask(&new.sign("at+jwt", &gateway.claims(json!({}))))
        .ok();
    let told = gateway
        .mount
        .write(
            "config/issuers/idp/check",
            &json!({ "jwt": gateway.token(json!({})) }),
        )
        .ok();
    assert_eq!(told.data("token_accepted"), true);
}

#[test]
fn the_token_of_a_login_governs_nothing_even_where_the_acl_lets_it() {
    let gateway = Gateway::on(Bao::dev());
    let everything = json!([{ "path": gateway.mount.at("*"), "capabilities": ["create", "read", "update", "delete", "list", "sudo"] }]);
    gateway
        .mount
        .write("targets/kv", &json!({ "vault_paths": everything }))
        .ok();
    gateway.install_policy();
    let token = gateway
        .ask(&gateway.token(json!({})))
        .ok()
        .text_at("/auth/client_token");
    let client = gateway.bao.client_with(&token);
    for path in ["agents/bot", "targets/kv", "config", "config/issuers/idp"] {
        let said = client.read(&gateway.mount.at(path)).refused(403);
        assert!(said.errors().contains("agents may not govern"), "{said:?}");
    }
    let body = json!({ "description": "mine" });
    client
        .write(&gateway.mount.at("agents/bot"), &body)
        .refused(403);
    client
        .write(
            &gateway.mount.at("creds/issue"),
            &json!({ "target": "kv", "action": "read" }),
        )
        .refused(403);
}

#[test]
fn a_disabled_agent_gets_in_no_more() {
    let gateway = Gateway::on(Bao::dev());
    let entity = format!("identity/entity/id/{}", gateway.agent.entity_id);
    let root = gateway.bao.client();
    root.write(&entity, &json!({ "disabled": true })).ok();
    let said = gateway.ask(&gateway.token(json!({}))).refused(403);
    assert!(said.errors().contains("agent.disabled"), "{said:?}");
    root.write(&entity, &json!({ "disabled": false })).ok();
    gateway.ask(&gateway.token(json!({}))).ok();
    root.delete(&entity).ok();
    let said = gateway.ask(&gateway.token(json!({}))).refused(403);
    assert!(said.errors().contains("agent.gone"), "{said:?}");
}

#[test]
fn a_secrets_mount_is_an_issuer_like_any_other() {
    let gateway = Gateway::on(Bao::dev());
    let (bao, source) = (gateway.bao, gateway.bao.secrets());
    let issuer = format!("{}/v1/{}", bao.url(), source.path);
    let agent = source.agent_login("worker");
    let policy = "rule \"login\" {\n  effect = \"allow\"\n  targets = [\"vault\"]\n  actions = [\"login\"]\n}\n";
    source.write("config", &json!({ "issuer": issuer })).ok();
    source
        .write("policies/login", &json!({ "policy": policy }))
        .ok();
    source
        .write(
            "targets/vault",
            &json!({ "actions": "login", "audience": AUDIENCE }),
        )
        .ok();
    let there = source
        .write(
            "agents/worker",
            &json!({ "entity_id": agent.entity_id, "ceiling_policies": "login" }),
        )
        .ok();
    let definition = json!({
        "issuer_id": issuer, "audiences": AUDIENCE, "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "allow_plain_http": true, "unique_id_claim": "jti", "clock_skew_leeway": 0,
    });
    gateway
        .mount
        .write("config/issuers/agentic", &definition)
        .ok();
    gateway
        .mount
        .write(
            "agents/bot",
            &json!({ "issuer": issuer, "subject": there.data("id") }),
        )
        .ok();
    let issue = json!({ "target": "vault", "action": "login" });
    let issued = || {
        let issued = agent.client.write(&source.at("creds/issue"), &issue).ok();
        issued.text_at("/data/credential")
    };
    // What it was granted there is not this request. A mount that has just begun
    // says so after seconds.
    bao.wait("taking tokens", |_| {
        let said = gateway.ask(&issued()).refused(403).errors();
        assert!(
            said.contains("details.not_covered") || said.contains("token.spent"),
            "{said}"
        );
        said.contains("details.not_covered")
    });
    let narrow = "rule \"kv\" {\n  effect = \"allow\"\n  targets = [\"kv\"]\n  actions = [\"read\"]\n  resources = [\"app\"]\n}\n";
    source
        .write("policies/login", &json!({ "policy": narrow }))
        .ok();
    source
        .write(
            "targets/kv",
            &json!({ "actions": "read", "resources": "**", "audience": AUDIENCE }),
        )
        .ok();
    let issue = json!({ "target": "kv", "action": "read", "resource": "app" });
    let jwt = agent
        .client
        .write(&source.at("creds/issue"), &issue)
        .ok()
        .text_at("/data/credential");
    let token = gateway.ask(&jwt).ok().text_at("/auth/client_token");
    bao.client_with(&token)
        .read(&gateway.secrets.at("app"))
        .ok();
    let said = gateway.ask(&jwt).refused(403);
    assert!(said.errors().contains("token.spent"), "{said:?}");
}

/// The recipe of docs/login.md for a mount that has no login.
#[test]
fn the_servers_own_jwt_method_binds_a_role_to_an_agent() {
    let bao = Bao::dev();
    let source = bao.secrets();
    let root = bao.client();
    let issuer = format!("{}/v1/{}", bao.url(), source.path);
    let secrets = bao.enable("sys/mounts", "", "kv");
    secrets.write("app", &json!({ "value": "app" })).ok();
    let policy = "rule \"read\" {\n  effect = \"allow\"\n  targets = [\"kv-app\"]\n  actions = [\"read\"]\n}\n";
    source.write("config", &json!({ "issuer": issuer })).ok();
    source
        .write("policies/kv", &json!({ "policy": policy }))
        .ok();
    source
        .write("targets/kv-app", &json!({ "actions": "read" }))
        .ok();
    let (acl, path) = (unique("kv-app"), unique("jwt"));
    let rule = json!({ "policy": format!("path \"{}\" {{ capabilities = [\"read\"] }}", secrets.at("app")) });
    root.write(&format!("sys/policies/acl/{acl}"), &rule).ok();
    root.write(&format!("sys/auth/{path}"), &json!({ "type": "jwt" }))
        .ok();
    let config = json!({ "oidc_discovery_url": issuer, "bound_issuer": issuer });
    root.write(&format!("auth/{path}/config"), &config).ok();
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": "kv-app",
        "bound_claims": { "/agentic/agent": "support-bot" }, "token_policies": acl, "token_ttl": "1m",
        "token_no_default_policy": true, "token_num_uses": 1,
    });
    root.write(&format!("auth/{path}/role/kv-app"), &role).ok();
    let log_in = |name: &str| {
        let agent = source.agent_login(name);
        let body = json!({ "entity_id": agent.entity_id, "ceiling_policies": "kv" });
        source.write(&format!("agents/{name}"), &body).ok();
        let issue = json!({ "target": "kv-app", "action": "read" });
        let issued = agent.client.write(&source.at("creds/issue"), &issue).ok();
        let login = json!({ "role": "kv-app", "jwt": issued.text_at("/data/credential") });
        bao.client_with("")
            .write(&format!("auth/{path}/login"), &login)
    };
    let token = log_in("support-bot").ok().text_at("/auth/client_token");
    let client = bao.client_with(&token);
    client.read(&secrets.at("app")).ok();
    client.read(&secrets.at("app")).refused(403);
    assert!(log_in("another-bot").status >= 400);
}
