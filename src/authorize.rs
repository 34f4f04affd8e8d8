//! Where I/O meets judgement: gather the facts, decide, record.
//!
//! Read this file and `engine/decide.rs`, and you have read the product.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::config::store::{BaselineRule, Config, DenialDetail};
use crate::decisions::recent::Decided;
use crate::engine::facts::{Actor, Baseline, Bounds, Environment, Facts, RateCounts, Subject};
use crate::engine::{self, Decision, Permit};
use crate::framework::error::{Error, Result};
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::decision::{AccessRequest, Outcome, Reason};
use crate::model::ids::{DecisionId, EntityId, PolicyName};
use crate::state::Cx;

/// A request that was decided and allowed.
#[derive(Debug)]
pub struct Granted {
    /// The decision's id.
    pub decision: DecisionId,
    /// The permit. Issuing takes nothing else.
    pub permit: Permit,
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
#[derive(Clone, Debug, Default)]
pub struct Applicant {
    /// The agent. `None`: nobody that is registered.
    pub agent: Option<Arc<Agent>>,
    /// Whether the agent's entity is disabled.
    pub disabled: bool,
    /// The authorization details of the token that it presented.
    pub token_details: Option<Scope>,
}

impl Applicant {
    /// The agent whose entity the caller's token belongs to.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn caller(cx: &Cx) -> Result<Self> {
        let agent = match &cx.caller.entity_id {
            Some(entity) => cx.agents.by_entity(entity).await?,
            None => None,
        };
        // The host refuses the tokens of a disabled entity, so a caller's is not.
        Ok(Self {
            agent,
            ..Self::default()
        })
    }
}

/// Decides the caller's own request, and records the decision.
///
/// # Errors
/// As [`authorize_as`].
pub async fn authorize(cx: &Cx, request: AccessRequest) -> Result<Granted> {
    authorize_as(cx, Applicant::caller(cx).await?, request).await
}

/// Decides a request by `applicant`, and records the decision.
///
/// # Errors
/// [`Error::Denied`] with as much as the mount tells a refused caller;
/// [`Error::Host`] if a fact cannot be established.
pub async fn authorize_as(
    cx: &Cx,
    applicant: Applicant,
    request: AccessRequest,
) -> Result<Granted> {
    let gathered = gather(cx, &request, applicant).await?;
    let mut decision = engine::decide(&request, &gathered.facts);
    let id = DecisionId::mint(cx.now, cx.random()?);
    let permit = decision.permit.take();
    let raced = permit.is_some() && cx.rates.try_charge(&decision.charges, cx.now).is_err();
    let outcome = if raced {
        Outcome::Deny
    } else {
        decision.outcome
    };
    let answer = match permit {
        Some(permit) if !raced => Ok(Granted {
            decision: id.clone(),
            permit,
        }),
        _ => {
            let config = cx.config.get().await?;
            let refusal = if raced {
                told(&config, &id, Reason::RateExceeded, "")
            } else {
                explained(&config, &id, &decision, &request, &gathered.facts)
            };
            Err(Error::Denied(refusal))
        }
    };
    // Strangers must not push out of memory what is remembered of agents.
    if gathered.facts.agent.is_some() {
        cx.recent.push(Decided {
            id,
            outcome,
            request,
            facts: gathered.facts,
            baseline: gathered.baseline,
        });
    }
    answer
}

/// Gathers the facts of a request by `applicant`. Reads only; a dry run gathers
/// the same.
///
/// # Errors
/// If the host or storage cannot say. What is not there is no error: the
/// decision denies for it.
pub async fn gather(cx: &Cx, request: &AccessRequest, applicant: Applicant) -> Result<Gathered> {
    let config = cx.config.get().await?;
    let library = cx.policies.library().await?;
    let target = cx.targets.get(&request.target).await?;
    let subject = match &request.subject {
        Some(id) => subject(cx, id).await?,
        None => None,
    };
    let baseline = match &subject {
        Some(subject) => {
            cx.baselines
                .of_subject(&subject.id, &subject.groups)
                .await?
        }
        None => None,
    };
    let details_required = applicant
        .agent
        .as_ref()
        .is_some_and(|agent| !agent.optional_authorization_details);
    let facts = Facts {
        agent: applicant.agent.map(|agent| Actor {
            ceiling: library.ceiling(&agent),
            agent,
            disabled: applicant.disabled,
        }),
        target,
        subject,
        baseline: match (&baseline, config.baseline_rule) {
            (Some(names), _) => Baseline::Policies(library.attach(names)),
            (None, BaselineRule::Deny) => Baseline::NoneGiven,
            (None, BaselineRule::Unrestricted) => Baseline::Unrestricted,
        },
        chain: Vec::new(),
        consent: None,
        token_details: applicant.token_details,
        details_required,
        environment: Environment {
            now: cx.now,
            remote_addr: cx.caller.remote_addr,
            locations: cx.locations.all().await?,
        },
        bounds: Bounds {
            default_ttl: config.default_ttl,
            max_ttl: config.max_ttl,
            mount_max_ttl: cx.lease_limit().await?,
            max_delegation_depth: config.max_delegation_depth,
            // A JWT is verified offline: nobody counts how often.
            counts_uses: false,
        },
        counts: Arc::clone(&cx.rates) as Arc<dyn RateCounts>,
    };
    Ok(Gathered { facts, baseline })
}

/// A human as the host knows them now. An entity that was merged into another
/// is not the one that was named.
async fn subject(cx: &Cx, id: &EntityId) -> Result<Option<Subject>> {
    let (entity, groups) = tokio::try_join!(cx.system.entity(id), cx.system.groups(id))?;
    Ok(entity
        .filter(|entity| entity.id == id.as_str())
        .map(|entity| Subject {
            id: id.clone(),
            name: entity.name,
            disabled: entity.disabled,
            groups: groups.into_iter().collect::<BTreeSet<_>>(),
            metadata: entity.metadata,
        }))
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
