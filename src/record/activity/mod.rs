//! Who was active when: counters and last-seen of agents, subjects and targets.
//! In memory of this node, bounded, and gone with the process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::model::decision::{Outcome, Reason};
use crate::model::ids::DecisionId;
use crate::model::time::Timestamp;
use crate::record::decisions::entry::Entry;

/// How many of each are remembered; those seen longest ago go.
const MOST: usize = 4_096;

/// What is remembered of one.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its name, where it has one besides its id.
    pub name: String,
    /// How often anything was allowed.
    pub allowed: u64,
    /// How often anything was refused.
    pub denied: u64,
    /// How often a human's consent was missing.
    pub consent_required: u64,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// The last decision.
    pub last: DecisionId,
    /// What came of it.
    pub last_outcome: Outcome,
    /// Why; empty where it was allowed.
    pub last_reason: &'static str,
    order: u64,
}

/// The seen of one sort.
#[derive(Debug, Default)]
struct Book {
    by_key: HashMap<String, Seen>,
    // From the order in which they were seen to the key.
    by_order: BTreeMap<u64, String>,
    next: u64,
}

impl Book {
    fn see(&mut self, key: &str, name: &str, entry: &Entry) {
        let order = self.next;
        self.next = self.next.saturating_add(1);
        if let Some(seen) = self.by_key.get_mut(key) {
            if let Some(key) = self.by_order.remove(&seen.order) {
                self.by_order.insert(order, key);
            }
            seen.order = order;
            seen.note(entry);
            return;
        }
        if self.by_key.len() >= MOST
            && let Some((_, oldest)) = self.by_order.pop_first()
        {
            self.by_key.remove(&oldest);
        }
        let mut seen = Seen {
            name: name.to_owned(),
            allowed: 0,
            denied: 0,
            consent_required: 0,
            first_seen: entry.at,
            last_seen: entry.at,
            last: entry.id.clone(),
            last_outcome: entry.outcome,
            last_reason: "",
            order,
        };
        seen.note(entry);
        self.by_key.insert(key.to_owned(), seen);
        self.by_order.insert(order, key.to_owned());
    }
}

impl Seen {
    fn note(&mut self, entry: &Entry) {
        let counter = match entry.outcome {
            Outcome::Allow => &mut self.allowed,
            Outcome::Deny => &mut self.denied,
            Outcome::ConsentRequired => &mut self.consent_required,
        };
        *counter = counter.saturating_add(1);
        self.last_seen = entry.at;
        self.last = entry.id.clone();
        self.last_outcome = entry.outcome;
        self.last_reason = entry.reason();
    }
}

/// A sort of those who are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Agents, by id.
    Agents,
    /// Humans, by entity.
    Subjects,
    /// Targets, by name.
    Targets,
}

/// Who was active when.
#[derive(Debug, Default)]
pub struct Activity(Mutex<[Book; 3]>);

const fn place(sort: Sort) -> usize {
    match sort {
        Sort::Agents => 0,
        Sort::Subjects => 1,
        Sort::Targets => 2,
    }
}

impl Activity {
    /// Takes note of who an entry is about. Strangers are not noted, nor are
    /// targets and subjects that only a caller claims there are.
    pub fn see(&self, entry: &Entry) {
        let Some(agent) = &entry.agent_id else {
            return;
        };
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [agents, subjects, targets] = &mut *books;
        agents.see(agent.as_str(), &entry.agent, entry);
        if let Some(subject) = &entry.subject
            && !entry.chain.is_empty()
        {
            subjects.see(subject.as_str(), "", entry);
        }
        if !entry.target.is_empty() && !entry.reasons.contains(&Reason::TargetUnknown) {
            targets.see(&entry.target, "", entry);
        }
    }

    /// What is remembered of one.
    #[must_use]
    pub fn of(&self, sort: Sort, key: &str) -> Option<Seen> {
        let books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        books.get(place(sort))?.by_key.get(key).cloned()
    }

    /// All that are remembered, by key.
    #[must_use]
    pub fn all(&self, sort: Sort) -> Vec<(String, Seen)> {
        let books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(book) = books.get(place(sort)) else {
            return Vec::new();
        };
        let mut all: Vec<_> = book
            .by_key
            .iter()
            .map(|(key, seen)| (key.clone(), seen.clone()))
            .collect();
        drop(books);
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::AgentId;
    use crate::record::decisions::entry::Kind;

    fn entry(second: i64, target: &str) -> Entry {
        let at = Timestamp::from_unix(second);
        let mut entry = Entry::new(
            DecisionId::mint(at, [1; 10]),
            at,
            Kind::Issue,
            Outcome::Allow,
        );
        entry.agent_id = Some(AgentId::mint(Timestamp::from_unix(1), [1; 10]));
        entry.agent = "bot".into();
        entry.target = target.into();
        entry
    }

    #[test]
    fn the_first_and_the_last_are_told() {
        let activity = Activity::default();
        activity.see(&entry(1, "crm"));
        let mut denied = entry(5, "crm");
        denied.outcome = Outcome::Deny;
        denied.reasons = vec![Reason::CeilingDenied];
        activity.see(&denied);
        let seen = activity.of(Sort::Targets, "crm").unwrap();
        assert_eq!((seen.allowed, seen.denied), (1, 1));
        assert_eq!((seen.first_seen.unix(), seen.last_seen.unix()), (1, 5));
        assert_eq!(seen.last_reason, "ceiling.denied");
        assert_eq!(activity.all(Sort::Agents).len(), 1);
    }

    #[test]
    fn those_seen_longest_ago_go() {
        let activity = Activity::default();
        activity.see(&entry(0, "first"));
        for number in 0..MOST {
            activity.see(&entry(1, &format!("t{number}")));
            activity.see(&entry(1, "first"));
        }
        assert_eq!(activity.all(Sort::Targets).len(), MOST);
        assert!(activity.of(Sort::Targets, "first").is_some());
        assert!(activity.of(Sort::Targets, "t0").is_none());
    }

    #[test]
    fn strangers_and_what_they_name_are_not_noted() {
        let activity = Activity::default();
        let mut stranger = entry(1, "crm");
        stranger.agent_id = None;
        activity.see(&stranger);
        let mut unknown = entry(1, "nothing");
        unknown.reasons = vec![Reason::TargetUnknown];
        unknown.subject = Some("claimed".parse().unwrap());
        activity.see(&unknown);
        assert!(activity.all(Sort::Targets).is_empty());
        assert!(activity.all(Sort::Subjects).is_empty());
    }
}
