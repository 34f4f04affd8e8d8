//! `oversight/revoke`: what others hold ends before its time, by who governs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grants::delegations::store::Whose;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result, needed};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::issue::credentials::revoke_api::{all_of, mark, one};
use crate::issue::credentials::store::Revoked;
use crate::model::credential::LONGEST_LIFE;
use crate::model::decision::Outcome;
use crate::model::ids::{AgentName, CredentialId, DelegationId, EntityId, IssuerName, TargetName};
use crate::model::text::{Description, Label};
use crate::model::time::Timestamp;
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::log;

/// How many agents are looked at with one call to storage.
const AT_ONCE: u32 = 200;

/// What was revoked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OversightView {
    /// What was issued up to the second of this time is void.
    revoked_at: Timestamp,
    /// How many things of that name there are: agents of an owner, else one.
    matched: u32,
    /// What lives on for a while, and what ends it.
    lives_on: Vec<&'static str>,
}

/// Whoever verifies by signature alone.
const OFFLINE: &str = "a verifier that only checks signatures accepts a JWT until it expires, at most an hour: rotate or retire its key to end it sooner";
/// Tokens of the server.
const TOKENS: &str = "tokens of the server from logins live to their end, and are not renewed: `lease revoke -prefix` on the login path ends them";
/// What may be asked for anew.
const ANEW: &str =
    "new credentials may be asked for: suspend the agent, or revoke the delegation, to stop that";

/// Revoke what others hold.
///
/// Give exactly one of `agent`, `subject`, `delegation_id`, `jti`, `issuer`,
/// `target` and `owner`, and say why. It holds at once for introspection,
/// redemption, renewal and status lists.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Revoke {
    /// Name of the agent whose credentials end.
    agent: Option<AgentName>,
    /// Id of the identity entity for whom agents act: all with which they do.
    subject: Option<EntityId>,
    /// Id of the delegation: what was issued under it, and under what was passed on
    /// from it.
    delegation_id: Option<DelegationId>,
    /// Id of one credential.
    jti: Option<CredentialId>,
    /// Name of the issuer, as under `config/issuers/`: logins that it vouched for
    /// are not renewed.
    issuer: Option<IssuerName>,
    /// Name of the target whose credentials end.
    target: Option<TargetName>,
    /// Owner of agents, as `owner` or `owner_entity_id` has it: the credentials of
    /// all of them.
    owner: Option<Label>,
    /// Why. Needed.
    reason: Description,
}

impl Endpoint<Cx> for Revoke {
    const PLACE: Place = Place {
        path: "oversight/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = OversightView;

    async fn handle(self, cx: &Cx) -> Result<Reply<OversightView>> {
        needed(&self.reason)?;
        let given = [
            self.agent.is_some(),
            self.subject.is_some(),
            self.delegation_id.is_some(),
            self.jti.is_some(),
            self.issuer.is_some(),
            self.target.is_some(),
            self.owner.as_ref().is_some_and(|owner| !owner.is_empty()),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(Error::Invalid(
                "give exactly one of `agent`, `subject`, `delegation_id`, `jti`, `issuer`, `target` and `owner`".to_owned(),
            ));
        }
        let mut entry = Entry {
            purpose: self.reason.as_str().to_owned(),
            ..log::entry(cx, Kind::CredentialRevoke, Outcome::Allow)
        };
        let mut matched = 1;
        let mut lives_on = vec![OFFLINE, TOKENS, ANEW];
        if let Some(name) = &self.agent {
            let Some(agent) = cx.facts.agents.by_name(name).await? else {
                return Err(Error::NotFound(format!("there is no agent `{name}`")));
            };
            all_of(cx, &agent.id).await?;
            entry.agent = agent.name.to_string();
            entry.agent_id = Some(agent.id.clone());
        } else if let Some(subject) = &self.subject {
            check_subject(cx, subject).await?;
            mark(cx, Revoked::Subject(subject)).await?;
            entry.subject = Some(subject.clone());
        } else if let Some(id) = &self.delegation_id {
            if cx.grants.delegations.get(id).await?.is_none() {
                return Err(Error::NotFound(format!("there is no delegation {id}")));
            }
            mark(cx, Revoked::Delegation(id)).await?;
            entry.delegation_id = Some(id.clone());
        } else if let Some(id) = &self.jti {
            one(cx, id, cx.now.plus(LONGEST_LIFE)).await?;
            entry.jti = Some(id.clone());
            lives_on = vec![OFFLINE];
        } else if let Some(name) = &self.issuer {
            cx.facts.issuers.revoke(name, cx.now).await?;
            entry.resource = format!("config/issuers/{name}");
            lives_on = vec![TOKENS];
        } else if let Some(name) = &self.target {
            cx.facts.targets.revoke(name, cx.now).await?;
            entry.target = name.to_string();
        } else if let Some(owner) = &self.owner {
            matched = of_owner(cx, owner).await?;
            entry.owner = owner.as_str().to_owned();
        }
        log::record(cx, entry);
        let view = OversightView {
            revoked_at: cx.now,
            matched,
            lives_on,
        };
        Ok(view.into())
    }
}

/// A subject is somebody whom the host or a delegation knows.
async fn check_subject(cx: &Cx, subject: &EntityId) -> Result<()> {
    let known = cx.host.system.entity(subject).await?.is_some()
        || !cx
            .grants
            .delegations
            .ids(Whose::Subject(subject), None, 1)
            .await?
            .is_empty();
    if known {
        Ok(())
    } else {
        Err(Error::NotFound(format!(
            "neither the server nor a delegation knows the entity {subject}"
        )))
    }
}

/// Every agent of an owner, one write each.
async fn of_owner(cx: &Cx, owner: &Label) -> Result<u32> {
    let mut matched: u32 = 0;
    let mut after = String::new();
    loop {
        let page = cx.facts.agents.page(&after, AT_ONCE).await?;
        let Some(last) = page.last() else { break };
        after = last.name.to_string();
        for agent in &page {
            let by_entity = agent.owner_entity_id.as_ref().map(EntityId::as_str);
            if agent.owner == *owner || by_entity == Some(owner.as_str()) {
                all_of(cx, &agent.id).await?;
                matched = matched.saturating_add(1);
            }
        }
    }
    if matched == 0 {
        return Err(Error::NotFound(format!(
            "no agent has the owner `{}`",
            owner.as_str()
        )));
    }
    Ok(matched)
}
