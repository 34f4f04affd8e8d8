//! Policies that bind the very next decision, on a real server.

use serde_json::json;

use crate::example::Example;
use crate::support::Bao;

fn policy(example: &Example<'_>, dimension: &str) {
    let text = format!("rule \"r\" {{\n  effect = \"allow\"\n  {dimension}\n}}\n");
    example
        .mount
        .write("policies/crm", &json!({ "policy": text }))
        .ok();
}

#[test]
fn only_the_policy_changes_and_the_hours_with_it() {
    let example = Example::secrets(Bao::dev());
    // A window of every day but none of its minutes, and one of all of them.
    policy(
        &example,
        "environment {\n    not_after = \"2020-01-01T00:00:00Z\"\n  }",
    );
    assert!(
        example
            .issue()
            .refused(403)
            .errors()
            .contains("ceiling.none_applies")
    );
    policy(
        &example,
        "environment {\n    days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n    hours = \"00:00-24:00\"\n    timezone = \"Europe/Berlin\"\n  }",
    );
    example.issue().ok();
    // Two windows that meet at noon UTC: exactly one of them is open now.
    let open = |hours: &str| {
        policy(
            &example,
            &format!("environment {{\n    hours = \"{hours}\"\n    timezone = \"UTC\"\n  }}"),
        );
        example.issue().status
    };
    let (morning, evening) = (open("00:00-12:00"), open("12:00-24:00"));
    assert!(
        [morning, evening] == [200, 403] || [morning, evening] == [403, 200],
        "{morning} {evening}"
    );
}

#[test]
fn a_network_rule_follows_the_connection() {
    let example = Example::secrets(Bao::dev());
    policy(&example, "environment {\n    cidrs = [\"10.0.0.0/8\"]\n  }");
    assert!(
        example
            .issue()
            .refused(403)
            .errors()
            .contains("ceiling.none_applies")
    );
    policy(
        &example,
        "environment {\n    cidrs = [\"127.0.0.0/8\"]\n  }",
    );
    example.issue().ok();
    policy(&example, "environment {\n    locations = [\"here\"]\n  }");
    example.issue().refused(403);
    example
        .mount
        .write("locations/here", &json!({ "cidrs": "127.0.0.1/32" }))
        .ok();
    example.issue().ok();
    example
        .mount
        .write("locations/here", &json!({ "cidrs": "10.0.0.0/8" }))
        .ok();
    example.issue().refused(403);
}

#[test]
fn a_change_of_group_binds_the_next_decision() {
    let bao = Bao::dev();
    let example = Example::secrets(bao);
    let human = example.mount.human("alice");
    let group = crate::support::unique("support");
    let members = |ids: &[&str]| {
        bao.client()
            .write(
                &format!("identity/group/name/{group}"),
                &json!({ "member_entity_ids": ids }),
            )
            .ok();
    };
    members(&[]);
    example
        .mount
        .write(
            &format!("baselines/group/{group}"),
            &json!({ "policies": "crm" }),
        )
        .ok();
    let finding = || {
        let ask = json!({ "agent": "bot", "subject": human.entity_id, "target": "crm", "action": "read", "resource": "customers/1" });
        let answer = example.mount.write("decisions/evaluate", &ask).ok();
        let layers = answer.json["data"]["context"]["layers"]
            .as_array()
            .unwrap()
            .clone();
        layers
            .iter()
            .find(|layer| layer["layer"] == "baseline")
            .unwrap()
            .clone()
    };
    assert_eq!(finding()["reason"], "baseline.none_given");
    members(&[&human.entity_id]);
    assert_eq!(finding()["finding"], "holds");
    members(&[]);
    assert_eq!(finding()["reason"], "baseline.none_given");
    bao.client()
        .write(
            &format!("identity/entity/id/{}", human.entity_id),
            &json!({ "disabled": true }),
        )
        .ok();
    assert_eq!(finding()["reason"], "subject.disabled");
}

#[test]
fn a_policy_in_use_names_its_users() {
    let example = Example::secrets(Bao::dev());
    let refused = example.mount.delete("policies/crm").refused(400);
    assert!(refused.errors().contains("agent bot"), "{refused:?}");
    example
        .mount
        .write("agents/bot", &json!({ "ceiling_policies": "" }))
        .ok();
    assert_eq!(example.mount.delete("policies/crm").status, 204);
}

#[test]
fn a_condition_sees_what_the_agent_asserts() {
    let example = Example::secrets(Bao::dev());
    policy(&example, "condition = request.context.amount <= 500");
    let mut ask = example.ask();
    example.issue_with(&ask).refused(403);
    ask["context"] = json!({ "amount": 500 });
    example.issue_with(&ask).ok();
    ask["context"] = json!({ "amount": 501 });
    example.issue_with(&ask).refused(403);
}

#[test]
fn the_server_and_the_offline_tools_say_the_same() {
    let example = Example::secrets(Bao::dev());
    let text = "rule \"a\" {\n  effect = \"allow\"\n  targts = [\"crm\"]\n}\n";
    let refused = example
        .mount
        .write("policies/broken", &json!({ "policy": text }))
        .refused(400);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broken.hcl");
    std::fs::write(&file, text).unwrap();
    let output = Bao::tool_command()
        .args(["policy", "check"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("3:3") && refused.errors().contains("3:3"),
        "{said} {refused:?}"
    );
    assert!(
        said.contains("did you mean `targets`?")
            && refused.errors().contains("did you mean `targets`?")
    );
}

#[test]
fn authzen_requests_are_answered_as_the_specification_says() {
    let example = Example::secrets(Bao::dev());
    let root = example.mount.bao.client();
    let single = example.mount.at("access/v1/evaluation");
    let question = json!({
        "subject": { "type": "agent", "id": "bot", "properties": { "ignored": true } },
        "action": { "name": "read", "properties": { "method": "GET" } },
        "resource": { "type": "crm", "id": "customers/42" },
        "context": { "time": "2027-01-01T00:00:00Z" },
        "unknown": 1,
    });
    let answer = root.write(&single, &question);
    assert_eq!(
        (answer.status, &answer.json["decision"]),
        (200, &json!(true)),
        "{answer:?}"
    );
    let mut denied = question.clone();
    denied["action"]["name"] = json!("delete");
    let answer = root.write(&single, &denied);
    assert_eq!(
        (answer.status, &answer.json["decision"]),
        (200, &json!(false)),
        "{answer:?}"
    );
    assert_eq!(
        answer.json,
        json!({ "decision": false }),
        "and nothing more"
    );
    let own = example.agent.client.write(&single, &denied);
    assert_eq!(own.json["context"]["reason"], "ceiling.none_applies");
    for missing in ["subject", "action", "resource"] {
        let mut broken = question.clone();
        broken.as_object_mut().unwrap().remove(missing);
        let answer = root.write(&single, &broken).refused(400);
        assert!(answer.errors().contains(missing), "{answer:?}");
    }
    let batch = example.mount.at("access/v1/evaluations");
    let evaluations = |semantic: &str| {
        let body = json!({
            "subject": question["subject"], "resource": question["resource"],
            "evaluations": [{ "action": { "name": "read" } }, { "action": { "name": "delete" } }, { "action": {} }, { "action": { "name": "read" } }],
            "options": { "evaluations_semantic": semantic },
        });
        let answer = root.write(&batch, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let all = answer.json["evaluations"].as_array().unwrap();
        all.iter()
            .map(|one| one["decision"].as_bool().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(evaluations("execute_all"), [true, false, false, true]);
    assert_eq!(evaluations("deny_on_first_deny"), [true, false]);
    assert_eq!(evaluations("permit_on_first_permit"), [true]);
    let metadata = example
        .mount
        .bao
        .client_with("")
        .read(&example.mount.at(".well-known/authzen-configuration"));
    assert_eq!(
        metadata.json["policy_decision_point"],
        example.issuer.as_str()
    );
}
