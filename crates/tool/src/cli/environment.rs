//! What the process environment says about the server.

use std::fs;
use std::path::{Path, PathBuf};

/// The settings that the server's own command line takes, too.
#[derive(Clone, Default)]
pub(super) struct Environment {
    pub(super) address: Option<String>,
    pub(super) token: Option<String>,
    pub(super) certificate_authority: Option<PathBuf>,
    pub(super) namespace: Option<String>,
}

impl Environment {
    /// OpenBao's names go before Vault's.
    pub(super) fn read() -> Self {
        Self {
            address: either("ADDR"),
            token: either("TOKEN").or_else(stored_token),
            certificate_authority: either("CACERT").map(PathBuf::from),
            namespace: either("NAMESPACE"),
        }
    }
}

fn either(name: &str) -> Option<String> {
    variable(&format!("BAO_{name}")).or_else(|| variable(&format!("VAULT_{name}")))
}

fn stored_token() -> Option<String> {
    let file = Path::new(&variable("HOME")?).join(".vault-token");
    let token = fs::read_to_string(file).ok()?.trim().to_owned();
    (!token.is_empty()).then_some(token)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line is where the environment is read"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
