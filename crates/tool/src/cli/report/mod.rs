//! `report`: who did what for whom and why, out of the server's own audit log.
//!
//! Files become entries (`lines`, `entry`), entries become events
//! (`recognise`), events are collected in bounded space (`collect`), and what
//! was collected becomes a [`Model`] that is written in one of three ways. Only
//! the first step and this file do I/O.

mod anomalies;
mod attribution;
mod build;
mod chain;
mod chart;
mod collect;
mod entry;
mod event;
mod grants;
mod html;
mod limits;
mod lines;
mod markup;
mod model;
mod notes;
mod once;
mod options;
mod outcome;
mod parties;
mod progress;
mod recognise;
mod sections;
mod table;
mod timeline;
mod views;
mod words;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use self::collect::Collector;
pub use self::limits::Limits;
use self::lines::Lines;
pub use self::lines::Source;
pub use self::model::Model;
pub use self::options::{Format, Options};
use self::progress::Progress;
use super::policy::Report;

/// The exit status where `--fail-on-anomaly` finds any.
const ANOMALIES: u8 = 3;
/// The longest text that is kept, in characters.
const SHORT: usize = 160;

/// Reads audit logs and writes a report.
pub(super) fn run(options: &Options) -> Report {
    match attempt(options) {
        Ok((text, odd)) => Report {
            text,
            ok: true,
            status: (odd && options.fail_on_anomaly).then_some(ANOMALIES),
        },
        Err(message) => Report {
            text: format!("{message}\n"),
            ok: false,
            status: None,
        },
    }
}

fn attempt(options: &Options) -> Result<(String, bool), String> {
    let sources = options.files.iter().map(|path| source(path)).collect();
    let model = read(sources, options, &Limits::USUAL, Progress::on_stderr())?;
    let text = render(&model, options.format);
    let odd = !model.anomalies.is_empty();
    let Some(path) = &options.output else {
        return Ok((text, odd));
    };
    write(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((format!("wrote {}\n", path.display()), odd))
}

fn source(path: &Path) -> Source {
    if path.as_os_str() == "-" {
        Source::Stream("stdin".to_owned(), Box::new(io::stdin()))
    } else {
        Source::File(path.to_owned())
    }
}

/// Writes a file that nobody else may read, as the log is.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// Reads audit logs.
///
/// # Errors
/// If a source cannot be read, or is no audit log; the text names it.
pub fn analyse(sources: Vec<Source>, options: &Options, limits: &Limits) -> Result<Model, String> {
    read(sources, options, limits, Progress::none())
}

fn read(
    sources: Vec<Source>,
    options: &Options,
    limits: &Limits,
    progress: Progress,
) -> Result<Model, String> {
    let mut lines = Lines::open(sources, limits.line, progress)?;
    let mut collector = Collector::new(options, *limits);
    while let Some(entry) = lines.next()? {
        collector.push(&entry);
    }
    Ok(build::build(collector, &lines.tallies(), options, limits))
}

/// Writes a report.
#[must_use]
pub fn render(model: &Model, format: Format) -> String {
    match format {
        Format::Table => table::table(model),
        // A map with text for keys and finite numbers: it can be written.
        Format::Json => serde_json::to_string_pretty(model).unwrap_or_default() + "\n",
        Format::Html => html::page(model),
    }
}

/// A text that is not longer than what is kept.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHORT) {
        None => text.to_owned(),
        Some(_) => text.chars().take(SHORT).chain(['…']).collect(),
    }
}
