//! Entries about credentials: their use, their renewal, and what is refused of these.

use serde_json::Value;

use crate::facts::events::{is_refusal, problem, with_agent};
use crate::host::framework::error::Error;
use crate::issue::Cx;
use crate::issue::credentials::present::{Shown, Spoken};
use crate::model::agent::Mode;
use crate::model::decision::Outcome;
use crate::model::ids::AgentId;
use crate::record::decisions::entry::{Entry, Kind, Link};
use crate::record::decisions::log;

/// Records that a lease or a login was not renewed, unless a decision has said
/// so already.
pub async fn not_renewed(cx: &Cx, agent: Option<&AgentId>, spoken: Option<&Spoken>, error: &Error) {
    let refused = is_refusal(error) || matches!(error, Error::Invalid(_));
    if !refused || !cx.noted.is_empty() {
        return;
    }
    let entry = Entry {
        problem: problem(error),
        ..log::entry(cx, Kind::Renew, Outcome::Deny)
    };
    let entry = match (spoken, agent) {
        (Some(spoken), _) => of_credential(cx, entry, spoken).await,
        (None, Some(agent)) => with_agent(cx, entry, agent).await,
        (None, None) => entry,
    };
    log::record(cx, entry);
}

/// Records that a credential was used.
pub async fn redeemed(cx: &Cx, spoken: &Spoken) {
    let entry = log::entry(cx, Kind::Redeem, Outcome::Allow);
    log::record(cx, of_credential(cx, entry, spoken).await);
}

/// Records that a credential was not accepted: one that was used up, revoked,
/// or is for somebody else; or something that is none.
pub async fn not_redeemed(cx: &Cx, token: &str) {
    let entry = Entry {
        problem: "the credential does not hold".to_owned(),
        ..log::entry(cx, Kind::Redeem, Outcome::Deny)
    };
    // Whose it is is worth a read where somebody tries to use it once more.
    let spoken = match Shown::read(cx, token).await {
        Ok(Some(shown)) => shown.resolve(cx).await.ok().flatten(),
        Ok(None) | Err(_) => None,
    };
    let entry = match spoken {
        Some((spoken, _)) => of_credential(cx, entry, &spoken).await,
        None => entry,
    };
    log::record(cx, entry);
}

/// An entry with what it says of a credential.
pub async fn of_credential(cx: &Cx, entry: Entry, spoken: &Spoken) -> Entry {
    let grounds = &spoken.grounds;
    let entry = with_agent(cx, entry, &grounds.agent).await;
    let granted = |key: &str| {
        let first = spoken.claims.get("authorization_details")?.get(0)?;
        first.get(key)?.get(0).and_then(Value::as_str)
    };
    let chain = grounds.delegation.iter().map(|delegation| Link {
        delegation: delegation.clone(),
        agent: grounds.agent.clone(),
    });
    Entry {
        subject: grounds.subject.clone(),
        mode: Some(if grounds.subject.is_some() {
            Mode::OnBehalfOf
        } else {
            Mode::Autonomous
        }),
        chain: chain.collect(),
        target: granted("targets").unwrap_or_default().to_owned(),
        action: granted("actions").unwrap_or_default().to_owned(),
        resource: granted("resources").unwrap_or_default().to_owned(),
        delegation_id: grounds.delegation.clone(),
        jti: Some(grounds.id.clone()),
        ..entry
    }
}
