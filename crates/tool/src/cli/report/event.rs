//! What happened, in the plugin's own words.

use super::entry::Text;
use crate::model::time::Timestamp;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A credential was asked for.
    Issue,
    /// A token of the server was asked for.
    Login,
    /// The token of a login was used.
    Use,
    /// A use of a credential was counted.
    Redeem,
    /// Somebody asked whether a credential holds.
    Introspect,
    /// Credentials were revoked.
    RevokeCredentials,
    /// It was asked what would be decided.
    DryRun,
    Suspend,
    Resume,
    RevokeAgent,
    RequestDelegation,
    GrantDelegation,
    ApproveDelegation,
    DenyDelegation,
    RevokeDelegation,
    PassDelegation,
    ApproveConsent,
    DenyConsent,
    /// An agent was registered or changed.
    Register,
    /// An agent was removed.
    Remove,
    /// Nothing of note; but it tells which ids belong together.
    Read,
}

impl Kind {
    /// The name in JSON.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Login => "login",
            Self::Use => "use",
            Self::Redeem => "redeem",
            Self::Introspect => "introspect",
            Self::RevokeCredentials => "revoke_credentials",
            Self::DryRun => "dry_run",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::RevokeAgent => "revoke_agent",
            Self::RequestDelegation => "request_delegation",
            Self::GrantDelegation => "grant_delegation",
            Self::ApproveDelegation => "approve_delegation",
            Self::DenyDelegation => "deny_delegation",
            Self::RevokeDelegation => "revoke_delegation",
            Self::PassDelegation => "pass_delegation",
            Self::ApproveConsent => "approve_consent",
            Self::DenyConsent => "deny_consent",
            Self::Register => "register",
            Self::Remove => "remove",
            Self::Read => "read",
        }
    }

    /// Whether it switches an agent, and not only something of it.
    pub(super) const fn is_switch(self) -> bool {
        matches!(self, Self::Suspend | Self::Resume | Self::RevokeAgent)
    }

    /// Whether it is about an agent's registration.
    pub(super) const fn is_of_registry(self) -> bool {
        self.is_switch() || matches!(self, Self::Register | Self::Remove | Self::Read)
    }

    /// Whether it is an answer of a human, or the asking for one.
    pub(super) const fn is_consent(self) -> bool {
        matches!(
            self,
            Self::RequestDelegation
                | Self::GrantDelegation
                | Self::ApproveDelegation
                | Self::DenyDelegation
                | Self::RevokeDelegation
                | Self::PassDelegation
                | Self::ApproveConsent
                | Self::DenyConsent
        )
    }

    /// Whether an agent acts by it, or somebody with what it was given.
    pub(super) const fn is_activity(self) -> bool {
        matches!(
            self,
            Self::Issue | Self::Login | Self::Use | Self::Redeem | Self::Introspect | Self::DryRun
        )
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Allowed,
    /// Only a human's yes was missing.
    ConsentRequired,
    /// Refused, with the code of the reason.
    Refused(String),
    /// Neither: the request was wrong, or the server failed.
    Failed,
}

impl Outcome {
    /// The name in JSON.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::ConsentRequired => "consent_required",
            Self::Refused(_) => "refused",
            Self::Failed => "failed",
        }
    }

    /// Why it was refused.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(code) => Some(code),
            Self::Allowed | Self::ConsentRequired | Self::Failed => None,
        }
    }
}

/// An agent or a human, by what the log names them with.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    /// Of an agent.
    pub(super) name: Text,
    /// Of an agent.
    pub(super) id: Text,
    pub(super) entity: Text,
    /// What the server calls its tokens.
    pub(super) display: Text,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) kind: Kind,
    pub(super) outcome: Outcome,
    pub(super) agent: Named,
    /// Who had the token; may be the agent.
    pub(super) caller: Named,
    /// Id of the human's entity.
    pub(super) subject: Text,
    pub(super) target: Text,
    pub(super) action: Text,
    pub(super) resource: Text,
    pub(super) decision: Text,
    pub(super) delegation: Text,
    /// The delegation it was passed on from.
    pub(super) parent: Text,
    pub(super) consent: Text,
    pub(super) jti: Text,
    /// The HMAC of the credential: where it is issued and where it is shown.
    pub(super) credential: Text,
    /// What was said about why.
    pub(super) reason: Text,
    /// Codes of what did not stand in the way, and is to be mended.
    pub(super) notes: Vec<String>,
    /// The targets and actions that a delegation is for.
    pub(super) scope: Vec<String>,
    pub(super) mount: String,
    pub(super) operation: Text,
    pub(super) path: Text,
    pub(super) remote: Text,
}
