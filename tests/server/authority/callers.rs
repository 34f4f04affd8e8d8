//! Everybody who could come.

use serde_json::json;
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::time::{Clock as _, SystemClock};

use super::{child, entity, everything, example, log_in, merge, move_alias, register};
use crate::support::{Bao, Client, Login, Mount, Signer, unique};

/// A caller, what it is called in the matrix, and who it is.
pub(super) struct Caller {
    pub(super) short: &'static str,
    pub(super) who: &'static str,
    pub(super) client: Client,
}

/// Everybody, on one secrets mount. Those who must never govern hold every
/// capability on it, with `sudo`; the roles hold what `examples/acl` gives them.
pub(super) fn all(bao: &Bao, mount: &Mount<'_>) -> Vec<Caller> {
    let bold = |name: &str| bao.login(name, &everything(mount));
    let role = |name: &str| bao.login(name, &example(name, mount)).client;
    let mut callers = Vec::new();
    let mut add = |short, who, client| callers.push(Caller { short, who, client });

    add("nob", "nobody: no token", bao.client_with(""));
    add("age", "an agent, with everything", {
        let agent = bold("agent");
        register(mount, "active", &agent);
        agent.client
    });
    add("doc", "an agent, with the ACL of the examples", {
        let agent = bao.login("by-the-docs", &example("agent", mount));
        register(mount, "by-the-docs", &agent);
        agent.client
    });
    add("sus", "a suspended agent, with everything", {
        let agent = bold("suspended");
        register(mount, "suspended", &agent);
        mount.write("agents/suspended/suspend", &json!({})).ok();
        agent.client
    });
    add("del", "a deleted agent, with everything", {
        let agent = bold("deleted");
        register(mount, "deleted", &agent);
        mount.delete("agents/deleted").ok();
        agent.client
    });
    let merged = bold("merged");
    register(mount, "merged", &merged);
    let into = entity(bao);
    merge(bao, &merged.entity_id, &into);
    add(
        "meo",
        "a merged agent, by a token from before",
        merged.client.clone(),
    );
    add(
        "men",
        "a merged agent, by a new token",
        log_in(bao, &merged.name),
    );
    let moved = bold("moved");
    register(mount, "moved", &moved);
    move_alias(bao, &moved, &entity(bao));
    add(
        "moo",
        "an agent whose alias was moved, by a token from before",
        moved.client.clone(),
    );
    add(
        "mon",
        "an agent whose alias was moved, by a new token",
        log_in(bao, &moved.name),
    );
    add("oth", "an agent of another mount, in the group `agents`", {
        let other = bao.secrets();
        let agent = bold("other");
        register(&other, "other", &agent);
        into_group(bao, "agents", &agent.entity_id);
        agent.client
    });
    let (login, childs) = logins(bao, mount);
    add("log", "a token of a login, with everything", login);
    add("chi", "a child of a token of a login", childs);
    add(
        "two",
        "a human who also logs in as a workload",
        two_faced(bao, mount).client,
    );
    add("hum", "a human", role("human"));
    add("ver", "a verifier", role("verifier"));
    add("scr", "what collects metrics", role("scraper"));
    add("aud", "an auditor", role("auditor"));
    add("ops", "an operator without `sudo`", {
        let acl = example("operator", mount).replace(", \"sudo\"", "");
        bao.login("almost", &acl).client
    });
    add("tea", "the operator of another team", role("team-operator"));
    add("ope", "an operator", role("operator"));
    add("adm", "an administrator", role("administrator"));
    add(
        "orp",
        "an orphan token without an entity, with everything",
        bao.client_with(&orphan(bao, mount)),
    );
    add("roo", "a root token", bao.client());
    callers
}

pub(super) fn into_group(bao: &Bao, name: &str, entity: &str) {
    let root = bao.client();
    let path = format!("identity/group/name/{name}");
    let present = root.read(&path);
    let mut members = present
        .data("member_entity_ids")
        .as_array()
        .cloned()
        .unwrap_or_default();
    members.push(entity.into());
    root.write(&path, &json!({ "member_entity_ids": members }))
        .ok();
}

/// An ACL policy of everything on the mount, under a name of its own.
pub(super) fn policy(bao: &Bao, mount: &Mount<'_>) -> String {
    let name = unique("everything");
    let body = json!({ "policy": everything(mount) });
    bao.client()
        .write(&format!("sys/policies/acl/{name}"), &body)
        .ok();
    name
}

pub(super) fn orphan(bao: &Bao, mount: &Mount<'_>) -> String {
    let body = json!({ "policies": [policy(bao, mount)], "no_default_policy": true });
    let made = bao.client().write("auth/token/create-orphan", &body);
    made.ok().text_at("/auth/client_token")
}

/// A human of a directory who has a workload's account as well.
pub(super) fn two_faced(bao: &Bao, mount: &Mount<'_>) -> Login {
    let login = bao.login("two-faced", &example("human", mount));
    approle(bao, &login.entity_id);
    login
}

/// Gives an entity a workload's account.
pub(super) fn approle(bao: &Bao, entity: &str) {
    let root = bao.client();
    let _ = root.write("sys/auth/approle", &json!({ "type": "approle" }));
    let accessor = root
        .read("sys/auth")
        .ok()
        .text_at("/data/approle~1/accessor");
    let alias =
        json!({ "name": unique("role"), "canonical_id": entity, "mount_accessor": accessor });
    root.write("identity/entity-alias", &alias).ok();
}

/// A token of a login on an auth mount, whose policy is everything on the other,
/// and a child that it makes.
pub(super) fn logins(bao: &Bao, mount: &Mount<'_>) -> (Client, Client) {
    let token = login(bao, &policy(bao, mount), json!({}));
    let client = bao.client_with(&token);
    let childs = bao.client_with(&child(&client));
    (client, childs)
}

/// Logs in by a key of an agent's own, for a token with one policy.
pub(super) fn login(bao: &Bao, policy: &str, target: serde_json::Value) -> String {
    let gate = Gate::new(bao, policy, target);
    let login = gate.login();
    let answer = bao.client_with("").write(&gate.mount.at("login"), &login);
    answer.ok().text_at("/auth/client_token")
}

/// An auth mount whose one agent logs in for tokens with one policy.
pub(super) struct Gate<'b> {
    pub(super) mount: Mount<'b>,
    own: Signer,
    issuer: String,
}

impl<'b> Gate<'b> {
    pub(super) fn new(bao: &'b Bao, policy: &str, target: serde_json::Value) -> Self {
        Self::made(bao, policy, target).waited(bao)
    }

    /// The same, once it takes what its agent signs.
    pub(super) fn waited(self, bao: &Bao) -> Self {
        let gate = self;
        // What was made before the mount began may have been taken already.
        bao.wait("taking assertions", |bao| {
            let answer = bao
                .client_with("")
                .write(&gate.mount.at("login"), &gate.login());
            answer.status == 200
        });
        gate
    }

    /// What the agent sends to log in, once.
    pub(super) fn login(&self) -> serde_json::Value {
        let now = SystemClock.now().unix();
        let claims = json!({
            "iss": "knocking", "sub": "knocking", "aud": self.issuer, "jti": unique("jti"),
            "iat": now + 27, "exp": now + 87,
        });
        json!({ "jwt": self.own.sign("JWT", &claims), "target": "everything", "action": "read" })
    }

    fn made(bao: &'b Bao, policy: &str, target: serde_json::Value) -> Self {
        Self::on(bao, bao.auth(), policy, target)
    }

    /// The same on a mount that is there.
    pub(super) fn on(
        bao: &'b Bao,
        gate: Mount<'b>,
        policy: &str,
        target: serde_json::Value,
    ) -> Self {
        let own = Signer::new(Algorithm::Es256, "own-1");
        let agent = bao.login("knocking", "");
        let issuer = format!("{}/v1/gate", bao.url());
        gate.write("config", &json!({ "issuer": issuer })).ok();
        let rule = json!({ "policy": "rule \"all\" {\n  effect = \"allow\"\n}\n" });
        gate.write("policies/all", &rule).ok();
        let mut all = json!({
            "credential_type": "vault_token", "actions": "read", "max_ttl": "30m", "default_ttl": "30m",
            "vault_policies": policy,
        });
        for (name, value) in target.as_object().unwrap() {
            all[name] = value.clone();
        }
        gate.write("targets/everything", &all).ok();
        let keys = json!({
            "entity_id": agent.entity_id, "ceiling_policies": "all", "public_keys": [own.jwk()],
        });
        gate.write("agents/knocking", &keys).ok();
        Self {
            mount: gate,
            own,
            issuer,
        }
    }
}
