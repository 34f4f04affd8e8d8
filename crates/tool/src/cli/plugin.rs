//! The plugin's binary: where it is, which version it is, and what it says of
//! itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::policy::Report;

/// The name of its file.
const NAME: &str = "vault-plugin-agentic";
/// The version of this program, which is that of the plugin it came with.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// The plugin's binary: as given, or beside this one.
pub(super) fn path(given: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let own = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is, give --binary: {error}"))?;
    let beside = own.with_file_name(NAME);
    if beside.is_file() {
        Ok(beside)
    } else {
        Err(format!(
            "there is no {NAME} beside {}: give --binary",
            own.display()
        ))
    }
}

/// The manifest that a plugin was built with. Only of a plugin of this program's
/// version: another may have other paths, fields and audit keys.
pub(super) fn manifest(binary: &Path) -> Result<String, String> {
    let version = version(binary)?;
    if version != OWN {
        return Err(format!(
            "this is agentic {OWN}, and {} is {NAME} {version}: use the `agentic` that came with it",
            binary.display()
        ));
    }
    ask(binary, "--manifest")
}

/// The version of a plugin.
fn version(binary: &Path) -> Result<String, String> {
    let said = ask(binary, "--version")?;
    let version = said.trim().strip_prefix(NAME).map(str::trim);
    match version {
        Some(version) if !version.is_empty() && version.len() < 64 => Ok(version.to_owned()),
        _ => Err(format!("{} is no {NAME}", binary.display())),
    }
}

/// Runs the plugin for what it says of itself. It gets nothing of this program's
/// environment, so that it is no server's, and sees no token.
fn ask(binary: &Path, what: &str) -> Result<String, String> {
    // A name without a folder would be looked up elsewhere.
    let binary =
        std::path::absolute(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    let output = Command::new(&binary)
        .arg(what)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            format!(
                "cannot run {} here, to ask what it is: {error}",
                binary.display()
            )
        })?;
    if !output.status.success() {
        return Err(format!(
            "{} does not answer {what}: it is no {NAME} of this release",
            binary.display()
        ));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("{} answers {what} with no text", binary.display()))
}

/// Both versions; all is well if they fit.
pub(super) fn versions(given: Option<&Path>) -> Report {
    let plugin = path(given).and_then(|binary| version(&binary));
    let ok = plugin.as_deref() == Ok(OWN);
    let told = match plugin {
        Ok(version) => format!("{NAME} {version}"),
        Err(problem) => problem,
    };
    Report {
        text: format!("agentic {OWN}\n{told}\n"),
        ok,
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(NAME);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        (directory, file)
    }

    #[test]
    fn a_plugin_of_another_version_is_refused() {
        let (_kept, old) = script("echo vault-plugin-agentic 0.0.9");
        let error = manifest(&old).unwrap_err();
        assert!(error.contains("0.0.9") && error.contains(OWN), "{error}");
        let told = versions(Some(&old));
        assert!(!told.ok && told.text.contains("0.0.9"), "{told:?}");
    }

    #[test]
    fn what_is_no_plugin_is_named() {
        for text in ["echo bao v2", "exit 3", "echo vault-plugin-agentic"] {
            let (_kept, other) = script(text);
            let error = manifest(&other).unwrap_err();
            assert!(error.contains(NAME), "{error}");
        }
        let (kept, _) = script("");
        let error = manifest(&kept.path().join("none")).unwrap_err();
        assert!(error.contains("cannot run"), "{error}");
    }

    #[test]
    fn it_sees_nothing_of_the_environment() {
        let (_kept, curious) = script(&format!(
            "if [ \"$1\" = --version ]; then echo {NAME} {OWN}; else echo \"home=$HOME\"; fi"
        ));
        assert_eq!(manifest(&curious).unwrap(), "home=\n");
    }
}
