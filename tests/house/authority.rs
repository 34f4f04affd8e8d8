//! Who governs: what the host is told to guard, and the gate behind it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::framework::endpoint::{
    Audience, GOVERNED, Route, Verb, is_governed,
};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::{Kept, Operation};
use vault_plugin_agentic::host::framework::system::{Alias, Entity};
use vault_plugin_agentic::mount::routes;
use vault_plugin_agentic::mount::state::Cx;

use crate::people::{People, crm, denied, text};
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, World, request};

/// One of the hosts takes a `+` and an inner `*` for text, and an exact path
/// below a glob in place of the glob: each would open what it is to guard.
#[test]
fn what_is_governed_is_said_in_a_way_that_holds_on_both_hosts() {
    for pattern in GOVERNED {
        let folder = pattern.strip_suffix('*');
        let fixed = folder.unwrap_or(pattern);
        assert!(!fixed.contains(['+', '*']), "{pattern}");
        assert!(
            folder.is_none_or(|folder| folder.ends_with('/')),
            "{pattern}"
        );
        for other in GOVERNED.iter().filter(|other| **other != pattern) {
            let above = other.strip_suffix('*');
            assert!(
                above.is_none_or(|above| !fixed.starts_with(above)),
                "{pattern} lies below {other}"
            );
        }
    }
}

#[tokio::test]
async fn no_path_is_both_governed_and_open_to_all() {
    let world = World::new().await;
    let special = world.backend.special_paths();
    assert_eq!(special.root, GOVERNED);
    for open in &special.unauthenticated {
        for governed in GOVERNED {
            let (one, two) = (
                open.trim_end_matches(['*', '+']),
                governed.trim_end_matches('*'),
            );
            assert!(
                !one.starts_with(two) && !two.starts_with(one),
                "{open} {governed}"
            );
        }
    }
    for mount_type in [MountType::Secrets, MountType::Auth] {
        for route in routes(mount_type) {
            let governed = route.audience == Audience::Governed;
            assert_eq!(is_governed(&route.place), governed, "{route:?}");
        }
    }
}

/// Vault Enterprise can take a JWT with an actor for a token; the human's entity
/// would arrive, and the actor would not. No host sends a login along with
/// anything but a renewal of it.
#[tokio::test]
async fn a_request_that_carries_a_login_is_refused_but_where_anybody_may_come() {
    let world = World::with_agent().await;
    for route in routes(MountType::Secrets) {
        let operation = match route.place.verb {
            Verb::Read => Operation::Read,
            Verb::Write => Operation::Update,
            Verb::Delete => Operation::Delete,
            Verb::List => Operation::List,
        };
        let path = route.place.path.replace(['{', '}'], "");
        let mut asked = request(operation, &path, Value::Null, Some(HUMAN_ENTITY));
        asked.login = Some(Kept::default());
        let answer = world.backend.handle(asked).await;
        let refused =
            matches!(&answer, Err(Error::Denied(why)) if why.contains("sent a login along"));
        assert_eq!(
            refused,
            route.audience != Audience::Public,
            "{route:?}: {answer:?}"
        );
    }
}

/// The host asks before it has looked at its ACL: whoever has any token learns
/// whether something is there, and can make us work no more than for that.
#[tokio::test]
async fn whether_something_exists_is_all_that_is_said_and_costs_one_record() {
    let world = World::with_agent().await;
    let ask = async |path: &str, data: Value| {
        let asked = request(Operation::Update, path, data, Some("stranger"));
        world.backend.exists(asked).await
    };
    let huge = json!({ "policy": "x".repeat(1 << 20), "public_keys": vec!["k"; 10_000] });
    for (there, not) in [
        ("agents/bot", "agents/nobody"),
        ("targets/crm", "targets/nothing"),
        ("policies/crm", "policies/nothing"),
        ("keys/default", "keys/nothing"),
    ] {
        for (path, found) in [(there, true), (not, false)] {
            let (reads, calls) = (world.storage.reads(), world.system.calls());
            assert_eq!(ask(path, huge.clone()).await, Ok(Some(found)), "{path}");
            let read = world.storage.reads().saturating_sub(reads);
            assert!(read <= 2, "{path}: {read}");
            assert_eq!(world.system.calls(), calls, "{path}");
        }
    }
    for (body, found) in [
        (json!({ "name": "bot", "entity_id": "no such" }), Some(true)),
        (
            json!({ "name": "nobody", "max_delegation_depth": "many" }),
            Some(false),
        ),
    ] {
        assert_eq!(ask("agents/register", body).await, Ok(found));
    }
    // What is no name names nothing that is there, and is no error either.
    for path in ["agents/..", "agents/%00", "policies/ü", "agents/register"] {
        let answer = ask(path, json!({ "name": ["x"] })).await;
        assert!(
            matches!(answer, Ok(None | Some(false))),
            "{path}: {answer:?}"
        );
    }
}

/// A host that has been told that something is new asks its ACL for `create`
/// alone. What came into being meanwhile is not changed with that.
#[tokio::test]
async fn creating_what_is_there_is_a_conflict() {
    let world = World::with_agent().await;
    for (path, data) in [
        ("agents/bot", json!({ "owner": "me" })),
        (
            "agents/register",
            json!({ "name": "bot", "entity_id": AGENT_ENTITY }),
        ),
        (
            "register",
            json!({ "display_name": "bot", "entity_id": AGENT_ENTITY }),
        ),
        ("targets/crm", json!({ "actions": "read" })),
        ("policies/crm", json!({ "policy": "" })),
        ("keys/default", json!({})),
    ] {
        let asked = request(Operation::Create, path, data, None);
        let answer = world.backend.handle(asked).await;
        assert!(
            matches!(answer, Err(Error::Conflict(_))),
            "{path}: {answer:?}"
        );
    }
}

fn userpass(name: &str) -> Alias {
    Alias {
        accessor: "auth_userpass_1".into(),
        name: name.into(),
        mount_type: "userpass".into(),
        ..Alias::default()
    }
}

/// A mount of 0.1 knows no aliases of its agents. The first rounds of the host's
/// clock find them, so that a moved alias is known even if nobody has asked
/// since.
#[tokio::test]
async fn aliases_of_agents_are_found_without_anybody_asking() {
    let world = World::with_agent().await;
    world
        .ok("config/identity", json!({ "agent_groups": "" }))
        .await;
    let marks = || {
        let keys = world.storage.keys();
        keys.into_iter()
            .filter(|key| key.starts_with("agent-mark/"))
            .count()
    };
    let before = marks();
    let entity = Entity {
        id: AGENT_ENTITY.into(),
        name: "bot".into(),
        aliases: vec![userpass("one"), userpass("two")],
        ..Entity::default()
    };
    world.system.answer_with(AGENT_ENTITY, entity.clone());
    world.tick().await;
    assert_eq!(marks(), before + 2);
    // The alias moves on to another entity, and the agent goes with it.
    let moved = Entity {
        id: "other-entity".into(),
        name: "other".into(),
        aliases: vec![userpass("two")],
        ..Entity::default()
    };
    world.system.answer_with("other-entity", moved);
    let govern = world
        .call(Operation::Read, "config", Value::Null, Some("other-entity"))
        .await;
    let why = govern.unwrap_err().to_string();
    assert!(why.contains("the registered agent `bot`'s"), "{why}");
    // Deleted, it is remembered by what its alias was, until the auth mount is gone.
    world
        .call(Operation::Delete, "agents/bot", Value::Null, None)
        .await
        .unwrap();
    let why = world
        .call(Operation::Read, "config", Value::Null, Some("other-entity"))
        .await
        .unwrap_err()
        .to_string();
    assert!(why.contains("was the agent `bot`"), "{why}");
    let gone = Entity {
        aliases: vec![Alias {
            mount_type: String::new(),
            ..userpass("two")
        }],
        ..entity
    };
    world.system.answer_with(AGENT_ENTITY, gone);
    world.tick().await;
    let other = world
        .call(Operation::Read, "config", Value::Null, Some("other-entity"))
        .await;
    assert!(other.is_ok(), "{other:?}");
}

/// An account that was joined to an agent by mistake is a human's again.
#[tokio::test]
async fn a_mistaken_account_can_be_forgotten() {
    let world = World::with_agent().await;
    let entity = |aliases: &[&str]| Entity {
        id: AGENT_ENTITY.into(),
        name: "bot".into(),
        aliases: aliases.iter().map(|name| userpass(name)).collect(),
        ..Entity::default()
    };
    world
        .system
        .answer_with(AGENT_ENTITY, entity(&["bot", "Ada"]));
    world.tick().await;
    let ada = Entity {
        id: "ada".into(),
        name: "ada".into(),
        aliases: vec![userpass("Ada")],
        ..Entity::default()
    };
    world.system.answer_with("ada", ada);
    let govern = async || {
        world
            .call(Operation::Read, "config", Value::Null, Some("ada"))
            .await
    };
    assert!(govern().await.is_err());
    let path = "agents/bot/forget-alias";
    let ask = json!({ "alias": "auth_userpass_1/ada", "reason": "joined by mistake" });
    let why = world.refused(path, ask.clone()).await;
    assert!(why.contains("has this account still"), "{why}");
    world.system.answer_with(AGENT_ENTITY, entity(&["bot"]));
    let missing = json!({ "alias": "auth_userpass_1/ada" });
    assert!(world.refused(path, missing).await.contains("reason"));
    world.ok(path, ask.clone()).await;
    assert!(govern().await.is_ok());
    let why = world.refused(path, ask).await;
    assert!(why.contains("was not seen with"), "{why}");
    let other = json!({ "alias": "auth_userpass_1/eve", "reason": "x" });
    assert!(
        world
            .refused(path, other)
            .await
            .contains("was not seen with")
    );
}

/// What the documents say of each path is what it is.
#[test]
fn the_overview_of_paths_is_true() {
    let secrets: Vec<&str> = routes(MountType::Secrets)
        .iter()
        .map(|route| route.place.path)
        .collect();
    let mut all = routes(MountType::Auth);
    all.sort_by_key(|route| {
        (
            route.place.path,
            route.place.verb == Verb::List,
            route.place.verb,
        )
    });
    let mut rows: Vec<(String, Vec<&str>, &str)> = Vec::new();
    for route in &all {
        let (path, for_whom) = (shown(route, &secrets), whom(route));
        let verb = route.place.verb.as_str();
        match rows.last_mut() {
            Some((last, verbs, audience)) if *last == path && *audience == for_whom => {
                verbs.push(verb)
            }
            _ => rows.push((path, vec![verb], for_whom)),
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/paths.md");
    let text = fs::read_to_string(&file).unwrap();
    let table: String = rows
        .iter()
        .map(|(path, verbs, audience)| format!("| {path} | {} | {audience} |\n", verbs.join(", ")))
        .collect();
    let (head, rest) = text
        .split_once("| path | operations | whom for |\n| --- | --- | --- |\n")
        .unwrap();
    let (now, tail) = rest.split_once("\n\n").unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let head = [
            head,
            "| path | operations | whom for |\n| --- | --- | --- |\n",
        ]
        .concat();
        fs::write(&file, [&head, &table, "\n", tail].concat()).unwrap();
        return;
    }
    assert_eq!(format!("{now}\n"), table, "run `make golden`");
}

fn shown(route: &Route<Cx>, secrets: &[&str]) -> String {
    let path = route.place.path.replace('{', ":").replace('}', "");
    let slash = if route.place.verb == Verb::List {
        "/"
    } else {
        ""
    };
    let only = if secrets.contains(&route.place.path) {
        ""
    } else {
        " (auth mounts)"
    };
    format!("`{path}{slash}`{only}")
}

fn whom(route: &Route<Cx>) -> &'static str {
    match route.audience {
        Audience::Governed => "Governed",
        Audience::Caller | Audience::Judged => "Caller",
        Audience::TakesBack => "Caller, also one who may do nothing else",
        Audience::Public => "Public",
    }
}

/// An account is the same however its name is written, also while the entity is
/// disabled, and before what was seen is stored.
#[tokio::test]
async fn an_agent_is_known_by_what_it_was_seen_with_from_then_on() {
    let world = World::with_agent().await;
    let seen = Entity {
        id: AGENT_ENTITY.into(),
        name: "bot".into(),
        disabled: true,
        aliases: vec![userpass("Two")],
        ..Entity::default()
    };
    world.system.answer_with(AGENT_ENTITY, seen);
    let ask = json!({ "target": "crm", "action": "read" });
    let denied = world.issue(ask).await.unwrap_err().to_string();
    assert!(denied.contains("agent.disabled"), "{denied}");
    // The entity is gone, and the account logs in anew.
    world.system.remove(AGENT_ENTITY);
    let anew = Entity {
        id: "other-entity".into(),
        name: "other".into(),
        aliases: vec![userpass("tWO")],
        ..Entity::default()
    };
    world.system.answer_with("other-entity", anew);
    let govern = async || {
        let asked = world
            .call(Operation::Read, "config", Value::Null, Some("other-entity"))
            .await;
        asked.unwrap_err().to_string()
    };
    let why = govern().await;
    assert!(why.contains("the registered agent `bot`'s"), "{why}");
    world
        .call(Operation::Delete, "agents/bot", Value::Null, None)
        .await
        .unwrap();
    for _ in 0..2 {
        let why = govern().await;
        assert!(why.contains("was the agent `bot`"), "{why}");
        world.tick().await;
    }
}

/// Who may make tokens with an account of its own choice has not logged in.
#[tokio::test]
async fn an_entity_of_token_roles_alone_is_nobodys_login() {
    let world = World::new().await;
    let made = Entity {
        id: "made".into(),
        name: "made".into(),
        aliases: vec![Alias {
            mount_type: "token".into(),
            ..userpass("evil")
        }],
        ..Entity::default()
    };
    world.system.answer_with("made", made);
    let govern = async || {
        world
            .call(Operation::Read, "config", Value::Null, Some("made"))
            .await
    };
    assert!(govern().await.is_ok());
    world
        .ok(
            "config/identity",
            json!({ "operators_without_entity": false }),
        )
        .await;
    let why = govern().await.unwrap_err().to_string();
    assert!(why.contains("operators_without_entity"), "{why}");
}

/// Where the owner must be there, an agent without does nothing at all, and nothing
/// is done with what it passed on.
#[tokio::test]
async fn an_agent_whose_owner_is_gone_passes_nothing_on_where_that_is_denied() {
    let people = People::new().await;
    let world = &people.world;
    people.register("helper", "helper-entity").await;
    world
        .ok("agents/bot", json!({ "owner_entity_id": "other-entity" }))
        .await;
    let id = people.delegation("read").await;
    let path = format!("delegations/{id}/delegate");
    let pass = async || {
        people
            .by(AGENT_ENTITY, &path, json!({ "agent": "helper" }))
            .await
    };
    let passed = text(&pass().await.unwrap().unwrap()["id"]);
    people.issue_as("helper-entity", &passed).await.unwrap();
    world.system.remove("other-entity");
    people.issue_as("helper-entity", &passed).await.unwrap();
    world
        .ok("config/identity", json!({ "owner_gone": "deny" }))
        .await;
    denied(
        people.issue_as("helper-entity", &passed).await,
        "delegation.agent",
    );
    denied(people.issue(&id).await, "agent.owner_gone");
    denied(pass().await, "agent.owner_gone");
    denied(people.try_ask(&crm("delete")).await, "agent.owner_gone");
    let token = json!({ "token": "x" });
    denied(
        people.by(AGENT_ENTITY, "creds/introspect", token).await,
        "agent.owner_gone",
    );
    // Handing back is never barred.
    let back = format!("delegations/{id}/revoke");
    people.by(AGENT_ENTITY, &back, json!({})).await.unwrap();
}

/// What she agrees to is what she has read: with the agent as it is registered now.
#[tokio::test]
async fn a_word_is_of_the_question_as_it_stands() {
    let people = People::new().await;
    let id = text(&people.ask(&crm("read")).await["id"]);
    let path = format!("delegations/{id}");
    let read = async || people.read(HUMAN_ENTITY, &path).await.unwrap().unwrap();
    let before = read().await;
    people
        .world
        .ok("agents/bot", json!({ "owner": "mallory" }))
        .await;
    let old = json!({ "seen": before["seen"] });
    let said = people.approve(&id, old).await;
    assert!(matches!(said, Err(Error::Conflict(_))), "{said:?}");
    let now = read().await;
    assert!(text(&now["text"]).contains("mallory"), "{now}");
    assert_ne!(now["seen"], before["seen"]);
    let approved = people.approve(&id, json!({ "seen": now["seen"] })).await;
    let consent = text(&approved.unwrap().unwrap()["consent_id"]);
    let record = people
        .read(HUMAN_ENTITY, &format!("consents/{consent}"))
        .await;
    let shown = text(&record.unwrap().unwrap()["text"]);
    assert_eq!(shown.matches("mallory").count(), 2, "{shown}");
}

/// Groups and methods of a human are not an agent's to know.
#[tokio::test]
async fn an_agent_does_not_learn_why_somebody_is_no_human() {
    let people = People::new().await;
    let waiting = text(&people.ask(&crm("delete")).await["id"]);
    let active = people.delegation("read").await;
    people
        .world
        .ok("config/identity", json!({ "not_humans": "support" }))
        .await;
    let problem = async |who: Option<&str>, path: String| {
        let read = people
            .world
            .call(Operation::Read, &path, Value::Null, who)
            .await;
        text(&read.unwrap().unwrap()["subject_problem"])
    };
    let agent = Some(AGENT_ENTITY);
    assert_eq!(problem(agent, format!("delegations/{waiting}")).await, "");
    assert_eq!(
        problem(agent, format!("delegations/{active}")).await,
        "the subject does not count as a human any more"
    );
    let listed = people.list(agent).await.unwrap().unwrap().to_string();
    assert!(!listed.contains("support"), "{listed}");
    for (who, path) in [
        (None, format!("oversight/delegations/{active}")),
        (Some(HUMAN_ENTITY), format!("delegations/{active}")),
    ] {
        let why = problem(who, path).await;
        assert!(why.contains("in the group `support`"), "{why}");
    }
}

/// What says nothing is no reason, and nobody's choice.
#[tokio::test]
async fn nothing_said_is_nothing_done() {
    let world = World::with_agent().await;
    world.ok("config/identity", json!({})).await;
    let read = world.read("config/identity").await.unwrap();
    assert_eq!(read["written"], json!(false));
    for blank in ["", " ", "\u{2800}", "-", "…"] {
        let why = world
            .refused("agents/bot/revoke", json!({ "reason": blank }))
            .await;
        assert!(why.contains("say why"), "{blank:?}: {why}");
    }
}
