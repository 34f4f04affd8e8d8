//! The way back to the host: storage and system view.

use std::sync::Arc;

use serde_json::json;

use crate::host::{Host, Mount, Session};
use crate::store::Store;
use crate::trial::{Trial, Trials};

const READ_ONLY: &str = "cannot write to readonly storage";

async fn mounted(store: Store) -> (Session, Mount) {
    let running = Host::new().serve(Arc::new(Trials(Trial::new()))).await;
    let session = running.open().await;
    let mount = session.mount_with("m", store).await;
    (session, mount)
}

fn calls(mount: &Mount) -> Vec<&'static str> {
    std::mem::take(&mut *mount.store.calls.lock().unwrap())
}

#[tokio::test]
async fn one_write_needs_no_transaction() {
    let (_session, mount) = mounted(Store::default()).await;
    mount.read("put").await;
    assert_eq!(calls(&mount), ["put"]);
}

#[tokio::test]
async fn several_writes_are_one() {
    let (_session, mount) = mounted(Store::default()).await;
    let one = ["begin", "put", "put", "put", "commit"];
    mount.read("commit").await;
    assert_eq!(calls(&mount), [&["is_transactional"][..], &one].concat());
    mount.read("commit").await;
    assert_eq!(calls(&mount), one);
    assert_eq!(mount.store.entries.lock().unwrap().len(), 3);
    assert_eq!(mount.read("page").await["is"], json!(["second"]));
    assert_eq!(mount.read("all").await["is"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_value_is_replaced_only_if_it_is_what_was_seen() {
    let (_session, mount) = mounted(Store::default()).await;
    mount.read("commit").await;
    calls(&mount);
    mount.read("replace").await;
    assert_eq!(calls(&mount), ["begin", "get", "put", "commit"]);
    let entries = || mount.store.entries.lock().unwrap().clone();
    let replaced = entries();
    let refused = mount.call("update", "replace", "{}").await;
    let told = refused.response.unwrap().data;
    assert!(told.contains("\"http_status_code\":409"), "{told}");
    assert_eq!(calls(&mount), ["begin", "get", "rollback"]);
    assert_eq!(entries(), replaced);
    assert!(mount.store.open.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_transactions_a_value_is_replaced_by_one_write() {
    let (_session, mount) = mounted(Store {
        plain: true,
        ..Store::default()
    })
    .await;
    mount.read("replace").await;
    assert_eq!(calls(&mount), ["is_transactional", "put"]);
}

#[tokio::test]
async fn a_refused_write_undoes_the_others_and_is_told_verbatim() {
    let (_session, mount) = mounted(Store {
        refuse: Some(("second", READ_ONLY)),
        ..Store::default()
    })
    .await;
    let err = mount.call("update", "commit", "{}").await.err.unwrap();
    assert_eq!((err.err_type, err.err_msg.as_str()), (0, READ_ONLY));
    assert_eq!(calls(&mount).last(), Some(&"rollback"));
    assert!(mount.store.entries.lock().unwrap().is_empty());
    assert!(mount.store.open.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_failed_call_is_told_verbatim() {
    let (_session, mount) = mounted(Store {
        broken: Some("please forward to the active node"),
        ..Store::default()
    })
    .await;
    for path in ["commit", "put", "page", "all"] {
        let err = mount.call("update", path, "{}").await.err.unwrap();
        assert_eq!(err.err_type, 0);
        assert_eq!(err.err_msg, "please forward to the active node");
    }
}

#[tokio::test]
async fn a_host_without_pages_and_transactions() {
    let (_session, mount) = mounted(Store {
        plain: true,
        ..Store::default()
    })
    .await;
    mount.read("commit").await;
    assert_eq!(calls(&mount), ["is_transactional", "put", "put", "put"]);
    assert_eq!(mount.read("page").await["is"], json!(["second"]));
    assert_eq!(calls(&mount), ["page", "list"]);
    assert_eq!(mount.read("page").await["is"], json!(["second"]));
    assert_eq!(calls(&mount), ["list"]);
}

#[tokio::test]
async fn the_system_view() {
    for (state, read_only) in [(12288, false), (8224, false), (24576, true), (64, true)] {
        let (_session, mount) = mounted(Store {
            state,
            ..Store::default()
        })
        .await;
        assert_eq!(
            mount.read("system").await["is"],
            json!({"ttl": 3600, "read_only": read_only, "version": "2.7.2",
                "entity": ["bob", true], "unknown": true, "groups": ["ops"]})
        );
    }
}
