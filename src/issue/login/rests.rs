//! What a login rests on besides the decision: who vouches for the agent, and
//! who says for which human it asks. It is looked at again after every wait, and
//! at each renewal.

use serde::{Deserialize, Serialize};

use crate::facts::identity::human::{self, NotHuman};
use crate::facts::issuers::store;
use crate::host::framework::error::Result;
use crate::issue::Cx;
use crate::model::agent::Agent;
use crate::model::identity::Presence;
use crate::model::ids::{EntityId, IssuerId, IssuerName};
use crate::model::time::Timestamp;

/// What a login rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rests {
    /// How the agent is known.
    pub agent: Known,
    /// Who says for which human it asks; nobody, where it acts on its own.
    pub humans: Vec<Named>,
    /// Since when it rests on them.
    #[serde(default = "never")]
    pub since: Timestamp,
}

const fn never() -> Timestamp {
    Timestamp::EPOCH
}

/// How an agent is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Known {
    /// An issuer vouches for it, under a name that its record has.
    Issuer {
        /// The issuer's name here.
        name: IssuerName,
        /// Its definition.
        id: IssuerId,
        /// The agent's `issuer`.
        issuer: String,
        /// The agent's `subject`.
        subject: String,
        /// On what the issuer was believed.
        #[serde(default)]
        trust: String,
    },
    /// It signs with a key in its record, of this thumbprint (RFC 7638).
    Key(String),
}

/// A human, as an issuer calls them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The issuer's name here.
    pub issuer: IssuerName,
    /// Its definition.
    pub id: IssuerId,
    /// On what it was believed.
    #[serde(default)]
    pub trust: String,
    /// What it calls the human.
    pub called: String,
    /// Who that is, by an operator's mapping.
    pub entity: EntityId,
}

impl Rests {
    /// Why it holds no more, if it does not.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn broken(&self, cx: &Cx, agent: &Agent) -> Result<Option<&'static str>> {
        match &self.agent {
            Known::Issuer {
                name,
                id,
                issuer,
                subject,
                trust,
            } => {
                if let Some(why) = doubted(cx, name, id, trust, self.since).await? {
                    return Ok(Some(why));
                }
                if agent
                    .issuer_record
                    .as_ref()
                    .is_some_and(|bound| bound != id)
                {
                    return Ok(Some("another issuer vouches for the agent since"));
                }
                if agent.issuer != *issuer || agent.subject != *subject {
                    return Ok(Some("the agent has another name at its issuer since"));
                }
            }
            Known::Key(thumbprint) => {
                let mut keys = agent.public_keys.iter();
                if !keys.any(|registered| registered.key().thumbprint() == *thumbprint) {
                    return Ok(Some("the key that the agent signed with is its no more"));
                }
            }
        }
        for human in &self.humans {
            let doubt = doubted(cx, &human.issuer, &human.id, &human.trust, self.since).await?;
            if doubt.is_some() {
                return Ok(doubt);
            }
            let entity = cx.facts.issuers.entity_of(&human.id, &human.called).await?;
            if entity.as_ref() != Some(&human.entity) {
                return Ok(Some("the human is not called so by the issuer any more"));
            }
            let why_not = human::why_not(cx, &human.entity).await?;
            // Whether it is disabled is the decision's to say.
            let is_disabled = Some(NotHuman::NotPresent(Presence::Disabled));
            if why_not.is_some() && why_not != is_disabled {
                return Ok(Some("the human does not count as one here any more"));
            }
        }
        Ok(None)
    }
}

/// Why this mount does not believe an issuer any more as it did.
async fn doubted(
    cx: &Cx,
    name: &IssuerName,
    id: &IssuerId,
    trust: &str,
    since: Timestamp,
) -> Result<Option<&'static str>> {
    let issuer = cx.facts.issuers.get(name).await?;
    let Some(issuer) = issuer.filter(|issuer| issuer.id == *id && issuer.enabled) else {
        return Ok(Some("an issuer that vouched for it is believed no more"));
    };
    // Times are compared in whole seconds: what began in the second of a revocation
    // may have begun before it.
    if issuer
        .revoked_at
        .is_some_and(|at| since.unix() <= at.unix())
    {
        return Ok(Some("what an issuer has vouched for was revoked"));
    }
    Ok((store::trust(&issuer) != trust).then_some(
        "the keys, audiences, algorithms or claims of an issuer that vouched for it have changed",
    ))
}
