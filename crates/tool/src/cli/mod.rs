//! What `agentic` does. Functions here return text; printing is for `main`.

pub mod args;
mod environment;
#[cfg(test)]
mod fake;
mod plugin;
pub mod policy;
pub mod register;
pub mod report;
mod server;
mod suite;
mod upgrade;

use self::args::{Command, Policy, Upgrade};
use self::environment::Environment;
use self::policy::Report;

/// Runs a command to its end.
#[must_use]
pub fn run(command: Command) -> Report {
    match command {
        Command::Register(options) => register::run(&options, &Environment::read()),
        Command::Upgrade(Upgrade::Check(options)) => upgrade::check(&options, &Environment::read()),
        Command::Report(options) => report::run(&options),
        Command::Version { binary } => plugin::versions(binary.as_deref()),
        Command::Policy(Policy::Check { files }) => policy::check(&files),
        Command::Policy(Policy::Test { directory }) => policy::test(&directory),
    }
}
