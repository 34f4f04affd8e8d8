//! `activity/…`: who was active when, as far as this node remembers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::Result;
use crate::host::framework::response::{Listing, Reply};
use crate::issue::Cx;
use crate::model::decision::Outcome;
use crate::model::ids::{AgentName, DecisionId, EntityId, TargetName};
use crate::model::time::Timestamp;
use crate::record::activity::{Seen, Sort};

/// What this node remembers of one, since the plugin's process started.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ActivityView {
    /// How often anything was allowed.
    allowed: u64,
    /// How often anything was refused.
    denied: u64,
    /// How often a human's consent was missing.
    consent_required: u64,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// The last decision.
    last_decision_id: DecisionId,
    /// What came of it.
    last_outcome: Outcome,
    /// Why, as a stable code; empty where it was allowed.
    last_reason: &'static str,
}

impl From<Seen> for ActivityView {
    fn from(seen: Seen) -> Self {
        Self {
            allowed: seen.allowed,
            denied: seen.denied,
            consent_required: seen.consent_required,
            first_seen: seen.first_seen,
            last_seen: seen.last_seen,
            last_decision_id: seen.last,
            last_outcome: seen.last_outcome,
            last_reason: seen.last_reason,
        }
    }
}

fn listing(cx: &Cx, sort: Sort, after: &str, limit: u32) -> Listing {
    let mut listing = Listing::default();
    let limit = match limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let named = cx.record.activity.all(sort).into_iter().map(|(key, seen)| {
        let name = if seen.name.is_empty() {
            key.clone()
        } else {
            seen.name.clone()
        };
        (name, key, seen)
    });
    let mut named: Vec<_> = named.collect();
    // Of several agents that had a name one after another, the last seen.
    named.sort_by(|one, other| (&one.0, other.2.last_seen).cmp(&(&other.0, one.2.last_seen)));
    named.dedup_by(|one, other| one.0 == other.0);
    for (name, key, seen) in named {
        if name.as_str() <= after {
            continue;
        }
        if listing.keys.len() >= limit {
            break;
        }
        let info = json!({
            "id": key,
            "last_seen": seen.last_seen,
            "allowed": seen.allowed,
            "denied": seen.denied,
            "consent_required": seen.consent_required,
        });
        listing.key_info.insert(name.clone(), info);
        listing.keys.push(name);
    }
    listing
}

/// List what there is to see: agents, subjects and targets.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListActivity {}

impl Endpoint<Cx> for ListActivity {
    const PLACE: Place = Place {
        path: "activity",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Listing;

    async fn handle(self, _: &Cx) -> Result<Reply<Listing>> {
        let keys = ["agents/", "subjects/", "targets/"].map(str::to_owned);
        Ok(Listing::of(keys.to_vec()).into())
    }
}

macro_rules! lists {
    ($name:ident, $path:literal, $sort:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $name {
            /// Show names after this one only.
            #[serde(default)]
            after: String,
            /// Show at most this many; 0 shows all.
            #[serde(default)]
            limit: u32,
        }

        impl Endpoint<Cx> for $name {
            const PLACE: Place = Place {
                path: $path,
                verb: Verb::List,
            };
            const AUDIENCE: Audience = Audience::Governed;
            type Output = Listing;

            async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
                Ok(listing(cx, $sort, &self.after, self.limit).into())
            }
        }
    };
}

lists!(
    ListAgentActivity,
    "activity/agents",
    Sort::Agents,
    "List the agents that were active, with counters and when they were last seen."
);
lists!(
    ListSubjectActivity,
    "activity/subjects",
    Sort::Subjects,
    "List the humans on whose behalf agents were active, by entity."
);
lists!(
    ListTargetActivity,
    "activity/targets",
    Sort::Targets,
    "List the targets that agents asked for, with counters and when that was last."
);

/// Read what an agent did, in numbers.
///
/// Counted on this node since the plugin's process started; of the 4,096 agents
/// that were seen last.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAgentActivity {
    /// Name of the agent.
    name: AgentName,
}

impl Endpoint<Cx> for ReadAgentActivity {
    const PLACE: Place = Place {
        path: "activity/agents/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ActivityView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ActivityView>> {
        // By id: a name may have been another's before.
        let Some(agent) = cx.facts.agents.by_name(&self.name).await? else {
            return Ok(Reply::Nothing);
        };
        let seen = cx.record.activity.of(Sort::Agents, agent.id.as_str());
        Ok(seen.map(ActivityView::from).into())
    }
}

/// Read what was done on behalf of a human, in numbers.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadSubjectActivity {
    /// Identity entity of the human.
    id: EntityId,
}

impl Endpoint<Cx> for ReadSubjectActivity {
    const PLACE: Place = Place {
        path: "activity/subjects/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ActivityView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ActivityView>> {
        let seen = cx.record.activity.of(Sort::Subjects, self.id.as_str());
        Ok(seen.map(ActivityView::from).into())
    }
}

/// Read what was asked for at a target, in numbers.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadTargetActivity {
    /// Name of the target.
    name: TargetName,
}

impl Endpoint<Cx> for ReadTargetActivity {
    const PLACE: Place = Place {
        path: "activity/targets/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ActivityView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ActivityView>> {
        let seen = cx.record.activity.of(Sort::Targets, self.name.as_str());
        Ok(seen.map(ActivityView::from).into())
    }
}
