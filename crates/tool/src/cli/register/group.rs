//! The identity group that the entities of agents belong into.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::server::{Api, Failure};
use crate::model::identity::AGENTS_GROUP;

/// The metadata that says what that group is for, of the one that `register` makes.
pub(in crate::cli) const GROUP_METADATA: (&str, &str) = (
    "agentic",
    "identity entities of agents, which neither govern nor consent",
);

/// How to keep it.
const KEEP: &str = "put the identity entities of the agents of every mount into it: its members neither govern nor consent";

/// Makes the group where there is none, and says so. Where the caller may not, an
/// installation goes on without.
pub(super) fn ensure(server: &impl Api) -> String {
    let mut said = String::new();
    let made = match attempt(server) {
        Ok(made) => made,
        Err(failure) => {
            let _ = writeln!(
                said,
                "not made     the identity group `{AGENTS_GROUP}`, have an operator do it: {failure}"
            );
            return said;
        }
    };
    if made {
        let _ = writeln!(said, "made         the identity group `{AGENTS_GROUP}`");
        let _ = writeln!(said, "             {KEEP}");
    } else {
        let _ = writeln!(said, "is there     the identity group `{AGENTS_GROUP}`");
    }
    said
}

fn attempt(server: &impl Api) -> Result<bool, Failure> {
    match server.read(&format!("identity/group/name/{AGENTS_GROUP}")) {
        Err(failure) if failure.is_absent() => {}
        answer => return answer.map(|_| false),
    }
    let (key, value) = GROUP_METADATA;
    let body = json!({
        "name": AGENTS_GROUP,
        "type": "internal",
        "metadata": { key: value },
    });
    server.write("identity/group", &body).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::Fake;

    #[test]
    fn a_group_is_made_once() {
        let mut server = Fake::default();
        let said = ensure(&server);
        assert!(
            said.starts_with("made         the identity group `agents`\n"),
            "{said}"
        );
        let written = server.written.take();
        let [(path, body)] = &written[..] else {
            panic!("one write: {written:?}");
        };
        assert_eq!(path, "identity/group");
        assert_eq!(
            (&body["name"], &body["type"]),
            (&json!("agents"), &json!("internal"))
        );
        assert!(body["metadata"]["agentic"].is_string(), "{body}");

        server.answers("identity/group/name/agents", json!({ "name": "agents" }));
        assert_eq!(
            ensure(&server),
            "is there     the identity group `agents`\n"
        );
        assert!(server.paths().is_empty());
    }

    #[test]
    fn who_may_not_make_it_goes_on() {
        for path in ["GET identity/group/name/", "POST identity/group"] {
            let mut server = Fake::default();
            server.refuses(path);
            let said = ensure(&server);
            assert!(
                said.starts_with("not made     the identity group `agents`, have"),
                "{said}"
            );
            assert!(
                said.ends_with("answered 403: permission denied\n"),
                "{said}"
            );
            assert!(server.paths().is_empty());
        }
    }
}
