//! The plugin, enabled somewhere.

use serde_json::{Value, json};

use super::bao::Bao;
use super::http::Answer;
use super::identity::Login;
use super::unique;

/// What an agent's token may do on a mount.
const AGENT: &[(&str, &str)] = &[
    ("self", "read"),
    ("self/evaluate", "update"),
    ("access/v1/*", "update"),
    ("creds/*", "read, update"),
    ("delegations/*", "read, update, list"),
    ("consents/*", "read"),
];

/// What a person's token may do on a mount.
const HUMAN: &[(&str, &str)] = &[
    ("self", "read"),
    ("self/decisions/*", "read, list"),
    ("delegations/*", "read, update, list"),
    ("consents/*", "read, update"),
];

/// A mount of its own, for one test. Others do not see what it does.
pub(crate) struct Mount<'b> {
    pub(crate) bao: &'b Bao,
    /// With `auth/`, if it is an auth mount; without a slash at the end.
    pub(crate) path: String,
}

impl Bao {
    /// A new secrets engine.
    pub(crate) fn secrets(&self) -> Mount<'_> {
        self.enable("sys/mounts", "", "agentic")
    }

    /// A new auth method.
    pub(crate) fn auth(&self) -> Mount<'_> {
        self.enable("sys/auth", "auth/", "agentic")
    }

    /// A new mount of any type.
    pub(crate) fn enable(&self, table: &str, prefix: &str, plugin: &str) -> Mount<'_> {
        let name = unique(plugin);
        let answer = self
            .client()
            .write(&format!("{table}/{name}"), &json!({ "type": plugin }));
        assert_eq!(answer.status, 204, "{answer:?}\n{}", self.log());
        Mount {
            bao: self,
            path: format!("{prefix}{name}"),
        }
    }
}

impl Mount<'_> {
    /// A path on this mount.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.path)
    }

    /// Reads with the root token.
    pub(crate) fn read(&self, path: &str) -> Answer {
        self.bao.client().read(&self.at(path))
    }

    /// Writes with the root token.
    pub(crate) fn write(&self, path: &str, body: &Value) -> Answer {
        self.bao.client().write(&self.at(path), body)
    }

    /// Lists with the root token.
    pub(crate) fn list(&self, path: &str) -> Answer {
        self.bao.client().list(&self.at(path))
    }

    /// Deletes with the root token.
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.bao.client().delete(&self.at(path))
    }

    /// Logs a person in who may use this mount as a person does.
    pub(crate) fn human(&self, name: &str) -> Login {
        self.bao.login(name, &self.acl(HUMAN))
    }

    /// Logs in one who may use this mount as an agent does.
    pub(crate) fn agent_login(&self, name: &str) -> Login {
        self.bao.login(name, &self.acl(AGENT))
    }

    /// An ACL policy for paths of this mount.
    pub(crate) fn acl(&self, rules: &[(&str, &str)]) -> String {
        let rule = |(path, capabilities): &(&str, &str)| {
            let names: Vec<&str> = capabilities.split(", ").collect();
            format!(
                "path \"{}\" {{ capabilities = {names:?} }}\n",
                self.at(path)
            )
        };
        rules.iter().map(rule).collect()
    }

    /// Takes the mount away, with all its data.
    pub(crate) fn disable(self) -> Answer {
        let table = match self.path.strip_prefix("auth/") {
            Some(name) => format!("sys/auth/{name}"),
            None => format!("sys/mounts/{}", self.path),
        };
        self.bao.client().delete(&table)
    }
}
