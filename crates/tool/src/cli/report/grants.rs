//! Which credential was whose. A credential that is redeemed shows by its HMAC
//! or its id who got it.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::entry::Text;
use super::event::Event;
use super::parties::Id;

/// Who got a credential, and for what.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) agent: Id,
    pub(super) subject: Option<Id>,
    target: Text,
    action: Text,
    resource: Text,
    delegation: Text,
}

impl Grant {
    /// Says of an event what only the issuing told.
    pub(super) fn complete(&self, event: &mut Event) {
        for (text, known) in [
            (&mut event.target, &self.target),
            (&mut event.action, &self.action),
            (&mut event.resource, &self.resource),
            (&mut event.delegation, &self.delegation),
        ] {
            if *text == Text::None {
                text.clone_from(known);
            }
        }
    }
}

/// The newest credentials, under all that may be shown of each.
#[derive(Debug)]
pub(super) struct Grants {
    known: HashMap<String, Rc<Grant>>,
    order: VecDeque<String>,
    most: usize,
}

impl Grants {
    pub(super) fn new(most: usize) -> Self {
        Self {
            known: HashMap::new(),
            order: VecDeque::new(),
            // By its HMAC, its id and its decision.
            most: most.saturating_mul(3),
        }
    }

    /// Keeps what was issued.
    pub(super) fn remember(&mut self, event: &Event, agent: Option<Id>, subject: Option<Id>) {
        let Some(agent) = agent else { return };
        let grant = Rc::new(Grant {
            agent,
            subject,
            target: event.target.clone(),
            action: event.action.clone(),
            resource: event.resource.clone(),
            delegation: event.delegation.clone(),
        });
        for key in keys(event) {
            let known = self.known.insert(key.to_owned(), Rc::clone(&grant));
            if known.is_none() {
                self.order.push_back(key.to_owned());
            }
        }
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Whose credential an event is about.
    pub(super) fn of(&self, event: &Event) -> Option<Rc<Grant>> {
        keys(event).find_map(|key| self.known.get(key).cloned())
    }
}

fn keys(event: &Event) -> impl Iterator<Item = &str> {
    [&event.credential, &event.jti, &event.decision]
        .into_iter()
        .filter_map(Text::shown_whole)
}
