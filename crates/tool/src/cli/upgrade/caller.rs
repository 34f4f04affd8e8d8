//! Whether the token that asks would govern any more.

use serde_json::{Value, json};

use super::acl::{ORDINARY, SUDO};
use crate::cli::server::Api;
use crate::model::governed::GOVERNED;

/// How the caller's token stands on a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Standing {
    /// It has what it needs.
    Governs,
    /// It governs today and would not any more, at these paths.
    ShutOut(Vec<String>),
    /// It does not govern today either.
    Outside,
    /// The server does not say, with what it says instead.
    Unknown(String),
}

/// How it stands on the mount at `path`, which ends with a slash.
pub(in crate::cli) fn standing(server: &impl Api, path: &str) -> Standing {
    let paths: Vec<String> = GOVERNED
        .iter()
        .map(|governed| [path, &governed.replace('*', "x")].concat())
        .collect();
    let failure = match server.write("sys/capabilities-self", &json!({ "paths": paths })) {
        Ok(answer) => return by_capabilities(&paths, &answer),
        Err(failure) => failure,
    };
    let own = server.read("auth/token/lookup-self");
    if own.is_ok_and(|own| is_root(&own)) {
        Standing::Governs
    } else {
        Standing::Unknown(failure.into())
    }
}

fn by_capabilities(paths: &[String], answer: &Value) -> Standing {
    let mut shut_out = Vec::new();
    let mut governs = false;
    for path in paths {
        let names = answer.get("data").and_then(|data| data.get(path));
        let names: Vec<&str> = names
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if names.contains(&"root") || names.contains(&SUDO) {
            governs = true;
        } else if names.iter().any(|name| ORDINARY.contains(name)) {
            shut_out.push(path.clone());
        }
    }
    match (shut_out.is_empty(), governs) {
        (false, _) => Standing::ShutOut(shut_out),
        (true, true) => Standing::Governs,
        (true, false) => Standing::Outside,
    }
}

fn is_root(own: &Value) -> bool {
    let policies = own.pointer("/data/policies").and_then(Value::as_array);
    policies.is_some_and(|policies| policies.iter().any(|policy| policy == "root"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::Fake;

    fn with(capabilities: Value) -> Fake {
        let mut server = Fake::default();
        server.answers("sys/capabilities-self", capabilities);
        server
    }

    #[test]
    fn a_token_governs_by_sudo_or_as_root() {
        for names in [json!(["root"]), json!(["read", "sudo", "update"])] {
            let server = with(json!({ "m/config": names, "m/agents/x": names }));
            assert_eq!(standing(&server, "m/"), Standing::Governs);
        }
    }

    #[test]
    fn a_token_that_has_less_is_shut_out_where_it_governs_today() {
        let server = with(json!({
            "m/config": ["read", "sudo"],
            "m/agents/x": ["create", "update"],
            "m/policies/x": ["deny"],
        }));
        let out = Standing::ShutOut(vec!["m/agents/x".to_owned()]);
        assert_eq!(standing(&server, "m/"), out);
        let server = with(json!({ "m/config": ["deny"], "m/agents/x": ["deny"] }));
        assert_eq!(standing(&server, "m/"), Standing::Outside);
    }

    #[test]
    fn what_the_server_does_not_say_is_not_guessed() {
        let mut server = Fake::default();
        server.refuses("sys/capabilities-self");
        assert!(matches!(standing(&server, "m/"), Standing::Unknown(_)));
        server.answers("auth/token/lookup-self", json!({ "policies": ["root"] }));
        assert_eq!(standing(&server, "m/"), Standing::Governs);
    }
}
