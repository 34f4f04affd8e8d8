//! Authorization details (RFC 9396): what one request, delegation or token is
//! for.
//!
//! Strict on purpose: a type or field that is not understood is refused, never
//! skipped, because what is skipped could have been a restriction.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::model::ids::TargetName;
use crate::model::pattern::{Action, Pattern, Resource};
use crate::model::vault_path::VaultPath;

/// The most details in one list.
pub const MAX_DETAILS: usize = 32;
/// The most combinations of target, action and resource in one list, so that
/// comparing two lists stays cheap.
pub const MAX_COMBINATIONS: usize = 256;
/// The most parameters a `vault:path_access` detail may name.
pub const MAX_PARAMETERS: usize = 32;
/// The most bytes of a list, written as JSON.
pub const MAX_BYTES: usize = 16 * 1024;

/// The `type` of [`AgentAction`].
pub const AGENT_ACTION: &str = "agentic:action";
/// The `type` of [`VaultPathAccess`].
pub const VAULT_PATH_ACCESS: &str = "vault:path_access";

/// Why authorization details were refused; RFC 9396 5 calls the error
/// `invalid_authorization_details`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("invalid_authorization_details: {0}")]
pub struct DetailsError(String);

impl DetailsError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// One authorization detail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Actions at targets.
    Action(AgentAction),
    /// Paths of the host.
    Path(VaultPathAccess),
}

/// `agentic:action`: some actions, at some targets, on some resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentAction {
    /// Names of targets, or globs over them.
    pub targets: Vec<Pattern>,
    /// Actions, or globs over them.
    pub actions: Vec<Pattern>,
    /// Globs over resources. None: only requests that name no resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Pattern>,
}

/// `vault:path_access`: some capabilities on some paths of the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultPathAccess {
    /// The path, with the host's own wildcards.
    pub path: VaultPath,
    /// What may be done there.
    pub capabilities: BTreeSet<Capability>,
    /// As in the host's ACL: parameters that may be sent, with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub allowed_parameters: BTreeMap<String, Vec<String>>,
    /// As in the host's ACL: parameters that may not be sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub denied_parameters: BTreeMap<String, Vec<String>>,
    /// As in the host's ACL: parameters that must be sent.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub required_parameters: BTreeSet<String>,
}

/// A capability of the host's ACL language. `deny` is none: a detail grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the host's own")]
pub enum Capability {
    Create,
    Read,
    Update,
    Delete,
    List,
    Patch,
    Scan,
    Sudo,
    Subscribe,
    Recover,
}

/// A list of authorization details: the union of what each stands for.
///
/// An empty list covers nothing. That no list was given is said by an
/// `Option` around it, and means something else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Scope(Vec<Detail>);

impl Scope {
    /// A list of details.
    ///
    /// # Errors
    /// If it exceeds a bound, or a detail is incomplete.
    pub fn new(details: Vec<Detail>) -> Result<Self, DetailsError> {
        if details.len() > MAX_DETAILS {
            return Err(DetailsError::new(format!(
                "at most {MAX_DETAILS} details are accepted"
            )));
        }
        let mut combinations = 0_usize;
        for (index, detail) in details.iter().enumerate() {
            detail
                .check()
                .map_err(|why| DetailsError::new(format!("detail {index}: {why}")))?;
            combinations = combinations.saturating_add(detail.combinations());
        }
        if combinations > MAX_COMBINATIONS {
            return Err(DetailsError::new(format!(
                "at most {MAX_COMBINATIONS} combinations of target, action and resource are accepted; use patterns"
            )));
        }
        Ok(Self(details))
    }

    /// A list of details from JSON.
    ///
    /// # Errors
    /// If a type or field is unknown, of the wrong kind, or exceeds a bound.
    pub fn from_json(value: &Value) -> Result<Self, DetailsError> {
        let Value::Array(items) = value else {
            return Err(DetailsError::new(
                "authorization details must be a JSON array of objects",
            ));
        };
        if items.len() > MAX_DETAILS {
            return Err(DetailsError::new(format!(
                "at most {MAX_DETAILS} details are accepted"
            )));
        }
        let bytes = serde_json::to_string(value).map_or(usize::MAX, |text| text.len());
        if bytes > MAX_BYTES {
            return Err(DetailsError::new(format!(
                "at most {MAX_BYTES} bytes are accepted"
            )));
        }
        let named = |(index, item)| {
            Detail::from_json(item)
                .map_err(|why| DetailsError::new(format!("detail {index}: {why}")))
        };
        Self::new(
            items
                .iter()
                .enumerate()
                .map(named)
                .collect::<Result<_, _>>()?,
        )
    }

    /// The scope of exactly one request. `None` if its resource is longer than
    /// a detail may say.
    #[must_use]
    pub fn of_request(target: &TargetName, action: &Action, resource: &Resource) -> Option<Self> {
        let pattern = |text: &str| text.parse::<Pattern>().ok();
        let resources = if resource.is_empty() {
            vec![]
        } else {
            vec![pattern(resource.as_str())?]
        };
        let detail = AgentAction {
            targets: vec![pattern(target.as_str())?],
            actions: vec![pattern(action.as_str())?],
            resources,
        };
        Some(Self(vec![Detail::Action(detail)]))
    }

    /// The details, as they were given.
    #[must_use]
    pub fn details(&self) -> &[Detail] {
        &self.0
    }

    /// Whether it stands for nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it stands for this action at this target on this resource.
    #[must_use]
    pub fn covers_request(
        &self,
        target: &TargetName,
        action: &Action,
        resource: &Resource,
    ) -> bool {
        self.0.iter().any(|detail| match detail {
            Detail::Action(detail) => detail.covers_request(target, action, resource),
            Detail::Path(_) => false,
        })
    }

    /// Whether it stands for this capability on this plain path of the host.
    ///
    /// A detail that constrains parameters does not: whether they hold is not
    /// known before the request that carries them is made.
    #[must_use]
    pub fn covers_path(&self, path: &str, capability: Capability) -> bool {
        self.0.iter().any(|detail| match detail {
            Detail::Action(_) => false,
            Detail::Path(detail) => {
                !detail.has_parameters()
                    && detail.capabilities.contains(&capability)
                    && detail.path.matches(path)
            }
        })
    }

    /// Whether everything that `other` stands for, it stands for too.
    ///
    /// Reflexive, transitive and sound. Not complete: a combination that only
    /// several details together stand for counts as not covered.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|inner| match inner {
            Detail::Action(inner) => inner.combinations().all(|one| {
                self.0.iter().any(|outer| match outer {
                    Detail::Action(outer) => outer.covers(one),
                    Detail::Path(_) => false,
                })
            }),
            Detail::Path(inner) => self.0.iter().any(|outer| match outer {
                Detail::Action(_) => false,
                Detail::Path(outer) => outer.covers(inner),
            }),
        })
    }

    /// What both stand for; never more than either.
    ///
    /// Where two patterns overlap and neither covers the other, what they
    /// share cannot be written as a pattern and is left out. So is what would
    /// exceed the bounds of a list.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut shared = Self::default();
        for detail in self
            .0
            .iter()
            .flat_map(|a| other.0.iter().filter_map(|b| a.intersect(b)))
        {
            let mut longer = shared.0.clone();
            if !longer.contains(&detail) {
                longer.push(detail);
                shared = Self::new(longer).unwrap_or(shared);
            }
        }
        shared
    }
}

impl Detail {
    fn from_json(value: &Value) -> Result<Self, DetailsError> {
        let Value::Object(fields) = value else {
            return Err(DetailsError::new("must be a JSON object"));
        };
        let mut fields = fields.clone();
        match fields.remove("type") {
            Some(Value::String(kind)) if kind == AGENT_ACTION => Ok(Self::Action(typed(fields)?)),
            Some(Value::String(kind)) if kind == VAULT_PATH_ACCESS => {
                Ok(Self::Path(typed(fields)?))
            }
            Some(Value::String(_)) => Err(DetailsError::new(format!(
                "its type is not known; known are `{AGENT_ACTION}` and `{VAULT_PATH_ACCESS}`"
            ))),
            Some(_) | None => Err(DetailsError::new("needs a `type`, as a string")),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Action(detail) if detail.targets.is_empty() => Err("`targets` may not be empty"),
            Self::Action(detail) if detail.actions.is_empty() => Err("`actions` may not be empty"),
            Self::Path(detail) if detail.capabilities.is_empty() => {
                Err("`capabilities` may not be empty")
            }
            Self::Path(detail) if detail.parameter_count() > MAX_PARAMETERS => {
                Err("names too many parameters")
            }
            Self::Action(_) | Self::Path(_) => Ok(()),
        }
    }

    fn combinations(&self) -> usize {
        match self {
            Self::Action(detail) => detail.combination_count(),
            Self::Path(_) => 1,
        }
    }

    fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Action(a), Self::Action(b)) => a.intersect(b).map(Self::Action),
            (Self::Path(a), Self::Path(b)) => a.intersect(b).map(Self::Path),
            (Self::Action(_), Self::Path(_)) | (Self::Path(_), Self::Action(_)) => None,
        }
    }
}

fn typed<T: for<'de> Deserialize<'de>>(fields: Map<String, Value>) -> Result<T, DetailsError> {
    serde_json::from_value(Value::Object(fields)).map_err(|why| DetailsError::new(why.to_string()))
}

/// One combination of an [`AgentAction`]; no resource stands for requests that
/// name none.
#[derive(Clone, Copy)]
struct Combination<'a> {
    target: &'a Pattern,
    action: &'a Pattern,
    resource: Option<&'a Pattern>,
}

impl AgentAction {
    fn combination_count(&self) -> usize {
        let resources = self.resources.len().max(1);
        self.targets
            .len()
            .saturating_mul(self.actions.len())
            .saturating_mul(resources)
    }

    fn combinations(&self) -> impl Iterator<Item = Combination<'_>> {
        let resources = || {
            let unnamed = self.resources.is_empty().then_some(None);
            self.resources.iter().map(Some).chain(unnamed)
        };
        self.targets.iter().flat_map(move |target| {
            self.actions.iter().flat_map(move |action| {
                resources().map(move |resource| Combination {
                    target,
                    action,
                    resource,
                })
            })
        })
    }

    fn covers(&self, one: Combination<'_>) -> bool {
        self.targets.iter().any(|t| t.covers(one.target))
            && self.actions.iter().any(|a| a.covers(one.action))
            && match one.resource {
                Some(resource) => self.resources.iter().any(|r| r.covers(resource)),
                None => self.covers_unnamed(),
            }
    }

    fn covers_request(&self, target: &TargetName, action: &Action, resource: &Resource) -> bool {
        self.targets.iter().any(|t| t.matches(target.as_str()))
            && self.actions.iter().any(|a| a.matches(action.as_str()))
            && if resource.is_empty() {
                self.covers_unnamed()
            } else {
                self.resources.iter().any(|r| r.matches(resource.as_str()))
            }
    }

    /// Requests that name no resource.
    fn covers_unnamed(&self) -> bool {
        self.resources.is_empty() || self.resources.iter().any(|r| r.matches(""))
    }

    fn intersect(&self, other: &Self) -> Option<Self> {
        let targets = narrower(&self.targets, &other.targets);
        let actions = narrower(&self.actions, &other.actions);
        let resources = match (self.resources.is_empty(), other.resources.is_empty()) {
            (false, false) => {
                let shared = narrower(&self.resources, &other.resources);
                if shared.is_empty() {
                    return None;
                }
                shared
            }
            _ if self.covers_unnamed() && other.covers_unnamed() => vec![],
            _ => return None,
        };
        (!targets.is_empty() && !actions.is_empty()).then_some(Self {
            targets,
            actions,
            resources,
        })
    }
}

/// Of each pair in which one pattern covers the other, the covered one.
fn narrower(ours: &[Pattern], theirs: &[Pattern]) -> Vec<Pattern> {
    let pairs = ours.iter().flat_map(|a| theirs.iter().map(move |b| (a, b)));
    let narrow = pairs.filter_map(|(a, b)| {
        if a.covers(b) {
            Some(b)
        } else {
            b.covers(a).then_some(a)
        }
    });
    narrow
        .collect::<BTreeSet<_>>()
        .into_iter()
        .cloned()
        .collect()
}

impl VaultPathAccess {
    fn parameter_count(&self) -> usize {
        let listed = |parameters: &BTreeMap<String, Vec<String>>| {
            parameters.values().fold(parameters.len(), |sum, values| {
                sum.saturating_add(values.len())
            })
        };
        listed(&self.allowed_parameters)
            .saturating_add(listed(&self.denied_parameters))
            .saturating_add(self.required_parameters.len())
    }

    fn has_parameters(&self) -> bool {
        self.parameter_count() > 0
    }

    /// Constraints on parameters are compared as a whole: fewer or other ones
    /// are not shown to be narrower.
    fn covers(&self, other: &Self) -> bool {
        self.path.covers(&other.path)
            && self.capabilities.is_superset(&other.capabilities)
            && (!self.has_parameters() || self.same_parameters(other))
    }

    fn same_parameters(&self, other: &Self) -> bool {
        self.allowed_parameters == other.allowed_parameters
            && self.denied_parameters == other.denied_parameters
            && self.required_parameters == other.required_parameters
    }

    fn intersect(&self, other: &Self) -> Option<Self> {
        let path = if self.path.covers(&other.path) {
            &other.path
        } else if other.path.covers(&self.path) {
            &self.path
        } else {
            return None;
        };
        let capabilities: BTreeSet<_> = self
            .capabilities
            .intersection(&other.capabilities)
            .copied()
            .collect();
        let constrained = if self.has_parameters() { self } else { other };
        let compatible =
            !self.has_parameters() || !other.has_parameters() || self.same_parameters(other);
        (!capabilities.is_empty() && compatible).then(|| Self {
            path: path.clone(),
            capabilities,
            ..constrained.clone()
        })
    }
}

/// A detail as it stands in JSON: its fields, with the type among them.
#[derive(Serialize)]
struct Tagged<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    fields: &'a T,
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Action(fields) => Tagged {
                r#type: AGENT_ACTION,
                fields,
            }
            .serialize(serializer),
            Self::Path(fields) => Tagged {
                r#type: VAULT_PATH_ACCESS,
                fields,
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).map_err(de::Error::custom)
    }
}

impl JsonSchema for Scope {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AuthorizationDetails".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "maxItems": MAX_DETAILS, "items": { "type": "object" } })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(value: &Value) -> Scope {
        Scope::from_json(value).unwrap()
    }

    fn action(targets: &[&str], actions: &[&str], resources: &[&str]) -> Value {
        json!({ "type": AGENT_ACTION, "targets": targets, "actions": actions, "resources": resources })
    }

    fn covers(scope: &Scope, target: &str, action: &str, resource: &str) -> bool {
        scope.covers_request(
            &target.parse().unwrap(),
            &action.parse().unwrap(),
            &resource.parse().unwrap(),
        )
    }

    #[test]
    fn a_list_survives_json() {
        let value = json!([
            { "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/*"] },
            { "type": "vault:path_access", "path": "secret/data/*", "capabilities": ["read", "list"] },
        ]);
        let parsed = scope(&value);
        let again: Scope = serde_json::from_str(&serde_json::to_string(&parsed).unwrap()).unwrap();
        assert_eq!(parsed, again);
        assert_eq!(parsed.details().len(), 2);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            json!({}),
            json!("read"),
            json!([["x"]]),
            json!([{ "targets": ["crm"], "actions": ["read"] }]),
            json!([{ "type": 7, "targets": ["crm"], "actions": ["read"] }]),
            json!([{ "type": "payment", "targets": ["crm"], "actions": ["read"] }]),
            json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "limit": 3 }]),
            json!([{ "type": "agentic:action", "targets": "crm", "actions": ["read"] }]),
            json!([{ "type": "agentic:action", "targets": [], "actions": ["read"] }]),
            json!([{ "type": "agentic:action", "targets": ["crm"], "actions": [] }]),
            json!([{ "type": "agentic:action", "targets": ["crm"] }]),
            json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["a/../b"] }]),
            json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": null }]),
            json!([{ "type": "vault:path_access", "path": "a", "capabilities": ["deny"] }]),
            json!([{ "type": "vault:path_access", "path": "a", "capabilities": [] }]),
            json!([{ "type": "vault:path_access", "path": "../a", "capabilities": ["read"] }]),
        ] {
            assert!(Scope::from_json(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        let one = action(&["crm"], &["read"], &[]);
        assert!(Scope::from_json(&json!(vec![one.clone(); MAX_DETAILS])).is_ok());
        assert!(Scope::from_json(&json!(vec![one; MAX_DETAILS + 1])).is_err());
        let names: Vec<String> = (0..17).map(|n| format!("t{n}")).collect();
        let wide: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(Scope::from_json(&json!([action(&wide, &wide, &[])])).is_err());
        let long = "x".repeat(250);
        let many: Vec<&str> = vec![&long; 80];
        assert!(Scope::from_json(&json!([action(&["crm"], &["read"], &many)])).is_err());
    }

    #[test]
    fn an_empty_list_covers_nothing_and_is_covered_by_all() {
        let nothing = Scope::default();
        assert!(!covers(&nothing, "crm", "read", ""));
        assert!(scope(&json!([action(&["crm"], &["read"], &[])])).covers(&nothing));
        assert!(nothing.covers(&nothing));
    }

    #[test]
    fn no_resources_means_requests_that_name_none() {
        let unnamed = scope(&json!([action(&["crm"], &["read"], &[])]));
        assert!(covers(&unnamed, "crm", "read", ""));
        assert!(!covers(&unnamed, "crm", "read", "customers/1"));
        let all = scope(&json!([action(&["crm"], &["read"], &["**"])]));
        assert!(covers(&all, "crm", "read", "") && covers(&all, "crm", "read", "customers/1"));
        assert!(all.covers(&unnamed) && !unnamed.covers(&all));
        let some = scope(&json!([action(&["crm"], &["read"], &["*"])]));
        assert!(!covers(&some, "crm", "read", "") && !some.covers(&unnamed));
    }

    #[test]
    fn several_details_cover_the_combinations_of_one() {
        let split = scope(&json!([
            action(&["crm"], &["read"], &["a/*"]),
            action(&["crm"], &["write"], &["a/*"])
        ]));
        let joined = scope(&json!([action(&["crm"], &["read", "write"], &["a/1"])]));
        assert!(split.covers(&joined));
        assert!(!joined.covers(&split));
    }

    #[test]
    fn the_intersection_is_what_both_cover() {
        let a = scope(&json!([action(
            &["crm-*"],
            &["read", "write"],
            &["customers/**"]
        )]));
        let b = scope(&json!([action(
            &["crm-eu"],
            &["read", "delete"],
            &["customers/1", "orders/1"]
        )]));
        let shared = a.intersect(&b);
        assert_eq!(
            shared,
            scope(&json!([action(&["crm-eu"], &["read"], &["customers/1"])]))
        );
        assert_eq!(shared, b.intersect(&a));
    }

    #[test]
    fn parameters_never_count_as_satisfied() {
        let free = scope(
            &json!([{ "type": VAULT_PATH_ACCESS, "path": "kv/*", "capabilities": ["read"] }]),
        );
        let bound = scope(
            &json!([{ "type": VAULT_PATH_ACCESS, "path": "kv/*", "capabilities": ["read"],
            "required_parameters": ["version"] }]),
        );
        assert!(free.covers_path("kv/a", Capability::Read));
        assert!(!bound.covers_path("kv/a", Capability::Read));
        assert!(!free.covers_path("kv/a", Capability::Update));
        assert!(free.covers(&bound) && !bound.covers(&free));
        assert_eq!(free.intersect(&bound), bound);
    }

    #[test]
    fn one_request_is_its_own_scope() {
        let of = |resource: &str| {
            Scope::of_request(
                &"crm".parse().unwrap(),
                &"read".parse().unwrap(),
                &resource.parse().unwrap(),
            )
        };
        assert!(covers(&of("a/b").unwrap(), "crm", "read", "a/b"));
        assert!(covers(&of("").unwrap(), "crm", "read", ""));
        assert_eq!(of(&"x".repeat(300)), None);
    }
}
