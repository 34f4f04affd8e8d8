//! `agents/…`: the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::Cx;
use crate::facts::agents::input::{self, AgentInput};
use crate::facts::identity::presence;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result, needed};
use crate::host::framework::response::Reply;
use crate::jose::jwk::RegisteredKey;
use crate::model::agent::{Agent, FormerAgent, Mode, Software, Status, Suspension};
use crate::model::identity::Presence;
use crate::model::ids::{AgentId, AgentName, EntityId, PolicyName};
use crate::model::text::{Description, Label};
use crate::model::time::{OptionalTime, Timestamp};
use crate::record::decisions::entry::Kind;
use crate::record::decisions::log;

/// An agent, as it is read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentView {
    id: AgentId,
    name: AgentName,
    entity_id: EntityId,
    description: Description,
    owner: Label,
    /// Identity entity of whoever answers for it; empty: nobody that the server
    /// knows.
    owner_entity_id: String,
    /// By when somebody has to look at it again; empty: no such time.
    review_by: OptionalTime,
    labels: BTreeMap<String, String>,
    ceiling_policies: Vec<PolicyName>,
    no_default_ceiling_policy: bool,
    delegation_modes: BTreeSet<Mode>,
    max_delegation_depth: u8,
    expires_at: OptionalTime,
    public_keys: Vec<RegisteredKey>,
    issuer: String,
    subject: String,
    /// Id of the issuer's definition that vouches for it; empty: none yet.
    issuer_config_id: String,
    software: Software,
    optional_authorization_details: bool,
    /// Whether it may act now.
    status: Status,
    /// How its identity entity stands: `present`, `disabled`, `moved` (its aliases
    /// are gone), `merged` or `gone`; empty where the server was not asked. Only
    /// with `present` it may do anything.
    entity_status: &'static str,
    /// The aliases that its entity was seen with, as `accessor/name`.
    aliases: Vec<String>,
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
    /// The view of an agent, as the host knows its entity now. That is left out if
    /// the host does not say: what was done is done.
    pub async fn known(cx: &Cx, agent: &Agent) -> Self {
        let presence = presence::of_agent(cx, agent).await.ok();
        Self {
            entity_status: presence.map_or("", Presence::as_str),
            ..Self::of(agent, cx.now)
        }
    }

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
            owner_entity_id: agent.owner_entity_id.map(String::from).unwrap_or_default(),
            review_by: OptionalTime(agent.review_by),
            labels: agent.labels,
            ceiling_policies: agent.ceiling_policies,
            no_default_ceiling_policy: agent.no_default_ceiling_policy,
            delegation_modes: agent.delegation_modes,
            max_delegation_depth: agent.max_delegation_depth,
            expires_at: OptionalTime(agent.expires_at),
            public_keys: agent.public_keys,
            issuer: agent.issuer,
            subject: agent.subject,
            issuer_config_id: agent.issuer_record.map(String::from).unwrap_or_default(),
            entity_status: "",
            aliases: agent
                .aliases
                .iter()
                .map(|alias| format!("{}/{}", alias.accessor, alias.name))
                .collect(),
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
    /// Identity entity of whoever answers for the agent. Empty: nobody that the
    /// server knows. `owner_gone` under `config/identity` says what follows when it
    /// is disabled or gone.
    owner_entity_id: Option<String>,
    /// By when somebody has to look at the agent again, in RFC 3339. Empty: no
    /// such time. `review_overdue` under `config/identity` says what follows.
    review_by: Option<OptionalTime>,
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

impl<const BY_PATH: bool> Endpoint<Cx> for WriteAgent<BY_PATH> {
    const PLACE: Place = Place {
        path: if BY_PATH {
            "agents/{name}"
        } else {
            "agents/register"
        },
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = if BY_PATH { "Agent" } else { "" };
    const NAMED_BY: &'static str = if BY_PATH { "" } else { "name" };
    type Output = AgentView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "name") {
            Some(name) => Ok(Some(cx.facts.agents.by_name(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        let input = AgentInput {
            entity_id: self.entity_id,
            description: self.description,
            owner: self.owner,
            owner_entity_id: self.owner_entity_id.as_deref().map(owner).transpose()?,
            review_by: self.review_by.map(|by| by.0),
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
        let agent = input::register(cx, &self.name, input, false).await?;
        let warnings = if agent.ceiling_policies.is_empty() {
            vec!["the agent has no ceiling policy yet, so every request of it is denied".to_owned()]
        } else {
            Vec::new()
        };
        Ok(Reply::Data(AgentView::known(cx, &agent).await, warnings))
    }
}

/// Reads the entity of an owner; empty is nobody.
fn owner(text: &str) -> Result<Option<EntityId>> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(id) => Ok(Some(id)),
        Err(problem) => Err(Error::field("owner_entity_id", problem)),
    }
}

async fn shown(cx: &Cx, agent: Option<Arc<Agent>>) -> Result<Reply<AgentView>> {
    Ok(match agent {
        Some(agent) => AgentView::known(cx, &agent).await.into(),
        None => Reply::Nothing,
    })
}

/// Read a registered agent.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAgent {
    /// Name of the agent.
    name: AgentName,
}

impl Endpoint<Cx> for ReadAgent {
    const PLACE: Place = Place {
        path: "agents/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Agent";
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        shown(cx, cx.facts.agents.by_name(&self.name).await?).await
    }
}

/// Delete an agent.
///
/// From then on it is refused, and whatever it holds is inactive; a verifier that
/// only checks signatures accepts a JWT until it expires. Registering the same name again makes a new agent with a new id,
/// which inherits nothing. Its identity entity and aliases stay known as those of a
/// former agent, which can neither govern nor consent: see `agents/former/`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteAgent {
    /// Name of the agent.
    name: AgentName,
}

impl Endpoint<Cx> for DeleteAgent {
    const PLACE: Place = Place {
        path: "agents/{name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Agent";
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        if let Some(agent) = cx.facts.agents.by_name(&self.name).await? {
            remove(cx, &agent).await?;
        }
        Ok(Reply::Nothing)
    }
}

/// Removes an agent, with what is kept of it: whoever logs in by one of its
/// aliases, or has its entity, was an agent.
///
/// # Errors
/// If storage fails. A host that does not say what the entity is now is no
/// reason to leave an agent there: the aliases that are known are kept.
pub async fn remove(cx: &Cx, agent: &Agent) -> Result<()> {
    let entity = cx.host.system.entity(&agent.entity_id).await.ok().flatten();
    let seen = entity.as_ref().map(presence::keys).unwrap_or_default();
    cx.facts
        .agents
        .remove(&agent.id, |agent| FormerAgent {
            id: agent.id.clone(),
            name: agent.name.clone(),
            entity_id: agent.entity_id.clone(),
            aliases: agent.aliases.union(&seen).cloned().collect(),
            owner: agent.owner.clone(),
            deleted_at: cx.now,
            deleted_by: cx.caller.label(),
        })
        .await?;
    log::record(cx, log::about(cx, Kind::AgentDelete, agent));
    Ok(())
}

/// Read a registered agent by its id.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAgentById {
    /// Id of the agent.
    id: AgentId,
}

impl Endpoint<Cx> for ReadAgentById {
    const PLACE: Place = Place {
        path: "agents/id/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        shown(cx, cx.facts.agents.get(&self.id).await?).await
    }
}

/// Read the agent that an identity entity is.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAgentByEntity {
    /// Id of the entity.
    entity_id: EntityId,
}

impl Endpoint<Cx> for ReadAgentByEntity {
    const PLACE: Place = Place {
        path: "agents/entity-id/{entity_id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        shown(cx, cx.facts.agents.by_entity(&self.entity_id).await?).await
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

impl Endpoint<Cx> for SuspendAgent {
    const PLACE: Place = Place {
        path: "agents/{name}/suspend",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        switch(cx, &self.name, Kind::AgentSuspend, None, |agent| {
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
    /// Why. Needed: it gives authority back.
    reason: Description,
}

impl Endpoint<Cx> for ResumeAgent {
    const PLACE: Place = Place {
        path: "agents/{name}/resume",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        let reason = needed(&self.reason)?;
        switch(cx, &self.name, Kind::AgentResume, Some(reason), |agent| {
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
    /// Why. Needed: it cannot be undone.
    reason: Description,
}

impl Endpoint<Cx> for RevokeAgent {
    const PLACE: Place = Place {
        path: "agents/{name}/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = AgentView;

    async fn handle(self, cx: &Cx) -> Result<Reply<AgentView>> {
        needed(&self.reason)?;
        switch(cx, &self.name, Kind::AgentRevoke, None, |agent| {
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
    reason: Option<&str>,
    change: impl FnOnce(&mut Agent) + Send,
) -> Result<Reply<AgentView>> {
    let Some(agent) = cx.facts.agents.by_name(name).await? else {
        return Err(Error::NotFound(format!("there is no agent `{name}`")));
    };
    let changed = cx
        .facts
        .agents
        .update(&agent.id, |agent| {
            change(agent);
            agent.updated_at = cx.now;
            Ok(())
        })
        .await?;
    let mut entry = log::about(cx, kind, &changed);
    let suspension = changed.suspended.as_ref();
    let reason = reason.or_else(|| suspension.map(|suspension| suspension.reason.as_str()));
    reason.unwrap_or_default().clone_into(&mut entry.purpose);
    log::record(cx, entry);
    Ok(AgentView::known(cx, &changed).await.into())
}
