//! One request sees one version of the settings, whatever is written meanwhile.

use std::sync::Arc;

use serde_json::json;
use vault_plugin_agentic::host::framework::memory::{FakeSystem, MemoryStorage};
use vault_plugin_agentic::host::framework::request::{Context, Operation};
use vault_plugin_agentic::host::framework::storage::Storage;
use vault_plugin_agentic::host::framework::system::SystemView;
use vault_plugin_agentic::model::time::{Timestamp, Ttl};
use vault_plugin_agentic::mount::state::{Cx, State};

use crate::world::request;

fn cx(state: &State) -> Cx {
    let asked = request(Operation::Update, "creds/issue", json!({}), None);
    state.context(Context::new(&asked, Timestamp::from_unix(1_800_000_000)))
}

/// What a request sees, as text.
async fn seen(cx: &Cx) -> [String; 4] {
    let attached = ["crm".parse().unwrap()];
    [
        format!("{:?}", cx.config().await.unwrap().default_ttl),
        format!("{:?}", cx.identity().await.unwrap().not_humans),
        format!("{:?}", cx.library().await.unwrap().attach(&attached)),
        format!("{:?}", cx.locations().await.unwrap()),
    ]
}

#[tokio::test]
async fn a_request_sees_one_version_of_the_settings() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let system = Arc::new(FakeSystem::default()) as Arc<dyn SystemView>;
    let state = State::new(&storage, system, "agentic");
    state.host.set_standby(false);
    let under_way = cx(&state);
    let before = seen(&under_way).await;

    let facts = &state.facts;
    let config = facts.config.update(|config| {
        config.default_ttl = Ttl::from_secs(7);
        Ok(())
    });
    config.await.unwrap();
    let identity = facts.identity.update(|identity| {
        identity.not_humans.insert("robots".to_owned());
        Ok(())
    });
    identity.await.unwrap();
    let name = "crm".parse().unwrap();
    let rule = "rule \"all\" {\n  effect = \"allow\"\n}\n".to_owned();
    let policy = facts
        .policies
        .put(&name, rule, Timestamp::EPOCH, |_| Ok(()));
    policy.await.unwrap();
    let office = "office".parse().unwrap();
    let ranges = vec!["10.0.0.0/8".parse().unwrap()];
    facts
        .locations
        .put(&office, ranges, |_| Ok(()))
        .await
        .unwrap();

    assert_eq!(seen(&under_way).await, before);
    let next = seen(&cx(&state)).await;
    for (before, next) in before.iter().zip(&next) {
        assert_ne!(before, next);
    }
    // What waited for somebody else goes on with what holds then.
    assert_eq!(seen(&under_way.resumed()).await, next);
}
