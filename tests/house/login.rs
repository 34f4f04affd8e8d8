//! `login` on an auth mount over fakes: who gets a token, which one, and all
//! those who get none.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_plugin_agentic::framework::backend::MountType;
use vault_plugin_agentic::framework::error::{Error, Result};
use vault_plugin_agentic::framework::memory::MemoryStorage;
use vault_plugin_agentic::framework::request::{Kept, Operation};
use vault_plugin_agentic::framework::response::{Auth, Response};
use vault_plugin_agentic::framework::system::Entity;
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::target::TokenType;
use vault_plugin_agentic::model::time::Ttl;

use crate::idp::{AUDIENCE, IDP, Signer, access, encode, with};
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, START, World, request};

const OWN: &str = "https://vault.example.com/v1/auth/agentic";

/// An auth mount, an identity provider that it believes, and `bot`, who may
/// read one path.
struct Doors {
    world: World,
    idp: Signer,
    own: Signer,
}

impl Doors {
    async fn new() -> Self {
        Self::of(json!({})).await
    }

    /// The same, with some fields of the issuer replaced.
    async fn of(changes: Value) -> Self {
        let world = World::over_as(Arc::new(MemoryStorage::default()), MountType::Auth);
        world.backend.initialize().await.unwrap();
        let (idp, own) = (
            Signer::new(Algorithm::EdDsa, "idp-1"),
            Signer::new(Algorithm::Es256, "bot-1"),
        );
        world.ok("config", json!({ "issuer": OWN })).await;
        let issuer = json!({
            "issuer_id": IDP, "use_jwks": false, "audiences": [AUDIENCE], "public_keys": [idp.listed()],
        });
        world.ok("config/issuers/idp", with(issuer, changes)).await;
        world.policy("kv", r#"rule "read" { effect = "allow"; targets = ["kv", "many", "wide"]; actions = ["read", "write"]; resources = ["**"] }"#).await;
        let path = json!([{ "path": "secret/data/app", "capabilities": ["read"] }]);
        world
            .ok(
                "targets/kv",
                json!({
                    "credential_type": "vault_token", "actions": "read", "resources": "**",
                    "vault_policies": "kv-app", "vault_paths": path, "max_ttl": "10m",
                }),
            )
            .await;
        world
            .ok(
                "agents/register",
                json!({
                    "name": "bot", "entity_id": AGENT_ENTITY, "ceiling_policies": "kv",
                    "issuer": IDP, "subject": "bot-client", "public_keys": [own.jwk()],
                }),
            )
            .await;
        Self { world, idp, own }
    }

    async fn try_login(&self, data: Value) -> Result<Response> {
        let mut request = request(Operation::Update, "login", data, None);
        request.unauthenticated = true;
        request.mount_point = "auth/agentic/".into();
        self.world
            .backend
            .handle(request)
            .await
            .map(|answer| answer.unwrap())
    }

    /// A login for the one thing that the agent may do.
    async fn ask(&self, jwt: &str) -> Result<Auth> {
        let response = self
            .try_login(json!({ "jwt": jwt, "target": "kv", "action": "read" }))
            .await?;
        Ok(response.auth.unwrap())
    }

    /// What a token of the identity provider is answered.
    async fn said(&self, claims: &Value) -> String {
        self.refusal(&self.idp.sign("at+jwt", claims)).await
    }

    async fn refusal(&self, jwt: &str) -> String {
        match self.ask(jwt).await {
            Ok(auth) => panic!("it was let in: {auth:?}"),
            Err(Error::Host(text) | Error::Internal(text)) => panic!("{text}"),
            Err(error) => error.to_string(),
        }
    }

    fn assertion(&self, changes: Value) -> String {
        let claims = json!({
            "iss": "bot", "sub": "bot", "aud": OWN, "iat": START, "exp": START + 60, "jti": "a",
        });
        self.own.sign("JWT", &with(claims, changes))
    }

    async fn renew(&self, auth: &Auth) -> Result<Option<Response>> {
        let mut request = request(Operation::Renew, "login", Value::Null, None);
        request.login = Some(Kept {
            internal: auth.internal.clone(),
            issued_at: Some(auth.issued_at),
            increment: Ttl::ZERO,
        });
        self.world.backend.handle(request).await
    }
}

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
    assert_eq!(
        (auth.alias, auth.display_name.as_str()),
        (None, "agent:bot")
    );
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
        auth.alias.as_deref(),
        auth.metadata.get("agent_id").map(String::as_str)
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
            "subject.unknown",
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

/// Algorithms, headers, and the shape of a token.
#[tokio::test]
async fn a_token_that_is_not_what_it_should_be_is_refused() {
    let doors = Doors::new().await;
    let payload = access().to_string();
    let good = doors.idp.sign("at+jwt", &access());
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let stranger = Signer::new(Algorithm::EdDsa, "idp-1");
    let other_alg = Signer::new(Algorithm::Es256, "idp-1");
    let raw = |header: &str| doors.idp.sign_raw(header, &payload);
    let jwk = doors.idp.jwk();
    let nested = format!("{}1{}", "{\"a\":".repeat(64), "}".repeat(64));
    for (token, why) in [
        ("", "malformed"),
        ("a.b", "malformed"),
        ("a.b.c.d.e", "malformed"),
        (&*format!("{rest}."), "refused"),
        (&*format!("{rest}.{}", encode("x")), "refused"),
        (&*format!("{good}="), "malformed"),
        (&*format!(" {good}"), "malformed"),
        (&*format!("{rest}.{signature}A"), "malformed|refused"),
        (
            &*format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&payload)),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"HS256","kid":"idp-1","typ":"at+jwt"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"RS256","kid":"idp-1","typ":"at+jwt"}"#),
            "refused",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","alg":"none","typ":"at+jwt"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","crit":["exp"],"exp":1,"typ":"at+jwt"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","b64":false,"typ":"at+jwt"}"#),
            "malformed",
        ),
        (
            &*raw(&json!({"alg":"EdDSA","typ":"at+jwt","jwk":jwk}).to_string()),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","jku":"https://evil.example.com"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","x5u":"https://evil.example.com"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","x5c":["AA"]}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","zip":"DEF"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","enc":"A128GCM"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","cty":"JWT"}"#),
            "malformed",
        ),
        (
            &*raw(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"another"}"#),
            "refused",
        ),
        (&*doors.idp.sign("JWT", &access()), "refused"),
        (&*doors.idp.sign("", &access()), "refused"),
        (&*doors.idp.sign("dpop+jwt", &access()), "refused"),
        (&*doors.idp.sign("logout+jwt", &access()), "refused"),
        (&*stranger.sign("at+jwt", &access()), "refused"),
        (&*other_alg.sign("at+jwt", &access()), "refused"),
        (
            &*doors
                .idp
                .sign_raw(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"idp-1"}"#, &nested),
            "unknown_issuer",
        ),
        (
            &*format!(
                "{}.{}.{}",
                encode(r#"{"alg":"EdDSA"}"#),
                "A".repeat(20_000),
                signature
            ),
            "malformed",
        ),
    ] {
        let said = doors.refusal(token).await;
        assert!(
            why.split('|').any(|why| said.contains(why)),
            "{token}: {said}"
        );
        assert!(token.len() < 8 || !said.contains(token), "{said}");
    }
    doors.ask(&good).await.unwrap();
}

/// Issuers, audiences, times and names of every JSON type.
#[tokio::test]
async fn claims_that_are_not_what_they_should_be_are_refused() {
    let doors = Doors::new().await;
    let odd = [
        json!(true),
        json!([]),
        json!({}),
        json!(-1),
        json!("1"),
        json!(1.0e300),
        json!([[1]]),
    ];
    let mut cases = vec![];
    for claim in ["exp", "nbf", "iat", "aud", "sub", "client_id", "iss"] {
        for value in &odd {
            let string = ["sub", "client_id", "iss", "aud"].contains(&claim) && value.is_string();
            if !string {
                cases.push((
                    with(access(), json!({ claim: value })),
                    "refused|unknown_issuer",
                ));
            }
        }
    }
    for (changes, why) in [
        (json!({ "exp": START - 31 }), "expired"),
        (json!({ "exp": START - 30 }), "expired"),
        (json!({ "exp": null }), "refused"),
        (json!({ "nbf": START + 31 }), "refused"),
        (json!({ "iat": START + 31 }), "refused"),
        (json!({ "aud": null }), "refused"),
        (json!({ "aud": "" }), "refused"),
        (json!({ "aud": "https://vault.example.com/" }), "refused"),
        (json!({ "aud": "HTTPS://vault.example.com" }), "refused"),
        (json!({ "aud": ["other"] }), "refused"),
        (json!({ "iss": null }), "unknown_issuer"),
        (
            json!({ "iss": "https://idp.example.com/" }),
            "unknown_issuer",
        ),
        (
            json!({ "iss": "https://IDP.example.com" }),
            "unknown_issuer",
        ),
        (
            json!({ "iss": "https://idp.example.com:443" }),
            "unknown_issuer",
        ),
        (json!({ "iss": "http://idp.example.com" }), "unknown_issuer"),
        (json!({ "iss": OWN }), "unknown_issuer"),
        (json!({ "sub": null }), "refused"),
        (json!({ "client_id": null }), "refused"),
        (json!({ "sub": "bot-client\u{202e}" }), "refused"),
        (
            json!({ "client_id": "another", "sub": "another" }),
            "agent.unknown",
        ),
        (
            json!({ "client_id": "Bot-Client", "sub": "Bot-Client" }),
            "agent.unknown",
        ),
        (json!({ "cnf": { "jkt": "x" } }), "refused"),
        (json!({ "cnf": { "x5t#S256": "x" } }), "refused"),
        (json!({ "authorization_details": {} }), "refused"),
        (
            json!({ "authorization_details": [{ "type": "other" }] }),
            "invalid_authorization_details",
        ),
        (
            json!({ "authorization_details": [{ "type": "vault:path_access", "path": "a", "capabilities": ["read"], "more": 1 }] }),
            "invalid_authorization_details",
        ),
        (
            json!({ "authorization_details": [] }),
            "details.not_covered",
        ),
    ] {
        cases.push((with(access(), changes), why));
    }
    for (claims, why) in cases {
        let said = doors.said(&claims).await;
        assert!(
            why.split('|').any(|why| said.contains(why)),
            "{claims}: {said}"
        );
    }
    for good in [
        json!({ "exp": START - 29 }),
        json!({ "nbf": START + 30 }),
        json!({ "iat": null, "jti": null }),
        json!({ "aud": ["other", AUDIENCE] }),
    ] {
        let claims = with(access(), good);
        let asked = doors.ask(&doors.idp.sign("at+jwt", &claims)).await;
        let expired = claims["exp"] == json!(START - 29);
        assert_eq!(asked.is_ok(), !expired, "{claims}: {asked:?}");
        assert!(!expired || asked.unwrap_err().to_string().contains("limits.no_time"));
    }
}

#[tokio::test]
async fn the_right_subject_of_the_wrong_issuer_is_nobody() {
    let doors = Doors::new().await;
    let rogue = Signer::new(Algorithm::EdDsa, "idp-1");
    let other = json!({ "issuer_id": "https://rogue.example.com", "use_jwks": false, "audiences": [AUDIENCE], "public_keys": [rogue.listed()] });
    doors.world.ok("config/issuers/rogue", other.clone()).await;
    // Both have a key called `idp-1`: each is its own issuer's.
    assert!(
        doors
            .refusal(&rogue.sign("at+jwt", &access()))
            .await
            .contains("token.refused")
    );
    let named = with(access(), json!({ "iss": "https://rogue.example.com" }));
    assert!(
        doors
            .refusal(&rogue.sign("at+jwt", &named))
            .await
            .contains("agent.unknown")
    );
    let act = json!({ "sub": "bot-client", "iss": IDP });
    let named = with(named, json!({ "sub": "alice", "act": act }));
    assert!(
        doors
            .refusal(&rogue.sign("at+jwt", &named))
            .await
            .contains("token.refused")
    );
    // Two definitions of one issuer would be two ways in.
    let again = doors
        .world
        .refused(
            "config/issuers/again",
            with(other, json!({ "issuer_id": IDP })),
        )
        .await;
    assert!(again.contains("`idp` has it already"), "{again}");
    doors
        .world
        .ok("config/issuers/idp", json!({ "enabled": false }))
        .await;
    assert!(doors.said(&access()).await.contains("unknown_issuer"));
}

#[tokio::test]
async fn kinds_of_tokens_exclude_each_other() {
    for (kind, typ, claims, taken) in [
        ("jwt", "JWT", json!({}), true),
        ("jwt", "", json!({}), true),
        ("jwt", "at+jwt", json!({}), false),
        ("jwt", "JWT", json!({ "nonce": "n" }), false),
        ("jwt", "JWT", json!({ "at_hash": "h" }), false),
        ("jwt", "JWT", json!({ "events": {} }), false),
        ("transaction_token", "txntoken+jwt", json!({}), true),
        ("transaction_token", "at+jwt", json!({}), false),
        ("access_token", "application/at+jwt", json!({}), true),
        ("id_token", "JWT", json!({}), false),
        ("assertion", "JWT", json!({ "exp": START + 300 }), true),
        ("assertion", "JWT", json!({ "exp": START + 301 }), false),
        (
            "assertion",
            "JWT",
            json!({ "exp": START + 60, "jti": null }),
            false,
        ),
        (
            "assertion",
            "JWT",
            json!({ "exp": START + 60, "aud": [AUDIENCE, "other"] }),
            false,
        ),
        ("assertion", "at+jwt", json!({ "exp": START + 60 }), false),
    ] {
        let doors = Doors::of(json!({ "jwt_type": kind })).await;
        let jwt = doors.idp.sign(typ, &with(access(), claims.clone()));
        let asked = doors.ask(&jwt).await;
        assert_eq!(asked.is_ok(), taken, "{kind} {typ} {claims}: {asked:?}");
    }
}

#[tokio::test]
async fn what_is_presented_once_is_presented_once() {
    let doors = Doors::of(json!({ "unique_id_claim": "jti" })).await;
    let jwt = |changes: Value| doors.idp.sign("at+jwt", &with(access(), changes));
    doors.ask(&jwt(json!({}))).await.unwrap();
    assert!(doors.refusal(&jwt(json!({}))).await.contains("token.spent"));
    // Another token with the same id is the same token.
    assert!(
        doors
            .refusal(&jwt(json!({ "exp": START + 500 })))
            .await
            .contains("token.spent")
    );
    doors.ask(&jwt(json!({ "jti": "2" }))).await.unwrap();
    for (changes, why) in [
        (json!({ "jti": null }), "token.refused"),
        (json!({ "jti": 1 }), "token.refused"),
        (json!({ "jti": "3", "iat": null }), "token.refused"),
        (
            json!({ "jti": "4", "exp": START + 24 * 3600 + 1 }),
            "token.refused",
        ),
    ] {
        let said = doors.refusal(&jwt(changes.clone())).await;
        assert!(said.contains(why), "{changes}: {said}");
    }
    // What was not verified is not remembered: nobody can use up another's.
    let forged = Signer::new(Algorithm::EdDsa, "idp-1");
    let mine = with(access(), json!({ "jti": "6" }));
    assert!(
        doors
            .refusal(&forged.sign("at+jwt", &mine))
            .await
            .contains("token.refused")
    );
    doors.ask(&jwt(json!({ "jti": "6" }))).await.unwrap();
}

#[tokio::test]
async fn an_assertion_is_made_by_the_agents_own_key() {
    let doors = Doors::new().await;
    let id = doors.world.read("agents/bot").await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    doors.ask(&doors.assertion(json!({}))).await.unwrap();
    assert!(
        doors
            .refusal(&doors.assertion(json!({})))
            .await
            .contains("token.spent")
    );
    doors
        .ask(
            &doors.assertion(
                json!({ "jti": "b", "iss": id, "sub": id, "aud": format!("{OWN}/login") }),
            ),
        )
        .await
        .unwrap();
    for (changes, why) in [
        (json!({ "sub": "other" }), "token.refused"),
        (json!({ "sub": null }), "token.refused"),
        (json!({ "iss": "other", "sub": "other" }), "unknown_issuer"),
        (json!({ "aud": AUDIENCE }), "token.refused"),
        (json!({ "aud": [OWN, AUDIENCE] }), "token.refused"),
        (json!({ "aud": format!("{OWN}/") }), "token.refused"),
        (json!({ "jti": null }), "token.refused"),
        (json!({ "iat": null }), "token.refused"),
        (json!({ "exp": null }), "token.refused"),
        (json!({ "exp": START + 301 }), "token.refused"),
        (json!({ "exp": START - 30 }), "token.expired"),
        (json!({ "act": { "sub": "x" } }), "token.refused"),
    ] {
        let mut claims = changes.clone();
        claims
            .as_object_mut()
            .unwrap()
            .entry("jti")
            .or_insert(json!("c"));
        let jwt = doors.assertion(claims);
        assert!(doors.refusal(&jwt).await.contains(why), "{changes}");
    }
    // A key that is not in the record, or not there any more.
    let stranger = Signer::new(Algorithm::Es256, "bot-1");
    let claims = json!({ "iss": "bot", "sub": "bot", "aud": OWN, "iat": START, "exp": START + 60, "jti": "d" });
    assert!(
        doors
            .refusal(&stranger.sign("JWT", &claims))
            .await
            .contains("unknown_issuer")
    );
    doors
        .world
        .ok("agents/bot", json!({ "public_keys": [stranger.jwk()] }))
        .await;
    doors.ask(&stranger.sign("JWT", &claims)).await.unwrap();
    assert!(
        doors
            .refusal(&doors.assertion(json!({ "jti": "e" })))
            .await
            .contains("unknown_issuer")
    );
}

#[tokio::test]
async fn a_standby_leaves_what_is_used_once_to_the_active_node() {
    let doors = Doors::new().await;
    doors.world.storage.read_only(true);
    let standby = World::over_as(Arc::clone(&doors.world.storage), MountType::Auth);
    standby.system.read_only(true);
    standby.backend.initialize().await.unwrap();
    let doors = Doors {
        world: standby,
        ..doors
    };
    doors
        .ask(&doors.idp.sign("at+jwt", &access()))
        .await
        .unwrap();
    let forwarded = doors.ask(&doors.assertion(json!({}))).await;
    assert_eq!(forwarded, Err(Error::forward()));
}

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
            "is the agent `bot`",
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
            "tokens of `wide` can do what is asked for and more",
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
        said.contains("`kv`, `twin`") && said.contains("name one of them"),
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
async fn an_issuer_whose_tokens_must_say_what_they_are_for() {
    let doors = Doors::of(
        json!({ "optional_authorization_details": false, "authorization_details_claim": "rar" }),
    )
    .await;
    assert!(doors.said(&access()).await.contains("details.required"));
    // A claim that the issuer's definition does not name says nothing.
    let details = json!([{ "type": "agentic:action", "targets": ["kv"], "actions": ["read"], "resources": ["**"] }]);
    assert!(
        doors
            .said(&with(access(), json!({ "authorization_details": details })))
            .await
            .contains("details.required")
    );
    let said = with(access(), json!({ "rar": details }));
    doors.ask(&doors.idp.sign("at+jwt", &said)).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_comes_with_a_proof() {
    let doors = Doors::new().await;
    let holder = Signer::new(Algorithm::Es256, "holder");
    let jkt = holder.key.public().thumbprint();
    let jwt = doors
        .idp
        .sign("at+jwt", &with(access(), json!({ "cnf": { "jkt": jkt } })));
    assert!(doors.refusal(&jwt).await.contains("proof.required"));
    let ath = {
        let digest = ring::digest::digest(&ring::digest::SHA256, jwt.as_bytes());
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest)
    };
    let proof = |signer: &Signer, changes: Value| {
        let header =
            json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": signer.key.public().to_value() });
        let claims = json!({ "jti": "p-1", "htm": "POST", "htu": format!("{OWN}/login"), "iat": START, "ath": ath });
        signer.sign_raw(&header.to_string(), &with(claims, changes).to_string())
    };
    let ask = |proof: String| json!({ "jwt": jwt, "dpop": proof, "target": "kv" });
    for changes in [
        json!({ "htm": "GET" }),
        json!({ "htu": "https://other.example.com/login" }),
        json!({ "ath": null }),
        json!({ "iat": START - 91 }),
        json!({ "iat": START + 31 }),
    ] {
        let said = doors
            .try_login(ask(proof(&holder, changes.clone())))
            .await
            .unwrap_err()
            .to_string();
        assert!(said.contains("proof.refused"), "{changes}: {said}");
    }
    let thief = Signer::new(Algorithm::Es256, "thief");
    let said = doors
        .try_login(ask(proof(&thief, json!({}))))
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("proof.refused"), "{said}");
    doors
        .try_login(ask(proof(&holder, json!({}))))
        .await
        .unwrap();
    let said = doors
        .try_login(ask(proof(&holder, json!({}))))
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("token.spent"), "{said}");
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
    for name in ["agentic-agent:bot", "ns-x-agent:bot"] {
        for (operation, path) in [
            (Operation::Update, "agents/bot"),
            (Operation::Read, "agents/bot"),
            (Operation::Delete, "targets/kv"),
            (Operation::Update, "config/issuers/idp"),
            (Operation::Update, "creds/issue"),
            (Operation::Update, "decisions/evaluate"),
        ] {
            let mut request = request(operation, path, json!({ "description": "mine" }), None);
            request.caller.display_name = name.into();
            let said = doors.world.backend.handle(request).await;
            assert!(
                matches!(said, Err(Error::Denied(_))),
                "{name} {path}: {said:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_operator_is_told_what_a_stranger_is_not() {
    let doors = Doors::new().await;
    let check = async |claims: Value| {
        let jwt = doors.idp.sign("at+jwt", &claims);
        doors
            .world
            .ok("config/issuers/idp/check", json!({ "jwt": jwt }))
            .await
    };
    let good = check(access()).await;
    assert_eq!(
        (&good["token_accepted"], &good["agent"], &good["keys"]),
        (&json!(true), &json!("bot"), &json!(1))
    );
    for (changes, why) in [
        (json!({ "aud": "other" }), "`aud`"),
        (json!({ "client_id": null }), "no `client_id`"),
        (
            json!({ "client_id": "other", "sub": "other" }),
            "no agent has",
        ),
        (json!({ "sub": "alice" }), "no entity is mapped"),
        (json!({ "exp": START - 100 }), "expired"),
    ] {
        let told = check(with(access(), changes.clone())).await;
        assert_eq!(told["token_accepted"], false);
        let problem = told["token_problem"].as_str().unwrap();
        assert!(problem.contains(why), "{changes}: {problem}");
    }
}

#[tokio::test]
async fn two_agents_are_not_one_at_an_issuer() {
    let doors = Doors::new().await;
    let twin = json!({ "name": "twin", "entity_id": "other-entity", "issuer": IDP, "subject": "bot-client" });
    let said = doors.world.refused("agents/register", twin.clone()).await;
    assert!(said.contains("`bot` has this subject"), "{said}");
    doors
        .world
        .ok(
            "agents/register",
            with(twin.clone(), json!({ "subject": "twin-client" })),
        )
        .await;
    let said = doors
        .world
        .refused("agents/twin", json!({ "subject": "bot-client" }))
        .await;
    assert!(said.contains("`bot` has this subject"), "{said}");
    let said = doors
        .world
        .refused("agents/twin", json!({ "issuer": "" }))
        .await;
    assert!(said.contains("is needed too"), "{said}");
    // What an agent was called before, another may be called.
    doors
        .world
        .ok("agents/bot", json!({ "subject": "bot-2" }))
        .await;
    assert!(doors.said(&access()).await.contains("agent.unknown"));
    doors
        .world
        .ok("agents/twin", json!({ "subject": "bot-client" }))
        .await;
    assert!(doors.said(&access()).await.contains("ceiling.empty"));
    doors
        .world
        .call(Operation::Delete, "agents/twin", Value::Null, None)
        .await
        .unwrap();
    assert!(doors.said(&access()).await.contains("agent.unknown"));
    assert_eq!(
        doors
            .world
            .storage
            .keys()
            .iter()
            .filter(|key| key.starts_with("agent-external/"))
            .count(),
        1
    );
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
