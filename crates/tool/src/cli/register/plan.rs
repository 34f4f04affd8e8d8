//! What there is to do. Nothing here does it.

use std::path::PathBuf;

use super::binary::Binary;
use super::manifest::{Entry, Manifest, Tune};

/// Everything that an installation is made of.
pub(super) struct Plan {
    /// The binary that is installed.
    pub(super) binary: PathBuf,
    /// Where it is copied to, if it is.
    pub(super) copy: Option<PathBuf>,
    pub(super) mounts: Vec<Mount>,
}

/// One catalog entry and its mount.
pub(super) struct Mount {
    pub(super) kind: Kind,
    /// The plugin's name, which is the type of the mount.
    pub(super) plugin: String,
    /// As the catalog writes it, with a `v`.
    pub(super) version: String,
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) sha256: String,
    /// Without slashes around it.
    pub(super) path: String,
    pub(super) description: String,
    pub(super) tune: Tune,
}

impl Mount {
    /// The path as one uses it.
    pub(super) fn shown(&self) -> String {
        match self.kind {
            Kind::Secret => format!("{}/", self.path),
            Kind::Auth => format!("auth/{}/", self.path),
        }
    }
}

/// The two types of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Secret,
    Auth,
}

impl Kind {
    /// In the catalog.
    pub(super) const fn catalog(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Auth => "auth",
        }
    }

    /// The part of `sys/` where mounts of the kind are.
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Secret => "sys/mounts",
            Self::Auth => "sys/auth",
        }
    }

    /// The word of the server's command line.
    pub(super) const fn command(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Auth => "auth",
        }
    }
}

impl Plan {
    /// `installed` is the directory that the binary is copied into and its
    /// name there; `wanted` are the mounts, at the manifest's path or another.
    pub(super) fn new(
        manifest: &Manifest,
        binary: &Binary,
        installed: Option<(PathBuf, String)>,
        wanted: &[(Kind, Option<&str>)],
    ) -> Result<Self, String> {
        if let Some(expected) = &manifest.sha256
            && !expected.eq_ignore_ascii_case(&binary.sha256)
        {
            return Err(format!(
                "{} has the sha256 {}, but the manifest is of {expected}",
                binary.path.display(),
                binary.sha256
            ));
        }
        let command = installed.as_ref().map(|(_, name)| name.as_str());
        let mut mounts = Vec::new();
        for (kind, path) in wanted {
            let entry = match kind {
                Kind::Secret => &manifest.plugin.secret,
                Kind::Auth => &manifest.plugin.auth,
            };
            let path = path.unwrap_or(&entry.mount);
            mounts.push(mount(*kind, manifest, entry, binary, command, path)?);
        }
        Ok(Self {
            binary: binary.path.clone(),
            copy: installed.map(|(directory, name)| directory.join(name)),
            mounts,
        })
    }
}

fn mount(
    kind: Kind,
    manifest: &Manifest,
    entry: &Entry,
    binary: &Binary,
    command: Option<&str>,
    path: &str,
) -> Result<Mount, String> {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() || !trimmed.chars().all(plain) {
        return Err(format!(
            "`{path}` is no mount path: use letters, digits, `-`, `_`, `.` and `/`"
        ));
    }
    if kind == Kind::Auth && trimmed.starts_with("auth/") {
        return Err(format!(
            "`{path}`: the server adds `auth/` to the path of an auth method by itself"
        ));
    }
    Ok(Mount {
        kind,
        plugin: manifest.name.clone(),
        version: format!("v{}", manifest.version),
        command: command.unwrap_or(&entry.command).to_owned(),
        args: entry.args.clone(),
        sha256: binary.sha256.clone(),
        path: trimmed.to_owned(),
        description: entry.description.clone(),
        tune: entry.tune.clone(),
    })
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(wanted: &[(Kind, Option<&str>)]) -> Result<Plan, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plugin");
        std::fs::write(&file, "abc").unwrap();
        let binary = Binary::read(&file).unwrap();
        Plan::new(&Manifest::built_in().unwrap(), &binary, None, wanted)
    }

    #[test]
    fn paths_are_taken_from_the_manifest_unless_given() {
        let plan = plan(&[(Kind::Secret, Some("/agent-registry/")), (Kind::Auth, None)]);
        let paths: Vec<_> = plan
            .unwrap()
            .mounts
            .into_iter()
            .map(|mount| (mount.kind, mount.path))
            .collect();
        assert_eq!(
            paths,
            [
                (Kind::Secret, "agent-registry".to_owned()),
                (Kind::Auth, "agentic".to_owned())
            ]
        );
    }

    #[test]
    fn paths_that_cannot_be_are_refused() {
        for (secrets, auth) in [("/", "a"), ("a b", "a"), ("a", "auth/a"), ("$(id)", "a")] {
            let wanted = [(Kind::Secret, Some(secrets)), (Kind::Auth, Some(auth))];
            assert!(plan(&wanted).is_err(), "{secrets} {auth}");
        }
    }

    #[test]
    fn a_manifest_of_another_binary_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plugin");
        std::fs::write(&file, "abc").unwrap();
        let mut manifest = Manifest::built_in().unwrap();
        manifest.sha256 = Some("00".repeat(32));
        let binary = Binary::read(&file).unwrap();
        let error = Plan::new(&manifest, &binary, None, &[(Kind::Secret, None)])
            .err()
            .unwrap_or_default();
        assert!(error.contains("the manifest is of 0000"), "{error}");
    }
}
