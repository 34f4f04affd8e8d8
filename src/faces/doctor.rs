//! `targets/:name/doctor`: whether a target's tokens can do what the target
//! says, and no more.
//!
//! The host does not show its policies to a plugin. So an operator who wants
//! them compared sends their text.

use std::collections::BTreeSet;

use hcl::{Attribute, Block, Body};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::identity::human;
use crate::facts::targets::acl;
use crate::grants::delegations::store::Whose;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::model::authorization::{Capability, Detail, Scope, VaultPathAccess};
use crate::model::ids::TargetName;
use crate::model::target::{CredentialType, Target, TokenType};

const MAX_POLICY: usize = 64 * 1024;
/// How many delegations are looked at for the humans behind them, and how many of
/// those are shown.
const LOOKED_AT: u32 = 1_000;
const SHOWN: usize = 20;
/// Paths by which whoever reaches them can give themself more.
const POWERFUL: [&str; 4] = ["sys/*", "auth/*", "identity/*", "*"];

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Works, and may not be what was meant.
    Warning,
    /// Does not work, or gives more than the target says.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Finding {
    check: &'static str,
    severity: Severity,
    message: String,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Diagnosis {
    name: TargetName,
    /// Whether nothing was found to be a problem.
    healthy: bool,
    /// The names of the policies that a token carries.
    vault_policies: Vec<String>,
    findings: Vec<Finding>,
}

/// Compare what a target's tokens would carry with what the target says.
///
/// The server does not show its policies to a plugin. Send their text as
/// `policy` to have them compared with `vault_paths`, path by path.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Diagnose<const WRITE: bool> {
    /// Name of the target.
    name: TargetName,
    /// Text of the server's policies that the tokens carry, one after the
    /// other.
    policy: Option<String>,
}

impl<const WRITE: bool> Endpoint<Cx> for Diagnose<WRITE> {
    const PLACE: Place = Place {
        path: "targets/{name}/doctor",
        verb: if WRITE { Verb::Write } else { Verb::Read },
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Diagnosis;

    async fn handle(self, cx: &Cx) -> Result<Reply<Diagnosis>> {
        let Some(target) = cx.facts.targets.get(&self.name).await? else {
            return Err(Error::NotFound(format!(
                "there is no target `{}`",
                self.name
            )));
        };
        let mut chart = Chart::default();
        chart.humans(cx).await?;
        if target.credential_type == CredentialType::VaultToken {
            chart.token(&target);
            chart.limits(cx, &target).await?;
            chart.others(cx, &target).await?;
            chart.policy(&target, self.policy.as_deref());
        } else {
            chart.problem(
                "credential_type",
                "the target is not of the type `vault_token`: no login is for it",
            );
        }
        let findings = chart.0;
        let diagnosis = Diagnosis {
            name: target.name.clone(),
            healthy: !findings
                .iter()
                .any(|finding| finding.severity == Severity::Problem),
            vault_policies: acl::policies(&target),
            findings,
        };
        Ok(diagnosis.into())
    }
}

#[derive(Default)]
struct Chart(Vec<Finding>);

impl Chart {
    fn note(&mut self, check: &'static str, severity: Severity, message: impl Into<String>) {
        self.0.push(Finding {
            check,
            severity,
            message: message.into(),
        });
    }

    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.note(check, Severity::Ok, message);
    }

    fn warn(&mut self, check: &'static str, message: impl Into<String>) {
        self.note(check, Severity::Warning, message);
    }

    fn problem(&mut self, check: &'static str, message: impl Into<String>) {
        self.note(check, Severity::Problem, message);
    }

    fn token(&mut self, target: &Target) {
        if target.vault_paths.is_empty() {
            self.warn(
                "vault_paths",
                "nothing says what the policies allow: `vault:path_access` details never choose this target, and there is nothing to compare",
            );
        }
        for access in &target.vault_paths {
            let path = access.path.as_str();
            if let Some(powerful) = POWERFUL.iter().find(|powerful| overlaps(powerful, path)) {
                self.warn(
                    "vault_paths",
                    format!("`{path}` reaches into `{powerful}`: whoever has the token may be able to get more than it says"),
                );
            }
            if access.capabilities.contains(&Capability::Sudo) {
                self.warn("vault_paths", format!("`{path}` has `sudo`"));
            }
            if path.contains("{{") {
                self.warn(
                    "vault_paths",
                    format!("`{path}` is a template: the server fills it with the identity that it makes for the agent's alias, which all of the agent's tokens share"),
                );
            }
        }
        if target.actions.len() > 1 {
            self.ok(
                "actions",
                "a login must name its `action`, as there are several",
            );
        }
        if target.vault_alias {
            self.ok(
                "vault_alias",
                "the server makes an identity entity for the agent's logins, by which their tokens and children are known; it counts as a client, and policies given to it apply besides the target's",
            );
        } else {
            self.ok(
                "vault_alias",
                "without an alias, tokens are of a kind that the server lets have no children",
            );
        }
    }

    /// Who counts as a human because nobody has said otherwise: a sign and no
    /// proof, as service accounts live in directories too.
    async fn humans(&mut self, cx: &Cx) -> Result<()> {
        if cx.facts.identity.written().await?.is_some() {
            self.ok("humans", "`config/identity` says whose entities are humans");
            return Ok(());
        }
        let mut subjects = BTreeSet::new();
        for id in cx
            .grants
            .delegations
            .ids(Whose::All, None, LOOKED_AT)
            .await?
        {
            let found = cx.grants.delegations.get(&id).await?;
            subjects.extend(
                found
                    .filter(|one| one.is_alive(cx.now))
                    .and_then(|one| one.subject.clone()),
            );
        }
        let mut humans = Vec::new();
        for subject in &subjects {
            if human::why_not(cx, subject).await?.is_none() {
                humans.push(subject.to_string());
            }
        }
        let (count, shown) = (humans.len(), humans.len().min(SHOWN));
        humans.truncate(SHOWN);
        self.warn(
            "humans",
            format!(
                "nobody has written `config/identity`: {count} subjects of living delegations count as humans by the default alone, which is that they log in by `userpass`, `ldap`, `oidc`, `okta`, `radius` or `saml`; the first {shown}: {}",
                humans.join(", ")
            ),
        );
        Ok(())
    }

    async fn limits(&mut self, cx: &Cx, target: &Target) -> Result<()> {
        let longest = cx.lease_limit().await?;
        let settings = cx.config().await?.max_ttl;
        let least = target.max_ttl.min(longest).min(settings);
        if least < target.max_ttl {
            self.warn(
                "max_ttl",
                format!("a token lives at most {least}, by the mount's settings or its longest lease, and not the target's {}", target.max_ttl),
            );
        } else {
            self.ok("max_ttl", format!("a token lives at most {least}"));
        }
        match (target.max_uses, target.vault_token_type) {
            (Some(uses), _) => self.ok(
                "max_uses",
                format!("a token is stored and can be used {uses} times: inline authentication does not work, as the server counts no uses there"),
            ),
            (None, TokenType::Batch) => self.ok(
                "max_uses",
                "a token is not stored, and cannot be revoked before its time; one that a policy limits in its uses is stored all the same",
            ),
            (None, TokenType::Service) => self.ok(
                "max_uses",
                "a token is stored, and can be used as often as its time allows; inline authentication works",
            ),
        }
        Ok(())
    }

    /// Whether a detail can tell this target from others.
    async fn others(&mut self, cx: &Cx, target: &Target) -> Result<()> {
        let own = scope(&target.vault_paths);
        if own.is_empty() {
            return Ok(());
        }
        for name in cx.facts.targets.list("", 0).await? {
            let Ok(name) = name.parse::<TargetName>() else {
                continue;
            };
            let Some(other) = cx.facts.targets.get(&name).await? else {
                continue;
            };
            let paths = scope(&other.vault_paths);
            if other.name != target.name && own.covers(&paths) && paths.covers(&own) {
                self.warn(
                    "vault_paths",
                    format!("`{name}` says the same: a `vault:path_access` detail cannot choose between them"),
                );
            }
        }
        Ok(())
    }

    fn policy(&mut self, target: &Target, text: Option<&str>) {
        let Some(text) = text else {
            self.ok(
                "policy",
                "not compared: send the text of the policies as `policy`; `targets/:name/acl` says what it should be",
            );
            return;
        };
        let granted = match read(text) {
            Ok(granted) => granted,
            Err(problem) => {
                self.problem("policy", problem);
                return;
            }
        };
        let before = self.0.len();
        for access in &granted {
            if !declared(&target.vault_paths, access) {
                self.problem(
                    "policy",
                    format!(
                        "the policy allows {}, and the target's `vault_paths` do not say so",
                        shown(access)
                    ),
                );
            }
        }
        for access in &target.vault_paths {
            if !declared(&granted, access) {
                self.problem(
                    "policy",
                    format!(
                        "the target's `vault_paths` say {}, and the policy does not allow it",
                        shown(access)
                    ),
                );
            }
        }
        if self.0.len() == before {
            self.ok(
                "policy",
                "the policy allows what `vault_paths` say, and no more",
            );
        }
    }
}

fn scope(paths: &[VaultPathAccess]) -> Scope {
    Scope::new(paths.iter().cloned().map(Detail::Path).collect()).unwrap_or_default()
}

/// Whether one of `paths` covers `access`, capability by capability.
fn declared(paths: &[VaultPathAccess], access: &VaultPathAccess) -> bool {
    access.capabilities.iter().all(|capability| {
        let one = VaultPathAccess {
            capabilities: [*capability].into(),
            ..access.clone()
        };
        scope(paths).covers(&scope(&[one]))
    })
}

fn shown(access: &VaultPathAccess) -> String {
    let capabilities = serde_json::to_value(&access.capabilities).unwrap_or_default();
    format!("{capabilities} on `{}`", access.path.as_str())
}

/// Whether two paths may have one path in common, as far as their fixed
/// beginnings tell.
fn overlaps(one: &str, other: &str) -> bool {
    let fixed = |path: &str| path.split(['*', '+']).next().unwrap_or_default().to_owned();
    let (short, long) = (fixed(one), fixed(other));
    if one == "*" {
        return long.is_empty();
    }
    long.starts_with(&short) || (other.contains(['*', '+']) && short.starts_with(&long))
}

/// What the text of policies allows. A path that is denied allows nothing.
fn read(text: &str) -> std::result::Result<Vec<VaultPathAccess>, String> {
    if text.len() > MAX_POLICY {
        return Err(format!("the policy is longer than {MAX_POLICY} bytes"));
    }
    let body: Body =
        hcl::from_str(text).map_err(|_| "the policy is not HCL that can be read".to_owned())?;
    let mut granted = Vec::new();
    for block in body.blocks() {
        if block.identifier() != "path" {
            return Err(format!(
                "the policy has a block `{}`, which is not compared",
                block.identifier()
            ));
        }
        granted.extend(access(block)?);
    }
    Ok(granted)
}

fn access(block: &Block) -> std::result::Result<Option<VaultPathAccess>, String> {
    let [path] = block.labels() else {
        return Err("a `path` needs one name".to_owned());
    };
    let path = path.as_str();
    let wrong = |what: &str| format!("the policy's path `{path}` {what}");
    let mut fields = Map::from_iter([("path".to_owned(), Value::from(path))]);
    for attribute in block.body().attributes() {
        let value = json(attribute).ok_or_else(|| wrong("has a value that is not plain"))?;
        match attribute.key() {
            "capabilities" => {
                let denied = value
                    .as_array()
                    .is_some_and(|names| names.iter().any(|name| name == "deny"));
                if denied {
                    return Ok(None);
                }
                fields.insert("capabilities".to_owned(), value);
            }
            name @ ("allowed_parameters" | "denied_parameters" | "required_parameters") => {
                fields.insert(name.to_owned(), value);
            }
            // For people.
            "comment" => {}
            name => return Err(wrong(&format!("has `{name}`, which is not compared"))),
        }
    }
    serde_json::from_value(Value::Object(fields))
        .map(Some)
        .map_err(|error| wrong(&format!("cannot be compared: {error}")))
}

fn json(attribute: &Attribute) -> Option<Value> {
    serde_json::to_value(hcl::Value::from(attribute.expr().clone())).ok()
}

#[cfg(test)]
mod tests;
