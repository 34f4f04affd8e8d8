//! What an operator may say about an agent, and how it becomes one. Shared by
//! every path that registers or changes agents.

use std::collections::{BTreeMap, BTreeSet};

use crate::framework::error::{Error, Result};
use crate::jose::jwk::RegisteredKey;
use crate::model::agent::{Agent, MAX_DELEGATION_DEPTH, Mode, Software};
use crate::model::ids::{AgentId, AgentName, EntityId, PolicyName};
use crate::model::text::{self, Description, Label};
use crate::model::time::Timestamp;
use crate::state::Cx;

/// The most labels a thing may have.
pub const MAX_LABELS: usize = 64;
const MAX_POLICIES: usize = 64;
const MAX_KEYS: usize = 16;

/// Fields of an agent; `None` leaves what is there.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of `Agent`")]
pub struct AgentInput {
    pub entity_id: Option<EntityId>,
    pub description: Option<Description>,
    pub owner: Option<Label>,
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

/// Registers an agent under `name`, or changes the one that has it.
///
/// # Errors
/// What is wrong with the input, by field.
pub async fn register(
    cx: &Cx,
    name: &AgentName,
    input: AgentInput,
) -> Result<std::sync::Arc<Agent>> {
    check(cx, &input).await?;
    let random = cx.random()?;
    cx.agents
        .register(name, |present| match present {
            Some(agent) => {
                let mut agent = agent.clone();
                apply(&mut agent, input, cx)?;
                Ok(agent)
            }
            None => {
                let Some(entity_id) = input.entity_id.clone() else {
                    return Err(Error::Invalid("missing required field \"entity_id\": a new agent needs the identity entity that it is".to_owned()));
                };
                let mut agent = blank(AgentId::mint(cx.now, random), name.clone(), entity_id, cx);
                apply(&mut agent, input, cx)?;
                Ok(agent)
            }
        })
        .await
}

fn blank(id: AgentId, name: AgentName, entity_id: EntityId, cx: &Cx) -> Agent {
    Agent {
        id,
        name,
        entity_id,
        description: Description::default(),
        owner: Label::default(),
        labels: BTreeMap::new(),
        ceiling_policies: Vec::new(),
        no_default_ceiling_policy: false,
        delegation_modes: BTreeSet::from([Mode::Autonomous, Mode::OnBehalfOf]),
        max_delegation_depth: 1,
        expires_at: None,
        public_keys: Vec::new(),
        issuer: String::new(),
        subject: String::new(),
        software: Software::default(),
        optional_authorization_details: true,
        suspended: None,
        epoch: 0,
        credentials_revoked_at: None,
        created_at: cx.now,
        updated_at: cx.now,
        created_by: cx.caller.label(),
    }
}

/// Checks what needs the host or the stores; everything else the types have
/// checked.
///
/// # Errors
/// What is wrong, by field.
pub async fn check(cx: &Cx, input: &AgentInput) -> Result<()> {
    if let Some(id) = &input.entity_id {
        match cx.system.entity(id).await? {
            Some(entity) if entity.id == id.as_str() => {}
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
    if let Some(policies) = &input.ceiling_policies {
        if policies.len() > MAX_POLICIES {
            return Err(Error::field(
                "ceiling_policies",
                format_args!("may name at most {MAX_POLICIES} policies"),
            ));
        }
        cx.policies.require("ceiling_policies", policies).await?;
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
    Ok(())
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
pub fn apply(agent: &mut Agent, input: AgentInput, cx: &Cx) -> Result<()> {
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
