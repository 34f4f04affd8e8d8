//! What a decision costs, as ratios within one run: times of one machine mean
//! nothing on another, and clocks on shared cores lie.
//!
//! Allocations are not counted: a counting allocator needs `unsafe`, which the
//! package forbids.
#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "a bench is no server"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ring::signature::Ed25519KeyPair;
use vault_plugin_agentic::engine::facts::{Actor, Baseline, Bounds, Environment, Facts, NoCounts};
use vault_plugin_agentic::engine::policy::PolicySet;
use vault_plugin_agentic::engine::{compile, decide};
use vault_plugin_agentic::model::agent::{Agent, Mode, Software};
use vault_plugin_agentic::model::decision::{AccessRequest, Outcome};
use vault_plugin_agentic::model::ids::{AgentId, PolicyName};
use vault_plugin_agentic::model::target::{Consent, CredentialType, Target};
use vault_plugin_agentic::model::text::{Description, Label};
use vault_plugin_agentic::model::time::{Timestamp, Ttl};

fn main() {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let message = [0_u8; 512];
    let signature = nanos(|| {
        black_box(key.sign(black_box(&message)));
    });

    println!("decision against one Ed25519 signature of 512 bytes (1.00 = as dear)");
    println!(
        "{:>7}  {:>13}  {:>13}  {:>13}",
        "rules", "cannot apply", "all apply", "denied+why"
    );
    for rules in [1, 10, 100, 1_000, 10_000] {
        let ratio = |shape, expected, explained| {
            let (request, facts) = case(rules, shape);
            assert_eq!(decide(&request, &facts).outcome, expected);
            let decision = nanos(|| {
                let decision = decide(black_box(&request), black_box(&facts));
                if explained {
                    drop(black_box(decision.explain(&request, &facts)));
                }
                drop(black_box(decision));
            });
            decision / signature
        };
        println!(
            "{rules:>7}  {:>13.2}  {:>13.2}  {:>13.2}",
            ratio(Shape::OneApplies, Outcome::Allow, false),
            ratio(Shape::AllApply, Outcome::Allow, false),
            ratio(Shape::NoneApplies, Outcome::Deny, true),
        );
    }
}

/// The least time of one call, over several rounds.
fn nanos(mut call: impl FnMut()) -> f64 {
    let mut least = f64::MAX;
    for _ in 0..7 {
        let (begin, mut calls) = (Instant::now(), 0_u32);
        while begin.elapsed().as_millis() < 20 {
            call();
            calls += 1;
        }
        least = least.min(begin.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    least
}

#[derive(Clone, Copy)]
enum Shape {
    /// One rule is about this request; the others name other agents.
    OneApplies,
    /// Every rule is about it, with globs that no index helps with.
    AllApply,
    /// Every rule names other agents.
    NoneApplies,
}

/// The text of rule `number`.
fn rule(number: usize, shape: Shape) -> String {
    let (agent, resource) = match shape {
        Shape::OneApplies if number == 0 => ("bot".to_owned(), "customers/*"),
        Shape::AllApply => ("b*".to_owned(), "customers/*"),
        Shape::OneApplies | Shape::NoneApplies => (format!("other-{number}"), "customers/*"),
    };
    format!(
        "rule \"r{number}\" {{\n effect = \"allow\"\n actions = [\"read\"]\n targets = [\"crm\"]\n resources = [\"{resource}\"]\n \
         agent {{\n names = [\"{agent}\"]\n }}\n condition = request.context.amount <= 500\n}}\n"
    )
}

fn case(rules: usize, shape: Shape) -> (AccessRequest, Facts) {
    let numbers: Vec<usize> = (0..rules).collect();
    let mut library = BTreeMap::new();
    for (index, chunk) in numbers.chunks(256).enumerate() {
        let name: PolicyName = format!("p{index}").parse().unwrap();
        let text: String = chunk.iter().map(|number| rule(*number, shape)).collect();
        let (policy, _) = compile(&name, &text).unwrap();
        library.insert(name, Arc::new(policy));
    }
    let names: Vec<_> = library.keys().cloned().collect();
    let ceiling = Arc::new(PolicySet::attach(&names, &library));
    let mut request = AccessRequest::new(
        "crm".parse().unwrap(),
        "read".parse().unwrap(),
        "customers/42".parse().unwrap(),
    );
    request.context.insert("amount".into(), 7.into());
    let facts = Facts {
        agent: Some(Actor {
            agent: Arc::new(agent()),
            disabled: false,
            ceiling,
        }),
        target: Some(Arc::new(target())),
        subject: None,
        baseline: Baseline::NoneGiven,
        chain: vec![],
        consent: None,
        token_details: None,
        details_required: false,
        environment: Environment {
            now: Timestamp::from_unix(1_800_000_000),
            remote_addr: None,
            locations: Arc::default(),
        },
        bounds: Bounds {
            default_ttl: Ttl::from_secs(60),
            max_ttl: Ttl::from_secs(3600),
            mount_max_ttl: Ttl::from_secs(3600),
            max_delegation_depth: 8,
        },
        counts: Arc::new(NoCounts),
    };
    (request, facts)
}

fn agent() -> Agent {
    Agent {
        id: AgentId::mint(Timestamp::EPOCH, [0; 10]),
        name: "bot".parse().unwrap(),
        entity_id: "entity".parse().unwrap(),
        description: Description::default(),
        owner: Label::default(),
        labels: BTreeMap::new(),
        ceiling_policies: vec![],
        no_default_ceiling_policy: true,
        delegation_modes: [Mode::Autonomous].into(),
        max_delegation_depth: 1,
        expires_at: None,
        public_keys: vec![],
        issuer: String::new(),
        subject: String::new(),
        software: Software::default(),
        optional_authorization_details: true,
        suspended: None,
        epoch: 0,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        created_by: String::new(),
    }
}

fn target() -> Target {
    Target {
        name: "crm".parse().unwrap(),
        description: Description::default(),
        credential_type: CredentialType::Jwt,
        audience: vec![],
        actions: vec!["read".parse().unwrap()],
        resources: vec!["customers/**".parse().unwrap()],
        labels: BTreeMap::new(),
        default_ttl: Ttl::from_secs(60),
        max_ttl: Ttl::from_secs(300),
        consent: Consent::None,
        signing_key: None,
        claims: serde_json::Map::new(),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}
