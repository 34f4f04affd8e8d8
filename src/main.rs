//! The binary that a server starts. What people run is `agentic`, beside it.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::plugin::{self, ServeError};
use vault_plugin_agentic::host::telemetry;
use vault_plugin_agentic::mount::Mounts;

/// What the plugin was built with: how a server is to run it.
const MANIFEST: &str = include_str!("../plugin-manifest.hcl");

/// A plugin for HashiCorp Vault and OpenBao that gives AI agents an identity,
/// a ceiling, delegated authority and credentials that live for one request.
///
/// A server starts it by itself. What people run is `agentic`: it installs this
/// plugin into a server, checks policies, and reports from audit logs.
#[derive(Debug, Parser)]
#[command(name = "vault-plugin-agentic", version)]
struct Cli {
    /// What the server mounts this process as. Set in the plugin catalog.
    #[arg(long = "type", value_name = "TYPE")]
    mount_type: Option<PluginType>,

    /// Where mounts may write files of events. Set in the plugin catalog;
    /// without it they may write none.
    #[arg(long, value_name = "DIR")]
    export_dir: Option<PathBuf>,

    /// Print the manifest that this plugin was built with.
    #[arg(long)]
    manifest: bool,

    /// What `agentic` does now.
    #[command(subcommand)]
    moved: Option<Moved>,
}

/// What the binary can be mounted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PluginType {
    /// A secrets engine.
    Secrets,
    /// An auth method.
    Auth,
}

impl From<PluginType> for MountType {
    fn from(plugin: PluginType) -> Self {
        match plugin {
            PluginType::Secrets => Self::Secrets,
            PluginType::Auth => Self::Auth,
        }
    }
}

/// Commands of 0.1, passed on for one release.
#[derive(Debug, Subcommand)]
enum Moved {
    /// Any command: starts the `agentic` beside this binary.
    #[command(external_subcommand)]
    Agentic(Vec<OsString>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Moved::Agentic(arguments)) = cli.moved {
        return pass_on(&arguments);
    }
    if cli.manifest {
        return finish(MANIFEST, true);
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

/// Runs the `agentic` beside this binary, with the same arguments.
fn pass_on(arguments: &[OsString]) -> ExitCode {
    let beside = std::env::current_exe().map(|own| own.with_file_name("agentic"));
    let problem = match beside {
        Ok(tool) => match Command::new(&tool).args(arguments).status() {
            Ok(status) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return ExitCode::from(code.unwrap_or(1));
            }
            Err(error) => format!("{}: {error}", tool.display()),
        },
        Err(error) => error.to_string(),
    };
    finish(
        &format!("this is what `agentic` does now, and it cannot be started: {problem}\n"),
        false,
    )
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
