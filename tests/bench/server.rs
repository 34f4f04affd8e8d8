//! What a credential costs in a real server, as ratios within one run: times
//! of one machine mean nothing on another, and clocks on shared cores lie.
//!
//! The server, the plugin and the load share the same cores, so a throughput
//! says how dear a request is to all of them together.
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

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::load::{Ask, Connection};
use crate::support::{Bao, Mount};

/// Requests that are under way at any time.
const CONNECTIONS: usize = 8;
/// How often each case is measured.
const ROUNDS: usize = 30;
/// For how long, each time. Short, so that a ratio is of neighbours in time.
const ROUND: Duration = Duration::from_millis(300);

/// What a process may take to its first line.
const START: Duration = Duration::from_millis(10);
/// What it may hold of memory, in KiB, after that many requests.
const MEMORY: u64 = 20 * 1024;
const REQUESTS: usize = 10_000;

/// What is compared: a name, what is measured, against what, and the goal.
const COMPARISONS: [(&str, usize, usize, f64); 5] = [
    ("creds/issue against a no-op write", 0, 1, 0.95),
    ("creds/:target against a no-op read", 2, 3, 0.95),
    ("creds/issue against identity/oidc/token", 0, 4, 0.8),
    ("creds/:target against identity/oidc/token", 2, 4, 0.8),
    ("creds/issue against transit/sign", 0, 5, 0.8),
];

fn main() {
    let bao = Bao::own();
    let mount = install(&bao);
    let asks = prepare(&bao, &mount);
    let mut connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| Connection::open(&bao.url()))
        .collect();

    load::spend(&mut connections, &asks[0], REQUESTS);
    let memory = resident(&bao);

    let plugin = bao.plugins()[0].pid;
    let mut rounds: Vec<Vec<f64>> = vec![];
    let mut costs = vec![Cost::default(); asks.len()];
    for round in 0..ROUNDS {
        let mut speeds = vec![0.0; asks.len()];
        for turn in 0..asks.len() {
            // There and back, so that a drift of the machine evens out.
            let case = if round % 2 == 0 {
                turn
            } else {
                asks.len() - 1 - turn
            };
            let before = (processor(bao.pid()), processor(plugin));
            let (answers, speed) = load::run(&mut connections, &asks[case], ROUND);
            speeds[case] = speed;
            costs[case].requests += f64::from(answers);
            costs[case].server += processor(bao.pid()) - before.0;
            costs[case].plugin += processor(plugin) - before.1;
        }
        rounds.push(speeds);
    }

    println!(
        "requests over {CONNECTIONS} connections (1.00 = as many), in the time that passed and"
    );
    println!("in the processor time of server and plugin, and the plugin's part of that time");
    for (name, case, reference, goal) in COMPARISONS {
        let mut ratios: Vec<f64> = rounds
            .iter()
            .map(|speeds| speeds[case] / speeds[reference])
            .collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = ratios[ratios.len() / 2];
        println!(
            "{name:<42} {ratio:>5.2} {:>5.2} {:>5.2}  goal {goal:.2}: {}",
            costs[reference].of_one() / costs[case].of_one(),
            costs[case].plugin / (costs[case].server + costs[case].plugin),
            verdict(ratio >= goal)
        );
    }

    let (start, ratio) = starts(&bao);
    println!(
        "{:<42} {ratio:>5.2}  under {START:?}: {}",
        "from start to handshake against /bin/true",
        verdict(start < START)
    );
    println!(
        "resident after {REQUESTS} requests: {} MiB, under {} MiB: {}",
        memory / 1024,
        MEMORY / 1024,
        verdict(memory < MEMORY)
    );
}

const fn verdict(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

/// What requests cost, in ticks of the processor.
#[derive(Clone, Default)]
struct Cost {
    requests: f64,
    server: f64,
    plugin: f64,
}

impl Cost {
    fn of_one(&self) -> f64 {
        (self.server + self.plugin) / self.requests
    }
}

/// The processor time that a process has taken so far, in ticks.
fn processor(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().unwrap()).sum()
}

/// Mounts the plugin as it is meant to be: by its own `register`, which tunes
/// what the server does about its audit log.
fn install(bao: &Bao) -> Mount<'_> {
    let output = bao.run(
        Bao::tool_command()
            .args(["register", "--no-auth", "--plugin-dir"])
            .arg(bao.plugin_directory()),
    );
    assert!(output.status.success(), "{output:?}");
    Mount {
        bao,
        path: "agentic".to_owned(),
    }
}

/// An agent, what it may do, and everything that its token may ask for.
fn prepare(bao: &Bao, mount: &Mount<'_>) -> [Ask; 6] {
    let root = bao.client();
    let agent = bao.login(
        "bot",
        &format!(
            "{}path \"identity/oidc/token/*\" {{ capabilities = [\"read\"] }}\n\
             path \"transit/sign/*\" {{ capabilities = [\"update\"] }}\n",
            mount.acl(&[("creds/*", "read, update"), ("info", "read, update")])
        ),
    );
    let policy = "rule \"read\" {\n  effect = \"allow\"\n  targets = [\"crm\"]\n  \
                  actions = [\"read\"]\n  resources = [\"customers/*\"]\n}\n";
    for (path, body) in [
        (
            "config",
            json!({ "issuer": "https://vault.example.com/v1/agentic" }),
        ),
        ("policies/crm", json!({ "policy": policy })),
        (
            "targets/crm",
            json!({ "actions": "read", "resources": "customers/**" }),
        ),
        (
            "agents/bot",
            json!({ "entity_id": agent.entity_id, "ceiling_policies": "crm" }),
        ),
    ] {
        mount.write(path, &body).ok();
    }
    for (path, body) in [
        (
            "identity/oidc/key/bench",
            json!({ "algorithm": "EdDSA", "allowed_client_ids": ["*"] }),
        ),
        (
            "identity/oidc/role/bench",
            json!({ "key": "bench", "client_id": "crm" }),
        ),
        ("sys/mounts/transit", json!({ "type": "transit" })),
        ("transit/keys/bench", json!({ "type": "ed25519" })),
    ] {
        root.write(path, &body).ok();
    }
    let request = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    let write = |path: &str, body: &Value| Ask::new("POST", path, &agent.token, &body.to_string());
    let read = |path: &str| Ask::new("GET", path, &agent.token, "");
    [
        write(&mount.at("creds/issue"), &request),
        write(&mount.at("info"), &json!({})),
        read(&mount.at("creds/crm?action=read&resource=customers/42")),
        read(&mount.at("info")),
        read("identity/oidc/token/bench"),
        write("transit/sign/bench", &json!({ "input": "Y3VzdG9tZXJz" })),
    ]
}

/// What the plugin holds of memory, in KiB.
fn resident(bao: &Bao) -> u64 {
    let plugins = bao.plugins();
    let sizes = plugins.iter().map(|plugin| {
        let status = fs::read_to_string(format!("/proc/{}/status", plugin.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = line.unwrap().trim().trim_end_matches(" kB");
        size.parse::<u64>().unwrap()
    });
    sizes.max().unwrap()
}

/// The median time of the plugin from its start to its handshake, and the
/// median of its ratio to a program that does nothing.
fn starts(bao: &Bao) -> (Duration, f64) {
    let host = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(host.cert.der())
    );
    let mut plugin = Command::new(bao.plugin_directory().join("vault-plugin-agentic"));
    plugin
        .arg("--type=secrets")
        .env_clear()
        .env(
            "VAULT_BACKEND_PLUGIN",
            "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
        )
        .env("PLUGIN_PROTOCOL_VERSIONS", "5")
        .env("PLUGIN_CLIENT_CERT", certificate)
        .env("TMPDIR", bao.plugin_directory());
    let mut nothing = Command::new("/bin/true");
    let mut both: Vec<(Duration, f64)> = (0..50)
        .map(|_| {
            let own = first_line(&mut plugin, 6);
            let other = first_line(&mut nothing, 1);
            (own, own.as_secs_f64() / other.as_secs_f64())
        })
        .collect();
    let middle = both.len() / 2;
    both.sort_by_key(|(own, _)| *own);
    let start = both[middle].0;
    both.sort_by(|one, two| one.1.total_cmp(&two.1));
    (start, both[middle].1)
}

/// How long a program takes to its first line, or to its end; the line must
/// have as many fields. A plugin heeds SIGTERM, and so removes its socket.
fn first_line(command: &mut Command, fields: usize) -> Duration {
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let took = begin.elapsed();
    assert_eq!(line.split('|').count(), fields, "{line}");
    let _ = Command::new("kill")
        .arg(child.id().to_string())
        .stderr(Stdio::null())
        .status();
    out.read_to_string(&mut line).unwrap();
    child.wait().unwrap();
    took
}
