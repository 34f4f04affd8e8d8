//! What a permit may be used for once, or so many times, is counted in storage
//! before anything is issued: whatever happens after that, nothing is issued
//! twice.

use std::sync::Arc;

use crate::engine::Permit;
use crate::grants::Cx;
use crate::host::framework::error::Result;
use crate::model::consent::{ConsentStatus, HumanConsent};
use crate::model::decision::Reason;
use crate::model::delegation::{Delegation, DelegationStatus};
use crate::model::ids::{ConsentId, DelegationId};

/// Uses up the consent of a permit, and one use of every delegation of its
/// chain that has a limit, together. `Some` says why that cannot be: between
/// the decision and now somebody else was faster. Writes nothing where nothing
/// is limited.
///
/// # Errors
/// If storage fails. Then they may have been used up all the same, and nothing
/// is issued.
pub async fn spend(cx: &Cx, permit: &Permit) -> Result<Option<Reason>> {
    let limited: Vec<&DelegationId> = permit
        .chain()
        .iter()
        .filter(|delegation| delegation.max_uses.is_some())
        .map(|delegation| &delegation.id)
        .collect();
    if limited.is_empty() && permit.consent().is_none() {
        return Ok(None);
    }
    let _consent_held = match permit.consent() {
        Some(id) => Some(cx.grants.consents.hold(id).await),
        None => None,
    };
    let names: Vec<&str> = limited.iter().map(|id| id.as_str()).collect();
    let _held = cx.grants.delegations.hold(&names).await;

    let consent = match permit.consent() {
        Some(id) => match used(cx, id).await? {
            Ok(consent) => Some(Arc::new(consent)),
            Err(reason) => return Ok(Some(reason)),
        },
        None => None,
    };
    let mut counted = Vec::new();
    for id in limited {
        match counted_once_more(cx, id).await? {
            Ok(delegation) => counted.push(Arc::new(delegation)),
            Err(reason) => return Ok(Some(reason)),
        }
    }

    let mut writes = Vec::new();
    if let Some(consent) = &consent {
        writes.push(cx.grants.consents.using(consent)?);
    }
    for delegation in &counted {
        writes.push(cx.grants.delegations.counting(delegation)?);
    }
    let consent = consent.map(|one| (cx.grants.consents.begin(&one.id), one));
    let counted: Vec<_> = counted
        .into_iter()
        .map(|one| (cx.grants.delegations.begin(&one.id), one))
        .collect();
    let done = cx.grants.delegations.commit(writes).await;
    let stored = done.is_ok();
    if let Some((ticket, one)) = &consent {
        cx.grants
            .consents
            .settle(&one.id, stored.then_some(one), *ticket);
    }
    for (ticket, one) in &counted {
        cx.grants
            .delegations
            .settle(&one.id, stored.then_some(one), *ticket);
    }
    done.map(|()| None)
}

type Spent<T> = std::result::Result<T, Reason>;

/// The consent as it is once it is used.
async fn used(cx: &Cx, id: &ConsentId) -> Result<Spent<HumanConsent>> {
    let Some(present) = cx.grants.consents.get(id).await? else {
        return Ok(Err(Reason::ConsentUnknown));
    };
    let reason = match present.status {
        ConsentStatus::Used => Some(Reason::ConsentUsed),
        ConsentStatus::Denied => Some(Reason::ConsentDenied),
        ConsentStatus::Pending => Some(Reason::ConsentPending),
        ConsentStatus::Approved => present.is_expired(cx.now).then_some(Reason::ConsentExpired),
    };
    Ok(match reason {
        Some(reason) => Err(reason),
        None => Ok(HumanConsent {
            status: ConsentStatus::Used,
            used_at: Some(cx.now),
            ..(*present).clone()
        }),
    })
}

/// The delegation as it is with one use more.
async fn counted_once_more(cx: &Cx, id: &DelegationId) -> Result<Spent<Delegation>> {
    let Some(present) = cx.grants.delegations.get(id).await? else {
        return Ok(Err(Reason::DelegationBroken));
    };
    let reason = match present.status {
        DelegationStatus::Active if present.uses_left() == Some(0) => {
            Some(Reason::DelegationUsedUp)
        }
        DelegationStatus::Active => None,
        DelegationStatus::Revoked => Some(Reason::DelegationRevoked),
        DelegationStatus::Denied => Some(Reason::DelegationDenied),
        DelegationStatus::Pending => Some(Reason::DelegationPending),
    };
    Ok(match reason {
        Some(reason) => Err(reason),
        None => Ok(Delegation {
            uses: present.uses.saturating_add(1),
            ..(*present).clone()
        }),
    })
}
