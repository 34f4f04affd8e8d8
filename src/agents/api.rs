//! `agents/…`: the registry.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::agents::input::{self, AgentInput};
use crate::decisions::entry::Kind;
use crate::decisions::log;
use crate::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::framework::error::{Error, Result};
use crate::framework::response::{Listing, Reply};
use crate::jose::jwk::RegisteredKey;
use crate::model::agent::{Agent, Mode, Software, Status, Suspension};
use crate::model::ids::{AgentId, AgentName, EntityId, PolicyName};
use crate::model::text::{Description, Label};
use crate::model::time::{OptionalTime, Timestamp};
use crate::state::{Cx, State};

/// An agent, as it is read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentView {
    id: AgentId,
    name: AgentName,
    entity_id: EntityId,
    description: Description,
    owner: Label,
    labels: BTreeMap<String, String>,
    ceiling_policies: Vec<PolicyName>,
    no_default_ceiling_policy: bool,
    delegation_modes: BTreeSet<Mode>,
    max_delegation_depth: u8,
    expires_at: OptionalTime,
    public_keys: Vec<RegisteredKey>,
    issuer: String,
    subject: String,
    software: Software,
    optional_authorization_details: bool,
    /// Whether it may act now.
    status: Status,
    /// Why it was suspended; empty if it is not.
    suspended_reason: Description,
    /// When it was suspended; empty if it is not.
    suspended_at: OptionalTime,
    /// How often everything it held was revoked.
    epoch: u64,
    /// When its credentials were last revoked without more; empty: never.
    credentials_revoked_at: OptionalTime,
    created_at: Timestamp,
    updated_at: Timestamp,
    created_by: String,
}

impl AgentView {
    /// The view of an agent at `now`.
    #[must_use]
    pub fn of(agent: &Agent, now: Timestamp) -> Self {
        let status = agent.status(now);
        let agent = agent.clone();
        let suspension = agent.suspended;
        Self {
            id: agent.id,
            name: agent.name,
            entity_id: agent.entity_id,
            description: agent.description,
            owner: agent.owner,
            labels: agent.labels,
            ceiling_policies: agent.ceiling_policies,
            no_default_ceiling_policy: agent.no_default_ceiling_policy,
            delegation_modes: agent.delegation_modes,
            max_delegation_depth: agent.max_delegation_depth,
            expires_at: OptionalTime(agent.expires_at),
            public_keys: agent.public_keys,
            issuer: agent.issuer,
            subject: agent.subject,
            software: agent.software,
            optional_authorization_details: agent.optional_authorization_details,
            status,
            suspended_at: OptionalTime(suspension.as_ref().map(|suspension| suspension.at)),
            suspended_reason: suspension
                .map(|suspension| suspension.reason)
                .unwrap_or_default(),
            epoch: agent.epoch,
            credentials_revoked_at: OptionalTime(agent.credentials_revoked_at),
            created_at: agent.created_at,
            updated_at: agent.updated_at,
            created_by: agent.created_by,
        }
    }
}

/// List the registered agents, with id, status and owner of each.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListAgents {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<State> for ListAgents {
    const PLACE: Place = Place {
        path: "agents",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Operator;
    const ITEM: &'static str = "Agent";
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let mut listing = Listing::default();
        for agent in cx.agents.page(&self.after, self.limit).await? {
            let info = json!({
                "id": agent.id,
                "status": agent.status(cx.now),
                "owner": agent.owner,
            });
            listing.key_info.insert(agent.name.to_string(), info);
            listing.keys.push(agent.name.to_string());
        }
        Ok(listing.into())
    }
}

/// Register an agent, or change a registered one.
///
/// An agent is a non-human actor with an identity of its own: one Vault
/// identity entity. Its ceiling policies are the most it can ever do; without
/// any it can do nothing. Fields that are not given keep their value. The
/// same fields are taken under `agents/register`, with the name in the body,
/// and under `agents/:name`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteAgent<const BY_PATH: bool> {
    /// Name of the agent: a label for people, unique among the registered. No
    /// two agents may have names that look alike.
    name: AgentName,
    /// Vault identity entity that the agent is. Needed for a new agent;
    /// cannot change.
    entity_id: Option<EntityId>,
    /// What the agent is for.
    description: Option<Description>,
    /// The team or person who answers for the agent.
    owner: Option<Label>,
    /// Facts about the agent that policies may refer to, as `key=value`.
    labels: Option<BTreeMap<String, String>>,
    /// Policies of this mount that bound whatever the agent does.
    ceiling_policies: Option<Vec<PolicyName>>,
    /// Leave the policy `default-ceiling`, where there is one, out of the
    /// ceiling.
    no_default_ceiling_policy: Option<bool>,
    /// On whose authority the agent may act: `autonomous`, `on_behalf_of`, or
    /// both, which is the default.
    delegation_modes: Option<BTreeSet<Mode>>,
    /// How long a chain of delegations the agent may stand at the end of,
    /// from 1 to 8. Default 1: delegated to by a human only.
    max_delegation_depth: Option<u8>,
    /// When the registration ends, in RFC 3339; shown in UTC. Empty: never.
    expires_at: Option<OptionalTime>,
    /// Public keys that the agent signs with, each a JWK or PEM.
    public_keys: Option<Vec<RegisteredKey>>,
    /// External issuer that knows the agent, compared exactly.
    issuer: Option<String>,
    /// Who the agent is at that issuer.
    subject: Option<String>,
    /// What the agent runs on: an object with `vendor`, `model` and `version`.
    software: Option<Software>,
    /// Whether requests may come without authorization details. Default true.
    optional_authorization_details: Option<bool>,
}

impl<const BY_PATH: bool> Endpoint<State> for WriteAgent<BY_PATH> {
    const PLACE: Place = Place {
        path: if BY_PATH {
            "agents/{name}"
        } else {
            "agents/register"
        },
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Operator;
    const ITEM: &'static str = if BY_PATH { "Agent" } else { "" };
    type Output = AgentView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "name") {
            Some(name) => Ok(Some(cx.agents.by_name(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        let input = AgentInput {
            entity_id: self.entity_id,
            description: self.description,
            owner: self.owner,
            labels: self.labels,
            ceiling_policies: self.ceiling_policies,
            no_default_ceiling_policy: self.no_default_ceiling_policy,
            delegation_modes: self.delegation_modes,
            max_delegation_depth: self.max_delegation_depth,
            expires_at: self.expires_at.map(|end| end.0),
            public_keys: self.public_keys,
            issuer: self.issuer,
            subject: self.subject,
            software: self.software,
            optional_authorization_details: self.optional_authorization_details,
        };
        let agent = input::register(cx, &self.name, input).await?;
        let warnings = if agent.ceiling_policies.is_empty() {
            vec!["the agent has no ceiling policy yet, so every request of it is denied".to_owned()]
        } else {
            Vec::new()
        };
        Ok(Reply::Data(AgentView::of(&agent, cx.now), warnings))
    }
}

/// Read a registered agent.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAgent {
    /// Name of the agent.
    name: AgentName,
}

impl Endpoint<State> for ReadAgent {
    const PLACE: Place = Place {
        path: "agents/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Operator;
    const ITEM: &'static str = "Agent";
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        let agent = cx.agents.by_name(&self.name).await?;
        Ok(agent.map(|agent| AgentView::of(&agent, cx.now)).into())
    }
}

/// Delete an agent.
///
/// From then on it is refused, and whatever it holds is inactive; a verifier that
/// only checks signatures accepts a JWT until it expires. Registering the same name again makes a new agent with a new id,
/// which inherits nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteAgent {
    /// Name of the agent.
    name: AgentName,
}

impl Endpoint<State> for DeleteAgent {
    const PLACE: Place = Place {
        path: "agents/{name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Operator;
    const ITEM: &'static str = "Agent";
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        if let Some(agent) = cx.agents.by_name(&self.name).await? {
            cx.agents.remove(&agent.id).await?;
            log::record(cx, log::about(cx, Kind::AgentDelete, &agent));
        }
        Ok(Reply::Nothing)
    }
}

/// Read a registered agent by its id.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAgentById {
    /// Id of the agent.
    id: AgentId,
}

impl Endpoint<State> for ReadAgentById {
    const PLACE: Place = Place {
        path: "agents/id/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Operator;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        let agent = cx.agents.get(&self.id).await?;
        Ok(agent.map(|agent| AgentView::of(&agent, cx.now)).into())
    }
}

/// Read the agent that an identity entity is.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAgentByEntity {
    /// Id of the entity.
    entity_id: EntityId,
}

impl Endpoint<State> for ReadAgentByEntity {
    const PLACE: Place = Place {
        path: "agents/entity-id/{entity_id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Operator;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        let agent = cx.agents.by_entity(&self.entity_id).await?;
        Ok(agent.map(|agent| AgentView::of(&agent, cx.now)).into())
    }
}

/// Suspend an agent: from the next decision on it may do nothing.
///
/// Its credentials are inactive until `resume`. Suspending a suspended agent
/// keeps the first reason.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SuspendAgent {
    /// Name of the agent.
    name: AgentName,
    /// Why.
    #[serde(default)]
    reason: Description,
}

impl Endpoint<State> for SuspendAgent {
    const PLACE: Place = Place {
        path: "agents/{name}/suspend",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Operator;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        switch(cx, &self.name, Kind::AgentSuspend, |agent| {
            suspend(agent, self.reason, cx);
        })
        .await
    }
}

/// Resume a suspended agent. What was revoked stays revoked.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ResumeAgent {
    /// Name of the agent.
    name: AgentName,
}

impl Endpoint<State> for ResumeAgent {
    const PLACE: Place = Place {
        path: "agents/{name}/resume",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Operator;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        switch(cx, &self.name, Kind::AgentResume, |agent| {
            agent.suspended = None
        })
        .await
    }
}

/// Revoke everything an agent holds, for good.
///
/// Its credentials and delegations so far belong to an earlier epoch and are
/// void, also after `resume`; a verifier that only checks signatures accepts a
/// JWT until it expires. The agent stays registered, and suspended until it is
/// resumed.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeAgent {
    /// Name of the agent.
    name: AgentName,
    /// Why.
    #[serde(default)]
    reason: Description,
}

impl Endpoint<State> for RevokeAgent {
    const PLACE: Place = Place {
        path: "agents/{name}/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Operator;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        switch(cx, &self.name, Kind::AgentRevoke, |agent| {
            agent.epoch = agent.epoch.saturating_add(1);
            // It counts more than a suspension before it.
            agent.suspended = None;
            suspend(agent, self.reason, cx);
        })
        .await
    }
}

fn suspend(agent: &mut Agent, reason: Description, cx: &Cx) {
    agent.suspended.get_or_insert_with(|| Suspension {
        at: cx.now,
        by: cx.caller.label(),
        reason,
    });
}

async fn switch(
    cx: &Cx,
    name: &AgentName,
    kind: Kind,
    change: impl FnOnce(&mut Agent) + Send,
) -> Result<Reply<AgentView>> {
    let Some(agent) = cx.agents.by_name(name).await? else {
        return Err(Error::NotFound(format!("there is no agent `{name}`")));
    };
    let changed = cx
        .agents
        .update(&agent.id, |agent| {
            change(agent);
            agent.updated_at = cx.now;
            Ok(())
        })
        .await?;
    let mut entry = log::about(cx, kind, &changed);
    if let Some(suspension) = &changed.suspended {
        suspension.reason.as_str().clone_into(&mut entry.purpose);
    }
    log::record(cx, entry);
    Ok(AgentView::of(&changed, cx.now).into())
}
