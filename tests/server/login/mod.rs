//! Login on a real server: tokens for one request, what the audit log says of
//! them, and all those who get none.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test may be brief"
)]

mod grants;
mod tokens;

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

    /// Waits until nothing that is made now could have been taken by another
    /// process before.
    fn wait_until_known(&self) {
        self.bao.wait("taking assertions", |_| {
            self.ask(&self.assertion()).status == 200
        });
    }

    /// An assertion by the agent's own key, whose clock runs ahead: so a mount
    /// that has just begun takes it after seconds.
    fn assertion(&self) -> String {
        let own = format!("{}/v1/{}", self.bao.url(), self.mount.path);
        let claims = self.claims(json!({ "iss": "bot", "sub": "bot", "aud": own }));
        let mut claims = claims;
        let ahead = claims["iat"].as_i64().unwrap() + 27;
        claims["iat"] = json!(ahead);
        claims["exp"] = json!(ahead + 60);
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
        let client = self.bao.client_with("");
        client.inline(&self.mount.at("login"), login).read(path)
    }
}

#[test]
fn the_example_tells_the_story() {
    let bao = Bao::dev();
    let mount = bao.auth();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/login/story.sh");
    // Twice: it can be run again on the same mount.
    for _ in 0..2 {
        let told = bao.example(std::process::Command::new(script), &mount.path);
        let said = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success(), "{told:?}");
        assert!(said.contains("That was the story"), "{said}");
        assert!(said.contains("audit log says"), "{said}");
    }
}
