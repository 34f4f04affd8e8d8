//! Small worlds: few names, so that random rules and requests meet often.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;
use vault_plugin_agentic::engine::compile;
use vault_plugin_agentic::engine::facts::{
    Actor, Baseline, Bounds, ConsentFacts, ConsentState, Environment, Facts, Hop, NoCounts,
    Subject, Upkeep,
};
use vault_plugin_agentic::engine::policy::{CompiledPolicy, PolicySet};
use vault_plugin_agentic::model::agent::{Agent, Mode, Suspension};
use vault_plugin_agentic::model::authorization::Scope;
use vault_plugin_agentic::model::decision::AccessRequest;
use vault_plugin_agentic::model::delegation::{Delegation, DelegationStatus, Delegator};
use vault_plugin_agentic::model::identity::{Consequence, Presence};
use vault_plugin_agentic::model::ids::{AgentId, ConsentId, DelegationId, PolicyName};
use vault_plugin_agentic::model::target::{Consent, Target};
use vault_plugin_agentic::model::text::Description;
use vault_plugin_agentic::model::time::{Timestamp, Ttl};

/// Monday, 5 January 2026, midnight in UTC.
pub(crate) const MONDAY: i64 = 1_767_571_200;
pub(crate) const CONSENTS: [Consent; 3] = [Consent::None, Consent::Standing, Consent::PerRequest];

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RuleSpec {
    pub(crate) deny: bool,
    pub(crate) actions: Vec<&'static str>,
    pub(crate) targets: Vec<&'static str>,
    pub(crate) resources: Vec<&'static str>,
    pub(crate) agents: Vec<&'static str>,
    pub(crate) groups: Vec<&'static str>,
    pub(crate) sensitivity: Option<&'static str>,
    pub(crate) mode: Option<Mode>,
    pub(crate) depth: Option<usize>,
    pub(crate) hours: Option<(u8, u8)>,
    pub(crate) office: bool,
    pub(crate) condition: Option<Cond>,
    pub(crate) consent: Consent,
    pub(crate) max_ttl: Option<u64>,
    pub(crate) max_uses: Option<u32>,
    pub(crate) proof: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cond {
    AmountAtMost(i64),
    Contractor,
    NotContractor,
}

pub(crate) type Policies = Vec<Vec<RuleSpec>>;

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) agent: &'static str,
    pub(crate) suspended: bool,
    pub(crate) agent_ttl: Option<u64>,
    pub(crate) modes: Vec<Mode>,
    pub(crate) mode: Mode,
    pub(crate) target_known: bool,
    pub(crate) target_consent: Consent,
    pub(crate) target_ttl: u64,
    pub(crate) sensitivity: &'static str,
    pub(crate) action: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) groups: Vec<&'static str>,
    pub(crate) disabled: bool,
    pub(crate) human: bool,
    pub(crate) presence: Presence,
    pub(crate) owner_gone: Option<Consequence>,
    pub(crate) overdue: Option<Consequence>,
    pub(crate) ceiling: Policies,
    pub(crate) missing_policy: bool,
    /// `None`: unrestricted.
    pub(crate) baseline: Option<Policies>,
    pub(crate) hops: Vec<HopSpec>,
    pub(crate) details: Option<Vec<&'static str>>,
    pub(crate) consent: Option<(ConsentState, bool)>,
    pub(crate) address: Option<&'static str>,
    pub(crate) hour: u8,
    pub(crate) amount: Option<i64>,
    pub(crate) ttl: Option<u64>,
    pub(crate) key: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct HopSpec {
    pub(crate) status: DelegationStatus,
    pub(crate) ttl: u64,
    pub(crate) uses_left: Option<u32>,
    pub(crate) actions: Vec<&'static str>,
}

pub(crate) fn rule() -> impl Strategy<Value = RuleSpec> {
    let some = |values: &'static [&'static str]| prop_oneof![2 => Just(vec![]), 1 => subsequence(values, 1..=2)];
    let matchers = (
        weighted(0.15, Just(())),
        some(&["read", "write", "*"]),
        some(&["crm", "erp", "c*"]),
        some(&["a/*", "a/1", "**"]),
        some(&["bot", "x-*", "b*"]),
        some(&["staff", "Contractors"]),
        weighted(0.2, select(&["low", "high"][..])),
        weighted(0.2, select(&[Mode::Autonomous, Mode::OnBehalfOf][..])),
    );
    let place = (
        weighted(0.2, 0..3_usize),
        weighted(
            0.2,
            (0..24_u8, 0..24_u8).prop_filter("not empty", |(a, b)| a != b),
        ),
        prop::bool::weighted(0.2),
        weighted(
            0.3,
            select(&[Cond::AmountAtMost(5), Cond::Contractor, Cond::NotContractor][..]),
        ),
    );
    let obligations = (
        consent(),
        weighted(0.3, 1..400_u64),
        weighted(0.3, 1..4_u32),
        prop::bool::weighted(0.2),
    );
    (matchers, place, obligations).prop_map(|(m, p, o)| RuleSpec {
        deny: m.0.is_some(),
        actions: m.1,
        targets: m.2,
        resources: m.3,
        agents: m.4,
        groups: m.5,
        sensitivity: m.6,
        mode: m.7,
        depth: p.0,
        hours: p.1,
        office: p.2,
        condition: p.3,
        consent: o.0,
        max_ttl: o.1,
        max_uses: o.2,
        proof: o.3,
    })
}

fn consent() -> impl Strategy<Value = Consent> {
    prop_oneof![6 => Just(Consent::None), 1 => Just(Consent::Standing), 2 => Just(Consent::PerRequest)]
}

pub(crate) fn world() -> impl Strategy<Value = World> {
    // Mostly with one rule that allows, so that other layers decide as well.
    let policies = || {
        let random = vec(vec(rule(), 0..4), 0..3);
        (random, prop::bool::weighted(0.8)).prop_map(|(mut policies, broad)| {
            policies.extend(broad.then(|| vec![plain()]));
            policies
        })
    };
    let who = (
        select(&["bot", "x-1"][..]),
        prop::bool::weighted(0.05),
        weighted(0.3, prop_oneof![1 => Just(0), 9 => 1..300_u64]),
        prop_oneof![9 => Just(vec![Mode::Autonomous, Mode::OnBehalfOf]), 1 => Just(vec![Mode::OnBehalfOf])],
        select(&[Mode::Autonomous, Mode::OnBehalfOf][..]),
        policies(),
        prop::bool::weighted(0.05),
        of(policies()),
    );
    let what = (
        prop::bool::weighted(0.95),
        consent(),
        1..400_u64,
        select(&["low", "high"][..]),
        prop_oneof![9 => select(&["read", "write"][..]), 1 => Just("drop")],
        prop_oneof![8 => select(&["a/1", "a/2"][..]), 1 => Just(""), 1 => Just("b")],
        weighted(
            0.2,
            prop_oneof![2 => Just(vec!["read", "write"]), 1 => subsequence(&["read", "write"][..], 0..=2)],
        ),
    );
    let hop = (
        prop_oneof![9 => Just(DelegationStatus::Active), 1 => Just(DelegationStatus::Revoked)],
        prop_oneof![1 => 0..2_u64, 9 => 1..500_u64],
        weighted(0.3, prop_oneof![1 => Just(0), 9 => 1..4_u32]),
        prop_oneof![4 => Just(vec!["**"]), 1 => Just(vec!["read"])],
    )
        .prop_map(|(status, ttl, uses_left, actions)| HopSpec {
            status,
            ttl,
            uses_left,
            actions,
        });
    let states = [
        ConsentState::Pending,
        ConsentState::Approved,
        ConsentState::Denied,
        ConsentState::Used,
    ];
    let consequence = || {
        weighted(
            0.1,
            select(&[Consequence::Deny, Consequence::Warn, Consequence::Ignore][..]),
        )
    };
    let standing = (
        prop::bool::weighted(0.95),
        prop_oneof![
            20 => Just(Presence::Present),
            1 => select(&[Presence::Disabled, Presence::Moved, Presence::Merged, Presence::Gone][..])
        ],
        consequence(),
        consequence(),
    );
    let how = (
        subsequence(&["staff", "contractors"][..], 0..=2),
        prop::bool::weighted(0.05),
        prop_oneof![1 => Just(vec![]), 9 => vec(hop, 1..3)],
        weighted(
            0.6,
            (
                prop_oneof![1 => Just(ConsentState::Approved), 1 => select(states.to_vec())],
                prop::bool::weighted(0.9),
            ),
        ),
        weighted(0.8, select(&["10.0.0.1", "192.0.2.1"][..])),
        0..24_u8,
        of(0..10_i64),
        weighted(0.3, prop_oneof![1 => Just(0), 9 => 1..1000_u64]),
        any::<bool>(),
    );
    (who, what, how, standing).prop_map(|(w, t, h, s)| World {
        human: s.0,
        presence: s.1,
        owner_gone: s.2,
        overdue: s.3,
        agent: w.0,
        suspended: w.1,
        agent_ttl: w.2,
        modes: w.3,
        mode: w.4,
        ceiling: w.5,
        missing_policy: w.6,
        baseline: w.7,
        target_known: t.0,
        target_consent: t.1,
        target_ttl: t.2,
        sensitivity: t.3,
        action: t.4,
        resource: t.5,
        details: t.6,
        groups: h.0,
        disabled: h.1,
        hops: h.2,
        consent: h.3,
        address: h.4,
        hour: h.5,
        amount: h.6,
        ttl: h.7,
        key: h.8,
    })
}

/// The text of a policy, from the rules it should have.
pub(crate) fn policy_text(rules: &[RuleSpec]) -> String {
    let mut text = String::new();
    for (number, rule) in rules.iter().enumerate() {
        let mut line = |words: String| text.push_str(&format!("{words}\n"));
        line(format!(
            "rule \"r{number}\" {{\neffect = \"{}\"",
            if rule.deny { "deny" } else { "allow" }
        ));
        for (name, values) in [
            ("actions", &rule.actions),
            ("targets", &rule.targets),
            ("resources", &rule.resources),
        ] {
            if !values.is_empty() {
                line(format!("{name} = {values:?}"));
            }
        }
        if !rule.agents.is_empty() {
            line(format!("agent {{\nnames = {:?}\n}}", rule.agents));
        }
        if !rule.groups.is_empty() {
            line(format!("subject {{\ngroups = {:?}\n}}", rule.groups));
        }
        if let Some(value) = rule.sensitivity {
            line(format!(
                "target {{\nlabels = {{ sensitivity = {value:?} }}\n}}"
            ));
        }
        if let Some(mode) = rule.mode {
            line(format!("delegation = {:?}", mode.as_str()));
        }
        if let Some(depth) = rule.depth {
            line(format!("max_chain_depth = {depth}"));
        }
        if rule.hours.is_some() || rule.office {
            line("environment {".into());
            if let Some((from, until)) = rule.hours {
                line(format!("hours = \"{from:02}:00-{until:02}:00\""));
            }
            if rule.office {
                line("cidrs = [\"10.0.0.0/8\"]".into());
            }
            line("}".into());
        }
        if let Some(condition) = rule.condition {
            line(match condition {
                Cond::AmountAtMost(most) => format!("condition = request.context.amount <= {most}"),
                Cond::Contractor => "condition = contains(subject.groups, \"contractors\")".into(),
                Cond::NotContractor => {
                    "condition = !contains(subject.groups, \"contractors\")".into()
                }
            });
        }
        if !rule.deny {
            line(format!("consent = {:?}\nlimits {{", rule.consent.as_str()));
            if let Some(ttl) = rule.max_ttl {
                line(format!("max_ttl = \"{ttl}s\""));
            }
            if let Some(uses) = rule.max_uses {
                line(format!("max_uses = {uses}"));
            }
            line(format!("proof_of_possession = {}\n}}", rule.proof));
        }
        line("}".into());
    }
    text
}

pub(crate) fn compiled(name: &str, rules: &[RuleSpec]) -> CompiledPolicy {
    let text = policy_text(rules);
    compile(&name.parse().unwrap(), &text)
        .unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
        .0
}

pub(crate) fn attach(prefix: &str, policies: &Policies, missing: bool) -> Arc<PolicySet> {
    let mut library = BTreeMap::new();
    let mut names: Vec<PolicyName> = Vec::new();
    for (number, rules) in policies.iter().enumerate() {
        let policy = compiled(&format!("{prefix}{number}"), rules);
        names.push(policy.name.clone());
        library.insert(policy.name.clone(), Arc::new(policy));
    }
    if missing {
        names.push("missing".parse().unwrap());
    }
    Arc::new(PolicySet::attach(&names, &library))
}

pub(crate) fn now(world: &World) -> Timestamp {
    Timestamp::from_unix(MONDAY + i64::from(world.hour) * 3600)
}

pub(crate) fn agent(number: u8, name: &str) -> Agent {
    let id = AgentId::mint(Timestamp::EPOCH, [number; 10]);
    Agent {
        no_default_ceiling_policy: true,
        max_delegation_depth: 8,
        ..Agent::new(
            id,
            name.parse().unwrap(),
            "entity".parse().unwrap(),
            Timestamp::EPOCH,
        )
    }
}

pub(crate) fn target(name: &str) -> Target {
    Target {
        actions: vec!["read".parse().unwrap(), "write".parse().unwrap()],
        resources: vec!["a/**".parse().unwrap()],
        default_ttl: Ttl::from_secs(60),
        max_ttl: Ttl::from_secs(3600),
        ..Target::new(name.parse().unwrap(), Timestamp::EPOCH)
    }
}

pub(crate) fn scope(actions: &[&str]) -> Scope {
    let details = if actions.is_empty() {
        json!([])
    } else {
        json!([{ "type": "agentic:action", "targets": ["**"], "actions": actions, "resources": ["**"] }])
    };
    Scope::from_json(&details).unwrap()
}

pub(crate) fn request(world: &World) -> AccessRequest {
    let mut request = AccessRequest::new(
        "crm".parse().unwrap(),
        world.action.parse().unwrap(),
        world.resource.parse().unwrap(),
    );
    if world.mode == Mode::OnBehalfOf {
        request.subject = Some("alice".parse().unwrap());
    }
    request.consent = world
        .consent
        .map(|_| ConsentId::mint(Timestamp::EPOCH, [1; 10]));
    request.ttl = world.ttl.map(Ttl::from_secs);
    request.details = world.details.as_ref().map(|actions| scope(actions));
    request.key_thumbprint = world.key.then(|| "key".into());
    if let Some(amount) = world.amount {
        request.context.insert("amount".into(), json!(amount));
    }
    request
}

pub(crate) fn facts(world: &World) -> Facts {
    let now = now(world);
    let mut acting = agent(0, world.agent);
    acting.delegation_modes = world.modes.iter().copied().collect();
    acting.expires_at = world.agent_ttl.map(|ttl| now.plus(Ttl::from_secs(ttl)));
    acting.review_by = world.overdue.map(|_| now);
    acting.suspended = world.suspended.then(|| Suspension {
        at: now,
        by: String::new(),
        reason: Description::default(),
    });
    let mut system = target("crm");
    system.consent = world.target_consent;
    system.max_ttl = Ttl::from_secs(world.target_ttl);
    system
        .labels
        .insert("sensitivity".into(), world.sensitivity.into());
    Facts {
        chain: chain(world, &acting, now),
        agent: Some(Actor {
            agent: Arc::new(acting),
            presence: world.presence,
            owner_gone: world.owner_gone.is_some(),
            ceiling: attach("c", &world.ceiling, world.missing_policy),
        }),
        target: world.target_known.then(|| Arc::new(system)),
        subject: Some(Subject {
            id: "alice".parse().unwrap(),
            name: "alice".into(),
            disabled: world.disabled,
            is_human: world.human,
            groups: world
                .groups
                .iter()
                .map(|group| (*group).to_owned())
                .collect(),
            metadata: BTreeMap::new(),
        }),
        baseline: match &world.baseline {
            None => Baseline::Unrestricted,
            Some(policies) => Baseline::Policies(attach("b", policies, false)),
        },
        consent: world.consent.map(|(state, matches_request)| ConsentFacts {
            id: ConsentId::mint(Timestamp::EPOCH, [1; 10]),
            subject: "alice".parse().unwrap(),
            matches_request,
            state,
            expires_at: now.plus(Ttl::from_secs(60)),
            ttl: None,
            max_uses: None,
        }),
        token_details: None,
        details_required: false,
        upkeep: Upkeep {
            owner_gone: world.owner_gone.unwrap_or_default(),
            review_overdue: world.overdue.unwrap_or_default(),
        },
        environment: Environment {
            now,
            remote_addr: world.address.map(|address| address.parse().unwrap()),
            locations: Arc::default(),
        },
        bounds: Bounds {
            default_ttl: Ttl::from_secs(60),
            max_ttl: Ttl::from_secs(350),
            mount_max_ttl: Ttl::from_secs(380),
            max_delegation_depth: 8,
            counts_uses: true,
        },
        counts: Arc::new(NoCounts),
    }
}

/// A chain whose agents in between have ceilings without bounds.
fn chain(world: &World, acting: &Agent, now: Timestamp) -> Vec<Hop> {
    let everything = RuleSpec {
        max_ttl: None,
        max_uses: None,
        ..plain()
    };
    let mut chain: Vec<Hop> = Vec::new();
    for (index, spec) in world.hops.iter().enumerate() {
        let number = u8::try_from(index).unwrap() + 1;
        let relay = (index + 1 < world.hops.len()).then(|| Actor {
            agent: Arc::new(agent(number, "relay")),
            presence: Presence::Present,
            owner_gone: false,
            ceiling: attach("e", &vec![vec![everything.clone()]], false),
        });
        let delegation = Delegation {
            id: DelegationId::mint(Timestamp::EPOCH, [number; 10]),
            subject: Some("alice".parse().unwrap()),
            agent: relay
                .as_ref()
                .map_or(&acting.id, |relay| &relay.agent.id)
                .clone(),
            agent_epoch: 0,
            delegator: chain
                .last()
                .map_or(Delegator::Subject, |hop| Delegator::Agent {
                    id: hop.delegation.agent.clone(),
                    parent: hop.delegation.id.clone(),
                }),
            scope: scope(&spec.actions),
            purpose: Description::default(),
            status: spec.status,
            created_at: now,
            expires_at: now.plus(Ttl::from_secs(spec.ttl)),
            ttl: Ttl::from_secs(spec.ttl),
            max_ttl: None,
            max_uses: spec.uses_left.map(|left| left + 2),
            uses: 2,
            consent: Some(ConsentId::mint(Timestamp::EPOCH, [number; 10])),
            code: None,
            text: String::new(),
            answer: None,
        };
        chain.push(Hop {
            delegation: Arc::new(delegation),
            agent: relay,
        });
    }
    chain
}

/// A rule that allows everything.
pub(crate) fn plain() -> RuleSpec {
    RuleSpec {
        deny: false,
        actions: vec![],
        targets: vec![],
        resources: vec![],
        agents: vec![],
        groups: vec![],
        sensitivity: None,
        mode: None,
        depth: None,
        hours: None,
        office: false,
        condition: None,
        consent: Consent::None,
        max_ttl: None,
        max_uses: None,
        proof: false,
    }
}
