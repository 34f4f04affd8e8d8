//! `baselines/…`: what a subject may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::baselines::store::{entity_key, group_key};
use crate::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::framework::error::{Error, Result};
use crate::framework::response::{Listing, Reply};
use crate::model::ids::{EntityId, GroupName, PolicyName};
use crate::state::{Cx, State};

/// A baseline, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BaselineView {
    /// The policies; several apply as a union within the baseline.
    policies: Vec<PolicyName>,
}

/// The most policies of one baseline.
const MAX_POLICIES: usize = 64;

async fn check(cx: &Cx, policies: &[PolicyName]) -> Result<()> {
    if policies.is_empty() || policies.len() > MAX_POLICIES {
        return Err(Error::field(
            "policies",
            format_args!(
                "must name 1 to {MAX_POLICIES} policies; to take a baseline away, delete it"
            ),
        ));
    }
    cx.policies.require("policies", policies).await
}

macro_rules! endpoints {
    (
        $noun:literal, $key:ident : $id:ty, $store:ident, $folder:literal, $path:literal, $key_doc:literal, $check:expr, $stored_as:path, $plural:literal,
        $list:ident, $read:ident, $write:ident, $delete:ident
    ) => {
        #[doc = concat!("List the ", $plural, " that have a baseline.")]
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $list {
            /// Show names after this one only.
            #[serde(default)]
            after: String,
            /// Show at most this many; 0 shows all.
            #[serde(default)]
            limit: u32,
        }

        impl Endpoint<State> for $list {
            const PLACE: Place = Place {
                path: $folder,
                verb: Verb::List,
            };
            const AUDIENCE: Audience = Audience::Operator;
            type Output = Listing;

            async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
                Ok(Listing::of(cx.baselines.$store.list(&self.after, self.limit).await?).into())
            }
        }

        #[doc = concat!("Read the baseline of the ", $noun, ".")]
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $read {
            #[doc = $key_doc]
            $key: $id,
        }

        impl Endpoint<State> for $read {
            const PLACE: Place = Place {
                path: $path,
                verb: Verb::Read,
            };
            const AUDIENCE: Audience = Audience::Operator;
            type Output = BaselineView;

            async fn handle(self, cx: &Cx) -> Result<Reply<BaselineView>> {
                let policies = cx
                    .baselines
                    .$store
                    .get(&$stored_as(self.$key.as_str()))
                    .await?;
                Ok(policies
                    .map(|policies| BaselineView {
                        policies: policies.to_vec(),
                    })
                    .into())
            }
        }

        #[doc = concat!("Give the ", $noun, " a baseline: the policies that say what it may do.")]
        ///
        /// An agent that acts for a human can do no more than the human may.
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $write {
            #[doc = $key_doc]
            $key: $id,
            /// Policies of this mount.
            policies: Vec<PolicyName>,
        }

        impl Endpoint<State> for $write {
            const PLACE: Place = Place {
                path: $path,
                verb: Verb::Write,
            };
            const AUDIENCE: Audience = Audience::Operator;
            type Output = BaselineView;

            async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
                let Some(key) = named::<$id>(input, stringify!($key)) else {
                    return Ok(None);
                };
                let key = $stored_as(key.as_str());
                Ok(Some(cx.baselines.$store.get(&key).await?.is_some()))
            }

            async fn handle(self, cx: &Cx) -> Result<Reply<BaselineView>> {
                check(cx, &self.policies).await?;
                let known = $check;
                known(cx, &self.$key).await?;
                let stored = cx
                    .baselines
                    .$store
                    .store(&$stored_as(self.$key.as_str()), self.policies)
                    .await;
                cx.baselines.changed();
                Ok(BaselineView {
                    policies: stored?.to_vec(),
                }
                .into())
            }
        }

        #[doc = concat!("Take the baseline of the ", $noun, " away.")]
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $delete {
            #[doc = $key_doc]
            $key: $id,
        }

        impl Endpoint<State> for $delete {
            const PLACE: Place = Place {
                path: $path,
                verb: Verb::Delete,
            };
            const AUDIENCE: Audience = Audience::Operator;
            type Output = BaselineView;

            async fn handle(self, cx: &Cx) -> Result<Reply<BaselineView>> {
                let removed = cx
                    .baselines
                    .$store
                    .remove(&$stored_as(self.$key.as_str()))
                    .await;
                cx.baselines.changed();
                removed?;
                Ok(Reply::Nothing)
            }
        }
    };
}

endpoints!(
    "entity", entity_id: EntityId, entities, "baselines/entity", "baselines/entity/{entity_id}", "Id of the entity.", known_entity, entity_key, "entities",
    ListEntityBaselines, ReadEntityBaseline, WriteEntityBaseline, DeleteEntityBaseline
);
endpoints!(
    "group", group_name: GroupName, groups, "baselines/group", "baselines/group/{group_name}", "Name of the identity group, in any case: the server does not tell them apart, and it is shown in lower case.", any_group, group_key, "groups",
    ListGroupBaselines, ReadGroupBaseline, WriteGroupBaseline, DeleteGroupBaseline
);

async fn known_entity(cx: &Cx, id: &EntityId) -> Result<()> {
    match cx.system.entity(id).await? {
        Some(_) => Ok(()),
        None => Err(Error::field(
            "entity_id",
            "there is no such identity entity; create it under `identity/entity` first",
        )),
    }
}

/// The host lists the groups of an entity, and not groups as such: a group
/// that does not exist yet simply has nobody in it.
async fn any_group(_: &Cx, _: &GroupName) -> Result<()> {
    Ok(())
}
