//! What a handler answers.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::framework::error::{Error, Result};

/// What an endpoint answers: nothing, data, or a raw HTTP body.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    /// Nothing: 404 on a read or list, 204 on a write or delete.
    Nothing,
    /// Data, with warnings beside it.
    Data(T, Vec<String>),
    /// A body that leaves the server as it is.
    Raw(Raw),
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
}

impl Response {
    /// Serializes `reply`; `None` where there is nothing to say.
    ///
    /// # Errors
    /// [`Error::Internal`] if the data cannot be serialized.
    pub fn encode<T: Serialize>(reply: Reply<T>) -> Result<Option<Self>> {
        let (data, warnings) = match reply {
            Reply::Nothing => return Ok(None),
            Reply::Data(data, warnings) => (serde_json::to_string(&data), warnings),
            Reply::Raw(raw) => (serde_json::to_string(&raw.envelope()), Vec::new()),
        };
        let data = data.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Some(Self { data, warnings }))
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
