//! The first milliseconds: who starts whom, and who may speak to whom.

use std::os::unix::fs::PermissionsExt as _;

use crate::host::{Credentials, Host, Running, command};
use crate::trial::{Trial, Trials};
use crate::wire::logical::Empty;
use crate::wire::logical::plugin_version_client::PluginVersionClient;

#[tokio::test]
async fn the_line() {
    let running = Host::new().spawn().await;
    assert_eq!(running.fields.len(), 6);
    assert_eq!(running.fields[..3], ["1", "5", "unix"]);
    assert_eq!(running.fields[4], "grpc");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&running.socket), 0o600);
    assert_eq!(mode(running.socket.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn started_by_hand() {
    let output = command(&[]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("A server starts it by itself"), "{text}");
}

#[tokio::test]
async fn hosts_that_cannot_be_served() {
    for (name, value) in [
        ("PLUGIN_PROTOCOL_VERSIONS", "3,4"),
        ("PLUGIN_PROTOCOL_VERSIONS", "15"),
        ("PLUGIN_CLIENT_CERT", ""),
        ("PLUGIN_CLIENT_CERT", "not a certificate"),
        ("TMPDIR", "/nonexistent"),
    ] {
        let mut env = Host::new().env();
        env.retain(|(key, _)| *key != name);
        env.push((name, value.into()));
        let output = command(&env).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}={value}");
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["@level"], "error");
    }
}

#[tokio::test]
async fn only_the_host_is_let_in() {
    let running = Host::new()
        .serve(std::sync::Arc::new(Trials(Trial::new())))
        .await;
    let host = running.host.credentials.clone();
    for stranger in [
        None,
        Some(Credentials::generate()),
        Some(host.without_its_key()),
    ] {
        running.connect(stranger.as_ref()).await.unwrap_err();
        assert!(running.socket.exists());
    }
    let channel = running.connect(Some(&host)).await.unwrap();
    assert_eq!(
        Running::left_behind(&running.host),
        Vec::<std::path::PathBuf>::new()
    );
    let version = PluginVersionClient::new(channel).version(Empty {}).await;
    assert_eq!(version.unwrap().into_inner().plugin_version, "v1.2.3");
}

#[tokio::test]
async fn one_who_says_nothing_keeps_nobody_waiting() {
    let running = Host::new()
        .serve(std::sync::Arc::new(Trials(Trial::new())))
        .await;
    let _silent = tokio::net::UnixStream::connect(&running.socket)
        .await
        .unwrap();
    running.open().await.mount("m").await;
}
