//! What a login rests on besides the decision: who vouches for the agent, and
//! who says for which human it asks. It is looked at again after every wait, and
//! at each renewal.

use serde::{Deserialize, Serialize};

use crate::framework::error::Result;
use crate::model::agent::Agent;
use crate::model::ids::{EntityId, IssuerId, IssuerName};
use crate::state::Cx;

/// What a login rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rests {
    /// How the agent is known.
    pub agent: Known,
    /// Who says for which human it asks; nobody, where it acts on its own.
    pub humans: Vec<Named>,
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
            } => {
                if !believes(cx, name, id).await? {
                    return Ok(Some(
                        "the issuer that vouched for the agent is believed no more",
                    ));
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
            if !believes(cx, &human.issuer, &human.id).await? {
                return Ok(Some("the issuer that named the human is believed no more"));
            }
            let entity = cx.issuers.entity_of(&human.id, &human.called).await?;
            if entity.as_ref() != Some(&human.entity) {
                return Ok(Some("the human is not called so by the issuer any more"));
            }
            if cx.agents.by_entity(&human.entity).await?.is_some() {
                return Ok(Some("the human is a registered agent since"));
            }
        }
        Ok(None)
    }
}

/// Whether this mount believes that definition of an issuer.
async fn believes(cx: &Cx, name: &IssuerName, id: &IssuerId) -> Result<bool> {
    let issuer = cx.issuers.get(name).await?;
    Ok(issuer.is_some_and(|issuer| issuer.id == *id && issuer.enabled))
}
