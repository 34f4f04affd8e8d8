//! `creds/revoke` and `self/revoke`: what was handed out ends before its time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::identity::{admit, caller, human};
use crate::grants::delegations::answer;
use crate::grants::delegations::store::Whose;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::issue::credentials::events;
use crate::issue::credentials::present::{self, Shown, Spoken};
use crate::issue::credentials::store::Revoked;
use crate::model::agent::Agent;
use crate::model::credential::{Grounds, LONGEST_LIFE, Revocation};
use crate::model::decision::Outcome;
use crate::model::ids::{AgentId, AgentName, CredentialId, DelegationId, EntityId};
use crate::model::time::Timestamp;
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::log;

/// What was revoked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevocationView {
    /// Of more than one credential: what was issued up to the second of this time
    /// is void.
    revoked_at: Timestamp,
}

/// End a credential that you hold, or that is yours.
///
/// Give exactly one field. Whoever holds a credential may end it by `token`
/// (RFC 7009), and a token that is unknown or has expired is a success. Its human
/// and its agent may end a kept one by `jti`, and all under a delegation of theirs
/// by `delegation_id`. An agent ends all of its own by `agent`, its own name.
/// Operators end others' at `oversight/revoke`. It holds at once for
/// introspection, redemption and status lists; a verifier that only checks
/// signatures accepts a JWT until it expires.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeCredentials {
    /// The credential to end.
    #[schemars(extend("x-vault-displayAttrs" = { "sensitive": true }))]
    token: Option<String>,
    /// What the token is, as RFC 7009 has it. Ignored: it shows.
    #[serde(default, rename = "token_type_hint")]
    _token_type_hint: String,
    /// Id of a credential that is kept: an opaque one, or one whose uses are
    /// counted.
    jti: Option<CredentialId>,
    /// Your own name, if you are an agent. You may get new credentials.
    agent: Option<AgentName>,
    /// Not here: operators give it at `oversight/revoke`, and humans end what is in
    /// their name at `self/revoke`.
    subject: Option<EntityId>,
    /// Id of a delegation of yours: what was issued under it and under what was
    /// passed on from it.
    delegation_id: Option<DelegationId>,
}

impl Endpoint<Cx> for RevokeCredentials {
    const PLACE: Place = Place {
        path: "creds/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = RevocationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RevocationView>> {
        let caller = caller::of(cx).await?;
        let own = caller.agent.as_deref();
        let entry = match (
            self.token,
            self.jti,
            self.agent,
            self.subject,
            self.delegation_id,
        ) {
            (Some(token), None, None, None, None) => match of_token(cx, &token).await? {
                Some(spoken) => {
                    let done = log::entry(cx, Kind::CredentialRevoke, Outcome::Allow);
                    events::of_credential(cx, done, &spoken).await
                }
                None => return Ok(RevocationView { revoked_at: cx.now }.into()),
            },
            (None, Some(jti), None, None, None) => {
                let spoken = owned(cx, own, &jti).await?;
                one(cx, &jti, spoken.grounds.expires_at).await?;
                let done = log::entry(cx, Kind::CredentialRevoke, Outcome::Allow);
                events::of_credential(cx, done, &spoken).await
            }
            (None, None, Some(name), None, None) => {
                let Some(agent) = own.filter(|own| own.name == name) else {
                    return Err(elsewhere("agent"));
                };
                all_of(cx, &agent.id).await?;
                log::about(cx, Kind::CredentialRevoke, agent)
            }
            (None, None, None, None, Some(id)) => {
                let delegation = cx.grants.delegations.get(&id).await?;
                let concerns = match &delegation {
                    Some(delegation) => answer::role(cx, delegation).await?.is_some(),
                    None => false,
                };
                if !concerns {
                    return Err(elsewhere("delegation_id"));
                }
                mark(cx, Revoked::Delegation(&id)).await?;
                Entry {
                    delegation_id: Some(id),
                    ..log::entry(cx, Kind::CredentialRevoke, Outcome::Allow)
                }
            }
            (None, None, None, Some(_), None) => return Err(elsewhere("subject")),
            _ => {
                return Err(Error::Invalid(
                    "give exactly one of `token`, `jti`, `agent` and `delegation_id`".to_owned(),
                ));
            }
        };
        log::record(cx, entry);
        Ok(RevocationView { revoked_at: cx.now }.into())
    }
}

/// What is others' is ended by who governs.
fn elsewhere(field: &str) -> Error {
    Error::Denied(format!(
        "`{field}` names nothing of yours: end what you hold by `token`; operators end what is others' at `oversight/revoke`"
    ))
}

/// A kept credential, if the caller is its agent or its human.
async fn owned(cx: &Cx, own: Option<&Agent>, id: &CredentialId) -> Result<Spoken> {
    let stored = cx.issue.credentials.get(id).await?;
    let spoken = stored.as_ref().and_then(present::spoken);
    let is_owned = |grounds: &Grounds| {
        own.is_some_and(|own| own.id == grounds.agent)
            || (grounds.subject.is_some() && grounds.subject == cx.caller.entity_id)
    };
    spoken
        .filter(|spoken| is_owned(&spoken.grounds))
        .ok_or_else(|| elsewhere("jti"))
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

pub(super) async fn one(cx: &Cx, id: &CredentialId, expires_at: Timestamp) -> Result<()> {
    if expires_at <= cx.now {
        return Ok(());
    }
    let revocation = Revocation {
        at: cx.now,
        // A lease may be renewed up to the longest life.
        until: cx.now.plus(LONGEST_LIFE),
    };
    cx.issue
        .credentials
        .revoke(Revoked::One(id), &revocation)
        .await
}

pub(super) async fn mark(cx: &Cx, what: Revoked<'_>) -> Result<()> {
    // A clock that was set back must not bring anything back.
    let before = cx.issue.credentials.revocation(what).await?;
    let revocation = Revocation {
        at: before.map_or(cx.now, |before| before.at.max(cx.now)),
        until: cx.now.plus(LONGEST_LIFE),
    };
    cx.issue.credentials.revoke(what, &revocation).await
}

/// One write: a time in the agent's record.
pub(super) async fn all_of(cx: &Cx, agent: &AgentId) -> Result<()> {
    let revoked = cx.facts.agents.update(agent, |agent| {
        agent.credentials_revoked_at = agent.credentials_revoked_at.max(Some(cx.now));
        Ok(())
    });
    revoked.await.map(drop)
}

/// Revoke every credential of yours.
///
/// For an agent, all that it got. For a human, all with which agents act for
/// you; what they may ask for anew is a matter of your delegations. Whoever you
/// have become since, what is in your name ends.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeOwn {}

impl Endpoint<Cx> for RevokeOwn {
    const PLACE: Place = Place {
        path: "self/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::TakesBack;
    type Output = RevocationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<RevocationView>> {
        let entity = human::own_name(cx)?;
        let caller = caller::of(cx).await?;
        let reason = caller
            .agent
            .as_ref()
            .and_then(|agent| admit::inability(agent, caller.presence, cx));
        let gave = cx
            .grants
            .delegations
            .ids(Whose::Subject(entity), None, 1)
            .await?;
        let mut entry = log::entry(cx, Kind::CredentialRevoke, Outcome::Allow);
        match (&caller.agent, reason) {
            (Some(agent), None) => {
                all_of(cx, &agent.id).await?;
                entry = log::about(cx, Kind::CredentialRevoke, agent);
            }
            (Some(_), Some(reason)) if gave.is_empty() => {
                return Err(Error::Denied(format!(
                    "refused ({}): {reason}",
                    reason.as_str()
                )));
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
        if caller.agent.is_none() || !gave.is_empty() {
            mark(cx, Revoked::Subject(entity)).await?;
            entry.subject = Some(entity.clone());
        }
        log::record(cx, entry);
        Ok(RevocationView { revoked_at: cx.now }.into())
    }
}
