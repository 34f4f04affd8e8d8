//! What people and programs see of a mount, written down: a change shows.
//! `make golden` rewrites; then look at the difference.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::mount::routes;

use crate::world::World;

fn compare(name: &str, now: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, now).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == now,
        "{name} has changed; run `make golden` and look at the difference"
    );
}

async fn help(path: &str) -> Value {
    let world = World::new().await;
    world
        .call(Operation::Help, path, json!({}), None)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn the_openapi_document() {
    let document = help("").await["openapi"].clone();
    compare("openapi.json", &format!("{:#}\n", document));
    check(&document, &mut Vec::new());
}

/// What the host's decoder can read: one type each, nothing that is dropped.
fn check(value: &Value, path: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for odd in [
                "$ref",
                "oneOf",
                "anyOf",
                "allOf",
                "nullable",
                "additionalProperties",
            ] {
                assert!(!map.contains_key(odd), "{odd} at {path:?}");
            }
            if let Some(kind) = map.get("type") {
                assert!(kind.is_string() || kind.is_object(), "type at {path:?}");
            }
            for (key, inner) in map {
                path.push(key.clone());
                check(inner, path);
                path.pop();
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check(item, path)),
        _ => {}
    }
}

#[tokio::test]
async fn the_help_texts() {
    let mut text = help("").await["help"].as_str().unwrap().to_owned();
    let mut paths: Vec<&str> = routes(MountType::Secrets)
        .iter()
        .map(|route| route.place.path)
        .collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let filled = path.replace(['{', '}'], "");
        let _ = write!(
            text,
            "\n\n=== {path}\n\n{}",
            help(&filled).await["help"].as_str().unwrap()
        );
    }
    compare("help.txt", &format!("{text}\n"));
}

#[test]
fn the_surface() {
    let mut lines: Vec<String> = routes(MountType::Secrets)
        .iter()
        .map(|route| {
            format!(
                "{:<45} {:<7} {:?}",
                route.place.path,
                format!("{:?}", route.place.verb).to_lowercase(),
                route.audience
            )
        })
        .collect();
    lines.sort();
    compare("surface.txt", &format!("{}\n", lines.join("\n")));
}
