//! Which agent presents a token, and for which human.
//!
//! What a stranger is told is little: that a token is malformed, from nobody
//! known, expired, spent, or not taken. Whoever holds a good token is told
//! what is missing here. No text repeats what a token says.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::framework::error::{Error, Result};
use crate::identity::{admit, presence};
use crate::issuers::keys::KeysError;
use crate::issuers::store::{Trusted, trust};
use crate::issuers::verify::{self, Refusal};
use crate::jose::alg::Algorithm;
use crate::jose::claims::{Claims, Expectations, TypPolicy};
use crate::jose::dpop::{self, HttpUri};
use crate::jose::jws::{self, JwsError, MAX_TOKEN, Unverified};
use crate::login::replay::{Once, Spent};
use crate::login::rests::{Known, Named, Rests};
use crate::login::subject;
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::decision::Reason;
use crate::model::identity::Presence;
use crate::model::ids::{AgentId, AgentName, EntityId, IssuerName};
use crate::model::issuer::{ASSERTION_LIFETIME, Issuer};
use crate::model::time::{Timestamp, Ttl};
use crate::state::Cx;

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

/// What was proven.
#[derive(Clone, Debug)]
pub struct Proven {
    /// Who presents it.
    pub agent: Arc<Agent>,
    /// How its identity entity stands.
    pub presence: Presence,
    /// The human for whom it was given a token.
    pub subject: Option<EntityId>,
    /// What the tokens are for, as they say.
    pub details: Option<Scope>,
    /// Whether one of them should say so and does not: what one issuer demands,
    /// another's token does not meet.
    pub lacks_details: bool,
    /// When the tokens end that grant the authority.
    pub until: Option<Timestamp>,
    /// Who vouched for the agent and named the human.
    pub rests: Rests,
    /// When the first of the tokens is taken no more.
    expires_at: Option<Timestamp>,
    /// What may not be presented again.
    pub(super) once: Vec<Once>,
}

impl Proven {
    /// An agent that was recognised, and nothing else yet.
    fn agent(agent: Arc<Agent>, known: Known, now: Timestamp) -> Self {
        Self {
            rests: Rests {
                agent: known,
                humans: Vec::new(),
                since: now,
            },
            expires_at: None,
            agent,
            presence: Presence::Gone,
            subject: None,
            details: None,
            lacks_details: false,
            until: None,
            once: Vec::new(),
        }
    }

    /// Looks again, at the time and at what the proof rests on: to prove takes
    /// as long as the issuers do, and the agent may have been suspended, revoked
    /// or removed meanwhile.
    ///
    /// # Errors
    /// If it would not be proven now.
    async fn look_again(&mut self, cx: &Cx) -> Result<()> {
        if self.expires_at.is_some_and(|end| end <= cx.now) {
            return Err(expired());
        }
        let agent = cx.agents.get(&self.agent.id).await?;
        let Some(agent) = agent.filter(|agent| agent.epoch == self.agent.epoch) else {
            return Err(refused(
                "agent.unknown",
                "the agent was revoked or removed while its login was under way",
            ));
        };
        if let Some(why) = self.rests.broken(cx, &agent).await? {
            return Err(refused("token.refused", why));
        }
        self.presence = presence::of_agent(cx, &agent).await?;
        self.agent = agent;
        if self.until.is_some_and(|until| until <= cx.now) {
            return Err(refused(
                "limits.no_time",
                "the token that grants the authority ends now: get a fresh one",
            ));
        }
        Ok(())
    }

    /// Why the agent may not act at all now, if so.
    #[must_use]
    pub fn unable(&self, cx: &Cx) -> Option<Reason> {
        admit::inability(&self.agent, self.presence, cx)
    }

    /// Uses up what may be used once, before anything is told of what the mount
    /// has.
    ///
    /// # Errors
    /// If it was used before, or may have been. A node that only reads asks the
    /// host to have the active node serve the request: one node remembers.
    pub fn spend(&self, cx: &Cx) -> Result<()> {
        if self.once.is_empty() {
            return Ok(());
        }
        if cx.is_standby() {
            return Err(Error::forward());
        }
        cx.presented.spend(&self.once, cx.now).map_err(|spent| match spent {
            Spent::Before => refused("token.spent", "the token was used before: make or get a fresh one"),
            Spent::Unknown => refused("token.spent", "the token was made before this server's plugin started, by a clock that may run ahead, and may have been used then: make or get a fresh one, and again a little later if that is refused too"),
            Spent::Full => Error::Limited("login refused (token.unremembered): too many tokens are remembered already; retry later".to_owned()),
        })
    }

    /// What `claims` of a token of `issuer` are for narrows what may be asked.
    pub(super) fn narrow(&mut self, claims: &Claims, issuer: &Issuer) -> Result<()> {
        match details(claims, &issuer.authorization_details_claim)? {
            Some(more) => {
                self.details = Some(match &self.details {
                    Some(details) => details.intersect(&more),
                    None => more,
                });
            }
            None => self.lacks_details |= !issuer.optional_authorization_details,
        }
        if issuer.jwt_type.grants() {
            self.until = match (self.until, claims.expires_at) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        Ok(())
    }

    /// A token that may be presented once is remembered.
    pub(super) fn once(&mut self, claims: &Claims, issuer: &Issuer) {
        let until = claims
            .expires_at
            .unwrap_or(Timestamp::EPOCH)
            .plus(issuer.clock_skew_leeway);
        self.taken_until(until);
        if issuer.unique_id_claim.is_empty() {
            return;
        }
        self.once.push(Once {
            // Not its definition here: one that is defined anew has the same
            // tokens.
            maker: format!("issuer:{}", issuer.issuer_id),
            id: claims
                .named(&issuer.unique_id_claim)
                .unwrap_or_default()
                .to_owned(),
            made_at: claims.issued_at.unwrap_or(Timestamp::EPOCH),
            ahead: issuer.clock_skew_leeway,
            until,
        });
    }

    /// The first of the tokens that ends, ends it all.
    fn taken_until(&mut self, end: Timestamp) {
        self.expires_at = Some(self.expires_at.map_or(end, |other| other.min(end)));
    }

    /// For whom it asks, by what an issuer calls them.
    pub(super) fn acts_for(&mut self, named: Named) -> Result<()> {
        if self.subject.as_ref().is_some_and(|id| *id != named.entity) {
            return Err(refused(
                "subject.mismatch",
                "the two tokens are for two humans",
            ));
        }
        self.subject = Some(named.entity.clone());
        self.rests.humans.push(named);
        Ok(())
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

/// The issuer that a token names, if this mount believes it. Its own
/// credentials are no proof here, whatever is configured.
pub(super) async fn trusted(cx: &Cx, token: &Unverified<'_>) -> Result<Option<Arc<Trusted>>> {
    let Some(issuer) = token.unverified_issuer() else {
        return Ok(None);
    };
    if cx.config.get().await?.issuer == issuer {
        return Ok(None);
    }
    cx.issuers.trusted(&issuer).await
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
        None => cx.agents.saw(&agent, &BTreeSet::new(), Some(&issuer.id)),
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
    let own = cx.config.get().await?.issuer.clone();
    let agent = match (name.parse::<AgentId>(), name.parse::<AgentName>()) {
        (Ok(id), _) => cx.agents.get(&id).await?,
        (Err(_), Ok(name)) => cx.agents.by_name(&name).await?,
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
    let own = &cx.config.get().await?.issuer;
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

/// The authorization details in a token, where its issuer puts them. What is
/// not understood is refused: it could have been a restriction.
///
/// Why exactly is not said: the text would repeat what the token says.
fn details(claims: &Claims, claim: &str) -> Result<Option<Scope>> {
    match claims.all.get(claim) {
        None => Ok(None),
        Some(details) => Scope::from_json(details).map(Some).map_err(|_| {
            Error::Invalid(
                "the token's authorization details are refused (invalid_authorization_details): they hold a type, a field or a value that is not taken here"
                    .to_owned(),
            )
        }),
    }
}

fn decode(token: &str) -> Result<Unverified<'_>> {
    jws::decode(token, MAX_TOKEN).map_err(|error: JwsError| {
        Error::Invalid(format!("login refused (token.malformed): {error}"))
    })
}

/// What the holder of a token learns of why it is not believed.
pub(super) fn told(refusal: &Refusal, issuer: &IssuerName) -> Error {
    tracing::debug!(%issuer, problem = %refusal, "a token was refused");
    match refusal {
        Refusal::Keys(KeysError::Unavailable(_) | KeysError::Busy) => Error::Limited(
            "login refused (issuer.unavailable): the keys of the token's issuer cannot be had now; retry later".to_owned(),
        ),
        refusal if refusal.is_expiry() => expired(),
        Refusal::Keys(KeysError::NoneFits)
        | Refusal::Signature(_)
        | Refusal::Claims(_)
        | Refusal::Foreign(_)
        | Refusal::Unnamed(_) => not_taken(),
    }
}

/// A refusal with a stable code.
pub(super) fn refused(code: &str, why: &str) -> Error {
    Error::Denied(format!("login refused ({code}): {why}"))
}

fn expired() -> Error {
    refused("token.expired", "the token has expired: get a fresh one")
}

pub(super) fn not_taken() -> Error {
    refused(
        "token.refused",
        "the token is not one that this mount takes: an operator can see why under `config/issuers/:name/check`",
    )
}

pub(super) fn unknown() -> Error {
    refused(
        "token.unknown_issuer",
        "neither an issuer that this mount believes nor a key of a registered agent vouches for the token",
    )
}
