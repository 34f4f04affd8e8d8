//! What is refused, one fact at a time: each row breaks one thing in a request
//! that would be allowed, and names the reason that must be given.

use std::sync::Arc;

use vault_plugin_agentic::engine::decide;
use vault_plugin_agentic::engine::facts::{Baseline, ConsentState, Facts, RateCounts};
use vault_plugin_agentic::engine::policy::{Obligations, PolicySet, Rule};
use vault_plugin_agentic::engine::rate::Charge;
use vault_plugin_agentic::model::agent::{Agent, Mode};
use vault_plugin_agentic::model::decision::AccessRequest;
use vault_plugin_agentic::model::delegation::{Delegation, DelegationStatus};
use vault_plugin_agentic::model::identity::{Consequence, Presence};
use vault_plugin_agentic::model::ids::{DelegationId, EntityId};
use vault_plugin_agentic::model::target::{Consent, Target};
use vault_plugin_agentic::model::time::{Timestamp, Ttl};

use crate::world::{HopSpec, RuleSpec, World, attach, compiled, facts, plain, request, scope};

/// On behalf of alice, through one other agent, with an approved consent.
fn good() -> (AccessRequest, Facts) {
    let hop = HopSpec {
        status: DelegationStatus::Active,
        ttl: 300,
        uses_left: Some(5),
        actions: vec!["**"],
    };
    let world = World {
        agent: "bot",
        suspended: false,
        agent_ttl: Some(300),
        modes: vec![Mode::OnBehalfOf],
        mode: Mode::OnBehalfOf,
        target_known: true,
        target_consent: Consent::PerRequest,
        target_ttl: 300,
        sensitivity: "low",
        action: "read",
        resource: "a/1",
        groups: vec!["staff"],
        disabled: false,
        human: true,
        presence: Presence::Present,
        owner_gone: None,
        overdue: None,
        ceiling: vec![vec![plain()]],
        missing_policy: false,
        baseline: Some(vec![vec![plain()]]),
        hops: vec![hop.clone(), hop],
        details: Some(vec!["read"]),
        consent: Some((ConsentState::Approved, true)),
        address: None,
        hour: 12,
        amount: None,
        ttl: None,
        key: false,
    };
    let mut facts = facts(&world);
    facts.token_details = Some(scope(&["*"]));
    (request(&world), facts)
}

fn on_hop(facts: &mut Facts, hop: usize, change: impl FnOnce(&mut Delegation)) {
    change(Arc::make_mut(&mut facts.chain[hop].delegation));
}

fn on_agent(facts: &mut Facts, change: impl FnOnce(&mut Agent)) {
    change(Arc::make_mut(&mut facts.agent.as_mut().unwrap().agent));
}

fn on_relay(facts: &mut Facts, change: impl FnOnce(&mut Agent)) {
    change(Arc::make_mut(
        &mut facts.chain[0].agent.as_mut().unwrap().agent,
    ));
}

fn on_target(facts: &mut Facts, change: impl FnOnce(&mut Target)) {
    change(Arc::make_mut(facts.target.as_mut().unwrap()));
}

fn ceiling(facts: &mut Facts, rule: RuleSpec) {
    facts.agent.as_mut().unwrap().ceiling = attach("c", &vec![vec![plain(), rule]], false);
}

fn other<T: std::str::FromStr<Err: std::fmt::Debug>>() -> T {
    "other".parse().unwrap()
}

#[derive(Debug)]
struct Exhausted;

impl RateCounts for Exhausted {
    fn count(&self, charge: &Charge, _: Timestamp) -> u32 {
        charge.rate.count
    }
}

fn with_rate(facts: &mut Facts) {
    let rule = Rule {
        obligations: Obligations {
            rate: Some("3/1m".parse().unwrap()),
            ..Obligations::default()
        },
        ..compiled("p", &[plain()]).rules.remove(0)
    };
    let policy = Arc::new(vault_plugin_agentic::engine::policy::CompiledPolicy {
        name: "p".parse().unwrap(),
        rules: vec![rule],
    });
    let set = PolicySet::attach(
        std::slice::from_ref(&policy.name),
        &[(policy.name.clone(), Arc::clone(&policy))].into(),
    );
    facts.agent.as_mut().unwrap().ceiling = Arc::new(set);
}

#[test]
fn nothing_is_wrong_with_the_request_that_the_rows_break() {
    let (request, facts) = good();
    let decision = decide(&request, &facts);
    let permit = decision.permit.expect("allowed");
    assert_eq!(permit.chain().len(), 2);
    assert_eq!(permit.consent(), request.consent.as_ref());
    assert_eq!(permit.subject(), request.subject.as_ref());
    assert_eq!(
        (permit.ttl(), permit.max_uses()),
        (Ttl::from_secs(60), Some(1))
    );
}

#[test]
fn rates_are_charged_when_allowed_and_refused_when_exhausted() {
    let (request, mut facts) = good();
    with_rate(&mut facts);
    assert_eq!(decide(&request, &facts).charges.len(), 1);
    facts.counts = Arc::new(Exhausted);
    let refused = decide(&request, &facts);
    assert_eq!(refused.reason().unwrap().as_str(), "rate.exceeded");
    assert_eq!(refused.charges.len(), 0);
    assert_eq!(
        refused
            .deciding()
            .unwrap()
            .rule
            .as_ref()
            .unwrap()
            .to_string(),
        "p/r0"
    );
}

#[test]
fn each_broken_fact_is_refused_for_its_own_reason() {
    type Break = fn(&mut AccessRequest, &mut Facts);
    let rows: Vec<(&str, Break)> = vec![
        ("agent.unknown", |_, facts| facts.agent = None),
        ("agent.disabled", |_, facts| {
            facts.agent.as_mut().unwrap().presence = Presence::Disabled
        }),
        ("agent.gone", |_, facts| {
            facts.agent.as_mut().unwrap().presence = Presence::Gone
        }),
        ("agent.gone", |_, facts| {
            facts.agent.as_mut().unwrap().presence = Presence::Merged
        }),
        ("agent.gone", |_, facts| {
            facts.agent.as_mut().unwrap().presence = Presence::Moved
        }),
        ("agent.owner_gone", |_, facts| {
            facts.agent.as_mut().unwrap().owner_gone = true;
            facts.upkeep.owner_gone = Consequence::Deny;
        }),
        ("agent.review_overdue", |_, facts| {
            on_agent(facts, |agent| agent.review_by = Some(Timestamp::EPOCH));
            facts.upkeep.review_overdue = Consequence::Deny;
        }),
        ("agent.expired", |_, facts| {
            on_agent(facts, |agent| agent.expires_at = Some(Timestamp::EPOCH))
        }),
        ("agent.mode", |_, facts| {
            on_agent(facts, |agent| {
                agent.delegation_modes = [Mode::Autonomous].into()
            })
        }),
        ("target.unknown", |_, facts| facts.target = None),
        ("target.unknown", |_, facts| {
            on_target(facts, |target| target.name = other())
        }),
        ("target.action", |_, facts| {
            on_target(facts, |target| target.actions.clear())
        }),
        ("target.resource", |_, facts| {
            on_target(facts, |target| target.resources.clear())
        }),
        ("ceiling.empty", |_, facts| {
            facts.agent.as_mut().unwrap().ceiling = Arc::default()
        }),
        ("ceiling.denied", |_, facts| {
            ceiling(
                facts,
                RuleSpec {
                    deny: true,
                    ..plain()
                },
            )
        }),
        ("subject.unknown", |_, facts| facts.subject = None),
        ("subject.disabled", |_, facts| {
            facts.subject.as_mut().unwrap().disabled = true
        }),
        ("subject.not_human", |_, facts| {
            facts.subject.as_mut().unwrap().is_human = false
        }),
        ("subject.mismatch", |request, _| {
            request.subject = Some(other())
        }),
        ("baseline.none_given", |_, facts| {
            facts.baseline = Baseline::NoneGiven
        }),
        ("baseline.empty", |_, facts| {
            facts.baseline = Baseline::Policies(Arc::default())
        }),
        ("baseline.policy_missing", |_, facts| {
            facts.baseline = Baseline::Policies(attach("b", &vec![], true))
        }),
        ("delegation.none", |_, facts| facts.chain.clear()),
        ("delegation.broken", |_, facts| facts.chain.reverse()),
        ("delegation.broken", |_, facts| drop(facts.chain.remove(0))),
        ("delegation.broken", |_, facts| drop(facts.chain.pop())),
        ("delegation.broken", |request, _| {
            request.delegation = Some(DelegationId::mint(Timestamp::EPOCH, [9; 10]));
        }),
        ("delegation.broken", |_, facts| {
            on_hop(facts, 0, |delegation| delegation.subject = Some(other()))
        }),
        ("delegation.broken", |_, facts| {
            on_hop(facts, 1, |delegation| delegation.subject = Some(other()))
        }),
        ("delegation.broken", |_, facts| {
            let own = facts.chain[1].delegation.agent.clone();
            on_hop(facts, 0, |delegation| delegation.agent = own);
        }),
        ("delegation.pending", |_, facts| {
            on_hop(facts, 0, |d| d.status = DelegationStatus::Pending)
        }),
        ("delegation.denied", |_, facts| {
            on_hop(facts, 1, |d| d.status = DelegationStatus::Denied)
        }),
        ("delegation.revoked", |_, facts| {
            on_hop(facts, 0, |d| d.status = DelegationStatus::Revoked)
        }),
        ("delegation.expired", |_, facts| {
            on_hop(facts, 0, |d| d.expires_at = Timestamp::EPOCH)
        }),
        ("delegation.used_up", |_, facts| {
            on_hop(facts, 0, |d| d.uses = 7)
        }),
        ("delegation.unconsented", |_, facts| {
            on_hop(facts, 0, |d| d.consent = None)
        }),
        ("delegation.void", |_, facts| {
            on_agent(facts, |agent| agent.epoch = 1)
        }),
        ("delegation.void", |_, facts| {
            on_relay(facts, |agent| agent.epoch = 1)
        }),
        ("delegation.scope", |_, facts| {
            on_hop(facts, 0, |d| d.scope = scope(&["write"]))
        }),
        ("delegation.too_deep", |_, facts| {
            facts.bounds.max_delegation_depth = 1
        }),
        ("delegation.too_deep", |_, facts| {
            on_agent(facts, |agent| agent.max_delegation_depth = 1)
        }),
        ("delegation.agent", |_, facts| facts.chain[0].agent = None),
        ("delegation.agent", |_, facts| {
            facts.chain[0].agent.as_mut().unwrap().presence = Presence::Disabled
        }),
        ("delegation.agent", |_, facts| {
            on_relay(facts, |agent| agent.delegation_modes.clear())
        }),
        ("delegation.ceiling", |_, facts| {
            facts.chain[0].agent.as_mut().unwrap().ceiling = Arc::default()
        }),
        ("details.not_covered", |request, _| {
            request.details = Some(scope(&["write"]))
        }),
        ("details.not_covered", |request, _| {
            request.details = Some(scope(&[]))
        }),
        ("details.not_covered", |_, facts| {
            facts.token_details = Some(scope(&["write"]))
        }),
        ("details.required", |request, facts| {
            (request.details, facts.token_details, facts.details_required) = (None, None, true);
        }),
        ("details.too_long", |request, _| {
            request.resource = format!("a/{}", "x".repeat(300)).parse().unwrap()
        }),
        ("consent.required", |request, _| request.consent = None),
        ("consent.unknown", |_, facts| facts.consent = None),
        ("consent.mismatch", |_, facts| {
            facts.consent.as_mut().unwrap().subject = other::<EntityId>()
        }),
        ("consent.mismatch", |_, facts| {
            facts.consent.as_mut().unwrap().matches_request = false
        }),
        ("consent.pending", |_, facts| {
            facts.consent.as_mut().unwrap().state = ConsentState::Pending
        }),
        ("consent.denied", |_, facts| {
            facts.consent.as_mut().unwrap().state = ConsentState::Denied
        }),
        ("consent.used", |_, facts| {
            facts.consent.as_mut().unwrap().state = ConsentState::Used
        }),
        ("consent.expired", |_, facts| {
            facts.consent.as_mut().unwrap().expires_at = Timestamp::EPOCH
        }),
        ("limits.no_time", |request, _| request.ttl = Some(Ttl::ZERO)),
        ("limits.no_time", |_, facts| {
            facts.bounds.mount_max_ttl = Ttl::ZERO
        }),
        ("limits.no_uses", |request, _| request.max_uses = Some(0)),
        ("limits.uses_uncounted", |request, facts| {
            request.max_uses = Some(1);
            facts.bounds.counts_uses = false;
        }),
        ("proof.required", |_, facts| {
            ceiling(
                facts,
                RuleSpec {
                    proof: true,
                    ..plain()
                },
            )
        }),
    ];
    for (code, change) in rows {
        let (mut request, mut facts) = good();
        change(&mut request, &mut facts);
        let decision = decide(&request, &facts);
        assert_eq!(decision.reason().map(|reason| reason.as_str()), Some(code));
        assert!(decision.permit.is_none());
    }
}
