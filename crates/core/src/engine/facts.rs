//! The verified facts that a decision rests on. The shell gathers them; the
//! engine only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::policy::PolicySet;
use super::rate::Charge;
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::decision::AccessRequest;
use crate::model::delegation::Delegation;
use crate::model::identity::{Consequence, Presence};
use crate::model::ids::{ConsentId, EntityId, LocationName};
use crate::model::target::Target;
use crate::model::time::{Timestamp, Ttl};

/// Whether a subject has let the agent at the end of a chain act for it, and
/// that holds now. Without that an agent learns nothing of a subject: whoever
/// gathers the facts for it leaves the subject out.
#[must_use]
pub fn is_consented(request: &AccessRequest, chain: &[Hop], now: Timestamp) -> bool {
    let Some(root) = chain.first().map(|hop| &hop.delegation) else {
        return false;
    };
    let of_subject = request
        .subject
        .as_ref()
        .is_none_or(|named| root.subject.as_ref() == Some(named));
    root.parent().is_none()
        && root.consent.is_some()
        && of_subject
        && chain.iter().all(|hop| hop.delegation.is_alive(now))
}

/// Everything that is known about one request. What could not be established
/// is not there.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The agent that the caller was proven to be.
    pub agent: Option<Actor>,
    /// The target that the request names.
    pub target: Option<Arc<Target>>,
    /// The human on whose behalf it is made.
    pub subject: Option<Subject>,
    /// What the subject may do.
    pub baseline: Baseline,
    /// The chain of delegations, from the subject's own to the agent's.
    pub chain: Vec<Hop>,
    /// What became of the consent that the request presents.
    pub consent: Option<ConsentFacts>,
    /// The authorization details of the token that the caller presented.
    pub token_details: Option<Scope>,
    /// Whether a request without authorization details is refused.
    pub details_required: bool,
    /// What follows where an operator has something to mend.
    pub upkeep: Upkeep,
    /// When and whence.
    pub environment: Environment,
    /// The limits of the mount.
    pub bounds: Bounds,
    /// How much of each rate is used.
    pub counts: Arc<dyn RateCounts>,
}

/// An agent, with what bounds it.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Its registration.
    pub agent: Arc<Agent>,
    /// How its identity entity stands.
    pub presence: Presence,
    /// Whether whoever answers for it is disabled or gone.
    pub owner_gone: bool,
    /// Its ceiling.
    pub ceiling: Arc<PolicySet>,
}

/// The human on whose behalf an agent acts, as the host's identity store knows
/// them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The entity.
    pub id: EntityId,
    /// Its name.
    pub name: String,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Whether it counts as a human's.
    pub is_human: bool,
    /// The names of the groups it is in, directly and through other groups. The
    /// host does not tell them apart by case, and so nothing here does.
    pub groups: BTreeSet<String>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
}

/// What a subject may do.
#[derive(Clone, Debug)]
pub enum Baseline {
    /// None is given, and the mount lets such subjects do anything.
    Unrestricted,
    /// These policies allow it.
    Policies(Arc<PolicySet>),
    /// None is given, and the mount refuses such subjects.
    NoneGiven,
}

/// One link of a chain of delegations.
#[derive(Clone, Debug)]
pub struct Hop {
    /// The delegation.
    pub delegation: Arc<Delegation>,
    /// The agent that received it; `None` if it is not registered any more.
    pub agent: Option<Actor>,
}

/// What became of a per-request consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentFacts {
    /// Its id.
    pub id: ConsentId,
    /// Who was asked.
    pub subject: EntityId,
    /// Whether the hash it is bound to is that of this request.
    pub matches_request: bool,
    /// Where it stands.
    pub state: ConsentState,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// The lifetime of the credential that the subject was shown.
    pub ttl: Option<Ttl>,
    /// How many uses of it the subject was shown.
    pub max_uses: Option<u32>,
}

/// Where a per-request consent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsentState {
    /// The subject has not answered.
    Pending,
    /// The subject said yes.
    Approved,
    /// The subject said no.
    Denied,
    /// It was used.
    Used,
}

/// What follows where an operator has something to mend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Whoever answers for an agent is disabled or gone.
    pub owner_gone: Consequence,
    /// An agent was to be looked at by now.
    pub review_overdue: Consequence,
}

/// When a request is made, and whence.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The one instant of this decision.
    pub now: Timestamp,
    /// The address of the connection, as the host reports it.
    pub remote_addr: Option<IpAddr>,
    /// The named network ranges of the mount.
    pub locations: Arc<BTreeMap<LocationName, Vec<IpNet>>>,
}

/// The limits that the mount sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The lifetime where neither request nor target names one.
    pub default_ttl: Ttl,
    /// The longest lifetime that the mount's settings allow.
    pub max_ttl: Ttl,
    /// The longest lease that the host allows this mount.
    pub mount_max_ttl: Ttl,
    /// The longest chain of delegations.
    pub max_delegation_depth: u8,
    /// Whether the uses of a credential can be counted. Where they cannot, a
    /// request that may be used so many times only is refused.
    pub counts_uses: bool,
}

/// Read access to the counters of rates.
pub trait RateCounts: Send + Sync + fmt::Debug {
    /// How much of the charge's rate is used in the window that ends at `now`.
    fn count(&self, charge: &Charge, now: Timestamp) -> u32;
}

/// Counters that never counted: for dry runs offline, and for mounts without
/// rates.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCounts;

impl RateCounts for NoCounts {
    fn count(&self, _: &Charge, _: Timestamp) -> u32 {
        0
    }
}
