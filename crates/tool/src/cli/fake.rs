//! A server that a test makes up.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::server::{Api, Failure};

/// Has what it was given, and keeps what is written.
pub(super) struct Fake {
    answers: BTreeMap<String, Value>,
    lists: BTreeMap<String, Vec<(String, Value)>>,
    refused: BTreeSet<String>,
    /// Whether lists take `after` and `limit`.
    pub(super) pages: bool,
    /// The paths and bodies that were written.
    pub(super) written: RefCell<Vec<(String, Value)>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            answers: BTreeMap::new(),
            lists: BTreeMap::new(),
            refused: BTreeSet::new(),
            pages: true,
            written: RefCell::default(),
        }
    }
}

impl Fake {
    /// What it answers to a read of `path`, or to a write.
    pub(super) fn answers(&mut self, path: &str, data: Value) {
        self.answers.insert(path.to_owned(), data);
    }

    /// What a list of `path` shows.
    pub(super) fn lists<'n>(
        &mut self,
        path: &str,
        names: impl IntoIterator<Item = (&'n str, Value)>,
    ) {
        let names = names
            .into_iter()
            .map(|(name, about)| (name.to_owned(), about));
        self.lists.insert(path.to_owned(), names.collect());
    }

    /// Everything that begins with a path is refused from now on, or with a verb
    /// and a path only that.
    pub(super) fn refuses(&mut self, path: &str) {
        self.refused.insert(path.to_owned());
    }

    /// The paths that were written.
    pub(super) fn paths(&self) -> Vec<String> {
        let written = self.written.borrow();
        written.iter().map(|(path, _)| path.clone()).collect()
    }

    fn check(&self, verb: &str, path: &str) -> Result<(), Failure> {
        let request = format!("{verb} {path}");
        let is_meant = |refused: &String| {
            path.starts_with(refused.as_str()) || request.starts_with(refused.as_str())
        };
        if self.refused.iter().any(is_meant) {
            return Err(Failure::of_status(403, &request, "permission denied"));
        }
        Ok(())
    }
}

impl Api for Fake {
    fn read(&self, path: &str) -> Result<Value, Failure> {
        self.check("GET", path)?;
        match self.answers.get(path) {
            Some(data) => Ok(json!({ "data": data })),
            None => Err(Failure::of_status(404, &format!("GET {path}"), "")),
        }
    }

    fn write(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.check("POST", path)?;
        let written = (path.to_owned(), body.clone());
        self.written.borrow_mut().push(written);
        let data = self.answers.get(path).cloned().unwrap_or_default();
        Ok(json!({ "data": data }))
    }

    fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.check("LIST", path)?;
        let Some(all) = self.lists.get(path) else {
            return Err(Failure::of_status(404, &format!("LIST {path}"), ""));
        };
        let asked = |name: &str| {
            let found = query.iter().find(|(asked, _)| self.pages && *asked == name);
            found.map_or("", |(_, value)| value)
        };
        let after = asked("after");
        let most = asked("limit").parse().unwrap_or(usize::MAX);
        let page = all
            .iter()
            .filter(|(name, _)| name.as_str() > after)
            .take(most);
        let (mut keys, mut key_info) = (Vec::new(), Map::new());
        for (name, about) in page {
            keys.push(name.as_str());
            key_info.insert(name.clone(), about.clone());
        }
        Ok(json!({ "data": { "keys": keys, "key_info": key_info } }))
    }
}
