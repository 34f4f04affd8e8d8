//! For whom an agent asks.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::time::Ttl;

use super::{Doors, OWN};
use crate::idp::{AUDIENCE, IDP, Signer, access, with};
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, START};

#[tokio::test]
async fn a_human_is_who_an_operator_says() {
    let doors = Doors::new().await;
    let for_alice = with(access(), json!({ "sub": "alice" }));
    assert!(doors.said(&for_alice).await.contains("subject.unknown"));
    let path = format!("config/issuers/idp/subjects/{HUMAN_ENTITY}");
    doors.world.ok(&path, json!({ "subject": "alice" })).await;
    assert_eq!(doors.world.read(&path).await.unwrap()["subject"], "alice");
    // Known, and without a delegation: the request is on behalf of her.
    for claims in [
        for_alice.clone(),
        with(
            access(),
            json!({ "sub": "alice", "client_id": null, "act": { "sub": "bot-client" } }),
        ),
    ] {
        let said = doors.said(&claims).await;
        assert!(!said.contains("subject.unknown"), "{said}");
        assert!(said.contains("denied ("), "{said}");
    }
    for other in ["Alice", "alice ", "bob"] {
        let said = doors.said(&with(access(), json!({ "sub": other }))).await;
        assert!(said.contains("subject.unknown"), "{other}: {said}");
    }
    // An unrelated actor is another agent, or none.
    let act = json!({ "sub": "other-client", "act": { "sub": "bot-client" } });
    let said = doors
        .said(&with(for_alice.clone(), json!({ "act": act })))
        .await;
    assert!(said.contains("agent.unknown"), "{said}");
    for (path, body, why) in [
        (
            format!("config/issuers/idp/subjects/{AGENT_ENTITY}"),
            json!({ "subject": "x" }),
            "`bot` is a registered agent",
        ),
        (
            "config/issuers/idp/subjects/none-such".to_owned(),
            json!({ "subject": "x" }),
            "no such identity entity",
        ),
        (
            "config/issuers/idp/subjects/other-entity".to_owned(),
            json!({ "subject": "alice" }),
            "is called that already",
        ),
        (
            "config/issuers/other/subjects/other-entity".to_owned(),
            json!({ "subject": "x" }),
            "no issuer `other`",
        ),
    ] {
        let said = doors.world.refused(&path, body).await;
        assert!(said.contains(why), "{path}: {said}");
    }
    // Called otherwise, she is not who she was; and an issuer that is defined
    // anew knows nobody.
    doors
        .world
        .ok(&path, json!({ "subject": "a.liddell" }))
        .await;
    assert!(doors.said(&for_alice).await.contains("subject.unknown"));
    let renamed = with(access(), json!({ "sub": "a.liddell" }));
    assert!(!doors.said(&renamed).await.contains("subject.unknown"));
    doors
        .world
        .call(Operation::Delete, "config/issuers/idp", Value::Null, None)
        .await
        .unwrap();
    let issuer = json!({ "issuer_id": IDP, "use_jwks": false, "audiences": [AUDIENCE], "public_keys": [doors.idp.listed()] });
    doors.world.ok("config/issuers/idp", issuer).await;
    let bound = json!({ "issuer": IDP, "subject": "bot-client" });
    doors.world.ok("agents/bot", bound).await;
    assert!(doors.said(&renamed).await.contains("subject.unknown"));
    assert!(
        !doors
            .world
            .storage
            .keys()
            .iter()
            .any(|key| key.starts_with("issuer-subject/") || key.starts_with("issuer-claim/"))
    );
}

#[tokio::test]
async fn a_subject_token_is_for_this_agent() {
    let doors = Doors::new().await;
    let path = format!("config/issuers/idp/subjects/{HUMAN_ENTITY}");
    doors.world.ok(&path, json!({ "subject": "alice" })).await;
    let people = Signer::new(Algorithm::EdDsa, "people-1");
    let issuer = json!({ "issuer_id": "https://people.example.com", "use_jwks": false, "audiences": ["portal"], "public_keys": [people.listed()], "jwt_type": "id_token" });
    doors.world.ok("config/issuers/people", issuer).await;
    doors
        .world
        .ok(
            &format!("config/issuers/people/subjects/{HUMAN_ENTITY}"),
            json!({ "subject": "alice" }),
        )
        .await;
    let id = |changes: Value| {
        let claims = json!({ "iss": "https://people.example.com", "sub": "alice", "aud": "portal", "iat": START, "exp": START + 600, "nonce": "n" });
        people.sign("JWT", &with(claims, changes))
    };
    let access_of = |changes: Value| doors.idp.sign("at+jwt", &with(access(), changes));
    let own = doors.idp.sign("at+jwt", &access());
    for (token, why) in [
        (id(json!({})), "denied ("),
        (
            id(json!({ "may_act": { "sub": "bot-client", "iss": IDP } })),
            "denied (",
        ),
        (
            id(json!({ "may_act": { "sub": "bot", "iss": OWN } })),
            "denied (",
        ),
        (
            id(json!({ "may_act": { "sub": "bot-client" } })),
            "subject_token.actor",
        ),
        (
            id(json!({ "may_act": { "sub": "other", "iss": IDP } })),
            "subject_token.actor",
        ),
        (
            id(json!({ "may_act": { "sub": "bot-client", "iss": IDP, "client_id": "other" } })),
            "subject_token.actor",
        ),
        (id(json!({ "may_act": "bot-client" })), "token.refused"),
        (
            id(json!({ "may_act": { "sub": "bot-client", "iss": IDP, "amr": ["mfa"] } })),
            "token.refused",
        ),
        (
            id(json!({ "act": { "sub": "bot-client", "iss": IDP } })),
            "denied (",
        ),
        (
            id(json!({ "act": { "sub": "other", "iss": IDP } })),
            "subject_token.actor",
        ),
        (
            id(json!({ "act": { "sub": "bot-client", "iss": "https://people.example.com" } })),
            "subject_token.actor",
        ),
        (id(json!({ "sub": "bob" })), "subject.unknown"),
        (id(json!({ "aud": "another-portal" })), "token.refused"),
        (id(json!({ "exp": START - 60 })), "token.expired"),
        (
            id(json!({ "cnf": { "jkt": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" } })),
            "subject_token.bound",
        ),
        (
            access_of(json!({ "sub": "alice", "client_id": "portal" })),
            "denied (",
        ),
        // The agent's own token says nothing of a human, and neither does one
        // of another agent, nor what this mount issued itself.
        (own.clone(), "subject.unknown"),
        (access_of(json!({ "iss": OWN })), "unknown_issuer"),
        (doors.assertion(json!({})), "unknown_issuer"),
        ("x".to_owned(), "malformed"),
    ] {
        let ask = json!({ "jwt": own, "subject_token": token, "target": "kv" });
        let said = doors.try_login(ask).await.unwrap_err().to_string();
        assert!(said.contains(why), "{why}: {said}");
    }
    // Two tokens for two humans are for nobody.
    doors
        .world
        .ok(
            "config/issuers/idp/subjects/other-entity",
            json!({ "subject": "bob" }),
        )
        .await;
    let ask = json!({ "jwt": access_of(json!({ "sub": "bob" })), "subject_token": id(json!({})), "target": "kv" });
    let said = doors.try_login(ask).await.unwrap_err().to_string();
    assert!(said.contains("subject.mismatch"), "{said}");
    // An ID token proves no agent.
    let said = doors
        .refusal(&id(
            json!({ "sub": "bot-client", "client_id": "bot-client" }),
        ))
        .await;
    assert!(said.contains("token.refused"), "{said}");
}

/// A token that names who may act is not evaded by presenting it as one's own;
/// and in no claim but `sub` does a human become a client by its name.
#[tokio::test]
async fn a_token_for_a_human_is_for_whom_it_says() {
    let doors = Doors::new().await;
    let path = format!("config/issuers/idp/subjects/{HUMAN_ENTITY}");
    doors.world.ok(&path, json!({ "subject": "alice" })).await;
    for (may_act, why) in [
        (json!({ "sub": "bot-client" }), "denied ("),
        (json!({ "sub": "other-client" }), "subject_token.actor"),
    ] {
        let claims = json!({ "sub": "alice", "may_act": may_act });
        let said = doors.said(&with(access(), claims)).await;
        assert!(said.contains(why), "{may_act}: {said}");
    }
    let doors = Doors::of(json!({ "user_claim": "nickname" })).await;
    let named = with(access(), json!({ "nickname": "bot-client" }));
    assert!(doors.said(&named).await.contains("subject.unknown"));
    let doors = Doors::of(json!({ "jwt_type": "assertion", "user_claim": "nickname" })).await;
    let claims = with(named, json!({ "exp": START + 60 }));
    let said = doors.refusal(&doors.idp.sign("JWT", &claims)).await;
    assert!(
        said.contains("token.refused") || said.contains("agent.unknown"),
        "{said}"
    );
}

impl Doors {
    /// Alice is known to the provider, may read, and lets the agent.
    async fn with_alice(&self, grant: Value) -> String {
        self.world
            .ok(
                &format!("config/issuers/idp/subjects/{HUMAN_ENTITY}"),
                json!({ "subject": "alice" }),
            )
            .await;
        self.world
            .ok(
                &format!("baselines/entity/{HUMAN_ENTITY}"),
                json!({ "policies": "kv" }),
            )
            .await;
        let scope = json!([{ "type": "agentic:action", "targets": ["kv"], "actions": ["read"], "resources": ["**"] }]);
        let grant = with(
            json!({ "agent": "bot", "scope": scope, "ttl": "1h" }),
            grant,
        );
        let granted = self.by_alice("delegations/grant", grant).await.unwrap();
        granted["id"].as_str().unwrap().to_owned()
    }

    async fn by_alice(&self, path: &str, data: Value) -> Option<Value> {
        self.world
            .call(Operation::Update, path, data, Some(HUMAN_ENTITY))
            .await
            .unwrap()
    }

    fn delegated(&self, changes: Value) -> String {
        let claims =
            json!({ "sub": "alice", "client_id": "portal", "act": { "sub": "bot-client" } });
        self.idp
            .sign("at+jwt", &with(with(access(), claims), changes))
    }
}

#[tokio::test]
async fn a_delegated_token_acts_for_the_human_who_delegated() {
    let doors = Doors::new().await;
    let id = doors.with_alice(json!({ "max_ttl": "45s" })).await;
    let consent = doors
        .world
        .call(
            Operation::Read,
            &format!("delegations/{id}"),
            Value::Null,
            Some(HUMAN_ENTITY),
        )
        .await
        .unwrap()
        .unwrap()["consent_id"]
        .clone();
    let for_alice = doors
        .idp
        .sign("at+jwt", &with(access(), json!({ "sub": "alice" })));
    for (jwt, subject_token) in [
        (doors.delegated(json!({})), None),
        (for_alice.clone(), None),
        (doors.assertion(json!({ "jti": "x" })), Some(for_alice)),
    ] {
        let ask = json!({ "jwt": jwt, "subject_token": subject_token, "target": "kv", "resource": "app" });
        let response = doors.try_login(ask).await.unwrap();
        let auth = response.auth.unwrap();
        let said = |name: &str| auth.metadata.get(name).map(String::as_str);
        assert_eq!(
            (said("subject"), said("mode")),
            (Some(HUMAN_ENTITY), Some("on_behalf_of"))
        );
        assert_eq!(said("delegation_id"), Some(id.as_str()));
        assert_eq!(said("consent_id"), consent.as_str());
        assert_eq!(auth.ttl, Ttl::from_secs(45));
        assert_eq!(auth.policies, ["kv-app"]);
        assert!(doors.renew(&auth).await.is_ok());
    }
    // Without the human's word in a token, a delegation is named; another's is none.
    let own = doors.idp.sign("at+jwt", &access());
    let named = json!({ "jwt": own, "target": "kv", "delegation_id": id });
    assert_eq!(
        doors.try_login(named).await.unwrap().auth.unwrap().metadata["subject"],
        HUMAN_ENTITY
    );
    // One that names a human who did not delegate it is refused.
    doors
        .world
        .ok(
            "config/issuers/idp/subjects/other-entity",
            json!({ "subject": "bob" }),
        )
        .await;
    doors
        .world
        .ok("baselines/entity/other-entity", json!({ "policies": "kv" }))
        .await;
    let bobs = json!({ "jwt": doors.delegated(json!({ "sub": "bob" })), "target": "kv", "delegation_id": id });
    let said = doors.try_login(bobs).await.unwrap_err().to_string();
    assert!(said.contains("delegation.broken"), "{said}");
    let auth = doors.ask(&doors.delegated(json!({}))).await.unwrap();
    doors
        .by_alice(&format!("delegations/{id}/revoke"), json!({}))
        .await;
    assert!(doors.renew(&auth).await.is_err());
    let said = doors.refusal(&doors.delegated(json!({}))).await;
    assert!(said.contains("delegation."), "{said}");
}

#[tokio::test]
async fn uses_of_a_delegation_are_used_up_by_logins() {
    let doors = Doors::new().await;
    doors.with_alice(json!({ "max_uses": 2 })).await;
    for _ in 0..2 {
        let auth = doors.ask(&doors.delegated(json!({}))).await.unwrap();
        assert!(!auth.renewable, "a renewal would not be counted");
    }
    let said = doors.refusal(&doors.delegated(json!({}))).await;
    assert!(said.contains("delegation."), "{said}");
}

#[tokio::test]
async fn a_request_that_a_human_must_agree_to_waits_for_them() {
    let doors = Doors::new().await;
    doors.with_alice(json!({})).await;
    doors
        .world
        .ok("targets/kv", json!({ "consent": "per_request" }))
        .await;
    let said = doors.refusal(&doors.delegated(json!({}))).await;
    assert!(said.contains("consent.required"), "{said}");
    let id = said
        .split("consent_id=")
        .nth(1)
        .unwrap()
        .split('`')
        .next()
        .unwrap()
        .to_owned();
    let ask = |resource: &str| json!({ "jwt": doors.delegated(json!({})), "target": "kv", "action": "read", "resource": resource, "consent_id": id });
    let said = doors.try_login(ask("")).await.unwrap_err().to_string();
    assert!(said.contains("consent.required"), "{said}");
    doors
        .by_alice(&format!("consents/{id}/approve"), json!({}))
        .await;
    let said = doors.try_login(ask("other")).await.unwrap_err().to_string();
    assert!(said.contains("consent.mismatch"), "{said}");
    let auth = doors.try_login(ask("")).await.unwrap().auth.unwrap();
    assert_eq!(auth.metadata["consent_id"], id);
    assert!(!auth.renewable);
    assert!(
        doors
            .try_login(ask(""))
            .await
            .unwrap_err()
            .to_string()
            .contains("consent.used")
    );
    // A token that was got without one is not renewed into asking for it.
    doors
        .world
        .ok("targets/kv", json!({ "consent": "none" }))
        .await;
    let auth = doors.ask(&doors.delegated(json!({}))).await.unwrap();
    doors
        .world
        .ok("targets/kv", json!({ "consent": "per_request" }))
        .await;
    let asked = doors.world.storage.writes();
    assert!(
        doors
            .renew(&auth)
            .await
            .unwrap_err()
            .to_string()
            .contains("must agree")
    );
    assert_eq!(doors.world.storage.writes(), asked);
}
