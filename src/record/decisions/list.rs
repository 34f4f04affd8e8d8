//! `decisions/…`: the decision log, for those who govern.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::engine;
use crate::engine::facts::{Facts, NoCounts};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::model::decision::Outcome;
use crate::model::ids::{AgentId, DecisionId, EntityId, TargetName};
use crate::model::time::OptionalTime;
use crate::record::Cx;
use crate::record::decisions::entry::{Entry, Kind};
use crate::record::decisions::search::{self, Filter, Page};
use crate::record::decisions::verify;

/// A page of the decision log.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct DecisionListing {
    /// The ids, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Of each: `at`, `kind`, `outcome`, `reason`, `agent`, `subject`, `target`,
    /// `action` and `resource`; `refused_as`, where the caller may not use the path
    /// at all; `notes`, where something did not stand in the way and is to be mended.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub key_info: Map<String, Value>,
    /// Where to go on, as `after`; empty if there is nothing more.
    pub next: String,
}

impl DecisionListing {
    /// The page as it is answered.
    #[must_use]
    pub fn of(page: &Page) -> Reply<Self> {
        let mut listing = Self {
            next: page
                .next
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            ..Self::default()
        };
        for entry in &page.entries {
            let id = entry.id.to_string();
            listing.key_info.insert(id.clone(), summary(entry));
            listing.keys.push(id);
        }
        // The server answers an empty list with 404, and shows warnings.
        let warnings = if listing.keys.is_empty() && !listing.next.is_empty() {
            vec![format!(
                "nothing found so far; there is more to look through: go on with after={}",
                listing.next
            )]
        } else {
            Vec::new()
        };
        Reply::Data(listing, warnings)
    }
}

fn summary(entry: &Entry) -> Value {
    let mut summary = json!({
        "at": entry.at,
        "kind": entry.kind,
        "outcome": entry.outcome,
        "reason": entry.reason(),
        "agent": entry.agent,
        "subject": entry.subject.as_ref().map(|id| id.as_str()).unwrap_or_default(),
        "target": entry.target,
        "action": entry.action,
        "resource": entry.resource,
    });
    if let Some(fields) = summary.as_object_mut() {
        if !entry.refused_as.is_empty() {
            fields.insert("refused_as".to_owned(), entry.refused_as.clone().into());
        }
        if !entry.notes.is_empty() {
            fields.insert("notes".to_owned(), json!(entry.notes));
        }
    }
    summary
}

/// List decisions, the latest first: what was asked for or done, and what came
/// of it.
///
/// Shows what this node remembers, and what was stored if `decision_retention`
/// under `config` says so. Each of the filters narrows. One request looks
/// through a bounded part of a long log: where `next` is not empty, go on with
/// it as `after`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListDecisions {
    /// Name or id of the agent.
    #[serde(default)]
    agent: String,
    /// Identity entity of the human on whose behalf.
    subject: Option<EntityId>,
    /// Name of the target.
    target: Option<TargetName>,
    /// What came of it: `allow`, `deny` or `consent_required`.
    outcome: Option<Outcome>,
    /// What was asked for or done, such as `issue`, `login` or
    /// `agent.suspend`.
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

impl Endpoint<Cx> for ListDecisions {
    const PLACE: Place = Place {
        path: "decisions",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = DecisionListing;

    async fn handle(self, cx: &Cx) -> Result<Reply<DecisionListing>> {
        let id = self.agent.parse::<AgentId>().ok();
        let filter = Filter {
            agent_name: (id.is_none() && !self.agent.is_empty()).then_some(self.agent),
            agent: id,
            subject: self.subject,
            target: self.target,
            outcome: self.outcome,
            kind: self.kind,
            since: self.since.and_then(|time| time.0),
            until: self.until.and_then(|time| time.0),
            concerning: None,
        };
        let after = cursor(&self.after)?;
        let page = search::search(&cx.record, &filter, after.as_ref(), self.limit).await?;
        Ok(DecisionListing::of(&page))
    }
}

/// The decision that a page begins after.
///
/// # Errors
/// [`Error::Invalid`] if it is no decision's id.
pub fn cursor(after: &str) -> Result<Option<DecisionId>> {
    if after.is_empty() {
        return Ok(None);
    }
    let id = after
        .parse()
        .map_err(|error| Error::field("after", error))?;
    Ok(Some(id))
}

/// One decision, with all that is known about it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DecisionView {
    /// What was recorded.
    #[serde(flatten)]
    #[schemars(with = "Map<String, Value>")]
    entry: Entry,
    /// The reason that decided it; empty where it was allowed.
    reason: &'static str,
    /// What every layer found. Empty once the facts are forgotten: this node
    /// remembers those of its latest 1,000 decisions about agents.
    #[serde(skip_serializing_if = "Map::is_empty")]
    explanation: Map<String, Value>,
}

/// Read one decision.
///
/// The explanation is made anew from the facts of then, as long as they are
/// remembered. It leaves rates out: their counters have moved on.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadDecision {
    /// Id of the decision.
    id: DecisionId,
}

impl Endpoint<Cx> for ReadDecision {
    const PLACE: Place = Place {
        path: "decisions/{id}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = DecisionView;

    async fn handle(self, cx: &Cx) -> Result<Reply<DecisionView>> {
        let Some(entry) = search::find(&cx.record, &self.id).await? else {
            return Ok(Reply::Nothing);
        };
        let explanation = match cx.record.recent.decided(&self.id) {
            Some(decided) => {
                let facts = Facts {
                    counts: std::sync::Arc::new(NoCounts),
                    ..decided.facts.clone()
                };
                let decision = engine::decide(&decided.request, &facts);
                as_map(serde_json::to_value(
                    decision.explain(&decided.request, &facts),
                ))?
            }
            None => Map::new(),
        };
        Ok(DecisionView {
            reason: entry.reason(),
            entry: (*entry).clone(),
            explanation,
        }
        .into())
    }
}

fn as_map(value: serde_json::Result<Value>) -> Result<Map<String, Value>> {
    match value {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}

/// Verify the stored decision log: that no entry was removed, changed, moved
/// or cut off.
///
/// Looks at a bounded number of segments; where `next` is not 0, go on with it
/// as `from`. Whoever can rewrite the whole storage of the mount can make the
/// chain anew: compare with a hash that was noted elsewhere. The server's log
/// has that of every segment, and `segment` with `hash` compares one.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct VerifyDecisions {
    /// Number of the segment to begin at; 0 begins at the first.
    #[serde(default)]
    from: u64,
    /// Number of a segment whose hash is known from elsewhere.
    #[serde(default)]
    segment: u64,
    /// The hash that it must have, in hexadecimal.
    #[serde(default)]
    hash: String,
}

impl Endpoint<Cx> for VerifyDecisions {
    const PLACE: Place = Place {
        path: "decisions/verify",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = verify::Verification;

    async fn handle(self, cx: &Cx) -> Result<Reply<verify::Verification>> {
        let known = (self.segment > 0).then_some((self.segment, self.hash.to_ascii_lowercase()));
        Ok(
            verify::verify(&cx.record.journal, self.from, known.as_ref())
                .await?
                .into(),
        )
    }
}
