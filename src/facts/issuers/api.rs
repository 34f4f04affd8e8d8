//! `config/issuers/…`: whose tokens prove who an agent is, and for whom it
//! asks. The fields are those of Vault Enterprise's OAuth resource server
//! profiles, and some more.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::Cx;
use crate::facts::issuers::input;
use crate::facts::issuers::store::MAX_ISSUERS;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb, named};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Listing, Reply};
use crate::jose::alg::Algorithm;
use crate::model::ids::{IssuerId, IssuerName};
use crate::model::issuer::{Issuer, IssuerKey, JwtType};
use crate::model::text::Label;
use crate::model::time::{Timestamp, Ttl};

/// An issuer, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IssuerView {
    name: IssuerName,
    /// Id of this definition; a new one for each that is made.
    config_id: IssuerId,
    issuer_id: String,
    enabled: bool,
    use_jwks: bool,
    jwks_uri: String,
    jwks_ca_pem: String,
    allow_private_addresses: bool,
    allow_plain_http: bool,
    #[schemars(with = "Vec<Map<String, Value>>")]
    public_keys: Vec<IssuerKey>,
    audiences: Vec<Label>,
    user_claim: String,
    actor_claim: String,
    unique_id_claim: String,
    authorization_details_claim: String,
    supported_algorithms: BTreeSet<Algorithm>,
    jwt_type: JwtType,
    clock_skew_leeway: Ttl,
    optional_authorization_details: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl IssuerView {
    fn of(issuer: &Issuer) -> Self {
        let issuer = issuer.clone();
        Self {
            name: issuer.name,
            config_id: issuer.id,
            issuer_id: issuer.issuer_id,
            enabled: issuer.enabled,
            use_jwks: issuer.use_jwks,
            jwks_uri: issuer.jwks_uri,
            jwks_ca_pem: issuer.jwks_ca_pem,
            allow_private_addresses: issuer.allow_private_addresses,
            allow_plain_http: issuer.allow_plain_http,
            public_keys: issuer.public_keys,
            audiences: issuer.audiences,
            user_claim: issuer.user_claim,
            actor_claim: issuer.actor_claim,
            unique_id_claim: issuer.unique_id_claim,
            authorization_details_claim: issuer.authorization_details_claim,
            supported_algorithms: issuer.supported_algorithms,
            jwt_type: issuer.jwt_type,
            clock_skew_leeway: issuer.clock_skew_leeway,
            optional_authorization_details: issuer.optional_authorization_details,
            created_at: issuer.created_at,
            updated_at: issuer.updated_at,
        }
    }
}

/// List the issuers.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListIssuers {
    /// Show names after this one only.
    #[serde(default)]
    after: String,
    /// Show at most this many; 0 shows all.
    #[serde(default)]
    limit: u32,
}

impl Endpoint<Cx> for ListIssuers {
    const PLACE: Place = Place {
        path: "config/issuers",
        verb: Verb::List,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Issuer";
    type Output = Listing;

    async fn handle(self, cx: &Cx) -> Result<Reply<Listing>> {
        Ok(Listing::of(cx.facts.issuers.list(&self.after, self.limit).await?).into())
    }
}

/// Read an issuer.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadIssuer {
    /// Name of the issuer on this mount.
    name: IssuerName,
}

impl Endpoint<Cx> for ReadIssuer {
    const PLACE: Place = Place {
        path: "config/issuers/{name}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Issuer";
    type Output = IssuerView;

    async fn handle(self, cx: &Cx) -> Result<Reply<IssuerView>> {
        let issuer = cx.facts.issuers.get(&self.name).await?;
        Ok(issuer.map(|issuer| IssuerView::of(&issuer)).into())
    }
}

/// Define an issuer whose tokens `login` believes, or change a defined one.
///
/// An issuer is an identity provider, or another mount of this plugin. Its
/// tokens prove who an agent is (by the agent's `issuer` and `subject`), for
/// which human it asks (by the mappings under `subjects/`), or both. Fields
/// that are not given keep their value. Any change makes this mount forget the
/// keys that it has fetched.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteIssuer {
    /// Name of the issuer on this mount.
    name: IssuerName,
    /// The `iss` of its tokens, compared byte for byte. Needed for a new
    /// issuer; cannot change. No two issuers have the same, enabled or not, and
    /// none has one that could be an agent's name or id.
    issuer_id: Option<String>,
    /// Whether its tokens are believed. Default true.
    enabled: Option<bool>,
    /// Whether its keys are fetched from `jwks_uri`. Default true; with false,
    /// `public_keys` are its keys.
    use_jwks: Option<bool>,
    /// HTTPS URL of its JWK set.
    jwks_uri: Option<String>,
    /// Certificates, in PEM, of the authorities that may vouch for the host of
    /// `jwks_uri`. Empty: those of the system.
    #[schemars(extend("x-vault-displayAttrs" = { "editType": "textarea" }))]
    jwks_ca_pem: Option<String>,
    /// Whether the host of `jwks_uri` may be at a private or loopback address.
    /// Link-local and metadata addresses are never reached.
    allow_private_addresses: Option<bool>,
    /// Whether `jwks_uri` may be plain HTTP, at a loopback address.
    allow_plain_http: Option<bool>,
    /// Keys with their ids, as a list of `{"key_id": ..., "pem": ...}`; instead
    /// of `jwks_uri`. A JWK is taken in place of PEM.
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    public_keys: Option<Vec<IssuerKey>>,
    /// The `aud` of its tokens that are for this mount: one of them must be in
    /// the token. Needed for a new issuer.
    audiences: Option<Vec<Label>>,
    /// Claim that names the human. Default `sub`.
    user_claim: Option<String>,
    /// Claim that names the agent, in tokens that have no `act`. Default
    /// `client_id`; `sub` for assertions. A token in which it says the same as
    /// `user_claim` is about the agent alone.
    actor_claim: Option<String>,
    /// Claim that tells one token from another, as in `jti`. With it, every
    /// token is accepted once. Empty, the default, except for assertions:
    /// tokens may be presented again.
    unique_id_claim: Option<String>,
    /// Claim with the authorization details (RFC 9396). Default
    /// `authorization_details`.
    authorization_details_claim: Option<String>,
    /// What it signs with. Default: everything that is verified here.
    supported_algorithms: Option<BTreeSet<Algorithm>>,
    /// What kind of token its are: `access_token` (the default),
    /// `transaction_token`, `jwt`, `assertion` or `id_token`.
    jwt_type: Option<JwtType>,
    /// How far its clock may differ; at most 5m. Default 30s.
    clock_skew_leeway: Option<Ttl>,
    /// Whether its tokens may come without authorization details. Default true.
    optional_authorization_details: Option<bool>,
}

impl Endpoint<Cx> for WriteIssuer {
    const PLACE: Place = Place {
        path: "config/issuers/{name}",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Issuer";
    type Output = IssuerView;

    async fn exists(cx: &Cx, input: &Map<String, Value>) -> Result<Option<bool>> {
        match named(input, "name") {
            Some(name) => Ok(Some(cx.facts.issuers.get(&name).await?.is_some())),
            None => Ok(None),
        }
    }

    async fn handle(self, cx: &Cx) -> Result<Reply<IssuerView>> {
        let own = cx.config().await?.issuer.clone();
        let id = IssuerId::mint(cx.now, cx.random()?);
        let name = self.name.clone();
        let stored = cx
            .facts
            .issuers
            .update(&name, |present, others| {
                if present.is_none() && others.len() >= MAX_ISSUERS {
                    return Err(Error::Invalid(format!(
                        "a mount may have at most {MAX_ISSUERS} issuers; delete one first"
                    )));
                }
                cx.check_new(present.is_some())?;
                let mut issuer = match present {
                    Some(issuer) => issuer.clone(),
                    None => {
                        let issuer = self.blank(id, cx.now)?;
                        input::check_name(&issuer.issuer_id)?;
                        issuer
                    }
                };
                self.apply(&mut issuer)?;
                issuer.revision = issuer.revision.saturating_add(1);
                issuer.updated_at = cx.now;
                input::check(&issuer)?;
                if issuer.issuer_id == own {
                    return Err(Error::field(
                        "issuer_id",
                        "is this mount's own `issuer`, and its own credentials are no proof here",
                    ));
                }
                // Also while one of them is disabled: what hangs on an issuer is its
                // definition's, and no other may step in for it. Two of 0.1 may stay
                // until one is deleted, as long as only one is enabled.
                if let Some(other) = others.iter().find(|other| {
                    let both = issuer.enabled && other.enabled;
                    (both || present.is_none()) && other.issuer_id == issuer.issuer_id
                }) {
                    return Err(Error::field(
                        "issuer_id",
                        format_args!(
                            "the issuer `{}` has it already; delete that one first",
                            other.name
                        ),
                    ));
                }
                Ok(issuer)
            })
            .await?;
        Ok(IssuerView::of(&stored).into())
    }
}

impl WriteIssuer {
    fn blank(&self, id: IssuerId, now: Timestamp) -> Result<Issuer> {
        let Some(issuer_id) = self.issuer_id.clone() else {
            return Err(Error::Invalid(
                "missing required field \"issuer_id\": a new issuer needs the `iss` of its tokens"
                    .to_owned(),
            ));
        };
        let jwt_type = self.jwt_type.unwrap_or_default();
        let assertion = jwt_type == JwtType::Assertion;
        Ok(Issuer {
            name: self.name.clone(),
            id,
            revision: 0,
            issuer_id,
            enabled: true,
            use_jwks: true,
            jwks_uri: String::new(),
            jwks_ca_pem: String::new(),
            allow_private_addresses: false,
            allow_plain_http: false,
            public_keys: Vec::new(),
            audiences: Vec::new(),
            user_claim: "sub".to_owned(),
            actor_claim: jwt_type.usual_actor_claim().to_owned(),
            unique_id_claim: if assertion { "jti" } else { "" }.to_owned(),
            authorization_details_claim: "authorization_details".to_owned(),
            supported_algorithms: Algorithm::ALL.into(),
            jwt_type,
            clock_skew_leeway: Ttl::from_secs(30),
            optional_authorization_details: true,
            revoked_at: None,
            created_at: now,
            updated_at: now,
        })
    }

    fn apply(self, issuer: &mut Issuer) -> Result<()> {
        if self
            .issuer_id
            .is_some_and(|issuer_id| issuer_id != issuer.issuer_id)
        {
            return Err(Error::field(
                "issuer_id",
                "cannot change: what hangs on this issuer is another's; define the new one under another name",
            ));
        }
        macro_rules! replace {
            ($($field:ident),*) => {$(
                if let Some(value) = self.$field {
                    issuer.$field = value;
                }
            )*};
        }
        replace!(
            enabled,
            use_jwks,
            jwks_uri,
            jwks_ca_pem,
            public_keys,
            audiences
        );
        replace!(allow_private_addresses, allow_plain_http);
        replace!(
            user_claim,
            actor_claim,
            unique_id_claim,
            authorization_details_claim
        );
        replace!(
            supported_algorithms,
            jwt_type,
            clock_skew_leeway,
            optional_authorization_details
        );
        Ok(())
    }
}

/// Delete an issuer, and the mappings of its humans.
///
/// Its tokens are refused from then on. Defining it again makes a new issuer,
/// which inherits nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteIssuer {
    /// Name of the issuer on this mount.
    name: IssuerName,
}

impl Endpoint<Cx> for DeleteIssuer {
    const PLACE: Place = Place {
        path: "config/issuers/{name}",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    const ITEM: &'static str = "Issuer";
    type Output = IssuerView;

    async fn handle(self, cx: &Cx) -> Result<Reply<IssuerView>> {
        cx.facts.issuers.remove(&self.name).await?;
        Ok(Reply::Nothing)
    }
}
