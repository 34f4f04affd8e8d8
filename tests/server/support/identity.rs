//! People and agents, who log in with a password.

use serde_json::json;

use super::bao::Bao;
use super::http::Client;
use super::unique;

const PASSWORD: &str = "correct horse battery staple";

/// One who is logged in.
#[derive(Clone)]
pub(crate) struct Login {
    /// The name of the user, of its entity and of its ACL policy.
    pub(crate) name: String,
    pub(crate) entity_id: String,
    pub(crate) token: String,
    /// Speaks with its token.
    pub(crate) client: Client,
}

impl Bao {
    /// Makes a user with an entity of its own and an ACL policy, and logs it
    /// in.
    pub(crate) fn login(&self, prefix: &str, acl: &str) -> Login {
        let (root, name) = (self.client(), unique(prefix));
        // Enabled already, most of the time.
        let _ = root.write("sys/auth/userpass", &json!({ "type": "userpass" }));
        root.write(
            &format!("sys/policies/acl/{name}"),
            &json!({ "policy": format!("# {name}\n{acl}") }),
        )
        .ok();
        root.write(
            &format!("auth/userpass/users/{name}"),
            &json!({ "password": PASSWORD, "token_policies": [name] }),
        )
        .ok();
        let entity_id = root
            .write("identity/entity", &json!({ "name": name }))
            .ok()
            .text_at("/data/id");
        let accessor = root
            .read("sys/auth")
            .ok()
            .text_at("/data/userpass~1/accessor");
        let alias = json!({
            "name": name,
            "canonical_id": entity_id,
            "mount_accessor": accessor,
        });
        root.write("identity/entity-alias", &alias).ok();
        let mut login = Login {
            name,
            entity_id,
            token: String::new(),
            client: self.client_with(""),
        };
        login.again(self);
        login
    }
}

impl Login {
    /// Logs in once more, for a new token.
    pub(crate) fn again(&mut self, bao: &Bao) {
        let path = format!("auth/userpass/login/{}", self.name);
        let answer = bao
            .client_with("")
            .write(&path, &json!({ "password": PASSWORD }))
            .ok();
        assert_eq!(answer.text_at("/auth/entity_id"), self.entity_id);
        self.token = answer.text_at("/auth/client_token");
        self.client = bao.client_with(&self.token);
    }
}
