//! The layers. Each is a guard with one signature, in a file of its own: it
//! looks at the case, may tighten the terms, and says what it finds.

pub(super) mod agent;
mod baseline;
mod ceiling;
mod consent;
mod delegation;
mod details;
mod limits;
mod target;

use super::facts::{self, Actor, Facts, Hop, Subject};
use super::ruling::Terms;
use super::scene::{Scene, Steps};
use super::verdict::Verdict;
use crate::model::agent::Mode;
use crate::model::decision::AccessRequest;

/// Every guard, in the order of the layers. Consent and limits come last: they
/// judge the terms that the others have set.
pub(super) const GUARDS: [fn(&Case<'_>, &mut Terms) -> Verdict; 8] = [
    agent::judge,
    target::judge,
    ceiling::judge,
    baseline::judge,
    delegation::judge,
    details::judge,
    consent::judge,
    limits::judge,
];

/// One request with its facts.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Case<'a> {
    pub(in crate::engine) request: &'a AccessRequest,
    pub(in crate::engine) facts: &'a Facts,
    pub(in crate::engine) mode: Mode,
    steps: &'a Steps,
}

impl<'a> Case<'a> {
    pub(in crate::engine) const fn new(
        request: &'a AccessRequest,
        facts: &'a Facts,
        steps: &'a Steps,
    ) -> Self {
        Self {
            request,
            facts,
            mode: request.mode(),
            steps,
        }
    }

    /// The subject; none in an autonomous request, whatever the facts hold.
    pub(in crate::engine) fn subject(&self) -> Option<&'a Subject> {
        self.facts
            .subject
            .as_ref()
            .filter(|_| self.mode == Mode::OnBehalfOf)
    }

    /// The chain of delegations; empty in an autonomous request.
    pub(in crate::engine) fn chain(&self) -> &'a [Hop] {
        match self.mode {
            Mode::Autonomous => &[],
            Mode::OnBehalfOf => &self.facts.chain,
        }
    }

    /// Whether the subject has let the agent act for it, and that holds now.
    pub(in crate::engine) fn is_consented(&self) -> bool {
        facts::is_consented(self.request, self.chain(), self.facts.environment.now)
    }

    /// What the policies of the acting agent, and of its subject, see.
    pub(in crate::engine) fn scene(&self) -> Option<Scene<'a>> {
        Some(self.scene_of(self.facts.agent.as_ref()?, self.chain().len()))
    }

    /// What the policies of an agent see that stands at the end of the first
    /// `depth` links of the chain.
    pub(in crate::engine) fn scene_of(&self, actor: &'a Actor, depth: usize) -> Scene<'a> {
        // The words that the subject saw. Those of the links below are its
        // holders' own, and whoever passes authority on must not choose what
        // policies see.
        let root = self.chain().first().filter(|_| depth > 0);
        Scene {
            request: self.request,
            mode: self.mode,
            agent: &actor.agent,
            target: self.facts.target.as_deref(),
            subject: self.subject(),
            depth,
            purpose: root.map(|hop| hop.delegation.purpose.as_str()),
            environment: &self.facts.environment,
            steps: self.steps,
        }
    }
}
