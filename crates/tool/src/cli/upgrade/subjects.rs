//! For whom delegations were agreed to, and whether that is a human by the
//! defaults.

use std::collections::BTreeMap;

use serde_json::Value;

use super::found::Found;
use super::mounts::Mount;
use crate::cli::register::group::GROUP_METADATA;
use crate::cli::server::{Api, Failure, segment, whole_list};
use crate::model::identity::{AGENTS_GROUP, INTERACTIVE};

/// Why an entity is not a human's by the defaults, if so. `methods` are the types
/// of the auth methods of its aliases; an empty one is of a mount that is gone.
pub(super) fn why_not(methods: &[&str]) -> Option<String> {
    let (human, other): (Vec<&str>, Vec<&str>) = methods
        .iter()
        .filter(|method| !method.is_empty())
        .partition(|method| INTERACTIVE.contains(method));
    match (human.first(), other.first()) {
        (None, None) => Some("its entity has no alias on an auth mount that is there".to_owned()),
        (None, Some(other)) => Some(format!("it logs in by `{other}`")),
        (Some(human), Some(other)) => {
            Some(format!("it logs in by `{human}`, and by `{other}` as well"))
        }
        (Some(_), None) => None,
    }
}

/// Says which subjects of living delegations would not count as humans.
pub(super) fn check(server: &impl Api, mounts: &[Mount], found: &mut Found) {
    let group = found.taken(group(server)).flatten();
    let agents = group.as_ref().map(|group| group.id.as_str());
    if let Some(group) = &group
        && group.members > 0
        && !group.is_ours
        && mounts.iter().any(|mount| mount.is_old)
    {
        let text = format!(
            "`{AGENTS_GROUP}` is there already, and its {} members would neither govern nor count as humans: see to it that they are agents",
            group.members
        );
        found.change("group", &text);
    }
    let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
    for Mount { path: mount, .. } in mounts {
        let all = whole_list(server, &format!("{mount}oversight/delegations/"));
        let Some(all) = found.taken(all) else {
            continue;
        };
        // From 0.2 on, the mount says it itself, by its own settings.
        let mut subjects: BTreeMap<String, (usize, Option<String>)> = BTreeMap::new();
        for (_, about) in all {
            let text = |name: &str| about.get(name).and_then(Value::as_str);
            if let (Some("active"), Some(subject)) = (text("status"), text("subject_entity_id")) {
                let said = text("subject_problem").map(str::to_owned);
                let (count, _) = subjects.entry(subject.to_owned()).or_insert((0, said));
                *count = count.saturating_add(1);
            }
        }
        for (subject, (count, said)) in subjects {
            let does = if said.is_some() { "does" } else { "would" };
            let problem = match said {
                Some(said) => Some(said).filter(|said| !said.is_empty()),
                None => known
                    .entry(subject.clone())
                    .or_insert_with(|| found.taken(entity(server, &subject, agents)).flatten())
                    .clone(),
            };
            if let Some(problem) = problem {
                let text = format!(
                    "`{subject}`, of {count} living delegations on {mount}, {does} not count as a human: {problem}"
                );
                found.change("subject", &text);
            }
        }
    }
}

/// The group of agents, as far as it matters.
struct Group {
    id: String,
    members: usize,
    /// Whether `register` made it.
    is_ours: bool,
}

fn group(server: &impl Api) -> Result<Option<Group>, Failure> {
    let answer = match server.read(&format!("identity/group/name/{AGENTS_GROUP}")) {
        Err(failure) if failure.is_absent() => return Ok(None),
        answer => answer?,
    };
    let data = answer.get("data").unwrap_or(&Value::Null);
    let count = |name: &str| data.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let mark = data
        .get("metadata")
        .and_then(|all| all.get(GROUP_METADATA.0));
    Ok(Some(Group {
        id: data
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        members: count("member_entity_ids").saturating_add(count("member_group_ids")),
        is_ours: mark.is_some(),
    }))
}

/// Why an entity of the server is not a human's, if so.
fn entity(server: &impl Api, id: &str, agents: Option<&str>) -> Result<Option<String>, Failure> {
    let answer = match server.read(&format!("identity/entity/id/{}", segment(id))) {
        Err(failure) if failure.is_absent() => {
            return Ok(Some("its entity is not there".to_owned()));
        }
        answer => answer?,
    };
    let data = answer.get("data").unwrap_or(&Value::Null);
    let list = |name: &str| {
        data.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    if data.get("id").and_then(Value::as_str) != Some(id) {
        return Ok(Some("its entity was merged into another".to_owned()));
    }
    if data.get("disabled") == Some(&Value::Bool(true)) {
        return Ok(Some("its entity is disabled".to_owned()));
    }
    if agents.is_some_and(|agents| list("group_ids").any(|group| group == agents)) {
        return Ok(Some(format!("it is in the group `{AGENTS_GROUP}`")));
    }
    let methods: Vec<&str> = list("aliases")
        .map(|alias| alias.get("mount_type").and_then(Value::as_str))
        .map(Option::unwrap_or_default)
        .collect();
    Ok(why_not(&methods))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::Fake;
    use serde_json::json;

    #[test]
    fn a_human_logs_in_as_humans_do_and_no_other_way() {
        for methods in [
            &["userpass"][..],
            &["oidc", "ldap"],
            &["okta", "", "radius"],
            &["saml"],
        ] {
            assert_eq!(why_not(methods), None, "{methods:?}");
        }
        for (methods, said) in [
            (&[][..], "no alias"),
            (&["", ""], "no alias"),
            (&["approle"], "by `approle`"),
            (&["jwt", "kubernetes"], "by `jwt`"),
            (
                &["approle", "userpass"],
                "`userpass`, and by `approle` as well",
            ),
            (&["Userpass"], "by `Userpass`"),
        ] {
            let why = why_not(methods).unwrap();
            assert!(why.contains(said), "{methods:?}: {why}");
        }
    }

    fn delegation(subject: &str, status: &str) -> Value {
        json!({ "subject_entity_id": subject, "status": status })
    }

    fn lines(server: &Fake) -> Vec<String> {
        let mut found = Found::default();
        let mount = Mount {
            path: "m/".to_owned(),
            is_old: true,
        };
        check(server, &[mount], &mut found);
        found.lines().to_vec()
    }

    #[test]
    fn subjects_of_living_delegations_are_looked_at() {
        let mut server = Fake::default();
        server.lists(
            "m/oversight/delegations/",
            [
                ("1", delegation("alice", "active")),
                ("2", delegation("robot", "active")),
                ("3", delegation("robot", "active")),
                ("4", delegation("dead", "revoked")),
                ("5", delegation("gone", "active")),
                ("6", delegation("merged", "active")),
                ("7", delegation("off", "active")),
                ("8", delegation("member", "active")),
                (
                    "9",
                    json!({ "subject_entity_id": null, "status": "pending" }),
                ),
            ],
        );
        server.answers("identity/group/name/agents", json!({ "id": "g" }));
        let aliases = |method: &str| json!([{ "mount_type": method }]);
        for (id, told) in [
            (
                "alice",
                json!({ "id": "alice", "aliases": aliases("userpass") }),
            ),
            (
                "robot",
                json!({ "id": "robot", "aliases": aliases("approle") }),
            ),
            (
                "merged",
                json!({ "id": "alice", "aliases": aliases("userpass") }),
            ),
            ("off", json!({ "id": "off", "disabled": true })),
            (
                "member",
                json!({ "id": "member", "group_ids": ["g"], "aliases": aliases("ldap") }),
            ),
        ] {
            server.answers(&format!("identity/entity/id/{id}"), told);
        }
        let lines = lines(&server);
        let ends: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("subject      "))
            .collect();
        assert_eq!(
            ends,
            [
                "`gone`, of 1 living delegations on m/, would not count as a human: its entity is not there",
                "`member`, of 1 living delegations on m/, would not count as a human: it is in the group `agents`",
                "`merged`, of 1 living delegations on m/, would not count as a human: its entity was merged into another",
                "`off`, of 1 living delegations on m/, would not count as a human: its entity is disabled",
                "`robot`, of 2 living delegations on m/, would not count as a human: it logs in by `approle`",
            ]
        );
        assert_eq!(ends.len(), lines.len());
    }

    #[test]
    fn a_mount_that_says_it_itself_is_believed() {
        let mut server = Fake::default();
        let told = |problem: &str| json!({ "subject_entity_id": problem, "status": "active", "subject_problem": problem });
        server.lists(
            "m/oversight/delegations/",
            [("1", told("")), ("2", told("the entity is odd"))],
        );
        let lines = lines(&server);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].ends_with("the entity is odd"), "{lines:?}");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut server = Fake::default();
        server.lists(
            "m/oversight/delegations/",
            [("1", delegation("alice", "active"))],
        );
        server.refuses("identity/");
        let lines = lines(&server);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with("not read     GET identity/"))
        );
    }

    #[test]
    fn a_group_of_agents_that_was_there_before_is_named() {
        let mut server = Fake::default();
        let mut group = json!({ "id": "g", "member_entity_ids": ["a", "b"] });
        server.answers("identity/group/name/agents", group.clone());
        let lines = lines(&server);
        assert!(
            lines[0].starts_with("group        `agents` is there already, and its 2 members"),
            "{lines:?}"
        );
        group["metadata"] = json!({ "agentic": "ours" });
        server.answers("identity/group/name/agents", group);
        assert!(self::lines(&server).is_empty());
        server.answers(
            "identity/group/name/agents",
            json!({ "id": "g", "member_entity_ids": null }),
        );
        assert!(self::lines(&server).is_empty());
    }
}
