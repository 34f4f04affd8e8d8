//! The case that the benches of the engine decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use vault_plugin_agentic::engine::compile;
use vault_plugin_agentic::engine::facts::{
    Actor, Baseline, Bounds, Environment, Facts, NoCounts, Upkeep,
};
use vault_plugin_agentic::engine::policy::PolicySet;
use vault_plugin_agentic::model::agent::{Agent, Mode};
use vault_plugin_agentic::model::decision::AccessRequest;
use vault_plugin_agentic::model::identity::Presence;
use vault_plugin_agentic::model::ids::{AgentId, PolicyName};
use vault_plugin_agentic::model::target::Target;
use vault_plugin_agentic::model::time::{Timestamp, Ttl};

/// How many rules there are to look at.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
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

/// A request, and the facts with so many rules in the ceiling.
pub(crate) fn case(rules: usize, shape: Shape) -> (AccessRequest, Facts) {
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
            presence: Presence::Present,
            owner_gone: false,
            ceiling,
        }),
        target: Some(Arc::new(target())),
        subject: None,
        baseline: Baseline::NoneGiven,
        chain: vec![],
        consent: None,
        token_details: None,
        details_required: false,
        upkeep: Upkeep::default(),
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
            counts_uses: true,
        },
        counts: Arc::new(NoCounts),
    };
    (request, facts)
}

fn agent() -> Agent {
    let id = AgentId::mint(Timestamp::EPOCH, [0; 10]);
    Agent {
        no_default_ceiling_policy: true,
        delegation_modes: [Mode::Autonomous].into(),
        ..Agent::new(
            id,
            "bot".parse().unwrap(),
            "entity".parse().unwrap(),
            Timestamp::EPOCH,
        )
    }
}

fn target() -> Target {
    Target {
        actions: vec!["read".parse().unwrap()],
        resources: vec!["customers/**".parse().unwrap()],
        default_ttl: Ttl::from_secs(60),
        max_ttl: Ttl::from_secs(300),
        ..Target::new("crm".parse().unwrap(), Timestamp::EPOCH)
    }
}
