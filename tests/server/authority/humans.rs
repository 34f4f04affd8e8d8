//! Who is a human: what makes one, what unmakes one, and that nobody is barred
//! from taking back what is in their name.

use serde_json::{Value, json};

use super::callers::{approle, into_group, logins, two_faced};
use super::{entity, everything, example, log_in, merge, move_alias, register};
use crate::example::Example;
use crate::support::{Answer, Bao, Client, Login, Mount};

fn scope() -> Value {
    json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/*"] }])
}

/// Grants the example's agent authority, as whoever has the token.
fn grant(client: &Client, mount: &Mount<'_>) -> Answer {
    let body = json!({ "agent": "bot", "scope": scope() });
    client.write(&mount.at("delegations/grant"), &body)
}

#[track_caller]
fn refused_as(answer: Answer, why: &str) {
    let answer = answer.refused(403);
    assert!(answer.errors().contains(why), "{why}: {answer:?}");
}

fn human(bao: &Bao, name: &str, mount: &Mount<'_>) -> Login {
    bao.login(name, &example("human", mount))
}

#[test]
fn who_logs_in_as_people_do_is_a_human_and_nobody_else() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    grant(&human(&bao, "ada", mount).client, mount).ok();
    let two = two_faced(&bao, mount);
    refused_as(grant(&two.client, mount), "and by `approle` as well");
    // A workload, and one that nobody can log in as, are nobody to ask.
    let workload = entity(&bao);
    approle(&bao, &workload);
    for subject in [workload, entity(&bao), two.entity_id] {
        let ask = json!({ "scope": scope(), "subject_entity_id": subject });
        let asked = example
            .agent
            .client
            .write(&mount.at("delegations/request"), &ask)
            .refused(400);
        assert!(asked.errors().contains("of a human"), "{asked:?}");
    }
    let all = everything(mount);
    let (login, childs) = logins(&bao, mount);
    for client in [login, childs] {
        refused_as(grant(&client, mount), "this token is an agent's");
    }
    drop(all);
}

#[test]
fn whoever_was_an_agent_consents_to_nothing() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    let agent = |name: &str| {
        let login = human(&bao, name, mount);
        register(mount, name, &login);
        login
    };
    let deleted = agent("deleted");
    refused_as(grant(&deleted.client, mount), "is a registered agent");
    mount.delete("agents/deleted").ok();
    refused_as(grant(&deleted.client, mount), "was the agent `deleted`");
    // Not by its own code either, which another agent shows it.
    let ask = json!({ "scope": scope() });
    let asked = example
        .agent
        .client
        .write(&mount.at("delegations/request"), &ask)
        .ok();
    let code = asked.text_at("/data/user_code");
    let path = mount.at(&format!("delegations/code/{code}"));
    refused_as(deleted.client.read(&path), "was the agent `deleted`");
    let approve = format!("{path}/approve");
    refused_as(deleted.client.write(&approve, &json!({})), "was the agent");

    let merged = agent("merged");
    let into = entity(&bao);
    merge(&bao, &merged.entity_id, &into);
    refused_as(grant(&merged.client, mount), "agent.gone");
    refused_as(
        grant(&log_in(&bao, &merged.name), mount),
        "`merged` is a registered agent",
    );

    let moved = agent("moved");
    move_alias(&bao, &moved, &entity(&bao));
    refused_as(grant(&moved.client, mount), "agent.gone");
    refused_as(
        grant(&log_in(&bao, &moved.name), mount),
        "`moved` is a registered agent",
    );

    // Until an operator has forgotten it, and said so in the log.
    let id = mount.list("agents/former/").ok().keys()[0].clone();
    let former = mount.read(&format!("agents/former/{id}")).ok();
    assert_eq!(former.text_at("/data/name"), "deleted");
    mount.delete(&format!("agents/former/{id}")).ok();
    grant(&deleted.client, mount).ok();
    let log = mount.list("decisions/").ok();
    assert!(log.text.contains("\"agent.forget\""), "{log:?}");
    // A mark does not keep it from being an agent once more.
    register(mount, "deleted", &deleted);
    mount.delete("agents/deleted").ok();
    register(mount, "deleted", &deleted);
    refused_as(grant(&deleted.client, mount), "is a registered agent");
}

#[test]
fn taking_back_is_never_barred_and_a_subject_that_is_no_human_serves_nothing() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    let ada = human(&bao, "ada", mount);
    let baseline = format!("baselines/entity/{}", ada.entity_id);
    mount.write(&baseline, &json!({ "policies": "crm" })).ok();
    let first = grant(&ada.client, mount).ok().text_at("/data/id");
    let ask = json!({ "scope": scope(), "subject_entity_id": ada.entity_id });
    let asked = example
        .agent
        .client
        .write(&mount.at("delegations/request"), &ask)
        .ok()
        .text_at("/data/id");
    let mut request = example.ask();
    request["delegation_id"] = json!(first);
    let token = example
        .issue_with(&request)
        .ok()
        .text_at("/data/credential");
    let active = || {
        let shown = json!({ "token": token });
        mount.write("creds/introspect", &shown).ok().data("active") == &json!(true)
    };
    assert!(active());

    register(mount, "ada", &ada);
    let said = example.issue_with(&request).refused(403);
    assert!(said.errors().contains("subject.not_human"), "{said:?}");
    assert!(!active());
    let listed = mount.list("oversight/delegations/").ok();
    let problem = &listed.data("key_info")[&first]["subject_problem"];
    assert!(
        problem.as_str().unwrap().contains("registered agent"),
        "{problem}"
    );
    refused_as(grant(&ada.client, mount), "is a registered agent");
    mount.write("agents/ada/suspend", &json!({})).ok();
    for path in [
        format!("delegations/{asked}/deny"),
        format!("delegations/{first}/revoke"),
        "self/revoke".to_owned(),
    ] {
        ada.client.write(&mount.at(&path), &json!({})).ok();
    }
    let ended = mount.read(&format!("oversight/delegations/{first}")).ok();
    assert_eq!(ended.text_at("/data/status"), "revoked");
    // As the agent that it is now, suspended, it can do nothing at all.
    for (path, body) in [
        ("creds/introspect", json!({ "token": token })),
        ("creds/redeem", json!({ "token": token })),
        ("creds/revoke", json!({ "token": token })),
        ("self/evaluate", example.ask()),
    ] {
        let all = bao.login("again", &everything(mount));
        register(mount, &all.name, &all);
        mount
            .write(&format!("agents/{}/suspend", all.name), &json!({}))
            .ok();
        let said = all.client.write(&mount.at(path), &body);
        let told = format!("{said:?}");
        assert!(told.contains("agent.suspended"), "{path}: {told}");
    }
}

#[test]
fn settings_say_whose_entities_are_humans() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    let ada = human(&bao, "ada", mount);
    let root = bao.client();
    let accessor = root
        .read("sys/auth")
        .ok()
        .text_at("/data/userpass~1/accessor");
    let set = |body: Value| mount.write("config/identity", &body).ok();
    set(json!({ "human_auth_methods": "oidc" }));
    refused_as(grant(&ada.client, mount), "logs in by `userpass`");
    set(json!({ "human_auth_methods": ["oidc", accessor] }));
    grant(&ada.client, mount).ok();
    set(json!({ "humans": "Staff" }));
    refused_as(grant(&ada.client, mount), "none of the groups");
    into_group(&bao, "staff", &ada.entity_id);
    grant(&ada.client, mount).ok();
    // Groups by id, too, and names in any case.
    into_group(&bao, "robots", &ada.entity_id);
    let robots = root
        .read("identity/group/name/robots")
        .ok()
        .text_at("/data/id");
    for not in [json!(robots), json!("ROBOTS")] {
        set(json!({ "not_humans": not }));
        refused_as(grant(&ada.client, mount), "in the group `robots`");
    }
    for bad in [
        json!({ "not_humans": ["rob\nots"] }),
        json!({ "owner_gone": "shrug" }),
    ] {
        mount.write("config/identity", &bad).refused(400);
    }
    mount.delete("config/identity").ok();
    grant(&ada.client, mount).ok();
    let read = mount.read("config/identity").ok();
    assert_eq!(read.data("written"), &json!(false));
    assert_eq!(read.data("agent_groups"), &json!(["agents"]));
}

/// Two mounts share nothing. What both see are the server's groups.
#[test]
fn an_agent_of_another_mount_is_held_by_the_group_of_agents_only() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    let mount = &example.mount;
    let other = bao.auth();
    let acl = format!("{}{}", example_acl("human", mount), everything(mount));
    let agent = bao.login("foreign", &acl);
    register(&other, "foreign", &agent);
    // Unknown here, and of a method that people use: so it is taken for a human,
    // and with `sudo` it governs.
    grant(&agent.client, mount).ok();
    agent.client.read(&mount.at("config")).ok();
    into_group(&bao, "agents", &agent.entity_id);
    refused_as(grant(&agent.client, mount), "in the group `agents`");
    refused_as(
        agent.client.read(&mount.at("config")),
        "in the group `agents`",
    );
}

fn example_acl(name: &str, mount: &Mount<'_>) -> String {
    example(name, mount)
}
