//! The mounts of the plugin on a server.

use serde_json::Value;

use super::found::Found;
use crate::cli::server::Api;

/// The type of our mounts, unless somebody called the plugin otherwise.
const TYPE: &str = "agentic";

/// One of our mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// With `auth/`, if it is an auth mount, and with a slash at its end.
    pub(super) path: String,
    /// Whether nobody needs `sudo` there yet, or may not.
    pub(super) is_old: bool,
}

/// Finds the mounts that are wanted, or all that are ours. Says which.
///
/// Where one table of mounts cannot be read, that is said, and what was wanted is
/// taken as it is.
pub(super) fn find(
    server: &impl Api,
    wanted: &[String],
    found: &mut Found,
) -> Result<Vec<Mount>, String> {
    let mut known = Vec::new();
    let mut failures = Vec::new();
    for (table, prefix) in [("sys/mounts", ""), ("sys/auth", "auth/")] {
        match server.read(table) {
            Ok(answer) => {
                let all = answer.get("data").and_then(Value::as_object).cloned();
                for (path, info) in all.into_iter().flatten() {
                    known.push(([prefix, path.as_str()].concat(), info));
                }
            }
            Err(failure) => failures.push(failure),
        }
    }
    let mounts: Vec<Mount> = if wanted.is_empty() {
        if failures.len() > 1 {
            let failures: Vec<String> = failures.into_iter().map(String::from).collect();
            return Err(format!(
                "cannot tell which mounts there are; name them with --mount: {}",
                failures.join("; ")
            ));
        }
        let ours = known.iter().filter(|(_, info)| text(info, "type") == TYPE);
        ours.map(|(path, info)| Mount {
            path: path.clone(),
            is_old: is_old(info),
        })
        .collect()
    } else {
        wanted.iter().map(|path| named(path, &known)).collect()
    };
    for mount in &mounts {
        let info = known.iter().find(|(path, _)| *path == mount.path);
        match info {
            Some((_, info)) => {
                let version = version(info);
                let version = if version.is_empty() {
                    "of an unknown version"
                } else {
                    version
                };
                found.note("looked at", &format!("{} {version}", mount.path));
            }
            None if failures.is_empty() => {
                return Err(format!("there is no mount at {}", mount.path));
            }
            None => found.note("looked at", &mount.path),
        }
    }
    for failure in failures {
        found.unread(&failure.to_string());
    }
    Ok(mounts)
}

fn named(path: &str, known: &[(String, Value)]) -> Mount {
    let path = [path.trim_matches('/'), "/"].concat();
    let info = known.iter().find(|(known, _)| *known == path);
    Mount {
        is_old: info.is_none_or(|(_, info)| is_old(info)),
        path,
    }
}

/// The version that a mount runs, as far as the table of mounts says.
fn version(info: &Value) -> &str {
    let running = text(info, "running_plugin_version");
    if running.is_empty() {
        text(info, "plugin_version")
    } else {
        running
    }
}

/// Whether a mount runs a version in which nobody needs `sudo`, or may.
pub(in crate::cli) fn is_old(info: &Value) -> bool {
    let version = version(info);
    let numbers = version.strip_prefix('v').unwrap_or(version);
    let mut numbers = numbers.split(['.', '-', '+']).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (0, 2),
        _ => true,
    }
}

fn text<'v>(info: &'v Value, name: &str) -> &'v str {
    info.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::Fake;
    use serde_json::json;

    fn server() -> Fake {
        let mut server = Fake::default();
        server.answers(
            "sys/mounts",
            json!({
                "agentic/": { "type": "agentic", "running_plugin_version": "v0.1.0" },
                "kv/": { "type": "kv" },
                "team/a/": { "type": "agentic" },
            }),
        );
        server.answers("sys/auth", json!({ "agentic/": { "type": "agentic" } }));
        server
    }

    fn paths(server: &Fake, wanted: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let mut found = Found::default();
        let wanted: Vec<String> = wanted.iter().map(|path| (*path).to_owned()).collect();
        let mounts = find(server, &wanted, &mut found)?;
        let paths = mounts.into_iter().map(|mount| mount.path).collect();
        Ok((paths, found.lines().to_vec()))
    }

    #[test]
    fn ours_are_found_by_their_type() {
        let (paths, lines) = paths(&server(), &[]).unwrap();
        assert_eq!(paths, ["agentic/", "team/a/", "auth/agentic/"]);
        assert_eq!(lines[0], "looked at    agentic/ v0.1.0");
        assert_eq!(lines[1], "looked at    team/a/ of an unknown version");
    }

    #[test]
    fn those_that_are_named_must_be_there() {
        let found = |wanted: &[&str]| paths(&server(), wanted).map(|(paths, _)| paths);
        assert_eq!(found(&["/kv"]).unwrap(), ["kv/"]);
        assert_eq!(found(&["auth/agentic"]).unwrap(), ["auth/agentic/"]);
        assert_eq!(found(&["x"]).unwrap_err(), "there is no mount at x/");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut server = server();
        server.refuses("sys/mounts");
        let (found, lines) = paths(&server, &[]).unwrap();
        assert_eq!(found, ["auth/agentic/"]);
        assert!(
            lines[1].starts_with("not read     GET sys/mounts: "),
            "{lines:?}"
        );
        server.refuses("sys/auth");
        assert!(paths(&server, &[]).unwrap_err().contains("--mount"));
        assert_eq!(paths(&server, &["agentic"]).unwrap().0, ["agentic/"]);
    }

    #[test]
    fn versions_are_told_apart() {
        for (running, tuned, old) in [
            ("v0.1.0", "", true),
            ("v0.1.9+abc", "v0.2.0", true),
            ("", "v0.1.0", true),
            ("", "", true),
            ("latest", "", true),
            ("v0.2.0", "v0.1.0", false),
            ("v0.2.0-rc1", "", false),
            ("0.10.0", "", false),
            ("v1.0.0", "", false),
        ] {
            let info = json!({ "running_plugin_version": running, "plugin_version": tuned });
            assert_eq!(is_old(&info), old, "{running} {tuned}");
        }
    }
}
