//! Which entries are about the plugin, and what they say.

use std::collections::BTreeSet;

use super::entry::{Auth, Data, Detail, Entry, Maybe, Text};
use super::event::{Event, Kind, Named};
use super::outcome::{decision_in, denied_code, outcome};

/// The name under which the plugin is registered, and so the type of its
/// mounts.
const PLUGIN: &str = "agentic";
/// How many mounts of other types are remembered as ours.
const MOST_MOUNTS: usize = 256;

/// Which mounts are the plugin's.
#[derive(Clone, Debug, Default)]
pub(super) struct Mounts {
    /// As the operator named them; empty: find out.
    named: Vec<String>,
    learned: BTreeSet<String>,
}

impl Mounts {
    /// Mounts by path or type. None: those that can be recognised.
    pub(super) fn new(named: &[String]) -> Self {
        Self {
            named: named
                .iter()
                .map(|name| name.trim_end_matches('/').to_owned())
                .collect(),
            learned: BTreeSet::new(),
        }
    }

    fn is_ours(&mut self, entry: &Entry) -> bool {
        let request = &entry.request.0;
        let mount = request.mount_point.0.clear().unwrap_or_default();
        let kind = request.mount_type.0.clear().unwrap_or_default();
        if !self.named.is_empty() {
            let mount = mount.trim_end_matches('/');
            return self.named.iter().any(|name| name == mount || name == kind);
        }
        if kind == PLUGIN || self.learned.contains(mount) {
            return true;
        }
        let ours = looks_like_ours(entry);
        if ours && self.learned.len() < MOST_MOUNTS {
            self.learned.insert(mount.to_owned());
        }
        ours
    }
}

/// The answers of `creds/…` and `login` have keys that no other plugin's have.
fn looks_like_ours(entry: &Entry) -> bool {
    let response = &entry.response.0;
    let (data, auth) = (&response.data.0, &response.auth.0.metadata.0);
    let given = |text: &Maybe<Text>| text.0 != Text::None;
    let denied = data.error.0.clear().and_then(denied_code).is_some();
    match below(entry).as_slice() {
        ["creds", _] => denied || given(&data.decision_id) && given(&data.agent_id),
        ["login"] => denied || given(&auth.decision_id) && given(&auth.agent_id),
        _ => false,
    }
}

/// The segments of the path below the mount.
fn below(entry: &Entry) -> Vec<&str> {
    let request = &entry.request.0;
    let path = request.path.0.clear().unwrap_or_default();
    let mount = request.mount_point.0.clear().unwrap_or_default();
    // The name of a namespace may stand before the mount.
    let path = match path.strip_prefix(mount) {
        Some(path) => path,
        None => path.split_once(mount).map_or("", |(_, path)| path),
    };
    path.trim_end_matches('/').split('/').collect()
}

/// Understands an entry. `None`: it is of no concern here.
pub(super) fn understand(entry: &Entry, mounts: &mut Mounts) -> Option<Event> {
    let found = if mounts.is_ours(entry) {
        kind(entry)
    } else {
        None
    };
    let metadata = &entry.auth.0.metadata.0;
    let of_login = metadata.agent_id.0 != Text::None && metadata.decision_id.0 != Text::None;
    match found {
        Some((kind, name)) => Some(of_plugin(entry, kind, name)),
        None if of_login => Some(of_token(entry)),
        None => None,
    }
}

/// What a request to the plugin was, and the name in its path.
fn kind(entry: &Entry) -> Option<(Kind, &str)> {
    let operation = entry.request.0.operation.0.clear().unwrap_or_default();
    let writes = matches!(operation, "update" | "create");
    Some(match (below(entry).as_slice(), writes) {
        (["creds", "issue"], true) => (Kind::Issue, ""),
        (["creds", "redeem"], true) => (Kind::Redeem, ""),
        (["creds", "introspect"], true) => (Kind::Introspect, ""),
        (["creds" | "self" | "oversight", "revoke"], true) => (Kind::RevokeCredentials, ""),
        (["creds", target], false) if operation == "read" => (Kind::Issue, target),
        (["login"], true) => (Kind::Login, ""),
        (["decisions" | "self", "evaluate"] | ["access", "v1", _], true) => (Kind::DryRun, ""),
        (["agents", name, "suspend"], true) => (Kind::Suspend, name),
        (["agents", name, "resume"], true) => (Kind::Resume, name),
        (["agents", name, "revoke"], true) => (Kind::RevokeAgent, name),
        (["agents", "register"] | ["register"], true) => (Kind::Register, ""),
        (["agents", name], true) => (Kind::Register, name),
        (["agents", name], false) if operation == "delete" => (Kind::Remove, name),
        (["registration", "id", _], false) if operation == "delete" => (Kind::Remove, ""),
        (["agents", name], false) if operation == "read" => (Kind::Read, name),
        (["agents", "id" | "entity-id", _] | ["self"], false) if operation == "read" => {
            (Kind::Read, "")
        }
        (["delegations", "request"], true) => (Kind::RequestDelegation, ""),
        (["delegations", "grant"], true) => (Kind::GrantDelegation, ""),
        // The code in the path opens the request to who knows it.
        (["delegations", "code", _, "approve"], true) => (Kind::ApproveDelegation, ""),
        (["delegations", "code", _, "deny"], true) => (Kind::DenyDelegation, ""),
        (["delegations", id, "approve"], true) => (Kind::ApproveDelegation, id),
        (["delegations", id, "deny"], true) => (Kind::DenyDelegation, id),
        (["delegations", id, "revoke"] | ["oversight", "delegations", id, "revoke"], true) => {
            (Kind::RevokeDelegation, id)
        }
        (["delegations", id, "delegate"], true) => (Kind::PassDelegation, id),
        (["consents", id, "approve"], true) => (Kind::ApproveConsent, id),
        (["consents", id, "deny"], true) => (Kind::DenyConsent, id),
        _ => return None,
    })
}

/// A request to the plugin itself.
fn of_plugin(entry: &Entry, kind: Kind, name: &str) -> Event {
    let (asked, said) = (&entry.request.0.data.0, &entry.response.0.data.0);
    let login = &entry.response.0.auth.0;
    let either = |ask: &Maybe<Text>, answer: &Maybe<Text>| answer.0.or(&ask.0).clone();
    let caller = caller(entry);
    let agent = agent(kind, name, asked, said, login);
    let agent = match below(entry).as_slice() {
        ["registration", "id", id] => Named {
            id: Text::of(id),
            ..agent
        },
        _ => agent,
    };
    let agent_is_unknown = agent.name == Text::None && agent.id == Text::None;
    let metadata = &login.metadata.0;
    let named_in_path = Text::of(name);
    let (delegation, consent) = if matches!(kind, Kind::ApproveConsent | Kind::DenyConsent) {
        (said.delegation_id.0.clone(), named_in_path.clone())
    } else if kind == Kind::PassDelegation {
        (said.id.0.clone(), said.consent_id.0.clone())
    } else if kind.is_consent() {
        let id = said.id.0.or(&named_in_path).clone();
        (id, said.consent_id.0.clone())
    } else {
        (
            metadata
                .delegation_id
                .0
                .or(&either(&asked.delegation_id, &said.delegation_id))
                .clone(),
            metadata
                .consent_id
                .0
                .or(&either(&asked.consent_id, &said.consent_id))
                .clone(),
        )
    };
    let subject = said
        .subject_entity_id
        .0
        .or(&said.subject.0)
        .or(&metadata.subject.0)
        .or(if kind == Kind::RequestDelegation {
            &asked.subject_entity_id.0
        } else {
            &Text::None
        })
        .clone();
    let scope = match scope(&said.scope.0) {
        scope if scope.is_empty() || scope.iter().all(|text| text.contains("hashed:")) => {
            scope_or(&asked.scope.0, scope)
        }
        scope => scope,
    };
    Event {
        at: entry.time(),
        kind,
        outcome: outcome(entry, kind),
        // In the answer of an autonomous agent, it is its own subject.
        subject: if kind.is_activity() && subject != Text::None && subject == agent.id {
            Text::None
        } else {
            subject
        },
        agent,
        caller,
        target: either(&asked.target, &said.target)
            .or(&metadata.target.0)
            .or(if kind == Kind::Issue {
                &named_in_path
            } else {
                &Text::None
            })
            .clone(),
        action: either(&asked.action, &said.action)
            .or(&metadata.action.0)
            .clone(),
        resource: either(&asked.resource, &said.resource)
            .or(&metadata.resource.0)
            .clone(),
        decision: said
            .decision_id
            .0
            .or(&metadata.decision_id.0)
            .or(&said.agentic.0.decision_id.0)
            .or(&said.error.0.clear().map_or(Text::None, decision_in))
            .clone(),
        parent: if kind == Kind::PassDelegation {
            named_in_path
        } else {
            said.parent_id.0.clone()
        },
        delegation,
        consent,
        jti: either(&asked.jti, &said.jti),
        credential: Text::of(
            said.credential
                .0
                .hashed()
                .or_else(|| asked.token.0.hashed())
                .unwrap_or_default(),
        ),
        reason: match (kind, asked.agent.0.shown()) {
            (Kind::Login, Some(claimed)) if agent_is_unknown => {
                Text::of(&format!("claims to be {claimed}"))
            }
            _ => asked.reason.0.clone(),
        },
        notes: said
            .notes
            .0
            .iter()
            .filter_map(|code| code.0.clear().map(str::to_owned))
            .collect(),
        scope,
        mount: mount(entry),
        operation: entry.request.0.operation.0.clone(),
        path: Text::None,
        remote: entry.request.0.remote_address.0.clone(),
    }
}

/// The agent that a request is about. What a request says of its caller proves
/// nothing; what is answered does.
fn agent(kind: Kind, in_path: &str, asked: &Data, said: &Data, login: &Auth) -> Named {
    let either = |ask: &Maybe<Text>, answer: &Maybe<Text>| answer.0.or(&ask.0).clone();
    if kind == Kind::Login {
        let metadata = &login.metadata.0;
        return Named {
            name: metadata.agent.0.or(&said.agent.0).clone(),
            id: metadata.agent_id.0.or(&said.agent_id.0).clone(),
            entity: login.entity_id.0.clone(),
            display: Text::None,
        };
    }
    if kind.is_of_registry() {
        let in_path = Text::of(in_path);
        return Named {
            name: said.name.0.or(&in_path).or(&asked.name.0).clone(),
            id: said.id.0.clone(),
            entity: either(&asked.entity_id, &said.entity_id),
            display: Text::None,
        };
    }
    let of_caller = kind.is_activity() && kind != Kind::DryRun || kind == Kind::RequestDelegation;
    let (name, id) = if of_caller {
        (said.agent.0.clone(), said.agent_id.0.clone())
    } else {
        (
            either(&asked.agent, &said.agent),
            either(&asked.agent_id, &said.agent_id),
        )
    };
    Named {
        name,
        id,
        ..Named::default()
    }
}

/// A request of any kind with a token that a login gave.
fn of_token(entry: &Entry) -> Event {
    let metadata = &entry.auth.0.metadata.0;
    let subject = &metadata.subject.0;
    Event {
        at: entry.time(),
        kind: Kind::Use,
        outcome: outcome(entry, Kind::Use),
        agent: Named {
            name: metadata.agent.0.clone(),
            id: metadata.agent_id.0.clone(),
            entity: entry.auth.0.entity_id.0.clone(),
            display: Text::None,
        },
        caller: caller(entry),
        subject: if *subject == metadata.agent_id.0 {
            Text::None
        } else {
            subject.clone()
        },
        target: metadata.target.0.clone(),
        action: metadata.action.0.clone(),
        resource: metadata.resource.0.clone(),
        decision: metadata.decision_id.0.clone(),
        delegation: metadata.delegation_id.0.clone(),
        parent: Text::None,
        consent: metadata.consent_id.0.clone(),
        jti: Text::None,
        credential: Text::None,
        reason: Text::None,
        notes: Vec::new(),
        scope: Vec::new(),
        mount: mount(entry),
        operation: entry.request.0.operation.0.clone(),
        path: entry.request.0.path.0.clone(),
        remote: entry.request.0.remote_address.0.clone(),
    }
}

fn caller(entry: &Entry) -> Named {
    let auth = &entry.auth.0;
    Named {
        entity: auth.entity_id.0.clone(),
        display: auth.display_name.0.clone(),
        ..Named::default()
    }
}

fn mount(entry: &Entry) -> String {
    entry.request.0.mount_point.0.shown().unwrap_or_default()
}

fn scope_or(asked: &[Maybe<Detail>], said: Vec<String>) -> Vec<String> {
    let asked = scope(asked);
    if asked.is_empty() { said } else { asked }
}

/// One line for each detail: actions, targets, resources.
fn scope(details: &[Maybe<Detail>]) -> Vec<String> {
    let list = |texts: &Maybe<Vec<Maybe<Text>>>| {
        let texts: Vec<String> = texts.0.iter().filter_map(|text| text.0.shown()).collect();
        if texts.is_empty() {
            "*".to_owned()
        } else {
            texts.join(", ")
        }
    };
    details
        .iter()
        .map(|Maybe(detail)| {
            format!(
                "{} on {}: {}",
                list(&detail.actions),
                list(&detail.targets),
                list(&detail.resources)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::event::Outcome;
    use super::*;

    fn read(mut entry: Value) -> Entry {
        entry["time"] = json!("2026-03-02T09:00:00Z");
        entry["type"] = json!("response");
        Entry::read(entry.to_string().as_bytes()).unwrap()
    }

    fn denied(mount_type: &str, error: &str) -> Entry {
        read(json!({
            "request": { "mount_point": "m/", "mount_type": mount_type, "path": "m/creds/issue",
                "operation": "update", "data": { "target": "crm" } },
            "response": { "data": { "error": error } },
            "error": "1 error occurred:\n\t* permission denied\n\n",
        }))
    }

    #[test]
    fn refusals_have_the_code_they_were_told_with() {
        for (error, code) in [
            ("denied (ceiling.denied): No. Decision x.", "ceiling.denied"),
            ("denied; decision x", "unstated"),
            ("hmac-sha256:00", "hashed"),
            ("an agent may not", "mount.not_permitted"),
            ("denied (<b>): x", "mount.not_permitted"),
        ] {
            let event = understand(&denied("agentic", error), &mut Mounts::default()).unwrap();
            assert_eq!(event.outcome.code(), Some(code), "{error}");
            assert_eq!(event.target.clear(), Some("crm"));
        }
        let facts = json!({ "error": "hmac-sha256:00", "outcome": "deny",
            "reason": "limits.no_time", "agent": "bot", "agent_id": "a-1" });
        let mut beside = json!({ "request": { "mount_point": "m/", "mount_type": "agentic",
            "path": "m/creds/issue", "operation": "update" }, "error": "permission denied" });
        beside["response"] = json!({ "data": facts });
        let event = understand(&read(beside), &mut Mounts::default()).unwrap();
        assert_eq!(event.outcome.code(), Some("limits.no_time"));
        assert_eq!(event.agent.name.clear(), Some("bot"));
        let asks = denied("agentic", "denied (consent.required): x");
        let event = understand(&asks, &mut Mounts::default()).unwrap();
        assert_eq!(event.outcome, Outcome::ConsentRequired);
    }

    #[test]
    fn a_mount_is_ours_by_its_type_by_its_name_or_by_its_answers() {
        let other = denied("kv", "no");
        let telling = denied("kv", "denied (ceiling.denied): x");
        let mut mounts = Mounts::default();
        assert!(understand(&other, &mut mounts).is_none());
        assert!(understand(&telling, &mut mounts).is_some());
        assert!(understand(&other, &mut mounts).is_some(), "learned");
        for name in ["m", "m/", "kv"] {
            let mut mounts = Mounts::new(&[name.to_owned()]);
            assert!(understand(&other, &mut mounts).is_some(), "{name}");
        }
        let mut elsewhere = Mounts::new(&["n/".to_owned()]);
        assert!(understand(&telling, &mut elsewhere).is_none());
    }

    #[test]
    fn a_token_of_a_login_is_known_anywhere() {
        let entry = read(json!({
            "auth": { "metadata": { "agent": "bot", "agent_id": "a-1", "decision_id": "d-1",
                "subject": "a-1", "target": "kv" } },
            "request": { "mount_point": "secret/", "mount_type": "kv", "operation": "read",
                "path": "secret/data/x" },
        }));
        let event = understand(&entry, &mut Mounts::default()).unwrap();
        assert_eq!((event.kind, event.outcome), (Kind::Use, Outcome::Allowed));
        assert_eq!(event.agent.name.clear(), Some("bot"));
        assert_eq!(event.subject, Text::None, "it acts for itself");
        assert_eq!(event.path.clear(), Some("secret/data/x"));
    }
}
