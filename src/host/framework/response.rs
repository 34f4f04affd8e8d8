//! What a handler answers.

use std::collections::BTreeMap;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::host::framework::error::{Error, Result};
use crate::model::target::TokenType;
use crate::model::time::{Timestamp, Ttl};

/// What an endpoint answers: nothing, data, data under a lease, a login, or a
/// raw HTTP body.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    /// Nothing: 404 on a read or list, 204 on a write or delete.
    Nothing,
    /// Data, with warnings beside it.
    Data(T, Vec<String>),
    /// Data under a lease that the host keeps, with the data. Only where the
    /// caller has a token.
    Leased(T, Lease),
    /// A token of the host, with data beside it. Only on an unauthenticated
    /// path of an auth method.
    Login(Auth, T),
    /// A body that leaves the server as it is.
    Raw(Raw),
}

/// A lease that the host is to keep. It ends with the token of the caller, the
/// mount, or its time, and the host tells us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long, from now.
    pub ttl: Ttl,
    /// How long at most, from when it was issued. The host renews for as long as
    /// its holder asks, up to this.
    pub max_ttl: Ttl,
    /// Whether its holder may ask for more.
    pub renewable: bool,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// What we want back when it is renewed or ends. Stored by the host.
    pub internal: Map<String, Value>,
}

/// A token that the host is to make. It carries these policies and no others:
/// not `default`, and without an alias none of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The policies.
    pub policies: Vec<String>,
    /// In the clear in the audit entries of the login and of every request that
    /// is made with the token.
    pub metadata: BTreeMap<String, String>,
    /// What the host calls its holder; it puts the mount's name before it.
    pub display_name: String,
    /// How long it lives, from now.
    pub ttl: Ttl,
    /// How long it lives at most, from when it was issued.
    pub explicit_max_ttl: Ttl,
    /// Whether its holder may ask for more.
    pub renewable: bool,
    /// How often it can be used; `None`: the host does not count. The host
    /// counts only for tokens that it stores.
    pub num_uses: Option<u32>,
    /// Whether the host stores it.
    pub token_type: TokenType,
    /// Where it can be used from; empty: anywhere.
    pub bound_cidrs: Vec<IpNet>,
    /// The account under which the host knows its holder on this mount. The host
    /// joins it to an identity entity, whose policies then apply as well.
    pub alias: Option<Alias>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// What we want back when it is renewed. Stored by the host.
    pub internal: Map<String, Value>,
}

/// An account at this mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Its name.
    pub name: String,
    /// What the host is to keep with it. A change costs it a write.
    pub metadata: BTreeMap<String, String>,
}

impl<T> Reply<T> {
    /// Data without warnings.
    #[must_use]
    pub const fn data(data: T) -> Self {
        Self::Data(data, Vec::new())
    }
}

impl<T> From<T> for Reply<T> {
    fn from(data: T) -> Self {
        Self::data(data)
    }
}

impl<T> From<Option<T>> for Reply<T> {
    fn from(data: Option<T>) -> Self {
        data.map_or(Self::Nothing, Self::data)
    }
}

/// A body that leaves the server as it is, without the server's envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    pub content_type: &'static str,
    /// The `Cache-Control` header.
    pub cache_control: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// A response on its way to the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// JSON text of an object.
    pub data: String,
    /// Shown beside the data. In the clear in the audit log.
    pub warnings: Vec<String>,
    /// The lease that the data is under.
    pub lease: Option<Lease>,
    /// The token that the host is to make.
    pub auth: Option<Auth>,
}

impl Response {
    /// Serializes `reply`; `None` where there is nothing to say.
    ///
    /// # Errors
    /// [`Error::Internal`] if the data cannot be serialized.
    pub fn encode<T: Serialize>(reply: Reply<T>) -> Result<Option<Self>> {
        let mut response = Self::default();
        let data = match reply {
            Reply::Nothing => return Ok(None),
            Reply::Data(data, warnings) => {
                response.warnings = warnings;
                serde_json::to_string(&data)
            }
            Reply::Leased(data, lease) => {
                response.lease = Some(lease);
                serde_json::to_string(&data)
            }
            Reply::Login(auth, data) => {
                response.auth = Some(auth);
                serde_json::to_string(&data)
            }
            Reply::Raw(raw) => serde_json::to_string(&raw.envelope()),
        };
        response.data = data.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Some(response))
    }
}

impl Raw {
    /// A JSON document, by itself.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    pub fn json<T: Serialize>(document: &T, cache_control: &'static str) -> Result<Self> {
        Ok(Self {
            status: 200,
            content_type: "application/json",
            cache_control,
            body: serde_json::to_vec(document)
                .map_err(|error| Error::Internal(error.to_string()))?,
        })
    }

    /// The keys by which the host knows a raw response. The body is always
    /// base64: the host decodes whatever happens to be decodable.
    fn envelope(&self) -> Map<String, Value> {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(&self.body);
        Map::from_iter([
            ("http_status_code".to_owned(), self.status.into()),
            ("http_content_type".to_owned(), self.content_type.into()),
            ("http_raw_body".to_owned(), body.into()),
            (
                "http_raw_cache_control".to_owned(),
                self.cache_control.into(),
            ),
        ])
    }
}

/// A list, in the shape that the server and its UI know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Listing {
    /// The names. An empty list is a 404, as everywhere in the server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Something about each of them.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub key_info: Map<String, Value>,
}

impl Listing {
    /// A list of names only.
    #[must_use]
    pub fn of(keys: Vec<String>) -> Self {
        Self {
            keys,
            key_info: Map::new(),
        }
    }
}
