//! Warnings: rules that are valid and probably not what was meant.

use std::collections::BTreeMap;

use super::condition::Expr;
use super::policy::{Effect, Rule};
use super::syntax::Source;
use crate::model::agent::Mode;

/// Looks at every rule, and at pairs of them.
pub(super) fn check(rules: &[Rule], offsets: &[usize], source: &mut Source<'_>) {
    let mut seen: BTreeMap<String, &Rule> = BTreeMap::new();
    let blanket = rules
        .iter()
        .find(|rule| rule.effect == Effect::Deny && is_unconstrained(rule));
    for (rule, offset) in rules.iter().zip(offsets) {
        one(rule, *offset, source);
        if let Some(deny) = blanket.filter(|deny| deny.name != rule.name) {
            source.warn(
                *offset,
                format!("never decides: rule `{}` denies everything", deny.name),
                None,
            );
        }
        match seen.get(&matchers(rule)) {
            Some(earlier) if earlier.obligations == rule.obligations => {
                source.warn(
                    *offset,
                    format!("says the same as rule `{}`", earlier.name),
                    Some("remove one".into()),
                );
            }
            Some(_) => {}
            None => {
                seen.insert(matchers(rule), rule);
            }
        }
    }
}

fn one(rule: &Rule, offset: usize, source: &mut Source<'_>) {
    let allows = rule.effect == Effect::Allow;
    if allows && is_unconstrained(rule) {
        let help = "name actions and targets at least".to_owned();
        source.warn(
            offset,
            "allows everything: no dimension is named",
            Some(help),
        );
    }
    if allows && rests_on_assertions(rule) {
        let help =
            "also name a verified fact: an agent, a subject, a target or an environment".to_owned();
        source.warn(
            offset,
            "rests on nothing but what the agent asserts in `request`",
            Some(help),
        );
    }
    if !allows && rule.max_chain_depth.is_some() {
        let help = "it denies short chains; to deny long ones, put the limit on the allow rules"
            .to_owned();
        source.warn(offset, "`max_chain_depth` in a deny rule", Some(help));
    }
    if let (Some(from), Some(end)) = (rule.not_before, rule.not_after)
        && end <= from
    {
        source.warn(
            offset,
            "never applies: `not_after` is not later than `not_before`",
            None,
        );
    }
    let Some(condition) = &rule.condition else {
        return;
    };
    if let Expr::Bool(value) = condition.root {
        source.warn(offset, format!("the condition is always {value}"), None);
    }
    let for_subjects = rule.mode == Some(Mode::OnBehalfOf) || names_subject(rule);
    if !allows
        && !for_subjects
        && condition
            .reads
            .iter()
            .any(|variable| variable.needs_subject())
    {
        let help = "an error in a deny rule denies; write `delegation = \"on_behalf_of\"` to spare autonomous requests";
        source.warn(
            offset,
            "denies every autonomous request: the condition reads the subject",
            Some(help.into()),
        );
    }
    if rule.mode == Some(Mode::Autonomous) && names_subject(rule) {
        source.warn(
            offset,
            "never applies: autonomous requests have no subject",
            None,
        );
    }
}

fn names_subject(rule: &Rule) -> bool {
    !(rule.subject_names.is_empty()
        && rule.subject_groups.is_empty()
        && rule.subject_metadata.is_empty())
}

/// Whether no verified fact is named. What is asked for is not a fact about
/// who asks; a mode is verified, and so is a place or time.
fn rests_on_assertions(rule: &Rule) -> bool {
    let asserted = rule.condition.as_ref().is_some_and(|condition| {
        condition
            .reads
            .iter()
            .any(|variable| variable.is_asserted())
            && condition
                .reads
                .iter()
                .all(|variable| variable.is_asserted())
    });
    let mut rest = rule.clone();
    rest.condition = None;
    rest.actions.clear();
    asserted && is_unconstrained(&rest)
}

/// Whether it applies to every request.
fn is_unconstrained(rule: &Rule) -> bool {
    let everything = Rule::new(&rule.name, rule.effect);
    rule.condition.is_none() && matchers(rule) == matchers(&everything)
}

/// Everything a rule says but its name and what it asks for.
fn matchers(rule: &Rule) -> String {
    let mut anonymous = rule.clone();
    anonymous.name = "".into();
    anonymous.obligations = Default::default();
    anonymous.condition = None;
    let everything =
        |patterns: &[crate::model::pattern::Pattern]| patterns.iter().any(|p| p.as_str() == "**");
    for patterns in [&mut anonymous.actions, &mut anonymous.targets] {
        if everything(patterns) || patterns.iter().any(|p| p.as_str() == "*") {
            patterns.clear();
        }
    }
    if everything(&anonymous.resources) {
        anonymous.resources.clear();
    }
    format!(
        "{anonymous:?} {:?}",
        rule.condition.as_ref().map(|condition| &condition.text)
    )
}
