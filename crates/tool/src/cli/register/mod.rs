//! `register`: puts the plugin into a server. What to do is planned without
//! any I/O; the plan is then carried out, or printed as commands.

mod apply;
mod binary;
pub(super) mod group;
mod guard;
mod manifest;
mod plan;
mod print;

use self::binary::Binary;
use self::manifest::Manifest;
use self::plan::{Kind, Plan};
use super::args::Register;
use super::environment::Environment;
use super::plugin;
use super::policy::Report;
use super::server::Server;

/// Installs the plugin, or prints how.
pub(super) fn run(options: &Register, environment: &Environment) -> Report {
    match attempt(options, environment) {
        Ok(text) => Report {
            text,
            ok: true,
            status: None,
        },
        Err(message) => Report {
            text: format!("{message}\n"),
            ok: false,
            status: None,
        },
    }
}

fn attempt(options: &Register, environment: &Environment) -> Result<String, String> {
    let path = plugin::path(options.binary.as_deref())?;
    let said = plugin::manifest(&path)?;
    let manifest = match &options.manifest {
        Some(file) => Manifest::load(file)?,
        None => Manifest::of_plugin(&said)?,
    };
    let binary = Binary::read(&path)?;
    let mut wanted = Vec::new();
    if !options.no_secrets {
        wanted.push((Kind::Secret, options.secrets_path.as_deref()));
    }
    if !options.no_auth {
        wanted.push((Kind::Auth, options.auth_path.as_deref()));
    }
    let installed = options.plugin_dir.as_ref().map(|directory| {
        let name = binary.versioned_name(&manifest.version);
        (directory.clone(), name)
    });
    let plan = Plan::new(&manifest, &binary, installed, &wanted)?;
    if options.print {
        return Ok(print::commands(&plan, options.cli));
    }
    let server = Server::connect(environment)?;
    let mut said = guard::check(&plan, &server, options.force)?;
    if let Some(copy) = &plan.copy {
        binary.install(copy)?;
    }
    said.push_str(&apply::apply(&plan, &server)?);
    said.push_str(&group::ensure(&server));
    Ok(said)
}
