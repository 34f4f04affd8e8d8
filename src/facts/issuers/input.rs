//! What an operator may say about an issuer.

use std::collections::BTreeSet;

use crate::facts::issuers::fetch::{self, Allowed};
use crate::host::framework::error::{Error, Result};
use crate::model::ids::{AgentId, AgentName};
use crate::model::issuer::{Issuer, JwtType};
use crate::model::text::{self, Label};
use crate::model::time::Ttl;

const MAX_AUDIENCES: usize = 16;
const MAX_KEYS: usize = 16;
const MAX_CA: usize = 64 * 1024;
const MAX_CLAIM: usize = 128;
const MAX_LEEWAY: Ttl = Ttl::from_secs(300);

/// Checks an issuer as a whole.
///
/// # Errors
/// What is wrong, by field.
pub(super) fn check(issuer: &Issuer) -> Result<()> {
    let wrong = |field, problem: &str| Err(Error::field(field, problem));
    if issuer.issuer_id.is_empty() {
        return wrong("issuer_id", "may not be empty");
    }
    text::check(&issuer.issuer_id, 512).map_err(|error| Error::field("issuer_id", error))?;
    if issuer.audiences.is_empty()
        || issuer.audiences.len() > MAX_AUDIENCES
        || issuer.audiences.iter().any(Label::is_empty)
    {
        return Err(Error::field(
            "audiences",
            format_args!("must name 1 to {MAX_AUDIENCES} audiences, none of them empty"),
        ));
    }
    for (field, claim) in [
        ("user_claim", &issuer.user_claim),
        ("actor_claim", &issuer.actor_claim),
        (
            "authorization_details_claim",
            &issuer.authorization_details_claim,
        ),
    ] {
        if claim.is_empty() {
            return wrong(field, "must name a claim");
        }
        text::check(claim, MAX_CLAIM).map_err(|error| Error::field(field, error))?;
    }
    text::check(&issuer.unique_id_claim, MAX_CLAIM)
        .map_err(|error| Error::field("unique_id_claim", error))?;
    if issuer.jwt_type == JwtType::Assertion && issuer.unique_id_claim.is_empty() {
        return wrong(
            "unique_id_claim",
            "must name a claim, as in `jti`: an assertion is used once",
        );
    }
    if issuer.supported_algorithms.is_empty() {
        return wrong("supported_algorithms", "must name at least one algorithm");
    }
    if issuer.clock_skew_leeway > MAX_LEEWAY {
        return wrong("clock_skew_leeway", "must be at most 5m");
    }
    check_keys(issuer)
}

/// An agent signs as its own issuer, by its name or id: no issuer may be taken
/// for one.
///
/// # Errors
/// If it could be.
pub(super) fn check_name(issuer_id: &str) -> Result<()> {
    let is_agent = issuer_id.parse::<AgentName>().is_ok() || issuer_id.parse::<AgentId>().is_ok();
    if is_agent {
        return Err(Error::field(
            "issuer_id",
            "looks like an agent's name or id; write the whole `iss`, as in `https://idp.example.com`",
        ));
    }
    Ok(())
}

fn check_keys(issuer: &Issuer) -> Result<()> {
    let wrong = |field, problem: &str| Err(Error::field(field, problem));
    if issuer.public_keys.len() > MAX_KEYS {
        return Err(Error::field(
            "public_keys",
            format_args!("may hold at most {MAX_KEYS} keys"),
        ));
    }
    let mut ids = BTreeSet::new();
    for key in &issuer.public_keys {
        key.key()
            .map_err(|error| Error::field("public_keys", error))?;
        if !ids.insert(key.key_id.as_str()) {
            return wrong("public_keys", "two keys have the same `key_id`");
        }
    }
    if issuer.jwks_ca_pem.len() > MAX_CA {
        return Err(Error::field(
            "jwks_ca_pem",
            format_args!("may take at most {MAX_CA} bytes"),
        ));
    }
    if !issuer.use_jwks {
        if issuer.public_keys.is_empty() {
            return wrong("public_keys", "must hold a key, as `use_jwks` is false");
        }
        if !issuer.jwks_uri.is_empty() || !issuer.jwks_ca_pem.is_empty() {
            return wrong("jwks_uri", "must be empty, as `use_jwks` is false");
        }
        return Ok(());
    }
    if !issuer.public_keys.is_empty() {
        return wrong("public_keys", "must be empty, as `use_jwks` is true");
    }
    if issuer.jwks_uri.is_empty() {
        return wrong(
            "jwks_uri",
            "is needed: the HTTPS URL of the issuer's JWK set; or give `public_keys` with `use_jwks=false`",
        );
    }
    fetch::Place::parse(&issuer.jwks_uri, Allowed::by(issuer))
        .map_err(|error| Error::field("jwks_uri", error))?;
    if !issuer.jwks_ca_pem.is_empty() {
        fetch::roots(&issuer.jwks_ca_pem).map_err(|error| Error::field("jwks_ca_pem", error))?;
    }
    Ok(())
}
