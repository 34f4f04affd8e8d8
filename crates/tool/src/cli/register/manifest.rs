//! `plugin-manifest.hcl`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

#[cfg(test)]
const BUILT_IN: &str = include_str!("../../../../../plugin-manifest.hcl");

/// What a server needs to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// The plugin's name in the catalog, of both types.
    pub(super) name: String,
    pub(super) version: String,
    /// The checksum that the binary must have, if the manifest is of one.
    pub(super) sha256: Option<String>,
    pub(super) plugin: Plugins,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugins {
    pub(super) secret: Entry,
    pub(super) auth: Entry,
}

/// One entry of the catalog and the mount it is for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The file in the server's plugin directory.
    pub(super) command: String,
    pub(super) args: Vec<String>,
    /// Where it is mounted, unless told otherwise.
    pub(super) mount: String,
    pub(super) description: String,
    pub(super) tune: Tune,
}

/// The settings of a mount. An attribute is a parameter of the server's.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tune {
    pub(super) audit_non_hmac_request_keys: Vec<String>,
    pub(super) audit_non_hmac_response_keys: Vec<String>,
    #[serde(default)]
    pub(super) passthrough_request_headers: Vec<String>,
    #[serde(default)]
    pub(super) allowed_response_headers: Vec<String>,
}

impl Tune {
    /// Each setting that is given, under its name.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let all: [(&str, &[String]); 4] = [
            (
                "audit_non_hmac_request_keys",
                &self.audit_non_hmac_request_keys,
            ),
            (
                "audit_non_hmac_response_keys",
                &self.audit_non_hmac_response_keys,
            ),
            (
                "passthrough_request_headers",
                &self.passthrough_request_headers,
            ),
            ("allowed_response_headers", &self.allowed_response_headers),
        ];
        all.into_iter().filter(|(_, values)| !values.is_empty())
    }
}

impl Manifest {
    /// The one that a plugin says it was built with.
    pub(super) fn of_plugin(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| format!("the plugin's manifest: {error}"))
    }

    #[cfg(test)]
    pub(super) fn built_in() -> Result<Self, String> {
        Self::of_plugin(BUILT_IN)
    }

    pub(super) fn load(file: &Path) -> Result<Self, String> {
        fs::read_to_string(file)
            .map_err(|error| error.to_string())
            .and_then(|text| Self::parse(&text))
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        hcl::from_str(text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_manifest_is_of_this_version() {
        let manifest = Manifest::built_in().unwrap();
        assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
        for entry in [&manifest.plugin.secret, &manifest.plugin.auth] {
            assert_eq!(entry.command, "vault-plugin-agentic");
        }
    }

    #[test]
    fn what_must_stay_hashed_is_not_listed() {
        let manifest = Manifest::built_in().unwrap();
        for entry in [&manifest.plugin.secret, &manifest.plugin.auth] {
            for (setting, keys) in entry.tune.settings() {
                for secret in [
                    "credential",
                    "token",
                    "subject_token",
                    "jwt",
                    "assertion",
                    "client_assertion",
                    "key",
                    "private_key",
                    "user_code",
                    "context",
                    "claims",
                ] {
                    assert!(!keys.iter().any(|key| key == secret), "{setting}: {secret}");
                }
            }
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        let text = BUILT_IN.replace("tune {", "tune {\n  max_lease_tll = \"1h\"");
        let error = Manifest::parse(&text).unwrap_err();
        assert!(error.contains("max_lease_tll"), "{error}");
    }
}
