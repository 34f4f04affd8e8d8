//! `delegations/…`: asked for by agents, given by humans, seen by those whom
//! they concern and by nobody else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::events;
use crate::facts::identity::human;
use crate::facts::identity::upkeep;
use crate::grants::Cx;
use crate::grants::delegations::answer::{self, Role, Said, Which, unknown};
use crate::grants::delegations::input::{self, Given, Terms};
use crate::grants::delegations::view::DelegationView;
use crate::grants::delegations::{pass, request};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::model::ids::{AgentName, DelegationId, EntityId};
use crate::model::text::Description;
use crate::model::time::Ttl;
use crate::record::decisions::entry::Kind;

/// A delegation that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Requested {
    #[serde(flatten)]
    delegation: DelegationView,
    /// The code that a human enters to see and answer the request, where it
    /// names nobody; shown this once.
    user_code: String,
}

/// A delegation that was agreed to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Agreed {
    #[serde(flatten)]
    delegation: DelegationView,
    /// The signed receipt: a compact JWS that our key set verifies.
    receipt: String,
}

impl Agreed {
    /// The view of what was agreed to.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn of(cx: &Cx, granted: answer::Granted) -> Result<Self> {
        Ok(Self {
            delegation: DelegationView::of(cx, &granted.delegation).await?,
            receipt: granted.receipt,
        })
    }
}

/// Ask a human for authority.
///
/// For agents. The human sees the request in plain words and approves it, less
/// of it, or nothing. With `subject_entity_id` it waits for that human, for a
/// day. Without, the answer holds a `user_code`: whoever authenticates and
/// enters it under `delegations/code/` may answer, within ten minutes. Asking
/// again for the same while it waits returns the same request.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RequestDelegation {
    /// What for, as authorization details (RFC 9396): a list of objects, or
    /// its JSON text.
    scope: Vec<Map<String, Value>>,
    /// Why, in words for the human.
    #[serde(default)]
    purpose: Description,
    /// How long it is to last from the approval. Default 24h.
    ttl: Option<Ttl>,
    /// Longest lifetime of a credential under it. Default: not limited here.
    max_ttl: Option<Ttl>,
    /// How many credentials may be issued under it. Default: not limited.
    max_uses: Option<u32>,
    /// Identity entity of the human. Left out: whoever has the code.
    subject_entity_id: Option<EntityId>,
}

impl Endpoint<Cx> for RequestDelegation {
    const PLACE: Place = Place {
        path: "delegations/request",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Requested;

    async fn handle(self, cx: &Cx) -> Result<Reply<Requested>> {
        let agent = input::acting_agent(cx).await?;
        let given = Given {
            scope: Some(self.scope),
            purpose: Some(self.purpose),
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            max_uses: self.max_uses,
        };
        let terms = Terms::new(given, cx.config().await?)?;
        let (delegation, code) = match self.subject_entity_id {
            Some(subject) => (request::of(cx, &agent, terms, subject).await?, None),
            None => {
                let (delegation, code) = request::of_anybody(cx, &agent, terms).await?;
                (delegation, Some(code))
            }
        };
        events::delegation(cx, Kind::DelegationRequest, &delegation).await;
        Ok(Requested {
            delegation: DelegationView::of(cx, &delegation).await?,
            user_code: code.map(|code| code.expose().clone()).unwrap_or_default(),
        }
        .into())
    }
}

/// Grant an agent authority that it has not asked for.
///
/// For humans: the caller's own identity is the subject. The answer holds a
/// signed receipt.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GrantDelegation {
    /// Name of the agent.
    agent: AgentName,
    /// What for, as authorization details (RFC 9396): a list of objects, or
    /// its JSON text.
    scope: Vec<Map<String, Value>>,
    /// Why.
    #[serde(default)]
    purpose: Description,
    /// How long it lasts. Default 24h.
    ttl: Option<Ttl>,
    /// Longest lifetime of a credential under it. Default: not limited here.
    max_ttl: Option<Ttl>,
    /// How many credentials may be issued under it. Default: not limited.
    max_uses: Option<u32>,
}

impl Endpoint<Cx> for GrantDelegation {
    const PLACE: Place = Place {
        path: "delegations/grant",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Agreed;

    async fn handle(self, cx: &Cx) -> Result<Reply<Agreed>> {
        let human = human::caller(cx).await?;
        let given = Given {
            scope: Some(self.scope),
            purpose: Some(self.purpose),
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            max_uses: self.max_uses,
        };
        let terms = Terms::new(given, cx.config().await?)?;
        let Some(agent) = cx.facts.agents.by_name(&self.agent).await? else {
            return Err(Error::field(
                "agent",
                format_args!("there is no agent `{}`", self.agent),
            ));
        };
        if let Some(problem) = upkeep::unable(&agent, cx) {
            return Err(Error::field("agent", problem));
        }
        let granted = answer::grant(cx, &human, &agent, terms).await?;
        events::delegation(cx, Kind::DelegationGrant, &granted.delegation).await;
        Ok(Agreed::of(cx, granted).await?.into())
    }
}

/// Read a delegation that concerns you.
///
/// For its subject, the agent that received it, and the agent that passed it
/// on. For anybody else it is not there.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadDelegation {
    /// Id of the delegation.
    id: DelegationId,
}

impl Endpoint<Cx> for ReadDelegation {
    const PLACE: Place = Place {
        path: "delegations/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = DelegationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DelegationView>> {
        let Some(delegation) = cx.grants.delegations.get(&self.id).await? else {
            return Err(unknown(&self.id));
        };
        match (answer::role(cx, &delegation).await?, &cx.caller.entity_id) {
            (Some(Role::Subject), Some(human)) => {
                Ok(DelegationView::question(cx, &delegation, human)
                    .await?
                    .into())
            }
            (Some(_), _) => Ok(DelegationView::of(cx, &delegation).await?.into()),
            (None, _) => Err(unknown(&self.id)),
        }
    }
}

/// Approve a request for authority, or less of it.
///
/// For the human whom it names, and nobody else. `seen` is the word that the
/// question ends with at `delegations/:id`. What is given narrows the request; what is not given is approved as it was asked for. The answer holds
/// a signed receipt.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ApproveDelegation {
    /// Id of the delegation.
    id: DelegationId,
    /// The word that the question ends with, as its human reads it.
    seen: String,
    /// What for, as authorization details; at most what was asked for.
    scope: Option<Vec<Map<String, Value>>>,
    /// How long it lasts from now; at most what was asked for.
    ttl: Option<Ttl>,
    /// Longest lifetime of a credential; at most what was asked for.
    max_ttl: Option<Ttl>,
    /// How many credentials; at most what was asked for.
    max_uses: Option<u32>,
    /// A word to the agent.
    #[serde(default)]
    reason: Description,
}

impl Endpoint<Cx> for ApproveDelegation {
    const PLACE: Place = Place {
        path: "delegations/{id}/approve",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Agreed;

    async fn handle(self, cx: &Cx) -> Result<Reply<Agreed>> {
        let human = human::caller(cx).await?;
        let given = Given {
            scope: self.scope,
            purpose: None,
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            max_uses: self.max_uses,
        };
        let said = Said {
            seen: self.seen,
            reason: self.reason,
        };
        let granted = answer::approve(cx, &self.id, Which::Bound, &human, given, said).await?;
        events::delegation(cx, Kind::DelegationApprove, &granted.delegation).await;
        Ok(Agreed::of(cx, granted).await?.into())
    }
}

/// Refuse a request for authority.
///
/// For the human whom it names, and nobody else. The agent may not ask that
/// human again for a while, `consent_cooldown` under `config`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DenyDelegation {
    /// Id of the delegation.
    id: DelegationId,
    /// Why; the agent can read it.
    #[serde(default)]
    reason: Description,
}

impl Endpoint<Cx> for DenyDelegation {
    const PLACE: Place = Place {
        path: "delegations/{id}/deny",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::TakesBack;
    type Output = DelegationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DelegationView>> {
        let human = human::own_name(cx)?;
        let denied = answer::deny(cx, &self.id, Which::Bound, human, self.reason).await?;
        events::delegation(cx, Kind::DelegationDeny, &denied).await;
        Ok(DelegationView::of(cx, &denied).await?.into())
    }
}

/// Take a delegation back, or give it up.
///
/// For its subject, the agent that received it, and the agent that passed it
/// on. Whatever was passed on from it ends with it, at the next decision. A
/// request that waits is withdrawn. A JWT that is out stays valid until it
/// expires.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeDelegation {
    /// Id of the delegation.
    id: DelegationId,
    /// Why.
    #[serde(default)]
    reason: Description,
}

impl Endpoint<Cx> for RevokeDelegation {
    const PLACE: Place = Place {
        path: "delegations/{id}/revoke",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::TakesBack;
    type Output = DelegationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DelegationView>> {
        let revoked = answer::revoke(cx, &self.id, false, self.reason).await?;
        events::delegation(cx, Kind::DelegationRevoke, &revoked).await;
        Ok(DelegationView::of(cx, &revoked).await?.into())
    }
}

/// Pass a part of what you hold to another agent.
///
/// For the agent that holds the delegation. The scope must lie within its own;
/// lifetime and uses are cut to what is left. The human's consent covers it:
/// revoking any link above ends it too.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PassDelegation {
    /// Id of the delegation.
    id: DelegationId,
    /// Name of the agent that is to receive it.
    agent: AgentName,
    /// What for, as authorization details; left out: all that you hold.
    scope: Option<Vec<Map<String, Value>>>,
    /// Why. Left out: as what you hold.
    purpose: Option<Description>,
    /// How long; at most as long as what you hold, which is the default.
    ttl: Option<Ttl>,
    /// Longest lifetime of a credential; at most that of what you hold.
    max_ttl: Option<Ttl>,
    /// How many credentials; at most as many as are left.
    max_uses: Option<u32>,
}

impl Endpoint<Cx> for PassDelegation {
    const PLACE: Place = Place {
        path: "delegations/{id}/delegate",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = DelegationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DelegationView>> {
        let given = Given {
            scope: self.scope,
            purpose: self.purpose,
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            max_uses: self.max_uses,
        };
        let passed = pass::pass(cx, &self.id, &self.agent, given).await?;
        events::delegation(cx, Kind::DelegationDelegate, &passed.delegation).await;
        let view = DelegationView::of(cx, &passed.delegation).await?;
        Ok(Reply::Data(view, passed.cut))
    }
}
