//! `agents/`, `agents/former/`, `oversight/orphans/`: which agents there are,
//! which there were, and for which nobody answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::facts::Cx;
use crate::facts::identity::presence;
use crate::facts::identity::upkeep::owner_gone;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::Result;
use crate::host::framework::response::{Listing, Reply};
use crate::model::agent::{Agent, FormerAgent, Status};
use crate::model::decision::Outcome;
use crate::model::ids::{AgentId, AgentName, EntityId};
use crate::model::text::Label;
use crate::model::time::{OptionalTime, Timestamp};
use crate::record::activity::Sort;
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::log;

/// How many are looked at with one call to storage, where only some are shown.
const AT_ONCE: u32 = 200;
/// The most that are looked at for one page of orphans: each is asked for at the
/// host.
const MOST_LOOKED_AT: u32 = 1_000;

/// List the registered agents, with id, status and owner of each.
///
/// Only those that are all of what is given.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListAgents {
    /// Owner: the text, or the entity's id.
    #[serde(default)]
    owner: Label,
    /// Status: `active`, `suspended` or `expired`.
    status: Option<Status>,
    /// Label: `key`, or `key=value`.
    #[serde(default)]
    label: Label,
    /// Software: the `vendor`, `model` or `version`.
    #[serde(default)]
    software: Label,
    /// Not used since then, in RFC 3339, as far as this node remembers: its memory
    /// begins with its process.
    unused_since: Option<OptionalTime>,
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListAgents {
    const PLACE: Place = Place {
        path: "agents",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Agent";
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let mut listing = Listing::default();
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut after = self.after.clone();
        loop {
            let page = cx.facts.agents.page(&after, AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            after = last.name.to_string();
            for agent in page.iter().filter(|agent| self.wants(agent, cx)) {
                if most > 0 && listing.keys.len() >= most {
                    return Ok(listing.into());
                }
                let info = json!({
                    "id": agent.id,
                    "status": agent.status(cx.now),
                    "owner": agent.owner,
                    "owner_entity_id": agent.owner_entity_id,
                    "review_by": OptionalTime(agent.review_by),
                });
                listing.key_info.insert(agent.name.to_string(), info);
                listing.keys.push(agent.name.to_string());
            }
        }
        Ok(listing.into())
    }
}

impl ListAgents {
    fn wants(&self, agent: &Agent, cx: &Cx) -> bool {
        let owner = self.owner.is_empty()
            || agent.owner == self.owner
            || agent
                .owner_entity_id
                .as_ref()
                .is_some_and(|id| id.as_str() == self.owner.as_str());
        let label = match self.label.as_str().split_once('=') {
            None if self.label.is_empty() => true,
            None => agent.labels.contains_key(self.label.as_str()),
            Some((key, value)) => agent.labels.get(key).is_some_and(|found| found == value),
        };
        let parts = [
            &agent.software.vendor,
            &agent.software.model,
            &agent.software.version,
        ];
        let software = self.software.is_empty() || parts.contains(&&self.software);
        let since = self.unused_since.as_ref().and_then(|since| since.0);
        let unused = since.is_none_or(|since| {
            let seen = cx.record.activity.of(Sort::Agents, agent.id.as_str());
            seen.is_none_or(|seen| seen.last_seen < since)
        });
        let status = self
            .status
            .is_none_or(|status| agent.status(cx.now) == status);
        owner && label && software && unused && status
    }
}

/// A deleted agent, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FormerView {
    id: AgentId,
    name: AgentName,
    entity_id: EntityId,
    /// The aliases that its entity was seen with, as `accessor/name`.
    aliases: Vec<String>,
    owner: Label,
    deleted_at: Timestamp,
    deleted_by: String,
}

impl FormerView {
    fn of(former: &FormerAgent) -> Self {
        let former = former.clone();
        Self {
            id: former.id,
            name: former.name,
            entity_id: former.entity_id,
            aliases: former
                .aliases
                .iter()
                .map(|alias| format!("{}/{}", alias.accessor, alias.name))
                .collect(),
            owner: former.owner,
            deleted_at: former.deleted_at,
            deleted_by: former.deleted_by,
        }
    }
}

/// List the agents that were deleted.
///
/// Whoever has the entity or an alias of one can neither govern nor consent.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListFormer {
    /// Show ids after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListFormer {
    const PLACE: Place = Place {
        path: "agents/former",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let mut listing = Listing::default();
        for name in cx.facts.agents.former_ids(&self.after, self.limit).await? {
            let Ok(id) = name.parse() else { continue };
            let Some(former) = cx.facts.agents.former(&id).await? else {
                continue;
            };
            let info = json!({
                "name": former.name,
                "entity_id": former.entity_id,
                "deleted_at": former.deleted_at,
            });
            listing.key_info.insert(name.clone(), info);
            listing.keys.push(name);
        }
        Ok(listing.into())
    }
}

/// Read an agent that was deleted.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadFormer {
    /// Id of the agent.
    id: AgentId,
}

impl Endpoint<Cx> for ReadFormer {
    const PLACE: Place = Place {
        path: "agents/former/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = FormerView;

    async fn handle(self, cx: &Cx) -> Result<Reply<FormerView>> {
        let former = cx.facts.agents.former(&self.id).await?;
        Ok(former.map(|former| FormerView::of(&former)).into())
    }
}

/// Forget that somebody was an agent.
///
/// From then on its entity and its aliases are as anybody's: they count as a
/// human's if they look like one, and govern if the server's `sudo` lets them.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ForgetFormer {
    /// Id of the agent.
    id: AgentId,
}

impl Endpoint<Cx> for ForgetFormer {
    const PLACE: Place = Place {
        path: "agents/former/{id}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = FormerView;

    async fn handle(self, cx: &Cx) -> Result<Reply<FormerView>> {
        if let Some(former) = cx.facts.agents.clear_former(&self.id).await? {
            let entry = Entry {
                agent: former.name.to_string(),
                agent_id: Some(former.id.clone()),
                owner: former.owner.as_str().to_owned(),
                ..log::entry(cx, Kind::AgentForget, Outcome::Allow)
            };
            log::record(cx, entry);
        }
        Ok(Reply::Nothing)
    }
}

/// List the agents for which nobody answers, or that are not there any more.
///
/// Those whose identity entity is disabled, moved, merged or gone, whose
/// `owner_entity_id` is disabled or gone, that have no owner at all, or whose
/// `review_by` has passed; `why` says which. The server is asked for each.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListOrphans {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows 100.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListOrphans {
    const PLACE: Place = Place {
        path: "oversight/orphans",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let most = match self.limit {
            0 => 100,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let mut listing = Listing::default();
        let page = cx.facts.agents.page(&self.after, MOST_LOOKED_AT).await?;
        let whole = page.len() < usize::try_from(MOST_LOOKED_AT).unwrap_or(usize::MAX);
        for agent in &page {
            let why = amiss(cx, agent).await?;
            if why.is_empty() {
                continue;
            }
            if listing.keys.len() >= most {
                return Ok(listing.into());
            }
            let info = json!({ "id": agent.id, "owner": agent.owner, "why": why });
            listing.key_info.insert(agent.name.to_string(), info);
            listing.keys.push(agent.name.to_string());
        }
        let warnings = match page.last().filter(|_| !whole) {
            Some(last) => vec![format!(
                "there may be more: only {MOST_LOOKED_AT} were looked at; go on with after={}",
                last.name
            )],
            None => Vec::new(),
        };
        Ok(Reply::Data(listing, warnings))
    }
}

/// What an operator has to mend about an agent.
async fn amiss(cx: &Cx, agent: &Agent) -> Result<Vec<String>> {
    let mut why = Vec::new();
    let presence = presence::of_agent(cx, agent).await?;
    if !presence.is_present() {
        why.push(format!("entity_{}", presence.as_str()));
    }
    let settings = cx.identity().await?;
    if owner_gone(cx, settings, agent).await? {
        why.push("owner_gone".to_owned());
    }
    if agent.owner.is_empty() && agent.owner_entity_id.is_none() {
        why.push("no_owner".to_owned());
    }
    if agent.review_by.is_some_and(|by| by <= cx.now) {
        why.push("review_overdue".to_owned());
    }
    Ok(why)
}
