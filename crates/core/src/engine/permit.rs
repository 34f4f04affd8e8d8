//! The permit: proof, in a type, that a request was decided and allowed.

use std::sync::Arc;

use super::guards::Case;
use super::ruling::Terms;
use crate::model::agent::{Agent, Mode};
use crate::model::authorization::Scope;
use crate::model::delegation::Delegation;
use crate::model::ids::{ConsentId, EntityId};
use crate::model::pattern::{Action, Resource};
use crate::model::target::Target;
use crate::model::time::{Timestamp, Ttl};

/// What was allowed, and on which terms.
///
/// Only [`decide`](super::decide()) makes one, none can be copied or read from
/// outside, and issuing takes nothing else: to issue without deciding does not
/// compile.
#[derive(Debug, PartialEq)]
pub struct Permit {
    agent: Arc<Agent>,
    subject: Option<EntityId>,
    target: Arc<Target>,
    action: Action,
    resource: Resource,
    mode: Mode,
    details: Scope,
    decided_at: Timestamp,
    ttl: Ttl,
    max_uses: Option<u32>,
    chain: Vec<Arc<Delegation>>,
    key_thumbprint: Option<String>,
    consent: Option<ConsentId>,
}

impl Permit {
    /// `None` if the case lacks what every layer that holds has established.
    pub(in crate::engine) fn grant(case: &Case<'_>, terms: &Terms) -> Option<Self> {
        let (request, facts) = (case.request, case.facts);
        let chain = case
            .chain()
            .iter()
            .map(|hop| Arc::clone(&hop.delegation))
            .collect();
        Some(Self {
            agent: Arc::clone(&facts.agent.as_ref()?.agent),
            subject: case.subject().map(|subject| subject.id.clone()),
            target: Arc::clone(facts.target.as_ref()?),
            action: request.action.clone(),
            resource: request.resource.clone(),
            mode: case.mode,
            details: Scope::of_request(&request.target, &request.action, &request.resource)?,
            decided_at: facts.environment.now,
            ttl: terms.ttl?,
            max_uses: terms.max_uses,
            chain,
            key_thumbprint: request.key_thumbprint.clone(),
            consent: terms.used_consent.clone(),
        })
    }

    /// The actor.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The human on whose behalf it acts.
    #[must_use]
    pub const fn subject(&self) -> Option<&EntityId> {
        self.subject.as_ref()
    }

    /// What the credential is for.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What may be done there.
    #[must_use]
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// To what.
    #[must_use]
    pub const fn resource(&self) -> &Resource {
        &self.resource
    }

    /// On whose authority.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The authorization details that are granted: exactly this request.
    #[must_use]
    pub const fn details(&self) -> &Scope {
        &self.details
    }

    /// The instant of the decision, from which the lifetime runs.
    #[must_use]
    pub const fn decided_at(&self) -> Timestamp {
        self.decided_at
    }

    /// The longest lifetime of the credential.
    #[must_use]
    pub const fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// How often it may be used.
    #[must_use]
    pub const fn max_uses(&self) -> Option<u32> {
        self.max_uses
    }

    /// The delegations it rests on, from the subject's own to the agent's.
    #[must_use]
    pub fn chain(&self) -> &[Arc<Delegation>] {
        &self.chain
    }

    /// The key that the credential must be bound to.
    #[must_use]
    pub fn key_thumbprint(&self) -> Option<&str> {
        self.key_thumbprint.as_deref()
    }

    /// The per-request consent that it uses up.
    #[must_use]
    pub const fn consent(&self) -> Option<&ConsentId> {
        self.consent.as_ref()
    }
}
