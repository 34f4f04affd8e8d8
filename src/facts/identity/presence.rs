//! Whether an entity is there.

use std::collections::BTreeSet;

use crate::facts::Cx;
use crate::host::framework::error::Result;
use crate::host::framework::system::{Alias, Entity};
use crate::model::agent::Agent;
use crate::model::identity::{AliasKey, Presence};
use crate::model::ids::EntityId;

/// What an auth mount of this plugin says of the account that a login gave its
/// token. Nobody else can say it: the host takes an alias' metadata from the
/// auth method alone.
pub const LOGIN_MARK: &str = "agentic_login";

/// How the host knows an entity, by what it answered for `id`. One that was
/// merged into another is not the one that was named.
#[must_use]
pub fn of(id: &EntityId, found: Option<&Entity>) -> Presence {
    match found {
        None => Presence::Gone,
        Some(entity) if entity.id != id.as_str() => Presence::Merged,
        Some(entity) if entity.disabled => Presence::Disabled,
        Some(_) => Presence::Present,
    }
}

/// The same for an agent's entity. Where it was known by aliases and has none
/// any more, somebody has taken them to another entity: whoever logs in by them
/// now is not this one.
#[must_use]
pub fn of_agent_by(agent: &Agent, found: Option<&Entity>) -> Presence {
    let presence = of(&agent.entity_id, found);
    let bare = found.is_some_and(|entity| entity.aliases.is_empty());
    if presence.is_present() && bare && !agent.aliases.is_empty() {
        Presence::Moved
    } else {
        presence
    }
}

/// How an agent's entity stands now. Takes note of the aliases that it has.
///
/// # Errors
/// If the host does not say.
pub async fn of_agent(cx: &Cx, agent: &Agent) -> Result<Presence> {
    let found = cx.host.system.entity(&agent.entity_id).await?;
    Ok(look(cx, agent, found.as_ref()))
}

/// The same, where the host was asked already.
pub fn look(cx: &Cx, agent: &Agent, found: Option<&Entity>) -> Presence {
    // Also while the entity is disabled: who takes its accounts away then is to be
    // known by them.
    if let Some(entity) = found.filter(|entity| entity.id == agent.entity_id.as_str()) {
        cx.facts.agents.saw(agent, &keys(entity), None);
    }
    of_agent_by(agent, found)
}

/// The aliases of an entity, as they are remembered.
#[must_use]
pub fn keys(entity: &Entity) -> BTreeSet<AliasKey> {
    entity
        .aliases
        .iter()
        .map(|alias| AliasKey::new(&alias.accessor, &alias.name))
        .collect()
}

/// Whether an alias was made by a login on a mount of this plugin: tokens that
/// have it, and the children of such tokens, are an agent's.
#[must_use]
pub fn is_of_login(cx: &Cx, alias: &Alias) -> bool {
    alias.mount_type == cx.host.plugin || alias.metadata.contains_key(LOGIN_MARK)
}
