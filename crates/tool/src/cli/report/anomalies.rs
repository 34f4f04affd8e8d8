//! What is odd, by rules that can be said in a sentence. They find what a
//! person should look at; they prove nothing.

use std::collections::BTreeMap;

use super::chain::{Chain, HOUR, coarser};
use super::model::{Anomaly, Rule};
use super::options::Options;
use super::parties::After;
use super::words::{self, plural};
use crate::model::time::{Timestamp, Ttl};

const NEW_TARGET: &str = "new_target";
const OFF_HOURS: &str = "off_hours_burst";
const SPIKE: &str = "refusals_spike";
const AFTER_STOP: &str = "use_after_stop";
const AFTER_REVOCATION: &str = "use_after_revocation";
const PROBING: &str = "dry_run_probing";

/// All rules, with the numbers that were asked for.
pub(super) fn rules(options: &Options) -> Vec<Rule> {
    let rule = |rule, title, words| Rule { rule, title, words };
    vec![
        rule(
            AFTER_STOP,
            "Activity after a stop",
            "Requests of an agent, or uses of what it was given, after it was suspended, revoked \
             or removed, and before it was resumed."
                .to_owned(),
        ),
        rule(
            AFTER_REVOCATION,
            "Activity under a revoked delegation",
            "Requests under a delegation, or uses of what was given under it, after it was revoked."
                .to_owned(),
        ),
        rule(
            SPIKE,
            "Spike of refusals",
            format!(
                "At least {} refusals of one agent within one hour, and more refusals than all \
                 else that it asked for in that hour.",
                options.spike
            ),
        ),
        rule(
            OFF_HOURS,
            "Burst off-hours",
            format!(
                "At least {} requests of one agent within one hour that is not between {} \
                 ({}) from Monday to Friday.",
                options.burst,
                options.office_hours.to_string().replace(" to ", " and "),
                options.zone()
            ),
        ),
        rule(
            NEW_TARGET,
            "First use of a target",
            format!(
                "A request of an agent for a target that it had not asked for before in this log, \
                 {} hours or more after its first request for another one.",
                options.settled
            ),
        ),
        rule(
            PROBING,
            "Probing by dry runs",
            format!(
                "At least {} dry runs by an agent itself within one hour.",
                options.probing
            ),
        ),
    ]
}

/// The place of a rule among all: what is worse comes first.
pub(super) fn rank(rule: &str) -> usize {
    let order = [
        AFTER_STOP,
        AFTER_REVOCATION,
        SPIKE,
        OFF_HOURS,
        NEW_TARGET,
        PROBING,
    ];
    let place = order.iter().position(|one| *one == rule);
    place.unwrap_or(order.len())
}

/// What is odd about one agent, of all that it did and of what is shown of it.
pub(super) fn of_agent(
    name: &str,
    all: &[&Chain],
    shown: &[&Chain],
    after: &[After],
    options: &Options,
) -> Vec<Anomaly> {
    // What is new to an agent is not new because somebody is left out.
    let mut found = new_targets(name, all, options);
    found.extend(after.iter().map(|after| {
        let text = format!(
            "{} after it was {} at {}",
            tried(after),
            after.how,
            words::when(after.ended)
        );
        anomaly(AFTER_STOP, name, after, text)
    }));
    let mut hours = BTreeMap::new();
    for chain in shown {
        for (start, counts) in coarser(&chain.cells, HOUR) {
            hours
                .entry(start)
                .or_insert_with(super::chain::Counts::default)
                .add(&counts);
        }
    }
    for (start, counts) in hours {
        let mut odd = |rule, count: u64, text: String| {
            found.push(Anomaly {
                first: Timestamp::from_unix(start),
                last: Timestamp::from_unix(start).plus(Ttl::from_secs(3600)),
                rule,
                agent: name.to_owned(),
                count,
                text,
            });
        };
        let reached =
            |count: u64, least: usize| usize::try_from(count).is_ok_and(|count| count >= least);
        let requests = counts.requests();
        let others = requests.saturating_sub(counts.refused);
        if reached(counts.refused, options.spike) && counts.refused > others {
            let text = format!("{} of {} requests were refused", counts.refused, requests);
            odd(SPIKE, counts.refused, text);
        }
        if reached(requests, options.burst) && options.is_off_hours(start) {
            odd(
                OFF_HOURS,
                requests,
                format!("{} off-hours", plural(requests, "request")),
            );
        }
        if reached(counts.dry_runs, options.probing) {
            let text = plural(counts.dry_runs, "dry run");
            odd(PROBING, counts.dry_runs, text);
        }
    }
    found
}

/// What is odd about one delegation.
pub(super) fn of_delegation(id: &str, agent: &str, after: &[After]) -> Vec<Anomaly> {
    after
        .iter()
        .map(|after| {
            let text = format!(
                "{} after delegation {id} was revoked at {}",
                tried(after),
                words::when(after.ended)
            );
            anomaly(AFTER_REVOCATION, agent, after, text)
        })
        .collect()
}

fn anomaly(rule: &'static str, agent: &str, after: &After, text: String) -> Anomaly {
    Anomaly {
        first: after.first,
        last: after.last,
        rule,
        agent: agent.to_owned(),
        count: after.refused.saturating_add(after.passed),
        text,
    }
}

fn tried(after: &After) -> String {
    match (after.passed, after.refused) {
        (0, refused) => format!("{} refused", plural(refused, "request")),
        (passed, 0) => format!("{} went through", plural(passed, "request")),
        (passed, refused) => format!(
            "{} went through and {refused} more refused",
            plural(passed, "request")
        ),
    }
}

fn new_targets(name: &str, chains: &[&Chain], options: &Options) -> Vec<Anomaly> {
    let mut first: BTreeMap<&str, (Timestamp, u64, Timestamp)> = BTreeMap::new();
    for chain in chains {
        // A hash cannot be compared with a name.
        let named = |(target, _): &(&String, _)| !target.starts_with("hashed:");
        for (target, known) in chain.targets.iter().filter(named) {
            let count = known.counts.requests();
            let entry = first
                .entry(target)
                .or_insert((known.first_ever, 0, known.last));
            entry.0 = entry.0.min(known.first_ever);
            entry.1 = entry.1.saturating_add(count);
            entry.2 = entry.2.max(known.last);
        }
    }
    let Some(begin) = first.values().map(|(at, ..)| *at).min() else {
        return Vec::new();
    };
    let settled = begin.plus(Ttl::from_secs(
        u64::from(options.settled).saturating_mul(3600),
    ));
    first
        .into_iter()
        .filter(|(_, (at, count, _))| {
            *at > begin && *at >= settled && *count > 0 && options.is_in_time(*at)
        })
        .map(|(target, (at, count, last))| Anomaly {
            first: at,
            last,
            rule: NEW_TARGET,
            agent: name.to_owned(),
            count,
            text: format!("target {target} asked for, for the first time in this log"),
        })
        .collect()
}
