//! For which human an agent asks.

use crate::facts::identity::human::{self, NotHuman};
use crate::facts::issuers::store::Trusted;
use crate::facts::issuers::store::trust;
use crate::facts::issuers::verify;
use crate::host::framework::error::{Error, Result};
use crate::issue::Cx;
use crate::issue::login::proven::Proven;
use crate::issue::login::refusals::{not_taken, refused, told, unknown};
use crate::issue::login::rests::Named;
use crate::jose::claims::{Claims, Party};
use crate::jose::jws::Unverified;
use crate::model::agent::Agent;
use crate::model::identity::Presence;
use crate::model::issuer::Issuer;
use std::sync::Arc;

/// The entity that `issuer` calls `human`: by an operator's mapping, and by
/// nothing else. An agent is no human.
pub(super) async fn named(cx: &Cx, issuer: &Issuer, human: &str) -> Result<Named> {
    let entity = cx.facts.issuers.entity_of(&issuer.id, human).await?;
    let Some(entity) = entity else {
        return Err(refused(
            "subject.unknown",
            "the token is for somebody who is no identity entity here: an operator maps them under `config/issuers/:name/subjects/`",
        ));
    };
    match human::why_not(cx, &entity).await? {
        // Whether it is disabled is the decision's to say, to who has a delegation.
        None | Some(NotHuman::NotPresent(Presence::Disabled)) => {}
        Some(NotHuman::Agent(_)) => {
            return Err(refused(
                "subject.unknown",
                "the token is for an entity that is a registered agent, and no human",
            ));
        }
        Some(_) => {
            return Err(refused(
                "subject.not_human",
                "the token is for an entity that does not count as a human here: an operator sees why under `config/issuers/:name/check`",
            ));
        }
    }
    Ok(Named {
        issuer: issuer.name.clone(),
        id: issuer.id.clone(),
        trust: trust(issuer),
        called: human.to_owned(),
        entity,
    })
}

/// A token for a human that the agent presents as its own is for this agent
/// too, if it says who may act.
pub(super) async fn check_may_act(
    cx: &Cx,
    claims: &Claims,
    issuer: &Issuer,
    agent: &Agent,
) -> Result<()> {
    let own = &cx.config().await?.issuer;
    match &claims.may_act {
        Some(party) if !is_agent(party, &issuer.issuer_id, agent, own) => Err(another()),
        Some(_) | None => Ok(()),
    }
}

/// Adds what a subject token says (RFC 8693 2.1): for whom, and no more. That
/// the human lets the agent act is the delegation's to say.
pub(super) async fn add(cx: &Cx, proven: &mut Proven, token: Unverified<'_>) -> Result<()> {
    let Some(trusted) = trusted(cx, &token).await? else {
        return Err(unknown());
    };
    let issuer = &trusted.issuer;
    // One that is bound to a key is for whoever has the key, and a proof comes
    // with the agent's own token only.
    if !issuer.jwt_type.names_subjects() {
        return Err(not_taken());
    }
    let claims = verify::verify(cx, token, &trusted)
        .await
        .map_err(|refusal| told(&refusal, &issuer.name))?;
    if claims.jkt.is_some() {
        return Err(refused(
            "subject_token.bound",
            "the subject token is bound to a key, and is taken from nobody else",
        ));
    }
    let own = &cx.config().await?.issuer;
    check_actor(&claims, issuer, &proven.agent, own)?;
    let human = verify::text(&claims, &issuer.user_claim)
        .map_err(|refusal| told(&refusal, &issuer.name))?;
    proven.acts_for(named(cx, issuer, human).await?)?;
    proven.once(&claims, issuer);
    proven.narrow(&claims, issuer)
}

/// Who may act is who acts: `may_act`, if it is there, names this agent
/// (RFC 8693 4.4), and so does `act` (4.1). A token of another actor is not
/// a way around its chain.
fn check_actor(claims: &Claims, issuer: &Issuer, agent: &Agent, own: &str) -> Result<()> {
    let is_agent = |party: &Party| is_agent(party, &issuer.issuer_id, agent, own);
    let may = claims.may_act.as_ref().is_none_or(is_agent);
    let does = claims
        .actor
        .as_ref()
        .is_none_or(|actor| is_agent(actor.current()));
    if may && does { Ok(()) } else { Err(another()) }
}

fn another() -> Error {
    refused(
        "subject_token.actor",
        "the human's token is for another actor than this agent",
    )
}

/// Whether a party is this agent, as the token's issuer or this mount calls it.
fn is_agent(party: &Party, issuer: &str, agent: &Agent, own: &str) -> bool {
    let named_by = party.issuer.as_deref().unwrap_or(issuer);
    let external =
        !agent.issuer.is_empty() && named_by == agent.issuer && party.subject == agent.subject;
    let internal = !own.is_empty()
        && named_by == own
        && (party.subject == agent.id.as_str() || party.subject == agent.name.as_str());
    let client = party
        .client_id
        .as_ref()
        .is_none_or(|client| *client == party.subject);
    (external || internal) && client
}

/// The issuer that a token names, if this mount believes it. Its own
/// credentials are no proof here, whatever is configured.
pub(super) async fn trusted(cx: &Cx, token: &Unverified<'_>) -> Result<Option<Arc<Trusted>>> {
    let Some(issuer) = token.unverified_issuer() else {
        return Ok(None);
    };
    if cx.config().await?.issuer == issuer {
        return Ok(None);
    }
    cx.facts.issuers.trusted(&issuer).await
}
