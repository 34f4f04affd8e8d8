//! What is looked at before a mount of 0.1 is upgraded: from 0.2 on, who governs
//! needs `sudo`, and nobody should find out by being shut out.

use std::fmt::Write as _;

use serde_json::Value;

use super::plan::Plan;
use crate::cli::server::Api;
use crate::cli::upgrade::{self, Found, Standing};

/// What to do about it.
const FIRST: &str = "Grant `sudo` first: 0.1 does not ask for it, so it does no harm. \
                     `agentic upgrade check` says what to write, and `--force` goes on all the same";

/// Refuses if the caller would be shut out of a mount, unless `force`. Says what
/// else would change; nothing, if no mount of the plan is an old one.
pub(super) fn check(plan: &Plan, server: &impl Api, force: bool) -> Result<String, String> {
    let mut old = Vec::new();
    for mount in &plan.mounts {
        let table = server.read(mount.kind.table())?;
        let key = format!("{}/", mount.path);
        let info = table.get("data").and_then(|data| data.get(&key));
        let is_old = info.is_some_and(|info| {
            let found = info.get("type").and_then(Value::as_str);
            found == Some(&mount.plugin) && upgrade::is_old(info)
        });
        if is_old {
            old.push(mount.shown());
        }
    }
    let mut warnings = String::new();
    for mount in &old {
        let problem = match upgrade::standing(server, mount) {
            Standing::Governs => continue,
            Standing::Outside => {
                let _ = writeln!(
                    warnings,
                    "warning      you do not govern {mount} today: see to it that somebody has `sudo` there"
                );
                continue;
            }
            Standing::ShutOut(paths) => format!("you {}", upgrade::shut_out(mount, &paths)),
            Standing::Unknown(said) => {
                format!("cannot tell whether you would govern {mount} any more: {said}")
            }
        };
        if !force {
            return Err(format!("{problem}. {FIRST}."));
        }
        let _ = writeln!(warnings, "warning      {problem}");
    }
    if !old.is_empty() {
        let mut found = Found::default();
        let mounts: Vec<&str> = old.iter().map(String::as_str).collect();
        upgrade::acl(server, &mounts, &mut found);
        for line in found.lines() {
            let _ = writeln!(warnings, "warning      {line}");
        }
        if !found.lines().is_empty() {
            let _ = writeln!(
                warnings,
                "warning      `agentic upgrade check` says more, and what to write"
            );
        }
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::Fake;
    use crate::cli::register::binary::Binary;
    use crate::cli::register::manifest::Manifest;
    use crate::cli::register::plan::Kind;
    use serde_json::json;

    fn plan() -> Plan {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plugin");
        std::fs::write(&file, "abc").unwrap();
        let wanted = [(Kind::Secret, None), (Kind::Auth, None)];
        let binary = Binary::read(&file).unwrap();
        Plan::new(&Manifest::built_in().unwrap(), &binary, None, &wanted).unwrap()
    }

    /// A server with a mount of a version, on which the caller has some
    /// capabilities.
    fn server(mount: &Value, capabilities: &[&str]) -> Fake {
        let mut server = Fake::default();
        server.answers("sys/mounts", json!({ "agentic/": mount }));
        server.answers("sys/auth", json!({}));
        server.answers(
            "sys/capabilities-self",
            json!({ "agentic/agents/x": capabilities, "agentic/config": capabilities }),
        );
        server
    }

    fn old() -> Value {
        json!({ "type": "agentic", "running_plugin_version": "v0.1.0" })
    }

    #[test]
    fn who_would_be_shut_out_is_refused() {
        for mount in [old(), json!({ "type": "agentic" })] {
            let server = server(&mount, &["create", "update"]);
            let error = check(&plan(), &server, false).unwrap_err();
            assert_eq!(
                error,
                "you would not govern agentic/ any more: your token has no `sudo` on `agentic/agents/x`, \
                 `agentic/config`. Grant `sudo` first: 0.1 does not ask for it, so it does no harm. `agentic upgrade check` says what to write, \
                 and `--force` goes on all the same."
            );
            let warnings = check(&plan(), &server, true).unwrap();
            assert!(
                warnings.starts_with("warning      you would not govern agentic/"),
                "{warnings}"
            );
        }
    }

    #[test]
    fn who_has_sudo_or_never_governed_goes_on() {
        for (capabilities, warned) in [
            (&["root"][..], false),
            (&["update", "sudo"], false),
            (&["deny"], true),
        ] {
            let mut server = server(&old(), capabilities);
            server.lists("sys/policies/acl/", []);
            let warnings = check(&plan(), &server, false).unwrap();
            assert_eq!(
                warnings.contains("you do not govern agentic/ today"),
                warned
            );
            assert_eq!(warnings.is_empty(), !warned, "{warnings}");
        }
    }

    #[test]
    fn where_no_mount_is_old_nothing_is_asked() {
        for mount in [
            json!({ "type": "agentic", "running_plugin_version": "v0.2.0" }),
            json!({ "type": "kv" }),
        ] {
            let server = server(&mount, &["update"]);
            assert_eq!(check(&plan(), &server, false).unwrap(), "");
            assert!(server.paths().is_empty());
        }
    }

    #[test]
    fn what_the_server_does_not_say_is_not_taken_for_yes() {
        let mut server = server(&old(), &[]);
        server.refuses("sys/capabilities-self");
        let error = check(&plan(), &server, false).unwrap_err();
        assert!(
            error.starts_with("cannot tell whether you would govern agentic/ any more: POST"),
            "{error}"
        );
        assert!(check(&plan(), &server, true).is_ok());
    }

    #[test]
    fn policies_that_would_not_govern_are_warned_of() {
        let mut server = server(&old(), &["root"]);
        server.lists("sys/policies/acl/", [("team", Value::Null)]);
        let text = "path \"agentic/targets/*\" { capabilities = [\"read\"] }";
        server.answers("sys/policies/acl/team", json!({ "policy": text }));
        let warnings = check(&plan(), &server, false).unwrap();
        let lines: Vec<&str> = warnings.lines().collect();
        assert_eq!(lines.len(), 2, "{warnings}");
        assert!(
            lines[0]
                .starts_with("warning      policy       `team`: `agentic/targets/*` gives read"),
            "{warnings}"
        );
        server.refuses("sys/policies");
        let warnings = check(&plan(), &server, false).unwrap();
        assert!(
            warnings.contains("not read     LIST sys/policies/acl/"),
            "{warnings}"
        );
    }
}
