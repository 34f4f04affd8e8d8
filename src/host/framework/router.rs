//! From a path to its endpoint.

use std::collections::BTreeMap;

use crate::host::framework::endpoint::{Route, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::request::Operation;

/// The routes of a mount, by path.
#[derive(Debug)]
pub struct Router<S> {
    paths: Vec<PathRoutes<S>>,
}

/// Everything that can be done to one path.
#[derive(Debug)]
pub struct PathRoutes<S> {
    /// The path, as the endpoints declare it.
    pub path: &'static str,
    segments: Vec<Segment>,
    /// At most one route for each verb.
    pub routes: Vec<Route<S>>,
}

// INVARIANT: literals order before captures, so that sorting by segments puts
// the more specific of two overlapping paths first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(&'static str),
    Capture(&'static str),
}

fn segments(path: &'static str) -> Vec<Segment> {
    path.split('/')
        .map(|part| {
            match part
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
            {
                Some(name) => Segment::Capture(name),
                None => Segment::Literal(part),
            }
        })
        .collect()
}

impl<S> Router<S> {
    /// A router over `routes`. Of two for the same path and verb the first
    /// stays; a test makes sure there are none.
    #[must_use]
    pub fn new(routes: Vec<Route<S>>) -> Self {
        let mut paths: BTreeMap<Vec<Segment>, PathRoutes<S>> = BTreeMap::new();
        for route in routes {
            let segments = segments(route.place.path);
            let entry = paths.entry(segments.clone()).or_insert_with(|| PathRoutes {
                path: route.place.path,
                segments,
                routes: Vec::new(),
            });
            if entry.route(route.place.verb).is_none() {
                entry.routes.push(route);
            }
        }
        Self {
            paths: paths.into_values().collect(),
        }
    }

    /// Every path, the more specific first.
    pub fn paths(&self) -> impl Iterator<Item = &PathRoutes<S>> {
        self.paths.iter()
    }

    /// The path that `path` names, with what its captures stand for. A
    /// trailing `/` belongs to lists only.
    #[must_use]
    pub fn find<'r, 'p>(
        &'r self,
        path: &'p str,
    ) -> Option<(&'r PathRoutes<S>, BTreeMap<&'r str, &'p str>)> {
        self.paths
            .iter()
            .find_map(|entry| Some((entry, entry.captures(path)?)))
    }

    /// The route for an operation on a path.
    ///
    /// # Errors
    /// [`Error::NoRoute`], or [`Error::Unsupported`] where the path has other
    /// operations.
    pub fn route<'r, 'p>(
        &'r self,
        operation: Operation,
        path: &'p str,
    ) -> Result<(&'r Route<S>, BTreeMap<&'r str, &'p str>)> {
        let verb = match operation {
            Operation::Read => Verb::Read,
            Operation::Create | Operation::Update => Verb::Write,
            Operation::Delete => Verb::Delete,
            Operation::List => Verb::List,
            Operation::Help | Operation::Periodic | Operation::Renew | Operation::Revoke => {
                return Err(Error::Unsupported);
            }
        };
        let path = match verb {
            Verb::List => path.strip_suffix('/').unwrap_or(path),
            Verb::Read | Verb::Write | Verb::Delete => path,
        };
        let mut known = false;
        for entry in &self.paths {
            let Some(captures) = entry.captures(path) else {
                continue;
            };
            known = true;
            if let Some(route) = entry.route(verb) {
                return Ok((route, captures));
            }
            // The most specific path decides; a less specific one behind it
            // must not serve what this one does not offer.
            break;
        }
        Err(if known {
            Error::Unsupported
        } else {
            Error::NoRoute
        })
    }
}

impl<S> PathRoutes<S> {
    /// The route for a verb.
    #[must_use]
    pub fn route(&self, verb: Verb) -> Option<&Route<S>> {
        self.routes.iter().find(|route| route.place.verb == verb)
    }

    /// The names of the path's captures.
    pub fn capture_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(*name),
            Segment::Literal(_) => None,
        })
    }

    fn captures<'p>(&self, path: &'p str) -> Option<BTreeMap<&'static str, &'p str>> {
        let mut captures = BTreeMap::new();
        let mut parts = path.split('/');
        for segment in &self.segments {
            match (segment, parts.next()?) {
                (Segment::Literal(literal), part) if *literal == part => {}
                (Segment::Capture(name), part) if !part.is_empty() => {
                    captures.insert(*name, part);
                }
                _ => return None,
            }
        }
        parts.next().is_none().then_some(captures)
    }
}
