//! `targets/:name/acl`: the host's policy for a target's tokens, as text.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::Cx;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::model::authorization::VaultPathAccess;
use crate::model::ids::TargetName;
use crate::model::target::{CredentialType, Target};

/// The policy to install.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AclView {
    name: TargetName,
    /// Which policies its tokens carry; install the text as one of them.
    vault_policies: Vec<String>,
    /// The text, in the server's policy language.
    policy: String,
}

/// Write the server's policy for a target's tokens: what its `vault_paths` say,
/// and nothing else.
///
/// Install it as the first of the target's `vault_policies`, as in
/// `bao read -field=policy agentic/targets/kv/acl | bao policy write kv -`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAcl {
    /// Name of the target.
    name: TargetName,
}

impl Endpoint<Cx> for ReadAcl {
    const PLACE: Place = Place {
        path: "targets/{name}/acl",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = AclView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AclView>> {
        let Some(target) = cx.facts.targets.get(&self.name).await? else {
            return Ok(Reply::Nothing);
        };
        if target.credential_type != CredentialType::VaultToken {
            return Err(Error::Invalid(format!(
                "target `{}` is not of the type `vault_token`, and has no policy of the server",
                target.name
            )));
        }
        let view = AclView {
            name: target.name.clone(),
            vault_policies: policies(&target),
            policy: text(&target),
        };
        Ok(view.into())
    }
}

/// The names of the host's policies.
#[must_use]
pub fn policies(target: &Target) -> Vec<String> {
    let names = target.vault_policies.iter();
    names.map(|name| name.as_str().to_owned()).collect()
}

/// The policy for everything that a target's tokens are to do.
pub(super) fn text(target: &Target) -> String {
    let mut text = format!("# What a token for the target {} may do.\n", target.name);
    for path in &target.vault_paths {
        stanza(&mut text, path);
    }
    text
}

/// Writing to a String does not fail.
pub fn stanza(text: &mut String, access: &VaultPathAccess) {
    let capabilities = serde_json::to_value(&access.capabilities).unwrap_or_default();
    let _ = write!(
        text,
        "\npath {} {{\n  capabilities = {capabilities}\n",
        quoted(access.path.as_str())
    );
    if !access.required_parameters.is_empty() {
        let names: Vec<String> = access
            .required_parameters
            .iter()
            .map(|n| quoted(n))
            .collect();
        let _ = writeln!(text, "  required_parameters = [{}]", names.join(", "));
    }
    for (kind, parameters) in [
        ("allowed_parameters", &access.allowed_parameters),
        ("denied_parameters", &access.denied_parameters),
    ] {
        if parameters.is_empty() {
            continue;
        }
        let _ = writeln!(text, "  {kind} = {{");
        for (name, values) in parameters {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            let _ = writeln!(text, "    {} = [{}]", quoted(name), values.join(", "));
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
}

/// A text between quotes, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                quoted.extend(c.escape_unicode().filter(|c| !matches!(c, '{' | '}')))
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
