//! From what was collected to the report: what was asked for, sums, and what to
//! look at first.

use std::collections::{BTreeMap, BTreeSet};

use super::anomalies;
use super::chain::{Chain, Counts};
use super::collect::{Collector, Kept};
use super::event::Kind;
use super::limits::Limits;
use super::lines::Tally;
use super::model::{Agent, Anomaly, Consent, Happening, Model, Source, Switch, Totals, VERSION};
use super::notes;
use super::options::Options;
use super::parties::Id;
use super::timeline::timeline;
use super::views::{agent, consent, happening, most_first, name, switch};

/// Finishes a report.
pub(super) fn build(
    mut collected: Collector<'_>,
    tallies: &[Tally],
    options: &Options,
    limits: &Limits,
) -> Model {
    let chains = joined(&mut collected);
    let parties = &collected.parties;
    let mut switches: BTreeMap<Id, Vec<Switch>> = BTreeMap::new();
    for kept in &collected.switches {
        if let Some(id) = kept.agent {
            let of_agent = switches.entry(parties.find(id)).or_default();
            of_agent.push(switch(parties, kept));
        }
    }
    let mut anomalies = Vec::new();
    let mut agents = Vec::new();
    let mut counted = Vec::new();
    for (id, party) in parties.iter() {
        if !options.is_agent(parties, Some(id)) {
            continue;
        }
        let own: Vec<(Option<Id>, &Chain)> = chains
            .range((id, None)..)
            .take_while(|((agent, _), _)| *agent == id)
            .map(|((_, subject), chain)| (*subject, chain))
            .collect();
        let asks = own.iter().any(|(_, chain)| chain.counts.requests() > 0);
        if !party.is_agent && !asks {
            continue;
        }
        let shown: Vec<(Option<Id>, &Chain)> = own
            .iter()
            .filter(|(subject, chain)| {
                chain.span.is_some()
                    && (options.subject.is_none() || options.is_subject(parties, *subject))
            })
            .copied()
            .collect();
        let switches = switches.remove(&id).unwrap_or_default();
        if shown.is_empty() && (switches.is_empty() || options.subject.is_some()) {
            continue;
        }
        let name = name(parties, id);
        let all: Vec<&Chain> = own.iter().map(|(_, chain)| *chain).collect();
        let some: Vec<&Chain> = shown.iter().map(|(_, chain)| *chain).collect();
        anomalies.extend(anomalies::of_agent(
            &name,
            &all,
            &some,
            &party.after,
            options,
        ));
        counted.extend(some);
        agents.push(agent(parties, id, name, &shown, switches));
    }
    for (id, delegation) in &collected.delegations {
        let agent = delegation.agent.map(|agent| parties.find(agent));
        let wanted =
            options.is_agent(parties, agent) && options.is_subject(parties, delegation.subject);
        if wanted && !delegation.after.is_empty() {
            let agent = agent.map_or_else(|| "unknown".to_owned(), |id| name(parties, id));
            anomalies.extend(anomalies::of_delegation(id, &agent, &delegation.after));
        }
    }
    anomalies.sort_by(|one, other| {
        let key = |anomaly: &Anomaly| (anomalies::rank(anomaly.rule), anomaly.clone());
        key(one).cmp(&key(other))
    });
    for _ in limits.anomalies..anomalies.len() {
        collected.left.add("anomalies");
    }
    anomalies.truncate(limits.anomalies);
    agents.sort_by(|one, other| {
        let key = |agent: &Agent| {
            (
                std::cmp::Reverse(agent.counts.requests()),
                agent.name.clone(),
            )
        };
        key(one).cmp(&key(other))
    });
    assemble(&collected, tallies, options, agents, &counted, anomalies)
}

fn assemble(
    collected: &Collector<'_>,
    tallies: &[Tally],
    options: &Options,
    agents: Vec<Agent>,
    counted: &[&Chain],
    anomalies: Vec<Anomaly>,
) -> Model {
    let parties = &collected.parties;
    let wanted = |kept: &&Kept| {
        options.is_agent(parties, kept.agent) && options.is_subject(parties, kept.subject)
    };
    let consents: Vec<Consent> = collected
        .consents
        .iter()
        .filter(wanted)
        .map(|kept| consent(parties, kept))
        .collect();
    let events: Vec<Happening> = collected
        .events
        .iter()
        .filter(wanted)
        .map(|kept| happening(parties, kept))
        .collect();
    let given = |consent: &&Consent| {
        consent.outcome == "allowed"
            && [
                Kind::ApproveConsent,
                Kind::ApproveDelegation,
                Kind::GrantDelegation,
            ]
            .iter()
            .any(|kind| kind.as_str() == consent.what)
    };
    let mut totals = Totals {
        agents: agents.iter().filter(|agent| agent.registered).count(),
        subjects: agents
            .iter()
            .flat_map(|agent| &agent.chains)
            .filter_map(|chain| chain.subject.as_ref())
            .chain(
                consents
                    .iter()
                    .filter_map(|consent| consent.subject.as_ref()),
            )
            .collect::<BTreeSet<_>>()
            .len(),
        consents_given: consents.iter().filter(given).count(),
        kill_switches: agents
            .iter()
            .flat_map(|agent| &agent.switches)
            .filter(|switch| switch.outcome == "allowed" && switch.what != Kind::Resume.as_str())
            .count(),
        anomalies: anomalies.len(),
        counts: Counts::default(),
    };
    let mut reasons = BTreeMap::new();
    for chain in counted {
        totals.counts.add(&chain.counts);
        for (code, count) in &chain.reasons {
            let sum: &mut u64 = reasons.entry(code.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
    let span = counted
        .iter()
        .filter_map(|chain| chain.span)
        .chain(events.iter().map(|event| (event.at, event.at)))
        .chain(consents.iter().map(|consent| (consent.at, consent.at)))
        .reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)));
    Model {
        version: VERSION,
        first: span.map(|(first, _)| first),
        last: span.map(|(_, last)| last),
        filters: filters(options),
        sources: tallies.iter().map(source).collect(),
        totals,
        rules: anomalies::rules(options),
        reasons: most_first(&reasons),
        timeline: timeline(counted, collected.step),
        notes: notes::notes(collected, tallies),
        anomalies,
        agents,
        consents,
        events,
    }
}

/// The chains, under the numbers that parties have now.
fn joined(collected: &mut Collector<'_>) -> BTreeMap<(Id, Option<Id>), Chain> {
    let mut chains: BTreeMap<(Id, Option<Id>), Chain> = BTreeMap::new();
    for ((agent, subject), chain) in std::mem::take(&mut collected.chains) {
        let agent = collected.parties.find(agent);
        let subject = subject.map(|id| collected.parties.find(id));
        let key = (agent, subject.filter(|subject| *subject != agent));
        match chains.get_mut(&key) {
            Some(known) => known.join(chain),
            None => {
                chains.insert(key, chain);
            }
        }
    }
    chains
}

fn source(tally: &Tally) -> Source {
    Source {
        name: tally.name.clone(),
        entries: tally.entries,
        broken_lines: tally.broken,
        long_lines: tally.long,
        cut_short: tally.cut.clone(),
    }
}

fn filters(options: &Options) -> BTreeMap<&'static str, String> {
    [
        ("agent", options.agent.clone()),
        ("subject", options.subject.clone()),
        ("target", options.target.clone()),
        ("since", options.since.map(|time| time.to_string())),
        ("until", options.until.map(|time| time.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, given)| Some((name, given?)))
    .collect()
}
