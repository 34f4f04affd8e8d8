//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What people run for vault-plugin-agentic, a plugin for HashiCorp Vault and
/// OpenBao that gives AI agents an identity, a ceiling, delegated authority and
/// credentials that live for one request.
///
/// Installs the plugin into a server, says what an upgrade changes, checks and
/// tests policies, and reports from audit logs.
#[derive(Debug, Parser)]
#[command(
    name = "agentic",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command for a person.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the plugin into a server: catalog, mounts and tuning.
    ///
    /// Takes the address from BAO_ADDR or VAULT_ADDR, the token from
    /// BAO_TOKEN, VAULT_TOKEN or ~/.vault-token, and a certificate authority
    /// from BAO_CACERT or VAULT_CACERT. Can be run again at any time: what is
    /// already so is left alone, and a new binary replaces the old one.
    Register(Register),

    /// Upgrade a server from 0.1.
    #[command(subcommand)]
    Upgrade(Upgrade),

    /// Tell from a server's audit log who did what for whom and why.
    ///
    /// Reads the files of a `file` audit device of OpenBao or Vault, and shows
    /// for each agent and human what was consented to, issued, used and
    /// refused, and what is odd. Needs no server.
    Report(Box<super::report::Options>),

    /// Check and test policies without a server.
    #[command(subcommand)]
    Policy(Policy),

    /// Say the version of this program, and of the plugin.
    Version {
        /// The plugin's binary [default: `vault-plugin-agentic` beside this one].
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
}

/// How to install.
#[derive(Args, Clone, Debug)]
pub struct Register {
    /// Another manifest than the one that the plugin was built with.
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,

    /// The server's plugin directory, to copy the binary into. Without it, the
    /// binary must be there already.
    #[arg(long, value_name = "DIR")]
    pub plugin_dir: Option<PathBuf>,

    /// The plugin's binary [default: `vault-plugin-agentic` beside this one].
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,

    /// Where to enable the secrets engine [default: as in the manifest].
    #[arg(long, value_name = "PATH", conflicts_with = "no_secrets")]
    pub secrets_path: Option<String>,

    /// Where to enable the auth method, without `auth/` [default: as in the
    /// manifest].
    #[arg(long, value_name = "PATH", conflicts_with = "no_auth")]
    pub auth_path: Option<String>,

    /// Leave the secrets engine out.
    #[arg(long, conflicts_with = "no_auth")]
    pub no_secrets: bool,

    /// Leave the auth method out.
    #[arg(long)]
    pub no_auth: bool,

    /// Go on, even if your own token would not govern a mount of 0.1 any more.
    #[arg(long)]
    pub force: bool,

    /// Print the commands that would do the same, and do nothing.
    #[arg(long)]
    pub print: bool,

    /// Whose command line to print.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = ServerCli::Bao, requires = "print")]
    pub cli: ServerCli,
}

/// The command line of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ServerCli {
    /// OpenBao's.
    #[default]
    Bao,
    /// HashiCorp Vault's.
    Vault,
}

impl ServerCli {
    /// The name of the program.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bao => "bao",
            Self::Vault => "vault",
        }
    }
}

/// What to do about an upgrade.
#[derive(Debug, Subcommand)]
pub enum Upgrade {
    /// Say for whom a server of 0.1 would change, and what to write so that it
    /// does not. Changes nothing.
    ///
    /// Takes address and token as `register` does. The token may read
    /// `sys/policies/acl`, `sys/mounts`, `sys/auth`, `identity/` and what governs
    /// the mounts; what it may not read is said, and not looked at. The exit
    /// status is 0 if nothing stands in the way, 1 if something would change for
    /// somebody, and 2 if not all could be looked at.
    Check(UpgradeCheck),
}

/// Where to look.
#[derive(Args, Clone, Debug)]
pub struct UpgradeCheck {
    /// A mount, with `auth/` if it is an auth method. Can be repeated [default:
    /// all mounts of the type `agentic`].
    #[arg(long = "mount", value_name = "PATH")]
    pub mounts: Vec<String>,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Say what is wrong with policy files, with line and column.
    Check {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Run the `*.test.hcl` files of a directory against the policies in it.
    Test {
        /// The directory.
        directory: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_to_install_is_refused() {
        let both = ["agentic", "register", "--no-auth", "--no-secrets"];
        assert!(Cli::try_parse_from(both).is_err());
    }
}
