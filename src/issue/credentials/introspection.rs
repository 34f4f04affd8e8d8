//! A credential is presented online: does it hold, and if asked, one use of it.

use crate::host::framework::error::{Error, Result};
use crate::issue::Cx;
use crate::issue::credentials::present::{Shown, Spoken};
use crate::issue::credentials::replay::{Once, Spent};
use crate::issue::credentials::standing;
use crate::issue::credentials::store::Stored;
use crate::jose::alg::Algorithm;
use crate::jose::dpop::{self, Expected, HttpUri};
use crate::model::credential::Standing;
use crate::model::ids::TargetName;
use crate::model::secret::Secret;
use crate::model::time::Ttl;

/// How long a proof of possession is good for.
pub const PROOF_AGE: Ttl = Ttl::from_secs(60);
/// How far ahead the clock of the proof's maker may be.
const PROOF_SKEW: Ttl = Ttl::from_secs(5);
/// How often a use is tried anew, because somebody else changed the record.
const ATTEMPTS: usize = 3;

/// Which algorithms proofs may be made with (RFC 8414 2, RFC 9449 5.1).
pub const PROOF_ALGORITHMS: &[Algorithm] = &Algorithm::ALL;

/// What a resource server asks.
#[derive(Debug)]
pub struct Question {
    /// The credential that it was shown.
    pub token: Secret<String>,
    /// An audience that the credential must have.
    pub audience: Option<String>,
    /// A target that it must be for.
    pub target: Option<TargetName>,
    /// The proof that came with it.
    pub proof: Option<Proof>,
}

/// A proof of possession, and the request that it came with.
#[derive(Debug)]
pub struct Proof {
    /// The value of the `DPoP` header.
    pub proof: String,
    /// The method of the request.
    pub method: String,
    /// The URL of the request.
    pub url: HttpUri,
}

/// A credential that holds.
#[derive(Debug)]
pub struct Active {
    /// What it says.
    pub spoken: Spoken,
    /// How many uses are left, after this one if it was used.
    pub uses_left: Option<u32>,
}

/// Whether a credential holds. `None`: it does not, for whatever reason.
///
/// # Errors
/// If storage or the host cannot say.
pub async fn introspect(cx: &Cx, question: &Question) -> Result<Option<Active>> {
    // One node remembers which proofs were used.
    if question.proof.is_some() && cx.is_standby() {
        return Err(Error::forward());
    }
    let Some(shown) = Shown::read(cx, question.token.expose()).await? else {
        return Ok(None);
    };
    let Some((spoken, stored)) = shown.resolve(cx).await? else {
        return Ok(None);
    };
    let uses_left = uses(stored.as_ref());
    if uses_left == Some(0) || !holds(cx, &spoken, question).await? {
        return Ok(None);
    }
    if !is_proven(cx, &spoken, question)? || !standing::is_unchanged(cx, &spoken.grounds).await? {
        return Ok(None);
    }
    Ok(Some(Active { spoken, uses_left }))
}

/// Uses one use of a credential, and says whether it held. The use is stored
/// before this returns: at most as many succeed as there were, whatever fails.
///
/// # Errors
/// If storage or the host fails. A use may be gone then.
pub async fn redeem(cx: &Cx, question: &Question) -> Result<Option<Active>> {
    if cx.is_standby() {
        return Err(Error::forward());
    }
    let Some(shown) = Shown::read(cx, question.token.expose()).await? else {
        return Ok(None);
    };
    let id = shown.id().clone();
    // From before the record is read until the use is stored.
    let _alone = cx.issue.credentials.lock(&id).await;
    let Some((spoken, stored)) = shown.resolve(cx).await? else {
        return Ok(None);
    };
    if uses(stored.as_ref()) == Some(0) || !holds(cx, &spoken, question).await? {
        return Ok(None);
    }
    if !is_proven(cx, &spoken, question)? {
        return Ok(None);
    }
    let uses_left = match stored {
        Some(stored) => match spend(cx, &spoken, stored).await? {
            Some(left) => left,
            None => return Ok(None),
        },
        None => None,
    };
    // A use that raced a suspension is gone, and not granted.
    if !standing::is_unchanged(cx, &spoken.grounds).await? {
        return Ok(None);
    }
    Ok(Some(Active { spoken, uses_left }))
}

/// Stores the use. `None`: there is none left.
async fn spend(cx: &Cx, spoken: &Spoken, mut stored: Stored) -> Result<Option<Option<u32>>> {
    let id = &spoken.grounds.id;
    for _ in 0..ATTEMPTS {
        if stored.credential.uses_left == Some(0) {
            return Ok(None);
        }
        match cx.issue.credentials.spend(id, &stored).await {
            Ok(left) => return Ok(Some(left)),
            // Another process has changed it: nothing was stored.
            Err(Error::Conflict(_)) => match cx.issue.credentials.get(id).await? {
                Some(again) => stored = again,
                None => return Ok(None),
            },
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict(
        "the credential is being used by many at once; retry".to_owned(),
    ))
}

fn uses(stored: Option<&Stored>) -> Option<u32> {
    stored.and_then(|stored| stored.credential.uses_left)
}

/// Whether it is for whom it should be, and nothing that it rests on is gone.
async fn holds(cx: &Cx, spoken: &Spoken, question: &Question) -> Result<bool> {
    let audience = question
        .audience
        .as_ref()
        .is_none_or(|wanted| spoken.audience.contains(wanted));
    let target = question
        .target
        .as_ref()
        .is_none_or(|wanted| is_for(spoken, wanted));
    Ok(audience && target && standing::of(cx, &spoken.grounds).await? == Standing::Active)
}

/// Whether everything that was granted is for one target.
fn is_for(spoken: &Spoken, target: &TargetName) -> bool {
    let wanted = serde_json::json!([target]);
    let details = spoken
        .claims
        .get("authorization_details")
        .and_then(|details| details.as_array());
    details.is_some_and(|details| {
        !details.is_empty()
            && details
                .iter()
                .all(|detail| detail.get("targets") == Some(&wanted))
    })
}

/// Whether its bearer holds the key that it is bound to. Uses the proof up.
fn is_proven(cx: &Cx, spoken: &Spoken, question: &Question) -> Result<bool> {
    let Some(jkt) = &spoken.jkt else {
        return Ok(true);
    };
    let Some(given) = &question.proof else {
        return Ok(false);
    };
    if !is_served_by(&spoken.audience, &given.url) {
        return Ok(false);
    }
    let expected = Expected {
        method: &given.method,
        uri: &given.url,
        access_token: Some(question.token.expose()),
        jkt: Some(jkt),
        nonce: None,
        algorithms: PROOF_ALGORITHMS,
        now: cx.now,
        max_age: PROOF_AGE,
        skew: PROOF_SKEW,
    };
    let Ok(proof) = dpop::verify(&given.proof, &expected) else {
        return Ok(false);
    };
    let once = Once {
        maker: format!("dpop:{}", proof.jkt),
        id: proof.jti,
        made_at: proof.issued_at,
        ahead: PROOF_SKEW,
        until: proof.issued_at.plus(PROOF_AGE),
    };
    match cx.issue.presented.spend(&[once], cx.now) {
        Ok(()) => Ok(true),
        Err(Spent::Before | Spent::Unknown) => Ok(false),
        Err(Spent::Full) => Err(Error::Limited(
            "too many proofs of possession are in use; retry later".to_owned(),
        )),
    }
}

/// Whether a URL is of one of the audiences, as far as they are URLs: so a
/// server cannot vouch for a request that was made to another.
fn is_served_by(audience: &[String], url: &HttpUri) -> bool {
    let mut bases = audience
        .iter()
        .filter_map(|audience| audience.parse::<HttpUri>().ok())
        .peekable();
    bases.peek().is_none() || bases.any(|base| is_below(url, &base))
}

fn is_below(url: &HttpUri, base: &HttpUri) -> bool {
    let base = base.as_str().trim_end_matches('/');
    match url.as_str().strip_prefix(base) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_below_an_audience_that_is_one() {
        let served = |audience: &[&str], url: &str| {
            let audience: Vec<String> = audience.iter().map(ToString::to_string).collect();
            is_served_by(&audience, &url.parse().unwrap())
        };
        assert!(served(&["crm"], "https://anywhere.example/x"));
        for base in ["https://crm.example.com", "https://CRM.example.com:443/"] {
            assert!(served(&[base], "https://crm.example.com/customers/1"));
            assert!(served(&["crm", base], "https://crm.example.com/"));
        }
        for url in [
            "https://crm.example.com.evil.org/",
            "http://crm.example.com/",
            "https://crm.example.com:8443/",
            "https://other.example.com/",
        ] {
            assert!(!served(&["https://crm.example.com"], url), "{url}");
        }
        let api = ["https://crm.example.com/api"];
        assert!(served(&api, "https://crm.example.com/api/v1"));
        assert!(served(&api, "https://crm.example.com/api"));
        assert!(!served(&api, "https://crm.example.com/api2"));
        assert!(!served(&api, "https://crm.example.com/api/../admin"));
    }
}
