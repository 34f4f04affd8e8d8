//! The report as text for a terminal.

use std::fmt::Write as _;

use super::chain::Counts;
use super::model::{Agent, ChainView, Model};
use super::words;

/// What a cell may be wide.
const WIDE: usize = 60;

pub(super) fn table(model: &Model) -> String {
    let mut out = String::new();
    head(&mut out, model);
    anomalies(&mut out, model);
    for agent in model.agents.iter().take(words::AGENTS) {
        one_agent(&mut out, agent);
    }
    more(&mut out, model.agents.len(), words::AGENTS, "agent");
    consents(&mut out, model);
    events(&mut out, model);
    if !model.notes.is_empty() {
        title(&mut out, "Notes");
        for note in &model.notes {
            line(
                &mut out,
                &format!("- {}x {}", note.count, plain(&note.text)),
            );
        }
    }
    out
}

fn head(out: &mut String, model: &Model) {
    let span = match (model.first, model.last) {
        (Some(first), Some(last)) => {
            format!("{} UTC", words::span(first, last))
        }
        _ => "nothing found".to_owned(),
    };
    line(out, &format!("Agents in the audit log, {span}"));
    for (name, value) in &model.filters {
        line(out, &format!("only {name} {}", plain(value)));
    }
    let totals = &model.totals;
    let counts = &totals.counts;
    let rows = [
        ("agents", count(totals.agents)),
        ("humans", count(totals.subjects)),
        ("consents given", count(totals.consents_given)),
        ("credentials issued", counts.issued.to_string()),
        ("logins", counts.logins.to_string()),
        ("uses", counts.used.to_string()),
        ("refused", counts.refused.to_string()),
        ("waiting for consent", counts.consent_required.to_string()),
        ("dry runs", counts.dry_runs.to_string()),
        ("kill switches", count(totals.kill_switches)),
        ("anomalies", count(totals.anomalies)),
    ];
    out.push('\n');
    for (name, value) in rows {
        let _ = writeln!(out, "  {name:<20} {value:>8}");
    }
}

fn anomalies(out: &mut String, model: &Model) {
    if model.anomalies.is_empty() {
        return;
    }
    title(out, "Anomalies");
    let rows = model.anomalies.iter().map(|anomaly| {
        vec![
            words::when(anomaly.first),
            anomaly.rule.to_owned(),
            anomaly.agent.clone(),
            anomaly.text.clone(),
        ]
    });
    grid(out, &["from", "rule", "agent", "what"], rows.collect());
    out.push('\n');
    for rule in &model.rules {
        if model.anomalies.iter().any(|found| found.rule == rule.rule) {
            line(out, &format!("  {}: {}", rule.rule, rule.words));
        }
    }
}

fn one_agent(out: &mut String, agent: &Agent) {
    title(out, &format!("{} ({})", plain(&agent.name), agent.status));
    for (name, value) in [
        ("id", &agent.id),
        ("entity", &agent.entity_id),
        ("token name", &agent.display_name),
    ] {
        if let Some(value) = value {
            line(out, &format!("  {name:<10} {}", plain(value)));
        }
    }
    for switch in &agent.switches {
        let by = switch.by.as_deref().unwrap_or("unknown");
        let why = switch.reason.as_ref().map(|reason| format!(": {reason}"));
        line(
            out,
            &format!(
                "  {} {} by {}{}",
                words::when(switch.at),
                words::switched(switch),
                plain(by),
                plain(&why.unwrap_or_default())
            ),
        );
    }
    for chain in agent.chains.iter().take(words::HUMANS) {
        one_chain(out, chain);
    }
    more(out, agent.chains.len(), words::HUMANS, "human");
}

fn one_chain(out: &mut String, chain: &ChainView) {
    let _ = writeln!(
        out,
        "\n  {}, {}",
        plain(&words::subject(chain)),
        words::span(chain.first, chain.last)
    );
    let mut rows: Vec<Vec<String>> = chain
        .targets
        .iter()
        .map(|target| {
            let mut row = vec![target.target.clone(), target.actions.join(", ")];
            row.extend(counted(&target.counts));
            row
        })
        .collect();
    let mut sum = vec!["all".to_owned(), String::new()];
    sum.extend(counted(&chain.counts));
    rows.push(sum);
    let columns = [
        "target", "actions", "issued", "logins", "used", "refused", "failed", "consent", "dry runs",
    ];
    grid(out, &columns, rows);
    for reason in &chain.reasons {
        let code = plain(words::code(&reason.code));
        let _ = writeln!(out, "  refused {:>6}x {code}", reason.count);
    }
    for warning in &chain.warnings {
        let code = plain(words::code(&warning.code));
        let _ = writeln!(out, "  warned  {:>6}x {code}", warning.count);
    }
    for used in &chain.paths {
        let (operation, path) = (plain(&used.operation), plain(&used.path));
        let _ = writeln!(out, "  used    {:>6}x {operation} {path}", used.count);
    }
    if chain.paths_left_out > 0 {
        let _ = writeln!(out, "  used           {} more paths", chain.paths_left_out);
    }
}

fn counted(counts: &Counts) -> Vec<String> {
    [
        counts.issued,
        counts.logins,
        counts.used,
        counts.refused,
        counts.failed,
        counts.consent_required,
        counts.dry_runs,
    ]
    .map(|count| count.to_string())
    .into()
}

fn consents(out: &mut String, model: &Model) {
    if model.consents.is_empty() {
        return;
    }
    title(out, "Consents and delegations");
    let older = model.consents.len().saturating_sub(words::CONSENTS);
    let rows = model.consents.iter().skip(older).map(|consent| {
        let either = |one: &Option<String>| one.clone().unwrap_or_default();
        vec![
            words::when(consent.at),
            either(&consent.by),
            words::consented(consent),
            either(&consent.agent),
            consent.scope.join("; "),
            consent
                .delegation_id
                .clone()
                .or_else(|| consent.consent_id.clone())
                .unwrap_or_default(),
        ]
    });
    let columns = ["when", "who", "what", "agent", "for", "id"];
    grid(out, &columns, rows.collect());
    more(out, model.consents.len(), words::CONSENTS, "older one");
}

fn events(out: &mut String, model: &Model) {
    if model.events.is_empty() {
        return;
    }
    title(out, "Events");
    let rows = model.events.iter().map(|event| {
        let human = event.subject_name.as_ref().or(event.subject.as_ref());
        vec![
            words::when(event.at),
            words::doer(event).to_owned(),
            words::what(event.what).to_owned(),
            words::object(event),
            words::concerned(event).to_owned(),
            human.cloned().unwrap_or_default(),
            words::result(event).1,
        ]
    });
    let columns = ["when", "who", "what", "on", "agent", "for", "outcome"];
    grid(out, &columns, rows.collect());
}

fn more(out: &mut String, all: usize, shown: usize, what: &str) {
    let more = words::more(all, shown, what);
    if !more.is_empty() {
        let _ = writeln!(out, "\n  {more}");
    }
}

fn title(out: &mut String, text: &str) {
    let _ = writeln!(out, "\n{text}\n{}", "-".repeat(text.chars().count()));
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}");
}

fn count(number: usize) -> String {
    number.to_string()
}

/// Columns as wide as what is in them; numbers to the right.
fn grid(out: &mut String, columns: &[&str], rows: Vec<Vec<String>>) {
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let last = row.len().saturating_sub(1);
            let cells = row.iter().enumerate();
            cells
                .map(|(column, cell)| match column {
                    // Nothing stands behind the last one.
                    column if column == last => plain(cell),
                    _ => cut(&plain(cell)),
                })
                .collect()
        })
        .collect();
    let mut shape: Vec<(usize, bool)> = columns
        .iter()
        .map(|name| (name.chars().count(), true))
        .collect();
    for row in &rows {
        for (cell, (width, number)) in row.iter().zip(shape.iter_mut()) {
            *width = (*width).max(cell.chars().count());
            *number &= !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
        }
    }
    let mut write = |cells: &[String]| {
        let mut text = String::from("  ");
        for (cell, (width, number)) in cells.iter().zip(&shape) {
            let width = *width;
            let _ = if *number {
                write!(text, "{cell:>width$}  ")
            } else {
                write!(text, "{cell:<width$}  ")
            };
        }
        let _ = writeln!(out, "{}", text.trim_end());
    };
    write(
        &columns
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    );
    for row in &rows {
        write(row);
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDE) {
        None => text.to_owned(),
        Some(_) => text
            .chars()
            .take(WIDE.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// A text that cannot command a terminal, nor turn a line around.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if super::markup::is_hidden(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_commanded() {
        assert_eq!(
            plain("a\x1b[31m\u{202e}b\nc"),
            "a\u{fffd}[31m\u{fffd}b\u{fffd}c"
        );
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let mut out = String::new();
        let rows = vec![vec!["a".into(), "7".into()], vec!["bb".into(), "10".into()]];
        grid(&mut out, &["name", "n"], rows);
        assert_eq!(out, "  name   n\n  a      7\n  bb    10\n");
    }
}
