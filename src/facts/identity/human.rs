//! Who is a human: said positively, by the auth methods that an entity logs in
//! by and by its groups.

use std::fmt;

use crate::facts::Cx;
use crate::facts::identity::settings::{IdentitySettings, has_group};
use crate::facts::identity::{caller, presence};
use crate::facts::registry::store::Trace;
use crate::host::framework::error::{Error, Result};
use crate::host::framework::system::{Entity, Group};
use crate::model::identity::Presence;
use crate::model::ids::EntityId;

/// Why an entity does not count as a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotHuman {
    /// It is not there, enabled and itself.
    NotPresent(Presence),
    /// It is an agent, or one of its aliases is an agent's.
    Agent(String),
    /// It was an agent, or one of its aliases was an agent's.
    FormerAgent(String),
    /// Tokens of logins here have it.
    Login,
    /// It is in a group of agents, or of those who are no humans.
    InGroup(String),
    /// It is in none of the groups of humans.
    InNoGroup,
    /// It has no alias that this mount can see, on an auth mount that is there.
    NoAlias,
    /// All its aliases are on other methods.
    NotInteractive(String),
    /// It logs in as a human, and by another method as well.
    TwoFaced {
        /// A method that counts.
        human: String,
        /// One that does not.
        other: String,
    },
}

impl NotHuman {
    /// The code in logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotPresent(Presence::Disabled) => "disabled",
            Self::NotPresent(_) => "gone",
            Self::Agent(_) => "agent",
            Self::FormerAgent(_) => "former_agent",
            Self::Login => "login_token",
            Self::InGroup(_) => "in_group",
            Self::InNoGroup => "in_no_group",
            Self::NoAlias => "no_alias",
            Self::NotInteractive(_) => "not_interactive",
            Self::TwoFaced { .. } => "two_faced",
        }
    }
}

impl fmt::Display for NotHuman {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPresent(Presence::Disabled) => f.write_str("the identity entity is disabled"),
            Self::NotPresent(Presence::Merged) => {
                f.write_str("the identity entity was merged into another")
            }
            Self::NotPresent(_) => f.write_str("the identity entity is not there"),
            Self::Agent(name) => {
                write!(
                    f,
                    "`{name}` is a registered agent, and the entity or one of its aliases is that agent's"
                )
            }
            Self::FormerAgent(name) => write!(
                f,
                "the entity or one of its aliases was the agent `{name}`, which was deleted; an operator can clear that under `agents/former/`"
            ),
            Self::Login => f.write_str("the entity is that of tokens of an agent's logins"),
            Self::InGroup(group) => write!(
                f,
                "the entity is in the group `{group}`, whose members are no humans here"
            ),
            Self::InNoGroup => f.write_str(
                "the entity is in none of the groups that `humans` under `config/identity` names",
            ),
            Self::NoAlias => {
                f.write_str("the entity has no alias on an auth mount that this mount can see")
            }
            Self::NotInteractive(methods) => write!(
                f,
                "the entity logs in by {methods}, which `human_auth_methods` under `config/identity` does not name"
            ),
            Self::TwoFaced { human, other } => write!(
                f,
                "the entity logs in by {human} as a human does, and by {other} as well, which `human_auth_methods` under `config/identity` does not name"
            ),
        }
    }
}

/// What the host says of an entity, and whether it is a human's.
#[derive(Clone, Debug)]
pub struct Known {
    /// The entity that the host answers with.
    pub entity: Option<Entity>,
    /// The groups it is in, directly and through others.
    pub groups: Vec<Group>,
    /// Why it does not count as a human's, if it does not.
    pub why_not: Option<NotHuman>,
}

/// What an entity is.
///
/// # Errors
/// If storage or the host cannot say.
pub async fn known(cx: &Cx, id: &EntityId) -> Result<Known> {
    let (entity, groups) = tokio::try_join!(cx.host.system.entity(id), cx.host.system.groups(id))?;
    let why_not = judge(cx, id, entity.as_ref(), &groups).await?;
    Ok(Known {
        entity,
        groups,
        why_not,
    })
}

/// Why an entity is not a human's, if so.
///
/// # Errors
/// If storage or the host cannot say.
pub async fn why_not(cx: &Cx, id: &EntityId) -> Result<Option<NotHuman>> {
    Ok(known(cx, id).await?.why_not)
}

async fn judge(
    cx: &Cx,
    id: &EntityId,
    entity: Option<&Entity>,
    groups: &[Group],
) -> Result<Option<NotHuman>> {
    let presence = presence::of(id, entity);
    let Some(entity) = entity.filter(|_| presence.is_present()) else {
        return Ok(Some(NotHuman::NotPresent(presence)));
    };
    let trace = cx.facts.agents.trace(id, &presence::keys(entity)).await?;
    if let Some(trace) = trace {
        let name = trace.name().to_string();
        return Ok(Some(match trace {
            Trace::Agent(_) => NotHuman::Agent(name),
            Trace::Former(_) => NotHuman::FormerAgent(name),
        }));
    }
    let settings = cx.identity().await?;
    Ok(by_settings(cx, settings, entity, groups))
}

/// Why the settings do not count an entity as a human's; none if they do.
fn by_settings(
    cx: &Cx,
    settings: &IdentitySettings,
    entity: &Entity,
    groups: &[Group],
) -> Option<NotHuman> {
    let excluded = settings.agent_groups.iter().chain(&settings.not_humans);
    for wanted in excluded {
        if let Some(group) = has_group(groups, wanted) {
            return Some(NotHuman::InGroup(group.name.clone()));
        }
    }
    if entity
        .aliases
        .iter()
        .any(|alias| presence::is_of_login(cx, alias))
    {
        return Some(NotHuman::Login);
    }
    // Nobody can log in where the mount is gone: such an alias says nothing.
    let alive = || {
        entity
            .aliases
            .iter()
            .filter(|alias| !alias.mount_type.is_empty())
    };
    let (mut human, mut other) = (None, None);
    for alias in alive() {
        let counts = settings.human_auth_methods.contains(&alias.mount_type)
            || settings.human_auth_methods.contains(&alias.accessor);
        let place = if counts { &mut human } else { &mut other };
        place.get_or_insert_with(|| format!("`{}`", alias.mount_type));
    }
    match (human, other) {
        (None, None) => return Some(NotHuman::NoAlias),
        (None, Some(other)) => return Some(NotHuman::NotInteractive(other)),
        (Some(human), Some(other)) => return Some(NotHuman::TwoFaced { human, other }),
        (Some(_), None) => {}
    }
    let in_one = settings.humans.is_empty()
        || settings
            .humans
            .iter()
            .any(|wanted| has_group(groups, wanted).is_some());
    (!in_one).then_some(NotHuman::InNoGroup)
}

/// The caller as a human who may agree to something. Consent comes from nobody
/// else, whatever the ACL says.
///
/// # Errors
/// [`Error::Denied`], with why.
pub async fn caller(cx: &Cx) -> Result<EntityId> {
    let Some(id) = &cx.caller.entity_id else {
        return Err(Error::Denied(
            "your token has no identity entity, and only a human's own identity can consent; log in through an auth method".to_owned(),
        ));
    };
    let known = caller::of(cx).await?;
    if known.is_of_login {
        return Err(denied(&NotHuman::Login));
    }
    let groups = cx.host.system.groups(id).await?;
    match judge(cx, id, known.entity.as_ref(), &groups).await? {
        None => Ok(id.clone()),
        Some(why) => Err(denied(&why)),
    }
}

fn denied(why: &NotHuman) -> Error {
    let what = match why {
        NotHuman::Agent(_) | NotHuman::FormerAgent(_) | NotHuman::Login => "agents cannot consent",
        NotHuman::NotPresent(_)
        | NotHuman::InGroup(_)
        | NotHuman::InNoGroup
        | NotHuman::NoAlias
        | NotHuman::NotInteractive(_)
        | NotHuman::TwoFaced { .. } => "only a human can consent",
    };
    Error::Denied(format!("{what}: {why}"))
}

/// The caller's own entity, to take back what is in its name: whoever it has
/// become since, and however it stands.
///
/// # Errors
/// [`Error::Denied`] if the token has none.
pub fn own_name(cx: &Cx) -> Result<&EntityId> {
    cx.caller.entity_id.as_ref().ok_or_else(|| {
        Error::Denied(
            "your token has no identity entity, so nothing is in your name; log in through an auth method".to_owned(),
        )
    })
}
