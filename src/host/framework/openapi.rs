//! The OpenAPI 3.0.2 document of a mount, in the part of it that the host can
//! read: schemas inline, one type each, no references.

use serde_json::{Map, Value, json};

use crate::host::framework::backend::MountType;
use crate::host::framework::endpoint::{Audience, Route, Verb, is_governed};
use crate::host::framework::help;
use crate::host::framework::router::{PathRoutes, Router};

/// The document of the mount, or of one of its paths.
#[must_use]
pub fn document<'a, S: 'a>(
    paths: impl IntoIterator<Item = &'a PathRoutes<S>>,
    mount_type: MountType,
    prefix: &str,
) -> Value {
    let paths: Map<String, Value> = paths
        .into_iter()
        .map(|path| (format!("/{}", path.path), item(path, mount_type, prefix)))
        .collect();
    json!({
        "openapi": "3.0.2",
        "info": {
            "title": "Agentic plugin API",
            "description": "Identity, delegated authority and credentials for AI agents.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Mozilla Public License 2.0", "url": "https://www.mozilla.org/en-US/MPL/2.0" },
        },
        "paths": paths,
        "components": { "schemas": {} },
    })
}

/// The document of a whole mount.
#[must_use]
pub fn of_mount<S>(router: &Router<S>, mount_type: MountType, prefix: &str) -> Value {
    document(router.paths(), mount_type, prefix)
}

fn item<S>(path: &PathRoutes<S>, mount_type: MountType, prefix: &str) -> Value {
    let mut item = Map::new();
    item.insert("description".to_owned(), help::synopsis(path).into());
    let captures: Vec<Value> = path
        .capture_names()
        .map(|name| parameter(path, name, "path"))
        .collect();
    if !captures.is_empty() {
        item.insert("parameters".to_owned(), Value::Array(captures));
    }
    if path
        .routes
        .iter()
        .any(|route| route.audience == Audience::Public)
    {
        item.insert("x-vault-unauthenticated".to_owned(), true.into());
    }
    // The host protects a path whole, whatever is done to it.
    if path.routes.iter().any(|route| is_governed(&route.place)) {
        item.insert("x-vault-sudo".to_owned(), true.into());
    }
    if let Some(display) = display(path) {
        item.insert("x-vault-displayAttrs".to_owned(), display);
    }
    if path
        .route(Verb::Write)
        .is_some_and(|route| !route.item.is_empty())
    {
        item.insert("x-vault-createSupported".to_owned(), true.into());
    }
    for route in &path.routes {
        let method = match route.place.verb {
            Verb::List if path.route(Verb::Read).is_some() => continue,
            Verb::Read | Verb::List => "get",
            Verb::Write => "post",
            Verb::Delete => "delete",
        };
        item.insert(
            method.to_owned(),
            operation(path, route, mount_type, prefix),
        );
    }
    Value::Object(item)
}

/// What makes the server's UI offer tabs and forms for an auth mount.
fn display<S>(path: &PathRoutes<S>) -> Option<Value> {
    let name = path
        .routes
        .iter()
        .map(|route| route.item)
        .find(|item| !item.is_empty())?;
    let listed = path
        .routes
        .iter()
        .any(|route| route.place.verb == Verb::List);
    Some(if listed {
        json!({ "itemType": name, "navigation": true })
    } else {
        json!({ "itemType": name, "action": "Create" })
    })
}

fn operation<S>(
    path: &PathRoutes<S>,
    route: &Route<S>,
    mount_type: MountType,
    prefix: &str,
) -> Value {
    let tag = match mount_type {
        MountType::Secrets => "secrets",
        MountType::Auth => "auth",
    };
    let captures: Vec<&str> = path.capture_names().collect();
    let own = |name: &str| !captures.contains(&name);
    let mut operation = json!({
        "summary": route.synopsis,
        "operationId": operation_id(route, mount_type, prefix),
        "tags": [tag],
        "responses": responses(route),
    });
    let Value::Object(map) = &mut operation else {
        return operation;
    };
    if !route.description.is_empty() {
        map.insert("description".to_owned(), route.description.clone().into());
    }
    match route.place.verb {
        Verb::Write => {
            if let Some(body) = request_body(route, own) {
                map.insert("requestBody".to_owned(), body);
            }
        }
        Verb::Read | Verb::List | Verb::Delete => {
            let mut parameters = Vec::new();
            if path.route(Verb::List).is_some() && route.place.verb != Verb::Delete {
                parameters.push(list_parameter(route.place.verb == Verb::List));
            }
            parameters.extend(
                route
                    .fields
                    .iter()
                    .filter(|field| own(&field.name))
                    .map(|field| parameter(path, &field.name, "query")),
            );
            if !parameters.is_empty() {
                map.insert("parameters".to_owned(), Value::Array(parameters));
            }
        }
    }
    operation
}

fn list_parameter(required: bool) -> Value {
    json!({
        "name": "list",
        "description": "Return a list if `true`",
        "in": "query",
        "required": required,
        "schema": { "type": "string", "enum": ["true"] },
    })
}

fn parameter<S>(path: &PathRoutes<S>, name: &str, place: &str) -> Value {
    let field = path
        .routes
        .iter()
        .flat_map(|route| &route.fields)
        .find(|field| field.name == name);
    let description = field
        .map(|field| field.description.as_str())
        .unwrap_or_default();
    let mut schema = field.map(|field| field.schema.clone()).unwrap_or_default();
    schema.remove("description");
    schema.entry("type").or_insert_with(|| "string".into());
    let mut parameter = json!({
        "name": name,
        "description": description,
        "in": place,
        "schema": schema,
    });
    if let (Value::Object(map), "path") = (&mut parameter, place) {
        map.insert("required".to_owned(), true.into());
    }
    parameter
}

fn request_body<S>(route: &Route<S>, own: impl Fn(&str) -> bool) -> Option<Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in route.fields.iter().filter(|field| own(&field.name)) {
        properties.insert(field.name.clone(), Value::Object(field.schema.clone()));
        if field.required {
            required.push(field.name.clone());
        }
    }
    if properties.is_empty() {
        return None;
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if let (Value::Object(map), false) = (&mut schema, required.is_empty()) {
        map.insert("required".to_owned(), json!(required));
    }
    Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }))
}

fn responses<S>(route: &Route<S>) -> Value {
    match route.place.verb {
        Verb::Delete => json!({ "204": { "description": "empty body" } }),
        Verb::Read | Verb::Write | Verb::List => {
            if route.output.get("properties").is_none() {
                return json!({ "200": { "description": "OK" } });
            }
            json!({ "200": {
                "description": "OK",
                "content": { "application/json": { "schema": route.output } },
            } })
        }
    }
}

/// A unique name, as in `agentic-write-agents-name`. The server merges the
/// documents of all mounts, so a mount of the other type says so.
fn operation_id<S>(route: &Route<S>, mount_type: MountType, prefix: &str) -> String {
    let verb = route.place.verb.as_str();
    let words = route
        .place
        .path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let kind = match mount_type {
        MountType::Secrets => None,
        MountType::Auth => Some("auth"),
    };
    [prefix]
        .into_iter()
        .chain(kind)
        .chain([verb])
        .chain(words)
        .collect::<Vec<_>>()
        .join("-")
}
