//! Charts, as SVG inside the page. Words and numbers stand around them as HTML,
//! so that they keep their size on any screen.

use std::fmt::Write as _;

use super::chain::Counts;
use super::markup::text;
use super::model::{Model, Reason};
use super::words;

/// The height of the drawing, and the width of one span in it.
const HEIGHT: u64 = 1000;
const STEP: u64 = 100;
const BAR: u64 = 84;

/// What is drawn on top of each other: class, words, and the number.
type Layer = (&'static str, &'static str, fn(&Counts) -> u64);

const LAYERS: [Layer; 4] = [
    ("ok", "issued", |counts| {
        counts.issued.saturating_add(counts.logins)
    }),
    ("use", "used", |counts| {
        counts.used.saturating_add(counts.checked)
    }),
    ("ask", "consent required", |counts| counts.consent_required),
    ("no", "refused or failed", |counts| {
        counts.refused.saturating_add(counts.failed)
    }),
];

/// Bars over time, with a line where an agent was switched off.
pub(super) fn timeline(model: &Model) -> String {
    let line = &model.timeline;
    let (Some(first), Some(last)) = (line.spans.first(), line.spans.last()) else {
        return String::new();
    };
    let step = line.step_seconds.max(1);
    let place = |unix: i64| {
        let spans = unix.saturating_sub(first.start.unix()).div_euclid(step);
        u64::try_from(spans).unwrap_or(0)
    };
    let width = place(last.start.unix())
        .saturating_add(1)
        .saturating_mul(STEP);
    let height = |counts: &Counts| {
        LAYERS
            .iter()
            .map(|(_, _, of)| of(counts))
            .fold(0, u64::saturating_add)
    };
    let most = line.spans.iter().map(|span| height(&span.counts)).max();
    let most = most.unwrap_or(0).max(1);
    let scaled = |count: u64| count.saturating_mul(HEIGHT).div_euclid(most);
    let mut bars = String::new();
    for span in &line.spans {
        let left = place(span.start.unix())
            .saturating_mul(STEP)
            .saturating_add(STEP.saturating_sub(BAR).div_euclid(2));
        let mut below = 0;
        let mut said = String::new();
        let mut rects = String::new();
        for (class, name, of) in LAYERS {
            let count = of(&span.counts);
            if count == 0 {
                continue;
            }
            let _ = write!(said, ", {count} {name}");
            let (from, to) = (scaled(below), scaled(below.saturating_add(count)));
            let _ = write!(
                rects,
                "<rect class=\"{class}\" x=\"{left}\" y=\"{}\" width=\"{BAR}\" height=\"{}\"/>",
                HEIGHT.saturating_sub(to),
                to.saturating_sub(from)
            );
            below = below.saturating_add(count);
        }
        let _ = write!(
            bars,
            "<g><title>{}{said}</title>{rects}</g>",
            words::when(span.start)
        );
    }
    let mut switches = String::new();
    for (agent, switch) in model
        .agents
        .iter()
        .flat_map(|agent| agent.switches.iter().map(move |switch| (agent, switch)))
        .filter(|(_, switch)| switch.outcome == "allowed")
    {
        let since = switch.at.unix().saturating_sub(first.start.unix());
        let left = u64::try_from(since)
            .unwrap_or(0)
            .saturating_mul(STEP)
            .div_euclid(step.unsigned_abs());
        if switch.at >= first.start && left <= width {
            let class = if switch.what == "resume" {
                "resume"
            } else {
                "stop"
            };
            let _ = write!(
                switches,
                "<line class=\"{class}\" x1=\"{left}\" x2=\"{left}\" y1=\"0\" y2=\"{HEIGHT}\"><title>{} {} {}</title></line>",
                words::when(switch.at),
                text(&agent.name),
                words::what(switch.what)
            );
        }
    }
    let mut legend = String::new();
    for (class, name, _) in LAYERS {
        let _ = write!(legend, "<li><i class=\"{class}\"></i>{name}</li>");
    }
    if !switches.is_empty() {
        legend.push_str("<li><i class=\"stop\"></i>agent stopped or resumed</li>");
    }
    format!(
        "<figure class=\"timeline\"><figcaption>Requests per {}, at most {most}</figcaption>\
         <ul class=\"legend\">{legend}</ul>\
         <svg role=\"img\" aria-label=\"Requests over time; the table below has the numbers\" \
         viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\">{bars}{switches}</svg>\
         <p class=\"axis\"><span>{}</span><span>{}</span></p></figure>\n",
        words::length(step).trim_start_matches("1 "),
        words::when(first.start),
        words::when(last.start)
    )
}

/// A bar for each reason.
pub(super) fn reasons(reasons: &[Reason]) -> String {
    let most = reasons
        .iter()
        .map(|reason| reason.count)
        .max()
        .unwrap_or(0)
        .max(1);
    let mut rows = String::new();
    for reason in reasons {
        let width = reason.count.saturating_mul(100).div_euclid(most).max(1);
        let _ = writeln!(
            rows,
            "<li><span class=\"reason\">{}</span><span class=\"n\">{}</span>\
             <svg viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"no\" width=\"{width}\" height=\"1\"/></svg></li>",
            text(words::code(&reason.code)),
            reason.count
        );
    }
    format!("<ul class=\"bars\">{rows}</ul>\n")
}
