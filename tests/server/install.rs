//! `register`, to the end: a server that has nothing gets everything.

use serde_json::json;

use crate::example::Example;
use crate::support::{Bao, Mount};

#[test]
fn an_installation_may_be_repeated() {
    let bao = Bao::own();
    let directory = bao.plugin_directory();
    let install = || {
        let output = bao.run(
            Bao::tool_command()
                .args(["register", "--plugin-dir"])
                .arg(&directory),
        );
        assert!(output.status.success(), "{output:?}\n{}", bao.log());
        String::from_utf8(output.stdout).unwrap()
    };

    let first = install();
    for line in ["enabled      agentic/", "enabled      auth/agentic/"] {
        assert!(first.lines().any(|said| said == line), "{first}");
    }
    for path in ["sys/mounts/agentic/tune", "sys/auth/agentic/tune"] {
        let tune = bao.client().read(path).ok();
        let keys = tune
            .data("audit_non_hmac_response_keys")
            .as_array()
            .unwrap();
        assert!(keys.contains(&json!("decision_id")), "{tune:?}");
        assert_eq!(tune.data("plugin_version"), "v0.1.0");
    }

    let second = install();
    for line in ["is enabled   agentic/", "is enabled   auth/agentic/"] {
        assert!(second.lines().any(|said| said == line), "{second}");
    }
    assert!(!second.contains("reloaded"), "{second}");
}

#[test]
fn both_types_can_be_mounted_many_times() {
    let bao = Bao::dev();
    for mount in [bao.secrets(), bao.secrets(), bao.auth(), bao.auth()] {
        mount.read("config").ok();
        assert_eq!(mount.disable().status, 204);
    }
}

#[test]
fn the_audit_log_says_who_asked_for_what_and_why_it_was_refused() {
    let bao = Bao::own();
    let output = bao.run(
        Bao::tool_command()
            .args(["register", "--no-auth", "--plugin-dir"])
            .arg(bao.plugin_directory()),
    );
    assert!(output.status.success(), "{output:?}");
    let example = Example::on(Mount {
        bao: &bao,
        path: "agentic".into(),
    });
    let issued = example.issue().ok();
    let mut ask = example.ask();
    ask["action"] = json!("delete");
    ask["context"] = json!({ "note": "not for the log" });
    example.issue_with(&ask).refused(403);

    let audit = bao.audit_of("agentic/creds/issue");
    let responses: Vec<_> = audit
        .iter()
        .filter(|entry| entry["type"] == "response")
        .collect();
    let [allowed, denied] = responses[..] else {
        panic!("{audit:#?}");
    };
    for entry in [allowed, denied] {
        assert_eq!(entry["auth"]["entity_id"], example.agent.entity_id.as_str());
        assert_eq!(entry["request"]["data"]["target"], "crm");
        assert_eq!(entry["request"]["data"]["resource"], "customers/42");
        assert_eq!(entry["request"]["data"]["reason"], "ticket 7");
    }
    let told = &allowed["response"]["data"];
    for field in ["agent", "agent_id", "decision_id", "jti", "outcome", "mode"] {
        assert_eq!(told[field], *issued.data(field), "{field}");
    }
    assert!(told["credential"].as_str().unwrap().starts_with("hmac-"));
    let refusal = denied["response"]["data"]["error"].as_str().unwrap();
    assert!(refusal.contains("ceiling.none_applies") && refusal.contains("Decision "));
    assert!(!denied.to_string().contains("not for the log"));
}
