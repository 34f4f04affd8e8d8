//! The dashboard and the alerts in `examples/observability` speak of what is
//! counted, and of nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::observing::metrics;
use crate::world::World;

fn file(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/observability");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The names of metrics in an expression.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("agentic_"))
        .map(ToOwned::to_owned)
        .collect()
}

/// The names that a mount shows, and those of the parts of histograms.
async fn shown() -> BTreeSet<String> {
    let text = metrics(&World::with_agent().await).await;
    let mut names = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        if kind == "histogram" {
            names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")));
        } else {
            names.insert(name.to_owned());
        }
    }
    names
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match (key.as_str(), inner) {
                    ("expr" | "query", Value::String(text)) => found.push(text.clone()),
                    _ => expressions(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_shows_what_is_counted() {
    let dashboard: Value = serde_json::from_str(&file("grafana-dashboard.json")).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    let used = named(&found.join(" "));
    let shown = shown().await;
    assert!(used.is_subset(&shown), "{:?}", used.difference(&shown));
    let unused: Vec<_> = shown.difference(&used).collect();
    assert_eq!(
        unused,
        ["agentic_export_queued_total"],
        "the dashboard leaves these out"
    );
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels
        .iter()
        .map(|panel| panel["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        assert!(!panel["title"].as_str().unwrap().is_empty());
        assert!(!panel["targets"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_alerts_watch_what_is_counted() {
    let used = named(&file("alerts.yml"));
    let shown = shown().await;
    assert!(
        used.len() > 5 && used.is_subset(&shown),
        "{:?}",
        used.difference(&shown)
    );
}
