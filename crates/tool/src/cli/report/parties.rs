//! Who is who. The log names an agent by its name, its id or its entity, and
//! seldom by all of them; entries that have two of them tell that they are one.

use std::collections::HashMap;

use super::entry::Text;
use super::event::Named;
use super::limits::LeftOut;
use crate::model::time::Timestamp;

/// The number of a party. What is found to be one gets one number.
pub(super) type Id = usize;

/// An agent or a human.
#[derive(Clone, Debug, Default)]
pub(super) struct Party {
    pub(super) name: Option<String>,
    pub(super) agent_id: Option<String>,
    pub(super) entity: Option<String>,
    pub(super) display: Option<String>,
    /// Whether it is surely a registered agent.
    pub(super) is_agent: bool,
    /// Since when it may not act, and how that was done.
    pub(super) stopped: Option<(Timestamp, &'static str)>,
    /// Whether it was removed from the registry.
    pub(super) removed: bool,
    /// What was tried while it might not act.
    pub(super) after: Vec<After>,
}

/// Requests after an end.
#[derive(Clone, Debug)]
pub(super) struct After {
    /// When it was ended.
    pub(super) ended: Timestamp,
    /// What was done to it.
    pub(super) how: &'static str,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) refused: u64,
    pub(super) passed: u64,
}

/// How often the same may be stopped and resumed and each be remembered.
const MOST_AFTER: usize = 64;

impl Party {
    /// Counts a request that came after an end.
    pub(super) fn tried(&mut self, at: Timestamp, passed: bool, left: &mut LeftOut) {
        let Some((ended, how)) = self.stopped else {
            return;
        };
        note(&mut self.after, ended, how, at, passed, left);
    }
}

/// Counts a request that came `at`, after the end of something.
pub(super) fn note(
    all: &mut Vec<After>,
    ended: Timestamp,
    how: &'static str,
    at: Timestamp,
    passed: bool,
    left: &mut LeftOut,
) {
    let known = all.iter().position(|after| after.ended == ended);
    let place = match known {
        Some(place) => place,
        None if all.len() < MOST_AFTER => {
            all.push(After {
                ended,
                how,
                first: at,
                last: at,
                refused: 0,
                passed: 0,
            });
            all.len().saturating_sub(1)
        }
        None => return left.add("anomalies"),
    };
    if let Some(after) = all.get_mut(place) {
        after.last = after.last.max(at);
        let count = if passed {
            &mut after.passed
        } else {
            &mut after.refused
        };
        *count = count.saturating_add(1);
    }
}

/// What a party is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    AgentId(String),
    Entity(String),
}

/// Everybody in the log.
#[derive(Debug)]
pub(super) struct Parties {
    all: Vec<Party>,
    /// Where a party went that was found to be another.
    moved: Vec<Id>,
    keys: HashMap<Key, Id>,
    most: usize,
    unknown: Option<Id>,
}

impl Parties {
    pub(super) fn new(most: usize) -> Self {
        Self {
            all: Vec::new(),
            moved: Vec::new(),
            keys: HashMap::new(),
            most,
            unknown: None,
        }
    }

    /// The number it has now.
    pub(super) fn find(&self, id: Id) -> Id {
        let mut id = id;
        while let Some(next) = self.moved.get(id).copied().filter(|next| *next != id) {
            id = next;
        }
        id
    }

    pub(super) fn get(&self, id: Id) -> Option<&Party> {
        self.all.get(self.find(id))
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Party> {
        let id = self.find(id);
        self.all.get_mut(id)
    }

    /// Those that nobody identified, as one.
    pub(super) fn unknown(&mut self) -> Option<Id> {
        if self.unknown.is_none() {
            self.unknown = Some(self.all.len());
            self.moved.push(self.all.len());
            self.all.push(Party::default());
        }
        self.unknown
    }

    /// Whether it is the one for those that nobody identified.
    pub(super) fn is_unknown(&self, id: Id) -> bool {
        self.unknown == Some(id)
    }

    /// Everybody, each once.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Party)> {
        self.all
            .iter()
            .enumerate()
            .filter(|(id, _)| self.find(*id) == *id)
    }

    /// Whom an entry names. `None`: nobody, or there are too many.
    pub(super) fn of(&mut self, named: &Named, is_agent: bool, left: &mut LeftOut) -> Option<Id> {
        let short = |text: &Text| text.shown().map(|text| super::short(&text));
        let (name, agent_id, entity) = (short(&named.name), short(&named.id), short(&named.entity));
        let keys: Vec<Key> = [
            // The name of a removed agent may be given to another.
            agent_id.clone().map(Key::AgentId),
            entity.clone().map(Key::Entity),
            name.clone().map(Key::Name),
        ]
        .into_iter()
        .flatten()
        .collect();
        let sure = keys.iter().any(|key| !matches!(key, Key::Name(_)));
        let mut found: Option<Id> = None;
        for key in &keys {
            let Some(known) = self.keys.get(key).map(|id| self.find(*id)) else {
                continue;
            };
            found = Some(match found {
                Some(one) if one != known => {
                    // A name alone does not make two known agents one.
                    if matches!(key, Key::Name(_)) && sure && self.differ(one, known) {
                        one
                    } else {
                        self.join(one, known)
                    }
                }
                _ if matches!(key, Key::Name(_))
                    && self.contradicts(known, agent_id.as_deref()) =>
                {
                    continue;
                }
                _ => known,
            });
        }
        if keys.is_empty() {
            return None;
        }
        let id = match found {
            Some(id) => id,
            None if self.all.len() < self.most => {
                self.moved.push(self.all.len());
                self.all.push(Party::default());
                self.all.len().saturating_sub(1)
            }
            None => {
                left.add("mentions of more agents and humans; what they asked for is among unidentified callers");
                return None;
            }
        };
        for key in keys {
            if self.keys.len() < self.most.saturating_mul(4) || self.keys.contains_key(&key) {
                self.keys.insert(key, id);
            } else {
                left.add("names of agents and subjects");
            }
        }
        if let Some(party) = self.all.get_mut(id) {
            for (kept, given) in [
                (&mut party.name, name),
                (&mut party.agent_id, agent_id),
                (&mut party.entity, entity),
                (&mut party.display, short(&named.display)),
            ] {
                let better = kept.as_ref().is_none_or(|kept| kept.starts_with("hashed:"));
                if better && given.is_some() {
                    *kept = given;
                }
            }
            party.is_agent |= is_agent;
        }
        Some(id)
    }

    /// The agent that has a name now.
    pub(super) fn by_name(&self, name: &str) -> Option<Id> {
        let key = Key::Name(super::short(name));
        self.keys.get(&key).map(|id| self.find(*id))
    }

    /// Whether both have ids, and not the same.
    fn differ(&self, one: Id, other: Id) -> bool {
        let id = |id: Id| self.all.get(id).and_then(|party| party.agent_id.as_ref());
        matches!((id(one), id(other)), (Some(one), Some(other)) if one != other)
    }

    fn contradicts(&self, id: Id, agent_id: Option<&str>) -> bool {
        let known = self.all.get(id).and_then(|party| party.agent_id.as_deref());
        matches!((known, agent_id), (Some(known), Some(given)) if known != given)
    }

    /// Two are found to be one.
    fn join(&mut self, one: Id, other: Id) -> Id {
        let taken = self
            .all
            .get_mut(other)
            .map(std::mem::take)
            .unwrap_or_default();
        if let Some(moved) = self.moved.get_mut(other) {
            *moved = one;
        }
        if let Some(party) = self.all.get_mut(one) {
            party.name = party.name.take().or(taken.name);
            party.agent_id = party.agent_id.take().or(taken.agent_id);
            party.entity = party.entity.take().or(taken.entity);
            party.display = party.display.take().or(taken.display);
            party.is_agent |= taken.is_agent;
            party.stopped = party.stopped.max(taken.stopped);
            party.removed |= taken.removed;
            party.after.extend(taken.after);
            party.after.truncate(MOST_AFTER);
        }
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, id: &str, entity: &str) -> Named {
        Named {
            name: Text::of(name),
            id: Text::of(id),
            entity: Text::of(entity),
            display: Text::None,
        }
    }

    #[test]
    fn what_is_found_to_be_one_is_one_from_then_on() {
        let mut left = LeftOut::default();
        let mut parties = Parties::new(10);
        let mut of = |name, id, entity| {
            let id = parties.of(&named(name, id, entity), true, &mut left);
            id.map(|id| parties.find(id)).unwrap()
        };
        let by_entity = of("", "", "e-1");
        let by_name = of("bot", "", "");
        assert_ne!(by_entity, by_name);
        let both = of("bot", "a-1", "e-1");
        assert_eq!(of("", "", "e-1"), both);
        assert_eq!(of("bot", "", ""), both);
        assert_eq!(of("", "a-1", ""), both);
        assert_ne!(of("bot", "a-2", "e-2"), both, "another, of the same name");
        assert_eq!(parties.iter().count(), 2);
    }

    #[test]
    fn too_many_are_counted() {
        let mut left = LeftOut::default();
        let mut parties = Parties::new(3);
        for number in 0..10 {
            let entity = number.to_string();
            let _ = parties.of(&named("", "", &entity), false, &mut left);
        }
        assert_eq!(parties.iter().count(), 3);
        assert_eq!(left.0.values().sum::<u64>(), 7);
    }
}
