//! `register`, to the end: a server that has nothing gets everything.

use serde_json::json;

use crate::support::Bao;

#[test]
fn an_installation_may_be_repeated() {
    let bao = Bao::own();
    let directory = bao.plugin_directory();
    let install = || {
        let output = bao.run(
            Bao::plugin_command()
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
