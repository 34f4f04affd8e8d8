use super::*;
use crate::cli::fake::Fake;
use serde_json::{Value, json};

/// A server of 0.1 whose caller is root, and on which nothing is wrong.
fn server() -> Fake {
    let mut server = Fake::default();
    let mount = json!({ "type": "agentic", "running_plugin_version": "v0.1.0" });
    server.answers("sys/mounts", json!({ "agentic/": mount }));
    server.answers("sys/auth", json!({}));
    server.answers(
        "sys/capabilities-self",
        json!({ "agentic/config": ["root"], "agentic/agents/x": ["root"] }),
    );
    policies(
        &mut server,
        &[("default", "path \"sys/*\" { capabilities = [\"read\"] }")],
    );
    server
}

fn policies(server: &mut Fake, all: &[(&str, &str)]) {
    let names = all.iter().map(|(name, _)| (*name, Value::Null));
    server.lists("sys/policies/acl/", names.chain([("root", Value::Null)]));
    for (name, text) in all {
        server.answers(
            &format!("sys/policies/acl/{name}"),
            json!({ "policy": text }),
        );
    }
}

fn found(server: &Fake) -> Report {
    look(&UpgradeCheck { mounts: Vec::new() }, server)
}

#[test]
fn a_server_on_which_nothing_changes() {
    let report = found(&server());
    assert_eq!(
        report.text,
        "looked at    agentic/ v0.1.0\n\
         you          govern agentic/, and will\n\
         \nNothing stands in the way.\n"
    );
    assert_eq!((report.ok, report.status), (true, None));
}

#[test]
fn a_policy_without_sudo_is_named_with_its_patch() {
    let mut server = server();
    policies(
        &mut server,
        &[(
            "team",
            "path \"agentic/targets/*\" {\n  capabilities = [\"create\", \"update\"]\n}\n",
        )],
    );
    let report = found(&server);
    assert_eq!(
        report.text,
        "looked at    agentic/ v0.1.0\n\
         you          govern agentic/, and will\n\
         policy       `team`: `agentic/targets/*` gives create, update without `sudo` to what governs agentic/\n\
         \n1 to look at.\n\
         \nAppend this to the policies, before the upgrade: 0.1 does not ask for `sudo`, so it does no harm.\n\
         Where a policy has a rule for the same path, this may stand instead of it.\n\
         \n# policy `team`\n\
         path \"agentic/targets/*\" {\n  capabilities = [\"create\", \"update\", \"sudo\"]\n}\n"
    );
    assert_eq!((report.ok, report.status), (true, Some(1)));
}

#[test]
fn the_caller_is_told_that_it_would_be_shut_out() {
    let mut server = server();
    server.answers(
        "sys/capabilities-self",
        json!({ "agentic/config": ["read"], "agentic/agents/x": ["deny"] }),
    );
    let report = found(&server);
    assert!(
        report.text.contains("you          would not govern agentic/ any more: your token has no `sudo` on `agentic/config`\n"),
        "{}",
        report.text
    );
    assert_eq!(report.status, Some(1));
}

#[test]
fn what_cannot_be_read_is_said_and_not_guessed() {
    let mut server = server();
    server.refuses("sys/policies");
    let report = found(&server);
    assert!(
        report
            .text
            .contains("not read     LIST sys/policies/acl/: the server answered 403"),
        "{}",
        report.text
    );
    assert_eq!((report.ok, report.status), (true, Some(2)));
    let mut server = self::server();
    policies(&mut server, &[("a", ""), ("b", ""), ("odd", "path {")]);
    server.refuses("sys/policies/acl/a");
    server.refuses("sys/policies/acl/b");
    let report = found(&server);
    for line in [
        "the policies `a`, `b`: GET sys/policies/acl/a",
        "the policy `odd`: it is not HCL",
    ] {
        assert!(report.text.contains(line), "{}", report.text);
    }
    server.refuses("sys/mounts");
    server.refuses("sys/auth");
    let report = found(&server);
    assert_eq!((report.ok, report.status), (false, Some(2)));
}

#[test]
fn policies_that_a_patch_goes_before_are_named() {
    let mut server = server();
    policies(
        &mut server,
        &[
            (
                "admin",
                "path \"*\" { capabilities = [\"create\", \"read\", \"update\"] }",
            ),
            ("team", "path \"agentic/*\" { capabilities = [\"read\"] }"),
        ],
    );
    let text = found(&server).text;
    let line = text.lines().find(|line| line.starts_with("see to it"));
    assert_eq!(
        line.unwrap(),
        "see to it    tokens that have both `admin` and `team`: the patch of the one goes before, or adds to, what the other says, as in `agentic/activity/*` and its `agentic/*`"
    );
}

#[test]
fn a_server_without_the_plugin_has_nothing_to_change() {
    let mut server = Fake::default();
    server.answers("sys/mounts", json!({}));
    server.answers("sys/auth", json!({}));
    assert_eq!(found(&server).status, None);
}
