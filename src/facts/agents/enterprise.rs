//! `register`, `registration/…`: the same agents under the field names of
//! Vault Enterprise's agent registry, so that its clients and Terraform's
//! `vault_agent_registration` work against a mount at `agent-registry/`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::facts::Cx;
use crate::facts::agents::api::remove;
use crate::facts::agents::input::{self, AgentInput};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::model::agent::Agent;
use crate::model::ids::{AgentId, AgentName, EntityId, PolicyName};
use crate::model::text::{Description, Label};
use crate::model::time::Timestamp;

/// An agent under Vault Enterprise's field names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RegistrationView {
    id: AgentId,
    display_name: AgentName,
    entity_id: EntityId,
    ceiling_policies: Vec<PolicyName>,
    no_default_ceiling_policy: bool,
    description: Description,
    owner: Label,
    optional_authorization_details: bool,
    creation_time: Timestamp,
    last_updated_time: Timestamp,
}

impl RegistrationView {
    fn of(agent: &Agent) -> Self {
        let agent = agent.clone();
        Self {
            id: agent.id,
            display_name: agent.name,
            entity_id: agent.entity_id,
            ceiling_policies: agent.ceiling_policies,
            no_default_ceiling_policy: agent.no_default_ceiling_policy,
            description: agent.description,
            owner: agent.owner,
            optional_authorization_details: agent.optional_authorization_details,
            creation_time: agent.created_at,
            last_updated_time: agent.updated_at,
        }
    }
}

/// The fields that Vault Enterprise's registry has; all of them, since a write
/// there replaces what it does not name.
fn replace_all(
    ceiling_policies: Vec<PolicyName>,
    no_default_ceiling_policy: bool,
    description: Description,
    owner: Label,
    optional_authorization_details: bool,
) -> AgentInput {
    AgentInput {
        ceiling_policies: Some(ceiling_policies),
        no_default_ceiling_policy: Some(no_default_ceiling_policy),
        description: Some(description),
        owner: Some(owner),
        optional_authorization_details: Some(optional_authorization_details),
        ..AgentInput::default()
    }
}

/// Register an agent (Vault Enterprise's registry API).
///
/// One of that name that is registered already is left as it is: change it under
/// `registration/id/:id`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Register {
    /// Name of the agent.
    display_name: AgentName,
    /// Vault identity entity that the agent is.
    entity_id: EntityId,
    /// Policies of this mount that bound whatever the agent does.
    #[serde(default)]
    ceiling_policies: Vec<PolicyName>,
    /// Leave the policy `default-ceiling` out of the ceiling.
    #[serde(default)]
    no_default_ceiling_policy: bool,
    /// What the agent is for.
    #[serde(default)]
    description: Description,
    /// Who answers for the agent.
    #[serde(default)]
    owner: Label,
    /// Whether requests may come without authorization details.
    #[serde(default)]
    optional_authorization_details: bool,
}

impl Endpoint<Cx> for Register {
    const PLACE: Place = Place {
        path: "register",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const NAMED_BY: &'static str = "display_name";
    type Output = RegistrationView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "display_name") {
            Some(name) => Ok(Some(cx.facts.agents.by_name(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<RegistrationView>> {
        // The same again is no change, and anything else no registration.
        let present = cx.facts.agents.by_name(&self.display_name).await?;
        if let Some(agent) = present.filter(|agent| self.is(agent)) {
            return Ok(RegistrationView::of(&agent).into());
        }
        let input = AgentInput {
            entity_id: Some(self.entity_id),
            ..replace_all(
                self.ceiling_policies,
                self.no_default_ceiling_policy,
                self.description,
                self.owner,
                self.optional_authorization_details,
            )
        };
        let agent = input::register(cx, &self.display_name, input, true).await?;
        Ok(RegistrationView::of(&agent).into())
    }
}

impl Register {
    /// Whether an agent is what it says already.
    fn is(&self, agent: &Agent) -> bool {
        agent.entity_id == self.entity_id
            && agent.ceiling_policies == self.ceiling_policies
            && agent.no_default_ceiling_policy == self.no_default_ceiling_policy
            && agent.description == self.description
            && agent.owner == self.owner
            && agent.optional_authorization_details == self.optional_authorization_details
    }
}

/// Replace a registration (Vault Enterprise's registry API): what is not named
/// is cleared.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReplaceRegistration {
    /// Id of the agent.
    id: AgentId,
    /// Name of the agent; cannot change.
    display_name: Option<AgentName>,
    /// Vault identity entity that the agent is; cannot change.
    entity_id: Option<EntityId>,
    /// Policies of this mount that bound whatever the agent does.
    #[serde(default)]
    ceiling_policies: Vec<PolicyName>,
    /// Leave the policy `default-ceiling` out of the ceiling.
    #[serde(default)]
    no_default_ceiling_policy: bool,
    /// What the agent is for.
    #[serde(default)]
    description: Description,
    /// Who answers for the agent.
    #[serde(default)]
    owner: Label,
    /// Whether requests may come without authorization details.
    #[serde(default)]
    optional_authorization_details: bool,
}

impl Endpoint<Cx> for ReplaceRegistration {
    const PLACE: Place = Place {
        path: "registration/id/{id}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = RegistrationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RegistrationView>> {
        if self.display_name.is_none() && self.entity_id.is_none() {
            return Err(Error::Invalid(
                "missing required field \"display_name\": a replacement names the agent that it is about, by `display_name` or `entity_id`".to_owned(),
            ));
        }
        let input = AgentInput {
            entity_id: self.entity_id,
            ..replace_all(
                self.ceiling_policies,
                self.no_default_ceiling_policy,
                self.description,
                self.owner,
                self.optional_authorization_details,
            )
        };
        let found = input::check(cx, &input).await?;
        let name = self.display_name;
        let agent = cx
            .facts
            .agents
            .update(&self.id, |agent| {
                if name.is_some_and(|name| name != agent.name) {
                    return Err(Error::field(
                        "display_name",
                        "cannot change; delete the registration and make a new one",
                    ));
                }
                input::apply(agent, input, found, cx)
            })
            .await?;
        Ok(RegistrationView::of(&agent).into())
    }
}

/// Read a registration by its id (Vault Enterprise's registry API).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadRegistration {
    /// Id of the agent.
    id: AgentId,
}

impl Endpoint<Cx> for ReadRegistration {
    const PLACE: Place = Place {
        path: "registration/id/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = RegistrationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RegistrationView>> {
        let agent = cx.facts.agents.get(&self.id).await?;
        Ok(agent.map(|agent| RegistrationView::of(&agent)).into())
    }
}

/// Delete a registration by its id (Vault Enterprise's registry API).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteRegistration {
    /// Id of the agent.
    id: AgentId,
}

impl Endpoint<Cx> for DeleteRegistration {
    const PLACE: Place = Place {
        path: "registration/id/{id}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = RegistrationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RegistrationView>> {
        if let Some(agent) = cx.facts.agents.get(&self.id).await? {
            remove(cx, &agent).await?;
        }
        Ok(Reply::Nothing)
    }
}

/// Read a registration by its name (Vault Enterprise's registry API).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadRegistrationByName {
    /// Name of the agent.
    name: AgentName,
}

impl Endpoint<Cx> for ReadRegistrationByName {
    const PLACE: Place = Place {
        path: "registration/display-name/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = RegistrationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RegistrationView>> {
        let agent = cx.facts.agents.by_name(&self.name).await?;
        Ok(agent.map(|agent| RegistrationView::of(&agent)).into())
    }
}

/// Read a registration by its entity (Vault Enterprise's registry API).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadRegistrationByEntity {
    /// Id of the entity.
    entity_id: EntityId,
}

impl Endpoint<Cx> for ReadRegistrationByEntity {
    const PLACE: Place = Place {
        path: "registration/entity-id/{entity_id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = RegistrationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RegistrationView>> {
        let agent = cx.facts.agents.by_entity(&self.entity_id).await?;
        Ok(agent.map(|agent| RegistrationView::of(&agent)).into())
    }
}

/// List the ids of all registrations (Vault Enterprise's registry API).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListRegistrations {
    /// Show ids after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListRegistrations {
    const PLACE: Place = Place {
        path: "registration/id",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let mut listing = Listing::default();
        for id in cx.facts.agents.ids(&self.after, self.limit).await? {
            let Ok(parsed) = id.parse() else { continue };
            if let Some(agent) = cx.facts.agents.get(&parsed).await? {
                listing
                    .key_info
                    .insert(id.clone(), json!({ "display_name": agent.name }));
                listing.keys.push(id);
            }
        }
        Ok(listing.into())
    }
}

/// List the names of all registrations (Vault Enterprise's registry API).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListRegistrationNames {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListRegistrationNames {
    const PLACE: Place = Place {
        path: "registration/display-name",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let mut listing = Listing::default();
        for agent in cx.facts.agents.page(&self.after, self.limit).await? {
            listing
                .key_info
                .insert(agent.name.to_string(), json!({ "id": agent.id }));
            listing.keys.push(agent.name.to_string());
        }
        Ok(listing.into())
    }
}
