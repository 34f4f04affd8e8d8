//! The token that a login gets, and those who get none.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::framework::error::{Error, Result};
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::response::Response;
use vault_plugin_agentic::host::framework::system::{Alias, Entity};
use vault_plugin_agentic::model::target::TokenType;
use vault_plugin_agentic::model::time::Ttl;

use super::Doors;
use crate::idp::{access, with};
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, START, World, request};

#[tokio::test]
async fn an_allowed_request_gets_a_token_for_just_that() {
    let doors = Doors::new().await;
    let jwt = doors.idp.sign("at+jwt", &access());
    let ask = json!({ "jwt": jwt, "target": "kv", "resource": "app", "reason": "ticket", "ttl": "2m", "max_uses": 1 });
    let response = doors.try_login(ask).await.unwrap();
    let auth = response.auth.unwrap();
    let view: Value = serde_json::from_str(&response.data).unwrap();
    assert_eq!(auth.policies, ["kv-app"]);
    assert_eq!(
        (auth.ttl, auth.explicit_max_ttl),
        (Ttl::from_secs(120), Ttl::from_secs(120))
    );
    assert_eq!(
        (auth.num_uses, auth.token_type, auth.renewable),
        (Some(1), TokenType::Service, false)
    );
    assert_eq!(auth.display_name.as_str(), "agentic-login:bot");
    let alias = auth.alias.unwrap();
    assert_eq!(Some(alias.name.as_str()), view["agent_id"].as_str());
    assert!(alias.metadata.contains_key("agentic_login"));
    let said = |name: &str| auth.metadata.get(name).map(String::as_str);
    assert_eq!(said("agent"), Some("bot"));
    assert_eq!(said("agent_id"), view["agent_id"].as_str());
    assert_eq!(said("subject"), view["agent_id"].as_str());
    assert_eq!(said("mode"), Some("autonomous"));
    assert_eq!(said("decision_id"), view["decision_id"].as_str());
    assert_eq!(
        (said("target"), said("action"), said("resource")),
        (Some("kv"), Some("read"), Some("app"))
    );
    assert_eq!(view["expires_at"], "2027-01-04T09:02:00Z");
    assert!(!response.data.contains(&jwt) && !format!("{:?}", auth.internal).contains(&jwt));
}

#[tokio::test]
async fn batch_tokens_are_for_uses_without_a_limit() {
    let doors = Doors::new().await;
    let batch = json!({ "vault_token_type": "batch", "vault_alias": true });
    doors.world.ok("targets/kv", batch).await;
    let jwt = doors.idp.sign("at+jwt", &access());
    let auth = doors.ask(&jwt).await.unwrap();
    assert_eq!(
        (auth.token_type, auth.num_uses, auth.renewable),
        (TokenType::Batch, None, false)
    );
    assert_eq!(
        auth.alias.map(|alias| alias.name).as_ref(),
        auth.metadata.get("agent_id")
    );
    let counted = doors
        .try_login(json!({ "jwt": jwt, "target": "kv", "max_uses": 3 }))
        .await
        .unwrap();
    let auth = counted.auth.unwrap();
    assert_eq!(
        (auth.token_type, auth.num_uses),
        (TokenType::Service, Some(3))
    );
    doors.world.policy("kv", r#"rule "read" { effect = "allow"; targets = ["kv"]; actions = ["read"]; limits { max_uses = 2 } }"#).await;
    let auth = doors.ask(&jwt).await.unwrap();
    assert_eq!(
        (auth.token_type, auth.num_uses),
        (TokenType::Service, Some(2))
    );
}

#[tokio::test]
async fn a_token_lives_no_longer_than_what_grants_it() {
    let doors = Doors::new().await;
    let short = with(access(), json!({ "exp": START + 30 }));
    let auth = doors.ask(&doors.idp.sign("at+jwt", &short)).await.unwrap();
    assert_eq!(auth.explicit_max_ttl, Ttl::from_secs(30));
    // An assertion says who is there, and grants nothing.
    let asked = json!({ "jwt": doors.assertion(json!({})), "target": "kv", "ttl": "5m" });
    let auth = doors.try_login(asked).await.unwrap().auth.unwrap();
    assert_eq!(auth.ttl, Ttl::from_secs(300));
}

#[tokio::test]
async fn a_refused_request_is_told_as_at_creds_issue() {
    let doors = Doors::new().await;
    let jwt = doors.idp.sign("at+jwt", &access());
    for (ask, reason) in [
        (
            json!({ "target": "kv", "action": "write" }),
            "target.action",
        ),
        (
            json!({ "target": "none-such", "action": "read" }),
            "target.unknown",
        ),
        (json!({ "target": "kv", "ttl": 0 }), "limits.no_time"),
        (
            json!({ "target": "kv", "delegation_id": "01a2062b-6276-7b7e-a21f-d38538be1dcf" }),
            "delegation.none",
        ),
        (
            json!({ "target": "kv", "authorization_details": [{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"] }] }),
            "details.not_covered",
        ),
    ] {
        let refused = doors
            .try_login(with(ask.clone(), json!({ "jwt": jwt })))
            .await;
        match refused {
            Err(Error::Denied(text)) => assert!(text.contains(reason), "{ask}: {text}"),
            other => panic!("{ask}: {other:?}"),
        }
    }
    doors
        .world
        .ok("targets/crm", json!({ "actions": "read" }))
        .await;
    let refused = doors
        .try_login(json!({ "jwt": jwt, "target": "crm" }))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("creds/issue"), "{refused}");
    doors.world.ok("agents/bot/suspend", json!({})).await;
    assert!(doors.refusal(&jwt).await.contains("agent.suspended"));
}

#[tokio::test]
async fn an_agent_whose_entity_is_disabled_gets_nothing() {
    let doors = Doors::new().await;
    let jwt = doors.idp.sign("at+jwt", &access());
    let entity = Entity {
        id: AGENT_ENTITY.into(),
        disabled: true,
        ..Entity::default()
    };
    doors.world.system.add(entity, &[]);
    assert!(doors.refusal(&jwt).await.contains("agent.disabled"));
}

#[tokio::test]
async fn the_secrets_mount_has_no_login() {
    let world = World::with_agent().await;
    let mut request = request(Operation::Update, "login", json!({ "jwt": "x" }), None);
    request.unauthenticated = true;
    assert!(matches!(
        world.backend.handle(request).await,
        Err(Error::NoRoute)
    ));
    assert!(
        !world
            .backend
            .special_paths()
            .unauthenticated
            .contains(&"login".to_owned())
    );
    let doors = Doors::new().await;
    assert!(
        doors
            .world
            .backend
            .special_paths()
            .unauthenticated
            .contains(&"login".to_owned())
    );
}

#[tokio::test]
async fn details_of_the_hosts_own_kind_choose_the_target_and_narrow() {
    let doors = Doors::new().await;
    for (name, paths) in [
        (
            "wide",
            json!([{ "path": "secret/data/*", "capabilities": ["read", "list"] }]),
        ),
        (
            "many",
            json!([{ "path": "secret/data/a", "capabilities": ["read"] }, { "path": "secret/data/b", "capabilities": ["read", "update"] }]),
        ),
    ] {
        let target = json!({ "credential_type": "vault_token", "actions": "read", "resources": "**", "vault_policies": name, "vault_paths": paths });
        doors.world.ok(&format!("targets/{name}"), target).await;
    }
    let jwt = doors.idp.sign("at+jwt", &access());
    let detail = |path: &str, capabilities: &[&str]| json!({ "type": "vault:path_access", "path": path, "capabilities": capabilities });
    let ask = |details: Value| json!({ "jwt": jwt, "authorization_details": details });
    for (details, target) in [
        (json!([detail("secret/data/app", &["read"])]), "kv"),
        (json!([detail("secret/data/*", &["read", "list"])]), "wide"),
        (
            json!([
                detail("secret/data/a", &["read"]),
                detail("secret/data/b", &["read", "update"])
            ]),
            "many",
        ),
    ] {
        let auth = doors.try_login(ask(details)).await.unwrap().auth.unwrap();
        assert_eq!(auth.metadata["target"], target);
    }
    for (details, why) in [
        (
            json!([detail("secret/data/other", &["read"])]),
            "only targets whose tokens can do more",
        ),
        (
            json!([detail("secret/data/app", &["update"])]),
            "no target's tokens",
        ),
        (json!([detail("sys/*", &["read"])]), "no target's tokens"),
        (
            json!([{ "type": "agentic:action", "targets": ["kv"], "actions": ["read"] }]),
            "missing required field \"target\"",
        ),
        (
            json!([{ "type": "vault:path_access", "path": "secret/../sys", "capabilities": ["read"] }]),
            "invalid_authorization_details",
        ),
    ] {
        let said = doors
            .try_login(ask(details.clone()))
            .await
            .unwrap_err()
            .to_string();
        assert!(said.contains(why), "{details}: {said}");
    }
    let same = json!({ "credential_type": "vault_token", "actions": "read", "vault_policies": "twin", "vault_paths": [{ "path": "secret/data/app", "capabilities": ["read"] }] });
    doors.world.ok("targets/twin", same).await;
    let said = doors
        .try_login(ask(json!([detail("secret/data/app", &["read"])])))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        !said.contains("twin") && said.contains("name one of them"),
        "{said}"
    );
    // In the token they bind a request that names its target, too.
    let narrow = with(
        access(),
        json!({ "authorization_details": [detail("secret/data/app", &["read"])] }),
    );
    let narrow = doors.idp.sign("at+jwt", &narrow);
    doors.ask(&narrow).await.unwrap();
    let wider = json!({ "jwt": narrow, "target": "wide", "action": "read" });
    let said = doors.try_login(wider).await.unwrap_err().to_string();
    assert!(said.contains("details.not_covered"), "{said}");
}

#[tokio::test]
async fn renewal_decides_anew_and_never_beyond_the_end() {
    let doors = Doors::new().await;
    let auth = doors
        .ask(&doors.idp.sign("at+jwt", &access()))
        .await
        .unwrap();
    assert!(auth.renewable);
    let end = auth.issued_at.plus(auth.explicit_max_ttl);
    doors.world.advance(20);
    let renewed = doors.renew(&auth).await.unwrap().unwrap().auth.unwrap();
    assert_eq!(renewed.ttl, Ttl::from_secs(auth.ttl.as_secs() - 20));
    assert_eq!(renewed.issued_at.plus(renewed.explicit_max_ttl), end);
    assert_eq!(renewed.policies, auth.policies);
    let refused = |said: Result<Option<Response>>| said.unwrap_err().to_string();
    doors
        .world
        .ok("targets/kv", json!({ "vault_policies": "other" }))
        .await;
    assert!(refused(doors.renew(&auth).await).contains("policies have changed"));
    doors
        .world
        .ok("targets/kv", json!({ "vault_policies": "kv-app" }))
        .await;
    doors
        .world
        .ok("config/issuers/idp", json!({ "enabled": false }))
        .await;
    assert!(refused(doors.renew(&auth).await).contains("believed no more"));
    // And so while it demands more of its tokens than this one said.
    let issuer = async |fields: Value| {
        doors.world.ok("config/issuers/idp", fields).await;
    };
    for (more, before) in [
        (
            json!({ "enabled": true, "optional_authorization_details": false }),
            json!({ "optional_authorization_details": true }),
        ),
        (
            json!({ "unique_id_claim": "jti" }),
            json!({ "unique_id_claim": "" }),
        ),
        (
            json!({ "audiences": "other" }),
            json!({ "audiences": "https://vault.example.com" }),
        ),
    ] {
        issuer(more).await;
        let said = refused(doors.renew(&auth).await);
        assert!(said.contains("have changed"), "{said}");
        issuer(before).await;
    }
    let other = json!({ "subject": "another-client" });
    doors.world.ok("agents/bot", other).await;
    let back = json!({ "enabled": true });
    doors.world.ok("config/issuers/idp", back).await;
    assert!(refused(doors.renew(&auth).await).contains("another name"));
    let own = json!({ "subject": "bot-client" });
    doors.world.ok("agents/bot", own).await;
    doors
        .world
        .ok("config/issuers/idp", json!({ "enabled": true }))
        .await;
    doors.world.ok("agents/bot/suspend", json!({})).await;
    assert!(refused(doors.renew(&auth).await).contains("agent.suspended"));
    doors.world.ok("agents/bot/resume", json!({})).await;
    assert!(doors.renew(&auth).await.is_ok());
    doors.world.advance(60);
    assert!(refused(doors.renew(&auth).await).contains("time is up"));
    doors.world.advance(-60);
    doors.world.ok("agents/bot/revoke", json!({})).await;
    doors.world.ok("agents/bot/resume", json!({})).await;
    assert!(refused(doors.renew(&auth).await).contains("revoked"));
    let mut other = auth.clone();
    other.internal.insert("more".to_owned(), json!(1));
    assert!(refused(doors.renew(&other).await).contains("another release"));
}

/// A login's token has no entity by which the mount would know the agent.
#[tokio::test]
async fn the_token_of_a_login_governs_nothing() {
    let doors = Doors::new().await;
    // A token with an alias has an entity that the host made for it, or that an
    // operator has joined it to; one without has none.
    let joined = Alias {
        mount_type: "agentic".into(),
        accessor: "auth_agentic_1".into(),
        name: "x".into(),
        ..Alias::default()
    };
    let marked = Alias {
        mount_type: "named-otherwise".into(),
        metadata: [("agentic_login".to_owned(), "true".to_owned())].into(),
        ..joined.clone()
    };
    for (id, alias) in [("login-entity", joined), ("other-login", marked)] {
        let entity = Entity {
            id: id.into(),
            aliases: vec![alias],
            ..Entity::default()
        };
        doors.world.system.add(entity, &["support"]);
    }
    for (name, entity) in [
        ("agentic-agent:bot", None),
        ("ns-x-agent:bot", None),
        ("token-agents-x-agentic-login:bot", None),
        ("ag@prod-sub:x-agentic-login:bot", None),
        ("agentic-agent:bot", Some("login-entity")),
        // A child of it.
        ("token", Some("login-entity")),
        ("token", Some("other-login")),
    ] {
        for (operation, path) in [
            (Operation::Update, "agents/bot"),
            (Operation::Read, "agents/bot"),
            (Operation::Delete, "targets/kv"),
            (Operation::Update, "config/issuers/idp"),
            (Operation::Update, "creds/issue"),
            (Operation::Update, "decisions/evaluate"),
            (Operation::Update, "delegations/grant"),
            (Operation::Read, "info"),
        ] {
            let data = json!({ "description": "mine" });
            let mut request = request(operation, path, data, entity);
            request.caller.display_name = name.into();
            let said = doors.world.backend.handle(request).await;
            assert!(
                matches!(&said, Err(Error::Denied(why)) if why.contains("this token is an agent's")),
                "{name} {path}: {said:?}"
            );
        }
    }
    // A name that merely looks like one is nobody's login.
    for (name, entity) in [
        ("kubernetes-ai-agent:default", Some(HUMAN_ENTITY)),
        ("token-ai-agentic-login-bot", None),
    ] {
        let mut request = request(Operation::Read, "info", Value::Null, entity);
        request.caller.display_name = name.into();
        doors.world.backend.handle(request).await.unwrap();
    }
}

/// Whoever finds a token that was used, or whose agent may not act, learns
/// nothing of what the mount has.
#[tokio::test]
async fn spent_tokens_and_stopped_agents_are_no_oracle() {
    let doors = Doors::of(json!({ "unique_id_claim": "jti" })).await;
    let details =
        json!([{ "type": "vault:path_access", "path": "sys/*", "capabilities": ["read"] }]);
    let jwt = doors.idp.sign("at+jwt", &access());
    doors.ask(&jwt).await.unwrap();
    let asks = [
        json!({ "authorization_details": details }),
        json!({ "target": "none-such" }),
        json!({ "target": "kv" }),
    ];
    for ask in &asks {
        let ask = with(ask.clone(), json!({ "jwt": jwt }));
        let said = doors.try_login(ask).await.unwrap_err().to_string();
        assert!(said.contains("token.spent"), "{said}");
    }
    doors.world.ok("agents/bot/suspend", json!({})).await;
    for (number, ask) in asks.iter().enumerate() {
        let jti = json!({ "jti": format!("fresh-{number}") });
        let jwt = doors.idp.sign("at+jwt", &with(access(), jti));
        let ask = with(ask.clone(), json!({ "jwt": jwt }));
        let said = doors.try_login(ask).await.unwrap_err().to_string();
        assert!(said.contains("agent.suspended"), "{said}");
    }
}

#[tokio::test]
async fn every_field_of_a_login_takes_any_value_with_an_answer() {
    let doors = Doors::new().await;
    let jwt = doors.idp.sign("at+jwt", &access());
    let routes = vault_plugin_agentic::mount::routes(MountType::Auth);
    let login = routes
        .iter()
        .find(|route| route.place.path == "login")
        .unwrap();
    for field in &login.fields {
        for value in [
            json!(null),
            json!(true),
            json!(-1),
            json!(1.5),
            json!(u64::MAX),
            json!(""),
            json!("text"),
            json!("a\u{202e}b\n"),
            json!("x".repeat(100_000)),
            json!([]),
            json!([1, null, {}]),
            json!({}),
            json!({ "a": { "b": [] } }),
            json!("{"),
            json!("../.."),
            json!("a.b.c"),
        ] {
            let ask = with(
                json!({ "jwt": jwt, "target": "kv" }),
                json!({ &field.name: value }),
            );
            let said = doors.try_login(ask).await;
            assert!(
                !matches!(said, Err(Error::Internal(_) | Error::Host(_))),
                "{} = {value}: {said:?}",
                field.name
            );
        }
    }
}
