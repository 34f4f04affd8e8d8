//! Counts over time, in spans that can be seen together.

use std::collections::BTreeMap;

use super::chain::{Chain, Counts, STEPS, coarser};
use super::model::{Span, Timeline};
use crate::model::time::Timestamp;

/// How many spans there are at most, more or less.
const SPANS: i64 = 60;

/// The sum of all, in spans that are long enough to be seen together.
pub(super) fn timeline(chains: &[&Chain], step: i64) -> Timeline {
    let mut sum: BTreeMap<i64, Counts> = BTreeMap::new();
    for chain in chains {
        for (start, counts) in &chain.cells {
            sum.entry(*start).or_default().add(counts);
        }
    }
    let length = match (sum.first_key_value(), sum.last_key_value()) {
        (Some((first, _)), Some((last, _))) => last.saturating_sub(*first),
        _ => 0,
    };
    let fits = |step: &i64| length.div_euclid((*step).max(1)) < SPANS;
    let longest = STEPS.into_iter().rfind(|_| true).unwrap_or(step);
    let wide = STEPS.into_iter().find(|one| *one >= step && fits(one));
    let step = wide.unwrap_or(longest);
    Timeline {
        step_seconds: step,
        spans: coarser(&sum, step)
            .into_iter()
            .map(|(start, counts)| Span {
                start: Timestamp::from_unix(start),
                counts,
            })
            .collect(),
    }
}
