//! Whether a caller may use a path at all, besides what the server's ACL says.
//!
//! That somebody governs, the host's core establishes: it asks the token for
//! `sudo`. This gate stands behind it, and refuses whoever is or was an agent
//! even so.

use std::sync::Arc;

use crate::facts::Cx;
use crate::facts::identity::caller::{self, Caller};
use crate::facts::identity::presence;
use crate::facts::identity::settings::has_group;
use crate::facts::identity::upkeep;
use crate::facts::registry::store::Trace;
use crate::host::framework::endpoint::Audience;
use crate::host::framework::error::Error;
use crate::model::agent::{Agent, Status};
use crate::model::decision::Reason;
use crate::model::identity::Presence;

/// A caller who is refused, and as what.
#[derive(Debug)]
pub struct Refused {
    /// As what: a code for logs.
    pub as_what: &'static str,
    /// What it is told.
    pub error: Error,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { as_what: "", error }
    }
}

fn refused(as_what: &'static str, why: impl Into<String>) -> Refused {
    Refused {
        as_what,
        error: Error::Denied(why.into()),
    }
}

/// How a request reaches a path.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The host did not authenticate anybody.
    pub unauthenticated: bool,
    /// It carries a login that nobody asked to renew. The hosts send none; what
    /// would, lets a human's token pass for one of an agent that acts for the
    /// human.
    pub carries_login: bool,
}

/// Refuses callers whom a path is not for.
///
/// # Errors
/// As what, and what the caller is told.
pub async fn admit(audience: Audience, arrival: Arrival, cx: &Cx) -> Result<(), Refused> {
    if audience == Audience::Public {
        return Ok(());
    }
    if arrival.unauthenticated {
        return Err(refused("nobody", "permission denied"));
    }
    if arrival.carries_login {
        return Err(refused(
            "unknown",
            "the server sent a login along with this request, so it cannot be told who makes it",
        ));
    }
    match audience {
        Audience::Public | Audience::TakesBack => Ok(()),
        Audience::Caller => usual(cx, true).await,
        Audience::Judged => usual(cx, false).await,
        Audience::Governed => governs(cx).await,
    }
}

/// Any caller but those of a login, and agents that may not act.
async fn usual(cx: &Cx, acts: bool) -> Result<(), Refused> {
    let caller = caller::of(cx).await?;
    if caller.is_of_login {
        return Err(refused(
            "login_token",
            "this token is an agent's, for one request elsewhere: come with the agent's own",
        ));
    }
    let Some(agent) = caller.agent.as_ref().filter(|_| acts) else {
        return Ok(());
    };
    let reason = match inability(agent, caller.presence, cx) {
        Some(reason) => Some(reason),
        None => upkeep::bars(cx, agent).await?,
    };
    match reason {
        Some(reason) => Err(refused(
            "agent",
            format!("refused ({}): {reason}", reason.as_str()),
        )),
        None => Ok(()),
    }
}

/// Why an agent may do nothing now, if so.
#[must_use]
pub fn inability(agent: &Agent, presence: Presence, cx: &Cx) -> Option<Reason> {
    match presence {
        Presence::Present => {}
        Presence::Disabled => return Some(Reason::AgentDisabled),
        Presence::Moved | Presence::Merged | Presence::Gone => return Some(Reason::AgentGone),
    }
    match agent.status(cx.now) {
        Status::Suspended => Some(Reason::AgentSuspended),
        Status::Expired => Some(Reason::AgentExpired),
        Status::Active => None,
    }
}

/// Whoever the host lets govern, but those who are or were agents.
async fn governs(cx: &Cx) -> Result<(), Refused> {
    let caller = caller::of(cx).await?;
    if caller.is_of_login {
        return Err(refused(
            "login_token",
            "this token is an agent's, and agents may not govern: ask an operator",
        ));
    }
    if let Some(agent) = &caller.agent {
        return Err(agent_governs("agent", &Trace::Agent(Arc::clone(agent))));
    }
    let Some(id) = &cx.caller.entity_id else {
        return without_entity(cx).await;
    };
    known(&caller)?;
    let aliases = caller.entity.as_ref().map(presence::keys);
    if let Some(trace) = cx
        .facts
        .agents
        .trace(id, &aliases.unwrap_or_default())
        .await?
    {
        let as_what = match &trace {
            Trace::Agent(_) => "agent_alias",
            Trace::Former(_) => "former_agent",
        };
        return Err(agent_governs(as_what, &trace));
    }
    // The host lets who holds a token role of some kind choose such an entity.
    let aliases = caller.entity.as_ref().map(|entity| &entity.aliases);
    if aliases.is_some_and(|aliases| aliases.iter().all(|alias| alias.mount_type == "token")) {
        without_entity(cx).await?;
    }
    let settings = cx.identity().await?;
    if settings.agent_groups.is_empty() {
        return Ok(());
    }
    let groups = cx.host.system.groups(id).await?;
    let agents = settings.agent_groups.iter();
    match agents
        .filter_map(|wanted| has_group(&groups, wanted))
        .next()
    {
        Some(group) => Err(refused(
            "agents_group",
            format!(
                "you are in the group `{}`, whose members may not govern here: ask an operator",
                group.name
            ),
        )),
        None => Ok(()),
    }
}

/// A token whose entity is not there is nobody's.
fn known(caller: &Caller) -> Result<(), Refused> {
    let why = match caller.presence {
        Presence::Present => return Ok(()),
        Presence::Disabled => "is disabled",
        Presence::Moved => "has no alias any more that this mount can see",
        Presence::Merged => "was merged into another",
        Presence::Gone => "is not there, or is of another namespace than this mount",
    };
    Err(refused(
        "entity_gone",
        format!("your token's identity entity {why}: log in anew"),
    ))
}

fn agent_governs(as_what: &'static str, trace: &Trace) -> Refused {
    let name = trace.name();
    let why = match trace {
        Trace::Agent(_) if as_what == "agent" => format!("`{name}` is a registered agent"),
        Trace::Agent(_) => format!("one of your aliases is the registered agent `{name}`'s"),
        Trace::Former(_) => {
            format!("your entity or one of its aliases was the agent `{name}`, which was deleted")
        }
    };
    refused(
        as_what,
        format!("{why}, and agents may not govern: ask an operator"),
    )
}

/// Root tokens, and others that belong to no identity.
async fn without_entity(cx: &Cx) -> Result<(), Refused> {
    // The host calls root tokens so, and makes all other names begin with
    // something else.
    let is_root = cx.caller.display_name == "root";
    if is_root || cx.identity().await?.operators_without_entity {
        return Ok(());
    }
    Err(refused(
        "no_entity",
        "nobody logged in for your token, so that it has no identity entity, or one of its maker's choice, and `operators_without_entity` under `config/identity` is false: log in through an auth method",
    ))
}
