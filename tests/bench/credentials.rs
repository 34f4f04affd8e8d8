//! What credentials cost that are kept, asked about and used up, against what
//! the server's own tokens cost, as ratios within one run; and whether that
//! depends on how many are live.
//!
//! `BENCH_LIVE` and `BENCH_ROUNDS` say how many credentials are live in the
//! second half, and how often each case is measured.
#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a bench is no server"
)]

#[expect(dead_code, reason = "another bench uses more of it")]
mod load;
#[path = "../server/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the tests use more of it than a bench does"
)]
mod support;

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Ask, Connection};
use crate::support::{Bao, Login, Mount};

/// Requests that are under way at any time.
const CONNECTIONS: usize = 8;
/// For how long a case is measured, each time.
const ROUND: Duration = Duration::from_millis(300);
/// What is not measured against anything.
const LIVE: usize = 100_000;
const ROUNDS: usize = 20;

/// The cases, in the order of [`Bench::asks`].
const CASES: [&str; 10] = [
    "creds/issue, jwt",
    "creds/issue, jwt, max_uses",
    "creds/issue, opaque",
    "creds/issue, opaque, max_uses",
    "creds/introspect, jwt",
    "creds/introspect, opaque",
    "creds/redeem, opaque, counted",
    "auth/token/create",
    "auth/token/lookup",
    "kv write",
];
const TOKEN_CREATE: usize = 7;
const TOKEN_LOOKUP: usize = 8;
const KV_WRITE: usize = 9;

/// What is compared with what.
const COMPARISONS: [(usize, usize); 9] = [
    (0, TOKEN_CREATE),
    (1, TOKEN_CREATE),
    (2, TOKEN_CREATE),
    (3, TOKEN_CREATE),
    (2, KV_WRITE),
    (3, KV_WRITE),
    (4, TOKEN_LOOKUP),
    (5, TOKEN_LOOKUP),
    (6, KV_WRITE),
];

fn main() {
    let bao = Bao::own();
    let bench = Bench::new(&bao);
    let mut connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| Connection::open(&bao.url()))
        .collect();
    let rounds = number("BENCH_ROUNDS", ROUNDS);
    let live = number("BENCH_LIVE", LIVE);

    let few = bench.measure(&mut connections, rounds);
    bench.target(2);
    load::spend(&mut connections, &bench.issue, live);
    let many = bench.measure(&mut connections, rounds);

    println!("requests over {CONNECTIONS} connections, as a ratio (1.00 = as many)");
    println!(
        "{:<32} {:<20} {:>8} {:>8}",
        "",
        "against",
        "0 live",
        format!("{live} live")
    );
    for (case, reference) in COMPARISONS {
        println!(
            "{:<32} {:<20} {:>8.2} {:>8.2}",
            CASES[case],
            CASES[reference],
            few[case] / few[reference],
            many[case] / many[reference]
        );
    }
    for case in 0..CASES.len() {
        println!(
            "{:<32} {:<20} {:>17.2}",
            CASES[case],
            "itself with 0 live",
            many[case] / few[case]
        );
    }
}

fn number(name: &str, usual: usize) -> usize {
    #[expect(clippy::disallowed_methods, reason = "a bench may be told how much")]
    let given = std::env::var(name);
    given.map_or(usual, |text| text.parse().unwrap())
}

struct Bench<'b> {
    mount: Mount<'b>,
    agent: Login,
    issue: Ask,
    asks: Vec<Vec<Ask>>,
}

impl<'b> Bench<'b> {
    fn new(bao: &'b Bao) -> Self {
        let mount = bao.secrets();
        let agent = mount.agent_login("bot");
        let policy = "rule \"read\" {\n  effect = \"allow\"\n  targets = [\"crm\"]\n}\n";
        for (path, body) in [
            (
                "config",
                json!({ "issuer": "https://vault.example.com/v1/agentic" }),
            ),
            ("policies/crm", json!({ "policy": policy })),
            (
                "targets/crm",
                json!({ "actions": "read", "resources": "**", "max_ttl": "1h", "default_ttl": "1h" }),
            ),
            (
                "agents/bot",
                json!({ "entity_id": agent.entity_id, "ceiling_policies": "crm" }),
            ),
        ] {
            mount.write(path, &body).ok();
        }
        let root = bao.client();
        root.write("sys/mounts/bench", &json!({ "type": "kv" }))
            .ok();
        let request = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
        let post = |path: &str, token: &str, body: &Value| {
            Ask::new("POST", path, token, &body.to_string())
        };
        let issue = post(&mount.at("creds/issue"), &agent.token, &request);
        let mut bench = Self {
            mount,
            agent,
            issue,
            asks: Vec::new(),
        };

        let admin = root.token().to_owned();
        let shown = |path: &str, tokens: &[String]| -> Vec<Ask> {
            let at = bench.mount.at(path);
            tokens
                .iter()
                .map(|token| post(&at, &admin, &json!({ "token": token })))
                .collect()
        };
        let jwt = bench.credentials(0);
        let opaque = bench.credentials(2);
        let counted = bench.credentials(3);
        let lookup = root
            .write("auth/token/create", &json!({ "ttl": "1h" }))
            .ok();
        let lookup = json!({ "token": lookup.text_at("/auth/client_token") });
        let kv = json!({ "claims": "x".repeat(700) });
        let issues = || {
            vec![post(
                &bench.mount.at("creds/issue"),
                &bench.agent.token,
                &request,
            )]
        };
        let asks = vec![
            issues(),
            issues(),
            issues(),
            issues(),
            shown("creds/introspect", &jwt),
            shown("creds/introspect", &opaque),
            shown("creds/redeem", &counted),
            vec![post("auth/token/create", &admin, &json!({ "ttl": "1h" }))],
            vec![post("auth/token/lookup", &admin, &lookup)],
            vec![post("bench/one", &admin, &kv).refused(204)],
        ];
        bench.asks = asks;
        bench
    }

    /// Makes the target what a case of issuing wants; others do not care.
    fn target(&self, case: usize) {
        let (kind, uses) = match case {
            0 => ("jwt", 0),
            1 => ("jwt", 1_000_000_000),
            2 => ("opaque", 0),
            3 => ("opaque", 1_000_000_000),
            _ => return,
        };
        let target = json!({ "credential_type": kind, "max_uses": uses });
        self.mount.write("targets/crm", &target).ok();
    }

    /// One credential for each connection: no two use one up at a time.
    fn credentials(&self, case: usize) -> Vec<String> {
        self.target(case);
        let request = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
        (0..CONNECTIONS)
            .map(|_| {
                let path = self.mount.at("creds/issue");
                let issued = self.agent.client.write(&path, &request).ok();
                issued.text_at("/data/credential")
            })
            .collect()
    }

    /// The median speed of each case.
    fn measure(&self, connections: &mut [Connection], rounds: usize) -> Vec<f64> {
        let mut speeds = vec![Vec::new(); CASES.len()];
        for round in 0..rounds {
            for turn in 0..CASES.len() {
                // There and back, so that a drift of the machine evens out.
                let case = if round % 2 == 0 {
                    turn
                } else {
                    CASES.len() - 1 - turn
                };
                self.target(case);
                let (_, speed) = load::run_each(connections, &self.asks[case], ROUND);
                speeds[case].push(speed);
            }
        }
        speeds
            .into_iter()
            .map(|mut speeds| {
                speeds.sort_by(f64::total_cmp);
                speeds[speeds.len() / 2]
            })
            .collect()
    }
}
