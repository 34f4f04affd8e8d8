//! `metrics`: the counters, for Prometheus.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::Result;
use crate::host::framework::response::{Raw, Reply};
use crate::record::Cx;
use crate::record::metrics::exposition;

/// Read the counters of this mount on this node, in the text format of
/// Prometheus.
///
/// They begin at zero when the plugin's process starts. Labels are codes, and
/// the names of at most a hundred targets.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadMetrics {}

impl Endpoint<Cx> for ReadMetrics {
    const PLACE: Place = Place {
        path: "metrics",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        Ok(Reply::Raw(Raw {
            status: 200,
            content_type: exposition::CONTENT_TYPE,
            cache_control: "no-store",
            body: exposition::page(&cx.record).into_bytes(),
        }))
    }
}
