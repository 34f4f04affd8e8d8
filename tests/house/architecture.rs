//! Who may import whom. ARCHITECTURE.md draws the same.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms it may use. A room that is not here may use all.
const RULES: &[(&str, &[&str])] = &[
    ("model", &["model", "jose"]),
    ("engine", &["engine", "model"]),
    ("jose", &["jose", "model"]),
    ("framework", &["framework", "model"]),
    ("telemetry", &["telemetry", "model"]),
    ("plugin", &["plugin", "framework", "telemetry", "model"]),
    ("cli", &["cli", "engine", "model"]),
    ("trust.rs", &[]),
    ("addresses.rs", &[]),
];

/// Stores know storage and nouns; no store knows a path, or the state that
/// holds it.
const STORES: &[&str] = &["framework", "model", "engine", "jose", "config"];

/// Crates that would bring I/O, a clock or chance into judgement.
const IMPURE: &[&str] = &[
    "tokio",
    "tonic",
    "tracing",
    "use ring",
    "std::fs",
    "std::net::Tcp",
    "HashMap",
    "HashSet",
    "Instant",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file by its path below `src`, of all crates.
fn every_source() -> Vec<(String, String)> {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for root in [
        "src",
        "crates/core/src",
        "crates/net/src",
        "crates/tool/src",
    ]
    .map(|root| top.join(root))
    {
        let mut found = Vec::new();
        sources(&root, &mut found);
        for path in found {
            let below = path.strip_prefix(&root).unwrap().to_string_lossy();
            all.push((below.into_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
    all
}

fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::").skip(1).filter_map(|rest| {
        let name = rest
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()?;
        (!name.is_empty()).then_some(name)
    })
}

#[test]
fn data_flows_one_way() {
    let mut broken = Vec::new();
    for (path, text) in every_source() {
        let room = path.split('/').next().unwrap();
        let allowed = if path.ends_with("/store.rs") {
            Some(STORES)
        } else {
            RULES
                .iter()
                .find(|(name, _)| *name == room)
                .map(|(_, allowed)| *allowed)
        };
        let Some(allowed) = allowed else { continue };
        for import in imports(&text) {
            if import != room && !allowed.contains(&import) {
                broken.push(format!("{path} uses {import}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn judgement_is_pure() {
    for (path, text) in every_source() {
        if !path.starts_with("engine/") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in IMPURE {
            assert!(!code.contains(word), "{path} mentions {word}");
        }
        assert!(!code.contains("async fn"), "{path} is async");
    }
}

#[test]
fn features_do_not_know_the_wire() {
    for (path, text) in every_source() {
        // Exporting speaks a wire of its own: that of a collector.
        if path.starts_with("plugin/") || path == "main.rs" || path == "export/otlp.rs" {
            continue;
        }
        for word in ["tonic", "prost"] {
            assert!(!text.contains(word), "{path} mentions {word}");
        }
    }
}
