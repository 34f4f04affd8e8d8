//! A path, declared once.
//!
//! An endpoint is a struct: its fields are the input, its doc comments are the
//! help, and this trait says where it stands. Everything else is derived.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::host::framework::coerce;
use crate::host::framework::error::Result;
use crate::host::framework::field::{self, Field};
use crate::host::framework::response::{Reply, Response};

/// What is done to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// GET.
    Read,
    /// POST and PUT.
    Write,
    /// DELETE.
    Delete,
    /// LIST.
    List,
}

impl Verb {
    /// The name in docs and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }
}

/// Whom a path is for, beyond what the server's ACL says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Those who govern. The host asks their token for `sudo` (see
    /// [`GOVERNED`]); whoever is or was an agent is refused even with it.
    Governed,
    /// Any caller with a token; the handler looks closer. A token of a login is
    /// refused, and so is an agent that may not act.
    Caller,
    /// Any caller with a token whose request is judged layer by layer, its agent
    /// first: one that may not act is let in, to be told and recorded.
    Judged,
    /// Any caller with a token, who can only take back what is in their own
    /// name, whoever they have become since.
    TakesBack,
    /// Anybody, without a token.
    Public,
}

pub use crate::model::governed::GOVERNED;

/// Whether the host asks for `sudo` where something is done to a path.
#[must_use]
pub fn is_governed(place: &Place) -> bool {
    let path = match place.verb {
        Verb::List => [place.path, "/"].concat(),
        Verb::Read | Verb::Write | Verb::Delete => place.path.to_owned(),
    };
    GOVERNED
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(folder) => path.starts_with(folder),
            None => path == *pattern,
        })
}

/// Where an endpoint lives on the mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The path, relative to the mount; `{name}` captures a segment.
    pub path: &'static str,
    /// What is done to it.
    pub verb: Verb,
}

/// An endpoint. `C` is the context that it works in, of its wing.
pub trait Endpoint<C>: DeserializeOwned + JsonSchema + Send + Sized + 'static {
    /// Where it is.
    const PLACE: Place;
    /// Whom it is for.
    const AUDIENCE: Audience;
    /// What the server's UI calls one of the things at this path, where it
    /// should offer a form.
    const ITEM: &'static str = "";
    /// The field of the body that names what a write is about, where the path
    /// does not.
    const NAMED_BY: &'static str = "";
    /// What it answers.
    type Output: Serialize + JsonSchema + Send;

    /// Serves a request.
    fn handle(self, cx: &C) -> impl Future<Output = Result<Reply<Self::Output>>> + Send;

    /// Whether what the input names exists already; `None` where a write is
    /// always an update. Only reads. The input holds what the path says, and
    /// [`Self::NAMED_BY`].
    ///
    /// The host asks before it has looked at its ACL, whoever has any token: the
    /// answer is found or not found, at the cost of one record.
    fn exists(
        cx: &C,
        input: &Map<String, Value>,
    ) -> impl Future<Output = Result<Option<bool>>> + Send {
        let _ = (cx, input);
        async { Ok(None) }
    }
}

/// What a field names, for [`Endpoint::exists`]; `None` where it names nothing,
/// or nothing that can be: the handler will say so.
pub fn named<T: FromStr>(input: &Map<String, Value>, field: &str) -> Option<T> {
    input.get(field)?.as_str()?.parse().ok()
}

type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;
type Handle<C> =
    dyn for<'a> Fn(Map<String, Value>, &'a C) -> Pending<'a, Option<Response>> + Send + Sync;
type Exists<C> =
    dyn for<'a> Fn(&'a Map<String, Value>, &'a C) -> Pending<'a, Option<bool>> + Send + Sync;

/// A context that has that of another wing in it.
pub trait Within<W> {
    /// The same request, as that wing sees it.
    fn wing(&self) -> &W;
}

/// An endpoint with its type erased: what the router holds.
pub struct Route<C> {
    /// Where it is.
    pub place: Place,
    /// Whom it is for.
    pub audience: Audience,
    /// What the server's UI calls one of the things at this path.
    pub item: &'static str,
    /// One line.
    pub synopsis: String,
    /// More.
    pub description: String,
    /// The input.
    pub fields: Vec<Field>,
    /// The answer's schema.
    pub output: Map<String, Value>,
    named_by: &'static str,
    handle: Box<Handle<C>>,
    exists: Box<Exists<C>>,
}

impl<C> fmt::Debug for Route<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.place.verb, self.place.path)
    }
}

impl<C: Send + Sync + 'static> Route<C> {
    /// The route of an endpoint.
    #[must_use]
    pub fn of<W: 'static, E: Endpoint<W>>() -> Self
    where
        C: Within<W>,
    {
        let fields: Arc<[Field]> = field::fields_of::<E>().into();
        let (synopsis, description) = field::doc_of::<E>();
        let known = Arc::clone(&fields);
        Self {
            place: E::PLACE,
            audience: E::AUDIENCE,
            item: E::ITEM,
            synopsis,
            description,
            fields: fields.to_vec(),
            output: field::output_schema::<E::Output>(),
            named_by: E::NAMED_BY,
            handle: Box::new(move |input, cx| {
                let known = Arc::clone(&known);
                Box::pin(async move {
                    let endpoint: E = coerce::read(&known, input)?;
                    Response::encode(endpoint.handle(cx.wing()).await?)
                })
            }),
            exists: Box::new(|input, cx| Box::pin(E::exists(cx.wing(), input))),
        }
    }

    /// Serves a request: coerces, reads, handles, and tells the caller what it
    /// sent in vain.
    ///
    /// # Errors
    /// What the input or the handler is at fault for.
    pub async fn serve(
        &self,
        raw: Map<String, Value>,
        captures: BTreeMap<&str, &str>,
        cx: &C,
    ) -> Result<Option<Response>> {
        let (raw, replaced) = capture(raw, captures);
        let coerced = coerce::coerce(&self.fields, raw)?;
        let mut response = (self.handle)(coerced.input, cx).await?;
        if let Some(response) = &mut response {
            warn(
                response,
                "Endpoint ignored these unrecognized parameters",
                &coerced.ignored,
            );
            warn(
                response,
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's path",
                &replaced,
            );
        }
        Ok(response)
    }

    /// Whether what a write names exists. Nothing else of the body is looked at.
    ///
    /// # Errors
    /// If the host cannot be asked.
    pub async fn exists(
        &self,
        mut raw: Map<String, Value>,
        captures: BTreeMap<&str, &str>,
        cx: &C,
    ) -> Result<Option<bool>> {
        let mut named = Map::new();
        if let Some((name, value)) = raw.remove_entry(self.named_by) {
            named.insert(name, value);
        }
        let (named, _) = capture(named, captures);
        (self.exists)(&named, cx).await
    }
}

/// What the path says wins over what the body says.
fn capture(
    mut raw: Map<String, Value>,
    captures: BTreeMap<&str, &str>,
) -> (Map<String, Value>, Vec<String>) {
    let mut replaced = Vec::new();
    for (name, value) in captures {
        let given = raw.insert(name.to_owned(), value.into());
        if given.is_some_and(|given| !given.is_null()) {
            replaced.push(name.to_owned());
        }
    }
    (raw, replaced)
}

fn warn(response: &mut Response, text: &str, names: &[String]) {
    if !names.is_empty() {
        let names: Vec<String> = names
            .iter()
            .map(|name| {
                name.chars()
                    .filter(|c| !crate::model::text::is_unsafe(*c))
                    .take(64)
                    .collect()
            })
            .collect();
        response
            .warnings
            .push(format!("{text}: [{}]", names.join(" ")));
    }
}
