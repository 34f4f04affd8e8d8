//! `config/issuers/:name/subjects/…`: which entity a human of an issuer is.
//! Nobody is found by guessing: an email, a name or an alias means nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::Cx;
use crate::facts::identity::human::{self, NotHuman};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::model::identity::Presence;
use crate::model::ids::{EntityId, IssuerName};
use crate::model::text;

const MAX_SUBJECT: usize = 512;

/// What an issuer calls an entity, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubjectView {
    name: IssuerName,
    entity_id: EntityId,
    subject: String,
}

/// List the entities that an issuer has a name for.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListSubjects {
    /// Name of the issuer on this mount.
    name: IssuerName,
    /// Show ids after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListSubjects {
    const PLACE: Place = Place {
        path: "config/issuers/{name}/subjects",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let Some(issuer) = cx.facts.issuers.get(&self.name).await? else {
            return Ok(Listing::default().into());
        };
        let entities = cx
            .facts
            .issuers
            .list_subjects(&issuer.id, &self.after, self.limit)
            .await?;
        Ok(Listing::of(entities).into())
    }
}

/// Read what an issuer calls an entity.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadSubject {
    /// Name of the issuer on this mount.
    name: IssuerName,
    /// Id of the identity entity.
    entity_id: EntityId,
}

impl Endpoint<Cx> for ReadSubject {
    const PLACE: Place = Place {
        path: "config/issuers/{name}/subjects/{entity_id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = SubjectView;

    async fn handle(self, cx: &Cx) -> Result<Reply<SubjectView>> {
        let Self { name, entity_id } = self;
        let Some(issuer) = cx.facts.issuers.get(&name).await? else {
            return Ok(Reply::Nothing);
        };
        let subject = cx.facts.issuers.subject_of(&issuer.id, &entity_id).await?;
        Ok(subject
            .map(|subject| SubjectView {
                name,
                entity_id,
                subject: (*subject).clone(),
            })
            .into())
    }
}

/// Say what an issuer calls a human.
///
/// Tokens of the issuer whose `user_claim` is exactly this are about that
/// entity. It must exist and count as a human here. Without a mapping, a token says
/// nothing about any human here.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteSubject {
    /// Name of the issuer on this mount.
    name: IssuerName,
    /// Id of the identity entity.
    entity_id: EntityId,
    /// Value of the issuer's `user_claim`, compared byte for byte.
    subject: String,
}

impl Endpoint<Cx> for WriteSubject {
    const PLACE: Place = Place {
        path: "config/issuers/{name}/subjects/{entity_id}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = SubjectView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        let (Some(name), Some(entity)) = (
            named::<IssuerName>(input, "name"),
            named::<EntityId>(input, "entity_id"),
        ) else {
            return Ok(None);
        };
        match cx.facts.issuers.get(&name).await? {
            Some(issuer) => {
                let subject = cx.facts.issuers.subject_of(&issuer.id, &entity).await?;
                Ok(Some(subject.is_some()))
            }
            None => Ok(Some(false)),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<SubjectView>> {
        let Self {
            name,
            entity_id,
            subject,
        } = self;
        if subject.is_empty() {
            return Err(Error::field("subject", "may not be empty"));
        }
        text::check(&subject, MAX_SUBJECT).map_err(|error| Error::field("subject", error))?;
        match human::why_not(cx, &entity_id).await? {
            None => {}
            Some(NotHuman::NotPresent(Presence::Gone | Presence::Merged)) => {
                return Err(Error::field(
                    "entity_id",
                    "there is no such identity entity; create it under `identity/entity` first",
                ));
            }
            Some(why) => {
                return Err(Error::field(
                    "entity_id",
                    format_args!("does not count as a human here: {why}"),
                ));
            }
        }
        let check = |is| cx.check_new(is);
        cx.facts
            .issuers
            .map(&name, &entity_id, &subject, check)
            .await?;
        let view = SubjectView {
            name,
            entity_id,
            subject,
        };
        Ok(view.into())
    }
}

/// Forget what an issuer calls a human.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteSubject {
    /// Name of the issuer on this mount.
    name: IssuerName,
    /// Id of the identity entity.
    entity_id: EntityId,
}

impl Endpoint<Cx> for DeleteSubject {
    const PLACE: Place = Place {
        path: "config/issuers/{name}/subjects/{entity_id}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = SubjectView;

    async fn handle(self, cx: &Cx) -> Result<Reply<SubjectView>> {
        cx.facts
            .issuers
            .remove_subject(&self.name, &self.entity_id)
            .await?;
        Ok(Reply::Nothing)
    }
}
