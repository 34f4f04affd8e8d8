//! Each request once, however often it is logged, and those that were never
//! answered.

use std::collections::{BTreeSet, VecDeque};

/// The ids of the newest requests.
#[derive(Debug)]
pub(super) struct Once {
    answered: BTreeSet<String>,
    order: VecDeque<String>,
    waiting: BTreeSet<String>,
    most: usize,
}

impl Once {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            answered: BTreeSet::new(),
            order: VecDeque::new(),
            waiting: BTreeSet::new(),
            most,
        }
    }

    /// A request came in.
    pub(super) fn asked(&mut self, id: String) {
        let open = !id.is_empty() && !self.answered.contains(&id);
        if open && self.waiting.len() < self.most {
            self.waiting.insert(id);
        }
    }

    /// Whether no answer to this request was seen before, as in the log of a
    /// second audit device.
    pub(super) fn is_first_answer(&mut self, id: String) -> bool {
        if id.is_empty() {
            return true;
        }
        self.waiting.remove(&id);
        if !self.answered.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.answered.remove(&oldest);
        }
        true
    }

    /// How many requests have no answer.
    pub(super) fn unanswered(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_once_and_a_request_waits_for_it() {
        let mut once = Once::new(2);
        let id = |number: u32| number.to_string();
        once.asked(id(1));
        once.asked(id(2));
        once.asked(id(3));
        assert_eq!(once.unanswered(), 2, "no more than are remembered");
        assert!(once.is_first_answer(id(1)));
        assert!(!once.is_first_answer(id(1)));
        once.asked(id(1));
        assert_eq!(once.unanswered(), 1, "the log of another device");
        assert!(once.is_first_answer(String::new()) && once.is_first_answer(String::new()));
    }
}
