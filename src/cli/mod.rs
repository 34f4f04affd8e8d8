//! What the binary does besides being a plugin. Functions here return text;
//! printing is for `main`.

pub mod args;
pub mod defaults;
mod environment;
#[cfg(test)]
mod fake;
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
        Command::Policy(Policy::Check { files }) => policy::check(&files),
        Command::Policy(Policy::Test { directory }) => policy::test(&directory),
    }
}
