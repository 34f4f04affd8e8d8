//! One entry of the decision log: who did what, for whom, and what came of it.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::agent::Mode;
use crate::model::decision::{Layer, Outcome, Reason};
use crate::model::ids::{AgentId, ConsentId, CredentialId, DecisionId, DelegationId, EntityId};
use crate::model::time::{Timestamp, Ttl};

/// The most bytes that an entry keeps of any one text.
const LONGEST: usize = 512;
/// The most links of a chain, or reasons, that an entry keeps.
const MOST: usize = 16;

macro_rules! kinds {
    ($($variant:ident, $code:literal, $doc:literal;)*) => {
        /// What was asked for or done.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Kind {
            #[default]
            $(
                #[doc = $doc]
                #[serde(rename = $code)]
                $variant,
            )*
        }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}

kinds! {
    Issue, "issue", "A credential was asked for.";
    Login, "login", "A login was asked for.";
    Renew, "renew", "More time was asked for, of a lease or of a login.";
    Redeem, "redeem", "A use of a credential was asked for.";
    CredentialRevoke, "credential.revoke", "Credentials were revoked.";
    DelegationRequest, "delegation.request", "An agent asked for authority.";
    DelegationGrant, "delegation.grant", "A human gave authority unasked.";
    DelegationApprove, "delegation.approve", "A human gave the authority that was asked for.";
    DelegationDeny, "delegation.deny", "A human refused the authority that was asked for.";
    DelegationRevoke, "delegation.revoke", "Authority was taken back.";
    DelegationDelegate, "delegation.delegate", "An agent passed authority on.";
    ConsentApprove, "consent.approve", "A human agreed to one request.";
    ConsentDeny, "consent.deny", "A human refused one request.";
    AgentSuspend, "agent.suspend", "An agent was suspended.";
    AgentResume, "agent.resume", "An agent was resumed.";
    AgentRevoke, "agent.revoke", "Everything an agent held was revoked.";
    AgentDelete, "agent.delete", "An agent was removed from the registry.";
    AgentForget, "agent.forget", "That somebody was an agent was forgotten.";
    KeyRotate, "key.rotate", "A signing key got a new version.";
    KeyRetire, "key.retire", "A signing key was taken out of use.";
    Govern, "govern", "One who may not govern tried to.";
}

/// One link of a chain of delegations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The delegation.
    pub delegation: DelegationId,
    /// The agent that received it.
    pub agent: AgentId,
}

/// One entry. Its id is the decision's, and sorts by time. It holds no secret:
/// neither a credential nor what an agent asserted as context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its id.
    pub id: DecisionId,
    /// When.
    pub at: Timestamp,
    /// What was asked for or done.
    pub kind: Kind,
    /// What came of it.
    pub outcome: Outcome,
    /// The agent's name; empty if it was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// The agent's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Who answers for the agent, as it was registered then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// The human on whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<EntityId>,
    /// Who did it: an entity id, or a token's display name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caller: String,
    /// On whose authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The chain of delegations, from the human on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Link>,
    /// The target's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// What was to be done there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// To what.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Why, as the one who asked says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// The first layer that does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Layer>,
    /// Why not, as stable codes: the one that decided first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Why not, in a sentence, where there is no code for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
    /// As what the caller was refused, where it may not use the path at all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refused_as: String,
    /// What did not stand in the way, and an operator is to mend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Reason>,
    /// The policy of the rule that decided it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// The rule that decided it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// The lifetime that was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// The uses that were granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    /// The delegation that it is about, or was made under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation_id: Option<DelegationId>,
    /// The consent that it is about, or was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_id: Option<ConsentId>,
    /// The credential that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<CredentialId>,
    /// The server's id of the request, which its audit log shows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The address of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<IpAddr>,
    /// How long it took to decide, in microseconds.
    #[serde(default)]
    pub micros: u64,
}

impl Entry {
    /// An entry that says no more than what was done, and what came of it.
    #[must_use]
    pub const fn new(id: DecisionId, at: Timestamp, kind: Kind, outcome: Outcome) -> Self {
        Self {
            id,
            at,
            kind,
            outcome,
            agent: String::new(),
            agent_id: None,
            owner: String::new(),
            subject: None,
            caller: String::new(),
            mode: None,
            chain: Vec::new(),
            target: String::new(),
            action: String::new(),
            resource: String::new(),
            purpose: String::new(),
            layer: None,
            reasons: Vec::new(),
            problem: String::new(),
            refused_as: String::new(),
            notes: Vec::new(),
            policy: String::new(),
            rule: String::new(),
            ttl: None,
            max_uses: None,
            delegation_id: None,
            consent_id: None,
            jti: None,
            request_id: String::new(),
            remote_address: None,
            micros: 0,
        }
    }

    /// Whether it is about a registered agent. What strangers do is kept
    /// apart, so that it cannot push out what is known of agents.
    #[must_use]
    pub const fn is_of_agent(&self) -> bool {
        self.agent_id.is_some()
    }

    /// The reason that decided it; empty where it was allowed.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reasons.first().map_or("", |reason| reason.as_str())
    }

    /// Cuts what a caller may have made long.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for text in [
            &mut self.agent,
            &mut self.owner,
            &mut self.caller,
            &mut self.target,
            &mut self.action,
            &mut self.resource,
            &mut self.purpose,
            &mut self.problem,
            &mut self.refused_as,
            &mut self.policy,
            &mut self.rule,
            &mut self.request_id,
        ] {
            if text.len() > LONGEST {
                let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
                text.truncate(end.unwrap_or_default());
            }
        }
        self.chain.truncate(MOST);
        self.reasons.truncate(MOST);
        self.notes.truncate(MOST);
        self
    }

    /// No less than the bytes that it takes as JSON.
    #[must_use]
    pub fn weight(&self) -> usize {
        const FRAME: usize = 1_024;
        const LINK: usize = 120;
        const REASON: usize = 40;
        [
            &self.agent,
            &self.owner,
            &self.caller,
            &self.target,
            &self.action,
            &self.resource,
            &self.purpose,
            &self.problem,
            &self.refused_as,
            &self.policy,
            &self.rule,
            &self.request_id,
        ]
        .iter()
        .map(|text| text.len().saturating_mul(2))
        .fold(FRAME, usize::saturating_add)
        .saturating_add(self.chain.len().saturating_mul(LINK))
        .saturating_add(self.reasons.len().saturating_mul(REASON))
        .saturating_add(self.notes.len().saturating_mul(REASON))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest() -> Entry {
        let id = "0192f0c1-2345-7abc-8def-0123456789ab";
        let text = "\\\"é".repeat(LONGEST);
        let mut entry = Entry::new(
            id.parse().unwrap(),
            Timestamp::from_unix(1),
            Kind::DelegationDelegate,
            Outcome::ConsentRequired,
        );
        for field in [
            &mut entry.agent,
            &mut entry.owner,
            &mut entry.caller,
            &mut entry.target,
            &mut entry.action,
            &mut entry.resource,
            &mut entry.purpose,
            &mut entry.problem,
            &mut entry.policy,
            &mut entry.rule,
            &mut entry.request_id,
        ] {
            field.clone_from(&text);
        }
        entry.agent_id = Some(id.parse().unwrap());
        entry.subject = Some("s".repeat(128).parse().unwrap());
        entry.mode = Some(Mode::OnBehalfOf);
        entry.layer = Some(Layer::Delegation);
        entry.reasons = vec![Reason::LimitsUsesUncounted; 100];
        let link = Link {
            delegation: id.parse().unwrap(),
            agent: id.parse().unwrap(),
        };
        entry.chain = vec![link; 100];
        entry.ttl = Some(Ttl::LONGEST);
        entry.max_uses = Some(u32::MAX);
        entry.delegation_id = Some(id.parse().unwrap());
        entry.consent_id = Some(id.parse().unwrap());
        entry.jti = Some(id.parse().unwrap());
        entry.remote_address = Some("2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap());
        entry.micros = u64::MAX;
        entry
    }

    #[test]
    fn the_largest_entry_is_bounded_and_weighed() {
        let entry = largest().bounded();
        let bytes = serde_json::to_vec(&entry).unwrap();
        assert!(bytes.len() <= entry.weight(), "{}", bytes.len());
        assert!(entry.weight() < 16 * 1024);
        assert!(entry.resource.len() <= LONGEST && entry.chain.len() == MOST);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let entry = largest().bounded();
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        let small = Entry::new(
            entry.id,
            Timestamp::from_unix(1),
            Kind::Issue,
            Outcome::Allow,
        );
        let text = serde_json::to_string(&small).unwrap();
        assert!(!text.contains("agent"), "{text}");
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), small);
    }

    #[test]
    fn kinds_are_written_as_they_are_shown() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
