//! The fields of an input type, read from its schema: one list from which
//! coercion, help and the OpenAPI document are made.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON will have no further kinds of value"
)]

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

/// How a field's value is read. Named in help as the server names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A lifetime: seconds, or text such as `5m`.
    Duration,
    /// An instant: RFC 3339, or Unix seconds.
    Time,
    /// A list of texts, or one text with commas.
    TextList,
    /// A list of anything.
    List,
    /// Text by text: an object, or `key=value` as often as needed.
    Pairs,
    /// An object, or its JSON text.
    Object,
}

impl Kind {
    /// The server's word for it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "int",
            Self::Number => "float",
            Self::Boolean => "bool",
            Self::Duration => "duration (sec)",
            Self::Time => "time",
            Self::TextList | Self::List => "slice",
            Self::Pairs => "keypair",
            Self::Object => "map",
        }
    }

    fn of(schema: &Map<String, Value>) -> Self {
        let word = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
        let inner = |key: &str| {
            schema
                .get(key)
                .and_then(|inner| inner.get("type"))
                .and_then(Value::as_str)
        };
        match (word("type"), word("format")) {
            ("string", "date-time") => Self::Time,
            ("string", _) => Self::Text,
            ("integer", "seconds") => Self::Duration,
            ("integer", _) => Self::Integer,
            ("number", _) => Self::Number,
            ("boolean", _) => Self::Boolean,
            ("array", _) if inner("items") == Some("string") => Self::TextList,
            ("array", _) => Self::List,
            _ if inner("additionalProperties") == Some("string") => Self::Pairs,
            _ => Self::Object,
        }
    }
}

/// One field of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// How it is read.
    pub kind: Kind,
    /// What it is, for operators.
    pub description: String,
    /// Whether a request without it is refused.
    pub required: bool,
    /// Its schema, in the part of OpenAPI 3.0 that the host understands.
    pub schema: Map<String, Value>,
}

/// The fields of an input type, by name, and what the type says of itself.
#[must_use]
pub fn fields_of<T: JsonSchema>() -> Vec<Field> {
    let schema = generator(false).into_root_schema_for::<T>();
    let Value::Object(root) = schema.to_value() else {
        return Vec::new();
    };
    let required: Vec<&str> = root
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let Some(Value::Object(properties)) = root.get("properties") else {
        return Vec::new();
    };
    let mut fields = Vec::with_capacity(properties.len());
    for (name, schema) in properties {
        let Value::Object(full) = simplify(schema, &[]) else {
            continue;
        };
        let description = full
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        fields.push(Field {
            name: name.clone(),
            kind: Kind::of(&full),
            description,
            required: required.contains(&name.as_str()),
            schema: host_subset(full),
        });
    }
    fields
}

/// The schema of an output type, in the part that the host understands.
#[must_use]
pub fn output_schema<T: JsonSchema>() -> Map<String, Value> {
    let schema = generator(true).into_root_schema_for::<T>();
    match simplify(&schema.to_value(), &[]) {
        Value::Object(schema) => host_subset(schema),
        _ => Map::new(),
    }
}

/// What a type's doc comment says: the first paragraph, and the rest.
#[must_use]
pub fn doc_of<T: JsonSchema>() -> (String, String) {
    let schema = generator(false).into_root_schema_for::<T>();
    let text = |key: &str| {
        schema
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (title, description) = (text("title"), text("description"));
    match description.split_once("\n\n") {
        Some((first, rest)) => (one_line(first), rest.trim().to_owned()),
        None if description.is_empty() => (one_line(&title), String::new()),
        None => (one_line(&description), String::new()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn generator(output: bool) -> SchemaGenerator {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = if output {
        settings.for_serialize()
    } else {
        settings.for_deserialize()
    };
    settings.into_generator()
}

/// Rewrites the shapes that the host cannot read. It wants one `type` per
/// schema; a boolean schema, `oneOf`, `anyOf` or a `type` that is a list makes
/// it refuse the OpenAPI document of the whole server.
fn simplify(schema: &Value, outer: &[(&str, &Value)]) -> Value {
    let Value::Object(map) = schema else {
        return object_schema();
    };
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(Value::Array(variants)) = map.get(key) {
            let keep: Vec<(&str, &Value)> = ["description", "default"]
                .into_iter()
                .filter_map(|key| Some((key, map.get(key)?)))
                .collect();
            return simplify_variants(variants, &keep);
        }
    }
    let mut simple = map.clone();
    if let Some(value) = simple.remove("const") {
        simple.insert("enum".to_owned(), Value::Array(vec![value]));
    }
    if let Some(Value::Array(values)) = simple.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if simple.get("default").is_some_and(Value::is_null) {
        simple.remove("default");
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get(key) {
            simple.insert(key.to_owned(), simplify(inner, &[]));
        }
    }
    if let Some(Value::Object(properties)) = simple.get_mut("properties") {
        for inner in properties.values_mut() {
            *inner = simplify(inner, &[]);
        }
    }
    if !simple.get("type").is_some_and(Value::is_string) {
        simple.insert("type".to_owned(), "object".into());
    }
    for (key, value) in outer {
        simple.insert((*key).to_owned(), (*value).clone());
    }
    Value::Object(simple)
}

/// An enum of documented words, or an optional one.
fn simplify_variants(variants: &[Value], keep: &[(&str, &Value)]) -> Value {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
    let real: Vec<&Value> = variants
        .iter()
        .filter(|schema| !is_null(schema) && !is_only_null(schema))
        .collect();
    if let [one] = real.as_slice() {
        return simplify(one, keep);
    }
    let mut words = Vec::new();
    for variant in real {
        match (variant.get("const"), variant.get("enum")) {
            (Some(word), _) => words.push(word.clone()),
            (None, Some(Value::Array(several))) => words.extend(several.iter().cloned()),
            _ => return object_schema(),
        }
    }
    let schema = serde_json::json!({ "type": "string", "enum": words });
    simplify(&schema, keep)
}

fn is_only_null(schema: &Value) -> bool {
    schema.get("const").is_some_and(Value::is_null)
        || schema
            .get("enum")
            .is_some_and(|values| *values == serde_json::json!([null]))
}

fn object_schema() -> Value {
    serde_json::json!({ "type": "object" })
}

/// Drops what the host would drop, so that what we test is what it shows.
fn host_subset(schema: Map<String, Value>) -> Map<String, Value> {
    const KNOWN: [&str; 10] = [
        "type",
        "format",
        "description",
        "enum",
        "default",
        "items",
        "properties",
        "required",
        "deprecated",
        "x-vault-displayAttrs",
    ];
    let subset = |(key, value): (String, Value)| {
        if !KNOWN.contains(&key.as_str()) {
            return None;
        }
        let value = match (key.as_str(), value) {
            ("items", Value::Object(inner)) => Value::Object(host_subset(inner)),
            ("properties", Value::Object(inner)) => Value::Object(
                inner
                    .into_iter()
                    .map(|(name, schema)| match schema {
                        Value::Object(schema) => (name, Value::Object(host_subset(schema))),
                        _ => (name, object_schema()),
                    })
                    .collect(),
            ),
            ("format", Value::String(format)) if format.starts_with("uint") => return None,
            ("description", Value::String(text)) => Value::String(one_line(&text)),
            (_, value) => value,
        };
        Some((key, value))
    };
    schema.into_iter().filter_map(subset).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::model::agent::Mode;
    use crate::model::ids::AgentName;
    use crate::model::target::Consent;
    use crate::model::time::{Timestamp, Ttl};

    /// Does a thing.
    ///
    /// At length.
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Input {
        /// Its name.
        name: AgentName,
        /// How long.
        #[serde(default)]
        ttl: Option<Ttl>,
        #[serde(default)]
        at: Option<Timestamp>,
        #[serde(default)]
        modes: Vec<Mode>,
        #[serde(default)]
        consent: Option<Consent>,
        #[serde(default)]
        labels: BTreeMap<String, String>,
        #[serde(default)]
        claims: Map<String, Value>,
        #[serde(default)]
        flag: bool,
        #[serde(default)]
        count: u32,
        #[serde(default)]
        anything: Vec<Value>,
    }

    #[test]
    fn kinds_come_from_the_types() {
        let fields = fields_of::<Input>();
        let kind = |name: &str| {
            fields
                .iter()
                .find(|field| field.name == name)
                .map(|field| field.kind)
        };
        for (name, expected) in [
            ("name", Kind::Text),
            ("ttl", Kind::Duration),
            ("at", Kind::Time),
            ("modes", Kind::TextList),
            ("consent", Kind::Text),
            ("labels", Kind::Pairs),
            ("claims", Kind::Object),
            ("flag", Kind::Boolean),
            ("count", Kind::Integer),
            ("anything", Kind::List),
        ] {
            assert_eq!(kind(name), Some(expected), "{name}");
        }
        assert!(
            fields
                .iter()
                .filter(|field| field.required)
                .map(|field| &field.name)
                .eq(["name"])
        );
    }

    #[test]
    fn schemas_stay_within_what_the_host_reads() {
        for field in fields_of::<Input>() {
            assert!(
                field.schema.get("type").is_some_and(Value::is_string),
                "{field:?}"
            );
            for odd in ["oneOf", "anyOf", "allOf", "$ref", "const", "nullable"] {
                assert!(!field.schema.contains_key(odd), "{field:?}");
            }
        }
        let consent = fields_of::<Input>()
            .into_iter()
            .find(|field| field.name == "consent")
            .unwrap();
        assert_eq!(
            consent.schema.get("enum"),
            Some(&json!(["none", "standing", "per_request"]))
        );
    }

    #[test]
    fn a_doc_comment_is_synopsis_and_description() {
        assert_eq!(
            doc_of::<Input>(),
            ("Does a thing.".to_owned(), "At length.".to_owned())
        );
    }
}
