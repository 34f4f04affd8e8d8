//! The binary: a plugin when a server starts it, a tool when a person does.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser as _};
use vault_plugin_agentic::cli::{self, args::Cli};
use vault_plugin_agentic::framework::backend::MountType;
use vault_plugin_agentic::mount::Mounts;
use vault_plugin_agentic::plugin::{self, ServeError};
use vault_plugin_agentic::telemetry;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(command) = cli.command {
        let report = cli::run(command);
        let code = finish(&report.text, report.ok);
        return report.status.map_or(code, ExitCode::from);
    }
    match serve(cli.mount_type.map(MountType::from), cli.export_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServeError::NoHost) => finish(&Cli::command().render_long_help().to_string(), false),
        Err(error) => {
            tracing::error!(%error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}

fn serve(mount_type: Option<MountType>, export_dir: Option<PathBuf>) -> Result<(), ServeError> {
    telemetry::start();
    keep_memory_private();
    // One thread: the work is the host's to wait for, not the processor's.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ServeError::Io {
            what: "start the runtime",
            source,
        })?;
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    runtime.block_on(plugin::serve(
        Arc::new(Mounts::default().exporting_to(export_dir)),
        mount_type,
        version,
    ))
}

/// Keeps keys and tokens out of core dumps, and out of reach of a debugger that
/// another program of the same user attaches. Where the system refuses, there is
/// only what it does by itself.
fn keep_memory_private() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        if let Err(error) = setrlimit(Resource::Core, none) {
            tracing::warn!(%error, "core dumps could not be turned off");
        }
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::warn!(%error, "the process could not be made undumpable");
        }
    }
}

/// Results go to stdout, refusals to stderr.
fn finish(text: &str, ok: bool) -> ExitCode {
    let written = if ok {
        std::io::stdout().write_all(text.as_bytes())
    } else {
        std::io::stderr().write_all(text.as_bytes())
    };
    match (written, ok) {
        (Ok(()), true) => ExitCode::SUCCESS,
        (Ok(()), false) | (Err(_), _) => ExitCode::FAILURE,
    }
}
