//! The text format of Prometheus, version 0.0.4.
//!
//! Written here rather than by a library: what there is to count is known when
//! this is compiled, so a counter is an atomic and needs no registry.

use std::fmt::Write as _;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::decision::{Outcome, Reason};
use crate::record::Stores;
use crate::record::decisions::entry::Kind;
use crate::record::metrics::{BOUNDS, Metrics, OUTCOMES};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page in the making.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Everything that was counted on this mount.
#[must_use]
pub fn page(record: &Stores) -> String {
    let mut page = Page::default();
    page.family("agentic_info", "gauge", "The plugin's version.");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.sample("agentic_info", &version, 1);
    record.metrics.decisions(&mut page);
    record.metrics.durations(&mut page);
    log(record, &mut page);
    exports(record, &mut page);
    page.0
}

impl Metrics {
    fn decisions(&self, page: &mut Page) {
        let name = "agentic_decisions_total";
        page.family(
            name,
            "counter",
            "What was asked for or done, and what came of it.",
        );
        for (kind, counters) in Kind::ALL.iter().zip(&self.decisions) {
            for (outcome, counter) in OUTCOMES.iter().zip(counters) {
                let labels = [("kind", kind.as_str()), ("outcome", outcome.as_str())];
                // Those that are zero too: from a series that begins at one,
                // nobody can tell that it has grown.
                page.sample(name, &labels, read(counter));
            }
        }
        let name = "agentic_refusals_total";
        page.family(
            name,
            "counter",
            "Why it was not allowed, by the reason that decided.",
        );
        for (reason, counter) in Reason::ALL.iter().zip(&self.reasons) {
            page.sample(name, &[("reason", reason.as_str())], read(counter));
        }
        let name = "agentic_warnings_total";
        page.family(
            name,
            "counter",
            "What did not stand in the way and is to be mended, by its code.",
        );
        for (reason, counter) in Reason::ALL.iter().zip(&self.notes) {
            if reason.is_note() {
                page.sample(name, &[("reason", reason.as_str())], read(counter));
            }
        }
        let name = "agentic_target_decisions_total";
        page.family(name, "counter", "What came of requests, by target; beyond a hundred targets, and for those that do not exist, `other`.");
        let mut targets: Vec<(String, [u64; 3])> = {
            let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
            targets
                .iter()
                .map(|(name, counters)| (name.clone(), *counters))
                .collect()
        };
        targets.sort();
        let [a, b, c] = &self.other_targets;
        let other = [read(a), read(b), read(c)];
        for (target, counters) in &targets {
            target_samples(page, name, &[("target", target)], counters);
        }
        // No target can take this name from it: the label has another.
        target_samples(page, name, &[("target", ""), ("other", "true")], &other);
    }

    fn durations(&self, page: &mut Page) {
        let name = "agentic_decision_duration_seconds";
        page.family(
            name,
            "histogram",
            "How long it took to gather the facts and decide.",
        );
        let mut below = 0_u64;
        for (bound, counter) in BOUNDS.iter().zip(&self.durations) {
            below = below.saturating_add(read(counter));
            let le = seconds(*bound);
            page.sample(
                "agentic_decision_duration_seconds_bucket",
                &[("le", &le)],
                below,
            );
        }
        let all = below.saturating_add(read(&self.slow));
        page.sample(
            "agentic_decision_duration_seconds_bucket",
            &[("le", "+Inf")],
            all,
        );
        let sum = seconds(read(&self.duration_sum));
        let _ = writeln!(page.0, "agentic_decision_duration_seconds_sum {sum}");
        page.sample("agentic_decision_duration_seconds_count", &[], all);
    }
}

fn target_samples(page: &mut Page, name: &str, labels: &[(&str, &str)], counters: &[u64; 3]) {
    for (outcome, value) in OUTCOMES.iter().zip(counters) {
        if *value > 0 {
            let mut labels = labels.to_vec();
            labels.push(("outcome", Outcome::as_str(*outcome)));
            page.sample(name, &labels, *value);
        }
    }
}

/// Microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let text = text.trim_end_matches('0');
    text.trim_end_matches('.').to_owned()
}

fn log(record: &Stores, page: &mut Page) {
    let counts = record.journal.counts();
    page.single(
        "agentic_decision_log_entries",
        "gauge",
        "Entries of the decision log in memory.",
        count(record.recent.len()),
    );
    page.single(
        "agentic_decision_log_pending",
        "gauge",
        "Entries that wait to be stored.",
        count(record.journal.pending()),
    );
    page.single(
        "agentic_decision_log_stored_total",
        "counter",
        "Entries that were stored.",
        read(&counts.stored),
    );
    page.single(
        "agentic_decision_log_lost_total",
        "counter",
        "Entries that were to be stored and found no room while they waited.",
        read(&counts.lost),
    );
    page.single(
        "agentic_decision_log_strangers_left_out_total",
        "counter",
        "Entries about no registered agent that were not stored: more than may wait.",
        read(&counts.strangers_left_out),
    );
    page.single(
        "agentic_decision_log_failures_total",
        "counter",
        "Writes of the decision log that failed and are tried again.",
        read(&counts.failed),
    );
}

fn exports(record: &Stores, page: &mut Page) {
    let (stats, waiting) = record.export.numbers();
    page.single(
        "agentic_export_queue",
        "gauge",
        "Events that wait to be exported.",
        waiting,
    );
    page.single(
        "agentic_export_queued_total",
        "counter",
        "Events that were taken for export.",
        read(&stats.queued),
    );
    page.single(
        "agentic_export_dropped_total",
        "counter",
        "Events that were dropped because the queue was full.",
        read(&stats.dropped),
    );
    let sent = "agentic_export_sent_total";
    page.family(sent, "counter", "Events that a sink has taken.");
    page.sample(sent, &[("sink", "file")], read(&stats.file.sent));
    page.sample(sent, &[("sink", "otlp")], read(&stats.otlp.sent));
    let failed = "agentic_export_failed_total";
    page.family(
        failed,
        "counter",
        "Events that a sink did not take, and that were given up.",
    );
    page.sample(failed, &[("sink", "file")], read(&stats.file.failed));
    page.sample(failed, &[("sink", "otlp")], read(&stats.otlp.failed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        for (micros, text) in [
            (0, "0"),
            (50, "0.00005"),
            (1_000_000, "1"),
            (10_000_000, "10"),
            (1_500_000, "1.5"),
        ] {
            assert_eq!(seconds(micros), text);
        }
    }

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.sample("m", &[("a", "x\"y\\z\nw")], 1);
        assert_eq!(page.0, "m{a=\"x\\\"y\\\\z\\nw\"} 1\n");
    }
}
