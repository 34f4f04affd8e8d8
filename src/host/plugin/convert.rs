//! Between the host's messages and the framework's types. The errors' table
//! is here, once.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::host::framework::error::{Error, Result};
use crate::host::framework::request::{Caller, Kept, Noted, Operation, Request};
use crate::host::framework::response::{Auth, Lease, Raw, Reply, Response};
use crate::host::plugin::proto::{logical, pb};
use crate::host::telemetry::fields::{ERROR, REQUEST_ID};
use crate::model::ids::EntityId;
use crate::model::target::TokenType;
use crate::model::time::{Timestamp, Ttl};

/// The most JSON text that is parsed: what the host accepts in a request.
const LONGEST: usize = 32 * 1024 * 1024;

/// The most that is parsed of what anybody may send without a token: some tokens
/// of 16 KiB and authorization details.
const LONGEST_OF_STRANGERS: usize = 256 * 1024;

/// The host's numbers for kinds of errors. All but the first five lose their
/// text; beside a response with an `error` in it, that is the text instead.
mod kind {
    pub(super) const UNKNOWN: u32 = 0;
    pub(super) const INTERNAL: u32 = 2;
    pub(super) const BAD_REQUEST: u32 = 4;
    pub(super) const UNSUPPORTED_OPERATION: u32 = 5;
    pub(super) const UNSUPPORTED_PATH: u32 = 6;
    pub(super) const PERMISSION_DENIED: u32 = 8;
}

/// The operation, if it is one that is served.
///
/// A list of what is allowed, asked before anything else looks at the
/// request. The host sends `resolve-path` with the path and data of every
/// request before it has authenticated anybody; whoever dispatched on the
/// path alone would serve it. `resolve-role`, `alias-lookahead`, `patch`,
/// `scan`, `header` and whatever the host learns next are not served either.
pub(super) fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        "create" => Operation::Create,
        "read" => Operation::Read,
        "update" => Operation::Update,
        "delete" => Operation::Delete,
        "list" => Operation::List,
        "help" => Operation::Help,
        "renew" => Operation::Renew,
        "revoke" => Operation::Revoke,
        "rollback" => Operation::Periodic,
        _ => return None,
    })
}

/// Whether the data is longer than its sender may have parsed. `login` is open to
/// all, whatever the host says of its caller.
pub(super) fn is_too_long(wire: &pb::Request) -> bool {
    let longest = if wire.unauthenticated || wire.path.trim_end_matches('/') == "login" {
        LONGEST_OF_STRANGERS
    } else {
        LONGEST
    };
    wire.data.len() > longest
}

/// The request, once its operation is known.
pub(super) fn request(operation: Operation, wire: pb::Request) -> Result<Request> {
    if is_too_long(&wire) {
        return Err(too_long());
    }
    let remote_addr = wire
        .connection
        .and_then(|connection| connection.remote_addr.parse().ok());
    let entity_id = match wire.entity_id.as_str() {
        "" => None,
        id => Some(id.parse::<EntityId>().map_err(|_| {
            Error::Internal("the host sent an entity id that cannot be one".to_owned())
        })?),
    };
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, values) in wire.headers {
        headers
            .entry(name.to_ascii_lowercase())
            .or_default()
            .extend(values.header);
    }
    Ok(Request {
        id: wire.id,
        operation,
        path: wire.path,
        data: data(&wire.data)?,
        headers,
        caller: Caller {
            entity_id,
            display_name: wire.display_name,
            remote_addr,
        },
        mount_point: wire.mount_point,
        unauthenticated: wire.unauthenticated,
        noted: Noted::default(),
        lease: wire
            .secret
            .map(|secret| kept(&secret.internal_data, secret.lease_options))
            .transpose()?,
        login: wire
            .auth
            .map(|auth| kept(&auth.internal_data, auth.lease_options))
            .transpose()?,
    })
}

/// What the host kept for us.
fn kept(internal: &str, options: Option<pb::LeaseOptions>) -> Result<Kept> {
    let options = options.unwrap_or_default();
    let issued_at = options
        .issue_time
        .map(|time| Timestamp::from_unix(time.seconds));
    Ok(Kept {
        internal: data(internal)?,
        issued_at,
        increment: Ttl::from_wire(options.increment),
    })
}

/// The object in the host's JSON text; `null`, as in a read, is an empty one.
fn data(text: &str) -> Result<Map<String, Value>> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    if text.len() > LONGEST {
        return Err(too_long());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(data)) => Ok(data),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => Err(
            Error::Invalid("the request's data must be a JSON object".to_owned()),
        ),
        Err(error) => Err(Error::Invalid(format!(
            "the request's data is not JSON: {error}"
        ))),
    }
}

fn too_long() -> Error {
    Error::Invalid("the request's data is too long".to_owned())
}

/// The answer to a request.
pub(super) fn reply(
    operation: Operation,
    id: &str,
    outcome: Result<Option<Response>>,
    noted: &Map<String, Value>,
) -> pb::HandleRequestReply {
    match outcome {
        Ok(Some(answer)) => success(answer),
        // A host that gets nothing for an answer to `help` loses the client's
        // connection, and the API document of all its mounts with it.
        Ok(None) if operation == Operation::Help => success(Response::default()),
        Ok(None) => pb::HandleRequestReply::default(),
        Err(Error::Denied(text)) if !noted.is_empty() => refused(&text, noted),
        Err(error) => failure(id, error),
    }
}

/// The answer to an operation that is not served.
pub(super) fn unsupported() -> pb::HandleRequestReply {
    failed(kind::UNSUPPORTED_OPERATION, String::new())
}

fn success(answer: Response) -> pb::HandleRequestReply {
    let data = if answer.data.is_empty() {
        "{}".to_owned()
    } else {
        answer.data
    };
    pb::HandleRequestReply {
        response: Some(pb::Response {
            data,
            warnings: answer.warnings,
            secret: answer.lease.map(secret),
            auth: answer.auth.map(auth),
            ..pb::Response::default()
        }),
        err: None,
    }
}

fn secret(lease: Lease) -> pb::Secret {
    pb::Secret {
        lease_options: Some(pb::LeaseOptions {
            ttl: lease.ttl.to_wire(),
            renewable: lease.renewable,
            increment: 0,
            issue_time: Some(issue_time(lease.issued_at)),
            max_ttl: lease.max_ttl.to_wire(),
        }),
        internal_data: Value::Object(lease.internal).to_string(),
        lease_id: String::new(),
    }
}

/// The host's numbers for kinds of tokens.
const SERVICE_TOKEN: u32 = 1;
const BATCH_TOKEN: u32 = 2;

fn auth(auth: Auth) -> pb::Auth {
    pb::Auth {
        lease_options: Some(pb::LeaseOptions {
            ttl: auth.ttl.to_wire(),
            renewable: auth.renewable,
            increment: 0,
            issue_time: Some(issue_time(auth.issued_at)),
            max_ttl: auth.explicit_max_ttl.to_wire(),
        }),
        internal_data: Value::Object(auth.internal).to_string(),
        display_name: auth.display_name,
        policies: auth.policies,
        metadata: auth.metadata.into_iter().collect(),
        num_uses: auth.num_uses.map(i64::from).unwrap_or_default(),
        alias: auth.alias.map(|alias| logical::Alias {
            name: alias.name,
            metadata: alias.metadata.into_iter().collect(),
            ..logical::Alias::default()
        }),
        bound_cidrs: auth.bound_cidrs.iter().map(ToString::to_string).collect(),
        explicit_max_ttl: auth.explicit_max_ttl.to_wire(),
        token_type: match auth.token_type {
            TokenType::Service => SERVICE_TOKEN,
            TokenType::Batch => BATCH_TOKEN,
        },
        no_default_policy: true,
        ..pb::Auth::default()
    }
}

/// The answer to the renewal of a login. The host takes all of it for the
/// token from then on, so what it held and nobody changes is said again.
pub(super) fn renewed(
    mut reply: pb::HandleRequestReply,
    held: Option<pb::Auth>,
) -> pb::HandleRequestReply {
    let answered = reply.response.as_mut().and_then(|said| said.auth.as_mut());
    if let (Some(auth), Some(held)) = (answered, held) {
        *auth = pb::Auth {
            lease_options: auth.lease_options.take(),
            internal_data: std::mem::take(&mut auth.internal_data),
            metadata: std::mem::take(&mut auth.metadata),
            explicit_max_ttl: auth.explicit_max_ttl,
            ..held
        };
    }
    reply
}

/// An instant on the host's wire.
fn issue_time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.unix(),
        nanos: 0,
    }
}

/// The table. A response that holds an `error` reaches the caller as it is,
/// where an error alone is dressed up by the host or loses its text; the kind
/// beside it sets the status.
fn failure(id: &str, error: Error) -> pb::HandleRequestReply {
    match error {
        Error::Invalid(text) => said(text, None),
        Error::Denied(text) => said(text, Some(kind::PERMISSION_DENIED)),
        Error::NotFound(text) => said(text, Some(kind::UNSUPPORTED_PATH)),
        Error::Conflict(text) => with_status(409, text),
        Error::Limited(text) => with_status(429, text),
        Error::NoRoute => failed(kind::UNSUPPORTED_PATH, String::new()),
        Error::Unsupported => unsupported(),
        Error::Host(text) => failed(kind::UNKNOWN, text),
        Error::Internal(cause) => failed(kind::INTERNAL, internal(id, &cause)),
    }
}

/// Where only an error fits: the answer to a mount's initialization.
pub(super) fn plain_error(error: Error) -> pb::ProtoError {
    match error {
        Error::Invalid(text) => proto_error(kind::BAD_REQUEST, text),
        Error::Denied(text)
        | Error::NotFound(text)
        | Error::Conflict(text)
        | Error::Limited(text)
        | Error::Host(text) => proto_error(kind::UNKNOWN, text),
        Error::NoRoute => proto_error(kind::UNSUPPORTED_PATH, String::new()),
        Error::Unsupported => proto_error(kind::UNSUPPORTED_OPERATION, String::new()),
        Error::Internal(cause) => proto_error(kind::INTERNAL, internal("", &cause)),
    }
}

/// The answer to an existence check. The host fails the whole request with a
/// 500 for an error here, so what the request itself will be told anyway is
/// left to the request.
pub(super) fn existence(id: &str, outcome: Result<Option<bool>>) -> pb::HandleExistenceCheckReply {
    // Whoever has any token can make the host ask: what is wrong with the input
    // is told to who may send it.
    let error = match outcome {
        Ok(found) => {
            return pb::HandleExistenceCheckReply {
                check_found: found.is_some(),
                exists: found.unwrap_or_default(),
                err: None,
            };
        }
        Err(error) => error,
    };
    let err = match error {
        Error::Host(text) => Some(proto_error(kind::UNKNOWN, text)),
        Error::Internal(cause) => {
            internal(id, &cause);
            None
        }
        Error::Invalid(_)
        | Error::Denied(_)
        | Error::NotFound(_)
        | Error::Conflict(_)
        | Error::Limited(_)
        | Error::NoRoute
        | Error::Unsupported => None,
    };
    pb::HandleExistenceCheckReply {
        err,
        ..pb::HandleExistenceCheckReply::default()
    }
}

/// Logs what went wrong and returns what may be said about it.
fn internal(id: &str, cause: &str) -> String {
    tracing::error!({ REQUEST_ID } = id, { ERROR } = cause, "internal error");
    if id.is_empty() {
        "internal error".to_owned()
    } else {
        format!("internal error; request id {id}")
    }
}

/// A refusal with the facts of it. The host takes `error` with `data` beside it,
/// and nothing else, for an error too.
fn refused(text: &str, noted: &Map<String, Value>) -> pb::HandleRequestReply {
    let data = json!({ "error": text, "data": noted });
    pb::HandleRequestReply {
        err: Some(proto_error(kind::PERMISSION_DENIED, String::new())),
        ..success(Response {
            data: data.to_string(),
            ..Response::default()
        })
    }
}

fn said(text: String, kind: Option<u32>) -> pb::HandleRequestReply {
    let data = Value::Object(Map::from_iter([("error".to_owned(), text.into())]));
    pb::HandleRequestReply {
        err: kind.map(|kind| proto_error(kind, String::new())),
        ..success(Response {
            data: data.to_string(),
            ..Response::default()
        })
    }
}

/// A status that the host has no kind for: it loses the code of an error that
/// stands beside a response, and dresses up the text of one that stands alone.
/// So the HTTP response is written here, in the host's own form.
fn with_status(status: u16, text: String) -> pb::HandleRequestReply {
    let body = Value::Object(Map::from_iter([(
        "errors".to_owned(),
        Value::Array(vec![text.into()]),
    )]));
    let raw = Raw {
        status,
        content_type: "application/json",
        cache_control: "no-store",
        body: body.to_string().into_bytes(),
    };
    match Response::encode(Reply::<()>::Raw(raw)) {
        Ok(answer) => success(answer.unwrap_or_default()),
        Err(error) => failed(kind::INTERNAL, internal("", &error.to_string())),
    }
}

fn failed(kind: u32, text: String) -> pb::HandleRequestReply {
    pb::HandleRequestReply {
        response: None,
        err: Some(proto_error(kind, text)),
    }
}

const fn proto_error(kind: u32, text: String) -> pb::ProtoError {
    pb::ProtoError {
        err_type: kind,
        err_msg: text,
        err_code: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: Error) -> (String, Option<(u32, String)>) {
        let reply = reply(Operation::Read, "r1", Err(error), &Map::new());
        (
            reply.response.map(|r| r.data).unwrap_or_default(),
            reply.err.map(|e| (e.err_type, e.err_msg)),
        )
    }

    #[test]
    fn the_table_of_errors() {
        let m = || "m".to_owned();
        let said = r#"{"error":"m"}"#.to_owned();
        let kind = |kind: u32| Some((kind, String::new()));
        assert_eq!(told(Error::Invalid(m())), (said.clone(), None));
        assert_eq!(told(Error::Denied(m())), (said.clone(), kind(8)));
        assert_eq!(told(Error::NotFound(m())), (said, kind(6)));
        assert_eq!(told(Error::NoRoute), (String::new(), kind(6)));
        assert_eq!(told(Error::Unsupported), (String::new(), kind(5)));
        assert_eq!(told(Error::Host(m())), (String::new(), Some((0, m()))));
        assert_eq!(
            told(Error::Internal("the key is 42".to_owned())).1,
            Some((2, "internal error; request id r1".to_owned()))
        );
        for (error, status) in [(Error::Conflict(m()), 409), (Error::Limited(m()), 429)] {
            let (data, err) = told(error);
            let data: Value = serde_json::from_str(&data).unwrap();
            assert_eq!(data["http_status_code"], status);
            assert_eq!(data["http_raw_body"], "eyJlcnJvcnMiOlsibSJdfQ==");
            assert_eq!(err, None);
        }
    }

    #[test]
    fn a_refusal_carries_what_was_noted() {
        let noted = Map::from_iter([("reason".to_owned(), json!("ceiling.denied"))]);
        let refused = |error| reply(Operation::Read, "", Err(error), &noted);
        let denied = refused(Error::Denied("no".to_owned()));
        let data: Value = serde_json::from_str(&denied.response.unwrap().data).unwrap();
        assert_eq!(data, json!({ "error": "no", "data": noted }));
        assert_eq!(denied.err.unwrap().err_type, 8);
        // What is no refusal says nothing of it.
        let invalid = refused(Error::Invalid("no".to_owned())).response.unwrap();
        assert_eq!(invalid.data, r#"{"error":"no"}"#);
    }

    #[test]
    fn an_existence_check_leaves_errors_to_the_request() {
        for error in [
            Error::Denied(String::new()),
            Error::NoRoute,
            Error::Internal(String::new()),
        ] {
            let reply = existence("", Err(error));
            assert_eq!(reply, pb::HandleExistenceCheckReply::default());
        }
        let host = existence("", Err(Error::forward())).err.unwrap();
        assert_eq!(
            (host.err_type, host.err_msg.as_str()),
            (0, Error::READ_ONLY)
        );
        let user = existence("", Err(Error::Invalid("m".to_owned())));
        assert_eq!(user, pb::HandleExistenceCheckReply::default());
    }

    #[test]
    fn data_is_an_object() {
        assert!(data("").unwrap().is_empty());
        assert!(data("null").unwrap().is_empty());
        assert_eq!(data(r#"{"a":"1"}"#).unwrap()["a"], "1");
        let deep = "[".repeat(100_000);
        for bad in ["[]", "1", "\"x\"", "{", "{} {}", deep.as_str()] {
            assert!(matches!(data(bad), Err(Error::Invalid(_))), "{bad:.20}");
        }
    }

    #[test]
    fn help_is_never_nothing() {
        let data = reply(Operation::Help, "", Ok(None), &Map::new())
            .response
            .unwrap()
            .data;
        assert_eq!(data, "{}");
        let nothing = reply(Operation::Read, "", Ok(None), &Map::new());
        assert_eq!(nothing.response, None);
    }
}
