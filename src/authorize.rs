//! Where I/O meets judgement: gather the facts, decide, record.
//!
//! Read this file and `engine/decide.rs`, and you have read the product.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::facts::{
    Actor, Baseline, Bounds, Environment, Facts, RateCounts, Subject, Upkeep, is_consented,
};
use crate::engine::{self, Decision, Permit};
use crate::facts::config::store::{BaselineRule, Config, DenialDetail};
use crate::facts::events;
use crate::facts::identity::upkeep::owner_gone;
use crate::facts::identity::{caller, human, presence};
use crate::grants::Cx;
use crate::grants::consents::ask::{self, Asked};
use crate::grants::consents::presented;
use crate::grants::delegations::{chain, uses};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::system::Group;
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::consent::HumanConsent;
use crate::model::decision::{AccessRequest, Outcome, Reason};
use crate::model::identity::Presence;
use crate::model::ids::{DecisionId, EntityId, PolicyName};
use crate::model::time::Ttl;
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::log;
use crate::record::decisions::recent::Decided;

/// A request that was decided and allowed.
#[derive(Debug)]
pub struct Granted {
    /// The decision's id.
    pub decision: DecisionId,
    /// The permit. Issuing takes nothing else.
    pub permit: Permit,
    /// What did not stand in the way, and an operator is to mend.
    pub notes: Vec<Reason>,
}

/// A request that a human must agree to first.
#[derive(Debug)]
pub struct Waiting {
    /// The decision's id.
    pub decision: DecisionId,
    /// What the human is asked.
    pub consent: Arc<HumanConsent>,
}

/// What became of a request that was not denied.
#[derive(Debug)]
pub enum Authorized {
    /// It was allowed.
    Granted(Box<Granted>),
    /// A human must agree to it first.
    Waits(Waiting),
}

impl Authorized {
    /// The permit, for callers whose answer cannot say that a human must agree
    /// first.
    ///
    /// # Errors
    /// [`Error::Denied`] with a text that names the consent.
    pub fn granted(self) -> Result<Granted> {
        match self {
            Self::Granted(granted) => Ok(*granted),
            Self::Waits(Waiting { decision, consent }) => {
                let (id, reason) = (&consent.id, Reason::ConsentRequired);
                Err(Error::Denied(format!(
                    "denied ({}): {reason} The consent is {id}; once it is approved under `consents/{id}`, retry with `consent_id={id}`. Decision {decision}.",
                    reason.as_str()
                )))
            }
        }
    }
}

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

/// Decides a request by `applicant`, and records the decision. What may be used
/// once, or so many times, is used up by it.
///
/// # Errors
/// [`Error::Denied`] with as much as the mount tells a refused caller;
/// [`Error::Host`] if a fact cannot be established.
pub async fn authorize_as(
    cx: &Cx,
    applicant: Applicant,
    request: AccessRequest,
) -> Result<Authorized> {
    let began = Instant::now();
    let kind = applicant.kind;
    let applicant = Applicant {
        learns: true,
        ..applicant
    };
    // Before anything is decided: no decision may stay unrecorded.
    let config = cx.facts.config.get().await?;
    let gathered = gather(cx, &request, applicant).await?;
    let mut decision = engine::decide(&request, &gathered.facts);
    let id = DecisionId::mint(cx.now, cx.random()?);
    let settled = settle(cx, &request, &gathered.facts, &mut decision).await;
    let entry_of = |outcome, raced, waits| {
        let made = log::Made {
            kind,
            id: &id,
            outcome,
            decision: &decision,
            raced,
            waits,
            began,
        };
        log::of_decision(cx, &made, &request, &gathered.facts)
    };
    let settled = match settled {
        Ok(settled) => settled,
        Err(error) => {
            let entry = entry_of(Outcome::Deny, None, None);
            unsettled(cx, entry, &error, config.denial_detail);
            return Err(error);
        }
    };
    let notes = &decision.notes;
    let (mut raced, mut waits) = (None, None);
    let (outcome, answer) = match settled {
        Settled::Permitted(permit) => {
            let decision = id.clone();
            let permit = *permit;
            let notes = notes.clone();
            let granted = Granted {
                decision,
                permit,
                notes,
            };
            (Outcome::Allow, Ok(Authorized::Granted(Box::new(granted))))
        }
        Settled::Waits(consent) => {
            waits = Some(consent.id.clone());
            let decision = id.clone();
            let waiting = Waiting { decision, consent };
            (Outcome::ConsentRequired, Ok(Authorized::Waits(waiting)))
        }
        Settled::Denied(why) => {
            raced = why;
            let refusal = match why {
                Some(reason) => told(&config, &id, reason, ""),
                None => explained(&config, &id, &decision, &request, &gathered.facts),
            };
            (Outcome::Deny, Err(Error::Denied(refusal)))
        }
    };
    let entry = entry_of(outcome, raced, waits);
    if outcome != Outcome::Allow {
        cx.noted.put(log::told(
            &entry,
            config.denial_detail != DenialDetail::None,
        ));
    }
    let decided = Decided {
        id,
        outcome,
        request,
        facts: gathered.facts,
        baseline: gathered.baseline,
    };
    log::record_decision(cx, entry, decided);
    answer
}

/// Records that nothing came of a decision. What another node is to decide, it
/// records.
fn unsettled(cx: &Cx, entry: Entry, error: &Error, detail: DenialDetail) {
    if *error == Error::forward() {
        return;
    }
    cx.noted
        .put(log::told(&entry, detail != DenialDetail::None));
    log::record(
        cx,
        Entry {
            problem: events::problem(error),
            ..entry
        },
    );
}

/// What a decision comes to, once what it rests on is used up or asked for.
enum Settled {
    Permitted(Box<Permit>),
    Waits(Arc<HumanConsent>),
    /// With why, if it is not for what the decision says.
    Denied(Option<Reason>),
}

/// Uses up what the decision rests on, or asks the human whom it wants asked.
async fn settle(
    cx: &Cx,
    request: &AccessRequest,
    facts: &Facts,
    decision: &mut Decision,
) -> Result<Settled> {
    if let Some(permit) = decision.permit.take() {
        if cx
            .grants
            .rates
            .try_charge(&decision.charges, cx.now)
            .is_err()
        {
            return Ok(Settled::Denied(Some(Reason::RateExceeded)));
        }
        return Ok(match uses::spend(cx, &permit).await? {
            Some(raced) => Settled::Denied(Some(raced)),
            None => Settled::Permitted(Box::new(permit)),
        });
    }
    match decision.outcome {
        Outcome::ConsentRequired => match ask::ask(cx, request, facts, decision).await? {
            Asked::Waits(consent) => Ok(Settled::Waits(consent)),
            Asked::Refused(reason) => Ok(Settled::Denied(Some(reason))),
        },
        Outcome::Allow | Outcome::Deny => Ok(Settled::Denied(None)),
    }
}

/// Gathers the facts of a request by `applicant`. Reads only; a dry run gathers
/// the same.
///
/// # Errors
/// If the host or storage cannot say. What is not there is no error: the
/// decision denies for it.
pub async fn gather(cx: &Cx, request: &AccessRequest, applicant: Applicant) -> Result<Gathered> {
    let config = cx.facts.config.get().await?;
    let library = cx.facts.policies.library().await?;
    let target = cx.facts.targets.get(&request.target).await?;
    let identity = cx.facts.identity.get().await?;
    let actor = match applicant.agent {
        Some(agent) => Some(Actor {
            ceiling: library.ceiling(&agent),
            owner_gone: owner_gone(cx, &identity, &agent).await?,
            agent,
            presence: applicant.presence,
        }),
        None => None,
    };
    let chain = chain::of_request(cx, request, actor.as_ref(), &library).await?;
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
            locations: cx.facts.locations.all().await?,
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

fn explained(
    config: &Config,
    id: &DecisionId,
    decision: &Decision,
    request: &AccessRequest,
    facts: &Facts,
) -> String {
    let reason = decision.reason().unwrap_or(Reason::CeilingNoneApplies);
    let mut more = String::new();
    if config.denial_detail == DenialDetail::Full {
        let explanation = decision.explain(request, facts);
        for layer in explanation
            .layers
            .iter()
            .filter(|layer| layer.reason.is_some())
        {
            let _ = write!(more, " Layer {}:", layer.layer.as_str());
            if let Some(rule) = &layer.rule {
                let _ = write!(more, " rule `{rule}` decided;");
            }
            if let Some(rule) = &layer.nearest_rule {
                let lacked: Vec<String> = layer
                    .lacked
                    .iter()
                    .map(|lack| format!("{} {}", lack.dimension, lack.wanted))
                    .collect();
                let _ = write!(
                    more,
                    " nearest was `{rule}`, which wants {};",
                    lacked.join(", ")
                );
            }
            if let Some(message) = &layer.message {
                let _ = write!(more, " {message}");
            }
        }
    }
    told(config, id, reason, &more)
}

/// What a refused caller is told.
fn told(config: &Config, id: &DecisionId, reason: Reason, more: &str) -> String {
    match config.denial_detail {
        DenialDetail::None => format!("denied; decision {id}"),
        DenialDetail::Reason | DenialDetail::Full => format!(
            "denied ({}): {reason}{more} Decision {id}.",
            reason.as_str()
        ),
    }
}
