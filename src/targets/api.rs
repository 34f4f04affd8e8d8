//! `targets/…`: the systems that credentials are for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agents::input::check_labels;
use crate::config::store::LONGEST_TTL;
use crate::credentials::claims::RESERVED;
use crate::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::framework::error::{Error, Result};
use crate::framework::response::{Listing, Reply};
use crate::model::ids::TargetName;
use crate::model::pattern::{Action, Pattern};
use crate::model::target::{Consent, CredentialType, Target};
use crate::model::text::{Description, Label};
use crate::model::time::{Timestamp, Ttl};
use crate::state::{Cx, State};

const MAX_ACTIONS: usize = 256;
const MAX_RESOURCES: usize = 256;
const MAX_AUDIENCES: usize = 16;
const MAX_CLAIMS: usize = 4096;

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

impl Endpoint<State> for ListTargets {
    const PLACE: Place = Place {
        path: "targets",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Operator;
    const ITEM: &'static str = "Target";
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        Ok(Listing::of(cx.targets.list(&self.after, self.limit).await?).into())
    }
}

/// Read a target.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadTarget {
    /// Name of the target.
    name: TargetName,
}

impl Endpoint<State> for ReadTarget {
    const PLACE: Place = Place {
        path: "targets/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Operator;
    const ITEM: &'static str = "Target";
    type Output = TargetView;

    async fn handle(self, cx: &Cx) -> Result<Reply<TargetView>> {
        let target = cx.targets.get(&self.name).await?;
        Ok(target.map(|target| TargetView::of(&target)).into())
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
    /// What an allowed request gets: `jwt`.
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
}

impl Endpoint<State> for WriteTarget {
    const PLACE: Place = Place {
        path: "targets/{name}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Operator;
    const ITEM: &'static str = "Target";
    type Output = TargetView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "name") {
            Some(name) => Ok(Some(cx.targets.get(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<TargetView>> {
        let signing_key = match &self.signing_key {
            Some(name) => Some(cx.keys.reference("signing_key", name).await?),
            None => None,
        };
        let name = self.name.clone();
        let stored = cx
            .targets
            .update(&name, |present| {
                let mut target = present.cloned().unwrap_or_else(|| blank(&name, cx.now));
                if let Some(key) = signing_key {
                    target.signing_key = key;
                }
                self.apply(&mut target);
                target.updated_at = cx.now;
                check(&target)?;
                Ok(target)
            })
            .await?;
        Ok(TargetView::of(&stored).into())
    }
}

fn blank(name: &TargetName, now: Timestamp) -> Target {
    Target {
        name: name.clone(),
        description: Description::default(),
        credential_type: CredentialType::default(),
        audience: Label::try_from(name.to_string()).into_iter().collect(),
        actions: Vec::new(),
        resources: Vec::new(),
        labels: BTreeMap::new(),
        default_ttl: Ttl::ZERO,
        max_ttl: LONGEST_TTL,
        consent: Consent::None,
        signing_key: None,
        claims: Map::new(),
        created_at: now,
        updated_at: now,
    }
}

impl WriteTarget {
    fn apply(self, target: &mut Target) {
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
    }
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
    Ok(())
}

/// Delete a target. Requests for it are refused from then on.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteTarget {
    /// Name of the target.
    name: TargetName,
}

impl Endpoint<State> for DeleteTarget {
    const PLACE: Place = Place {
        path: "targets/{name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Operator;
    const ITEM: &'static str = "Target";
    type Output = TargetView;

    async fn handle(self, cx: &Cx) -> Result<Reply<TargetView>> {
        cx.targets.remove(&self.name).await?;
        Ok(Reply::Nothing)
    }
}
