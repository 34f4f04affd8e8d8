//! The texts behind `path-help`, in the server's own layout.

use std::fmt::Write as _;

use crate::host::framework::endpoint::Verb;
use crate::host::framework::router::{PathRoutes, Router};

/// The help of the mount.
#[must_use]
pub fn root<S>(about: &str, router: &Router<S>) -> String {
    let mut paths: Vec<(String, &str)> = router
        .paths()
        .map(|path| (pattern(path), synopsis(path)))
        .collect();
    paths.sort();
    let mut text = format!(
        "## DESCRIPTION\n\n{about}\n\n## PATHS\n\nThe following paths are supported by this backend. To view help for\nany of the paths below, use the help command with any route matching\nthe path pattern. Note that depending on the policy of your auth token,\nyou may or may not be able to access certain paths.\n"
    );
    for (pattern, synopsis) in paths {
        let _ = write!(text, "\n    {pattern}\n        {synopsis}\n");
    }
    text
}

/// The help of one path.
#[must_use]
pub fn path<S>(requested: &str, path: &PathRoutes<S>) -> String {
    let mut text = format!(
        "Request:        {requested}\nMatching Route: {}\n\n{}\n",
        pattern(path),
        synopsis(path)
    );
    let fields = merged_fields(path);
    if !fields.is_empty() {
        text.push_str("\n## PARAMETERS\n");
        for (name, kind, description) in fields {
            let _ = write!(text, "\n    {name} ({kind})\n\n        {description}\n");
        }
    }
    text.push_str("\n## DESCRIPTION\n");
    for route in &path.routes {
        let _ = write!(text, "\n{}: {}\n", word(route.place.verb), route.synopsis);
        if !route.description.is_empty() {
            let _ = write!(text, "\n{}\n", route.description);
        }
    }
    text
}

/// The path as the anchored expression that users of the server know.
#[must_use]
pub fn pattern<S>(path: &PathRoutes<S>) -> String {
    let mut pattern = String::from("^");
    for (index, part) in path.path.split('/').enumerate() {
        if index > 0 {
            pattern.push('/');
        }
        match part
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(name) => {
                let _ = write!(pattern, r"(?P<{name}>\w(([\w-.]+)?\w)?)");
            }
            None => pattern.push_str(&part.replace('.', r"\.")),
        }
    }
    if path
        .routes
        .iter()
        .all(|route| route.place.verb == Verb::List)
    {
        pattern.push_str("/?");
    }
    pattern.push('$');
    pattern
}

/// What a path is for: the line of the operation that changes it, or of the
/// first.
#[must_use]
pub fn synopsis<S>(path: &PathRoutes<S>) -> &str {
    path.route(Verb::Write)
        .or_else(|| path.routes.first())
        .map_or("<no synopsis>", |route| route.synopsis.as_str())
}

/// What each operation is called in help.
const fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Read => "read",
        Verb::Write => "write",
        Verb::Delete => "delete",
        Verb::List => "list",
    }
}

fn merged_fields<S>(path: &PathRoutes<S>) -> Vec<(&str, &str, &str)> {
    let mut fields: Vec<(&str, &str, &str)> = Vec::new();
    for field in path.routes.iter().flat_map(|route| &route.fields) {
        let description = if field.description.is_empty() {
            "<no description>"
        } else {
            &field.description
        };
        if !fields.iter().any(|(name, ..)| *name == field.name) {
            fields.push((&field.name, field.kind.label(), description));
        }
    }
    fields.sort_unstable();
    fields
}
