//! Laws of the decision.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use vault_plugin_agentic::engine::{Decision, decide};
use vault_plugin_agentic::model::decision::{Layer, Outcome};
use vault_plugin_agentic::model::target::Consent;

use crate::reference;
use crate::world::{RuleSpec, World, facts, request, rule, world};

fn decision(world: &World) -> Decision {
    decide(&request(world), &facts(world))
}

fn failing(decision: &Decision) -> BTreeSet<Layer> {
    decision
        .verdicts
        .iter()
        .filter(|verdict| verdict.reason().is_some())
        .map(|verdict| verdict.layer)
        .collect()
}

/// Whether `after` gives nothing that `before` did not: outcomes are ordered by
/// strictness.
fn is_no_wider(before: &Decision, after: &Decision) -> bool {
    after.outcome >= before.outcome
}

#[test]
fn random_worlds_reach_every_outcome_and_every_layer() {
    let mut runner = TestRunner::deterministic();
    let (mut outcomes, mut layers) = ([0_usize; 3], BTreeSet::new());
    for _ in 0..4000 {
        let decision = decision(&world().new_tree(&mut runner).unwrap().current());
        outcomes[decision.outcome as usize] += 1;
        layers.extend(failing(&decision));
    }
    assert!(outcomes.iter().all(|count| *count >= 40), "{outcomes:?}");
    assert_eq!(layers.len(), 8, "{layers:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_equal_the_reference(world in world()) {
        let (found, expected) = (decision(&world), reference::decide(&world));
        prop_assert_eq!(found.outcome, expected.outcome);
        prop_assert_eq!(failing(&found), expected.failing, "the explanation names every failing layer");
        prop_assert_eq!(found.limits.ttl.as_secs(), expected.ttl, "limits are the minimum");
        prop_assert_eq!(found.limits.max_uses, expected.uses);
        prop_assert_eq!(found.limits.consent, expected.consent);
        prop_assert_eq!(found.limits.proof_of_possession, expected.proof);
    }

    #[test]
    fn a_permit_comes_with_allow_and_with_nothing_else(world in world()) {
        let decision = decision(&world);
        prop_assert_eq!(decision.permit.is_some(), decision.outcome == Outcome::Allow);
        prop_assert_eq!(decision.reason().is_none(), decision.outcome == Outcome::Allow);
        if let Some(permit) = &decision.permit {
            let (request, now) = (request(&world), permit.decided_at());
            let end = now.plus(permit.ttl());
            prop_assert!(permit.details().covers_request(&request.target, &request.action, &request.resource));
            prop_assert!(permit.agent().expires_at.is_none_or(|expiry| end <= expiry));
            prop_assert!(permit.chain().iter().all(|delegation| end <= delegation.expires_at));
        }
    }

    #[test]
    fn another_deny_rule_never_widens(world in world(), deny in rule(), in_baseline in any::<bool>()) {
        let mut more = world.clone();
        let policies = match &mut more.baseline {
            Some(baseline) if in_baseline => baseline,
            _ => &mut more.ceiling,
        };
        let deny = RuleSpec { deny: true, ..deny };
        match policies.first_mut() {
            Some(policy) => policy.push(deny),
            None => policies.push(vec![deny]),
        }
        prop_assert!(is_no_wider(&decision(&world), &decision(&more)));
    }

    #[test]
    fn one_allow_rule_less_never_widens(world in world(), allow in rule()) {
        // What a rule asks for goes with it, and only that may loosen.
        let unobliged = RuleSpec {
            deny: false, consent: Consent::None, max_ttl: None, max_uses: None, proof: false, ..allow
        };
        let mut more = world.clone();
        match more.ceiling.first_mut() {
            Some(policy) => policy.push(unobliged),
            None => more.ceiling.push(vec![unobliged]),
        }
        let (with, without) = (decision(&more), decision(&world));
        prop_assert!(is_no_wider(&with, &without));
        prop_assert_eq!(with.limits, without.limits);
    }

    #[test]
    fn holding_back_a_fact_never_widens(world in world()) {
        let silent = World { amount: None, ..world.clone() };
        let unplaced = World { address: None, ..world.clone() };
        for less in [silent, unplaced] {
            let (told, untold) = (decision(&world), decision(&less));
            prop_assert!(is_no_wider(&told, &untold));
            prop_assert!(untold.limits.ttl <= told.limits.ttl);
        }
    }

    #[test]
    fn order_changes_nothing(world in world()) {
        let mut turned = world.clone();
        turned.ceiling.iter_mut().chain(turned.baseline.iter_mut().flatten()).for_each(|rules| rules.reverse());
        turned.ceiling.reverse();
        let (a, b) = (decision(&world), decision(&turned));
        prop_assert_eq!(a.outcome, b.outcome);
        prop_assert_eq!(a.limits, b.limits);
        prop_assert_eq!(failing(&a), failing(&b));
        prop_assert_eq!(a.reason(), b.reason());
    }

    #[test]
    fn the_same_facts_give_the_same_decision(world in world()) {
        let (request, facts) = (request(&world), facts(&world));
        let (real, dry) = (decide(&request, &facts), decide(&request, &facts));
        prop_assert_eq!(&real, &dry);
        prop_assert_eq!(real.explain(&request, &facts), dry.explain(&request, &facts));
    }

    #[test]
    fn an_explanation_says_for_each_failing_layer_why(world in world()) {
        let (request, facts) = (request(&world), facts(&world));
        let decision = decide(&request, &facts);
        let explanation = decision.explain(&request, &facts);
        for layer in &explanation.layers {
            let fails = failing(&decision).contains(&layer.layer);
            prop_assert_eq!(layer.reason.is_some(), fails);
            prop_assert_eq!(layer.message.is_some(), fails);
            prop_assert_eq!(layer.nearest_rule.is_some(), !layer.lacked.is_empty());
        }
        prop_assert_eq!(explanation.layer, failing(&decision).into_iter().find(|layer| {
            decision.verdicts.iter().any(|v| v.layer == *layer && v.outcome() == decision.outcome)
        }));
    }
}
