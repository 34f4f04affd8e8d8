//! What an operator may say about an agent, and how it becomes one. Shared by
//! every path that registers or changes agents.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::Cx;
use crate::facts::identity::presence;
use crate::host::framework::error::{Error, Result};
use crate::jose::jwk::RegisteredKey;
use crate::model::agent::{Agent, MAX_DELEGATION_DEPTH, Mode, Software};
use crate::model::identity::AliasKey;
use crate::model::ids::{AgentId, AgentName, EntityId, IssuerId, PolicyName};
use crate::model::text::{self, Description, Label};
use crate::model::time::Timestamp;

/// The most labels a thing may have.
pub const MAX_LABELS: usize = 64;
const MAX_POLICIES: usize = 64;
/// Paths beside those of agents.
const RESERVED: [&str; 1] = ["former"];
const MAX_KEYS: usize = 16;

/// Fields of an agent; `None` leaves what is there.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of `Agent`")]
pub struct AgentInput {
    pub entity_id: Option<EntityId>,
    pub description: Option<Description>,
    pub owner: Option<Label>,
    pub owner_entity_id: Option<Option<EntityId>>,
    pub review_by: Option<Option<Timestamp>>,
    pub labels: Option<BTreeMap<String, String>>,
    pub ceiling_policies: Option<Vec<PolicyName>>,
    pub no_default_ceiling_policy: Option<bool>,
    pub delegation_modes: Option<BTreeSet<Mode>>,
    pub max_delegation_depth: Option<u8>,
    pub expires_at: Option<Option<Timestamp>>,
    pub public_keys: Option<Vec<RegisteredKey>>,
    pub issuer: Option<String>,
    pub subject: Option<String>,
    pub software: Option<Software>,
    pub optional_authorization_details: Option<bool>,
}

/// Registers an agent under `name`, or changes the one that has it, unless it is
/// to be a new one.
///
/// # Errors
/// What is wrong with the input, by field; [`Error::Conflict`] if there is one
/// where there was to be none.
pub async fn register(
    cx: &Cx,
    name: &AgentName,
    input: AgentInput,
    new_only: bool,
) -> Result<std::sync::Arc<Agent>> {
    let found = check(cx, &input).await?;
    let random = cx.random()?;
    cx.facts.agents
        .register(name, |present| match present {
            Some(agent) => {
                cx.check_new(true)?;
                if new_only {
                    return Err(taken(agent));
                }
                let mut agent = agent.clone();
                apply(&mut agent, input, found, cx)?;
                Ok(agent)
            }
            None => {
                check_new_name(name)?;
                let Some(entity_id) = input.entity_id.clone() else {
                    return Err(Error::Invalid("missing required field \"entity_id\": a new agent needs the identity entity that it is".to_owned()));
                };
                let id = AgentId::mint(cx.now, random);
                let mut agent = Agent {
                    created_by: cx.caller.label(),
                    ..Agent::new(id, name.clone(), entity_id, cx.now)
                };
                apply(&mut agent, input, found, cx)?;
                Ok(agent)
            }
        })
        .await
}

fn taken(agent: &Agent) -> Error {
    Error::Conflict(format!(
        "there is an agent `{}` already, with the id {}; change it under its own path",
        agent.name, agent.id
    ))
}

/// Names that would be taken for something else: an agent's id, or a path beside
/// the agents'. An agent of 0.1 that has one keeps it.
fn check_new_name(name: &AgentName) -> Result<()> {
    if name.as_str().parse::<AgentId>().is_ok() {
        return Err(Error::field(
            "name",
            "looks like an agent's id; choose a name that nobody can mistake for one",
        ));
    }
    if RESERVED
        .iter()
        .any(|word| word.eq_ignore_ascii_case(name.as_str()))
    {
        return Err(Error::field(
            "name",
            format_args!("`{name}` is the name of a path; choose another"),
        ));
    }
    Ok(())
}

/// What the host and the stores say of an agent that is written.
#[derive(Debug, Default)]
pub struct Found {
    /// The aliases of its entity.
    aliases: BTreeSet<AliasKey>,
    /// The issuer that has the `issuer` which is given.
    issuer: Option<IssuerId>,
}

/// Checks what needs the host or the stores; everything else the types have
/// checked.
///
/// # Errors
/// What is wrong, by field.
pub async fn check(cx: &Cx, input: &AgentInput) -> Result<Found> {
    let mut found = Found::default();
    if let Some(id) = &input.entity_id {
        match cx.host.system.entity(id).await? {
            Some(entity) if entity.id == id.as_str() => found.aliases = presence::keys(&entity),
            Some(entity) => {
                return Err(Error::field(
                    "entity_id",
                    format_args!("this entity was merged; use the entity `{}`", entity.id),
                ));
            }
            None => {
                return Err(Error::field(
                    "entity_id",
                    "there is no such identity entity; create it under `identity/entity` first",
                ));
            }
        }
    }
    if let Some(Some(owner)) = &input.owner_entity_id {
        let entity = cx.host.system.entity(owner).await?;
        if entity.is_none_or(|entity| entity.id != owner.as_str()) {
            return Err(Error::field(
                "owner_entity_id",
                "there is no such identity entity, or it was merged into another",
            ));
        }
    }
    if let Some(issuer) = input.issuer.as_ref().filter(|issuer| !issuer.is_empty()) {
        let record = cx.facts.issuers.by_issuer_id(issuer).await?;
        found.issuer = record.map(|record| record.id.clone());
    }
    if let Some(policies) = &input.ceiling_policies {
        if policies.len() > MAX_POLICIES {
            return Err(Error::field(
                "ceiling_policies",
                format_args!("may name at most {MAX_POLICIES} policies"),
            ));
        }
        cx.facts
            .policies
            .require("ceiling_policies", policies)
            .await?;
    }
    if let Some(labels) = &input.labels {
        check_labels("labels", labels)?;
    }
    if input
        .public_keys
        .as_ref()
        .is_some_and(|keys| keys.len() > MAX_KEYS)
    {
        return Err(Error::field(
            "public_keys",
            format_args!("may hold at most {MAX_KEYS} keys"),
        ));
    }
    if input
        .delegation_modes
        .as_ref()
        .is_some_and(BTreeSet::is_empty)
    {
        return Err(Error::field(
            "delegation_modes",
            "must name `autonomous`, `on_behalf_of` or both",
        ));
    }
    if input
        .max_delegation_depth
        .is_some_and(|depth| !(1..=MAX_DELEGATION_DEPTH).contains(&depth))
    {
        return Err(Error::field(
            "max_delegation_depth",
            format_args!("must be from 1 to {MAX_DELEGATION_DEPTH}"),
        ));
    }
    for (field, value) in [("issuer", &input.issuer), ("subject", &input.subject)] {
        if let Some(value) = value {
            text::check(value, 512).map_err(|error| Error::field(field, error))?;
        }
    }
    Ok(found)
}

/// Checks labels or metadata that policies will compare.
///
/// # Errors
/// What is wrong with them.
pub fn check_labels(field: &str, labels: &BTreeMap<String, String>) -> Result<()> {
    if labels.len() > MAX_LABELS {
        return Err(Error::field(
            field,
            format_args!("may hold at most {MAX_LABELS} labels"),
        ));
    }
    for (key, value) in labels {
        text::check(key, 64)
            .map_err(|error| Error::field(field, format_args!("a name {error}")))?;
        text::check(value, 256)
            .map_err(|error| Error::field(field, format_args!("the value of a label {error}")))?;
    }
    Ok(())
}

/// Puts what was given into the agent.
///
/// # Errors
/// If that would make it somebody else.
pub fn apply(agent: &mut Agent, input: AgentInput, found: Found, cx: &Cx) -> Result<()> {
    if input
        .entity_id
        .is_some_and(|entity| entity != agent.entity_id)
    {
        return Err(Error::field(
            "entity_id",
            format_args!(
                "the agent `{}` is another entity, and cannot become a new one; delete it and register it anew",
                agent.name
            ),
        ));
    }
    agent.aliases.extend(found.aliases);
    // Whoever writes the issuer binds the agent to the one that there is now.
    if input.issuer.is_some() {
        agent.issuer_record = found.issuer;
    }
    macro_rules! replace {
        ($($field:ident),*) => {$(
            if let Some(value) = input.$field {
                agent.$field = value;
            }
        )*};
    }
    replace!(
        description,
        owner,
        owner_entity_id,
        review_by,
        labels,
        ceiling_policies,
        no_default_ceiling_policy,
        delegation_modes,
        max_delegation_depth
    );
    replace!(
        expires_at,
        public_keys,
        issuer,
        subject,
        software,
        optional_authorization_details
    );
    if agent.issuer.is_empty() != agent.subject.is_empty() {
        return Err(Error::field(
            if agent.issuer.is_empty() {
                "issuer"
            } else {
                "subject"
            },
            "is needed too: an agent is known by `issuer` and `subject` together",
        ));
    }
    agent.updated_at = cx.now;
    Ok(())
}
