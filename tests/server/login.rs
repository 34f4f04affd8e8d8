//! Login on a real server: tokens for one request, what the audit log says of
//! them, and all those who get none.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test may be brief"
)]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::time::{Clock as _, SystemClock};

use crate::support::{Answer, Bao, Idp, Login, Mount, Signer, unique};

const IDP: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://vault.example.com";

/// An auth mount, an identity provider, an agent, and secrets of which it may
/// read one.
struct Gateway<'b> {
    bao: &'b Bao,
    mount: Mount<'b>,
    secrets: Mount<'b>,
    idp: Idp,
    signer: Signer,
    own: Signer,
    agent: Login,
}

impl<'b> Gateway<'b> {
    fn on(bao: &'b Bao) -> Self {
        let (mount, secrets) = (bao.auth(), bao.enable("sys/mounts", "", "kv"));
        for name in ["app", "other"] {
            secrets.write(name, &json!({ "value": name })).ok();
        }
        let signer = Signer::new(Algorithm::EdDsa, "idp-1");
        let idp = Idp::start(&[&signer]);
        let own = Signer::new(Algorithm::Es256, "own-1");
        let agent = bao.login("bot", "");
        let policy = "rule \"read\" {\n  effect = \"allow\"\n  targets = [\"kv\"]\n  actions = [\"read\"]\n  resources = [\"**\"]\n}\n";
        let path = secrets.at("app");
        for (at, body) in [
            (
                "config",
                json!({ "issuer": format!("{}/v1/{}", bao.url(), mount.path) }),
            ),
            ("policies/kv", json!({ "policy": policy })),
            (
                "targets/kv",
                json!({
                    "credential_type": "vault_token", "actions": "read", "resources": "**",
                    "vault_policies": unique("kv-app"), "vault_paths": [{ "path": path, "capabilities": ["read"] }],
                }),
            ),
            (
                "config/issuers/idp",
                json!({
                    "issuer_id": IDP, "audiences": AUDIENCE, "jwks_uri": idp.url(),
                    "jwks_ca_pem": idp.authority, "allow_private_addresses": true,
                }),
            ),
            (
                "agents/bot",
                json!({
                    "entity_id": agent.entity_id, "ceiling_policies": "kv", "issuer": IDP,
                    "subject": "bot-client", "public_keys": [own.jwk()],
                }),
            ),
        ] {
            mount.write(at, &body).ok();
        }
        let gateway = Self {
            bao,
            mount,
            secrets,
            idp,
            signer,
            own,
            agent,
        };
        gateway.install_policy();
        gateway
    }

    /// Installs what the mount says the policy should be, as an operator does.
    fn install_policy(&self) -> String {
        let acl = self.mount.read("targets/kv/acl").ok();
        let name = acl.text_at("/data/vault_policies/0");
        let body = json!({ "policy": acl.text_at("/data/policy") });
        self.bao
            .client()
            .write(&format!("sys/policies/acl/{name}"), &body)
            .ok();
        name
    }

    fn claims(&self, changes: Value) -> Value {
        let now = SystemClock.now().unix();
        let mut claims = json!({
            "iss": IDP, "sub": "bot-client", "client_id": "bot-client", "aud": AUDIENCE,
            "iat": now, "exp": now + 600, "jti": unique("jti"),
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn token(&self, changes: Value) -> String {
        self.signer.sign("at+jwt", &self.claims(changes))
    }

    /// An assertion by the agent's own key.
    fn assertion(&self) -> String {
        let own = format!("{}/v1/{}", self.bao.url(), self.mount.path);
        let claims = self.claims(json!({ "iss": "bot", "sub": "bot", "aud": own }));
        let mut claims = claims;
        claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 60);
        self.own.sign("JWT", &claims)
    }

    fn login(&self, body: Value) -> Answer {
        let client = self.bao.client_with("");
        client.write(&self.mount.at("login"), &body)
    }

    fn ask(&self, jwt: &str) -> Answer {
        self.login(json!({ "jwt": jwt, "target": "kv", "resource": "app" }))
    }

    /// One request that carries its login with it.
    fn inline(&self, path: &str, login: &Value) -> Answer {
        let mut client = self
            .bao
            .client_with("")
            .with_header("X-Vault-Inline-Auth-Path", &self.mount.at("login"));
        for (name, value) in login.as_object().unwrap() {
            let parameter = json!({ "key": name, "value": value }).to_string();
            let header = format!("X-Vault-Inline-Auth-Parameter-{}", name.replace('_', "-"));
            client = client.with_header(&header, &URL_SAFE_NO_PAD.encode(parameter));
        }
        client.read(path)
    }
}

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
    assert_eq!(auth["entity_id"], "");
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
fn a_key_of_its_own_proves_an_agent_once() {
    let gateway = Gateway::on(Bao::dev());
    let assertion = gateway.assertion();
    gateway.ask(&assertion).ok();
    let again = gateway.ask(&assertion).refused(403);
    assert!(again.errors().contains("token.spent"), "{again:?}");
}

#[test]
fn a_crash_lets_nobody_in_twice() {
    let bao = Bao::own();
    let gateway = Gateway::on(&bao);
    let spent = gateway.assertion();
    gateway.ask(&spent).ok();
    // Times in tokens are whole seconds.
    let made = SystemClock.now().unix();
    bao.wait("a second later", |_| SystemClock.now().unix() > made);
    bao.kill9_plugins();
    bao.wait("back", |_| gateway.ask("x").status == 400);
    let again = gateway.ask(&spent).refused(403);
    assert!(again.errors().contains("token.spent"), "{again:?}");
    // One that was made in the second of the start may have been used, too.
    bao.wait("let in", |_| {
        gateway.ask(&gateway.assertion()).status == 200
    });
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
fn the_token_of_a_login_governs_nothing_even_where_the_acl_lets_it() {
    let gateway = Gateway::on(Bao::dev());
    let everything = json!([{ "path": gateway.mount.at("*"), "capabilities": ["create", "read", "update", "delete", "list"] }]);
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
    assert!(said.errors().contains("agent.disabled"), "{said:?}");
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
        "allow_plain_http": true, "unique_id_claim": "jti",
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
    let jwt = agent
        .client
        .write(&source.at("creds/issue"), &issue)
        .ok()
        .text_at("/data/credential");
    // What it was granted there is not this request.
    let said = gateway.ask(&jwt).refused(403);
    assert!(said.errors().contains("details.not_covered"), "{said:?}");
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
