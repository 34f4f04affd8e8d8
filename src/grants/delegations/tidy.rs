//! What has ended is removed, some time after its end.

use crate::grants::Cx;
use crate::grants::consents::binding;
use crate::host::framework::due::Entry;
use crate::host::framework::error::{Error, Result};
use crate::host::framework::storage::Write;
use crate::model::delegation::Delegation;
use crate::model::ids::{ConsentId, DelegationId};

/// How many are looked at together.
const MOST: u32 = 256;
/// The most batches of each kind in one call. What is left is first the next
/// time.
const BATCHES: usize = 16;

/// Removes delegations and consents that are due. One that cannot be read is
/// left for a release that can.
///
/// # Errors
/// If storage fails. What was removed until then is removed.
pub async fn tidy(cx: &Cx) -> Result<()> {
    cx.grants.code_attempts.forget_idle(cx.now);
    if cx.is_standby() {
        return Ok(());
    }
    for _ in 0..BATCHES {
        let (ripe, mut gone) = (cx.grants.delegations.ripe(cx.now, MOST).await?, false);
        for entry in &ripe {
            gone |= readable(delegation(cx, entry).await)?;
        }
        // Those that cannot be read stay in front.
        if !gone || ripe.len() < batch() {
            break;
        }
    }
    for _ in 0..BATCHES {
        let (ripe, mut gone) = (cx.grants.consents.ripe(cx.now, MOST).await?, false);
        for entry in &ripe {
            gone |= readable(consent(cx, entry).await)?;
        }
        if !gone || ripe.len() < batch() {
            break;
        }
    }
    Ok(())
}

fn batch() -> usize {
    usize::try_from(MOST).unwrap_or(usize::MAX)
}

/// Whether it is done; what cannot be read is left.
fn readable(done: Result<()>) -> Result<bool> {
    match done {
        Err(Error::Internal(problem)) => {
            tracing::warn!(problem, "what has ended could not be removed");
            Ok(false)
        }
        done => done.map(|()| true),
    }
}

async fn delegation(cx: &Cx, entry: &Entry) -> Result<()> {
    let found = match entry.name.parse::<DelegationId>() {
        Ok(id) => cx.grants.delegations.get(&id).await?,
        Err(_) => None,
    };
    let with = match found {
        Some(delegation) => belongings(cx, &delegation).await?,
        None => Vec::new(),
    };
    cx.grants
        .delegations
        .tidy(entry, cx.now, with)
        .await
        .map(drop)
}

async fn consent(cx: &Cx, entry: &Entry) -> Result<()> {
    let refusal = match entry.name.parse::<ConsentId>() {
        Ok(id) => cx.grants.consents.get(&id).await?.and_then(|consent| {
            let asked = consent.request()?;
            Some(binding::of_refusal(
                &consent.agent,
                &consent.subject,
                asked.target.as_str(),
                asked.action.as_str(),
            ))
        }),
        Err(_) => None,
    };
    cx.grants
        .consents
        .tidy(entry, cx.now, refusal)
        .await
        .map(drop)
}

/// What goes with a delegation: the consent to it, and the memory of a refusal
/// whose time has passed.
async fn belongings(cx: &Cx, delegation: &Delegation) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    if delegation.parent().is_none()
        && let Some(consent) = &delegation.consent
    {
        writes.extend(cx.grants.consents.removal(consent));
    }
    if let Some(subject) = &delegation.subject {
        let refusal = binding::of_refused_delegation(&delegation.agent, subject);
        if cx
            .grants
            .consents
            .refused_until(&refusal, cx.now)
            .await?
            .is_none()
        {
            writes.push(cx.grants.consents.allowing(&refusal));
        }
    }
    Ok(writes)
}
