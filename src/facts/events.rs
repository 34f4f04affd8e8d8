//! Entries about what is no decision of the engine: delegations, consents,
//! uses and revocations of credentials, and refusals of all of these.

use serde_json::Map;

use crate::facts::Cx;
use crate::facts::identity::admit::Refused;
use crate::host::framework::endpoint::{Audience, Place, Verb};
use crate::host::framework::error::Error;
use crate::model::agent::Mode;
use crate::model::consent::HumanConsent;
use crate::model::decision::Outcome;
use crate::model::delegation::{Delegation, Delegator};
use crate::model::ids::AgentId;
use crate::record::decisions::entry::{Entry, Kind, Link};
use crate::record::decisions::log;

/// What is refused at a path without a decision of the engine, by the path as
/// endpoints declare it.
fn kind_of(place: &Place) -> Option<Kind> {
    if let Verb::Delete = place.verb {
        return match place.path {
            "agents/{name}" | "registration/id/{id}" => Some(Kind::AgentDelete),
            "agents/former/{id}" => Some(Kind::AgentForget),
            _ => None,
        };
    }
    Some(match place.path {
        "login" => Kind::Login,
        "creds/redeem" => Kind::Redeem,
        "creds/revoke" | "self/revoke" | "oversight/revoke" => Kind::CredentialRevoke,
        "delegations/request" => Kind::DelegationRequest,
        "delegations/grant" => Kind::DelegationGrant,
        "delegations/{id}/approve" | "delegations/code/{user_code}/approve" => {
            Kind::DelegationApprove
        }
        "delegations/{id}/deny" | "delegations/code/{user_code}/deny" => Kind::DelegationDeny,
        "delegations/{id}/revoke" | "oversight/delegations/{id}/revoke" => Kind::DelegationRevoke,
        "delegations/{id}/delegate" => Kind::DelegationDelegate,
        "consents/{id}/approve" => Kind::ConsentApprove,
        "consents/{id}/deny" => Kind::ConsentDeny,
        "agents/{name}/suspend" => Kind::AgentSuspend,
        "agents/{name}/resume" => Kind::AgentResume,
        "agents/{name}/revoke" => Kind::AgentRevoke,
        "keys/{name}/retire" => Kind::KeyRetire,
        _ => return None,
    })
}

/// Whether an error is a refusal: not one of what was sent, nor a fault.
#[must_use]
pub const fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Denied(_) | Error::NotFound(_) | Error::Conflict(_) | Error::Limited(_) => true,
        Error::Invalid(_)
        | Error::NoRoute
        | Error::Unsupported
        | Error::Host(_)
        | Error::Internal(_) => false,
    }
}

/// What an entry says of an error.
#[must_use]
pub fn problem(error: &Error) -> String {
    if error.is_public() {
        error.to_string()
    } else {
        "a fault of the plugin: see the server's log".to_owned()
    }
}

/// Records that the caller was refused at a path, with the sentence it was
/// told.
pub async fn refused(cx: &Cx, place: &Place, error: &Error) {
    let Some(kind) = kind_of(place).filter(|_| is_refusal(error)) else {
        return;
    };
    let caller = match &cx.caller.entity_id {
        Some(entity) => cx.facts.agents.by_entity(entity).await.ok().flatten(),
        None => None,
    };
    let entry = match caller {
        Some(agent) => log::about(cx, kind, &agent),
        None => log::entry(cx, kind, Outcome::Deny),
    };
    log::record(
        cx,
        Entry {
            outcome: Outcome::Deny,
            problem: problem(error),
            ..entry
        },
    );
}

/// Records that a caller may not use a path at all, and as what it was refused;
/// the server's audit log says so too. Of what does not govern, only what is
/// recorded anyway.
pub async fn not_admitted(cx: &Cx, audience: Audience, place: &Place, refused: &Refused) {
    let kind = match audience {
        Audience::Governed => Some(kind_of(place).unwrap_or(Kind::Govern)),
        Audience::Caller | Audience::Judged | Audience::TakesBack | Audience::Public => {
            kind_of(place)
        }
    };
    let Some(kind) = kind.filter(|_| is_refusal(&refused.error)) else {
        return;
    };
    let caller = match &cx.caller.entity_id {
        Some(entity) => cx.facts.agents.by_entity(entity).await.ok().flatten(),
        None => None,
    };
    let entry = match caller {
        Some(agent) => log::about(cx, kind, &agent),
        None => log::entry(cx, kind, Outcome::Deny),
    };
    let entry = Entry {
        outcome: Outcome::Deny,
        refused_as: refused.as_what.to_owned(),
        action: place.verb.as_str().to_owned(),
        resource: place.path.to_owned(),
        problem: problem(&refused.error),
        ..entry
    };
    cx.noted.put(Map::from_iter([
        ("decision_id".to_owned(), entry.id.to_string().into()),
        ("outcome".to_owned(), entry.outcome.as_str().into()),
        ("refused_as".to_owned(), refused.as_what.into()),
    ]));
    log::record(cx, entry);
}

/// Fills in which agent it is about, as far as that is known.
pub async fn with_agent(cx: &Cx, entry: Entry, id: &AgentId) -> Entry {
    let agent = cx.facts.agents.get(id).await.ok().flatten();
    Entry {
        agent: agent
            .as_ref()
            .map(|agent| agent.name.to_string())
            .unwrap_or_default(),
        owner: agent
            .map(|agent| agent.owner.as_str().to_owned())
            .unwrap_or_default(),
        agent_id: Some(id.clone()),
        ..entry
    }
}

/// Records what was done to a delegation.
pub async fn delegation(cx: &Cx, kind: Kind, delegation: &Delegation) {
    let entry = with_agent(cx, log::entry(cx, kind, Outcome::Allow), &delegation.agent).await;
    // The agent that passed it on sees what becomes of it.
    let passed = match &delegation.delegator {
        Delegator::Agent { id, parent } => Some(Link {
            delegation: parent.clone(),
            agent: id.clone(),
        }),
        _ => None,
    };
    let link = Link {
        delegation: delegation.id.clone(),
        agent: delegation.agent.clone(),
    };
    log::record(
        cx,
        Entry {
            subject: delegation.subject.clone(),
            mode: Some(Mode::OnBehalfOf),
            chain: passed.into_iter().chain([link]).collect(),
            purpose: delegation.purpose.as_str().to_owned(),
            max_uses: delegation.max_uses,
            ttl: Some(cx.now.until(delegation.expires_at)),
            delegation_id: Some(delegation.id.clone()),
            consent_id: delegation.consent.clone(),
            ..entry
        },
    );
}

/// Records what was done to a consent.
pub async fn consent(cx: &Cx, kind: Kind, consent: &HumanConsent) {
    let asked = consent.request();
    let entry = with_agent(cx, log::entry(cx, kind, Outcome::Allow), &consent.agent).await;
    log::record(
        cx,
        Entry {
            agent: consent.agent_name.to_string(),
            subject: Some(consent.subject.clone()),
            mode: Some(Mode::OnBehalfOf),
            chain: vec![Link {
                delegation: consent.delegation.clone(),
                agent: consent.agent.clone(),
            }],
            target: asked
                .map(|asked| asked.target.to_string())
                .unwrap_or_default(),
            action: asked
                .map(|asked| asked.action.to_string())
                .unwrap_or_default(),
            resource: asked
                .map(|asked| asked.resource.to_string())
                .unwrap_or_default(),
            purpose: asked
                .map(|asked| asked.reason.as_str().to_owned())
                .unwrap_or_default(),
            delegation_id: Some(consent.delegation.clone()),
            consent_id: Some(consent.id.clone()),
            ..entry
        },
    );
}
