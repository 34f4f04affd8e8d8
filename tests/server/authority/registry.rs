//! The registry remembers, and what hangs on names is held by ids.

use serde_json::{Value, json};

use super::callers::{Gate, into_group, login, orphan, policy};
use super::{entity, everything, example, log_in, merge, register};
use crate::example::Example;
use crate::support::{Bao, Mount, unique};

#[test]
fn an_agent_whose_entity_is_not_there_is_gone_everywhere() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    let token = example.issue().ok().text_at("/data/credential");
    merge(&bao, &example.agent.entity_id, &entity(&bao));
    let said = example.issue().refused(403);
    assert!(said.errors().contains("agent.gone"), "{said:?}");
    let shown = mount
        .write("creds/introspect", &json!({ "token": token }))
        .ok();
    assert_eq!(shown.data("active"), &json!(false));
    let mut ask = example.ask();
    ask["agent"] = json!("bot");
    let dry = mount.write("decisions/evaluate", &ask).ok();
    assert_eq!(dry.text_at("/data/context/reason"), "agent.gone");
    let read = mount.read("agents/bot").ok();
    // The servers differ in whether what was merged away can still be read.
    let status = read.text_at("/data/entity_status");
    assert!(["merged", "gone"].contains(&status.as_str()), "{read:?}");
    let orphans = mount.list("oversight/orphans/").ok();
    let why = &orphans.data("key_info")["bot"]["why"];
    assert!(
        why.as_array()
            .unwrap()
            .contains(&json!(format!("entity_{status}"))),
        "{why}"
    );
}

#[test]
fn owners_are_entities_and_what_follows_when_they_go_is_a_setting() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    let owner = entity(&bao);
    let fields = json!({ "owner": "Ada", "owner_entity_id": owner, "labels": { "team": "a" }, "software": { "model": "m-1" } });
    mount.write("agents/bot", &fields).ok();
    // The server answers a list of nothing like one that is not there.
    mount.list("oversight/orphans/").refused(404);
    let root = bao.client();
    let path = format!("identity/entity/id/{owner}");
    root.write(&path, &json!({ "disabled": true })).ok();
    // By default: served, with a warning, and on the list.
    let issued = example.issue().ok();
    assert!(
        issued.warnings().join(" ").contains("owner of the agent"),
        "{issued:?}"
    );
    assert_eq!(mount.list("oversight/orphans/").ok().keys(), ["bot"]);
    let log = mount.list("decisions/").ok();
    assert!(log.text.contains("agent.owner_gone"), "{log:?}");
    assert!(mount.read("metrics").text.contains("agent.owner_gone"));
    let set = |body: Value| mount.write("config/identity", &body).ok();
    set(json!({ "owner_gone": "deny" }));
    let said = example.issue().refused(403);
    assert!(said.errors().contains("agent.owner_gone"), "{said:?}");
    set(json!({ "owner_gone": "ignore" }));
    assert!(example.issue().ok().warnings().is_empty());
    // And so with the day by which somebody has to look.
    mount
        .write(
            "agents/bot",
            &json!({ "review_by": "2020-01-01T00:00:00Z" }),
        )
        .ok();
    assert!(!example.issue().ok().warnings().is_empty());
    set(json!({ "review_overdue": "deny" }));
    let said = example.issue().refused(403);
    assert!(said.errors().contains("agent.review_overdue"), "{said:?}");
    // What one looks for.
    let list = |query: &str| {
        let answer = root.send("GET", &mount.at(&format!("agents?list=true&{query}")), None);
        if answer.status == 404 {
            vec![]
        } else {
            answer.ok().keys()
        }
    };
    for (query, found) in [
        ("owner=Ada", true),
        (&format!("owner={owner}"), true),
        ("owner=Bob", false),
        ("label=team", true),
        ("label=team%3Da", true),
        ("label=team%3Db", false),
        ("software=m-1", true),
        ("status=active", true),
        ("status=suspended", false),
        ("unused_since=2020-01-01T00:00:00Z", false),
        ("unused_since=2199-01-01T00:00:00Z", true),
    ] {
        assert_eq!(!list(query).is_empty(), found, "{query}");
    }
}

#[test]
fn what_is_registered_is_not_taken_over() {
    let bao = Bao::dev();
    let mount = bao.secrets();
    let (one, two) = (entity(bao), entity(bao));
    let first = json!({ "display_name": "a", "entity_id": one, "description": "d" });
    let id = mount.write("register", &first).ok().text_at("/data/id");
    assert_eq!(mount.write("register", &first).ok().text_at("/data/id"), id);
    for other in [
        json!({ "display_name": "a", "entity_id": two }),
        json!({ "display_name": "a", "entity_id": one, "description": "other" }),
        json!({ "display_name": "a", "entity_id": one, "no_default_ceiling_policy": true, "description": "d" }),
    ] {
        mount.write("register", &other).refused(409);
    }
    for name in [
        "01a2062d-d731-7335-be88-0c6ee36d31a9",
        "former",
        "Former",
        "register",
    ] {
        let body = json!({ "name": name, "entity_id": two });
        mount.write("agents/register", &body).refused(400);
    }
}

#[test]
fn a_baseline_is_a_groups_and_not_a_names() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    let root = bao.client();
    let ada = bao.login("ada", &super::example("human", mount));
    into_group(&bao, "Support", &ada.entity_id);
    let group = root
        .read("identity/group/name/support")
        .ok()
        .text_at("/data/id");
    mount
        .write("baselines/group/support", &json!({ "policies": "crm" }))
        .ok();
    // A rule that names the group in another case is about the same group.
    let rule = "rule \"all\" {\n  effect = \"allow\"\n  subject {\n    groups = [\"SUPPORT\"]\n  }\n  condition = contains(subject.groups, \"sUpport\")\n}\n";
    mount.write("policies/crm", &json!({ "policy": rule })).ok();
    let grant = json!({
        "agent": "bot",
        "scope": [{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/*"] }],
    });
    let id = ada
        .client
        .write(&mount.at("delegations/grant"), &grant)
        .ok()
        .text_at("/data/id");
    let mut ask = example.ask();
    ask["delegation_id"] = json!(id);
    // A dry run learns nothing.
    let mut dry = ask.clone();
    dry["agent"] = json!("bot");
    dry["subject"] = json!(ada.entity_id);
    mount.write("decisions/evaluate", &dry).ok();
    let bound = || {
        mount
            .read("baselines/group/support")
            .ok()
            .text_at("/data/group_id")
    };
    assert_eq!(bound(), "");
    example.issue_with(&ask).ok();
    bao.wait("bound to the group's id", |_| bound() == group);
    // Renamed, the group keeps it; another of its name does not get it.
    let open = "rule \"all\" {\n  effect = \"allow\"\n}\n";
    mount.write("policies/crm", &json!({ "policy": open })).ok();
    root.write(
        &format!("identity/group/id/{group}"),
        &json!({ "name": "helpdesk" }),
    )
    .ok();
    example.issue_with(&ask).ok();
    root.write(
        &format!("identity/group/id/{group}"),
        &json!({ "member_entity_ids": [] }),
    )
    .ok();
    into_group(&bao, "support", &ada.entity_id);
    let said = example.issue_with(&ask).refused(403);
    assert!(said.errors().contains("baseline.none_given"), "{said:?}");
    mount
        .write(
            "baselines/group/support",
            &json!({ "policies": "crm", "group_id": "" }),
        )
        .ok();
    example.issue_with(&ask).ok();
}

#[test]
fn an_issuers_name_stays_taken_and_is_no_agents() {
    let bao = Bao::dev();
    let gate = bao.auth();
    let keys = json!([{ "key_id": "a", "pem": "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}" }]);
    let issuer = |id: &str| json!({ "issuer_id": id, "use_jwks": false, "audiences": "vault", "public_keys": keys });
    gate.write("config/issuers/one", &issuer("https://idp.example.com"))
        .ok();
    gate.write("config/issuers/one", &json!({ "enabled": false }))
        .ok();
    let said = gate
        .write("config/issuers/two", &issuer("https://idp.example.com"))
        .refused(400);
    assert!(said.errors().contains("has it already"), "{said:?}");
    for name in [
        "bot",
        "accounts.example.com",
        "01a2062d-d731-7335-be88-0c6ee36d31a9",
    ] {
        let said = gate.write("config/issuers/two", &issuer(name)).refused(400);
        assert!(said.errors().contains("agent's name or id"), "{said:?}");
    }
    // An agent is bound to a definition, and no other vouches for it.
    let agent =
        json!({ "entity_id": entity(bao), "issuer": "https://idp.example.com", "subject": "s" });
    let bound = gate
        .write("agents/bot", &agent)
        .ok()
        .text_at("/data/issuer_config_id");
    let id = gate
        .read("config/issuers/one")
        .ok()
        .text_at("/data/config_id");
    assert_eq!(bound, id);
    gate.delete("config/issuers/one").ok();
    gate.write("config/issuers/one", &issuer("https://idp.example.com"))
        .ok();
    let still = gate
        .read("agents/bot")
        .ok()
        .text_at("/data/issuer_config_id");
    assert_eq!(still, id, "what is defined anew is another");
}

#[test]
fn a_login_without_an_alias_has_no_children() {
    let bao = Bao::own();
    let mount = bao.secrets();
    let policy = policy(&bao, &mount);
    let gate = bao.auth();
    let target = json!({ "credential_type": "vault_token", "actions": "all", "vault_policies": policy, "vault_alias": false });
    let said = gate.write("targets/x", &target).refused(400);
    assert!(said.errors().contains("vault_alias"), "{said:?}");
    for target in [
        json!({ "vault_alias": false, "vault_token_type": "batch" }),
        json!({ "vault_alias": false, "max_uses": 5 }),
    ] {
        let client = bao.client_with(&login(&bao, &policy, target.clone()));
        let made = client.write("auth/token/create", &json!({}));
        assert!(made.status >= 400, "{target}: {made:?}");
        let said = client.read(&mount.at("config")).refused(403);
        assert!(
            said.errors().contains("this token is an agent's"),
            "{said:?}"
        );
    }
}

/// OpenBao can take a login along with the request that it is for. It makes no
/// token then, and sends the plugin no login either.
#[test]
fn a_login_that_travels_with_a_request_governs_nothing() {
    let bao = Bao::own();
    let mount = bao.secrets();
    let policy = policy(&bao, &mount);
    for target in [
        json!({}),
        json!({ "vault_alias": false, "vault_token_type": "batch" }),
    ] {
        let gate = Gate::new(&bao, &policy, target.clone());
        for path in ["config", "agents/x", "self", "delegations/x"] {
            let client = bao.client_with("");
            let client = client.inline(&gate.mount.at("login"), &gate.login());
            let said = client.read(&mount.at(path)).refused(403);
            assert!(
                said.errors().contains("this token is an agent's"),
                "{target} {path}: {said:?}"
            );
        }
    }
}

/// The name of a mount may be any; what it puts before an agent's is not looked at.
#[test]
fn a_login_is_known_whatever_its_mount_is_called() {
    let bao = Bao::own();
    let mount = bao.secrets();
    let policy = policy(&bao, &mount);
    for name in ["token-agents-x", "ag@prod-x", "ag/sub:x"] {
        let path = format!("sys/auth/{name}");
        bao.client()
            .write(&path, &json!({ "type": "agentic" }))
            .ok();
        let gate = Mount {
            bao: &bao,
            path: format!("auth/{name}"),
        };
        let batch = json!({ "vault_alias": false, "vault_token_type": "batch" });
        let gate = Gate::on(&bao, gate, &policy, batch).waited(&bao);
        let answer = bao
            .client_with("")
            .write(&gate.mount.at("login"), &gate.login());
        let token = answer.ok().text_at("/auth/client_token");
        let said = bao
            .client_with(&token)
            .read(&mount.at("config"))
            .refused(403);
        assert!(
            said.errors().contains("this token is an agent's"),
            "{name}: {said:?}"
        );
    }
}

/// The server keeps an account's name as it was written, and finds it in any case.
#[test]
fn an_account_is_the_same_in_any_case() {
    let bao = Bao::own();
    let mount = bao.secrets();
    let root = bao.client();
    let agent = bao.login("bot", &everything(&mount));
    let known = root
        .read(&format!("identity/entity/id/{}", agent.entity_id))
        .ok();
    let (alias, accessor) = (
        known.text_at("/data/aliases/0/id"),
        known.text_at("/data/aliases/0/mount_accessor"),
    );
    let other = json!({
        "name": agent.name.to_uppercase(), "canonical_id": agent.entity_id, "mount_accessor": accessor,
    });
    root.write(&format!("identity/entity-alias/id/{alias}"), &other)
        .ok();
    register(&mount, "bot", &agent);
    mount.write("agents/bot/suspend", &json!({})).ok();
    root.delete(&format!("identity/entity/id/{}", agent.entity_id))
        .ok();
    let anew = log_in(&bao, &agent.name);
    let resume = json!({ "reason": "hi" });
    let said = anew
        .write(&mount.at("agents/bot/resume"), &resume)
        .refused(403);
    assert!(said.errors().contains("`bot`'s"), "{said:?}");
    mount.delete("agents/bot").ok();
    let said = anew.read(&mount.at("config")).refused(403);
    assert!(said.errors().contains("was the agent `bot`"), "{said:?}");
}

/// Of several who create the same, one does.
#[test]
fn one_creates_what_several_create_at_a_time() {
    let bao = Bao::dev();
    let mount = bao.secrets();
    let rule = |effect: &str| format!("rule \"all\" {{\n  effect = \"{effect}\"\n}}\n");
    mount
        .write("policies/crm", &json!({ "policy": rule("allow") }))
        .ok();
    let acl = mount.acl(&[
        ("policies/*", "create, sudo"),
        ("locations/*", "create, sudo"),
        ("baselines/*", "create, sudo"),
    ]);
    let creator = bao.login("creator", &acl);
    let subject = entity(bao);
    for (path, body) in [
        ("policies/new".to_owned(), json!({ "policy": rule("deny") })),
        ("locations/new".to_owned(), json!({ "cidrs": "10.0.0.0/8" })),
        (
            format!("baselines/entity/{subject}"),
            json!({ "policies": "crm" }),
        ),
    ] {
        let made = std::thread::scope(|scope| {
            let all: Vec<_> = (0..12)
                .map(|_| scope.spawn(|| creator.client.write(&mount.at(&path), &body).status))
                .collect();
            all.into_iter()
                .map(|one| one.join().unwrap())
                .filter(|status| *status == 200)
                .count()
        });
        assert_eq!(made, 1, "{path}");
    }
}

#[test]
fn a_token_of_nobody_governs_as_the_mount_lets_it() {
    let bao = Bao::own();
    let mount = bao.secrets();
    let nobody = bao.client_with(&orphan(&bao, &mount));
    nobody.read(&mount.at("config")).ok();
    mount
        .write(
            "config/identity",
            &json!({ "operators_without_entity": false }),
        )
        .ok();
    // Nor does an account of its maker's choice make it somebody's.
    let role = json!({
        "allowed_entity_aliases": "evil", "orphan": true, "allowed_policies_glob": "everything*",
    });
    let root = bao.client();
    root.write("auth/token/roles/any", &role).ok();
    let chosen = json!({ "entity_alias": "evil", "policies": [policy(&bao, &mount)] });
    let chosen = root.write("auth/token/create/any", &chosen).ok();
    let chosen = bao.client_with(&chosen.text_at("/auth/client_token"));
    for caller in [nobody, chosen] {
        let said = caller.read(&mount.at("config")).refused(403);
        assert!(
            said.errors().contains("operators_without_entity"),
            "{said:?}"
        );
    }
}

/// Each refusal says in both logs who was refused as what.
#[test]
fn both_logs_say_who_was_refused_as_what() {
    let bao = Bao::own();
    let mount = bao.secrets();
    let agent = bao.login("tempted", &everything(&mount));
    register(&mount, "tempted", &agent);
    mount.delete("agents/tempted").ok();
    agent
        .client
        .write(&mount.at("policies/mine"), &json!({ "policy": "x" }))
        .refused(403);
    let log = mount.list("decisions/").ok();
    let keys = log.keys();
    let entry = &log.data("key_info")[&keys[0]];
    assert_eq!(entry["kind"], "govern", "{entry}");
    let read = mount.read(&format!("decisions/{}", keys[0])).ok();
    assert_eq!(read.text_at("/data/refused_as"), "former_agent");
    assert_eq!(read.text_at("/data/caller"), agent.entity_id);
    let audited = bao.audit_of(&mount.at("policies/mine"));
    let said = audited
        .iter()
        .find_map(|line| line.pointer("/response/data/data/decision_id"));
    assert!(said.is_some(), "{audited:?}");
}

/// The roles of the docs can do their job.
#[test]
fn each_role_can_do_its_job() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    let role = |name: &str| bao.login(name, &self::example(name, mount)).client;
    let (operator, auditor, team) = (role("operator"), role("auditor"), role("team-operator"));
    let rule = json!({ "policy": "rule \"all\" {\n  effect = \"allow\"\n}\n" });
    let one = json!({ "entity_id": entity(&bao), "ceiling_policies": "ops" });
    for (path, body) in [
        ("policies/ops", &rule),
        ("targets/ops", &json!({ "actions": "read" })),
        ("agents/ops", &one),
        ("agents/ops/suspend", &json!({})),
        ("agents/ops/resume", &json!({ "reason": "fine" })),
        (
            "oversight/revoke",
            &json!({ "agent": "ops", "reason": "odd" }),
        ),
        (
            "decisions/evaluate",
            &json!({ "agent": "ops", "target": "ops", "action": "read" }),
        ),
    ] {
        operator.write(&mount.at(path), body).ok();
    }
    for path in [
        "keys/x",
        "config/issuers/x",
        "config/export",
        "config/identity",
    ] {
        operator.write(&mount.at(path), &json!({})).refused(403);
    }
    for (path, body) in [
        (
            "decisions/evaluate",
            json!({ "agent": "ops", "target": "ops", "action": "read" }),
        ),
        (
            "policies/check",
            json!({ "name": "ops", "policy": "rule \"all\" {\n  effect = \"deny\"\n}\n" }),
        ),
        ("targets/ops/doctor", json!({})),
    ] {
        auditor.write(&mount.at(path), &body).ok();
    }
    for path in ["policies/ops", "agents/ops", "config", "decisions/"] {
        match path.strip_suffix('/') {
            Some(_) => {
                auditor.list(&mount.at(path)).ok();
                continue;
            }
            None => auditor.read(&mount.at(path)).ok(),
        };
        auditor.write(&mount.at(path), &rule).refused(403);
        auditor.delete(&mount.at(path)).refused(403);
    }
    let mine = json!({ "entity_id": entity(&bao) });
    team.write(&mount.at("agents/team-a-bot"), &mine).ok();
    team.write(&mount.at("agents/team-a-bot/suspend"), &json!({}))
        .ok();
    for path in [
        "agents/ops",
        "agents/ops/suspend",
        "agents/team-b-bot",
        "agents/register",
    ] {
        team.write(&mount.at(path), &mine).refused(403);
    }
    role("scraper").read(&mount.at("metrics")).ok();
    let token = example.issue().ok().text_at("/data/credential");
    let verifier = role("verifier");
    for path in ["creds/introspect", "creds/redeem"] {
        let shown = verifier
            .write(&mount.at(path), &json!({ "token": token }))
            .ok();
        assert_eq!(shown.data("active"), &json!(true));
    }
    let agent = bao.login(&unique("by-the-docs"), &self::example("agent", mount));
    register(mount, &agent.name, &agent);
    mount
        .write(
            &format!("agents/{}", agent.name),
            &json!({ "ceiling_policies": "crm" }),
        )
        .ok();
    agent
        .client
        .write(&mount.at("creds/issue"), &example.ask())
        .ok();
    agent
        .client
        .write(&mount.at("self/evaluate"), &example.ask())
        .ok();
    agent.client.read(&mount.at("self/targets/crm")).ok();
    agent.client.read(&mount.at("self")).ok();
}
