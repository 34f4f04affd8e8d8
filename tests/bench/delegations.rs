//! What delegation costs beside 100 and beside 100,000 other delegations, over
//! storage in memory: the ratio, which says whether the cost grows with their
//! number.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a benchmark prints, and stops where it cannot go on"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::backend::{
    Backend, Factory as _, MountConfig, MountType,
};
use vault_plugin_agentic::host::framework::memory::{FakeSystem, MemoryStorage};
use vault_plugin_agentic::host::framework::request::{Caller, Noted, Operation, Request};
use vault_plugin_agentic::host::framework::storage::Storage;
use vault_plugin_agentic::host::framework::system::{Entity, SystemView};
use vault_plugin_agentic::mount::Mounts;

/// How many each human grants.
const EACH: usize = 100;
/// How often each thing is done.
const TIMES: usize = 300;

struct Bench {
    backend: Arc<dyn Backend>,
    system: Arc<FakeSystem>,
    storage: Arc<MemoryStorage>,
}

impl Bench {
    async fn new() -> Self {
        let storage = Arc::new(MemoryStorage::default());
        let system = Arc::new(FakeSystem::default());
        let config = MountConfig {
            mount_type: MountType::Secrets,
            uuid: "bench".into(),
            plugin: "agentic".into(),
        };
        let backend = Mounts::default().mount(
            config,
            Arc::clone(&storage) as Arc<dyn Storage>,
            Arc::clone(&system) as Arc<dyn SystemView>,
        );
        backend.initialize().await.unwrap();
        let bench = Self {
            backend,
            system,
            storage,
        };
        bench.entity("bot");
        let issuer = json!({ "issuer": "https://vault.example.com/v1/agentic", "baseline_rule": "unrestricted" });
        bench.write(None, "config", issuer).await;
        let policy = json!({ "policy": "rule \"all\" {\n  effect = \"allow\"\n}\n" });
        bench.write(None, "policies/all", policy).await;
        let target = json!({ "actions": "read", "resources": "**" });
        bench.write(None, "targets/crm", target).await;
        let agent = json!({ "name": "bot", "entity_id": "bot", "ceiling_policies": "all" });
        bench.write(None, "agents/register", agent).await;
        bench
    }

    fn entity(&self, id: &str) {
        let entity = Entity {
            id: id.into(),
            name: id.into(),
            ..Entity::default()
        };
        self.system.add(entity, &[]);
    }

    async fn call(
        &self,
        operation: Operation,
        who: Option<&str>,
        path: &str,
        data: Value,
    ) -> Value {
        let request = Request {
            id: String::new(),
            operation,
            path: path.into(),
            data: data.as_object().cloned().unwrap_or_default(),
            headers: std::collections::BTreeMap::new(),
            caller: Caller {
                entity_id: who.map(|id| id.parse().unwrap()),
                display_name: String::new(),
                remote_addr: None,
            },
            mount_point: "agentic/".into(),
            unauthenticated: false,
            noted: Noted::default(),
            lease: None,
            login: None,
        };
        let response = self.backend.handle(request).await.unwrap();
        response.map_or(Value::Null, |response| {
            serde_json::from_str(&response.data).unwrap()
        })
    }

    async fn write(&self, who: Option<&str>, path: &str, data: Value) -> Value {
        self.call(Operation::Update, who, path, data).await
    }

    async fn grant(&self, human: &str) -> String {
        let grant = json!({
            "agent": "bot", "ttl": "30d",
            "scope": [{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["**"] }],
        });
        let granted = self.write(Some(human), "delegations/grant", grant).await;
        granted["id"].as_str().unwrap().to_owned()
    }
}

/// The median time of something, cold each time, and the calls to storage that
/// it makes.
async fn measure(bench: &Bench, ids: &[String], work: impl AsyncFn(&str)) -> (Duration, u64) {
    let mut times = Vec::new();
    let before = bench.storage.reads() + bench.storage.writes();
    for id in ids.iter().cycle().take(TIMES) {
        bench.backend.invalidate(&format!("delegation/{id}")).await;
        let begin = Instant::now();
        work(id).await;
        times.push(begin.elapsed());
    }
    let calls = bench.storage.reads() + bench.storage.writes() - before;
    times.sort_unstable();
    (
        times[times.len() / 2],
        calls / u64::try_from(TIMES).unwrap(),
    )
}

async fn costs(humans: usize) -> Vec<(&'static str, Duration, u64)> {
    let bench = Bench::new().await;
    for human in 0..humans {
        let human = format!("human-{human}");
        bench.entity(&human);
        for _ in 0..EACH {
            bench.grant(&human).await;
        }
    }
    // Those that are looked at, the same in both cases.
    let mut ids = Vec::new();
    for human in 0..6 {
        let human = format!("subject-{human}");
        bench.entity(&human);
        for _ in 0..50 {
            ids.push((human.clone(), bench.grant(&human).await));
        }
    }
    let by: std::collections::BTreeMap<String, String> = ids
        .iter()
        .map(|(human, id)| (id.clone(), human.clone()))
        .collect();
    let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
    let mut costs = Vec::new();
    let mut note = |name, (time, calls)| costs.push((name, time, calls));
    note(
        "look up one",
        measure(&bench, &ids, async |id| {
            bench
                .call(
                    Operation::Read,
                    Some(&by[id]),
                    &format!("delegations/{id}"),
                    Value::Null,
                )
                .await;
        })
        .await,
    );
    note(
        "issue under one",
        measure(&bench, &ids, async |id| {
            let ask = json!({ "target": "crm", "action": "read", "delegation_id": id });
            let issued = bench.write(Some("bot"), "creds/issue", ask).await;
            assert!(issued.get("credential").is_some());
        })
        .await,
    );
    note(
        "page of 50, all",
        measure(&bench, &ids, async |_| {
            let page = json!({ "limit": 50, "after": ids[0] });
            bench
                .call(Operation::List, None, "oversight/delegations", page)
                .await;
        })
        .await,
    );
    note(
        "page of 50, agent's",
        measure(&bench, &ids, async |_| {
            let page = json!({ "limit": 50, "after": ids[0] });
            bench
                .call(Operation::List, Some("bot"), "delegations", page)
                .await;
        })
        .await,
    );
    note(
        "page, subject's",
        measure(&bench, &ids, async |id| {
            bench
                .call(Operation::List, Some(&by[id]), "delegations", Value::Null)
                .await;
        })
        .await,
    );
    note(
        "grant one",
        measure(&bench, &ids, async |id| {
            let human = &by[id];
            bench.grant(human).await;
        })
        .await,
    );
    note(
        "tidy, nothing due",
        measure(&bench, &ids, async |_| {
            bench.call(Operation::Periodic, None, "", Value::Null).await;
        })
        .await,
    );
    note(
        "revoke one",
        measure(&bench, &ids, async |id| {
            bench
                .write(
                    Some(&by[id]),
                    &format!("delegations/{id}/revoke"),
                    Value::Null,
                )
                .await;
        })
        .await,
    );
    costs
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let few = runtime.block_on(costs(1));
    let many = runtime.block_on(costs(1_000));
    println!(
        "{:<22} {:>28} {:>30}",
        "", "time beside 100,000 / 100", "storage calls beside 100, 100,000"
    );
    for ((name, few, calls_few), (_, many, calls_many)) in few.iter().zip(&many) {
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        println!("{name:<22} {ratio:>28.2} {calls_few:>18}, {calls_many}");
    }
}
