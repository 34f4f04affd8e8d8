//! Who makes a request.

use std::sync::Arc;

use crate::facts::Cx;
use crate::facts::identity::presence;
use crate::host::framework::error::Result;
use crate::host::framework::system::Entity;
use crate::model::agent::Agent;
use crate::model::identity::Presence;
use crate::model::ids::{AgentName, EntityId};

/// How every token of a login is called, between the mount's name, which the
/// host puts before it, and the agent's.
pub const LOGIN_NAME: &str = "agentic-login:";

/// The same in 0.1.
const LOGIN_NAME_0_1: &str = "agent:";

/// Who makes a request, as far as the host says.
#[derive(Debug)]
pub struct Caller {
    /// The entity of the token, as the host knows it now.
    pub entity: Option<Entity>,
    /// How that entity stands. Of a caller without one: gone.
    pub presence: Presence,
    /// The agent that is registered with that entity.
    pub agent: Option<Arc<Agent>>,
    /// Whether the token is that of a login on a mount of this plugin, or a child
    /// of one.
    pub is_of_login: bool,
}

/// Who makes this request. Asked once for each.
///
/// # Errors
/// If storage or the host cannot say.
pub async fn of(cx: &Cx) -> Result<Arc<Caller>> {
    if let Some(known) = cx.known.get::<Caller>() {
        return Ok(known);
    }
    let caller = match &cx.caller.entity_id {
        Some(id) => with_entity(cx, id).await?,
        None => Caller {
            entity: None,
            presence: Presence::Gone,
            agent: None,
            is_of_login: login_name(&cx.caller.display_name).is_some(),
        },
    };
    let caller = Arc::new(caller);
    cx.known.keep(&caller);
    Ok(caller)
}

async fn with_entity(cx: &Cx, id: &EntityId) -> Result<Caller> {
    let (entity, agent) =
        tokio::try_join!(cx.host.system.entity(id), cx.facts.agents.by_entity(id))?;
    let presence = match &agent {
        Some(agent) => presence::look(cx, agent, entity.as_ref()),
        None => presence::of(id, entity.as_ref()),
    };
    // A token that has an entity came by one of its aliases. Where the entity
    // has none any more, nobody can say whose the token is.
    let aliases = entity.as_ref().map(|entity| entity.aliases.as_slice());
    let aliases = aliases.unwrap_or_default();
    let presence = if presence.is_present() && aliases.is_empty() {
        Presence::Moved
    } else {
        presence
    };
    let by_alias = aliases.iter().any(|alias| presence::is_of_login(cx, alias));
    let is_of_login = match &agent {
        // Where an operator has joined the alias of its logins to an agent's own
        // entity, its other tokens have the same aliases: the name tells.
        Some(agent) => by_alias && login_name(&cx.caller.display_name) == Some(agent.name.as_str()),
        None => by_alias,
    };
    Ok(Caller {
        entity,
        presence,
        agent,
        is_of_login,
    })
}

/// The agent that a token without an entity is for, if its whole display name is
/// that of a login: the mount's name, which may be any, a hyphen, then
/// [`LOGIN_NAME`] and an agent's name to the end. Tokens of a human's or
/// workload's login have an entity, and are known by its aliases. Who makes a
/// token of their own cannot choose such a name: the hosts take the `:` out.
#[must_use]
fn login_name(display_name: &str) -> Option<&str> {
    let by = |marker| {
        let (before, name) = display_name.rsplit_once(marker)?;
        let mount = before.strip_suffix('-')?;
        (!mount.is_empty() && name.parse::<AgentName>().is_ok()).then_some((mount, name))
    };
    let today = by(LOGIN_NAME).map(|(_, name)| name);
    // A Kubernetes account may be called so too.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    today.or_else(|| {
        let (mount, name) = by(LOGIN_NAME_0_1)?;
        mount.chars().all(plain).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_are_compared_whole() {
        for (name, agent) in [
            ("agentic-agentic-login:bot", Some("bot")),
            ("token-agents-x-agentic-login:b.o-t", Some("b.o-t")),
            ("ag@prod-sub:x-agentic-login:bot", Some("bot")),
            ("café-agentic-login:bot", Some("bot")),
            ("agentic-login:bot", None),
            ("agentic-agentic-login:a b", None),
            ("token-agentic-login-bot", None),
            ("agentic-agent:bot", Some("bot")),
            ("team-agentic-2-agent:b.o-t", Some("b.o-t")),
            ("agent:bot", None),
            ("-agent:bot", None),
            ("agentic-agent:", None),
            ("agentic-agent:a b", None),
            ("agentic-agent:a:b", None),
            ("kubernetes-ai-agent", None),
            ("system:serviceaccount:ai-agent:default", None),
            ("token-ai-agent-bot", None),
            ("token", None),
            ("root", None),
            ("", None),
        ] {
            assert_eq!(login_name(name), agent, "{name}");
        }
    }
}
