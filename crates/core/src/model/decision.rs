//! What is asked, and the words in which a decision is given.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::agent::Mode;
use crate::model::authorization::Scope;
use crate::model::ids::{ConsentId, DelegationId, EntityId, TargetName};
use crate::model::pattern::{Action, Resource};
use crate::model::text::Description;
use crate::model::time::Ttl;

/// One request for authority, as the caller put it. Nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRequest {
    /// The system it is for.
    pub target: TargetName,
    /// What is to be done there.
    pub action: Action,
    /// To what; may be empty.
    pub resource: Resource,
    /// Why, as the agent says.
    pub reason: Description,
    /// Facts that the agent asserts.
    pub context: Map<String, Value>,
    /// The subject that it claims to act for.
    pub subject: Option<EntityId>,
    /// The delegation that it claims to act under.
    pub delegation: Option<DelegationId>,
    /// The per-request consent that it presents.
    pub consent: Option<ConsentId>,
    /// The lifetime it asks for; more than allowed is cut, not refused.
    pub ttl: Option<Ttl>,
    /// The number of uses it asks for; more than allowed is cut.
    pub max_uses: Option<u32>,
    /// What it says the request is for. `None`: it did not say.
    pub details: Option<Scope>,
    /// The thumbprint (RFC 7638) of the key that the credential is to be bound
    /// to. Whoever presents the credential must prove to hold it.
    pub key_thumbprint: Option<String>,
}

impl AccessRequest {
    /// A request that asks for one thing and nothing else.
    #[must_use]
    pub fn new(target: TargetName, action: Action, resource: Resource) -> Self {
        Self {
            target,
            action,
            resource,
            reason: Description::default(),
            context: Map::new(),
            subject: None,
            delegation: None,
            consent: None,
            ttl: None,
            max_uses: None,
            details: None,
            key_thumbprint: None,
        }
    }

    /// On whose authority it is made: on behalf of a human as soon as it names
    /// one, or a delegation.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.subject.is_some() || self.delegation.is_some() {
            Mode::OnBehalfOf
        } else {
            Mode::Autonomous
        }
    }
}

/// What was decided.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every layer holds.
    Allow,
    /// Only a human's yes to this very request is missing.
    ConsentRequired,
    /// Some layer does not hold.
    Deny,
}

impl Outcome {
    /// The name in fields, logs and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::ConsentRequired => "consent_required",
            Self::Deny => "deny",
        }
    }
}

/// One of the layers that must all hold, in the order they are reported.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the product's own")]
pub enum Layer {
    Agent,
    Target,
    Ceiling,
    Baseline,
    Delegation,
    Details,
    Consent,
    Limits,
}

impl Layer {
    /// The name in fields, logs and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Target => "target",
            Self::Ceiling => "ceiling",
            Self::Baseline => "baseline",
            Self::Delegation => "delegation",
            Self::Details => "details",
            Self::Consent => "consent",
            Self::Limits => "limits",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident, $code:literal, $sentence:literal;)*) => {
        /// Why a layer does not hold: a stable code for machines, a sentence
        /// that says what to do for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $(
                #[doc = $sentence]
                #[serde(rename = $code)]
                $variant,
            )*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// Whether it can be noted beside what is allowed, see `config/identity`.
            #[must_use]
            pub const fn is_note(self) -> bool {
                matches!(self, Self::AgentOwnerGone | Self::AgentReviewOverdue)
            }

            const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }
    };
}

reasons! {
    AgentUnknown, "agent.unknown", "The caller is not a registered agent: register it under `agents/register`.";
    AgentDisabled, "agent.disabled", "The agent's identity entity is disabled: enable the entity to let it act.";
    AgentGone, "agent.gone", "The agent's identity entity is gone, was merged into another, or has lost its alias: register the agent anew with an entity that is there.";
    AgentOwnerGone, "agent.owner_gone", "The owner of the agent is disabled or gone: an operator names another `owner_entity_id`.";
    AgentReviewOverdue, "agent.review_overdue", "The agent was to be reviewed by now: an operator looks at it and sets a later `review_by`.";
    AgentSuspended, "agent.suspended", "The agent is suspended: an operator can resume it.";
    AgentExpired, "agent.expired", "The agent's registration has expired: its owner can extend `expires_at`.";
    AgentMode, "agent.mode", "The agent may not act in this mode: change its `delegation_modes`, or ask in another mode.";
    TargetUnknown, "target.unknown", "There is no such target: check its name, or define it under `targets/`.";
    TargetAction, "target.action", "The target does not offer this action: ask for one that it lists.";
    TargetResource, "target.resource", "The target does not offer this resource: ask for one that its patterns match.";
    CeilingEmpty, "ceiling.empty", "The agent has no ceiling policy: attach one under `ceiling_policies`.";
    CeilingPolicyMissing, "ceiling.policy_missing", "A ceiling policy of the agent does not exist: write it, or detach it.";
    CeilingDenied, "ceiling.denied", "A rule in the agent's ceiling forbids this.";
    CeilingNoneApplies, "ceiling.none_applies", "No rule in the agent's ceiling allows this: ask for less, or extend a policy.";
    SubjectUnknown, "subject.unknown", "The subject could not be established: name an existing entity.";
    SubjectDisabled, "subject.disabled", "The subject's identity entity is disabled: nobody can act for it.";
    SubjectNotHuman, "subject.not_human", "The subject does not count as a human on this mount: `oversight/delegations/:id` says why, and `config/identity` who does.";
    SubjectMismatch, "subject.mismatch", "The named subject is not the one who delegated: drop it, or name the right one.";
    BaselineNoneGiven, "baseline.none_given", "The subject has no baseline: attach policies to its entity or to one of its groups.";
    BaselineEmpty, "baseline.empty", "The subject's baseline holds no policy: attach one.";
    BaselinePolicyMissing, "baseline.policy_missing", "A policy of the subject's baseline does not exist: write it, or detach it.";
    BaselineDenied, "baseline.denied", "A rule in the subject's baseline forbids this.";
    BaselineNoneApplies, "baseline.none_applies", "No rule in the subject's baseline allows this: the subject may not do it either.";
    DelegationNone, "delegation.none", "No delegation was found that lets the agent act for this subject.";
    DelegationBroken, "delegation.broken", "The chain of delegations does not hold together: ask for a new one.";
    DelegationPending, "delegation.pending", "The subject has not answered yet: wait for the approval.";
    DelegationDenied, "delegation.denied", "The subject refused this delegation.";
    DelegationRevoked, "delegation.revoked", "The delegation was revoked: ask the subject again.";
    DelegationExpired, "delegation.expired", "The delegation has expired: ask the subject again.";
    DelegationUsedUp, "delegation.used_up", "The delegation has no uses left: ask the subject again.";
    DelegationVoid, "delegation.void", "The agent was revoked after it received the delegation: ask the subject again.";
    DelegationUnconsented, "delegation.unconsented", "The delegation carries no record of the subject's consent: ask the subject again.";
    DelegationScope, "delegation.scope", "The delegation does not cover this request: ask the subject for more, or ask for less.";
    DelegationTooDeep, "delegation.too_deep", "The chain of delegations is longer than allowed: ask for a more direct one.";
    DelegationAgent, "delegation.agent", "An agent in the chain may not act any more: ask for a chain without it.";
    DelegationCeiling, "delegation.ceiling", "The ceiling of an agent in the chain does not allow this: ask for a chain without it.";
    DetailsRequired, "details.required", "Authorization details are required: send `authorization_details`.";
    DetailsNotCovered, "details.not_covered", "The authorization details do not cover this request: extend them, or ask for less.";
    DetailsTooLong, "details.too_long", "The resource is too long for a credential to name: use at most 256 bytes.";
    ConsentRequired, "consent.required", "The subject must agree to this very request: have the consent approved, then retry with its id.";
    ConsentPending, "consent.pending", "The subject has not answered yet: wait, then retry with the same consent id.";
    ConsentNoSubject, "consent.no_subject", "This needs a human's consent, and an autonomous request has no human: act on behalf of one.";
    ConsentUnknown, "consent.unknown", "The presented consent does not exist: retry without it to ask anew.";
    ConsentMismatch, "consent.mismatch", "The presented consent is for another request: retry without it to ask anew.";
    ConsentDenied, "consent.denied", "The subject refused this request.";
    ConsentUsed, "consent.used", "The presented consent was used already: retry without it to ask anew.";
    ConsentExpired, "consent.expired", "The presented consent has expired: retry without it to ask anew.";
    ConsentCoolingDown, "consent.cooling_down", "The subject has just refused this action at this target: wait before asking again.";
    LimitsNoTime, "limits.no_time", "No lifetime is left under the limits that apply: ask for more than zero, or extend what expires.";
    LimitsNoUses, "limits.no_uses", "No use is left under the limits that apply: ask for at least one.";
    LimitsUsesUncounted, "limits.uses_uncounted", "A limit on uses applies, and the uses of this credential cannot be counted: drop `max_uses` from the policy, or use a target whose credentials can be counted.";
    ProofRequired, "proof.required", "Proof of possession is required: send a key of your own as `cnf_jwk`.";
    RateExceeded, "rate.exceeded", "The rate that a rule allows is exhausted: retry later.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_written_as_they_are_shown() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert!(reason.to_string().ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn naming_a_human_makes_it_on_behalf_of() {
        let mut request = AccessRequest::new(
            "crm".parse().unwrap(),
            "read".parse().unwrap(),
            Resource::default(),
        );
        assert_eq!(request.mode(), Mode::Autonomous);
        request.subject = Some("entity-1".parse().unwrap());
        assert_eq!(request.mode(), Mode::OnBehalfOf);
        request.subject = None;
        request.delegation = Some("00000000-0000-7000-8000-000000000000".parse().unwrap());
        assert_eq!(request.mode(), Mode::OnBehalfOf);
    }
}
