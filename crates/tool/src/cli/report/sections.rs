//! The sections of the page. Each is empty where there is nothing to say.

use std::fmt::Write as _;

use super::chain::Counts;
use super::markup::{Cell, table, text};
use super::model::{Agent, ChainView, Consent, Model, Switch};
use super::words;

pub(super) fn anomalies(model: &Model) -> String {
    let mut out = String::from("<ul class=\"odd\">");
    for anomaly in &model.anomalies {
        let rule = model.rules.iter().find(|rule| rule.rule == anomaly.rule);
        let _ = writeln!(
            out,
            "<li><strong>{}</strong><code>{}</code><br>{}<time>{}</time></li>",
            rule.map_or(anomaly.rule, |rule| rule.title),
            text(&anomaly.agent),
            text(&anomaly.text),
            words::span(anomaly.first, anomaly.last),
        );
    }
    out.push_str("</ul>\n");
    if model.anomalies.is_empty() {
        "<p>None, by these rules.</p>\n".clone_into(&mut out);
    }
    out.push_str("<details><summary>The rules</summary><dl>");
    for rule in &model.rules {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", rule.title, text(&rule.words));
    }
    out.push_str("</dl></details>\n");
    out
}

/// The numbers of the timeline.
pub(super) fn spans(model: &Model) -> String {
    let rows: Vec<Vec<Cell>> = model
        .timeline
        .spans
        .iter()
        .map(|span| {
            let mut row = vec![Cell::Time(words::when(span.start))];
            row.extend(counted(&span.counts));
            row
        })
        .collect();
    format!(
        "<details><summary>The numbers</summary><div class=\"card\">{}</div></details>\n",
        table(
            "Requests by the time at which a bar begins",
            &with("from"),
            &rows
        )
    )
}

const COUNTED: [&str; 7] = [
    "issued", "logins", "used", "refused", "failed", "consent", "dry runs",
];

fn with(first: &'static str) -> Vec<&'static str> {
    let mut columns = vec![first];
    columns.extend(COUNTED);
    columns
}

fn counted(counts: &Counts) -> [Cell; 7] {
    [
        counts.issued,
        counts.logins,
        counts.used,
        counts.refused,
        counts.failed,
        counts.consent_required,
        counts.dry_runs,
    ]
    .map(Cell::Number)
}

pub(super) fn agents(model: &Model) -> String {
    let mut out: String = model
        .agents
        .iter()
        .take(words::AGENTS)
        .map(|agent| one_agent(agent, &model.consents))
        .collect();
    out.push_str(&more(model.agents.len(), words::AGENTS, "agent"));
    out
}

fn one_agent(agent: &Agent, consents: &[Consent]) -> String {
    let mark = if agent.status == "active" {
        "use"
    } else {
        "no"
    };
    let mut out = format!(
        "<article>\n<div class=\"head\"><h3>{}</h3><span class=\"mark {mark}\">{}</span></div>\n",
        text(&agent.name),
        agent.status
    );
    let ids: Vec<String> = [
        ("id", &agent.id),
        ("entity", &agent.entity_id),
        ("token name", &agent.display_name),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.as_ref()?)))
    .map(|(name, value)| format!("{name} <code>{}</code>", text(value)))
    .collect();
    if !ids.is_empty() {
        let _ = writeln!(out, "<p class=\"ids\">{}</p>", ids.join(" · "));
    }
    if !agent.switches.is_empty() {
        out.push_str("<ul class=\"trail\">");
        for one in &agent.switches {
            out.push_str(&switch(one));
        }
        out.push_str("</ul>\n");
    }
    for chain in agent.chains.iter().take(words::HUMANS) {
        let own = consents.iter().filter(|consent| {
            consent.agent.as_ref() == Some(&agent.name)
                && chain.subject.is_some()
                && consent.subject == chain.subject
        });
        out.push_str(&one_chain(agent, chain, &own.collect::<Vec<_>>()));
    }
    out.push_str(&more(agent.chains.len(), words::HUMANS, "human"));
    out.push_str("</article>\n");
    out
}

fn switch(switch: &Switch) -> String {
    let mark = if switch.what == "resume" { "use" } else { "no" };
    let why = switch
        .reason
        .as_ref()
        .map(|reason| format!(": {}", text(reason)))
        .unwrap_or_default();
    format!(
        "<li><time>{}</time> <span class=\"mark {mark}\">{}</span> by {}{why}</li>",
        words::when(switch.at),
        text(&words::switched(switch)),
        text(switch.by.as_deref().unwrap_or("unknown")),
    )
}

fn one_chain(agent: &Agent, chain: &ChainView, consents: &[&Consent]) -> String {
    let mut out = format!(
        "<h4>{}</h4>\n{}",
        text(&capital(&words::subject(chain))),
        flow(agent, chain, consents)
    );
    let rows: Vec<Vec<Cell>> = chain
        .targets
        .iter()
        .map(|target| {
            let mut row = vec![
                Cell::Text(target.target.clone()),
                Cell::Text(target.actions.join(", ")),
            ];
            row.extend(counted(&target.counts));
            row
        })
        .collect();
    if !rows.is_empty() {
        let mut columns = with("target");
        columns.insert(1, "actions");
        out.push_str(&table("Targets", &columns, &rows));
    }
    if !chain.reasons.is_empty() {
        let rows: Vec<Vec<Cell>> = chain
            .reasons
            .iter()
            .map(|reason| {
                vec![
                    Cell::Number(reason.count),
                    Cell::Mark("no", words::code(&reason.code).to_owned()),
                ]
            })
            .collect();
        let _ = writeln!(
            out,
            "<details><summary>{} refused, and why</summary>{}</details>",
            chain.counts.refused,
            table("Refusals", &["times", "reason"], &rows)
        );
    }
    if !chain.warnings.is_empty() {
        let rows: Vec<Vec<Cell>> = chain
            .warnings
            .iter()
            .map(|warning| {
                vec![
                    Cell::Number(warning.count),
                    Cell::Mark("ask", words::code(&warning.code).to_owned()),
                ]
            })
            .collect();
        out.push_str(&table(
            "Allowed, and to be mended",
            &["times", "warning"],
            &rows,
        ));
    }
    if !chain.paths.is_empty() {
        let rows: Vec<Vec<Cell>> = chain
            .paths
            .iter()
            .map(|used| {
                vec![
                    Cell::Number(used.count),
                    Cell::Text(used.operation.clone()),
                    Cell::Code(used.path.clone()),
                ]
            })
            .collect();
        let more = match chain.paths_left_out {
            0 => String::new(),
            more => format!("<p class=\"soft\">And {more} more paths.</p>"),
        };
        let _ = writeln!(
            out,
            "<details><summary>What its tokens were used for</summary>{}{more}</details>",
            table(
                "Requests with tokens of logins",
                &["times", "operation", "path"],
                &rows
            )
        );
    }
    out
}

/// Human, consent, agent, decisions, use: in this order, and in one line where
/// there is room.
fn flow(agent: &Agent, chain: &ChainView, consents: &[&Consent]) -> String {
    let mut steps = Vec::new();
    if let Some(subject) = chain.subject_name.as_ref().or(chain.subject.as_ref()) {
        steps.push(("human", text(subject)));
        let given = |consent: &&&Consent| {
            let yes = ["approve_delegation", "grant_delegation", "approve_consent"];
            consent.outcome == "allowed" && yes.contains(&consent.what)
        };
        let count = consents.iter().filter(given).count();
        let words = match consents.iter().rev().find(given) {
            Some(last) => format!("{count} given<small>last {}</small>", words::when(last.at)),
            None => "none in this log".to_owned(),
        };
        steps.push(("consent", words));
    }
    steps.push(("agent", text(&agent.name)));
    let counts = &chain.counts;
    let issued = counts.issued.saturating_add(counts.logins);
    let mut decided = format!("{issued} issued, {} refused", counts.refused);
    if counts.consent_required > 0 {
        let _ = write!(decided, ", {} waiting for consent", counts.consent_required);
    }
    steps.push(("decisions", decided));
    steps.push(("use", format!("{} seen", counts.used)));
    let items: String = steps
        .into_iter()
        .map(|(name, words)| format!("<li><small>{name}</small><span>{words}</span></li>"))
        .collect();
    format!("<ol class=\"flow\">{items}</ol>\n")
}

pub(super) fn consents(model: &Model) -> String {
    if model.consents.is_empty() {
        return String::new();
    }
    let either = |one: &Option<String>| one.clone().unwrap_or_default();
    let rows: Vec<Vec<Cell>> = model
        .consents
        .iter()
        .skip(model.consents.len().saturating_sub(words::CONSENTS))
        .map(|consent| {
            let mark = match (consent.outcome, consent.what) {
                ("allowed", "approve_delegation" | "grant_delegation" | "approve_consent") => "use",
                ("allowed", "request_delegation" | "pass_delegation") => "ask",
                _ => "no",
            };
            let human = consent.subject_name.as_ref().or(consent.subject.as_ref());
            vec![
                Cell::Time(words::when(consent.at)),
                Cell::Text(either(&consent.by)),
                Cell::Mark(mark, words::consented(consent)),
                Cell::Text(either(&consent.agent)),
                Cell::Text(
                    human
                        .filter(|human| Some(*human) != consent.by.as_ref())
                        .cloned()
                        .unwrap_or_default(),
                ),
                Cell::Text(consent.scope.join("; ")),
                Cell::Code(either(&consent.delegation_id)),
            ]
        })
        .collect();
    let columns = ["when", "who", "what", "agent", "human", "for", "delegation"];
    format!(
        "<div class=\"card\">{}</div>\n{}",
        table(
            "Who consented to what, in the order of time",
            &columns,
            &rows
        ),
        more(model.consents.len(), words::CONSENTS, "older one")
    )
}

pub(super) fn events(model: &Model) -> String {
    if model.events.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<Cell>> = model
        .events
        .iter()
        .map(|event| {
            let (mark, words) = words::result(event);
            let human = event.subject_name.clone().or_else(|| event.subject.clone());
            vec![
                Cell::Time(words::when(event.at)),
                Cell::Text(words::doer(event).to_owned()),
                Cell::Text(words::what(event.what).to_owned()),
                Cell::Text(words::object(event)),
                Cell::Text(words::concerned(event).to_owned()),
                Cell::Text(human.unwrap_or_default()),
                Cell::Mark(mark, words),
            ]
        })
        .collect();
    let columns = ["when", "who", "what", "on", "agent", "for", "outcome"];
    format!(
        "<div class=\"card\">{}</div>\n",
        table("The newest events, in the order of time", &columns, &rows)
    )
}

pub(super) fn notes(model: &Model) -> String {
    if model.notes.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<Cell>> = model
        .notes
        .iter()
        .map(|note| vec![Cell::Number(note.count), Cell::Text(note.text.clone())])
        .collect();
    format!(
        "<div class=\"card\">{}</div>\n",
        table("Notes", &["times", "what"], &rows)
    )
}

/// That there is more than is shown.
fn more(all: usize, shown: usize, what: &str) -> String {
    match words::more(all, shown, what) {
        nothing if nothing.is_empty() => nothing,
        more => format!("<p class=\"soft\">{more}</p>\n"),
    }
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
