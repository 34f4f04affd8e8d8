//! Names that mean something else by now, and targets whose tokens do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::found::Found;
use super::mounts::Mount;
use crate::cli::server::{Api, segment, whole_list};
use crate::model::ids::{AgentId, AgentName};

/// The agents that were deleted stand there.
const FORMER: &str = "former";
/// A policy is tried there.
const CHECK: &str = "check";
const LOGIN: &str = "vault_token";

/// What is wrong with the name of an agent, if something is.
pub(super) fn agent(name: &str) -> Option<&'static str> {
    if name.parse::<AgentId>().is_ok() {
        Some("looks like an agent's id, and is refused for new agents")
    } else if name.eq_ignore_ascii_case(FORMER) {
        Some("is where the agents are that were deleted, and is refused for new agents")
    } else {
        None
    }
}

/// What is wrong with issuers, given with their `issuer_id`.
pub(super) fn issuers(all: &[(String, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut by_id: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, id) in all {
        if id.parse::<AgentName>().is_ok() || id.parse::<AgentId>().is_ok() {
            problems.push(format!(
                "`{name}` has the `issuer_id` `{id}`, which looks like an agent's name or id, and is refused for new issuers"
            ));
        }
        by_id.entry(id).or_default().push(name);
    }
    for (id, names) in by_id {
        if names.len() > 1 {
            problems.push(format!(
                "{} have the same `issuer_id` `{id}`, and only one of them may be enabled: delete the others",
                super::found::some(names, 5)
            ));
        }
    }
    problems
}

/// Whether the logins of a target of 0.1 get an alias with the upgrade, whatever
/// it says: there it is off unless somebody wanted it.
fn gets_alias(target: &Value) -> bool {
    let kind = target.get("credential_type").and_then(Value::as_str);
    kind == Some(LOGIN) && target.get("vault_alias") != Some(&Value::Bool(true))
}

/// Says what is wrong on a mount.
pub(super) fn check(server: &impl Api, mount: &Mount, found: &mut Found) {
    let is_old = mount.is_old;
    let mount = mount.path.as_str();
    let list = |found: &mut Found, folder: &str| {
        let all = whole_list(server, &format!("{mount}{folder}"));
        let all = found.taken(all).into_iter().flatten();
        all.map(|(name, _)| name).collect::<Vec<_>>()
    };
    let read = |found: &mut Found, folder: &str, name: &str| {
        let answer = server.read(&format!("{mount}{folder}{}", segment(name)));
        let gone = answer.as_ref().is_err_and(|failure| failure.is_absent());
        let answer = if gone { None } else { found.taken(answer) };
        answer.and_then(|answer| answer.get("data").cloned())
    };
    for name in list(found, "agents/") {
        if let Some(problem) = agent(&name) {
            found.change("agent", &format!("`{name}` on {mount} {problem}"));
        }
    }
    if list(found, "policies/").iter().any(|name| name == CHECK) {
        found.change(
            "policy",
            &format!(
                "`{CHECK}` of {mount} cannot be written any more: `{mount}policies/{CHECK}` tries a policy"
            ),
        );
    }
    let mut ids = Vec::new();
    for name in list(found, "config/issuers/") {
        if let Some(issuer) = read(found, "config/issuers/", &name) {
            let id = issuer.get("issuer_id").and_then(Value::as_str);
            ids.push((name, id.unwrap_or_default().to_owned()));
        }
    }
    for problem in issuers(&ids) {
        found.change("issuer", &format!("on {mount}: {problem}"));
    }
    if !is_old {
        return;
    }
    for name in list(found, "targets/") {
        if read(found, "targets/", &name).is_some_and(|target| gets_alias(&target)) {
            found.change(
                "target",
                &format!(
                    "`{name}` on {mount} is of the type `{LOGIN}`: its logins get an alias, and each agent that has some counts as a client"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::Fake;
    use serde_json::json;

    const ID: &str = "01a2068e-da3c-7aca-bf7c-8b9a8606f461";

    #[test]
    fn names_of_agents_that_are_refused_now() {
        for name in [ID, "former", "Former"] {
            assert!(agent(name).is_some(), "{name}");
        }
        for name in ["bot", "former-bot", "01A2068E-DA3C-7ACA-BF7C-8B9A8606F461"] {
            assert_eq!(agent(name), None, "{name}");
        }
    }

    #[test]
    fn issuers_that_could_be_taken_for_others() {
        let issuer = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        let fine = [
            issuer("a", "https://a.example.com"),
            issuer("b", "urn:b"),
            issuer("c", "https://a.example.com/"),
        ];
        assert!(issuers(&fine).is_empty());
        let problems = issuers(&[
            issuer("a", "bot"),
            issuer("b", ID),
            issuer("c", "https://c.example.com"),
            issuer("d", "https://c.example.com"),
        ]);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("`a` has the `issuer_id` `bot`"));
        assert!(problems[2].starts_with("`c`, `d` have the same `issuer_id`"));
    }

    fn lines(server: &Fake, is_old: bool) -> Vec<String> {
        let mut found = Found::default();
        let mount = Mount {
            path: "m/".to_owned(),
            is_old,
        };
        check(server, &mount, &mut found);
        found.lines().to_vec()
    }

    #[test]
    fn a_mount_is_looked_through() {
        let mut server = Fake::default();
        let none = || Value::Null;
        server.lists("m/agents/", [("bot", none()), ("former", none())]);
        server.lists("m/policies/", [("check", none()), ("crm", none())]);
        server.lists("m/config/issuers/", [("idp", none()), ("gone", none())]);
        server.answers("m/config/issuers/idp", json!({ "issuer_id": "bot" }));
        let targets = ["off", "unsaid", "on", "jwt"];
        server.lists("m/targets/", targets.map(|name| (name, none())));
        for (name, target) in [
            (
                "off",
                json!({ "credential_type": "vault_token", "vault_alias": false }),
            ),
            ("unsaid", json!({ "credential_type": "vault_token" })),
            (
                "on",
                json!({ "credential_type": "vault_token", "vault_alias": true }),
            ),
            (
                "jwt",
                json!({ "credential_type": "jwt", "vault_alias": false }),
            ),
        ] {
            server.answers(&format!("m/targets/{name}"), target);
        }
        let begins = [
            "agent        `former` on m/ is where",
            "policy       `check` of m/ cannot",
            "issuer       on m/: `idp` has",
            "target       `off` on m/ is",
            "target       `unsaid` on m/ is",
        ];
        let old = lines(&server, true);
        assert_eq!(old.len(), begins.len(), "{old:?}");
        for (line, begin) in old.iter().zip(begins) {
            assert!(line.starts_with(begin), "{line}");
        }
        // Its targets say what they mean.
        assert_eq!(lines(&server, false), old[..3]);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut server = Fake::default();
        server.refuses("m/");
        let lines = lines(&server, true);
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("not read     LIST m/agents/: "));
    }
}
