//! `config/issuers/:name/check`: why a token is taken or refused, for
//! operators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::Cx;
use crate::facts::identity::human;
use crate::facts::issuers::store::Trusted;
use crate::facts::issuers::verify::{self, Refusal};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::jose::jws::{self, MAX_TOKEN};
use crate::model::ids::{AgentName, EntityId, IssuerName};
use crate::model::issuer::Issuer;
use crate::model::secret::Secret;

/// What holds for an issuer and a token of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IssuerCheck {
    name: IssuerName,
    /// Whether its tokens are believed at all.
    enabled: bool,
    /// How many of its keys can be used.
    keys: usize,
    /// Why its keys cannot be had; empty if they can.
    keys_problem: String,
    /// Whether the token is believed; false without one.
    token_accepted: bool,
    /// Why the token is refused, or what is missing here for it; empty if
    /// nothing is.
    token_problem: String,
    /// The agent that the token proves.
    agent: Option<AgentName>,
    /// The human that the token is for.
    entity_id: Option<EntityId>,
}

/// Check an issuer: whether its keys can be had, and what becomes of a token.
///
/// Says in full what `login` tells a stranger in one word. Nothing is
/// remembered of the token, and nothing decided. Keys that were fetched in the
/// last ten seconds are not fetched again.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CheckIssuer {
    /// Name of the issuer on this mount.
    name: IssuerName,
    /// A token of the issuer.
    #[schemars(extend("x-vault-displayAttrs" = { "sensitive": true }))]
    jwt: Option<Secret<String>>,
}

impl Endpoint<Cx> for CheckIssuer {
    const PLACE: Place = Place {
        path: "config/issuers/{name}/check",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = IssuerCheck;

    async fn handle(self, cx: &Cx) -> Result<Reply<IssuerCheck>> {
        let Some(issuer) = cx.facts.issuers.get(&self.name).await? else {
            return Err(Error::NotFound(format!(
                "there is no issuer `{}`",
                self.name
            )));
        };
        let mut check = IssuerCheck {
            name: self.name,
            enabled: issuer.enabled,
            keys: issuer.public_keys.len(),
            keys_problem: String::new(),
            token_accepted: false,
            token_problem: String::new(),
            agent: None,
            entity_id: None,
        };
        if issuer.use_jwks {
            match cx.facts.key_sets.check(&issuer, cx.clock()).await {
                Ok(keys) => check.keys = keys,
                Err(problem) => check.keys_problem = problem.to_string(),
            }
        }
        if let Some(token) = self.jwt {
            match check.token(cx, &issuer, token.expose()).await? {
                Ok(()) => check.token_accepted = true,
                Err(problem) => check.token_problem = problem,
            }
        }
        Ok(check.into())
    }
}

impl IssuerCheck {
    async fn token(
        &mut self,
        cx: &Cx,
        issuer: &Issuer,
        token: &str,
    ) -> Result<std::result::Result<(), String>> {
        let refused = |refusal: Refusal| Ok(Err(refusal.to_string()));
        let token = match jws::decode(token, MAX_TOKEN) {
            Ok(token) => token,
            Err(error) => return refused(error.into()),
        };
        let trusted = Trusted {
            keys: issuer
                .public_keys
                .iter()
                .filter_map(|key| key.key().ok())
                .collect(),
            issuer: issuer.clone(),
        };
        let claims = match verify::verify(cx, token, &trusted).await {
            Ok(claims) => claims,
            Err(refusal) => return refused(refusal),
        };
        let human = if issuer.jwt_type.proves_agents() {
            let parties = match verify::parties(&claims, &trusted) {
                Ok(parties) => parties,
                Err(refusal) => return refused(refusal),
            };
            let agent = cx
                .facts
                .agents
                .by_external(&issuer.issuer_id, &parties.agent)
                .await?;
            let Some(agent) = agent else {
                return Ok(Err(format!(
                    "no agent has the `issuer` `{}` and the `subject` `{}`",
                    issuer.issuer_id, parties.agent
                )));
            };
            if agent
                .issuer_record
                .as_ref()
                .is_some_and(|id| *id != issuer.id)
            {
                return Ok(Err(format!(
                    "the agent `{}` is bound to an earlier definition of this issuer: write its `issuer` and `subject` again",
                    agent.name
                )));
            }
            self.agent = Some(agent.name.clone());
            parties.human
        } else {
            match verify::text(&claims, &issuer.user_claim) {
                Ok(human) => Some(human.to_owned()),
                Err(refusal) => return refused(refusal),
            }
        };
        let Some(human) = human else {
            return Ok(Ok(()));
        };
        self.entity_id = cx.facts.issuers.entity_of(&issuer.id, &human).await?;
        let Some(entity) = &self.entity_id else {
            return Ok(Err(format!(
                "no entity is mapped to the subject `{human}`: write it under `config/issuers/{}/subjects/`",
                issuer.name
            )));
        };
        Ok(match human::why_not(cx, entity).await? {
            None => Ok(()),
            Some(why) => Err(format!(
                "the entity `{entity}` does not count as a human here: {why}"
            )),
        })
    }
}
