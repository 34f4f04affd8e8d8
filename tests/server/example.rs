//! The small example that most tests begin with: an agent that may read
//! customers in a CRM.

use serde_json::{Value, json};

use crate::support::{Answer, Bao, Login, Mount};

pub(crate) const POLICY: &str = r#"
rule "read customers" {
  effect    = "allow"
  targets   = ["crm"]
  actions   = ["read"]
  resources = ["customers/*"]
}
"#;

pub(crate) struct Example<'b> {
    pub(crate) mount: Mount<'b>,
    pub(crate) agent: Login,
    pub(crate) issuer: String,
}

impl<'b> Example<'b> {
    pub(crate) fn on(mount: Mount<'b>) -> Self {
        let bao = mount.bao;
        let issuer = format!("{}/v1/{}", bao.url(), mount.path);
        mount.write("config", &json!({ "issuer": issuer })).ok();
        mount
            .write("policies/crm", &json!({ "policy": POLICY }))
            .ok();
        let target = json!({ "audience": "https://crm.example.com", "actions": "read,delete", "resources": "**" });
        mount.write("targets/crm", &target).ok();
        let agent = mount.agent_login("bot");
        let register =
            json!({ "name": "bot", "entity_id": agent.entity_id, "ceiling_policies": "crm" });
        mount.write("agents/register", &register).ok();
        Self {
            mount,
            agent,
            issuer,
        }
    }

    pub(crate) fn secrets(bao: &'b Bao) -> Self {
        Self::on(bao.secrets())
    }

    /// The policy of the example, with more in its rule.
    pub(crate) fn policy_with(&self, more: &str) -> String {
        POLICY.replace("\n}\n", &format!("\n  {more}\n}}\n"))
    }

    pub(crate) fn ask(&self) -> Value {
        json!({ "target": "crm", "action": "read", "resource": "customers/42", "reason": "ticket 7" })
    }

    /// The agent asks for what its policy allows.
    pub(crate) fn issue(&self) -> Answer {
        self.issue_with(&self.ask())
    }

    pub(crate) fn issue_with(&self, ask: &Value) -> Answer {
        self.agent.client.write(&self.mount.at("creds/issue"), ask)
    }
}
