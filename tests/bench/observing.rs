//! What it costs to observe, as ratios within one run: a credential with
//! nothing observed, as it is by default, and with everything on; and looking
//! through a long decision log against a short one.
//!
//! `--quick` does all of it a few times only: to see that it runs.
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

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_plugin_agentic::facts::config::store::Config;
use vault_plugin_agentic::host::framework::memory::{FakeSystem, MemoryStorage};
use vault_plugin_agentic::host::framework::request::{Caller, Context, Noted, Operation, Request};
use vault_plugin_agentic::host::framework::storage::Storage;
use vault_plugin_agentic::host::framework::system::SystemView;
use vault_plugin_agentic::model::decision::Outcome;
use vault_plugin_agentic::model::ids::AgentId;
use vault_plugin_agentic::model::time::{Timestamp, Ttl};
use vault_plugin_agentic::mount::state::State;
use vault_plugin_agentic::record::decisions::entry::{Entry, Kind};
use vault_plugin_agentic::record::decisions::log;
use vault_plugin_agentic::record::decisions::search::{Filter, search};

use crate::load::{Ask, Connection};
use crate::support::{Bao, Mount};

const CONNECTIONS: usize = 8;
/// The most that a credential may cost more by default.
const GOAL: f64 = 1.10;

/// How much is done.
struct Scale {
    rounds: usize,
    round: Duration,
    long: i64,
}

fn main() {
    let scale = if std::env::args().any(|argument| argument == "--quick") {
        Scale {
            rounds: 2,
            round: Duration::from_millis(50),
            long: 2_000,
        }
    } else {
        Scale {
            rounds: 40,
            round: Duration::from_millis(300),
            long: 100_000,
        }
    };
    credentials(&scale);
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(searches(&scale));
}

fn verdict(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The same request on three mounts of one server.
fn credentials(scale: &Scale) {
    let bao = Bao::own();
    let sink = sink();
    let off = json!({ "decision_lines": false, "decision_memory": 1 });
    let all = json!({ "decision_retention": "1h", "decision_memory": 10_000 });
    let silent = json!({ "decision_lines": false });
    let asks = [
        prepare(&bao, &off, None),
        prepare(&bao, &json!({}), None),
        prepare(&bao, &silent, None),
        prepare(&bao, &all, Some(&sink)),
    ];
    let mut connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| Connection::open(&bao.url()))
        .collect();
    for ask in &asks {
        load::spend(&mut connections, ask, CONNECTIONS);
    }
    let mut rounds: Vec<[f64; 4]> = Vec::new();
    for round in 0..scale.rounds {
        let mut speeds = [0.0; 4];
        for turn in 0..asks.len() {
            // There and back, so that a drift of the machine evens out.
            let case = if round % 2 == 0 {
                turn
            } else {
                asks.len() - 1 - turn
            };
            (_, speeds[case]) = load::run(&mut connections, &asks[case], scale.round);
        }
        rounds.push(speeds);
    }
    println!("time of creds/issue against nothing observed (1.00 = as long)");
    for (name, case, goal) in [
        ("as by default", 1, Some(GOAL)),
        ("without lines in the server's log", 2, None),
        ("log stored, and exported to a collector", 3, None),
    ] {
        let ratio = median(
            rounds
                .iter()
                .map(|speeds| speeds[0] / speeds[case])
                .collect(),
        );
        let goal = goal.map_or_else(String::new, |goal| {
            format!("  goal {goal:.2}: {}", verdict(ratio <= goal))
        });
        println!("{name:<42} {ratio:>5.2}{goal}");
    }
}

fn prepare(bao: &Bao, settings: &Value, collector: Option<&str>) -> Ask {
    let mount: Mount<'_> = bao.secrets();
    let agent = mount.agent_login("bot");
    let policy = "rule \"read\" {\n  effect = \"allow\"\n  targets = [\"crm\"]\n  \
                  actions = [\"read\"]\n  resources = [\"customers/*\"]\n}\n";
    let mut config = settings.clone();
    config["issuer"] = json!("https://vault.example.com/v1/agentic");
    let target = json!({ "actions": "read", "resources": "customers/**" });
    let register = json!({ "entity_id": agent.entity_id, "ceiling_policies": "crm" });
    mount.write("config", &config).ok();
    mount
        .write("policies/crm", &json!({ "policy": policy }))
        .ok();
    mount.write("targets/crm", &target).ok();
    mount.write("agents/bot", &register).ok();
    if let Some(url) = collector {
        let export =
            json!({ "otlp_endpoint": url, "otlp_signals": "logs,traces,ocsf", "queue": 65_536 });
        mount.write("config/export", &export).ok();
    }
    let body = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    let path = mount.at("creds/issue");
    Ask::new("POST", &path, &agent.token, &body.to_string())
}

/// A collector that takes everything and looks at nothing.
fn sink() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || while swallow(stream.as_ref().unwrap()).is_some() {});
        }
    });
    url
}

fn swallow(mut stream: &TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .ok()
}

/// A decision log of so many entries.
async fn filled(entries: i64, retention: u64, memory: u32) -> Arc<State> {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let system: Arc<dyn SystemView> = Arc::new(FakeSystem::default());
    let state = Arc::new(State::new(&storage, system, "agentic"));
    state.host.set_standby(false);
    let config = Config {
        decision_retention: Ttl::from_secs(retention),
        decision_memory: memory,
        decision_lines: false,
        ..Config::default()
    };
    log::tune(&state.record, (&config).into());
    for number in 0..entries {
        let request = Request {
            id: "request".to_owned(),
            operation: Operation::Update,
            path: "creds/issue".to_owned(),
            data: serde_json::Map::new(),
            headers: std::collections::BTreeMap::new(),
            caller: Caller::default(),
            mount_point: "agentic/".to_owned(),
            unauthenticated: false,
            lease: None,
            login: None,
            noted: Noted::default(),
        };
        let now = Timestamp::from_unix(1_799_053_200 + number);
        let cx = state.context(Context::new(&request, now));
        let rare = number % 500 == 0;
        let entry = Entry {
            agent: if rare { "rare" } else { "bot" }.to_owned(),
            agent_id: Some(AgentId::mint(Timestamp::EPOCH, [u8::from(rare); 10])),
            target: "crm".to_owned(),
            resource: format!("customers/{number}"),
            ..log::entry(&cx, Kind::Issue, Outcome::Allow)
        };
        log::record(&cx, entry);
        if number % 4_000 == 0 {
            log::flush(&state.record).await;
        }
    }
    while state.record.journal.pending() > 0 {
        log::flush(&state.record).await;
    }
    state
}

/// How long a page takes, the first, one in the middle, and of one agent.
async fn searches(scale: &Scale) {
    println!(
        "time of a page of the decision log, {} entries against 1000",
        scale.long
    );
    let whole = u32::try_from(scale.long).unwrap();
    for (name, retention, memory) in [("in memory", 0, whole), ("in storage", 86_400, 100)] {
        let short = filled(1_000, retention, memory).await;
        let long = filled(scale.long, retention, memory).await;
        let any = Filter::default();
        let rare = Filter {
            agent_name: Some("rare".to_owned()),
            ..Filter::default()
        };
        for (what, filter, middle) in [
            ("the latest", &any, false),
            ("from the middle on", &any, true),
            ("of one agent", &rare, false),
        ] {
            let ratio = page(&long, filter, middle, scale).await
                / page(&short, filter, middle, scale).await;
            println!("{name:<12} {what:<29} {ratio:>8.2}");
        }
    }
}

/// The median time of one page of a hundred, in seconds.
async fn page(state: &State, filter: &Filter, middle: bool, scale: &Scale) -> f64 {
    let mut after = None;
    if middle {
        let first = search(&state.record, filter, None, 1_000).await.unwrap();
        after = first
            .entries
            .get(first.entries.len() / 2)
            .map(|entry| entry.id.clone());
    }
    let mut times = Vec::new();
    for _ in 0..scale.rounds {
        let begin = Instant::now();
        let page = search(&state.record, filter, after.as_ref(), 100)
            .await
            .unwrap();
        times.push(begin.elapsed().as_secs_f64());
        assert!(!page.entries.is_empty());
    }
    median(times)
}
