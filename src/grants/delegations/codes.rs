//! `delegations/code/…`: a human looks at a request by its code, and answers
//! it as whoever they are.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::facts::events;
use crate::facts::identity::human;
use crate::grants::Cx;
use crate::grants::delegations::answer::{self, Said, Which, unknown_code};
use crate::grants::delegations::api::Agreed;
use crate::grants::delegations::code;
use crate::grants::delegations::input::Given;
use crate::grants::delegations::view::DelegationView;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::model::delegation::Delegation;
use crate::model::ids::EntityId;
use crate::model::text::Description;
use crate::model::time::Ttl;
use crate::record::decisions::entry::Kind;

/// The request that waits under a code. Wrong codes are counted, per caller
/// and over the mount, and say nothing of why they are wrong.
async fn find(cx: &Cx, human: &EntityId, typed: &str) -> Result<Arc<Delegation>> {
    if !cx.grants.code_attempts.begin(human, cx.now) {
        return Err(Error::Limited(
            "too many wrong codes were tried; try again in ten minutes".to_owned(),
        ));
    }
    let found = match code::read(typed) {
        Some(hash) => cx.grants.delegations.by_code(&hash).await,
        None => Ok(None),
    };
    match found {
        Ok(found) => {
            let found = found.filter(|one| one.is_waiting(cx.now));
            let found = found.ok_or_else(unknown_code)?;
            cx.grants.code_attempts.was_right(human, cx.now);
            Ok(found)
        }
        Err(problem) => {
            cx.grants.code_attempts.was_right(human, cx.now);
            Err(problem)
        }
    }
}

/// The hash under which a request was found.
fn which(delegation: &Delegation) -> Which<'_> {
    Which::Code(delegation.code.as_deref().unwrap_or_default())
}

/// Look at the request that waits under a code.
///
/// For any human. Case, dashes and spaces in the code do not count. A wrong
/// code, one that was used, and one that has expired look the same.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadCode {
    /// Code that the agent has shown, as in `BCDF-GHJK`.
    user_code: String,
}

impl Endpoint<Cx> for ReadCode {
    const PLACE: Place = Place {
        path: "delegations/code/{user_code}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = DelegationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DelegationView>> {
        let human = human::caller(cx).await?;
        let found = find(cx, &human, &self.user_code).await?;
        Ok(DelegationView::question(cx, &found, &human).await?.into())
    }
}

/// Approve the request that waits under a code, or less of it, as yourself.
///
/// From then on you are its subject. What is given narrows the request. The
/// answer holds a signed receipt.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ApproveCode {
    /// Code that the agent has shown, as in `BCDF-GHJK`.
    user_code: String,
    /// The word that the question ends with, as you read it under the code.
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

impl Endpoint<Cx> for ApproveCode {
    const PLACE: Place = Place {
        path: "delegations/code/{user_code}/approve",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Agreed;

    async fn handle(self, cx: &Cx) -> Result<Reply<Agreed>> {
        let human = human::caller(cx).await?;
        let found = find(cx, &human, &self.user_code).await?;
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
        let granted = answer::approve(cx, &found.id, which(&found), &human, given, said).await?;
        events::delegation(cx, Kind::DelegationApprove, &granted.delegation).await;
        Ok(Agreed::of(cx, granted).await?.into())
    }
}

/// Refuse the request that waits under a code.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DenyCode {
    /// Code that the agent has shown, as in `BCDF-GHJK`.
    user_code: String,
    /// Why; the agent can read it.
    #[serde(default)]
    reason: Description,
}

impl Endpoint<Cx> for DenyCode {
    const PLACE: Place = Place {
        path: "delegations/code/{user_code}/deny",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = DelegationView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DelegationView>> {
        let human = human::caller(cx).await?;
        let found = find(cx, &human, &self.user_code).await?;
        let denied = answer::deny(cx, &found.id, which(&found), &human, self.reason).await?;
        events::delegation(cx, Kind::DelegationDeny, &denied).await;
        Ok(DelegationView::of(cx, &denied).await?.into())
    }
}
