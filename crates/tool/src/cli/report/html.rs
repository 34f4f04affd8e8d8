//! The report as one page: nothing external, no script, and a policy in it that
//! lets a browser load nothing.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use super::markup::text;
use super::model::Model;
use super::{chart, sections, words};

const STYLE: &str = include_str!("style.css");

pub(super) fn page(model: &Model) -> String {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Agents in the audit log</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    let parts = [
        ("anomalies", "Anomalies", sections::anomalies(model)),
        ("timeline", "Timeline", timeline(model)),
        ("refusals", "Why requests were refused", refusals(model)),
        ("agents", "Agents", sections::agents(model)),
        (
            "consents",
            "Consents and delegations",
            sections::consents(model),
        ),
        ("events", "Events", sections::events(model)),
        (
            "notes",
            "What this report cannot show",
            sections::notes(model),
        ),
    ];
    head(&mut out, model, &parts);
    out.push_str("<main>\n");
    for (id, title, inner) in parts.iter().filter(|(_, _, inner)| !inner.is_empty()) {
        let _ = write!(
            out,
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{inner}</section>\n"
        );
    }
    let _ = write!(
        out,
        "</main>\n<footer><p>vault-plugin-agentic {}. Times are in UTC. The audit log is the \
         authority; this page only reads it.</p></footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    out
}

fn head(out: &mut String, model: &Model, parts: &[(&str, &str, String)]) {
    let span = match (model.first, model.last) {
        (Some(first), Some(last)) => format!("{} UTC", words::span(first, last)),
        _ => "Nothing was found.".to_owned(),
    };
    let _ = write!(
        out,
        "<header>\n<h1>Agents in the audit log</h1>\n<p class=\"soft\">{span}</p>\n"
    );
    if !model.filters.is_empty() {
        let only: Vec<String> = model
            .filters
            .iter()
            .map(|(name, value)| format!("{name} <code>{}</code>", text(value)))
            .collect();
        let _ = writeln!(out, "<p>Only {}</p>", only.join(", "));
    }
    let totals = &model.totals;
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    out.push_str("<dl class=\"sums\">");
    for (name, count) in [
        ("agents", number(totals.agents)),
        ("humans", number(totals.subjects)),
        ("consents given", number(totals.consents_given)),
        (
            "issued",
            totals.counts.issued.saturating_add(totals.counts.logins),
        ),
        ("used", totals.counts.used),
        ("refused", totals.counts.refused),
        ("kill switches", number(totals.kill_switches)),
        ("anomalies", number(totals.anomalies)),
    ] {
        let alarm = name == "anomalies" && count > 0;
        let class = if alarm { " class=\"alarm\"" } else { "" };
        let _ = write!(out, "<div{class}><dt>{name}</dt><dd>{count}</dd></div>");
    }
    out.push_str("</dl>\n<nav aria-label=\"Sections\"><ul>");
    for (id, title, _) in parts.iter().filter(|(_, _, inner)| !inner.is_empty()) {
        let _ = write!(out, "<li><a href=\"#{id}\">{title}</a></li>");
    }
    out.push_str("</ul></nav>\n</header>\n");
}

fn timeline(model: &Model) -> String {
    let chart = chart::timeline(model);
    if chart.is_empty() {
        return chart;
    }
    format!("{chart}{}", sections::spans(model))
}

fn refusals(model: &Model) -> String {
    if model.reasons.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"card\">{}</div>\n",
        chart::reasons(&model.reasons)
    )
}
