//! `policies/…`: what agents and subjects may do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::engine;
use crate::engine::diagnostic::Diagnostic;
use crate::facts::Cx;
use crate::facts::policies::replay::{self, ChangedDecision};
use crate::facts::policies::store::Policy;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::model::ids::PolicyName;
use crate::model::time::Timestamp;

/// A policy, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyView {
    name: PolicyName,
    policy: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl PolicyView {
    fn of(policy: &Policy) -> Self {
        Self {
            name: policy.name.clone(),
            policy: policy.text.clone(),
            created_at: policy.created_at,
            updated_at: policy.updated_at,
        }
    }
}

/// What became of a written policy.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyWritten {
    name: PolicyName,
    /// How many rules it has.
    rules: usize,
    /// What was probably not meant.
    diagnostics: Vec<Diagnostic>,
}

/// List the policies.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListPolicies {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListPolicies {
    const PLACE: Place = Place {
        path: "policies",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Policy";
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        Ok(Listing::of(cx.facts.policies.list(&self.after, self.limit).await?).into())
    }
}

/// Read a policy.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadPolicy {
    /// Name of the policy.
    name: PolicyName,
}

impl Endpoint<Cx> for ReadPolicy {
    const PLACE: Place = Place {
        path: "policies/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Policy";
    type Output = PolicyView;

    async fn handle(self, cx: &Cx) -> Result<Reply<PolicyView>> {
        let policy = cx.facts.policies.get(&self.name).await?;
        Ok(policy.map(|policy| PolicyView::of(&policy)).into())
    }
}

/// Write a policy.
///
/// The text is HCL, plain or base64; what is wrong with it is said all at
/// once, with line, column and what to write instead. `policies/check` tries it
/// without writing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WritePolicy {
    /// Name of the policy.
    name: PolicyName,
    /// Text of the policy: HCL, plain or base64.
    #[schemars(extend("x-vault-displayAttrs" = { "editType": "textarea" }))]
    policy: String,
    /// Must be false: `policies/check` tries a policy. As long as clients of 0.1
    /// send it, a true that was not known would write what was only to be tried.
    #[serde(default)]
    dry_run: bool,
}

impl Endpoint<Cx> for WritePolicy {
    const PLACE: Place = Place {
        path: "policies/{name}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Policy";
    type Output = PolicyWritten;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "name") {
            Some(name) => Ok(Some(cx.facts.policies.get(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<PolicyWritten>> {
        if self.dry_run {
            return Err(Error::field(
                "dry_run",
                "is not for a path that writes: send `name` and `policy` to `policies/check`",
            ));
        }
        let text = plain(self.policy);
        let (compiled, diagnostics) =
            engine::compile(&self.name, &text).map_err(|problems| refusal(&problems))?;
        let written = PolicyWritten {
            name: self.name.clone(),
            rules: compiled.rules.len(),
            diagnostics,
        };
        let check = |is| cx.check_new(is);
        cx.facts
            .policies
            .put(&self.name, text, cx.now, check)
            .await?;
        Ok(written.into())
    }
}

/// What a policy that is tried would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyChecked {
    name: PolicyName,
    /// How many rules it has.
    rules: usize,
    /// What was probably not meant.
    diagnostics: Vec<Diagnostic>,
    /// How many recent decisions of this node were tried against it.
    replayed: usize,
    /// Those whose outcome it would change.
    changed: Vec<ChangedDecision>,
}

/// Try a policy without writing it.
///
/// Says what is wrong with it, as a write does, and which recent decisions of
/// this node would have come out differently with it in the place of the policy
/// `name`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CheckPolicy {
    /// Name of the policy that it would be.
    name: PolicyName,
    /// Text of the policy: HCL, plain or base64.
    #[schemars(extend("x-vault-displayAttrs" = { "editType": "textarea" }))]
    policy: String,
}

impl Endpoint<Cx> for CheckPolicy {
    const PLACE: Place = Place {
        path: "policies/check",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = PolicyChecked;

    async fn handle(self, cx: &Cx) -> Result<Reply<PolicyChecked>> {
        let text = plain(self.policy);
        let (compiled, diagnostics) =
            engine::compile(&self.name, &text).map_err(|problems| refusal(&problems))?;
        let rules = compiled.rules.len();
        let before = cx.library().await?;
        let after = before.with(compiled);
        let (replayed, changed) = replay::compare(&cx.record.recent.all(), before, &after);
        let checked = PolicyChecked {
            name: self.name,
            rules,
            diagnostics,
            replayed,
            changed,
        };
        Ok(checked.into())
    }
}

/// A policy's text, which some clients send in base64. HCL is never valid
/// base64: it needs spaces, quotes or braces.
fn plain(given: String) -> String {
    let packed: String = given.split_ascii_whitespace().collect();
    match STANDARD.decode(packed).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        _ => given,
    }
}

fn refusal(problems: &[Diagnostic]) -> Error {
    let lines: Vec<String> = problems.iter().take(20).map(ToString::to_string).collect();
    let more = problems.len().saturating_sub(lines.len());
    let tail = if more == 0 {
        String::new()
    } else {
        format!("\nand {more} more")
    };
    Error::field(
        "policy",
        format_args!("the policy was refused:\n{}{tail}", lines.join("\n")),
    )
}

/// Delete a policy.
///
/// Refused while an agent's ceiling or a subject's baseline names it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeletePolicy {
    /// Name of the policy.
    name: PolicyName,
}

impl Endpoint<Cx> for DeletePolicy {
    const PLACE: Place = Place {
        path: "policies/{name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Policy";
    type Output = PolicyView;

    async fn handle(self, cx: &Cx) -> Result<Reply<PolicyView>> {
        let mut users: Vec<String> = Vec::new();
        users.extend(
            cx.facts
                .agents
                .using_policy(&self.name)
                .await?
                .into_iter()
                .map(|name| format!("agent {name}")),
        );
        users.extend(cx.facts.baselines.using_policy(&self.name).await?);
        if !users.is_empty() {
            let shown = users
                .iter()
                .take(20)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let more = users.len().saturating_sub(20);
            let tail = if more == 0 {
                String::new()
            } else {
                format!(" and {more} more")
            };
            return Err(Error::Invalid(format!(
                "policy `{}` is in use by {shown}{tail}; detach it there first",
                self.name
            )));
        }
        cx.facts.policies.remove(&self.name).await?;
        Ok(Reply::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_may_come_in_base64() {
        let text = "rule \"a\" {\n  effect = \"allow\"\n}\n";
        assert_eq!(plain(text.to_owned()), text);
        assert_eq!(plain(STANDARD.encode(text)), text);
        assert_eq!(plain(String::new()), "");
    }
}
