//! `delegations/`: what is the caller's, and pages of any list of delegations.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::identity::human;
use crate::grants::delegations::store::Whose;
use crate::grants::delegations::view::{brief, known_to_agent, standing};
use crate::grants::{Cx, MOST_IN_LIST};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::model::ids::{DelegationId, EntityId};

/// How many a page shows where nobody says.
const USUAL_IN_LIST: u32 = 100;
/// The most that are looked at for one page, where a status is asked for.
const MOST_LOOKED_AT: usize = 2_000;
/// How many are looked at with one call to storage then.
const LOOKED_AT_ONCE: usize = 200;

/// List your delegations: an agent those it received, a human those of its own.
///
/// Those of others are not there; operators find all under `oversight/`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListDelegations {
    /// Only those that stand so: `pending`, `active`, `denied`, `revoked`,
    /// `expired` or `used_up`.
    #[serde(default)]
    status: String,
    /// Show ids after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many, up to 1000; 0 shows 100.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListDelegations {
    const PLACE: Place = Place {
        path: "delegations",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let Some(entity) = &cx.caller.entity_id else {
            return Err(Error::Denied(
                "your token has no identity entity, so no delegation is yours; operators list all under `oversight/delegations`".to_owned(),
            ));
        };
        let mut page = Page::new(&self.status, &self.after, self.limit)?;
        let agent = cx.facts.agents.by_entity(entity).await?;
        page.is_for_agent = agent.is_some();
        let whose = match &agent {
            Some(agent) => Whose::Agent(&agent.id),
            None => Whose::Subject(entity),
        };
        page.of(cx, whose).await
    }
}

/// Why subjects do not count as humans, each asked for once.
#[derive(Debug, Default)]
struct Problems(BTreeMap<EntityId, String>);

impl Problems {
    async fn of(&mut self, cx: &Cx, subject: Option<&EntityId>) -> Result<String> {
        let Some(subject) = subject else {
            return Ok(String::new());
        };
        if let Some(known) = self.0.get(subject) {
            return Ok(known.clone());
        }
        let why_not = human::why_not(cx, subject).await?;
        let problem = why_not.map(|why| why.to_string()).unwrap_or_default();
        self.0.insert(subject.clone(), problem.clone());
        Ok(problem)
    }
}

/// Which page of a list is asked for.
#[derive(Debug)]
pub struct Page<'a> {
    status: &'a str,
    after: Option<DelegationId>,
    limit: usize,
    // Agents are not told why somebody is no human.
    is_for_agent: bool,
}

impl<'a> Page<'a> {
    /// A page, from what callers say.
    ///
    /// # Errors
    /// If there is no such status, or `after` is no id.
    pub fn new(status: &'a str, after: &str, limit: u32) -> Result<Self> {
        const KNOWN: [&str; 7] = [
            "", "pending", "active", "denied", "revoked", "expired", "used_up",
        ];
        if !KNOWN.contains(&status) {
            return Err(Error::field(
                "status",
                "must be `pending`, `active`, `denied`, `revoked`, `expired` or `used_up`",
            ));
        }
        let after = match after {
            "" => None,
            id => Some(id.parse().map_err(|why| Error::field("after", why))?),
        };
        let limit = match limit {
            0 => USUAL_IN_LIST,
            limit => limit.min(MOST_IN_LIST),
        };
        Ok(Self {
            status,
            after,
            limit: usize::try_from(limit).unwrap_or_default(),
            is_for_agent: false,
        })
    }

    /// The page. Where a status is asked for, a bounded number is looked at,
    /// and a warning says where to go on.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn of(mut self, cx: &Cx, whose: Whose<'_>) -> Result<Reply<Listing>> {
        let mut listing = Listing::default();
        let mut looked_at = 0_usize;
        let mut warnings = Vec::new();
        let mut problems = Problems::default();
        // Where only some are shown, a few at a time would be many calls.
        let step = if self.status.is_empty() {
            self.limit
        } else {
            self.limit.max(LOOKED_AT_ONCE)
        };
        while listing.keys.len() < self.limit {
            let most = u32::try_from(step).unwrap_or(MOST_IN_LIST);
            let ids = cx
                .grants
                .delegations
                .ids(whose, self.after.as_ref(), most)
                .await?;
            let is_last = ids.len() < step;
            for id in ids {
                looked_at = looked_at.saturating_add(1);
                let found = cx.grants.delegations.get(&id).await?;
                let found = found
                    .filter(|one| self.status.is_empty() || standing(one, cx.now) == self.status);
                if let Some(delegation) = found {
                    let problem = problems.of(cx, delegation.subject.as_ref()).await?;
                    let problem = match problem.is_empty() {
                        false if self.is_for_agent => known_to_agent(&delegation),
                        _ => &problem,
                    };
                    let info = brief(&delegation, problem, cx.now);
                    listing.key_info.insert(id.to_string(), info);
                    listing.keys.push(id.to_string());
                }
                self.after = Some(id);
                if listing.keys.len() >= self.limit {
                    break;
                }
            }
            if is_last {
                break;
            }
            if looked_at >= MOST_LOOKED_AT && listing.keys.len() < self.limit {
                let last = self.after.as_ref().map_or("", DelegationId::as_str);
                warnings.push(format!(
                    "there may be more: only {looked_at} were looked at; go on with after={last}"
                ));
                break;
            }
        }
        Ok(Reply::Data(listing, warnings))
    }
}
