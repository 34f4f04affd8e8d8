//! `baselines/…`: what a subject may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::facts::Cx;
use crate::facts::baselines::store::OfGroup;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::model::ids::{EntityId, GroupName, PolicyName};
use crate::model::text;
use crate::model::time::{OptionalTime, Timestamp, Ttl};

/// The most policies of one baseline.
const MAX_POLICIES: usize = 64;
/// After what time without a sight of anybody in its group a baseline is shown as
/// unseen.
const UNSEEN: Ttl = Ttl::from_secs(30 * 24 * 3600);

/// The baseline of an entity, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BaselineView {
    /// The policies; several apply as a union within the baseline.
    policies: Vec<PolicyName>,
}

/// The baseline of a group, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupBaselineView {
    /// The policies; several apply as a union within the baseline.
    policies: Vec<PolicyName>,
    /// Id of the group that it is bound to; empty until it is known.
    group_id: String,
    /// When somebody in the group was last decided about, to about a day; empty:
    /// never.
    last_seen_at: OptionalTime,
    /// Whether that is more than 30 days ago.
    unseen: bool,
}

impl GroupBaselineView {
    fn of(baseline: &OfGroup, now: Timestamp) -> Self {
        Self {
            policies: baseline.policies.clone(),
            group_id: baseline.group_id.clone().unwrap_or_default(),
            last_seen_at: OptionalTime(baseline.last_seen_at),
            unseen: is_unseen(baseline, now),
        }
    }
}

fn is_unseen(baseline: &OfGroup, now: Timestamp) -> bool {
    let last = baseline.last_seen_at.max(baseline.written_at);
    last.is_none_or(|last| last.plus(UNSEEN) <= now)
}

async fn check(cx: &Cx, policies: &[PolicyName]) -> Result<()> {
    if policies.is_empty() || policies.len() > MAX_POLICIES {
        return Err(Error::field(
            "policies",
            format_args!(
                "must name 1 to {MAX_POLICIES} policies; to take a baseline away, delete it"
            ),
        ));
    }
    cx.facts.policies.require("policies", policies).await
}

/// List the entities that have a baseline.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListEntityBaselines {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListEntityBaselines {
    const PLACE: Place = Place {
        path: "baselines/entity",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        Ok(Listing::of(
            cx.facts
                .baselines
                .entities
                .list(&self.after, self.limit)
                .await?,
        )
        .into())
    }
}

/// Read the baseline of the entity.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadEntityBaseline {
    /// Id of the entity.
    entity_id: EntityId,
}

impl Endpoint<Cx> for ReadEntityBaseline {
    const PLACE: Place = Place {
        path: "baselines/entity/{entity_id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = BaselineView;

    async fn handle(self, cx: &Cx) -> Result<Reply<BaselineView>> {
        let policies = cx
            .facts
            .baselines
            .entities
            .get(self.entity_id.as_str())
            .await?;
        Ok(policies
            .map(|policies| BaselineView {
                policies: policies.to_vec(),
            })
            .into())
    }
}

/// Give the entity a baseline: the policies that say what it may do.
///
/// An agent that acts for a human can do no more than the human may.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteEntityBaseline {
    /// Id of the entity.
    entity_id: EntityId,
    /// Policies of this mount.
    policies: Vec<PolicyName>,
}

impl Endpoint<Cx> for WriteEntityBaseline {
    const PLACE: Place = Place {
        path: "baselines/entity/{entity_id}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = BaselineView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named::<EntityId>(input, "entity_id") {
            Some(id) => Ok(Some(
                cx.facts
                    .baselines
                    .entities
                    .get(id.as_str())
                    .await?
                    .is_some(),
            )),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<BaselineView>> {
        check(cx, &self.policies).await?;
        if cx.host.system.entity(&self.entity_id).await?.is_none() {
            return Err(Error::field(
                "entity_id",
                "there is no such identity entity; create it under `identity/entity` first",
            ));
        }
        let check = |is| cx.check_new(is);
        let stored = cx
            .facts
            .baselines
            .put_entity(&self.entity_id, self.policies, check)
            .await?;
        Ok(BaselineView {
            policies: stored.to_vec(),
        }
        .into())
    }
}

/// Take the baseline of the entity away.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteEntityBaseline {
    /// Id of the entity.
    entity_id: EntityId,
}

impl Endpoint<Cx> for DeleteEntityBaseline {
    const PLACE: Place = Place {
        path: "baselines/entity/{entity_id}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = BaselineView;

    async fn handle(self, cx: &Cx) -> Result<Reply<BaselineView>> {
        let removed = cx
            .facts
            .baselines
            .entities
            .remove(self.entity_id.as_str())
            .await;
        cx.facts.baselines.changed();
        removed?;
        Ok(Reply::Nothing)
    }
}

/// List the groups that have a baseline, with the id of each and when somebody
/// in it was last seen.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListGroupBaselines {
    /// Show only those in whose group nobody was seen for 30 days.
    #[serde(default)]
    unseen: bool,
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListGroupBaselines {
    const PLACE: Place = Place {
        path: "baselines/group",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        let mut listing = Listing::default();
        for name in cx
            .facts
            .baselines
            .list_groups(&self.after, self.limit)
            .await?
        {
            let Some(baseline) = cx.facts.baselines.of_group(&name).await? else {
                continue;
            };
            let unseen = is_unseen(&baseline, cx.now);
            if self.unseen && !unseen {
                continue;
            }
            let info = json!({
                "group_id": baseline.group_id.clone().unwrap_or_default(),
                "last_seen_at": OptionalTime(baseline.last_seen_at),
                "unseen": unseen,
            });
            listing.key_info.insert(name.clone(), info);
            listing.keys.push(name);
        }
        Ok(listing.into())
    }
}

/// Read the baseline of the group.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadGroupBaseline {
    /// Name of the identity group, in any case: the server does not tell them
    /// apart.
    group_name: GroupName,
}

impl Endpoint<Cx> for ReadGroupBaseline {
    const PLACE: Place = Place {
        path: "baselines/group/{group_name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = GroupBaselineView;

    async fn handle(self, cx: &Cx) -> Result<Reply<GroupBaselineView>> {
        let baseline = cx
            .facts
            .baselines
            .of_group(self.group_name.as_str())
            .await?;
        Ok(baseline
            .map(|baseline| GroupBaselineView::of(&baseline, cx.now))
            .into())
    }
}

/// Give the group a baseline: the policies that say what its members may do.
///
/// An agent that acts for a human can do no more than the human may. The baseline
/// is bound to the group's id: `group_id` says which, or it is learnt from the
/// first human in a group of that name who is decided about. From then on a
/// renamed group keeps it, and a new group of the old name does not get it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteGroupBaseline {
    /// Name of the identity group, in any case: the server does not tell them
    /// apart, and it is shown in lower case.
    group_name: GroupName,
    /// Policies of this mount.
    policies: Vec<PolicyName>,
    /// Id of the identity group. Left out: as it is; empty: it is learnt anew.
    group_id: Option<String>,
}

impl Endpoint<Cx> for WriteGroupBaseline {
    const PLACE: Place = Place {
        path: "baselines/group/{group_name}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = GroupBaselineView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named::<GroupName>(input, "group_name") {
            Some(name) => Ok(Some(
                cx.facts.baselines.of_group(name.as_str()).await?.is_some(),
            )),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<GroupBaselineView>> {
        // The host lists the groups of an entity, and not groups as such: one that
        // does not exist yet simply has nobody in it.
        check(cx, &self.policies).await?;
        let given = match self.group_id {
            None => None,
            Some(id) if id.is_empty() => Some(None),
            Some(id) => {
                text::check(&id, 128).map_err(|error| Error::field("group_id", error))?;
                Some(Some(id))
            }
        };
        let stored = cx
            .facts
            .baselines
            .update_group(self.group_name.as_str(), |present| {
                cx.check_new(present.is_some())?;
                let present = present.cloned().unwrap_or_default();
                Ok(OfGroup {
                    policies: self.policies,
                    group_id: given.unwrap_or(present.group_id),
                    last_seen_at: present.last_seen_at,
                    written_at: Some(cx.now),
                })
            })
            .await?;
        Ok(GroupBaselineView::of(&stored, cx.now).into())
    }
}

/// Take the baseline of the group away.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteGroupBaseline {
    /// Name of the identity group, in any case: the server does not tell them
    /// apart.
    group_name: GroupName,
}

impl Endpoint<Cx> for DeleteGroupBaseline {
    const PLACE: Place = Place {
        path: "baselines/group/{group_name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = GroupBaselineView;

    async fn handle(self, cx: &Cx) -> Result<Reply<GroupBaselineView>> {
        cx.facts
            .baselines
            .remove_group(self.group_name.as_str())
            .await?;
        Ok(Reply::Nothing)
    }
}
