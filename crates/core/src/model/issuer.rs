//! The issuer: an identity provider, or another mount, whose tokens a mount
//! believes, and about what.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::jose::alg::Algorithm;
use crate::jose::claims::TypPolicy;
use crate::jose::jwk::{JwkError, PublicJwk, RegisteredKey};
use crate::model::ids::{IssuerId, IssuerName};
use crate::model::text::Label;
use crate::model::time::{Timestamp, Ttl};

/// The longest life of an assertion: it is made for one login (RFC 7523 3).
pub const ASSERTION_LIFETIME: Ttl = Ttl::from_secs(300);
/// The longest life of a token whose id is remembered until it expires.
pub const REMEMBERED_LIFETIME: Ttl = Ttl::from_secs(24 * 3600);

/// What kind of token an issuer's are. The kinds exclude each other, so that
/// one is never taken for another (RFC 8725 3.11, 3.12).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum JwtType {
    /// An access token, with the header `typ=at+jwt` (RFC 9068 4).
    #[default]
    AccessToken,
    /// A transaction token, with `typ=txntoken+jwt`.
    TransactionToken,
    /// An access token of an issuer that does not mark them: `typ` is `JWT` or
    /// absent. One with a claim that only ID or logout tokens have is refused.
    Jwt,
    /// An assertion that its subject makes for one login (RFC 7523): it lives
    /// for minutes, names one audience and is used once.
    Assertion,
    /// An OpenID Connect ID token. Says who a human is, and proves no agent.
    IdToken,
}

impl JwtType {
    /// The `typ` headers of its tokens.
    #[must_use]
    pub const fn typ(self) -> TypPolicy<'static> {
        match self {
            Self::AccessToken => TypPolicy::OneOf(&["at+jwt"]),
            Self::TransactionToken => TypPolicy::OneOf(&["txntoken+jwt"]),
            Self::Jwt | Self::IdToken => TypPolicy::AbsentOr(&["JWT"]),
            Self::Assertion => TypPolicy::AbsentOr(&["JWT", "client-authentication+jwt"]),
        }
    }

    /// Claims that tokens of other kinds have and its own have not.
    #[must_use]
    pub const fn foreign_claims(self) -> &'static [&'static str] {
        match self {
            Self::Jwt => &["nonce", "at_hash", "c_hash", "s_hash", "events"],
            Self::IdToken => &["events", "scope", "authorization_details"],
            Self::AccessToken | Self::TransactionToken | Self::Assertion => &[],
        }
    }

    /// Whether such a token can prove which agent presents it.
    #[must_use]
    pub const fn proves_agents(self) -> bool {
        match self {
            Self::AccessToken | Self::TransactionToken | Self::Jwt | Self::Assertion => true,
            Self::IdToken => false,
        }
    }

    /// Whether such a token can say for which human a request is.
    #[must_use]
    pub const fn names_subjects(self) -> bool {
        match self {
            Self::AccessToken | Self::TransactionToken | Self::Jwt | Self::IdToken => true,
            Self::Assertion => false,
        }
    }

    /// Whether a credential may not outlive it. A token that grants authority
    /// bounds what comes of it; an assertion only says who is there.
    #[must_use]
    pub const fn grants(self) -> bool {
        match self {
            Self::AccessToken | Self::TransactionToken | Self::Jwt => true,
            Self::Assertion | Self::IdToken => false,
        }
    }

    /// The claim that names the agent, where nobody says.
    #[must_use]
    pub const fn usual_actor_claim(self) -> &'static str {
        match self {
            Self::AccessToken | Self::TransactionToken | Self::Jwt => "client_id",
            Self::Assertion | Self::IdToken => "sub",
        }
    }
}

/// A key that was given with its id, in the shape of Vault Enterprise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerKey {
    /// Its `kid`.
    pub key_id: String,
    /// The public key: PEM, or a JWK.
    #[schemars(with = "String")]
    pub pem: RegisteredKey,
}

impl IssuerKey {
    /// The key under its id.
    ///
    /// # Errors
    /// If the id is empty, too long or unsafe to show.
    pub fn key(&self) -> Result<PublicJwk, JwkError> {
        self.pem.key().clone().with_kid(&self.key_id)
    }
}

/// An issuer, as an operator defines it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its name on this mount.
    pub name: IssuerName,
    /// The id of this definition. Made by us, never used twice.
    pub id: IssuerId,
    /// Grows with every change: what was fetched before is not believed after.
    pub revision: u64,
    /// Its `iss`, compared byte for byte.
    pub issuer_id: String,
    /// Whether its tokens are believed at all.
    pub enabled: bool,
    /// Whether its keys are fetched from `jwks_uri`, and not from here.
    pub use_jwks: bool,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Which authorities may vouch for that place; empty: those of the system.
    pub jwks_ca_pem: String,
    /// Whether that place may be at a private or loopback address.
    pub allow_private_addresses: bool,
    /// Whether it may be spoken to without TLS, at a loopback address.
    pub allow_plain_http: bool,
    /// Its keys, where they are not fetched.
    pub public_keys: Vec<IssuerKey>,
    /// Its tokens are for one of these.
    pub audiences: Vec<Label>,
    /// The claim that names the human.
    pub user_claim: String,
    /// The claim that names the agent, in tokens without `act`.
    pub actor_claim: String,
    /// The claim that tells one token from another; empty: tokens may be
    /// presented again.
    pub unique_id_claim: String,
    /// The claim that says what a token is for.
    pub authorization_details_claim: String,
    /// What it signs with.
    pub supported_algorithms: BTreeSet<Algorithm>,
    /// What kind of token its are.
    pub jwt_type: JwtType,
    /// How far its clock may differ.
    pub clock_skew_leeway: Ttl,
    /// Whether its tokens may come without authorization details.
    pub optional_authorization_details: bool,
    /// When what its tokens vouched for was last revoked.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
    /// When it was defined.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Issuer {
    /// How long a token of its may live, from `iat` or from now.
    #[must_use]
    pub fn longest_lifetime(&self) -> Option<Ttl> {
        if self.jwt_type == JwtType::Assertion {
            Some(ASSERTION_LIFETIME)
        } else {
            (!self.unique_id_claim.is_empty()).then_some(REMEMBERED_LIFETIME)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_token_proves_an_agent_or_names_a_human() {
        for kind in [
            JwtType::AccessToken,
            JwtType::TransactionToken,
            JwtType::Jwt,
            JwtType::Assertion,
            JwtType::IdToken,
        ] {
            assert!(kind.proves_agents() || kind.names_subjects(), "{kind:?}");
        }
        assert!(!JwtType::IdToken.proves_agents());
        assert!(!JwtType::Assertion.names_subjects());
    }
}
