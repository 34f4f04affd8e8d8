//! Setting up, telling apart and forgetting mounts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use vault_plugin_agentic::host::framework::backend::MountType;

use crate::host::{Host, for_mount};
use crate::store::Store;
use crate::trial::{Trial, Trials};
use crate::wire::multiplexing::MultiplexingSupportRequest;
use crate::wire::multiplexing::plugin_multiplexing_client::PluginMultiplexingClient;
use crate::wire::pb;

#[tokio::test]
async fn what_a_host_asks_before_it_mounts() {
    let running = Host::new().serve(Arc::new(Trials(Trial::new()))).await;
    let session = running.open().await;
    let supported = PluginMultiplexingClient::new(session.channel.clone())
        .multiplexing_support(MultiplexingSupportRequest {})
        .await
        .unwrap();
    assert!(supported.into_inner().supported);
    let request = HealthCheckRequest {
        service: "plugin".to_owned(),
    };
    let health = HealthClient::new(session.channel.clone())
        .check(request)
        .await;
    assert_eq!(health.unwrap().into_inner().status, 1);
}

#[tokio::test]
async fn the_address_may_come_after_the_setup() {
    let running = Host::new().serve(Arc::new(Trials(Trial::new()))).await;
    let session = running.open().await;
    session.mount("before").await;
    let store = Arc::new(Store::default());
    let (id, address) = session.listen(&store);
    let announce = session.announce.clone();
    let later = async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        announce.send(address).await.unwrap();
    };
    let (err, ()) = tokio::join!(session.set_up("after", id, &[]), later);
    assert_eq!(err, "");
}

#[tokio::test]
async fn setup_touches_no_storage() {
    let running = Host::new().serve(Arc::new(Trials(Trial::new()))).await;
    let session = running.open().await;
    let store = Arc::new(Store {
        broken: Some("missing storage implementation"),
        ..Store::default()
    });
    let id = session.offer(&store).await;
    assert_eq!(session.set_up("m", id, &[]).await, "");
    assert!(store.calls.lock().unwrap().is_empty());
    let request = for_mount("m", pb::InitializeArgs {});
    let reply = session.backend.clone().initialize(request).await.unwrap();
    let err = reply.into_inner().err.unwrap();
    assert_eq!(err.err_msg, "missing storage implementation");
}

#[tokio::test]
async fn two_mounts_are_two() {
    let running = Host::new().serve(Arc::new(Trials(Trial::new()))).await;
    let session = running.open().await;
    let (one, two, none) = (
        session.mount("one").await,
        session.mount("two").await,
        session.mount("").await,
    );
    assert_eq!(one.read("x").await["is"]["uuid"], "uuid of one");
    assert_eq!(two.read("x").await["is"]["uuid"], "uuid of two");
    assert_eq!(none.read("x").await["is"]["uuid"], "uuid of ");
    one.read("put").await;
    assert_eq!(one.store.entries.lock().unwrap().len(), 1);
    assert!(two.store.entries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_mount_that_was_never_set_up() {
    let trial = Trial::new();
    let running = Host::new()
        .serve(Arc::new(Trials(Arc::clone(&trial))))
        .await;
    let session = running.open().await;
    let mut mount = session.mount("known").await;
    mount.id = "unknown".to_owned();
    let status = mount.try_call("read", "x", "null").await.unwrap_err();
    assert_eq!(status.message(), "this mount is not set up");
    assert_eq!(trial.calls(), 0);
}

#[tokio::test]
async fn cleanup_may_come_twice() {
    let trial = Trial::new();
    let running = Host::new()
        .serve(Arc::new(Trials(Arc::clone(&trial))))
        .await;
    let session = running.open().await;
    let (gone, stays) = (session.mount("gone").await, session.mount("stays").await);
    for _ in 0..2 {
        let request = for_mount("gone", pb::Empty {});
        session.backend.clone().cleanup(request).await.unwrap();
    }
    assert_eq!(trial.cleanups.load(Ordering::SeqCst), 1);
    gone.try_call("read", "x", "null").await.unwrap_err();
    stays.read("x").await;
}

#[tokio::test]
async fn what_the_host_says_about_the_type() {
    let secrets = Some(MountType::Secrets);
    let auth = Some(MountType::Auth);
    for (args, said, expected) in [
        (None, &[][..], Some(1)),
        (None, &[("plugin_type", "secret")][..], Some(1)),
        (None, &[("plugin_type", "auth")][..], Some(2)),
        (auth, &[][..], Some(2)),
        (auth, &[("plugin_type", "auth")][..], Some(2)),
        (auth, &[("plugin_type", "secret")][..], None),
        (secrets, &[("plugin_type", "auth")][..], None),
        (secrets, &[("plugin_type", "database")][..], None),
    ] {
        let minute = Duration::from_secs(60);
        let factory = Arc::new(Trials(Trial::new()));
        let running = Host::new().serve_as(factory, args, minute).await;
        let session = running.open().await;
        let id = session.offer(&Arc::new(Store::default())).await;
        let err = session.set_up("m", id, said).await;
        assert_eq!(err.is_empty(), expected.is_some(), "{err}");
        let told = session
            .backend
            .clone()
            .r#type(for_mount("m", pb::Empty {}))
            .await;
        assert_eq!(told.ok().map(|told| told.into_inner().r#type), expected);
    }
}

#[tokio::test]
async fn special_paths_and_invalidation() {
    let trial = Trial::new();
    let running = Host::new()
        .serve(Arc::new(Trials(Arc::clone(&trial))))
        .await;
    let session = running.open().await;
    session.mount("m").await;
    let mut backend = session.backend.clone();
    let special = backend.special_paths(for_mount("m", pb::Empty {})).await;
    let paths = special.unwrap().into_inner().paths.unwrap();
    assert_eq!(paths.root, ["root"]);
    assert_eq!(paths.unauthenticated, ["public/*"]);
    assert_eq!(paths.seal_wrap_storage, ["keys/"]);
    let key = pb::InvalidateKeyArgs {
        key: "agents/a".to_owned(),
    };
    backend.invalidate_key(for_mount("m", key)).await.unwrap();
    assert_eq!(*trial.invalidated.lock().unwrap(), ["agents/a"]);
}
