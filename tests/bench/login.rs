//! What a login costs in a real server against the server's own logins, and
//! what a flood of strangers takes from those who have a token. Ratios within
//! one run: times of one machine mean nothing on another.
//!
//! `cargo bench --bench login -- quick` measures once, to see that it runs.
#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a bench is no server"
)]

#[expect(dead_code, reason = "the other bench uses more of it")]
mod load;
#[path = "../server/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the tests use more of it than a bench does"
)]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::time::{Clock as _, SystemClock};

use crate::load::{Ask, Connection};
use crate::support::{Bao, Idp, Mount, Signer};

/// Requests that are under way at any time, of each side.
const CONNECTIONS: usize = 4;
/// How often each case is measured.
const ROUNDS: usize = 30;
/// For how long, each time. Short, so that a ratio is of neighbours in time.
const ROUND: Duration = Duration::from_millis(300);

const IDP: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://vault.example.com";

/// What is compared: a name, what is measured, and against what.
const COMPARISONS: [(&str, usize, usize); 6] = [
    ("login, stored, against jwt login", 0, 3),
    ("login, stored, against approle login", 0, 4),
    ("login, batch, against jwt login, batch", 1, 5),
    ("login, batch, against approle login", 1, 4),
    ("inline login and read against jwt's", 2, 6),
    ("inline login and read against login", 2, 0),
];

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let (rounds, round) = if quick {
        (1, Duration::from_millis(50))
    } else {
        (ROUNDS, ROUND)
    };
    let bao = Bao::own();
    let stage = Stage::set(&bao);
    let asks = stage.asks();
    let mut connections = stage.connections();
    let mut speeds: Vec<Vec<f64>> = vec![];
    for number in 0..rounds {
        let mut of_round = vec![0.0; asks.len()];
        for turn in 0..asks.len() {
            // There and back, so that a drift of the machine evens out.
            let case = if number % 2 == 0 {
                turn
            } else {
                asks.len() - 1 - turn
            };
            of_round[case] = load::run(&mut connections, &asks[case], round).1;
        }
        speeds.push(of_round);
    }
    println!("logins over {CONNECTIONS} connections (1.00 = as many)");
    for (name, case, reference) in COMPARISONS {
        let ratios = speeds
            .iter()
            .map(|speeds| speeds[case] / speeds[reference])
            .collect();
        println!("{name:<42} {:>5.2}", median(ratios));
    }

    println!(
        "creds/issue over {CONNECTIONS} connections beside as many strangers at login, against beside as many"
    );
    println!("of its own kind (1.00 = its fair share), and fetches of keys meanwhile");
    let fair = stage.issue();
    for (name, flood) in stage.floods() {
        let before = stage.idp.hits();
        let mut ratios = vec![];
        for _ in 0..rounds {
            let beside = stage.beside(&mut connections, &fair, &flood, round);
            let alike = stage.beside(&mut connections, &fair, &fair, round);
            ratios.push(beside / alike);
        }
        println!(
            "{name:<42} {:>5.2} {:>5}",
            median(ratios),
            stage.idp.hits() - before
        );
    }
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// A server with three ways to log in, and an agent that may use them.
struct Stage<'b> {
    bao: &'b Bao,
    mount: Mount<'b>,
    secret: String,
    idp: Idp,
    signer: Signer,
    agent: String,
    approle: (String, String),
}

impl<'b> Stage<'b> {
    fn set(bao: &'b Bao) -> Self {
        let (mount, secrets) = (bao.auth(), bao.enable("sys/mounts", "", "kv"));
        secrets.write("app", &json!({ "value": "x" })).ok();
        let signer = Signer::new(Algorithm::EdDsa, "idp-1");
        let idp = Idp::start(&[&signer]);
        let agent = bao.login("bot", &mount.acl(&[("creds/*", "update")]));
        let policy = "rule \"all\" {\n  effect = \"allow\"\n  actions = [\"read\"]\n  resources = [\"**\"]\n}\n";
        let target = |kind: &str| {
            json!({
                "credential_type": "vault_token", "actions": "read", "vault_policies": "app",
                "vault_paths": [{ "path": secrets.at("app"), "capabilities": ["read"] }],
                "vault_token_type": kind,
            })
        };
        for (path, body) in [
            (
                "config",
                json!({ "issuer": "https://vault.example.com/v1/auth/agentic" }),
            ),
            ("policies/all", json!({ "policy": policy })),
            ("targets/kv", target("service")),
            ("targets/kv-batch", target("batch")),
            ("targets/crm", json!({ "actions": "read" })),
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
                    "entity_id": agent.entity_id, "ceiling_policies": "all", "issuer": IDP,
                    "subject": "bot-client",
                }),
            ),
        ] {
            mount.write(path, &body).ok();
        }
        let acl = mount.read("targets/kv/acl").ok().text_at("/data/policy");
        let root = bao.client();
        root.write("sys/policies/acl/app", &json!({ "policy": acl }))
            .ok();
        jwt_method(bao, &signer);
        let approle = approle_method(bao);
        Self {
            bao,
            secret: secrets.at("app"),
            mount,
            idp,
            signer,
            agent: agent.token,
            approle,
        }
    }

    fn connections(&self) -> Vec<Connection> {
        let open = |_| Connection::open(&self.bao.url());
        (0..CONNECTIONS).map(open).collect()
    }

    fn token(&self) -> String {
        self.signer.sign("at+jwt", &claims())
    }

    /// In the order that [`COMPARISONS`] counts in.
    fn asks(&self) -> Vec<Ask> {
        let jwt = self.token();
        let login = |target: &str| json!({ "jwt": jwt, "target": target });
        let theirs = |role: &str| json!({ "jwt": jwt, "role": role });
        let (role, secret) = &self.approle;
        let post = |path: &str, body: &Value| Ask::headed("POST", path, "", &body.to_string());
        vec![
            post(&self.mount.at("login"), &login("kv")),
            post(&self.mount.at("login"), &login("kv-batch")),
            self.inline(&self.mount.at("login"), &login("kv")),
            post("auth/jwt/login", &theirs("app")),
            post(
                "auth/approle/login",
                &json!({ "role_id": role, "secret_id": secret }),
            ),
            post("auth/jwt/login", &theirs("app-batch")),
            self.inline("auth/jwt/login", &theirs("app")),
        ]
    }

    /// A read that carries its login with it.
    fn inline(&self, login: &str, fields: &Value) -> Ask {
        let mut headers = format!("X-Vault-Inline-Auth-Path: {login}\r\n");
        for (name, value) in fields.as_object().unwrap() {
            let parameter = json!({ "key": name, "value": value }).to_string();
            let parameter = URL_SAFE_NO_PAD.encode(parameter);
            headers += &format!("X-Vault-Inline-Auth-Parameter-{name}: {parameter}\r\n");
        }
        Ask::headed("GET", &self.secret, &headers, "")
    }

    fn issue(&self) -> Ask {
        let body = json!({ "target": "crm", "action": "read" }).to_string();
        Ask::new("POST", &self.mount.at("creds/issue"), &self.agent, &body)
    }

    /// Strangers of several kinds.
    fn floods(&self) -> Vec<(&'static str, Ask)> {
        let path = self.mount.at("login");
        let post = |jwt: &str, status: u16| {
            let body = json!({ "jwt": jwt, "target": "kv" }).to_string();
            Ask::headed("POST", &path, "", &body).refused(status)
        };
        let unknown = Signer::new(Algorithm::EdDsa, "unknown");
        let forged = Signer::new(Algorithm::EdDsa, "idp-1");
        let mut other = claims();
        other["iss"] = json!("https://nobody.example.com");
        vec![
            ("garbage", post("garbage", 400)),
            ("16 KiB of garbage", post(&"a".repeat(16 * 1024), 400)),
            (
                "an issuer that nobody knows",
                post(&forged.sign("at+jwt", &other), 403),
            ),
            (
                "a key that nobody knows",
                post(&unknown.sign("at+jwt", &claims()), 403),
            ),
            (
                "a signature that is forged",
                post(&forged.sign("at+jwt", &claims()), 403),
            ),
        ]
    }

    /// How fast `ask` is served, beside others who ask something else.
    fn beside(
        &self,
        connections: &mut [Connection],
        ask: &Ask,
        others: &Ask,
        round: Duration,
    ) -> f64 {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for mut connection in self.connections() {
                let done = &done;
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        connection.ask(others);
                    }
                });
            }
            let (_, speed) = load::run(connections, ask, round);
            done.store(true, Ordering::Relaxed);
            speed
        })
    }
}

fn claims() -> Value {
    let now = SystemClock.now().unix();
    json!({
        "iss": IDP, "sub": "bot-client", "client_id": "bot-client", "aud": AUDIENCE,
        "iat": now, "exp": now + 3600, "jti": "1",
    })
}

/// The server's own way to take the same token.
fn jwt_method(bao: &Bao, signer: &Signer) {
    let root = bao.client();
    let x = signer.key.public().to_value()["x"]
        .as_str()
        .unwrap()
        .to_owned();
    // RFC 8410 4: what a public key of Ed25519 begins with.
    let mut der = vec![
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    der.extend(URL_SAFE_NO_PAD.decode(x).unwrap());
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der)
    );
    root.write("sys/auth/jwt", &json!({ "type": "jwt" })).ok();
    let config = json!({ "jwt_validation_pubkeys": [pem], "bound_issuer": IDP, "jwt_supported_algs": ["EdDSA"] });
    root.write("auth/jwt/config", &config).ok();
    for (role, kind) in [("app", "service"), ("app-batch", "batch")] {
        let body = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE],
            "token_policies": ["app"], "token_no_default_policy": true, "token_ttl": "60s",
            "token_type": kind,
        });
        root.write(&format!("auth/jwt/role/{role}"), &body).ok();
    }
}

fn approle_method(bao: &Bao) -> (String, String) {
    let root = bao.client();
    root.write("sys/auth/approle", &json!({ "type": "approle" }))
        .ok();
    let body =
        json!({ "token_policies": ["app"], "token_no_default_policy": true, "token_ttl": "60s" });
    root.write("auth/approle/role/app", &body).ok();
    let role = root.read("auth/approle/role/app/role-id").ok();
    let secret = root
        .write("auth/approle/role/app/secret-id", &json!({}))
        .ok();
    (
        role.text_at("/data/role_id"),
        secret.text_at("/data/secret_id"),
    )
}
