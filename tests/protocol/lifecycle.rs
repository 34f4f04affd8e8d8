//! The end, whoever brings it about: no process and no file stays.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::host::{Host, Running};
use crate::trial::{Trial, Trials};
use crate::wire::goplugin::Empty;
use crate::wire::goplugin::grpc_controller_client::GrpcControllerClient;

const NOTHING: Vec<PathBuf> = Vec::new();

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn shutdown_is_answered_and_quick() {
    let running = Host::new().spawn().await;
    let session = running.open().await;
    let started = Instant::now();
    GrpcControllerClient::new(session.channel.clone())
        .shutdown(Empty {})
        .await
        .unwrap();
    let (host, _) = running.ended().await;
    assert!(started.elapsed() < Duration::from_millis(500));
    assert_eq!(Running::left_behind(&host), NOTHING);
}

#[tokio::test]
async fn shutdown_lets_handlers_finish() {
    let trial = Trial::new();
    let running = Host::new()
        .serve(Arc::new(Trials(Arc::clone(&trial))))
        .await;
    let session = running.open().await;
    let mount = session.mount("m").await;
    tokio::spawn(async move { mount.call("update", "slow", "{}").await });
    while trial.calls() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    GrpcControllerClient::new(session.channel.clone())
        .shutdown(Empty {})
        .await
        .unwrap();
    running.ended().await;
    assert_eq!(trial.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_host_connects_and_dies() {
    let running = Host::new().spawn().await;
    drop(running.open().await);
    let (host, log) = running.ended().await;
    assert_eq!(Running::left_behind(&host), NOTHING);
    assert_eq!(log, "");
}

#[tokio::test]
async fn the_host_dies_before_it_connects() {
    let host = Host::new();
    let script = format!(
        "{} >'{}/line' & sleep 0.3; exit",
        env!("CARGO_BIN_EXE_vault-plugin-agentic"),
        host.dir.path().display()
    );
    let mut parent = Command::new("sh");
    parent.env_clear().args(["-c", &script]);
    parent.env("PATH", "/usr/bin:/bin").envs(host.env());
    parent.status().unwrap();
    let line = host.dir.path().join("line");
    let text = std::fs::read_to_string(&line).unwrap();
    let socket = PathBuf::from(text.split('|').nth(3).unwrap());
    std::fs::remove_file(line).unwrap();
    let started = Instant::now();
    while socket.exists() {
        assert!(started.elapsed() < Duration::from_secs(5), "an orphan");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(Running::left_behind(&host), NOTHING);
}

#[tokio::test]
async fn told_by_signals() {
    let running = Host::new().spawn().await;
    signal("INT", running.pid());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let session = running.open().await;
    session.mount("m").await;
    signal("TERM", running.pid());
    let (host, _) = running.ended().await;
    assert_eq!(Running::left_behind(&host), NOTHING);
    let running = Host::new().spawn().await;
    signal("TERM", running.pid());
    let (host, _) = running.ended().await;
    assert_eq!(Running::left_behind(&host), NOTHING);
}

#[tokio::test]
async fn the_hosts_streams_stay_open_and_silent() {
    let running = Host::new().serve(Arc::new(Trials(Trial::new()))).await;
    let mut session = running.open().await;
    session.mount("m").await.read("x").await;
    let silence = Duration::from_millis(100);
    let broker = tokio::time::timeout(silence, session.broker.message());
    let stdio = tokio::time::timeout(silence, session.stdio.message());
    let (broker, stdio) = tokio::join!(broker, stdio);
    assert!(broker.is_err() && stdio.is_err());
}

#[tokio::test]
async fn nobody_mounts_anything() {
    let idle = Duration::from_millis(300);
    let factory = Arc::new(Trials(Trial::new()));
    let running = Host::new().serve_as(factory, None, idle).await;
    let session = running.open().await;
    let mount = session.mount("m").await;
    tokio::time::sleep(idle * 2).await;
    mount.read("x").await;
    let request = crate::host::for_mount("m", crate::wire::pb::Empty {});
    session.backend.clone().cleanup(request).await.unwrap();
    running.ended().await;
}
