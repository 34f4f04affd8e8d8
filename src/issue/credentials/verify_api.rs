//! `creds/introspect` and `creds/redeem`: for resource servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::issue::credentials::events;
use crate::issue::credentials::introspection::{self, Active, Proof, Question};
use crate::model::ids::TargetName;
use crate::model::secret::Secret;

/// The longest method, as a bound.
const MAX_METHOD: usize = 32;

/// Whether a credential holds, and what it says if it does (RFC 7662 2.2).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Introspection {
    /// Whether it holds. If not, nothing else is said.
    active: bool,
    /// How it must be presented: `Bearer`, or `DPoP` if it is bound to a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// How many uses are left, if they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses_left: Option<u32>,
    /// Its claims, as a JWT has them.
    #[serde(flatten)]
    claims: Map<String, Value>,
}

impl From<Option<Active>> for Introspection {
    fn from(active: Option<Active>) -> Self {
        match active {
            Some(Active { spoken, uses_left }) => Self {
                active: true,
                token_type: Some(if spoken.jkt.is_some() {
                    "DPoP"
                } else {
                    "Bearer"
                }),
                uses_left,
                // A target's own claims must not pass for ours.
                claims: spoken
                    .claims
                    .into_iter()
                    .filter(|(name, _)| !OURS.contains(&name.as_str()))
                    .collect(),
            },
            None => Self {
                active: false,
                token_type: None,
                uses_left: None,
                claims: Map::new(),
            },
        }
    }
}

/// The members of the answer that are no claims.
pub const OURS: [&str; 3] = ["active", "token_type", "uses_left"];

/// Ask whether a credential holds (RFC 7662).
///
/// Knows what a signature cannot tell: suspended and revoked agents, revoked
/// credentials, retired keys, disabled subjects, ended delegations, used-up
/// uses. A credential that does not hold is `{"active": false}` and nothing
/// more. Uses nothing up but the proof; a credential whose uses are counted is
/// used with `creds/redeem`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Introspect {
    /// The credential.
    #[schemars(extend("x-vault-displayAttrs" = { "sensitive": true }))]
    token: String,
    /// What the token is, as RFC 7662 has it. Ignored: it shows.
    #[serde(default, rename = "token_type_hint")]
    _token_type_hint: String,
    /// An audience that the credential must have: how you name yourself.
    audience: Option<String>,
    /// The target that the credential must be for.
    target: Option<TargetName>,
    /// The `DPoP` header that came with the credential (RFC 9449). Needed if it
    /// is bound to a key.
    dpop: Option<String>,
    /// The method of the request that it came with, as in `GET`.
    method: Option<String>,
    /// The URL of that request, as the client sent it.
    url: Option<String>,
}

/// Use one use of a credential, and ask whether it holds.
///
/// Before this answers, the use is stored: of a credential that may be used
/// once, at most one request is ever told `"active": true`, whatever crashes.
/// A credential whose uses are not counted is only introspected. An error may
/// have used a use up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Redeem(Introspect);

impl Introspect {
    fn question(self) -> Result<Question> {
        if self.token.is_empty() {
            return Err(Error::field("token", "may not be empty"));
        }
        let proof = match (self.dpop, self.method, self.url) {
            (None, _, _) => None,
            (Some(proof), Some(method), Some(url)) => {
                let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
                if method.is_empty() || method.len() > MAX_METHOD || !method.bytes().all(is_token) {
                    return Err(Error::field("method", "is not a method of HTTP"));
                }
                Some(Proof {
                    proof,
                    method,
                    url: url.parse().map_err(|error| Error::field("url", error))?,
                })
            }
            (Some(_), None, _) => {
                return Err(Error::field(
                    "method",
                    "is needed with `dpop`: the method of the request that the proof came with",
                ));
            }
            (Some(_), Some(_), None) => {
                return Err(Error::field(
                    "url",
                    "is needed with `dpop`: the URL of the request that the proof came with",
                ));
            }
        };
        Ok(Question {
            token: Secret::new(self.token),
            audience: self.audience.filter(|audience| !audience.is_empty()),
            target: self.target,
            proof,
        })
    }
}

impl Endpoint<Cx> for Introspect {
    const PLACE: Place = Place {
        path: "creds/introspect",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Introspection;

    async fn handle(self, cx: &Cx) -> Result<Reply<Introspection>> {
        let active = introspection::introspect(cx, &self.question()?).await?;
        Ok(Introspection::from(active).into())
    }
}

impl Endpoint<Cx> for Redeem {
    const PLACE: Place = Place {
        path: "creds/redeem",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = Introspection;

    async fn handle(self, cx: &Cx) -> Result<Reply<Introspection>> {
        let question = self.0.question()?;
        let active = introspection::redeem(cx, &question).await?;
        match &active {
            Some(active) => events::redeemed(cx, &active.spoken).await,
            None => events::not_redeemed(cx, question.token.expose()).await,
        }
        Ok(Introspection::from(active).into())
    }
}
