//! A second evaluator, written from the specification and for nothing but to
//! be obviously right: no index, no compiled form, no sharing with the engine.

use std::collections::BTreeSet;

use vault_plugin_agentic::engine::facts::ConsentState;
use vault_plugin_agentic::model::agent::Mode;
use vault_plugin_agentic::model::decision::{Layer, Outcome};
use vault_plugin_agentic::model::delegation::DelegationStatus;
use vault_plugin_agentic::model::identity::{Consequence, Presence};
use vault_plugin_agentic::model::target::Consent;

use crate::world::{Cond, HopSpec, Policies, RuleSpec, World};

pub(crate) struct Expected {
    pub(crate) outcome: Outcome,
    pub(crate) failing: BTreeSet<Layer>,
    pub(crate) ttl: u64,
    pub(crate) uses: Option<u32>,
    pub(crate) consent: Consent,
    pub(crate) proof: bool,
}

/// `None`: cannot be known.
type Known = Option<bool>;

pub(crate) fn decide(world: &World) -> Expected {
    let on_behalf = world.mode == Mode::OnBehalfOf;
    let mut failing = BTreeSet::new();
    let mut fail = |layer, failed: bool| {
        if failed {
            failing.insert(layer);
        }
    };
    let expired = world.agent_ttl == Some(0);
    let to_mend = [world.owner_gone, world.overdue].contains(&Some(Consequence::Deny));
    fail(
        Layer::Agent,
        world.suspended
            || expired
            || to_mend
            || world.presence != Presence::Present
            || !world.modes.contains(&world.mode),
    );
    let offered = world.action != "drop" && world.resource.starts_with("a/");
    fail(Layer::Target, !world.target_known || !offered);
    fail(
        Layer::Ceiling,
        world.missing_policy || !allows(&world.ceiling, world),
    );
    let mut obliging = obliging(&world.ceiling, world);
    if on_behalf {
        let by_baseline = world
            .baseline
            .as_ref()
            .is_none_or(|baseline| allows(baseline, world));
        let unable = world.disabled || !world.human;
        fail(Layer::Baseline, unable || !by_baseline);
        if let (Some(baseline), false) = (&world.baseline, unable) {
            obliging.extend(self::obliging(baseline, world));
        }
        let bad_hop = world.hops.iter().any(|hop| {
            let covered = hop.actions == ["**"] || hop.actions.contains(&world.action);
            hop.status != DelegationStatus::Active
                || hop.ttl == 0
                || hop.uses_left == Some(0)
                || !covered
        });
        fail(Layer::Delegation, world.hops.is_empty() || bad_hop);
    }
    fail(
        Layer::Details,
        world
            .details
            .as_ref()
            .is_some_and(|actions| !actions.contains(&world.action)),
    );

    let target_consent = if world.target_known {
        world.target_consent
    } else {
        Consent::None
    };
    let consent = obliging
        .iter()
        .map(|rule| rule.consent)
        .fold(target_consent, Consent::max);
    let mut waits = false;
    if consent != Consent::None && !on_behalf {
        fail(Layer::Consent, true);
    } else if consent == Consent::PerRequest {
        match world.consent {
            None | Some((ConsentState::Pending, true)) => waits = true,
            Some((ConsentState::Approved, true)) => {}
            Some(_) => fail(Layer::Consent, true),
        }
    }

    let mut ttls = vec![350, 380, world.ttl.unwrap_or(60)];
    ttls.extend(world.agent_ttl);
    ttls.extend(world.target_known.then_some(world.target_ttl));
    ttls.extend(obliging.iter().filter_map(|rule| rule.max_ttl));
    let mut uses: Vec<u32> = obliging.iter().filter_map(|rule| rule.max_uses).collect();
    if on_behalf {
        ttls.extend(world.hops.iter().map(|hop| hop.ttl));
        // A credential under a limit on uses is one use.
        let one = |hop: &HopSpec| hop.uses_left.map(|left| left.min(1));
        uses.extend(world.hops.iter().filter_map(one));
    }
    let ttl = ttls.into_iter().min().unwrap();
    let uses = uses.into_iter().min();
    let proof = obliging.iter().any(|rule| rule.proof);
    fail(
        Layer::Limits,
        ttl == 0 || uses == Some(0) || (proof && !world.key),
    );

    let outcome = match (failing.is_empty(), waits) {
        (false, _) => Outcome::Deny,
        (true, true) => Outcome::ConsentRequired,
        (true, false) => Outcome::Allow,
    };
    if waits {
        failing.insert(Layer::Consent);
    }
    Expected {
        outcome,
        failing,
        ttl,
        uses,
        consent,
        proof,
    }
}

fn allows(policies: &Policies, world: &World) -> bool {
    let denied = policies
        .iter()
        .flatten()
        .any(|rule| rule.deny && applies(rule, world) != Some(false));
    !denied && !allowing(policies, world).is_empty()
}

/// A rule binds as soon as it may apply; it grants only where it does.
fn obliging(policies: &Policies, world: &World) -> Vec<RuleSpec> {
    policies
        .iter()
        .flatten()
        .filter(|rule| !rule.deny && applies(rule, world) != Some(false))
        .cloned()
        .collect()
}

fn allowing(policies: &Policies, world: &World) -> Vec<RuleSpec> {
    policies
        .iter()
        .flatten()
        .filter(|rule| !rule.deny && applies(rule, world) == Some(true))
        .cloned()
        .collect()
}

/// False if any dimension is false, else unknown if any is unknown.
fn applies(rule: &RuleSpec, world: &World) -> Known {
    let autonomous = world.mode == Mode::Autonomous;
    let contractor = (!autonomous).then(|| world.groups.contains(&"contractors"));
    let depth = if autonomous { 0 } else { world.hops.len() };
    let glob = |patterns: &[&str], value: &str| {
        patterns.is_empty()
            || patterns.iter().any(|pattern| match *pattern {
                "**" => true,
                "a/*" => value.starts_with("a/"),
                "*" => !value.is_empty(),
                _ => match pattern.strip_suffix('*') {
                    Some(prefix) => value.starts_with(prefix),
                    None => *pattern == value,
                },
            })
    };
    let in_hours = |(from, until): (u8, u8)| {
        if from < until {
            (from..until).contains(&world.hour)
        } else {
            world.hour >= from || world.hour < until
        }
    };
    let dimensions: [Known; 11] = [
        Some(glob(&rule.actions, world.action)),
        Some(glob(&rule.targets, "crm")),
        Some(glob(&rule.resources, world.resource)),
        Some(glob(&rule.agents, world.agent)),
        Some(
            rule.groups.is_empty()
                || (!autonomous
                    && rule.groups.iter().any(|group| {
                        let named = |theirs: &&str| theirs.eq_ignore_ascii_case(group);
                        world.groups.iter().any(named)
                    })),
        ),
        match rule.sensitivity {
            None => Some(true),
            Some(_) if !world.target_known => None,
            Some(wanted) => Some(wanted == world.sensitivity),
        },
        Some(rule.mode.is_none_or(|mode| mode == world.mode)),
        Some(rule.depth.is_none_or(|most| depth <= most)),
        Some(rule.hours.is_none_or(in_hours)),
        if rule.office {
            world.address.map(|address| address.starts_with("10."))
        } else {
            Some(true)
        },
        match rule.condition {
            None => Some(true),
            Some(Cond::AmountAtMost(most)) => world.amount.map(|amount| amount <= most),
            Some(Cond::Contractor) => contractor,
            Some(Cond::NotContractor) => contractor.map(|yes| !yes),
        },
    ];
    if dimensions.contains(&Some(false)) {
        Some(false)
    } else if dimensions.contains(&None) {
        None
    } else {
        Some(true)
    }
}
