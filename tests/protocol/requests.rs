//! Requests: which of them reach a handler, and what becomes of those that
//! go wrong.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::host::{Host, Mount, Session, for_mount};
use crate::trial::{Trial, Trials};
use crate::wire::pb;

async fn mounted() -> (Arc<Trial>, Session, Mount) {
    let trial = Trial::new();
    let running = Host::new()
        .serve(Arc::new(Trials(Arc::clone(&trial))))
        .await;
    let session = running.open().await;
    let mount = session.mount("m").await;
    // The plugin outlives the handle; it ends with the session.
    (trial, session, mount)
}

#[tokio::test]
async fn operations_that_never_reach_a_handler() {
    let (trial, _session, mount) = mounted().await;
    for operation in [
        "resolve-path",
        "resolve-role",
        "alias-lookahead",
        "patch",
        "scan",
        "header",
        "recover",
        "",
        "READ",
        "read ",
    ] {
        let reply = mount.call(operation, "x", r#"{"a":1}"#).await;
        assert_eq!(reply.err.unwrap().err_type, 5, "{operation}");
        assert_eq!(reply.response, None);
        let check = mount.exists(operation, "there").await;
        assert!(!check.check_found && check.err.is_none());
    }
    assert_eq!(trial.calls(), 0);
    for operation in [
        "create", "read", "update", "delete", "list", "help", "renew", "revoke", "rollback",
    ] {
        let reply = mount.call(operation, "x", "{}").await;
        assert_eq!(reply.err, None, "{operation}");
    }
    assert_eq!(trial.calls(), 9);
}

#[tokio::test]
async fn a_lease_and_what_the_host_kept_of_it() {
    let (_trial, _session, mount) = mounted().await;
    let given = mount.call("read", "lease", "{}").await.response.unwrap();
    let secret = given.secret.unwrap();
    let options = secret.lease_options.unwrap();
    let minute = 60_000_000_000;
    assert_eq!((options.ttl, options.max_ttl), (minute, 10 * minute));
    assert!(options.renewable);
    assert_eq!(options.issue_time.unwrap().seconds, 1_700_000_000);
    assert_eq!(secret.internal_data, r#"{"kept":"x"}"#);
    assert!(given.auth.is_none());

    let again = pb::Request {
        operation: "renew".to_owned(),
        path: "lease".to_owned(),
        data: "null".to_owned(),
        secret: Some(pb::Secret {
            lease_options: Some(pb::LeaseOptions {
                increment: 30_000_000_000,
                ..options
            }),
            ..secret
        }),
        ..pb::Request::default()
    };
    let renewed = mount.send(again).await.response.unwrap();
    let seen: serde_json::Value = serde_json::from_str(&renewed.data).unwrap();
    let wanted = serde_json::json!({ "internal": { "kept": "x" }, "issued": 1_700_000_000, "increment": 30 });
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_login_and_its_renewal() {
    let (_trial, _session, mount) = mounted().await;
    let given = mount.call("update", "login", "{}").await.response.unwrap();
    let auth = given.auth.unwrap();
    assert_eq!(auth.policies, ["reader"]);
    assert_eq!(auth.metadata["agent"], "buyer");
    assert_eq!((auth.num_uses, auth.token_type), (1, 2));
    assert_eq!(auth.bound_cidrs, ["10.0.0.0/8"]);
    assert!(auth.no_default_policy && auth.alias.is_none());
    let options = auth.lease_options.unwrap();
    assert!(!options.renewable);
    assert_eq!(options.ttl, 60_000_000_000);
    assert_eq!(auth.explicit_max_ttl, 60_000_000_000);
    assert_eq!(given.data, r#"{"renews":false}"#);

    let again = pb::Request {
        operation: "renew".to_owned(),
        path: "login".to_owned(),
        auth: Some(auth),
        ..pb::Request::default()
    };
    let renewed = mount.send(again).await.response.unwrap();
    assert_eq!(renewed.data, r#"{"renews":true}"#);
}

#[tokio::test]
async fn what_the_host_kept_is_not_trusted_to_be_well_formed() {
    let (trial, _session, mount) = mounted().await;
    let broken = pb::Request {
        operation: "revoke".to_owned(),
        path: "lease".to_owned(),
        secret: Some(pb::Secret {
            internal_data: "[]".to_owned(),
            ..pb::Secret::default()
        }),
        ..pb::Request::default()
    };
    let reply = mount.send(broken).await;
    assert!(reply.response.unwrap().data.contains("error"));
    assert_eq!(trial.calls(), 0);
}

#[tokio::test]
async fn no_request_in_the_message() {
    let (trial, session, _mount) = mounted().await;
    let reply = session
        .backend
        .clone()
        .handle_request(for_mount("m", pb::HandleRequestArgs::default()))
        .await
        .unwrap();
    assert_eq!(reply.into_inner().err.unwrap().err_type, 5);
    assert_eq!(trial.calls(), 0);
}

#[tokio::test]
async fn data_that_is_no_object() {
    let (trial, _session, mount) = mounted().await;
    for data in ["[]", "7", "{", "\"", "nul"] {
        let reply = mount.call("update", "x", data).await;
        assert_eq!(reply.err, None);
        let answer = reply.response.unwrap().data;
        assert!(
            answer.starts_with(r#"{"error":"the request's data"#),
            "{answer}"
        );
    }
    assert_eq!(trial.calls(), 0);
    for data in ["", "null", "{}"] {
        assert_eq!(mount.call("update", "x", data).await.err, None);
    }
}

#[tokio::test]
async fn six_megabytes_both_ways() {
    let (_trial, _session, mount) = mounted().await;
    let long = "x".repeat(6 << 20);
    let data = serde_json::json!({ "long": long }).to_string();
    let reply = mount.call("update", "x", &data).await;
    assert!(reply.response.unwrap().data.len() > 6 << 20);
}

#[tokio::test]
async fn a_frame_that_is_no_message() {
    use tonic::client::Grpc;
    use tonic::codegen::http::uri::PathAndQuery;
    let (trial, session, mount) = mounted().await;
    let mut grpc = Grpc::new(session.channel.clone());
    grpc.ready().await.unwrap();
    // A `HealthCheckRequest` whose string is, as a `HandleRequestArgs`, a
    // field of the wrong wire type.
    let message = tonic_health::pb::HealthCheckRequest {
        service: "\u{1}\u{7f}".to_owned(),
    };
    let codec = tonic_prost::ProstCodec::<_, pb::HandleRequestReply>::default();
    let path = PathAndQuery::from_static("/pb.Backend/HandleRequest");
    let refused = grpc.unary(for_mount("m", message), path, codec).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Internal);
    assert_eq!(trial.calls(), 0);
    mount.read("x").await;
}

#[tokio::test]
async fn a_panic_is_the_fault_of_one_request() {
    let (_trial, _session, mount) = mounted().await;
    let err = mount.call("read", "panic", "null").await.err.unwrap();
    assert_eq!(err.err_type, 2);
    assert_eq!(err.err_msg, "internal error; request id request-1");
    let check = mount.exists("update", "panic").await;
    assert!(!check.check_found && check.err.is_none());
    mount.read("x").await;
}

#[tokio::test]
async fn answers_and_existence() {
    let (_trial, _session, mount) = mounted().await;
    let nothing = mount.call("read", "nothing", "null").await;
    assert_eq!((nothing.response, nothing.err), (None, None));
    let help = mount.call("help", "nothing", "null").await;
    assert_eq!(help.response.unwrap().data, "{}");
    let refused = mount.call("read", "refused", "null").await;
    assert_eq!(refused.response.unwrap().data, r#"{"error":"not you"}"#);
    assert_eq!(refused.err.unwrap().err_type, 8);
    for (path, found, exists, err) in [
        ("there", true, true, None),
        ("absent", true, false, None),
        ("x", false, false, None),
        ("refused", false, false, None),
        ("host", false, false, Some(0)),
    ] {
        let reply = mount.exists("update", path).await;
        assert_eq!((reply.check_found, reply.exists), (found, exists), "{path}");
        assert_eq!(reply.err.map(|err| err.err_type), err);
    }
}

#[tokio::test]
async fn a_handler_outlives_its_caller() {
    let (trial, _session, mount) = mounted().await;
    let call = mount.call("update", "slow", "{}");
    tokio::time::timeout(Duration::from_millis(30), call)
        .await
        .unwrap_err();
    assert_eq!(trial.calls(), 1);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(trial.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_thousand_callers_hang_up() {
    let (trial, _session, mount) = mounted().await;
    for _ in 0..20 {
        let begun = trial.calls();
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let mount = mount.clone();
                tokio::spawn(async move { mount.call("update", "slow", "{}").await })
            })
            .collect();
        // Some have begun when all of them hang up.
        while trial.calls() == begun {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        calls.iter().for_each(tokio::task::JoinHandle::abort);
    }
    mount.read("x").await;
    // What has begun ends all the same.
    while trial.finished.load(Ordering::SeqCst) < trial.calls().saturating_sub(1) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn strangers_have_little_parsed() {
    let (trial, _session, mount) = mounted().await;
    let data = format!(r#"{{"jwt":"{}"}}"#, "x".repeat(256 * 1024));
    let request = |path: &str, unauthenticated| pb::Request {
        operation: "update".to_owned(),
        path: path.to_owned(),
        data: data.clone(),
        unauthenticated,
        ..pb::Request::default()
    };
    for (path, unauthenticated) in [("login", false), ("x", true)] {
        let reply = mount.send(request(path, unauthenticated)).await;
        let said = reply.response.unwrap().data;
        assert!(said.contains("too long"), "{path}: {said}");
    }
    assert_eq!(trial.calls(), 0);
    let reply = mount.send(request("x", false)).await;
    assert_eq!(reply.err, None);
    assert_eq!(trial.calls(), 1);
}
