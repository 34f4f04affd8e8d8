//! `creds/revoke` and `self/revoke`: what was handed out ends before its time.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::credentials::present::{Shown, Spoken};
use crate::credentials::store::Revoked;
use crate::decisions::entry::{Entry, Kind};
use crate::decisions::{events, log};
use crate::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::framework::error::{Error, Result};
use crate::framework::response::Reply;
use crate::model::agent::Agent;
use crate::model::credential::{LONGEST_LIFE, Revocation};
use crate::model::decision::Outcome;
use crate::model::ids::{AgentId, AgentName, CredentialId, DelegationId, EntityId};
use crate::model::time::Timestamp;
use crate::state::{Cx, State};

/// What was revoked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevocationView {
    /// Of an agent, subject or delegation: what was issued up to the second of
    /// this time is void.
    revoked_at: Timestamp,
}

/// Revoke credentials: one, or all of an agent, subject or delegation.
///
/// Give exactly one field. Whoever holds a credential may revoke it by `token`
/// (RFC 7009), and a token that is unknown or has expired is a success. An agent
/// may revoke its own credentials by naming itself. All else is for operators.
/// It holds at once for introspection, redemption and status lists; a verifier
/// that only checks signatures accepts a JWT until it expires.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeCredentials {
    /// The credential to revoke.
    #[schemars(extend("x-vault-displayAttrs" = { "sensitive": true }))]
    token: Option<String>,
    /// What the token is, as RFC 7009 has it. Ignored: it shows.
    #[serde(default, rename = "token_type_hint")]
    _token_type_hint: String,
    /// Id of the credential to revoke.
    jti: Option<CredentialId>,
    /// Name of the agent whose credentials to revoke. It may get new ones:
    /// `agents/:name/suspend` is what stops it.
    agent: Option<AgentName>,
    /// Id of the identity entity for whom agents act: all credentials with which
    /// they do.
    subject: Option<EntityId>,
    /// Id of the delegation whose credentials to revoke, with those of
    /// delegations that came from it.
    delegation_id: Option<DelegationId>,
}

impl Endpoint<State> for RevokeCredentials {
    const PLACE: Place = Place {
        path: "creds/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = RevocationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RevocationView>> {
        let Self {
            token,
            jti,
            agent,
            subject,
            delegation_id,
            ..
        } = self;
        let caller = match &cx.caller.entity_id {
            Some(entity) => cx.agents.by_entity(entity).await?,
            None => None,
        };
        let caller = caller.as_deref();
        let mut entry = Entry {
            jti: jti.clone(),
            subject: subject.clone(),
            delegation_id: delegation_id.clone(),
            ..log::entry(cx, Kind::CredentialRevoke, Outcome::Allow)
        };
        let named = match (&agent, caller) {
            (Some(name), _) => cx.agents.by_name(name).await?,
            (None, Some(caller)) => Some(Arc::new(caller.clone())),
            (None, None) => None,
        };
        if let Some(agent) = named {
            entry.agent = agent.name.to_string();
            entry.agent_id = Some(agent.id.clone());
            agent.owner.as_str().clone_into(&mut entry.owner);
        }
        match (token, jti, agent, subject, delegation_id) {
            (Some(token), None, None, None, None) => {
                let Some(spoken) = of_token(cx, &token).await? else {
                    return Ok(RevocationView { revoked_at: cx.now }.into());
                };
                let done = log::entry(cx, Kind::CredentialRevoke, Outcome::Allow);
                entry = events::of_credential(cx, done, &spoken).await;
            }
            (None, Some(jti), None, None, None) => of_id(cx, caller, &jti).await?,
            (None, None, Some(agent), None, None) => of_agent(cx, caller, &agent).await?,
            (None, None, None, Some(subject), None) => {
                operators_only(caller, "subject")?;
                mark(cx, Revoked::Subject(&subject)).await?;
            }
            (None, None, None, None, Some(delegation)) => {
                operators_only(caller, "delegation_id")?;
                mark(cx, Revoked::Delegation(&delegation)).await?;
            }
            _ => {
                return Err(Error::Invalid(
                    "give exactly one of `token`, `jti`, `agent`, `subject` and `delegation_id`"
                        .to_owned(),
                ));
            }
        }
        log::record(cx, entry);
        Ok(RevocationView { revoked_at: cx.now }.into())
    }
}

fn operators_only(caller: Option<&Agent>, field: &str) -> Result<()> {
    match caller {
        None => Ok(()),
        Some(agent) => Err(Error::Denied(format!(
            "`{}` is a registered agent, and `{field}` is for operators: revoke your own credentials by `token`, or by naming yourself as `agent`",
            agent.name
        ))),
    }
}

/// What was revoked; `None` if the token is none of ours.
async fn of_token(cx: &Cx, token: &str) -> Result<Option<Spoken>> {
    let Some(shown) = Shown::read(cx, token).await? else {
        return Ok(None);
    };
    let Some((spoken, _)) = shown.resolve(cx).await? else {
        return Ok(None);
    };
    one(cx, &spoken.grounds.id, spoken.grounds.expires_at).await?;
    Ok(Some(spoken))
}

async fn of_id(cx: &Cx, caller: Option<&Agent>, id: &CredentialId) -> Result<()> {
    // Of a JWT nobody knows whose it was, and so not whether an agent may.
    operators_only(caller, "jti")?;
    one(cx, id, cx.now.plus(LONGEST_LIFE)).await
}

async fn one(cx: &Cx, id: &CredentialId, expires_at: Timestamp) -> Result<()> {
    if expires_at <= cx.now {
        return Ok(());
    }
    let revocation = Revocation {
        at: cx.now,
        // A lease may be renewed up to the longest life.
        until: cx.now.plus(LONGEST_LIFE),
    };
    cx.credentials.revoke(Revoked::One(id), &revocation).await
}

async fn mark(cx: &Cx, what: Revoked<'_>) -> Result<()> {
    // A clock that was set back must not bring anything back.
    let before = cx.credentials.revocation(what).await?;
    let revocation = Revocation {
        at: before.map_or(cx.now, |before| before.at.max(cx.now)),
        until: cx.now.plus(LONGEST_LIFE),
    };
    cx.credentials.revoke(what, &revocation).await
}

async fn of_agent(cx: &Cx, caller: Option<&Agent>, name: &AgentName) -> Result<()> {
    if caller.is_some_and(|caller| caller.name != *name) {
        operators_only(caller, "agent")?;
    }
    match cx.agents.by_name(name).await? {
        Some(agent) => all_of(cx, &agent.id).await,
        None => Err(Error::NotFound(format!("there is no agent `{name}`"))),
    }
}

/// One write: a time in the agent's record.
async fn all_of(cx: &Cx, agent: &AgentId) -> Result<()> {
    let revoked = cx.agents.update(agent, |agent| {
        agent.credentials_revoked_at = agent.credentials_revoked_at.max(Some(cx.now));
        Ok(())
    });
    revoked.await.map(drop)
}

/// Revoke every credential of yours.
///
/// For an agent, all that it got. For a human, all with which agents act for
/// you; what they may ask for anew is a matter of your delegations.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeOwn {}

impl Endpoint<State> for RevokeOwn {
    const PLACE: Place = Place {
        path: "self/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = RevocationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RevocationView>> {
        let Some(entity) = &cx.caller.entity_id else {
            return Err(Error::Denied("your token has no identity entity, so you are nobody here; log in through an auth method".to_owned()));
        };
        let mut entry = log::entry(cx, Kind::CredentialRevoke, Outcome::Allow);
        match cx.agents.by_entity(entity).await? {
            Some(agent) => {
                all_of(cx, &agent.id).await?;
                entry = log::about(cx, Kind::CredentialRevoke, &agent);
            }
            None => {
                mark(cx, Revoked::Subject(entity)).await?;
                entry.subject = Some(entity.clone());
            }
        }
        log::record(cx, entry);
        Ok(RevocationView { revoked_at: cx.now }.into())
    }
}
