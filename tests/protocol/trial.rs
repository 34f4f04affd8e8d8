//! A mount that does on request what a handler may do to the process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, json};
use vault_plugin_agentic::host::framework::backend::{Backend, Factory, MountConfig, SpecialPaths};
use vault_plugin_agentic::host::framework::error::{Error, Result};
use vault_plugin_agentic::host::framework::request::Request;
use vault_plugin_agentic::host::framework::response::{Auth, Lease, Reply, Response};
use vault_plugin_agentic::host::framework::storage::{Storage, Write};
use vault_plugin_agentic::host::framework::system::SystemView;
use vault_plugin_agentic::model::target::TokenType;
use vault_plugin_agentic::model::time::{Timestamp, Ttl};

/// Makes trial mounts, and sees what reaches them.
#[derive(Debug, Default)]
pub struct Trial {
    pub calls: AtomicUsize,
    pub finished: AtomicUsize,
    pub invalidated: Mutex<Vec<String>>,
    pub cleanups: AtomicUsize,
}

impl Trial {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// The factory for `trial`.
#[derive(Debug)]
pub struct Trials(pub Arc<Trial>);

impl Factory for Trials {
    fn mount(
        &self,
        config: MountConfig,
        storage: Arc<dyn Storage>,
        system: Arc<dyn SystemView>,
    ) -> Arc<dyn Backend> {
        Arc::new(Mount {
            trial: Arc::clone(&self.0),
            config,
            storage,
            system,
        })
    }
}

#[derive(Debug)]
struct Mount {
    trial: Arc<Trial>,
    config: MountConfig,
    storage: Arc<dyn Storage>,
    system: Arc<dyn SystemView>,
}

impl Mount {
    fn put(key: &str) -> Write {
        Write::Put {
            key: key.to_owned(),
            value: b"x".to_vec(),
            seal_wrap: false,
        }
    }

    async fn system(&self) -> Result<serde_json::Value> {
        let known = self.system.entity(&"known".parse().unwrap()).await?;
        let unknown = self.system.entity(&"unknown".parse().unwrap()).await?;
        Ok(json!({
            "ttl": self.system.max_lease_ttl().await?.as_secs(),
            "read_only": self.system.is_read_only().await?,
            "version": self.system.version().await?,
            "entity": known.map(|entity| (entity.name, entity.disabled)),
            "unknown": unknown.is_none(),
            "groups": self.system.groups(&"known".parse().unwrap()).await?.into_iter().map(|group| group.name).collect::<Vec<_>>(),
        }))
    }
}

impl Mount {
    fn lease(&self, request: &Request) -> Result<Option<Response>> {
        let kept = request.lease.as_ref();
        let lease = Lease {
            ttl: Ttl::from_secs(60),
            max_ttl: Ttl::from_secs(600),
            renewable: true,
            issued_at: Timestamp::from_unix(1_700_000_000),
            internal: json!({ "kept": "x" }).as_object().cloned().unwrap(),
        };
        let seen = json!({ "internal": kept.map(|kept| &kept.internal),
            "issued": kept.and_then(|kept| kept.issued_at).map(Timestamp::unix),
            "increment": kept.map(|kept| kept.increment.as_secs()) });
        Response::encode(Reply::Leased(seen, lease))
    }

    fn login(&self, request: &Request) -> Result<Option<Response>> {
        let auth = Auth {
            policies: vec!["reader".to_owned()],
            metadata: [("agent".to_owned(), "buyer".to_owned())].into(),
            display_name: "buyer".to_owned(),
            ttl: Ttl::from_secs(60),
            explicit_max_ttl: Ttl::from_secs(60),
            renewable: false,
            num_uses: Some(1),
            token_type: TokenType::Batch,
            bound_cidrs: vec!["10.0.0.0/8".parse().unwrap()],
            alias: None,
            issued_at: Timestamp::from_unix(1_700_000_000),
            internal: Map::new(),
        };
        let seen = json!({ "renews": request.login.is_some() });
        Response::encode(Reply::Login(auth, seen))
    }
}

#[tonic::async_trait]
impl Backend for Mount {
    fn special_paths(&self) -> SpecialPaths {
        SpecialPaths {
            root: vec!["root".to_owned()],
            unauthenticated: vec!["public/*".to_owned()],
            seal_wrap_storage: vec!["keys/".to_owned()],
        }
    }

    async fn initialize(&self) -> Result<()> {
        self.storage.get("config").await.map(|_| ())
    }

    async fn handle(&self, request: Request) -> Result<Option<Response>> {
        self.trial.calls.fetch_add(1, Ordering::SeqCst);
        let data = match request.path.as_str() {
            "nothing" => return Ok(None),
            "panic" => panic!("the trial panics, as told"),
            "refused" => return Err(Error::Denied("not you".to_owned())),
            "replace" => {
                self.storage.replace("first", b"x", b"y".to_vec()).await?;
                json!({})
            }
            "slow" => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.trial.finished.fetch_add(1, Ordering::SeqCst);
                json!({})
            }
            "system" => self.system().await?,
            "commit" => {
                let writes = ["first", "second", "third"].map(Self::put).to_vec();
                self.storage.commit(writes).await?;
                json!({})
            }
            "put" => {
                self.storage.commit(vec![Self::put("one")]).await?;
                json!({})
            }
            "lease" => return self.lease(&request),
            "login" => return self.login(&request),
            "page" => json!(self.storage.list("", "first", 1).await?),
            "all" => json!(self.storage.list("", "", 0).await?),
            path => json!({
                "path": path,
                "data": request.data,
                "uuid": self.config.uuid,
                "type": self.config.mount_type as u32,
                "headers": request.headers,
            }),
        };
        Response::encode(Reply::data(json!({ "is": data })))
    }

    async fn exists(&self, request: Request) -> Result<Option<bool>> {
        self.trial.calls.fetch_add(1, Ordering::SeqCst);
        match request.path.as_str() {
            "panic" => panic!("the trial panics, as told"),
            "refused" => Err(Error::Denied("not you".to_owned())),
            "host" => Err(Error::forward()),
            "there" => Ok(Some(true)),
            "absent" => Ok(Some(false)),
            _ => Ok(None),
        }
    }

    async fn cleanup(&self) {
        self.trial.cleanups.fetch_add(1, Ordering::SeqCst);
    }

    async fn invalidate(&self, key: &str) {
        self.trial.invalidated.lock().unwrap().push(key.to_owned());
    }
}
