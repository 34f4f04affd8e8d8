//! What a login has proven: which agent it is, and for whom.

use std::sync::Arc;

use crate::facts::identity::{admit, presence};
use crate::host::framework::error::{Error, Result};
use crate::issue::Cx;
use crate::issue::credentials::replay::{Once, Spent};
use crate::issue::login::refusals::{expired, refused};
use crate::issue::login::rests::{Known, Named, Rests};
use crate::jose::claims::Claims;
use crate::model::agent::Agent;
use crate::model::authorization::Scope;
use crate::model::decision::Reason;
use crate::model::identity::Presence;
use crate::model::ids::EntityId;
use crate::model::issuer::Issuer;
use crate::model::time::Timestamp;

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
    pub(super) expires_at: Option<Timestamp>,
    /// What may not be presented again.
    pub(super) once: Vec<Once>,
}

impl Proven {
    /// An agent that was recognised, and nothing else yet.
    pub(super) fn agent(agent: Arc<Agent>, known: Known, now: Timestamp) -> Self {
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
    pub(super) async fn look_again(&mut self, cx: &Cx) -> Result<()> {
        if self.expires_at.is_some_and(|end| end <= cx.now) {
            return Err(expired());
        }
        let agent = cx.facts.agents.get(&self.agent.id).await?;
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
        cx.issue.presented.spend(&self.once, cx.now).map_err(|spent| match spent {
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
    pub(super) fn taken_until(&mut self, end: Timestamp) {
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

/// The authorization details in a token, where its issuer puts them. What is
/// not understood is refused: it could have been a restriction.
///
/// Why exactly is not said: the text would repeat what the token says.
pub(super) fn details(claims: &Claims, claim: &str) -> Result<Option<Scope>> {
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
