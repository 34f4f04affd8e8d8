//! An index over rules by the agent, target and action that they name, so that
//! rules which cannot apply cost nothing.
//!
//! A rule that names plain values in a dimension stands under each of them;
//! one that names globs, or nothing, under "any". A request looks up the eight
//! combinations of its own values and "any".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::policy::CompiledPolicy;
use crate::model::pattern::Pattern;

/// The most entries that one rule may take; beyond, its widest dimension
/// counts as "any".
const MAX_ENTRIES: usize = 64;

/// The number of "any" in a key.
const ANY: usize = 0;

type Key = [usize; 3];

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) policy: usize,
    pub(super) rule: usize,
}

/// The index.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// For each dimension, a number from 1 for every value that is named.
    numbers: [BTreeMap<Box<str>, usize>; 3],
    places: BTreeMap<Key, Vec<Place>>,
}

impl Index {
    pub(super) fn of(policies: &[Arc<CompiledPolicy>]) -> Self {
        let mut index = Self::default();
        for (policy, compiled) in policies.iter().enumerate() {
            for (rule, dimensions) in compiled.rules.iter().enumerate() {
                let named = [
                    &dimensions.agent_names,
                    &dimensions.targets,
                    &dimensions.actions,
                ];
                index.insert(
                    named.map(|patterns| plain(patterns)),
                    Place { policy, rule },
                );
            }
        }
        index
    }

    fn insert(&mut self, mut named: [Option<BTreeSet<&str>>; 3], place: Place) {
        let entries = |named: &[Option<BTreeSet<&str>>; 3]| {
            named.iter().flatten().fold(1_usize, |product, values| {
                product.saturating_mul(values.len())
            })
        };
        while entries(&named) > MAX_ENTRIES {
            if let Some(widest) = named
                .iter_mut()
                .max_by_key(|values| values.as_ref().map_or(0, BTreeSet::len))
            {
                *widest = None;
            }
        }
        let mut numbered =
            self.numbers
                .iter_mut()
                .zip(&named)
                .map(|(numbers, values)| match values {
                    None => vec![ANY],
                    Some(values) => values.iter().map(|value| number(numbers, value)).collect(),
                });
        let (agents, targets, actions) = (numbered.next(), numbered.next(), numbered.next());
        drop(numbered);
        for agent in agents.iter().flatten() {
            for target in targets.iter().flatten() {
                for action in actions.iter().flatten() {
                    self.places
                        .entry([*agent, *target, *action])
                        .or_default()
                        .push(place);
                }
            }
        }
    }

    /// Every place whose rule may apply, each once.
    pub(super) fn lookup(
        &self,
        agent: &str,
        target: &str,
        action: &str,
    ) -> impl Iterator<Item = Place> + '_ {
        let [agents, targets, actions] = &self.numbers;
        let agents = ways(agents, agent);
        let (targets, actions) = (ways(targets, target), ways(actions, action));
        let keys = agents.into_iter().flatten().flat_map(move |agent| {
            targets.into_iter().flatten().flat_map(move |target| {
                actions
                    .into_iter()
                    .flatten()
                    .map(move |action| [agent, target, action])
            })
        });
        keys.filter_map(|key| self.places.get(&key))
            .flatten()
            .copied()
    }
}

/// The values, if the patterns are nothing but plain values.
fn plain(patterns: &[Pattern]) -> Option<BTreeSet<&str>> {
    let plain = !patterns.is_empty() && patterns.iter().all(Pattern::is_literal);
    plain.then(|| patterns.iter().map(Pattern::as_str).collect())
}

fn number(numbers: &mut BTreeMap<Box<str>, usize>, value: &str) -> usize {
    let next = numbers.len().saturating_add(1);
    *numbers.entry(value.into()).or_insert(next)
}

fn ways(numbers: &BTreeMap<Box<str>, usize>, value: &str) -> [Option<usize>; 2] {
    [Some(ANY), numbers.get(value).copied()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::policy::{Effect, Rule};

    fn rule(agents: &[&str], targets: &[&str], actions: &[&str]) -> Rule {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut rule = Rule::new("r", Effect::Allow);
        (rule.agent_names, rule.targets, rule.actions) =
            (patterns(agents), patterns(targets), patterns(actions));
        rule
    }

    fn found(rules: Vec<Rule>, agent: &str, target: &str, action: &str) -> Vec<usize> {
        let policy = CompiledPolicy {
            name: "p".parse().unwrap(),
            rules,
        };
        let mut places: Vec<_> = Index::of(&[Arc::new(policy)])
            .lookup(agent, target, action)
            .map(|p| p.rule)
            .collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn a_rule_is_found_once_wherever_it_may_apply() {
        let rules = vec![
            rule(&[], &[], &[]),
            rule(&["a"], &["crm", "erp"], &["read", "read"]),
            rule(&["a*"], &["crm"], &["read"]),
            rule(&["b"], &[], &["*"]),
            rule(&["a", "b*"], &["erp"], &[]),
        ];
        assert_eq!(found(rules.clone(), "a", "crm", "read"), [0, 1, 2]);
        assert_eq!(found(rules.clone(), "b", "crm", "read"), [0, 2, 3]);
        assert_eq!(found(rules.clone(), "a", "erp", "write"), [0, 4]);
        assert_eq!(found(rules, "x", "y", "z"), [0]);
    }

    #[test]
    fn a_rule_with_many_names_takes_bounded_room() {
        let names: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(
            found(vec![rule(&names, &names, &names)], "n1", "n2", "n3"),
            [0]
        );
    }
}
