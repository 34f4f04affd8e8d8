//! A mount over a fake host.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::backend::{
    Backend, Factory as _, MountConfig, MountType,
};
use vault_plugin_agentic::host::framework::error::Result;
use vault_plugin_agentic::host::framework::memory::{FakeSystem, MemoryStorage};
use vault_plugin_agentic::host::framework::request::{Caller, Operation, Request};
use vault_plugin_agentic::host::framework::response::Response;
use vault_plugin_agentic::host::framework::storage::Storage;
use vault_plugin_agentic::host::framework::system::{Entity, SystemView};
use vault_plugin_agentic::model::time::{Clock, Timestamp};
use vault_plugin_agentic::mount::Mounts;

/// Monday, 4 January 2027, 09:00 UTC.
pub(crate) const START: i64 = 1_799_053_200;
pub(crate) const AGENT_ENTITY: &str = "agent-entity";
pub(crate) const HUMAN_ENTITY: &str = "human-entity";

#[derive(Clone, Debug)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct World {
    pub(crate) storage: Arc<MemoryStorage>,
    pub(crate) system: Arc<FakeSystem>,
    pub(crate) backend: Arc<dyn Backend>,
    clock: TestClock,
}

pub(crate) type Answer = Result<Option<Value>>;

impl World {
    pub(crate) async fn new() -> Self {
        let world = Self::over(Arc::new(MemoryStorage::default()));
        world.begin_before().await;
        world
    }

    /// A mount over storage that is there already, as after a restart.
    pub(crate) fn over(storage: Arc<MemoryStorage>) -> Self {
        let seen = Arc::clone(&storage) as Arc<dyn Storage>;
        Self::made(storage, seen, MountType::Secrets, None)
    }

    /// The same, with a directory where files may be written.
    pub(crate) fn exporting(storage: Arc<MemoryStorage>, directory: PathBuf) -> Self {
        let seen = Arc::clone(&storage) as Arc<dyn Storage>;
        Self::made(storage, seen, MountType::Secrets, Some(directory))
    }

    /// The same, where the mount sees the storage as something else shows it.
    pub(crate) fn over_as(storage: Arc<MemoryStorage>, seen: Arc<dyn Storage>) -> Self {
        Self::made(storage, seen, MountType::Secrets, None)
    }

    /// An auth mount over storage that may be there already.
    pub(crate) fn auth(storage: Arc<MemoryStorage>) -> Self {
        let seen = Arc::clone(&storage) as Arc<dyn Storage>;
        Self::made(storage, seen, MountType::Auth, None)
    }

    fn made(
        storage: Arc<MemoryStorage>,
        seen: Arc<dyn Storage>,
        mount_type: MountType,
        directory: Option<PathBuf>,
    ) -> Self {
        let system = Arc::new(FakeSystem::default());
        for (id, name) in [
            (AGENT_ENTITY, "bot"),
            (HUMAN_ENTITY, "alice"),
            ("other-entity", "other"),
        ] {
            let entity = Entity {
                id: id.into(),
                name: name.into(),
                ..Entity::default()
            };
            system.add(entity, &["support"]);
        }
        let clock = TestClock(Arc::new(AtomicI64::new(START)));
        let config = MountConfig {
            mount_type,
            uuid: "test".into(),
            plugin: "agentic".into(),
        };
        let backend = Mounts::with_clock(clock.clone())
            .exporting_to(directory)
            .mount(config, seen, Arc::clone(&system) as Arc<dyn SystemView>);
        Self {
            storage,
            system,
            backend,
            clock,
        }
    }

    /// A mount on which the agent `bot` may read customers in the CRM.
    pub(crate) async fn with_agent() -> Self {
        let world = Self::new().await;
        world
            .ok(
                "config",
                json!({ "issuer": "https://vault.example.com/v1/agentic" }),
            )
            .await;
        world.policy("crm", r#"rule "read" { effect = "allow"; targets = ["crm"]; actions = ["read"]; resources = ["customers/*"] }"#).await;
        world
            .ok(
                "targets/crm",
                json!({ "actions": "read,delete", "resources": "**", "max_ttl": "10m" }),
            )
            .await;
        world
            .ok(
                "agents/register",
                json!({ "name": "bot", "entity_id": AGENT_ENTITY, "ceiling_policies": "crm" }),
            )
            .await;
        world
    }

    /// Writes a policy on one line: HCL wants a line for each attribute.
    pub(crate) async fn policy(&self, name: &str, text: &str) {
        let text = lines(text);
        self.ok(&format!("policies/{name}"), json!({ "policy": text }))
            .await;
    }

    /// Begins at START, as if it had run for a while: what is made at START was
    /// made since.
    pub(crate) async fn begin_before(&self) {
        self.backend.initialize().await.unwrap();
        self.advance(-600);
        self.backend.initialize().await.unwrap();
        self.advance(600);
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// An operator's write that must succeed.
    pub(crate) async fn ok(&self, path: &str, data: Value) -> Value {
        match self.call(Operation::Update, path, data, None).await {
            Ok(answer) => answer.unwrap_or(Value::Null),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// An operator's write that must be refused, with why.
    pub(crate) async fn refused(&self, path: &str, data: Value) -> String {
        match self.call(Operation::Update, path, data, None).await {
            Ok(answer) => panic!("{path} was accepted: {answer:?}"),
            Err(error) => error.to_string(),
        }
    }

    pub(crate) async fn read(&self, path: &str) -> Option<Value> {
        self.call(Operation::Read, path, Value::Null, None)
            .await
            .unwrap()
    }

    /// A request by an entity, or by a root token.
    pub(crate) async fn call(
        &self,
        operation: Operation,
        path: &str,
        data: Value,
        entity: Option<&str>,
    ) -> Answer {
        let data = self.considered(operation, path, data, entity).await;
        self.bare(operation, path, data, entity).await
    }

    /// The same, as it is: for those who have not read what they answer.
    pub(crate) async fn bare(
        &self,
        operation: Operation,
        path: &str,
        data: Value,
        entity: Option<&str>,
    ) -> Answer {
        let response = self
            .backend
            .handle(request(operation, path, data, entity))
            .await?;
        Ok(response.map(|response| body(&response)))
    }

    /// What people add who read a question before they approve it, and give
    /// reasons where one is asked for.
    async fn considered(
        &self,
        operation: Operation,
        path: &str,
        mut data: Value,
        entity: Option<&str>,
    ) -> Value {
        if operation != Operation::Update || !data.is_object() {
            return data;
        }
        if let Some(question) = path.strip_suffix("/approve")
            && data.get("seen").is_none()
        {
            let read = self
                .bare(Operation::Read, question, Value::Null, entity)
                .await;
            let seen = match &read {
                Ok(Some(read)) => read["seen"].as_str().filter(|seen| !seen.is_empty()),
                _ => None,
            };
            data["seen"] = seen.unwrap_or("unread-10").into();
        }
        let wants_reason = ["/resume", "/revoke", "/rotate", "/retire"]
            .iter()
            .any(|end| path.ends_with(end))
            && ["agents/", "keys/", "oversight/"]
                .iter()
                .any(|begin| path.starts_with(begin));
        if wants_reason && data.get("reason").is_none() {
            data["reason"] = "because".into();
        }
        data
    }

    pub(crate) async fn issue(&self, data: Value) -> Answer {
        self.call(Operation::Update, "creds/issue", data, Some(AGENT_ENTITY))
            .await
    }
}

impl World {
    /// The same mount, with more said of its target.
    pub(crate) async fn with_target(fields: Value) -> Self {
        let world = Self::with_agent().await;
        world.ok("targets/crm", fields).await;
        world
    }

    /// A credential that the agent may have.
    pub(crate) async fn credential(&self) -> String {
        let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
        let issued = self.issue(ask).await.unwrap().unwrap();
        issued["credential"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn introspect(&self, token: &str) -> Value {
        self.ok("creds/introspect", json!({ "token": token })).await
    }

    pub(crate) async fn redeem(&self, token: &str) -> Value {
        self.ok("creds/redeem", json!({ "token": token })).await
    }

    /// Whether a credential holds, for who asks.
    pub(crate) async fn is_active(&self, token: &str) -> bool {
        let answer = self.introspect(token).await;
        let active = answer["active"].as_bool().unwrap();
        assert!(active || answer == json!({ "active": false }), "{answer}");
        active
    }

    /// The host's periodic call.
    pub(crate) async fn tick(&self) {
        let request = request(Operation::Periodic, "", Value::Null, None);
        self.backend.handle(request).await.unwrap();
    }

    /// The body of a document that is served as it is.
    pub(crate) async fn document(&self, path: &str) -> Option<Vec<u8>> {
        use base64::Engine as _;
        let request = request(Operation::Read, path, Value::Null, None);
        let response = self.backend.handle(request).await.ok()??;
        let text = body(&response)["http_raw_body"].as_str()?.to_owned();
        base64::engine::general_purpose::STANDARD.decode(text).ok()
    }
}

/// One line to as many as HCL wants: `;` ends an attribute.
pub(crate) fn lines(text: &str) -> String {
    text.replace("; ", "\n")
        .replace("{ ", "{\n")
        .replace(" }", "\n}")
}

pub(crate) fn request(
    operation: Operation,
    path: &str,
    data: Value,
    entity: Option<&str>,
) -> Request {
    Request {
        id: "6a8c1c6e-0000-4000-8000-000000000001".into(),
        operation,
        path: path.into(),
        data: data.as_object().cloned().unwrap_or_default(),
        headers: std::collections::BTreeMap::new(),
        caller: Caller {
            entity_id: entity.map(|id| id.parse().unwrap()),
            display_name: "test".into(),
            remote_addr: Some("127.0.0.1".parse().unwrap()),
        },
        mount_point: "agentic/".into(),
        unauthenticated: false,
        noted: vault_plugin_agentic::host::framework::request::Noted::default(),
        lease: None,
        login: None,
    }
}

pub(crate) fn body(response: &Response) -> Value {
    serde_json::from_str(&response.data).unwrap()
}
