//! Every operation on every path, declared or not, with every kind of value in
//! every field: answers, and never a fault of ours.

use serde_json::{Map, Value, json};
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::mount::routes;

use crate::world::{AGENT_ENTITY, World};

const OPERATIONS: [Operation; 9] = [
    Operation::Create,
    Operation::Read,
    Operation::Update,
    Operation::Delete,
    Operation::List,
    Operation::Help,
    Operation::Periodic,
    Operation::Renew,
    Operation::Revoke,
];

fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("text"),
        json!("a\u{202e}b\n"),
        json!("x".repeat(100_000)),
        json!([]),
        json!([1, null, {}]),
        json!({}),
        json!({ "a": { "b": [] } }),
        json!("{"),
        json!("../.."),
    ]
}

fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "bot" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn every_operation_on_every_path_is_answered() {
    let world = World::with_agent().await;
    let mut paths: Vec<String> = routes(MountType::Secrets)
        .iter()
        .map(|route| filled(route.place.path))
        .collect();
    paths.extend(
        [
            "",
            "/",
            "nothing",
            "agents/bot/unknown",
            "agents//bot",
            "agents/bot/",
            "creds",
            "AGENTS",
            "agents/..",
            "a/".repeat(5000).as_str(),
        ]
        .map(String::from),
    );
    for path in &paths {
        for operation in OPERATIONS {
            for entity in [None, Some(AGENT_ENTITY)] {
                let answer = world
                    .call(operation, path, json!({ "unknown": 1 }), entity)
                    .await;
                assert!(
                    !matches!(answer, Err(Error::Internal(_) | Error::Host(_))),
                    "{operation:?} {path}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_field_takes_any_value_with_an_answer() {
    for route in routes(MountType::Secrets) {
        let world = World::with_agent().await;
        let path = filled(route.place.path);
        for field in &route.fields {
            for value in values() {
                let mut data = Map::new();
                data.insert(field.name.clone(), value.clone());
                for operation in [
                    Operation::Read,
                    Operation::Update,
                    Operation::List,
                    Operation::Delete,
                ] {
                    let answer = world
                        .call(operation, &path, Value::Object(data.clone()), None)
                        .await;
                    assert!(
                        !matches!(answer, Err(Error::Internal(_) | Error::Host(_))),
                        "{operation:?} {path} with {} = {value}: {answer:?}",
                        field.name
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn unauthenticated_requests_reach_public_paths_only() {
    let world = World::with_agent().await;
    for route in routes(MountType::Secrets) {
        for operation in [
            Operation::Read,
            Operation::Update,
            Operation::Delete,
            Operation::List,
        ] {
            let mut request = crate::world::request(
                operation,
                &filled(route.place.path),
                json!({ "target": "crm", "action": "read" }),
                None,
            );
            request.unauthenticated = true;
            let answer = world.backend.handle(request).await;
            if !route.place.path.starts_with(".well-known/") {
                assert!(
                    matches!(
                        answer,
                        Err(Error::Denied(_) | Error::NoRoute | Error::Unsupported)
                    ),
                    "{operation:?} {}: {answer:?}",
                    route.place.path
                );
            }
        }
    }
}

#[tokio::test]
async fn what_was_sent_in_vain_is_said() {
    let world = World::with_agent().await;
    let request = crate::world::request(
        Operation::Update,
        "agents/bot",
        json!({ "name": "other", "zzz": 1, "yyy": 2 }),
        None,
    );
    let warnings = world
        .backend
        .handle(request)
        .await
        .unwrap()
        .unwrap()
        .warnings;
    assert!(
        warnings.contains(&"Endpoint ignored these unrecognized parameters: [yyy zzz]".to_owned()),
        "{warnings:?}"
    );
    assert!(
        warnings
            .iter()
            .any(|warning| warning.ends_with("captured from the endpoint's path: [name]")),
        "{warnings:?}"
    );
}

#[test]
fn no_two_endpoints_claim_one_path() {
    let mut places: Vec<_> = routes(MountType::Secrets)
        .iter()
        .map(|route| (route.place.path, route.place.verb))
        .collect();
    let all = places.len();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), all);
}

#[test]
fn everything_is_documented() {
    for route in routes(MountType::Secrets) {
        assert!(!route.synopsis.is_empty(), "{route:?}");
        for field in &route.fields {
            assert!(!field.description.is_empty(), "{route:?}: {}", field.name);
            assert!(route.place.path.contains('{') || !field.schema.is_empty());
        }
    }
}
