//! Credentials that are leases of the host. The host ends them with the
//! caller's token, the mount or their time, and asks here before it renews one.

use serde_json::{Map, Value, json};

use crate::authorize::{self, Applicant};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::request::Kept;
use crate::host::framework::response::{Lease, Response};
use crate::issue::Cx;
use crate::issue::credentials::events;
use crate::issue::credentials::present::{self, Spoken};
use crate::issue::credentials::standing;
use crate::model::credential::{Grounds, LONGEST_LIFE, Revocation, Standing};
use crate::model::decision::AccessRequest;
use crate::model::ids::CredentialId;
use crate::model::target::Target;
use crate::model::time::{Timestamp, Ttl};
use crate::record::decisions::entry::Kind;

/// What the host keeps of a lease for us.
struct Internal {
    id: CredentialId,
    expires_at: Timestamp,
    has_record: bool,
}

impl Internal {
    fn to_map(&self) -> Map<String, Value> {
        Map::from_iter([
            ("jti".to_owned(), json!(self.id)),
            ("exp".to_owned(), self.expires_at.unix().into()),
            ("record".to_owned(), self.has_record.into()),
        ])
    }

    fn read(map: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            id: map.get("jti")?.as_str()?.parse().ok()?,
            expires_at: Timestamp::from_unix(map.get("exp")?.as_i64()?),
            has_record: map.get("record")?.as_bool()?,
        })
    }
}

/// The lease of a fresh credential.
#[must_use]
pub fn fresh(cx: &Cx, grounds: &Grounds, target: &Target, renewable: bool, counted: bool) -> Lease {
    let internal = Internal {
        id: grounds.id.clone(),
        expires_at: grounds.expires_at,
        has_record: renewable || counted,
    };
    // The host takes zero for its own default.
    let ttl = cx.now.until(grounds.expires_at).max(Ttl::from_secs(1));
    Lease {
        ttl,
        max_ttl: if renewable { longest(target) } else { ttl },
        renewable,
        issued_at: cx.now,
        internal: internal.to_map(),
    }
}

/// How long a credential for a target lives at most, renewals included.
fn longest(target: &Target) -> Ttl {
    target.max_ttl.min(LONGEST_LIFE)
}

/// Renews a lease: decides the request anew, as if it was made now.
///
/// # Errors
/// [`Error::Denied`] as for a new request; [`Error::Invalid`] if the credential
/// does not hold any more.
pub async fn renew(cx: &Cx, kept: &Kept) -> Result<Option<Response>> {
    let answer = renewed(cx, kept).await;
    if let Err(error) = &answer {
        let stored = match Internal::read(&kept.internal) {
            Some(internal) => cx.issue.credentials.get(&internal.id).await.ok().flatten(),
            None => None,
        };
        let spoken = stored.as_ref().and_then(present::spoken);
        events::not_renewed(cx, None, spoken.as_ref(), error).await;
    }
    answer
}

async fn renewed(cx: &Cx, kept: &Kept) -> Result<Option<Response>> {
    let gone = || {
        Error::Invalid(
            "the credential of this lease does not hold any more; ask for a new one".to_owned(),
        )
    };
    let internal = Internal::read(&kept.internal).ok_or_else(gone)?;
    if cx.is_standby() {
        return Err(Error::forward());
    }
    let _alone = cx.issue.credentials.lock(&internal.id).await;
    let stored = cx
        .issue
        .credentials
        .get(&internal.id)
        .await?
        .ok_or_else(gone)?;
    let spoken = present::spoken(&stored).ok_or_else(gone)?;
    let Some(request) = stored.credential.request.clone() else {
        return Err(gone());
    };
    let grounds = &spoken.grounds;
    if stored.credential.uses_left == Some(0)
        || standing::of(cx, grounds).await? != Standing::Active
    {
        return Err(gone());
    }
    let granted = decide_anew(cx, &spoken, *request, kept.increment).await?;
    let permit = granted.permit;
    let last = grounds.issued_at.plus(longest(permit.target()));
    let expires_at = Timestamp::from_unix(permit.decided_at().plus(permit.ttl()).min(last).unix());
    let ttl = cx.now.until(expires_at);
    if ttl.is_zero() {
        return Err(Error::Invalid(format!(
            "a credential for `{}` may not live any longer; ask for a new one",
            permit.target().name
        )));
    }
    let mut credential = stored.credential.clone();
    credential.expires_at = expires_at;
    credential.uses_left = match (credential.uses_left, permit.max_uses()) {
        (Some(left), Some(most)) => Some(left.min(most)),
        (left, _) => left,
    };
    cx.issue
        .credentials
        .change(&internal.id, &stored, &credential)
        .await?;
    if !standing::is_unchanged(cx, grounds).await? {
        return Err(gone());
    }
    let internal = Internal {
        expires_at,
        ..internal
    };
    Ok(Some(Response {
        data: "{}".to_owned(),
        lease: Some(Lease {
            ttl,
            // From its issue: the host lets the holder ask for more than `ttl`.
            max_ttl: grounds.issued_at.until(expires_at),
            renewable: true,
            issued_at: kept.issued_at.unwrap_or(grounds.issued_at),
            internal: internal.to_map(),
        }),
        ..Response::default()
    }))
}

async fn decide_anew(
    cx: &Cx,
    spoken: &Spoken,
    mut request: AccessRequest,
    increment: Ttl,
) -> Result<authorize::Granted> {
    if !increment.is_zero() {
        request.ttl = Some(increment);
    }
    let agent = cx.facts.agents.get(&spoken.grounds.agent).await?;
    let applicant = match agent {
        Some(agent) => Applicant::agent(cx, agent).await?,
        None => Applicant::default(),
    };
    let applicant = Applicant {
        kind: Kind::Renew,
        ..applicant
    };
    authorize::authorize_as(cx, applicant, request)
        .await?
        .granted()
}

/// Ends the credential of a lease. Of one that is gone already, or that nobody
/// can name, there is nothing to end: an unmount must not wait for it.
///
/// # Errors
/// If storage fails.
pub async fn revoke(cx: &Cx, kept: &Kept) -> Result<()> {
    let Some(internal) = Internal::read(&kept.internal) else {
        tracing::warn!("a lease ended that names no credential of ours");
        return Ok(());
    };
    let revocation = (internal.expires_at > cx.now).then(|| Revocation {
        at: cx.now,
        until: cx.now.plus(LONGEST_LIFE),
    });
    let _alone = cx.issue.credentials.lock(&internal.id).await;
    cx.issue
        .credentials
        .end_lease(&internal.id, revocation.as_ref(), internal.has_record)
        .await
}
