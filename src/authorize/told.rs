//! What a refused caller is told: as much as the mount tells.

use std::fmt::Write as _;

use crate::engine::Decision;
use crate::engine::facts::Facts;
use crate::facts::config::store::{Config, DenialDetail};
use crate::model::decision::{AccessRequest, Reason};
use crate::model::ids::DecisionId;

/// Why a decision is none, as far as `denial_detail` tells.
pub(super) fn explained(
    config: &Config,
    id: &DecisionId,
    decision: &Decision,
    request: &AccessRequest,
    facts: &Facts,
) -> String {
    let reason = decision.reason().unwrap_or(Reason::CeilingNoneApplies);
    let mut more = String::new();
    if config.denial_detail == DenialDetail::Full {
        let explanation = decision.explain(request, facts);
        for layer in explanation
            .layers
            .iter()
            .filter(|layer| layer.reason.is_some())
        {
            let _ = write!(more, " Layer {}:", layer.layer.as_str());
            if let Some(rule) = &layer.rule {
                let _ = write!(more, " rule `{rule}` decided;");
            }
            if let Some(rule) = &layer.nearest_rule {
                let lacked: Vec<String> = layer
                    .lacked
                    .iter()
                    .map(|lack| format!("{} {}", lack.dimension, lack.wanted))
                    .collect();
                let _ = write!(
                    more,
                    " nearest was `{rule}`, which wants {};",
                    lacked.join(", ")
                );
            }
            if let Some(message) = &layer.message {
                let _ = write!(more, " {message}");
            }
        }
    }
    told(config, id, reason, &more)
}

/// What a refused caller is told.
/// A reason in a sentence, as far as `denial_detail` tells.
pub(super) fn told(config: &Config, id: &DecisionId, reason: Reason, more: &str) -> String {
    match config.denial_detail {
        DenialDetail::None => format!("denied; decision {id}"),
        DenialDetail::Reason | DenialDetail::Full => format!(
            "denied ({}): {reason}{more} Decision {id}.",
            reason.as_str()
        ),
    }
}
