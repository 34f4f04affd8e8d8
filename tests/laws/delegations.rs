//! Laws of delegation: whatever is passed on, narrowed or taken back, and in
//! whatever order, nothing below is ever wider than anything above.

use std::sync::{Arc, OnceLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::{Map, Value, json};
use vault_plugin_agentic::engine::facts::{Actor, Facts, Hop};
use vault_plugin_agentic::engine::{Decision, decide};
use vault_plugin_agentic::grants::delegations::input::{Given, Terms, check_covers, least};
use vault_plugin_agentic::model::agent::Mode;
use vault_plugin_agentic::model::authorization::Scope;
use vault_plugin_agentic::model::decision::{AccessRequest, Outcome};
use vault_plugin_agentic::model::delegation::{Delegation, DelegationStatus, Delegator};
use vault_plugin_agentic::model::identity::Presence;
use vault_plugin_agentic::model::ids::{ConsentId, DelegationId};
use vault_plugin_agentic::model::target::Consent;
use vault_plugin_agentic::model::text::Description;
use vault_plugin_agentic::model::time::{Timestamp, Ttl};

use crate::world::{World, agent, facts, now, plain, request};

const RESOURCES: [&str; 4] = ["a/1", "a/2", "a/b/1", "b/1"];
const ACTIONS: [&str; 2] = ["read", "write"];

/// A scope over few names, so that two of them often meet.
fn details() -> impl Strategy<Value = Vec<Map<String, Value>>> {
    let detail = (
        subsequence(&["crm", "erp", "c*", "*"][..], 1..=2),
        subsequence(&["read", "write", "*"][..], 1..=2),
        subsequence(&["a/1", "a/*", "a/**", "**", "b/1"][..], 0..=2),
    );
    vec(detail, 1..3).prop_map(|details| {
        let detail = |(targets, actions, resources)| {
            json!({ "type": "agentic:action", "targets": targets, "actions": actions, "resources": resources })
        };
        let details = details.into_iter().map(detail);
        details.filter_map(|detail| detail.as_object().cloned()).collect()
    })
}

fn scope(details: &[Map<String, Value>]) -> Scope {
    let details: Vec<Value> = details.iter().cloned().map(Value::Object).collect();
    Scope::from_json(&json!(details)).unwrap()
}

/// What one link wants. What is more than the one above has is cut.
#[derive(Clone, Debug)]
struct Link {
    parent: Index,
    details: Vec<Map<String, Value>>,
    ttl: u64,
    max_ttl: Option<u64>,
    max_uses: Option<u32>,
}

fn link() -> impl Strategy<Value = Link> {
    (
        any::<Index>(),
        details(),
        1..500_u64,
        prop::option::of(1..100_u64),
        prop::option::of(1..5_u32),
    )
        .prop_map(|(parent, details, ttl, max_ttl, max_uses)| Link {
            parent,
            details,
            ttl,
            max_ttl,
            max_uses,
        })
}

/// A tree of delegations of alice's: each node knows the one above. The first
/// is alice's own.
#[derive(Clone, Debug)]
struct Tree {
    nodes: Vec<Delegation>,
    parents: Vec<Option<usize>>,
}

fn quiet() -> World {
    World {
        agent: "bot",
        suspended: false,
        agent_ttl: None,
        modes: vec![Mode::OnBehalfOf],
        mode: Mode::OnBehalfOf,
        target_known: true,
        target_consent: Consent::None,
        target_ttl: 3000,
        sensitivity: "low",
        action: "read",
        resource: "a/1",
        groups: vec![],
        disabled: false,
        human: true,
        presence: Presence::Present,
        owner_gone: None,
        overdue: None,
        ceiling: vec![vec![plain()]],
        missing_policy: false,
        baseline: None,
        hops: vec![],
        details: None,
        consent: None,
        address: None,
        hour: 12,
        amount: None,
        ttl: Some(3000),
        key: false,
    }
}

impl Tree {
    /// Grows a tree as the product does: scopes meet, limits are cut.
    fn grow(links: &[Link]) -> Self {
        let now = now(&quiet());
        let mut tree = Self {
            nodes: vec![],
            parents: vec![],
        };
        for (number, link) in links.iter().enumerate() {
            let parent = (number > 0).then(|| link.parent.index(number));
            if parent.is_some_and(|parent| tree.path(parent).len() >= 8) {
                continue;
            }
            let above = parent.map(|parent| &tree.nodes[parent]);
            let wanted = scope(&link.details);
            let ends = now.plus(Ttl::from_secs(link.ttl));
            let number = u8::try_from(tree.nodes.len()).unwrap() + 1;
            let max_ttl = link.max_ttl.map(Ttl::from_secs);
            let node = Delegation {
                id: DelegationId::mint(Timestamp::EPOCH, [number; 10]),
                subject: Some("alice".parse().unwrap()),
                agent: agent(number, "link").id,
                agent_epoch: 0,
                delegator: above.map_or(Delegator::Subject, |above| Delegator::Agent {
                    id: above.agent.clone(),
                    parent: above.id.clone(),
                }),
                scope: match above {
                    Some(above) => above.scope.intersect(&wanted),
                    None => wanted,
                },
                purpose: Description::default(),
                status: DelegationStatus::Active,
                created_at: now,
                expires_at: above.map_or(ends, |above| ends.min(above.expires_at)),
                ttl: Ttl::from_secs(link.ttl),
                max_ttl: least(max_ttl, above.and_then(|above| above.max_ttl)),
                max_uses: least(link.max_uses, above.and_then(|above| above.max_uses)),
                uses: 0,
                consent: Some(ConsentId::mint(Timestamp::EPOCH, [1; 10])),
                code: None,
                text: String::new(),
                answer: None,
            };
            tree.nodes.push(node);
            tree.parents.push(parent);
        }
        tree
    }

    /// The nodes from the first to this one.
    fn path(&self, node: usize) -> Vec<usize> {
        let mut path = vec![node];
        while let Some(parent) = self.parents[path[path.len() - 1]] {
            path.push(parent);
        }
        path.reverse();
        path
    }

    fn decide(&self, node: usize, action: &str, resource: &str) -> (AccessRequest, Decision) {
        let world = quiet();
        let mut ask = request(&world);
        ask.action = action.parse().unwrap();
        ask.resource = resource.parse().unwrap();
        ask.delegation = Some(self.nodes[node].id.clone());
        let decision = decide(&ask, &self.facts(node));
        (ask, decision)
    }

    fn facts(&self, node: usize) -> Facts {
        // Policies are compiled once: there are many questions.
        static COMMON: OnceLock<Facts> = OnceLock::new();
        let mut facts = COMMON.get_or_init(|| facts(&quiet())).clone();
        let ceiling = Arc::clone(&facts.agent.as_ref().unwrap().ceiling);
        let actor = |node: usize| Actor {
            agent: Arc::new(agent(u8::try_from(node).unwrap() + 1, "link")),
            presence: Presence::Present,
            owner_gone: false,
            ceiling: Arc::clone(&ceiling),
        };
        facts.agent = Some(actor(node));
        facts.chain = self
            .path(node)
            .into_iter()
            .map(|link| Hop {
                delegation: Arc::new(self.nodes[link].clone()),
                agent: Some(actor(link)),
            })
            .collect();
        let system = Arc::make_mut(facts.target.as_mut().unwrap());
        system.resources = vec!["**".parse().unwrap()];
        facts.bounds.max_ttl = Ttl::from_secs(3000);
        facts.bounds.mount_max_ttl = Ttl::from_secs(3000);
        facts
    }

    /// Every question about a node: what is allowed.
    fn allowed(&self, node: usize) -> Vec<bool> {
        let ask = |action, resource| self.decide(node, action, resource).1.outcome;
        ACTIONS
            .iter()
            .flat_map(|action| RESOURCES.map(|resource| ask(action, resource) == Outcome::Allow))
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_link_and_no_credential_is_wider_than_any_link_above(links in vec(link(), 1..10)) {
        let tree = Tree::grow(&links);
        for node in 0..tree.nodes.len() {
            let path = tree.path(node);
            for above in &path {
                prop_assert!(tree.nodes[*above].scope.covers(&tree.nodes[node].scope));
            }
            for action in ACTIONS {
                for resource in RESOURCES {
                    let (ask, decision) = tree.decide(node, action, resource);
                    let Some(permit) = decision.permit else { continue };
                    for above in path.iter().map(|link| &tree.nodes[*link]) {
                        prop_assert!(above.scope.covers(permit.details()));
                        prop_assert!(above.scope.covers_request(&ask.target, &ask.action, &ask.resource));
                        prop_assert!(permit.decided_at().plus(permit.ttl()) <= above.expires_at);
                        prop_assert!(above.max_ttl.is_none_or(|most| permit.ttl() <= most));
                        // Under a limit on uses, a credential that is counted is one use.
                        prop_assert!(above.max_uses.is_none() || permit.max_uses() == Some(1));
                    }
                    prop_assert_eq!(permit.chain().len(), path.len());
                }
            }
        }
    }

    #[test]
    fn nothing_lives_below_what_was_ended(
        links in vec(link(), 1..10),
        ended in vec((any::<Index>(), select(vec![DelegationStatus::Revoked, DelegationStatus::Denied, DelegationStatus::Pending])), 1..6),
    ) {
        let mut tree = Tree::grow(&links);
        let before: Vec<_> = (0..tree.nodes.len()).map(|node| tree.allowed(node)).collect();
        let mut dead = vec![false; tree.nodes.len()];
        // One after the other, in a random order.
        for (index, status) in ended {
            let node = index.index(tree.nodes.len());
            tree.nodes[node].status = status;
            dead[node] = true;
            for (node, before) in before.iter().enumerate() {
                let lives = !tree.path(node).into_iter().any(|link| dead[link]);
                let expected = if lives { before.clone() } else { vec![false; before.len()] };
                prop_assert_eq!(tree.allowed(node), expected, "ended links end what is below, and nothing else");
            }
        }
    }

    #[test]
    fn an_approval_is_never_wider_than_the_request(
        asked in (details(), 1..500_u64, prop::option::of(1..100_u64), prop::option::of(1..5_u32)),
        given in (prop::option::of(details()), prop::option::of(0..600_u64), prop::option::of(0..120_u64), prop::option::of(0..6_u32)),
    ) {
        let terms = Terms {
            scope: scope(&asked.0),
            purpose: Description::default(),
            ttl: Ttl::from_secs(asked.1),
            max_ttl: asked.2.map(Ttl::from_secs),
            max_uses: asked.3,
        };
        let less = Given {
            scope: given.0.clone(),
            purpose: None,
            ttl: given.1.map(Ttl::from_secs),
            max_ttl: given.2.map(Ttl::from_secs),
            max_uses: given.3,
        };
        if let Ok(narrowed) = terms.narrowed(less) {
            prop_assert!(terms.scope.covers(&narrowed.scope));
            prop_assert!(narrowed.ttl <= terms.ttl && !narrowed.ttl.is_zero());
            prop_assert!(terms.max_ttl.is_none_or(|most| narrowed.max_ttl.is_some_and(|given| given <= most)));
            prop_assert!(terms.max_uses.is_none_or(|most| narrowed.max_uses.is_some_and(|given| given <= most)));
            // And what was given is what is approved.
            prop_assert!(given.0.is_none_or(|given| narrowed.scope == scope(&given)));
        } else {
            let wider_scope = given.0.as_ref().is_some_and(|given| !terms.scope.covers(&scope(given)));
            let wider_ttl = given.1.is_some_and(|given| given == 0 || given > asked.1);
            let more = |given: Option<u64>, most: Option<u64>| match (given, most) {
                (Some(given), Some(most)) => given == 0 || given > most,
                _ => false,
            };
            let wider = wider_scope || wider_ttl || more(given.2, asked.2)
                || more(given.3.map(u64::from), asked.3.map(u64::from));
            prop_assert!(wider, "only what is wider is refused");
        }
    }

    #[test]
    fn what_is_named_as_wider_is(outer in details(), inner in details()) {
        let (outer, inner) = (scope(&outer), scope(&inner));
        prop_assert_eq!(check_covers(&outer, &inner, "x").is_ok(), outer.covers(&inner));
    }

    #[test]
    fn covering_agrees_with_brute_force_on_plain_values(
        outer in details(),
        points in vec((select(&["crm", "erp"][..]), select(&ACTIONS[..]), select(&["", "a/1", "a/b/1", "b/1"][..])), 1..4),
    ) {
        let outer = scope(&outer);
        let one = |(target, action, resource): &(&str, &str, &str)| {
            let resources: Vec<&str> = Some(*resource).filter(|one| !one.is_empty()).into_iter().collect();
            json!({ "type": "agentic:action", "targets": [target], "actions": [action], "resources": resources })
        };
        let inner = Scope::from_json(&json!(points.iter().map(one).collect::<Vec<_>>())).unwrap();
        let all = points.iter().all(|(target, action, resource)| {
            outer.covers_request(&target.parse().unwrap(), &action.parse().unwrap(), &resource.parse().unwrap())
        });
        prop_assert_eq!(outer.covers(&inner), all);
    }

    #[test]
    fn covering_is_reflexive_and_transitive(a in details(), b in details(), c in details()) {
        let (a, b, c) = (scope(&a), scope(&b), scope(&c));
        prop_assert!(a.covers(&a));
        prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
        prop_assert!(a.covers(&a.intersect(&b)) && b.covers(&a.intersect(&b)));
    }
}
