//! Which agent presents a token, and for which human.
//!
//! What a stranger is told is little: that a token is malformed, from nobody
//! known, expired, spent, or not taken. Whoever holds a good token is told
//! what is missing here. No text repeats what a token says.

use std::collections::BTreeSet;

use crate::facts::issuers::store::{Trusted, trust};
use crate::facts::issuers::verify::{self, Refusal};
use crate::host::framework::error::{Error, Result};
use crate::issue::Cx;
use crate::issue::credentials::replay::Once;
use crate::issue::login::proven::{Proven, details};
use crate::issue::login::refusals::{expired, not_taken, refused, told, unknown};
use crate::issue::login::rests::Known;
use crate::issue::login::subject::{self, trusted};
use crate::jose::alg::Algorithm;
use crate::jose::claims::{Claims, Expectations, TypPolicy};
use crate::jose::dpop::{self, HttpUri};
use crate::jose::jws::{self, JwsError, MAX_TOKEN, Unverified};
use crate::model::ids::{AgentId, AgentName};
use crate::model::issuer::ASSERTION_LIFETIME;
use crate::model::time::{Timestamp, Ttl};

/// How far the clock of one who signs for themself may differ.
const LEEWAY: Ttl = Ttl::from_secs(30);
/// The claim in which an agent's own assertion has authorization details
/// (RFC 9396 9.1).
const DETAILS: &str = "authorization_details";
/// How long a proof of possession is good for.
const PROOF_AGE: Ttl = Ttl::from_secs(60);

/// What was presented.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// A token that proves who the agent is.
    pub jwt: &'a str,
    /// A proof that its holder has the key it is bound to (RFC 9449).
    pub dpop: Option<&'a str>,
    /// A token that says for which human the agent asks (RFC 8693 2.1).
    pub subject_token: Option<&'a str>,
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Presented([redacted])")
    }
}

/// Establishes who asks, and goes on at the time that it is then. Remembers
/// nothing: that is for [`Proven::spend`].
///
/// # Errors
/// As much as whoever presented it may know.
pub async fn prove(cx: &Cx, presented: &Presented<'_>) -> Result<(Proven, Cx)> {
    let token = decode(presented.jwt)?;
    let mut proven = match trusted(cx, &token).await? {
        Some(trusted) => by_issuer(cx, token, &trusted, presented).await?,
        None => by_own_key(cx, token).await?,
    };
    if let Some(token) = presented.subject_token {
        subject::add(cx, &mut proven, decode(token)?).await?;
    }
    let later = cx.resumed();
    proven.look_again(&later).await?;
    Ok((proven, later))
}

async fn by_issuer(
    cx: &Cx,
    token: Unverified<'_>,
    trusted: &Trusted,
    presented: &Presented<'_>,
) -> Result<Proven> {
    let issuer = &trusted.issuer;
    let told = |refusal| told(&refusal, &issuer.name);
    if !issuer.jwt_type.proves_agents() {
        return Err(not_taken());
    }
    let claims = verify::verify(cx, token, trusted).await.map_err(told)?;
    let parties = verify::parties(&claims, trusted).map_err(told)?;
    let possession = possession(cx, &claims, presented).await?;
    let agent = cx
        .facts
        .agents
        .by_external(&issuer.issuer_id, &parties.agent)
        .await?;
    let Some(agent) = agent else {
        return Err(refused(
            "agent.unknown",
            "the token is good, and no agent is registered with its issuer as `issuer` and its client or actor as `subject`",
        ));
    };
    // Who is bound to one definition of an issuer, no other vouches for.
    match &agent.issuer_record {
        Some(bound) if *bound != issuer.id => {
            return Err(refused(
                "agent.unknown",
                "the token is good, and the agent that it names is bound to an earlier definition of its issuer: an operator writes the agent's `issuer` again",
            ));
        }
        Some(_) => {}
        None => cx
            .facts
            .agents
            .saw(&agent, &BTreeSet::new(), Some(&issuer.id)),
    }
    let known = Known::Issuer {
        name: issuer.name.clone(),
        id: issuer.id.clone(),
        issuer: agent.issuer.clone(),
        subject: agent.subject.clone(),
        trust: trust(issuer),
    };
    let mut proven = Proven::agent(agent, known, cx.now);
    if let Some(once) = possession {
        proven.taken_until(once.until);
        proven.once.push(once);
    }
    proven.once(&claims, issuer);
    proven.narrow(&claims, issuer)?;
    if let Some(human) = parties.human {
        // Whom an assertion is about is who made it.
        if !issuer.jwt_type.names_subjects() {
            return Err(not_taken());
        }
        subject::check_may_act(cx, &claims, issuer, &proven.agent).await?;
        proven.acts_for(subject::named(cx, issuer, &human).await?)?;
    }
    Ok(proven)
}

/// An assertion that an agent made for one login, with a key in its record
/// (RFC 7523 3, RFC 7521 5.2). It is addressed to this mount by its `issuer`,
/// or by the URL of its `login`.
async fn by_own_key(cx: &Cx, token: Unverified<'_>) -> Result<Proven> {
    let name = token.unverified_issuer().unwrap_or_default();
    let own = cx.config().await?.issuer.clone();
    let agent = match (name.parse::<AgentId>(), name.parse::<AgentName>()) {
        (Ok(id), _) => cx.facts.agents.get(&id).await?,
        (Err(_), Ok(name)) => cx.facts.agents.by_name(&name).await?,
        (Err(_), Err(_)) => None,
    };
    let Some(agent) = agent.filter(|agent| !agent.public_keys.is_empty() && !own.is_empty()) else {
        return Err(unknown());
    };
    let keys = agent.public_keys.iter().map(|registered| registered.key());
    let key = jws::choose(token.header(), keys).map_err(|_| unknown())?;
    let verified = jws::verify(token, [key], &Algorithm::ALL).map_err(|_| unknown())?;
    let login = format!("{own}/login");
    let expected = Expectations {
        issuer: &name,
        audiences: &[&own, &login],
        sole_audience: true,
        now: cx.now,
        leeway: LEEWAY,
        typ: TypPolicy::AbsentOr(&["JWT", "client-authentication+jwt"]),
        require_exp: true,
        max_age: None,
        max_lifetime: Some(ASSERTION_LIFETIME),
        required: &["sub", "jti", "iat"],
    };
    let claims = Claims::check(verified, &expected).map_err(|error| {
        let refusal = Refusal::from(error);
        if refusal.is_expiry() {
            expired()
        } else {
            not_taken()
        }
    })?;
    // Who asserts something about another, or names an actor, is no agent
    // that says who it is.
    let is_own = claims.subject.as_deref() == Some(&name)
        && claims.actor.is_none()
        && claims.may_act.is_none()
        && claims.jkt.is_none();
    if !is_own {
        return Err(not_taken());
    }
    let once = Once {
        maker: format!("agent:{}", agent.id),
        id: claims.id.clone().unwrap_or_default(),
        made_at: claims.issued_at.unwrap_or(Timestamp::EPOCH),
        ahead: LEEWAY,
        until: claims.expires_at.unwrap_or(Timestamp::EPOCH).plus(LEEWAY),
    };
    let known = Known::Key(key.thumbprint());
    // What the agent says that it wants less, it gets less.
    let details = details(&claims, DETAILS)?;
    let mut proven = Proven::agent(agent, known, cx.now);
    proven.details = details;
    proven.taken_until(once.until);
    proven.once.push(once);
    Ok(proven)
}

/// A token that is bound to a key is taken only from whoever has that key.
async fn possession(cx: &Cx, claims: &Claims, presented: &Presented<'_>) -> Result<Option<Once>> {
    let Some(jkt) = &claims.jkt else {
        return Ok(None);
    };
    let Some(proof) = presented.dpop else {
        return Err(refused(
            "proof.required",
            "the token is bound to a key: send a proof of its possession as `dpop`",
        ));
    };
    let own = &cx.config().await?.issuer;
    let Ok(uri) = format!("{own}/login").parse::<HttpUri>() else {
        return Err(Error::Invalid(
            "this mount has no issuer yet, so no proof can be for it; an operator sets `issuer` under `config`".to_owned(),
        ));
    };
    let expected = dpop::Expected {
        method: "POST",
        uri: &uri,
        access_token: Some(presented.jwt),
        jkt: Some(jkt),
        nonce: None,
        algorithms: &Algorithm::ALL,
        now: cx.now,
        max_age: PROOF_AGE,
        skew: LEEWAY,
    };
    let proof = dpop::verify(proof, &expected)
        .map_err(|error| refused("proof.refused", &error.to_string()))?;
    Ok(Some(Once {
        maker: format!("dpop:{}", proof.jkt),
        id: proof.jti,
        made_at: proof.issued_at,
        ahead: LEEWAY,
        until: proof.issued_at.plus(PROOF_AGE),
    }))
}

fn decode(token: &str) -> Result<Unverified<'_>> {
    jws::decode(token, MAX_TOKEN).map_err(|error: JwsError| {
        Error::Invalid(format!("login refused (token.malformed): {error}"))
    })
}
