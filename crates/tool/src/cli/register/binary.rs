//! The file that a server will start.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::model::text::hex;

/// A binary that was read.
pub(super) struct Binary {
    pub(super) path: PathBuf,
    /// In lower-case hexadecimal.
    pub(super) sha256: String,
    content: Vec<u8>,
}

impl Binary {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let content = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let sha256 = hex(digest(&SHA256, &content).as_ref());
        Ok(Self {
            path: path.to_owned(),
            sha256,
            content,
        })
    }

    /// A name that no other content has, so that nodes can hold several
    /// versions and none is overwritten while it runs.
    pub(super) fn versioned_name(&self, version: &str) -> String {
        let checksum = self.sha256.get(..12).unwrap_or(&self.sha256);
        format!("vault-plugin-agentic-v{version}-{checksum}")
    }

    /// Copies it, whole or not at all.
    pub(super) fn install(&self, copy: &Path) -> Result<(), String> {
        let at = |path: &Path| {
            let path = path.display().to_string();
            move |error: std::io::Error| format!("{path}: {error}")
        };
        if copy.exists() {
            return if Self::read(copy)?.sha256 == self.sha256 {
                Ok(())
            } else {
                Err(format!(
                    "{} exists with other content and is not overwritten; remove it first",
                    copy.display()
                ))
            };
        }
        let partial = copy.with_extension("partial");
        fs::write(&partial, &self.content).map_err(at(&partial))?;
        fs::set_permissions(&partial, fs::Permissions::from_mode(0o755)).map_err(at(&partial))?;
        fs::rename(&partial, copy).map_err(at(copy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_made_once_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let original = directory.path().join("plugin");
        fs::write(&original, "abc").unwrap();
        let binary = Binary::read(&original).unwrap();
        assert_eq!(
            binary.versioned_name("1.2.3"),
            "vault-plugin-agentic-v1.2.3-ba7816bf8f01"
        );

        let copy = directory.path().join("copy");
        binary.install(&copy).unwrap();
        binary.install(&copy).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), b"abc");
        assert_eq!(
            fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
            0o755
        );

        fs::write(&copy, "other").unwrap();
        let error = binary.install(&copy).unwrap_err();
        assert!(error.contains("is not overwritten"), "{error}");
        assert_eq!(fs::read(&copy).unwrap(), b"other");
    }

    #[test]
    fn a_missing_binary_is_named() {
        let error = Binary::read(Path::new("/nowhere/plugin"))
            .err()
            .unwrap_or_default();
        assert!(error.starts_with("/nowhere/plugin: "), "{error}");
    }
}
