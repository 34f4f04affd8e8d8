//! What callers ask for, checked; and less than what was asked for.

use serde_json::{Map, Value};

use crate::facts::config::store::Config;
use crate::facts::identity::{caller, upkeep};
use crate::grants::Cx;
use crate::grants::consents::words::Wanted;
use crate::host::framework::error::{Error, Result};
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::delegation::{Delegation, DelegationStatus, Delegator};
use crate::model::ids::DelegationId;
use crate::model::text::Description;
use crate::model::time::Ttl;

use std::sync::Arc;

/// How long a delegation lasts where nobody says.
pub const DEFAULT_LIFE: Ttl = Ttl::from_secs(24 * 3600);

/// The most bytes of a scope, as JSON. It is shown to people, all of it.
const MAX_SCOPE: usize = 4096;

/// The terms of a delegation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What it is for.
    pub scope: Scope,
    /// Why.
    pub purpose: Description,
    /// How long it lasts.
    pub ttl: Ttl,
    /// The longest lifetime of a credential under it.
    pub max_ttl: Option<Ttl>,
    /// How many credentials may be issued under it.
    pub max_uses: Option<u32>,
}

/// What callers can say of the terms. Zero stands for "not limited" where a
/// limit can be left out, as in what is read back.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What it is for, as authorization details.
    pub scope: Option<Vec<Map<String, Value>>>,
    /// Why.
    pub purpose: Option<Description>,
    /// How long it lasts.
    pub ttl: Option<Ttl>,
    /// The longest lifetime of a credential under it.
    pub max_ttl: Option<Ttl>,
    /// How many credentials may be issued under it.
    pub max_uses: Option<u32>,
}

impl Terms {
    /// The terms that a delegation has, or is to have.
    #[must_use]
    pub fn of(delegation: &Delegation) -> Self {
        Self {
            scope: delegation.scope.clone(),
            purpose: delegation.purpose.clone(),
            ttl: delegation.ttl,
            max_ttl: delegation.max_ttl,
            max_uses: delegation.max_uses,
        }
    }

    /// The same in the words of [`crate::grants::consents::words`].
    #[must_use]
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            scope: &self.scope,
            purpose: self.purpose.as_str(),
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            max_uses: self.max_uses,
        }
    }

    /// A new delegation to `agent` on these terms, of which its subject sees
    /// `text`: nobody has agreed to it yet, and whose it is stays open.
    ///
    /// # Errors
    /// If there is no randomness for its id.
    pub fn asked(self, cx: &Cx, agent: &Agent, text: String) -> Result<Delegation> {
        Ok(Delegation {
            id: DelegationId::mint(cx.now, cx.random()?),
            subject: None,
            agent: agent.id.clone(),
            agent_epoch: agent.epoch,
            delegator: Delegator::Subject,
            scope: self.scope,
            purpose: self.purpose,
            status: DelegationStatus::Pending,
            created_at: cx.now,
            expires_at: cx.now,
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            max_uses: self.max_uses,
            uses: 0,
            consent: None,
            code: None,
            text,
            answer: None,
        })
    }

    /// The terms of something new.
    ///
    /// # Errors
    /// What is missing or wrong, by field.
    pub fn new(given: Given, config: &Config) -> Result<Self> {
        let Some(scope) = given.scope else {
            return Err(Error::Invalid(
                "missing required field \"scope\": say what for, as authorization details"
                    .to_owned(),
            ));
        };
        let ttl = given
            .ttl
            .unwrap_or_else(|| DEFAULT_LIFE.min(config.max_delegation_ttl));
        if ttl.is_zero() || ttl > config.max_delegation_ttl {
            return Err(Error::field(
                "ttl",
                format_args!(
                    "must be at least 1s and at most the mount's `max_delegation_ttl`, {}",
                    config.max_delegation_ttl
                ),
            ));
        }
        Ok(Self {
            scope: read_scope(scope)?,
            purpose: given.purpose.unwrap_or_default(),
            ttl,
            max_ttl: given.max_ttl.filter(|ttl| !ttl.is_zero()),
            max_uses: given.max_uses.filter(|uses| *uses > 0),
        })
    }

    /// These terms, or less of them: what is not given stays as it is.
    ///
    /// # Errors
    /// What is wider, by field.
    pub fn narrowed(&self, given: Given) -> Result<Self> {
        let wider = |field: &str, than: String| {
            Err(Error::field(
                field,
                format_args!("is more than was asked for, which is {than}; approve that or less"),
            ))
        };
        let mut terms = self.clone();
        if let Some(scope) = given.scope {
            terms.scope = read_scope(scope)?;
            check_covers(&self.scope, &terms.scope, "what was asked for")?;
        }
        if let Some(ttl) = given.ttl {
            if ttl.is_zero() {
                return Err(Error::field("ttl", "must be at least 1s"));
            }
            if ttl > self.ttl {
                return wider("ttl", self.ttl.to_string());
            }
            terms.ttl = ttl;
        }
        if let Some(most) = given.max_ttl {
            let most = Some(most).filter(|ttl| !ttl.is_zero());
            if !is_no_more(most, self.max_ttl) {
                return wider("max_ttl", self.max_ttl.unwrap_or_default().to_string());
            }
            terms.max_ttl = most;
        }
        if let Some(most) = given.max_uses {
            let most = Some(most).filter(|uses| *uses > 0);
            if !is_no_more(most, self.max_uses) {
                return wider("max_uses", self.max_uses.unwrap_or_default().to_string());
            }
            terms.max_uses = most;
        }
        Ok(terms)
    }
}

/// Whether a limit is no more than another; none is no limit.
fn is_no_more<T: PartialOrd>(limit: Option<T>, other: Option<T>) -> bool {
    match (limit, other) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(limit), Some(other)) => limit <= other,
    }
}

/// The smaller of two limits; none is no limit.
#[must_use]
pub fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Reads a scope that is to be passed on: it stands for something.
///
/// # Errors
/// `invalid_authorization_details`, with what is wrong (RFC 9396 5).
pub fn read_scope(details: Vec<Map<String, Value>>) -> Result<Scope> {
    let details = Value::Array(details.into_iter().map(Value::Object).collect());
    let scope = Scope::from_json(&details).map_err(|problem| Error::field("scope", problem))?;
    if details.to_string().len() > MAX_SCOPE {
        return Err(Error::field(
            "scope",
            format_args!("may take at most {MAX_SCOPE} bytes as JSON: people must read it"),
        ));
    }
    if scope.is_empty() {
        return Err(Error::field(
            "scope",
            "must hold at least one authorization detail; none stands for nothing",
        ));
    }
    Ok(scope)
}

/// Checks that one scope holds all of another, and names what is wider.
///
/// # Errors
/// The first part that is.
pub fn check_covers(outer: &Scope, inner: &Scope, what: &str) -> Result<()> {
    for detail in inner.details() {
        let covered = Scope::new(vec![detail.clone()]).is_ok_and(|one| outer.covers(&one));
        if !covered {
            let part = serde_json::to_string(detail).unwrap_or_default();
            return Err(Error::field(
                "scope",
                format_args!("{part} is wider than {what}; leave it out or narrow it"),
            ));
        }
    }
    // What every part is covered in, the whole is.
    Ok(())
}

/// The caller as an agent that may act for humans.
///
/// # Errors
/// [`Error::Denied`], with why.
pub async fn acting_agent(cx: &Cx) -> Result<Arc<Agent>> {
    let caller = caller::of(cx).await?;
    let Some(agent) = caller.agent.clone() else {
        return Err(Error::Denied(
            "only a registered agent can do this: your token's entity is none".to_owned(),
        ));
    };
    match upkeep::unable(&agent, cx) {
        Some(problem) => Err(Error::Denied(problem)),
        None => Ok(agent),
    }
}
