//! `config/identity`: whose entities are humans, and who does not govern.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::Cx;
use crate::facts::identity::settings::IdentitySettings;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::model::identity::Consequence;
use crate::model::text;

/// The most auth methods, or groups, that one setting names.
const MOST: usize = 64;
const LONGEST: usize = 256;

/// Whose entities are humans, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IdentityView {
    human_auth_methods: BTreeSet<String>,
    humans: BTreeSet<String>,
    not_humans: BTreeSet<String>,
    agent_groups: BTreeSet<String>,
    operators_without_entity: bool,
    owner_gone: Consequence,
    review_overdue: Consequence,
    /// Whether somebody has written these; false: they are the defaults.
    written: bool,
}

impl IdentityView {
    fn of(settings: &IdentitySettings, written: bool) -> Self {
        let settings = settings.clone();
        Self {
            human_auth_methods: settings.human_auth_methods,
            humans: settings.humans,
            not_humans: settings.not_humans,
            agent_groups: settings.agent_groups,
            operators_without_entity: settings.operators_without_entity,
            owner_gone: settings.owner_gone,
            review_overdue: settings.review_overdue,
            written,
        }
    }
}

/// Read whose entities are humans.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadIdentity {}

impl Endpoint<Cx> for ReadIdentity {
    const PLACE: Place = Place {
        path: "config/identity",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = IdentityView;

    async fn handle(self, cx: &Cx) -> Result<Reply<IdentityView>> {
        let written = cx.facts.identity.written().await?.is_some();
        Ok(IdentityView::of(cx.identity().await?, written).into())
    }
}

/// Say whose entities are humans, and what follows from the owner of an agent.
///
/// A human is an entity whose aliases are all on these auth methods, that is in
/// one of the groups `humans` where any are named, in none of `not_humans` and
/// `agent_groups`, and that neither is nor was an agent here. Nobody else can
/// grant or approve anything, or be acted for. Fields that are not given keep
/// their value.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteIdentity {
    /// Auth methods that humans log in by: types, as in `userpass`, or accessors
    /// of mounts. Default: `userpass`, `ldap`, `oidc`, `okta`, `radius` and
    /// `saml`. An entity that logs in by another as well is no human.
    human_auth_methods: Option<Vec<String>>,
    /// Identity groups, by name or id: a human is in one of them. Default: none,
    /// which asks for none.
    humans: Option<Vec<String>>,
    /// Identity groups, by name or id, whose members are no humans. Default:
    /// none.
    not_humans: Option<Vec<String>>,
    /// Identity groups, by name or id, whose members are neither humans nor
    /// operators here: the agents of other mounts. Default: `agents`.
    agent_groups: Option<Vec<String>>,
    /// Whether a token without an identity entity may govern, if it has `sudo`.
    /// A root token always may. Default true.
    operators_without_entity: Option<bool>,
    /// What follows where the `owner_entity_id` of an agent is disabled or gone:
    /// `deny`, `warn` (the default) or `ignore`.
    owner_gone: Option<Consequence>,
    /// What follows where the `review_by` of an agent has passed: `deny`, `warn`
    /// (the default) or `ignore`.
    review_overdue: Option<Consequence>,
}

impl Endpoint<Cx> for WriteIdentity {
    const PLACE: Place = Place {
        path: "config/identity",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = IdentityView;

    async fn handle(self, cx: &Cx) -> Result<Reply<IdentityView>> {
        // What says nothing does not make the defaults of today somebody's choice.
        if self.is_empty() {
            let written = cx.facts.identity.written().await?.is_some();
            return Ok(IdentityView::of(cx.identity().await?, written).into());
        }
        let stored = cx
            .facts
            .identity
            .update(|settings| self.apply(settings))
            .await?;
        Ok(IdentityView::of(&stored, true).into())
    }
}

impl WriteIdentity {
    const fn is_empty(&self) -> bool {
        self.human_auth_methods.is_none()
            && self.humans.is_none()
            && self.not_humans.is_none()
            && self.agent_groups.is_none()
            && self.operators_without_entity.is_none()
            && self.owner_gone.is_none()
            && self.review_overdue.is_none()
    }

    fn apply(self, settings: &mut IdentitySettings) -> Result<()> {
        for (field, given, place) in [
            (
                "human_auth_methods",
                self.human_auth_methods,
                &mut settings.human_auth_methods,
            ),
            ("humans", self.humans, &mut settings.humans),
            ("not_humans", self.not_humans, &mut settings.not_humans),
            (
                "agent_groups",
                self.agent_groups,
                &mut settings.agent_groups,
            ),
        ] {
            if let Some(given) = given {
                *place = names(field, given)?;
            }
        }
        settings.operators_without_entity = self
            .operators_without_entity
            .unwrap_or(settings.operators_without_entity);
        settings.owner_gone = self.owner_gone.unwrap_or(settings.owner_gone);
        settings.review_overdue = self.review_overdue.unwrap_or(settings.review_overdue);
        Ok(())
    }
}

fn names(field: &str, given: Vec<String>) -> Result<BTreeSet<String>> {
    if given.len() > MOST {
        return Err(Error::field(field, format_args!("may name at most {MOST}")));
    }
    for name in &given {
        if name.is_empty() || name.trim() != name {
            return Err(Error::field(
                field,
                "holds an empty name, or one with blanks around it",
            ));
        }
        text::check(name, LONGEST).map_err(|error| Error::field(field, error))?;
    }
    Ok(given.into_iter().collect())
}

/// Go back to the defaults.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ResetIdentity {}

impl Endpoint<Cx> for ResetIdentity {
    const PLACE: Place = Place {
        path: "config/identity",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = IdentityView;

    async fn handle(self, cx: &Cx) -> Result<Reply<IdentityView>> {
        cx.facts.identity.reset().await?;
        Ok(Reply::Nothing)
    }
}
