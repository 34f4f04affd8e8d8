//! A decision in sentences, for those who may read them. Made only when
//! somebody reads: a decision itself holds codes and references.

use schemars::JsonSchema;
use serde::Serialize;

use super::decision::{Decision, Limits};
use super::facts::{Baseline, Facts};
use super::guards::Case;
use super::matching::{Dimension, lacking, matches, satisfies};
use super::policy::{Effect, PolicySet, Rule, RuleRef};
use super::scene::{Scene, Steps};
use super::verdict::{Finding, Verdict};
use crate::model::decision::{AccessRequest, Layer, Outcome, Reason};

/// A decision, explained.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Explanation {
    /// What was decided.
    pub outcome: Outcome,
    /// The first layer that does not hold.
    pub layer: Option<Layer>,
    /// Why, as a stable code.
    pub reason: Option<Reason>,
    /// Why, in a sentence that says what to do.
    pub message: String,
    /// What each layer found.
    pub layers: Vec<LayerExplanation>,
    /// The terms on which it is, or would be, allowed.
    pub limits: Limits,
}

/// What one layer found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LayerExplanation {
    /// The layer.
    pub layer: Layer,
    /// `holds`, `not_concerned`, `not_judged`, `needs_consent` or `denies`.
    pub finding: &'static str,
    /// Why it does not hold, as a stable code.
    pub reason: Option<Reason>,
    /// The same in a sentence.
    pub message: Option<String>,
    /// The rule that decided it, as policy/rule.
    pub rule: Option<String>,
    /// The link of the chain of delegations that it is about, from 0.
    pub hop: Option<usize>,
    /// The rule that came nearest to allowing it, as policy/rule.
    pub nearest_rule: Option<String>,
    /// What the request lacked for that rule.
    pub lacked: Vec<Shortfall>,
}

/// One dimension in which a request is not what a rule names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Shortfall {
    /// The dimension, as policies name it.
    pub dimension: &'static str,
    /// What the rule wants there.
    pub wanted: String,
}

impl Decision {
    /// Explains the decision, given what it was made from.
    #[must_use]
    pub fn explain(&self, request: &AccessRequest, facts: &Facts) -> Explanation {
        let steps = Steps::default();
        let case = Case::new(request, facts, &steps);
        let message = match self.reason() {
            Some(reason) => reason.to_string(),
            None => "Every layer allows it.".to_owned(),
        };
        Explanation {
            outcome: self.outcome,
            layer: self.layer(),
            reason: self.reason(),
            message,
            layers: self
                .verdicts
                .iter()
                .map(|verdict| explain_layer(verdict, &case))
                .collect(),
            limits: self.limits,
        }
    }
}

fn explain_layer(verdict: &Verdict, case: &Case<'_>) -> LayerExplanation {
    let nearest = nearest_rule(verdict, case);
    LayerExplanation {
        layer: verdict.layer,
        finding: match verdict.finding {
            Finding::Holds => "holds",
            Finding::NotConcerned => "not_concerned",
            Finding::NotJudged => "not_judged",
            Finding::NeedsConsent(_) => "needs_consent",
            Finding::Denies(_) => "denies",
        },
        reason: verdict.reason(),
        message: verdict.reason().map(|reason| reason.to_string()),
        rule: verdict.rule.as_ref().map(ToString::to_string),
        hop: verdict.hop,
        nearest_rule: nearest.as_ref().map(|(rule, _)| rule.to_string()),
        lacked: nearest.map(|(_, lacked)| lacked).unwrap_or_default(),
    }
}

/// Where no rule allowed: the one that lacks least, by name if several do.
fn nearest_rule(verdict: &Verdict, case: &Case<'_>) -> Option<(RuleRef, Vec<Shortfall>)> {
    let reason = verdict.reason()?;
    let (set, scene): (&PolicySet, Scene<'_>) = if reason == Reason::CeilingNoneApplies {
        (&case.facts.agent.as_ref()?.ceiling, case.scene()?)
    } else if let (Reason::BaselineNoneApplies, Baseline::Policies(set)) =
        (reason, &case.facts.baseline)
    {
        (set, case.scene()?)
    } else if reason == Reason::DelegationCeiling && verdict.rule.is_none() {
        let hop = verdict.hop?;
        let actor = case.chain().get(hop)?.agent.as_ref()?;
        (&actor.ceiling, case.scene_of(actor, hop.saturating_add(1)))
    } else {
        return None;
    };
    let allowing = set
        .rules()
        .filter(|rule| rule.rule().is_some_and(|rule| rule.effect == Effect::Allow));
    let lacks = allowing.filter_map(|reference| {
        let lacked = lacking(reference.rule()?, &scene);
        Some((reference, lacked))
    });
    let by_lack = |(rule, lacked): &(RuleRef, Vec<Dimension>)| {
        (lacked.len(), rule.policy().clone(), rule.name().to_owned())
    };
    let (nearest, lacked) = lacks.min_by_key(by_lack)?;
    let shortfalls = nearest.rule().map(|rule| {
        lacked
            .into_iter()
            .map(|dimension| shortfall(dimension, rule))
            .collect()
    });
    Some((nearest, shortfalls.unwrap_or_default()))
}

fn shortfall(dimension: Dimension, rule: &Rule) -> Shortfall {
    let (dimension, wanted) = match dimension {
        Dimension::Action => ("actions", joined(&rule.actions)),
        Dimension::Target => ("targets", joined(&rule.targets)),
        Dimension::Resource => ("resources", joined(&rule.resources)),
        Dimension::AgentName => ("agent.names", joined(&rule.agent_names)),
        Dimension::AgentOwner => ("agent.owners", joined(&rule.agent_owners)),
        Dimension::AgentLabels => ("agent.labels", pairs(&rule.agent_labels)),
        Dimension::SubjectName => ("subject.names", joined(&rule.subject_names)),
        Dimension::SubjectGroups => ("subject.groups", joined(&rule.subject_groups)),
        Dimension::SubjectMetadata => ("subject.metadata", pairs(&rule.subject_metadata)),
        Dimension::TargetLabels => ("target.labels", pairs(&rule.target_labels)),
        Dimension::Mode => (
            "delegation",
            rule.mode
                .map(|mode| mode.as_str().to_owned())
                .unwrap_or_default(),
        ),
        Dimension::Depth => (
            "max_chain_depth",
            rule.max_chain_depth.unwrap_or_default().to_string(),
        ),
        Dimension::Window => (
            "environment.hours",
            rule.window
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        Dimension::Cidrs => ("environment.cidrs", joined(&rule.cidrs)),
        Dimension::Locations => ("environment.locations", joined(&rule.locations)),
        Dimension::NotBefore => ("environment.not_before", joined(rule.not_before.as_slice())),
        Dimension::NotAfter => ("environment.not_after", joined(rule.not_after.as_slice())),
        Dimension::Condition => (
            "condition",
            rule.condition
                .as_ref()
                .map(|c| c.text.clone())
                .unwrap_or_default(),
        ),
    };
    Shortfall { dimension, wanted }
}

fn joined<T: ToString>(values: &[T]) -> String {
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn pairs(values: &std::collections::BTreeMap<String, String>) -> String {
    values
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The rules that apply to a request, in every set of policies that has a say:
/// for tests of policies, which want to know what was covered.
#[must_use]
pub fn applied_rules(request: &AccessRequest, facts: &Facts) -> Vec<RuleRef> {
    let steps = Steps::default();
    let case = Case::new(request, facts, &steps);
    let Some(scene) = case.scene() else {
        return Vec::new();
    };
    let ceiling = facts.agent.iter().map(|actor| (&*actor.ceiling, scene));
    let baseline = match &facts.baseline {
        Baseline::Policies(set) if case.subject().is_some() => Some((&**set, scene)),
        Baseline::Policies(_) | Baseline::Unrestricted | Baseline::NoneGiven => None,
    };
    let (_, passed_on) = case
        .chain()
        .split_last()
        .map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
    let hops = passed_on.iter().enumerate().filter_map(|(index, hop)| {
        let actor = hop.agent.as_ref()?;
        Some((
            &*actor.ceiling,
            case.scene_of(actor, index.saturating_add(1)),
        ))
    });
    let sets = ceiling.chain(baseline).chain(hops);
    sets.flat_map(|(set, scene)| {
        set.rules().filter(move |rule| {
            rule.rule()
                .is_some_and(|rule| satisfies(rule, matches(rule, &scene)))
        })
    })
    .collect()
}
