//! `self/decisions`: the part of the decision log that concerns the caller.
//! A human sees what was done in their name, and what the agents did that they
//! own; an agent sees what it did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::config::store::DenialDetail;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::model::decision::Outcome;
use crate::model::ids::{DecisionId, TargetName};
use crate::model::time::OptionalTime;
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::list::{DecisionListing, cursor};
use crate::record::decisions::search::{self, Concerning, Filter};

/// Whom the caller may see decisions about, and whether it is an agent.
async fn concerning(cx: &Cx) -> Result<(Concerning, bool)> {
    let Some(entity) = &cx.caller.entity_id else {
        return Err(Error::Denied(
            "your token has no identity entity, so nothing is done in your name; operators see all under `decisions/`"
                .to_owned(),
        ));
    };
    let agent = cx.facts.agents.by_entity(entity).await?;
    let whom = Concerning {
        entity: entity.clone(),
        agent: agent.map(|agent| agent.id.clone()),
    };
    let is_agent = whom.agent.is_some();
    Ok((whom, is_agent))
}

/// Leaves of an entry what one who does not govern may see: what others did,
/// yet not from where, nor why an operator stopped an agent. A refused agent
/// sees no more than it was told.
fn shown(mut entry: Entry, reader: &str, agent: bool, detail: DenialDetail) -> Entry {
    entry.policy.clear();
    entry.rule.clear();
    if entry.caller != reader {
        entry.caller.clear();
        entry.request_id.clear();
        entry.remote_address = None;
        if matches!(
            entry.kind,
            Kind::AgentSuspend | Kind::AgentResume | Kind::AgentRevoke
        ) {
            entry.purpose.clear();
        }
    }
    if agent {
        match detail {
            DenialDetail::Full => {}
            DenialDetail::Reason => entry.reasons.truncate(1),
            DenialDetail::None => {
                entry.reasons.clear();
                entry.layer = None;
            }
        }
    }
    entry
}

/// List the decisions that concern you, the latest first.
///
/// A human sees what was done in their name, and what those agents did whose
/// `owner` is the human's entity id. An agent sees what it did, and what was
/// done under authority that it passed on.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListOwnDecisions {
    /// Name of the agent.
    #[serde(default)]
    agent: String,
    /// Name of the target.
    target: Option<TargetName>,
    /// What came of it: `allow`, `deny` or `consent_required`.
    outcome: Option<Outcome>,
    /// What was asked for or done, such as `issue` or `login`.
    kind: Option<Kind>,
    /// Show what was decided from then on only, in RFC 3339.
    since: Option<OptionalTime>,
    /// Show what was decided until then only, in RFC 3339.
    until: Option<OptionalTime>,
    /// Show decisions before this one only: an id.
    #[serde(default)]
    after: String,
    /// Show at most this many, up to 1,000; 0 shows 100.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListOwnDecisions {
    const PLACE: Place = Place {
        path: "self/decisions",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = DecisionListing;

    async fn handle(self, cx: &Cx) -> Result<Reply<DecisionListing>> {
        let (whom, agent) = concerning(cx).await?;
        let reader = whom.entity.to_string();
        let filter = Filter {
            agent_name: (!self.agent.is_empty()).then_some(self.agent),
            target: self.target,
            outcome: self.outcome,
            kind: self.kind,
            since: self.since.and_then(|time| time.0),
            until: self.until.and_then(|time| time.0),
            concerning: Some(whom),
            ..Filter::default()
        };
        let after = cursor(&self.after)?;
        let mut page = search::search(&cx.record, &filter, after.as_ref(), self.limit).await?;
        let detail = cx.config().await?.denial_detail;
        for entry in &mut page.entries {
            *entry = shown((**entry).clone(), &reader, agent, detail).into();
        }
        Ok(DecisionListing::of(&page))
    }
}

/// One decision that concerns the caller.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OwnDecisionView {
    /// What was recorded.
    #[serde(flatten)]
    #[schemars(with = "Map<String, Value>")]
    entry: Entry,
    /// The reason that decided it; empty where it was allowed.
    reason: &'static str,
}

/// Read a decision that concerns you.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadOwnDecision {
    /// Id of the decision.
    id: DecisionId,
}

impl Endpoint<Cx> for ReadOwnDecision {
    const PLACE: Place = Place {
        path: "self/decisions/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = OwnDecisionView;

    async fn handle(self, cx: &Cx) -> Result<Reply<OwnDecisionView>> {
        let (whom, agent) = concerning(cx).await?;
        let found = search::find(&cx.record, &self.id).await?;
        // One that concerns others is as one that is not there.
        let Some(entry) = found.filter(|entry| whom.holds(entry)) else {
            return Ok(Reply::Nothing);
        };
        let detail = cx.config().await?.denial_detail;
        let entry = shown((*entry).clone(), whom.entity.as_str(), agent, detail);
        Ok(OwnDecisionView {
            reason: entry.reason(),
            entry,
        }
        .into())
    }
}
