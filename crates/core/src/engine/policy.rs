//! Compiled policies, and the sets of them that are attached to somebody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;

use super::condition::Condition;
use super::index::Index;
use super::rate::Rate;
use super::window::Window;
use crate::model::agent::Mode;
use crate::model::ids::{LocationName, PolicyName};
use crate::model::pattern::Pattern;
use crate::model::target::Consent;
use crate::model::time::{Timestamp, Ttl};

/// The most rules a policy may have.
pub const MAX_RULES: usize = 256;

/// A policy, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct CompiledPolicy {
    /// Its name.
    pub name: PolicyName,
    /// Its rules, in the order of the text.
    pub rules: Vec<Rule>,
}

/// What a rule does where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It allows, unless a rule denies.
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// A rule. It applies where every dimension that it names matches; an empty
/// or absent one is not named and matches everything.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "the fields are the policy language's own attributes"
)]
pub struct Rule {
    pub name: Arc<str>,
    pub effect: Effect,
    pub actions: Vec<Pattern>,
    pub targets: Vec<Pattern>,
    pub resources: Vec<Pattern>,
    pub agent_names: Vec<Pattern>,
    pub agent_owners: Vec<Pattern>,
    pub agent_labels: BTreeMap<String, String>,
    pub subject_names: Vec<Pattern>,
    pub subject_groups: Vec<Pattern>,
    pub subject_metadata: BTreeMap<String, String>,
    pub target_labels: BTreeMap<String, String>,
    pub mode: Option<Mode>,
    pub max_chain_depth: Option<usize>,
    pub window: Option<Window>,
    pub cidrs: Vec<IpNet>,
    pub locations: Vec<LocationName>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub condition: Option<Condition>,
    pub obligations: Obligations,
}

impl Rule {
    /// A rule that names no dimension and no obligation.
    #[must_use]
    pub fn new(name: &str, effect: Effect) -> Self {
        Self {
            name: name.into(),
            effect,
            actions: Vec::new(),
            targets: Vec::new(),
            resources: Vec::new(),
            agent_names: Vec::new(),
            agent_owners: Vec::new(),
            agent_labels: BTreeMap::new(),
            subject_names: Vec::new(),
            subject_groups: Vec::new(),
            subject_metadata: BTreeMap::new(),
            target_labels: BTreeMap::new(),
            mode: None,
            max_chain_depth: None,
            window: None,
            cidrs: Vec::new(),
            locations: Vec::new(),
            not_before: None,
            not_after: None,
            condition: None,
            obligations: Obligations::default(),
        }
    }
}

/// What an allow rule asks for in return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Obligations {
    /// How much of a human's yes.
    pub consent: Consent,
    /// The longest lifetime.
    pub max_ttl: Option<Ttl>,
    /// The most uses.
    pub max_uses: Option<u32>,
    /// How often at most, by each agent.
    pub rate: Option<Rate>,
    /// Whether the credential must be bound to a key.
    pub proof_of_possession: bool,
}

/// The policies attached to an agent, or to a subject.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    policies: Vec<Arc<CompiledPolicy>>,
    missing: BTreeSet<PolicyName>,
    index: Index,
}

impl PolicySet {
    /// The set of `names`, out of all policies there are. What is named and
    /// not there is remembered: it denies.
    #[must_use]
    pub fn attach(
        names: &[PolicyName],
        policies: &BTreeMap<PolicyName, Arc<CompiledPolicy>>,
    ) -> Self {
        let (mut found, mut missing) = (Vec::new(), BTreeSet::new());
        for name in names.iter().collect::<BTreeSet<_>>() {
            match policies.get(name) {
                Some(policy) => found.push(Arc::clone(policy)),
                None => {
                    missing.insert(name.clone());
                }
            }
        }
        let index = Index::of(&found);
        Self {
            policies: found,
            missing,
            index,
        }
    }

    /// Whether nothing is attached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.missing.is_empty()
    }

    /// The policies that are attached and do not exist.
    #[must_use]
    pub const fn missing(&self) -> &BTreeSet<PolicyName> {
        &self.missing
    }

    /// Every rule, by policy name and then in the order of the text.
    pub fn rules(&self) -> impl Iterator<Item = RuleRef> + '_ {
        self.policies.iter().flat_map(|policy| {
            (0..policy.rules.len()).map(move |rule| RuleRef {
                policy: Arc::clone(policy),
                rule,
            })
        })
    }

    /// The rules that may apply to this agent, target and action; the others
    /// cannot.
    pub(super) fn candidates(
        &self,
        agent: &str,
        target: &str,
        action: &str,
    ) -> impl Iterator<Item = Candidate<'_>> {
        self.index
            .lookup(agent, target, action)
            .filter_map(|place| {
                let policy = self.policies.get(place.policy)?;
                Some(Candidate {
                    policy,
                    index: place.rule,
                    rule: policy.rules.get(place.rule)?,
                })
            })
    }
}

/// A rule in its place, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) policy: &'a Arc<CompiledPolicy>,
    pub(super) index: usize,
    pub(super) rule: &'a Rule,
}

impl Candidate<'_> {
    pub(super) fn to_ref(self) -> RuleRef {
        RuleRef {
            policy: Arc::clone(self.policy),
            rule: self.index,
        }
    }

    /// What rules are ordered by wherever one is singled out, so that their
    /// order in a text or a set changes nothing.
    pub(super) fn key(&self) -> (&str, &str) {
        (self.policy.name.as_str(), &self.rule.name)
    }
}

/// A rule in its place. Shown as `policy/rule`.
#[derive(Clone)]
pub struct RuleRef {
    policy: Arc<CompiledPolicy>,
    rule: usize,
}

impl RuleRef {
    /// The name of its policy.
    #[must_use]
    pub fn policy(&self) -> &PolicyName {
        &self.policy.name
    }

    /// Its own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.rule().map_or("", |rule| &rule.name)
    }

    pub(super) fn rule(&self) -> Option<&Rule> {
        self.policy.rules.get(self.rule)
    }
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.policy(), self.name())
    }
}

impl fmt::Debug for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for RuleRef {
    fn eq(&self, other: &Self) -> bool {
        self.policy() == other.policy() && self.name() == other.name()
    }
}

impl Eq for RuleRef {}
