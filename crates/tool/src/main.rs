//! The binary `agentic`.

use std::io::Write as _;
use std::process::ExitCode;

use agentic_tool::cli::{self, args::Cli};
use clap::Parser as _;

fn main() -> ExitCode {
    let report = cli::run(Cli::parse().command);
    // Results go to stdout, refusals to stderr.
    let written = if report.ok {
        std::io::stdout().write_all(report.text.as_bytes())
    } else {
        std::io::stderr().write_all(report.text.as_bytes())
    };
    let code = match (written, report.ok) {
        (Ok(()), true) => ExitCode::SUCCESS,
        (Ok(()), false) | (Err(_), _) => ExitCode::FAILURE,
    };
    report.status.map_or(code, ExitCode::from)
}
