//! Log lines in the form of Go's hclog, which the host parses.
//!
//! Its parser has sharp edges. `@level`, `@message`, `@module` and
//! `@timestamp` must be strings: anything else panics the host. The timestamp
//! needs exactly six digits of a second, else the line is taken as plain text.
//! A line past 64 KiB is torn apart, and so is one that is written in pieces.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::model::time::{Clock as _, SystemClock, Timestamp};

/// The longest value of a field, in bytes.
const LONGEST_VALUE: usize = 4 * 1024;
/// The most that all values together may take before the rest is left out.
/// Escaped as JSON, a byte becomes six at most, and 64 KiB are the end.
const LONGEST_LINE: usize = 9 * 1024;
/// What takes the place of what is cut.
const CUT: &str = "…";

/// Gives each event, as one line, to a writer that writes it at once.
#[derive(Debug)]
pub struct Hclog<W>(W);

impl<W: Fn(&[u8])> Hclog<W> {
    /// Lines for `write`.
    pub const fn new(write: W) -> Self {
        Self(write)
    }
}

impl<S: Subscriber, W: Fn(&[u8]) + 'static> Layer<S> for Hclog<W> {
    /// Ours down to debug, which the host filters; of other crates only what
    /// is wrong, for they may log what passes through them.
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let finest = if metadata.target().starts_with(env!("CARGO_CRATE_NAME")) {
            Level::DEBUG
        } else {
            Level::WARN
        };
        *metadata.level() <= finest
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0(line(event, SystemClock.now()).as_bytes());
    }
}

fn line(event: &Event<'_>, now: Timestamp) -> String {
    let mut pairs = Pairs {
        fields: Map::new(),
        room: LONGEST_LINE,
    };
    event.record(&mut pairs);
    let mut line = pairs.fields;
    for (name, value) in [
        ("@level", level(*event.metadata().level()).to_owned()),
        ("@module", event.metadata().target().replace("::", ".")),
        ("@timestamp", format!("{:.6}", now.instant())),
    ] {
        line.insert(name.to_owned(), Value::String(value));
    }
    line.entry("@message").or_insert_with(|| "".into());
    format!("{}\n", Value::Object(line))
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The pairs of one event.
struct Pairs {
    fields: Map<String, Value>,
    room: usize,
}

impl Pairs {
    /// Adds text, cut to what there is room for. Names beginning with `@` are
    /// the host's own.
    fn text(&mut self, field: &Field, mut value: String) {
        let limit = LONGEST_VALUE.min(self.room);
        if value.len() > limit {
            let end = (0..=limit).rev().find(|end| value.is_char_boundary(*end));
            value.truncate(end.unwrap_or_default());
            value.push_str(CUT);
        }
        self.room = self.room.saturating_sub(value.len());
        let name = match field.name() {
            "message" => "@message",
            name => name.trim_start_matches('@'),
        };
        self.fields.insert(name.to_owned(), Value::String(value));
    }

    fn value(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.text(field, value.to_string());
        } else {
            let name = field.name().trim_start_matches('@');
            self.fields.insert(name.to_owned(), value);
        }
    }
}

impl Visit for Pairs {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value.into());
    }
}
