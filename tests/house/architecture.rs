//! Who may import whom: every arrow between the wings, the rooms and the files of
//! the plugin. ARCHITECTURE.md draws the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The wings, from the ground up. None imports one above it.
const WINGS: [&str; 8] = [
    "host",
    "record",
    "facts",
    "grants",
    "authorize",
    "issue",
    "faces",
    "mount",
];

/// Folders whose files know each other through what they share in the folder's own
/// file: the process, told in one piece, and the thread that exports.
const OF_ONE_PIECE: [&str; 2] = ["host::plugin", "record::export"];

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

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

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

/// Every source file below a folder, by its path there, without its tests.
fn code(root: &str) -> BTreeMap<String, String> {
    let root = top().join(root);
    let mut found = Vec::new();
    sources(&root, &mut found);
    let read = |path: PathBuf| {
        let below = path.strip_prefix(&root).unwrap().to_string_lossy();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
        (below.into_owned(), code)
    };
    found
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs") && !path.ends_with("fake.rs"))
        .map(read)
        .collect()
}

/// The module that a file is, as in `facts::agents::api`.
fn module(path: &str) -> String {
    let path = path.trim_end_matches(".rs");
    path.trim_end_matches("/mod").replace('/', "::")
}

/// Every path below `crate::` that a text names, groups spelled out.
fn named(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        spell_out("", rest, &mut all);
    }
    all
}

/// Reads a path, or a group of them, and says where it ends.
fn spell_out<'t>(before: &str, text: &'t str, all: &mut BTreeSet<String>) -> &'t str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (path, mut rest) = text.split_at(end);
    let path = [before, path].concat();
    if !path.ends_with("::") || !rest.starts_with('{') {
        all.insert(path.trim_end_matches("::").to_owned());
        return rest;
    }
    rest = rest.trim_start_matches('{');
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        rest = spell_out(&path, rest, all);
        // What it is called here, and what separates it from the next.
        let next = rest.find([',', '}']).unwrap_or(rest.len());
        rest = rest.split_at(next).1.trim_start_matches(',');
        if rest.is_empty() {
            return rest;
        }
    }
}

fn wing(path: &str) -> Option<usize> {
    let first = path.split("::").next().unwrap();
    WINGS.iter().position(|wing| *wing == first)
}

/// The room of a module: a folder of a wing, or the wing where it has no folders.
fn room(module: &str) -> String {
    let mut parts = module.split("::");
    let wing = parts.next().unwrap();
    match (wing, parts.next()) {
        ("host" | "record" | "facts" | "grants" | "issue", Some(room)) => format!("{wing}::{room}"),
        _ => wing.to_owned(),
    }
}

#[test]
fn data_flows_one_way() {
    let mut broken = Vec::new();
    for (path, text) in code("src") {
        let from = module(&path);
        let Some(own) = wing(&from) else { continue };
        for name in named(&text) {
            if wing(&name).is_some_and(|other| other > own) {
                broken.push(format!("{path} uses {name}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A feature works with the stores of its own wing and below, through the context it
/// is given. Who puts all of them together is one file.
#[test]
fn one_place_names_all_stores() {
    let files: Vec<String> = code("src")
        .into_iter()
        .filter(|(_, text)| {
            let stores = |name: &&&str| text.contains(&format!("{name}::Stores"));
            WINGS.iter().filter(stores).count() > 1
        })
        .map(|(path, _)| path)
        .collect();
    assert_eq!(files, ["mount/state.rs"]);
}

/// The groups of more than one that lead to each other.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(one) = next.pop() {
            for other in arrows.get(&one).into_iter().flatten() {
                if seen.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<String>> =
        arrows.keys().map(|one| (one, reach(one))).collect();
    let circle = |one: &String| -> BTreeSet<String> {
        all[one]
            .iter()
            .filter(|other| all.get(other).is_some_and(|back| back.contains(one)))
            .cloned()
            .collect()
    };
    let found: BTreeSet<_> = arrows.keys().map(circle).collect();
    found
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .collect()
}

#[test]
fn no_rooms_lead_to_each_other() {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in code("src") {
        let from = room(&module(&path));
        for name in named(&text).iter().filter(|name| wing(name).is_some()) {
            // A wing's own file hands its context and stores to its rooms.
            let to = room(name);
            let is_part = !name.contains("::") || WINGS.contains(&to.as_str());
            if to != from && !is_part {
                arrows.entry(from.clone()).or_default().insert(to);
            }
        }
    }
    assert_eq!(circles(&arrows), Vec::<BTreeSet<String>>::new());
}

#[test]
fn no_files_lead_to_each_other() {
    let files = code("src");
    let modules: BTreeSet<String> = files.keys().map(|path| module(path)).collect();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in &files {
        let from = module(path);
        for name in named(text) {
            // The longest part of a path that is a file.
            let parts: Vec<&str> = name.split("::").collect();
            let file = (1..=parts.len())
                .rev()
                .map(|most| parts[..most].join("::"))
                .find(|part| modules.contains(part));
            if let Some(file) = file.filter(|file| *file != from) {
                arrows.entry(from.clone()).or_default().insert(file);
            }
        }
    }
    for circle in circles(&arrows) {
        let piece = OF_ONE_PIECE
            .iter()
            .any(|folder| circle.iter().all(|file| file.starts_with(folder)));
        assert!(piece, "{circle:#?}");
    }
}

/// What reads and writes storage knows neither who asks nor any path.
#[test]
fn stores_know_no_request() {
    for (path, text) in code("src") {
        if path.ends_with("/store.rs") {
            let knows = named(&text).iter().any(|name| name.ends_with("::Cx"));
            assert!(!knows, "{path} knows the request");
        }
    }
}

#[test]
fn judgement_is_pure() {
    for (path, code) in code("crates/core/src/engine") {
        for word in IMPURE {
            assert!(!code.contains(word), "{path} mentions {word}");
        }
        assert!(!code.contains("async fn"), "{path} is async");
    }
}

#[test]
fn features_do_not_know_the_wire() {
    for (path, text) in code("src") {
        // Exporting speaks a wire of its own: that of a collector.
        let speaks = path.starts_with("host/plugin/");
        if speaks || path == "main.rs" || path == "record/export/otlp.rs" {
            continue;
        }
        for word in ["tonic", "prost"] {
            assert!(!text.contains(word), "{path} mentions {word}");
        }
    }
}

/// What people run is not in the process that a server starts.
#[test]
fn the_servers_process_links_no_tools() {
    let manifest = fs::read_to_string(top().join("Cargo.toml")).unwrap();
    let (_, own) = manifest.split_once("\n[dependencies]\n").unwrap();
    let own = own.split("\n[").next().unwrap();
    assert!(own.contains("agentic-core"), "{own}");
    assert!(
        !own.lines().any(|line| line.starts_with("agentic ")),
        "{own}"
    );
}
