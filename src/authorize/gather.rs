//! Facts in: all that a decision rests on, read once, and nothing written. A dry run
//! gathers the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::facts::{
    Actor, Baseline, Bounds, Environment, Facts, RateCounts, Subject, Upkeep, is_consented,
};
use crate::facts::config::store::BaselineRule;
use crate::facts::identity::upkeep::owner_gone;
use crate::facts::identity::{caller, human, presence};
use crate::grants::Cx;
use crate::grants::consents::presented;
use crate::grants::delegations::chain;
use crate::host::framework::error::Result;
use crate::host::framework::system::Group;
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::decision::AccessRequest;
use crate::model::identity::Presence;
use crate::model::ids::{EntityId, PolicyName};
use crate::model::time::Ttl;
use crate::record::decisions::entry::Kind;

/// The facts of a request, and what a replay needs to gather some of them
/// anew.
#[derive(Debug)]
pub struct Gathered {
    /// The facts.
    pub facts: Facts,
    /// The names of the policies of the subject's baseline.
    pub baseline: Option<Vec<PolicyName>>,
}

/// Who asks, as far as that was proven.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// The agent. `None`: nobody that is registered.
    pub agent: Option<Arc<Agent>>,
    /// How the agent's entity stands.
    pub presence: Presence,
    /// The authorization details of the token that it presented.
    pub token_details: Option<Scope>,
    /// For how long what it presented grants anything; no bound of its own
    /// where it proves an identity only. Not part of the request: consent binds
    /// that.
    pub granted_for: Option<Ttl>,
    /// What it asks for, as the decision log says it. Default: a credential.
    pub kind: Kind,
    /// Whether the answer is an operator's, who may learn of subjects what the
    /// agent may not. Default: no.
    pub sees_all: bool,
    /// Whether something is decided, so that a baseline may learn the id of its
    /// group. Default: no, as in a dry run.
    pub learns: bool,
}

impl Default for Applicant {
    /// Nobody.
    fn default() -> Self {
        Self {
            agent: None,
            presence: Presence::Gone,
            token_details: None,
            granted_for: None,
            kind: Kind::default(),
            sees_all: false,
            learns: false,
        }
    }
}

impl Applicant {
    /// A registered agent, as the host knows it now.
    ///
    /// # Errors
    /// If the host does not say.
    pub async fn agent(cx: &Cx, agent: Arc<Agent>) -> Result<Self> {
        Ok(Self {
            presence: presence::of_agent(cx, &agent).await?,
            agent: Some(agent),
            ..Self::default()
        })
    }

    /// The agent whose entity the caller's token belongs to.
    ///
    /// # Errors
    /// If storage or the host cannot say.
    pub async fn caller(cx: &Cx) -> Result<Self> {
        let caller = caller::of(cx).await?;
        Ok(Self {
            agent: caller.agent.clone(),
            presence: caller.presence,
            ..Self::default()
        })
    }
}

/// Gathers the facts of a request by `applicant`. Reads only; a dry run gathers
/// the same.
///
/// # Errors
/// If the host or storage cannot say. What is not there is no error: the
/// decision denies for it.
pub async fn gather(cx: &Cx, request: &AccessRequest, applicant: Applicant) -> Result<Gathered> {
    let config = cx.config().await?;
    let library = cx.library().await?;
    let target = cx.facts.targets.get(&request.target).await?;
    let identity = cx.identity().await?;
    let actor = match applicant.agent {
        Some(agent) => Some(Actor {
            ceiling: library.ceiling(&agent),
            owner_gone: owner_gone(cx, identity, &agent).await?,
            agent,
            presence: applicant.presence,
        }),
        None => None,
    };
    let chain = chain::of_request(cx, request, actor.as_ref(), library).await?;
    let of_chain = chain.last().and_then(|hop| hop.delegation.subject.as_ref());
    // INVARIANT: an agent learns nothing, not even by the reason of a denial,
    // of a subject that has not let it act for it.
    let may_learn = applicant.sees_all || is_consented(request, &chain, cx.now);
    let named = request.subject.as_ref().or(of_chain);
    let subject = match named.filter(|_| may_learn) {
        Some(id) => subject(cx, id).await?,
        None => None,
    };
    let presented = presented::of_request(cx, request, actor.as_ref(), target.as_deref(), &chain);
    let consent = presented.await?;
    let baseline = match &subject {
        Some((subject, groups)) => cx.facts.baselines.of_subject(&subject.id, groups).await?,
        None => None,
    };
    if let Some((_, groups)) = subject.as_ref().filter(|_| applicant.learns) {
        cx.facts.baselines.saw(groups, cx.now).await?;
    }
    let subject = subject.map(|(subject, _)| subject);
    let details_required = actor
        .as_ref()
        .is_some_and(|actor| !actor.agent.optional_authorization_details);
    let facts = Facts {
        agent: actor,
        target,
        subject,
        baseline: match (&baseline, config.baseline_rule) {
            (Some(names), _) => Baseline::Policies(library.attach(names)),
            (None, BaselineRule::Deny) => Baseline::NoneGiven,
            (None, BaselineRule::Unrestricted) => Baseline::Unrestricted,
        },
        chain,
        consent,
        token_details: applicant.token_details,
        details_required,
        upkeep: Upkeep {
            owner_gone: identity.owner_gone,
            review_overdue: identity.review_overdue,
        },
        environment: Environment {
            now: cx.now,
            remote_addr: cx.caller.remote_addr,
            locations: Arc::clone(cx.locations().await?),
        },
        bounds: Bounds {
            default_ttl: config.default_ttl,
            max_ttl: config.max_ttl,
            mount_max_ttl: match applicant.granted_for {
                Some(left) => cx.lease_limit().await?.min(left),
                None => cx.lease_limit().await?,
            },
            max_delegation_depth: config.max_delegation_depth,
            // Who verifies a credential with limited uses redeems each.
            counts_uses: true,
        },
        counts: Arc::clone(&cx.grants.rates) as Arc<dyn RateCounts>,
    };
    Ok(Gathered { facts, baseline })
}

/// The subject as the host knows it now, with its groups. An entity that was
/// merged into another is not the one that was named.
async fn subject(cx: &Cx, id: &EntityId) -> Result<Option<(Subject, Vec<Group>)>> {
    let known = human::known(cx, id).await?;
    let is_human = known.why_not.is_none();
    let Some(entity) = known.entity.filter(|entity| entity.id == id.as_str()) else {
        return Ok(None);
    };
    let groups = known.groups;
    let subject = Subject {
        id: id.clone(),
        name: entity.name,
        disabled: entity.disabled,
        is_human,
        groups: groups
            .iter()
            .map(|group| group.name.clone())
            .collect::<BTreeSet<_>>(),
        metadata: entity.metadata,
    };
    Ok(Some((subject, groups)))
}
