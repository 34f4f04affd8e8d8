//! Laws of how a credential stands.

use std::sync::Arc;

use proptest::prelude::*;
use vault_plugin_agentic::issue::credentials::standing::{Facts, judge};
use vault_plugin_agentic::model::agent::Suspension;
use vault_plugin_agentic::model::credential::{Grounds, Standing};
use vault_plugin_agentic::model::identity::Presence;
use vault_plugin_agentic::model::ids::{CredentialId, DelegationId};
use vault_plugin_agentic::model::text::Description;
use vault_plugin_agentic::model::time::Timestamp;

use crate::world::agent;

const NOW: i64 = 1_799_053_200;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW + seconds)
}

fn identity() -> impl Strategy<Value = Presence> {
    prop_oneof![
        4 => Just(Presence::Present),
        1 => Just(Presence::Disabled),
        1 => Just(Presence::Moved),
        1 => Just(Presence::Merged),
        1 => Just(Presence::Gone),
    ]
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        6 => Just(Standing::Active),
        1 => Just(Standing::Suspended),
        1 => Just(Standing::Void),
    ]
}

/// A credential and what is known, most of it in its favour.
fn case() -> impl Strategy<Value = (Grounds, Facts)> {
    let likely = || prop::bool::weighted(0.85);
    let mark = || prop::option::weighted(0.2, -20_i64..5);
    (
        (likely(), 0_u64..3, likely(), -10_i64..5, mark()),
        (
            identity(),
            prop::option::of(standing()),
            likely(),
            standing(),
        ),
        (
            standing(),
            likely(),
            prop::collection::vec(-20_i64..5, 0..2),
        ),
        (-15_i64..1, -2_i64..30),
    )
        .prop_map(
            |(
                (registered, epoch, awake, ends, revoked_at),
                (entity, subject, by_leave, target),
                (delegated, untouched, marks),
                (issued, expires),
            )| {
                let mut agent = agent(1, "bot");
                agent.epoch = epoch.saturating_sub(1);
                agent.credentials_revoked_at = revoked_at.map(at);
                agent.expires_at = (ends < 0).then(|| at(ends + 8));
                agent.suspended = (!awake).then(|| Suspension {
                    at: at(0),
                    by: String::new(),
                    reason: Description::default(),
                });
                let grounds = Grounds {
                    id: CredentialId::mint(at(issued), [1; 10]),
                    agent: agent.id.clone(),
                    epoch: 0,
                    subject: subject.map(|_| "human".parse().unwrap()),
                    delegation: (subject.is_some() && by_leave)
                        .then(|| DelegationId::mint(at(0), [2; 10])),
                    target: Some("crm".parse().unwrap()),
                    issued_at: at(issued),
                    expires_at: at(expires),
                };
                let facts = Facts {
                    agent: registered.then(|| Arc::new(agent)),
                    entity,
                    subject,
                    target,
                    delegated,
                    revoked: !untouched,
                    marks: marks.into_iter().map(at).collect(),
                };
                (grounds, facts)
            },
        )
}

/// Told once more, one reason after the other.
fn told(grounds: &Grounds, facts: &Facts) -> Standing {
    let Some(agent) = &facts.agent else {
        return Standing::Void;
    };
    let mut void = vec![
        facts.revoked,
        facts.delegated == Standing::Void,
        agent.epoch > grounds.epoch,
        at(0) >= grounds.expires_at,
        [Presence::Merged, Presence::Gone].contains(&facts.entity),
        facts.subject == Some(Standing::Void),
        facts.target == Standing::Void,
        grounds.subject.is_some() && grounds.delegation.is_none(),
    ];
    for mark in facts.marks.iter().chain(&agent.credentials_revoked_at) {
        void.push(grounds.issued_at <= *mark);
    }
    let paused = [
        facts.delegated == Standing::Suspended,
        agent.suspended.is_some(),
        agent.expires_at.is_some_and(|end| end <= at(0)),
        [Presence::Disabled, Presence::Moved].contains(&facts.entity),
        facts.subject == Some(Standing::Suspended),
        facts.target == Standing::Suspended,
    ];
    if void.contains(&true) {
        Standing::Void
    } else if paused.contains(&true) {
        Standing::Suspended
    } else {
        Standing::Active
    }
}

/// Everything that can turn against a credential, one at a time.
fn worsened(facts: &Facts) -> Vec<Facts> {
    let with = |change: &dyn Fn(&mut Facts)| {
        let mut worse = facts.clone();
        change(&mut worse);
        worse
    };
    let of_agent = |change: fn(&mut vault_plugin_agentic::model::agent::Agent)| {
        let mut worse = facts.clone();
        if let Some(agent) = &mut worse.agent {
            change(Arc::make_mut(agent));
        }
        worse
    };
    vec![
        with(&|facts| facts.agent = None),
        with(&|facts| facts.revoked = true),
        with(&|facts| facts.delegated = facts.delegated.max(Standing::Suspended)),
        with(&|facts| facts.delegated = Standing::Void),
        with(&|facts| facts.entity = facts.entity.max(Presence::Disabled)),
        with(&|facts| facts.entity = Presence::Gone),
        with(&|facts| facts.subject = Some(Standing::Void)),
        with(&|facts| facts.target = facts.target.max(Standing::Suspended)),
        with(&|facts| facts.target = Standing::Void),
        with(&|facts| facts.marks.push(at(0))),
        of_agent(|agent| agent.epoch += 1),
        of_agent(|agent| agent.credentials_revoked_at = Some(at(0))),
        of_agent(|agent| agent.expires_at = Some(at(0))),
        of_agent(|agent| {
            agent.suspended = Some(Suspension {
                at: at(0),
                by: String::new(),
                reason: Description::default(),
            });
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn it_stands_as_every_reason_together_says((grounds, facts) in case()) {
        prop_assert_eq!(judge(&grounds, &facts, at(0)), told(&grounds, &facts));
    }

    #[test]
    fn nothing_that_turns_against_it_does_it_good((grounds, facts) in case()) {
        let before = judge(&grounds, &facts, at(0));
        for worse in worsened(&facts) {
            let after = judge(&grounds, &worse, at(0));
            prop_assert!(after >= before, "{before:?} became {after:?}: {worse:?}");
            prop_assert!(after != Standing::Active, "{worse:?}");
        }
    }

    #[test]
    fn time_brings_nothing_back((grounds, facts) in case(), later in 0_i64..60) {
        let before = judge(&grounds, &facts, at(0));
        if before == Standing::Void {
            prop_assert_eq!(judge(&grounds, &facts, at(later)), Standing::Void);
        }
    }

    #[test]
    fn a_subject_that_nobody_named_helps_nobody((grounds, facts) in case()) {
        let mut other = facts;
        other.subject = match other.subject {
            Some(_) => None,
            None => Some(Standing::Active),
        };
        prop_assert_eq!(judge(&grounds, &other, at(0)), Standing::Void);
    }
}
