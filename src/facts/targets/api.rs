//! `targets/…`: the systems that credentials are for.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::Cx;
use crate::facts::agents::input::check_labels;
use crate::facts::config::store::LONGEST_TTL;
use crate::facts::identity::caller;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::model::authorization::{Detail, MAX_DETAILS, Scope, VaultPathAccess};
use crate::model::credential::RESERVED;
use crate::model::ids::{KeyName, TargetName};
use crate::model::pattern::{Action, Pattern};
use crate::model::target::{Consent, CredentialType, Target, TokenType};
use crate::model::text::{Description, Label};
use crate::model::time::{Timestamp, Ttl};

const MAX_ACTIONS: usize = 256;
const MAX_RESOURCES: usize = 256;
const MAX_AUDIENCES: usize = 16;
const MAX_CLAIMS: usize = 4096;
const MAX_VAULT_POLICIES: usize = 32;

/// A target, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TargetView {
    name: TargetName,
    description: Description,
    credential_type: CredentialType,
    audience: Vec<Label>,
    actions: Vec<Action>,
    resources: Vec<Pattern>,
    labels: BTreeMap<String, String>,
    default_ttl: Ttl,
    max_ttl: Ttl,
    consent: Consent,
    signing_key: String,
    claims: Map<String, Value>,
    max_uses: u32,
    proof_of_possession: bool,
    leased: bool,
    status_list: bool,
    vault_policies: Vec<Label>,
    #[schemars(with = "Vec<Map<String, Value>>")]
    vault_paths: Vec<VaultPathAccess>,
    vault_token_type: TokenType,
    vault_alias: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TargetView {
    fn of(target: &Target) -> Self {
        let target = target.clone();
        Self {
            name: target.name,
            description: target.description,
            credential_type: target.credential_type,
            audience: target.audience,
            actions: target.actions,
            resources: target.resources,
            labels: target.labels,
            default_ttl: target.default_ttl,
            max_ttl: target.max_ttl,
            consent: target.consent,
            signing_key: target.signing_key.map(String::from).unwrap_or_default(),
            claims: target.claims,
            max_uses: target.max_uses.unwrap_or_default(),
            proof_of_possession: target.proof_of_possession,
            leased: target.leased,
            status_list: target.status_list,
            vault_policies: target.vault_policies,
            vault_paths: target.vault_paths,
            vault_token_type: target.vault_token_type,
            vault_alias: target.vault_alias,
            created_at: target.created_at,
            updated_at: target.updated_at,
        }
    }
}

/// List the targets.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListTargets {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListTargets {
    const PLACE: Place = Place {
        path: "targets",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Target";
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        Ok(Listing::of(cx.facts.targets.list(&self.after, self.limit).await?).into())
    }
}

/// Read a target.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadTarget {
    /// Name of the target.
    name: TargetName,
}

impl Endpoint<Cx> for ReadTarget {
    const PLACE: Place = Place {
        path: "targets/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Target";
    type Output = TargetView;

    async fn handle(self, cx: &Cx) -> Result<Reply<TargetView>> {
        let target = cx.facts.targets.get(&self.name).await?;
        Ok(target.map(|target| TargetView::of(&target)).into())
    }
}

/// What whoever asks for credentials sees of a target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OwnTargetView {
    name: TargetName,
    description: Description,
    credential_type: CredentialType,
    audience: Vec<Label>,
    actions: Vec<Action>,
    resources: Vec<Pattern>,
    default_ttl: Ttl,
    max_ttl: Ttl,
    /// How often a credential may be used; 0: not limited here.
    max_uses: u32,
    consent: Consent,
    proof_of_possession: bool,
    leased: bool,
}

/// Read what a target offers, before you ask for it.
///
/// For agents. Whether you may have it, `self/evaluate` says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadOwnTarget {
    /// Name of the target.
    name: TargetName,
}

impl Endpoint<Cx> for ReadOwnTarget {
    const PLACE: Place = Place {
        path: "self/targets/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = OwnTargetView;

    async fn handle(self, cx: &Cx) -> Result<Reply<OwnTargetView>> {
        if caller::of(cx).await?.agent.is_none() {
            return Err(Error::Denied(
                "only a registered agent can read this; operators read all under `targets/`"
                    .to_owned(),
            ));
        }
        let Some(target) = cx.facts.targets.get(&self.name).await? else {
            return Ok(Reply::Nothing);
        };
        let target = (*target).clone();
        Ok(OwnTargetView {
            name: target.name,
            description: target.description,
            credential_type: target.credential_type,
            audience: target.audience,
            actions: target.actions,
            resources: target.resources,
            default_ttl: target.default_ttl,
            max_ttl: target.max_ttl,
            max_uses: target.max_uses.unwrap_or_default(),
            consent: target.consent,
            proof_of_possession: target.proof_of_possession,
            leased: target.leased,
        }
        .into())
    }
}

/// Define a target, or change a defined one.
///
/// A target is a system that credentials are for: an API, an MCP server, a
/// gateway. A request for it is considered only for actions and resources that
/// it offers. Fields that are not given keep their value.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteTarget {
    /// Name of the target.
    name: TargetName,
    /// What the target is.
    description: Option<Description>,
    /// What an allowed request gets: `jwt` (the default), a signed token that is
    /// verified offline; `opaque`, a random one that is verified online; or
    /// `vault_token`, a token of the server itself, from `login`.
    credential_type: Option<CredentialType>,
    /// The `aud` of its credentials: how the target names itself. Default: the
    /// name of the target.
    audience: Option<Vec<Label>>,
    /// What can be done there, as in `read,search`. Needed for a new target.
    actions: Option<Vec<Action>>,
    /// Patterns of what it can be done to, as in `customers/*`; `**` is
    /// everything, and the target as a whole for requests that name no
    /// resource. None: requests may not name a resource.
    resources: Option<Vec<Pattern>>,
    /// Facts about the target that policies may refer to, as `key=value`.
    labels: Option<BTreeMap<String, String>>,
    /// Lifetime of a credential where the request names none; 0 takes the
    /// mount's.
    default_ttl: Option<Ttl>,
    /// Longest lifetime of a credential; at most 1h, which is the default.
    max_ttl: Option<Ttl>,
    /// How much of a human's yes a request needs: `none` (the default),
    /// `standing` or `per_request`.
    consent: Option<Consent>,
    /// Name of the key that signs; empty takes the mount's.
    signing_key: Option<String>,
    /// Claims that every credential carries besides its own.
    claims: Option<Map<String, Value>>,
    /// How often a credential may be used; 0 sets no limit.
    max_uses: Option<u32>,
    /// Whether a credential must be bound to a key whose possession its bearer
    /// proves (DPoP, RFC 9449).
    proof_of_possession: Option<bool>,
    /// Whether a credential is a lease of the server, which ends with the
    /// caller's token. Costs the server two writes each.
    leased: Option<bool>,
    /// Whether JWTs are in a status list, so that offline verifiers learn of
    /// revocation. Costs a write each.
    status_list: Option<bool>,
    /// Names of the server's policies that a `vault_token` carries.
    vault_policies: Option<Vec<Label>>,
    /// What those policies allow, as objects with `path`, `capabilities` and the
    /// parameter lists of the server's policy language, or their JSON text.
    /// `targets/:name/acl` writes the policy.
    vault_paths: Option<Vec<Map<String, Value>>>,
    /// Which kind of token the server makes: `service` (the default) or `batch`,
    /// which it does not store, so that it cannot be counted or revoked.
    vault_token_type: Option<TokenType>,
    /// Whether the token has the agent's id as its alias on this mount. By it the
    /// token and its children are known as an agent's, and the server counts a
    /// client. Default true; with false, tokens are `batch` or have `max_uses`,
    /// since the server lets those have no children.
    vault_alias: Option<bool>,
}

impl Endpoint<Cx> for WriteTarget {
    const PLACE: Place = Place {
        path: "targets/{name}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Target";
    type Output = TargetView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "name") {
            Some(name) => Ok(Some(cx.facts.targets.get(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<TargetView>> {
        let signing_key = match &self.signing_key {
            Some(name) => Some(cx.facts.keys.reference("signing_key", name).await?),
            None => None,
        };
        let name = self.name.clone();
        if let Some(next) = &signing_key {
            release_key(cx, &name, next.as_ref()).await?;
        }
        let stored = cx
            .facts
            .targets
            .update(&name, |present| {
                cx.check_new(present.is_some())?;
                let mut target = present.cloned().unwrap_or_else(|| blank(&name, cx.now));
                if let Some(key) = signing_key {
                    target.signing_key = key;
                }
                self.apply(&mut target)?;
                target.updated_at = cx.now;
                check(&target)?;
                Ok(target)
            })
            .await?;
        Ok(TargetView::of(&stored).into())
    }
}

/// Notes that a target is about to sign with another key than before.
async fn release_key(cx: &Cx, name: &TargetName, next: Option<&KeyName>) -> Result<()> {
    let present = cx.facts.targets.get(name).await?;
    match present
        .as_ref()
        .and_then(|target| target.signing_key.as_ref())
    {
        Some(key) if Some(key) != next => cx.facts.keys.release(key.as_str(), cx.now).await,
        Some(_) | None => Ok(()),
    }
}

fn blank(name: &TargetName, now: Timestamp) -> Target {
    Target {
        audience: Label::try_from(name.to_string()).into_iter().collect(),
        max_ttl: LONGEST_TTL,
        ..Target::new(name.clone(), now)
    }
}

impl WriteTarget {
    fn apply(self, target: &mut Target) -> Result<()> {
        macro_rules! replace {
            ($($field:ident),*) => {$(
                if let Some(value) = self.$field {
                    target.$field = value;
                }
            )*};
        }
        replace!(
            description,
            credential_type,
            audience,
            actions,
            resources,
            labels
        );
        replace!(default_ttl, max_ttl, consent, claims);
        replace!(proof_of_possession, leased, status_list);
        replace!(vault_policies, vault_token_type, vault_alias);
        if let Some(uses) = self.max_uses {
            target.max_uses = (uses > 0).then_some(uses);
        }
        if let Some(paths) = self.vault_paths {
            target.vault_paths = vault_paths(paths)?;
        }
        Ok(())
    }
}

/// Reads what a token may do. It is written as an authorization detail is,
/// without the type, which goes without saying.
fn vault_paths(paths: Vec<Map<String, Value>>) -> Result<Vec<VaultPathAccess>> {
    let wrong = |problem: String| Error::field("vault_paths", problem);
    let mut read = Vec::with_capacity(paths.len().min(MAX_DETAILS));
    for path in paths {
        read.push(
            serde_json::from_value::<VaultPathAccess>(Value::Object(path))
                .map_err(|problem| wrong(problem.to_string()))?,
        );
    }
    Scope::new(read.iter().cloned().map(Detail::Path).collect())
        .map_err(|problem| wrong(problem.to_string()))?;
    Ok(read)
}

fn check(target: &Target) -> Result<()> {
    if target.actions.is_empty() {
        return Err(Error::field(
            "actions",
            "must name at least one action; a target without actions offers nothing",
        ));
    }
    if target.actions.len() > MAX_ACTIONS {
        return Err(Error::field(
            "actions",
            format_args!("may name at most {MAX_ACTIONS} actions"),
        ));
    }
    if target.resources.len() > MAX_RESOURCES {
        return Err(Error::field(
            "resources",
            format_args!("may name at most {MAX_RESOURCES} patterns"),
        ));
    }
    if target.audience.is_empty()
        || target.audience.len() > MAX_AUDIENCES
        || target.audience.iter().any(Label::is_empty)
    {
        return Err(Error::field(
            "audience",
            format_args!("must name 1 to {MAX_AUDIENCES} audiences, none of them empty"),
        ));
    }
    check_labels("labels", &target.labels)?;
    if target.max_ttl.is_zero() || target.max_ttl > LONGEST_TTL {
        return Err(Error::field("max_ttl", "must be between 1s and 1h"));
    }
    if target.default_ttl > target.max_ttl {
        return Err(Error::field("default_ttl", "must be at most `max_ttl`"));
    }
    if let Some(claim) = target
        .claims
        .keys()
        .find(|claim| RESERVED.contains(&claim.as_str()))
    {
        return Err(Error::field(
            "claims",
            format_args!(
                "`{claim}` is a claim that the credential itself sets; choose another name"
            ),
        ));
    }
    if Value::Object(target.claims.clone()).to_string().len() > MAX_CLAIMS {
        return Err(Error::field(
            "claims",
            format_args!("may take at most {MAX_CLAIMS} bytes as JSON"),
        ));
    }
    check_kind(target)
}

/// What only some kinds of credentials can have.
fn check_kind(target: &Target) -> Result<()> {
    let kind = target.credential_type;
    let only = |field: &str, which: &str| {
        Err(Error::field(
            field,
            format_args!("is for credentials of type {which} only"),
        ))
    };
    if kind != CredentialType::VaultToken {
        if !target.vault_policies.is_empty() {
            return only("vault_policies", "`vault_token`");
        }
        if !target.vault_paths.is_empty() {
            return only("vault_paths", "`vault_token`");
        }
        if target.vault_token_type != TokenType::default() {
            return only("vault_token_type", "`vault_token`");
        }
        if !target.vault_alias {
            return only("vault_alias", "`vault_token`");
        }
    }
    if kind == CredentialType::VaultToken {
        if target.leased {
            return only(
                "leased",
                "`jwt` and `opaque`; a `vault_token` has a lease of its own",
            );
        }
        if target.proof_of_possession {
            return only("proof_of_possession", "`jwt` and `opaque`");
        }
        let childless = target.vault_token_type == TokenType::Batch || target.max_uses.is_some();
        if !target.vault_alias && !childless {
            return Err(Error::field(
                "vault_alias",
                "false is for tokens that the server lets have no children: set `vault_token_type=batch` or `max_uses` as well",
            ));
        }
        check_vault_policies(target)?;
    }
    if target.status_list && kind != CredentialType::Jwt {
        return only("status_list", "`jwt`");
    }
    Ok(())
}

fn check_vault_policies(target: &Target) -> Result<()> {
    let wrong = |problem: &str| Err(Error::field("vault_policies", problem));
    let names: BTreeSet<&str> = target.vault_policies.iter().map(Label::as_str).collect();
    if names.is_empty() || target.vault_policies.len() > MAX_VAULT_POLICIES {
        return wrong("must name 1 to 32 policies of the server for a `vault_token`");
    }
    if names.len() < target.vault_policies.len() {
        return wrong("names a policy twice");
    }
    for name in names {
        if matches!(
            name,
            "root" | "default" | "response-wrapping" | "control-group"
        ) {
            return wrong(
                "may name neither `root`, `default` nor another policy that the server keeps for itself",
            );
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./@".contains(&b);
        if name.is_empty() || !name.bytes().all(plain) {
            return wrong("a policy's name is in lower case, of letters, digits and `-_./@`");
        }
    }
    if target.max_uses.is_some() && target.vault_token_type == TokenType::Batch {
        return Err(Error::field(
            "max_uses",
            "a batch token cannot be counted; take `vault_token_type=service`",
        ));
    }
    Ok(())
}

/// Delete a target. Requests for it are refused from then on.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteTarget {
    /// Name of the target.
    name: TargetName,
}

impl Endpoint<Cx> for DeleteTarget {
    const PLACE: Place = Place {
        path: "targets/{name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Target";
    type Output = TargetView;

    async fn handle(self, cx: &Cx) -> Result<Reply<TargetView>> {
        release_key(cx, &self.name, None).await?;
        cx.facts.targets.remove(&self.name).await?;
        Ok(Reply::Nothing)
    }
}
