//! Test cases for policies: `*.test.hcl`.
//!
//! The top of a file says what holds for all its cases; a case says what is
//! different, and what it expects. What neither says is unremarkable: an
//! active agent, a target that offers everything, a delegation that covers
//! everything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::engine::duration;
use crate::engine::facts::{
    Actor, Baseline, Bounds, ConsentFacts, ConsentState, Environment, Facts, Hop, NoCounts,
    Subject, Upkeep,
};
use crate::engine::policy::{CompiledPolicy, Effect, PolicySet, Rule};
use crate::model::agent::{Agent, Mode, Software, Suspension};
use crate::model::authorization::{AgentAction, Detail, Scope};
use crate::model::decision::{AccessRequest, Outcome};
use crate::model::delegation::{Delegation, DelegationStatus, Delegator};
use crate::model::identity::Presence;
use crate::model::ids::{AgentId, ConsentId, DelegationId, LocationName, PolicyName};
use crate::model::pattern::Pattern;
use crate::model::target::{Consent, Target};
use crate::model::text::{Description, Label};
use crate::model::time::{Timestamp, Ttl};

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suite {
    #[serde(flatten)]
    common: Given,
    #[serde(default)]
    locations: BTreeMap<LocationName, Vec<IpNet>>,
    #[serde(default)]
    case: hcl::Map<String, Case>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Case {
    #[serde(flatten)]
    given: Given,
    pub(super) expect: Expect,
}

/// What is given; a case's own goes before its file's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Given {
    now: Option<Timestamp>,
    remote_addr: Option<IpAddr>,
    ceiling: Option<Vec<PolicyName>>,
    baseline: Option<Vec<PolicyName>>,
    agent: AgentGiven,
    subject: SubjectGiven,
    target: TargetGiven,
    request: RequestGiven,
}

macro_rules! given {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct $name { $($field: Option<$type>),* }

        impl $name {
            fn or(&self, other: &Self) -> Self {
                Self { $($field: self.$field.clone().or_else(|| other.$field.clone())),* }
            }
        }
    };
}

given! { AgentGiven {
    name: crate::model::ids::AgentName,
    owner: Label,
    labels: BTreeMap<String, String>,
    software: Software,
    suspended: bool,
    expires_at: Timestamp,
} }
given! { SubjectGiven {
    name: String,
    groups: Vec<String>,
    metadata: BTreeMap<String, String>,
    disabled: bool,
} }
given! { TargetGiven { labels: BTreeMap<String, String>, consent: Consent, max_ttl: String } }
given! { RequestGiven {
    target: crate::model::ids::TargetName,
    action: crate::model::pattern::Action,
    resource: crate::model::pattern::Resource,
    mode: Mode,
    reason: Description,
    purpose: Description,
    chain_depth: u8,
    context: Map<String, Value>,
    ttl: String,
    proof_of_possession: bool,
    consented: bool,
} }

/// What a case expects. Only what it names is compared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) outcome: Outcome,
    /// The code of the reason.
    pub(super) reason: Option<String>,
    /// The deciding rule, as policy/rule.
    pub(super) rule: Option<String>,
    /// The lifetime in seconds, as in `300s`.
    pub(super) ttl: Option<String>,
    pub(super) max_uses: Option<u32>,
}

const FIELDS: [&str; 9] = [
    "now",
    "remote_addr",
    "ceiling",
    "baseline",
    "agent",
    "subject",
    "target",
    "request",
    "expect",
];

impl Suite {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = hcl::from_str(text).map_err(|error| error.to_string())?;
        known(&value, &["locations", "case"])?;
        for case in value
            .get("case")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::values)
        {
            known(case, &[])?;
        }
        let mut suite: Self = hcl::from_str(text).map_err(|error| error.to_string())?;
        suite.common.now = suite
            .common
            .now
            .or_else(|| Some(Timestamp::from_unix(1_798_761_600)));
        Ok(suite)
    }

    /// The cases, in the order of the text.
    pub(super) fn cases(&self) -> impl Iterator<Item = (&String, &Case)> {
        self.case.iter()
    }

    /// The request and the facts of a case.
    pub(super) fn build(
        &self,
        case: &Case,
        library: &BTreeMap<PolicyName, Arc<CompiledPolicy>>,
    ) -> Result<(AccessRequest, Facts), String> {
        let given = case.given.or(&self.common);
        let now = given.now.unwrap_or(Timestamp::EPOCH);
        let request = given.request()?;
        let ceiling = given.ceiling.as_deref().unwrap_or_default();
        let actor = Actor {
            agent: Arc::new(agent(0, &given.agent, now)?),
            presence: Presence::Present,
            owner_gone: false,
            ceiling: Arc::new(PolicySet::attach(ceiling, library)),
        };
        let baseline = match &given.baseline {
            Some(names) => Baseline::Policies(Arc::new(PolicySet::attach(names, library))),
            None => Baseline::Unrestricted,
        };
        let on_behalf = request.mode() == Mode::OnBehalfOf;
        let facts = Facts {
            target: Some(Arc::new(given.target(&request, now)?)),
            subject: if on_behalf {
                Some(given.subject()?)
            } else {
                None
            },
            baseline,
            chain: if on_behalf {
                given.chain(&actor, now)?
            } else {
                vec![]
            },
            consent: given.consent(&request, now)?,
            agent: Some(actor),
            token_details: None,
            details_required: false,
            upkeep: Upkeep::default(),
            environment: Environment {
                now,
                remote_addr: given.remote_addr,
                locations: Arc::new(self.locations.clone()),
            },
            bounds: Bounds {
                default_ttl: Ttl::from_secs(60),
                max_ttl: Ttl::from_secs(3600),
                mount_max_ttl: Ttl::from_secs(3600),
                max_delegation_depth: 8,
                counts_uses: true,
            },
            counts: Arc::new(NoCounts),
        };
        Ok((request, facts))
    }
}

/// Flattened structs cannot refuse what they do not know, so it is done here.
fn known(value: &Value, more: &[&str]) -> Result<(), String> {
    let fields = value.as_object().into_iter().flat_map(Map::keys);
    match fields
        .into_iter()
        .find(|field| !FIELDS.contains(&field.as_str()) && !more.contains(&field.as_str()))
    {
        Some(field) => Err(format!(
            "unknown field `{field}`; known are {}",
            FIELDS.join(", ")
        )),
        None => Ok(()),
    }
}

fn text<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

impl Given {
    fn or(&self, other: &Self) -> Self {
        Self {
            now: self.now.or(other.now),
            remote_addr: self.remote_addr.or(other.remote_addr),
            ceiling: self.ceiling.clone().or_else(|| other.ceiling.clone()),
            baseline: self.baseline.clone().or_else(|| other.baseline.clone()),
            agent: self.agent.or(&other.agent),
            subject: self.subject.or(&other.subject),
            target: self.target.or(&other.target),
            request: self.request.or(&other.request),
        }
    }

    /// On behalf of the subject, if there is one and no mode is given.
    fn mode(&self) -> Mode {
        let usual = if self.subject.name.is_some() {
            Mode::OnBehalfOf
        } else {
            Mode::Autonomous
        };
        self.request.mode.unwrap_or(usual)
    }

    fn request(&self) -> Result<AccessRequest, String> {
        let given = &self.request;
        let (Some(target), Some(action)) = (given.target.clone(), given.action.clone()) else {
            return Err("the request needs a `target` and an `action`".to_owned());
        };
        let mut request =
            AccessRequest::new(target, action, given.resource.clone().unwrap_or_default());
        request.reason = given.reason.clone().unwrap_or_default();
        request.context = given.context.clone().unwrap_or_default();
        request.ttl = given.ttl.as_deref().map(duration::parse).transpose()?;
        request.key_thumbprint = given
            .proof_of_possession
            .unwrap_or(false)
            .then(|| "thumbprint".to_owned());
        if self.mode() == Mode::OnBehalfOf {
            request.subject = Some(text("subject")?);
        }
        if given.consented == Some(true) {
            request.consent = Some(ConsentId::mint(Timestamp::EPOCH, [0; 10]));
        }
        Ok(request)
    }

    fn subject(&self) -> Result<Subject, String> {
        Ok(Subject {
            id: text("subject")?,
            name: self.subject.name.clone().unwrap_or_default(),
            disabled: self.subject.disabled.unwrap_or(false),
            is_human: true,
            groups: self.subject.groups.iter().flatten().cloned().collect(),
            metadata: self.subject.metadata.clone().unwrap_or_default(),
        })
    }

    fn target(&self, request: &AccessRequest, now: Timestamp) -> Result<Target, String> {
        let longest = self
            .target
            .max_ttl
            .as_deref()
            .map(duration::parse)
            .transpose()?;
        Ok(Target {
            actions: vec![request.action.clone()],
            resources: vec![Pattern::everything()],
            labels: self.target.labels.clone().unwrap_or_default(),
            max_ttl: longest.unwrap_or(Ttl::LONGEST),
            consent: self.target.consent.unwrap_or_default(),
            ..Target::new(request.target.clone(), now)
        })
    }

    /// A chain of `chain_depth` links that all hold; the agents in between
    /// have ceilings without bounds.
    fn chain(&self, actor: &Actor, now: Timestamp) -> Result<Vec<Hop>, String> {
        let depth = self.request.chain_depth.unwrap_or(1);
        let mut chain: Vec<Hop> = Vec::new();
        for number in 1..=depth {
            let is_last = number == depth;
            let receiver = if is_last {
                None
            } else {
                let ceiling = Arc::new(everything()?);
                Some(Actor {
                    agent: Arc::new(agent(number, &AgentGiven::default(), now)?),
                    presence: Presence::Present,
                    owner_gone: false,
                    ceiling,
                })
            };
            let delegator = match chain.last() {
                None => Delegator::Subject,
                Some(hop) => Delegator::Agent {
                    id: hop.delegation.agent.clone(),
                    parent: hop.delegation.id.clone(),
                },
            };
            let delegation = Delegation {
                id: DelegationId::mint(Timestamp::EPOCH, [number; 10]),
                subject: Some(text("subject")?),
                agent: receiver
                    .as_ref()
                    .map_or(&actor.agent.id, |receiver| &receiver.agent.id)
                    .clone(),
                agent_epoch: 0,
                delegator,
                scope: whole_scope()?,
                purpose: self.request.purpose.clone().unwrap_or_default(),
                status: DelegationStatus::Active,
                created_at: now,
                expires_at: now.plus(Ttl::from_secs(24 * 3600)),
                ttl: Ttl::from_secs(24 * 3600),
                max_ttl: None,
                max_uses: None,
                uses: 0,
                consent: Some(ConsentId::mint(Timestamp::EPOCH, [number; 10])),
                code: None,
                text: String::new(),
                answer: None,
            };
            chain.push(Hop {
                delegation: Arc::new(delegation),
                agent: receiver,
            });
        }
        Ok(chain)
    }

    fn consent(
        &self,
        request: &AccessRequest,
        now: Timestamp,
    ) -> Result<Option<ConsentFacts>, String> {
        let Some(id) = request.consent.clone() else {
            return Ok(None);
        };
        let state = ConsentState::Approved;
        let expires_at = now.plus(Ttl::from_secs(60));
        Ok(Some(ConsentFacts {
            id,
            subject: text("subject")?,
            matches_request: true,
            state,
            expires_at,
            ttl: None,
            max_uses: None,
        }))
    }
}

fn agent(number: u8, given: &AgentGiven, now: Timestamp) -> Result<Agent, String> {
    let suspended = given.suspended.unwrap_or(false);
    let name = given
        .name
        .clone()
        .map_or_else(|| text(&format!("agent-{number}")), Ok)?;
    let id = AgentId::mint(Timestamp::EPOCH, [number; 10]);
    Ok(Agent {
        owner: given.owner.clone().unwrap_or_default(),
        labels: given.labels.clone().unwrap_or_default(),
        no_default_ceiling_policy: true,
        max_delegation_depth: 8,
        expires_at: given.expires_at,
        software: given.software.clone().unwrap_or_default(),
        suspended: suspended.then(|| Suspension {
            at: now,
            by: String::new(),
            reason: Description::default(),
        }),
        ..Agent::new(id, name, text(&format!("entity-{number}"))?, now)
    })
}

fn whole_scope() -> Result<Scope, String> {
    let all = || vec![Pattern::everything()];
    let detail = AgentAction {
        targets: all(),
        actions: all(),
        resources: all(),
    };
    Scope::new(vec![Detail::Action(detail)]).map_err(|error| error.to_string())
}

fn everything() -> Result<PolicySet, String> {
    let name: PolicyName = text("everything")?;
    let policy = CompiledPolicy {
        name: name.clone(),
        rules: vec![Rule::new("everything", Effect::Allow)],
    };
    Ok(PolicySet::attach(
        std::slice::from_ref(&name),
        &[(name.clone(), Arc::new(policy))].into(),
    ))
}
